"""Chat messages as frozen values. Knows nothing of chat templates or of any wire format but OpenAI's field names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from the_edge_agent.inference.json_value import JsonObject

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image beside text: the encoded file's bytes (PNG, JPEG, ...)."""

    data: bytes
    mime_type: str = "image/png"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool. ``arguments`` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call; ``parameters`` is a JSON schema of type object."""

    name: str
    description: str
    parameters: JsonObject


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. ``tool_calls`` only on assistant turns, ``tool_call_id`` only on tool turns."""

    role: Role
    content: str
    images: tuple[ImagePart, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""
