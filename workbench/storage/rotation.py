"""Rotation: which days a window no longer holds, when the clock is not to be believed, and their leaving."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from workbench.errors import ClockJumpError
from workbench.storage.missing import missing_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.storage.store import SegmentStore

__all__ = ["DAYS_A_PASS", "evict", "expired", "oldest"]

DAYS_A_PASS = 2


def evict(
    store: SegmentStore,
    days: Sequence[str],
    *,
    before: str | None = None,
    window: int | None = None,
    force: bool = False,
) -> list[str]:
    """Drop segments with everything of theirs, and return their days.

    Args:
        store: The workspace's files.
        days: Days to drop; what is missing of a day is dropped, too.
        before: Drop every day before this one.
        window: Without any day: how many days the window holds; None for all.
        force: As for :func:`expired`.

    Raises:
        UnknownNameError: If a day has no segment.
        ClockJumpError: As :func:`expired`.
    """
    newest = store.snapshot()
    missing = {m.day for m in newest.missing}
    newest.require(day for day in days if day not in missing)
    doomed = set(days)
    if before is not None:
        doomed |= {s for s in newest.segments if s < before}
    elif not days and window is not None:
        doomed |= set(expired(newest.segments, window, force=force))
    if doomed:
        with store.writer(within_reserve=True) as writer:
            transaction = writer.begin()
            transaction.remove(f for f in transaction.base.manifest.files if f.segment in doomed)
            if missing & doomed:
                left = (m for m in transaction.base.missing if m.day not in doomed)
                transaction.set_state(**missing_state(left))
            transaction.commit()
    return sorted(doomed)


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
