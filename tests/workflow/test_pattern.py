"""Patterns: the same answers as Python's, in time that can't blow up."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from the_edge_agent.workflow.pattern import Pattern
from the_edge_agent.workflow.pattern_syntax import PatternInvalid


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "[a", "(?=a)", "(?!a)", "(?P<n>a)", "(?i)a", "\\1", "\\k", "a**", "a++", "*a", "+", "?", "a{1001}", "a{3,2}",
     "((a{100}){100}){100}", "\\", "\\u12", "[z-a]", "^*", "(" * 30 + ")" * 30, "x" * 501, "(a"],
)  # fmt: skip
def test_what_is_outside_the_subset_is_refused_when_it_is_made(pattern: str) -> None:
    with pytest.raises(PatternInvalid):
        Pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("^(a+)+$", "a" * 3000 + "!"), ("(x+x+)+y", "x" * 3000), ("^(a|aa)+$", "a" * 3000 + "b"), ("(.*)*!", "z" * 3000),
     ("^(\\w+\\s?)*$", "word " * 600 + "!")],
)  # fmt: skip
def test_patterns_that_blow_up_elsewhere_answer_at_once(pattern: str, text: str) -> None:
    assert Pattern(pattern).matches(text) is (pattern == "never")


def test_too_many_steps_are_given_up() -> None:
    assert Pattern("[a-f]{500}x").matches("abcdef" * 50_000) is None


ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "0",
        " ",
        "_",
        ".",
        "[ab]",
        "[^a]",
        "[a-c0-9]",
        "\\d",
        "\\w",
        "\\s",
        "\\D",
        "\\W",
        "\\S",
        "\\.",
        "(a|b)",
        "(?:ab)",
        "(|a)",
        "\\b",
        "^",
        "$",
    ]
)
REPEATS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,}", "*?", "+?"])


@settings(max_examples=600, deadline=None)
@given(st.lists(st.tuples(ATOMS, REPEATS), min_size=1, max_size=5), st.text("ab0_ .\n", max_size=8))
def test_patterns_answer_as_pythons_do(parts: list[tuple[str, str]], text: str) -> None:
    pattern = "".join(atom + (repeat if atom not in ("\\b", "^", "$") else "") for atom, repeat in parts)
    mine = Pattern(pattern).matches(text)
    theirs = re.search(pattern.replace("$", "\\Z"), text)
    assert mine is (theirs is not None), pattern


@settings(max_examples=400, deadline=None)
@given(st.text("ab(|)[]{}*+?\\^$.1,-d", max_size=12), st.text("ab1", max_size=5))
def test_any_text_is_a_pattern_or_refused(pattern: str, text: str) -> None:
    try:
        made = Pattern(pattern)
    except PatternInvalid:
        return
    assert made.matches(text) in (True, False)
