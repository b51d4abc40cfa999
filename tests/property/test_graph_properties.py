"""The window graph against a plain model of the merge, and its walks against networkx."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.config import EntitySchema
from workbench.graph import Graph, merge_window, search, traversal
from workbench.graph.heaviest import heaviest
from workbench.graph.touching import heaviest_first
from workbench.partials.shapes import EDGES, ENTITIES, PROPERTIES

if TYPE_CHECKING:
    import random

    from workbench.graph import Subgraph, Window
    from workbench.graph.traversal import Direction

SCHEMA = EntitySchema(
    entities={"a": {}, "b": {}, "hub": {"attribute": True}},
    edges={"E": {"from": "a", "to": "b"}, "F": {"from": "b", "to": "a"}},
)
DAY = 86_400_000_000

Entity = tuple[str, str]
Edge = tuple[Entity, Entity, str, int, bool]
Fact = tuple[Entity, str, str, int]
Day = tuple[list[Edge], list[Fact]]
Part = tuple[str, dict[str, pa.Table]]
Link = tuple[int, int, str, int]
Readable = tuple[
    list[Entity],
    dict[Entity, int],
    dict[Entity, int],
    dict[tuple[Entity, Entity, str], int],
    dict[tuple[Entity, str], tuple[str, int]],
]

entity = st.tuples(st.sampled_from(["a", "b", "hub"]), st.sampled_from(["0", "1", "2", "é /"]))
edge = st.tuples(entity, entity, st.sampled_from(["E", "F"]), st.integers(1, 4), st.booleans())
fact = st.tuples(entity, st.sampled_from(["p", "q"]), st.sampled_from(["x", "y", "z"]), st.integers(0, 3))
event_part = st.tuples(st.lists(edge, max_size=12), st.lists(fact, max_size=8))


def part(day: int, edges: list[Edge], facts: list[Fact]) -> Part:
    """Partials of a day (0: a reference table): an edge's ends are seen with its weight.

    Ends of test edges are entities of their own, with ``is_test``.
    """
    sightings: dict[tuple[str, str, bool], int] = defaultdict(int)
    weights: dict[tuple[str, int, int], int] = defaultdict(int)
    for source, target, _, weight, test in edges:
        for end in (source, target):
            sightings[*end, test] += weight
    for owner, *_ in facts:
        sightings[*owner, False] += 1
    nodes = sorted(sightings)
    place = {node: i for i, node in enumerate(nodes)}
    for source, target, kind, weight, test in edges:
        weights[kind, place[*source, test], place[*target, test]] += weight
    seen = (day * DAY, day * DAY + 9) if day else (None, None)
    values = {(place[*owner, False], name, value): hour for owner, name, value, hour in facts}
    rows = {
        "entities": [(*node, sightings[node] if day else 0, *seen) for node in nodes],
        "edges": [(*key, weight if day else 1, *seen) for key, weight in sorted(weights.items())],
        "properties": [
            (*k, int(day > 0), day * DAY + hour if day else None) for k, hour in sorted(values.items())
        ],
    }
    shapes = {"entities": ENTITIES, "edges": EDGES, "properties": PROPERTIES}
    return (f"2013-01-{day:02d}" if day else ""), {
        kind: pa.Table.from_pylist(
            [dict(zip(shapes[kind].names, row, strict=True)) for row in found], shapes[kind]
        )
        for kind, found in rows.items()
    }


def parts_of(days: list[Day], reference: Day | None = None) -> list[Part]:
    found = [part(day, edges, facts) for day, (edges, facts) in enumerate(days, start=1)]
    if reference is not None:
        found.append(part(0, [(*e[:4], False) for e in reference[0]], reference[1]))
    return found


def readable(window: Window) -> Readable:
    """The window's rows with keys instead of ids, and times as integers."""
    entities = [(row["type"], row["key"]) for row in window.entities.to_pylist()]
    counted = {
        name: dict(zip(entities, window.entities[name].to_pylist(), strict=True))
        for name in ("sightings", "segments")
    }
    edges = {
        (entities[r["source"]], entities[r["target"]], r["type"]): r["weight"]
        for r in window.edges.to_pylist()
    }
    properties = {
        (entities[r["node"]], r["name"]): (r["value"], r["values"]) for r in window.properties.to_pylist()
    }
    return entities, counted["sightings"], counted["segments"], edges, properties


