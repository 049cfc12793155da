"""YAML as values with places: YAML 1.2's scalars, and nothing of YAML that surprises."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from the_edge_agent.workflow import compose
from the_edge_agent.workflow.compose import MAX_BYTES, parse_document
from the_edge_agent.workflow.document import Object, Value, plain
from the_edge_agent.workflow.refusals import Refusals

PARSERS = [parser for name in ("CSafeLoader", "SafeLoader") if (parser := getattr(yaml, name, None))]


@pytest.fixture(params=PARSERS, ids=lambda parser: parser.__name__)
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "_PARSER", request.param)


pytestmark = pytest.mark.usefixtures("_parser")


def read(text: str) -> tuple[Any, list[str]]:
    refusals = Refusals("a.yaml")
    value = parse_document(text, refusals)
    return (None if value is None else plain(value)), [str(problem) for problem in refusals.found]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("Yes", "Yes"),
        ("true", True), ("True", True), ("FALSE", False), ("tRUE", "tRUE"),
        ("null", None), ("~", None), ("Null", None), ("nil", "nil"),
        ("12", 12), ("-3", -3), ("+4", 4), ("012", 12), ("0o17", 15), ("0x1F", 31), ("1_000", "1_000"), ("0b1", "0b1"),
        ("1.5", 1.5), ("-.5", -0.5), ("1e3", 1000.0), ("1.", 1.0), (".", "."), ("1.2.3", "1.2.3"),
        ("12:30:45", "12:30:45"), ("2024-01-02", "2024-01-02"), ("'12'", "12"), ('"true"', "true"), ("0x", "0x"),
        ("a b", "a b"),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found, problems = read(f"k: {text}\n")
    assert problems == []
    assert found == {"k": value}
    assert type(found["k"]) is type(value)


def test_the_key_on_is_the_text_on() -> None:
    assert read("retry: {on: [RateLimited], yes: 1, no: 2}")[0] == {
        "retry": {"on": ["RateLimited"], "yes": 1, "no": 2}
    }


def test_every_key_and_value_keeps_its_line_and_column() -> None:
    value = parse_document("a: 1\nb:\n  - x\n  - {c: 2}\n", Refusals("f"))
    assert isinstance(value, Object)
    assert (value.keys["b"].line, value.keys["b"].column) == (2, 1)
    inner: Any = value.entries["b"]
    assert (inner.entries[0].line, inner.entries[0].column) == (3, 5)
    assert (inner.entries[1].keys["c"].line, inner.entries[1].keys["c"].column) == (4, 6)
    assert (inner.entries[1].entries["c"].line, inner.entries[1].entries["c"].column) == (4, 9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: !!python/object/apply:os.system [ls]", "a.yaml:1:4: the YAML tag"),
        ("a: !!str 1", "a.yaml:1:4: the YAML tag"),
        ("a: !x\n  b: 1", "a.yaml:1:4: the YAML tag"),
        ("a: 1\nb: 2\na: 3", "a.yaml:3:1: the key 'a' stands twice, first in line 1"),
        ("{a: 1, a: 2}", "a.yaml:1:8: the key 'a' stands twice"),
        ("x: &x {a: 1}\nb:\n  <<: *x", "a.yaml:3:3: merge keys"),
        ("? [1]\n: 2", "a.yaml:1:3: a key must be text"),
        ("? {a: 1}\n: 2", "a.yaml:1:3: a key must be text"),
        ("a: &a [1, *a]", "a.yaml:1:11: the alias *a contains itself"),
        ("a: *nowhere", "nowhere"),
        ("a: .nan", "a.yaml:1:4: .nan is no number of JSON"),
        ("a: -.inf", "a.yaml:1:4: -.inf is no number of JSON"),
        ("a: 1e999", "a.yaml:1:4: 1e999 is too large a number"),
        ("a: " + "9" * 400, "a.yaml:1:4: the number has more than 300 digits"),
        ("a\n---\nb", "a.yaml:2:1: a second document"),
        ("a: \x00b", "a.yaml:1:4: the character U+0000"),
        ("a:\n  b: \x07", "a.yaml:2:6: the character U+0007"),
        ("a: \ud800", "a.yaml:1:4: the character U+D800"),
        ('a: "\\ud800"', "a.yaml:1:"),
        ("a: [1, 2", "this isn't YAML"),
        ("a: b: c", "a.yaml:1:5: this isn't YAML"),
        ("a:\n\t- b", "a.yaml:2:1: this isn't YAML"),
        ("a: 'x", "this isn't YAML"),
        ("a: @x", "a.yaml:1:4: this isn't YAML"),
        ("[" * 70, "a.yaml:1:65: values nest more than 64 deep"),
        ("{a: " * 70, "values nest more than 64 deep"),
        ("- " * 70 + "x", "values nest more than 64 deep"),
    ],
)
def test_what_surprises_is_refused_with_its_place(text: str, said: str) -> None:
    _, problems = read(text)
    assert any(said in problem for problem in problems), problems


def test_both_parsers_agree_on_what_is_wrong_with_duplicate_keys() -> None:
    assert len(read("a: 1\na: 2\na: 3")[1]) == 2


def test_small_plain_aliases_are_fine() -> None:
    value, problems = read("a: &x [1, 2]\nb: *x\nc: &s text\nd: *s")
    assert problems == []
    assert value == {"a": [1, 2], "b": [1, 2], "c": "text", "d": "text"}


def test_an_alias_bomb_is_refused_by_counting_what_it_repeats() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    _, problems = read("\n".join(lines))
    assert "aliases repeat more than 50,000 values" in problems[0]


def test_a_file_of_more_than_ten_megabytes_is_refused_unread() -> None:
    _, problems = read("a: " + "@" * MAX_BYTES)  # a parser would stop at the @
    assert "keep it below 10,000,000" in problems[0]
    assert len(problems) == 1


def test_a_file_of_too_many_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "MAX_VALUES", 1000)
    assert read("[" + "1," * 900 + "]")[1] == []
    assert "more than 1,000 values" in read("[" + "1," * 1001 + "]")[1][0]


def test_an_empty_file_is_no_value() -> None:
    assert read("") == (None, [])
    assert read("# only a comment\n") == (None, [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufeff\ufffe\uffff\x85")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz<_", min_size=3, max_size=6), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@given(JSON)
def test_json_is_yaml(value: object) -> None:
    text = json.dumps({"key": value}, ensure_ascii=False)
    if '"<<"' not in text:
        assert read(text) == ({"key": value}, [])


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    refusals = Refusals("f")
    value = parse_document(text, refusals)
    if value is not None and not refusals.found:
        json.dumps(plain(value))


def test_a_value_knows_its_kind() -> None:
    refusals = Refusals("f")
    value: Value | None = parse_document("|\n  a\n", refusals)
    assert value is not None
    assert getattr(value, "literal", False)
