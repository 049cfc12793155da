"""Templates that mean harm: they are stopped by counting, before they take time or memory, and they reach nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from the_edge_agent.errors import TemplateError, TemplateLimitExceeded
from the_edge_agent.workflow.limits import MAX_OUTPUT, MAX_TURNS
from the_edge_agent.workflow.template import Template
from the_edge_agent.workflow.tree import parse_tree, render_tree

LIST = list(range(2000))
SCOPE = {"state": {"list": LIST, "text": "x" * 100_000, "object": {"a": 1}}, "variables": {}, "secrets": {}}
NAMES = frozenset(SCOPE)


def render(text: str) -> object:
    return render_tree(parse_tree(text, names=NAMES), SCOPE)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ state.__class__.__mro__ }}",
        "{{ state.list.__class__ }}",
        "{{ (state.list | map(attribute='__class__') | list)[0] }}",
        "{{ [state.object] | map(attribute='__class__.__mro__') | list }}",
        "{{ [state.object] | sum(attribute='__class__') }}",
        "{{ [state.object] | groupby('__class__') }}!",
        "{{ range.__globals__ }}",
        "{{ dict.fromkeys([1]) }}",
        "{{ namespace.__init__ }}",
        "{{ loop.__class__ }}",
        "{% for i in [1] %}{{ loop.__class__ }}{% endfor %}",
        "{% for i in [1] %}{{ loop._iterator }}{% endfor %}",
        "{% macro m() %}{% endmacro %}{{ m.__globals__ }}",
        "{% macro m() %}{% endmacro %}{{ m.function }}",
        "{% set ns = namespace(a=1) %}{{ ns.values }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ '{a.__class__}'.format_map({'a': 1}) }}",
        "{{ state.text.encode() }}",
        "{{ ''.join.__self__ }}",
        "{{ self }}",
        "{{ self.__init__ }}",
        "{{ cycler.__init__ }}",
        "{{ lipsum.__globals__ }}",
        "{{ joiner }}",
        "{{ caller }}",
        "{{ 1 .__class__ }}",
        "{{ {}.__class__ }}",
        "{{ none.__class__ }}",
        "{{ state.object.pop('a') }}",
        "{{ state.object.update({'a': 2}) }}",
        "{{ state.object.setdefault('b', 1) }}",
        "{{ state.object.clear() }}",
        "{{ state.list.append(1) }}",
        "{{ state.list.sort() }}",
        "{% set state.object = 1 %}",
        "{% set state.x = 1 %}{{ state.x }}",
    ],
)
def test_nothing_leads_out_of_the_values_or_changes_them(text: str) -> None:
    with pytest.raises(TemplateError):
        render(text)
    assert SCOPE["state"]["object"] == {"a": 1}
    assert len(SCOPE["state"]["list"]) == 2000


@pytest.mark.parametrize(
    "text",
    [
        "{{ state | attr('__class__') }}",
        "{{ [1, 2] | random }}",
        "{{ [1] | map('attr', '__class__') | list }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% from 'x' import y %}",
        "{% extends 'x' %}",
        "{% block b %}{% endblock %}",
        "{% autoescape true %}{% endautoescape %}",
        "{% do state.list.append(1) %}",
        "{% debug %}",
        "{% break %}",
    ],
)
def test_what_could_reach_out_is_no_part_of_the_language(text: str) -> None:
    with pytest.raises(TemplateError):
        render(text)


@pytest.mark.parametrize(
    "text", ["{{ ''.upper }}", "{{ range }}", "{{ namespace() }}", "{% macro m() %}{% endmacro %}{{ m }}"]
)
def test_what_is_no_data_never_comes_out(text: str) -> None:
    with pytest.raises(TemplateError):
        render(text)
    with pytest.raises(TemplateError):
        render(f"see {text}")
    with pytest.raises(TemplateError):
        render(
            "{% set x = [" + text.replace("{{", "(").replace("}}", ")") + "] %}{{ x }}"
            if "macro" not in text
            else text
        )


DOUBLING_LIST = (
    "{% set ns = namespace(x=[1]) %}{% for i in range(64) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"
)
DOUBLING_TEXT = (
    "{% set ns = namespace(x='ab') %}{% for i in range(64) %}{% set ns.x = ns.x OP ns.x %}{% endfor %}"
)
EXCESSIVE = [
    "{% for i in range(1000) %}{% for j in range(1000) %}{% for k in range(1000) %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for i in range(1000001) %}{% endfor %}",
    "{% for i in range(1000) %}{{ state.list | sum }}{% endfor %}",
    "{% for i in range(100000) %}{{ state.list | map('string') | join }}{% endfor %}",
    "{% for i in range(999999) %}{{ state.text == state.text ~ '' }}{% endfor %}",
    "{% for i in range(999999) %}{% set x = 'y' in state.text %}{% endfor %}",
    "{% for i in range(999999) %}{% set x = state.text.upper() %}{% endfor %}",
    "{% for i in range(999999) %}{% set x = state.text | upper %}{% endfor %}",
    "{% for i in range(999999) %}{% set x = state.text[1:] %}{% endfor %}",
    "{% for i in range(999999) %}{% set x = -1 in state.list %}{% endfor %}",
    "{% for i in range(999999) %}{% set x = state.list + state.list %}{% endfor %}",
    "{% macro f(n) %}{{ f(n - 1) }}{{ f(n - 1) }}{% endmacro %}{{ f(100000) }}",
    "{% macro f() %}{% for i in range(1000) %}{{ f() }}{% endfor %}{% endmacro %}{{ f() }}",
    "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{{ 'x' * 10 ** 9 }}",
    "{{ [0] * 10 ** 9 }}",
    "{{ [[0] * 999] * 9999 }}",
    "{{ 10 ** (10 ** 10) }}",
    "{{ 2 ** 100000 }}",
    "{% set ns = namespace(x=3) %}{% for i in range(64) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "{% set ns = namespace(x=3) %}{% for i in range(9999) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{{ range(10 ** 15) | list }}",
    "{{ 'x'.center(10 ** 9) }}",
    "{{ 'x'.ljust(10 ** 9) }}",
    "{{ 'x'.zfill(10 ** 9) }}",
    "{{ 'x' | center(10 ** 9) }}",
    "{{ 'x' | indent(10 ** 9, first=true) }}",
    "{{ state.text | replace('x', state.text) }}",
    "{{ state.text.replace('', state.text) }}",
    "{{ state.list | join(state.text) }}",
    "{{ state.text.join(state.list | map('string') | list) }}",
    "{{ '%1000000000d' | format(1) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%.1000000000f' % 1 }}",
    "{{ ('%(a)s' * 100000) % {'a': state.text} }}",
    "{{ 'a' | batch(10 ** 9, 'x') }}",
    "{{ [1] | batch(10 ** 9, 'x') | list }}",
    "{{ [1] | slice(10 ** 9) | list }}",
    "{{ 1.5 | round(10 ** 9) }}",
    "{{ 1.5 | round(10 ** 9, 'ceil') }}",
    "{{ [1] | json(indent=10 ** 9) }}",
    "{{ 'x y' | wordwrap(1, wrapstring='z' * 16000000) }}",
    "{{ state.text | urlize }}",
    "{{ state.text | striptags }}",
    DOUBLING_LIST + "{{ ns.x }}",
    DOUBLING_LIST + "{{ ns.x == [1] }}",
    DOUBLING_LIST + "{{ ns.x | json }}",
    DOUBLING_LIST.replace("[ns.x, ns.x]", "{'a': ns.x, 'b': ns.x}") + "{{ ns.x }}",
    DOUBLING_LIST.replace("[ns.x, ns.x]", "(ns.x, ns.x)") + "{{ ns.x }}",
    DOUBLING_LIST.replace("[ns.x, ns.x]", "ns.x + ns.x") + "{{ ns.x }}",
    DOUBLING_LIST.replace("[ns.x, ns.x]", "dict(a=ns.x, b=ns.x)") + "{{ ns.x }}",
    DOUBLING_LIST.replace("range(64)", "range(5000)").replace("[ns.x, ns.x]", "[ns.x]") + "{{ ns.x }}",
    DOUBLING_TEXT.replace("OP", "~"),
    DOUBLING_TEXT.replace("OP", "+"),
    DOUBLING_TEXT.replace("ns.x OP ns.x", "ns.x * 2"),
    DOUBLING_TEXT.replace("ns.x OP ns.x", "'%s%s' % (ns.x, ns.x)"),
    DOUBLING_TEXT.replace("ns.x OP ns.x", "[ns.x, ns.x] | join"),
    DOUBLING_TEXT.replace("ns.x OP ns.x", "[ns.x, ns.x]"),
    "{% for i in range(10000) %}{{ state.text }}{% endfor %}",
    "{% for i in range(999) %}" + "y" * 100_000 + "{% endfor %}",
    "{% set x %}{% for i in range(10000) %}{{ state.text }}{% endfor %}{% endset %}",
    "{% macro m() %}{% for i in range(10000) %}{{ state.text }}{% endfor %}{% endmacro %}{% set x = m() %}",
    "{% filter upper %}{% for i in range(10000) %}{{ state.text }}{% endfor %}{% endfilter %}",
    "{{ '[' * 100000 }}" + "{{ ('[' * 100000) | fromjson }}",
    "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
    "{{ " + "-" * 500 + "1 }}",
    "{{ " + "not " * 500 + "1 }}",
    "{{ " + "[" * 500 + "]" * 500 + " }}",
    "{{ 1" + " + 1" * 5000 + " }}",
    "{{ state" + ".a" * 5000 + " | upper }}",
    "{% if 1 %}" * 500 + "{% endif %}" * 500,
    "{{ " + "9" * 5000 + " }}",
    "x" * (1024 * 1024) + "{{ state.list }}!",
    "{{ [" + "1," * 50_000 + "] }}",
    "{{ state.list }}{% if 1 %}{% endif %}" * 5_000,
]  # fmt: skip


@pytest.mark.parametrize("text", EXCESSIVE, ids=range(len(EXCESSIVE)))
def test_a_template_that_asks_for_too_much_is_stopped_by_counting(text: str) -> None:
    with pytest.raises(TemplateError):
        render(text)


def test_no_excessive_template_takes_much_memory() -> None:
    program = (
        "import resource\n"
        "from tests.workflow.test_template_limits import EXCESSIVE, render\n"
        "from the_edge_agent.errors import TemplateError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for text in EXCESSIVE[10:]:\n"
        "    try: render(text)\n"
        "    except TemplateError: pass\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 300  # MB


def test_loop_turns_are_counted_over_the_whole_template() -> None:
    half = f"{{% for i in range({MAX_TURNS * 6 // 10}) %}}{{% endfor %}}"
    assert render(half + "!") == "!"
    with pytest.raises(TemplateLimitExceeded, match="loop turns"):
        render(half + half + "!")


def test_sixteen_megabytes_of_output_are_the_most() -> None:
    piece = "{% for i in range(N) %}{{ state.text }}{% endfor %}"
    most = MAX_OUTPUT // 100_000
    assert len(str(render(piece.replace("N", str(most)) + "!"))) == most * 100_000 + 1
    with pytest.raises(TemplateLimitExceeded, match="16 MB"):
        render(piece.replace("N", str(most + 1)) + "!")


def test_a_prompt_of_a_megabyte_is_rendered() -> None:
    scope = {"state": {"document": "word " * 200_000}}
    template = Template.parse(
        "Summarize: {{ state.document | trim }}\n{{ state.document | wordcount }}", names=["state"]
    )
    assert len(str(template.render(scope))) > 1_000_000


def test_each_rendering_has_limits_of_its_own() -> None:
    template = Template.parse(f"{{% for i in range({MAX_TURNS // 2 + 1}) %}}{{% endfor %}}", names=NAMES)
    assert template.render(SCOPE) == ""
    assert template.render(SCOPE) == ""


def test_a_complex_number_is_no_result() -> None:
    with pytest.raises(TemplateError, match="real number"):
        render("{{ (-8) ** 0.5 }}")


def test_deep_and_wide_state_values_pass_through_untouched() -> None:
    deep: object = 1
    for _ in range(90):
        deep = [deep]
    wide = list(range(300_000))
    scope = {"state": {"deep": deep, "wide": wide, "o": {"wide": wide}}}
    for path, value in (("deep", deep), ("wide", wide), ("o.wide", wide)):
        assert render_tree(parse_tree(f"{{{{ state.{path} }}}}", names=["state"]), scope) is value


def test_a_list_of_templates_cannot_double_a_value_without_end():
    tree = parse_tree(["{{ state.x }}", "{{ state.x }}"])

    def double(times):
        value = [1]
        for _ in range(times):
            value = render_tree(tree, {"state": {"x": value}})
        return value

    assert len(double(5)) == 2
    with pytest.raises(TemplateLimitExceeded, match="1,000,000 entries"):
        double(100)
