"""Checks that the bindings' structs have the layout of the library that was loaded.

A struct that is off by one field fails quietly: values land in the wrong places. The library's own default parameters
are the probe: read through the bindings they must show the documented defaults, and the library must have written
exactly as many bytes as the bindings think the struct has. Knows nothing of where either came from.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from typing import Any

from the_edge_agent.errors import AbiMismatch

MODEL_DEFAULTS = {
    "vocab_only": False,
    "check_tensors": False,
    "use_extra_bufts": True,
    "no_alloc": False,
    "main_gpu": 0,
}
CONTEXT_DEFAULTS = {
    "n_ctx": 512,
    "n_batch": 2048,
    "n_ubatch": 512,
    "n_seq_max": 1,
    "defrag_thold": -1.0,
    "type_k": 1,
    "type_v": 1,
    "embeddings": False,
    "offload_kqv": True,
    "no_perf": True,
    "op_offload": True,
    "swa_full": True,
    "kv_unified": False,
    "n_samplers": 0,
}
_PROBE_BYTES = 1024
_UNTOUCHED = 0xA5
_ALIGNMENT = 8


def library_path(bindings: Any) -> str:
    """The file that the bindings loaded."""
    return str(bindings._lib._name)  # noqa: SLF001 - the bindings say it nowhere else


def check_layout(bindings: Any) -> None:
    """Raise AbiMismatch if model, context or sampler parameters are laid out differently on the two sides."""
    library: ctypes.CDLL = bindings._lib  # noqa: SLF001 - the same functions, called with another signature
    for function, struct, defaults in (
        ("llama_model_default_params", bindings.llama_model_params, MODEL_DEFAULTS),
        ("llama_context_default_params", bindings.llama_context_params, CONTEXT_DEFAULTS),
        ("llama_sampler_chain_default_params", bindings.llama_sampler_chain_params, {"no_perf": True}),
    ):
        seen = getattr(bindings, function)()
        wrong = [name for name, value in defaults.items() if getattr(seen, name) != value]
        written = _bytes_written(library, function)
        declared = ctypes.sizeof(struct)
        if wrong or (written is not None and written != declared):
            sizes = f", {written} bytes in the library and {declared} in the bindings" if written else ""
            raise AbiMismatch(
                f"{struct.__name__} differs between libllama and its bindings (fields {', '.join(wrong) or 'none'}{sizes})",
                place=library_path(bindings),
                fix="build both from one llama-cpp-python source (make setup)",
            )


def _bytes_written(library: ctypes.CDLL, function: str) -> int | None:
    """How many bytes a function that returns a struct by value writes; None where that can't be seen.

    x86-64 System V passes the address of a struct over 16 bytes as a hidden first argument, so the caller can hand
    in a buffer of its own with a pattern in it.
    """
    if platform.machine() not in {"x86_64", "AMD64"} or sys.platform == "win32":
        return None
    buffer = (ctypes.c_uint8 * _PROBE_BYTES)(*([_UNTOUCHED] * _PROBE_BYTES))
    prototype = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
    returned = prototype((function, library))(ctypes.addressof(buffer))
    if returned != ctypes.addressof(buffer):
        return None  # a struct small enough for registers
    content = bytes(buffer)
    written = len(content.rstrip(bytes([_UNTOUCHED])))
    return -(-written // _ALIGNMENT) * _ALIGNMENT  # padding at the end isn't written
