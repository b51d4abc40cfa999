"""What a compute backend is, and how one is chosen for a call."""

from __future__ import annotations

import functools
import time
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
import pyarrow as pa

from workbench.compute._graph import EdgeList, UndirectedGraph, canonical_labels, modularity
from workbench.compute._points import Points, by_size, nearest, silhouette
from workbench.errors import DriverUnavailableError, KernelFailedError, UnknownNameError, UsageError
from workbench.logs import get_logger
from workbench.registry import Driver

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.registry import Registry

__all__ = [
    "KERNELS",
    "Backend",
    "Device",
    "EdgeList",
    "Kernel",
    "KernelRun",
    "Points",
    "UndirectedGraph",
    "choose",
    "run",
]

Device = Literal["auto", "cpu", "gpu"]
Kernel = Literal["pagerank", "communities", "components", "kmeans", "pca", "isolation", "dbscan"]
KERNELS: tuple[Kernel, ...] = get_args(Kernel)

# The number of clusters is chosen on so many points and judged on so many: all pairs of these are compared.
_TRIED, _SILHOUETTE = 10_000, 2_000
# Two silhouettes this close are equal: the smaller number of clusters is the simpler description.
_TIE = 1e-9


@dataclass(frozen=True)
class KernelRun:
    """A kernel's result with how it came about.

    Attributes:
        table: One row a node or point, sorted by ``node`` or ``row``.
        device: Which backend ran.
        reason: Why the preferred backend did not run; empty where it did.
        seconds: Wall time of the kernel.
        metrics: Figures about the result, for example ``{"modularity": 0.41}``.
        versions: The libraries that did the work.
    """

    table: pa.Table
    device: str
    reason: str
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


