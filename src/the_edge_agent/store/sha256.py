"""SHA-256 whose state can be written down: so that a download goes on after a crash without hashing again.

A *chain* is the inner state (32 bytes) after every chunk of a file. It costs nothing beside the whole file's digest,
and with it each chunk can be checked alone: chunk ``i`` is right if it leads from state ``i`` to state ``i + 1``. A chain
that begins with SHA-256's first state and ends in the digest proves itself, so it needs no more trust than the digest.

``hashlib`` keeps its state to itself, so the state is read from OpenSSL's public ``SHA256_CTX`` through the very library
that ``hashlib`` uses. Where that can't be reached, ``CHAINS`` is False: digests are still right, a resumed download hashes
from the start again, and repair fetches the whole file. Knows nothing of files or of downloads.
"""

from __future__ import annotations

import ctypes
import hashlib
import struct
from collections.abc import Callable
from typing import Any

STATE_BYTES = 32
BLOCK_BYTES = 64
#: The state before the first byte (FIPS 180-4, 5.3.3).
FIRST_STATE = bytes.fromhex("6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19")

Buffer = bytes | bytearray | memoryview


class _Context(ctypes.Structure):
    """OpenSSL's SHA256_CTX, part of its public headers."""

    _fields_ = [
        ("h", ctypes.c_uint32 * 8),
        ("length_low", ctypes.c_uint32),
        ("length_high", ctypes.c_uint32),
        ("data", ctypes.c_uint8 * 64),
        ("pending_bytes", ctypes.c_uint32),
        ("digest_bytes", ctypes.c_uint32),
    ]


class Sha256:
    """A digest in the making. ``update`` lets other threads run."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, data: Buffer) -> None:
        """Take more bytes."""
        self._hash.update(data)

    def state(self) -> bytes | None:
        """What ``resume_sha256`` goes on from; None where it can't be had or the length is no multiple of 64."""
        return None

    def hexdigest(self) -> str:
        """The digest of what was taken so far."""
        return self._hash.hexdigest()


class _ResumableSha256(Sha256):
    def __init__(self, library: ctypes.CDLL, state: bytes = FIRST_STATE, length_bytes: int = 0) -> None:
        self._library = library
        self._context = _Context()
        library.SHA256_Init(ctypes.byref(self._context))
        self._context.h[:] = struct.unpack(">8I", state)
        bits = length_bytes * 8
        self._context.length_low, self._context.length_high = bits & 0xFFFFFFFF, bits >> 32

    def update(self, data: Buffer) -> None:
        size = len(data)
        if isinstance(data, bytes):
            self._library.SHA256_Update(ctypes.byref(self._context), data, size)
        else:
            array = (ctypes.c_char * size).from_buffer(data)
            self._library.SHA256_Update(ctypes.byref(self._context), array, size)

    def state(self) -> bytes | None:
        if self._context.pending_bytes:
            return None
        return struct.pack(">8I", *self._context.h)

    def hexdigest(self) -> str:
        context = _Context.from_buffer_copy(self._context)
        digest = ctypes.create_string_buffer(32)
        self._library.SHA256_Final(digest, ctypes.byref(context))
        return digest.raw.hex()


def _load_library() -> ctypes.CDLL | None:
    """The library behind ``hashlib``, tried on a known message; None where it isn't there or answers otherwise."""
    try:
        import _hashlib  # pyright: ignore[reportMissingModuleSource] - absent from builds without OpenSSL
    except ImportError:
        return None
    path = getattr(_hashlib, "__file__", None)
    try:
        library = ctypes.CDLL(path)
        for name, arguments in (
            ("SHA256_Init", [ctypes.c_void_p]),
            ("SHA256_Update", [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]),
            ("SHA256_Final", [ctypes.c_void_p, ctypes.c_void_p]),
        ):
            function: Callable[..., Any] = getattr(library, name)
            function.argtypes = arguments  # pyright: ignore[reportFunctionMemberAccess]
            function.restype = ctypes.c_int  # pyright: ignore[reportFunctionMemberAccess]
    except (OSError, AttributeError, TypeError):
        return None
    message = bytes(range(256)) * 3
    first = _ResumableSha256(library)
    first.update(message[:320])
    state = first.state()
    if state is None:
        return None
    second = _ResumableSha256(library, state, 320)
    second.update(message[320:])
    return library if second.hexdigest() == hashlib.sha256(message).hexdigest() else None


_LIBRARY = _load_library()
#: Whether states can be read and gone on from here.
CHAINS = _LIBRARY is not None


def start_sha256() -> Sha256:
    """A digest from the first byte on."""
    return Sha256() if _LIBRARY is None else _ResumableSha256(_LIBRARY)


def resume_sha256(state: bytes, length_bytes: int) -> Sha256:
    """Go on behind ``length_bytes`` (a multiple of 64) from their ``state``. Only where ``CHAINS``."""
    if _LIBRARY is None or len(state) != STATE_BYTES or length_bytes % BLOCK_BYTES:
        raise ValueError("there is nothing to go on from")
    return _ResumableSha256(_LIBRARY, state, length_bytes)
