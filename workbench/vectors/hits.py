"""What a search gives: the events that say what was found, best first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from workbench.vectors.conditions import Kept

__all__ = ["Hits", "said_by"]


@dataclass(frozen=True, repr=False)
class Hits(Tabular):
    """What was found, best first."""

    table: pa.Table
    title: str
    timezone: str = "UTC"

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        return self.table

    def _title(self) -> str:
        return self.title


def said_by(
    kept: Kept, numbers: NDArray[np.int64], scores: NDArray[np.float32], k: int, *, distinct: bool
) -> pa.Table:
    """Return the ``k`` best events of those that are kept and say one of some texts.

    Args:
        kept: The events that may be shown.
        numbers: The texts, best first.
        scores: Their cosines.
        k: How many.
        distinct: Show each text once, by its latest event, as long as there are other texts.
    """
    window = kept.window
    rank = np.full(len(window), -1, np.int64)
    rank[numbers] = np.arange(len(numbers))
    rows = np.flatnonzero(kept.rows & (rank[window.row_number] >= 0))
    said = pl.DataFrame(
        {"row": rows, "rank": rank[window.row_number[rows]], "kind": window.row_kind[rows]}
    ).with_columns(pl.Series("segment", window.row_segment[rows]))
    window.each(lambda segment: segment.postings, said["segment"].unique())
    said = said.with_columns(pl.Series("count", _counts(kept, said), pl.Int64))
    said = said.with_columns(pl.col("count").sum().over("rank", "kind").alias("events"))
    few = said.select("rank", "kind").n_unique() < k
    if not distinct:
        # as many of the best texts as have so many events
        before = said.group_by("rank").agg(pl.col("count").sum()).sort("rank")
        enough = before.filter(pl.col("count").cum_sum() - pl.col("count") < k)["rank"]
        said = said.filter(pl.col("rank").is_in(enough.to_list()))
    events = _latest(kept, said, k if few or not distinct else 1)
    # each text's latest event first, then the next
    events = events.sort("rank", "kind", "time", "_id", descending=[False, False, True, True]).with_columns(
        pl.int_range(pl.len()).over("rank", "kind").alias("said")
    )
    if distinct:
        events = events.sort(pl.col("said") > 0, maintain_order=True).head(k)
        events = events.sort("rank", "kind", maintain_order=True)
    return _table(kept, events.head(k), numbers, scores)


def _by_segment(said: pl.DataFrame) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    """Yield each segment with the places of its rows in the frame, and their numbers in the window."""
    segments, rows = said["segment"].to_numpy(), said["row"].to_numpy()
    for segment in np.unique(segments):
        places = np.flatnonzero(segments == segment)
        yield int(segment), places, rows[places]


def _spans(
    kept: Kept, segment: int, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64] | None]:
    """Return where the events of some rows begin and end, among those that are kept if not all are."""
    postings = kept.window.segments[segment].postings
    mine = rows - kept.window.row_starts[segment]
    starts, ends = postings.starts[mine], postings.ends[mine]
    if segment not in kept.events:
        return starts, ends, None
    chosen = np.flatnonzero(kept.events[segment])
    return np.searchsorted(chosen, starts), np.searchsorted(chosen, ends), chosen


def _counts(kept: Kept, said: pl.DataFrame) -> NDArray[np.int64]:
    """Return how many kept events each row has."""
    counts = np.zeros(said.height, np.int64)
    for segment, places, rows in _by_segment(said):
        starts, ends, _ = _spans(kept, segment, rows)
        counts[places] = ends - starts
    return counts


def _latest(kept: Kept, said: pl.DataFrame, most: int) -> pl.DataFrame:
    """Return the latest kept events of each row, at most so many."""
    frames = [pl.DataFrame(schema={"place": pl.Int64, "_id": pl.Int64, "time": pl.Int64})]
    for segment, places, rows in _by_segment(said):
        postings = kept.window.segments[segment].postings
        starts, ends, chosen = _spans(kept, segment, rows)
        taken = np.minimum(ends - starts, most)
        last = np.repeat(ends, taken) - 1
        back = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
        events = last - back if chosen is None else chosen[last - back]
        frames.append(
            pl.DataFrame(
                {
                    "place": np.repeat(places, taken),
                    "_id": postings.ids[events],
                    "time": postings.times_of(postings.ids[events]),
                }
            )
        )
    found = pl.concat(frames)
    return pl.concat([said[found["place"]], found.drop("place")], how="horizontal")


def _table(
    kept: Kept, events: pl.DataFrame, numbers: NDArray[np.int64], scores: NDArray[np.float32]
) -> pa.Table:
    window = kept.window
    ranks = events["rank"].to_numpy()
    days = pl.Series([segment.name for segment in window.segments], dtype=pl.String)
    kinds = pl.Series(window.kinds, dtype=pl.String)
    return (
        events.select(
            pl.concat_str(
                days.gather(events["segment"]).alias("day"), pl.lit("/"), pl.col("_id").cast(pl.String)
            ).alias("address"),
            kinds.gather(events["kind"]).alias("event_type"),
            pl.col("time").cast(pl.Datetime("us", "UTC")),
            pl.Series("text", window.texts(numbers[ranks]), pl.String),
            pl.Series("score", scores.astype(np.float64)[ranks], pl.Float64),
            "events",
        )
    ).to_arrow(compat_level=pl.CompatLevel.oldest())
