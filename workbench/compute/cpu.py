"""The reference backend: scipy's sparse matrices, networkit, igraph and scikit-learn, on the CPU."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from workbench.compute._near import nearest_of_all
from workbench.compute.base import Backend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import networkit
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from workbench.compute._graph import UndirectedGraph
    from workbench.compute._graph_kernels import Method
    from workbench.compute._row_kernels import Folded

__all__ = ["CpuBackend"]

_DISTRIBUTIONS = {"faiss": "faiss-cpu", "sklearn": "scikit-learn", "umap": "umap-learn"}
# Libraries that only one kernel needs, with the extra that brings them.
_OPTIONAL = {("umap", ""): ("umap", "umap"), ("neighbours", "approximate"): ("faiss", "vectors")}
_LEIDEN_ROUNDS = 5
_STARTS = 4
_NETWORKIT = threading.Lock()
# What a batch of rows may take while its groups are found.
_BATCH_BYTES = 512 << 20


class CpuBackend(Backend):
    """Ranks, components and paths by scipy, communities and cores by networkit, points by scikit-learn."""

    requires = ("igraph", "networkit", "scipy", "sklearn")
    approximates = True

    def versions(self) -> dict[str, str]:
        """Return the version of each library that this backend calls."""
        optional = (name for name, _ in _OPTIONAL.values() if importlib.util.find_spec(name) is not None)
        names = (_DISTRIBUTIONS.get(name, name) for name in (*self.requires, "numpy", "pyarrow", *optional))
        return {name: importlib.metadata.version(name) for name in names}

    @classmethod
    def gap(cls, kernel: str, method: str = "") -> str:
        """Return why a kernel is lacking: some are there where their library is installed."""
        library, extra = _OPTIONAL.get((kernel, method), ("", ""))
        if library and importlib.util.find_spec(library) is None:
            return f"needs {_DISTRIBUTIONS[library]}, not installed; it comes with the extra {extra!r}"
        return super().gap(kernel, method)

    def solve_pagerank(
        self, graph: UndirectedGraph, *, damping: float, max_iterations: int, tolerance: float
    ) -> tuple[NDArray[np.float64], dict[str, float]]:
        """Return the ranks by conjugate gradients.

        The walk on an undirected graph is reversible: in coordinates scaled by the square root of
        the node strengths, ``I - damping * P`` is symmetric with eigenvalues within
        ``1 ± damping``. Conjugate gradients then lose a factor of 0.56 of the error at 0.85 in each
        iteration; power iteration loses 0.85, and no more on a bipartite graph, which the graph of
        actors and what they touch nearly is. What isolated nodes hold is spread uniformly, which
        only scales the solution. Source: Hestenes and Stiefel 1952; Gleich 2015, "PageRank beyond
        the web", section 5.
        """
        strength = graph.strength()
        connected = strength > 0
        root = np.sqrt(strength)
        scale = np.divide(1, root, out=np.zeros_like(root), where=connected)
        # half of the symmetric matrix is all of it: the other half is the same arrays, turned
        upper = _upper(graph, graph.weight)
        lower = upper.T
        damped = damping * scale
        teleport = (1 - damping) / graph.nodes
        isolated = teleport * np.count_nonzero(~connected)

        solution, rest = np.zeros(graph.nodes), scale * teleport
        direction, size = rest.copy(), _dot(rest, rest)
        iterations, residual = 0, np.inf
        while iterations < max_iterations and residual > tolerance:
            scaled = scale * direction
            image = direction - damped * (upper @ scaled + lower @ scaled)
            step = size / _dot(direction, image)
            solution += step * direction
            rest -= step * image
            previous, size = size, _dot(rest, rest)
            direction *= size / previous
            direction += rest
            iterations += 1
            residual = _dot(root, np.abs(rest)) / (_dot(root, solution) + isolated)

        ranks = np.where(connected, root * solution, teleport)
        figures = {"iterations": float(iterations), "converged": float(residual <= tolerance)}
        return ranks / ranks.sum(), figures | {"residual": float(residual)}

    def solve_communities(
        self, graph: UndirectedGraph, *, method: Method, resolution: float, seed: int
    ) -> NDArray[Any]:
        """Return the communities of networkit's Leiden, Louvain or label propagation, on one thread.

        With several threads networkit gives another partition at each run, also with a seed.
        """
        import networkit as nk

        # each round goes through all nodes; of those without edges there may be as many again
        linked, nodes = graph.linked()
        labels = np.arange(graph.nodes) + linked.nodes
        with _seeded(seed):
            loaded = _networkit(linked, weighted=True)
            if method == "leiden":
                found = nk.community.ParallelLeiden(
                    loaded, iterations=_LEIDEN_ROUNDS, randomize=True, gamma=resolution
                )
            elif method == "louvain":
                found = nk.community.PLM(loaded, refine=False, gamma=resolution)
            else:
                found = nk.community.PLP(loaded)
            labels[nodes] = found.run().getPartition().getVector()
        return labels

    def solve_components(self, graph: UndirectedGraph) -> NDArray[Any]:
        """Return the connected components by scipy's breadth-first search."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        ones = np.ones(graph.edges, np.int8)
        shape = (graph.nodes, graph.nodes)
        _, labels = connected_components(coo_array((ones, (graph.low, graph.high)), shape), directed=False)
        return np.asarray(labels)

    def solve_core_numbers(self, graph: UndirectedGraph) -> NDArray[Any]:
        """Return networkit's core numbers."""
        import networkit as nk

        return np.asarray(nk.centrality.CoreDecomposition(_networkit(graph, weighted=False)).run().scores())

    def solve_betweenness(self, graph: UndirectedGraph, sources: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return igraph's betweenness over paths from ``sources``."""
        import igraph

        loaded = igraph.Graph(graph.nodes, np.stack([graph.low, graph.high], axis=1))
        # igraph counts a path of an undirected graph half at each of its ends.
        return 2 * np.asarray(loaded.betweenness(sources=sources.tolist()))

    def solve_hops(self, graph: UndirectedGraph, source: int) -> NDArray[Any]:
        """Return the levels of a breadth-first search, a level at a time."""
        starts, others = graph.neighbours
        degrees = np.diff(starts)
        hops = np.full(graph.nodes, -1, np.int32)
        front, level = np.array([source]), 0
        while len(front):
            hops[front] = level
            degree = degrees[front]
            ends = np.repeat(starts[front] - np.cumsum(degree) + degree, degree) + np.arange(degree.sum())
            met = np.zeros(graph.nodes, bool)
            met[others[ends]] = True
            front, level = np.flatnonzero(met & (hops < 0)), level + 1
        return hops

    def solve_distances(self, graph: UndirectedGraph, source: int) -> NDArray[np.float64]:
        """Return the distances by scipy's Dijkstra."""
        from scipy.sparse.csgraph import dijkstra

        return np.asarray(dijkstra(_symmetric(graph, graph.weight), indices=source), np.float64)

    def solve_kmeans(
        self, points: NDArray[np.float64], *, k: int, seed: int
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return the clusters of Lloyd's iteration from k-means++ starts, the best of several."""
        from sklearn.cluster import KMeans

        with _one_thread():
            fitted = KMeans(k, n_init=_STARTS, random_state=seed).fit(points)
        return fitted.labels_, fitted.cluster_centers_

    def solve_pca(self, points: NDArray[np.float64], *, components: int) -> NDArray[np.float64]:
        """Return the directions of a full singular value decomposition."""
        from sklearn.decomposition import PCA

        with _one_thread():
            found = PCA(components, svd_solver="full").fit(points).components_
        return np.asarray(found, np.float64)

    def solve_umap(
        self, points: NDArray[np.float64], *, components: int, neighbours: int, distance: float, seed: int
    ) -> NDArray[Any]:
        """Return the places by umap-learn, on one thread: with several a seed does not decide them."""
        with warnings.catch_warnings():
            # numba's and umap-learn's own: of what they import, and of few points
            warnings.simplefilter("ignore")
            import umap

            fitted = umap.UMAP(
                n_neighbors=neighbours,
                n_components=components,
                min_dist=distance,
                random_state=seed,
                n_jobs=1,
            )
            return np.asarray(fitted.fit_transform(points))

    def solve_isolation(self, points: NDArray[np.float64], *, trees: int, seed: int) -> NDArray[np.float64]:
        """Return the scores of scikit-learn's forest, of 256 points a tree.

        Points that are equal in its precision are scored once. They are sorted along a line: one then mostly
        takes the branches of a tree that the one before took, which a processor foresees.
        """
        from sklearn.ensemble import IsolationForest

        forest = IsolationForest(n_estimators=trees, max_samples=min(256, len(points)), random_state=seed)
        forest.fit(points)
        values = points.astype(np.float32)
        line = np.random.default_rng(seed).uniform(1, 2, values.shape[1])
        order = np.argsort((values * line).sum(1))
        values = values[order]
        first = np.append(True, (values[1:] != values[:-1]).any(1))
        scores = np.empty(len(points))
        scores[order] = -forest.score_samples(values[first])[np.cumsum(first) - 1]
        return scores

    def solve_dbscan(
        self, points: NDArray[np.float64], weight: NDArray[np.float64], *, eps: float, min_points: int
    ) -> NDArray[Any]:
        """Return the clusters by scikit-learn; all distances of a point are computed."""
        from sklearn.cluster import DBSCAN

        found = DBSCAN(eps=eps, min_samples=min_points, metric="cosine").fit(points, sample_weight=weight)
        return np.asarray(found.labels_)

    def solve_hdbscan(
        self, points: NDArray[np.float64], *, min_cluster: int, min_points: int
    ) -> NDArray[Any]:
        """Return the clusters of scikit-learn."""
        from sklearn.cluster import HDBSCAN

        found = HDBSCAN(min_cluster_size=min_cluster, min_samples=min_points, copy=True).fit(points)
        return np.asarray(found.labels_)

    def solve_neighbours(
        self, points: NDArray[np.float64], *, k: int
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return the nearest points, all distances of a point computed."""
        from sklearn.neighbors import NearestNeighbors

        with _one_thread():
            distance, found = (
                NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points).kneighbors(points)
            )
        return np.asarray(found), np.asarray(distance, np.float64)

    def solve_near(
        self, points: NDArray[np.float32], *, k: int, seed: int
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return the nearest points by faiss, on one thread; of few points by all distances."""
        found = nearest_of_all(points, k=k, seed=seed)
        if found is None:
            return self.solve_neighbours(points.astype(np.float64), k=k)
        return found[0], found[1].astype(np.float64)

    def solve_aggregate(
        self, table: pa.Table, keys: Sequence[str], measures: Mapping[str, Folded]
    ) -> pa.Table:
        """Return Arrow's groups; sums of fractions on one thread, for several add up in any order."""
        asked = [([], "count_all") if f == "rows" else (name, f) for name, f in measures.items()]
        exact = not any(
            pa.types.is_floating(table.schema.field(name).type) for name, f in measures.items() if f == "sum"
        )
        found = table.group_by(list(keys), use_threads=exact).aggregate(asked)
        made = ["count_all" if f == "rows" else f"{name}_{f}" for name, f in measures.items()]
        columns = dict(zip((*keys, *measures), (*keys, *made), strict=True))
        return pa.table({name: found[column] for name, column in columns.items()})

    def rows_at_once(self, width: int) -> int:
        """Return the rows of a batch that leaves memory to others."""
        return max(1, _BATCH_BYTES // max(width, 1))


def _networkit(graph: UndirectedGraph, *, weighted: bool) -> networkit.Graph:
    """Return the graph for networkit, which reads index arrays as unsigned 64-bit without checking."""
    import networkit as nk

    ends = (graph.low.astype(np.uint64), graph.high.astype(np.uint64))
    if weighted:
        return nk.GraphFromCoo((graph.weight, ends), n=graph.nodes, weighted=True, directed=False)
    return nk.GraphFromCoo(ends, n=graph.nodes, weighted=False, directed=False)


def _dot(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Return the inner product without BLAS: its threads wait for one another when cores are busy."""
    return float(np.einsum("i,i", left, right))


def _upper(graph: UndirectedGraph, values: NDArray[np.float64]) -> csr_array:
    """Return the matrix with ``values`` at one of the two places of each edge."""
    from scipy.sparse import coo_array

    return coo_array((values, (graph.low, graph.high)), (graph.nodes, graph.nodes)).tocsr()


def _symmetric(graph: UndirectedGraph, values: NDArray[np.float64]) -> csr_array:
    """Return the symmetric matrix with ``values`` at both places of each edge."""
    from scipy.sparse import coo_array

    rows = np.concatenate([graph.low, graph.high])
    columns = np.concatenate([graph.high, graph.low])
    return coo_array((np.concatenate([values, values]), (rows, columns)), (graph.nodes, graph.nodes)).tocsr()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Give scikit-learn one thread: several add up in an order of their own, and the last bit differs."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Give networkit one thread and a seed; both are the process's, so only one caller may have them."""
    import networkit as nk

    with _NETWORKIT:
        threads = nk.getMaxNumberOfThreads()
        nk.setNumberOfThreads(1)
        nk.setSeed(seed, False)
        try:
            yield
        finally:
            nk.setNumberOfThreads(threads)
