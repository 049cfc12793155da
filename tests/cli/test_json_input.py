"""``--input``: what is taken, and how what isn't is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the_edge_agent.cli.json_input import parse_input, read_input
from the_edge_agent.errors import UsageError


def test_no_input_is_an_empty_object() -> None:
    assert read_input(None) == {}


def test_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "in put.json"
    path.write_bytes('\ufeff{"q": "é"}'.encode())
    assert read_input(f"@{path}") == {"q": "é"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "--input:1:2: not JSON"),
        ('{"a": 1,}', "--input:1:"),
        ("{'a': 1}", "--input:1:2: not JSON"),
        ("", "the input is empty"),
        ("[1]", "the input is a list, not an object"),
        ("3", "a number, not an object"),
        ('"x"', "a string, not an object"),
        ("null", "null, not an object"),
        ("true", "true or false, not an object"),
        ('{"a": NaN}', "NaN is no JSON number"),
        ('{"a": 1, "a": 2}', "the key 'a' stands there twice"),
        ("[" * 100_000, "nested too deeply"),
        ("question=hello", "--input:1:1: not JSON"),
        ('{"a": ' + "1" * 5000 + "}", "not JSON"),
    ],
)
def test_bad_json_is_refused_with_its_place_and_an_example(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_input(text, "--input")
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_missing_file_and_one_that_is_not_utf8_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.json: can't read it: no such file"):
        read_input(f"@{tmp_path}/nowhere.json")
    path = tmp_path / "latin.json"
    path.write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(UsageError, match="byte 7 isn't UTF-8"):
        read_input(f"@{path}")
    with pytest.raises(UsageError, match="is a directory"):
        read_input(f"@{tmp_path}")


@given(st.text(max_size=60))
def test_any_text_is_an_object_or_a_typed_error(text: str) -> None:
    try:
        value = parse_input(text, "--input")
    except UsageError as error:
        value = {"fix": error.fix}
        said = error.fix
    else:
        said = "fine"
    assert isinstance(value, dict)
    assert said
