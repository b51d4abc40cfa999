"""The catalog's figures against the source files, its three forms, its search, and damaged files."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import polars as pl
import pytest

from workbench.catalog.text import LINES, WIDTH
from workbench.engine import Engine
from workbench.errors import UsageError
from workbench.samples.flights import TIMEZONE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from workbench.catalog import Catalog
    from workbench.catalog.model import EventType, Field

# The blizzard of 8 and 9 February, with a day before and after it.
FIRST, LAST = "2013-02-07", "2013-02-10"
TASKS = ("components", "communities")


@pytest.fixture(scope="module")
def sources(flights_between: Callable[[str, str], Path]) -> Path:
    return flights_between(FIRST, LAST)


@pytest.fixture(scope="module")
def logs(sources: Path) -> dict[str, pl.DataFrame]:
    names = ("Departure", "Arrival", "Cancellation", "Weather")
    return {name: pl.read_parquet(sources / name / "*.parquet") for name in names}


@pytest.fixture(scope="module")
def engine(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    engine = Engine.create(tmp_path_factory.mktemp("catalog") / "flights", schema="flights")
    engine.ingest(sources)
    for task in TASKS:
        engine.compute(task)
    return engine


@pytest.fixture(scope="module")
def catalog(engine: Engine) -> Catalog:
    return engine.catalog


@pytest.fixture
def small(sources: Path, tmp_path: Path) -> Engine:
    """Return a workspace of one day that a test may damage."""
    engine = Engine.create(tmp_path / "small", schema="flights")
    engine.ingest(*(sources / name / f"{FIRST}.parquet" for name in ("Departure", "Cancellation")))
    return engine


def field_of(catalog: Catalog, event: str, name: str) -> Field:
    (found,) = (f for f in event_of(catalog, event).fields if f.name == name)
    return found


def event_of(catalog: Catalog, name: str) -> EventType:
    (found,) = (e for e in catalog.event_types if e.name == name)
    return found


def touch(engine: Engine, kind: str, change: bytes | None) -> int:
    """Delete the files of a kind, or overwrite the start of their bytes; return how many there are."""
    entries = engine.snapshot.files(kind)
    for entry in entries:
        path = engine.path / entry.path
        if change is None:
            path.unlink()
        else:
            path.write_bytes(change + path.read_bytes()[len(change) :])
    return len(entries)


class Elements(HTMLParser):
    """Checks that elements are closed in order and keeps their names and attributes."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


# figures


def test_event_types_have_the_documents_and_times_of_the_sources(
    catalog: Catalog, logs: Mapping[str, pl.DataFrame]
) -> None:
    total = sum(log.height for log in logs.values())
    assert catalog.workspace.documents == total
    for name, log in logs.items():
        event = event_of(catalog, name)
        assert event.documents == log.height
        assert event.share == log.height / total
        assert (event.first, event.last) == (log["time"].min(), log["time"].max())
    assert (
        event_of(catalog, "Cancellation").documents
        == 472
        + 393
        + logs["Cancellation"]
        .filter(
            ~pl.col("time")
            .dt.convert_time_zone(TIMEZONE)
            .dt.date()
            .is_in([date(2013, 2, 8), date(2013, 2, 9)])
        )
        .height
    )


def test_events_over_time_are_counted_in_local_hours_days_or_months(
    catalog: Catalog, logs: Mapping[str, pl.DataFrame]
) -> None:
    for name, log in logs.items():
        series = event_of(catalog, name).counts
        local = pl.col("time").dt.convert_time_zone(TIMEZONE).dt.truncate("1d")
        expected = dict(log.group_by(local.alias("day")).len().iter_rows())
        assert series.period == "day"
        assert {s: n for s, n in zip(series.starts, series.events, strict=True) if n} == expected
        assert all(start.hour == 0 for start in series.starts)


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("Departure", "carrier"),
        ("Departure", "tailnum"),
        ("Departure", "dep_delay"),
        ("Cancellation", "tailnum"),
        ("Weather", "wind_gust"),
        ("Weather", "temp"),
    ],
)
def test_fields_have_the_nulls_extremes_and_cardinality_of_the_sources(
    catalog: Catalog, logs: Mapping[str, pl.DataFrame], event: str, name: str
) -> None:
    found, column = field_of(catalog, event, name), logs[event][name]
    assert found.nulls == column.null_count()
    assert found.null_share == column.null_count() / len(column)
    exact = column.drop_nulls().n_unique()
    if found.estimated:
        assert abs(found.distinct - exact) < 0.15 * exact
    else:
        assert found.distinct == exact
    number = float if column.dtype.is_numeric() else str
    assert (number(found.minimum or ""), number(found.maximum or "")) == (column.min(), column.max())


