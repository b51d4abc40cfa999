"""What every vector index does."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Self

import numpy as np

from workbench.errors import UsageError
from workbench.registry import Driver

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EXACT_BELOW", "Index", "nearest"]

# Up to about here looking at all vectors is faster than an index, and is exact.
EXACT_BELOW = 20_000


class Index(Driver):
    """Finds the vectors nearest to a query by cosine.

    A driver writes :meth:`add` and :meth:`find`; what is asked is checked here.

    Attributes:
        exact: Whether the nearest are always found.
    """

    exact: bool = False

    def __init__(self) -> None:
        self.vectors: NDArray[np.float32] = np.empty((0, 0), np.float32)

    def build(self, vectors: NDArray[np.float32], *, seed: int = 0) -> Self:
        """Index ``vectors``, float32 ``[n, dimension]``, rows of length 1 or 0, and return itself.

        Args:
            vectors: What to find, by row number. They are kept, not copied.
            seed: Seed of the construction's randomness.

        Raises:
            UsageError: If they are of another shape or type.
        """
        if vectors.ndim != 2 or vectors.dtype != np.float32:
            raise UsageError(
                f"vectors must be float32 [n, dimension], these are {vectors.dtype} {vectors.shape}."
            )
        self.vectors = vectors
        self.add(seed)
        return self

    def search(
        self, queries: NDArray[np.float32], k: int, *, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the row numbers and the cosines of the ``k`` nearest allowed vectors of each query.

        Both are ``[queries, min(k, allowed vectors)]``, best first, equal ones by row number.

        Args:
            queries: float32 ``[q, dimension]``, rows of length 1 or 0.
            k: How many.
            allowed: Which rows may be found, bool ``[n]``; all by default.

        Raises:
            UsageError: If a shape does not fit or ``k`` is not positive.
        """
        count, dimension = self.vectors.shape
        if queries.ndim != 2 or queries.shape[1] != dimension:
            raise UsageError(f"queries are {queries.shape}, the index has {dimension} numbers a vector.")
        if k < 1:
            raise UsageError(f"k is {k}, it must be at least 1.")
        if allowed is not None and allowed.shape != (count,):
            raise UsageError(f"allowed is {allowed.shape}, the index has {count} vectors.")
        reachable = count if allowed is None else int(allowed.sum())
        k = min(k, reachable)
        if k == 0 or not len(queries):
            return np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
        return self.find(np.ascontiguousarray(queries, np.float32), k, allowed)

    @abstractmethod
    def add(self, seed: int) -> None:
        """Index :attr:`vectors`."""

    @abstractmethod
    def find(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Do what :meth:`search` says; at least ``k`` rows are allowed, and there are queries."""


def nearest(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int, rows: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the ``k`` nearest of ``rows`` (all by default) by looking at each of them, best first."""
    found = vectors if rows is None else vectors[rows]
    places = np.empty((len(queries), k), np.int64)
    scores = np.empty((len(queries), k), np.float32)
    step = max(1, _CELLS // len(found))
    for at in range(0, len(queries), step):
        cosines = queries[at : at + step] @ found.T
        best = _best(cosines, k)
        places[at : at + step] = best
        scores[at : at + step] = np.take_along_axis(cosines, best, axis=1)
    return (places if rows is None else rows[places]), scores


_CELLS = 1 << 25


def _best(cosines: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Return the places of the ``k`` largest of each row, equal ones by place."""
    if k >= cosines.shape[1]:
        return np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    least = np.partition(cosines, cosines.shape[1] - k, axis=1)[:, [cosines.shape[1] - k]]
    found = np.empty((len(cosines), k), np.int64)
    for row, (values, limit) in enumerate(zip(cosines, least[:, 0], strict=True)):
        places = np.flatnonzero(values >= limit)
        found[row] = places[np.argsort(-values[places], kind="stable")[:k]]
    return found
