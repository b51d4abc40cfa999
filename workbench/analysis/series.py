"""Series over time that trends are looked for in: events, shares, entities, each by day or by hour.

All come from partials, never from documents. Hours are whole hours of UTC; an hour belongs to the local
day that it begins in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from workbench.analysis.grouping import Grouping
from workbench.analysis.metrics import DISTINCT, SHARE
from workbench.analysis.newcomers import new_series, newcomers
from workbench.analysis.sighted import VERSION, Sighted, merged_sightings, sighted
from workbench.executors.base import tree
from workbench.partials.shapes import COUNTS
from workbench.storage import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from workbench.config.entity_schema import Term
    from workbench.storage.by_segment import BySegment

__all__ = ["Buckets", "Resolution", "SeriesSet", "daily", "hourly", "read_series"]

Resolution = Literal["hour", "day"]

_HOUR = timedelta(hours=1)
_COUNTS = pl.Schema({"type": pl.String(), "hour": pl.Datetime("us", "UTC"), "events": pl.Int64()})
_NAMES = {"metric": pl.String(), "dimension": pl.String(), "value": pl.String()}


@dataclass(frozen=True, eq=False)
class Buckets:
    """Consecutive spans of time and where each stands in the local week.

    Attributes:
        resolution: ``hour`` or ``day``.
        starts: Start of each bucket, UTC.
        ends: The moment after each bucket.
        slot: Hour of the local week (0 to 167, from Monday), or day of the week (0 to 6).
        week: Number of the local week, counted from 1970's first Monday.
        day: Number of the local day, counted from 1970.
    """

    resolution: Resolution
    starts: pl.Series
    ends: pl.Series
    slot: NDArray[np.int64]
    week: NDArray[np.int64]
    day: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of buckets."""
        return len(self.starts)

    @property
    def slots_a_day(self) -> int:
        """Return how many buckets a day has."""
        return 24 if self.resolution == "hour" else 1


