"""networkx's calls on our kernels, against networkx itself; and how networkx finds them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest

from workbench.config import EntitySchema
from workbench.dispatch import backend, get_info
from workbench.dispatch.converted import from_networkx
from workbench.graph import Graph, merge_window
from workbench.partials.shapes import EDGES, ENTITIES, PROPERTIES

ROOT = Path(__file__).parents[2]


def drawn(seed: int, kind: type[nx.Graph] = nx.Graph) -> nx.Graph:
    """A graph of 40 nodes in a few components, with weights, named by letters and numbers."""
    draw = np.random.default_rng(seed)
    graph = kind()
    graph.add_nodes_from(f"n{i}" for i in range(40))
    for a, b in draw.integers(0, 40, (60, 2)).tolist():
        if a != b:
            graph.add_edge(f"n{a}", f"n{b}", weight=float(draw.integers(1, 9)))
    return graph


def converted(graph: nx.Graph) -> Any:
    return from_networkx(graph, edge_attrs={"weight": 1})


@pytest.mark.parametrize("kind", [nx.Graph, nx.MultiGraph])
@pytest.mark.parametrize("weight", ["weight", None])
def test_ranks_components_and_communities(kind: type[nx.Graph], weight: str | None) -> None:
    graph = drawn(1, kind)
    ours = backend.pagerank(converted(graph), weight=weight)
    theirs = nx.pagerank(graph, weight=weight, tol=1e-12, max_iter=1_000)
    assert ours == pytest.approx(theirs, abs=1e-6)
    parts = list(nx.connected_components(graph))
    assert list(backend.connected_components(converted(graph))) == parts
    assert backend.number_connected_components(converted(graph)) == len(parts)
    assert backend.is_connected(converted(graph)) == nx.is_connected(graph)
    assert backend.node_connected_component(converted(graph), "n3") == nx.node_connected_component(
        graph, "n3"
    )
    found = backend.leiden_communities(converted(graph), weight=weight, seed=3)
    assert nx.community.is_partition(graph, found)
    assert found == backend.leiden_communities(converted(graph), weight=weight, seed=3)
    assert nx.community.modularity(graph, found, weight=weight) > 0.4


@pytest.mark.parametrize("kind", [nx.Graph, nx.DiGraph, nx.MultiGraph, nx.MultiDiGraph])
def test_paths(kind: type[nx.Graph]) -> None:
    graph = drawn(2, kind)
    arrays = converted(graph)
    for weight in ("weight", None):
        lengths = dict(nx.single_source_dijkstra_path_length(graph, "n0", weight=weight or (lambda *_: 1)))
        assert backend.single_source_dijkstra_path_length(arrays, "n0", weight=weight) == lengths
        for target in graph:
            assert backend.has_path(arrays, "n0", target) == (target in lengths)
            if target not in lengths:
                with pytest.raises(nx.NetworkXNoPath):
                    backend.shortest_path(arrays, "n0", target, weight)
                continue
            path = backend.shortest_path(arrays, "n0", target, weight)
            assert (path[0], path[-1], nx.is_path(graph, path)) == ("n0", target, True)
            assert backend.shortest_path_length(arrays, "n0", target, weight) == lengths[target]
    assert backend.dijkstra_path_length(arrays, "n0", "n0") == 0
    assert backend.dijkstra_path(arrays, "n0", "n0") == ["n0"]
    assert backend.single_source_shortest_path_length(arrays, "n0") == lengths
    with pytest.raises(nx.NodeNotFound):
        backend.has_path(arrays, "n0", "nobody")


def test_empty_graphs() -> None:
    empty = from_networkx(nx.Graph())
    assert backend.pagerank(empty, weight=None) == {}
    assert list(backend.connected_components(empty)) == []
    with pytest.raises(nx.NetworkXPointlessConcept):
        backend.is_connected(empty)


def test_what_is_not_known_here_says_so() -> None:
    graph = drawn(1)
    assert backend.can_run("pagerank", (graph,), {"alpha": 0.5}) is True
    assert backend.can_run("shortest_path", (graph, "n0", "n1"), {}) is True
    refused: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("pagerank", (nx.DiGraph(),), {}),
        ("pagerank", (graph,), {"personalization": {"n0": 1}}),
        ("shortest_path", (graph, "n0"), {}),
        ("shortest_path", (graph, "n0", "n1"), {"method": "bellman-ford"}),
        ("shortest_path", (graph, "n0", "n1"), {"weight": lambda *_: 1}),
        ("pagerank", (graph,), {"nonsense": 1}),
        ("betweenness_centrality", (graph,), {}),
    ]
    for name, args, kwargs in refused:
        assert isinstance(backend.can_run(name, args, kwargs), str)
    assert backend.should_run("pagerank", (graph,), {}) != True  # noqa: E712
    assert backend.should_run("pagerank", (converted(graph),), {}) is True
    graph.add_edge("n0", "n0")
    with pytest.raises(NotImplementedError, match="itself"):
        backend.pagerank(converted(graph))
    graph.add_edge("n0", "n1", weight=0)
    with pytest.raises(NotImplementedError, match="above 0"):
        backend.dijkstra_path(converted(graph), "n0", "n1")
    with pytest.raises(NotImplementedError, match="not converted"):
        backend.dijkstra_path(converted(graph), "n0", "n1", weight="cost")


def test_the_window_graph_is_seen_as_ranks_see_it() -> None:
    rows: dict[str, tuple[pa.Schema, list[tuple[Any, ...]]]] = {
        "entities": (ENTITIES, [(t, k, False, 1, 0, 9) for t, k in (("a", "1"), ("a", "2"), ("hub", "h"))]),
        "edges": (EDGES, [("E", 0, 1, 3, 0, 9), ("E", 1, 0, 2, 0, 9), ("E", 0, 2, 1, 0, 9)]),
        "properties": (PROPERTIES, []),
    }
    tables = {
        kind: pa.Table.from_pylist([dict(zip(shape.names, row, strict=True)) for row in found], shape)
        for kind, (shape, found) in rows.items()
    }
    graph = Graph(merge_window([("2013-01-01", tables)]), EntitySchema(entities={"hub": {"attribute": True}}))
    assert backend.can_run("pagerank", (graph,), {}) is True
    assert backend.should_run("pagerank", (graph,), {}) is True
    assert backend.pagerank(graph) == pytest.approx({"a:1": 0.5, "a:2": 0.5})
    assert backend.shortest_path_length(graph, "a:1", "a:2", "weight") == 5
    assert sorted(backend.convert_to_nx(graph)) == ["a:1", "a:2", "hub:h"]
    assert sorted(backend.convert_to_nx(from_networkx(graph))) == ["a:1", "a:2", "hub:h"]


def test_networkx_finds_it_by_its_entry_points(tmp_path: Path) -> None:
    told = tmp_path / "workbench-0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: workbench\nVersion: 0\n")
    (told / "entry_points.txt").write_text(
        "[networkx.backends]\nworkbench = workbench.dispatch.backend\n"
        "[networkx.backend_info]\nworkbench = workbench.dispatch:get_info\n"
    )
    program = """
