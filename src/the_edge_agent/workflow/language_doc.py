"""The generated parts of docs/language.md: a Markdown table for each table of the language, and the actions.

They stand between ``<!-- table: NAME -->`` and ``<!-- end -->``. ``python -m the_edge_agent.workflow.language_doc FILE``
fills them in again. This module knows nothing of loading.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from the_edge_agent.workflow.builtin_actions import BUILTIN
from the_edge_agent.workflow.filters import FILTER_NAMES, TEST_NAMES
from the_edge_agent.workflow.language import SCOPE, TABLES, Does, Key, Table
from the_edge_agent.workflow.limits import MAX_BITS, MAX_DEPTH, MAX_ENTRIES, MAX_OUTPUT, MAX_TURNS
from the_edge_agent.workflow.reducers import REDUCERS
from the_edge_agent.workflow.sandbox import LIST_METHODS, OBJECT_METHODS, TEXT_METHODS
from the_edge_agent.workflow.signatures import Param, Signature
from the_edge_agent.workflow.simple_values import ERROR_NAMES

_PART = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_KINDS: Mapping[str, str] = {
    "text": "text",
    "texts": "list of texts",
    "node": "a node's name",
    "nodes": "list of nodes' names",
    "errors": "list of errors' names",
    "node_name": "text",
    "action": "an action's name",
    "params": "object, templates inside",
    "code": "Python",
    "tree": "anything, templates inside",
    "json": "anything",
    "map:import": "object of paths",
    "map:tree": "object, templates inside",
}

#: What a table is called in other tables, and the heading it stands under.
_SECTIONS: Mapping[str, tuple[str, str]] = {
    "api": ("api", "settings.llm.api"),
    "cache": ("cache", "Skipping, waiting, caching"),
    "checkpoint": ("checkpoint", "settings.checkpoint"),
    "config": ("config", "config"),
    "edge": ("edge", "Edges"),
    "error_handling": ("error_handling", "settings.error_handling"),
    "input_field": ("field", "Input and output"),
    "jump": ("jump", "Flow"),
    "llm": ("llm", "settings.llm"),
    "lora": ("adapter", "settings.llm.lora"),
    "node": ("node", "Nodes"),
    "on_error": ("on_error", "on_error"),
    "parallel": ("parallel", "settings.parallel"),
    "permissions": ("permissions", "settings.permissions"),
    "retry": ("retry", "retry"),
    "run_expression": ("expression", "Expressions"),
    "settings": ("settings", "Settings"),
    "state_field": ("state field", "State"),
    "step": ("step", "Steps"),
    "step_on_error": ("on_error", "on_error"),
}


def fill(text: str) -> str:
    """``text`` with every generated part made anew. Raises KeyError for a part that isn't known."""
    return _PART.sub(lambda match: f"{match[1]}{part(match[2])}\n{match[3]}", text)


def part(name: str) -> str:
    """One generated part."""
    make = _PARTS.get(name)
    return make() if make else _table(TABLES[name])


def _table(table: Table) -> str:
    rows = [_row("key", "value", "what it does"), _row("---", "---", "---")]
    rows += [
        _row(f"`{key.name}`{' *' if key.required else ''}", _kind(key), _help(key)) for key in table.keys
    ]
    return "\n".join(rows)


def _kind(key: Key) -> str:
    if key.choices:
        return ", ".join(f"`{choice}`" for choice in key.choices)
    words = " or ".join(_kind_words(kind) for kind in key.kinds)
    if key.minimum is not None and key.maximum is not None:
        words += f", {key.minimum:,} to {key.maximum:,}"
    elif key.minimum is not None:
        words += f", {key.minimum:,} or more"
    return words


def _kind_words(kind: str) -> str:
    if kind in _KINDS:
        return _KINDS[kind]
    shape, _, name = kind.partition(":")
    if not name:
        return kind
    word, heading = _SECTIONS[name]
    link = f"[{word}](#{anchor(heading)})"
    return {
        "list": f"list of [{word}s](#{anchor(heading)})",
        "map": f"object of [{word}s](#{anchor(heading)})",
    }.get(shape, link)


def anchor(title: str) -> str:
    """The anchor that a Markdown heading gets."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _help(key: Key) -> str:
    text = key.help
    places = list(dict.fromkeys(_SHOWN[does] for does in key.only if _SHOWN[does] != key.name))
    if key.only and places and key.name not in ("type", "subgraph", "steps"):
        text += f" Only with {' or '.join(f'`{place}`' for place in places)}."
    return f"{text} Default: {key.default}." if key.default else text


_SHOWN: Mapping[Does, str] = {
    "action": "uses",
    "code": "run",
    "expression": "run",
    "steps": "steps",
    "subgraph": "subgraph",
    "while_loop": "type: while_loop",
    "dynamic_parallel": "type: dynamic_parallel",
    "nothing": "nothing",
}


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _actions() -> str:
    return "\n\n".join(_action(signature) for signature in BUILTIN.values())


def _action(signature: Signature) -> str:
    lines = [f"### {signature.name}", "", signature.help, ""]
    if signature.permission != "none":
        lines += [f"Needs the permission `{signature.permission}`.", ""]
    lines += [_row("parameter", "value", "what it does"), _row("---", "---", "---")]
    lines += [
        _row(f"`{param.name}`{' *' if param.required else ''}", _param(param), param.help)
        for param in signature.params
    ]
    if signature.at_least_one_of:
        lines += ["", f"At least one of {', '.join(f'`{name}`' for name in signature.at_least_one_of)}."]
    lines += ["", f"Returns {signature.returns}."]
    return "\n".join(lines)


def _param(param: Param) -> str:
    if param.choices:
        return ", ".join(f"`{choice}`" for choice in param.choices)
    words = " or ".join(param.types) or "anything"
    if param.minimum is not None and param.maximum is not None:
        words += f", {param.minimum:g} to {param.maximum:g}"
    return f"{words}, not rendered" if param.raw else words


def _two(rows: Mapping[str, str], first: str, second: str) -> str:
    lines = [
        _row(first, second),
        _row("---", "---"),
        *(_row(f"`{name}`", text) for name, text in rows.items()),
    ]
    return "\n".join(lines)


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names) if name.isidentifier())


def _methods() -> str:
    kinds = {"text": TEXT_METHODS, "objects": OBJECT_METHODS, "lists": LIST_METHODS}
    return "\n".join(f"- {kind}: {_listed(frozenset(methods))}" for kind, methods in kinds.items())


def _limits() -> str:
    limits = {
        "loop turns": f"{MAX_TURNS:,}",
        "text": f"{MAX_OUTPUT // 1024 // 1024} MB",
        "entries of a value it builds": f"{MAX_ENTRIES:,}, at most {MAX_DEPTH} levels deep",
        "whole numbers": f"{MAX_BITS:,} bits",
    }
    lines = [_row("of a rendering", "at most"), _row("---", "---"), *(_row(*pair) for pair in limits.items())]
    return "\n".join(lines)


_PARTS: Mapping[str, Callable[[], str]] = {
    "actions": _actions,
    "errors": lambda: _listed(ERROR_NAMES),
    "filters": lambda: _listed(FILTER_NAMES),
    "limits": _limits,
    "methods": _methods,
    "reducers": lambda: _two({name: text for name, (_, text) in REDUCERS.items()}, "reducer", "what it does"),
    "scope": lambda: _two(SCOPE, "name", "what it is"),
    "tests": lambda: _listed(TEST_NAMES),
}


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        Path(argument).write_text(fill(Path(argument).read_text("utf-8")), "utf-8")
