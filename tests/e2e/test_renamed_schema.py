"""No name of the flights schema is known to the code: renamed throughout, everything works and agrees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from ruamel.yaml import YAML

from workbench.analysis import tasks
from workbench.config.entity_schema import shipped_schemas
from workbench.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.knowledge import Knowledge

TYPES = {
    "aircraft": "plane",
    "airport": "field_place",
    "carrier": "line",
    "flight": "service",
    "manufacturer": "works",
    "model": "pattern",
}
ROLES = {**TYPES, "origin": "start", "dest": "goal"}
EDGES = {
    "DepartedFrom": "Left",
    "ArrivedAt": "Reached",
    "OperatedBy": "RunBy",
    "BuiltBy": "From",
    "OfModel": "Pattern",
    "Serves": "CallsAt",
    "FliesFrom": "Begins",
    "FliesTo": "Ends",
}
COLUMNS = {
    "tailnum": "tail",
    "carrier": "company",
    "flight": "number",
    "origin": "whence",
    "dest": "whither",
    "faa": "code",
    "manufacturer": "maker",
    "model": "design",
    "name": "title",
    "time": "moment",
}
EVENTS = {"Departure": "Takeoff", "Arrival": "Landing", "Cancellation": "Void", "Weather": "Sky"}
REFERENCES = {"planes": "fleet", "airports": "places", "airlines": "companies"}


def _rule(rule: Any, columns: dict[str, str]) -> dict[str, Any]:
    """Return an entity rule in its long form with other columns; properties keep their names."""
    rule = {"fields": rule} if isinstance(rule, str | list) else dict(rule)
    for key in ("fields", "join"):
        if key in rule:
            names = [rule[key]] if isinstance(rule[key], str) else rule[key]
            rule[key] = [columns.get(name, name) for name in names]
    if "type" in rule:
        rule["type"] = TYPES[rule["type"]]
    if "properties" in rule:
        rule["properties"] = {name: columns.get(name, name) for name in rule["properties"]}
    return rule


def _event(event: dict[str, Any], columns: dict[str, str]) -> dict[str, Any]:
    roles = {}
    for role, rule in event["entities"].items():
        roles[ROLES[role]] = _rule(rule, columns)
    edges = [
        {"type": EDGES[e["type"]], "from": ROLES[e["from"]], "to": ROLES[e["to"]]}
        for e in event.get("edges", ())
    ]
    return {"entities": roles, "edges": edges}


def _renamed(columns: dict[str, str], names: dict[str, str]) -> dict[str, Any]:
    document = YAML(typ="safe").load(Path(shipped_schemas()["flights"]).read_text())
    spec = document["spec"]
    spec["timestamp"]["fields"] = [columns.get(f, f) for f in spec["timestamp"]["fields"]]
    spec["fields"]["strings"] = [columns.get(f, f) for f in spec["fields"]["strings"]]
    spec["entities"] = {
        TYPES[name]: {k: v for k, v in kind.items() if k in ("who", "attribute", "label")}
        for name, kind in spec["entities"].items()
    }
    spec["edges"] = {
        EDGES[name]: {"from": TYPES[edge["from"]], "to": TYPES[edge["to"]]}
        for name, edge in spec["edges"].items()
    }
    for term in spec.get("terms", {}).values():
        term |= {
            part: [names.get(n, n) for n in term[part]] for part in ("events", "outcomes") if part in term
        }
    for group in ("events", "references"):
        spec[group] = {names.get(n, n): _event(e, columns) for n, e in spec[group].items()}
    return document


@pytest.fixture(scope="module")
def sources(flights_between: Callable[[str, str], Path]) -> Path:
    return flights_between("2013-02-04", "2013-02-14")


@pytest.fixture(scope="module")
def original(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    engine = Engine.create(tmp_path_factory.mktemp("original") / "w", schema="flights")
    engine.ingest(sources)
    return engine


@pytest.fixture(scope="module", params=["the schema's names", "the sources' names too"])
def renamed(
    request: pytest.FixtureRequest, sources: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Engine, dict[str, str], dict[str, str]]:
    """The engine, and what columns and event types are called in it."""
    root = tmp_path_factory.mktemp("renamed")
    columns, names = ({}, {}) if request.param == "the schema's names" else (COLUMNS, EVENTS | REFERENCES)
    if columns:
        for path in sources.rglob("*.parquet"):
            frame = pl.read_parquet(path)
            folder = names.get(path.parent.name, path.parent.name)
            copy = root / "sources" / folder / f"{names.get(path.stem, path.stem)}.parquet"
            copy.parent.mkdir(parents=True, exist_ok=True)
            frame.rename(columns, strict=False).write_parquet(copy)
        sources = root / "sources"
    with (root / "schema.yaml").open("w") as file:
        YAML().dump(_renamed(columns, names), file)
    engine = Engine.create(root / "w", schema=root / "schema.yaml")
    engine.ingest(sources)
    return engine, columns, names


Renamed = tuple[Engine, dict[str, str], dict[str, str]]


def _entity(name: str) -> str:
    type_, key = name.split(":", 1)
    return f"{TYPES[type_]}:{key}"


def _nodes(engine: Engine, rename: bool) -> dict[str, tuple[Any, ...]]:
    return {
        _entity(r["entity"]) if rename else r["entity"]: (
            r["label"], r["sightings"], r["first_seen"], r["last_seen"],
        )
        for r in engine.graph.nodes().to_pylist()
    }  # fmt: skip


def _edges(engine: Engine, rename: bool) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    found = {}
    for r in engine.graph.edges().to_pylist():
        key = (r["source"], r["type"], r["target"])
        if rename:
            key = (_entity(r["source"]), EDGES[r["type"]], _entity(r["target"]))
        found[key] = (r["weight"], r["first_seen"], r["last_seen"])
    return found


def test_the_graph_is_the_same(renamed: Renamed, original: Engine) -> None:
    engine, _, _ = renamed

    assert _nodes(engine, rename=False) == _nodes(original, rename=True)
    assert _edges(engine, rename=False) == _edges(original, rename=True)
    assert len(engine.graph) > 4_000


def test_walks_and_paths_are_the_same(renamed: Renamed, original: Engine) -> None:
    engine, _, _ = renamed
    there = original.graph.around("aircraft:N14228", hops=2)
    here = engine.graph.around("plane:N14228", hops=2)

    assert sorted(here.nodes["entity"].to_pylist()) == sorted(map(_entity, there.nodes["entity"].to_pylist()))
    assert here.edges.num_rows == there.edges.num_rows


def test_an_entity_s_page_is_the_same(renamed: Renamed, original: Engine) -> None:
    engine, columns, names = renamed
    here, there = engine.entity("plane:N14228"), original.entity("aircraft:N14228")

    assert here.properties == there.properties != {}
    events = {old: names.get(old, old) for old in EVENTS}
    expected = there.timeline().with_columns(pl.col("event_type").replace(events))
    assert here.timeline().sort("period", "event_type").equals(expected.sort("period", "event_type"))
    assert here.neighbours().num_rows == there.neighbours().num_rows
    assert engine.entity("line:UA").facts["label"] == "United Air Lines Inc."
    newest = here.events(1).row(0, named=True)
    assert newest[columns.get("tailnum", "tailnum")] == "N14228"


# What these tasks see of events are their texts; the renamed schema has no templates of texts.
OF_TEXTS = {"event_clusters", "similarity"}


@pytest.mark.parametrize("task", sorted(OF_TEXTS))
def test_a_task_of_texts_says_nothing_without_them(task: str, renamed: Renamed, original: Engine) -> None:
    assert renamed[0].compute(task, device="cpu").table.num_rows == 0
    assert original.compute(task, device="cpu").table.num_rows > 0


def _told(found: Knowledge) -> list[str]:
    """Return what metrics there are; edge types, which are renamed, by the kind of metric alone."""
    return sorted(name.partition(":")[0] for name in found.run.metrics)


@pytest.mark.parametrize("task", sorted({*tasks.names()} - OF_TEXTS))
def test_every_task_gives_the_same(task: str, renamed: Renamed, original: Engine) -> None:
    engine, _, _ = renamed
    here, there = engine.compute(task, device="cpu"), original.compute(task, device="cpu")

    assert here.table.column_names == there.table.column_names
    if task != "labels":  # of communities there may be some more or less
        assert here.table.num_rows == there.table.num_rows > 0
    assert _told(here) == _told(there)
    if "entity" not in here.table.column_names:
        return
    facts = dict(zip(here.table["entity"].to_pylist(), here.table.to_pylist(), strict=True))
    assert set(facts) == {_entity(name) for name in there.table["entity"].to_pylist()}
    if task == "pagerank":
        for row in there.table.to_pylist():
            assert facts[_entity(row["entity"])]["rank"] == pytest.approx(row["rank"], rel=1e-6)
    if task == "components":
        for row in there.table.to_pylist():
            assert facts[_entity(row["entity"])]["size"] == row["size"]
    if task == "anomalies":  # the order of event and edge types is another, and with it that of sums
        rows = there.table.to_pylist()
        off = [abs(facts[_entity(row["entity"])]["score"] - row["score"]) for row in rows]
        assert max(off) < 0.2
        assert sum(off) / len(off) < 0.02
    if task == "clusters":
        assert here.run.metrics["silhouette"] == pytest.approx(there.run.metrics["silhouette"], abs=0.02)
    if task == "communities":  # its order of nodes is another, and with it the local optimum
        assert here.run.metrics["modularity"] == pytest.approx(there.run.metrics["modularity"], abs=0.03)


def test_sql_gives_the_same(renamed: Renamed, original: Engine) -> None:
    engine, columns, names = renamed
    statement = """
        select {carrier}, month(_ts), count(*) from {Departure}
        where {origin} in ('JFK', 'EWR') group by all order by all"""
    here = {name: columns.get(name, name) for name in ("carrier", "origin")}
    here["Departure"] = names.get("Departure", "Departure")

    found = engine.sql(statement.format(**here)).rows
    assert (
        found
        == original.sql(statement.format(carrier="carrier", origin="origin", Departure="Departure")).rows
    )
    assert len(found) > 10
    assert (
        engine.sql("select count(*) from entities where type = 'plane'").rows
        == original.sql("select count(*) from entities where type = 'aircraft'").rows
    )


def test_the_catalog_gives_the_same(renamed: Renamed, original: Engine) -> None:
    engine, columns, names = renamed

    def shape(catalog: Any, fields: dict[str, str], events: dict[str, str]) -> set[tuple[Any, ...]]:
        return {
            (events.get(e.name, e.name), fields.get(f.name, f.name), f.type)
            for e in catalog.event_types
            for f in e.fields
        }

    assert shape(engine.catalog, {}, {}) == shape(original.catalog, columns, names)
    assert {e.name: e.documents for e in engine.catalog.event_types} == {
        names.get(e.name, e.name): e.documents for e in original.catalog.event_types
    }
    assert {t.name for t in engine.catalog.entity_types} == set(TYPES.values())
    assert {t.name for t in engine.catalog.edge_types} == set(EDGES.values())
    for word in ("aircraft", "tailnum") if columns else ("aircraft", "DepartedFrom"):
        assert word not in engine.catalog.to_json()