def test_an_estimate_is_marked_and_a_count_is_not(catalog: Catalog) -> None:
    assert field_of(catalog, "Departure", "tailnum").estimated
    assert not field_of(catalog, "Departure", "dest").estimated
    assert re.search(r">tailnum</td>.*?about 1,\d{3}</td>", catalog.to_html())


def test_top_values_are_exact_or_the_least_that_they_can_be(
    catalog: Catalog, logs: Mapping[str, pl.DataFrame]
) -> None:
    carriers = logs["Departure"]["carrier"].value_counts().iter_rows()
    exact = field_of(catalog, "Departure", "carrier")
    assert exact.top_exact
    assert dict(exact.top) == dict(carriers)
    bounded = field_of(catalog, "Departure", "tailnum")
    assert not bounded.top_exact
    counted = dict(logs["Departure"]["tailnum"].value_counts().iter_rows())
    assert all(least <= counted[value] for value, least in bounded.top)


def test_a_key_field_says_which_entities_it_names(catalog: Catalog) -> None:
    assert field_of(catalog, "Departure", "tailnum").entities == ("aircraft",)
    assert field_of(catalog, "Departure", "carrier").entities == ("carrier", "flight")
    assert field_of(catalog, "Departure", "dep_delay").entities == ()


def test_entity_types_have_their_counts_samples_and_properties(
    catalog: Catalog, logs: Mapping[str, pl.DataFrame], sources: Path
) -> None:
    flown = pl.concat([logs[n].select("tailnum") for n in ("Departure", "Arrival", "Cancellation")])
    seen = flown.drop_nulls().group_by("tailnum").len().sort("len", "tailnum", descending=[True, False])
    found = {entity.name: entity for entity in catalog.entity_types}
    aircraft = found["aircraft"]
    assert (aircraft.count, aircraft.sightings) == (seen.height, seen["len"].sum())
    assert (aircraft.who, found["carrier"].attribute, found["airport"].attribute) == (True, True, False)
    assert [s.sightings for s in aircraft.samples] == seen["len"].head(5).to_list()
    planes = pl.read_parquet(sources / "reference" / "planes.parquet")
    known = seen.join(planes.filter(pl.col("year").is_not_null()), on="tailnum", how="semi").height
    (year,) = (p for p in aircraft.properties if p.name == "year")
    assert (year.entities, year.coverage) == (known, known / seen.height)
    assert found["airport"].samples[0].label == "Newark Liberty Intl"


def test_edge_types_have_their_counts_weights_and_ends(
    catalog: Catalog, logs: Mapping[str, pl.DataFrame]
) -> None:
    (edge,) = (e for e in catalog.edge_types if e.name == "DepartedFrom")
    left = logs["Departure"].select("tailnum", "origin").drop_nulls()
    assert (edge.source, edge.target) == ("aircraft", "airport")
    assert (edge.count, edge.weight) == (left.unique().height, left.height)


def test_reference_tables_have_their_rows(catalog: Catalog, sources: Path) -> None:
    for reference in catalog.references:
        table = pl.read_parquet(sources / "reference" / f"{reference.name}.parquet")
        assert (reference.rows, set(reference.columns)) == (table.height, set(table.columns))
    assert [r.name for r in catalog.references] == ["airlines", "airports", "planes"]


def test_knowledge_tells_its_run_and_its_age(engine: Engine, catalog: Catalog) -> None:
    found = {kind.kind: kind for kind in catalog.knowledge}
    assert sorted(found) == sorted(TASKS)
    communities, result = found["communities"], engine.knowledge.read("communities")
    assert communities.rows == len(result)
    assert communities.metrics["communities"] == result.to_polars()["community"].n_unique()
    assert (communities.run, communities.algorithm) == (result.run.id, result.run.algorithm)
    assert (communities.device, communities.fallback) == (result.run.device, result.run.fallback)
    assert (communities.asof, communities.age) == (catalog.workspace.now, 0.0)


def test_knowledge_ages_with_the_data_and_not_with_the_wall_clock(small: Engine, sources: Path) -> None:
    small.compute("components")
    before = small.now
    small.ingest(sources / "Departure" / f"{LAST}.parquet")
    (kind,) = small.catalog.knowledge
    assert small.now is not None
    assert before is not None
    assert kind.age == (small.now - before).total_seconds() > 86_400


