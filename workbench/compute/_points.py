"""The points that kernels work on, and what is the same for every device: numbering, silhouette, signs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Points", "by_size", "nearest", "silhouette", "trustworthiness"]


@dataclass(frozen=True)
class Points:
    """Points in a space, a row each.

    Attributes:
        values: Float64, two dimensions, finite.

    Raises:
        UsageError: If they are anything else.
    """

    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != np.float64:
            raise UsageError(
                f"points must be a float64 table, are {self.values.dtype} of shape {self.values.shape}."
            )
        if not np.isfinite(self.values).all():
            raise UsageError("points must be finite.", fix="Standardise them first.")

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.values)

    def sample(self, most: int, seed: int) -> NDArray[np.int64]:
        """Return the sorted rows of at most ``most`` points, drawn by ``seed``."""
        if len(self) <= most:
            return np.arange(len(self))
        return np.sort(np.random.default_rng(seed).choice(len(self), most, replace=False))


def by_size(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Number groups by size, the largest 0; of equal ones the one with the first member comes first.

    >>> by_size(np.array([5, 2, 2, 7, 7])).tolist()
    [2, 0, 0, 1, 1]
    """
    _, first, group, size = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -size))
    number = np.empty(len(order), np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    found: NDArray[np.int32] = number[group]
    return found


def nearest(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squared distance of each point to each centre."""
    squares = np.square(points).sum(1)[:, None] + np.square(centres).sum(1)[None, :]
    found: NDArray[np.float64] = np.maximum(squares - 2 * points @ centres.T, 0.0)
    return found


def silhouette(distances: NDArray[np.float64], labels: NDArray[Any]) -> float:
    """Return the mean silhouette of a partition; a point alone in its group counts 0.

    Args:
        distances: Between all pairs of points.
        labels: The group of each.

    Source: Rousseeuw 1987.

    >>> pair = np.array([[0.0, 1.0, 9.0], [1.0, 0.0, 9.0], [9.0, 9.0, 0.0]])
    >>> round(silhouette(pair, np.array([0, 0, 1])), 4)
    0.5926
    """
    groups, group = np.unique(labels, return_inverse=True)
    if len(groups) < 2:
        return 0.0
    members = np.eye(len(groups))[group]
    size = members.sum(0)
    sums = distances @ members
    rows = np.arange(len(group))
    own = sums[rows, group] / np.maximum(size[group] - 1, 1)
    means = sums / size
    means[rows, group] = np.inf
    other = means.min(1)
    larger = np.maximum(own, other)
    widths = np.divide(other - own, larger, out=np.zeros_like(own), where=larger > 0)
    return float(np.where(size[group] > 1, widths, 0.0).mean())


def trustworthiness(points: NDArray[np.float64], found: NDArray[np.float64], k: int) -> float:
    """Return how far neighbours in a projection are neighbours among the points, from 0 to 1.

    Args:
        points: The points.
        found: Where they were put, row by row.
        k: How many neighbours count; at most just under half of the points are.

    Source: Venna and Kaski 2001.

    >>> line = np.arange(9.0)[:, None]
    >>> trustworthiness(line, -line, 3)
    1.0
    """
    rows = len(points)
    k = min(k, (rows - 1) // 2)
    if k < 1:
        return 1.0
    rank = np.empty((rows, rows), np.int64)
    among = nearest(points, points)
    np.fill_diagonal(among, -1.0)
    np.put_along_axis(rank, among.argsort(1, kind="stable"), np.arange(rows)[None, :], 1)
    between = nearest(found, found)
    np.fill_diagonal(between, np.inf)
    close = between.argsort(1, kind="stable")[:, :k]
    excess = np.maximum(np.take_along_axis(rank, close, 1) - k, 0).sum()
    return float(1 - 2 * excess / (rows * k * (2 * rows - 3 * k - 1)))
