"""What is asked of a model: frozen requests. Knows nothing of who answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from the_edge_agent.inference.json_value import JsonObject
from the_edge_agent.inference.messages import Message, Tool
from the_edge_agent.inference.sampling import SamplingParams

Level: TypeAlias = Literal["operational", "tactical", "strategic"]
Privacy: TypeAlias = Literal["local-only", "may-leave"]
OnOverflow: TypeAlias = Literal["error", "truncate_oldest", "summarize"]


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """``json_object``: any JSON object; ``json_schema``: an instance of ``schema``. Never a hint: always enforced."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    schema: JsonObject | None = None
    name: str = "output"


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One chat completion.

    ``tool_choice`` is ``auto``, ``none``, ``required`` or a tool's name. ``deadline_s`` counts from the call.
    ``resume_token_ids`` are tokens already emitted for this very request: they are prefilled after the prompt and the
    stream goes on behind them.
    """

    messages: tuple[Message, ...]
    sampling: SamplingParams = field(default_factory=SamplingParams)
    model: str = ""
    level: Level | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    parallel_tool_calls: bool = True
    response_format: ResponseFormat = field(default_factory=ResponseFormat)
    deadline_s: float | None = None
    privacy: Privacy = "local-only"
    resume_token_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Texts to embed, in order."""

    texts: tuple[str, ...]
    model: str = ""
    deadline_s: float | None = None
    privacy: Privacy = "local-only"
