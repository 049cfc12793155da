"""libllama in this process: started when first needed, its log routed into ``logging``.

llama.cpp's chatter is one step less urgent here: its INFO is our DEBUG, its WARN our INFO. What it says while a call
fails becomes part of the error instead (``said``). Knows nothing of models.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, ClassVar

from the_edge_agent.llama.bindings import load_bindings

logger = logging.getLogger("the_edge_agent.llama")

_LEVELS = {1: logging.DEBUG, 2: logging.DEBUG, 3: logging.INFO, 4: logging.WARNING}
_ERROR = 4
_CONTINUED = 5
MAX_SAID = 2_000


class LlamaLibrary:
    """The bindings, with libllama's backends initialised. Use ``LlamaLibrary.acquire()`` and ``release()`` in pairs, as
    models do; the backends are freed with the last one out and may come back afterwards.
    """

    _lock: ClassVar[threading.RLock] = threading.RLock()
    _current: ClassVar[LlamaLibrary | None] = None

    def __init__(self, bindings: Any) -> None:
        self.bindings = bindings
        self._users = 0
        self._level = logging.DEBUG
        self._captures: dict[int, list[str]] = {}
        # libllama keeps this pointer: the object must live as long as the process can log.
        self._callback = bindings.llama_log_callback(self._on_log)
        bindings.llama_log_set(self._callback, None)
        # Finalizers run newest first, so every model and context is gone when the callback is taken back.
        weakref.finalize(self, bindings.llama_log_set, bindings.llama_log_callback(), None)

    @classmethod
    def acquire(cls) -> LlamaLibrary:
        """The process's library with its backends up. Raises LibraryMissing, AbiMismatch."""
        with cls._lock:
            if cls._current is None:
                cls._current = cls(load_bindings())
            library = cls._current
            library._enter()  # noqa: SLF001 - our own
            return library

    def _enter(self) -> None:
        if self._users == 0:
            self.bindings.llama_backend_init()
        self._users += 1

    def release(self) -> None:
        """Undo one ``acquire``."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self.bindings.llama_backend_free()

    @property
    def users(self) -> int:
        """How many models are loaded or loading."""
        return self._users

    @property
    def log_callback(self) -> Any:
        """Where llama.cpp's libraries may log to; valid as long as the process can log."""
        return self._callback

    @property
    def supports_gpu(self) -> bool:
        """Whether this build can put layers on a GPU that is present."""
        return bool(self.bindings.llama_supports_gpu_offload())

    @contextmanager
    def said(self) -> Generator[list[str]]:
        """Collect what libllama reports as errors on this thread; such lines are not logged."""
        lines: list[str] = []
        thread = threading.get_ident()
        outer = self._captures.get(thread)
        self._captures[thread] = lines
        try:
            yield lines
        finally:
            if outer is None:
                del self._captures[thread]
            else:
                self._captures[thread] = outer

    def _on_log(self, level: int, text: bytes, _user_data: Any) -> None:
        line = text.decode("utf-8", "replace").rstrip("\n")
        if level != _CONTINUED:
            self._level = _LEVELS.get(level, logging.DEBUG)
        captured = self._captures.get(threading.get_ident())
        if captured is not None and level == _ERROR:
            captured.append(line)
        elif line.strip(" ."):
            logger.log(self._level, "%s", line)


def explain(lines: list[str]) -> str:
    """What libllama said, on one line: function names dropped, the last and most general complaint left out."""
    parts = [line.partition(": ")[2] or line for line in lines]
    text = "; ".join(dict.fromkeys(part.strip() for part in parts if part.strip()))
    return text[:MAX_SAID]
