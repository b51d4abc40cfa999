"""The nearest of many points, approximately: an inverted file of short codes, looked at again in full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["fits", "nearest_of_all", "recall_of"]

# Of fewer distinct points all distances are computed: training needs some.
_FEWEST = 2_000
# Principal axes: as many as hold this part of the variance, a multiple of 8, with one code of 4 bits each.
_HELD, _MOST_AXES = 0.95, 128
_PROBES = 24
# Codes are coarse: of so many times as many points as are wanted the distance is computed.
_LOOKED_AT = 4
_ROUNDS, _PER_LIST, _TRAINED = 8, 40, 20_000
_BATCH = 4_096


@dataclass(frozen=True)
class _Distinct:
    """Equal points as one.

    Attributes:
        order: All rows, equal ones side by side, by row.
        start: Where the rows of each distinct point begin in ``order``, and one more for the end.
        number: The distinct point of each row.
    """

    order: NDArray[np.int64]
    start: NDArray[np.int64]
    number: NDArray[np.int64]

    @classmethod
    def of(cls, points: NDArray[np.float32]) -> _Distinct:
        whole = points.view([("", np.void, points.dtype.itemsize * points.shape[1])]).ravel()
        order = np.argsort(whole, kind="stable")
        other = np.ones(len(order), np.bool_)
        for first in range(1, len(order), _BATCH):
            now = order[first : first + _BATCH]
            before = order[first - 1 : first - 1 + len(now)]
            other[first : first + _BATCH] = whole[now] != whole[before]
        number = np.empty(len(order), np.int64)
        number[order] = np.cumsum(other) - 1
        return cls(order, np.append(np.flatnonzero(other), len(order)), number)

    def __len__(self) -> int:
        return len(self.start) - 1

    def rows(
        self, near: NDArray[np.int64], distance: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return of each row the nearest rows, as many as ``near`` has columns, by the nearest of points."""
        size = np.diff(self.start)[near]
        ends = np.cumsum(size, axis=1)
        found = np.empty(near.shape, np.int32)
        apart = np.empty(near.shape, np.float32)
        each = np.arange(len(near))
        for place in range(near.shape[1]):
            column = (ends <= place).sum(1)
            within = place - (ends[each, column] - size[each, column])
            found[:, place] = self.order[self.start[near[each, column]] + within]
            apart[:, place] = distance[each, column]
        return found[self.number], apart[self.number]


def fits(points: int, k: int) -> bool:
    """Return whether so many points are worth more than all distances, for ``k`` nearest of each."""
    return points >= max(_FEWEST, 10 * _LOOKED_AT * k)


def nearest_of_all(
    points: NDArray[np.float32], *, k: int, seed: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]] | None:
    """Return the rows of each point's ``k`` nearest points, itself one, and their distances, nearest first.

    Equal points are searched for once and are never left out for others. The search goes through the lists
    of an inverted file whose centres are nearest, by codes of 4 bits for each principal axis; of the best
    by these the distance is computed. Where the nearest lists hold too few, more are looked through.

    Args:
        points: Contiguous.
        k: How many.
        seed: Decides what is trained on.

    Returns:
        None where there are too few distinct points for it.

    Source: Jégou, Douze and Schmid 2011; codes in registers: André, Kermarrec and Le Scouarnec 2015;
    the library: Douze et al. 2024.
    """
    distinct = _Distinct.of(points)
    count = len(distinct)
    if not fits(count, k):
        return None
    faiss = _faiss()
    from threadpoolctl import threadpool_limits

    # several threads add up in an order of their own; limits are for libraries that are loaded
    with threadpool_limits(limits=1):
        return distinct.rows(*_nearest(faiss, points, distinct.order[distinct.start[:-1]], k, seed))


