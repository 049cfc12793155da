"""The plain part of Jinja's language, read ten times as fast as Jinja reads it, to the very same trees.

Files of a thousand nodes hold little else than ``{{ state.x }}``, comparisons and a filter or two. Whatever is not plain
(statements, escapes, unknown names) is left to Jinja's own parser by answering None; this module refuses nothing and
decides nothing. A test holds the two parsers together.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any

from jinja2 import nodes

_OUTPUT = re.compile(r"\{\{(?![-+])([^{}%#]*)(?<![-+])\}\}")
_TOKEN = re.compile(
    r"""\s*(?:([A-Za-z_][A-Za-z0-9_]*)"""  # 1 a name
    r"""|((?:0|[1-9][0-9]*)(?:\.[0-9]+)?)(?![A-Za-z0-9_.])"""  # 2 a number
    r"""|('[^'\\\n]*'|"[^"\\\n]*")"""  # 3 a text
    r"""|(==|!=|<=|>=|\*\*|//|[-+*/<>()\[\].,|~=])"""  # 4 an operator
    r"""|(\S))"""  # 5 anything else
)
_PATH = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)((?:\.[A-Za-z_][A-Za-z0-9_]*){0,20})\s*\Z")
_MAX_TOKENS = 150
_CONSTANTS = {"true": True, "True": True, "false": False, "False": False, "none": None, "None": None}
_WORDS = frozenset({"if", "else", "in", "is", "and", "or", "not"})
_COMPARISONS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "lteq", ">": "gt", ">=": "gteq"}
_SUMS = {"+": nodes.Add, "-": nodes.Sub}
_PRODUCTS = {"*": nodes.Mul, "/": nodes.Div, "//": nodes.FloorDiv}
#: What may follow a test without parentheses; else an argument follows.
_AFTER_TEST = frozenset({"", ")", "]", ",", "|", "and", "or", "if", "else"})


class _Other(Exception):
    """This is not plain."""


def _make(kind: Any, **fields: Any) -> Any:
    """A node without Node's own slow, checking constructor."""
    node = _new(kind)
    fields["lineno"] = 1
    fields["environment"] = None
    node.__dict__ = fields
    return node


_new = object.__new__


def quick_expression(text: str, names: Container[str], filters: Container[str], tests: Container[str]) -> Any:
    """The tree of a bare expression, or None where Jinja has to read it."""
    path = _PATH.match(text)
    if path is not None and path[1] in names and path[1] not in _CONSTANTS and path[1] not in _WORDS:
        tree: Any = _make(nodes.Name, name=path[1], ctx="load")
        for name in path[2].split(".")[1:]:
            tree = _make(nodes.Getattr, node=tree, attr=name, ctx="load")
        return tree
    tokens = _TOKEN.findall(text)
    if not tokens or len(tokens) > _MAX_TOKENS:
        return None
    try:
        return _Parser(tokens, names, filters, tests).whole()
    except _Other:
        return None


def quick_template(text: str, names: Container[str], filters: Container[str], tests: Container[str]) -> Any:
    """The tree of a text with plain ``{{ }}`` in it, or None where Jinja has to read it."""
    if "\r" in text:
        return None
    parts = _OUTPUT.split(text)
    found: list[nodes.Expr] = []
    line = 1
    for index, part in enumerate(parts):
        if index % 2:
            tree = quick_expression(part, names, filters, tests)
            if tree is None:
                return None
            tree.lineno = line
            found.append(tree)
        elif part:
            if "{{" in part or "{%" in part or "{#" in part or part[-1] == "{":
                return None
            data = _make(nodes.TemplateData, data=part)
            data.lineno = line
            found.append(data)
        line += part.count("\n")
    output = _make(nodes.Output, nodes=found)
    return _make(nodes.Template, body=[output])


