"""The built-in actions by name. Modules are loaded when an action of theirs is first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from the_edge_agent.engine.action import Action, Actions

#: Where each action lives: module and function, or the module's table (llm).
_HOMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "llm.call": ("llm", "LLM_ACTIONS"),
        "llm.chat": ("llm", "LLM_ACTIONS"),
        "llm.stream": ("llm", "LLM_ACTIONS"),
        "llm.tools": ("llm", "LLM_ACTIONS"),
        "llm.embed": ("llm", "LLM_ACTIONS"),
        "llm.similarity": ("llm", "LLM_ACTIONS"),
        "llm.classify": ("llm", "LLM_ACTIONS"),
        "http.get": ("http", "get"),
        "http.post": ("http", "post"),
        "file.read": ("file", "read"),
        "file.write": ("file", "write"),
        "json.parse": ("json_value", "parse"),
        "json.transform": ("json_value", "transform"),
        "template.render": ("template", "render"),
        "human.ask": ("human", "ask"),
        "memory.store": ("memory", "store"),
        "memory.retrieve": ("memory", "retrieve"),
        "memory.search": ("memory", "search"),
        "mcp.call": ("mcp", "call"),
    }
)


class _LazyActions(Mapping[str, "Action"]):
    def __getitem__(self, name: str) -> Action:
        module_name, attribute = _HOMES[name]
        found: Any = getattr(importlib.import_module(f"{__name__}.{module_name}"), attribute)
        return found[name] if attribute.isupper() else found

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)

    def __contains__(self, name: object) -> bool:
        return name in _HOMES


#: Every built-in action.
BUILTIN_ACTIONS: Actions = _LazyActions()