def _nearest(
    faiss: Any, points: NDArray[np.float32], first: NDArray[np.int64], k: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the ``k`` nearest of the rows ``first``, as places in it, and their distances."""
    count = len(first)
    full = faiss.IndexFlatL2(points.shape[1])
    for begin in range(0, count, _BATCH):
        full.add(points[first[begin : begin + _BATCH]])
    drawn = np.sort(np.random.default_rng(seed).permutation(count)[:_TRAINED])
    axes = _axes(full.reconstruct_batch(drawn), seed)
    codes = _coded(faiss, full, axes, seed)
    near, distance = np.empty((count, k), np.int64), np.empty((count, k), np.float32)
    for begin in range(0, count, _BATCH):
        rows = np.arange(begin, min(begin + _BATCH, count))
        probes = _PROBES
        while len(rows):
            codes.nprobe = min(probes, codes.nlist)
            queries = full.reconstruct_batch(rows)
            proposed = np.ascontiguousarray(codes.search(queries @ axes, _LOOKED_AT * k)[1])
            missing = ~(proposed == rows[:, None]).any(1)
            proposed[missing, -1] = rows[missing]
            near[rows], distance[rows] = _best(full, queries, proposed, k, faiss.swig_ptr)
            rows = rows[~np.isfinite(distance[rows, -1])] if probes < codes.nlist else rows[:0]
            probes *= 4
    return near, distance


def _faiss() -> Any:
    """Return the library, without types: its own are those of C++, not of what its constructors take."""
    import faiss

    return faiss


def recall_of(
    points: NDArray[np.float32],
    drawn: NDArray[np.int64],
    distance: NDArray[np.float64],
) -> float:
    """Return which part of the nearest others that were found is among the nearest there are.

    What is as far as the last of the nearest is one of them.

    Args:
        points: All.
        drawn: The rows that are judged by all distances.
        distance: From each of these to what was found, the nearest first.
    """
    from threadpoolctl import threadpool_limits

    squares = np.einsum("ij,ij->i", points, points)
    found = np.square(distance).astype(np.float32)
    # single precision of products as large as these
    slack = 1e-5 * float(squares.max(initial=0))
    k, hits, at_once = found.shape[1], 0, 64
    for begin in range(0, len(drawn), at_once):
        rows = drawn[begin : begin + at_once]
        with threadpool_limits(limits=1):
            apart = (-2 * points[rows]) @ points.T
        apart += squares
        apart[np.arange(len(rows)), rows] = np.inf
        # the square of the row itself is in none of these distances
        mine = found[begin : begin + at_once] - squares[rows, None]
        for every, near in zip(apart, mine, strict=True):
            close = every[every <= near[-1] + slack]
            last = np.partition(close, k - 1)[k - 1] if len(close) >= k else near[-1]
            hits += int((near <= last + slack).sum())
    return hits / found.size


def _axes(some: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Return principal axes, turned among themselves so that each holds as much as the others."""
    variance, directions = np.linalg.eigh(np.cov(some.T, dtype=np.float64))
    held = np.cumsum(variance[::-1]) / max(variance.sum(), np.finfo(np.float64).tiny)
    wanted = int(np.searchsorted(held, _HELD)) + 1
    wanted = min(-(-wanted // 8) * 8, _MOST_AXES)
    turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(wanted, wanted)))
    kept = directions[:, ::-1][:, :wanted]
    # fewer dimensions than a multiple of 8: axes that hold nothing fill it up
    return np.asarray(np.pad(kept, ((0, 0), (0, wanted - kept.shape[1]))) @ turned, np.float32)


def _coded(faiss: Any, full: Any, axes: NDArray[np.float32], seed: int) -> Any:
    """Return the inverted file of all points' codes."""
    width, count = axes.shape[1], full.ntotal
    draw = np.random.default_rng(seed)
    lists = int(np.sqrt(count))
    some = np.sort(draw.choice(count, min(count, lists * _PER_LIST), replace=False))
    means = faiss.Kmeans(width, lists, niter=_ROUNDS, seed=seed & 0x7FFFFFFF, min_points_per_centroid=1)
    trained = full.reconstruct_batch(some) @ axes
    means.train(trained)
    centres = faiss.IndexFlatL2(width)
    centres.add(means.centroids)
    codes = faiss.IndexIVFPQFastScan(centres, width, lists, width, 4)
    codes.by_residual = False
    codes.train(trained)
    for begin in range(0, count, 1 << 15):
        codes.add(full.reconstruct_n(begin, min(1 << 15, count - begin)) @ axes)
    # it keeps no reference to its centres
    codes.referenced_objects = [centres]
    return codes


def _best(
    full: Any, queries: NDArray[np.float32], proposed: NDArray[np.int64], k: int, pointer: Any
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the ``k`` nearest of what is proposed to each; infinitely far where that is too few."""
    apart = np.empty(proposed.shape, np.float32)
    count, each = proposed.shape
    full.compute_distance_subset(count, pointer(queries), each, pointer(apart), pointer(proposed))
    apart[proposed < 0] = np.inf
    best = np.lexsort((proposed, apart))[:, :k]
    return np.take_along_axis(proposed, best, 1), np.sqrt(np.take_along_axis(apart, best, 1))
