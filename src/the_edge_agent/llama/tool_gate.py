"""Holds text back that may be a tool call, until it is known to be one. Knows nothing of grammars or of running tools."""

from __future__ import annotations

from the_edge_agent.inference import ChatRequest, ToolCall
from the_edge_agent.llama.tool_calls import may_begin_call, parse_tool_calls
from the_edge_agent.llama.tool_prompt import usable_tools


class ToolGate:
    """Shows text as it comes, but not what may be a tool call; says at the end which it was. A call may have begun in
    ``said``, the text that is resumed.
    """

    def __init__(self, request: ChatRequest, said: str = "") -> None:
        self._names = frozenset(tool.name for tool in usable_tools(request))
        self._text = ""
        self._shown = 0
        self.push(said)

    def push(self, text: str) -> str:
        """Take text; returns what can be shown of it now."""
        self._text += text
        upto = may_begin_call(self._text)
        if upto <= self._shown:
            return ""
        shown, self._shown = self._text[self._shown : upto], upto
        return shown

    def finish(self) -> tuple[str, tuple[ToolCall, ...]]:
        """What is left to show, and the calls."""
        said, calls = parse_tool_calls(self._text, self._names)
        return (said if calls else self._text)[self._shown :], calls
