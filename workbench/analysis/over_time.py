"""Clusters and communities over time: how many there were as of each day, and how large each cluster was."""

from __future__ import annotations

from datetime import date, datetime, timedelta
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
        timezone: Theirs. A result belongs to the local day in which the data that it saw end.
        least: Of a kind with results of fewer days there are no series.

    Raises:
        CorruptFileError: If a result is damaged.
    """
    found: dict[str, dict[date, float]] = {}
    days = [_EPOCH + timedelta(days=int(day)) for day in buckets.day]
    communities, clusters = (
        _by_day(of_days(snapshot, kind, segments, least=least), timezone, days) for kind in KINDS
    )
    if communities:
        found[COMMUNITIES] = {day: _communities(snapshot, entry) for day, entry in communities.items()}
    sizes = {day: _sizes(snapshot, entry) for day, entry in clusters.items()}
    if sizes:
        found[CLUSTERS] = {day: float(len(by)) for day, by in sizes.items()}
    for cluster in sorted({cluster for by in sizes.values() for cluster in by}):
        # before a cluster's first day and after its last there is none, which is not one of nobody
        there = sorted(day for day, by in sizes.items() if cluster in by)
        found[f"{SIZE}{cluster}"] = {
            day: by.get(cluster, 0.0) for day, by in sizes.items() if there[0] <= day <= there[-1]
        }
    return _dense(found, buckets, days)


def _by_day(entries: list[FileEntry], timezone: str, days: list[date]) -> dict[date, FileEntry]:
    """Return the newest result of each local day.

    One of the day after the last whole one stands for that where it has none of its own: of a log that ends
    there, it is the only one.
    """
    zone = ZoneInfo(timezone)
    found = {datetime.fromisoformat(e.meta["asof"]).astimezone(zone).date(): e for e in entries}
    if days and days[-1] not in found and (over := found.get(days[-1] + timedelta(days=1))):
        found[days[-1]] = over
    return {day: found[day] for day in days if day in found}


def _communities(snapshot: Snapshot, entry: FileEntry) -> float:
    known = entry.meta["metrics"].get("communities")
    return float(known) if known is not None else float(len(_numbers(snapshot, entry, "community")))


def _sizes(snapshot: Snapshot, entry: FileEntry) -> dict[int, float]:
    numbers = _numbers(snapshot, entry, "cluster")
    return {int(cluster): float(size) for cluster, size in numbers.rows()}


def _numbers(snapshot: Snapshot, entry: FileEntry, column: str) -> pl.DataFrame:
    """Return each group with its number of rows."""
    return pl.DataFrame(snapshot.read(entry, columns=[column])).group_by(column).len()


def _dense(found: dict[str, dict[date, float]], buckets: Buckets, days: list[date]) -> SeriesSet:
    place = {day: column for column, day in enumerate(days)}
    counts = np.full((len(found), len(buckets)), np.nan)
    for row, values in enumerate(found.values()):
        for day, value in values.items():
            counts[row, place[day]] = value
    names = pl.DataFrame(
        {"metric": list(found), "dimension": None, "value": None},
        schema={"metric": pl.String(), "dimension": pl.String(), "value": pl.String()},
    )
    return SeriesSet(buckets, names, counts, np.full_like(counts, np.nan))


_EPOCH = date(1970, 1, 1)
