"""Line editing and history of ``tea chat`` on a terminal. A history that can't be kept is no reason not to talk."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

MAX_LINES = 1_000


class History:
    """``with History(path):`` makes ``input()`` edit lines and remember them across conversations."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._readline: Any = None

    def __enter__(self) -> Self:
        try:
            import readline
        except ImportError:  # a Python without GNU readline; typing still works
            return self
        self._readline = readline
        readline.set_history_length(MAX_LINES)
        readline.set_auto_history(False)
        try:
            readline.read_history_file(self._path)
        except OSError:
            readline.clear_history()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._readline is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            self._readline.write_history_file(self._path)
            self._path.chmod(0o600)
        except OSError:
            pass

    def add(self, text: str) -> None:
        """Remember what was typed, once."""
        if self._readline is None or not text.strip() or "\n" in text:  # its file holds lines
            return
        length = self._readline.get_current_history_length()
        if length == 0 or self._readline.get_history_item(length) != text:
            self._readline.add_history(text)
