"""How far two sequences of tokens are the same. Knows nothing of who holds them."""

from __future__ import annotations

from collections.abc import Sequence


def common_prefix(left: Sequence[int], right: Sequence[int], limit: int) -> int:
    """How many of the first ``limit`` entries are equal."""
    limit = min(limit, len(left), len(right))
    if left[:limit] == right[:limit]:
        return limit
    low, high = 0, limit  # the first half that differs holds the place
    while high - low > 1:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low
