"""Approximate search by the library hnswlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from workbench.indexes._approximate import Approximate

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Hnswlib"]


class Hnswlib(Approximate):
    """A navigable graph of neighbours by hnswlib: float32, filtered while it is walked, read into memory."""

    requires: ClassVar[tuple[str, ...]] = ("hnswlib",)
    extra: ClassVar[str] = "vectors"
    filters: ClassVar[bool] = True

    def add(self, vectors: NDArray[np.float32], seed: int) -> None:
        """Build the graph; by one thread, so that equal vectors give equal graphs."""
        self._graph = self._empty(vectors.shape[1])
        self._graph.init_index(
            max_elements=max(len(vectors), 1),
            M=self.m,
            ef_construction=self.ef_construction,
            random_seed=seed,
        )
        if len(vectors):
            self._graph.add_items(vectors, num_threads=1)

    def walk(
        self, queries: NDArray[np.float32], count: int, ef: int, allowed: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        """Return what the graph proposes."""
        self._graph.set_ef(ef)
        keep = None if allowed is None else allowed.__getitem__
        # with a Python filter more threads only wait for one another
        threads = 1 if keep or len(queries) == 1 else -1
        try:
            found, _ = self._graph.knn_query(queries, k=count, filter=keep, num_threads=threads)
        except RuntimeError:  # some walk met fewer than so many; the library does not say which
            return np.full((len(queries), count), -1, np.int64)
        return np.asarray(found.astype(np.int64))

    def write(self, path: Path) -> None:
        """Write the graph with its vectors."""
        self._graph.save_index(str(path))

    def read(self, path: Path, dimension: int) -> int:
        """Read the graph; the library cannot map it."""
        self._graph = self._empty(dimension)
        self._graph.load_index(str(path))
        return int(self._graph.get_current_count())

    def _empty(self, dimension: int) -> Any:
        import hnswlib  # noqa: PLC0415  (kept out of start-up)

        return hnswlib.Index(space="ip", dim=dimension)
