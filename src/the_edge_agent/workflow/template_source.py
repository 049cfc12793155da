"""Template text as a syntax tree: read by Jinja, then refused where it can't be known to run.

Knows nothing of rendering; what it refuses it refuses with the line of the file.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from jinja2 import nodes
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.exceptions import TemplateSyntaxError

from the_edge_agent.errors import TemplateError, TemplateLimitExceeded
from the_edge_agent.workflow import filters
from the_edge_agent.workflow.environment import ENVIRONMENT
from the_edge_agent.workflow.evaluate import EXPRESSION_NODES
from the_edge_agent.workflow.frame import GLOBALS
from the_edge_agent.workflow.limits import MAX_NESTING
from the_edge_agent.workflow.near import did_you_mean
from the_edge_agent.workflow.nodes import Place
from the_edge_agent.workflow.statements import STATEMENT_NODES

NOWHERE = Place("", 0, 0)
_MAX_SOURCE = 1024 * 1024
#: Characters between the marks of one template, text around them not counted.
_MAX_CODE = 32 * 1024
_CODE = re.compile(r"\{[{%#].*?(?:[%#}]\}|\Z)", re.DOTALL)


def parse_source(text: str, place: Place, names: Collection[str] | None, first_line: int) -> nodes.Template:
    """The tree of ``text``. ``names`` are the names it may use; None admits any. Raises TemplateError."""
    try:
        tree = ENVIRONMENT.parse(text)
    except TemplateSyntaxError as error:
        raise TemplateError(
            error.message or "the template can't be read",
            place=line_place(place, first_line, error.lineno),
            fix="mend the template",
        ) from error
    except RecursionError as error:
        raise TemplateLimitExceeded(
            "the template nests too deep", place=line_place(place, first_line, None), fix="nest less"
        ) from error
    except (ValueError, OverflowError, JinjaError, AssertionError) as error:
        raise TemplateError(
            f"the template can't be read: {error}",
            place=line_place(place, first_line, None),
            fix="mend the template",
        ) from error
    _check(tree, place, names, first_line)
    return tree


def code_size(text: str) -> int:
    """How many characters of ``text`` stand between marks."""
    return sum(len(match[0]) for match in _CODE.finditer(text))


def check_size(text: str, place: Place) -> None:
    """Refuse a template too long to be read. Raises TemplateLimitExceeded."""
    size = len(text)
    if size < _MAX_CODE:
        return
    where = "" if place is NOWHERE else str(place)
    if size > _MAX_SOURCE:
        raise TemplateLimitExceeded(
            f"the template is longer than {_MAX_SOURCE // 1024} KB",
            place=where,
            fix="keep long text in variables or in a file",
        )
    if code_size(text) > _MAX_CODE:
        raise TemplateLimitExceeded(
            f"the template holds more than {_MAX_CODE // 1024} KB of expressions",
            place=where,
            fix="split it, or keep data in variables",
        )


def line_place(place: Place, first_line: int, line: int | None) -> str:
    """The place of a template's line; ``first_line`` 0 where lines can't be told."""
    if place is NOWHERE:
        return ""
    if not first_line or not line:
        return str(place)
    return str(
        Place(
            place.file, first_line + line - 1, place.column if line == 1 and first_line == place.line else 1
        )
    )


def _check(tree: nodes.Template, place: Place, names: Collection[str] | None, first_line: int) -> None:
    """Refuse what can't be known to run: other node kinds, unknown filters, tests and names, nesting."""
    own = {"loop", "caller", "varargs", "kwargs"} | set(GLOBALS)
    loads: list[nodes.Name] = []
    stack: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_NESTING:
            raise TemplateLimitExceeded(
                "the template nests too deep", place=line_place(place, first_line, None), fix="nest less"
            )
        where = line_place(place, first_line, node.lineno)
        kind = type(node)
        if kind is nodes.Name:
            assert isinstance(node, nodes.Name)
            if node.ctx == "load":
                loads.append(node)
            else:
                own.add(node.name)
        elif kind is nodes.Filter:
            assert isinstance(node, nodes.Filter)
            _known(node.name, "filter", filters.FILTER_NAMES, where)
        elif kind is nodes.Test:
            assert isinstance(node, nodes.Test)
            _known(node.name, "test", filters.TEST_NAMES, where)
        elif kind is nodes.Macro:
            assert isinstance(node, nodes.Macro)
            own.add(node.name)
        elif kind not in _KINDS:
            raise TemplateError(
                f"{{% {kind.__name__.lower()} %}} can't be used in a template",
                place=where,
                fix="a template is complete in itself",
            )
        stack.extend((child, depth + 1) for child in node.iter_child_nodes())
    if names is None:
        return
    admitted = frozenset(names)
    for name in loads:
        if name.name not in own and name.name not in admitted:
            raise TemplateError(
                f"unknown name {name.name!r}",
                place=line_place(place, first_line, name.lineno),
                fix=did_you_mean(name.name, admitted, also=[f"state.{name.name}"]),
            )


_KINDS = EXPRESSION_NODES | STATEMENT_NODES | {nodes.Template, nodes.NSRef}


def _known(name: str, what: str, known: frozenset[str], where: str) -> None:
    if name not in known:
        raise TemplateError(f"unknown {what} {name!r}", place=where, fix=did_you_mean(name, known))
