"""From a conversation to token IDs, by the model's own chat template. Knows nothing of generation.

What people wrote can't speak as the template: a message that spells out a control token (``<|im_end|>``) is tokenized
as plain text.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from the_edge_agent.errors import TemplateInvalid, UnsupportedFeature
from the_edge_agent.inference import ChatRequest, ImagePart, Message, Tool
from the_edge_agent.llama.chat_formats import BY_ARCHITECTURE, CHAT_FORMATS, DEFAULT_FORMAT
from the_edge_agent.llama.chat_template import ChatTemplate
from the_edge_agent.llama.images import ImageRows, PlacedImage
from the_edge_agent.llama.tool_prompt import OPEN, describe, with_fallback

if TYPE_CHECKING:  # a browser has the templates and not the library
    from the_edge_agent.llama.model import LlamaModel
    from the_edge_agent.llama.projector import Projector
    from the_edge_agent.llama.vocab import Vocab


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token IDs, with placeholders where images stand."""

    ids: tuple[int, ...]
    images: tuple[PlacedImage, ...] = ()


@dataclass(frozen=True, slots=True)
class PromptWriter:
    """Renders and tokenizes for one model; with a ``projector`` it reads images, too."""

    template: ChatTemplate
    vocab: Vocab
    projector: Projector | None = None

    @classmethod
    def for_model(
        cls, model: LlamaModel, chat_format: str | None = None, projector: Projector | None = None
    ) -> PromptWriter:
        """``chat_format`` names a built-in format, or is a Jinja template; else the file's own is used, else what its
        architecture speaks. Raises TemplateInvalid.
        """
        return cls(
            ChatTemplate(resolve_template(model.chat_template, model.architecture, chat_format)),
            model.vocab,
            projector,
        )

    @property
    def is_hermes(self) -> bool:
        """Whether the template writes calls the way our grammar does."""
        return OPEN in self.template.source and "<function=" not in self.template.source

    def write(self, request: ChatRequest, tools: Sequence[Tool]) -> Prompt:
        """The whole prompt. Blocks while a projector computes.

        Raises TemplateInvalid, TokenizeFailed, UnsupportedFeature (images without a projector, or what is no image).
        """
        messages: Sequence[Message] = request.messages
        images = [image for message in messages for image in message.images]
        if images and self.projector is None:
            raise UnsupportedFeature(
                "the conversation holds an image, and this backend reads text only",
                fix="use a model with a projector (mmproj), or leave the image out",
            )
        native = self.template.knows_tools
        if tools and not native:
            messages = with_fallback(messages, tools)
        marker = f"[image {secrets.token_hex(8)}]" if images else ""  # nobody can write it by himself
        text = self.template.render(
            [as_variables(message, marker) for message in messages],
            tools=[describe(tool) for tool in tools] if native else (),
            bos_token=self.vocab.bos_token,
            eos_token=self.vocab.eos_token,
        )
        if not images:
            return Prompt(tuple(self.tokenize(text, [message.content for message in messages])))
        return self._with_images(text, marker, messages, images)

    def _with_images(
        self, text: str, marker: str, messages: Sequence[Message], images: Sequence[ImagePart]
    ) -> Prompt:
        """Tokens and placeholders; a message's images stand in front of what it says."""
        assert self.projector is not None
        texts = text.split(marker)
        if len(texts) != len(images) + 1:
            raise TemplateInvalid(
                "the chat template doesn't show every message's content",
                fix="give another template with chat_format",
            )
        ids: list[int] = []
        placed: list[PlacedImage] = []
        contents = _between_images(messages)
        for number, part in enumerate(texts):
            ids += self.tokenize(part, contents[number], first=number == 0) if part else []
            for piece in self.projector.read(images[number].data) if number < len(images) else ():
                if isinstance(piece, ImageRows):
                    placed.append(PlacedImage(len(ids), piece))
                    ids += piece.ids
                else:
                    ids += piece
        if ids[-1] < 0:
            raise TemplateInvalid("the prompt ends with an image", fix="let the template begin the answer")
        return Prompt(tuple(ids), tuple(placed))

    def tokenize(self, text: str, contents: Sequence[str], *, first: bool = True) -> list[int]:
        """Tokens of a rendered prompt; the ``contents`` in it are taken literally where that makes a difference.
        ``first``: the prompt begins here.
        """
        bos = self.vocab.bos_token
        add_special = first and not (bos and text.startswith(bos))
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


def as_variables(message: Message, marker: str = "") -> dict[str, Any]:
    """A message as templates expect it: OpenAI's shape, arguments as an object where they are one; a ``marker`` for each
    image in front of the text.
    """
    content = f"{marker}\n" * len(message.images) + message.content
    variables: dict[str, Any] = {"role": message.role, "content": content}
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


def _between_images(messages: Sequence[Message]) -> list[list[str]]:
    """What messages say before the first image, between the first and the second, and so on."""
    contents: list[list[str]] = [[]]
    for message in messages:
        contents += [[] for _ in message.images]
        contents[-1].append(message.content)
    return contents


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