class Backend(Driver):
    """The kernels of one device.

    A kernel takes an :class:`EdgeList` or :class:`Points` and returns ``(table, metrics)``: the table
    has one row for each node or point, sorted by ``node`` or ``row`` (int32). Labels are canonical: a
    component or community is named by its smallest member, clusters are numbered by size, so that
    equal partitions are equal tables.

    A driver writes :meth:`versions` and the ``solve`` methods, which only ever see graphs with an
    edge and points that can be told apart; everything that has to be the same on every device is
    done here. A kernel that the device's library lacks is named in ``gaps`` with the reason;
    ``device="auto"`` then falls back and says so.

    Attributes:
        preference: ``device="auto"`` tries the backend with the highest one first.
        gaps: Kernels that this backend does not have, each with the reason.
    """

    preference: ClassVar[int] = 0
    gaps: ClassVar[dict[str, str]] = {}

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Return the version of each library that this backend calls."""

    @abstractmethod
    def solve_pagerank(
        self, graph: UndirectedGraph, *, damping: float, max_iterations: int, tolerance: float
    ) -> tuple[NDArray[np.float64], dict[str, float]]:
        """Return the rank of each node and the metrics of :meth:`pagerank`."""

    @abstractmethod
    def solve_communities(self, graph: UndirectedGraph, *, resolution: float, seed: int) -> NDArray[Any]:
        """Return a community label for each node, the same for the same graph and seed."""

    @abstractmethod
    def solve_components(self, graph: UndirectedGraph) -> NDArray[Any]:
        """Return a component label for each node."""

    # A backend may lack what works on points; then ``gaps`` or the failure says so.

    def solve_kmeans(
        self, points: NDArray[np.float64], *, k: int, seed: int
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return a cluster label for each point, in ``[0, k)``, and the centres by label."""
        raise self._lacks("kmeans", points, k, seed)

    def solve_pca(self, points: NDArray[np.float64], *, components: int) -> NDArray[np.float64]:
        """Return the principal directions, a row each, of unit length, the widest first."""
        raise self._lacks("pca", points, components)

    def solve_isolation(self, points: NDArray[np.float64], *, trees: int, seed: int) -> NDArray[np.float64]:
        """Return the isolation score of each point, in (0, 1); higher is easier to isolate."""
        raise self._lacks("isolation", points, trees, seed)

    def solve_dbscan(
        self, points: NDArray[np.float64], weight: NDArray[np.float64], *, eps: float, min_points: int
    ) -> NDArray[Any]:
        """Return a cluster label for each point by cosine distance; -1 is noise."""
        raise self._lacks("dbscan", points, weight, eps, min_points)

    @classmethod
    def _lacks(cls, kernel: Kernel, *_: object) -> KernelFailedError:
        return KernelFailedError(f"{cls.__name__} does not implement {kernel}")

    def pagerank(
        self, edges: EdgeList, *, damping: float = 0.85, max_iterations: int = 50, tolerance: float = 1e-6
    ) -> tuple[pa.Table, dict[str, float]]:
        """Return ``node``, ``rank`` (float64, sums to 1) of the weighted graph.

        A random walk follows edges in proportion to their weights with probability ``damping`` and
        jumps to a uniformly drawn node otherwise; it always jumps from an isolated node. The ranks
        are good when one more power iteration would change them by less than ``tolerance`` in sum.
        ``max_iterations`` counts iterations of the reference, which nearly halves
        the error in each.

        Metrics: ``converged`` (1 or 0) and, where the library tells, ``iterations`` and ``residual``.
        Source: Page et al. 1999, spec 5.1.

        Raises:
            UsageError: If an option is out of range.
            KernelFailedError: If the device could not finish.
        """
        _require(0 <= damping < 1, "damping", damping, "at least 0 and below 1")
        _require(max_iterations >= 1, "max_iterations", max_iterations, "at least 1")
        _require(tolerance > 0, "tolerance", tolerance, "above 0")
        graph = edges.undirected()
        if graph.edges:
            ranks, metrics = self.solve_pagerank(
                graph, damping=damping, max_iterations=max_iterations, tolerance=tolerance
            )
        else:
            ranks, metrics = np.full(graph.nodes, 1 / max(graph.nodes, 1)), {"converged": 1.0}
        return _by_node("rank", ranks), metrics

    def communities(
        self, edges: EdgeList, *, resolution: float = 1.0, seed: int = 0
    ) -> tuple[pa.Table, dict[str, float]]:
        """Return ``node``, ``community`` (int32) by Leiden; every community is connected.

        An isolated node is a community of its own. The same edges and seed give the same table on
        the same backend and versions.

        Metrics: ``modularity`` (at resolution 1), ``communities``. Source: Traag et al. 2019, spec 5.1.

        Raises:
            UsageError: If an option is out of range.
            KernelFailedError: If the device could not finish.
        """
        _require(resolution > 0, "resolution", resolution, "above 0")
        _require(seed >= 0, "seed", seed, "at least 0")
        graph = edges.undirected()
        labels = np.arange(graph.nodes, dtype=np.int32)
        if graph.edges:
            # Parallel Leiden promises connected communities only when it has converged; splitting
            # one that is not connected never lowers the modularity.
            partition = self.solve_communities(graph, resolution=resolution, seed=seed)
            labels = self._component_labels(graph.within(partition))
        figures = {"modularity": modularity(graph, labels), "communities": float(_count(labels))}
        return _by_node("community", labels), figures

    def components(self, edges: EdgeList) -> tuple[pa.Table, dict[str, float]]:
        """Return ``node``, ``component`` (int32); an isolated node is a component of its own.

        Metrics: ``components``, ``largest`` (nodes).

        Raises:
            KernelFailedError: If the device could not finish.
        """
        labels = self._component_labels(edges.undirected())
        largest = float(np.bincount(labels).max(initial=0))
        return _by_node("component", labels), {"components": float(_count(labels)), "largest": largest}

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
        _require(2 <= fewest <= most, "fewest", fewest, "from 2 to most")
        _require(seed >= 0, "seed", seed, "at least 0")
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
        _require(components >= 1, "components", components, "at least 1")
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

    def isolation(
        self, points: Points, *, trees: int = 200, seed: int = 0
    ) -> tuple[pa.Table, dict[str, float]]:
        """Return ``row``, ``score`` (float64 in (0, 1)): how soon random cuts part a point from the others.

        Metrics: ``trees``. Source: Liu, Ting and Zhou 2008.

        Raises:
            UsageError: If an option is out of range.
            KernelFailedError: If the device could not finish.
        """
        _require(trees >= 1, "trees", trees, "at least 1")
        _require(seed >= 0, "seed", seed, "at least 0")
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
        _require(0 < eps <= 2, "eps", eps, "above 0 and at most 2")
        _require(min_points >= 1, "min_points", min_points, "at least 1")
        counted = np.ones(len(points)) if weight is None else weight
        labels = np.full(len(points), -1, np.int32)
        if len(points):
            found = np.asarray(self.solve_dbscan(points.values, counted, eps=eps, min_points=min_points))
            labels[found >= 0] = by_size(found[found >= 0])
        figures = {"clusters": float(labels.max(initial=-1) + 1), "noise": float((labels < 0).sum())}
        return _by_row(cluster=labels), figures

    def _component_labels(self, graph: UndirectedGraph) -> NDArray[np.int32]:
        if not graph.edges:
            return np.arange(graph.nodes, dtype=np.int32)
        return canonical_labels(self.solve_components(graph))


