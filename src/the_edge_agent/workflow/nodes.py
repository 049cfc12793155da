"""A workflow as frozen data: what a YAML file means once every name is known to exist.

These values hold no behaviour. They know nothing of YAML, of running, or of what an action does; ``load`` makes them
and ``engine`` reads them. Every templated value is a ``Template`` tree, every condition an ``Expression`` (see
``template``), parsed at load and compiled at first use.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from the_edge_agent.inference import JsonObject, JsonValue

if TYPE_CHECKING:
    from the_edge_agent.workflow.input_schema import Field
    from the_edge_agent.workflow.signatures import Signatures
    from the_edge_agent.workflow.template import Expression
    from the_edge_agent.workflow.tree import Tree

START = "__start__"
END = "__end__"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: ``file:line:column``, counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Jump:
    """One entry of a node's goto. ``condition`` None always matches."""

    to: str
    condition: Expression | None
    place: Place


@dataclass(frozen=True, slots=True)
class Edge:
    """An entry of the top-level ``edges``. ``parallel`` edges start all of ``to`` at once and meet at ``fan_in``."""

    from_: str
    to: tuple[str, ...]
    condition: Expression | None
    parallel: bool
    fan_in: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again: waits ``backoff_s`` doubled each time up to ``max_backoff_s``; ``on`` empty means every error."""

    max_attempts: int = 1
    backoff_s: float = 1.0
    max_backoff_s: float = 60.0
    on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OnError:
    """What a failed node does instead of failing the run: jump, or take ``fallback`` as its result."""

    goto: str | None = None
    fallback: Tree | None = None


@dataclass(frozen=True, slots=True)
class ActionCall:
    """``uses: ACTION`` with templated parameters (a mapping tree)."""

    uses: str
    params: Tree


@dataclass(frozen=True, slots=True)
class Steps:
    """``steps:`` nodes in order inside a node, without navigation."""

    steps: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class InlineCode:
    """``run: |`` Python. Loading refuses it unless the caller allowed code."""

    source: str


@dataclass(frozen=True, slots=True)
class ExpressionBody:
    """``run: {type: expression, value, output_key}``."""

    value: Expression
    output_key: str


@dataclass(frozen=True, slots=True)
class WhileLoop:
    """Runs ``body`` while ``condition`` holds, at most ``max_iterations`` (1-1000) times."""

    condition: Expression
    max_iterations: int
    body: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class DynamicParallel:
    """Runs ``body`` once for each of ``items``, at most ``max_concurrency`` at once (0: all)."""

    items: Expression
    item_var: str
    index_var: str
    max_concurrency: int
    fail_fast: bool
    body: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Subgraph:
    """Another workflow, loaded with this one; ``input`` is a mapping tree."""

    workflow: Workflow
    input: Tree


@dataclass(frozen=True, slots=True)
class Empty:
    """A node that only routes."""


Body: TypeAlias = (
    ActionCall | Steps | InlineCode | ExpressionBody | WhileLoop | DynamicParallel | Subgraph | Empty
)


@dataclass(frozen=True, slots=True)
class Node:
    """One node. ``output`` names the state key its result goes to; ``outputs`` maps keys to trees over ``result``."""

    name: str
    place: Place
    body: Body
    output: str | None = None
    outputs: Mapping[str, Tree] = field(default_factory=dict[str, "Tree"])
    when: Expression | None = None
    goto: tuple[Jump, ...] = ()
    fan_in: bool = False
    retry: Retry = field(default_factory=Retry)
    timeout_s: float | None = None
    on_error: OnError | None = None
    cache_ttl_s: float | None = None
    stream: bool = False


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """A remote API the file names; the key itself never stands in the file, only its variable's name."""

    base_url: str = ""
    model: str = ""
    key_env: str = ""


@dataclass(frozen=True, slots=True)
class LlmSettings:
    """settings.llm. None means "not said": the caller's flags, the environment or the defaults decide."""

    backend: Literal["local", "runtime", "api", "auto"] | None = None
    model: str | None = None
    model_path: str | None = None
    n_ctx: int | None = None
    n_threads: int | None = None
    n_gpu_layers: int | None = None
    chat_format: str | None = None
    deterministic: bool | None = None
    kv_type: Literal["f32", "f16", "q8_0", "q4_0"] | None = None
    flash_attention: bool | None = None
    use_mmap: bool | None = None
    repack: bool | None = None
    draft_tokens: int | None = None
    draft_model: str | None = None
    projector: str | None = None
    lora: tuple[tuple[str, float], ...] = ()
    """Adapters' files, each with its strength."""
    api: ApiSettings = field(default_factory=ApiSettings)
    fallback: Literal["api", "error"] = "error"


@dataclass(frozen=True, slots=True)
class Permissions:
    """What actions may do. The file's and the caller's are intersected; see ``intersect``.

    net: host names (``*`` any); files: folders, relative ones to the run's folder; tools: MCP and workflow tool names.
    """

    net: frozenset[str] = frozenset()
    files: tuple[str, ...] = (".",)
    code: bool = False
    tools: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Settings:
    """The ``settings`` key."""

    llm: LlmSettings = field(default_factory=LlmSettings)
    max_steps: int = 1000
    max_concurrency: int = 0
    fail_fast: bool = True
    permissions: Permissions = field(default_factory=Permissions)
    on_error: Literal["fail", "continue"] = "fail"
    retry: Retry = field(default_factory=Retry)
    checkpoint_sync: Literal["normal", "full"] = "normal"


@dataclass(frozen=True, slots=True)
class Config:
    """The ``config`` key. Interrupts name nodes."""

    raise_exceptions: bool = False
    interrupt_before: frozenset[str] = frozenset()
    interrupt_after: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Workflow:
    """A loaded file. ``text`` is its source, ``digest`` the sha256 of it and of every file it imports."""

    name: str
    description: str
    version: str
    file: str
    text: str
    digest: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    variables: JsonObject = field(default_factory=dict[str, JsonValue])
    initial_state: JsonObject = field(default_factory=dict[str, JsonValue])
    input_schema: Mapping[str, Field] = field(default_factory=dict[str, "Field"])
    state_schema: Mapping[str, Field] = field(default_factory=dict[str, "Field"])
    output_schema: Mapping[str, Field] = field(default_factory=dict[str, "Field"])
    reducers: Mapping[str, str] = field(default_factory=dict[str, str])
    settings: Settings = field(default_factory=Settings)
    config: Config = field(default_factory=Config)

    @classmethod
    def parse(
        cls, text: str, *, file: str = "<text>", actions: Signatures | None = None, allow_code: bool = False
    ) -> Workflow:
        """The workflow of a YAML text. Raises WorkflowInvalid with every problem found."""
        from the_edge_agent.workflow.builtin_actions import BUILTIN
        from the_edge_agent.workflow.load import parse_workflow

        return parse_workflow(
            text, file=file, actions=BUILTIN if actions is None else actions, allow_code=allow_code
        )

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, actions: Signatures | None = None, allow_code: bool = False
    ) -> Workflow:
        """The workflow of a YAML file and of those it imports. Raises WorkflowInvalid with every problem found."""
        from the_edge_agent.workflow.builtin_actions import BUILTIN
        from the_edge_agent.workflow.load import load_workflow

        return load_workflow(path, actions=BUILTIN if actions is None else actions, allow_code=allow_code)
