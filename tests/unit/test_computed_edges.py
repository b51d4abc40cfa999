"""Computed edges in the graph: what they are, when they are gone, and where they are seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from schemas import SHELVES
from typer.testing import CliRunner

from workbench.cli.app import app
from workbench.engine import Engine
from workbench.errors import UnknownNameError, UsageError
from workbench.knowledge.edges import TASKS
from workbench.knowledge.store import add
from workbench.vectors.entities import entity_vectors
from workbench.views.graph import GraphView

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORDS = ("garden", "sea", "war", "love", "cooking", "winter", "music", "stars")
READERS = 24


def loans(day: int, readers: range, seed: int) -> pa.Table:
    draw = np.random.default_rng(seed)
    rows = [
        {
            "time": f"2025-06-{day:02}T{n:02}:00:00Z",
            "reader": f"r {reader}",
            "book": f"b{draw.integers(6)}",
            "title": " ".join(draw.choice(WORDS, 2)),
        }
        for reader in readers
        for n in range(3)
    ]
    return pa.Table.from_pylist(rows)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "shelves.yaml").write_text(SHELVES)
    with Engine.create(tmp_path / "w", schema=tmp_path / "shelves.yaml") as engine:
        # the first and the last half of the readers on one day each, the middle on both
        engine.ingest(loans(10, range(16), 1), type="Loan")
        engine.ingest(loans(11, range(8, READERS), 2), type="Loan")
        yield engine


def pairs(table: pa.Table) -> set[tuple[str, str]]:
    return set(zip(table["source"].to_pylist(), table["target"].to_pylist(), strict=True))


def test_edges_are_those_of_brute_force(db: Engine) -> None:
    run = db.compute("similarity", k=4).run
    found = db.graph.edges("SimilarTo").to_pylist()
    vectors = entity_vectors(db.by_segment, "reader", db.vectors.window)
    names = [f"reader:r%20{key.removeprefix('r ')}" for key in vectors.keys]
    own = vectors.own()
    cosines = own @ own.T
    np.fill_diagonal(cosines, -2)
    assert len(names) == READERS
    for row, name in enumerate(names):
        mine = {edge["target"]: edge["weight"] for edge in found if edge["source"] == name}
        best = np.sort(cosines[row])[::-1][:4]
        assert sorted(mine.values(), reverse=True) == pytest.approx(
            [min(float(c), 1.0) for c in best if c > 0], abs=1e-5
        )
        for target, weight in mine.items():
            assert weight == pytest.approx(min(float(cosines[row, names.index(target)]), 1.0), abs=1e-5)
    assert {edge["computed"] for edge in found} == {run.id}
    assert {(edge["first_seen"], edge["last_seen"]) for edge in found} == {(None, None)}
    one = db.vectors.similar("reader:r 3", k=4).to_polars().filter(pl.col("score") > 0)
    around = db.graph.around("reader:r 3", edge_types=["SimilarTo"], direction="out")
    assert set(around.nodes["entity"].to_pylist()) == {"reader:r%203", *one["entity"]}


def test_walks_mix_them_with_counted_edges_where_both_are_named(db: Engine) -> None:
    before = db.graph.edges()
    db.compute("similarity", k=2)
    assert db.graph.edges().equals(before)
    assert db.sql("SELECT count(*) FROM edges WHERE type = 'SimilarTo'").to_polars().item() == 0
    assert db.sql("SELECT DISTINCT edge FROM knowledge.similarity").to_polars().item() == "SimilarTo"
    similar = pairs(db.graph.edges("SimilarTo"))
    source, target = min(similar)
    both = db.graph.subgraph([source, target], edge_types=["Read", "SimilarTo"]).edges
    assert set(both["type"].to_pylist()) == {"SimilarTo"}
    far = db.graph.around(source, hops=2, edge_types=["Read", "SimilarTo"])
    assert set(far.edges["type"].to_pylist()) == {"Read", "SimilarTo"}
    assert db.graph.path(source, target, edge_types=["SimilarTo"]).edges["type"].to_pylist() == ["SimilarTo"]
    books = db.graph.shared([source, target], edge_types=["Read"])
    assert set(books["type"].to_pylist()) <= {"book"}
    # a newer result takes the place of the one before
    db.compute("similarity", k=1)
    assert len(pairs(db.graph.edges("SimilarTo"))) < len(similar)


def test_compute_gets_them_where_they_are_named(db: Engine) -> None:
    db.compute("similarity", k=4)
    found = db.graph.edges("SimilarTo").to_pylist()
    edges, ids = db.graph.edge_list(min_weight=0, edge_types=["SimilarTo"])
    names = db.graph.entities_of(ids).to_pylist()
    sums: dict[frozenset[str], float] = {}
    for edge in found:
        ends = frozenset((edge["source"], edge["target"]))
        sums[ends] = sums.get(ends, 0.0) + edge["weight"]
    assert {
        frozenset((names[row["source"]], names[row["target"]])): pytest.approx(row["weight"])
        for row in edges.table.to_pylist()
    } == sums
    assert db.graph.edge_list()[0].table.equals(db.graph.edge_list(edge_types=["Read"])[0].table)


def test_what_was_not_computed_is_said(db: Engine) -> None:
    with pytest.raises(UnknownNameError, match=r"Run compute\('similarity'\) first"):
        db.graph.edges("SimilarTo")
    db.compute("similarity", k=2)
    with pytest.raises(UnknownNameError, match="Did you mean 'SimilarTo'"):
        db.graph.around("reader:r 3", edge_types=["SimilarT"])
    with pytest.raises(UnknownNameError, match="edge type 'Nothing'"):
        db.graph.around("reader:r 3", edge_types=["SimilarTo", "Nothing"])
    with pytest.raises(UsageError, match="of the whole window"):
        db.graph.since("2025-06-11").edges("SimilarTo")


def test_they_are_gone_with_a_day_that_they_are_of(db: Engine) -> None:
    db.ingest(loans(9, range(4), 3), type="Loan")
    db.compute("similarity", k=2, days=2)
    # of the day before the last two nothing was looked at
    db.evict("2025-06-09")
    known = pairs(db.graph.edges("SimilarTo"))
    db.evict("2025-06-10")
    with pytest.raises(UsageError, match=r"days that are not there any more. Run compute\('similarity'\)"):
        db.graph.edges("SimilarTo")
    with pytest.raises(UsageError, match="days that are not there any more"):
        db.graph.around("reader:r 12", edge_types=["Read", "SimilarTo"])
    assert db.graph.around("reader:r 12", edge_types=["Read"]).edges.num_rows
    db.compute("similarity", k=2, days=2)
    left = pairs(db.graph.edges("SimilarTo"))
    assert known - left
    assert {end for pair in left for end in pair} <= set(db.graph.nodes("reader")["entity"].to_pylist())
    assert db.knowledge.runs("similarity")[0].segments[0] == "2025-06-09"


def test_each_type_of_entities_has_its_newest_result(db: Engine) -> None:
    books = db.compute("similarity", type="book", k=1).run
    first = db.compute("similarity", k=2).run
    assert {edge["computed"] for edge in db.graph.edges("SimilarTo").to_pylist()} == {books.id, first.id}
    again = db.compute("similarity", type="reader", k=3).run
    found = db.graph.edges("SimilarTo").to_pylist()
    assert {edge["computed"] for edge in found} == {books.id, again.id}
    assert {edge["source"].partition(":")[0] for edge in found} == {"book", "reader"}
    # of what is left after a day has gone, the result that has been made again
    db.evict("2025-06-10")
    last = db.compute("similarity", k=2).run
    assert {edge["computed"] for edge in db.graph.edges("SimilarTo").to_pylist()} == {last.id}


def test_they_are_gone_with_an_entity_that_is_forgotten(db: Engine) -> None:
    db.compute("similarity", k=3)
    assert any("reader:r%2012" in pair for pair in pairs(db.graph.edges("SimilarTo")))
    db.forget("reader:r 12", apply=True)
    left = pairs(db.graph.edges("SimilarTo"))
    assert left
    assert not any("reader:r%2012" in pair for pair in left)


def test_a_result_that_does_not_tell_its_days_is_of_all_that_its_run_saw(db: Engine) -> None:
    run = db.compute("similarity", k=2).run
    table = db.knowledge.read("similarity").table
    for rows, edges in ((table.drop_columns(["first_day", "last_day", "days"]), 1), (table.slice(0, 0), 0)):
        with db.store.writer() as writer:
            transaction = writer.begin()
            transaction.remove(transaction.base.files("knowledge"))
            add(transaction, run, rows)
            transaction.commit()
        assert (db.refresh().graph.edges("SimilarTo").num_rows > 0) == edges
    assert len(db.graph.around("reader:r 3", edge_types=["SimilarTo"])) == 1
    db.evict("2025-06-10")
    with pytest.raises(UsageError, match="not there any more"):
        db.graph.edges("SimilarTo")


def test_a_type_of_the_schema_is_the_schemas(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(SHELVES.replace("Read", "SimilarTo"))
    with Engine.create(tmp_path / "w", schema=tmp_path / "own.yaml") as engine:
        engine.ingest(loans(10, range(4), 1), type="Loan")
        assert "computed" not in engine.graph.edges("SimilarTo").column_names
        assert engine.graph.edges("SimilarTo").num_rows


def test_the_view_and_the_command_show_them(db: Engine) -> None:
    assert set(TASKS) == {"CoOccursWith", "InCluster", "InCommunity", "SimilarTo"}
    assert "SimilarTo" not in GraphView(db).controls()["edge_types"].options
    db.compute("similarity", k=2)
    found = db.graph.around("reader:r 3", edge_types=["SimilarTo"])
    view: Any = found.view()
    assert "SimilarTo" in view.controls()["edge_types"].options
    cut = view.data().cut
    assert set(cut.edges["type"]) == {"SimilarTo"}
    assert set(cut.nodes["entity"]) == set(found.nodes["entity"].to_pylist())
    said = CliRunner().invoke(
        app, ["graph", "around", "reader:r 3", "--edge-type", "SimilarTo", "-w", str(db.path), "--json"]
    )
    assert said.exit_code == 0
    assert '"computed"' in said.stdout


def lent(readers: int) -> pa.Table:
    """Two circles of readers, each with books of its own, and one who reads alone."""
    rows = [
        {
            "time": f"2025-06-10T{n:02}:00:00Z",
            "reader": f"r{reader}",
            "book": f"{'even' if reader % 2 == 0 else 'odd'}{n}",
            "title": "read",
        }
        for reader in range(readers)
        for n in range(3)
    ]
    return pa.Table.from_pylist([*rows, {**rows[0], "reader": "alone", "book": "none"}])


@pytest.fixture
def circles(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "shelves.yaml").write_text(SHELVES)
    with Engine.create(tmp_path / "w", schema=tmp_path / "shelves.yaml") as engine:
        engine.ingest(lent(READERS), type="Loan")
        yield engine


def test_communities_are_entities_where_their_edges_are_named(circles: Engine) -> None:
    run = circles.compute("communities").run
    table = circles.knowledge.read("communities").to_polars().filter(pl.col("size") > 1)
    assert table["community"].n_unique() == 3
    expected = {(e, f"community:{c}") for e, c in table.select("entity", "community").rows()}
    found = circles.graph.edges("InCommunity")
    assert pairs(found) == expected
    assert set(found["computed"].to_pylist()) == {run.id}
    mine = circles.graph.around("reader:r2", hops=2, edge_types=["InCommunity"])
    home = dict(expected)["reader:r2"]
    assert set(mine.nodes["entity"].to_pylist()) == {home, *(e for e, c in expected if c == home)}
    told = circles.graph.with_edges(["InCommunity"]).node(home)
    assert (told["type"], told["sightings"], told["segments"], told["last_seen"]) == ("community", 0, 0, None)
    # counted edges and their times keep their ends
    both = circles.graph.around("reader:r2", hops=1, edge_types=["InCommunity", "Read"]).edges.to_pylist()
    seen = circles.graph.around("reader:r2", hops=1, edge_types=["Read"]).edges.to_pylist()
    assert [{k: v for k, v in e.items() if k != "computed"} for e in both if e["type"] == "Read"] == seen
    with pytest.raises(UnknownNameError, match="entity type"):
        circles.graph.around(home)


def test_clusters_and_communities_stand_beside_one_another(circles: Engine) -> None:
    circles.compute("communities")
    circles.compute("clusters", fewest=2, most=3)
    clusters = circles.knowledge.read("clusters").to_polars().filter(pl.col("size") > 1)
    graph = circles.graph.with_edges(["InCluster", "InCommunity"])
    assert pairs(graph.edges("InCluster")) == {
        (e, f"cluster:{c}") for e, c in clusters.select("entity", "cluster").rows()
    }
    names = circles.graph.nodes()["entity"].to_pylist()
    groups = {name for ends in pairs(graph.edges()) for name in ends} - set(names)
    assert set(graph.nodes()["entity"].to_pylist()) == {*names, *groups}
    assert {name.partition(":")[0] for name in groups} == {"cluster", "community"}
    properties = {name: graph.node(name)["properties"] for name in names}
    assert properties == {name: circles.graph.node(name)["properties"] for name in names}


def test_what_goes_together_is_joined_by_how_much(circles: Engine) -> None:
    circles.compute("cooccurrence")
    table = circles.knowledge.read("cooccurrence").to_polars().filter(pl.col("npmi") > 0)
    assert table.height
    found = circles.graph.edges("CoOccursWith").to_pylist()
    assert {(e["source"], e["target"]): e["weight"] for e in found} == {
        (a, b): pytest.approx(min(w, 1.0)) for a, b, w in table.select("first", "second", "npmi").rows()
    }
    books = circles.graph.around("book:even0", edge_types=["CoOccursWith"]).nodes["entity"].to_pylist()
    assert set(books) == {"book:even0", "book:even1", "book:even2"}


@pytest.mark.parametrize("task", ["communities", "clusters"])
def test_groups_are_gone_with_a_day_that_they_are_of(db: Engine, task: str) -> None:
    db.compute(task)
    (type_,) = (name for name, made_by in TASKS.items() if made_by == task)
    assert db.graph.edges(type_).num_rows
    db.evict("2025-06-10")
    with pytest.raises(UsageError, match="days that are not there any more"):
        db.graph.edges(type_)


def test_who_is_forgotten_is_in_no_group(circles: Engine) -> None:
    for task in ("communities", "clusters"):
        circles.compute(task)
    circles.forget("reader:r2", apply=True)
    for type_ in ("InCluster", "InCommunity"):
        left = {source for source, _ in pairs(circles.graph.edges(type_))}
        assert "reader:r4" in left
        assert "reader:r2" not in left


def test_an_entity_type_of_the_schema_is_the_schemas(tmp_path: Path) -> None:
    own = SHELVES.replace("book: {}", "community: {}").replace("to: book", "to: community")
    (tmp_path / "own.yaml").write_text(own.replace("book: book", "community: book"))
    with Engine.create(tmp_path / "w", schema=tmp_path / "own.yaml") as engine:
        engine.ingest(lent(4), type="Loan")
        engine.compute("communities")
        with pytest.raises(UnknownNameError, match="InCommunity"):
            engine.graph.edges("InCommunity")
