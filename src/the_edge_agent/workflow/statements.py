"""Jinja's statements as closures that write text: loops, conditions, assignments, macros.

Includes, imports, blocks and inheritance don't exist: a template is complete in itself. This module knows nothing of
files or of who asks for the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import nodes

from the_edge_agent.errors import TemplateError
from the_edge_agent.workflow.assignment import compile_target
from the_edge_agent.workflow.evaluate import compile_expression, filtering
from the_edge_agent.workflow.frame import Evaluate, Frame, Function
from the_edge_agent.workflow.json_data import as_text
from the_edge_agent.workflow.limits import Budget
from the_edge_agent.workflow.loop import Loop, entries_of
from the_edge_agent.workflow.sandbox import missing

Parts = list[str]
Write = Callable[[Frame, Parts], None]


def compile_body(body: Sequence[nodes.Node]) -> Write:
    """One closure that writes all of ``body``."""
    writers = [_compile(node) for node in body]
    if len(writers) == 1:
        return writers[0]

    def write(frame: Frame, parts: Parts) -> None:
        for writer in writers:
            writer(frame, parts)

    return write


def _compile(node: nodes.Node) -> Write:
    compiler = _STATEMENTS.get(type(node))
    if compiler is None:
        raise TemplateError(
            f"{{% {type(node).__name__.lower()} %}} can't be used", fix="a template is complete in itself"
        )
    return compiler(node)


def located(error: Exception, line: int) -> Exception:
    """``error`` with the template's line noted, the innermost one first."""
    if not hasattr(error, "template_line"):
        error.template_line = line  # type: ignore[attr-defined]
    return error


def _output(node: nodes.Output) -> Write:
    writers: list[Write] = []
    for part in node.nodes:
        if isinstance(part, nodes.TemplateData):
            writers.append(_writes_data(part.data))
        else:
            writers.append(_writes_value(compile_expression(part), part.lineno))
    if len(writers) == 1:
        return writers[0]

    def write(frame: Frame, parts: Parts) -> None:
        for writer in writers:
            writer(frame, parts)

    return write


def _writes_data(data: str) -> Write:
    length = len(data)

    def write(frame: Frame, parts: Parts) -> None:
        frame.budget.put(length)
        parts.append(data)

    return write


def _writes_value(evaluate: Evaluate, line: int) -> Write:
    def write(frame: Frame, parts: Parts) -> None:
        try:
            text = as_text(evaluate(frame), frame.budget)
        except Exception as error:  # noqa: BLE001 - only its line is noted
            raise located(error, line)  # noqa: B904
        frame.budget.put(len(text))
        parts.append(text)

    return write


def _captured(body: Write, frame: Frame) -> str:
    parts: Parts = []
    body(frame, parts)
    return "".join(parts)


def _if(node: nodes.If) -> Write:
    branches = [
        (compile_expression(entry.test), compile_body(entry.body), entry.lineno)
        for entry in (node, *node.elif_)
    ]
    otherwise = compile_body(node.else_)

    def write(frame: Frame, parts: Parts) -> None:
        for condition, body, line in branches:
            try:
                holds = condition(frame)
                holds = bool(holds)
            except Exception as error:  # noqa: BLE001 - only its line is noted
                raise located(error, line)  # noqa: B904
            if holds:
                body(frame, parts)
                return
        otherwise(frame, parts)

    return write


# --- assignment ---------------------------------------------------------------------------------------------------


def _assign(node: nodes.Assign) -> Write:
    target = compile_target(node.target)
    evaluate = compile_expression(node.node)
    line = node.lineno

    def write(frame: Frame, _parts: Parts) -> None:
        try:
            target(frame, evaluate(frame))
        except Exception as error:  # noqa: BLE001 - only its line is noted
            raise located(error, line)  # noqa: B904

    return write


def _assign_block(node: nodes.AssignBlock) -> Write:
    target = compile_target(node.target)
    body = compile_body(node.body)
    finish = None if node.filter is None else _over_captured(node.filter)

    def write(frame: Frame, _parts: Parts) -> None:
        inner = frame.inner()
        text: Any = _captured(body, inner)
        target(frame, text if finish is None else finish(frame, text))

    return write


def _captured_text(frame: Frame) -> Any:
    return frame.names[""]


def _over_captured(node: nodes.Filter) -> Callable[[Frame, str], Any]:
    """The chain of filters of a block, over its text."""

    def chain(entry: nodes.Filter) -> Evaluate:
        inner = chain(entry.node) if isinstance(entry.node, nodes.Filter) else _captured_text
        return filtering(entry, inner)

    evaluate = chain(node)
    return lambda frame, text: evaluate(frame.inner({"": text}))


