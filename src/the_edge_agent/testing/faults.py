"""What can go wrong with an answer, as values, and who decides which answer it strikes. Knows no sockets."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

FaultKind: TypeAlias = Literal[
    "",
    "drop",
    "stall",
    "ignore-range",
    "change-etag",
    "416",
    "429",
    "503",
    "403",
    "longer-than-sent",
    "shorter-than-sent",
    "wrong-total",
    "wrong-range",
    "wrong-bytes",
    "redirects",
    "redirect",
    "trickle",
    "compressed",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one answer. ``after_bytes`` counts bytes of its body."""

    kind: FaultKind = ""
    after_bytes: int = 0
    retry_after: str | None = None
    location: str = ""
    hops: int = 0
    pause_s: float = 0.05

    @staticmethod
    def drop(after_bytes: int) -> Fault:
        """The connection breaks."""
        return Fault("drop", after_bytes)

    @staticmethod
    def stall(after_bytes: int) -> Fault:
        """Nothing more comes, and the connection stays."""
        return Fault("stall", after_bytes)

    @staticmethod
    def trickle(after_bytes: int, pause_s: float = 0.05) -> Fault:
        """From there on, a byte now and then."""
        return Fault("trickle", after_bytes, pause_s=pause_s)

    @staticmethod
    def busy(retry_after: str | None = "0", status: Literal["429", "503"] = "429") -> Fault:
        """Too many requests, with a Retry-After."""
        return Fault(status, retry_after=retry_after)

    @staticmethod
    def redirect(location: str) -> Fault:
        """Go elsewhere."""
        return Fault("redirect", location=location)

    @staticmethod
    def redirects(hops: int) -> Fault:
        """Go through so many addresses of this server first."""
        return Fault("redirects", hops=hops)


@dataclass(slots=True)
class SeenRequest:
    """A request as it came, what was done to it, and how much of a body went out."""

    path: str
    headers: Mapping[str, str]
    start: int | None = None
    end: int | None = None
    fault: str = ""
    sent_bytes: int = 0


Faults: TypeAlias = Callable[[SeenRequest], Fault | None]


def in_turn(*faults: Fault) -> Faults:
    """The first answers get these faults, in order; those after them get none."""
    left = list(faults)
    lock = threading.Lock()

    def next_fault(_: SeenRequest) -> Fault | None:
        with lock:
            return left.pop(0) if left else None

    return next_fault


def always(fault: Fault) -> Faults:
    """Every answer gets this fault."""
    return lambda _: fault


def at_random(
    seed: int, *, rate: float = 0.3, body_bytes: int = 65536, kinds: Sequence[FaultKind] = ()
) -> Faults:
    """About ``rate`` of the answers fail, each in a way drawn from ``kinds`` (default: all that a line can recover from)."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    lock = threading.Lock()
    recoverable: Sequence[FaultKind] = kinds or (
        "drop",
        "stall",
        "ignore-range",
        "416",
        "429",
        "503",
        "longer-than-sent",
        "wrong-range",
        "redirects",
        "trickle",
    )

    def draw(_: SeenRequest) -> Fault | None:
        with lock:
            if chance.random() >= rate:
                return None
            kind = chance.choice(recoverable)
            return Fault(
                kind, after_bytes=chance.randrange(body_bytes), retry_after="0", hops=chance.randrange(1, 4)
            )

    return draw
