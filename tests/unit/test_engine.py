"""The engine: opening, making, asking, evicting, following another process, on a workspace made by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import workbench as wb
from workbench.engine import Engine
from workbench.errors import (
    ConfigError,
    CorruptFileError,
    UnknownNameError,
    UsageError,
    WorkbenchError,
    WorkspaceError,
    WriterLockedError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.progress import Update

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: tiny}
spec:
  timezone: America/New_York
  entities: {member: {who: true}, page: {}}
  edges: {Saw: {from: member, to: page}}
  events:
    Click:
      entities: {member: member, page: page}
      edges: [{type: Saw, from: member, to: page}]
  references:
    people:
      entities: {member: {fields: id, properties: [name]}}
"""
DAYS = ("2025-06-10", "2025-06-11", "2025-06-12")


def clicks(*days: str, member: str = "ann", pages: int = 2) -> pa.Table:
    rows = [
        (f"{day}T0{i}:00:00.500Z", member, f"p{i}", f"{i}.50", "odd") for day in days for i in range(pages)
    ]
    return pa.table(
        dict(zip(("time", "member", "page", "price", "<b>"), zip(*rows, strict=True), strict=True))
    )


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SCHEMA)
    return path


@pytest.fixture
def db(tmp_path: Path, schema: Path) -> Engine:
    engine = Engine.create(tmp_path / "w", schema=schema)
    engine.ingest(clicks(*DAYS), type="Click")
    return engine


def address(db: Engine, row: int = 0) -> str:
    (entry,) = db.snapshot.files("events", segments=[DAYS[0]])
    return f"{DAYS[0]}/{db.snapshot.read(entry)['_id'][row].as_py()}"


class TestMaking:
    def test_the_schema_is_copied_and_settings_are_not(self, tmp_path: Path, schema: Path) -> None:
        made = Engine.create(tmp_path / "w", schema=schema, batch_mb=7)
        schema.unlink()
        again = Engine(tmp_path / "w")
        assert (made.settings.batch_mb, again.settings.batch_mb) == (7, 2048)
        assert again.schema == made.schema
        assert again.schema.metadata.id == "tiny"
        assert again.timezone == "America/New_York"
        assert (again.now, again.fields, again.status()["documents"]) == (None, {}, 0)

    def test_a_shipped_schema_goes_by_its_name_and_none_is_needed(self, tmp_path: Path) -> None:
        assert Engine.create(tmp_path / "a", schema="flights").schema.metadata.id == "flights"
        assert Engine.create(tmp_path / "b").timezone == "UTC"

    @pytest.mark.parametrize("text", ["kind: [", "apiVersion: workbench/v1\nkind: EntitySchema\n", ""])
    def test_a_wrong_schema_leaves_nothing(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "wrong.yaml").write_text(text)
        with pytest.raises(ConfigError):
            Engine.create(tmp_path / "w", schema=tmp_path / "wrong.yaml")
        with pytest.raises(UnknownNameError):
            Engine.create(tmp_path / "w", schema="flihgts")
        assert not (tmp_path / "w").exists()

    def test_what_is_there_is_not_written_over(self, db: Engine) -> None:
        with pytest.raises(WorkspaceError, match="something already"):
            Engine.create(db.path)
        assert Engine(db.path).status()["documents"] == 6

    def test_a_wrong_schema_in_the_workspace_is_named_by_its_file(self, db: Engine) -> None:
        file = db.path / "schema" / "entity.yaml"
        file.write_text(file.read_text().replace("kind: EntitySchema", "kind: EntitySchem"))
        with pytest.raises(ConfigError) as caught:
            Engine(db.path)
        assert str(file) in caught.value.where


