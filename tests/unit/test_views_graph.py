"""The graph and entity views on a workspace made by hand, in which every figure can be counted."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from workbench.engine import Engine
from workbench.errors import UnknownNameError, UsageError
from workbench.views import Selection
from workbench.views._graph_layout import place
from workbench.views._graph_picture import Edge, Node, Picture, legend
from workbench.views.entity import EntityView
from workbench.views.graph import GraphView

if TYPE_CHECKING:
    from pathlib import Path

EVIL = "<img src=x onerror=alert(1)>"

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: tiny}
spec:
  timezone: Europe/Berlin
  entities: {person: {who: true}, page: {}, country: {attribute: true}}
  edges:
    Saw: {from: person, to: page}
    LivesIn: {from: person, to: country}
  events:
    Click:
      entities: {person: person, page: page, country: country}
      edges:
        - {type: Saw, from: person, to: page}
        - {type: LivesIn, from: person, to: country}
"""

# ann saw home twice and shop once, bob shop and cart, cleo only the page with the odd name
CLICKS = [
    ("2025-06-10T08:00:00Z", "ann", "home", "de"),
    ("2025-06-10T09:00:00Z", "ann", "home", "de"),
    ("2025-06-11T08:00:00Z", "ann", "shop", "de"),
    ("2025-06-11T09:00:00Z", "bob", "shop", "de"),
    ("2025-06-12T08:00:00Z", "bob", "cart", "de"),
    ("2025-06-12T09:00:00Z", "cleo", EVIL, "fr"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("views")
    (folder / "tiny.yaml").write_text(SCHEMA)
    columns = zip(*CLICKS, strict=True)
    table = pa.table(dict(zip(("time", "person", "page", "country"), columns, strict=True)))
    with Engine.create(folder / "w", schema=folder / "tiny.yaml") as engine:
        engine.ingest(table, type="Click")
    return folder / "w"


@pytest.fixture
def db(root: Path) -> Engine:
    return Engine(root)


def names(view: GraphView) -> set[str]:
    return set(view.to_arrow()["entity"].to_pylist())


class TestNeighbourhood:
    def test_one_hop_is_what_the_graph_says(self, db: Engine) -> None:
        view = db.view("graph", around=["person:ann"])
        assert names(view) == {"person:ann", "page:home", "page:shop", "country:de"}
        weights = {(e["source"], e["target"]): e["weight"] for e in view.edges().to_pylist()}
        assert weights[("person:ann", "page:home")] == 2

    @pytest.mark.parametrize("hops", [1, 2, 3])
    def test_it_agrees_with_a_walk_of_the_graph(self, db: Engine, hops: int) -> None:
        found = db.graph.around("person:ann", hops)
        view = found.view()
        assert names(view) == set(found.nodes["entity"].to_pylist())
        assert view.edges().num_rows == found.edges.num_rows
        assert view.state == {"around": ["person:ann"], **({"hops": hops} if hops > 1 else {})}

    def test_the_limit_keeps_the_heaviest_and_counts_the_others(self, db: Engine) -> None:
        view = db.view("graph", around=["person:ann"], limit=1)
        assert names(view) == {"person:ann", "country:de"}
        assert "+2 hidden" in view.data().picture.note

    def test_filters(self, db: Engine) -> None:
        assert names(db.view("graph", around=["person:ann"], entity_types=["page"], min_weight=2)) == {
            "person:ann",
            "page:home",
        }
        assert names(db.view("graph", around=["person:ann"], edge_types=["LivesIn"])) == {
            "person:ann",
            "country:de",
        }

    def test_a_range_of_time_cuts_the_graph_to_its_days(self, db: Engine) -> None:
        day = {"since": "2025-06-11T00:00:00+00:00", "until": "2025-06-12T00:00:00+00:00"}
        view = db.view("graph", around=["person:ann"], **day)
        assert names(view) == {"person:ann", "page:shop", "country:de"}
        with pytest.raises(UnknownNameError, match="cleo"):
            db.view("graph", around=["person:cleo"], **day).data()

    def test_expanding_and_collapsing_are_each_other_s_reverse(self, db: Engine) -> None:
        view = db.view("graph", around=["person:ann"])
        before = names(view)
        view._ask({"kind": "expand", "node": "page:shop"})
        assert names(view) == before | {"person:bob"}
        view._ask({"kind": "expand", "node": "person:bob"})
        assert "page:cart" in names(view)
        view._ask({"kind": "collapse", "node": "person:bob"})
        view._ask({"kind": "collapse", "node": "page:shop"})
        assert names(view) == before
        view._ask({"kind": "collapse", "node": "person:ann"})
        assert names(view) == {"person:ann"}
        assert "+3 hidden" in view.data().picture.note
        view._ask({"kind": "expand", "node": "person:ann"})
        assert names(view) == before

    def test_what_is_on_the_screen_stays_where_it_is(self, db: Engine) -> None:
        view = db.view("graph", around=["person:ann"])
        before = {n.id: (n.x, n.y) for n in view.data().picture.nodes}
        view._ask({"kind": "expand", "node": "page:shop"})
        after = {n.id: (n.x, n.y) for n in view.data().picture.nodes}
        assert {name: after[name] for name in before} == before


class TestOtherPictures:
    def test_paths(self, db: Engine) -> None:
        view = db.view("graph", around=["person:ann", "page:cart"], show="paths")
        assert names(view) == {"person:ann", "page:shop", "person:bob", "page:cart"}
        assert view.edges().num_rows == 3
        with pytest.raises(UsageError, match="no path joins"):
            db.view("graph", around=["person:ann", "person:cleo"], show="paths").data()
        with pytest.raises(UsageError, match="two entities"):
            db.view("graph", around=["person:ann"], show="paths").data()

    def test_paths_go_along_what_the_filters_keep_alone(self, db: Engine) -> None:
        ends = {"around": ["person:ann", "page:cart"], "show": "paths"}
        assert names(db.view("graph", **ends, entity_types=["person", "page"])) == names(
            db.view("graph", **ends)
        )
        for filters in ({"entity_types": ["country"]}, {"min_weight": 1_000}, {"direction": "out"}):
            with pytest.raises(UsageError, match="no path joins"):
                db.view("graph", **ends, **filters).data()
        heavy = pl.DataFrame(db.view("graph", **ends).edges())["weight"].min()
        assert names(db.view("graph", **ends, min_weight=heavy)) == names(db.view("graph", **ends))

    def test_what_is_shared_is_joined_by_what_the_filters_keep(self, db: Engine) -> None:
        both = {"around": ["person:ann", "person:bob"], "show": "shared"}
        assert db.view("graph", **both).edges().num_rows
        none = db.view("graph", **both, min_weight=1_000).data()
        assert [node.id for node in none.picture.nodes] == both["around"]

    def test_a_path_is_viewed_as_it_is(self, db: Engine) -> None:
        found = db.graph.path("person:ann", "page:cart")
        view = found.view()
        assert view.to_arrow()["entity"].to_pylist() == found.nodes["entity"].to_pylist()
        assert view.edges().num_rows == found.edges.num_rows
        with pytest.raises(UsageError, match="nothing to show"):
            db.graph.path("person:ann", "person:cleo").view()

    def test_shared_entities(self, db: Engine) -> None:
        view = db.view("graph", around=["person:ann", "person:bob"], show="shared")
        assert names(view) == {"person:ann", "person:bob", "page:shop"}

    def test_a_subgraph_of_no_workspace_has_no_view(self, db: Engine) -> None:
        from workbench.graph import Graph

        found = Graph(db.graph.window, db.schema).subgraph(["person:ann"])
        with pytest.raises(UsageError, match="no open workspace"):
            found.view()

    def test_the_overview_is_of_types_until_communities_are_known(self, db: Engine) -> None:
        view = db.view("graph")
        data = view.data()
        assert {n.id: n.label for n in data.picture.nodes} == {
            "person": "person",
            "page": "page",
            "country": "country",
        }
        assert sum(row["size"] for row in view.to_arrow().to_pylist()) == len(db.graph)
        assert {e["type"]: e["weight"] for e in view.edges().to_pylist()} == {"Saw": 6, "LivesIn": 6}
        view._choose(["page"])
        assert db.selection.entities == ()
        view._ask({"kind": "expand", "node": "page"})
        assert len(view["around"]) == 4


class TestGraphSelection:
    def test_a_selection_made_elsewhere_moves_the_picture(self, db: Engine) -> None:
        selection = Selection()
        selection.select("person:ann")
        view = GraphView(db, selection)
        assert "page:home" in names(view)
        selection.select("page:shop")
        assert view["around"] == ["person:ann"]
        assert view.is_read
        selection.select("person:cleo")
        view.data()
        assert view["around"] == ["person:cleo"]

    def test_a_click_selects_and_leaves_the_time(self, db: Engine) -> None:
        selection = Selection()
        selection.select(since="2025-06-10")
        GraphView(db, selection, around=["person:ann"])._choose(["page:home"])
        assert selection.state == {"entities": ["page:home"], "since": "2025-06-10T00:00:00+00:00"}


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"around": ["person:ann"], "hops": 2, "color": "community", "size": "edges"},
        {"around": ["person:ann", "person:bob"], "show": "shared"},
        {"around": ["person:ann"], "expanded": ["page:shop"], "collapsed": ["country:de"]},
    ],
)
def test_a_graph_view_comes_back_from_its_state(db: Engine, state: dict[str, Any]) -> None:
    view = GraphView(db, **state)
    again = GraphView(db, **view.state)
    assert again.to_arrow().equals(view.to_arrow())
    assert again.data().picture == view.data().picture


