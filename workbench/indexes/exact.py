"""Exact search: every vector is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from workbench.indexes.base import Index, nearest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Exact"]

# Above this share looking at all vectors is faster than picking those that are allowed.
_MANY = 0.25


class Exact(Index):
    """A matrix product: always right, fastest for few vectors."""

    exact: ClassVar[bool] = True
    storages: ClassVar[tuple[str, ...]] = ("float32", "float16")
    mapped: ClassVar[bool] = True

    def add(self, vectors: NDArray[np.float32], seed: int) -> None:
        """Do nothing: there is nothing to prepare."""

    def find(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the nearest allowed vectors."""
        if allowed is None or allowed.mean() > _MANY:
            return nearest(self.vectors, queries, k, None, allowed)
        return nearest(self.vectors, queries, k, np.flatnonzero(allowed))

    def write(self, path: Path) -> None:
        """Write the number of vectors: they are all there is."""
        path.write_text(f"{len(self.vectors)} {self.vectors.shape[1]}\n", encoding="utf-8")

    def read(self, path: Path, dimension: int) -> int:
        """Return the number of vectors."""
        count, width = map(int, path.read_text(encoding="utf-8").split())
        return count if width == dimension else -1
