"""The events that name an entity, read from where its rows lie in the sightings of each segment."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from workbench.partials.documents import HASH_BITS
from workbench.partials.lookup import scan
from workbench.partials.micros import moment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from workbench.storage import FileEntry, Snapshot

__all__ = ["counted", "sighted"]

_SEGMENTS = 64  # whose places are kept, a third of a megabyte each where they are full
# Above this number of events their quarters of an hour are counted first.
_MANY = 20_000
_QUARTER = 900_000_000
_SINCE_1980 = 315_532_800_000_000  # no zone differs from UTC by other than whole quarters from then on
_OF_HOURS = re.compile(r"\d+(h|d|w|mo|q|y)")


def sighted(snapshot: Snapshot, rows: Mapping[str, NDArray[np.int64]]) -> pl.DataFrame:
    """Return the events that name an entity, in order of time: ``segment``, ``_id``, ``event_type``, ``_ts``.

    Texts are coded.

    Args:
        snapshot: The generation.
        rows: In which rows of which segment's entities it stands.
    """
    runs = [
        (entry.segment, run)
        for entry in snapshot.files("sightings", segments=rows)
        for run in _runs(snapshot, entry, rows[entry.segment])
    ]
    frames = pl.collect_all([run for _, run in runs])
    segments = sorted({segment for segment, _ in runs})
    heights = [frame.height for frame in frames]
    codes = [segments.index(segment) for segment, _ in runs]
    starts = [moment(segment, "UTC") for segment, _ in runs]
    parts = [frame["_id"].to_numpy() for frame in frames]
    times = [start + (ids >> HASH_BITS) for start, ids in zip(starts, parts, strict=True)]
    kinds = [frame["event_type"].cast(pl.Categorical) for frame in frames]
    found = pl.DataFrame(
        {
            "segment": pl.Series(np.repeat(np.array(codes, np.uint32), heights)).cat.to(pl.Enum(segments)),
            "_id": np.concatenate([np.empty(0, np.int64), *parts]),
            "event_type": pl.concat(kinds) if kinds else pl.Series([], dtype=pl.Categorical),
            "_ts": pl.Series(np.concatenate([np.empty(0, np.int64), *times])).cast(pl.Datetime("us", "UTC")),
        }
    )
    # days follow one another, and so do the rows of one entity
    in_order = len(runs) == len(segments) and all(bool((ids[1:] >= ids[:-1]).all()) for ids in parts)
    return found if in_order else found.sort("_ts", "_id")


def _runs(snapshot: Snapshot, entry: FileEntry, rows: NDArray[np.int64]) -> list[pl.LazyFrame]:
    whole = scan(snapshot.path(entry))
    (entities,) = snapshot.files("entities", segments=[entry.segment])
    ends = _ends(snapshot.path(entities))
    if len(ends) and ends[-1] == entry.rows:
        kept = whole.select("_id", "event_type")
        spans = ((int(ends[row - 1]) if row else 0, int(ends[row])) for row in rows.tolist())
        return [kept.slice(first, end - first) for first, end in spans]
    # they do not tell of one another
    return [whole.filter(pl.col("node").is_in(rows.tolist())).select("_id", "event_type")]


@lru_cache(_SEGMENTS)
def _ends(path: Path) -> NDArray[np.uint32]:
    """Return after which row of a segment's sightings each of its entities ends; files are immutable."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        counts = file.read(columns=["sightings"])["sightings"].to_numpy()
    return np.cumsum(counts).astype(np.uint32)


def counted(seen: pl.DataFrame, every: str, zone: str) -> pl.DataFrame:
    """Return ``period``, ``event_type`` and ``events``: counts of events in periods of a zone.

    Args:
        seen: What :func:`sighted` returns, or some of it.
        every: Length of a period as polars writes it.
        zone: IANA name.
    """
    rows = _by_quarter(seen) if _is_long(seen, every) else seen.with_columns(pl.lit(1).alias("events"))
    local = pl.col("_ts").dt.convert_time_zone(zone)
    return (
        rows.group_by(local.dt.truncate(every).alias("period"), pl.col("event_type").cast(pl.String))
        .agg(pl.col("events").sum().cast(pl.get_index_type()))
        .sort("period", "event_type")
    )


def _is_long(seen: pl.DataFrame, every: str) -> bool:
    if seen.height < _MANY or not _OF_HOURS.fullmatch(every):
        return False
    return int(seen["_ts"].to_physical()[0]) >= _SINCE_1980


def _by_quarter(seen: pl.DataFrame) -> pl.DataFrame:
    """Return how many events of each type there are in each quarter of an hour."""
    quarter = seen["_ts"].to_physical().to_numpy() // _QUARTER
    places = seen["event_type"].to_physical().to_numpy()
    kinds = seen["event_type"].unique()
    # a text's place is among all texts that this process has coded
    codes = np.zeros(int(places.max()) + 1, np.int64)
    codes[kinds.to_physical().to_numpy()] = np.arange(len(kinds))
    first, width = int(quarter.min()), len(kinds)
    counts = np.bincount((quarter - first) * width + codes[places])
    used = np.flatnonzero(counts)
    names = kinds.cast(pl.String)
    return pl.DataFrame(
        {
            "_ts": pl.Series((used // width + first) * _QUARTER).cast(pl.Datetime("us", "UTC")),
            "event_type": names.gather(used % width),
            "events": counts[used],
        }
    )
