"""Holds text back that may be a tool call, until it is known to be one. Knows nothing of grammars or of running tools."""

from __future__ import annotations

from the_edge_agent.inference import ChatRequest, ToolCall
from the_edge_agent.llama.shown_text import ShownText
from the_edge_agent.llama.tool_calls import may_begin_call, parse_tool_calls
from the_edge_agent.llama.tool_prompt import usable_tools
from the_edge_agent.llama.vocab import Vocab


class ToolGate:
    """Shows text as it comes, but not what may be a tool call; says at the end which it was. A call may have begun in
    what is resumed.
    """

    def __init__(self, request: ChatRequest, vocab: Vocab) -> None:
        self._names = frozenset(tool.name for tool in usable_tools(request))
        self._text = ""
        self._shown = 0
        before = ShownText(vocab, request.sampling.stop, show_special=True)
        self.push("".join(map(before.push, request.resume_token_ids)))

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
