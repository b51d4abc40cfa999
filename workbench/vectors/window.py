"""The texts of all segments of the window, each known by one number, and the search over their vectors."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.indexes import indexes
from workbench.vectors.files import files_of
from workbench.vectors.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from workbench.indexes import Index
    from workbench.storage import Snapshot

    Found = tuple[NDArray[np.int64], NDArray[np.float32]]

__all__ = ["Part", "Window", "window_of"]

# Vectors of this many bytes are kept as float32; more stay as short as they are stored.
_WIDE = 1 << 29
_ROWS = 1 << 15


@dataclass(frozen=True, eq=False)
class Part:
    """Something that is searched as one.

    Attributes:
        name: The index's driver.
        numbers: The number of the text of each of its vectors.
        index: Over the vectors.
    """

    name: str
    numbers: NDArray[np.int64]
    index: Index


class Window:
    """The texts of some segments.

    A text that several segments have has one number. Segments with an index are searched one by one, side by
    side; the texts of all others are looked at together, each once.

    Args:
        segments: The segments, by day.
        dimension: How many numbers a vector has.
        embed: Returns the vectors of texts: of segments that have no file of them.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        dimension: int,
        embed: Callable[[list[str]], NDArray[np.float32]],
    ) -> None:
        self.segments = list(segments)
        self.dimension = dimension
        self._embed = embed
        self._threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="vectors")

    def each(self, work: Callable[[Segment], object], wanted: Iterable[int] | None = None) -> None:
        """Do something with some segments (all by default), side by side."""
        chosen = self.segments if wanted is None else [self.segments[place] for place in wanted]
        list(self._threads.map(work, chosen))

    def open_postings(self, wanted: Iterable[int] | None = None) -> None:
        """Read who says the texts of some segments (all by default), where that has not been read."""
        places = range(len(self.segments)) if wanted is None else wanted
        new = [place for place in places if "postings" not in vars(self.segments[place])]
        if new:
            self.each(lambda segment: segment.postings, new)

    # which texts there are

    @cached_property
    def _numbered(self) -> tuple[NDArray[np.int64], NDArray[np.int64], list[NDArray[np.int64]]]:
        """Return the segment and the place of each number, and the numbers of each segment's texts."""
        self.each(lambda segment: segment.places)
        hashes = [segment.hashes for segment in self.segments]
        ends = np.cumsum([0, *(len(part) for part in hashes)])
        every = np.concatenate([np.empty(0, "S16"), *hashes])
        _, first, numbers = np.unique(every, return_index=True, return_inverse=True)
        segment = np.searchsorted(ends, first, side="right") - 1
        parts = [numbers[a:b].astype(np.int64) for a, b in pairwise(ends)]
        return segment, first - ends[segment], parts

    def __len__(self) -> int:
        """Return how many texts there are, each counted once."""
        return len(self._numbered[0])

    @property
    def numbers(self) -> list[NDArray[np.int64]]:
        """Return the numbers of each segment's texts, in the order of its hashes."""
        return self._numbered[2]

    def texts(self, numbers: NDArray[np.int64]) -> list[str]:
        """Return the texts of some numbers."""
        segment, place, _ = self._numbered
        return [
            self.segments[s].texts[p]
            for s, p in zip(segment[numbers].tolist(), place[numbers].tolist(), strict=True)
        ]

    # who says them: a row for each segment, event type and text

    @cached_property
    def kinds(self) -> list[str]:
        """Return the event types that have texts."""
        return sorted({kind for s in self.segments for kind in s.rows["event_type"].unique()})

    @cached_property
    def row_kind(self) -> NDArray[np.int64]:
        """Return the event type of each row, by its place in :attr:`kinds`."""
        places = {kind: place for place, kind in enumerate(self.kinds)}
        parts = [
            s.rows["event_type"].replace_strict(places, return_dtype=pl.Int64()).to_numpy()
            for s in self.segments
        ]
        return np.concatenate([np.empty(0, np.int64), *parts])

    @cached_property
    def row_number(self) -> NDArray[np.int64]:
        """Return the number of each row's text."""
        parts = [n[s.places] for n, s in zip(self.numbers, self.segments, strict=True)]
        return np.concatenate([np.empty(0, np.int64), *parts])

    @cached_property
    def row_starts(self) -> NDArray[np.int64]:
        """Return where each segment's rows begin, and where the last one's end."""
        return np.cumsum([0, *(s.rows.height for s in self.segments)])

    @cached_property
    def row_segment(self) -> NDArray[np.int64]:
        """Return the segment of each row, by its place in :attr:`segments`."""
        return np.repeat(np.arange(len(self.segments)), np.diff(self.row_starts))

    def find(self, segment: str, identifier: int) -> int | None:
        """Return the number of the text of one event, or None where it says none."""
        for place, found in enumerate(self.segments):
            if found.name == segment:
                (events,) = np.nonzero(found.postings.ids == identifier)
                rows = found.postings.rows()[events]
                return int(self.numbers[place][found.places[rows[0]]]) if (rows >= 0).any() else None
        return None

    @cached_property
    def events(self) -> int:
        """Return how many events say a text."""
        self.open_postings()
        return sum(int((s.postings.ends - s.postings.starts).sum()) for s in self.segments)

    # their vectors

    @cached_property
    def stored(self) -> list[NDArray[np.float16]]:
        """Return the vectors of each segment's texts: those in its file, else of the embedder."""
        found = [segment.vectors(self.dimension) for segment in self.segments]
        lacking = [place for place, vectors in enumerate(found) if vectors is None]
        if lacking:
            wanted = np.unique(np.concatenate([self.numbers[place] for place in lacking]))
            made = self._embed(self.texts(wanted)).astype(np.float16)
            for place in lacking:
                found[place] = made[np.searchsorted(wanted, self.numbers[place])]
        return [vectors for vectors in found if vectors is not None]

    def vectors(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of some texts."""
        segment, place, _ = self._numbered
        vectors = np.empty((len(numbers), self.dimension), np.float32)
        homes = segment[numbers]
        for home in np.unique(homes):
            mine = np.flatnonzero(homes == home)
            vectors[mine] = self.stored[home][place[numbers[mine]]]
        return vectors

    @cached_property
    def made(self) -> NDArray[np.int64]:
        """Return the texts of segments that have no file of vectors."""
        lacking = [n for n, s in zip(self.numbers, self.segments, strict=True) if s.files.vectors is None]
        return np.unique(np.concatenate([np.empty(0, np.int64), *lacking]))

    @property
    def index_name(self) -> str:
        """Return what is searched with."""
        names = sorted({part.name for part in self.parts[1:]})
        return " and ".join(["exact", *names] if len(self.parts[0].numbers) or not names else names)

    @cached_property
    def parts(self) -> list[Part]:
        """Return what is searched, the texts of segments without an index as one."""
        found = [s.index(v) for s, v in zip(self.segments, self.stored, strict=True)]
        parts = [
            Part(segment.index_name, numbers, index)
            for segment, numbers, index in zip(self.segments, self.numbers, found, strict=True)
            if index is not None
        ]
        left = [n for n, index in zip(self.numbers, found, strict=True) if index is None]
        together = np.unique(np.concatenate([np.empty(0, np.int64), *left]))
        wide = len(together) * self.dimension * 4 <= _WIDE
        exact = indexes.create("exact", "float32" if wide else "float16")
        return [Part("exact", together, exact.build(self.vectors(together))), *parts]

    # search

    def search(self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None) -> Found:
        """Return the numbers and the cosines of the ``k`` nearest allowed texts of each query, best first.

        Args:
            queries: float32 ``[q, dimension]``, rows of length 1 or 0.
            k: How many; fewer come back where fewer are allowed.
            allowed: Which texts may be found, by number; all by default.
        """

        def near(part: Part) -> Found:
            only = None if allowed is None else allowed[part.numbers]
            rows, scores = part.index.search(queries, k, allowed=only)
            return part.numbers[rows], scores

        reachable = len(self) if allowed is None else int(allowed.sum())
        if len(self.parts) == 1:
            return near(self.parts[0])
        found = list(self._threads.map(near, self.parts))
        return _merged([f[0] for f in found], [f[1] for f in found], min(k, reachable))

    def exactly(self, queries: NDArray[np.float32], k: int) -> NDArray[np.float32]:
        """Return the cosines of the ``k`` nearest texts of each query, by looking at all of them."""
        best = np.empty((len(queries), 0), np.float32)
        for at in range(0, len(self), _ROWS):
            numbers = np.arange(at, min(at + _ROWS, len(self)))
            best = np.concatenate([best, queries @ self.vectors(numbers).T], axis=1)
            best = -np.sort(-best, axis=1)[:, :k]
        return best


def window_of(
    snapshot: Snapshot,
    segments: Iterable[str],
    embed: Callable[[list[str]], NDArray[np.float32]],
    model: str = "",
) -> Window:
    """Return the window of some segments.

    Args:
        snapshot: The generation.
        segments: Their days; those without texts are left out.
        embed: Returns the vectors of texts.
        model: Whose files of vectors count; by default everything comes from ``embed``.
    """
    wanted = set(segments)
    found = [Segment(snapshot, files) for files in files_of(snapshot, model) if files.segment in wanted]
    return Window(found, int(embed([]).shape[1]), embed)


def _merged(numbers: Sequence[NDArray[np.int64]], scores: Sequence[NDArray[np.float32]], k: int) -> Found:
    """Return the best ``k`` of each row, each number once, equal scores by number."""
    every, cosines = np.concatenate(numbers, axis=1), np.concatenate(scores, axis=1)
    order = np.lexsort((-cosines, every), axis=1)
    every, cosines = np.take_along_axis(every, order, 1), np.take_along_axis(cosines, order, 1)
    cosines[:, 1:][every[:, 1:] == every[:, :-1]] = -np.inf
    best = np.lexsort((every, -cosines), axis=1)[:, :k]
    return np.take_along_axis(every, best, 1), np.take_along_axis(cosines, best, 1)
