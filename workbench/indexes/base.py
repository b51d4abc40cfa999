"""What every vector index does."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

import numpy as np

from workbench.errors import StorageError, UnknownNameError, UsageError
from workbench.registry import Driver

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Stored: TypeAlias = NDArray[np.float32] | NDArray[np.float16]

__all__ = ["EXACT_BELOW", "Index", "nearest"]

# Up to about here looking at all vectors is faster than an index, and is exact.
EXACT_BELOW = 20_000


class Index(Driver):
    """Finds the vectors nearest to a query by cosine.

    A driver writes :meth:`add`, :meth:`find`, :meth:`write` and :meth:`read`; what is asked is checked here.

    Attributes:
        exact: Whether the nearest are always found.
        storages: How the driver can keep vectors; the first is the default. In another kind than float32
            results are ranked by float16 vectors.
        mapped: Whether a file is mapped into memory when it is loaded, rather than read.
        exact_below: Up to how many allowed vectors each is looked at.
        vectors: What results are ranked by, float32 or float16 ``[n, dimension]``.

    Args:
        storage: One of :attr:`storages`.

    Raises:
        UnknownNameError: If the driver does not have that storage kind.
    """

    exact: ClassVar[bool] = False
    storages: ClassVar[tuple[str, ...]] = ("float32",)
    mapped: ClassVar[bool] = False

    def __init__(self, storage: str = "float32") -> None:
        if storage not in self.storages:
            raise UnknownNameError("storage kind", storage, self.storages)
        self.storage = storage
        self.exact_below = EXACT_BELOW
        self.vectors: Stored = np.empty((0, 0), np.float32)

    def build(self, vectors: NDArray[np.float32], *, seed: int = 0) -> Self:
        """Index ``vectors``, float32 ``[n, dimension]``, rows of length 1 or 0, and return itself.

        Args:
            vectors: What to find, by row number. They are kept, not copied, where the storage is float32.
            seed: Seed of the construction's randomness.

        Raises:
            UsageError: If they are of another shape or type.
        """
        if vectors.ndim != 2 or vectors.dtype != np.float32:
            raise UsageError(
                f"vectors must be float32 [n, dimension], these are {vectors.dtype} {vectors.shape}."
            )
        self.vectors = vectors if self.storage == "float32" else vectors.astype(np.float16)
        self.add(vectors, seed)
        return self

    def save(self, path: Path) -> None:
        """Write what was built into a file; :attr:`vectors` are not in it, they are the caller's to keep."""
        self.write(path)

    def load(self, path: Path, vectors: Stored) -> Self:
        """Take up what :meth:`save` wrote, and return itself; the file has to stay as long as the index.

        Native code reads the file: check its hash first, as the store does with each of its files.

        Args:
            path: The file.
            vectors: The vectors that it was built over; mapped ones stay where they are.

        Raises:
            StorageError: If the file is none of this driver's, or of other vectors.
        """
        try:
            count = self.read(path, vectors.shape[1])
        except (RuntimeError, ValueError) as error:
            problem = f"the index cannot be read: {str(error).splitlines()[0]}."
        else:
            if count == len(vectors):
                self.vectors = vectors
                return self
            problem = f"the index is one of other vectors than these, {vectors.shape}."
        raise StorageError(problem, where=str(path), fix="Delete it; it is built again.")

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
    def add(self, vectors: NDArray[np.float32], seed: int) -> None:
        """Index ``vectors``."""

    @abstractmethod
    def find(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Do what :meth:`search` says; at least ``k`` rows are allowed, and there are queries."""

    @abstractmethod
    def write(self, path: Path) -> None:
        """Write the index into a file."""

    @abstractmethod
    def read(self, path: Path, dimension: int) -> int:
        """Take up a file and return how many vectors it indexes; -1 if they are of another dimension."""


def nearest(
    vectors: Stored,
    queries: NDArray[np.float32],
    k: int,
    rows: NDArray[np.int64] | None,
    allowed: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the ``k`` nearest of ``rows`` (all by default) by looking at each of them, best first.

    Args:
        vectors: All vectors.
        queries: As in :meth:`Index.search`.
        k: How many; there are so many.
        rows: Which ones are looked at.
        allowed: Which of those may be found.
    """
    found = vectors if rows is None else vectors[rows]
    places = np.empty((len(queries), k), np.int64)
    scores = np.empty((len(queries), k), np.float32)
    step = max(1, _CELLS // len(found))
    for at in range(0, len(queries), step):
        cosines = _cosines(queries[at : at + step], found)
        if allowed is not None:
            cosines[:, ~allowed] = -np.inf
        best = _best(cosines, k)
        places[at : at + step] = best
        scores[at : at + step] = np.take_along_axis(cosines, best, axis=1)
    return (places if rows is None else rows[places]), scores


_CELLS = 1 << 25
# Vectors that are made float32 at a time: what fits into a processor's cache.
_BLOCK = 512


def _cosines(queries: NDArray[np.float32], vectors: Stored) -> NDArray[np.float32]:
    """Return the product; vectors that are kept shorter are never all float32 at once.

    One query is multiplied some vectors at a time: the library's threads would wait longer for one another.
    """
    if vectors.dtype == np.float32 and len(queries) > 1:
        return queries @ vectors.T
    cosines = np.empty((len(queries), len(vectors)), np.float32)
    for at in range(0, len(vectors), _BLOCK):
        some = vectors[at : at + _BLOCK]
        wide = _wide(some) if some.dtype == np.float16 else some
        cosines[:, at : at + _BLOCK] = (wide @ queries[0])[None] if len(queries) == 1 else queries @ wide.T
    return cosines


def _wide(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return finite float16 as float32: the bits moved, the exponent put right, several times as fast."""
    bits = np.ascontiguousarray(vectors).view(np.int16).astype(np.int32)
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, _SIGN_AND_VALUE, out=bits)
    wide = bits.view(np.float32)
    return np.multiply(wide, _EXPONENTS, out=wide)


_SIGN_AND_VALUE = np.array(0x8FFFFFFF, np.uint32).view(np.int32)[()]
_EXPONENTS = np.float32(2.0**112)


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
