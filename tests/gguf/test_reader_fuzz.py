"""Mutated headers never crash, hang or fill the memory: each is read or refused. ROUNDS sets how many are tried."""

from __future__ import annotations

import random
import resource
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.rounds import rounds

from the_edge_agent.errors import GgufInvalid
from the_edge_agent.gguf import parse_header_bytes
from the_edge_agent.gguf.types import ValueType
from the_edge_agent.testing.gguf_file import DEFAULT_METADATA, FakeGguf, FakeTensor

ROUNDS = rounds(2_000, 20_000, 200_000)

SEED_FILE = FakeGguf(
    metadata={
        **DEFAULT_METADATA,
        "general.alignment": (ValueType.UINT32, 64),
        "tokenizer.chat_template": (ValueType.STRING, "{{ messages }}"),
        "tokenizer.ggml.tokens": (ValueType.ARRAY, (ValueType.STRING, [f"t{n}" for n in range(150)])),
        "tokenizer.ggml.scores": (ValueType.ARRAY, (ValueType.FLOAT32, [0.0] * 150)),
        "llama.rope": (ValueType.ARRAY, (ValueType.UINT64, [1, 2, 3])),
        "llama.flag": (ValueType.BOOL, 1),
    },
    tensors=(
        FakeTensor("a.weight", (64, 2, 2), type=8),
        FakeTensor("b.weight", (256, 2), type=12),
        FakeTensor("c"),
    ),
    alignment=64,
).build()
#: Numbers at which readers break.
EDGES = [
    0,
    1,
    2,
    7,
    8,
    9,
    13,
    31,
    63,
    64,
    2**16,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**61,
    2**63 - 1,
    2**63,
    2**64 - 1,
]


def mutate(data: bytes, chance: random.Random) -> bytes:
    mutated = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(mutated))
        kind = chance.randrange(6)
        if kind == 0:
            mutated[at] = chance.randrange(256)
        elif kind == 1:
            mutated[at : at + 8] = chance.choice(EDGES).to_bytes(8, "little")
        elif kind == 2:
            mutated[at : at + 4] = (chance.choice(EDGES) & 0xFFFFFFFF).to_bytes(4, "little")
        elif kind == 3:
            del mutated[at : at + chance.randrange(1, 40)]
        elif kind == 4:
            mutated[at:at] = chance.randbytes(chance.randrange(1, 40))
        else:
            mutated[at] ^= 1 << chance.randrange(8)
        if not mutated:
            return b""
    return bytes(mutated[: chance.randrange(len(mutated))] if chance.random() < 0.1 else mutated)


def read_or_refuse(data: bytes) -> bool:
    """Whether it was read; anything but a header or GgufInvalid fails the test."""
    try:
        header = parse_header_bytes(data)
    except GgufInvalid as error:
        assert 0 <= error.offset <= len(data)  # noqa: PT017 - either outcome is right, a third is not
        return False
    for tensor in header.tensors:
        assert header.data_offset <= tensor.offset
        assert tensor.offset + tensor.size_bytes <= len(data)
    assert isinstance(header.quantization, str)
    assert isinstance(header.context_length, int)
    return True


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_mutated_headers_are_read_or_refused_within_64_megabytes():
    chance = random.Random(20_26)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    try:
        read = sum(read_or_refuse(mutate(SEED_FILE, chance)) for _ in range(min(ROUNDS, 2000)))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    read += sum(read_or_refuse(mutate(SEED_FILE, chance)) for _ in range(max(ROUNDS - 2000, 0)))
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert 0 < read < ROUNDS  # the mutations neither all hit nor all miss
    assert peak_bytes < 64 << 20
    assert grown_kib < 64 << 10


@pytest.mark.long
@pytest.mark.timeout(5400)
@settings(
    max_examples=min(ROUNDS, 20_000), deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
@given(st.data())
def test_arbitrary_bytes_behind_a_sound_beginning_are_read_or_refused(data):
    keep = data.draw(st.integers(0, len(SEED_FILE)), label="sound bytes")
    read_or_refuse(SEED_FILE[:keep] + data.draw(st.binary(max_size=300), label="rest"))