class TestOpening:
    def test_a_workspace(self, db: Engine) -> None:
        again = wb.open(str(db.path), threads=2)
        assert again.snapshot.generation == db.snapshot.generation
        assert again.settings.threads == 2

    def test_a_file_a_directory_and_a_glob(self, tmp_path: Path) -> None:
        folder = tmp_path / "logs"
        (folder / "Login").mkdir(parents=True)
        for name in ("a", "b"):
            (folder / "Login" / f"{name}.csv").write_text(f"time,user\n2025-06-12T10:00:00Z,{name}\n")
        counted = {
            source: wb.open(source, timezone="Europe/Berlin").status()["event_types"]
            for source in (str(folder), f"{folder}/*/b.csv", str(folder / "Login" / "a.csv"))
        }
        assert list(counted.values()) == [{"a": 1, "b": 1}, {"b": 1}, {"a": 1}]

    def test_files_may_have_a_schema(self, tmp_path: Path, schema: Path) -> None:
        (tmp_path / "Click.csv").write_text("time,member,page\n2025-06-12T10:00:00Z,ann,p1\n")
        engine = wb.open(tmp_path / "Click.csv", schema=schema)
        assert engine.graph.stats()  # and it holds what the schema says
        assert len(engine.graph) == 2

    def test_what_is_not_there_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(WorkspaceError, match="no workspace and no file") as caught:
            wb.open(tmp_path / "nothing")
        assert "workbench init" in caught.value.fix
        with pytest.raises(WorkbenchError, match="no such file"):
            wb.open(f"{tmp_path}/nothing-*.csv")
        with pytest.raises(WorkspaceError, match="does not exist"):
            Engine(tmp_path / "nothing")

    def test_files_that_hold_nothing_are_an_error_that_says_why(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("a,b\n1,2\n")
        with pytest.raises(WorkspaceError, match="no column is the time"):
            wb.open(tmp_path / "x.csv")


class TestDocuments:
    def test_an_address_leads_to_the_document_as_it_was(self, db: Engine) -> None:
        found = db.get(address(db))
        assert found.address == address(db)
        assert found.event_type == "Click"
        assert found.time.isoformat() == "2025-06-09T20:00:00.500000-04:00"
        assert found.fields == {"member": "ann", "page": "p0", "price": 0.5}
        assert found.original == {"price": "0.50"}
        assert found.extra == {"<b>": "odd"}

    @pytest.mark.parametrize("wrong", ["", "2025-06-10", "2025-06-10/", "2025-06-10/x", "2025-06-10/-1", "/"])
    def test_what_is_no_address_is_refused(self, db: Engine, wrong: str) -> None:
        with pytest.raises(UsageError, match="is not an address"):
            db.get(wrong)

    @pytest.mark.parametrize("missing", ["2025-06-10/1", "2024-01-01/1", "nowhere/1", "/1"])
    def test_what_is_not_there_is_unknown(self, db: Engine, missing: str) -> None:
        with pytest.raises(UnknownNameError, match="no document"):
            db.get(missing)

    def test_fields_and_the_clock(self, db: Engine) -> None:
        assert db.fields == {"Click": {"member": "string", "page": "string", "price": "float64"}}
        assert db.now == datetime(2025, 6, 12, 1, 0, 0, 500_000, tzinfo=UTC)


class TestStatus:
    def test_figures(self, db: Engine) -> None:
        status = db.status()
        files = [*(db.path / "segments").rglob("*.parquet"), *(db.path / "quarantine").iterdir()]
        assert status == {
            "path": str(db.path),
            "generation": 1,
            "timezone": "America/New_York",
            "schema": "tiny",
            "window": "all",
            "now": "2025-06-12T01:00:00.500000+00:00",
            "segments": 3,
            "first_segment": DAYS[0],
            "last_segment": DAYS[2],
            "documents": 6,
            "event_types": {"Click": 6},
            "stale_segments": 0,
            "quarantined": 0,
            "texts_without_vectors": 0,
            "segments_without_vectors": 0,
            "sources": 1,
            "knowledge": [],
            "background": None,
            "missing": [],
            "files": len(files),
            "bytes": sum(p.stat().st_size for p in files),
        }

    def test_quarantine_and_knowledge_are_counted(self, db: Engine) -> None:
        table = pa.table({"time": ["2025-06-12T00:00:00Z"] * 9 + ["soon"], "member": ["bob"] * 10})
        db.ingest(table, type="Click")
        db.compute("components")
        status = db.status()
        assert (status["quarantined"], status["knowledge"], status["sources"]) == (1, ["components"], 2)
        finding, row = db.quarantine.to_pylist()
        assert (finding["offset"], finding["name"]) == (None, "Click")
        assert "not a field name" in finding["reason"]
        assert (row["offset"], row["name"]) == (9, "Click")
        assert "soon" in row["reason"]

    def test_a_changed_schema_makes_segments_stale_until_the_next_ingest(self, db: Engine) -> None:
        file = db.path / "schema" / "entity.yaml"
        file.write_text(file.read_text().replace("edges: [{type: Saw, from: member, to: page}]", "edges: []"))
        again = Engine(db.path)
        assert again.status()["stale_segments"] == 3
        again.ingest(clicks(DAYS[0], member="bob"), type="Click")
        assert again.status()["stale_segments"] == 0
        assert again.graph.window.edges.num_rows == 0

    def test_verify_names_the_damaged_file(self, db: Engine) -> None:
        told: list[Update] = []
        assert db.verify(full=True, progress=told.append) == []
        total = db.status()["files"]
        assert [(u.done, u.total) for u in told] == [(i, total) for i in range(1, total + 1)]
        entry = db.snapshot.files("events")[0]
        path = db.path / entry.path
        path.write_bytes(path.read_bytes()[:-1])
        ((damaged, problem),) = db.verify()
        assert damaged == entry.path
        assert "bytes" in problem
        with pytest.raises(CorruptFileError):
            db.get(f"{entry.segment}/1")


class TestEviction:
    def kinds(self, db: Engine) -> set[tuple[str, str]]:
        return {(f.kind, f.segment) for f in db.snapshot.manifest.files if f.segment}

    def test_a_day_goes_with_everything_that_came_from_it(self, db: Engine) -> None:
        db.compute("components", asof=DAYS[0])
        assert db.evict(DAYS[0], DAYS[2]) == [DAYS[0], DAYS[2]]
        assert db.snapshot.segments == [DAYS[1]]
        assert {segment for _, segment in self.kinds(db)} == {DAYS[1]}
        assert db.knowledge.read("components").run.day == DAYS[0]
        assert db.status()["documents"] == 2
        assert [e["weight"] for e in db.graph.edges().to_pylist()] == [1, 1]
        with pytest.raises(UnknownNameError):
            db.compute("components", asof=DAYS[0])

    @pytest.mark.parametrize(
        ("before", "gone"),
        [
            ("2025-06-12", DAYS[:2]),
            (date(2025, 6, 11), DAYS[:1]),
            ("2025-06-10", ()),
            ("2030-01-01", DAYS),
        ],
        ids=repr,
    )
    def test_everything_before_a_day(self, db: Engine, before: Any, gone: tuple[str, ...]) -> None:
        generation = db.snapshot.generation
        assert db.evict(before=before) == list(gone)
        assert db.snapshot.segments == [d for d in DAYS if d not in gone]
        assert db.snapshot.generation == generation + bool(gone)

    @pytest.mark.parametrize(("window", "left"), [(1, DAYS[2:]), (2, DAYS[1:]), (30, DAYS), ("all", DAYS)])
    def test_what_the_window_no_longer_holds(self, db: Engine, window: Any, left: tuple[str, ...]) -> None:
        rolling = Engine(db.path, window=window)
        assert rolling.evict() == [d for d in DAYS if d not in left]
        assert rolling.snapshot.segments == list(left)

    def test_a_day_that_is_not_there_is_refused_and_nothing_goes(self, db: Engine) -> None:
        with pytest.raises(UnknownNameError, match="Did you mean '2025-06-1"):
            db.evict(DAYS[0], "2025-06-13")
        assert db.snapshot.segments == list(DAYS)

    def test_an_empty_workspace_evicts_nothing(self, tmp_path: Path) -> None:
        assert Engine.create(tmp_path / "w", window=1).evict() == []

    def test_a_locked_workspace_evicts_nothing(self, db: Engine) -> None:
        with db.store.writer(), pytest.raises(WriterLockedError):
            db.evict(DAYS[0])
        assert db.refresh().snapshot.segments == list(DAYS)


class TestFollowing:
    def test_another_engines_ingest_is_seen_after_a_refresh(self, db: Engine) -> None:
        other = Engine(db.path)
        graph = other.graph
        db.ingest(clicks("2025-06-13", member="bob"), type="Click")
        assert other.snapshot.segments == list(DAYS)
        assert len(other.graph) == 3
        assert other.refresh() is other
        assert other.snapshot.segments == [*DAYS, "2025-06-13"]
        assert other.graph is not graph
        assert len(other.graph) == 4
        unchanged = other.graph
        assert other.refresh().graph is unchanged

    def test_the_same_data_adds_nothing(self, db: Engine) -> None:
        report = db.ingest(clicks(*DAYS), type="Click")
        assert (report.known, sum(report.rows.values())) == (1, 0)
        assert db.snapshot.generation == 1

    def test_a_dry_run_changes_nothing(self, db: Engine) -> None:
        report = db.ingest(clicks("2025-06-20"), type="Click", dry_run=True)
        assert report.rows == {"Click": 2}
        assert Engine(db.path).snapshot.generation == 1

    def test_its_own_compute_keeps_the_graph(self, db: Engine) -> None:
        graph = db.graph
        db.compute("components")
        assert db.snapshot.generation == 2
        assert db.graph is graph


class TestAsking:
    def test_sql_entities_and_graph_speak_of_the_same(self, db: Engine) -> None:
        assert db.sql("select count(*), sum(price) from Click").rows == [(6, 6.0)]
        assert len(db.graph.nodes("page")) == 2
        assert db.entity("member:ann") is not None
        with pytest.raises(UnknownNameError):
            db.entity("member:zoe")
        assert db.catalog is db.catalog
        assert "Click" in repr(db)
        assert "text/html" in db._repr_mimebundle_()

    def test_closing_twice_is_closing_once_and_reading_goes_on(self, db: Engine) -> None:
        with db as entered:
            assert entered is db
            assert db.sql("select 1 as one").rows == [(1,)]
        db.close()
        db.close()
        assert db.sql("select 2 as two").rows == [(2,)]
        db.close()
        assert db.get(address(db)).event_type == "Click"

    def test_references_give_properties(self, db: Engine) -> None:
        db.ingest(pa.table({"id": ["ann"], "name": ["Ann Example"]}), type="people")
        assert db.graph.node("member:ann")["properties"]["name"]["value"] == "Ann Example"
        assert db.status()["documents"] == 6


class TestGenerations:
    """What one engine shows while another one writes."""

    def test_a_graph_is_kept_over_own_knowledge_only(self, db: Engine) -> None:
        nodes = len(db.graph)
        table = pa.table({"time": ["2025-06-12T03:00:00Z"], "member": ["zoe"]})
        Engine(db.path).ingest(table, type="Click")
        db.compute("components")
        assert len(db.graph) == nodes + 1

    def test_a_reader_whose_files_are_gone_reads_a_newer_generation_whole(self, db: Engine) -> None:
        writer = Engine(db.path)
        before = db.sql("select count(*) from Click").rows[0][0]
        writer.evict(DAYS[0])
        for file in (db.path / "segments" / f"dt={DAYS[0]}").iterdir():
            file.unlink()
        after = db.sql("select count(*) from Click").rows[0][0]
        assert 0 < after < before
        assert db.snapshot.generation == writer.snapshot.generation

    def test_a_source_read_at_last_leaves_quarantine(self, db: Engine, tmp_path: Path) -> None:
        log = tmp_path / "Click.csv"
        log.write_text("when,member\n2025-06-12T04:00:00Z,eve\n")
        assert db.ingest(log).quarantined_files
        assert -1 in db.quarantine["offset"].to_pylist()
        file = db.path / "schema" / "entity.yaml"
        file.write_text(file.read_text().replace("spec:", "spec:\n  timestamp: {fields: [time, when]}", 1))
        again = Engine(db.path)
        assert sum(again.ingest(log).rows.values()) == 1
        assert -1 not in again.quarantine["offset"].to_pylist()

    def test_equal_bytes_of_two_event_types_are_two_sources_in_quarantine(
        self, db: Engine, tmp_path: Path
    ) -> None:
        log = tmp_path / "Click.csv"
        log.write_text("when,member\n2025-06-12T04:00:00Z,eve\n")
        for name in ("Click", "Click", "View"):
            db.ingest(log, type=name)
        whole = [row["name"] for row in db.quarantine.to_pylist() if row["offset"] == -1]
        assert whole == ["Click", "View"]
