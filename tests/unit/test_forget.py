"""Forgetting an entity: what goes, what stays and why, and that nothing brings it back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from workbench.engine import Engine
from workbench.errors import UnknownNameError, UsageError, WriterLockedError
from workbench.ingest.mentions import rows_naming
from workbench.partials.shapes import KINDS
from workbench.storage.search import search
from workbench.storage.wal import Log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2025, 6, 12, 12, tzinfo=UTC)
SCHEMA = """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: shop}
spec:
  entities: {user: {who: true}, page: {}, country: {attribute: true}, note: {}}
  edges: {Visited: {from: user, to: page}, LivesIn: {from: user, to: country}}
  events:
    click:
      entities: {user: {fields: [user, login], properties: [mail]}, page: page, country: country}
      edges: [{type: Visited, from: user, to: page}, {type: LivesIn, from: user, to: country}]
      text: "{user} saw {page}"
    say:
      entities: {user: user, note: {fields: note, hash: true}}
  references:
    users: {entities: {user: {fields: user, properties: [name]}}}
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    options: dict[str, Any] = {"schema": tmp_path / "schema.yaml", "stream_seconds": 3600}
    with Engine.create(tmp_path / "w", embedder="hashing", **options) as opened:
        yield opened


def event(number: int, user: str, **more: str) -> dict[str, str]:
    time = NOW - timedelta(days=number % 3, seconds=number)
    return {"time": time.isoformat(), "user": user, "page": f"/{number % 4}", "country": "se", **more}


def write(folder: Path, name: str, events: list[dict[str, str]]) -> Path:
    path = folder / name
    path.write_text("\n".join(json.dumps(e, ensure_ascii=False) for e in events))
    return path


def events(*names: str) -> list[dict[str, str]]:
    return [event(n, names[n % len(names)], mail=f"{names[n % len(names)]}@example.org") for n in range(24)]


def facts(engine: Engine) -> tuple[object, ...]:
    rows = engine.sql('select _segment, _id, "user", page from click order by 1, 2').rows
    partials = {(f.segment, f.kind): f.hash for kind in KINDS for f in engine.snapshot.files(kind)}
    return rows, partials


def holding(root: Path, text: str) -> set[str]:
    return {hit.path for hit in search(root, text) if hit.whole + hit.words}


def test_a_dry_run_says_everything_and_changes_nothing(engine: Engine, tmp_path: Path) -> None:
    engine.ingest(write(tmp_path, "click.jsonl", events("annika", "boris")))
    before = {path: path.read_bytes() for path in engine.path.rglob("*.*")}
    report = engine.forget("user:annika")
    assert report.documents == {"click": 12}
    assert report.segments == ["2025-06-10", "2025-06-11", "2025-06-12"]
    assert (report.applied, report.proved, report.generation) == (False, False, 1)
    assert any(left.place == "user" for left in report.left)
    assert str(report).endswith("nothing was changed: this was a dry run")
    assert {path: path.read_bytes() for path in engine.path.rglob("*.*")} == before


def test_what_is_left_is_what_would_be_without_it(engine: Engine, tmp_path: Path) -> None:
    log = write(tmp_path, "click.jsonl", events("annika", "boris", "carla"))
    users = tmp_path / "users.csv"
    users.write_text("user,name\nannika,Annika Ek\nboris,Boris\n")
    engine.ingest(log, users)
    engine.compute("pagerank")
    engine.compute("pagerank", damping=0.5)
    report = engine.forget("user:annika", apply=True)
    assert report.proved, report.left
    assert (report.documents, report.references) == ({"click": 8}, {"users": 1})
    assert report.knowledge == {"pagerank": 2}
    assert "no file of the workspace holds the key any more" in str(report)
    assert holding(engine.path, "annika") == set()
    assert engine.snapshot.generation == report.generation
    assert engine.verify(full=True) == []
    assert engine.status()["stale_segments"] == 0
    assert {run.parameters["damping"] for run in engine.knowledge.runs("pagerank")} == {0.85, 0.5}
    with pytest.raises(UnknownNameError):
        engine.entity("user:annika")
    with Engine.create(tmp_path / "other", schema=tmp_path / "schema.yaml") as other:
        kept = [e for e in events("annika", "boris", "carla") if e["user"] != "annika"]
        (tmp_path / "again").mkdir()
        users.write_text("user,name\nboris,Boris\n")
        other.ingest(write(tmp_path / "again", "click.jsonl", kept), users)
        assert facts(other) == facts(engine)

    again = engine.forget("user:annika", apply=True)
    assert (again.documents.total(), again.proved) == (0, True)
    assert engine.ingest(log).known == 1


