"""How often each actor did what, hour by hour, and when it came: counted once a segment.

Events of an actor that follow one another closely are a visit. A visit may go on past midnight: what segments
say is joined, so that midnight is no border.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.analysis.activity import local_hour
from workbench.analysis.runs import changes, starts
from workbench.analysis.stacked import read_events
from workbench.partials.documents import DAY_US
from workbench.partials.micros import start_of
from workbench.storage import Segment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from workbench.analysis.activity import Activity
    from workbench.storage.by_segment import BySegment

__all__ = ["HOURS", "HOUR_US", "Counting", "Tally", "read_tally", "tally_of"]

HOURS = 24
HOUR_US = DAY_US // HOURS
_QUARTER_US = HOUR_US // 4
_VERSION = 1

_HOURLY = pl.Schema(
    {
        "actor": pl.Int32(),
        "event_type": pl.Enum([]),
        "hour": pl.Int32(),
        "local": pl.UInt8(),
        "events": pl.UInt32(),
        "visits": pl.UInt32(),
    }
)
_SPANS = pl.Schema(
    {"actor": pl.Int32(), "first": pl.Int64(), "last": pl.Int64(), "gaps": pl.Int64(), "pauses": pl.Int64()}
)


@dataclass(frozen=True)
class Counting:
    """What counts depend on beside the events.

    Attributes:
        type_: Whose events.
        timezone: Zone of the local hours.
        visit_us: The longest pause within a visit, in microseconds.
    """

    type_: str
    timezone: str
    visit_us: int


@dataclass(frozen=True)
class Tally:
    """What actors did in a range of time.

    Attributes:
        hourly: ``actor``, ``event_type`` (an Enum), ``hour`` (since 1970, UTC), ``local`` (the hour of the
            local day), ``events``, and the ``visits`` that began: those of an actor and hour stand in one of
            their rows. A row for each combination that has events.
        spans: ``actor``, the time of its ``first`` and its ``last`` event, the number of ``gaps`` between
            visits and their sum, ``pauses``, in microseconds; a row an actor, by actor.
    """

    hourly: pl.DataFrame
    spans: pl.DataFrame

    def total(self, column: str, actors: int) -> NDArray[np.int64]:
        """Return the sum of ``events`` or ``visits`` of each of so many actors."""
        found = np.bincount(self.hourly["actor"].to_numpy(), self.hourly[column].to_numpy(), actors)
        return found.astype(np.int64)


def tally_of(events: pl.DataFrame, counting: Counting) -> Tally:
    """Count events.

    Args:
        events: ``actor``, ``event_type`` and ``ts``, sorted by ``actor`` and ``ts``.
        counting: How.

    >>> hours = [0.2, 0.4, 5.0]
    >>> events = pl.DataFrame(
    ...     {"actor": [7] * 3, "event_type": ["a", "a", "b"], "ts": [int(h * HOUR_US) for h in hours]},
    ...     schema_overrides={"actor": pl.Int32},
    ... )
    >>> tally = tally_of(events, Counting("user", "Europe/Rome", HOUR_US // 2))
    >>> tally.hourly.select("hour", "local", "events", "visits").rows()
    [(0, 1, 2, 1), (5, 6, 1, 1)]
    >>> tally.spans.select("gaps", pl.col("pauses") / HOUR_US).row(0)
    (1, 4.6)
    """
    names = sorted(events["event_type"].unique().cast(pl.String))
    kinds = pl.Enum(names)
    if not events.height:
        return Tally(pl.DataFrame(schema=_HOURLY), pl.DataFrame(schema=_SPANS))
    actor, ts = events["actor"].to_numpy(), events["ts"].to_numpy()
    kind = events["event_type"].cast(kinds).to_physical().to_numpy()
    hour, local = _hours(ts, counting.timezone)
    other = changes(actor)
    pause = np.diff(ts, prepend=ts[:1])
    apart = ~other & (pause > counting.visit_us)
    # what an actor did in an hour stands together
    firsts = starts(actor, hour, local)
    run = np.repeat(np.arange(len(firsts)), np.diff(firsts, append=len(ts)))
    counts = np.bincount(run * len(names) + kind, minlength=len(firsts) * len(names))
    cells = np.flatnonzero(counts)
    of, place = np.divmod(cells, len(names))
    visits = np.where(changes(of), np.add.reduceat(other | apart, firsts, dtype=np.uint32)[of], 0)
    rows = firsts[of]
    hourly = {
        "actor": actor[rows],
        "event_type": pl.Series(names, dtype=kinds).gather(place),
        "hour": hour[rows],
        "local": local[rows],
        "events": counts[cells],
        "visits": visits,
    }
    begin = np.flatnonzero(other)
    spans = {
        "actor": actor[begin],
        "first": ts[begin],
        "last": ts[np.append(begin[1:], len(ts)) - 1],
        "gaps": np.add.reduceat(apart, begin, dtype=np.int64),
        "pauses": np.add.reduceat(np.where(apart, pause, 0), begin),
    }
    return Tally(_shaped(hourly, {**_HOURLY, "event_type": kinds}), _shaped(spans, _SPANS))


def _shaped(columns: Mapping[str, Any], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return pl.DataFrame(columns).select(pl.col(name).cast(kind) for name, kind in schema.items())


def _hours(ts: NDArray[np.int64], timezone: str) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Return the hour since 1970 (UTC) and that of the local day of each time."""
    # zones differ by quarters of an hour: of few quarters the local hour is looked up
    quarter = ts // _QUARTER_US
    first = quarter.min()
    quarters = pl.DataFrame({"ts": np.arange(first, quarter.max() + 1) * _QUARTER_US})
    local = quarters.select(local_hour(timezone))["ts"].to_numpy().astype(np.uint8)
    return (ts // HOUR_US).astype(np.int32), local[quarter - first]


def read_tally(activity: Activity, counting: Counting, since: int, until: int, source: BySegment) -> Tally:
    """Return what the actors of an activity did in a range of time; whole segments are counted once for ever.

    Args:
        activity: Whose.
        counting: How events are counted.
        since: Start of the range, in microseconds since 1970, within that of the activity.
        until: Its end, not included.
        source: What finds and keeps what single segments tell.

    Raises:
        CorruptFileError: If a partial is damaged.
    """
    places = activity.places
    touched = sorted(s for s in places if since - DAY_US < start_of(s) < until)
    whole = [s for s in touched if since <= start_of(s) <= until - DAY_US]
    kept = source.find(
        partial(_counted, counting=counting),
        whole,
        f"tally of {counting.type_}",
        reads=("entities", "sightings"),
        facts={"version": _VERSION, **asdict(counting)},
    )
    parts = []
    for segment in touched:
        if segment in whole:
            part = next(kept)
        else:  # of what changes from one range to the next nothing is kept
            part = _counted(Segment(source.snapshot, segment), counting, since, until)
        parts.append(_placed(part, places[segment]))
    return _joined(parts, counting)


def _counted(
    segment: Segment, counting: Counting, since: int | None = None, until: int | None = None
) -> Mapping[str, pa.Table]:
    """Return the tally of a segment; an actor is a row of its entities there."""
    events = read_events(segment, counting.type_)
    if since is not None:
        events = events.filter(pl.col("ts").is_between(since, until, closed="left"))
    found = tally_of(events, counting)
    oldest = pl.CompatLevel.oldest()
    return {name: getattr(found, name).to_arrow(compat_level=oldest) for name in ("hourly", "spans")}


def _placed(tables: Mapping[str, pa.Table], places: NDArray[np.int32]) -> Tally:
    """Return the tally of a segment with the actors of the window; others are left out."""
    found = []
    for name in ("hourly", "spans"):
        frame = pl.DataFrame(tables[name])
        actor = pl.Series("actor", places[frame["actor"].to_numpy()])
        found.append(frame.with_columns(actor).filter(pl.col("actor") >= 0))
    return Tally(*found)


def _joined(parts: Sequence[Tally], counting: Counting) -> Tally:
    """Return the tally of segments that follow one another."""
    kinds = pl.Enum(
        sorted({name for part in parts for name in part.hourly["event_type"].unique().cast(pl.String)})
    )
    empty = pl.DataFrame(schema={**_HOURLY, "event_type": kinds})
    # in one piece: who asks for its arrays gets no copies
    hourly = pl.concat([empty, *(p.hourly.cast({"event_type": kinds}) for p in parts)], rechunk=True)
    if not hourly.height:
        return Tally(hourly, pl.DataFrame(schema=_SPANS))
    heights = np.cumsum([0, *(part.hourly.height for part in parts)])
    # an actor's first row of a segment is that of the hour, and of the visit, of its first event there
    rows = [
        starts(part.hourly["actor"].to_numpy()) + height for part, height in zip(parts, heights, strict=False)
    ]
    spans = pl.concat(part.spans for part in parts).with_columns(pl.Series("row", np.concatenate(rows)))
    spans = spans.sort("actor", "first")
    first, last = spans["first"].to_numpy(), spans["last"].to_numpy()
    other = changes(spans["actor"].to_numpy())
    pause = first - np.roll(last, 1)
    apart = ~other & (pause > counting.visit_us)
    visits = hourly["visits"].to_numpy().copy()
    visits[spans["row"].to_numpy()[~other & ~apart]] -= 1  # it began in the segment before
    begin = np.flatnonzero(other)
    whole = {
        "actor": spans["actor"].to_numpy()[begin],
        "first": first[begin],
        "last": last[np.append(begin[1:], len(last)) - 1],
        "gaps": np.add.reduceat(spans["gaps"].to_numpy() + apart, begin),
        "pauses": np.add.reduceat(spans["pauses"].to_numpy() + np.where(apart, pause, 0), begin),
    }
    return Tally(hourly.with_columns(pl.Series("visits", visits)), _shaped(whole, _SPANS))
