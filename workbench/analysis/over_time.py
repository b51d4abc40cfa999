"""Clusters and communities over time: how many there were as of each day, and how large each cluster was."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from workbench.analysis.metrics import CLUSTERS, COMMUNITIES, SIZE
from workbench.analysis.series import SeriesSet
from workbench.knowledge import ENOUGH, of_days

if TYPE_CHECKING:
    from collections.abc import Collection

    from workbench.analysis.series import Buckets
    from workbench.storage import FileEntry, Snapshot

__all__ = ["KINDS", "known_series"]

KINDS = ("communities", "clusters")
"""What kinds of knowledge the series are of."""


def known_series(
    snapshot: Snapshot, segments: Collection[str], buckets: Buckets, timezone: str, *, least: int = ENOUGH
) -> SeriesSet:
    """Return the series of what was known at the end of each day; a day without a result has no number.

    Args:
        snapshot: The generation that results are read from.
        segments: The window: only what is as of one of its days counts.
        buckets: Local days.
        timezone: Theirs. A result belongs to the local day in which the data that it saw ends.
        least: Of a kind with results of fewer days there are no series.

    Raises:
        CorruptFileError: If a result is damaged.
    """
    found: dict[str, dict[date, float]] = {}
    zone = ZoneInfo(timezone)
    for entry in of_days(snapshot, "communities", segments, least=least):
        found.setdefault(COMMUNITIES, {})[_day(entry, zone)] = _communities(snapshot, entry)
    sizes = {
        _day(entry, zone): _sizes(snapshot, entry)
        for entry in of_days(snapshot, "clusters", segments, least=least)
    }
    if sizes:
        found[CLUSTERS] = {day: float(len(by)) for day, by in sizes.items()}
    for cluster in sorted({cluster for by in sizes.values() for cluster in by}):
        # before a cluster's first day and after its last there is none, which is not one of nobody
        days = sorted(day for day, by in sizes.items() if cluster in by)
        found[f"{SIZE}{cluster}"] = {
            day: by.get(cluster, 0.0) for day, by in sizes.items() if days[0] <= day <= days[-1]
        }
    return _dense(found, buckets)


def _day(entry: FileEntry, zone: ZoneInfo) -> date:
    return datetime.fromisoformat(entry.meta["asof"]).astimezone(zone).date()


def _communities(snapshot: Snapshot, entry: FileEntry) -> float:
    known = entry.meta["metrics"].get("communities")
    return float(known) if known is not None else float(len(_numbers(snapshot, entry, "community")))


def _sizes(snapshot: Snapshot, entry: FileEntry) -> dict[int, float]:
    numbers = _numbers(snapshot, entry, "cluster")
    return {int(cluster): float(size) for cluster, size in numbers.rows()}


def _numbers(snapshot: Snapshot, entry: FileEntry, column: str) -> pl.DataFrame:
    """Return each group with its number of rows."""
    return pl.DataFrame(snapshot.read(entry, columns=[column])).group_by(column).len()


def _dense(found: dict[str, dict[date, float]], buckets: Buckets) -> SeriesSet:
    place = {date.fromordinal(_EPOCH + int(day)): column for column, day in enumerate(buckets.day)}
    counts = np.full((len(found), len(buckets)), np.nan)
    for row, values in enumerate(found.values()):
        for day, value in values.items():
            if day in place:
                counts[row, place[day]] = value
    names = pl.DataFrame(
        {"metric": list(found), "dimension": None, "value": None},
        schema={"metric": pl.String(), "dimension": pl.String(), "value": pl.String()},
    )
    return SeriesSet(buckets, names, counts, np.full_like(counts, np.nan))


_EPOCH = date(1970, 1, 1).toordinal()