def model(parts: list[Part], *, include_test: bool) -> Readable:
    """The merge in plain Python, one row after the other."""
    sightings, segments, weights = defaultdict(int), defaultdict(set), defaultdict(int)
    values, latest = defaultdict(set), defaultdict(lambda: (-1, ""))
    reference_edges, reference_facts = set(), []
    for segment, tables in parts:
        nodes = tables["entities"].to_pylist()
        names = [(n["type"], n["key"]) if include_test or not n["is_test"] else None for n in nodes]
        edges = [
            (names[e["source"]], names[e["target"]], e["type"], e["weight"])
            for e in tables["edges"].to_pylist()
        ]
        stamps = tables["properties"]["last_seen"].cast(pa.int64()).to_pylist()
        facts = zip(tables["properties"].to_pylist(), stamps, strict=True)
        facts = [(names[f["node"]], f["name"], f["value"], -1 if at is None else at) for f, at in facts]
        edges = [e for e in edges if e[0] and e[1]]
        facts = [f for f in facts if f[0]]
        if not segment:
            reference_edges.update(e[:3] for e in edges)
            reference_facts += facts
            continue
        for name, node in zip(names, nodes, strict=True):
            if name:
                sightings[name] += node["sightings"]
                segments[name].add(segment)
        for *key, weight in edges:
            weights[tuple(key)] += weight
        reference_facts += facts
    counts = {name: len(found) for name, found in segments.items()}
    for source, target, kind in reference_edges:
        if source in segments:
            weights.setdefault((source, target, kind), 1)
            sightings.setdefault(target, 0)
            counts.setdefault(target, 0)
    for owner, name, value, at in reference_facts:
        if owner in sightings:
            values[owner, name].add(value)
            latest[owner, name] = max(latest[owner, name], (at, value))
    properties = {key: (latest[key][1], len(values[key])) for key in values}
    return sorted(sightings), dict(sightings), counts, dict(weights), properties


@given(days=st.lists(event_part, max_size=4), reference=event_part, include_test=st.booleans())
def test_the_merge_equals_a_plain_model_of_it(days: list[Day], reference: Day, include_test: bool) -> None:
    parts = parts_of(days, reference)
    assert readable(merge_window(parts, include_test=include_test)) == model(parts, include_test=include_test)


@given(days=st.lists(event_part, min_size=1, max_size=4), reference=event_part, order=st.randoms())
def test_the_order_of_parts_does_not_matter(days: list[Day], reference: Day, order: random.Random) -> None:
    parts = parts_of(days, reference)
    shuffled = list(parts)
    order.shuffle(shuffled)
    assert merge_window(parts).equals(merge_window(shuffled))


@given(edges=st.lists(edge, max_size=24), cuts=st.lists(st.integers(0, 24), max_size=4))
def test_any_split_of_the_edges_into_segments_sums_to_the_same_graph(
    edges: list[Edge], cuts: list[int]
) -> None:
    bounds = [0, *sorted(cuts), len(edges)]
    split = [(edges[low:high], []) for low, high in pairwise(bounds)]
    whole, pieces = readable(merge_window(parts_of([(edges, [])]))), readable(merge_window(parts_of(split)))
    assert (whole[0], whole[1], whole[3]) == (pieces[0], pieces[1], pieces[3])


@given(days=st.lists(event_part, min_size=2, max_size=4), data=st.data())
def test_an_evicted_day_takes_exactly_its_own_share_away(days: list[Day], data: st.DataObject) -> None:
    gone = data.draw(st.integers(0, len(days) - 1))
    parts = parts_of(days)
    _, sightings, segments, edges, _ = readable(merge_window(parts))
    _, its_sightings, its_segments, its_edges, _ = readable(merge_window([parts[gone]]))
    rest = readable(merge_window(parts[:gone] + parts[gone + 1 :]))

    def less(all_of_it: dict[Any, int], share: dict[Any, int]) -> dict[Any, int]:
        left = {key: count - share.get(key, 0) for key, count in all_of_it.items()}
        return {key: count for key, count in left.items() if count}

    assert (rest[1], rest[2], rest[3]) == (
        less(sightings, its_sightings),
        less(segments, its_segments),
        less(edges, its_edges),
    )


# ---- walks ----

numbers = st.integers(0, 9)
links = st.lists(
    st.tuples(numbers, numbers, st.sampled_from(["E", "F"]), st.integers(1, 5)), min_size=1, max_size=30
)
kinds = st.lists(st.sampled_from(["a", "b", "hub"]), min_size=10, max_size=10)
plain = st.just(["a", "b"] * 5)
directions = st.sampled_from(["both", "out", "in"])