class _Parser:
    """Recursive descent, one method a level of Jinja's grammar."""

    __slots__ = ("at", "filters", "names", "tests", "tokens", "value")

    def __init__(
        self, tokens: list[Any], names: Container[str], filters: Container[str], tests: Container[str]
    ) -> None:
        self.tokens = tokens
        self.names = names
        self.filters = filters
        self.tests = tests
        self.at = 0
        #: The current token if it is a name or an operator, else empty.
        self.value = ""
        self._look()

    def _look(self) -> None:
        if self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token[4]:
                raise _Other
            self.value = token[0] or token[3]
        else:
            self.value = ""

    def _next(self) -> None:
        self.at += 1
        self._look()

    def _expect(self, value: str) -> None:
        if self.value != value:
            raise _Other
        self._next()

    def _at(self, value: str) -> bool:
        return self.value == value

    def _skipped(self, value: str) -> bool:
        """Whether the token is ``value``; it is left behind then."""
        if self.value != value:
            return False
        self._next()
        return True

    def whole(self) -> Any:
        tree = self._conditional()
        if self.at < len(self.tokens):
            raise _Other
        return tree

    def _conditional(self) -> Any:
        tree = self._or()
        while self.value == "if":
            self._next()
            condition = self._or()
            otherwise = None
            if self._skipped("else"):
                otherwise = self._conditional()
            tree = _make(nodes.CondExpr, test=condition, expr1=tree, expr2=otherwise)
        return tree

    def _or(self) -> Any:
        tree = self._and()
        while self.value == "or":
            self._next()
            tree = _make(nodes.Or, left=tree, right=self._and())
        return tree

    def _and(self) -> Any:
        tree = self._not()
        while self.value == "and":
            self._next()
            tree = _make(nodes.And, left=tree, right=self._not())
        return tree

    def _not(self) -> Any:
        if self.value == "not":
            self._next()
            return _make(nodes.Not, node=self._not())
        return self._compare()

    def _compare(self) -> Any:
        tree = self._sum()
        operands: list[nodes.Operand] = []
        while True:
            operator = _COMPARISONS.get(self.value)
            if operator is None:
                if self.value == "in":
                    operator = "in"
                elif (
                    self.value == "not"
                    and self.at + 1 < len(self.tokens)
                    and self.tokens[self.at + 1][0] == "in"
                ):
                    self._next()
                    operator = "notin"
                else:
                    break
            self._next()
            operands.append(_make(nodes.Operand, op=operator, expr=self._sum()))
        return _make(nodes.Compare, expr=tree, ops=operands) if operands else tree

    def _sum(self) -> Any:
        tree = self._concat()
        while self.value in _SUMS:
            kind = _SUMS[self.value]
            self._next()
            tree = _make(kind, left=tree, right=self._concat())
        return tree

    def _concat(self) -> Any:
        tree = self._product()
        if self.value != "~":
            return tree
        parts = [tree]
        while self.value == "~":
            self._next()
            parts.append(self._product())
        return _make(nodes.Concat, nodes=parts)

    def _product(self) -> Any:
        tree = self._power()
        while self.value in _PRODUCTS:
            kind = _PRODUCTS[self.value]
            self._next()
            tree = _make(kind, left=tree, right=self._power())
        return tree

    def _power(self) -> Any:
        tree = self._unary(filtered=True)
        while self.value == "**":
            self._next()
            tree = _make(nodes.Pow, left=tree, right=self._unary(filtered=True))
        return tree

    def _unary(self, *, filtered: bool) -> Any:
        if self.value in ("-", "+"):
            kind = nodes.Neg if self.value == "-" else nodes.Pos
            self._next()
            tree: Any = _make(kind, node=self._unary(filtered=False))
        else:
            tree = self._primary()
        if self.value in (".", "[", "("):
            tree = self._postfix(tree)
        return self._filtered(tree) if filtered and self.value in ("|", "is") else tree

    def _primary(self) -> Any:
        if self.at >= len(self.tokens):
            raise _Other
        name, number, text, operator, _ = self.tokens[self.at]
        if name:
            if name in _WORDS:
                raise _Other
            self._next()
            if name in _CONSTANTS:
                return _make(nodes.Const, value=_CONSTANTS[name])
            if name not in self.names:
                raise _Other
            return _make(nodes.Name, name=name, ctx="load")
        if number:
            if len(number) > 300:
                raise _Other
            self._next()
            return _make(nodes.Const, value=float(number) if "." in number else int(number))
        if text:
            self._next()
            if self.at < len(self.tokens) and self.tokens[self.at][2]:
                raise _Other
            return _make(nodes.Const, value=text[1:-1])
        if operator == "(":
            self._next()
            tree = self._conditional()
            self._expect(")")
            return tree
        if operator == "[":
            self._next()
            entries: list[Any] = []
            while self.value != "]":
                if entries:
                    self._expect(",")
                entries.append(self._conditional())
            self._next()
            return _make(nodes.List, items=entries)
        raise _Other

    def _postfix(self, tree: Any) -> Any:
        while True:
            if self.value == ".":
                self._next()
                name = self.tokens[self.at][0] if self.at < len(self.tokens) else ""
                if not name:
                    raise _Other
                self._next()
                tree = _make(nodes.Getattr, node=tree, attr=name, ctx="load")
            elif self.value == "[":
                self._next()
                key = self._conditional()
                self._expect("]")
                tree = _make(nodes.Getitem, node=tree, arg=key, ctx="load")
            elif self.value == "(":
                args, named = self._arguments()
                tree = _make(nodes.Call, node=tree, args=args, kwargs=named, dyn_args=None, dyn_kwargs=None)
            else:
                return tree

    def _arguments(self) -> tuple[list[Any], list[Any]]:
        self._expect("(")
        args: list[Any] = []
        named: list[Any] = []
        while self.value != ")":
            if args or named:
                self._expect(",")
            following = self.tokens[self.at + 1][3] if self.at + 1 < len(self.tokens) else ""
            if following == "=" and self.tokens[self.at][0]:
                key = self.value
                self._next()
                self._next()
                named.append(_make(nodes.Keyword, key=key, value=self._conditional()))
            elif named:
                raise _Other
            else:
                args.append(self._conditional())
        self._next()
        return args, named

    def _filtered(self, tree: Any) -> Any:
        while True:
            if self.value == "|":
                self._next()
                name = self._known(self.filters)
                args, named = self._arguments() if self._at("(") else ([], [])
                tree = _make(
                    nodes.Filter,
                    node=tree,
                    name=name,
                    args=args,
                    kwargs=named,
                    dyn_args=None,
                    dyn_kwargs=None,
                )
            elif self.value == "is":
                self._next()
                negated = self._skipped("not")
                name = self._known(self.tests)
                if self.value not in _AFTER_TEST or (not self.value and self.at < len(self.tokens)):
                    raise _Other
                tree = _make(
                    nodes.Test, node=tree, name=name, args=[], kwargs=[], dyn_args=None, dyn_kwargs=None
                )
                if negated:
                    tree = _make(nodes.Not, node=tree)
            else:
                if self.value == "(":
                    raise _Other
                return tree

    def _known(self, known: Container[str]) -> str:
        name = self.tokens[self.at][0] if self.at < len(self.tokens) else ""
        if not name or name not in known:
            raise _Other
        self._next()
        if self.value == ".":
            raise _Other
        return name
