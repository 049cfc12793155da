"""The daemon's configuration: one YAML file as frozen values, with a published JSON Schema and one error a mistake.

The dataclasses below are the only list of keys; parsing (``keys``), defaults, the schema and the docs' reference come from
them. Keys that are secret are named by environment variable, never written here. This module knows nothing of where the file
lies or of when it is read again.
"""

# ruff: noqa: RUF009 - key() makes a field, as dataclasses.field does
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from the_edge_agent.errors import ConfigInvalid, Problem
from the_edge_agent.inference import Level
from the_edge_agent.runtime.keys import key, read_section, schema_of_section

MAX_FILE_BYTES = 1_000_000
#: Keys of a model that only our own kind of worker takes.
LOCAL_ONLY = ("projector", "draft_tokens", "draft_model", "lora", "chat_format", "kv_type", "flash_attention")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model that the daemon may load."""

    path: str = key("GGUF file, or a name that the model store knows; ~ and a relative path are allowed", "")
    level: Level = key("What it answers: operational (always loaded), tactical (on demand)", "tactical")
    pinned: bool = key("Never evicted or unloaded while idle; operational models always are", False)
    preload: bool = key("Load at start; operational models always are", False)
    worker: Literal["local", "llama-server"] = key("Which kind of worker runs it", "local")
    n_ctx: int | None = key("Context in tokens; null takes what fits", None, low=32, high=10_000_000)
    n_threads: int | None = key("Threads; null takes the measured default", None, low=1, high=1024)
    n_gpu_layers: int = key("Layers on the GPU: 0 none, -1 all", 0, low=-1, high=10_000)
    parallel: int = key("Answers at a time", 8, low=1, high=512)
    chat_format: str = key("Name of a chat template, instead of the model's own", "")
    kv_type: Literal["f32", "f16", "q8_0", "q4_0"] | None = key(
        "How the KV cache is stored; null is f16", None
    )
    flash_attention: bool | None = key(
        "Whether attention is computed in blocks; null is the library's choice", None
    )
    projector: str = key("The model's mmproj GGUF: with it, the model reads images", "")
    draft_tokens: int = key("Tokens to guess ahead; the text stays the same", 0, low=0, high=15)
    draft_model: str = key("A smaller GGUF of the same vocabulary that guesses ahead", "")
    lora: Mapping[str, float] = key(
        "LoRA adapters' GGUF files, each with its strength (1 is as trained)", dict
    )
    keep_alive_s: float | None = key(
        "Idle seconds until it is unloaded; null keeps it", 300.0, low=0, high=1e9
    )
    size_bytes: int | None = key(
        "Memory it will take, before that was measured; null estimates", None, low=0, high=2**60
    )


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """Where one protocol listens."""

    enabled: bool = key("Whether it listens at all", True)
    host: str = key("Address; one that others can reach needs an API key", "127.0.0.1")
    port: int = key("TCP port; 0 chooses a free one", 0, low=0, high=65535)


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """What is refused."""

    memory_bytes: int | None = key(
        "What all workers may hold together; null is 80 % of this machine's", None, low=1
    )
    queue_size: int = key("Requests that may wait; the next one gets 429", 512, low=1, high=1_000_000)
    body_bytes: int = key("Largest request body", 16_000_000, low=1000, high=2**31)
    json_depth: int = key("Deepest nesting of a request", 64, low=4, high=500)
    schema_bytes: int = key("Largest JSON Schema of a request or a tool", 256_000, low=100)
    header_timeout_s: float = key("Seconds to send the headers and the body", 30.0, low=0.1, high=3600)
    connections: int = key("Open connections; more get 503", 1024, low=1, high=1_000_000)
    deadline_s: float = key(
        "Seconds for a whole answer, if the request gives none", 600.0, low=0.1, high=86_400
    )


@dataclass(frozen=True, slots=True)
class WorkersConfig:
    """How worker processes are watched."""

    load_timeout_s: float = key("Seconds from start to the first sign of health", 30.0, low=0.1, high=3600)
    ping_s: float = key("Seconds between pings", 10.0, low=0.02, high=3600)
    ping_timeout_s: float = key(
        "Seconds until a worker that doesn't answer counts as hung", 10.0, low=0.02, high=3600
    )
    stall_s: float = key(
        "Seconds without any progress of a running answer until its worker counts as hung", 300.0, low=0.1
    )
    drain_s: float = key(
        "Seconds that running answers get when their model is unloaded", 5.0, low=0, high=3600
    )
    kill_s: float = key("Seconds from SIGTERM to SIGKILL", 5.0, low=0.05, high=600)
    crash_limit: int = key("Crashes inside crash_window_s that make a model failed", 5, low=1, high=1_000_000)
    crash_window_s: float = key("See crash_limit", 60.0, low=0.1)
    backoff_s: float = key("Pause before the second restart; doubles with each crash", 1.0, low=0, high=3600)
    failed_retry_s: float = key("Seconds until a failed model may be tried again", 600.0, low=0)
    patience_s: float = key(
        "Seconds a request waits for a busy model before that takes no younger requests", 2.0, low=0
    )
    standby: bool = key(
        "Keep one process without a model, so that a lost worker is replaced sooner (some 50 MB)", True
    )
    llama_server: str = key("The llama-server binary, for models with that kind of worker", "llama-server")


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """An OpenAI-compatible API that answers strategic requests."""

    base_url: str = key("For instance https://api.example.com/v1")
    model: str = key("The model to ask for")
    api_key_env: str = key("Name of the environment variable that holds the key", "")
    timeout_s: float = key("Seconds for a whole answer", 120.0, low=0.1, high=3600)
    usd_per_million_prompt: float = key("Price of a million prompt tokens", 0.0, low=0)
    usd_per_million_completion: float = key("Price of a million answer tokens", 0.0, low=0)


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """What may leave the machine, and for how much."""

    providers: Mapping[str, ProviderConfig] = key(
        "Providers by name; the first is asked first, the next if it fails", dict
    )
    budget_usd: float | None = key("What may be spent a month; null is no bound", None, low=0)
    budget_tokens: int | None = key("Tokens that may be used a month; null is no bound", None, low=0)


@dataclass(frozen=True, slots=True)
class BootConfig:
    """The question that the first operational model must answer before the daemon is ready."""

    enabled: bool = key("Ask it at all", True)
    prompt: str = key("What is asked", "Respond with OK if you are working.")
    expected: str = key("What the answer must contain (letter case doesn't matter)", "OK")
    tries: int = key("How often it is asked before the daemon gives up", 3, low=1, high=100)


@dataclass(frozen=True, slots=True)
class TelemetryConfig:
    """OpenTelemetry spans of answers: figures, never a prompt or an answer."""

    otlp_endpoint: str = key(
        "OTLP/HTTP collector, for instance http://127.0.0.1:4318; empty sends nothing", ""
    )
    headers_env: str = key("Name of the environment variable with headers, as name=value,name=value", "")
    service_name: str = key("What the collector is to call this daemon", "the-edge-agent")


@dataclass(frozen=True, slots=True)
class RuntimeConfig:
    """The whole file. Without one: the embedded model, operational, on loopback."""

    models: Mapping[str, ModelConfig] = key("Models by name, in order of preference inside a level", dict)
    model_dirs: tuple[str, ...] = key("Folders whose GGUF files LoadModel may name by path", ())
    http: ListenConfig = key("The HTTP APIs", lambda: ListenConfig(port=11435))
    grpc: ListenConfig = key("The gRPC APIs", lambda: ListenConfig(port=50051))
    socket: str = key("Unix socket of the HTTP APIs; empty is $TEA_RUNTIME_SOCKET or its default", "")
    api_key_env: str = key(
        "Name of the environment variable with the keys that clients must show, comma-separated", ""
    )
    allowed_hosts: tuple[str, ...] = key(
        "Names in Host headers that are accepted beside loopback and the bind address", ()
    )
    allowed_origins: tuple[str, ...] = key("Origins of web pages that may call; never *", ())
    agents: Mapping[str, str] = key("Workflow files by name, offered under /v1/agents", dict)
    shutdown_s: float = key(
        "Seconds that running answers get when the daemon is stopped", 30.0, low=0, high=3600
    )
    offline: bool = key("Workers get no network at all", False)
    limits: LimitsConfig = key("What is refused", LimitsConfig)
    workers: WorkersConfig = key("How worker processes are watched", WorkersConfig)
    gateway: GatewayConfig = key("What may leave the machine", GatewayConfig)
    boot: BootConfig = key("The boot check", BootConfig)
    telemetry: TelemetryConfig = key("Spans for OpenTelemetry", TelemetryConfig)


def parse_config(text: str, *, place: str = "runtime.yaml") -> RuntimeConfig:
    """The file's text as values.

    Raises:
        ConfigInvalid: with every problem, each with its key's path.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_FILE_BYTES:
        raise ConfigInvalid((Problem(f"larger than {MAX_FILE_BYTES} bytes", place),))
    import yaml

    try:
        tokens = cast("Iterator[object]", yaml.scan(text))  # pyright: ignore[reportUnknownMemberType]
        if any(isinstance(token, yaml.AliasToken) for token in tokens):
            raise ConfigInvalid((Problem("aliases are not allowed", place, "write the value out"),))
        twice = list(_keys_given_twice(cast("object", yaml.compose(text, yaml.SafeLoader))))  # pyright: ignore[reportUnknownMemberType]
        if twice:
            raise ConfigInvalid(
                tuple(
                    Problem(f"the key {name!r:.80} is given twice", f"{place}:{line}") for name, line in twice
                )
            )
        tree: Any = yaml.safe_load(text)
    except (
        yaml.YAMLError,
        RecursionError,
        ValueError,
    ) as error:  # ValueError: a date or a number that is none
        raise ConfigInvalid((Problem(f"not YAML: {' '.join(str(error).split())}", place),)) from None
    return config_from(tree if tree is not None else {}, place=place)


