"""What a search gives: the events that say what was found, best first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from workbench.tabular import TitledTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from workbench.vectors.conditions import Kept

__all__ = ["Hits", "said_by"]


class Hits(TitledTable):
    """What was found, best first."""


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
    # few rows: a frame's threads would take longer to wake than this takes
    window = kept.window
    rank = np.full(len(window), -1, np.int64)
    rank[numbers] = np.arange(len(numbers))
    rows = np.flatnonzero(kept.rows & (rank[window.row_number] >= 0))
    said = _Said(rows, rank[window.row_number[rows]], window.row_kind[rows], window.row_segment[rows])
    window.open_postings(np.unique(said.segment).tolist())
    counts = _counts(kept, said)
    pairs, pair = np.unique(np.stack([said.rank, said.kind]), axis=1, return_inverse=True)
    events = np.bincount(pair, counts, minlength=pairs.shape[1]).astype(np.int64)[pair]
    if not distinct:
        # as many of the best texts as have so many events
        enough = np.cumsum(np.bincount(said.rank, counts, minlength=len(numbers)))
        some = said.rank <= np.searchsorted(enough, k)
        said, counts, events = said.take(some), counts[some], events[some]
    place, ids, times = _latest(kept, said, 1 if distinct and pairs.shape[1] >= k else k)
    order = np.lexsort((-ids, -times, said.kind[place], said.rank[place]))
    place, ids, times = place[order], ids[order], times[order]
    if distinct:
        # each text's latest event first, then the next
        new = np.ones(len(place), np.bool_)
        new[1:] = np.diff(said.rank[place] * len(window.kinds) + said.kind[place]) > 0
        chosen = np.sort(np.concatenate([np.flatnonzero(new), np.flatnonzero(~new)])[:k])
        place, ids, times = place[chosen], ids[chosen], times[chosen]
    place, ids, times = place[:k], ids[:k], times[:k]
    ranks = said.rank[place]
    days = (window.segments[n].name for n in said.segment[place].tolist())
    columns = {
        "address": pa.array([f"{day}/{n}" for day, n in zip(days, ids.tolist(), strict=True)], pa.string()),
        "event_type": pa.array([window.kinds[kind] for kind in said.kind[place].tolist()], pa.string()),
        "time": pa.array(times, pa.timestamp("us", "UTC")),
        "text": pa.array(window.texts(numbers[ranks]), pa.string()),
        "score": pa.array(scores[ranks].astype(np.float64)),
        "events": pa.array(events[place]),
    }
    return pa.table(columns)


class _Said(NamedTuple):
    """Rows of a window, each with its text's rank, its event type and its segment."""

    row: NDArray[np.int64]
    rank: NDArray[np.int64]
    kind: NDArray[np.int64]
    segment: NDArray[np.int64]

    def take(self, some: NDArray[np.bool_]) -> _Said:
        return _Said(*(column[some] for column in self))

    def parts(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Yield each segment with the places of its rows here."""
        for segment in np.unique(self.segment):
            yield int(segment), np.flatnonzero(self.segment == segment)


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


def _counts(kept: Kept, said: _Said) -> NDArray[np.int64]:
    """Return how many kept events each row has."""
    counts = np.zeros(len(said.row), np.int64)
    for segment, places in said.parts():
        starts, ends, _ = _spans(kept, segment, said.row[places])
        counts[places] = ends - starts
    return counts


def _latest(
    kept: Kept, said: _Said, most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the latest kept events of each row, at most so many: the row's place, identifier and time."""
    found: list[tuple[NDArray[np.int64], ...]] = [(np.empty(0, np.int64),) * 3]
    for segment, places in said.parts():
        postings = kept.window.segments[segment].postings
        starts, ends, chosen = _spans(kept, segment, said.row[places])
        taken = np.minimum(ends - starts, most)
        back = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
        events = np.repeat(ends, taken) - 1 - back
        ids = postings.ids[events if chosen is None else chosen[events]]
        found.append((np.repeat(places, taken), ids, postings.times_of(ids)))
    place, ids, times = (np.concatenate(column) for column in zip(*found, strict=True))
    return place, ids, times
