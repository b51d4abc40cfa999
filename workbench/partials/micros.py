"""Moments in microseconds since 1970, as partials hold them and people write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from workbench.errors import UsageError

__all__ = ["from_us", "moment", "start_of", "to_us"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(moment: datetime) -> int:
    """Return microseconds since 1970.

    >>> to_us(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(moment: int) -> datetime:
    """Return the time, in UTC, of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=moment)


def start_of(segment: str) -> int:
    """Return the midnight (UTC) that a segment begins with, in microseconds since 1970.

    >>> start_of("1970-01-02")
    86400000000
    """
    return to_us(datetime.fromisoformat(segment).replace(tzinfo=UTC))


def moment(value: str | date, timezone: str) -> int:
    """Return microseconds since 1970 of a day's start or a time; in ``timezone`` where it has no zone itself.

    Raises:
        UsageError: If it is neither a date nor an ISO 8601 text.

    >>> from_us(moment("2013-02-01", "America/New_York")).isoformat()
    '2013-02-01T05:00:00+00:00'
    """
    try:
        read = datetime.fromisoformat(value if isinstance(value, str) else value.isoformat())
    except (AttributeError, ValueError):
        raise UsageError(f"{value!r} is not a time.", fix="Give a date such as 2013-06-30.") from None
    return to_us(read if read.tzinfo else read.replace(tzinfo=ZoneInfo(timezone)))
