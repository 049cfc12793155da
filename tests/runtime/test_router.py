"""Who answers, and why: each choice by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the_edge_agent.errors import ModelNotFound, PrivacyRefused, UnsupportedFeature
from the_edge_agent.inference import (
    ChatRequest,
    Completion,
    ImagePart,
    Message,
    ResponseFormat,
    SamplingParams,
    Tool,
    ToolCall,
)
from the_edge_agent.runtime.router import (
    Route,
    Target,
    classify,
    measure_request,
    next_route,
    proof_of_failure,
    resolve_route,
)

TINY = Target("tiny", "operational")
MID = Target("mid", "tactical")
BIG = Target("big", "tactical")
API = Target("api", "strategic", leaves_machine=True)
ALL = (TINY, MID, BIG, API)


def asked(text="Hi", **fields):
    return ChatRequest((Message("user", text),), **fields)


@pytest.mark.parametrize(
    ("request_", "level", "reason"),
    [
        (asked("What is 2+2?"), "operational", "nothing that asks for more"),
        (asked("x" * 6000), "tactical", "about 1500 tokens of prompt are more than 1,200"),
        (
            asked(sampling=SamplingParams(max_tokens=2000)),
            "tactical",
            "2000 tokens of answer are more than 512",
        ),
        (asked("Please refactor this."), "tactical", "it says 'refactor'"),
        (asked(tools=tuple(Tool(f"t{i}", "", {}) for i in range(5))), "tactical", "5 tools are more than 4"),
        (
            asked(tools=(Tool("t", "", {}),), response_format=ResponseFormat("json_schema", {})),
            "tactical",
            "tools and a schema together",
        ),
        (ChatRequest((Message("user", "Look", images=(ImagePart(b""),)),)), "tactical", "it shows images"),
    ],
)
def test_auto_follows_the_first_rule_that_fits_and_says_which(request_, level, reason):
    assert classify(measure_request(request_))[0] == level
    assert reason in classify(measure_request(request_))[1]


def test_auto_names_its_rule_in_the_reason():
    route = resolve_route(asked(model="auto"), ALL)
    assert route == Route(TINY, "auto: about 0 tokens, 0 tools, nothing that asks for more")


def test_a_named_model_answers_itself():
    assert resolve_route(asked("refactor", model="tiny"), ALL).target == TINY


def test_an_alias_names_its_model():
    assert resolve_route(asked(model="gpt-4o"), ALL, aliases={"gpt-4o": "mid"}).target == MID


def test_an_unknown_name_is_never_answered_by_another_model():
    with pytest.raises(ModelNotFound, match="no model is called 'tyni'; known are tiny, mid, big, api"):
        resolve_route(asked(model="tyni"), ALL)


def test_the_first_of_a_level_that_is_loaded_answers_else_the_first():
    request = asked(level="tactical")
    assert resolve_route(request, ALL).target == MID
    route = resolve_route(request, ALL, loaded=frozenset({"big"}))
    assert route == Route(BIG, "the request asks for tactical; big is loaded and mid is not")


def test_an_empty_level_is_climbed_from_and_then_descended_from():
    assert resolve_route(asked(level="tactical"), (TINY,)).target == TINY
    assert "no tactical model is at hand" in resolve_route(asked(level="tactical"), (TINY,)).reason
    may_leave = asked(level="tactical", privacy="may-leave")
    assert resolve_route(may_leave, (TINY, API)).target == API


def test_a_private_prompt_is_never_routed_off_the_machine():
    assert resolve_route(asked(level="strategic"), ALL).target == MID
    with pytest.raises(PrivacyRefused):
        resolve_route(asked(model="api"), ALL)
    with pytest.raises(PrivacyRefused):
        resolve_route(asked(level="strategic"), (API,))
    assert resolve_route(asked(level="strategic", privacy="may-leave"), ALL).target == API


def test_what_a_model_can_not_do_is_not_asked_of_it():
    blind = ChatRequest((Message("user", "", images=(ImagePart(b""),)),), model="tiny")
    with pytest.raises(UnsupportedFeature, match="tiny can't do images"):
        resolve_route(blind, ALL)


def test_no_model_at_all_is_said():
    with pytest.raises(ModelNotFound, match="no model is configured"):
        resolve_route(asked(), ())


def fine(_text):
    return None


@pytest.mark.parametrize(
    ("completion", "proof"),
    [
        (Completion("4", "stop"), ""),
        (Completion("", "tool_calls", (ToolCall("1", "t", "{}"),)), ""),
        (Completion("  ", "stop"), "it was empty"),
        (Completion("and then", "length"), "it was cut off"),
        (Completion("I\u2019m a tiny model, I can\u2019t do that.", "stop"), 'it says "i can\'t"'),
    ],
)
def test_proof_of_failure_is_what_the_answer_itself_shows(completion, proof):
    assert proof_of_failure(completion, fine, ()) == proof


def test_a_broken_schema_or_a_missing_word_is_proof():
    assert (
        proof_of_failure(Completion("x", "stop"), lambda _: "not JSON", ())
        == "it breaks the schema: not JSON"
    )
    assert proof_of_failure(Completion("Lyon", "stop"), fine, ("paris",)) == "it lacks 'paris'"
    assert proof_of_failure(Completion("Paris.", "stop"), fine, ("paris",)) == ""


def test_it_climbs_one_level_at_a_time_and_off_the_machine_only_with_leave():
    first = resolve_route(asked(), ALL)
    second = next_route(asked(), first, "it was empty", ALL)
    assert second == Route(MID, "tiny answered, but it was empty; tactical is asked")
    assert next_route(asked(), second, "it was empty", ALL) is None
    third = next_route(asked(privacy="may-leave"), second, "it was empty", ALL)
    assert third is not None
    assert third.target == API


@given(
    st.text(max_size=300),
    st.sampled_from(["", "auto", "tiny", "tactical", "strategic", "nobody"]),
    st.sampled_from([None, "operational", "tactical", "strategic"]),
    st.sets(st.sampled_from(ALL)),
    st.frozensets(st.sampled_from(["tiny", "mid", "big"])),
)
def test_without_leave_no_request_is_ever_routed_off_the_machine(text, model, level, targets, loaded):
    try:
        route = resolve_route(asked(text, model=model, level=level), tuple(targets), loaded)
    except (ModelNotFound, PrivacyRefused):
        return
    assert not route.target.leaves_machine
    assert route.reason
