"""Approximate search by the library faiss."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from workbench.indexes._approximate import Approximate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Faiss"]

_LEAST_TRAINED = 9984  # 39 vectors for each of 256 centres: with fewer faiss warns
_TRAINED = 65_536


class Faiss(Approximate):
    """A navigable graph of neighbours by faiss: float32, float16, int8 or product-quantised.

    The library's own filter is not used: where the allowed vectors lie apart from the query it returns far
    ones and does not say so. More are fetched than asked for instead.

    Source: Johnson, Douze and Jégou 2019; product quantisation: Jégou, Douze and Schmid 2011.
    """

    requires: ClassVar[tuple[str, ...]] = ("faiss",)
    extra: ClassVar[str] = "vectors"
    storages: ClassVar[tuple[str, ...]] = ("float32", "float16", "int8", "pq")
    mapped: ClassVar[bool] = True

    def add(self, vectors: NDArray[np.float32], seed: int) -> None:
        """Build the graph; by one thread, so that equal vectors give equal graphs."""
        self._graph = self._empty(*vectors.shape)
        self._graph.hnsw.efConstruction = self.ef_construction
        if not len(vectors):
            return
        with _one_thread():
            if not self._graph.is_trained:
                some = np.random.default_rng(seed).permutation(len(vectors))[:_TRAINED]
                self._graph.train(vectors[np.sort(some)])
            self._graph.add(np.ascontiguousarray(vectors))

    def walk(
        self,
        queries: NDArray[np.float32],
        count: int,
        ef: int,
        allowed: NDArray[np.bool_] | None,  # noqa: ARG002  (see the class)
    ) -> NDArray[np.int64]:
        """Return what the graph proposes."""
        faiss = _faiss()

        _, rows = self._graph.search(queries, count, params=faiss.SearchParametersHNSW(efSearch=ef))
        return np.asarray(rows, np.int64)

    def write(self, path: Path) -> None:
        """Write the graph with its vectors."""
        faiss = _faiss()

        faiss.write_index(self._graph, str(path))

    def read(self, path: Path, dimension: int) -> int:
        """Map the graph."""
        faiss = _faiss()

        self._graph = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        return int(self._graph.ntotal) if self._graph.d == dimension else -1

    def _empty(self, count: int, dimension: int) -> Any:
        faiss = _faiss()

        metric, kinds = faiss.METRIC_INNER_PRODUCT, faiss.ScalarQuantizer
        if self.storage == "float32":
            return faiss.IndexHNSWFlat(dimension, self.m, metric)
        if self.storage == "float16":
            return faiss.IndexHNSWSQ(dimension, kinds.QT_fp16, self.m, metric)
        if self.storage == "int8" or count < _LEAST_TRAINED:
            return faiss.IndexHNSWSQ(dimension, kinds.QT_8bit, self.m, metric)
        parts = next(n for n in (dimension // 4, dimension // 2, dimension) if n and dimension % n == 0)
        return faiss.IndexHNSWPQ(dimension, parts, self.m, 8, metric)


def _faiss() -> Any:
    """Return the library, without types: its own are those of C++, not of what its constructors take."""
    import faiss  # noqa: PLC0415  (kept out of start-up)

    return faiss


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let faiss work in one thread: with more, the order of insertion is chance."""
    faiss = _faiss()

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
