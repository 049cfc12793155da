"""Greedy answers and embeddings from a GGUF through llama.cpp's C interface, bare, as a measuring tool should be.

Only the library's loading is the product's (`the_edge_agent.llama.bindings`). Knows nothing of skills.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, Self

from the_edge_agent.llama.bindings import load_bindings

native: Any = load_bindings()
_QUIET = native.llama_log_callback(lambda _level, _text, _data: None)


class Llama:
    """A loaded model with one context; `embedding=True` pools the hidden states by their mean."""

    def __init__(self, path: Path, *, embedding: bool = False, n_ctx: int = 2048) -> None:
        native.llama_log_set(_QUIET, ctypes.c_void_p(0))
        native.llama_backend_init()
        self.model = native.llama_model_load_from_file(
            str(path).encode(), native.llama_model_default_params()
        )
        if not self.model:
            raise RuntimeError(f"{path}: llama.cpp can't load it; is it a whole GGUF?")
        parameters = native.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = n_ctx
        parameters.n_threads = parameters.n_threads_batch = 1
        if embedding:
            parameters.embeddings = True
            parameters.pooling_type = native.LLAMA_POOLING_TYPE_MEAN
        self.context = native.llama_init_from_model(self.model, parameters)
        self.vocabulary = native.llama_model_get_vocab(self.model)
        self.width = native.llama_model_n_embd(self.model)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        native.llama_free(self.context)
        native.llama_model_free(self.model)

    def tokens(self, text: str) -> list[int]:
        raw = text.encode()
        buffer = (native.llama_token * (len(raw) + 8))()
        count = native.llama_tokenize(self.vocabulary, raw, len(raw), buffer, len(buffer), False, True)
        return list(buffer[:count])

    def _decode(self, ids: list[int]) -> None:
        array = (native.llama_token * len(ids))(*ids)
        if native.llama_decode(self.context, native.llama_batch_get_one(array, len(ids))) != 0:
            raise RuntimeError("llama_decode failed")

    def _clear(self) -> None:
        native.llama_memory_clear(native.llama_get_memory(self.context), True)

    def answer(self, prompt: str, most: int = 120) -> tuple[str, bool]:
        """The greedy answer to a rendered prompt, and whether it ended by itself."""
        self._clear()
        self._decode(self.tokens(prompt))
        sampler = native.llama_sampler_init_greedy()
        piece = ctypes.create_string_buffer(64)
        out = b""
        ended = False
        for _ in range(most):
            token = native.llama_sampler_sample(sampler, self.context, -1)
            if native.llama_vocab_is_eog(self.vocabulary, token):
                ended = True
                break
            length = native.llama_token_to_piece(self.vocabulary, token, piece, 64, 0, False)
            out += piece.raw[: max(0, length)]
            self._decode([token])
        native.llama_sampler_free(sampler)
        return out.decode(errors="replace"), ended

    def embed(self, text: str) -> Any:
        """The mean-pooled vector of `text`, as a list of floats of unit length."""
        self._clear()
        self._decode(self.tokens(text))
        vector = native.llama_get_embeddings_seq(self.context, 0)
        values = [vector[i] for i in range(self.width)]
        norm = sum(value * value for value in values) ** 0.5
        return [value / norm for value in values]
