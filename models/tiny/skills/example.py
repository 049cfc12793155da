"""What a generator hands out: one conversation that ends in the wanted answer, and how an answer is judged.

Also the split: what is held out is decided by a stable hash of the value (or by explicit lists of wordings in each
skill), never by chance, so training and evaluation agree in every process. Knows nothing of templates or tokens.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")
Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """A conversation. `messages[-1]` is the wanted answer; `check` names the rule in `evaluate.py` that judges it."""

    skill: str
    messages: tuple[Message, ...]
    check: str = "exact"
    tools: tuple[dict[str, Any], ...] = ()

    @property
    def prompt(self) -> tuple[Message, ...]:
        return self.messages[:-1]

    @property
    def answer(self) -> Message:
        return self.messages[-1]


Generator = Callable[[Random, bool], Example]


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def system(text: str) -> Message:
    return {"role": "system", "content": text}


def is_held_out(value: str, one_in: int = 8) -> bool:
    """Whether `value` is kept from training: a hash, so the same everywhere."""
    digest = hashlib.blake2s(value.casefold().encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") % one_in == 0


@lru_cache(maxsize=512)
def _side(values: tuple[Any, ...], held_out: bool, one_in: int) -> tuple[Any, ...]:
    side = tuple(value for value in values if is_held_out(str(value), one_in) == held_out)
    return side or values


def draw(rng: Random, values: Sequence[T], held_out: bool, one_in: int = 8) -> T:
    """One of `values` from the wanted side of the split."""
    return rng.choice(_side(tuple(values), held_out, one_in))


_PLACEHOLDER = re.compile(r"(\{\w+\})")
_OPENINGS = ("Please ", "please ", "Hey, ", "Hi, ", "OK, ", "Can you tell me: ", "Quick question: ")


def _typo(rng: Random, text: str) -> str:
    places = [i for i in range(1, len(text) - 2) if text[i].isalpha() and text[i + 1].isalpha()]
    if len(places) < 6:
        return text
    i = rng.choice(places)
    return rng.choice(
        (text[:i] + text[i + 1] + text[i] + text[i + 2 :], text[:i] + text[i + 1 :], text[: i + 1] + text[i:])
    )


def say(rng: Random, wording: str, rough: float = 0.25, **values: object) -> str:
    """`wording` with its `{placeholders}` filled, now and then lower-cased, unpunctuated or with a typo.

    Only the wording is roughened, never a value.
    """
    if rng.random() < rough:
        parts = _PLACEHOLDER.split(wording)
        kind = rng.random()
        if kind < 0.75:
            parts = [p if _PLACEHOLDER.fullmatch(p) else p.lower() for p in parts]
        if kind > 0.4 and not _PLACEHOLDER.fullmatch(parts[-1]):
            parts[-1] = parts[-1].rstrip("?.!")
        if kind > 0.88:
            longest = max(range(0, len(parts), 2), key=lambda i: len(parts[i]))
            parts[longest] = _typo(rng, parts[longest])
        wording = "".join(parts)
        if kind < 0.1 and wording and not wording.startswith("{"):
            wording = rng.choice(_OPENINGS) + wording[0].lower() + wording[1:]
    return _PLACEHOLDER.sub(lambda match: str(values[match.group(1)[1:-1]]), wording)
