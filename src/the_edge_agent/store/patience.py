"""Asking a server again until it answers or patience ends. Knows nothing of what is asked."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from the_edge_agent.errors import DownloadFailed
from the_edge_agent.store.backoff import Backoff
from the_edge_agent.store.http_answer import TransientFault

T = TypeVar("T")

#: A first question isn't asked for long: a person waits who may simply be offline.
_MOST_ATTEMPTS = 4


def ask_patiently(ask: Callable[[], T], url: str, backoff: Backoff) -> T:
    """The answer of ``ask``. Raises DownloadFailed once it has failed too often, or as ``ask`` does."""
    backoff = replace(backoff, attempts=min(_MOST_ATTEMPTS, backoff.attempts))
    failures = 0
    while True:
        try:
            return ask()
        except TransientFault as fault:
            failures += 1
            delay_s = backoff.delay_s(failures, random.random(), fault.retry_after_s)  # noqa: S311
            if delay_s is None:
                raise DownloadFailed(
                    f"the server can't be asked: {fault}",
                    place=url,
                    fix="check the network, then run it again",
                ) from fault
            threading.Event().wait(delay_s)
