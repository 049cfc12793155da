import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the_edge_agent.engine import delta
from the_edge_agent.engine.delta import apply, diff, same
from the_edge_agent.engine.own import MAX_DEPTH, adopt
from the_edge_agent.errors import OutputInvalid, RunLogCorrupt

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(), max_size=40),
    st.sampled_from([0, 1, True, False, 0.0, -0.0, 1.0, "", "\ud800", "x" * 60]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=6), st.dictionaries(st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=25,
)


@st.composite
def edits(draw: st.DrawFn) -> tuple[object, object]:
    """A value and one made from it by a small change somewhere inside."""
    old = draw(VALUES)
    return old, draw(changed(old))


def changed(value: object) -> st.SearchStrategy[object]:
    choices: list[st.SearchStrategy[object]] = [VALUES, st.just(value)]
    if isinstance(value, str):
        choices.append(st.text(max_size=9).map(lambda tail: value + tail))
        choices.append(
            st.tuples(st.integers(0, len(value)), st.text(max_size=9)).map(
                lambda c: value[: c[0]] + c[1] + value[c[0] + 1 :]
            )
        )
    if isinstance(value, list):
        choices.append(st.lists(VALUES, max_size=3).map(lambda tail: [*value, *tail]))
        if value:
            choices.append(
                st.integers(0, len(value) - 1).flatmap(
                    lambda i: changed(value[i]).map(lambda entry: [*value[:i], entry, *value[i + 1 :]])
                )
            )
            choices.append(st.integers(0, len(value) - 1).map(lambda i: value[:i] + value[i + 1 :]))
    if isinstance(value, dict):
        choices.append(
            st.tuples(st.text(max_size=4), VALUES).map(lambda entry: {**value, entry[0]: entry[1]})
        )
        if value:
            choices.append(
                st.sampled_from(sorted(value)).flatmap(
                    lambda key: changed(value[key]).map(lambda entry: {**value, key: entry})
                )
            )
            choices.append(
                st.sampled_from(sorted(value)).map(lambda key: {k: v for k, v in value.items() if k != key})
            )
            choices.append(st.just(dict(reversed(list(value.items())))))
    return st.one_of(choices)


@given(edits())
def test_a_delta_turns_the_old_value_into_the_new_one_after_a_trip_through_json(
    pair: tuple[object, object],
) -> None:
    old, new = pair
    change = json.loads(json.dumps(diff(old, new)))
    assert same(apply(old, change), new)


@given(edits())
def test_applying_a_delta_leaves_the_old_value_as_it_was(pair: tuple[object, object]) -> None:
    old, new = pair
    before = json.dumps(old)
    apply(old, diff(old, new))
    assert json.dumps(old) == before


@given(edits())
def test_adopting_gives_an_equal_value_that_shares_what_did_not_change(pair: tuple[object, object]) -> None:
    old, new = pair
    mine = adopt(old)
    again = adopt(new, mine)
    assert same(again, new)
    assert (again is mine) == same(old, new)


@given(VALUES)
def test_what_is_adopted_is_nobody_elses(value: object) -> None:
    mine = adopt(value)
    if isinstance(value, list | dict):
        assert mine is not value


@given(VALUES)
def test_the_delta_of_equal_values_is_empty(value: object) -> None:
    assert diff(value, json.loads(json.dumps(value))) == []


def test_a_list_that_grew_logs_only_what_was_appended() -> None:
    old = [{"role": "user", "content": "x" * 1000} for _ in range(500)]
    assert diff(old, [*old, "new"]) == ["+", ["new"]]


def test_a_text_that_grew_logs_only_its_tail() -> None:
    assert diff("a" * 10_000, "a" * 10_000 + "b") == ["+", "b"]


def test_a_changed_field_deep_inside_logs_only_that_field() -> None:
    old = {"users": [{"name": f"user {i}", "seen": 0} for i in range(100)]}
    new = json.loads(json.dumps(old))
    new["users"][40]["seen"] = 1
    assert len(json.dumps(diff(old, new))) < 60


def test_a_word_changed_inside_a_long_text_logs_only_that_word() -> None:
    assert len(json.dumps(diff("a" * 5000 + "old" + "b" * 5000, "a" * 5000 + "new" + "b" * 5000))) < 40


@pytest.mark.parametrize(
    "broken", [["+", 1], ["~", 5, 1, "x"], ["[", [[9, [1]]]], ["?", 1], ["{", 1, 2], ["+", [1]]]
)
def test_a_delta_that_does_not_fit_says_that_the_log_is_damaged(broken: delta.Delta) -> None:
    with pytest.raises(RunLogCorrupt):
        apply("abc", broken)


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        b"x",
        object(),
        float("nan"),
        float("inf"),
        {1: 2},
        [{"a": {"b": object()}}],
        1j,
        pytest.param(2**20_000, id="huge"),
    ],
)
def test_what_is_no_json_is_refused_with_its_path(value: object) -> None:
    with pytest.raises(OutputInvalid):
        adopt(value)


def test_the_path_of_a_refused_value_is_named() -> None:
    with pytest.raises(OutputInvalid, match=r"result\.a\[1\]\.b is a set"):
        adopt({"a": [0, {"b": set()}]}, path="result")


def test_nesting_has_a_limit() -> None:
    value: object = 1
    for _ in range(MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(OutputInvalid, match="nested deeper"):
        adopt(value)


def test_a_list_that_its_owner_goes_on_changing_is_copied() -> None:
    theirs = [1]
    mine = adopt(theirs)
    theirs.append(2)
    assert mine == [1]
    assert adopt(theirs, mine) == [1, 2]
    assert mine == [1]


def test_one_and_true_and_one_point_zero_are_three_values() -> None:
    for old in (1, True, 1.0):
        for new in (1, True, 1.0):
            assert type(apply([old], diff([old], [new]))[0]) is type(new)
            assert type(adopt([new], [old])[0]) is type(new)
