"""The rows of one decode: token, position, sequence, and whether logits are wanted.

The arrays belong to Python and are reused from step to step, so there is nothing to free and nothing to leak. Knows
nothing of who the sequences are.
"""

from __future__ import annotations

import ctypes
from typing import Any

from the_edge_agent.errors import UsageError


class LlamaBatch:
    """Room for ``capacity`` rows, each of one sequence. Not for use by two threads at once."""

    __slots__ = (
        "_native",
        "_output",
        "_pos",
        "_seq",
        "_seq_count",
        "_seq_rows",
        "_token",
        "capacity",
        "size",
    )

    def __init__(self, lib: Any, capacity: int) -> None:
        if capacity < 1:
            raise UsageError(f"a batch of {capacity} rows", fix="give at least 1")
        self.capacity = capacity
        self.size = 0
        self._token = (ctypes.c_int32 * capacity)()
        self._pos = (ctypes.c_int32 * capacity)()
        self._output = (ctypes.c_int8 * capacity)()
        self._seq = (ctypes.c_int32 * capacity)()
        self._seq_count = (ctypes.c_int32 * capacity)(*([1] * capacity))
        self._seq_rows = (ctypes.POINTER(ctypes.c_int32) * capacity)()
        stride = ctypes.sizeof(ctypes.c_int32)
        base = ctypes.addressof(self._seq)
        for row in range(capacity):
            self._seq_rows[row] = ctypes.cast(base + row * stride, ctypes.POINTER(ctypes.c_int32))
        native = lib.llama_batch()
        native.token = self._token
        native.pos = self._pos
        native.n_seq_id = self._seq_count
        native.seq_id = self._seq_rows
        native.logits = ctypes.cast(self._output, ctypes.POINTER(ctypes.c_int8))
        self._native = native

    def clear(self) -> None:
        """Forget all rows."""
        self.size = 0

    def add(self, token: int, position: int, sequence: int, *, output: bool) -> int:
        """Append a row; returns its index, which is where its logits will be. Raises UsageError when full."""
        row = self.size
        if row >= self.capacity:
            raise UsageError(f"the batch holds {self.capacity} rows already", fix="decode it first")
        self._token[row] = token
        self._pos[row] = position
        self._seq[row] = sequence
        self._output[row] = output
        self.size = row + 1
        return row

    def extend(self, tokens: list[int], start: int, sequence: int, *, n_outputs: int) -> None:
        """Append consecutive tokens of one sequence from position ``start``; the last ``n_outputs`` give logits. Raises UsageError when they don't fit."""
        row, count = self.size, len(tokens)
        end = row + count
        if end > self.capacity:
            raise UsageError(
                f"{count} rows beside {row} in a batch of {self.capacity}", fix="decode it first"
            )
        self._token[row:end] = tokens
        self._pos[row:end] = range(start, start + count)
        self._seq[row:end] = [sequence] * count
        self._output[row:end] = bytes(count)
        if n_outputs:
            self._output[end - n_outputs : end] = bytes([1] * n_outputs)
        self.size = end

    def native(self) -> Any:
        """The struct for libllama; valid until the next ``add``."""
        self._native.n_tokens = self.size
        return self._native


class RowBatch:
    """Rows of numbers in the place of tokens, ``count`` of them, of one sequence from position ``start`` on; made for
    one decode.
    """

    __slots__ = ("_kept", "native", "size")

    def __init__(self, lib: Any, rows: bytes, count: int, start: int, sequence: int) -> None:
        values = (ctypes.c_float * (len(rows) // 4)).from_buffer_copy(rows)
        positions = (ctypes.c_int32 * count)(*range(start, start + count))
        sequences = (ctypes.c_int32 * 1)(sequence)
        places = (ctypes.POINTER(ctypes.c_int32) * count)(
            *[ctypes.cast(sequences, ctypes.POINTER(ctypes.c_int32))] * count
        )
        counts = (ctypes.c_int32 * count)(*([1] * count))
        outputs = (ctypes.c_int8 * count)()
        native = lib.llama_batch()
        native.n_tokens = self.size = count
        native.embd, native.pos = values, positions
        native.n_seq_id, native.seq_id = counts, places
        native.logits = ctypes.cast(outputs, ctypes.POINTER(ctypes.c_int8))
        self.native = native
        self._kept = (values, positions, sequences, places, counts, outputs)
