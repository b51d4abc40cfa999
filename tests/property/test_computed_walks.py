"""Walks along edges that were computed, with and without counted ones, against networkx."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import networkx as nx
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_graph_properties import SCHEMA, by_entity, directions, kinds, links, numbers, part, passable, steps

from workbench.graph import Graph, merge_window, traversal
from workbench.knowledge.edges import Computed

if TYPE_CHECKING:
    from test_graph_properties import Link

    from workbench.graph.traversal import Direction

weights = st.floats(0.01, 1.0, allow_nan=False)
alike = st.dictionaries(st.tuples(numbers, numbers), weights, max_size=20)
asked = st.sampled_from([("SimilarTo",), ("SimilarTo", "E"), ("F", "SimilarTo", "E")])

Alike = dict[tuple[int, int], float]


def laid(
    nodes: list[str], found: list[Link], near: Alike, types: tuple[str, ...]
) -> tuple[Graph, nx.MultiDiGraph]:
    """The graph, and what a walk along some types of edges may use of it."""
    names = [(kind, str(i)) for i, kind in enumerate(nodes)]
    window = merge_window([part(1, [(names[s], names[t], k, w, False) for s, t, k, w in found], [])])
    written = [f"{kind}:{i}" for i, kind in enumerate(nodes)]
    ends = [{"source": written[s], "target": written[t], "weight": w} for (s, t), w in near.items()]
    rows = [{**end, "run": f"similarity-{n % 2}"} for n, end in enumerate(ends)]
    names_of = ("source", "target", "run")
    shape = pa.schema([*((name, pa.string()) for name in names_of), ("weight", pa.float64())])
    table = pa.Table.from_pylist(rows, shape)
    edges = Computed("SimilarTo", ("similarity-0", "similarity-1"), table.num_rows, lambda: table)
    graph = Graph(window, SCHEMA, computed={"SimilarTo": lambda: edges})
    full = graph.to_networkx()
    assert "SimilarTo" not in {kind for _, _, kind in full.edges(keys=True)}
    full.remove_edges_from([edge for edge in full.edges(keys=True) if edge[2] not in types])
    # what the window does not hold is not brought in
    for row in rows:
        if row["source"] in full and row["target"] in full:
            full.add_edge(row["source"], row["target"], "SimilarTo", weight=row["weight"], run=row["run"])
    return graph, full


@settings(max_examples=25)
@given(
    nodes=kinds,
    found=links,
    near=alike,
    types=asked,
    direction=directions,
    depth=st.integers(0, 3),
    data=st.data(),
)
def test_walks_reach_what_networkx_reaches(  # noqa: PLR0913, PLR0917  (what hypothesis draws)
    nodes: list[str],
    found: list[Link],
    near: Alike,
    types: tuple[str, ...],
    direction: Direction,
    depth: int,
    data: st.DataObject,
) -> None:
    graph, full = laid(nodes, found, near, types)
    start, end = (data.draw(st.sampled_from(sorted(full))) for _ in range(2))
    walk = steps(full, direction, passable(full) | {start})
    expected = nx.single_source_shortest_path_length(walk, start, cutoff=depth)
    around = graph.around(start, depth, edge_types=types, direction=direction)
    assert by_entity(around) == expected
    joined = {(e["source"], e["target"], e["type"]): e for e in around.edges.to_pylist()}
    assert set(joined) == set(full.subgraph(expected).edges(keys=True))
    for (source, target, kind), edge in joined.items():
        known = full.edges[source, target, kind]
        assert (edge["weight"], edge["computed"]) == (known["weight"], known.get("run"))
    among = graph.subgraph(list(expected), edge_types=types).edges.to_pylist()
    assert {(e["source"], e["target"], e["type"]) for e in among} == set(joined)
    everything = nx.single_source_shortest_path_length(walk, start)
    assert set(by_entity(graph.bfs(start, edge_types=types, direction=direction))) == set(everything)
    assert set(by_entity(graph.dfs(start, edge_types=types, direction=direction))) == set(everything)
    allowed = passable(full) | {start, end}
    ways = steps(full, direction, allowed).subgraph(allowed)
    lengths = nx.single_source_dijkstra_path_length(ways, start, weight="distance")
    path = graph.path(start, end, edge_types=types, direction=direction)
    assert path.length == pytest.approx(lengths.get(end, math.inf))
    several = graph.paths(start, end, 2, edge_types=types, direction=direction)
    assert [p.length for p in several[:1]] == pytest.approx([path.length] if path else [])


@settings(max_examples=25)
@given(nodes=kinds, found=links, near=alike, types=asked, limit=st.integers(0, 4), data=st.data())
def test_a_limit_keeps_the_most_alike_and_shared_sums_their_weights(  # noqa: PLR0913, PLR0917  (what hypothesis draws)
    nodes: list[str],
    found: list[Link],
    near: Alike,
    types: tuple[str, ...],
    limit: int,
    data: st.DataObject,
) -> None:
    graph, full = laid(nodes, found, near, types)
    keys = data.draw(st.lists(st.sampled_from(sorted(full)), min_size=1, max_size=4, unique=True))
    tied: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for source, target, weight in full.edges(data="weight"):
        if source != target:
            tied[source][target] += weight
            tied[target][source] += weight
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traversal, "_HUB", 1)
        cut = graph.around(keys[0], limit=limit, edge_types=types)
    kept = sorted((tied[keys[0]][name] for name in by_entity(cut) if name != keys[0]), reverse=True)
    assert kept == pytest.approx(sorted(tied[keys[0]].values(), reverse=True)[:limit])
    expected = {}
    for node in passable(full):
        shares = [weight for key, weight in tied[node].items() if key in keys]
        if len(shares) > 1:
            expected[node] = (len(shares), pytest.approx(sum(shares)))
    table = graph.shared(keys, edge_types=types).to_pylist()
    assert {row["entity"]: (row["shared_by"], row["weight"]) for row in table} == expected


@settings(max_examples=25)
@given(nodes=kinds, found=links, near=alike)
def test_nothing_counts_them_unasked(nodes: list[str], found: list[Link], near: Alike) -> None:
    graph, _ = laid(nodes, found, near, ("SimilarTo",))
    alone = Graph(graph.window, SCHEMA)
    assert graph.edges().equals(alone.edges())
    assert graph.stats() == alone.stats()
    assert graph.edge_list()[0].table.equals(alone.edge_list()[0].table)
    assert graph.degree().equals(alone.degree())
    first = graph.nodes()["entity"][0].as_py()
    assert graph.around(first, 2).edges.equals(alone.around(first, 2).edges)
    # the same graph is walked as long as the run is the same
    assert graph.with_edges(["SimilarTo"]) is graph.with_edges(["SimilarTo"])
    assert graph.with_edges(["E"]) is graph.with_edges(None) is graph
