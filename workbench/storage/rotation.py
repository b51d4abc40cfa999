"""Rotation: which days a window no longer holds, and when the clock is not to be believed."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from workbench.errors import ClockJumpError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DAYS_A_PASS", "expired", "oldest"]

DAYS_A_PASS = 2


def expired(segments: Sequence[str], window: int, *, force: bool = False) -> list[str]:
    """Return the oldest days that a window no longer holds, at most two of them: one pass.

    The window ends with the newest day. One wrong time stamp far in the future would thus push everything
    out: where the newest day lies more than a day after the one before it, nothing is dropped unasked.

    Args:
        segments: The days that there are, in order.
        window: How many days it holds.
        force: Whether a clock that jumped is right.

    Raises:
        ClockJumpError: If there is something to drop and the newest day lies over a day after the one before.

    >>> expired(["2025-06-09", "2025-06-10", "2025-06-11", "2025-06-12"], 1)
    ['2025-06-09', '2025-06-10']
    >>> expired(["2025-06-11", "2025-06-12"], 2)
    []
    """
    if len(segments) <= 1:
        return []
    days = [date.fromisoformat(segment).toordinal() for segment in segments]
    found = [s for s, day in zip(segments, days, strict=True) if day <= days[-1] - window]
    if found and days[-1] - days[-2] > 1 and not force:
        raise ClockJumpError(
            f"the newest day, {segments[-1]}, lies {days[-1] - days[-2]:,} days after the one before it, "
            f"{segments[-2]}: nothing is evicted, for its times may be wrong.",
            where=f"segment {segments[-1]}",
            fix="If they are right, evict with --force (force=True), else drop that day by its name.",
        )
    return found[:DAYS_A_PASS]


def oldest(segments: Sequence[str]) -> str | None:
    """Return the day to drop where a disk is full: the oldest, but never one that may be the newest.

    Where the newest day lies more than a day after the one before it, its times may be wrong: then the one
    before stays too.

    >>> oldest(["2025-06-10", "2025-06-11"])
    '2025-06-10'
    >>> oldest(["2025-06-11", "2031-01-01"]), oldest(["2025-06-11"])
    (None, None)
    """
    days = [date.fromisoformat(segment).toordinal() for segment in segments]
    jumped = len(days) > 1 and days[-1] - days[-2] > 1
    return segments[0] if len(days) > 1 + jumped else None
