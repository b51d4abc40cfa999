"""Queries on a graph small enough to work out by hand."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from workbench.compute import EdgeList, backends
from workbench.config import EntitySchema
from workbench.errors import DriverUnavailableError, UnknownNameError, UsageError
from workbench.graph import Graph, format_entity, merge_window, parse_entity
from workbench.graph.keys import format_entities
from workbench.partials.shapes import EDGES, ENTITIES, PROPERTIES, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from workbench.graph import Subgraph

SCHEMA = EntitySchema(
    entities={
        "plane": {"who": True, "label": "name"},
        "port": {},
        "line": {"attribute": True},
        "unused": {},
    },
    edges={
        "To": {"from": "plane", "to": "port"},
        "Of": {"from": "plane", "to": "line"},
        "Near": {"from": "port", "to": "port"},
    },
    events={"Flight": {"entities": {"plane": {"fields": ["plane"], "properties": ["name", "seats"]}}}},
)

# p1 and p2 meet in A (heavily) and in B; p3 is tied to the rest only by the line L; C lies near B.
NODES = ["line:L", "plane:p1", "plane:p2", "plane:p3", "port:A", "port:B", "port:C", "port:lonely"]
LINKS = [
    ("plane:p1", "port:A", "To", 10),
    ("plane:p1", "port:B", "To", 1),
    ("plane:p2", "port:A", "To", 5),
    ("plane:p2", "port:B", "To", 2),
    ("port:B", "port:C", "Near", 4),
    ("plane:p1", "line:L", "Of", 11),
    ("plane:p2", "line:L", "Of", 7),
    ("plane:p3", "line:L", "Of", 3),
    ("port:C", "port:C", "Near", 1),
]


def build(
    nodes: list[str],
    links: Sequence[tuple[str, str, str, int]],
    properties: Sequence[tuple[str, str, str]] = (),
) -> Graph:
    pairs = [parse_entity(node) for node in nodes]
    times = pa.array([1_357_000_000_000_000] * max(len(nodes), len(links), len(properties)), TIMESTAMP)
    columns = {
        "entities": (ENTITIES, [(*p, False, 1) for p in pairs], times),
        "edges": (EDGES, [(t, nodes.index(a), nodes.index(b), w) for a, b, t, w in links], times),
        "properties": (
            PROPERTIES,
            [(nodes.index(n), name, value, 1) for n, name, value in properties],
            times,
        ),
    }
    tables = {}
    for kind, (shape, rows, stamps) in columns.items():
        plain = [name for name in shape.names if not name.endswith("_seen")]
        values = [dict(zip(plain, row, strict=True)) for row in rows]
        times_of = {name: stamps[: len(rows)] for name in shape.names if name.endswith("_seen")}
        table = pa.Table.from_pylist(values, schema=pa.schema([shape.field(name) for name in plain]))
        for name, stamp in times_of.items():
            table = table.append_column(name, stamp)
        tables[kind] = table.select(shape.names)
    return Graph(merge_window([("2013-01-01", tables)]), SCHEMA)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return build(
        NODES, LINKS, [("plane:p1", "name", "Spirit"), ("plane:p1", "seats", "9"), ("port:A", "name", "x")]
    )


def hops(found: Subgraph) -> dict[str, int]:
    return dict(zip(found.nodes["entity"].to_pylist(), found.nodes["hops"].to_pylist(), strict=True))


def written(edges: pa.Table) -> list[tuple[str, str, str, int]]:
    return [(e["source"], e["target"], e["type"], e["weight"]) for e in edges.to_pylist()]


def test_entities_are_listed_with_their_labels(graph: Graph) -> None:
    assert graph.nodes()["entity"].to_pylist() == NODES
    planes = graph.nodes("plane")
    assert planes["label"].to_pylist() == ["Spirit", None, None]
    assert planes.column_names == ["entity", "type", "key", "label", "sightings", "first_seen", "last_seen"]
    assert graph.nodes("port")["label"].to_pylist() == [None] * 4  # its schema names no label
    assert graph.nodes("unused").num_rows == 0


def test_edges_are_listed_by_type(graph: Graph) -> None:
    assert sorted(written(graph.edges())) == sorted(LINKS)
    assert written(graph.edges("Near")) == [link for link in LINKS if link[2] == "Near"]


def test_an_entity_knows_its_properties(graph: Graph) -> None:
    node = graph.node("plane:p1")
    assert (node["key"], node["label"], node["segments"]) == ("p1", "Spirit", 1)
    assert {name: p["value"] for name, p in node["properties"].items()} == {"name": "Spirit", "seats": "9"}
    assert graph.node("port:B")["properties"] == {}


def test_around_returns_end_points_of_attribute_types_but_does_not_pass_them(graph: Graph) -> None:
    one = graph.around("plane:p1")
    assert hops(one) == {"plane:p1": 0, "line:L": 1, "port:A": 1, "port:B": 1}
    assert hops(graph.around("plane:p1", 2)) == {**hops(one), "plane:p2": 2, "port:C": 2}
    assert "plane:p3" not in hops(graph.around("plane:p1", 9))
    assert hops(graph.around("plane:p1", 2, through=["line"]))["plane:p3"] == 2


def test_where_a_walk_ended_is_said(graph: Graph) -> None:
    assert graph.around("plane:p1").ends == {}  # it ended everywhere
    assert graph.around("plane:p1", 2).ends == {"line": 1}
    assert repr(graph.around("plane:p1", 2)).endswith("; not through 1 line")
    assert graph.bfs("plane:p1").ends == graph.dfs("plane:p1").ends == {"line": 1}
    assert graph.around("plane:p1", 2, through=["line"]).ends == {}
    assert graph.around("line:L", 2).ends == {}


def test_a_start_of_an_attribute_type_is_expanded(graph: Graph) -> None:
    assert hops(graph.around("line:L")) == {"line:L": 0, "plane:p1": 1, "plane:p2": 1, "plane:p3": 1}


def test_around_returns_all_edges_between_what_it_found(graph: Graph) -> None:
    assert sorted(written(graph.around("port:B").edges)) == sorted(
        [
            ("plane:p1", "port:B", "To", 1),
            ("plane:p2", "port:B", "To", 2),
            ("port:B", "port:C", "Near", 4),
            ("port:C", "port:C", "Near", 1),
        ]
    )


def test_direction_and_edge_types_restrict_the_walk(graph: Graph) -> None:
    assert hops(graph.around("port:B", direction="out")) == {"port:B": 0, "port:C": 1}
    assert hops(graph.around("port:B", direction="in")) == {"port:B": 0, "plane:p1": 1, "plane:p2": 1}
    near = graph.around("port:B", 3, edge_types=["Near"])
    assert hops(near) == {"port:B": 0, "port:C": 1}
    assert {edge[2] for edge in written(near.edges)} == {"Near"}


def test_a_limit_keeps_the_heaviest_and_counts_the_rest(graph: Graph) -> None:
    found = graph.around("plane:p1", 2, limit=1)
    assert hops(found) == {"plane:p1": 0, "line:L": 1}  # 11 is heavier than 10; and L is not passed
    assert found.hidden == (2,)
    assert "+2 hidden by the limit" in repr(found)
    two = graph.around("plane:p1", 2, limit=2)
    assert hops(two) == {"plane:p1": 0, "line:L": 1, "port:A": 1, "plane:p2": 2}
    assert two.hidden == (1, 0)
    assert graph.around("plane:p1", 2).hidden == (0, 0)


def test_a_limit_counts_alike_where_few_of_many_nodes_are_near() -> None:
    many = [f"port:{i:04d}" for i in range(500)]
    ties = [(many[0], many[i], "Near", weight) for i, weight in ((10, 1), (20, 5), (30, 1), (40, 3))]
    found = build(many, ties).around(many[0], limit=3)
    # Of equal weights the first by key stays.
    assert hops(found) == {many[0]: 0, many[10]: 1, many[20]: 1, many[40]: 1}
    assert found.hidden == (1,)


def test_several_starts_share_one_neighbourhood(graph: Graph) -> None:
    found = graph.around(["port:C", "plane:p3", "port:C"])
    assert hops(found) == {"plane:p3": 0, "port:C": 0, "line:L": 1, "port:B": 1}
    assert found.starts == ("port:C", "plane:p3")


def test_bfs_goes_to_the_end_or_to_a_depth(graph: Graph) -> None:
    assert hops(graph.bfs("port:C")) == {
        "port:C": 0,
        "port:B": 1,
        "plane:p1": 2,
        "plane:p2": 2,
        "line:L": 3,
        "port:A": 3,
    }
    assert set(hops(graph.bfs("port:C", 1))) == {"port:C", "port:B"}


def test_dfs_goes_down_before_it_goes_on() -> None:
    chain = build(
        ["port:a", "port:b", "port:c", "port:d"],
        [("port:a", "port:b", "Near", 1), ("port:b", "port:c", "Near", 1), ("port:a", "port:d", "Near", 1)],
    )
    found = chain.dfs("port:a")
    assert list(hops(found).items()) == [("port:a", 0), ("port:b", 1), ("port:c", 2), ("port:d", 1)]


def test_the_shortest_path_prefers_heavy_edges(graph: Graph) -> None:
    path = graph.path("plane:p1", "plane:p2")
    assert path.nodes["entity"].to_pylist() == ["plane:p1", "port:A", "plane:p2"]
    assert path.length == pytest.approx(1 / 10 + 1 / 5)
    assert written(path.edges) == [LINKS[0], LINKS[2]]
    assert graph.path("plane:p1", "plane:p2", weighted=False).length == 2
    # Two hops over B (1/1 + 1/2) are farther than three over A and p2 (1/10 + 1/5 + 1/2).
    detour = graph.path("plane:p1", "port:B")
    assert detour.nodes["entity"].to_pylist() == ["plane:p1", "port:A", "plane:p2", "port:B"]
    assert detour.length == pytest.approx(0.8)
    assert len(graph.path("plane:p1", "port:B", weighted=False)) == 2


def test_no_path_is_an_empty_path(graph: Graph) -> None:
    path = graph.path("plane:p1", "plane:p3")
    assert not path
    assert (len(path), path.edges.num_rows, path.length) == (0, 0, math.inf)
    assert repr(path) == "Path: there is none"
    assert graph.paths("plane:p1", "plane:p3", 2) == []


def test_paths_pass_attribute_types_only_on_request_and_may_end_there(graph: Graph) -> None:
    through = graph.path("plane:p1", "plane:p3", through=["line"])
    assert through.nodes["entity"].to_pylist() == ["plane:p1", "line:L", "plane:p3"]
    assert graph.path("plane:p3", "line:L").length == pytest.approx(1 / 3)
    assert graph.path("line:L", "port:A").nodes["entity"].to_pylist() == ["line:L", "plane:p1", "port:A"]


def test_paths_respect_the_direction(graph: Graph) -> None:
    assert graph.path("plane:p1", "port:C", direction="out")
    assert not graph.path("port:C", "plane:p1", direction="out")
    assert graph.path("port:C", "plane:p1", direction="in")


def test_a_path_to_itself_has_no_edges(graph: Graph) -> None:
    path = graph.path("port:A", "port:A")
    assert (len(path), path.length) == (1, 0)
    assert [len(found) for found in graph.paths("port:A", "port:A", 3)] == [1]


def test_k_shortest_paths_come_in_order(graph: Graph) -> None:
    found = graph.paths("plane:p1", "plane:p2", 5)
    assert [path.nodes["entity"].to_pylist()[1:-1] for path in found] == [["port:A"], ["port:B"]]
    assert [path.length for path in found] == pytest.approx([0.3, 1.5])
    assert len(graph.paths("plane:p1", "plane:p2", 1)) == 1


def test_shared_leaves_attribute_types_out_unless_named(graph: Graph) -> None:
    planes = ["plane:p1", "plane:p2", "plane:p3"]
    found = graph.shared(planes)
    assert found.select(["entity", "shared_by", "weight"]).to_pylist() == [
        {"entity": "port:A", "shared_by": 2, "weight": 15},
        {"entity": "port:B", "shared_by": 2, "weight": 3},
    ]
    assert graph.shared(planes, through=["line"])["entity"].to_pylist()[0] == "line:L"
    assert graph.shared(planes, edge_types=["Of"]).num_rows == 0
    assert graph.shared(["port:C", "plane:p3"]).num_rows == 0


def test_subgraph_keeps_order_and_inner_edges(graph: Graph) -> None:
    found = graph.subgraph(["port:B", "plane:p1", "line:L"])
    assert found.nodes["entity"].to_pylist() == ["port:B", "plane:p1", "line:L"]
    assert sorted(written(found.edges)) == sorted([LINKS[1], LINKS[5]])


def test_degrees_count_edges_at_both_ends(graph: Graph) -> None:
    table = {row["entity"]: (row["degree"], row["out"], row["in"]) for row in graph.degree().to_pylist()}
    assert table["plane:p1"] == (3, 3, 0)
    assert table["port:C"] == (3, 1, 2)  # a loop has two ends
    assert table["port:lonely"] == (0, 0, 0)
    assert graph.degree("line")["degree"].to_pylist() == [3]


def test_statistics_leave_attribute_types_out_of_components(graph: Graph) -> None:
    stats = graph.stats()
    assert stats.nodes == {"line": 1, "plane": 3, "port": 4}
    assert stats.edges == {"Near": 2, "Of": 3, "To": 4}
    assert stats.average_degree == pytest.approx(18 / 8)
    assert stats.maximum_degree == 3
    assert (stats.components, stats.largest_component) == (3, 5)
    assert stats.density == pytest.approx(9 / 56)


def test_edge_list_sums_pairs_and_leaves_attributes_and_loops_out() -> None:
    graph = build(
        ["line:L", "port:A", "port:B", "port:C"],
        [
            ("port:A", "port:B", "Near", 1),
            ("port:A", "port:B", "To", 2),
            ("port:B", "port:A", "Near", 1),
            ("port:B", "port:C", "Near", 3),
            ("port:C", "port:C", "Near", 9),
            ("port:A", "line:L", "Of", 9),
        ],
    )
    edges, ids = graph.edge_list()
    assert isinstance(edges, EdgeList)
    assert edges.nodes == 3
    assert graph.entities_of(ids).to_pylist() == ["port:A", "port:B", "port:C"]
    assert edges.table.to_pylist() == [
        {"source": 0, "target": 1, "weight": 4.0},
        {"source": 1, "target": 2, "weight": 3.0},
    ]
    assert graph.edge_list(min_weight=4)[0].table.num_rows == 1
    everything, all_ids = graph.edge_list(with_attributes=True)
    assert (everything.nodes, everything.table.num_rows, len(all_ids)) == (4, 3, 4)


UNKNOWN: dict[str, tuple[Callable[[Any], object], str]] = {
    "nodes": (lambda g: g.nodes("plan"), "'plane'"),
    "edges": (lambda g: g.edges("Neer"), "'Near'"),
    "type of an entity": (lambda g: g.around("plan:p1"), "'plane'"),
    "upper case": (lambda g: g.around("plane:P1"), "'plane:p1'"),
    "long key": (lambda g: g.node("port:lonly"), "'port:lonely'"),
    "one of several": (lambda g: g.subgraph(["port:A", "port:lonelY"]), "'port:lonely'"),
    "no near miss": (lambda g: g.node("port:something-else"), "The window has 4 of type 'port'"),
    "declared but empty type": (lambda g: g.node("unused:x"), "The window has 0 of type 'unused'"),
    "edge type": (lambda g: g.around("port:A", edge_types=["near"]), "'Near'"),
    "through": (lambda g: g.around("port:A", through=["lines"]), "'line'"),
    "direction": (lambda g: g.around("port:A", direction="inn"), "'in'"),
}


@pytest.mark.parametrize(("call", "suggestion"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_names_are_errors_with_suggestions(
    graph: Graph, call: Callable[[Graph], object], suggestion: str
) -> None:
    with pytest.raises(UnknownNameError) as caught:
        call(graph)
    assert suggestion in str(caught.value)


MEANINGLESS: dict[str, Callable[[Graph], object]] = {
    "no type": lambda g: g.around("p1"),
    "no entity": lambda g: g.around([]),
    "negative hops": lambda g: g.around("port:A", -1),
    "negative limit": lambda g: g.around("port:A", limit=-1),
    "no paths": lambda g: g.paths("port:A", "port:B", 0),
    "not UTF-8": lambda g: g.node("port:%ff"),
}


@pytest.mark.parametrize("call", MEANINGLESS.values(), ids=MEANINGLESS)
def test_calls_that_cannot_be_meant_are_usage_errors(graph: Graph, call: Callable[[Graph], object]) -> None:
    with pytest.raises(UsageError):
        call(graph)


def test_results_go_to_arrow_polars_and_pandas(graph: Graph) -> None:
    found = graph.around("plane:p1")
    assert len(found) == 4
    assert pa.table(found).equals(found.to_arrow())
    assert found.to_polars().height == found.to_pandas().shape[0] == 4
    nodes, edges = graph.to_arrow()
    assert (nodes.num_rows, edges.num_rows) == (8, 9)


def test_results_go_to_networkx_and_igraph(graph: Graph) -> None:
    exported = graph.around("plane:p1", 2).to_networkx()
    assert isinstance(exported, nx.MultiDiGraph)
    assert exported.nodes["plane:p2"]["hops"] == 2
    assert exported.edges["plane:p1", "port:A", "To"]["weight"] == 10
    pair = graph.subgraph(["port:B", "port:C"])
    assert repr(pair) == "Subgraph: 2 nodes, 2 edges"
    assert pair.to_igraph().vs["name"] == ["port:B", "port:C"]
    whole = graph.to_networkx()
    assert (whole.number_of_nodes(), whole.number_of_edges()) == (8, 9)

    other = graph.to_igraph()
    assert other.vs["name"] == NODES
    assert other.degree() == graph.degree()["degree"].to_pylist()
    assert other.es[other.get_eid("port:B", "port:C")]["type"] == "Near"


def test_graphml_is_read_back_by_networkx_and_any_parser(graph: Graph, tmp_path: Path) -> None:
    nodes = ["port:a%01%3Cb%3E&%22", "port:%F0%9F%9B%AB"]
    file = tmp_path / "odd.graphml"
    build(nodes, [(nodes[0], nodes[1], "Near", 2)]).to_graphml(file)
    back = nx.read_graphml(file)
    assert set(back.nodes) == set(nodes)
    assert back.nodes[nodes[0]]["key"] == 'a\ufffd<b>&"'
    assert [data["weight"] for _, _, data in back.edges(data=True)] == [2]
    graph.around("plane:p1").to_graphml(tmp_path / "small.graphml")
    assert ET.parse(tmp_path / "small.graphml").getroot().tag.endswith("graphml")  # noqa: S314  (our own file)


def test_displays_are_bounded_and_escaped() -> None:
    nodes = [f"port:%3Cscript%3E{i:03d}" for i in range(300)]
    graph = build(nodes, [(nodes[0], node, "Near", 1) for node in nodes[1:]])
    bundle = graph.around(nodes[0])._repr_mimebundle_()
    assert bundle["text/plain"] == "Neighbourhood of port:%3Cscript%3E000: 300 nodes, 299 edges"
    assert "<script" not in bundle["text/html"]
    assert "300 rows" in bundle["text/html"]
    assert len(bundle["text/html"]) < 20_000
    for other in (graph, graph.stats(), graph.path(nodes[0], nodes[1])):
        assert set(other._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_keys_are_escaped_alike_one_by_one_and_as_a_column() -> None:
    keys = ["plain", "a b", "100%", "ünï", "x:y/z", "", "tab\tnew\nline", "a,b", "%41"]
    column = format_entities(pl.Series(["t"] * len(keys)), pl.Series(keys)).to_list()
    assert column == [format_entity("t", key) for key in keys]
    assert column[:3] == ["t:plain", "t:a%20b", "t:100%25"]
    assert [parse_entity(entity) for entity in column] == [("t", key) for key in keys]


def test_window_ids_of_many_keys_keep_their_order(graph: Graph) -> None:
    asked = list(np.random.default_rng(1).permutation(NODES))
    assert graph.subgraph(asked).nodes["entity"].to_pylist() == asked


@pytest.mark.skipif(backends.load("gpu").can_run() is True, reason="RAPIDS is here")
def test_without_rapids_the_export_to_cugraph_says_what_is_missing(graph: Graph) -> None:
    with pytest.raises(DriverUnavailableError, match="cuGraph does not load"):
        graph.to_cugraph()