def walked(nodes: list[str], found: list[Link]) -> tuple[Graph, nx.MultiDiGraph]:
    names = [(kind, str(i)) for i, kind in enumerate(nodes)]
    graph = Graph(
        merge_window([part(1, [(names[s], names[t], k, w, False) for s, t, k, w in found], [])]), SCHEMA
    )
    return graph, graph.to_networkx()


def steps(full: nx.MultiDiGraph, direction: Direction, free: set[str]) -> nx.MultiDiGraph:
    """Single steps as edges: only from nodes in ``free``."""
    result = nx.MultiDiGraph()
    result.add_nodes_from(full)
    for source, target, weight in full.edges(data="weight"):
        if direction != "in" and source in free:
            result.add_edge(source, target, distance=1 / weight)
        if direction != "out" and target in free:
            result.add_edge(target, source, distance=1 / weight)
    return result


def passable(full: nx.MultiDiGraph) -> set[str]:
    return {node for node, kind in full.nodes(data="type") if kind != "hub"}


def by_entity(found: Subgraph) -> dict[str, int]:
    return dict(zip(found.nodes["entity"].to_pylist(), found.nodes["hops"].to_pylist(), strict=True))


@given(
    nodes=st.one_of(kinds, plain), found=links, direction=directions, depth=st.integers(0, 4), data=st.data()
)
def test_around_and_bfs_reach_what_networkx_reaches(
    nodes: list[str], found: list[Link], direction: Direction, depth: int, data: st.DataObject
) -> None:
    graph, full = walked(nodes, found)
    start = data.draw(st.sampled_from(sorted(full)))
    expected = nx.single_source_shortest_path_length(
        steps(full, direction, passable(full) | {start}), start, cutoff=depth
    )
    around = graph.around(start, depth, direction=direction)
    assert by_entity(around) == expected
    assert by_entity(graph.bfs(start, depth, direction=direction)) == expected
    inner = {(e["source"], e["target"], e["type"]) for e in around.edges.to_pylist()}
    assert inner == set(full.subgraph(expected).edges(keys=True))
    everything = nx.single_source_shortest_path_length(
        steps(full, direction, passable(full) | {start}), start
    )
    assert by_entity(graph.bfs(start, direction=direction)) == everything


@given(nodes=st.one_of(kinds, plain), found=links, direction=directions, data=st.data())
def test_dfs_is_a_depth_first_order(
    nodes: list[str], found: list[Link], direction: Direction, data: st.DataObject
) -> None:
    graph, full = walked(nodes, found)
    start = data.draw(st.sampled_from(sorted(full)))
    walk = steps(full, direction, passable(full) | {start})
    order = by_entity(graph.dfs(start, direction=direction))
    assert set(order) == set(nx.single_source_shortest_path_length(walk, start))
    # In a depth-first order each node follows the deepest earlier node that has a step to a later one.
    stack: list[str] = []
    left = set(order)
    for node, depth in order.items():
        while stack and not (set(walk[stack[-1]]) & left):
            stack.pop()
        if stack:
            assert node in walk[stack[-1]]
        assert depth == len(stack)
        stack.append(node)
        left.discard(node)


@given(
    nodes=st.one_of(kinds, plain), found=links, direction=directions, weighted=st.booleans(), data=st.data()
)
def test_paths_are_as_short_as_networkx_finds_them(
    nodes: list[str], found: list[Link], direction: Direction, weighted: bool, data: st.DataObject
) -> None:
    graph, full = walked(nodes, found)
    a, b = (data.draw(st.sampled_from(sorted(full))) for _ in range(2))
    k = data.draw(st.integers(1, 5))
    allowed = passable(full) | {a, b}
    walk = steps(full, direction, allowed).subgraph(allowed)
    simple = nx.DiGraph()
    simple.add_nodes_from(walk)
    for u, v, distance in walk.edges(data="distance"):
        known = simple.get_edge_data(u, v, {}).get("distance", math.inf)
        simple.add_edge(u, v, distance=min(known, distance if weighted else 1))

    def length(path: list[str]) -> float:
        return sum(simple.edges[u, v]["distance"] for u, v in pairwise(path))

    expected = []
    if a == b:
        expected = [0.0]
    elif nx.has_path(simple, a, b):
        expected = [length(p) for p in islice(nx.shortest_simple_paths(simple, a, b, weight="distance"), k)]
    path = graph.path(a, b, direction=direction, weighted=weighted)
    assert path.length == pytest.approx(expected[0] if expected else math.inf)
    several = graph.paths(a, b, k, direction=direction, weighted=weighted)
    assert [found.length for found in several] == pytest.approx(expected)
    for found_path in [path, *several] if expected else []:
        entities = found_path.nodes["entity"].to_pylist()
        assert (entities[0], entities[-1]) == (a, b)
        assert length(entities) == pytest.approx(found_path.length)
        assert found_path.edges.num_rows == len(entities) - 1
    assert len({tuple(p.nodes["entity"].to_pylist()) for p in several}) == len(several)


