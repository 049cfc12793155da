"""A KV cache and the computation on it: decode batches, move sequences about, read logits and embeddings.

A context keeps its model in memory. It is used by one thread at a time; closing it from another is safe and takes
effect after the running call. Knows nothing of requests or sampling.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, NoReturn

from the_edge_agent.errors import DecodeFailed, OutOfMemory, UsageError
from the_edge_agent.llama.adapter import LlamaAdapter
from the_edge_agent.llama.batch import LlamaBatch, RowBatch
from the_edge_agent.llama.library import explain
from the_edge_agent.llama.model import LlamaModel
from the_edge_agent.llama.owned import Handle, Owned
from the_edge_agent.llama.params import KV_TYPES, ContextParams

_NO_SLOT, _ABORTED = 1, 2
_POOLING = {"model": -1, "mean": 1, "cls": 2, "last": 3}
_FLASH_AUTO, _FLASH_OFF, _FLASH_ON = -1, 0, 1
_WHOLE = -1


class KvCacheFull(DecodeFailed):
    """No room in the KV cache for the batch; nothing was changed."""


class LlamaContext(Handle):
    """Sequences 0..n_seq_max-1 over one model. Close it, or use it in a ``with`` block."""

    __slots__ = ("__dict__",)

    def __init__(
        self, model: LlamaModel, params: ContextParams, adapters: Sequence[tuple[LlamaAdapter, float]] = ()
    ) -> None:
        """``adapters`` come with their strengths. Raises OutOfMemory, UsageError, UseAfterClose."""
        lib = model.library.bindings
        model_owned = model.owned
        model_pointer = model_owned.lease()
        leased = [model_owned]
        try:
            pointer = _create(model, model_pointer, params)
            if adapters:
                _apply_adapters(lib, pointer, adapters, leased)
        except BaseException:
            for owned in leased:
                owned.release()
            raise

        def free(address: Any) -> None:
            lib.llama_free(address)
            for owned in reversed(leased):
                owned.release()

        super().__init__(Owned("context", pointer, free))
        self.model = model
        self.params = params
        self._lib = lib
        self._decode = lib.llama_decode
        self._logits = lib.llama_get_logits_ith
        self._memory = lib.llama_get_memory(pointer)
        self.n_ctx: int = lib.llama_n_ctx(pointer)
        self.n_ctx_seq: int = lib.llama_n_ctx_seq(pointer)
        self.n_batch: int = lib.llama_n_batch(pointer)
        self.n_seq_max: int = lib.llama_n_seq_max(pointer)
        self.pooling: int = lib.llama_pooling_type(pointer)

    def decode(self, batch: LlamaBatch) -> None:
        """Run the batch; logits of its output rows can be read afterwards.

        Raises KvCacheFull (nothing changed), DecodeFailed, UseAfterClose.
        """
        pointer = self._owned.lease()
        try:
            status = self._decode(pointer, batch.native())
        finally:
            self._owned.release()
        if status != 0:
            self._fail(status, batch.size)

    def decode_rows(self, rows: RowBatch, *, whole: bool) -> None:
        """Feed rows of an image in the place of tokens; ``whole`` rows look at each other. No logits come of it.

        Raises KvCacheFull (nothing changed), DecodeFailed, UseAfterClose.
        """
        with self._use() as pointer:
            if whole:
                self._lib.llama_set_causal_attn(pointer, False)
            try:
                status = self._decode(pointer, rows.native)
            finally:
                if whole:
                    self._lib.llama_set_causal_attn(pointer, True)
        if status != 0:
            self._fail(status, rows.size)

    def _fail(self, status: int, size: int) -> NoReturn:
        if status == _NO_SLOT:
            raise KvCacheFull(f"no room for {size} tokens in {self.n_ctx} cells", fix="raise n_ctx")
        if status == _ABORTED:
            raise DecodeFailed("the computation was aborted", fix="start again")
        raise DecodeFailed(f"llama_decode returned {status}", fix="see the log of the_edge_agent.llama")

    def encode(self, batch: LlamaBatch) -> None:
        """Run the batch through an encoder-only model. Raises DecodeFailed."""
        with self._use() as pointer:
            status = self._lib.llama_encode(pointer, batch.native())
        if status != 0:
            raise DecodeFailed(f"llama_encode returned {status}", fix="see the log of the_edge_agent.llama")

    def logits(self, row: int) -> memoryview[float]:
        """A copy of the logits (n_vocab floats) of an output row of the last batch. Raises DecodeFailed."""
        size = 4 * self.model.vocab.n_tokens
        with self._use() as pointer:
            address = ctypes.cast(self._logits(pointer, row), ctypes.c_void_p).value
            if not address:
                raise DecodeFailed(f"row {row} of the last batch has no logits", fix="mark it as output")
            return memoryview(ctypes.string_at(address, size)).cast("f")

    def embedding(self, sequence: int) -> tuple[float, ...]:
        """The pooled embedding (n_embd floats) of a sequence in the last batch. Raises DecodeFailed."""
        with self._use() as pointer:
            values = self._lib.llama_get_embeddings_seq(pointer, sequence)
            if not values:
                raise DecodeFailed(
                    f"sequence {sequence} has no embedding", fix="open the context with pooling"
                )
            return tuple(values[: self.model.n_embd])

    def copy_sequence(self, source: int, target: int, end: int) -> None:
        """Let an empty ``target`` see positions 0..end of ``source``; costs no memory where the cache is unified."""
        with self._use() as pointer:
            del pointer
            if self.params.kv_unified:
                self._lib.llama_memory_seq_cp(self._memory, source, target, 0, end)
            else:  # a cache of its own can only be copied whole; libllama asserts it
                self._lib.llama_memory_seq_cp(self._memory, source, target, _WHOLE, _WHOLE)
                self._lib.llama_memory_seq_rm(self._memory, target, end, _WHOLE)

    def remove_sequence(self, sequence: int, start: int = 0) -> bool:
        """Drop positions from ``start`` on. False if this kind of memory can't drop a part."""
        with self._use() as pointer:
            del pointer
            return bool(self._lib.llama_memory_seq_rm(self._memory, sequence, start, _WHOLE))

    def clear(self) -> None:
        """Forget every sequence."""
        with self._use() as pointer:
            del pointer
            if self._memory:
                self._lib.llama_memory_clear(self._memory, False)

    def sample_with(self, sample: Any, chain: Any, row: int) -> int:
        """What ``llama_sampler_sample`` chooses behind an output row; for this package's samplers."""
        pointer = self._owned.lease()
        try:
            return sample(chain, pointer, row)
        finally:
            self._owned.release()


