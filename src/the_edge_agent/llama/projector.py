"""Turns images into rows that a language model reads like tokens, by a projector (mmproj) made for that model.

It reads and computes; where the rows go is decided elsewhere. One image at a time: the library's state is shared.
Knows nothing of prompts, templates or sequences.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from the_edge_agent.errors import DecodeFailed, ModelLoadFailed, UnsupportedFeature
from the_edge_agent.llama.images import ImageRows, placeholders
from the_edge_agent.llama.library import explain
from the_edge_agent.llama.model import LlamaModel, encode_path
from the_edge_agent.llama.owned import Handle, Owned
from the_edge_agent.llama.vision_bindings import load_vision_bindings

_TEXT, _IMAGE = 0, 1
_MARKER = b"<__media__>"
MAX_IMAGE_BYTES = 32 * 1024 * 1024
MAX_SIDE = 16_384
_FLOAT_BYTES = 4

#: What an image becomes: tokens that frame it, and its rows, in order.
ImageParts: TypeAlias = tuple[tuple[int, ...] | ImageRows, ...]


class Projector(Handle):
    """A loaded mmproj. Open with ``load``; close it, or use it in a ``with`` block. It keeps its model in memory."""

    __slots__ = ("__dict__",)

    def __init__(self, lib: Any, owned: Owned, model: LlamaModel, path: Path) -> None:
        super().__init__(owned)
        self._lib = lib
        self._llama = model.library
        self._lock = threading.Lock()
        self.path = path
        with self._use() as pointer:
            self._row_bytes = _FLOAT_BYTES * model.library.bindings.llama_model_n_embd_inp(
                model.owned.lease()
            )
            model.owned.release()
            self._use_mrope: bool = lib.mtmd_decode_use_mrope(pointer)

    @classmethod
    def load(cls, model: LlamaModel, path: Path, *, n_threads: int = 1) -> Projector:
        """Load the GGUF at ``path`` for ``model``.

        Raises InvalidPath, ModelLoadFailed (not a projector, or of another model), UnsupportedFeature (this build of
        llama.cpp reads no images, the projector reads no images or numbers positions in several dimensions).
        """
        name = encode_path(path)
        if not path.is_file():
            raise ModelLoadFailed("no such file", place=str(path), fix="check the projector's path")
        lib = load_vision_bindings()
        log = model.library.log_callback
        lib.mtmd_log_set(log, None)
        lib.mtmd_helper_log_set(log, None)
        params = lib.mtmd_context_params_default()
        params.use_gpu = model.params.n_gpu_layers != 0
        params.n_threads = n_threads
        params.print_timings = False
        params.warmup = False
        model_owned = model.owned
        model_pointer = model_owned.lease()
        with model.library.said() as lines:
            pointer = lib.mtmd_init_from_file(name, model_pointer, params)
        if not pointer:
            model_owned.release()
            raise ModelLoadFailed(
                explain(lines) or "libmtmd can't load this projector",
                place=str(path),
                fix="give the mmproj GGUF that was made for this model",
            )

        def free(address: Any) -> None:
            lib.mtmd_free(address)
            model_owned.release()

        projector = cls(lib, Owned("projector", pointer, free), model, path)
        if projector._use_mrope or not lib.mtmd_support_vision(pointer):
            projector.close()
            raise UnsupportedFeature(
                "this projector "
                + ("numbers positions in several dimensions" if projector._use_mrope else "reads no images"),
                place=str(path),
                fix="take a model whose projector is of the LLaVA, Gemma 3, Pixtral or InternVL kind",
            )
        return projector

    def read(self, data: bytes) -> ImageParts:
        """An encoded image (PNG, JPEG, ...) as tokens and rows. Blocks for as long as the projector computes.

        Raises UnsupportedFeature for what is no image or too large, DecodeFailed, UseAfterClose.
        """
        if len(data) > MAX_IMAGE_BYTES:
            raise UnsupportedFeature(
                f"an image of {len(data):,} bytes", fix=f"send at most {MAX_IMAGE_BYTES:,}"
            )
        with (
            self._lock,
            self._use() as pointer,
            self._llama.said() as lines,
            self._bitmap(pointer, data) as bitmap,
            self._chunks(pointer, bitmap) as chunks,
        ):
            count = self._lib.mtmd_input_chunks_size(chunks)
            parts = [
                self._part(pointer, self._lib.mtmd_input_chunks_get(chunks, part), data, part, lines)
                for part in range(count)
            ]
        return tuple(part for part in parts if not isinstance(part, tuple) or part)

    @contextmanager
    def _bitmap(self, pointer: Any, data: bytes) -> Generator[Any]:
        lib = self._lib
        buffer = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
        bitmap = lib.mtmd_helper_bitmap_init_from_buf(pointer, buffer, len(data), False) if data else None
        if not bitmap:
            raise UnsupportedFeature("these bytes are no image", fix="send a PNG, JPEG, GIF or BMP file")
        try:
            width, height = lib.mtmd_bitmap_get_nx(bitmap), lib.mtmd_bitmap_get_ny(bitmap)
            if lib.mtmd_bitmap_is_audio(bitmap):
                raise UnsupportedFeature("this is a sound, not an image", fix="send an image")
            if not 0 < width <= MAX_SIDE or not 0 < height <= MAX_SIDE:
                raise UnsupportedFeature(f"an image of {width} x {height}", fix="send a smaller one")
            yield bitmap
        finally:
            lib.mtmd_bitmap_free(bitmap)

    @contextmanager
    def _chunks(self, pointer: Any, bitmap: Any) -> Generator[Any]:
        lib = self._lib
        chunks = lib.mtmd_input_chunks_init()
        try:
            text = lib.mtmd_input_text(_MARKER, len(_MARKER), False, True)
            bitmaps = (ctypes.c_void_p * 1)(bitmap)
            status = lib.mtmd_tokenize(pointer, chunks, ctypes.byref(text), bitmaps, 1)
            if status != 0:
                raise DecodeFailed(f"libmtmd can't prepare this image ({status})", fix="send another one")
            yield chunks
        finally:
            lib.mtmd_input_chunks_free(chunks)

    def _part(
        self, pointer: Any, chunk: Any, data: bytes, part: int, lines: list[str]
    ) -> tuple[int, ...] | ImageRows:
        lib = self._lib
        count: int = lib.mtmd_input_chunk_get_n_tokens(chunk)
        kind = lib.mtmd_input_chunk_get_type(chunk)
        if kind == _TEXT:
            size = ctypes.c_size_t()
            tokens = lib.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(size))
            return tuple(tokens[: size.value])
        if kind != _IMAGE or lib.mtmd_encode_chunk(pointer, chunk) != 0:
            raise DecodeFailed(explain(lines) or "the projector failed", fix="send another image")
        address = ctypes.cast(lib.mtmd_get_output_embd(pointer), ctypes.c_void_p).value
        assert address
        rows = ctypes.string_at(address, count * self._row_bytes)
        whole: bool = lib.mtmd_decode_use_non_causal(pointer, chunk)
        return ImageRows(count, rows, whole, placeholders(data, part, count))