def _local(hours: pl.Series, timezone: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the number of the local day and the hour of that day."""
    local = hours.dt.convert_time_zone(timezone)
    return (
        local.dt.date().to_physical().cast(pl.Int64).to_numpy(),
        local.dt.hour().cast(pl.Int64).to_numpy(),
    )


def _hours(first: datetime, last: datetime) -> pl.Series:
    return pl.datetime_range(first, last, "1h", time_unit="us", time_zone="UTC", eager=True)


def hourly(first: datetime, last: datetime, timezone: str) -> Buckets:
    """Return the hours after that of ``first`` and before that of ``last``: those may not be whole."""
    hours = _hours(first, last)[1:-1]
    day, hour = _local(hours, timezone)
    # 1970-01-01 was a Thursday
    weekday, week = (day + 3) % 7, (day + 3) // 7
    return Buckets("hour", hours, hours.dt.offset_by("1h"), weekday * 24 + hour, week, day)


def daily(first: datetime, last: datetime, timezone: str) -> Buckets:
    """Return the local days that lie whole between the hours ``first`` and ``last``."""
    hours = _hours(first - 25 * _HOUR, last + 25 * _HOUR)
    frame = pl.DataFrame({"hour": hours, "day": _local(hours, timezone)[0]})
    spans = frame.group_by("day").agg(pl.col("hour").min().alias("start"), pl.col("hour").max().alias("end"))
    whole = spans.filter((pl.col("start") >= first) & (pl.col("end") <= last)).sort("day")
    day = whole["day"].to_numpy()
    ends = whole["end"].dt.offset_by("1h")
    return Buckets("day", whole["start"], ends, (day + 3) % 7, (day + 3) // 7, day)


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """Series over the same buckets.

    Attributes:
        buckets: The time axis.
        names: ``metric``, ``dimension`` and ``value`` (null for the whole), a row a series.
        counts: Events or entities, float64 ``[series, buckets]``.
        totals: What the counts are a share of, or NaN for series that are no shares.
    """

    buckets: Buckets
    names: pl.DataFrame
    counts: NDArray[np.float64]
    totals: NDArray[np.float64]

    @property
    def shares(self) -> NDArray[np.bool_]:
        """Return which series are shares."""
        return np.asarray(~np.isnan(self.totals).all(axis=1))

    @property
    def observed(self) -> NDArray[np.float64]:
        """Return what is measured: the count, or the share of the total (NaN where that is zero)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(np.isnan(self.totals), self.counts, self.counts / self.totals)

    @property
    def families(self) -> list[NDArray[np.int64]]:
        """Return the rows of each metric's series by one dimension."""
        parts = self.names.with_row_index("row").filter(pl.col("dimension").is_not_null())
        grouped = parts.group_by("metric", "dimension", maintain_order=True).agg("row")
        return [np.array(rows, dtype=np.int64) for rows in grouped["row"].to_list()]

    def select(self, rows: Sequence[int] | NDArray[np.int64]) -> SeriesSet:
        """Return some of the series."""
        index = np.asarray(rows, dtype=np.int64)
        return SeriesSet(self.buckets, self.names[index], self.counts[index], self.totals[index])

    def beside(self, *others: SeriesSet) -> SeriesSet:
        """Return these series and others over the same buckets."""
        parts = (self, *others)
        return SeriesSet(
            self.buckets,
            pl.concat(p.names for p in parts),
            np.concatenate([p.counts for p in parts]),
            np.concatenate([p.totals for p in parts]),
        )


def read_series(  # noqa: PLR0913  (what a series depends on, each its own)
    source: BySegment,
    segments: Iterable[str],
    timezone: str,
    *,
    attributes: frozenset[str],
    terms: Mapping[str, Term],
    most_values: int | None,
    new_days: int,
    group: Grouping | None = None,
) -> dict[Resolution, SeriesSet]:
    """Return the hourly and the daily series of the window; empty where the window has no whole bucket.

    Hourly are the events of each type and the shares of the outcomes that the schema's terms declare. Daily
    are these, the distinct entities of each type, those of them that are new, and events and shares by
    each entity of small types.

    Args:
        source: What goes through the segments, and keeps what entities did in each.
        segments: The window.
        timezone: Decides what a day and an hour of the week are.
        attributes: Attribute types: their distinct entities are no series.
        terms: Event types that are one thing's; their outcomes become shares.
        most_values: An entity type with more entities in the window is no dimension. With None only the
            events and shares of the whole are read, without opening the sightings.
        new_days: On so many days before a new entity was not seen.
        group: Where hourly counts are summed; by default wherever it is fastest.
    """
    wanted = sorted(segments)
    counts = _read_counts(source, wanted, group or Grouping())
    if counts.is_empty():
        empty = SeriesSet(_no_buckets(), pl.DataFrame(schema=_NAMES), np.empty((0, 0)), np.empty((0, 0)))
        return {"hour": empty, "day": empty}
    first, last = counts.select(pl.col("hour").min(), pl.col("hour").max().alias("last")).row(0)
    days = daily(first, last, timezone)
    hours = hourly(first, last, timezone)
    found = None
    if most_values is not None:
        found = _read_sightings(source, wanted, timezone, attributes, most_values)
    by_value = _empty("hour") if found is None else _by_value(found)
    distinct = _dense(_empty("day") if found is None else _distinct(found), days)
    whole = counts.select(
        pl.col("type").alias("metric"),
        pl.lit(None, pl.String).alias("dimension"),
        pl.lit(None, pl.String).alias("value"),
        "hour",
        "events",
    )
    return {
        "hour": _with_shares(_dense(whole, hours), terms),
        "day": _with_shares(_dense(_by_day(pl.concat([whole, by_value]), timezone), days), terms).beside(
            distinct,
            *([] if found is None else [new_series(newcomers(found.hashes, new_days), distinct, new_days)]),
        ),
    }


def _no_buckets() -> Buckets:
    nothing = pl.Series([], dtype=pl.Datetime("us", "UTC"))
    none = np.empty(0, np.int64)
    return Buckets("hour", nothing, nothing, none, none, none)


def _read_counts(source: BySegment, segments: list[str], group: Grouping) -> pl.DataFrame:
    """Return the events of each type and hour, in that order."""
    parts = list(source.executor.map(hourly_counts, (Segment(source.snapshot, s) for s in segments)))
    if not parts:
        return pl.DataFrame(schema=_COUNTS)
    counted = pl.DataFrame(pa.concat_tables(parts).unify_dictionaries()).cast(_COUNTS)
    return group(counted, ["type", "hour"], {"events": ("sum", "events")}) if counted.height else counted


def hourly_counts(segment: Segment) -> pa.Table:
    """Return ``type``, ``hour`` and ``events`` of one segment, without those of test accounts.

    Raises:
        CorruptFileError: If the partial is damaged.
    """
    tables = segment.read("counts")
    found = tables[0] if tables else COUNTS.empty_table()
    return found.filter(pc.invert(found["is_test"])).select(list(_COUNTS))


def _read_sightings(
    source: BySegment, segments: list[str], timezone: str, attributes: frozenset[str], most_values: int
) -> Sighted | None:
    """Return what entities did in all segments."""
    options: dict[str, Any] = {
        "timezone": timezone,
        "attributes": sorted(attributes),
        "most_values": most_values,
    }
    parts = source.find(
        partial(sighted, **options),
        segments,
        "sighted",
        reads=("entities", "sightings"),
        # of another version of polars hashes are others
        facts={"version": VERSION, "polars": pl.__version__, **options},
    )
    return tree(map(Sighted.of, parts), partial(merged_sightings, most_values=most_values))


def _by_value(found: Sighted) -> pl.DataFrame:
    """Return events by hour and entity of the small types."""
    return found.events.select(
        pl.col("event_type").alias("metric"),
        pl.col("type").alias("dimension"),
        pl.col("key").alias("value"),
        "hour",
        "events",
    )


def _distinct(found: Sighted) -> pl.DataFrame:
    """Return entities by local day."""
    return found.distinct.select(
        (pl.lit(DISTINCT) + pl.col("type")).alias("metric"),
        pl.lit(None, pl.String).alias("dimension"),
        pl.lit(None, pl.String).alias("value"),
        "day",
        pl.col("entities").alias("events"),
    )


def _empty(bucket: str) -> pl.DataFrame:
    kind = pl.Datetime("us", "UTC") if bucket == "hour" else pl.Int64()
    return pl.DataFrame(schema={**_NAMES, bucket: kind, "events": pl.Int64()})


def _by_day(frame: pl.DataFrame, timezone: str) -> pl.DataFrame:
    local = pl.col("hour").dt.convert_time_zone(timezone).dt.date().to_physical().cast(pl.Int64)
    by = ("metric", "dimension", "value", local.alias("day"))
    return frame.group_by(by).agg(pl.col("events").sum())


def _dense(frame: pl.DataFrame, buckets: Buckets) -> SeriesSet:
    """Return one series for each name; a bucket without a row is zero."""
    names = frame.select("metric", "dimension", "value").unique().sort("metric", "dimension", "value")
    axis = (
        pl.DataFrame({"hour": buckets.starts})
        if buckets.resolution == "hour"
        else pl.DataFrame({"day": buckets.day})
    )
    placed = frame.join(
        names.with_row_index("row"), on=["metric", "dimension", "value"], nulls_equal=True
    ).join(axis.with_row_index("column"), on=axis.columns)
    counts = np.zeros((names.height, len(buckets)))
    counts[placed["row"].to_numpy(), placed["column"].to_numpy()] = placed["events"].to_numpy()
    return SeriesSet(buckets, names, _within_spans(counts, names), np.full_like(counts, np.nan))


def _within_spans(counts: NDArray[np.float64], names: pl.DataFrame) -> NDArray[np.float64]:
    """Return the counts with NaN before a metric's first bucket and after its last: not there is not zero."""
    place = np.arange(counts.shape[1])
    for rows in (
        names.with_row_index("row").group_by("metric", maintain_order=True).agg("row")["row"].to_list()
    ):
        used = np.flatnonzero(counts[rows].any(axis=0))
        outside = (place < used.min(initial=len(place))) | (place > used.max(initial=-1))
        counts[np.ix_(rows, outside)] = np.nan
    return counts


def _with_shares(series: SeriesSet, terms: Mapping[str, Term]) -> SeriesSet:
    """Add the share of each outcome, for the whole and for each dimension's value."""
    found: list[SeriesSet] = []
    place = series.names.with_row_index("row")
    for term in terms.values():
        members = place.filter(pl.col("metric").is_in(list(term.events)))
        outcomes = term.outcomes or _all_but_the_commonest(series, members)
        total = members.group_by("dimension", "value", maintain_order=True).agg("row")
        sums = np.array([np.nansum(series.counts[rows], axis=0) for rows in total["row"].to_list()])
        shared = members.filter(pl.col("metric").is_in(list(outcomes))).join(
            total.drop("row").with_row_index("of"),
            on=["dimension", "value"],
            nulls_equal=True,
            maintain_order="left",
        )
        if shared.is_empty() or members["metric"].n_unique() < 2:
            continue
        names = shared.select((pl.lit(SHARE) + pl.col("metric")).alias("metric"), "dimension", "value")
        counts = np.nan_to_num(series.counts[shared["row"].to_numpy()])
        found.append(SeriesSet(series.buckets, names, counts, sums[shared["of"].to_numpy()]))
    return series.beside(*found)


def _all_but_the_commonest(series: SeriesSet, members: pl.DataFrame) -> list[str]:
    """Return the term's events without the one whose share says the same as that of all others."""
    whole = members.filter(pl.col("dimension").is_null())
    events = np.nansum(series.counts[whole["row"].to_numpy()], axis=1)
    return [name for name, n in zip(whole["metric"], events, strict=True) if n < events.max(initial=0.0)]
