"""Episodes: adjacent alerts of a series as one event with a start, an end and a peak."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.analysis.baseline import stabilised
from workbench.analysis.metrics import DISTINCT, NEW, is_level, is_of_entities, is_of_knowledge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.analysis.baseline import Baseline
    from workbench.analysis.series import SeriesSet

__all__ = ["CRITICAL", "NOTABLE", "SEVERITIES", "SIGNIFICANT", "episodes", "fold", "with_drivers"]

NOTABLE, SIGNIFICANT, CRITICAL = 2.0, 3.0, 4.0
SEVERITIES = ("notable", "significant", "critical")
_DRIVERS = 5
_DRIVER = pl.Struct(
    {
        "dimension": pl.String(),
        "value": pl.String(),
        "observed": pl.Float64(),
        "expected": pl.Float64(),
        "excess": pl.Float64(),
    }
)


def episodes(series: SeriesSet, baseline: Baseline) -> pl.DataFrame:
    """Return one row for each run of alerts in one direction: ``row``, ``start``, ``end`` and what they are.

    ``start`` and ``end`` are bucket numbers, the end not included. ``observed`` and ``expected`` are sums of
    events; of a share, the share of all events in the episode; of distinct entities and of what compute
    finds, the daily mean.
    ``excess`` is in events (entities); ``size`` is how many standard deviations of a Poisson count all of
    the episode together is off. ``z`` and ``deviation`` are the peak's.
    """
    alert = np.sign(baseline.z) * (np.abs(baseline.z) >= NOTABLE)
    padded = np.pad(alert, ((0, 0), (1, 1)))
    changes = padded[:, 1:] != padded[:, :-1]
    row, start = np.nonzero(changes[:, :-1] & (alert != 0))
    end = np.nonzero(changes[:, 1:] & (alert != 0))[1] + 1
    place, owner = _members(start, end)
    z = baseline.z[row[owner], place]
    firsts = np.searchsorted(owner, np.arange(len(row)))
    order = np.lexsort((place, -np.abs(z), owner))
    peak = place[order[firsts]] if len(row) else place

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(owner, weights=values[row[owner], place], minlength=len(row)).astype(np.float64)

    shares = series.shares[row] if len(row) else np.empty(0, np.bool_)
    mean = series.names.select(is_level(pl.col("metric"))).to_series().to_numpy()[row]
    observed, expected = total(series.counts), total(np.nan_to_num(baseline.expected))
    days = np.where(mean, end - start, 1.0)
    whole = np.where(shares, total(np.nan_to_num(series.totals)), days)
    buckets = series.buckets
    starts, ends = buckets.starts, buckets.ends
    resolution = "hour" if buckets.slots_a_day > 1 else "day"
    frame = series.names[row].with_columns(
        pl.lit(resolution).alias("resolution"),
        starts[start].alias("since"),
        ends[end - 1].alias("until"),
        starts[peak].alias("peak"),
        pl.Series("observed", observed / whole),
        pl.Series("expected", expected / whole),
        pl.Series("excess", (observed - expected) / days),
        pl.Series("size", stabilised(observed / days, expected / days)),
        pl.Series("deviation", baseline.deviation[row, peak]),
        pl.Series("z", baseline.z[row, peak]),
        pl.Series("start", start),
        pl.Series("end", end),
        pl.Series("row", row),
    )
    hours = (pl.col("until") - pl.col("since")).dt.total_hours().cast(pl.Int32)
    return frame.with_columns(
        hours.alias("hours"),
        pl.when(pl.col("z") > 0).then(pl.lit("up")).otherwise(pl.lit("down")).alias("direction"),
    )


def _members(start: NDArray[np.int64], end: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all bucket numbers of the episodes, and the episode that each belongs to."""
    length = end - start
    owner = np.repeat(np.arange(len(start)), length)
    before = np.repeat(np.cumsum(length) - length, length)
    return start[owner] + np.arange(len(owner)) - before, owner