import sys, warnings
import networkx as nx
assert "polars" not in sys.modules and "pyarrow" not in sys.modules
assert "pagerank" in nx.utils.backends.backend_info["workbench"]["functions"]
graph = nx.karate_club_graph()
ours = nx.pagerank(graph, backend="workbench")
assert "pagerank" in str(graph.__networkx_cache__) or graph.__networkx_cache__["backends"]["workbench"]
theirs = nx.pagerank(graph, tol=1e-12, max_iter=1000)
assert max(abs(ours[n] - theirs[n]) for n in graph) < 1e-6
assert len(nx.community.leiden_communities(graph, backend="workbench")) > 1
assert nx.shortest_path_length(graph, 0, 33, backend="workbench") == 2
try:
    nx.pagerank(nx.DiGraph([(1, 2)]), backend="workbench")
except NotImplementedError as error:
    assert "workbench" in str(error)
else:
    raise AssertionError
nx.config.backend_priority.algos = ["workbench"]
assert nx.pagerank(nx.DiGraph([(1, 2)]))[2] > 0.5  # falls back
print("ok")
"""
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.stdout, found.stderr) == ("ok\n", "")


def test_what_is_promised_is_there() -> None:
    functions = get_info()["functions"]
    assert isinstance(functions, dict)
    for name in functions:
        assert callable(getattr(backend, name))
        assert name in nx.utils.backends._registered_algorithms
