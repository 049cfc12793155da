"""Jinja's expression trees as Python closures: parsed by Jinja, evaluated here, so that every operation is counted.

No code is generated: a node kind that is not in the table below doesn't exist for a template. This module knows nothing
of statements (see ``statements``) and nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import nodes

from the_edge_agent.errors import TemplateError, TemplateLimitExceeded
from the_edge_agent.workflow import filters
from the_edge_agent.workflow.frame import Evaluate, Frame, call
from the_edge_agent.workflow.json_data import as_text
from the_edge_agent.workflow.kinds import is_list, is_object
from the_edge_agent.workflow.limits import Budget, check_text, weigh
from the_edge_agent.workflow.lookup import NAMESPACES, top_of
from the_edge_agent.workflow.operators import (
    COMPARISONS,
    add,
    cost,
    divide,
    floor_divide,
    modulo,
    multiply,
    power,
    subtract,
)
from the_edge_agent.workflow.sandbox import Missing, attribute, item

# --- the table of expression nodes --------------------------------------------------------------------------------


def compile_expression(node: nodes.Node) -> Evaluate:
    """A closure that evaluates ``node``. Raises TemplateError for a kind that templates don't have."""
    compiler = _EXPRESSIONS.get(type(node))
    if compiler is None:
        raise TemplateError(
            f"{type(node).__name__} can't be used here", fix="see docs/language.md for expressions"
        )
    return compiler(node)


def _constant(node: nodes.Const) -> Evaluate:
    value = node.value
    if isinstance(value, int) and value.bit_length() > 4096:
        raise TemplateLimitExceeded("a number is too large", fix="use a smaller one")
    return lambda _frame: value


def _text_data(node: nodes.TemplateData) -> Evaluate:
    value = node.data
    return lambda _frame: value


def _name(node: nodes.Name) -> Evaluate:
    name = node.name
    return lambda frame: frame.resolve(name)