def _require(holds: bool, option: str, value: float, allowed: str) -> None:
    if not holds:
        raise UsageError(f"{option} is {value}, must be {allowed}.")


def _count(labels: NDArray[np.int32]) -> int:
    """Return the number of groups: each holds exactly one node that is its own label."""
    return int((labels == np.arange(len(labels))).sum())


def _by_node(name: str, values: NDArray[Any]) -> pa.Table:
    return pa.table({"node": np.arange(len(values), dtype=np.int32), name: values})


def _by_row(**columns: NDArray[Any]) -> pa.Table:
    rows = len(next(iter(columns.values())))
    return pa.table({"row": np.arange(rows, dtype=np.int32), **columns})


def choose(backends: Registry[Backend], device: Device | str, kernel: Kernel) -> tuple[str, str]:
    """Return the name of the backend that runs ``kernel`` and why a preferred one does not.

    Raises:
        DriverUnavailableError: If ``device`` names a backend that cannot run here.
        UnknownNameError: If there is no such backend or kernel; near misses are suggested.
    """
    names = _candidates(backends, device, kernel)
    skipped: list[str] = []
    for name in names:
        reason = _why_not(backends.load(name), kernel)
        if not reason:
            return name, "; ".join(skipped)
        skipped.append(f"{name}: {reason}")
    raise _unavailable(device, kernel, skipped)


def run(
    backends: Registry[Backend],
    device: Device | str,
    kernel: Kernel,
    data: EdgeList | Points,
    **options: Any,
) -> KernelRun:
    """Run ``kernel`` and return its result with how it came about.

    ``device="auto"`` takes the backends by preference; one that cannot run here, or that fails at
    this call, is passed over and its reason recorded and logged once. A device by name never falls
    back.

    Raises:
        DriverUnavailableError: If no allowed backend could run the kernel; says why.
        UnknownNameError: If there is no such backend or kernel; near misses are suggested.
        UsageError: If an option is out of range.

    >>> from workbench.compute import backends
    >>> path = pa.table({"source": pa.array([0, 1], pa.int32()), "target": pa.array([1, 2], pa.int32()),
    ...                  "weight": [1.0, 1.0]})
    >>> run(backends, "cpu", "components", EdgeList(path, 4)).table["component"].to_pylist()
    [0, 0, 0, 3]
    """
    skipped: list[str] = []
    for name in _candidates(backends, device, kernel):
        backend = backends.load(name)
        reason = _why_not(backend, kernel)
        if not reason:
            start = time.perf_counter()
            try:
                driver = backend()
                table, metrics = getattr(driver, kernel)(data, **options)
            except KernelFailedError as failure:
                reason = str(failure)
            else:
                seconds = time.perf_counter() - start
                return KernelRun(table, name, "; ".join(skipped), seconds, metrics, driver.versions())
        skipped.append(f"{name}: {reason}")
        _announce(kernel, name, reason)
    raise _unavailable(device, kernel, skipped)


def _candidates(backends: Registry[Backend], device: str, kernel: str) -> list[str]:
    """Return the backends that ``device`` allows, the preferred one first."""
    if kernel not in KERNELS:
        raise UnknownNameError("kernel", kernel, KERNELS)
    names = backends.names()
    if device == "auto":
        return sorted(names, key=lambda name: -backends.load(name).preference)
    if device not in names:
        raise UnknownNameError("compute backend", device, [*names, "auto"])
    return [device]


def _why_not(backend: type[Backend], kernel: Kernel) -> str:
    if kernel in backend.gaps:
        return backend.gaps[kernel]
    reason = backend.can_run()
    return "" if reason is True else reason


def _unavailable(device: str, kernel: str, skipped: list[str]) -> DriverUnavailableError:
    if device == "auto":
        return DriverUnavailableError(f"no compute backend can run {kernel}: {'; '.join(skipped)}.")
    return DriverUnavailableError(
        f"device {device!r} cannot run {kernel}: {skipped[0].removeprefix(f'{device}: ')}.",
        fix="Use device='auto' to fall back with the reason recorded.",
    )


@functools.cache
def _announce(kernel: str, name: str, reason: str) -> None:
    """Log that a backend was passed over; the cache makes it once for each reason."""
    get_logger("compute").info("backend passed over", kernel=kernel, backend=name, reason=reason)
