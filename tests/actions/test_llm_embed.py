"""llm.embed and llm.similarity."""

import pytest
from tests.actions.llm_context import make_context, perform

from the_edge_agent.backends.scripted import DIMENSIONS, ScriptedBackend
from the_edge_agent.errors import ActionParamsInvalid, UnsupportedFeature


def test_a_text_becomes_a_vector_with_its_dimensions():
    result = perform("llm.embed", {"text": "a red apple"}, ScriptedBackend())
    assert (len(result["embedding"]), result["dimensions"]) == (DIMENSIONS, DIMENSIONS)
    assert result["usage"]["prompt_tokens"] == 11
    assert "embeddings" not in result


def test_a_list_becomes_one_vector_each_in_its_order():
    result = perform("llm.embed", {"text": ["red", "blue"]}, ScriptedBackend())
    single = perform("llm.embed", {"text": "blue"}, ScriptedBackend())
    assert result["embeddings"][1] == single["embedding"]
    assert result["embedding"] == result["embeddings"][0]


def test_usage_is_reported_to_the_run():
    backend = ScriptedBackend()
    context = make_context(backend)
    perform("llm.embed", {"text": "abc"}, backend, context=context)
    assert context.report.usage.prompt_tokens == 3


def test_an_empty_list_is_refused():
    with pytest.raises(ActionParamsInvalid, match="empty list"):
        perform("llm.embed", {"text": []}, ScriptedBackend())


def test_a_model_without_embeddings_says_so():
    with pytest.raises(UnsupportedFeature):
        perform("llm.embed", {"text": "x"}, ScriptedBackend(features=frozenset({"chat"})))


def test_similarity_finds_the_nearest_candidate():
    candidates = ["seven blue boats", "the red apple", "nothing"]
    result = perform("llm.similarity", {"text": "a red apple", "candidates": candidates}, ScriptedBackend())
    assert (result["best"], result["best_index"]) == ("the red apple", 1)
    assert result["score"] == result["scores"][1] == max(result["scores"])


def test_a_text_is_as_similar_to_itself_as_can_be():
    result = perform("llm.similarity", {"text": "red", "candidates": "red"}, ScriptedBackend())
    assert result["score"] == pytest.approx(1.0)


def test_a_text_without_length_is_similar_to_nothing():
    assert perform("llm.similarity", {"text": "", "candidates": ["red"]}, ScriptedBackend())["score"] == 0.0