def _keys_given_twice(root: object) -> Iterator[tuple[str, int]]:
    """Each with its line; YAML's own reader takes the last one and says nothing."""
    from yaml import MappingNode, ScalarNode, SequenceNode

    rest: list[Any] = [root]
    while rest:
        node = rest.pop()
        if isinstance(node, MappingNode):
            pairs: list[tuple[Any, Any]] = node.value
            seen: set[str] = set()
            for name, value in pairs:
                if isinstance(name, ScalarNode):
                    if name.value in seen:
                        yield name.value, name.start_mark.line + 1
                    seen.add(name.value)
                rest.append(value)
        elif isinstance(node, SequenceNode):
            rest += node.value


def config_from(tree: object, *, place: str = "runtime.yaml") -> RuntimeConfig:
    """A parsed tree as values. Raises ConfigInvalid."""
    problems: list[Problem] = []
    config = read_section(RuntimeConfig, tree, "", problems)
    if config is not None and not problems:
        problems += _contradictions(config)
    if problems or config is None:
        raise ConfigInvalid(
            tuple(Problem(p.what, f"{place}: {p.place}" if p.place else place, p.fix) for p in problems)
        )
    return config


def load_config(path: Path) -> RuntimeConfig:
    """Read and parse the file. Raises ConfigInvalid."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigInvalid((Problem(f"can't be read: {reason}", str(path)),)) from None
    return parse_config(text, place=str(path))


def config_schema() -> dict[str, Any]:
    """The JSON Schema of the file (draft 2020-12)."""
    schema = schema_of_section(RuntimeConfig)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The Edge Agent: runtime daemon",
        **schema,
    }


def _contradictions(config: RuntimeConfig) -> list[Problem]:
    problems = [
        Problem(
            f"{name!r} is no model's name", f"models.{name}", "use letters, digits and . _ : - (64 at most)"
        )
        for name in config.models
        if not is_model_name(name)
    ]
    if "*" in config.allowed_origins:
        problems.append(Problem("'*' would let every web page call", "allowed_origins", "name the origins"))
    problems += [
        Problem(
            "a model that runs here can't be strategic",
            f"models.{name}.level",
            "add it under gateway.providers",
        )
        for name, model in config.models.items()
        if model.level == "strategic"
    ]
    problems += [
        Problem("a llama-server worker doesn't take it", f"models.{name}.{option}", "use worker: local")
        for name, model in config.models.items()
        if model.worker == "llama-server"
        for option in LOCAL_ONLY
        if getattr(model, option) != getattr(ModelConfig(), option)
    ]
    problems += [
        Problem("a provider must be asked over http or https", f"gateway.providers.{name}.base_url")
        for name, provider in config.gateway.providers.items()
        if not provider.base_url.startswith(("https://", "http://"))
    ]
    if config.telemetry.otlp_endpoint and not config.telemetry.otlp_endpoint.startswith(
        ("https://", "http://")
    ):
        problems.append(Problem("a collector is told over http or https", "telemetry.otlp_endpoint"))
    problems += [
        Problem("the name is taken by a model", f"gateway.providers.{name}", "rename one of them")
        for name in config.gateway.providers
        if name in config.models
    ]
    return problems


def is_model_name(name: str) -> bool:
    """Whether a model may be called so: no path, no option, nothing a shell or a log would trip over."""
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-")
    return 0 < len(name) <= 64 and set(name) <= allowed and name[0].isalnum() and ".." not in name