def test_a_changed_source_does_not_bring_it_back(engine: Engine, tmp_path: Path) -> None:
    engine.ingest(write(tmp_path, "click.jsonl", events("annika", "boris")))
    engine.forget("user:annika", apply=True)
    engine.forget("user:nobody", apply=True)
    more = [event(30, "carla"), event(31, "", login="annika"), *events("annika", "boris")]
    report = engine.ingest(write(tmp_path, "click-2.jsonl", more))
    assert (report.forgotten, report.rows) == (13, {"click": 13})
    assert "left out: 13 records about entities that were forgotten" in str(report)
    users = tmp_path / "users.csv"
    users.write_text("user,name\nannika,Annika Ek\nboris,Boris\n")
    assert engine.ingest(users).references == {"users": 1}
    (tmp_path / "3").mkdir()
    users = tmp_path / "3" / "users.csv"
    users.write_text("user,name\nannika,Annika Ek\n")
    assert engine.ingest(users).forgotten == 1
    with engine.stream(clock=lambda: NOW) as stream:
        assert stream.append("click", [event(1, "annika"), event(2, "boris")]).accepted == 2
    assert engine.snapshot.manifest.state["stream"]["forgotten"] == 1
    assert holding(engine.path, "annika") == set()
    # who was forgotten is not written anywhere, and equal keys of other types are others
    assert "annika" not in json.dumps(engine.snapshot.manifest.state)
    assert engine.ingest(write(tmp_path, "say.jsonl", [event(3, "boris", note="annika")])).rows == {"say": 1}


def test_what_waits_in_the_log_is_published_first(engine: Engine) -> None:
    stream = engine.stream(clock=lambda: NOW)
    stream.append("click", [event(n, "annika") for n in range(5)], keys=[str(n) for n in range(5)])
    with pytest.raises(WriterLockedError):
        engine.forget("user:annika", apply=True)
    with stream._lock:
        stream._ended = True
        stream._wake.notify_all()
    stream._thread.join()
    stream._log.close()
    assert {left.why for left in engine.forget("user:annika").left} == {"it waits in the log to be published"}
    (engine.path / "wal" / "00000001-0000000000000009.wal.32.cut").write_bytes(b'{"user":"annika"}')
    report = engine.forget("user:annika", apply=True)
    assert (report.documents, report.proved) == ({"click": 5}, True)
    assert report.beside == ["wal/00000001-0000000000000009.wal.32.cut"]
    assert engine.snapshot.segments == []


def test_quarantine_the_ledger_and_files_beside_are_searched(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "annika").mkdir()
    bad = [{"time": "never", "user": "annika"}, {"time": "never", "user": "annikafrid"}]
    engine.ingest(write(tmp_path / "annika", "click.jsonl", [*events("boris"), *bad]))
    (engine.path / "sessions").mkdir()
    (engine.path / "sessions" / "one.json").write_text('{"turns": ["about user:annika"]}')
    (engine.path / "sessions" / "two.json").write_text('{"turns": ["about user:boris"]}')
    (engine.path / "examples.jsonl").write_text('{"q": "boris"}\n{"q": "annika"}\n')
    (engine.path / "quarantine" / "damaged").mkdir()
    (engine.path / "quarantine" / "damaged" / "x.events.parquet").write_bytes(b"torn annika torn")
    (engine.path / "rules").mkdir()
    (engine.path / "rules" / "mine.yaml").write_text("watch: annika\n")
    report = engine.forget("user:annika", apply=True)
    assert (report.quarantined, report.sources, report.documents.total()) == (2, 1, 0)
    assert report.beside == ["examples.jsonl", "quarantine/damaged/x.events.parquet", "sessions/one.json"]
    assert [(left.path, left.why) for left in report.left] == [
        ("rules/mine.yaml", "a file that is yours to edit")
    ]
    assert "rules/mine.yaml, bytes: 1 times: a file that is yours to edit" in str(report)
    assert (engine.path / "examples.jsonl").read_text() == '{"q": "boris"}\n'
    assert "(forgotten)" in next(iter(engine.snapshot.manifest.ledger.values())).source


def test_cached_vectors_go_with_the_documents(engine: Engine, tmp_path: Path) -> None:
    engine.ingest(write(tmp_path, "click.jsonl", events("annika", "boris")))
    assert len(engine.vectors.search("annika saw /1", k=3)) == 3
    assert list((engine.path / "cache").rglob("*.parquet"))
    report = engine.forget("user:annika", apply=True)
    assert (len(report.beside), report.proved) == (1, True)
    assert list((engine.path / "cache").rglob("*.parquet")) == []
    assert len(engine.vectors.search("boris saw /1", k=3)) == 3


