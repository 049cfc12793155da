"""From a conversation to the text that llama.cpp's WebAssembly is given, by the model's own chat template. Pure.

The WebAssembly takes a text and reads every control token in it, so what people wrote is kept from speaking as the
template by breaking such a token up with a zero-width space; the answer says so in a notice. Knows nothing of sampling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from the_edge_agent.errors import UnsupportedFeature
from the_edge_agent.inference import ChatRequest, Message, Tool
from the_edge_agent.llama.chat_template import ChatTemplate
from the_edge_agent.llama.prompt import as_variables, resolve_template
from the_edge_agent.llama.tool_prompt import OPEN, describe, with_fallback

BROKEN_UP = "the prompt spelled out a control token of the model; it was broken up with a zero-width space"
_GAP = "\u200b"


@dataclass(frozen=True, slots=True)
class Prompt:
    """The text to send, and what a reader should know about it."""

    text: str
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextPromptWriter:
    """Renders for one model."""

    template: ChatTemplate
    bos_token: str
    eos_token: str
    add_bos: bool
    control_token: re.Pattern[str] | None

    @classmethod
    def for_model(cls, info: Mapping[str, Any]) -> TextPromptWriter:
        """``info`` is ``ModelInfo`` of ``web/src/wasm-model.ts``. Raises TemplateInvalid."""
        source = resolve_template(info["chatTemplate"], info["architecture"], None)
        tokens = [re.escape(token) for token in info["controlTokens"] if len(token) > 1]
        pattern = re.compile("|".join(sorted(tokens, key=len, reverse=True))) if tokens else None
        return cls(ChatTemplate(source), info["bosToken"], info["eosToken"], info["addBos"], pattern)

    @property
    def is_hermes(self) -> bool:
        """Whether the template writes calls the way our grammar does."""
        return OPEN in self.template.source and "<function=" not in self.template.source

    def write(self, request: ChatRequest, tools: Sequence[Tool]) -> Prompt:
        """The whole prompt. Raises TemplateInvalid, UnsupportedFeature (images)."""
        if any(message.images for message in request.messages):
            raise UnsupportedFeature(
                "the conversation holds an image, and this backend reads text only", fix="leave the image out"
            )
        messages = [self._literal(message) for message in request.messages]
        changed = any(new is not old for new, old in zip(messages, request.messages, strict=True))
        native = self.template.knows_tools
        spoken: Sequence[Message] = with_fallback(messages, tools) if tools and not native else messages
        text = self.template.render(
            [as_variables(message) for message in spoken],
            tools=[describe(tool) for tool in tools] if native else (),
            bos_token=self.bos_token,
            eos_token=self.eos_token,
        )
        if self.add_bos and self.bos_token:
            text = text.removeprefix(self.bos_token)  # llama.cpp adds its own
        return Prompt(text, (BROKEN_UP,) if changed else ())

    def _literal(self, message: Message) -> Message:
        """The message without control tokens in its text. Tool calls are the model's own words and stay."""
        if self.control_token is None or message.role == "assistant":
            return message
        content = self.control_token.sub(lambda found: found[0][0] + _GAP + found[0][1:], message.content)
        return message if content == message.content else replace(message, content=content)
