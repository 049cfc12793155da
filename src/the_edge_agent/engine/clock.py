"""The system's clock, as the Clock port. Tests bring their own."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """Wall time, and sleeping on the running event loop."""

    def now_s(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking others."""
        await asyncio.sleep(seconds)
