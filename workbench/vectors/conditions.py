"""Which events a search may find."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from workbench.errors import UnknownNameError, UsageError
from workbench.partials.documents import DAY_US

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from numpy.typing import NDArray

    from workbench.config.entity_schema import EntitySchema
    from workbench.tabular import Tabular
    from workbench.vectors.window import Window

__all__ = ["Kept", "World", "fulfilling"]

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class World(Protocol):
    """What conditions are about."""

    schema: EntitySchema
    timezone: str

    def sql(self, statement: str) -> Tabular:
        """Return the rows of one SELECT."""


@dataclass(eq=False)
class Kept:
    """The events of a window that fulfil all conditions.

    Attributes:
        window: The window.
        rows: Which of its rows have such an event.
        events: By segment, which of its events they are; of a segment that is not here, all of those rows.
    """

    window: Window
    rows: NDArray[np.bool_]
    events: dict[int, NDArray[np.bool_]]

    @property
    def texts(self) -> NDArray[np.bool_]:
        """Return which texts such an event says, by number."""
        found = np.zeros(len(self.window), np.bool_)
        found[self.window.row_number[self.rows]] = True
        return found

    def of(self, segment: int) -> slice:
        """Return where a segment's rows stand."""
        return slice(*self.window.row_starts[segment : segment + 2])

    def only(self, segment: int, events: NDArray[np.bool_]) -> None:
        """Keep of a segment's events only some."""
        both = events & self.events[segment] if segment in self.events else events
        self.events[segment] = both
        self.rows[self.of(segment)] &= self.window.segments[segment].postings.any_of(both)


def fulfilling(  # noqa: PLR0913  (a condition each)
    window: Window,
    world: World,
    *,
    since: str | date | None = None,
    until: str | date | None = None,
    type: str | Sequence[str] | None = None,  # noqa: A002  (the word of the specification)
    where: str | None = None,
) -> Kept:
    """Return the window's events that fulfil all conditions.

    Args:
        window: The texts and their events.
        world: The workspace.
        since: A day or time in the workspace's zone.
        until: The end, not included.
        type: One or several event types; their aliases count too.
        where: A condition of SQL on the events' fields.

    Raises:
        UnknownNameError: If there is no such event type.
        UsageError: If a time is none.
        SqlError: If the condition is none.
    """
    names = _event_types(type, world.schema)
    kept = Kept(window, np.ones(len(window.row_number), np.bool_), {})
    if names:
        wanted = np.array([kind in names for kind in window.kinds], np.bool_)
        kept.rows &= wanted[window.row_kind]
    first = None if since is None else _microseconds(since, world.timezone)
    last = None if until is None else _microseconds(until, world.timezone)
    _between(kept, first, last)
    if where is not None:
        _where(where, names, kept, world)
    return kept


def _between(kept: Kept, first: int | None, last: int | None) -> None:
    """Keep what was at ``first`` or later, and before ``last``; of days in between no event is looked at."""
    for place, segment in enumerate(kept.window.segments):
        begin = segment.midnight
        end = begin + DAY_US
        if (first is not None and end <= first) or (last is not None and begin >= last):
            kept.rows[kept.of(place)] = False
        elif (first is not None and begin < first) or (last is not None and end > last):
            times = segment.postings.times
            inside = np.ones(len(times), np.bool_) if first is None else times >= first
            kept.only(place, inside if last is None else inside & (times < last))


def _event_types(type: str | Sequence[str] | None, schema: EntitySchema) -> list[str]:  # noqa: A002
    known = schema.event_names
    names = [type] if isinstance(type, str) else list(type or ())
    for name in names:
        if name not in known:
            raise UnknownNameError("event type", name, schema.events)
    return [known[name] for name in names]


def _where(where: str, types: Sequence[str], kept: Kept, world: World) -> None:
    tables = [f'"{name.replace(chr(34), chr(34) * 2)}"' for name in types] or ["events"]
    # the line break ends a comment in the condition; whatever it is, it runs as one SELECT or not at all
    parts = (f"SELECT _segment, _id FROM {table} WHERE ({where}\n)" for table in tables)  # noqa: S608
    rows = pl.DataFrame(world.sql(" UNION ALL ".join(parts)).to_arrow())
    wanted = rows.select(pl.col("_segment").cast(pl.String), "_id").partition_by("_segment", as_dict=True)
    for place, segment in enumerate(kept.window.segments):
        mine = wanted.get((segment.name,))
        if mine is None:
            kept.rows[kept.of(place)] = False
        elif kept.rows[kept.of(place)].any():
            kept.only(place, pl.Series(segment.postings.ids).is_in(mine["_id"].to_list()).to_numpy())


def _microseconds(value: Any, timezone: str) -> int:
    """Return a day's start or a time as microseconds since 1970; in ``timezone`` where it names none."""
    try:
        read = datetime.fromisoformat(value if isinstance(value, str) else value.isoformat())
    except ValueError:
        raise UsageError(f"{value!r} is not a time.", fix="Give a date such as 2013-06-30.") from None
    zoned = read if read.tzinfo else read.replace(tzinfo=ZoneInfo(timezone))
    return round((zoned - _EPOCH).total_seconds() * 1_000_000)
