"""The vocabulary of asking a model: messages, sampling, requests, chunks, and the Backend protocol."""

from the_edge_agent.inference.backend import Backend, BackendInfo
from the_edge_agent.inference.chunks import (
    Completion,
    CompletionChunk,
    Embeddings,
    FinishReason,
    Timings,
    TokenLogprob,
    Usage,
    collect,
)
from the_edge_agent.inference.json_value import JsonObject, JsonScalar, JsonValue
from the_edge_agent.inference.messages import ImagePart, Message, Role, Tool, ToolCall
from the_edge_agent.inference.request import (
    ChatRequest,
    EmbedRequest,
    Level,
    OnOverflow,
    Privacy,
    ResponseFormat,
)
from the_edge_agent.inference.sampling import SamplingParams

__all__ = [
    "Backend",
    "BackendInfo",
    "ChatRequest",
    "Completion",
    "CompletionChunk",
    "EmbedRequest",
    "Embeddings",
    "FinishReason",
    "ImagePart",
    "JsonObject",
    "JsonScalar",
    "JsonValue",
    "Level",
    "Message",
    "OnOverflow",
    "Privacy",
    "ResponseFormat",
    "Role",
    "SamplingParams",
    "Timings",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "Usage",
    "collect",
]
