"""From a conversation to token IDs, by the model's own chat template. Knows nothing of generation.

What people wrote can't speak as the template: a message that spells out a control token (``<|im_end|>``) is tokenized
as plain text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from the_edge_agent.errors import TemplateInvalid, UnsupportedFeature
from the_edge_agent.inference import ChatRequest, Message, Tool
from the_edge_agent.llama.chat_formats import BY_ARCHITECTURE, CHAT_FORMATS, DEFAULT_FORMAT
from the_edge_agent.llama.chat_template import ChatTemplate
from the_edge_agent.llama.tool_prompt import OPEN, describe, with_fallback

if TYPE_CHECKING:  # a browser has the templates and not the library
    from the_edge_agent.llama.model import LlamaModel
    from the_edge_agent.llama.vocab import Vocab


@dataclass(frozen=True, slots=True)
class PromptWriter:
    """Renders and tokenizes for one model."""

    template: ChatTemplate
    vocab: Vocab

    @classmethod
    def for_model(cls, model: LlamaModel, chat_format: str | None = None) -> PromptWriter:
        """``chat_format`` names a built-in format, or is a Jinja template; else the file's own is used, else what its
        architecture speaks. Raises TemplateInvalid.
        """
        return cls(
            ChatTemplate(resolve_template(model.chat_template, model.architecture, chat_format)), model.vocab
        )

    @property
    def is_hermes(self) -> bool:
        """Whether the template writes calls the way our grammar does."""
        return OPEN in self.template.source and "<function=" not in self.template.source

    def write(self, request: ChatRequest, tools: Sequence[Tool]) -> list[int]:
        """Token IDs of the whole prompt. Raises TemplateInvalid, TokenizeFailed, UnsupportedFeature (images)."""
        messages: Sequence[Message] = request.messages
        if any(message.images for message in messages):
            raise UnsupportedFeature(
                "the conversation holds an image, and this backend reads text only",
                fix="use a backend with a multimodal model, or leave the image out",
            )
        native = self.template.knows_tools
        if tools and not native:
            messages = with_fallback(messages, tools)
        text = self.template.render(
            [as_variables(message) for message in messages],
            tools=[describe(tool) for tool in tools] if native else (),
            bos_token=self.vocab.bos_token,
            eos_token=self.vocab.eos_token,
        )
        return self.tokenize(text, [message.content for message in messages])

    def tokenize(self, text: str, contents: Sequence[str]) -> list[int]:
        """Tokens of a rendered prompt; the ``contents`` in it are taken literally where that makes a difference."""
        bos = self.vocab.bos_token
        add_special = not (bos and text.startswith(bos))
        spans = [
            span
            for span in _find_in_order(text, contents)
            if self._speaks_as_template(text[span[0] : span[1]])
        ]
        if not spans:
            return self.vocab.tokenize(text, add_special=add_special, parse_special=True)
        ids: list[int] = []
        position = 0
        for start, end in spans:
            if start > position:
                special = add_special and not position
                ids += self.vocab.tokenize(text[position:start], add_special=special, parse_special=True)
            ids += self.vocab.tokenize(text[start:end], add_special=False, parse_special=False)
            position = end
        return ids + self.vocab.tokenize(text[position:], add_special=False, parse_special=True)

    def _speaks_as_template(self, content: str) -> bool:
        if not any(char in content for char in "<[|"):
            return False
        tokenize = self.vocab.tokenize
        return tokenize(content, add_special=False) != tokenize(
            content, add_special=False, parse_special=True
        )


def resolve_template(own: str, architecture: str, chat_format: str | None) -> str:
    """Which Jinja source to use. Raises TemplateInvalid for an unknown name."""
    if chat_format:
        if "{{" in chat_format or "{%" in chat_format:
            return chat_format
        if chat_format not in CHAT_FORMATS:
            raise TemplateInvalid(
                f"unknown chat_format {chat_format!r}", fix=f"give one of {', '.join(CHAT_FORMATS)}"
            )
        return CHAT_FORMATS[chat_format]
    return own or CHAT_FORMATS[BY_ARCHITECTURE.get(architecture, DEFAULT_FORMAT)]


def as_variables(message: Message) -> dict[str, Any]:
    """A message as templates expect it: OpenAI's shape, arguments as an object where they are one."""
    variables: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        variables["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _arguments(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        variables["tool_call_id"] = message.tool_call_id
    if message.name:
        variables["name"] = message.name
    return variables


def _arguments(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return cast("dict[str, Any]", value) if isinstance(value, dict) else text


def _find_in_order(text: str, contents: Sequence[str]) -> list[tuple[int, int]]:
    """Where each content stands in the text, one behind the other; a template may have trimmed it."""
    spans: list[tuple[int, int]] = []
    position = 0
    for content in contents:
        for candidate in (content, content.strip()):
            start = text.find(candidate, position) if candidate else -1
            if start >= 0:
                position = start + len(candidate)
                spans.append((start, position))
                break
    return spans
