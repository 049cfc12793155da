"""Fields: coercion that loses nothing, bounds, and one problem a field, all at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the_edge_agent.errors import InputInvalid, OutputInvalid
from the_edge_agent.workflow.input_schema import validate_input, validate_output
from the_edge_agent.workflow.nodes import Workflow


def fields(text: str) -> Any:
    return Workflow.parse(f"input_schema: {text}\nnodes: [{{name: a}}]").input_schema


def check(schema: str, values: dict[str, Any]) -> dict[str, Any]:
    return validate_input(fields(schema), values)


@pytest.mark.parametrize(
    ("kind", "given_", "taken"),
    [
        ("string", 3, "3"), ("string", "x", "x"), ("integer", "3", 3), ("integer", 3.0, 3), ("integer", " 4 ", 4),
        ("number", "1.5", 1.5), ("number", 2, 2), ("boolean", "yes", True), ("boolean", "Off", False), ("boolean", 1, True),
        ("array", (1, 2), [1, 2]), ("object", {"a": 1}, {"a": 1}), ("any", [1], [1]),
    ],
)  # fmt: skip
def test_values_are_coerced_where_nothing_is_lost(kind: str, given_: Any, taken: Any) -> None:
    found = check(f"{{v: {kind}}}", {"v": given_})["v"]
    assert found == taken
    assert type(found) is type(taken)


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ("{type: integer}", "3.5", "input.v: is '3.5'; give a whole number"),
        ("{type: integer}", True, "is True; give a whole number"),
        ("{type: integer}", "9" * 5000, "give a whole number"),
        ("{type: number}", "nan", "is 'nan'; give a number"),
        ("{type: number}", float("inf"), "give a number"),
        ("{type: boolean}", "maybe", "give true or false"),
        ("{type: boolean}", 2, "give true or false"),
        ("{type: string}", [1], "give text"),
        ("{type: string}", True, "give text"),
        ("{type: array}", "abc", "give a list"),
        ("{type: object}", [1], "give an object"),
        ("{type: integer, min: 2}", 1, "is 1; give 2 or more"),
        ("{type: number, max: 2.5}", 3, "is 3; give 2.5 or less"),
        ("{type: string, min_length: 2}", "a", "has 1 characters; give 2 or more"),
        ("{type: string, max_length: 2}", "abc", "has 3 characters; give 2 or fewer"),
        ("{type: array, max_length: 1}", [1, 2], "has 2 entries; give 1 or fewer"),
        ("{type: string, pattern: '^[a-z]+$'}", "A", "give text that matches ^[a-z]+$"),
        ("{choices: [a, b, 3]}", "c", "choose one of: 'a', 'b', 3"),
        ("{type: array, items: integer}", [1, "x"], "input.v[1]: is 'x'; give a whole number"),
        ("{type: object, properties: {n: {type: integer, required: true}}}", {}, "input.v.n: is missing"),
        ("{type: object, properties: {n: {type: array, items: {type: object, properties: {k: boolean}}}}}",
         {"n": [{"k": "?"}]}, "input.v.n[0].k: is '?'"),
    ],
)  # fmt: skip
def test_values_that_break_their_field_are_refused(schema: str, value: Any, said: str) -> None:
    with pytest.raises(InputInvalid) as caught:
        check(f"{{v: {schema}}}", {"v": value})
    assert said in str(caught.value)


def test_each_field_gets_one_problem_and_all_are_told_at_once() -> None:
    with pytest.raises(InputInvalid) as caught:
        check(
            "{a: {type: integer, required: true}, b: {type: string, required: true}, c: boolean}",
            {"a": "x", "c": 7, "d": 1},
        )
    assert [problem.place for problem in caught.value.problems] == [
        "input.a",
        "input.b",
        "input.c",
        "input.d",
    ]


def test_an_unknown_field_proposes_a_near_one() -> None:
    with pytest.raises(InputInvalid, match=r"input.qestion: is not in the schema; did you mean 'question'\?"):
        check("{question: string}", {"qestion": "x"})


def test_defaults_stand_in_for_what_is_missing() -> None:
    schema = "{a: {type: integer, default: 3}, b: {default: null}, c: string, d: {type: array, default: []}}"
    assert check(schema, {}) == {"a": 3, "b": None, "d": []}
    assert check(schema, {"a": None, "c": None}) == {"a": 3, "b": None, "c": None, "d": []}


def test_items_and_properties_are_coerced_too() -> None:
    schema = (
        "{l: {type: array, items: {type: object, properties: {n: integer, s: {type: string, default: x}}}}}"
    )
    assert check(schema, {"l": [{"n": "1", "more": 2}]}) == {"l": [{"n": 1, "s": "x", "more": 2}]}


def test_without_a_schema_any_object_is_taken() -> None:
    assert validate_input({}, {"a": 1}) == {"a": 1}


def test_the_output_must_have_its_fields_and_may_have_more() -> None:
    schema = fields("{answer: {type: string, required: true}, n: integer}")
    assert validate_output(schema, {"answer": "x", "n": "3", "other": []}) == {
        "answer": "x",
        "n": 3,
        "other": [],
    }
    with pytest.raises(OutputInvalid, match="answer is missing"):
        validate_output(schema, {"n": 1})


def test_a_pattern_that_would_blow_up_answers_at_once() -> None:
    with pytest.raises(InputInvalid, match="matches"):
        check("{v: {type: string, pattern: '^(a+)+$'}}", {"v": "a" * 5000 + "!"})


def test_a_pattern_over_a_huge_text_is_stopped_by_counting() -> None:
    with pytest.raises(InputInvalid, match="takes too long to match"):
        check("{v: {type: string, pattern: '[a-f]{500}x'}}", {"v": "abcdef" * 50_000})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("abcdef"), JSON))
def test_any_input_is_taken_or_refused(values: dict[str, Any]) -> None:
    schema = fields(
        "{a: {type: integer, min: 0}, b: {type: string, pattern: 'x'}, c: boolean, d: {type: array, items: number},"
        " e: {type: object, properties: {k: {type: integer, required: true}}}}"
    )
    try:
        taken = validate_input(schema, values)
    except InputInvalid as refusal:
        problems = refusal.problems
    else:
        assert validate_input(schema, taken) == taken
        return
    assert problems