@settings(max_examples=8)
@given(
    seed=st.integers(0, 2**32 - 1),
    direction=directions,
    hub=st.integers(0, 3),
    probe=st.integers(0, 3),
    fewest=st.integers(1, 4),
)
def test_long_paths_past_hubs_are_as_short_as_networkx_finds_them(
    seed: int, direction: Direction, hub: int, probe: int, fewest: int
) -> None:
    """Chains with shortcuts, so that the first way that is found is seldom the shortest; all are hubs."""
    draw = np.random.default_rng(seed)
    chain = [(n, n + 1) for n in range(59)]
    ends = [*chain, *((b, a) for a, b in chain), *draw.integers(0, 60, (50, 2)).tolist()]
    weights = draw.choice([1, 2, 3, 5, 8, 20, 50], len(ends)).tolist()
    graph, full = walked(["a", "b"] * 30, [(a, b, "E", w) for (a, b), w in zip(ends, weights, strict=True)])
    walk = steps(full, direction, set(full))
    names = draw.choice(sorted(full), (12, 2)).tolist()
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in (
            (traversal, "_HUB", hub),
            (search, "_PROBE", probe),
            (search, "_FEWEST", fewest),
        ):
            patch.setattr(module, name, value)
        for a, b in names:
            expected = nx.single_source_dijkstra_path_length(walk, a, weight="distance").get(b, math.inf)
            assert graph.path(a, b, direction=direction).length == pytest.approx(expected)


@given(nodes=st.one_of(kinds, plain), found=links)
def test_components_degrees_and_density_equal_networkx(nodes: list[str], found: list[Link]) -> None:
    graph, full = walked(nodes, found)
    stats = graph.stats()
    sizes = [len(c) for c in nx.weakly_connected_components(full.subgraph(passable(full)))]
    assert (stats.components, stats.largest_component) == (len(sizes), max(sizes, default=0))
    assert {r["entity"]: r["degree"] for r in graph.degree().to_pylist()} == dict(full.degree())
    assert stats.maximum_degree == max(dict(full.degree()).values())
    if len(full) > 1:
        assert stats.density == pytest.approx(nx.density(full))


@given(nodes=st.one_of(kinds, plain), found=links, limit=st.integers(0, 5), data=st.data())
def test_a_limit_hides_the_lightest_and_counts_them(
    nodes: list[str], found: list[Link], limit: int, data: st.DataObject
) -> None:
    graph, full = walked(nodes, found)
    start = data.draw(st.sampled_from(sorted(full)))
    cut = graph.around(start, limit=limit)
    weights: dict[str, int] = defaultdict(int)
    for source, target, weight in full.edges(data="weight"):
        if start in (source, target) and source != target:
            weights[target if source == start else source] += weight
    kept = [weights[name] for name in by_entity(cut) if name != start]
    assert len(kept) == min(limit, len(weights))
    assert sum(cut.hidden) == len(weights) - len(kept)
    assert sorted(kept, reverse=True) == sorted(weights.values(), reverse=True)[:limit]


def budgeted(
    full: nx.MultiDiGraph, start: str, budget: tuple[int, int], direction: Direction, wanted: list[str]
) -> tuple[dict[str, int], tuple[int, ...]]:
    """Nodes by hop and how many were hidden in each, counted edge by edge."""
    hops, limit = budget
    reached, seen, hidden, frontier = {start: 0}, {start}, [], [start]
    for hop in range(1, hops + 1):
        met: dict[str, int] = defaultdict(int)
        for source, target, kind, weight in full.edges(keys=True, data="weight"):
            ends = {"out": [(source, target)], "in": [(target, source)]}
            ends["both"] = ends["out"] + ends["in"]
            for near, far in ends[direction]:
                if kind in wanted and near in frontier and far not in seen:
                    met[far] += weight
        if not met:
            break
        kept = sorted(met, key=lambda name: (-met[name], name))[:limit]
        hidden.append(len(met) - len(kept))
        seen |= met.keys()
        reached |= dict.fromkeys(kept, hop)
        frontier = [name for name in kept if name in passable(full)]
    return reached, tuple(hidden)


