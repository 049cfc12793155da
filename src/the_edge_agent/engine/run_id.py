"""Names for runs that nobody named."""

from __future__ import annotations

import secrets
import time


def new_run_id(now_s: float | None = None) -> str:
    """A name for a run that sorts by time, in UTC."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now_s))
    return f"{stamp}-{secrets.token_hex(3)}"