def _filter_block(node: nodes.FilterBlock) -> Write:
    body = compile_body(node.body)
    finish = _over_captured(node.filter)

    def write(frame: Frame, parts: Parts) -> None:
        text = as_text(finish(frame, _captured(body, frame.inner())), frame.budget)
        frame.budget.put(len(text))
        parts.append(text)

    return write


def _with(node: nodes.With) -> Write:
    targets = [
        (compile_target(target), compile_expression(value))
        for target, value in zip(node.targets, node.values, strict=True)
    ]
    body = compile_body(node.body)

    def write(frame: Frame, parts: Parts) -> None:
        inner = frame.inner()
        values = [evaluate(frame) for _, evaluate in targets]
        for (target, _), value in zip(targets, values, strict=True):
            target(inner, value)
        body(inner, parts)

    return write


# --- loops --------------------------------------------------------------------------------------------------------


def _for(node: nodes.For) -> Write:
    target = compile_target(node.target)
    iterated = compile_expression(node.iter)
    condition = None if node.test is None else compile_expression(node.test)
    body = compile_body(node.body)
    otherwise = compile_body(node.else_)
    line = node.lineno

    def turn_over(value: Any, frame: Frame, parts: Parts, depth0: int) -> None:
        try:
            entries = entries_of(value, frame.budget)
            if condition is not None:
                kept: list[Any] = []
                for entry in entries:
                    inner = frame.inner()
                    target(inner, entry)
                    if condition(inner):
                        kept.append(entry)
                entries = kept
        except Exception as error:  # noqa: BLE001 - only its line is noted
            raise located(error, line)  # noqa: B904
        if not entries:
            otherwise(frame.inner(), parts)
            return

        def recurse(budget: Budget, inner_value: Any) -> str:
            del budget
            inner_parts: Parts = []
            turn_over(inner_value, frame, inner_parts, depth0 + 1)
            return "".join(inner_parts)

        loop = Loop(entries, depth0, recurse if node.recursive else None)
        for index, entry in enumerate(entries):
            loop.index0 = index
            inner = frame.inner({"loop": loop})
            target(inner, entry)
            body(inner, parts)

    def write(frame: Frame, parts: Parts) -> None:
        try:
            value = iterated(frame)
        except Exception as error:  # noqa: BLE001 - only its line is noted
            raise located(error, line)  # noqa: B904
        turn_over(value, frame, parts, 0)

    return write


# --- macros -------------------------------------------------------------------------------------------------------


def _macro_function(node: nodes.Macro | nodes.CallBlock, name: str) -> Callable[[Frame], Function]:
    names = [argument.name for argument in node.args]
    defaults = [compile_expression(value) for value in node.defaults]
    first_default = len(names) - len(defaults)
    body = compile_body(node.body)

    def define(frame: Frame) -> Function:
        def run(budget: Budget, *args: Any, **named: Any) -> str:
            budget.take(1)
            inner = frame.inner()
            caller = named.pop("caller", None)
            if caller is not None:
                inner.names["caller"] = caller
            if len(args) > len(names):
                inner.names["varargs"] = list(args[len(names) :])
            given = dict(zip(names, args, strict=False))
            for index, key in enumerate(names):
                if key in given:
                    inner.names[key] = given[key]
                elif key in named:
                    inner.names[key] = named.pop(key)
                elif index >= first_default:
                    inner.names[key] = defaults[index - first_default](inner)
                else:
                    inner.names[key] = missing(key, f"the macro {name} was called without it")
            inner.names.setdefault("varargs", [])
            inner.names["kwargs"] = named
            return _captured(body, inner)

        return Function(name, run)

    return define


def _macro(node: nodes.Macro) -> Write:
    define = _macro_function(node, node.name)

    def write(frame: Frame, _parts: Parts) -> None:
        frame.names[node.name] = define(frame)

    return write


def _call_block(node: nodes.CallBlock) -> Write:
    define = _macro_function(node, "caller")
    called = node.call
    evaluate = compile_expression(
        nodes.Call(
            called.node,
            called.args,
            [*called.kwargs, nodes.Keyword("caller", nodes.Name("caller", "load"))],
            called.dyn_args,
            called.dyn_kwargs,
        )
    )

    def write(frame: Frame, parts: Parts) -> None:
        text = as_text(evaluate(frame.inner({"caller": define(frame)})), frame.budget)
        frame.budget.put(len(text))
        parts.append(text)

    return write


_STATEMENTS: Mapping[type[nodes.Node], Callable[[Any], Write]] = {
    nodes.Assign: _assign,
    nodes.AssignBlock: _assign_block,
    nodes.CallBlock: _call_block,
    nodes.FilterBlock: _filter_block,
    nodes.For: _for,
    nodes.If: _if,
    nodes.Macro: _macro,
    nodes.Output: _output,
    nodes.With: _with,
}
STATEMENT_NODES = frozenset(_STATEMENTS)