@given(
    nodes=st.one_of(kinds, plain),
    found=links,
    budget=st.tuples(st.integers(1, 3), st.integers(0, 4)),
    how=st.tuples(directions, st.sampled_from([0.0, 100.0]), st.integers(0, 3)),
    data=st.data(),
)
def test_hops_within_a_budget_are_those_counted_edge_by_edge(
    nodes: list[str],
    found: list[Link],
    budget: tuple[int, int],
    how: tuple[Direction, float, int],
    data: st.DataObject,
) -> None:
    """Whichever way the sums are made."""
    graph, full = walked(nodes, found)
    start = data.draw(st.sampled_from(sorted(full)))
    wanted = data.draw(st.sampled_from([["E"], ["E", "F"]]))
    (hops, limit), (direction, few, long) = budget, how
    reached, hidden = budgeted(full, start, budget, direction, wanted)
    edge_types = wanted if len(wanted) == 1 else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traversal, "_SPARSE", few)
        patch.setattr(traversal, "_LONG", long)
        around = graph.around(start, hops, direction=direction, limit=limit, edge_types=edge_types)
        beyond = graph.bfs(start, hops, direction=direction, edge_types=edge_types)
    assert (by_entity(around), around.hidden) == (reached, hidden)
    assert by_entity(beyond) == budgeted(full, start, (hops, len(full)), direction, wanted)[0]
    inner = {(e["source"], e["target"], e["type"]) for e in around.edges.to_pylist()}
    assert inner == {edge for edge in full.subgraph(reached).edges(keys=True) if edge[2] in wanted}


@given(nodes=st.one_of(kinds, plain), found=links, data=st.data())
def test_shared_and_edge_list_equal_counting_by_hand(
    nodes: list[str], found: list[Link], data: st.DataObject
) -> None:
    graph, full = walked(nodes, found)
    keys = data.draw(st.lists(st.sampled_from(sorted(full)), min_size=1, unique=True))
    expected = {}
    for node in passable(full):
        ties = [
            (s if t == node else t, w) for s, t, w in full.edges(data="weight") if node in (s, t) and s != t
        ]
        ties = [(other, w) for other, w in ties if other in keys]
        if len({other for other, _ in ties}) > 1:
            expected[node] = (len({other for other, _ in ties}), sum(w for _, w in ties))
    table = graph.shared(keys).to_pylist()
    assert {row["entity"]: (row["shared_by"], row["weight"]) for row in table} == expected

    pairs: dict[frozenset[str], float] = defaultdict(float)
    for source, target, weight in full.subgraph(passable(full)).edges(data="weight"):
        if source != target:
            pairs[frozenset((source, target))] += weight
    edges, ids = graph.edge_list(min_weight=2)
    names = graph.entities_of(ids).to_pylist()
    assert set(names) == passable(full)
    listed = {
        frozenset((names[r["source"]], names[r["target"]])): r["weight"] for r in edges.table.to_pylist()
    }
    assert listed == {pair: weight for pair, weight in pairs.items() if weight >= 2}
    assert len(listed) == edges.table.num_rows


@given(
    weight=st.lists(st.sampled_from([0, 1, 1, 1, 2, 3, 9]) | st.integers(0, 2**40), max_size=200),
    limit=st.integers(0, 12),
    wide=st.integers(1, 9),
)
def test_the_heaviest_are_those_of_a_stable_sort(weight: list[int], limit: int, wide: int) -> None:
    """Also of many, most of which are equal."""
    numbers = np.array(weight * wide + [0] * limit, dtype=np.int64)
    wanted = np.sort(np.argsort(-numbers, kind="stable")[:limit])
    assert heaviest(numbers, limit).tolist() == wanted.tolist()


@given(
    edges=st.lists(
        st.tuples(st.integers(1, 2**20), st.integers(0, 3), st.integers(0, 2**30), st.booleans()), max_size=40
    ),
    kind=st.sampled_from([np.int32, np.int64, np.float64]),
    times=st.sampled_from([1, 2**10, 2**40]),
)
def test_edges_in_order_of_weight_are_those_of_a_sort_by_each_part(
    edges: list[tuple[int, int, int, bool]], kind: type[np.number], times: int
) -> None:
    """Whether one number holds all of its parts or not."""
    factor = times if kind is np.int64 else 1
    edges = [(weight * factor, code, far, into) for weight, code, far, into in edges]
    dtypes: list[Any] = [kind, np.int32, np.int32, bool]
    parts = (np.array([edge[n] for edge in edges], dtype) for n, dtype in enumerate(dtypes))
    order = heaviest_first(*parts)
    found = [edges[place] for place in order.tolist()]
    assert found == sorted(edges, key=lambda edge: (-edge[0], *edge[1:]))
