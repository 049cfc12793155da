"""The embedded model, loaded once, and what collects a generator's events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import the_edge_agent
from the_edge_agent.llama.generator import Generator
from the_edge_agent.llama.model import LlamaModel
from the_edge_agent.llama.params import ContextParams

TINY = Path(the_edge_agent.__file__).parent / "store" / "embedded" / "tiny.gguf"


@pytest.fixture(scope="session")
def tiny_path() -> Path:
    return TINY


@pytest.fixture(scope="session")
def model() -> Iterator[LlamaModel]:
    with LlamaModel.load(TINY) as loaded:
        yield loaded


@pytest.fixture
def context_params() -> ContextParams:
    """Each sequence in a cache of its own, as for every tiny model."""
    return ContextParams(n_ctx=4 * 512, n_seq_max=4, n_ubatch=48, flash_attention=True, kv_unified=False)


@pytest.fixture
def generator(model: LlamaModel, context_params: ContextParams) -> Iterator[Generator]:
    with Generator(model, context_params) as running:
        yield running
