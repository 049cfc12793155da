"""Templates and expressions: what they give, what they refuse, and where they say it."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the_edge_agent.errors import TemplateError
from the_edge_agent.workflow.nodes import Place
from the_edge_agent.workflow.template import Expression, Template
from the_edge_agent.workflow.tree import parse_tree, render_tree

SCOPE = {
    "state": {
        "name": "Ada",
        "count": 3,
        "user": {"name": "Ada", "items": [1, 2], "tags": {"a": 1}},
        "list": ["b", "a", "c"],
        "people": [{"name": "x", "age": 2}, {"name": "y", "age": 1}],
        "nothing": None,
        "text": "one two",
        "model": "{{ secrets.key }}",
    },
    "variables": {"greeting": "Hi"},
    "secrets": {"key": "s3cret"},
    "item": {"id": 7},
    "index": 0,
}
NAMES = frozenset(SCOPE) | {"checkpoint", "parallel_results"}


def render(text: str) -> object:
    return render_tree(parse_tree(text, names=NAMES), SCOPE)


def evaluate(text: str) -> object:
    return Expression.parse(text, names=NAMES).evaluate(SCOPE)


# --- what comes out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ state.user }}", SCOPE["state"]["user"]),
        ("{{ state.list }}", ["b", "a", "c"]),
        ("{{ state.count }}", 3),
        ("{{ state.count + 1 }}", 4),
        ("{{ state.nothing }}", None),
        ("  {{ state.count }}\n", 3),
        ("{{ [state.count, state.name] }}", [3, "Ada"]),
        ("{{ {'a': state.count} }}", {"a": 3}),
        ("{{ state.list | sort }}", ["a", "b", "c"]),
        ("{{ state.people | map(attribute='name') }}", ["x", "y"]),
        ("{{ state.count > 2 }}", True),
        ("{{ range(3) }}", [0, 1, 2]),
        ("{{ (1, 2) }}", [1, 2]),
        ("{{ state.user.tags.items() }}", [["a", 1]]),
    ],
)
def test_a_string_that_is_one_expression_passes_the_object_through(text: str, value: object) -> None:
    assert render(text) == value


def test_the_object_that_passes_through_is_the_very_object() -> None:
    assert render("{{ state.user }}") is SCOPE["state"]["user"]
    assert render("{{ state.user.tags }}") is SCOPE["state"]["user"]["tags"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Hello {{ state.name }}!", "Hello Ada!"),
        ("{{ state.count }}{{ state.count }}", "33"),
        ("{{ state.count }} of {{ state.list | length }}", "3 of 3"),
        ("{{ state.nothing }} and {{ state.missing }}", "None and None"),
        ("{# not shown #}{{ state.name }}{# nor this #}", "Ada"),
        ("{% if state.count > 2 %}many{% else %}few{% endif %}", "many"),
        ("{% for p in state.people %}{{ loop.index }}:{{ p.name }} {% endfor %}", "1:x 2:y "),
        ("{% for p in state.people if p.age > 1 %}{{ p.name }}{% else %}none{% endfor %}", "x"),
        ("{% for p in [] %}{{ p }}{% else %}none{% endfor %}", "none"),
        ("{% for k, v in state.user.tags.items() %}{{ k }}={{ v }}{% endfor %}", "a=1"),
        ("{% set x = 2 %}{{ x * 3 }}", "6"),
        ("{% set x %}a{{ state.count }}{% endset %}[{{ x }}]", "[a3]"),
        ("{% set ns = namespace(n=0) %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "6"),
        ("{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}", "3"),
        ("{% macro m(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ m(1) }} {{ m(1, b=3) }}", "1-2 1-3"),
        ("{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}x{% endcall %}", "<x>"),
        ("{% filter upper %}abc{% endfilter %}", "ABC"),
        ("{% for c in [1, [2, 3]] recursive %}{{ loop(c) if c is iterable else c }}{% endfor %}", "123"),
        ("{% for i in [1, 1, 2] %}{{ 'n' if loop.changed(i) else '-' }}{% endfor %}", "n-n"),
        ("{% for i in [1, 2, 3] %}{{ loop.cycle('a', 'b') }}{% endfor %}", "aba"),
        ("{% for i in [1, 2] %}{{ loop.previtem | default('-') }}{{ loop.nextitem | default('-') }}{% endfor %}", "-21-"),
        ("[{{ 'x' if state.count > 9 }}]", "[]"),
        ("a\n", "a\n"),
        ("{{ state.name }}\nx\n", "Ada\nx\n"),
        ("  {{- ' x' -}}  y", " xy"),
        ("{% raw %}{{ x }}{% endraw %}!", "{{ x }}!"),
        ("{{ state.list }}!", "['b', 'a', 'c']!"),
    ],
)  # fmt: skip
def test_anything_else_is_text(text: str, value: str) -> None:
    assert render(text) == value


def test_a_loop_variable_does_not_leak_out_of_its_loop() -> None:
    assert render("{% set x = 0 %}{% for i in [1, 2] %}{% set x = i %}{% endfor %}{{ x }}!") == "0!"


def test_a_text_without_marks_is_itself() -> None:
    assert render("100 % { fine } }} \\n") == "100 % { fine } }} \\n"


def test_a_tree_renders_its_leaves_and_keeps_its_shape() -> None:
    tree = parse_tree(
        {"a": ["{{ state.count }}", {"b": "n={{ state.count }}"}], "c": 1, "d": None}, names=NAMES
    )
    assert render_tree(tree, SCOPE) == {"a": [3, {"b": "n=3"}], "c": 1, "d": None}


def test_a_bare_expression_and_one_in_braces_mean_the_same() -> None:
    assert evaluate("state.count + 1") == evaluate("{{ state.count + 1 }}") == 4


@pytest.mark.parametrize(
    "text", ["-state.count", "- state.count", "{{ -state.count }}", "-state.count % 100 - 97 + -0"]
)
def test_a_minus_at_the_start_is_a_minus(text: str) -> None:
    assert evaluate(text) in (-3, 0)


def test_an_expression_holds_as_python_would_have_it() -> None:
    assert Expression.parse("state.list").holds(SCOPE)
    assert not Expression.parse("state.missing").holds(SCOPE)
    assert not Expression.parse("state.nothing or ''").holds(SCOPE)


def test_model_output_is_data_and_never_rendered_again() -> None:
    assert render("{{ state.model }}") == "{{ secrets.key }}"
    assert render("say {{ state.model }}") == "say {{ secrets.key }}"


# --- what is missing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["{{ state.gone }}", "{{ variables.gone }}", "{{ secrets['gone'] }}"])
def test_a_missing_top_level_key_gives_none(text: str) -> None:
    assert render(text) is None


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{{ state.user.gone }}", "state.user.gone"),
        ("{{ state.gone.deeper }}", "state.gone.deeper"),
        ("hello {{ state.user.tags.z }}", "state.user.tags.z"),
        ("{{ state.user['gone'] }}", "state.user['gone']"),
        ("{{ state.list[9] }}", "state.list[9]"),
        ("{{ item.gone }}", "item.gone"),
        ("{{ state.user.gone + 1 }}", "state.user.gone"),
        ("{{ state.user.gone ~ 'x' }}", "state.user.gone"),
        ("{{ state.user.gone == 1 }}", "state.user.gone"),
        ("{{ [state.user.gone] }}", "state.user.gone"),
        ("{% for x in state.user.gone %}{% endfor %}", "state.user.gone"),
        ("{% if state.user.gone %}{% endif %}", "state.user.gone"),
        ("{{ state.user.gone.far.away }}", "state.user.gone"),
        ("{{ state.user.gone | upper }}", "state.user.gone"),
        ("{{ state.user.gone() }}", "state.user.gone"),
    ],
)
def test_a_missing_nested_key_raises_with_its_path(text: str, path: str) -> None:
    with pytest.raises(TemplateError, match="missing") as caught:
        render(text)
    assert path in caught.value.what


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ state.gone | default('d') }}", "d"),
        ("{{ state.nothing | default('d') }}", "d"),
        ("{{ state.user.gone | default('d') }}", "d"),
        ("{{ state.gone.far.away | default('d') }}", "d"),
        ("{{ state.user.gone is defined }}", False),
        ("{{ state.gone is defined }}", False),
        ("{{ state.name is defined }}", True),
        ("{{ state.gone is none }}", True),
        ("{{ '' | default('d', true) }}", "d"),
        ("{{ 0 | default('d') }}", 0),
    ],
)
def test_what_is_missing_may_be_asked_for_and_given_a_default(text: str, value: object) -> None:
    assert render(text) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ stat.name }}", "did you mean 'state'?"),
        ("{{ question }}", "did you mean 'state.question'?"),
        ("{{ state.name | uper }}", "did you mean 'upper'?"),
        ("{{ state.name is strng }}", "did you mean 'string'?"),
    ],
)
def test_unknown_names_filters_and_tests_are_refused_when_parsing(text: str, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template.parse(text, names=NAMES)
    assert said in str(caught.value)


# --- filters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ state.user | json }}", json.dumps(SCOPE["state"]["user"])),
        ("{{ {'b': 1, 'a': 'ü'} | json }}", '{"b": 1, "a": "ü"}'),
        ("{{ {'a': 1} | json(indent=1) }}", '{\n "a": 1\n}'),
        ("{{ '<b>' | tojson }}", '"<b>"'),
        ("{{ '[1, {\"a\": null}]' | fromjson }}", [1, {"a": None}]),
        ("{{ 'abc' | sha256 }}", hashlib.sha256(b"abc").hexdigest()),
        ("{{ state.list | join(', ') }}", "b, a, c"),
        ("{{ state.people | sum(attribute='age') }}", 3),
        ("{{ state.people | sort(attribute='age') | map(attribute='name') | list }}", ["y", "x"]),
        ("{{ state.people | selectattr('age', 'gt', 1) | map(attribute='name') | first }}", "x"),
        ("{{ state.people | rejectattr('age', 'gt', 1) | list | length }}", 1),
        ("{{ [1, 2, 3, 4] | select('even') | list }}", [2, 4]),
        ("{{ [1, 2, 3, 4] | reject('even') | list }}", [1, 3]),
        ("{{ ['a', 'b'] | map('upper') | join }}", "AB"),
        ("{{ state.people | map(attribute='zip', default='-') | join }}", "--"),
        ("{{ state.people | groupby('age') | length }}", 2),
        (
            "{% for g in state.people | groupby('age') %}{{ g.grouper }}:{{ g.list | length }} {% endfor %}",
            "1:1 2:1 ",
        ),
        ("{{ [3, 1, 3] | unique | list }}", [3, 1]),
        ("{{ [[1, 2], [3]] | map('length') | list }}", [2, 1]),
        ("{{ [1, 2, 3] | batch(2) | list }}", [[1, 2], [3]]),
        ("{{ 'abc' | reverse }}", "cba"),
        ("{{ '%s-%d' | format('a', 3) }}", "a-3"),
        ("{{ '%(x)s' | format(x=1) }}", "1"),
        ("{{ 'a-b' | replace('-', '+') }}", "a+b"),
        ("{{ 3.456 | round(1) }}", 3.5),
        ("{{ 'x' | center(5) }}", "  x  "),
        ("{{ 'a\nb' | indent(2) }}", "a\n  b"),
        ("{{ '12' | int + 1 }}", 13),
        ("{{ '<' | e }}", "&lt;"),
        ("{{ 'the quick fox' | title | truncate(7) }}", "The..."),
        ("{{ {'b': 1, 'a': 2} | dictsort }}", [["a", 2], ["b", 1]]),
        ("{{ [1, 5] | max - [1, 5] | min }}", 4),
    ],
)
def test_filters_give_what_jinja_users_expect(text: str, value: object) -> None:
    assert render(text) == value


def test_fromjson_says_where_text_stops_being_json() -> None:
    with pytest.raises(TemplateError, match=r"isn't JSON.*column 2"):
        render("{{ '{oops' | fromjson }}")


def test_json_and_fromjson_are_inverse_even_for_half_characters() -> None:
    scope = {"state": {"text": "a\ud800b\u2028"}}
    tree = parse_tree("{{ state.text | json | fromjson }}", names=["state"])
    assert render_tree(tree, scope) == "a\ud800b\u2028"
    assert render_tree(parse_tree("<{{ state.text }}>", names=["state"]), scope) == "<a\ud800b\u2028>"
    assert len(str(render_tree(parse_tree("{{ state.text | sha256 }}", names=["state"]), scope))) == 64


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_any_json_value_passes_through_and_survives_json(value: object) -> None:
    scope = {"state": {"x": value, "deep": {"x": value}}}
    assert render_tree(parse_tree("{{ state.x }}", names=["state"]), scope) is value
    assert render_tree(parse_tree("{{ state.deep.x }}", names=["state"]), scope) == value
    assert render_tree(parse_tree("{{ [state.x][0] | json | fromjson }}", names=["state"]), scope) == value


# --- places -----------------------------------------------------------------------------------------------------------


def test_a_mistake_while_rendering_points_at_its_line() -> None:
    template = Template.parse(
        "one\ntwo {{ state.user.gone }}\n", Place("a.yaml", 4, 9), names=NAMES, first_line=5
    )
    with pytest.raises(TemplateError) as caught:
        template.render(SCOPE)
    assert caught.value.place == "a.yaml:6:1"
    assert caught.value.fix


def test_a_syntax_error_points_at_its_line() -> None:
    with pytest.raises(TemplateError) as caught:
        Template.parse("one\n{% if %}", Place("a.yaml", 4, 9), names=NAMES, first_line=5)
    assert caught.value.place == "a.yaml:6:1"


def test_an_error_of_an_expression_has_its_place() -> None:
    with pytest.raises(TemplateError) as caught:
        Expression.parse("state.count + 'x'", Place("a.yaml", 3, 7), names=NAMES).evaluate(SCOPE)
    assert str(caught.value).startswith("a.yaml:3:7: a number + text has no meaning; ")


@pytest.mark.parametrize(
    "text", ["", "  ", "{{ }}", "a b", "state.x }} {{ state.y", "1 +", "{% if 1 %}x{% endif %}"]
)
def test_what_is_no_single_expression_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        Expression.parse(text, names=NAMES)
