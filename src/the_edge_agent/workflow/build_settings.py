"""``settings``, ``config`` and ``retry`` as frozen values. Knows nothing of nodes but their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from the_edge_agent.workflow.document import Array, Value
from the_edge_agent.workflow.near import did_you_mean
from the_edge_agent.workflow.nodes import (
    ApiSettings,
    Config,
    LlmSettings,
    Node,
    Permissions,
    Retry,
    Settings,
)
from the_edge_agent.workflow.reading import Reader, Record

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")


def build_settings(reader: Reader, record: Record) -> Settings:
    """The ``settings`` of a file, the defaults where it has none."""
    value = record.get("settings")
    settings = None if value is None else reader.record(value, "settings")
    if settings is None:
        return Settings()
    parallel = _inner(reader, settings, "parallel")
    handling = _inner(reader, settings, "error_handling")
    checkpoint = _inner(reader, settings, "checkpoint")
    defaults = Settings()
    return Settings(
        llm=_llm(reader, settings),
        max_steps=settings.get("max_steps", defaults.max_steps),
        max_concurrency=_of(parallel, "max_concurrency", defaults.max_concurrency),
        fail_fast=_of(parallel, "fail_fast", defaults.fail_fast),
        permissions=_permissions(_inner(reader, settings, "permissions")),
        on_error=_of(handling, "on_error", defaults.on_error),
        retry=build_retry(reader, handling.get("retry")) if handling is not None else Retry(),
        checkpoint_sync=_of(checkpoint, "sync", defaults.checkpoint_sync),
    )


def _inner(reader: Reader, record: Record, key: str) -> Record | None:
    value = record.get(key)
    return None if value is None else reader.record(value, key)


def _of(record: Record | None, key: str, default: Any) -> Any:
    return default if record is None else record.get(key, default)


def _llm(reader: Reader, settings: Record) -> LlmSettings:
    record = _inner(reader, settings, "llm")
    if record is None:
        return LlmSettings()
    api = _inner(reader, record, "api")
    if api is not None:
        url = api.get("base_url", "")
        if url and not url.startswith(("http://", "https://")):
            reader.refusals.add(
                api.at("base_url"), f"'base_url' is {url[:60]!r}", "begin it with https:// or http://"
            )
        if api.get("key_env") and not _VARIABLE.match(api.get("key_env")):
            reader.refusals.add(
                api.at("key_env"),
                "'key_env' is no variable's name",
                "name an environment variable; the key itself never stands in the file",
            )
    return LlmSettings(
        backend=record.get("backend"),
        model=record.get("model"),
        model_path=record.get("model_path"),
        n_ctx=record.get("n_ctx"),
        n_threads=record.get("n_threads"),
        n_gpu_layers=record.get("n_gpu_layers"),
        chat_format=record.get("chat_format"),
        deterministic=record.get("deterministic"),
        kv_type=record.get("kv_type"),
        flash_attention=record.get("flash_attention"),
        use_mmap=record.get("use_mmap"),
        repack=record.get("repack"),
        draft_tokens=record.get("draft_tokens"),
        draft_model=record.get("draft_model"),
        projector=record.get("projector"),
        lora=_lora(reader, record),
        api=ApiSettings(_of(api, "base_url", ""), _of(api, "model", ""), _of(api, "key_env", "")),
        fallback=record.get("fallback", "error"),
    )


def _lora(reader: Reader, record: Record) -> tuple[tuple[str, float], ...]:
    given: Array | None = record.get("lora")
    adapters = [] if given is None else [reader.record(entry, "lora") for entry in given.entries]
    return tuple(
        (adapter.get("path"), float(adapter.get("scale", 1.0)))
        for adapter in adapters
        if adapter is not None and adapter.has("path")
    )


def _permissions(record: Record | None) -> Permissions:
    defaults = Permissions()
    if record is None:
        return defaults
    return Permissions(
        net=frozenset(record.get("net", ())),
        files=tuple(record.get("files", defaults.files)),
        code=record.get("code", False),
        tools=frozenset(record.get("tools", ())),
    )


def build_retry(reader: Reader, value: Value | None) -> Retry:
    """A ``retry`` object."""
    record = None if value is None else reader.record(value, "retry")
    if record is None:
        return Retry()
    defaults = Retry()
    return Retry(
        max_attempts=record.get("max_attempts", defaults.max_attempts),
        backoff_s=float(record.get("backoff_s", defaults.backoff_s)),
        max_backoff_s=float(record.get("max_backoff_s", defaults.max_backoff_s)),
        on=record.get("on", ()),
    )


def build_config(reader: Reader, record: Record, nodes: Sequence[Node]) -> Config:
    """The ``config`` of a file; its interrupts name nodes that exist."""
    value = record.get("config")
    config = None if value is None else reader.record(value, "config")
    if config is None:
        return Config()
    names = {node.name for node in nodes}
    for key in ("interrupt_before", "interrupt_after"):
        if not config.has(key):
            continue
        value = config.at(key)
        for name, entry in zip(
            config.get(key, ()), value.entries if isinstance(value, Array) else [value], strict=False
        ):
            if name not in names:
                reader.refusals.add(entry, f"there is no node {name[:60]!r}", did_you_mean(name, names))
    return Config(
        raise_exceptions=config.get("raise_exceptions", False),
        interrupt_before=frozenset(config.get("interrupt_before", ())),
        interrupt_after=frozenset(config.get("interrupt_after", ())),
    )