@pytest.mark.parametrize(
    "state",
    [
        {"around": ["person:ann"], "hops": 2},
        {"around": ["person:ann", "page:cart"], "show": "paths"},
        {"around": ["person:ann", "person:bob"], "show": "shared"},
        {"around": ["person:ann"], "since": "2025-06-11"},
        {"around": ["person:ann"], "entity_types": ["page"], "edge_types": ["Saw"], "limit": 1},
        {"around": ["person:ann"], "expanded": ["page:shop"], "collapsed": ["country:de"]},
        {"around": ["person:ann", "person:bob"], "show": "exactly"},
        {},
    ],
)
def test_the_python_of_a_graph_view_gives_what_is_shown(db: Engine, state: dict[str, Any]) -> None:
    db.selection.select("person:cleo")
    view = GraphView(db, Selection(), **state)
    found = eval(view.to_python(), {"db": db})  # noqa: S307  (the code that the view shows)
    db.selection.clear()
    assert found.nodes["entity"].to_pylist() == [node.id for node in view.data().picture.nodes]
    assert found.edges.equals(view.edges())


def test_names_are_escaped_in_every_static_form(db: Engine) -> None:
    view = GraphView(db, around=["person:cleo"])
    svg = view.downloads()["graph.svg"]().decode()
    for markup in (view.to_html(), svg, EntityView(db, entity="person:cleo").to_html()):
        assert EVIL not in markup
        assert "&lt;img" in markup
    assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314  (our own)
    assert b"page:%3Cimg" in view.downloads()["graph.graphml"]()


