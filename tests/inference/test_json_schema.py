"""Validation and grammar agree: one schema, two readers."""

import json
import random
import subprocess
import sys
from urllib.parse import quote

import jsonschema
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from tests.inference.gbnf import Grammar
from tests.inference.schemas import SCHEMAS, values
from tests.rounds import rounds

from the_edge_agent.errors import SchemaUnsupported
from the_edge_agent.inference.json_schema import (
    json_object_gbnf,
    parse_schema,
    rebased,
    schema_to_gbnf,
    validate,
)

RELAXED = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    max_examples=rounds(60, 300, 2_000),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    database=None,
)


def parsed(schema):
    """Random schemas may contradict themselves; those are refused, and that is tested by name below."""
    try:
        return parse_schema(schema)
    except SchemaUnsupported as error:
        assume("no value can meet" not in error.what and "no text can match" not in error.what)
        raise


@pytest.mark.long
@RELAXED
@given(st.data(), SCHEMAS)
def test_a_value_of_the_schema_is_valid_and_derivable(data, schema):
    document = parsed(schema)
    value = data.draw(values(schema))
    assert validate(document, value) == ()
    text = json.dumps(value, ensure_ascii=False)
    assert Grammar(schema_to_gbnf(document)).accepts(text), text


@pytest.mark.long
@RELAXED
@given(SCHEMAS, st.integers(0, 2**32))
def test_whatever_the_grammar_derives_is_valid(schema, seed):
    document = parsed(schema)
    grammar = Grammar(schema_to_gbnf(document))
    rng = random.Random(seed)
    for _ in range(5):
        text = grammar.derive(rng)
        assert validate(document, json.loads(text)) == (), text


@pytest.mark.long
@RELAXED
@given(SCHEMAS)
def test_no_grammar_is_left_recursive(schema):
    assert not Grammar(schema_to_gbnf(parsed(schema))).left_recursive


@pytest.mark.long
@RELAXED
@given(st.data(), SCHEMAS, SCHEMAS)
def test_a_second_opinion_agrees_on_what_is_valid(data, schema, other):
    """Values of another schema are mostly invalid, so both answers occur."""
    document = parsed(schema)
    value = data.draw(st.one_of(values(schema), values(other)))
    checker = jsonschema.Draft202012Validator(schema)
    assume("pattern" not in json.dumps(schema))  # re's $ and \d differ from ECMAScript's
    assume("format" not in json.dumps(schema))
    assume("multipleOf" not in json.dumps(schema))  # 0.3 isn't a multiple of 0.1 in binary
    assert (validate(document, value) == ()) == checker.is_valid(value)


def test_any_object_grammar_derives_objects_only():
    grammar = Grammar(json_object_gbnf())
    assert grammar.accepts('{"a": [1, {"b": null}], "c": "x\\n"}')
    assert not grammar.accepts("[1]")
    rng = random.Random(1)
    assert all(isinstance(json.loads(grammar.derive(rng)), dict) for _ in range(50))


NODE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["value", "next"],
        }
    },
    "$ref": "#/$defs/node",
}


def test_recursive_schemas_work_on_both_sides():
    value = {"value": 1, "next": {"value": 2, "next": None}}
    assert validate(NODE, value) == ()
    assert Grammar(schema_to_gbnf(NODE)).accepts(json.dumps(value))
    assert validate(NODE, {"value": 1, "next": {"value": "2", "next": None}})[0].place == "/next/value"


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 5}]}, [3, 5], [2, 6]),
        ({"type": ["integer", "string"], "minimum": 3, "minLength": 2}, [3, "ab"], [2, "a", None]),
        ({"type": "string", "nullable": True}, ["a", None], [1]),
        ({"const": {"a": [1]}}, [{"a": [1]}], [{"a": [2]}]),
        ({"enum": [1, True, "x"]}, [1, True, "x"], [0, False, "y"]),
        ({"minimum": 2, "type": "integer", "multipleOf": 3, "maximum": 20}, [3, 18], [2, 4, 19]),
        ({"type": "number", "multipleOf": 0.25, "minimum": 0, "maximum": 1}, [0, 0.25, 1], [0.3]),
        (
            {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3},
            [[1, 2]],
            [[1], [1, 2, 3, 4]],
        ),
        (
            {"prefixItems": [{"type": "integer"}, {"const": "x"}], "items": False},
            [[], [1], [1, "x"]],
            [[1, "x", 2], ["x"]],
        ),
        (
            {"type": "object", "maxProperties": 2, "additionalProperties": {"type": "integer"}},
            [{}, {"a": 1}],
            [{"a": "b"}],
        ),
        ({"type": "object", "minProperties": 1}, [{"a": 1}], [{}]),
        ({"required": ["a"]}, [{"a": [None]}], [{}, {"b": 1}]),
        (
            {"type": "string", "pattern": "^[a-c]+$", "minLength": 2, "maxLength": 3},
            ["ab", "abc"],
            ["a", "abca", "xy"],
        ),
        (
            {"type": "string", "format": "date", "pattern": "^2024"},
            ["2024-02-29"],
            ["2023-01-01", "2024-02-30"],
        ),
        ({"type": "integer", "minimum": 2**63 - 2, "maximum": 2**64}, [2**63, 2**64], [2**63 - 3, 2**64 + 1]),
        ({"type": "string", "maxLength": 10_000}, ["x" * 10_000], []),
        (
            {"type": "string", "minLength": 5_000, "maxLength": 5_001},
            ["x" * 5_000],
            ["x" * 4_999, "x" * 5_002],
        ),
    ],
)
def test_keywords_mean_what_the_specification_says(schema, good, bad):
    grammar = Grammar(schema_to_gbnf(schema))
    for value in good:
        assert validate(schema, value) == ()
        assert grammar.accepts(json.dumps(value))
    for value in bad:
        assert validate(schema, value) != ()
        assert not grammar.accepts(json.dumps(value))


