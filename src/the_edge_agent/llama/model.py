"""Weights in memory, and what their file says about itself.

A model stays in memory until it is closed and every context on it is closed too. Knows nothing of decoding.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

from the_edge_agent.errors import InvalidPath, ModelLoadFailed, OutOfMemory, UnsupportedFeature
from the_edge_agent.llama.library import LlamaLibrary, explain
from the_edge_agent.llama.owned import Handle, Owned
from the_edge_agent.llama.params import ModelParams
from the_edge_agent.llama.vocab import Vocab

_METADATA_BYTES = 4_096
_LOAD_MODE_NONE, _LOAD_MODE_MMAP, _LOAD_MODE_MLOCK, _LOAD_MODE_MMAP_MLOCK = 0, 1, 2, 3
_MEMORY_WORDS = ("alloc", "out of memory", "failed to fit", "cannot allocate")


class LlamaModel(Handle):
    """A loaded GGUF. Open with ``LlamaModel.load``; close it, or use it in a ``with`` block."""

    __slots__ = ("__dict__",)

    def __init__(self, library: LlamaLibrary, owned: Owned, path: Path, params: ModelParams) -> None:
        super().__init__(owned)
        self.library = library
        self.path = path
        self.params = params
        lib = library.bindings
        with self._use() as pointer:
            self.n_ctx_train: int = lib.llama_model_n_ctx_train(pointer)
            self.n_embd: int = lib.llama_model_n_embd_out(pointer)
            self.n_layer: int = lib.llama_model_n_layer(pointer)
            self.n_params: int = lib.llama_model_n_params(pointer)
            self.size_bytes: int = lib.llama_model_size(pointer)
            self.has_encoder: bool = lib.llama_model_has_encoder(pointer)
            self.has_decoder: bool = lib.llama_model_has_decoder(pointer)
            self.is_recurrent: bool = lib.llama_model_is_recurrent(pointer) or lib.llama_model_is_hybrid(
                pointer
            )
            self.is_diffusion: bool = lib.llama_model_is_diffusion(pointer)
            template = lib.llama_model_chat_template(pointer, None)
            self.chat_template: str = template.decode("utf-8", "replace") if template else ""
        self.vocab = Vocab(lib, owned)

    @classmethod
    def load(cls, path: Path, params: ModelParams | None = None) -> LlamaModel:
        """Load the GGUF at ``path``.

        Raises InvalidPath, ModelLoadFailed, OutOfMemory, UnsupportedFeature (GPU layers asked of a CPU build),
        LibraryMissing, AbiMismatch.
        """
        params = params or ModelParams()
        name = encode_path(path)
        if not path.is_file():
            raise ModelLoadFailed("no such file", place=str(path), fix="check the path")
        library = LlamaLibrary.acquire()
        try:
            pointer = _load(library, name, path, params)
        except BaseException:
            library.release()
            raise

        def free(address: Any) -> None:
            library.bindings.llama_model_free(address)
            library.release()

        return cls(library, Owned("model", pointer, free), path, params)

    def metadata(self, key: str) -> str | None:
        """A metadata value as text, or None. Arrays aren't given."""
        buffer = ctypes.create_string_buffer(_METADATA_BYTES)
        with self._use() as pointer:
            size = self.library.bindings.llama_model_meta_val_str(pointer, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if size >= 0 else None

    @property
    def architecture(self) -> str:
        """``general.architecture``: llama, gemma3, ..."""
        return self.metadata("general.architecture") or ""

    @property
    def name(self) -> str:
        """The file's own name for itself, or the file's name."""
        return self.metadata("general.name") or self.path.stem


def encode_path(path: Path) -> bytes:
    """The path as libllama wants it. Raises InvalidPath for NUL and for what isn't UTF-8."""
    text = os.fspath(path)
    if "\0" in text:
        raise InvalidPath("the path holds a NUL character", place=repr(text), fix="remove it")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidPath("the path isn't UTF-8", place=ascii(text), fix="rename the file") from error


def _load(library: LlamaLibrary, name: bytes, path: Path, params: ModelParams) -> Any:
    lib = library.bindings
    if params.n_gpu_layers != 0 and not library.supports_gpu:
        raise UnsupportedFeature(
            f"n_gpu_layers is {params.n_gpu_layers}, but this llama.cpp build has no GPU",
            fix="set n_gpu_layers to 0, or install a CUDA, Metal or Vulkan build (docs/inference.md)",
        )
    native = lib.llama_model_default_params()
    native.n_gpu_layers = params.n_gpu_layers
    native.use_extra_bufts = params.repack
    native.vocab_only = params.vocab_only
    native.load_mode = resolve_load_mode(params)
    with library.said() as lines:
        pointer = lib.llama_model_load_from_file(name, native)
    if pointer:
        return pointer
    reason = explain(lines)
    if any(word in reason.lower() for word in _MEMORY_WORDS):
        raise OutOfMemory(reason, place=str(path), fix="free memory, or take a smaller model or quantization")
    raise ModelLoadFailed(
        reason or "libllama can't load it", place=str(path), fix="check the file with: tea models inspect"
    )


def resolve_load_mode(params: ModelParams) -> int:
    """Libllama's load mode. Repacking copies weights, so the file is then read, not mapped, unless asked for."""
    mapped = params.use_mmap if params.use_mmap is not None else not params.repack
    if params.use_mlock:
        return _LOAD_MODE_MMAP_MLOCK if mapped else _LOAD_MODE_MLOCK
    return _LOAD_MODE_MMAP if mapped else _LOAD_MODE_NONE
