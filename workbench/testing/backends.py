"""The behaviour that every compute backend has to show.

Subclass :class:`BackendSuite` in a test module; pytest does the rest::

    from workbench.testing.backends import BackendSuite

    class TestBackends(BackendSuite):
        pass

It runs against every registered backend, those of installed distributions included. One that cannot
run here is skipped with its reason; with ``WORKBENCH_REQUIRE_GPU=1`` in the environment that is a
failure. Each kernel says how its results are compared: *exact*, *close* or of equal *quality*.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import pyarrow as pa
import pytest

from workbench.compute import EdgeList, Points, backends

if TYPE_CHECKING:
    import networkx as nx
    from numpy.typing import NDArray

    from workbench.compute import Backend
    from workbench.compute.base import Kernel

__all__ = ["BackendSuite", "blobs", "edge_list", "graphs", "planted_partition"]

RANK_TOLERANCE = 1e-4
MODULARITY_TOLERANCE = 0.02
AGREEMENT = 0.95
INERTIA_TOLERANCE = 0.02


def edge_list(source: Any, target: Any, weight: Any, nodes: int) -> EdgeList:
    """Return an :class:`EdgeList` from three sequences.

    >>> edge_list([0], [1], [2.0], nodes=3).nodes
    3
    """
    columns = {
        "source": pa.array(np.asarray(source, np.int32)),
        "target": pa.array(np.asarray(target, np.int32)),
        "weight": pa.array(np.asarray(weight, np.float64)),
    }
    return EdgeList(pa.table(columns), nodes)


def planted_partition(groups: int = 8, size: int = 60, seed: int = 1) -> tuple[EdgeList, NDArray[np.int64]]:
    """Return a graph of well separated groups and the group of each node.

    Within a group a fifth of the pairs are edges, between groups one in 250.
    """
    nodes = groups * size
    group = np.random.default_rng(seed).permutation(np.repeat(np.arange(groups), size))
    low, high = np.triu_indices(nodes, 1)
    chance = np.where(group[low] == group[high], 0.2, 0.004)
    kept = np.random.default_rng(seed + 1).random(len(low)) < chance
    return edge_list(low[kept], high[kept], np.ones(kept.sum()), nodes), group


def blobs(sizes: tuple[int, ...] = (120, 80, 50, 30), seed: int = 1) -> tuple[Points, NDArray[np.int64]]:
    """Return points in well separated groups of these sizes, in three dimensions, and the group of each."""
    draw = np.random.default_rng(seed)
    group = draw.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centres = 15 * np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [-1, 0, 1], [0, -1, -1]], float)
    return Points(centres[group] + draw.normal(size=(len(group), 3))), group


def _skewed(nodes: int = 1_500, edges: int = 6_000) -> EdgeList:
    """Return a graph with hubs, both directions of some pairs, self loops, and isolated nodes."""
    draw = np.random.default_rng(11)
    ends = (nodes * draw.random((2, edges)) ** 2.5).astype(np.int32)
    pairs = np.unique(ends, axis=1)
    return edge_list(pairs[0], pairs[1], draw.integers(1, 20, pairs.shape[1]), nodes + 25)


def _star(leaves: int = 30) -> EdgeList:
    return edge_list(np.zeros(leaves), np.arange(1, leaves + 1), np.arange(1, leaves + 1), leaves + 1)


@functools.cache
def graphs() -> dict[str, EdgeList]:
    """Return the graphs of the suite by name: the corner cases first, then two of some size."""
    return {
        "empty": edge_list([], [], [], 0),
        "no edges": edge_list([], [], [], 4),
        "self loops only": edge_list([1, 2], [1, 2], [3, 1], 4),
        "one pair": edge_list([3], [0], [2.5], 4),
        "both directions": edge_list([0, 1, 1, 2], [1, 0, 2, 3], [1, 4, 2, 0.5], 5),
        "self loop": edge_list([0, 1, 1], [1, 1, 2], [1, 9, 2], 3),
        "star, bipartite": _star(),
        "two paths": edge_list([0, 2, 4, 1, 3], [2, 4, 6, 3, 5], [1, 2, 3, 4, 5], 7),
        "skewed": _skewed(),
        "planted groups": planted_partition()[0],
    }


class BackendSuite:
    """The conformance suite; see the module.

    Attributes:
        parameters: The backends to run it against, as names or as ``pytest.param`` with marks.
    """

    parameters: ClassVar[list[Any]] = list(backends.names())

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for each backend, and for each graph where it asks for one."""
        metafunc.parametrize("name", self.parameters, ids=str)
        if "edges" in metafunc.fixturenames:
            metafunc.parametrize("edges", graphs().values(), ids=graphs())

    @pytest.fixture
    def backend(self, name: str) -> Backend:
        """Return the backend, or skip with the reason why it cannot run here."""
        reason = backends.load(name).can_run()
        if reason is not True:
            _not_here(f"backend {name!r} cannot run here: {reason}")
        return backends.create(name)

    def test_components_are_those_of_networkx(self, backend: Backend, edges: EdgeList) -> None:
        """Comparison: exact."""
        _has(backend, "components")
        table, metrics = backend.components(edges)
        expected = _component_labels(_reference(edges))
        assert _column(table, "component", pa.int32(), edges).tolist() == expected
        sizes = np.unique(expected, return_counts=True)[1]
        assert metrics["components"] == len(sizes)
        assert metrics["largest"] == sizes.max(initial=0)

    def test_ranks_are_those_of_networkx(self, backend: Backend, edges: EdgeList) -> None:
        """Comparison: close, within 1e-4 of each rank."""
        import networkx as nx

        _has(backend, "pagerank")
        table, metrics = backend.pagerank(edges)
        ranks = _column(table, "rank", pa.float64(), edges)
        reference = nx.pagerank(_reference(edges), max_iter=1_000, tol=1e-15)
        expected = np.array([reference[node] for node in range(edges.nodes)])
        np.testing.assert_allclose(ranks, expected, rtol=RANK_TOLERANCE)
        assert metrics["converged"] == 1
        assert edges.nodes == 0 or abs(ranks.sum() - 1) < 1e-9

    def test_ranks_follow_the_damping(self, backend: Backend) -> None:
        """Without damping every node has the same rank; with more, the hub of a star has more."""
        _has(backend, "pagerank")
        edges = graphs()["star, bipartite"]
        hub = [backend.pagerank(edges, damping=d)[0]["rank"][0].as_py() for d in (0.01, 0.5, 0.85)]
        assert hub == sorted(hub)
        assert hub[0] < 2 / edges.nodes

    def test_ranks_are_those_of_the_reference(self, backend: Backend, edges: EdgeList) -> None:
        """Comparison: close, within 1e-4 of each rank of the CPU's."""
        _has(backend, "pagerank")
        expected = _cpu().pagerank(edges)[0]["rank"].to_numpy()
        actual = backend.pagerank(edges)[0]["rank"].to_numpy()
        np.testing.assert_allclose(actual, expected, rtol=RANK_TOLERANCE)

    def test_communities_are_connected(self, backend: Backend, edges: EdgeList) -> None:
        """Each community is in one piece and named by its smallest member."""
        _has(backend, "communities")
        table, metrics = backend.communities(edges)
        labels = _column(table, "community", pa.int32(), edges)
        graph = _reference(edges)
        graph.remove_edges_from([(a, b) for a, b in graph.edges if labels[a] != labels[b]])
        assert labels.tolist() == _component_labels(graph)
        assert metrics["communities"] == len(np.unique(labels))

    def test_modularity_is_that_of_networkx(self, backend: Backend, edges: EdgeList) -> None:
        """The figure in the metrics is the partition's own."""
        import networkx as nx

        _has(backend, "communities")
        table, metrics = backend.communities(edges)
        graph = _reference(edges)
        members: dict[int, set[int]] = {}
        for node, label in enumerate(table["community"].to_pylist()):
            members.setdefault(label, set()).add(node)
        expected = nx.community.modularity(graph, members.values()) if graph.size() else 0.0
        assert metrics["modularity"] == pytest.approx(expected, abs=1e-9)

    def test_modularity_is_near_the_reference(self, backend: Backend, edges: EdgeList) -> None:
        """Comparison: quality, at most 2 % below the CPU's."""
        _has(backend, "communities")
        expected = _cpu().communities(edges)[1]["modularity"]
        actual = backend.communities(edges)[1]["modularity"]
        assert actual >= expected - MODULARITY_TOLERANCE * abs(expected)

    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_separated_groups_are_found(self, backend: Backend, seed: int) -> None:
        """Comparison: quality, adjusted Rand index of at least 0.95 with what was planted."""
        _has(backend, "communities")
        edges, group = planted_partition(seed=10 * seed)
        labels = backend.communities(edges, seed=seed)[0]["community"].to_numpy()
        assert _adjusted_rand(labels, group) >= AGREEMENT

    def test_resolution_makes_communities_smaller(self, backend: Backend) -> None:
        """A higher resolution gives more communities."""
        _has(backend, "communities")
        edges = graphs()["planted groups"]
        few, many = (backend.communities(edges, resolution=r)[1]["communities"] for r in (0.05, 8.0))
        assert few < 8 < many

    def test_communities_repeat_by_seed(self, backend: Backend, edges: EdgeList) -> None:
        """The same graph and seed give the same table."""
        _has(backend, "communities")
        first, second = (backend.communities(edges, seed=5)[0] for _ in range(2))
        assert first.equals(second)

    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_separated_clusters_are_found(self, backend: Backend, seed: int) -> None:
        """Comparison: quality, adjusted Rand index of at least 0.95 with what was planted; largest first."""
        _has(backend, "kmeans")
        points, group = blobs(seed=seed)
        table, metrics = backend.kmeans(points, seed=seed)
        labels = table["cluster"].to_numpy()
        assert table.schema == pa.schema({"row": pa.int32(), "cluster": pa.int32(), "distance": pa.float64()})
        assert metrics["k"] == 4
        assert _adjusted_rand(labels, group) >= AGREEMENT
        assert (np.diff(np.bincount(labels)) <= 0).all()
        expected = _cpu().kmeans(points, seed=seed)[1]["inertia"]
        assert metrics["inertia"] == pytest.approx(expected, rel=INERTIA_TOLERANCE)

    def test_clusters_repeat_by_seed(self, backend: Backend) -> None:
        """The same points and seed give the same table."""
        _has(backend, "kmeans")
        points = Points(np.random.default_rng(6).normal(size=(400, 5)))
        first, second = (backend.kmeans(points, seed=5)[0] for _ in range(2))
        assert first.equals(second)

    def test_components_are_those_of_the_singular_values(self, backend: Backend) -> None:
        """Comparison: close, within 1e-6 of numpy's decomposition, signs included."""
        _has(backend, "pca")
        values = blobs(seed=3)[0].values @ np.diag([3.0, 1.0, 0.2])
        table, metrics = backend.pca(Points(values), components=2)
        centred = values - values.mean(0)
        _, singular, directions = np.linalg.svd(centred, full_matrices=False)
        largest = directions[np.arange(3), np.abs(directions).argmax(1)]
        expected = centred @ (directions * np.sign(largest)[:, None]).T
        for place in range(2):
            found = table[f"component_{place}"].to_numpy()
            np.testing.assert_allclose(found, expected[:, place], atol=1e-6 * singular[0])
        share = np.square(singular[:2]).sum() / np.square(singular).sum()
        assert metrics["explained"] == pytest.approx(share, rel=1e-6)

    def test_what_lies_apart_is_isolated_first(self, backend: Backend) -> None:
        """The point far from all others scores highest, and the same seed gives the same scores."""
        _has(backend, "isolation")
        values = np.vstack([np.random.default_rng(2).normal(size=(500, 4)), np.full((1, 4), 9.0)])
        first, second = (backend.isolation(Points(values), seed=3)[0] for _ in range(2))
        scores = first["score"].to_numpy()
        assert scores.argmax() == 500
        assert ((scores > 0) & (scores < 1)).all()
        assert first.equals(second)

    def test_dense_directions_are_clusters_and_the_rest_is_noise(self, backend: Backend) -> None:
        """Comparison: exact, the partition that the definition gives; a row may stand for many points."""
        _has(backend, "dbscan")
        angles = np.radians([0, 5, 10, 90, 95, 180, 270])
        points = Points(np.stack([np.cos(angles), np.sin(angles)], axis=1))
        weight = np.array([1.0, 1, 1, 1, 2, 1, 3])
        table, metrics = backend.dbscan(points, weight=weight, eps=0.05, min_points=3)
        assert table["cluster"].to_pylist() == [0, 0, 0, 1, 1, -1, 2]
        assert metrics == {"clusters": 3, "noise": 1}

    def test_versions_name_the_libraries(self, backend: Backend) -> None:
        """Every result can say which libraries made it."""
        versions = backend.versions()
        assert versions
        assert all(version[0].isdigit() for version in versions.values())


