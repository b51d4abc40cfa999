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

import os
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import pyarrow as pa
import pytest

from workbench.compute import EdgeList, backends
from workbench.errors import UsageError
from workbench.testing._comparison import compares, comparison_of
from workbench.testing._graphs import (
    blobs,
    component_labels,
    edge_list,
    graphs,
    planted_partition,
    reference,
)
from workbench.testing._point_suite import PointSuite
from workbench.testing._row_suite import RowSuite
from workbench.testing._suite import AGREEMENT, adjusted_rand, cpu, has

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.compute import Backend

__all__ = ["BackendSuite", "blobs", "edge_list", "graphs", "planted_partition"]

RANK_TOLERANCE = 1e-4
MODULARITY_TOLERANCE = 0.02
LOOSE_AGREEMENT = 0.75


class BackendSuite(PointSuite, RowSuite):
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
    def backend(self, name: str, request: pytest.FixtureRequest) -> Backend:
        """Return the backend, or skip with the reason why it cannot run here."""
        given = request.node.callspec.params
        comparison = comparison_of(request.function, given)
        if comparison is not None:
            request.node.user_properties.append(("comparison", (name, *astuple(comparison))))
        reason = backends.load(name).can_run()
        if reason is not True:
            _not_here(f"backend {name!r} cannot run here: {reason}")
        return backends.create(name)

    @compares("components", "exact", "the components of networkx")
    def test_components_are_those_of_networkx(self, backend: Backend, edges: EdgeList) -> None:
        """Comparison: exact."""
        has(backend, "components")
        table, metrics = backend.components(edges)
        expected = component_labels(reference(edges))
        assert _column(table, "component", pa.int32(), edges).tolist() == expected
        sizes = np.unique(expected, return_counts=True)[1]
        assert metrics["components"] == len(sizes)
        assert metrics["largest"] == sizes.max(initial=0)

    @compares("pagerank", "close", "each rank within 1e-4 of networkx")
    def test_ranks_are_those_of_networkx(self, backend: Backend, edges: EdgeList) -> None:
        """Comparison: close, within 1e-4 of each rank."""
        import networkx as nx

        has(backend, "pagerank")
        table, metrics = backend.pagerank(edges)
        ranks = _column(table, "rank", pa.float64(), edges)
        ranked = nx.pagerank(reference(edges), max_iter=1_000, tol=1e-15)
        expected = np.array([ranked[node] for node in range(edges.nodes)])
        np.testing.assert_allclose(ranks, expected, rtol=RANK_TOLERANCE)
        assert metrics["converged"] == 1
        assert edges.nodes == 0 or abs(ranks.sum() - 1) < 1e-9

    def test_ranks_follow_the_damping(self, backend: Backend) -> None:
        """Without damping every node has the same rank; with more, the hub of a star has more."""
        has(backend, "pagerank")
        edges = graphs()["star, bipartite"]
        hub = [backend.pagerank(edges, damping=d)[0]["rank"][0].as_py() for d in (0.01, 0.5, 0.85)]
        assert hub == sorted(hub)
        assert hub[0] < 2 / edges.nodes

    @compares("pagerank", "close", "each rank within 1e-4 of the CPU's")
    def test_ranks_are_those_of_thereference(self, backend: Backend, edges: EdgeList) -> None:
        """Comparison: close, within 1e-4 of each rank of the CPU's."""
        has(backend, "pagerank")
        expected = cpu().pagerank(edges)[0]["rank"].to_numpy()
        actual = backend.pagerank(edges)[0]["rank"].to_numpy()
        np.testing.assert_allclose(actual, expected, rtol=RANK_TOLERANCE)

    def test_communities_are_connected(self, backend: Backend, edges: EdgeList) -> None:
        """Each community is in one piece and named by its smallest member."""
        has(backend, "communities")
        table, metrics = backend.communities(edges)
        labels = _column(table, "community", pa.int32(), edges)
        graph = reference(edges)
        graph.remove_edges_from([(a, b) for a, b in graph.edges if labels[a] != labels[b]])
        assert labels.tolist() == component_labels(graph)
        assert metrics["communities"] == len(np.unique(labels))

    @compares("communities", "close", "the modularity within 1e-9 of networkx's for the same partition")
    def test_modularity_is_that_of_networkx(self, backend: Backend, edges: EdgeList) -> None:
        """The figure in the metrics is the partition's own."""
        import networkx as nx

        has(backend, "communities")
        table, metrics = backend.communities(edges)
        graph = reference(edges)
        members: dict[int, set[int]] = {}
        for node, label in enumerate(table["community"].to_pylist()):
            members.setdefault(label, set()).add(node)
        expected = nx.community.modularity(graph, members.values()) if graph.size() else 0.0
        assert metrics["modularity"] == pytest.approx(expected, abs=1e-9)

    @compares("communities", "quality", "modularity at most 2 % below the CPU's")
    def test_modularity_is_near_thereference(self, backend: Backend, edges: EdgeList) -> None:
        """Comparison: quality, at most 2 % below the CPU's."""
        has(backend, "communities")
        expected = cpu().communities(edges)[1]["modularity"]
        actual = backend.communities(edges)[1]["modularity"]
        assert actual >= expected - MODULARITY_TOLERANCE * abs(expected)

    @compares("communities", "quality", "adjusted Rand index of at least 0.95 with planted groups")
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_separated_groups_are_found(self, backend: Backend, seed: int) -> None:
        """Comparison: quality, adjusted Rand index of at least 0.95 with what was planted."""
        has(backend, "communities")
        edges, group = planted_partition(seed=10 * seed)
        labels = backend.communities(edges, seed=seed)[0]["community"].to_numpy()
        assert adjusted_rand(labels, group) >= AGREEMENT

    @pytest.mark.parametrize("method", ["louvain", "label_propagation"])
    def test_other_methods_give_connected_communities(
        self, backend: Backend, edges: EdgeList, method: Any
    ) -> None:
        """Each community is in one piece; the same seed gives the same where the method draws."""
        has(backend, "communities", method)
        first, _ = backend.communities(edges, method=method, seed=5)
        labels = _column(first, "community", pa.int32(), edges)
        graph = reference(edges)
        graph.remove_edges_from([(a, b) for a, b in graph.edges if labels[a] != labels[b]])
        assert labels.tolist() == component_labels(graph)
        assert backend.communities(edges, method=method, seed=5)[0].equals(first)

    @compares(
        "communities", "quality", "adjusted Rand index of at least 0.75 with planted groups", method="method"
    )
    @pytest.mark.parametrize("method", ["louvain", "label_propagation"])
    def test_other_methods_find_separated_groups(self, backend: Backend, method: Any) -> None:
        """Comparison: quality, adjusted Rand index of at least 0.75 with what was planted."""
        has(backend, "communities", method)
        edges, group = planted_partition()
        labels = backend.communities(edges, method=method)[0]["community"].to_numpy()
        assert adjusted_rand(labels, group) >= LOOSE_AGREEMENT

    @compares("core_numbers", "exact", "the core numbers of networkx")
    def test_core_numbers_are_those_of_networkx(self, backend: Backend, edges: EdgeList) -> None:
        """Comparison: exact."""
        import networkx as nx

        has(backend, "core_numbers")
        table, metrics = backend.core_numbers(edges)
        graph = reference(edges)
        expected = nx.core_number(graph) if len(graph) else {}
        found = _column(table, "core", pa.int32(), edges).tolist()
        assert found == [expected[node] for node in range(edges.nodes)]
        assert metrics == {"largest": max(found, default=0)}

    @compares("betweenness", "close", "each within 1e-9 of networkx")
    def test_betweenness_is_that_of_networkx(self, backend: Backend) -> None:
        """Comparison: close, within 1e-9."""
        import networkx as nx

        has(backend, "betweenness")
        for edges in (graph for name, graph in graphs().items() if name != "skewed"):
            table, metrics = backend.betweenness(edges)
            expected = nx.betweenness_centrality(reference(edges))
            found = _column(table, "betweenness", pa.float64(), edges)
            np.testing.assert_allclose(found, [expected[n] for n in range(edges.nodes)], atol=1e-9)
            assert metrics == {"sources": edges.nodes, "error": 0}

    @compares("betweenness", "quality", "a sample within the stated error of all")
    def test_sampled_betweenness_is_within_its_error(self, backend: Backend) -> None:
        """Comparison: quality; half of the sources, and the bound holds for every node."""
        has(backend, "betweenness")
        edges = graphs()["planted groups"]
        exact = backend.betweenness(edges)[0]["betweenness"].to_numpy()
        table, metrics = backend.betweenness(edges, samples=edges.nodes // 2, seed=3)
        found = table["betweenness"].to_numpy()
        assert np.abs(found - exact).max() <= metrics["error"] < 0.2
        assert found.sum() == pytest.approx(exact.sum(), rel=0.05)
        again = backend.betweenness(edges, samples=edges.nodes // 2, seed=3)[0]
        assert again.equals(table)

    @compares("hops", "exact", "the hops of networkx")
    def test_hops_are_those_of_networkx(self, backend: Backend, edges: EdgeList) -> None:
        """Comparison: exact, from the first node and the last."""
        import networkx as nx

        has(backend, "hops")
        graph = reference(edges)
        for source in {0, edges.nodes - 1} & set(graph):
            table, metrics = backend.hops(edges, source=source)
            expected = nx.single_source_shortest_path_length(graph, source)
            found = _column(table, "hops", pa.int32(), edges).tolist()
            assert found == [expected.get(node, -1) for node in range(edges.nodes)]
            assert metrics == {"reached": len(expected), "farthest": max(expected.values())}

    @compares("distances", "close", "each within 1e-6 of networkx")
    def test_distances_are_those_of_networkx(self, backend: Backend, edges: EdgeList) -> None:
        """Comparison: close, within 1e-6 of each; an edge is as long as the inverse of its weight."""
        import networkx as nx

        has(backend, "distances")
        graph = reference(edges)
        for source in {0, edges.nodes - 1} & set(graph):
            table, metrics = backend.distances(edges, source=source)
            lengths = nx.single_source_dijkstra_path_length(
                graph, source, weight=lambda _a, _b, edge: 1 / edge["weight"]
            )
            expected = [lengths.get(node, np.inf) for node in range(edges.nodes)]
            found = _column(table, "distance", pa.float64(), edges)
            np.testing.assert_allclose(found, expected, rtol=1e-6)
            assert metrics == {"reached": len(lengths)}

    def test_resolution_makes_communities_smaller(self, backend: Backend) -> None:
        """A higher resolution gives more communities."""
        has(backend, "communities")
        edges = graphs()["planted groups"]
        few, many = (backend.communities(edges, resolution=r)[1]["communities"] for r in (0.05, 8.0))
        assert few < 8 < many

    def test_communities_repeat_by_seed(self, backend: Backend, edges: EdgeList) -> None:
        """The same graph and seed give the same table."""
        has(backend, "communities")
        first, second = (backend.communities(edges, seed=5)[0] for _ in range(2))
        assert first.equals(second)

    @compares("communities", "exact", "nodes that no edge moves stay in their earlier community")
    def test_earlier_communities_are_kept(self, backend: Backend) -> None:
        """Comparison: exact. Where the edges do not say, nodes stay where they were, and only there."""
        has(backend, "communities")
        # two cliques of four, and a node that is tied to both alike
        cliques = [(a, b) for k in (0, 4) for a in range(k, k + 4) for b in range(k, a)]
        ends = np.array([*cliques, (0, 8), (4, 8)])
        edges = edge_list(ends[:, 0], ends[:, 1], np.ones(len(ends)), 9)
        for side in (0, 4):
            earlier = np.array([0] * 4 + [4] * 4 + [side], np.int32)
            found = backend.communities(edges, earlier=earlier)[0]["community"].to_pylist()
            assert found == [0] * 4 + [4] * 4 + [side]
        together = backend.communities(edges, earlier=np.zeros(9, np.int32))[0]["community"].to_pylist()
        assert together[0] != together[4]
        with pytest.raises(UsageError, match="the length of earlier is 2, must be the number of nodes, 9"):
            backend.communities(edges, earlier=np.zeros(2, np.int32))

    def test_versions_name_the_libraries(self, backend: Backend) -> None:
        """Every result can say which libraries made it."""
        versions = backend.versions()
        assert versions
        assert all(version[0].isdigit() for version in versions.values())


def _not_here(reason: str) -> None:
    if os.environ.get("WORKBENCH_REQUIRE_GPU", "") not in {"", "0"}:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _column(table: pa.Table, name: str, kind: pa.DataType, edges: EdgeList) -> NDArray[Any]:
    """Return a result's column after checking the result's form."""
    assert table.schema == pa.schema({"node": pa.int32(), name: kind})
    assert table["node"].to_pylist() == list(range(edges.nodes))
    return cast("NDArray[Any]", table[name].to_numpy())