def test_what_other_documents_hold_is_left_and_said(engine: Engine, tmp_path: Path) -> None:
    mine = [event(n, "annika", login="ek-annika") for n in range(3)]
    others = [event(n + 3, "boris", friend="annika") for n in range(3)]
    engine.ingest(write(tmp_path, "click.jsonl", [*mine, *others]))
    engine.compute("pagerank")
    report = engine.forget("user:annika", apply=True)
    assert not report.proved
    assert {(left.place, left.why) for left in report.left if "events" in left.path} == {
        ("friend", "field friend of click holds it, which gives no key of this entity's type")
    }
    assert {left.why for left in report.left if "profiles" in left.path} == {
        "profiles of what is left hold it"
    }
    assert engine.sql("select count(*) from click").rows == [(3,)]


def test_an_earlier_generation_stays_while_a_reader_holds_it(engine: Engine, tmp_path: Path) -> None:
    engine.ingest(write(tmp_path, "click.jsonl", events("annika", "boris")))
    program = (
        "import sys\nfrom workbench.engine import Engine\n"
        "e = Engine(sys.argv[1])\nprint('open', flush=True)\nsys.stdin.read()\n"
        "print(e.sql('select count(*) from click').rows)"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", program, engine.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "open\n"
    report = engine.forget("user:annika", apply=True)
    assert {left.why for left in report.left} == {
        f"an earlier generation, which a reader holds (process {reader.pid})"
    }
    assert reader.communicate(timeout=60)[0] == "[(24,)]\n"
    report = engine.forget("user:annika", apply=True)
    assert report.proved
    assert holding(engine.path, "annika") == set()


def test_hashed_and_numeric_keys_and_those_with_odd_characters(engine: Engine, tmp_path: Path) -> None:
    odd = 'Å "ek"/50%'
    rows = [event(n, odd if n % 2 else "17", note="she said this") for n in range(6)]
    rows += [event(n + 6, "18", note="other words", nick="17") for n in range(3)]
    engine.ingest(write(tmp_path, "say.jsonl", rows))
    assert engine.fields["say"]["user"] == "string"
    report = engine.forget("user:%C3%85%20%22ek%22%2F50%25", apply=True)
    assert (report.documents, report.proved) == ({"say": 3}, True)
    said = engine.sql("select entity from properties where value = 'she said this'").rows
    assert engine.forget(said[0][0]).documents == {"say": 3}
    report = engine.forget("user:17", apply=True)
    assert report.documents == {"say": 3}
    assert {left.place for left in report.left if "events" in left.path} == {"nick"}
    assert holding(engine.path, "she said this") == set()
    assert engine.sql("select count(*) from say").rows == [(3,)]


def test_only_entities_that_can_be_forgotten(engine: Engine) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'user'"):
        engine.forget("usr:annika")
    with pytest.raises(UsageError, match="country is an attribute"):
        engine.forget("country:se")
    with pytest.raises(UsageError, match="has no key"):
        engine.forget("user:")
    assert engine.forget("user:nobody", apply=True).proved


def test_a_log_that_another_process_holds_is_left_alone(engine: Engine) -> None:
    with Log(engine.path / "wal"), pytest.raises(WriterLockedError):
        engine.forget("user:annika", apply=True)
    assert "forgotten" not in engine.refresh().snapshot.manifest.state


def test_rows_name_an_entity_whole_or_by_type_and_key_side_by_side() -> None:
    table = pa.table(
        {
            "entity": pa.array(["user:ab", "user:abc", "x user:ab.", None, "y", "y"]).dictionary_encode(),
            "type": pa.array(["page", "user", None, "user", "user", "z"], pa.large_string()),
            "key": ["ab", "abc", None, "ab", None, "ab"],
            "n": [1, 2, 3, 4, 5, 6],
            "drivers": pa.array(
                [
                    None,
                    [],
                    None,
                    [],
                    [{"dimension": "user", "value": "ab"}],
                    [{"dimension": "page", "value": "ab"}],
                ]
            ),
        }
    )
    assert rows_naming(table, "user", "ab").to_pylist() == [True, False, True, True, True, False]
    assert rows_naming(table.slice(3), "user", "ab").to_pylist() == [True, True, False]
    assert rows_naming(table.slice(0, 0), "user", "ab").to_pylist() == []