def test_a_picture_says_what_it_does_not_draw() -> None:
    nodes = tuple(Node(f"n{i}", f"n{i}", "thing", float(i), 0.0) for i in range(200))
    html = Picture(nodes, (Edge("n0", "n1", "next"),), "Two hundred.").to_html()
    assert html.count("<title>") == 150
    assert "50 smaller nodes are not drawn here." in html


def test_edges_of_one_pair_lie_beside_each_other() -> None:
    nodes = (Node("a", "a", "t"), Node("b", "b", "t"))
    edges = (Edge("a", "b", "x"), Edge("a", "b", "y"), Edge("b", "a", "z"))
    curves = {e["kind"]: e["curve"] for e in Picture(nodes, edges).to_json()["edges"]}
    # seen from a, an edge from b bends the other way
    assert sorted([curves[0], curves[1], -curves[2]]) == [-0.22, 0.0, 0.22]


def test_a_legend_has_a_colour_for_each_and_grey_for_those_beyond() -> None:
    entries = legend([f"t{i:02}" for i in range(12)])
    assert [e["light"] for e in entries[8:]] == [entries[8]["light"]] * 4
    assert len({e["light"] for e in entries[:9]}) == 9


@pytest.mark.parametrize("nodes", [0, 1, 2, 40, 200])
def test_a_layout_is_finite_and_the_same_every_time(nodes: int) -> None:
    rng = np.random.default_rng(7)
    edges = rng.integers(0, max(nodes, 1), (2 * nodes, 2))
    spots = place(edges, np.full((nodes, 2), np.nan))
    assert spots.shape == (nodes, 2)
    assert np.isfinite(spots).all()
    assert np.array_equal(spots, place(edges, np.full((nodes, 2), np.nan)))


