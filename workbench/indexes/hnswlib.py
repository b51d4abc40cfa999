"""Approximate search by a navigable graph of neighbours (HNSW)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from workbench.indexes.base import EXACT_BELOW, Index, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Hnswlib"]

_M, _EF_CONSTRUCTION, _EF_SEARCH = 16, 200, 100


class Hnswlib(Index):
    """A hierarchical graph of neighbours by the library hnswlib.

    Source: Malkov and Yashunin 2018.
    """

    requires: ClassVar[tuple[str, ...]] = ("hnswlib",)
    extra: ClassVar[str] = "vectors"

    def add(self, seed: int) -> None:
        """Build the graph; by one thread, so that equal vectors give equal graphs."""
        import hnswlib  # noqa: PLC0415  (kept out of start-up)

        self._graph: Any = hnswlib.Index(space="ip", dim=self.vectors.shape[1])
        self._graph.init_index(
            max_elements=max(len(self.vectors), 1), M=_M, ef_construction=_EF_CONSTRUCTION, random_seed=seed
        )
        if len(self.vectors):
            self._graph.add_items(self.vectors, num_threads=1)

    def find(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the nearest allowed vectors, filtered while the graph is walked.

        Where few are allowed the walk would miss them: then each of these is looked at.
        """
        count = len(self.vectors)
        reachable = count if allowed is None else int(allowed.sum())
        if reachable <= EXACT_BELOW or k > reachable // 4:
            return nearest(self.vectors, queries, k, None if allowed is None else np.flatnonzero(allowed))
        self._graph.set_ef(max(_EF_SEARCH, 2 * k))
        keep = None if allowed is None else allowed.__getitem__
        try:
            # with a Python filter more threads only wait for one another
            found, distances = self._graph.knn_query(queries, k=k, filter=keep, num_threads=1 if keep else -1)
        except RuntimeError:  # the walk met fewer than k allowed ones
            return nearest(self.vectors, queries, k, None if allowed is None else np.flatnonzero(allowed))
        places, scores = found.astype(np.int64), (1.0 - distances).astype(np.float32)
        order = np.lexsort((places, -scores), axis=1)
        return np.take_along_axis(places, order, axis=1), np.take_along_axis(scores, order, axis=1)
