"""The kernels on graphs, as far as they are the same on every device."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pyarrow as pa

from workbench.compute._graph import canonical_labels, modularity
from workbench.compute._options import lacks, require
from workbench.errors import UsageError
from workbench.registry import Driver

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.compute._graph import EdgeList, UndirectedGraph

__all__ = ["GraphKernels", "Method"]

Method = Literal["leiden", "louvain", "label_propagation"]

# With this chance no node's sampled betweenness is further off than the stated error.
_CONFIDENCE = 0.95
# What an earlier community weighs of all that ties a node: it decides between partitions nearly as good.
_HOLD = 0.1


class GraphKernels(Driver):
    """What a backend computes of an :class:`EdgeList`; see :class:`workbench.compute.Backend`."""

    @abstractmethod
    def solve_pagerank(
        self, graph: UndirectedGraph, *, damping: float, max_iterations: int, tolerance: float
    ) -> tuple[NDArray[np.float64], dict[str, float]]:
        """Return the rank of each node and the metrics of :meth:`pagerank`."""

    @abstractmethod
    def solve_communities(
        self, graph: UndirectedGraph, *, method: Method, resolution: float, seed: int
    ) -> NDArray[Any]:
        """Return a community label for each node, the same for the same graph and seed."""

    @abstractmethod
    def solve_components(self, graph: UndirectedGraph) -> NDArray[Any]:
        """Return a component label for each node."""

    # A backend may lack what follows; then ``gaps`` or the failure says so.

    def solve_core_numbers(self, graph: UndirectedGraph) -> NDArray[Any]:
        """Return the core number of each node; no pair of nodes stands twice."""
        raise lacks(self, "core_numbers", graph)

    def solve_betweenness(self, graph: UndirectedGraph, sources: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return, for each node, the part of the shortest paths from ``sources`` that it lies on, summed.

        Of all ways from a source to another node that are shortest in hops, the part that leads through
        the node; a path's ends do not lie on it. No pair of nodes stands twice.
        """
        raise lacks(self, "betweenness", graph, sources)

    def solve_hops(self, graph: UndirectedGraph, source: int) -> NDArray[Any]:
        """Return the hops from ``source`` to each node; -1 where no path leads."""
        raise lacks(self, "hops", graph, source)

    def solve_distances(self, graph: UndirectedGraph, source: int) -> NDArray[np.float64]:
        """Return the length of the shortest path to each node, ``weight`` as length; infinite without one."""
        raise lacks(self, "distances", graph, source)

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
        require(0 <= damping < 1, "damping", damping, "at least 0 and below 1")
        require(max_iterations >= 1, "max_iterations", max_iterations, "at least 1")
        require(tolerance > 0, "tolerance", tolerance, "above 0")
        graph = edges.undirected()
        if graph.edges:
            ranks, metrics = self.solve_pagerank(
                graph, damping=damping, max_iterations=max_iterations, tolerance=tolerance
            )
        else:
            ranks, metrics = np.full(graph.nodes, 1 / max(graph.nodes, 1)), {"converged": 1.0}
        return _by_node("rank", ranks), metrics

    def communities(
        self,
        edges: EdgeList,
        *,
        method: Method = "leiden",
        resolution: float = 1.0,
        seed: int = 0,
        earlier: NDArray[np.integer] | None = None,
    ) -> tuple[pa.Table, dict[str, float]]:
        """Return ``node``, ``community`` (int32); every community is connected.

        Methods are ``leiden``, ``louvain`` and ``label_propagation``, which knows no resolution. An
        isolated node is a community of its own. The same edges, method and seed give the same table on
        the same backend and versions.

        With ``earlier``, a group from 0 on for each node and -1 for none, nodes stay together that were,
        unless their edges say otherwise: of partitions that are as good, the one is found that was there.

        Metrics: ``modularity`` (at resolution 1), ``communities``. Source: Traag et al. 2019; Blondel et al.
        2008; Raghavan et al. 2007; spec 5.1.

        Raises:
            UsageError: If an option is out of range, or ``earlier`` has not a group for each node.
            KernelFailedError: If the device could not finish.
        """
        if earlier is not None:
            same = len(earlier) == edges.nodes
            require(same, "the length of earlier", len(earlier), f"the number of nodes, {edges.nodes}")
        if method not in get_args(Method):
            raise UsageError(f"method is {method!r}, must be one of {', '.join(get_args(Method))}.")
        require(resolution > 0, "resolution", resolution, "above 0")
        require(seed >= 0, "seed", seed, "at least 0")
        graph = edges.undirected()
        labels = np.arange(graph.nodes, dtype=np.int32)
        if graph.edges:
            # Parallel Leiden promises connected communities only when it has converged; splitting
            # one that is not connected never lowers the modularity.
            known = graph if earlier is None else graph.anchored(earlier, _HOLD)
            partition = self.solve_communities(known, method=method, resolution=resolution, seed=seed)
            labels = self._component_labels(graph.within(partition[: graph.nodes]))
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

    def core_numbers(self, edges: EdgeList) -> tuple[pa.Table, dict[str, float]]:
        """Return ``node``, ``core`` (int32): the largest k such that the node is in a k-core.

        Weights do not count.

        Metrics: ``largest``. Source: Seidman 1983, spec 5.1.

        Raises:
            KernelFailedError: If the device could not finish.
        """
        graph = edges.undirected().merged()
        cores = np.zeros(graph.nodes, np.int32)
        if graph.edges:
            cores = np.asarray(self.solve_core_numbers(graph)).astype(np.int32)
        return _by_node("core", cores), {"largest": float(cores.max(initial=0))}

    def betweenness(
        self, edges: EdgeList, *, samples: int = 0, seed: int = 0
    ) -> tuple[pa.Table, dict[str, float]]:
        """Return ``node``, ``betweenness`` (float64 in [0, 1]): the part of shortest paths on which it lies.

        Paths are shortest in hops. With ``samples``, so many sources are drawn by ``seed`` and stand for
        all; 0 takes all of them.

        Metrics: ``sources``; ``error``, which bounds the error of all nodes at once with a chance of 95 %,
        and is 0 for all sources. Source: Brandes 2001; Brandes and Pich 2007; the bound is Hoeffding's.

        Raises:
            UsageError: If an option is out of range.
            KernelFailedError: If the device could not finish.
        """
        require(samples >= 0, "samples", samples, "at least 0")
        require(seed >= 0, "seed", seed, "at least 0")
        graph = edges.undirected().merged()
        nodes = graph.nodes
        sources = np.arange(nodes, dtype=np.int32)
        if 0 < samples < nodes:
            sources = np.sort(np.random.default_rng(seed).choice(sources, samples, replace=False))
        values = np.zeros(nodes)
        if graph.edges and nodes > 2:
            # A source's own paths do not lie on it: of n sources, n - 1 tell about a node.
            scale = nodes / (len(sources) * (nodes - 1) * (nodes - 2))
            values = np.clip(self.solve_betweenness(graph, sources) * scale, 0.0, 1.0)
        error = 0.0
        if len(sources) < nodes:
            error = float(np.sqrt(np.log(2 * nodes / (1 - _CONFIDENCE)) / (2 * len(sources))))
        return _by_node("betweenness", values), {"sources": float(len(sources)), "error": error}

    def hops(self, edges: EdgeList, *, source: int) -> tuple[pa.Table, dict[str, float]]:
        """Return ``node``, ``hops`` (int32) from ``source``; -1 where no path leads.

        Metrics: ``reached`` (nodes, the source included), ``farthest`` (hops).

        Raises:
            UsageError: If there is no such node.
            KernelFailedError: If the device could not finish.
        """
        require(0 <= source < edges.nodes, "source", source, f"in [0, {edges.nodes})")
        graph = edges.undirected()
        found = np.full(graph.nodes, -1, np.int32)
        found[source] = 0
        if graph.edges:
            found = np.asarray(self.solve_hops(graph, source)).astype(np.int32)
        return _by_node("hops", found), {"reached": float((found >= 0).sum()), "farthest": float(found.max())}

    def distances(self, edges: EdgeList, *, source: int) -> tuple[pa.Table, dict[str, float]]:
        """Return ``node``, ``distance`` (float64) from ``source``; infinite where no path leads.

        An edge is as long as the inverse of its weight: strong relations are near.

        Metrics: ``reached`` (nodes, the source included). Source: Dijkstra 1959, spec 4.2.

        Raises:
            UsageError: If there is no such node.
            KernelFailedError: If the device could not finish.
        """
        require(0 <= source < edges.nodes, "source", source, f"in [0, {edges.nodes})")
        graph = edges.undirected().merged().inverted()
        found = np.full(graph.nodes, np.inf)
        found[source] = 0.0
        if graph.edges:
            found = np.asarray(self.solve_distances(graph, source), np.float64)
        return _by_node("distance", found), {"reached": float(np.isfinite(found).sum())}

    def _component_labels(self, graph: UndirectedGraph) -> NDArray[np.int32]:
        if not graph.edges:
            return np.arange(graph.nodes, dtype=np.int32)
        return canonical_labels(self.solve_components(graph))


def _count(labels: NDArray[np.int32]) -> int:
    """Return the number of groups: each holds exactly one node that is its own label."""
    return int((labels == np.arange(len(labels))).sum())


def _by_node(name: str, values: NDArray[Any]) -> pa.Table:
    return pa.table({"node": np.arange(len(values), dtype=np.int32), name: values})