def test_segments_add_up(engine: Engine, catalog: Catalog) -> None:
    assert [s.day for s in catalog.segments] == engine.snapshot.segments
    for event in catalog.event_types:
        assert sum(s.rows.get(event.name, 0) for s in catalog.segments) == event.documents
    assert {s.status for s in catalog.segments} == {"ok"}
    assert catalog.workspace.bytes == sum(
        f.stat().st_size for f in engine.path.rglob("*.parquet") if f.parent.name != "tmp"
    )


def test_figures_need_no_document(small: Engine) -> None:
    events, entities = small.catalog.event_types, small.catalog.entity_types
    touch(small, "events", None)
    again = Engine(small.path).catalog
    assert (again.event_types, again.entity_types) == (events, entities)


def test_what_is_in_quarantine_is_counted_by_reason(tmp_path: Path) -> None:
    good = [f"2025-06-12T10:00:{n:02d}Z,a" for n in range(30)]
    (tmp_path / "clicks.csv").write_text("\n".join(["time,page", *good, "never,b", "neither,c"]))
    (tmp_path / "views.csv").write_text("time,page\nnever,b\n2025-06-12T10:00:00Z,a\n")
    engine = Engine.create(tmp_path / "w")
    engine.ingest(tmp_path / "clicks.csv", tmp_path / "views.csv")
    found = engine.catalog.quarantine
    assert (found.records, sum(found.reasons.values())) == (2, 2)
    assert [name.rpartition("/")[2] for name in found.sources] == ["views.csv"]
    assert "quarantine (2 records, 1 source)" in engine.catalog.to_text()
    assert "views.csv" in engine.catalog.to_html()


def test_an_empty_workspace_has_a_catalog(tmp_path: Path) -> None:
    catalog = Engine.create(tmp_path / "w").catalog
    assert "no event types yet" in catalog.to_text()
    assert "None yet" in catalog.to_html()
    data = catalog.to_json()
    assert (data["workspace"]["documents"], data["workspace"]["now"], data["event_types"]) == (0, None, [])
    assert catalog.search("anything").total == 0


# damage


def test_a_missing_file_is_a_finding_of_its_segment(small: Engine) -> None:
    missing = touch(small, "sightings", None)
    catalog = Engine(small.path).catalog
    assert len(catalog.workspace.findings) == missing
    assert {s.status for s in catalog.segments} == {"damaged"}
    assert f"{missing} findings" in catalog.to_text()
    assert "sightings is missing" in catalog.to_html()


def test_figures_that_a_damaged_partial_hides_are_named(small: Engine) -> None:
    touch(small, "profiles", b"flipped!")
    catalog = Engine(small.path).catalog
    event = event_of(catalog, "Departure")
    assert event.documents == event_of(small.catalog, "Departure").documents
    assert len(catalog.problems) == len(small.snapshot.segments)
    assert "could not be read" in catalog.to_text()
    assert "figures leave out the profiles" in catalog.to_html()


def test_without_a_graph_everything_else_is_shown(small: Engine) -> None:
    touch(small, "edges", b"flipped!")
    catalog = Engine(small.path).catalog
    assert catalog.entity_types == ()
    assert "no entity and edge types" in catalog.to_text()
    assert catalog.search("departure").hits[0].name == "Departure"


# forms


def test_the_text_fits_on_a_screen_and_names_the_time_zone(catalog: Catalog) -> None:
    lines = catalog.to_text().splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= WIDTH
    assert f"times in {TIMEZONE}" in lines[1]
    assert repr(catalog) == catalog.to_text()


@pytest.fixture
def wide(tmp_path: Path) -> Catalog:
    """Return the catalog of ten event types, one of them with a hundred fields."""
    engine = Engine.create(tmp_path / "wide")
    for number in range(10):
        names = [f"field_{n:03d}" for n in range(100 if number == 0 else 3)]
        frame = pl.DataFrame(
            {"time": [datetime(2025, 6, 12, 10, tzinfo=UTC)], **dict.fromkeys(names, number)}
        )
        engine.ingest(frame, type=f"event_{number:02d}")
    return engine.catalog


def test_what_is_left_out_is_counted(wide: Catalog) -> None:
    text, page = wide.to_text(), wide.to_html()
    assert len(text.splitlines()) <= LINES
    shown = {
        name for name in (f"event_{n:02d}" for n in range(30)) if re.search(rf"^  {name}", text, re.MULTILINE)
    }
    assert f"… {10 - len(shown)} more: event_" in text
    fields = sum(1 for line in text.splitlines() if re.match(r" {6}field_", line) is not None)
    more = sum(int(n) for n in re.findall(r"… (\d+) (?:more )?fields", text))
    assert fields + more == 100 + 3 * (len(shown) - 1)
    assert "and 20 more fields" in page
    data = wide.to_json()
    assert [len(event["fields"]) for event in data["event_types"]] == [100] + [3] * 9


