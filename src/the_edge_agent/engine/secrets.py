"""Keeps secrets out of everything a run tells or keeps. Knows only their values.

A value is redacted where it enters the run (input, results, questions, tokens, errors), so that the state, the events
and the log can't differ: a resumed run sees what the undisturbed one saw. Templates still see the real secret while
they render parameters; what comes back into the state is ``***``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from operator import is_
from typing import Any, cast
from urllib.parse import quote, quote_plus

from the_edge_agent.errors import EdgeAgentError, SettingInvalid

MASK = "***"
#: A shorter text can't be told from ordinary words; redacting it would shred every result.
MIN_LENGTH = 4


class Redactor:
    """Replaces every secret value, also JSON-escaped or URL-quoted, by ``***``.

    Raises SettingInvalid for a secret of fewer than 4 characters, naming it. Empty secrets are left out.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        forms: set[str] = set()
        for name, value in secrets.items():
            if not value:
                continue
            if len(value) < MIN_LENGTH:
                raise SettingInvalid(
                    f"the secret {name!r} has fewer than {MIN_LENGTH} characters and can't be kept out of the log",
                    fix="use a longer secret, or pass it as a variable if it is none",
                )
            forms |= {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
            if not any("\ud800" <= character <= "\udfff" for character in value):
                forms |= {quote(value, safe=""), quote_plus(value)}
        # The longest first: a secret may contain another.
        self._forms = tuple(sorted(forms, key=len, reverse=True))

    def __bool__(self) -> bool:
        return bool(self._forms)

    def text(self, text: str) -> str:
        """``text`` with every secret masked."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def value(self, value: Any) -> Any:
        """A JSON-like value with every secret masked in texts and keys; the same object where there is none."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return self._mapping(cast(Mapping[Any, Any], value))
        if isinstance(value, list | tuple):
            before = cast(Sequence[Any], value)
            entries = [self.value(entry) for entry in before]
            return before if all(map(is_, before, entries)) else entries
        return value

    def _mapping(self, value: Mapping[Any, Any]) -> Mapping[Any, Any]:
        changed = {
            (self.text(key) if isinstance(key, str) else key): self.value(entry)
            for key, entry in value.items()
        }
        same = len(changed) == len(value) and all(map(is_, value.values(), changed.values()))
        return value if same and all(map(is_, value, changed)) else changed

    def error(self, error: EdgeAgentError) -> None:
        """Mask the texts of an error in place, and drop a cause that shows a secret."""
        error.what, error.place, error.fix = (
            self.text(error.what),
            self.text(error.place),
            self.text(error.fix),
        )
        error.args = tuple(self.text(arg) if isinstance(arg, str) else arg for arg in error.args)
        cause = error.__cause__ or error.__context__
        while cause is not None:
            if self.text(f"{cause}{cause!r}") != f"{cause}{cause!r}":
                error.__cause__ = error.__context__ = None
                return
            cause = cause.__cause__ or cause.__context__

    def pending(self, text: str) -> int:
        """How many characters at the end of ``text`` may be the beginning of a secret."""
        longest = len(self._forms[0]) if self._forms else 0
        for size in range(min(len(text), longest - 1), 0, -1):
            end = text[-size:]
            if any(form.startswith(end) for form in self._forms):
                return size
        return 0


class StreamRedactor:
    """Redacts text that comes in pieces: holds back what may be the beginning of a secret until more comes."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""

    def feed(self, piece: str) -> str:
        """The text that can be shown now."""
        text = self._redactor.text(self._held + piece)
        keep = self._redactor.pending(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """What was held back, once no more comes."""
        text, self._held = self._held, ""
        return text
