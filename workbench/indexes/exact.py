"""Exact search: every vector is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.indexes.base import Index, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Exact"]


class Exact(Index):
    """A matrix product: always right, fastest for few vectors."""

    exact = True

    def add(self, seed: int) -> None:
        """Do nothing: there is nothing to prepare."""

    def find(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the nearest allowed vectors."""
        return nearest(self.vectors, queries, k, None if allowed is None else np.flatnonzero(allowed))
