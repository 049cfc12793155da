"""Reducers: pure, each does what its line in the docs says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the_edge_agent.errors import OutputInvalid
from the_edge_agent.workflow.reducers import REDUCERS, reduce


@pytest.mark.parametrize(
    ("name", "current", "written", "after"),
    [
        ("replace", 1, 2, 2), ("append", None, 1, [1]), ("append", [1], [2], [1, [2]]), ("extend", None, [1], [1]),
        ("extend", [1], [2, 3], [1, 2, 3]), ("union", [1, 2], [2, 3], [1, 2, 3]), ("merge", None, {"a": 1}, {"a": 1}),
        ("merge", {"a": 1, "b": 1}, {"b": 2}, {"a": 1, "b": 2}), ("add", None, 2, 2), ("add", 1, 2.5, 3.5),
        ("max", None, 1, 1), ("max", 3, 1, 3), ("min", None, 1, 1), ("min", 3, 1, 1),
    ],
)  # fmt: skip
def test_a_reducer_joins_what_is_written_to_what_is_there(
    name: str, current: object, written: object, after: object
) -> None:
    assert reduce(name, current, written) == after


@pytest.mark.parametrize(
    ("name", "current", "written"),
    [("append", 1, 2), ("extend", [1], 2), ("union", {}, [1]), ("merge", [1], {}), ("merge", {}, [1]), ("add", 1, "2"),
     ("add", True, 1), ("max", 1, None), ("min", "a", 1)],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_refused(name: str, current: object, written: object) -> None:
    with pytest.raises(OutputInvalid, match=f"the reducer {name} takes"):
        reduce(name, current, written)


@given(st.sampled_from(["append", "extend", "union"]), st.lists(st.integers()), st.lists(st.integers()))
def test_reducers_never_change_what_they_are_given(name: str, current: list[int], written: list[int]) -> None:
    before = (list(current), list(written))
    reduce(name, current, written)
    assert (current, written) == before


def test_every_reducer_is_described() -> None:
    assert all(text for _, text in REDUCERS.values())
