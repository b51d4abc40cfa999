"""Times of a plan: ISO 8601 in the workspace's zone, or relative to the workspace's clock."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from workbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Period", "parse_time", "period", "sql_time"]

_LAST = re.compile(r"last (\d{1,5}) ?(h|d|w|mo|y|hours?|days?|weeks?|months?|years?)")
_CALENDAR = re.compile(r"(this|last) (day|week|month|quarter|year)")
_MONTH = re.compile(r"\d{4}(-\d{2})?")
_FIX = "Write it as ISO 8601, such as 2013-03-01T06:00, or as 'last 7d', 'yesterday', 'last month'."
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True)
class Period:
    """A time from ``since``, included, to ``until``, excluded, in UTC; None is without an end."""

    since: datetime | None = None
    until: datetime | None = None

    def __bool__(self) -> bool:
        """Return whether it leaves anything out."""
        return self.since is not None or self.until is not None


def parse_time(text: str, now: datetime | None, timezone: str) -> datetime:
    """Return one time in UTC; of a stretch such as ``yesterday`` or ``2013-03`` its start.

    Raises:
        UsageError: If it is no time, or a relative one and there is no clock.

    >>> parse_time("2013-03", None, "America/New_York").isoformat()
    '2013-03-01T05:00:00+00:00'
    """
    return _stretch(text, now, timezone)[0]


def period(since: str | None, until: str | None, now: datetime | None, timezone: str) -> Period:
    """Return the time between two texts; a relative stretch alone in ``since`` ends where it ends.

    Raises:
        UsageError: If one is no time, or ``until`` is not after ``since``.

    >>> clock = datetime(2013, 3, 15, 12, tzinfo=UTC)
    >>> period("yesterday", None, clock, "UTC").until.isoformat()
    '2013-03-15T00:00:00+00:00'
    """
    start, end = _stretch(since, now, timezone) if since is not None else (None, None)
    if until is not None:
        end = parse_time(until, now, timezone)
    if start is not None and end is not None and end <= start:
        raise UsageError(
            f"the time from {since!r} to {until!r} is empty.", fix="The end is excluded and must come later."
        )
    return Period(start, end)


def sql_time(time: datetime) -> str:
    """Return a time as a literal of SQL.

    >>> sql_time(datetime(2013, 3, 1, 5, tzinfo=UTC))
    "TIMESTAMPTZ '2013-03-01 05:00:00+00'"
    """
    text = time.astimezone(UTC).isoformat(" ").removesuffix(":00")
    return f"TIMESTAMPTZ '{text}'"


def _stretch(text: str, now: datetime | None, timezone: str) -> tuple[datetime, datetime | None]:
    """Return the start of what ``text`` says and, where it says so, the end."""
    zone = ZoneInfo(timezone)
    folded = " ".join(text.lower().split())
    relative = _relative(folded)
    if relative is not None:
        if now is None:
            raise UsageError(f"{text!r} is relative, and the workspace has no clock: it holds no documents.")
        start, end = relative(now.astimezone(zone))
        return _utc(start), None if end is None else _utc(end)
    written = folded.upper()
    if _MONTH.fullmatch(written):
        written += "-01" if len(written) > len("2013") else "-01-01"
    try:
        parsed = datetime.fromisoformat(written)
        return _utc(parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)), None
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is not a time.", fix=_FIX) from None


def _relative(text: str) -> Callable[[datetime], tuple[datetime, datetime | None]] | None:
    """Return what gives the stretch for a local clock, or None if ``text`` is not a relative time."""
    if text in ("now", "today", "yesterday"):
        return _DAYS[text]
    if found := _LAST.fullmatch(text):
        count, unit = int(found[1]), found[2]
        return lambda now: (_back(now, count, unit), None)
    if found := _CALENDAR.fullmatch(text):
        which, unit = found[1], found[2]
        return lambda now: _calendar(now, unit, back=which == "last")
    return None


def _midnight(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


_DAYS: dict[str, Callable[[datetime], tuple[datetime, datetime | None]]] = {
    "now": lambda now: (now, None),
    "today": lambda now: (_midnight(now), _midnight(now + timedelta(days=1))),
    "yesterday": lambda now: (_midnight(now - timedelta(days=1)), _midnight(now)),
}


def _back(now: datetime, count: int, unit: str) -> datetime:
    try:
        if unit.startswith("h"):
            return (now.astimezone(UTC) - timedelta(hours=count)).astimezone(now.tzinfo)
        if unit.startswith("mo"):
            return _months(now, -count)
        if unit.startswith("y"):
            return _months(now, -12 * count)
        return now - timedelta(days=count * (7 if unit.startswith("w") else 1))
    except (OverflowError, ValueError):
        raise UsageError(f"'last {count}{unit}' reaches before all calendars.") from None


def _calendar(now: datetime, unit: str, *, back: bool) -> tuple[datetime, datetime]:
    day = _midnight(now)
    if unit in ("day", "week"):
        start, length = (
            day - timedelta(days=day.weekday() if unit == "week" else 0),
            7 if unit == "week" else 1,
        )
        first = start - timedelta(days=length if back else 0)
        return first, first + timedelta(days=length)
    months = _MONTHS[unit]
    start = day.replace(month=(day.month - 1) // months * months + 1, day=1)
    first = _months(start, -months) if back else start
    return first, _months(first, months)


def _months(time: datetime, count: int) -> datetime:
    """Return a time so many months later, on the month's last day where it has no such day."""
    year, month = divmod(time.year * 12 + time.month - 1 + count, 12)
    day = min(time.day, monthrange(year, month + 1)[1])
    return time.replace(year=year, month=month + 1, day=day)


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC)
