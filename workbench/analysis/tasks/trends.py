"""Trends: when and where more or less happened than usual."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import numpy as np
import polars as pl

from workbench.analysis.baseline import LEAST_WEEKS, baseline_of
from workbench.analysis.episodes import CRITICAL, episodes, fold, with_drivers
from workbench.analysis.grouping import Grouping
from workbench.analysis.over_time import KINDS, known_series
from workbench.analysis.series import read_series
from workbench.analysis.tasks.base import Context, Outcome, Task
from workbench.compute import KernelRun
from workbench.errors import UnknownNameError, UsageError

__all__ = ["COLUMNS", "METHODS", "TrendEpisodes"]

METHODS = ("seasonal", "classic")
COLUMNS = (
    *("metric", "dimension", "value", "resolution", "since", "until", "peak", "observed", "expected"),
    *("excess", "size", "deviation", "z", "severity", "direction", "hours", "drivers"),
)


class TrendEpisodes(Task):
    """Episodes in which a series was far from what it usually is at that hour of the week; spec 5.1."""

    inputs: ClassVar[tuple[str, ...]] = ("counts", "entities", "sightings")
    facts: ClassVar[tuple[str, ...]] = ("attributes", "terms", "timezone")
    knowledge: ClassVar[tuple[str, ...]] = KINDS
    version: ClassVar[int] = 2
    defaults: ClassVar[dict[str, Any]] = {
        "method": "seasonal",
        "weeks": 26,
        "most_values": 200,
        "new_days": 7,
    }

    def run(self, context: Context) -> Outcome:
        """Return one row an episode, worst first.

        Columns: ``metric``, ``dimension`` and ``value`` (null for the whole), ``resolution``, ``since``,
        ``until``, ``peak``, ``observed``, ``expected``, ``excess``, ``size`` (of the episode, in standard
        deviations of a Poisson count), ``deviation`` (of the peak, in the baseline's scales), ``z`` (the
        same, as rare as it is), ``severity``, ``direction``, ``hours`` and ``drivers``.

        Raises:
            UnknownNameError: If there is no such method.
            UsageError: If ``weeks`` or ``new_days`` are too few.
        """
        parameters = context.parameters
        method = parameters["method"]
        if method not in METHODS:
            raise UnknownNameError("method", method, METHODS, where="trends")
        if parameters["weeks"] < LEAST_WEEKS:
            raise UsageError(f"weeks is {parameters['weeks']}, a baseline takes at least {LEAST_WEEKS}.")
        if parameters["new_days"] < 1:
            raise UsageError(
                f"new_days is {parameters['new_days']}, it takes at least 1 to tell what is new."
            )
        begin = time.perf_counter()
        group = Grouping(context.device)
        series = read_series(
            context.by_segment,
            context.segments,
            context.timezone,
            attributes=context.schema.attributes,
            terms=context.schema.terms,
            most_values=parameters["most_values"],
            new_days=parameters["new_days"],
            group=group,
        )
        days = series["day"]
        known = known_series(context.snapshot, context.segments, days.buckets, context.timezone)
        series["day"] = days.beside(known)
        baselines = {r: baseline_of(s, method, parameters["weeks"]) for r, s in series.items()}
        by_hour, by_day = (episodes(series[r], baselines[r]) for r in ("hour", "day"))
        found = with_drivers(fold(by_hour, by_day), series["day"], baselines["day"])
        critical = found.filter(pl.col("z").abs() >= CRITICAL)
        kernel = KernelRun(
            table=found.select(COLUMNS).to_arrow(compat_level=pl.CompatLevel.oldest()),
            device=group.device,
            reason=group.reason,
            seconds=time.perf_counter() - begin,
            metrics={
                "episodes": float(found.height),
                "critical": float(critical.height),
                "critical_days": float(_days(critical, context.timezone)),
                "series": float(sum(len(s.counts) for s in series.values())),
            },
            versions={"numpy": np.__version__, "polars": pl.__version__, **group.versions},
            memory=group.memory,
        )
        return Outcome(kernel.table, f"trends ({method})", kernel)


def _days(found: pl.DataFrame, timezone: str) -> int:
    """Return how many local days the episodes touch."""
    first = pl.col("since").dt.convert_time_zone(timezone).dt.date()
    last = pl.col("until").dt.offset_by("-1us").dt.convert_time_zone(timezone).dt.date()
    return int(found.select(pl.date_ranges(first, last).explode().n_unique()).item()) if found.height else 0
