"""What the engine and the actions need from the outside, as protocols; ``adapters/`` and ``browser/`` implement them.

Every port is optional: an action that lacks its port says so. This module imports nothing that a browser lacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from the_edge_agent.inference import Backend, JsonObject, JsonValue, Level, Privacy, Tool
from the_edge_agent.workflow.nodes import LlmSettings


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """``body`` is at most the asked number of bytes; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class HttpPort(Protocol):
    """One HTTP exchange. ``allowed_hosts`` is checked again at every redirect. Raises HttpFailed or PermissionDenied."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
        max_bytes: int,
        allowed_hosts: frozenset[str],
    ) -> HttpResponse: ...


class FilePort(Protocol):
    """Files under allowed roots; symlinks are resolved before the check. Raises FileActionFailed, PermissionDenied."""

    async def read(self, path: str, *, roots: Sequence[str], max_bytes: int) -> bytes: ...

    async def write(self, path: str, data: bytes, *, roots: Sequence[str], append: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class MemoryHit:
    """A stored entry; ``score`` is cosine similarity for searches by vector, else 1."""

    key: str
    value: JsonValue
    metadata: JsonObject
    score: float


class MemoryPort(Protocol):
    """A key-value store with vectors, apart by namespace."""

    async def store(
        self,
        namespace: str,
        key: str,
        value: JsonValue,
        *,
        metadata: JsonObject,
        vector: Sequence[float] | None,
    ) -> None: ...

    async def retrieve(self, namespace: str, key: str) -> MemoryHit | None: ...

    async def search(self, namespace: str, vector: Sequence[float], *, limit: int) -> Sequence[MemoryHit]: ...


class McpPort(Protocol):
    """MCP servers by name, as the caller configured them."""

    async def tools(self, server: str) -> Sequence[Tool]: ...

    async def call(self, server: str, tool: str, arguments: JsonObject, *, timeout_s: float) -> JsonValue: ...


class CodePort(Protocol):
    """Runs ``run: |`` source with a read-only ``state``; returns the dict it returned. Only handed over when allowed."""

    async def run(self, source: str, state: Mapping[str, Any], *, place: str) -> Mapping[str, JsonValue]: ...


@dataclass(frozen=True, slots=True)
class CachedValue:
    """A result that was kept; the value itself may be null."""

    value: JsonValue


class CachePort(Protocol):
    """Results of nodes with ``cache``, by a digest of what was asked. Kept beyond the run where the adapter can."""

    async def get(self, key: str, *, now_s: float) -> CachedValue | None: ...

    async def put(self, key: str, value: JsonValue, *, expires_s: float) -> None: ...


class Clock(Protocol):
    """Time, so that tests own it."""

    def now_s(self) -> float:
        """Seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """What a node asks for; the resolver turns it into a Backend.

    ``backend``, ``model``, ``model_path``, ``level``, ``privacy``: the node's own words (None: not said).
    """

    backend: str | None = None
    model: str | None = None
    model_path: str | None = None
    level: Level | None = None
    privacy: Privacy | None = None
    settings: LlmSettings = field(default_factory=LlmSettings)
    base_dir: str = "."


@dataclass(frozen=True, slots=True)
class ResolvedBackend:
    """Who will answer, the model name to send, and what to tell the reader (a fallback that was taken)."""

    backend: Backend
    model: str = ""
    notices: tuple[str, ...] = ()


class BackendResolver(Protocol):
    """Chooses and opens backends; owns them until it is closed. Raises BackendError, StoreError, LlamaError."""

    async def resolve(self, choice: BackendChoice) -> ResolvedBackend: ...


@runtime_checkable
class Expecting(Protocol):
    """A resolver that makes use of what comes next; others need no such method."""

    def expect(self, choices: Sequence[BackendChoice]) -> None:
        """These will be asked for soon, in this order. Returns at once, and never fails."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """The outside, as far as this run has one."""

    http: HttpPort | None = None
    files: FilePort | None = None
    memory: MemoryPort | None = None
    mcp: McpPort | None = None
    code: CodePort | None = None
    clock: Clock | None = None
    cache: CachePort | None = None
    secrets: Mapping[str, str] | None = None
    """``{{ secrets.NAME }}``; values are redacted from every event, log record and error."""
