"""llm.classify: always one of the labels."""

import pytest
from tests.actions.llm_context import perform

from the_edge_agent.backends.scripted import ScriptedBackend
from the_edge_agent.errors import ActionParamsInvalid, StructuredOutputInvalid

LABELS = ["positive", "negative", "neutral"]


@pytest.mark.parametrize("answer", ["negative", "Negative.", ' "negative" \n', "**NEGATIVE**"])
def test_the_label_is_taken_from_a_plain_answer(answer):
    backend = ScriptedBackend(answer)
    result = perform("llm.classify", {"text": "It broke.", "labels": LABELS}, backend)
    assert (result["label"], result["index"]) == ("negative", 1)
    assert len(backend.requests) == 1


def test_an_answer_that_is_no_label_is_asked_again_with_labels_only():
    backend = ScriptedBackend(["I think it is rather bad", '"negative"'])
    result = perform("llm.classify", {"text": "It broke.", "labels": LABELS}, backend)
    assert result["label"] == "negative"
    assert backend.requests[1].response_format.schema == {"type": "string", "enum": LABELS}
    assert result["usage"]["completion_tokens"] == 34


def test_a_backend_that_ignores_the_labels_is_an_error_and_no_label():
    with pytest.raises(StructuredOutputInvalid):
        perform("llm.classify", {"text": "x", "labels": LABELS}, ScriptedBackend("whatever"))


def test_labels_that_differ_only_in_case_are_told_apart_by_the_second_question():
    backend = ScriptedBackend(["a", '"A"'])
    assert perform("llm.classify", {"text": "x", "labels": ["a", "A"]}, backend)["label"] == "A"


def test_meanings_and_examples_reach_the_model():
    backend = ScriptedBackend("spam")
    params = {
        "text": "Buy now",
        "labels": {"spam": "unwanted advertising", "ham": "everything else"},
        "examples": [{"text": "Hello Bob", "label": "ham"}],
    }
    perform("llm.classify", params, backend)
    case, solved, asked = backend.requests[0].messages
    assert "Message: Hello Bob" in case.content
    assert (solved.role, solved.content) == ("assistant", "ham")
    assert "spam: unwanted advertising" in asked.content
    assert asked.content.endswith("Message: Buy now")


def test_own_instructions_replace_the_built_in_ones():
    backend = ScriptedBackend("positive")
    perform("llm.classify", {"text": "x", "labels": LABELS, "instructions": "Judge the mood."}, backend)
    assert (
        backend.requests[0].messages[0].content
        == "Judge the mood.\nLabels: positive, negative, neutral\nMessage: x"
    )


@pytest.mark.parametrize(
    "params",
    [
        {"labels": []},
        {"labels": ["a", "a"]},
        {"labels": [" "]},
        {"labels": LABELS, "examples": [{"text": "x", "label": "no"}]},
        {"labels": LABELS, "examples": ["x"]},
    ],
)
def test_labels_and_examples_of_the_wrong_shape_are_refused(params):
    with pytest.raises(ActionParamsInvalid):
        perform("llm.classify", {"text": "x", **params}, ScriptedBackend("x"))