def test_json_is_complete_and_plain(engine: Engine, catalog: Catalog) -> None:
    data = json.loads(json.dumps(catalog.to_json(), allow_nan=False))
    assert data == catalog.to_dict()
    assert {e["name"]: {f["name"] for f in e["fields"]} for e in data["event_types"]} == {
        name: set(fields) for name, fields in engine.fields.items()
    }
    assert len(data["segments"]) == len(engine.snapshot.segments)
    assert engine.now is not None
    assert datetime.fromisoformat(data["workspace"]["now"]) == engine.now
    assert data["workspace"]["now"].endswith("-05:00")


def test_html_is_well_formed_and_refers_to_nothing_outside(catalog: Catalog) -> None:
    for page in (catalog.to_html(), catalog.to_html(page=True)):
        elements = Elements(page)
        assert not {"script", "link", "img", "iframe", "object"} & set(elements.names)
        assert not {"src", "href"} & {name for name, _ in elements.attributes}
        assert not any(name.startswith("on") for name, _ in elements.attributes)
        assert "url(" not in page
        assert "@import" not in page
    assert elements.names.count("details") == len(catalog.event_types) + 1
    assert catalog._repr_mimebundle_() == {"text/plain": catalog.to_text(), "text/html": catalog.to_html()}


def test_what_strangers_wrote_is_text(tmp_path: Path) -> None:
    attack = "<script>alert(1)</script>"
    times = [datetime(2025, 6, 12, 10, tzinfo=UTC)]
    engine = Engine.create(tmp_path / "w")
    engine.ingest(
        pl.DataFrame({"time": times, "page": [attack], "bell": ["\x1b[31mred\x07"]}), type="<b>click</b>"
    )
    page = engine.catalog.to_html()
    assert "script" not in Elements(page).names
    assert "&lt;script&gt;" in page
    assert engine.catalog.to_text().replace("\n", "").isprintable()
    assert "script" not in Elements(engine.catalog.search("script")._repr_mimebundle_()["text/html"]).names


# search


@pytest.mark.parametrize(
    ("query", "kind", "name"),
    [
        ("Departure", "event type", "Departure"),
        ("departur", "event type", "Departure"),
        ("landing", "event type", "Arrival"),
        ("dep_dely", "field", "dep_delay"),
        ("delay", "field", "dep_delay"),
        ("airplane", "entity type", "aircraft"),
        ("manufacter", "entity type", "manufacturer"),
        ("DepartedForm", "edge type", "DepartedFrom"),
        ("JetBlue", "entity", "carrier:B6"),
        ("jetblu airway", "entity", "carrier:B6"),
        ("newark", "entity", "airport:EWR"),
        ("comunities", "knowledge", "communities"),
        ("leiden", "knowledge", "communities"),
        ("airlnes", "reference", "airlines"),
        ("tzone", "property", "tzone"),
        ("EWR", "entity", "airport:EWR"),
    ],
)
def test_search_finds_by_name_with_typos(catalog: Catalog, query: str, kind: str, name: str) -> None:
    best = catalog.search(query).hits
    assert (kind, name) in {(hit.kind, hit.name) for hit in best[:2]}


def test_search_finds_the_very_name_first_and_values_with_their_fields(
    catalog: Catalog, logs: Mapping[str, pl.DataFrame]
) -> None:
    entity, value = catalog.search("UA").hits[:2]
    assert (entity.kind, entity.name, entity.score) == ("entity", "carrier:UA", 100.0)
    assert (value.kind, value.name) == ("value", "UA")
    assert value.where == "Arrival.carrier, Cancellation.carrier, Departure.carrier"
    named = ("Departure", "Arrival", "Cancellation")
    assert value.weight == sum(int((logs[n]["carrier"] == "UA").sum()) for n in named)


def test_search_says_how_many_there_were(catalog: Catalog) -> None:
    found = catalog.search("UA", limit=3)
    assert len(found) == len(found.hits) == 3
    assert found.total > 100
    assert f"{found.total:,} found for 'UA', the best 3 kept" in repr(found)
    assert [h.score for h in found.hits] == sorted((h.score for h in found.hits), reverse=True)


def test_search_finds_nothing_where_nothing_is_like_it(catalog: Catalog) -> None:
    assert catalog.search("zqxjkv").hits == ()


@pytest.mark.parametrize(("query", "limit"), [("", 5), ("  --", 5), ("UA", 0)])
def test_search_refuses_what_cannot_be_meant(catalog: Catalog, query: str, limit: int) -> None:
    with pytest.raises(UsageError):
        catalog.search(query, limit)
