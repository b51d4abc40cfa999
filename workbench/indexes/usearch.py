"""Approximate search by the library usearch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from workbench.indexes._approximate import Approximate

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Usearch"]

_KINDS = {"float32": "f32", "float16": "f16", "int8": "i8"}


class Usearch(Approximate):
    """A navigable graph of neighbours by usearch: float32, float16 or int8, mapped from its file.

    The library takes no filter: more are fetched than asked for.
    """

    requires: ClassVar[tuple[str, ...]] = ("usearch",)
    extra: ClassVar[str] = "vectors"
    storages: ClassVar[tuple[str, ...]] = ("float32", "float16", "int8")
    mapped: ClassVar[bool] = True

    def add(self, vectors: NDArray[np.float32], seed: int) -> None:  # noqa: ARG002  (it draws alike each time)
        """Build the graph; by one thread, so that equal vectors give equal graphs."""
        self._graph = self._empty(vectors.shape[1])
        if len(vectors):
            self._graph.add(np.arange(len(vectors), dtype=np.uint64), vectors, threads=1)

    def walk(
        self,
        queries: NDArray[np.float32],
        count: int,
        ef: int,
        allowed: NDArray[np.bool_] | None,  # noqa: ARG002  (the library has no filter)
    ) -> NDArray[np.int64]:
        """Return what the graph proposes."""
        self._graph.expansion_search = ef
        threads = 1 if len(queries) == 1 else 0
        matches = self._graph.search(queries, count, threads=threads)
        rows = np.asarray(matches.keys).astype(np.int64).reshape(len(queries), -1)
        found = np.full((len(queries), count), -1, np.int64)
        counts = np.asarray(getattr(matches, "counts", [rows.shape[1]] * len(queries)))
        there = np.arange(rows.shape[1]) < counts.reshape(-1, 1)
        found[:, : rows.shape[1]] = np.where(there, rows, -1)
        return found

    def write(self, path: Path) -> None:
        """Write the graph with its vectors."""
        self._graph.save(str(path))

    def read(self, path: Path, dimension: int) -> int:
        """Map the graph."""
        self._graph = self._empty(dimension)
        self._graph.view(str(path))
        return len(self._graph)

    def _empty(self, dimension: int) -> Any:
        from usearch.index import Index  # noqa: PLC0415  (kept out of start-up)

        return Index(
            ndim=dimension,
            metric="cos",
            dtype=_KINDS[self.storage],
            connectivity=self.m,
            expansion_add=self.ef_construction,
            expansion_search=self.ef_search,
        )