def _not_here(reason: str) -> None:
    if os.environ.get("WORKBENCH_REQUIRE_GPU", "") not in {"", "0"}:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _has(backend: Backend, kernel: Kernel) -> None:
    """Skip, with the backend's reason, a kernel that it says it does not have."""
    if kernel in backend.gaps:
        pytest.skip(f"{type(backend).__name__} has no {kernel}: {backend.gaps[kernel]}")


def _cpu() -> Backend:
    return backends.create("cpu")


def _column(table: pa.Table, name: str, kind: pa.DataType, edges: EdgeList) -> NDArray[Any]:
    """Return a result's column after checking the result's form."""
    assert table.schema == pa.schema({"node": pa.int32(), name: kind})
    assert table["node"].to_pylist() == list(range(edges.nodes))
    return cast("NDArray[Any]", table[name].to_numpy())


def _reference(edges: EdgeList) -> nx.Graph:
    """Return the graph that the edge list means: undirected, pairs summed, no self loops."""
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(range(edges.nodes))
    for source, target, weight in zip(*(column.to_pylist() for column in edges.table.columns), strict=True):
        if source != target:
            before = graph.get_edge_data(source, target, {"weight": 0.0})["weight"]
            graph.add_edge(source, target, weight=before + weight)
    return graph


def _component_labels(graph: nx.Graph) -> list[int]:
    import networkx as nx

    labels = {node: min(members) for members in nx.connected_components(graph) for node in members}
    return [labels[node] for node in range(len(labels))]


def _adjusted_rand(found: NDArray[Any], planted: NDArray[Any]) -> float:
    import igraph

    groups = [np.unique(labels, return_inverse=True)[1].tolist() for labels in (found, planted)]
    return float(igraph.compare_communities(*groups, method="adjusted_rand"))
