"""The fast reader of plain templates makes exactly the trees that Jinja makes, or leaves the text to Jinja."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import TemplateSyntaxError, nodes

from the_edge_agent.workflow.environment import ENVIRONMENT
from the_edge_agent.workflow.filters import FILTER_NAMES, TEST_NAMES
from the_edge_agent.workflow.quick import quick_expression, quick_template
from the_edge_agent.workflow.tree import parse_tree, render_tree

NAMES = frozenset({"state", "item", "x"})

PLAIN = [
    "state.x", "state.a.b.c", "state['k']", "state.l[0].z", "1", "1.5", "'a'", '"b c"', "true", "None", "state.n + 1",
    "state.n - 1 - 2", "x.b", "1 + 2 * 3 ** 2 // 4", "-x", "- x.y", "not x", "not x and item",
    "x == 1", "x < 1 < 2", "x in [1, 2]", "x not in state.l", "x and item or state.z", "x ~ 'a' ~ 1", "(x)", "[x, 1]",
    "[]", "x if item else 2", "x if item", "x | upper", "x|default('a')|json", "x | join(', ', attribute='a')",
    "x is defined", "x is not none and item", "x.get('a')", "x.split(',')[0]", "x.f(1, b=2)", "state.x | length > 3",
    "-x | abs", "x ** -2", "(x + 1) * 2", "x[item.k]", "x | map(attribute='y') | list",
]  # fmt: skip


def jinja(text: str) -> nodes.Node | None:
    try:
        body = ENVIRONMENT.parse("{{ " + text + "\n}}").body
    except TemplateSyntaxError:
        return None
    assert isinstance(body[0], nodes.Output)
    return body[0].nodes[0] if len(body) == 1 and len(body[0].nodes) == 1 else None


@pytest.mark.parametrize("text", PLAIN)
def test_plain_expressions_are_read_fast_and_alike(text: str) -> None:
    tree = quick_expression(text, NAMES, FILTER_NAMES, TEST_NAMES)
    assert tree is not None
    assert tree == jinja(text)


@pytest.mark.parametrize(
    "text",
    ["y", "x | nofilter", "x is notest", "007", "1_000", "0x1f", "1e5", "'a\\n'", "'a' 'b'", "x[1:2]", "x, 1", "{}",
     "x.0.1", "x is divisibleby 3", "x(*item)", "x | f.g", "if", "x +", "", "(x", "x)", "x % 2", "x is in [1]", "é"],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_jinja(text: str) -> None:
    assert quick_expression(text, NAMES, FILTER_NAMES, TEST_NAMES) is None


WORDS = st.sampled_from(
    ["x", "item", "state", ".", "a", "b", "get", "(", ")", "[", "]", ",", "|", "upper", "default", "is", "defined", "not",
     "in", "and", "or", "if", "else", "+", "-", "*", "/", "//", "**", "~", "==", "<", ">=", "=", "1", "2.5", "0", "'t'",
     '"u"', "true", "none", ":", "{", "}", "%", " ", "\n", "none", "even", "loop"]
)  # fmt: skip


@settings(max_examples=800, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=14), st.sampled_from(["", " "]))
def test_the_fast_reader_never_disagrees_with_jinja(words: list[str], between: str) -> None:
    text = between.join(words)
    tree = quick_expression(text, NAMES, FILTER_NAMES, TEST_NAMES)
    if tree is not None:
        assert tree == jinja(text)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0:
        return draw(
            st.sampled_from(["x", "item.a", "state.b.c", "1", "2.5", "'t'", "true", "none", "state['k']"])
        )
    inner = expressions(depth=depth - 1)
    kind = draw(st.integers(0, 9))
    left, right = draw(inner), draw(inner)
    return {
        0: f"{left} {draw(st.sampled_from(['+', '-', '*', '/', '//', '**', '~']))} {right}",
        1: f"{left} {draw(st.sampled_from(['==', '!=', '<', '<=', '>', '>=', 'in', 'not in']))} {right}",
        2: f"{left} {draw(st.sampled_from(['and', 'or']))} {right}",
        3: f"(not {left})",
        4: f"({left})",
        5: f"[{left}, {right}]",
        6: f"({left} if {right} else {draw(inner)})",
        7: f"{left} | default({right})",
        8: f"(({left}) is {draw(st.sampled_from(['defined', 'none', 'not string']))})",
        9: f"-{left}",
    }[kind]


@settings(max_examples=150, deadline=None)
@given(expressions())
def test_well_formed_expressions_are_all_read_fast(text: str) -> None:
    tree = quick_expression(text, NAMES, FILTER_NAMES, TEST_NAMES)
    assert tree is not None
    assert tree == jinja(text)


@pytest.mark.parametrize(
    "text",
    [
        "a {{ x }} b",
        "{{ x }}",
        "{{ x }}{{ item }}",
        "a\n{{ x }}\nb\n",
        "{{x}}",
        "{{ x | upper }}!",
        " {{ x }}",
        "{ {{ x }} }",
    ],
)
def test_plain_templates_are_read_fast_and_alike(text: str) -> None:
    assert quick_template(text, NAMES, FILTER_NAMES, TEST_NAMES) == ENVIRONMENT.parse(text)


@pytest.mark.parametrize(
    "text", ["{{- x }}", "{{ x -}}", "{% if x %}{% endif %}", "{# c #}{{ x }}", "{{ x }} {{", "a\r\n{{ x }}"]
)
def test_templates_with_more_to_them_are_left_to_jinja(text: str) -> None:
    assert quick_template(text, NAMES, FILTER_NAMES, TEST_NAMES) is None


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["{{ x }}", "{{", "}}", "{%", "%}", "{#", "#}", "a", "\n", " ", "x", "-", "'", "{", "}"]
        ),
        max_size=10,
    )
)
def test_the_fast_reader_of_templates_never_disagrees_with_jinja(parts: list[str]) -> None:
    text = "".join(parts)
    tree = quick_template(text, NAMES, FILTER_NAMES, TEST_NAMES)
    if tree is not None and text:
        assert tree == ENVIRONMENT.parse(text)


@pytest.mark.parametrize("text", PLAIN)
def test_a_template_means_the_same_however_it_was_read(text: str) -> None:
    scope = {"state": {"l": [{"z": 1}], "n": 4}, "x": "a,b", "item": {"k": 0}}
    fast, slow = (parse_tree(f"{{{{ {text} }}}}", names=names) for names in (NAMES, None))
    assert outcome(fast, scope) == outcome(slow, scope)


def outcome(tree: object, scope: dict[str, object]) -> object:
    try:
        return render_tree(tree, scope)  # type: ignore[arg-type]
    except Exception as error:
        return str(error)