def fold(hours: pl.DataFrame, days: pl.DataFrame) -> pl.DataFrame:
    """Return the episodes of hours and of days as one table, what is said twice only once.

    A daily episode takes in the hourly ones of its metric, value and direction that touch it: it gets their
    peak, and the larger ``z``. An episode of a dimension's value that touches one of the whole which is
    significant, or as severe, is left to the whole's drivers; so is one of distinct or new entities,
    where events are as clearly more or fewer, and one of new entities where there are more or fewer at all.
    """
    same = ["metric", "dimension", "value", "direction"]
    days = days.with_row_index("day_episode")
    pairs = (
        hours.with_row_index("hour_episode")
        .join(days.select(*same, "day_episode", "since", "until"), on=same, nulls_equal=True, suffix="_day")
        .filter((pl.col("since") < pl.col("until_day")) & (pl.col("until") > pl.col("since_day")))
        .sort(pl.col("z").abs(), descending=True)
    )
    taken = pairs.unique("day_episode", keep="first", maintain_order=True)
    days = days.join(
        taken.select("day_episode", pl.col("peak").alias("hour_peak"), pl.col("z").alias("hour_z")),
        on="day_episode",
        how="left",
        maintain_order="left",
    ).with_columns(
        pl.coalesce("hour_peak", "peak").alias("peak"),
        pl.when(pl.col("hour_z").abs() > pl.col("z").abs()).then("hour_z").otherwise("z").alias("z"),
    )
    alone = hours.with_row_index("hour_episode").join(pairs, on="hour_episode", how="anti")
    both = pl.concat([days.select(hours.columns), alone.select(hours.columns)]).with_row_index("episode")
    whole = both.filter(pl.col("dimension").is_null())
    metric = pl.col("metric")
    of_events = whole.filter(~is_of_entities(metric), ~is_of_knowledge(metric))
    distinct, new = (
        both.filter(metric.str.starts_with(kind)).with_columns(metric.str.strip_prefix(kind).alias("of"))
        for kind in (DISTINCT, NEW)
    )
    parts = both.filter(pl.col("dimension").is_not_null())
    told = pl.concat(
        [
            _told(parts, whole, ["metric", "direction"]),
            _told(both.filter(is_of_entities(metric)), of_events, ["direction"]),
            _told(new, distinct, ["of", "direction"]),
        ]
    )
    return (
        both.join(told, on="episode", how="anti")
        .with_columns(_level(pl.col("z")).alias("level"))
        .sort(
            pl.col("level"),
            pl.col("dimension").is_null(),
            pl.col("size").abs(),
            descending=True,
        )
        .with_columns(pl.col("level").replace_strict(dict(enumerate(SEVERITIES))).alias("severity"))
        .drop("episode", "level")
    )


def _told(parts: pl.DataFrame, whole: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    """Return ``episode`` of the parts that touch a whole which is as severe, or significant.

    What the whole shows clearly, its parts may show more clearly still: that is no news.
    """
    touching = (pl.col("since") < pl.col("until_whole")) & (pl.col("until") > pl.col("since_whole"))
    as_severe = _level(pl.col("z_whole")) >= _level(pl.col("z")).clip(upper_bound=1)
    return parts.join(whole, on=on, suffix="_whole").filter(touching & as_severe).select("episode")


def _level(z: pl.Expr) -> pl.Expr:
    """Return the place in ``SEVERITIES``."""
    return (z.abs() >= SIGNIFICANT).cast(pl.Int8) + (z.abs() >= CRITICAL).cast(pl.Int8)


def with_drivers(found: pl.DataFrame, days: SeriesSet, baseline: Baseline) -> pl.DataFrame:
    """Add ``drivers``: of each dimension the five values that most of the excess comes from.

    They are of the local days that the episode touches; of an episode by a dimension's value, of the other
    dimensions nothing is known.
    """
    place = days.names.with_row_index("series")
    ends = days.buckets.ends.to_physical().to_numpy()
    starts = days.buckets.starts.to_physical().to_numpy()
    known = np.isfinite(baseline.expected) & np.isfinite(days.counts)
    sums = [
        np.cumsum(np.pad(np.where(known, values, 0.0), ((0, 0), (1, 0))), axis=1)
        for values in (days.counts, baseline.expected)
    ]
    numbered = found.with_row_index("episode")
    whole = numbered.filter(pl.col("dimension").is_null())
    rows = []
    for (metric,), group in whole.group_by("metric"):
        parts = place.filter((pl.col("metric") == metric) & pl.col("dimension").is_not_null())
        if parts.is_empty():
            continue
        low = np.searchsorted(ends, group["since"].to_physical().to_numpy(), side="right")
        high = np.searchsorted(starts, group["until"].to_physical().to_numpy(), side="left")
        index = parts["series"].to_numpy()
        observed, expected = (s[index][:, high] - s[index][:, low] for s in sums)
        for column, episode in enumerate(group["episode"]):
            rows.append(
                parts.select(
                    pl.lit(episode, pl.UInt32).alias("episode"),
                    "dimension",
                    "value",
                    pl.Series("observed", observed[:, column]),
                    pl.Series("expected", expected[:, column]),
                )
            )
    if not rows:
        return found.with_columns(pl.lit([], pl.List(_DRIVER)).alias("drivers"))
    sign = numbered.select("episode", pl.col("excess").sign().alias("sign"))
    parts = (
        pl.concat(rows)
        .join(sign, on="episode")
        .with_columns((pl.col("observed") - pl.col("expected")).alias("excess"))
        .filter(pl.col("excess") * pl.col("sign") > 0)
        .with_columns(pl.col("excess").abs().max().over("episode", "dimension").alias("most"))
        .sort(
            *("episode", "most", "dimension", pl.col("excess").abs(), "value"),
            descending=[False, True, False, True, False],
        )
        .group_by("episode", "dimension", maintain_order=True)
        .head(_DRIVERS)
        .group_by("episode", maintain_order=True)
        .agg(pl.struct("dimension", "value", "observed", "expected", "excess").cast(_DRIVER).alias("drivers"))
    )
    return (
        numbered.join(parts, on="episode", how="left", maintain_order="left")
        .with_columns(pl.col("drivers").fill_null(pl.lit([], pl.List(_DRIVER))))
        .drop("episode")
    )