class TestEntity:
    def test_the_page_has_every_piece_or_says_why_not(self, db: Engine) -> None:
        view = db.view("entity", entity="person:ann")
        rows = view.to_arrow().to_pylist()
        told = {(r["section"], r["name"], r["value"]) for r in rows}
        assert ("entity", "sightings", "3") in told
        assert ("neighbour", "page:home", "2") in told
        assert sum(int(r["value"]) for r in rows if r["section"] == "timeline") == 3
        assert len([r for r in rows if r["section"] == "event"]) == 3
        html = view.to_html()
        for kind in ("clusters", "anomalies", "pagerank", "communities"):
            assert f"<dt>{kind}</dt><dd class='soft'>not computed yet</dd>" in html
            assert f"Compute {kind}" in view.actions(view.data())

    def test_an_attribute_lacks_nothing_that_is_never_computed_of_it(self, db: Engine) -> None:
        assert db.view("entity", entity="country:de").data().missing == ()

    def test_the_time_that_is_selected_bounds_events_and_timeline(self, db: Engine) -> None:
        view = EntityView(db, Selection(), entity="person:ann", since="2025-06-11")
        assert view.data().events.height == 1
        assert view.data().timeline["events"].sum() == 1

    def test_it_goes_where_the_selection_leads(self, db: Engine) -> None:
        selection = Selection()
        view = EntityView(db, selection)
        assert "No entity is selected" in view.to_html()
        selection.select("person:bob")
        assert "bob" in view.to_html()
        view._go("page:cart")
        assert selection.entities == ("page:cart",)
        assert view.data().entity.name == "page:cart"
        assert EntityView(db, **view.state).state == view.state

    def test_an_unknown_one_suggests_the_near_miss(self, db: Engine) -> None:
        with pytest.raises(UnknownNameError, match="person:ann"):
            db.view("entity", entity="person:anne").data()

    def test_its_python_runs(self, db: Engine) -> None:
        scope: dict[str, Any] = {"db": db}
        exec(db.view("entity", entity="person:ann").to_python(), scope)  # noqa: S102
        assert scope["entity"].name == "person:ann"


def test_an_action_computes_what_was_missing(root: Path, tmp_path: Path) -> None:
    import shutil

    from workbench.views import Job

    db = Engine(shutil.copytree(root, tmp_path / "w"))
    view = db.view("graph", around=["person:ann"], color="community")
    assert "ranks are not computed yet" in view.data().picture.note
    for work in view.actions(view.data()).values():
        work(Job())
    assert view.actions(view.data()) == {}
    kinds = {n.id: n.kind for n in view.data().picture.nodes}
    assert kinds["country:de"] == "in no community"
    assert kinds["person:ann"] == kinds["page:home"]
    assert kinds["person:ann"].startswith("community ")
    assert view.data().nodes["rank"].null_count() == 1  # an attribute has none
    overview = db.view("graph")
    assert {n.kind for n in overview.data().picture.nodes} <= {"mostly page", "mostly person"}
    overview._ask({"kind": "expand", "node": overview.data().picture.nodes[0].id})
    assert set(overview["around"]) == set(overview.to_arrow()["entity"].to_pylist())


def test_a_layout_leaves_no_node_on_another_and_moves_none_that_is_on_the_screen() -> None:
    edges = np.array([[0, n] for n in range(1, 60)])
    spots = place(edges, np.full((60, 2), np.nan))
    wide = np.ptp(spots, axis=0).max()
    near = np.hypot(*(spots[:, None] - spots[None]).transpose(2, 0, 1)) + np.eye(60) * wide
    assert near.min() > 0.02 * wide
    known = np.vstack([spots, [[np.nan, np.nan]] * 20])
    grown = place(np.vstack([edges, [[1, n] for n in range(60, 80)]]), known)
    assert np.array_equal(grown[:60], spots)
    near = np.hypot(*(grown[:, None] - grown[None]).transpose(2, 0, 1)) + np.eye(80) * wide
    assert near.min() > 0.02 * wide


def test_colours_stay_while_a_picture_grows(db: Engine) -> None:
    view = db.view("graph", around=["page:home"])
    before = {entry["name"]: entry["light"] for entry in view.data().picture.kinds}
    view._ask({"kind": "expand", "node": "person:ann"})
    view._ask({"kind": "expand", "node": "country:de"})
    after = {entry["name"]: entry["light"] for entry in view.data().picture.kinds}
    assert len(after) > len(before) > 1
    assert {name: after[name] for name in before} == before


def test_the_note_says_which_types_the_walk_did_not_pass(db: Engine) -> None:
    assert "not through" not in db.view("graph", around=["person:ann"]).data().picture.note
    assert "not through country" in db.view("graph", around=["person:ann"], hops=2).data().picture.note
    view = db.view("graph", around=["person:ann"], hops=2, through=["country"])
    assert "not through" not in view.data().picture.note