def path_of(node: nodes.Node) -> str:
    """How the expression reads: ``state.user.name``; empty where it is no path."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        inner = path_of(node.node)
        return f"{inner}.{node.attr}" if inner else ""
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        inner = path_of(node.node)
        return f"{inner}[{node.arg.value!r}]" if inner else ""
    return ""


def _getattr(node: nodes.Getattr) -> Evaluate:
    name = node.attr
    inner = compile_expression(node.node)
    if isinstance(node.node, nodes.Name) and node.node.name in NAMESPACES:
        return top_of(node.node.name, name)
    path = path_of(node)
    return lambda frame: attribute(inner(frame), name, path)


def _getitem(node: nodes.Getitem) -> Evaluate:
    inner = compile_expression(node.node)
    if isinstance(node.arg, nodes.Slice):
        return _slice(inner, node.arg)
    key = compile_expression(node.arg)
    path = path_of(node)
    if isinstance(node.node, nodes.Name) and node.node.name in NAMESPACES:

        def top_item(frame: Frame) -> Any:
            values = inner(frame)
            return values.get(key(frame)) if is_object(values) else item(values, key(frame), path)

        return top_item
    return lambda frame: item(inner(frame), key(frame), path)


def _slice(inner: Evaluate, node: nodes.Slice) -> Evaluate:
    parts = [
        None if part is None else compile_expression(part) for part in (node.start, node.stop, node.step)
    ]

    def evaluate(frame: Frame) -> Any:
        value = inner(frame)
        if isinstance(value, Missing):
            return value
        if not isinstance(value, (str, range)) and not is_list(value):
            raise TemplateError("only texts and lists can be cut", fix="take a part of a text or a list")
        frame.budget.take(1 + cost(value))
        return value[slice(*(None if part is None else part(frame) for part in parts))]

    return evaluate


def _list(node: nodes.List | nodes.Tuple) -> Evaluate:
    entries = [compile_expression(entry) for entry in node.items]
    as_tuple = isinstance(node, nodes.Tuple)

    def evaluate(frame: Frame) -> Any:
        made = [_present(entry(frame)) for entry in entries]
        weigh(made, frame.budget)
        return tuple(made) if as_tuple else made

    return evaluate


def _dict_literal(node: nodes.Dict) -> Evaluate:
    pairs = [(compile_expression(pair.key), compile_expression(pair.value)) for pair in node.items]

    def evaluate(frame: Frame) -> Any:
        made = {_present(key(frame)): _present(value(frame)) for key, value in pairs}
        weigh(made, frame.budget)
        return made

    return evaluate


def _present(value: Any) -> Any:
    if isinstance(value, Missing):
        str(value)
    return value


Arguments = Callable[[Frame], tuple[list[Any], dict[str, Any]]]


def _arguments(node: nodes.Call | nodes.Filter | nodes.Test) -> Arguments | None:
    positional = [compile_expression(entry) for entry in node.args]
    named = [
        (entry.key, compile_expression(entry.value))
        for entry in node.kwargs
        if isinstance(entry, nodes.Keyword)
    ]
    more = None if node.dyn_args is None else compile_expression(node.dyn_args)
    more_named = None if node.dyn_kwargs is None else compile_expression(node.dyn_kwargs)
    if not (positional or named or more or more_named):
        return None

    def evaluate(frame: Frame) -> tuple[list[Any], dict[str, Any]]:
        args = [entry(frame) for entry in positional]
        names: dict[str, Any] = {key: entry(frame) for key, entry in named}
        if more is not None:
            args += list(frame.budget.counted(more(frame)))
        if more_named is not None:
            names.update(more_named(frame))
        return args, names

    return evaluate


def _call(node: nodes.Call) -> Evaluate:
    target = compile_expression(node.node)
    arguments = _arguments(node)

    def evaluate(frame: Frame) -> Any:
        args, named = arguments(frame) if arguments else ((), {})
        return call(frame.budget, target(frame), args, named)

    return evaluate


def _filter(node: nodes.Filter) -> Evaluate:
    if node.node is None:
        raise TemplateError("a filter needs a value", fix="write value | filter")
    inner = compile_expression(node.node)
    return filtering(node, inner)


def filtering(node: nodes.Filter, inner: Evaluate) -> Evaluate:
    """The filter of ``node`` over what ``inner`` gives."""
    name = node.name
    arguments = _arguments(node)
    own = filters.OWN_FILTERS.get(name)
    if arguments is None:
        if own is not None:
            return lambda frame: own(frame.budget, inner(frame))
        return lambda frame: filters.apply(name, frame.budget, inner(frame), (), {})

    def evaluate(frame: Frame) -> Any:
        value = inner(frame)
        args, named = arguments(frame)
        return filters.apply(name, frame.budget, value, args, named)

    return evaluate


def _test(node: nodes.Test) -> Evaluate:
    name = node.name
    inner = compile_expression(node.node)
    arguments = _arguments(node)

    def evaluate(frame: Frame) -> bool:
        value = inner(frame)
        args, named = arguments(frame) if arguments else ((), {})
        return filters.test(name, frame.budget, value, args, named)

    return evaluate


def _compare(node: nodes.Compare) -> Evaluate:
    first = compile_expression(node.expr)
    rest = [(COMPARISONS[operand.op], compile_expression(operand.expr)) for operand in node.ops]
    if len(rest) == 1:
        compare, second = rest[0]
        return lambda frame: compare(frame.budget, first(frame), second(frame))

    def evaluate(frame: Frame) -> bool:
        left = first(frame)
        for compare, operand in rest:
            right = operand(frame)
            if not compare(frame.budget, left, right):
                return False
            left = right
        return True

    return evaluate


def _and(node: nodes.And) -> Evaluate:
    left, right = compile_expression(node.left), compile_expression(node.right)
    return lambda frame: left(frame) and right(frame)


def _or(node: nodes.Or) -> Evaluate:
    left, right = compile_expression(node.left), compile_expression(node.right)
    return lambda frame: left(frame) or right(frame)


def _not(node: nodes.Not) -> Evaluate:
    inner = compile_expression(node.node)
    return lambda frame: not inner(frame)


def _binary(operate: Callable[[Budget, Any, Any], Any]) -> Callable[[nodes.BinExpr], Evaluate]:
    def compile_node(node: nodes.BinExpr) -> Evaluate:
        left, right = compile_expression(node.left), compile_expression(node.right)
        return lambda frame: operate(frame.budget, left(frame), right(frame))

    return compile_node


def _negative(node: nodes.Neg) -> Evaluate:
    inner = compile_expression(node.node)
    return lambda frame: subtract(frame.budget, 0, inner(frame))


def _positive(node: nodes.Pos) -> Evaluate:
    inner = compile_expression(node.node)
    return lambda frame: add(frame.budget, 0, inner(frame))


def _concat(node: nodes.Concat) -> Evaluate:
    parts = [compile_expression(part) for part in node.nodes]

    def evaluate(frame: Frame) -> str:
        texts = [as_text(part(frame), frame.budget) for part in parts]
        length = sum(map(len, texts))
        check_text(length)
        frame.budget.take(1 + length // 256)
        return "".join(texts)

    return evaluate


def _conditional(node: nodes.CondExpr) -> Evaluate:
    condition, yes = compile_expression(node.test), compile_expression(node.expr1)
    if node.expr2 is None:
        return lambda frame: yes(frame) if condition(frame) else ""
    no = compile_expression(node.expr2)
    return lambda frame: yes(frame) if condition(frame) else no(frame)


_EXPRESSIONS: Mapping[type[nodes.Node], Callable[[Any], Evaluate]] = {
    nodes.Add: _binary(add),
    nodes.And: _and,
    nodes.Call: _call,
    nodes.Compare: _compare,
    nodes.Concat: _concat,
    nodes.CondExpr: _conditional,
    nodes.Const: _constant,
    nodes.Dict: _dict_literal,
    nodes.Div: _binary(divide),
    nodes.Filter: _filter,
    nodes.FloorDiv: _binary(floor_divide),
    nodes.Getattr: _getattr,
    nodes.Getitem: _getitem,
    nodes.List: _list,
    nodes.Mod: _binary(modulo),
    nodes.Mul: _binary(multiply),
    nodes.Name: _name,
    nodes.Neg: _negative,
    nodes.Not: _not,
    nodes.Or: _or,
    nodes.Pos: _positive,
    nodes.Pow: _binary(power),
    nodes.Sub: _binary(subtract),
    nodes.TemplateData: _text_data,
    nodes.Test: _test,
    nodes.Tuple: _list,
}
EXPRESSION_NODES = frozenset(_EXPRESSIONS) | {nodes.Keyword, nodes.Operand, nodes.Pair, nodes.Slice}
