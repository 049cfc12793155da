"""What a model's file and its neighbours on disk try: to say how they are run. Nobody asks them."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest
from tests.llama.conftest import TINY

from the_edge_agent.backends.local import LocalBackend, LocalOptions
from the_edge_agent.errors import GgufInvalid, UsageError
from the_edge_agent.inference import ChatRequest, Message, SamplingParams, collect

HEADER = struct.Struct("<4sIQQ")
STRING = 8
ALIGNMENT = 32
WISHES = {
    "general.sampling.temp": "5.0",
    "general.sampling.seed": "1",
    "general.n_gpu_layers": "99",
    "llama_server.args": "--no-mmap -ngl 99 --host 0.0.0.0",
    "tea.options": "n_ctx=1000000",
}


def with_texts(data: bytes, texts: dict[str, str]) -> bytes:
    """The GGUF with more keys in front; padded so that its tensors stay where they are."""
    magic, version, n_tensors, n_keys = HEADER.unpack_from(data)
    added = b"".join(_key(name) + _text(value) for name, value in texts.items())
    rest = -(len(added) + len(_key("x.padding")) + 8) % ALIGNMENT
    added += _key("x.padding") + _text(" " * rest)
    header = HEADER.pack(magic, version, n_tensors, n_keys + len(texts) + 1)
    return header + added + data[HEADER.size :]


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def _key(name: str) -> bytes:
    return _text(name) + struct.pack("<I", STRING)


def answer(path: Path) -> tuple[object, str]:
    backend = LocalBackend.load(path, LocalOptions())
    request = ChatRequest((Message("user", "Who are you?"),), SamplingParams(max_tokens=30))
    text = asyncio.run(collect(backend.chat(request))).text
    backend.close()
    return (backend.plan.model, backend.plan.context, backend.plan.n_ctx), text


def test_a_models_file_and_its_neighbours_set_no_flags(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(with_texts(TINY.read_bytes(), WISHES))
    for name in (
        "params.json",
        "config.json",
        "generation_config.json",
        "preset.ini",
        "settings.yaml",
        "mmproj.gguf",
    ):
        (tmp_path / name).write_text(
            '{"n_gpu_layers": 99, "temperature": 5.0, "command": ["touch", "pwned"]}'
        )
    assert answer(path) == answer(TINY)
    assert not (tmp_path / "pwned").exists()


def test_a_context_that_the_file_claims_is_never_allocated_unasked(tmp_path):
    data = TINY.read_bytes()
    name = b".context_length"
    place = data.index(name) + len(name)
    (kind,) = struct.unpack_from("<I", data, place)
    assert kind == 4  # u32
    path = tmp_path / "huge.gguf"
    path.write_bytes(data[: place + 4] + struct.pack("<I", 2**31 - 1) + data[place + 8 :])
    backend = LocalBackend.load(path, LocalOptions())
    assert backend.plan.n_ctx <= 8192
    backend.close()


@pytest.mark.parametrize(
    "options",
    [
        {"n_ctx": 2**40},
        {"n_ctx": float("nan")},
        {"n_threads": -1},
        {"n_threads": 10**6},
        {"n_batch": -5},
        {"n_gpu_layers": -2},
        {"n_gpu_layers": 10**9},
        {"prefill_share": float("nan")},
        {"draft_tokens": -1},
        {"cache_cells": -1},
    ],
)
def test_values_that_make_no_sense_never_reach_native_code(options):
    with pytest.raises(UsageError):
        LocalBackend.load(TINY, LocalOptions(**options))


def test_a_file_that_lies_about_itself_never_reaches_native_code(tmp_path):
    data = TINY.read_bytes()
    for number, claim in enumerate((2**63, 2**32, 10**6)):
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(data[:8] + struct.pack("<Q", claim) + data[16:])
        with pytest.raises(GgufInvalid):
            LocalBackend.load(path, LocalOptions())
