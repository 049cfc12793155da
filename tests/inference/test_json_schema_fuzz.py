"""Nonsense in, a typed refusal out; and the pattern automaton against Python's own engine."""

import json
import random
import re

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from tests.inference.gbnf import Grammar
from tests.rounds import rounds

from the_edge_agent.errors import SchemaUnsupported
from the_edge_agent.inference.json_schema import rebased, schema_to_gbnf, validate
from the_edge_agent.inference.json_schema.keywords import KEYWORDS
from the_edge_agent.inference.json_schema.regex import RegexUnsupported, parse_pattern

FUZZ = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    max_examples=rounds(80, 1_000, 20_000),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    database=None,
)
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 10),
    st.sampled_from([0.5, -0.0, 1e300, 5e-324, float("nan"), float("inf"), 10**40, -(10**5)]),
    st.sampled_from(
        [
            "object",
            "string",
            "integer",
            "#",
            "#/$defs/a",
            "#/properties/a/b",
            "date",
            "^a*$",
            "(",
            "\ud800",
            "",
        ]
    ),
)
KEYS = st.sampled_from([*KEYWORDS, "a", "b/~", "not"])
NEARLY = st.recursive(
    JUNK, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@pytest.mark.long
@FUZZ
@given(st.dictionaries(KEYS, NEARLY, max_size=4), NEARLY)
def test_nearly_a_schema_is_read_or_refused_and_never_crashes(schema, value):
    rebased(schema, "#/x")
    try:
        validate(schema, value)
        text = schema_to_gbnf(schema)
    except SchemaUnsupported as error:
        assert error.place.startswith("schema")  # noqa: PT017 - it may also be a schema
        return
    derived = Grammar(text).derive(random.Random(1))
    assert validate(schema, json.loads(derived)) == ()


SIGNS = st.text(st.sampled_from("ab01.*+?{}()[]|^$\\-dwsDWSnuxbk:=!<,é\n"), max_size=14)


@pytest.mark.long
@FUZZ
@given(SIGNS, st.text(st.sampled_from("ab01-é\n"), max_size=6))
def test_any_pattern_is_compiled_or_refused(source, text):
    try:
        parse_pattern(source).matches(text)
    except RegexUnsupported as error:
        assert str(error)  # noqa: PT017 - it may also be a pattern


ATOMS = st.sampled_from(["a", "b", "0", "[ab]", "[^a]", "\\d", "(a|b)", "(?:ab)", "(a*)", "(|b)", "()"])
PIECES = st.tuples(ATOMS, st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,}", "{0,2}", "*?"])).map("".join)
PATTERNS = st.tuples(
    st.sampled_from(["", "^"]), st.lists(PIECES, max_size=4).map("".join), st.sampled_from(["", "$"])
).map("".join)


@pytest.mark.long
@FUZZ
@given(st.lists(PATTERNS, min_size=1, max_size=2).map("|".join), st.text(st.sampled_from("ab0-"), max_size=7))
def test_the_automaton_agrees_with_python_s_engine(source, text):
    assert parse_pattern(source).matches(text) == (re.search(source, text) is not None)


@pytest.mark.long
@FUZZ
@given(
    st.lists(PATTERNS, min_size=1, max_size=2).map("|".join),
    st.integers(0, 3),
    st.integers(0, 5),
    st.integers(),
)
def test_a_pattern_s_grammar_derives_matches_only(source, low, more, seed):
    schema = {"type": "string", "pattern": source, "minLength": low, "maxLength": low + more}
    try:
        grammar = Grammar(schema_to_gbnf(schema))
    except SchemaUnsupported as error:
        assume("no text can match" not in error.what)
        raise
    value = json.loads(grammar.derive(random.Random(seed), budget=60))
    assert re.search(source, value)
    assert low <= len(value) <= low + more
