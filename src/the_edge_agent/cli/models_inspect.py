"""``tea models inspect | plan``: what a model's header says of it, and the memory it would need."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any, cast

from the_edge_agent.cli.console import Console
from the_edge_agent.cli.model_places import http_options, model_query
from the_edge_agent.cli.text import format_bytes
from the_edge_agent.errors import ModelNotFound, UsageError
from the_edge_agent.settings import Environment, load_settings
from the_edge_agent.store.locate import LocatedModel, locate_named

if TYPE_CHECKING:
    from the_edge_agent.gguf import GgufHeader

_LARGEST_DEFAULT_N_CTX = 8192
_LONGEST_SHOWN = 60


def inspect_model(args: argparse.Namespace, console: Console) -> int:
    """``tea models inspect``."""
    environment = load_settings()
    if args.remote:
        place, header = _remote(args.model, environment)
    else:
        found = _here(args.model, environment)
        place, header = str(found.path), found.header
    facts = header_facts(place, header, tensors=args.tensors)
    if args.json:
        console.json(facts)
        return 0
    rows = [(key, _short(value)) for key, value in facts.items() if key not in ("metadata", "tensors")]
    rows += [(key, _short(value)) for key, value in facts["metadata"].items()]
    console.table(("KEY", "VALUE"), rows)
    if args.tensors:
        console.out()
        console.table(
            ("TENSOR", "SHAPE", "TYPE", "OFFSET", "BYTES"),
            [
                (
                    t["name"],
                    "x".join(map(str, t["dimensions"])),
                    t["type"],
                    str(t["offset"]),
                    str(t["size_bytes"]),
                )
                for t in facts["tensors"]
            ],
        )
    return 0


def plan_model(args: argparse.Namespace, console: Console) -> int:
    """``tea models plan``: exit code 1 where it doesn't fit."""
    from the_edge_agent.store.memory_plan import available_memory_bytes, plan_memory

    environment = load_settings()
    weights: int | None = None
    if args.remote:
        name, header = _remote(args.model, environment)
    else:
        found = _here(args.model, environment)
        name, header, weights = found.name, found.header, _weights_of_all_shards(found)
    n_ctx = args.n_ctx or min(header.context_length or _LARGEST_DEFAULT_N_CTX, _LARGEST_DEFAULT_N_CTX)
    plan = plan_memory(header, n_ctx, available_memory_bytes(), weights_bytes=weights)
    if args.json:
        console.json(
            {
                "model": name,
                "n_ctx": plan.n_ctx,
                "trained_n_ctx": plan.trained_n_ctx,
                "weights_bytes": plan.weights_bytes,
                "kv_bytes": plan.kv_bytes,
                "compute_bytes": plan.compute_bytes,
                "total_bytes": plan.total_bytes,
                "available_bytes": plan.available_bytes,
                "fits": plan.fits,
                "largest_n_ctx": plan.largest_n_ctx,
            }
        )
        return 0 if plan.fits else 1
    console.table(
        ("PART", "SIZE"),
        [
            ("weights", format_bytes(plan.weights_bytes)),
            (f"KV cache at {plan.n_ctx} tokens", format_bytes(plan.kv_bytes)),
            ("compute (estimate)", format_bytes(plan.compute_bytes)),
            ("total", format_bytes(plan.total_bytes)),
            ("this machine has", format_bytes(plan.available_bytes)),
        ],
    )
    if plan.fits:
        verdict = f"It fits; up to {plan.largest_n_ctx} tokens of context would."
    elif plan.largest_n_ctx:
        verdict = f"It doesn't fit; with --n-ctx {plan.largest_n_ctx} it would."
    else:
        verdict = "It doesn't fit at any context length; take a smaller model or quantization."
    console.err(verdict)
    if plan.trained_n_ctx and plan.n_ctx > plan.trained_n_ctx:
        console.err(f"The model was trained for {plan.trained_n_ctx} tokens.")
    return 0 if plan.fits else 1


def header_facts(place: str, header: GgufHeader, *, tensors: bool) -> dict[str, Any]:
    """What ``inspect --json`` prints."""
    from the_edge_agent.gguf import SkippedValue

    def plain(value: object) -> object:
        if isinstance(value, SkippedValue):
            return {"type": value.type.name.lower(), "count": value.count, "size_bytes": value.size_bytes}
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)  # JSON has no word for it
        if isinstance(value, tuple):
            return [plain(entry) for entry in cast("tuple[object, ...]", value)]
        return value

    facts: dict[str, Any] = {
        "path": place,
        "name": header.name,
        "architecture": header.architecture,
        "family": header.family,
        "quantization": header.quantization,
        "parameters": header.parameters,
        "context_length": header.context_length,
        "vocabulary_size": header.vocabulary_size,
        "license": header.license,
        "size_bytes": header.size_bytes,
        "weights_bytes": header.weights_bytes,
        "tensor_count": len(header.tensors),
        "has_chat_template": bool(header.chat_template),
        "split_count": header.split_count,
        "gguf_version": header.version,
        "metadata": {key: plain(value) for key, value in header.metadata.items()},
    }
    if tensors:
        facts["tensors"] = [
            {
                "name": tensor.name,
                "dimensions": list(tensor.dimensions),
                "type": tensor.type,
                "offset": tensor.offset,
                "size_bytes": tensor.size_bytes,
            }
            for tensor in header.tensors
        ]
    return facts


def _here(text: str, environment: Environment) -> LocatedModel:
    try:
        return locate_named(text, model_query(environment), rule="MODEL")
    except ModelNotFound as error:
        if "tea models pull" in error.fix:
            error.fix += "; --remote reads its header alone"
        raise


def _remote(text: str, environment: Environment) -> tuple[str, GgufHeader]:
    from the_edge_agent.store.catalogue import find_entry
    from the_edge_agent.store.hub import file_url, load_listing
    from the_edge_agent.store.refs import HubRef, NameRef, UrlRef, parse_ref
    from the_edge_agent.store.remote_header import read_remote_header
    from the_edge_agent.store.shards import choose_files

    http, endpoint = http_options(environment), environment.hf_endpoint
    ref = parse_ref(text)
    entry = find_entry(ref.name) if isinstance(ref, NameRef) else None
    if entry is not None and not entry.embedded:
        ref = entry.ref()
    if isinstance(ref, HubRef):
        file = ref.file
        if not file:
            names = load_listing(endpoint, ref.repo, ref.revision, http).files
            file = choose_files(names, ref.quantization, place=str(ref))[0]
        url = file_url(endpoint, ref.repo, ref.revision, file)
    elif isinstance(ref, UrlRef):
        url = ref.url
    else:
        raise UsageError(f"{text!r} is on no server", fix="leave out --remote")
    return text, read_remote_header(url, http)


def _weights_of_all_shards(found: LocatedModel) -> int:
    from the_edge_agent.gguf import read_header

    rest = found.shards[1:]
    return found.header.weights_bytes + sum(read_header(shard).weights_bytes for shard in rest)


def _short(value: object) -> str:
    if isinstance(value, dict):
        return f"{value.get('count')} x {value.get('type')}"  # pyright: ignore[reportUnknownMemberType]
    text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}… ({len(text)} characters)"
