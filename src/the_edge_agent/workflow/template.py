"""Templates and expressions: text with ``{{ }}`` over a run's scope, parsed at load, compiled at first use.

``Template.parse`` and ``Expression.parse`` are pure and raise TemplateError with the place of the mistake; the values
they make are immutable to look at and render or evaluate over a scope, a mapping of ``state``, ``variables`` and so
on. A template that is one single expression passes its object through. Limits are counted (see ``limits``).

This module knows nothing of values with templates inside (see ``tree``), of YAML, of nodes or of running.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from jinja2 import nodes
from jinja2.exceptions import TemplateError as JinjaError

from the_edge_agent.errors import TemplateError, TemplateLimitExceeded
from the_edge_agent.workflow import filters
from the_edge_agent.workflow.evaluate import compile_expression
from the_edge_agent.workflow.frame import Evaluate, Frame
from the_edge_agent.workflow.json_data import as_json, as_text
from the_edge_agent.workflow.kinds import type_of
from the_edge_agent.workflow.limits import Budget
from the_edge_agent.workflow.lookup import plain_path
from the_edge_agent.workflow.nodes import Place
from the_edge_agent.workflow.quick import quick_expression, quick_template
from the_edge_agent.workflow.statements import Write, compile_body
from the_edge_agent.workflow.template_source import NOWHERE, check_size, line_place, parse_source

Scope: TypeAlias = Mapping[str, Any]
Render: TypeAlias = Callable[[Scope], Any]

_MARKS = re.compile(r"\{[{%#]")
_ONE_PATH = re.compile(r"\s*\{\{(\s*[A-Za-z][A-Za-z0-9_.]*\s*)\}\}\s*\Z")


class Expression:
    """A bare expression such as ``state.count < 3``."""

    __slots__ = ("_evaluate", "_tree", "place", "text")

    def __init__(self, text: str, place: Place, tree: nodes.Expr | None, evaluate: Render | None) -> None:
        self.text = text
        self.place = place
        self._tree = tree
        self._evaluate = evaluate

    @classmethod
    def parse(cls, text: str, place: Place = NOWHERE, *, names: Collection[str] | None = None) -> Expression:
        """Parse ``text``, with or without ``{{ }}`` around it.

        ``names`` are the names it may use; None admits any. Raises TemplateError.
        """
        bare = text.strip()
        if bare.startswith("{{") and bare.endswith("}}") and "{{" not in bare[2:]:
            bare = bare[2:-2].strip()
        check_size("{{" + bare, place)
        if not bare:
            raise TemplateError(
                "the expression is empty",
                place="" if place is NOWHERE else str(place),
                fix="write one, e.g. state.count < 3",
            )
        plain = plain_path(bare, names)
        if plain is not None:
            return cls(text, place, None, plain)
        quick = (
            None if names is None else quick_expression(bare, names, filters.FILTER_NAMES, filters.TEST_NAMES)
        )
        if quick is not None:
            return cls(text, place, quick, None)
        tree = parse_source("{{ " + bare + "\n}}", place, names, 0)
        body = tree.body[0] if len(tree.body) == 1 else None
        if (
            not isinstance(body, nodes.Output)
            or len(body.nodes) != 1
            or isinstance(body.nodes[0], nodes.TemplateData)
        ):
            raise TemplateError(
                "this is no single expression",
                place="" if place is NOWHERE else str(place),
                fix="write one, e.g. state.count < 3",
            )
        return cls(text, place, body.nodes[0], None)

    @classmethod
    def constant(cls, value: Any, place: Place) -> Expression:
        """An expression that always has this JSON value."""
        return cls(json.dumps(value, ensure_ascii=False), place, None, lambda _scope: value)

    def evaluate(self, scope: Scope) -> Any:
        """The value over ``scope``: JSON data. Raises TemplateError, TemplateLimitExceeded."""
        evaluate = self._evaluate
        if evaluate is None:
            assert self._tree is not None
            evaluate = self._evaluate = _evaluator(self._tree)
        try:
            return evaluate(scope)
        except Exception as error:
            raise _translated(error, self.place, 0) from error

    def holds(self, scope: Scope) -> bool:
        """Whether the value counts as true. Raises TemplateError, TemplateLimitExceeded."""
        return bool(self.evaluate(scope))

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and (self.text, self.place) == (other.text, other.place)

    def __hash__(self) -> int:
        return hash(self.text)


class Template:
    """A text with ``{{ }}`` in it.

    ``whole`` is true where it is one single expression and passes its object through. ``first_line`` is the line of the
    file where its text begins, 0 where lines can't be told.
    """

    __slots__ = ("_render", "_tree", "first_line", "place", "text", "whole")

    def __init__(
        self,
        text: str,
        place: Place,
        tree: nodes.Template | None,
        render: Render | None,
        *,
        whole: bool,
        first_line: int,
    ) -> None:
        self.text = text
        self.place = place
        self.whole = whole
        self.first_line = first_line
        self._tree = tree
        self._render = render

    @classmethod
    def parse(
        cls, text: str, place: Place = NOWHERE, *, names: Collection[str] | None = None, first_line: int = 0
    ) -> Template:
        """Parse ``text``. ``names`` are the names it may use; None admits any. Raises TemplateError."""
        one = _ONE_PATH.match(text)
        if one:
            plain = plain_path(one[1], names)
            if plain is not None:
                return cls(text, place, None, plain, whole=True, first_line=first_line)
        check_size(text, place)
        tree = (
            None if names is None else quick_template(text, names, filters.FILTER_NAMES, filters.TEST_NAMES)
        )
        if tree is None:
            tree = parse_source(text, place, names, first_line)
        return cls(text, place, tree, None, whole=_single(tree) is not None, first_line=first_line)

    def render(self, scope: Scope) -> Any:
        """The object of a single expression, else text. Raises TemplateError, TemplateLimitExceeded."""
        render = self._render
        if render is None:
            render = self._render = self._compile()
        try:
            return render(scope)
        except Exception as error:
            raise _translated(error, self.place, self.first_line) from error

    def render_text(self, scope: Scope) -> str:
        """Like ``render``, always text. Raises TemplateError, TemplateLimitExceeded."""
        value = self.render(scope)
        return value if isinstance(value, str) else as_text(value, Budget())

    def _compile(self) -> Render:
        assert self._tree is not None
        single = _single(self._tree)
        if single is not None:
            return _evaluator(single)
        return _writer(compile_body(self._tree.body))

    def __repr__(self) -> str:
        return f"Template({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and (self.text, self.place) == (other.text, other.place)

    def __hash__(self) -> int:
        return hash(self.text)


def has_marks(text: str) -> bool:
    """Whether the text holds ``{{``, ``{%`` or ``{#``, and so is a template."""
    return "{" in text and _MARKS.search(text) is not None


# --- compiling ----------------------------------------------------------------------------------------------------


def _single(tree: nodes.Template) -> nodes.Expr | None:
    """The expression of a template that is nothing else, blanks around it aside."""
    found: nodes.Expr | None = None
    for node in tree.body:
        if not isinstance(node, nodes.Output):
            return None
        for part in node.nodes:
            if isinstance(part, nodes.TemplateData):
                if part.data.strip():
                    return None
            elif found is not None:
                return None
            else:
                found = part
    return found


def _evaluator(tree: nodes.Expr) -> Render:
    evaluate: Evaluate = compile_expression(tree)

    def render(scope: Scope) -> Any:
        budget = Budget()
        value = evaluate(Frame(scope, budget))
        kind = type_of(value)
        if kind is bool or kind is str or kind is int:
            return value
        return as_json(value, budget)

    return render


def _writer(write: Write) -> Render:
    def render(scope: Scope) -> str:
        parts: list[str] = []
        write(Frame(scope, Budget()), parts)
        return "".join(parts)

    return render


# --- errors -------------------------------------------------------------------------------------------------------


def _translated(error: Exception, place: Place, first_line: int) -> TemplateError:
    """Whatever went wrong while rendering, as a TemplateError with its place."""
    where = line_place(place, first_line, getattr(error, "template_line", 1))
    if isinstance(error, TemplateError):
        if error.place:
            return error
        return type(error)(error.what, place=where, fix=error.fix)
    if isinstance(error, RecursionError):
        return TemplateLimitExceeded("the template nests too deep", place=where, fix="nest or recurse less")
    if isinstance(error, (MemoryError, OverflowError)):
        return TemplateLimitExceeded("the template asks for too much", place=where, fix="make it do less")
    if isinstance(error, JinjaError):
        return TemplateError(
            error.message or str(error), place=where, fix="give it a value, or use | default(...)"
        )
    if isinstance(error, ZeroDivisionError):
        return TemplateError("division by zero", place=where, fix="check the divisor first")
    return TemplateError(f"{error}", place=where, fix="check the values the template uses")
