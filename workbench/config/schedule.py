"""Spans of time and schedules as people write them: ``1d2h``, five-field cron with a time zone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema, field_validator

from workbench.config.documents import Strict
from workbench.config.entity_schema import check_timezone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apscheduler.triggers.cron import CronTrigger

__all__ = ["Schedule", "Span", "parse_span", "span_text"]

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SPAN = r"^(\d+[wdhms])+$"
_LONGEST = timedelta(days=3650)
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")


def parse_span(text: str) -> timedelta:
    """Return a span of time that is written as numbers with units: w, d, h, m and s.

    Raises:
        ValueError: If it is not written so.

    >>> parse_span("1d2h"), parse_span("30m")
    (datetime.timedelta(days=1, seconds=7200), datetime.timedelta(seconds=1800))
    """
    if not re.match(_SPAN, text):
        raise ValueError(f"{text!r} is no span of time; write it like 30m, 12h or 1d2h")
    found = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d{1,9})([wdhms])", text))
    if found > _LONGEST.total_seconds():
        raise ValueError(f"{text!r} is longer than {_LONGEST.days:,} days")
    return timedelta(seconds=found)


def span_text(span: timedelta) -> str:
    """Return a span as it is written.

    >>> span_text(timedelta(hours=26)), span_text(timedelta())
    ('1d2h', '0s')
    """
    rest, parts = int(span.total_seconds()), []
    for unit in "dhms":
        number, rest = divmod(rest, _UNITS[unit])
        parts += [f"{number}{unit}"] * bool(number)
    return "".join(parts) or "0s"


def _span(value: Any) -> Any:
    return parse_span(value) if isinstance(value, str) else value


Span = Annotated[
    timedelta,
    BeforeValidator(_span),
    PlainSerializer(span_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _SPAN, "examples": ["30m", "1d2h"]}),
]


class Schedule(Strict):
    """When a rule is evaluated.

    Attributes:
        cron: Minute, hour, day of the month, month and day of the week (0 and 7: Sunday), as cron reads
            them: where both days are given, one of them is enough.
        timezone: Whose clock it is; by default the workspace's.
        cooldown: How long after it fired for a subject it does not fire for it again.
    """

    cron: str = "*/15 * * * *"
    timezone: str = ""
    cooldown: Span = timedelta()

    @field_validator("cron")
    @classmethod
    def _readable(cls, value: str) -> str:
        _triggers(value, "UTC")
        return value

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        return check_timezone(value) if value else value

    def after(self, moment: datetime, timezone: str = "UTC") -> datetime | None:
        """Return the first tick after a moment; None where there is none, as for 30 February.

        Args:
            moment: With a time zone.
            timezone: Whose clock, where the schedule names none.

        >>> from datetime import UTC
        >>> Schedule(cron="0 6 * * 1").after(datetime(2026, 11, 29, 8, tzinfo=UTC)).isoformat()
        '2026-11-30T06:00:00+00:00'
        """
        zone = self.timezone or timezone
        start = moment.astimezone(ZoneInfo(zone)) + timedelta(microseconds=1)
        ticks = [t.get_next_fire_time(None, start) for t in _triggers(self.cron, zone)]
        return min((tick for tick in ticks if tick is not None), default=None)

    def between(self, since: datetime, until: datetime, timezone: str = "UTC") -> Iterator[datetime]:
        """Yield the ticks after ``since``, up to ``until``."""
        tick = self.after(since, timezone)
        while tick is not None and tick <= until:
            yield tick
            tick = self.after(tick, timezone)


@lru_cache(maxsize=256)
def _triggers(cron: str, timezone: str) -> tuple[CronTrigger, ...]:
    """Return what fires as a cron line says; two triggers where either day of it is enough.

    Raises:
        ValueError: If it is no cron line.
    """
    from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415  (only where there are rules)

    fields = cron.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"{cron!r} has {len(fields)} fields, a schedule has five: {', '.join(_FIELDS)}")
    minute, hour, day, month, weekday = fields
    weekday = _weekdays(weekday)
    either = day != "*" and weekday != "*"
    pairs = [(day, "*"), ("*", weekday)] if either else [(day, weekday)]
    try:
        return tuple(
            CronTrigger(
                minute=minute,
                hour=hour,
                day=first,
                month=month.lower(),
                day_of_week=second,
                second=0,
                timezone=ZoneInfo(timezone),
            )
            for first, second in pairs
        )
    except ValueError as error:
        raise ValueError(f"{cron!r} is no schedule: {error}") from None


def _weekdays(field: str) -> str:
    """Return the days of the week by name: numbers mean other days to APScheduler than to cron.

    Raises:
        ValueError: If it is none of them.

    >>> _weekdays("1-5"), _weekdays("0,7"), _weekdays("fri-sun"), _weekdays("*/3")
    ('mon,tue,wed,thu,fri', 'sun', 'fri,sat,sun', 'sun,wed,sat')
    """
    if field == "*":
        return field
    chosen: list[str] = []
    for part in field.lower().split(","):
        matched = re.fullmatch(r"(\*|(\w+)(?:-(\w+))?)(?:/(\d{1,2}))?", part)
        if matched is None:
            raise ValueError(f"{part!r} is no day of the week")
        span, first, last, step = matched.groups()
        start, end = (0, 6) if span == "*" else (_weekday(first), _weekday(last or first))
        end += 7 if end < start else 0
        chosen += [_DAYS[day % 7] for day in range(start, end + 1, max(int(step or 1), 1))]
    return ",".join(dict.fromkeys(chosen))


def _weekday(name: str) -> int:
    if name in _DAYS:
        return _DAYS.index(name)
    if not name.isdecimal() or int(name) > 7:
        raise ValueError(f"{name!r} is no day of the week: they are 0 to 7, or {', '.join(_DAYS)}")
    return int(name)
