"""Trends as a rule sees them: episodes that touch its period, told only from what was before its end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from workbench.analysis.baseline import baseline_of
from workbench.analysis.episodes import SEVERITIES, episodes, fold
from workbench.analysis.metrics import may_have_no_series
from workbench.analysis.over_time import known_series
from workbench.analysis.series import read_series
from workbench.analysis.tasks import tasks
from workbench.errors import UnknownNameError
from workbench.graph.keys import format_entity
from workbench.rules.verdict import figure

if TYPE_CHECKING:
    from datetime import datetime

    from workbench.analysis.series import Resolution, SeriesSet
    from workbench.config.anomaly_rule import Trend
    from workbench.rules.scene import World

__all__ = ["Series", "found_trends", "worst"]


@dataclass
class Series:
    """The series of a workspace, read once; what came after a moment is masked for it.

    Args:
        world: The workspace.
        segments: The window.
    """

    world: World
    segments: tuple[str, ...]

    def episodes(self, until: int) -> pl.DataFrame:
        """Return the episodes that could be told at a moment (microseconds): of whole hours and days."""
        parameters = self._parameters
        masked = [_masked(self._all[resolution], until) for resolution in ("hour", "day")]
        hours, days = (
            episodes(series, baseline_of(series, parameters["method"], parameters["weeks"]))
            for series in masked
        )
        return fold(hours, days)

    @cached_property
    def _parameters(self) -> dict[str, Any]:
        return tasks.load("trends").complete(self.world.configured("trends"))

    @property
    def metrics(self) -> list[str]:
        """Return what is measured."""
        return sorted(set(self._all["day"].names["metric"]) | set(self._all["hour"].names["metric"]))

    @cached_property
    def _all(self) -> dict[Resolution, SeriesSet]:
        world = self.world
        series = read_series(
            world.by_segment,
            self.segments,
            world.timezone,
            attributes=world.schema.attributes,
            terms=world.schema.terms,
            most_values=self._parameters["most_values"],
            new_days=self._parameters["new_days"],
        )
        days = series["day"]
        known = known_series(world.snapshot, self.segments, days.buckets, world.timezone)
        return {**series, "day": days.beside(known)}


def _masked(series: SeriesSet, until: int) -> SeriesSet:
    """Return the series without the buckets that were not over at a moment."""
    buckets = series.buckets
    whole = int((buckets.ends.to_physical() <= until).sum())
    return replace(
        series,
        buckets=replace(
            buckets,
            starts=buckets.starts[:whole],
            ends=buckets.ends[:whole],
            slot=buckets.slot[:whole],
            week=buckets.week[:whole],
            day=buckets.day[:whole],
        ),
        counts=series.counts[:, :whole],
        totals=series.totals[:, :whole],
    )


def found_trends(series: Series, wanted: Trend, since: int, until: int) -> pl.DataFrame:
    """Return the subjects of a trend rule: ``subject``, ``type``, ``key``, ``value``, ``limit``, ``reason``.

    Raises:
        UnknownNameError: If there is no such metric.
    """
    known = series.metrics
    world = series.world
    metric = world.schema.event_names.get(wanted.metric, wanted.metric)
    if metric not in known and not may_have_no_series(metric) and metric not in world.schema.events:
        raise UnknownNameError("metric", wanted.metric, known)
    zone = ZoneInfo(world.timezone)
    level = SEVERITIES.index(wanted.severity)
    rows = series.episodes(until).filter(
        pl.col("metric") == metric,
        pl.col("severity").is_in(SEVERITIES[level:]),
        pl.col("until").to_physical() > since,
        pl.col("dimension") == wanted.dimension if wanted.dimension else pl.col("dimension").is_null(),
        pl.lit(wanted.direction == "both") | (pl.col("direction") == wanted.direction),
    )
    rows = rows.sort(pl.col("z").abs(), descending=True).unique("value", keep="first", maintain_order=True)
    found: list[dict[str, Any]] = [
        {
            "subject": format_entity(row["dimension"], row["value"]) if row["dimension"] else metric,
            "type": row["dimension"] or "",
            "key": row["value"] or metric,
            "value": float(row["z"]),
            "limit": float(level + 2),
            "reason": (
                f"{metric}: {figure(row['observed'])} instead of {figure(row['expected'])} from "
                f"{_local(row['since'], zone)} until {_local(row['until'], zone)}, {row['severity']}"
            ),
            "addresses": [],
        }
        for row in rows.iter_rows(named=True)
    ]
    return pl.DataFrame(found, schema=SUBJECTS)


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"


SUBJECTS = {
    "subject": pl.String(),
    "type": pl.String(),
    "key": pl.String(),
    "value": pl.Float64(),
    "limit": pl.Float64(),
    "reason": pl.String(),
    "addresses": pl.List(pl.String()),
}
"""The columns of what a rule finds."""


def worst(series: Series, metric: str, since: int, until: int) -> float:
    """Return how far the worst episode of the whole that touches a period is off; 0 where there is none."""
    rows = series.episodes(until).filter(pl.col("until").to_physical() > since, pl.col("dimension").is_null())
    if metric:
        known = series.metrics
        if metric not in known and not may_have_no_series(metric):
            raise UnknownNameError("metric", metric, known)
        rows = rows.filter(pl.col("metric") == metric)
    return float(np.abs(rows["z"].to_numpy()).max(initial=0.0))