def test_all_of_merges_objects_as_if_they_were_written_as_one():
    base = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    extension = {
        "properties": {"a": {"minimum": 5}, "b": {"const": "x"}},
        "required": ["b"],
        "additionalProperties": False,
    }
    schema = {"$defs": {"base": base}, "allOf": [{"$ref": "#/$defs/base"}, extension]}
    assert validate(schema, {"a": 5, "b": "x"}) == ()
    assert [problem.place for problem in validate(schema, {"a": 4, "c": 1})] == ["/b", "/a", "/c"]
    assert Grammar(schema_to_gbnf(schema)).accepts('{"a": 7, "b": "x"}')


def test_all_of_over_a_recursive_definition_ends():
    schema = {**NODE, "allOf": [{"properties": {"value": {"minimum": 0}}}]}
    assert validate(schema, {"value": 1, "next": None}) == ()
    assert validate(schema, {"value": -1, "next": None}) != ()
    assert Grammar(schema_to_gbnf(schema)).accepts('{"value": 1, "next": {"value": -1, "next": null}}')


def test_one_of_with_a_discriminator_is_honoured():
    def option(kind, name):
        return {
            "type": "object",
            "properties": {"kind": {"const": kind}, name: {"type": "integer"}},
            "required": ["kind", name],
        }

    schema = {"oneOf": [option("cat", "lives"), option("dog", "age")]}
    assert validate(schema, {"kind": "dog", "age": 3}) == ()
    assert validate(schema, {"kind": "dog", "age": "x"})[0].place == "/age"
    assert Grammar(schema_to_gbnf(schema)).accepts('{"kind": "cat", "lives": 9}')


def test_additional_keys_never_repeat_a_declared_one():
    schema = {
        "type": "object",
        "properties": {"ab": {"const": 1}, "abc": {"const": 2}},
        "additionalProperties": {"type": "string"},
    }
    grammar = Grammar(schema_to_gbnf(schema))
    assert grammar.accepts('{"ab": 1, "a": "x", "abcd": "y", "": "z"}')
    assert not grammar.accepts('{"ab": 1, "abc": "x"}')
    assert not grammar.accepts('{"ab": "x"}')


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "strin"}, "/type"),
        ({"properties": {"a": {"minLenght": 3}}}, "/properties/a/minLenght"),
        ({"not": {}}, "/not"),
        ({"if": {}, "then": {}}, "/if"),
        ({"patternProperties": {}}, "/patternProperties"),
        ({"uniqueItems": True}, "/uniqueItems"),
        ({"items": [{}]}, "/items"),
        ({"type": "string", "format": "phone"}, "/format"),
        ({"type": "string", "pattern": "(?=a)"}, "/pattern"),
        ({"type": "string", "pattern": "(a)\\1"}, "/pattern"),
        ({"type": "string", "pattern": "\\bword\\b"}, "/pattern"),
        ({"type": "string", "pattern": "a{2000}"}, "/pattern"),
        ({"$ref": "https://example.com/schema"}, "/$ref"),
        ({"$ref": "#/$defs/nowhere"}, "/$ref"),
        ({"properties": {"x": {"oneOf": [{"type": "string"}, {"const": "a"}]}}}, "/properties/x/oneOf"),
        ({"enum": []}, "/enum"),
        ({"minLength": -1}, "/minLength"),
        ({"minimum": "3"}, "/minimum"),
        ({"exclusiveMinimum": True}, "/exclusiveMinimum"),
        ({"minimum": float("nan")}, "/minimum"),
        ({"required": "a"}, "/required"),
        ({"anyOf": []}, "/anyOf"),
        ({"anyOf": {}}, "/anyOf"),
        ({"items": 3}, "/items"),
        ({"nullable": "yes"}, "/nullable"),
        ({"$defs": []}, "/$defs"),
    ],
)
def test_what_is_not_supported_is_refused_where_it_stands(schema, place):
    with pytest.raises(SchemaUnsupported) as caught:
        validate(schema, None)
    assert caught.value.place == f"schema{place}"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"allOf": [{"type": "string"}, {"type": "integer"}]},
        {"enum": ["a"], "type": "integer"},
        {"type": "object", "properties": {"a": False}, "required": ["a"]},
        {"type": "object", "required": ["a"], "additionalProperties": False},
        {
            "$defs": {"a": {"type": "object", "properties": {"b": {"$ref": "#/$defs/a"}}, "required": ["b"]}},
            "$ref": "#/$defs/a",
        },
        False,
    ],
)
def test_a_schema_that_no_value_meets_is_refused(schema):
    with pytest.raises(SchemaUnsupported, match="no value can meet"):
        parse_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {
            "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}},
            "$ref": "#/$defs/a",
        },
        {"allOf": [{"$ref": "#"}], "type": "string"},
    ],
)
def test_references_that_lead_only_to_themselves_are_refused(schema):
    with pytest.raises(SchemaUnsupported):
        parse_schema(schema)


