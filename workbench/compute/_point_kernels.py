"""The kernels on points, as far as they are the same on every device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
import pyarrow as pa

from workbench.compute._near import recall_of
from workbench.compute._options import lacks, require
from workbench.compute._points import Points, by_size, nearest, silhouette, trustworthiness
from workbench.errors import UsageError
from workbench.registry import Driver

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Metric", "PointKernels", "Search"]

Metric = Literal["cosine", "euclidean"]
Search = Literal["exact", "approximate"]

# The number of clusters is chosen on so many points and judged on so many: all pairs of these are compared.
_TRIED, _SILHOUETTE = 10_000, 2_000
# Of fewer there is no graph of neighbours to unfold.
_FEWEST_MAPPED = 5
# Two silhouettes this close are equal: the smaller number of clusters is the simpler description.
_TIE = 1e-9
# The rows whose neighbours are compared with the exact ones.
_JUDGED = 1_000
_ROWS = 1 << 15


class PointKernels(Driver):
    """What a backend computes of :class:`Points`; see :class:`workbench.compute.Backend`.

    A backend may lack any of these; then ``gaps`` or the failure says so.

    Attributes:
        approximates: Whether it has :meth:`solve_near`; else ``approximate`` neighbours are exact.
    """

    approximates: ClassVar[bool] = False

    def solve_kmeans(
        self, points: NDArray[np.float64], *, k: int, seed: int
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return a cluster label for each point, in ``[0, k)``, and the centres by label."""
        raise lacks(self, "kmeans", points, k, seed)

    def solve_pca(self, points: NDArray[np.float64], *, components: int) -> NDArray[np.float64]:
        """Return the principal directions, a row each, of unit length, the widest first."""
        raise lacks(self, "pca", points, components)

    def solve_umap(
        self, points: NDArray[np.float64], *, components: int, neighbours: int, distance: float, seed: int
    ) -> NDArray[Any]:
        """Return the places of the points in fewer dimensions, near ones kept near."""
        raise lacks(self, "umap", points, components, neighbours, distance, seed)

    def solve_isolation(self, points: NDArray[np.float64], *, trees: int, seed: int) -> NDArray[np.float64]:
        """Return the isolation score of each point, in (0, 1); higher is easier to isolate."""
        raise lacks(self, "isolation", points, trees, seed)

    def solve_dbscan(
        self, points: NDArray[np.float64], weight: NDArray[np.float64], *, eps: float, min_points: int
    ) -> NDArray[Any]:
        """Return a cluster label for each point by cosine distance; -1 is noise."""
        raise lacks(self, "dbscan", points, weight, eps, min_points)

    def solve_hdbscan(
        self, points: NDArray[np.float64], *, min_cluster: int, min_points: int
    ) -> NDArray[Any]:
        """Return a cluster label for each point by distance; -1 is noise."""
        raise lacks(self, "hdbscan", points, min_cluster, min_points)

    def solve_neighbours(
        self, points: NDArray[np.float64], *, k: int
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return the rows of each point's ``k`` nearest points and their distances; itself may be one."""
        raise lacks(self, "neighbours", points, k)

    def solve_near(
        self, points: NDArray[np.float32], *, k: int, seed: int
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return nearly the same for many points in less time, the nearest first."""
        raise lacks(self, "neighbours:approximate", points, k, seed)

    def kmeans(
        self, points: Points, *, fewest: int = 2, most: int = 20, seed: int = 0
    ) -> tuple[pa.Table, dict[str, float]]:
        """Return ``row``, ``cluster`` (int32, 0 is the largest), ``distance`` to the cluster's centre.

        The number of clusters is the one from ``fewest`` to ``most`` with the largest mean silhouette
        on a sample, of equal ones the smaller. Fewer distinct points than clusters make one cluster.

        Metrics: ``k``, ``silhouette`` (of the sample), ``inertia`` (sum of squared distances).
        Source: Lloyd 1982; Rousseeuw 1987; spec 5.1.

        Raises:
            UsageError: If an option is out of range.
            KernelFailedError: If the device could not finish.
        """
        require(2 <= fewest <= most, "fewest", fewest, "from 2 to most")
        require(seed >= 0, "seed", seed, "at least 0")
        values = points.values
        drawn = values[points.sample(_TRIED, seed)]
        seen = points.sample(_SILHOUETTE, seed)
        distances = np.sqrt(nearest(values[seen], values[seen]))
        np.fill_diagonal(distances, 0.0)
        distinct = len(np.unique(drawn, axis=0)) if len(drawn) else 0
        k, quality = 1, 0.0
        for tried in range(fewest, min(most, distinct - 1) + 1):
            _, centres = self.solve_kmeans(drawn, k=tried, seed=seed)
            found = silhouette(distances, nearest(values[seen], centres).argmin(1))
            if k == 1 or found > quality + _TIE:
                k, quality = tried, found
        labels = np.zeros(len(values), np.int32)
        if k > 1:
            labels = by_size(self.solve_kmeans(values, k=k, seed=seed)[0])
        centres = np.stack([values[labels == c].mean(0) for c in range(k)]) if len(values) else values
        squares = np.square(values - centres[labels]).sum(1)
        figures = {"k": float(k), "silhouette": quality, "inertia": float(squares.sum())}
        return _by_row(cluster=labels, distance=np.sqrt(squares)), figures

    def pca(self, points: Points, *, components: int = 2) -> tuple[pa.Table, dict[str, float]]:
        """Return ``row`` and ``component_0``, ``component_1``, …: the points on their principal directions.

        Directions point to where their largest loading is positive. A direction that the points do not
        have is 0.

        Metrics: ``explained``, the part of the variance that the components hold.
        Source: Pearson 1901.

        Raises:
            UsageError: If an option is out of range.
            KernelFailedError: If the device could not finish.
        """
        require(components >= 1, "components", components, "at least 1")
        values = points.values
        centred = values - values.mean(0) if len(values) else values
        projected = np.zeros((len(values), components))
        total = float(np.square(centred).sum())
        wanted = min(components, *values.shape)
        if wanted and total > 0:
            directions = self.solve_pca(centred, components=wanted)
            largest = directions[np.arange(wanted), np.abs(directions).argmax(1)]
            projected[:, :wanted] = centred @ (directions * np.sign(largest)[:, None]).T
        explained = float(np.square(projected).sum()) / total if total > 0 else 0.0
        columns = {f"component_{i}": projected[:, i] for i in range(components)}
        return _by_row(**columns), {"explained": explained}

    def umap(
        self,
        points: Points,
        *,
        components: int = 2,
        neighbours: int = 15,
        distance: float = 0.1,
        seed: int = 0,
    ) -> tuple[pa.Table, dict[str, float]]:
        """Return ``row`` and ``component_0``, ``component_1``, …: a plane in which near points are near.

        Only neighbourhood means anything in it: neither axes nor distances between groups do. Axes go
        to where their farthest point is positive, and each has its mean at 0. Fewer points than five
        stay where principal components put them.

        Args:
            points: The points.
            components: How many axes.
            neighbours: How many neighbours of a point are kept together: few show detail, many the whole.
            distance: How close points may come.
            seed: Decides the result on a device.

        Metrics: ``trustworthiness``, from 0 to 1, of a sample: whether neighbours in the plane are
        neighbours (Venna and Kaski 2001). Source: McInnes, Healy and Melville 2018.

        Raises:
            UsageError: If an option is out of range.
            KernelFailedError: If the device could not finish.
        """
        require(components >= 1, "components", components, "at least 1")
        require(neighbours >= 2, "neighbours", neighbours, "at least 2")
        require(0 <= distance <= 1, "distance", distance, "from 0 to 1")
        require(seed >= 0, "seed", seed, "at least 0")
        values = points.values
        if len(values) < max(_FEWEST_MAPPED, components + 2) or not np.ptp(values, axis=0).any():
            return self.pca(points, components=components)[0], {"trustworthiness": 1.0}
        near = min(neighbours, len(values) - 1)
        found = np.asarray(
            self.solve_umap(values, components=components, neighbours=near, distance=distance, seed=seed),
            np.float64,
        )
        found -= found.mean(0)
        farthest = found[np.abs(found).argmax(0), np.arange(components)]
        found *= np.where(farthest < 0, -1.0, 1.0)
        seen = points.sample(_SILHOUETTE, seed)
        quality = trustworthiness(values[seen], found[seen], near)
        columns = {f"component_{i}": found[:, i] for i in range(components)}
        return _by_row(**columns), {"trustworthiness": quality}

    def isolation(
        self, points: Points, *, trees: int = 200, seed: int = 0
    ) -> tuple[pa.Table, dict[str, float]]:
        """Return ``row``, ``score`` (float64 in (0, 1)): how soon random cuts part a point from the others.

        Metrics: ``trees``. Source: Liu, Ting and Zhou 2008.

        Raises:
            UsageError: If an option is out of range.
            KernelFailedError: If the device could not finish.
        """
        require(trees >= 1, "trees", trees, "at least 1")
        require(seed >= 0, "seed", seed, "at least 0")
        scores = np.full(len(points), 0.5)
        if len(points) > 1 and points.values.shape[1]:
            scores = self.solve_isolation(points.values, trees=trees, seed=seed)
        return _by_row(score=np.asarray(scores, np.float64)), {"trees": float(trees)}

    def dbscan(
        self,
        points: Points,
        *,
        weight: NDArray[np.float64] | None = None,
        eps: float = 0.3,
        min_points: int = 5,
    ) -> tuple[pa.Table, dict[str, float]]:
        """Return ``row``, ``cluster`` (int32; noise is -1, 0 the largest) by density in cosine distance.

        Args:
            points: The points; none is the origin.
            weight: How many points each row stands for; by default 1.
            eps: Two points are neighbours within this cosine distance.
            min_points: A point with so many neighbours, itself included, is in a cluster.

        Metrics: ``clusters``, ``noise`` (rows). Source: Ester et al. 1996; spec 5.1.

        Raises:
            UsageError: If an option is out of range.
            KernelFailedError: If the device could not finish.
        """
        require(0 < eps <= 2, "eps", eps, "above 0 and at most 2")
        require(min_points >= 1, "min_points", min_points, "at least 1")
        counted = np.ones(len(points)) if weight is None else weight
        labels = np.full(len(points), -1, np.int32)
        if len(points):
            found = np.asarray(self.solve_dbscan(points.values, counted, eps=eps, min_points=min_points))
            labels[found >= 0] = by_size(found[found >= 0])
        figures = {"clusters": float(labels.max(initial=-1) + 1), "noise": float((labels < 0).sum())}
        return _by_row(cluster=labels), figures

    def hdbscan(
        self, points: Points, *, metric: Metric = "cosine", min_cluster: int = 5, min_points: int = 5
    ) -> tuple[pa.Table, dict[str, float]]:
        """Return ``row``, ``cluster`` (int32; noise is -1, 0 the largest) by density of any scale.

        Args:
            points: The points; none is the origin where the metric is ``cosine``.
            metric: ``cosine`` or ``euclidean``.
            min_cluster: The fewest points of a cluster.
            min_points: How many neighbours, itself included, say how dense it is at a point.

        Metrics: ``clusters``, ``noise`` (rows). Source: Campello, Moulavi and Sander 2013; spec 5.1.

        Raises:
            UsageError: If an option is out of range.
            KernelFailedError: If the device could not finish.
        """
        require(min_cluster >= 2, "min_cluster", min_cluster, "at least 2")
        require(min_points >= 1, "min_points", min_points, "at least 1")
        values = _within(points, metric)
        labels = np.full(len(points), -1, np.int32)
        if len(points) >= max(min_cluster, min_points):
            found = np.asarray(self.solve_hdbscan(values, min_cluster=min_cluster, min_points=min_points))
            labels[found >= 0] = by_size(found[found >= 0])
        figures = {"clusters": float(labels.max(initial=-1) + 1), "noise": float((labels < 0).sum())}
        return _by_row(cluster=labels), figures

    def neighbours(
        self,
        points: Points,
        *,
        k: int = 10,
        metric: Metric = "cosine",
        method: Search = "exact",
        seed: int = 0,
    ) -> tuple[pa.Table, dict[str, float]]:
        """Return ``row``, ``place`` (int32, from 0), ``neighbour`` (int32), ``distance``: the nearest others.

        Each row has ``k`` neighbours, or all others where there are fewer. Distances are those of the
        points, also where the search among them is approximate.

        Args:
            points: The points; none is the origin where the metric is ``cosine``.
            k: How many.
            metric: ``cosine`` (one minus it) or ``euclidean``.
            method: ``exact``, or ``approximate`` for many points: in single precision, where the backend
                has a search that is faster than all distances and the points are many enough for it.
            seed: Decides the result where it is approximate.

        Metrics: ``k``, as many as each row has; ``recall``, the part of these that is among the nearest
        there are: 1 where the search was exact, else of some rows.

        Raises:
            UsageError: If an option is out of range.
            KernelFailedError: If the device could not finish.
        """
        require(k >= 1, "k", k, "at least 1")
        require(seed >= 0, "seed", seed, "at least 0")
        if method not in get_args(Search):
            raise UsageError(f"method is {method!r}, must be one of {', '.join(get_args(Search))}.")
        rows, wanted = len(points), min(k, len(points) - 1)
        if wanted < 1:
            return _neighbours(np.empty((rows, 0), np.int32), np.empty((rows, 0))), {"k": 0.0, "recall": 1.0}
        single = None
        if method == "approximate" and self.approximates:
            single = _single(points, metric)
            found, distance = self.solve_near(single, k=wanted + 1, seed=seed)
        else:
            found, distance = self.solve_neighbours(_within(points, metric), k=wanted + 1)
        # Of equal points the last may be missing where the point itself should be.
        itself = found == np.arange(rows)[:, None]
        itself[~itself.any(1), -1] = True
        shape = (rows, wanted)
        near, recall = distance[~itself].reshape(shape), 1.0
        if single is not None:
            drawn = points.sample(_JUDGED, seed)
            recall = recall_of(single, drawn, near[drawn])
        if metric == "cosine":
            near = np.square(near) / 2
        return _neighbours(found[~itself].reshape(shape), near), {"k": float(wanted), "recall": recall}


def _within(points: Points, metric: str) -> NDArray[np.float64]:
    """Return the values among which Euclidean distance orders as ``metric`` does."""
    if metric not in get_args(Metric):
        raise UsageError(f"metric is {metric!r}, must be one of {', '.join(get_args(Metric))}.")
    if metric == "euclidean":
        return points.values
    length = np.linalg.norm(points.values, axis=1, keepdims=True)
    if not length.all():
        raise UsageError("the origin has no direction.", fix="Leave points without length out.")
    values: NDArray[np.float64] = points.values / length
    return values


def _single(points: Points, metric: str) -> NDArray[np.float32]:
    """Return the same in single precision, some rows at a time; distances are kept, places are not."""
    middle = points.values.mean(0) if metric == "euclidean" else 0.0
    made = np.empty(points.values.shape, np.float32)
    for first in range(0, len(made), _ROWS):
        made[first : first + _ROWS] = _within(Points(points.values[first : first + _ROWS]), metric) - middle
    return made


def _neighbours(found: NDArray[Any], distance: NDArray[np.float64]) -> pa.Table:
    rows, k = found.shape
    return pa.table(
        {
            "row": np.repeat(np.arange(rows, dtype=np.int32), k),
            "place": np.tile(np.arange(k, dtype=np.int32), rows),
            "neighbour": found.ravel().astype(np.int32),
            "distance": np.asarray(distance, np.float64).ravel(),
        }
    )


def _by_row(**columns: NDArray[Any]) -> pa.Table:
    rows = len(next(iter(columns.values())))
    return pa.table({"row": np.arange(rows, dtype=np.int32), **columns})
