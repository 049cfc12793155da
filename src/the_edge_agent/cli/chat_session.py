"""A conversation and the lines that are typed into it. Pure: frozen values, no terminal, no model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from the_edge_agent.errors import UsageError
from the_edge_agent.inference.chunks import Completion, Usage
from the_edge_agent.inference.messages import Message
from the_edge_agent.workflow.near import did_you_mean

BLOCK = '"""'

COMMANDS: dict[str, str] = {
    "/help": "list the commands",
    "/reset": "forget the conversation; the system message stays",
    "/system": "show the system message, or set it: /system Answer in one sentence.",
    "/save": "write the conversation to a file: /save talk.md, or talk.json",
    "/stats": "show tokens, speed and how full the context is",
    "/exit": "leave, as Ctrl-D does",
}
_ALIASES = {"/quit": "/exit", "/bye": "/exit", "/clear": "/reset", "/?": "/help"}


class Say(NamedTuple):
    """A message to the model."""

    text: str


class Command(NamedTuple):
    """One of COMMANDS and what stands behind it."""

    name: str
    argument: str


class Nothing(NamedTuple):
    """An empty line."""


Line: TypeAlias = Say | Command | Nothing


def parse_line(text: str) -> Line:
    """What a complete line means. ``//`` at the start sends a message that begins with a slash.

    Raises:
        UsageError: no such command.
    """
    stripped = text.strip()
    if not stripped:
        return Nothing()
    if stripped.startswith("//"):
        return Say(stripped[1:])
    first = stripped.split(maxsplit=1)[0]
    if not stripped.startswith("/") or "/" in first[1:]:  # a path at the start of a message is no command
        return Say(stripped)
    name = _ALIASES.get(first, first)
    if name not in COMMANDS:
        raise UsageError(
            f"unknown command {first}",
            place="chat",
            fix=did_you_mean(first, COMMANDS),
        )
    return Command(name, stripped[len(first) :].strip())


class Lines:
    r"""Puts several typed lines together: a block between lines that begin and end with ``\"\"\"``, or ``\`` at the end."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._block = False

    @property
    def open(self) -> bool:
        """Whether more lines belong to what was typed so far."""
        return self._block or bool(self._parts)

    def feed(self, line: str) -> str | None:
        """One line without its newline. Returns the whole text once it is complete."""
        if not self._block and not self._parts and line.lstrip().startswith(BLOCK):
            self._block = True
            line = line.lstrip()[len(BLOCK) :]
            if not line:
                return None
        if self._block:
            if line.rstrip().endswith(BLOCK):
                self._parts.append(line.rstrip()[: -len(BLOCK)])
                return self._take()
            self._parts.append(line)
            return None
        if line.endswith("\\"):
            self._parts.append(line[:-1])
            return None
        self._parts.append(line)
        return self._take()

    def take_rest(self) -> str:
        """What was typed when the input ended inside a block."""
        return self._take()

    def drop(self) -> None:
        """Forget what was typed so far."""
        self._take()

    def _take(self) -> str:
        text = "\n".join(self._parts)
        self._parts, self._block = [], False
        return text


@dataclass(frozen=True, slots=True)
class AnswerStats:
    """What an answer cost. Seconds as the person felt them."""

    usage: Usage = field(default_factory=Usage)
    first_token_s: float | None = None
    total_s: float = 0.0
    n_ctx: int = 0

    @property
    def tokens_per_s(self) -> float | None:
        """Speed after the first token."""
        if (
            self.first_token_s is None
            or self.usage.completion_tokens < 2
            or self.total_s <= self.first_token_s
        ):
            return None
        return (self.usage.completion_tokens - 1) / (self.total_s - self.first_token_s)


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns so far, without the system message, which stands apart."""

    system: str = ""
    turns: tuple[Message, ...] = ()
    usage: Usage = field(default_factory=Usage)
    last: AnswerStats | None = None

    def messages(self, text: str) -> tuple[Message, ...]:
        """What is sent to ask ``text`` now."""
        system = (Message("system", self.system),) if self.system else ()
        return (*system, *self.turns, Message("user", text))

    def answered(self, text: str, completion: Completion, stats: AnswerStats) -> Conversation:
        """The conversation after an answer. One that was stopped before its first word leaves no trace."""
        if not completion.text:
            return self
        turns = (*self.turns, Message("user", text), Message("assistant", completion.text))
        return replace(self, turns=turns, usage=self.usage + completion.usage, last=stats)

    def reset(self) -> Conversation:
        """Forget the turns; the system message stays."""
        return replace(self, turns=(), last=None)

    def to_json(self) -> str:
        """The conversation as the ``messages`` that any chat API takes."""
        return json.dumps({"messages": _wire(self)}, ensure_ascii=False, indent=2) + "\n"

    def to_markdown(self) -> str:
        """The conversation to read."""
        parts = [f"**{entry['role']}**\n\n{entry['content']}\n" for entry in _wire(self)]
        return "\n".join(parts)


def stats_lines(conversation: Conversation) -> Sequence[str]:
    """What /stats prints."""
    asked = sum(message.role == "user" for message in conversation.turns)
    total = conversation.usage
    lines = [
        f"messages: {asked} asked, {len(conversation.turns) - asked} answered",
        f"prompt tokens in all: {total.prompt_tokens:,} ({total.cached_tokens:,} cached)",
        f"answer tokens in all: {total.completion_tokens:,}",
    ]
    last = conversation.last
    if last is None:
        return lines
    speed = f", {last.tokens_per_s:,.0f} tokens/s" if last.tokens_per_s else ""
    first = f", first token after {last.first_token_s:.2f} s" if last.first_token_s is not None else ""
    lines.append(
        f"last answer: {last.usage.completion_tokens:,} tokens in {last.total_s:.2f} s{speed}{first}"
    )
    used = last.usage.prompt_tokens + last.usage.completion_tokens
    if last.n_ctx:
        lines.append(f"context: {used:,} of {last.n_ctx:,} tokens ({100 * used // last.n_ctx}%)")
    return lines


def _wire(conversation: Conversation) -> list[dict[str, str]]:
    system = [Message("system", conversation.system)] if conversation.system else []
    return [{"role": message.role, "content": message.content} for message in (*system, *conversation.turns)]