def _apply_adapters(
    lib: Any, pointer: Any, adapters: Sequence[tuple[LlamaAdapter, float]], leased: list[Owned]
) -> None:
    """Bend the weights; ``leased`` grows by what the context holds from now on."""
    addresses = (lib.llama_adapter_lora_p_ctypes * len(adapters))()
    scales = (ctypes.c_float * len(adapters))(*(scale for _, scale in adapters))
    try:
        for place, (adapter, _) in enumerate(adapters):
            address = adapter.owned.lease()
            leased.append(adapter.owned)
            addresses[place] = address
    except BaseException:
        lib.llama_free(pointer)
        raise
    status = lib.llama_set_adapters_lora(pointer, addresses, len(adapters), scales)
    if status != 0:
        lib.llama_free(pointer)
        raise UsageError(f"libllama refuses these adapters ({status})", fix="check that they fit the model")


def _create(model: LlamaModel, model_pointer: Any, params: ContextParams) -> Any:
    lib = model.library.bindings
    native = lib.llama_context_default_params()
    native.n_ctx = params.n_ctx
    native.n_batch = params.n_batch
    native.n_ubatch = params.n_ubatch
    native.n_seq_max = params.n_seq_max
    native.n_threads = params.n_threads
    native.n_threads_batch = params.n_threads_batch or params.n_threads
    native.type_k = native.type_v = KV_TYPES[params.kv_type]
    native.flash_attn_type = {None: _FLASH_AUTO, False: _FLASH_OFF, True: _FLASH_ON}[params.flash_attention]
    native.kv_unified = params.kv_unified
    native.offload_kqv = params.offload_kv
    native.swa_full = True  # a sliding window that forgets can neither share prefixes nor be cut back
    native.no_perf = True
    if params.pooling is None:
        native.n_outputs_max = min(params.n_batch, max(params.n_seq_max, params.n_outputs))
    else:
        native.embeddings = True
        native.pooling_type = _POOLING[params.pooling]
    with model.library.said() as lines:
        pointer = lib.llama_init_from_model(model_pointer, native)
    if pointer:
        return pointer
    reason = explain(lines)
    if "alloc" in reason or "memory" in reason:
        raise OutOfMemory(reason, fix="lower n_ctx or n_seq_max, or set kv_type to q8_0")
    raise UsageError(
        f"libllama refuses this context: {reason or 'no reason given'}", fix="check the context's options"
    )