def nested(depth, leaf):
    schema = leaf
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        nested(100, {}),
        nested(5_000, {}),
        {"anyOf": [{"const": number} for number in range(20_000)]},
        {"enum": list(range(3_000))},
        {"type": "string", "pattern": "(a|aa)*" * 800},
        {"type": "string", "pattern": "^(.{0,900}x){5}$"},
        {"allOf": [{"anyOf": [{"properties": {f"p{i}{j}": {}}} for j in range(6)]} for i in range(8)]},
        {"enum": list(range(2_000)), "anyOf": [{"minimum": number} for number in range(9_000)]},
        {"oneOf": [{"const": number} for number in range(300)]},
        {
            "oneOf": [
                {"anyOf": [{"minLength": i, "maxLength": i + 9_000} for i in range(90)]} for _ in range(90)
            ]
        },
        {
            "$defs": {f"d{i}": {"items": {"$ref": f"#/$defs/d{i + 1}"}} for i in range(5_000)},
            "$ref": "#/$defs/d0",
        },
    ],
)
def test_giant_schemas_are_refused_and_not_expanded(schema):
    with pytest.raises(SchemaUnsupported):
        schema_to_gbnf(schema)


def test_a_hostile_pattern_is_matched_in_linear_time():
    schema = {"type": "string", "pattern": "^(a+)+$"}
    assert validate(schema, "a" * 20_000 + "!") != ()
    assert Grammar(schema_to_gbnf(schema)).accepts('"aaaa"')


def test_a_deep_value_is_a_problem_and_not_a_crash():
    value = []
    for _ in range(10_000):
        value = [value]
    assert "nested deeper" in validate({}, value)[0].what
    assert "nested deeper" in validate({"items": {"$ref": "#"}}, value)[0].what


def test_alternatives_that_double_at_each_level_are_given_up():
    both = {"anyOf": [{"type": "array", "items": {"$ref": "#"}, "maxItems": size} for size in (5, 6)]}
    value = "not a list"
    for _ in range(60):
        value = [value]
    assert validate(both, value) != ()


def test_problems_are_bounded_and_point_into_the_value():
    problems = validate({"items": {"type": "integer"}}, ["x"] * 1000)
    assert len(problems) == 20
    assert str(problems[3]) == "/3: is 'x'; a whole number is needed"


@pytest.mark.parametrize("name", ["a b", "List[int]", "a/b~c", "100%25", "é"])
def test_references_are_found_as_pointers_and_as_parts_of_a_uri(name):
    pointer = name.replace("~", "~0").replace("/", "~1")
    for written in (pointer, quote(pointer)):
        schema = {"$defs": {name: {"const": 7}}, "$ref": f"#/$defs/{written}"}
        assert validate(schema, 7) == ()
        assert validate(schema, 8)


def test_names_in_pointers_are_escaped():
    assert validate({"properties": {"a/b~c": {"type": "null"}}}, {"a/b~c": 1})[0].place == "/a~1b~0c"


def test_a_typo_is_answered_with_the_keyword_that_was_meant():
    with pytest.raises(SchemaUnsupported, match="did you mean 'additionalProperties'"):
        parse_schema({"additionalProprties": False})


def test_what_is_no_json_is_never_valid():
    for value in (float("nan"), float("inf"), object(), b"x", {1: 2}, {"a": {2}}):
        assert validate({}, value) != ()


def test_the_parts_load_only_when_they_are_used():
    program = (
        "import sys, the_edge_agent.inference.json_schema as package; loaded = [m for m in sys.modules if m.endswith(('.parse', '.grammar'))];"
        "assert not loaded, loaded; package.validate({}, 1); assert callable(package.validate)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_schema_moved_into_another_keeps_its_references():
    moved = rebased({**NODE, "enum": [{"$ref": "#"}], "items": {"$ref": "#"}}, "#/anyOf/0")
    assert moved["$ref"] == "#/anyOf/0/$defs/node"
    assert moved["items"] == {"$ref": "#/anyOf/0"}
    assert moved["$defs"]["node"]["properties"]["next"]["anyOf"][0] == {"$ref": "#/anyOf/0/$defs/node"}
    assert moved["enum"] == [{"$ref": "#"}]
    whole = {"anyOf": [rebased(NODE, "#/anyOf/0"), {"type": "null"}]}
    assert validate(whole, {"value": 1, "next": {"value": 2, "next": None}}) == ()
    assert validate(whole, {"value": 1, "next": {"value": "2", "next": None}}) != ()
