"""What approximate indexes share: a graph proposes, the vectors that are kept decide."""

from __future__ import annotations

from abc import abstractmethod
from math import ceil
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from workbench.indexes.base import Index, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Approximate"]

_CELLS = 1 << 23
# More neighbours than these cost more than looking at each vector that is allowed.
_MOST_FETCHED = 4096


class Approximate(Index):
    """A graph of neighbours (HNSW) over vectors in few bytes, and an exact score for what it proposes.

    A driver writes :meth:`walk`. Few allowed vectors are looked at one by one; so are all of them for a
    query for which the walk meets too few.

    Attributes:
        filters: Whether the walk takes allowed rows only. Otherwise more are fetched than asked for, in
            steps up to a bound.
        proposed: How many candidates are ranked for each result, by storage kind: the rougher the kind,
            the more.

    Args:
        storage: How the graph keeps its vectors.
        m: Neighbours of a vector in the graph.
        ef_construction: Candidates that are looked at while a vector is put in.
        ef_search: Candidates that are looked at while one is searched, at least.

    Source: Malkov and Yashunin 2018.
    """

    filters: ClassVar[bool] = False
    proposed: ClassVar[dict[str, int]] = {"float32": 2, "float16": 2, "int8": 3, "pq": 20}

    def __init__(
        self, storage: str = "float32", *, m: int = 16, ef_construction: int = 200, ef_search: int = 150
    ) -> None:
        super().__init__(storage)
        self.m, self.ef_construction, self.ef_search = m, ef_construction, ef_search

    @abstractmethod
    def walk(
        self, queries: NDArray[np.float32], count: int, ef: int, allowed: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        """Return up to ``count`` near rows of each query, ``[q, count]``, -1 where the walk met no more.

        Args:
            queries: As in :meth:`search`.
            count: How many; at most ``ef``.
            ef: Candidates to look at.
            allowed: Which rows count; None unless the driver filters.
        """

    def find(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the nearest allowed vectors that the walk met, in the order of their exact cosines."""
        rows = None if allowed is None else np.flatnonzero(allowed)
        reachable = len(self.vectors) if rows is None else len(rows)
        if reachable <= self.exact_below or k > min(reachable // 4, _MOST_FETCHED):
            return nearest(self.vectors, queries, k, rows)
        count = min(k * self.proposed[self.storage], reachable)
        met = self._met(queries, count, k, allowed, reachable / len(self.vectors))
        found, scores = self._ranked(queries, met, k)
        short = np.flatnonzero((found < 0).any(axis=1))
        if len(short):
            found[short], scores[short] = nearest(self.vectors, queries[short], k, rows)
        return found, scores

    def _met(
        self,
        queries: NDArray[np.float32],
        count: int,
        k: int,
        allowed: NDArray[np.bool_] | None,
        share: float,
    ) -> NDArray[np.int64]:
        """Return the rows that walks meet, -1 for those that are not allowed."""
        if allowed is None or self.filters:
            return self.walk(queries, count, max(self.ef_search, count), allowed)
        most = min(_MOST_FETCHED, len(self.vectors))
        fetched = min(ceil(count / share * 1.5) + 8, most)
        met = self._allowed(queries, fetched, allowed)
        # the others have as many as they need; these may lie where few are allowed
        short = np.flatnonzero((met >= 0).sum(axis=1) < k)
        if not len(short) or fetched == most:
            return met
        more = np.full((len(queries), most), -1, np.int64)
        more[:, :fetched] = met
        more[short] = self._allowed(queries[short], most, allowed)
        return more

    def _allowed(
        self, queries: NDArray[np.float32], fetched: int, allowed: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        met = self.walk(queries, fetched, max(self.ef_search, fetched), None)
        return np.where((met >= 0) & allowed[met], met, -1)

    def _ranked(
        self, queries: NDArray[np.float32], met: NDArray[np.int64], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the best of the rows that were met, by their cosines; -1 where there are too few."""
        found = np.empty((len(queries), k), np.int64)
        scores = np.empty((len(queries), k), np.float32)
        step = max(1, _CELLS // (met.shape[1] * self.vectors.shape[1]))
        for at in range(0, len(queries), step):
            rows = met[at : at + step]
            near = self.vectors[rows].astype(np.float32, copy=False)
            cosines = np.matmul(near, queries[at : at + step, :, None])[..., 0]
            cosines = np.where(rows >= 0, cosines, -np.inf).astype(np.float32)
            order = np.lexsort((rows, -cosines), axis=1)[:, :k]
            found[at : at + step] = np.take_along_axis(rows, order, axis=1)
            scores[at : at + step] = np.take_along_axis(cosines, order, axis=1)
        return found, scores
