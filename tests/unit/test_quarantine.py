"""Quarantine: what is in it has a name, and comes out of it once, when it can be read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.engine import Engine
from workbench.errors import UnknownNameError
from workbench.ingest import quarantine
from workbench.partials.shapes import KINDS

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "apiVersion: workbench/v1\nkind: EntitySchema\nmetadata: {id: test}\nspec:\n"
DAY = "2025-01-01T00:00:00Z"
BERLIN = HEAD + "  timestamp: {fields: [time], timezone: Europe/Berlin}\n"
UTC_TOO = HEAD + "  timestamp: {fields: [time, when], timezone: UTC}\n"
SKIPPED = "2025-03-30 02:30:00"  # no time of day in Berlin
GOOD = [f'{{"time":"{DAY}","n":{n}}}' for n in range(20)]


def mended(db: Engine, spec: str = UTC_TOO, **settings: Any) -> Engine:
    """Return the workspace with another schema, or other settings."""
    db.close()
    (db.path / "schema").mkdir(exist_ok=True)
    (db.path / "schema" / "entity.yaml").write_text(spec)
    return Engine(db.path, **settings)


@pytest.fixture
def db(tmp_path: Path) -> Engine:
    schema = tmp_path / "schema.yaml"
    schema.write_text(BERLIN)
    return Engine.create(tmp_path / "w", schema=schema)


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def numbers(db: Engine, name: str = "click") -> list[int]:
    return [n for (n,) in db.sql(f"select n from {name} order by n").rows]  # noqa: S608


def whole(db: Engine) -> None:
    """Assert that documents, ledger and partials tell the same story."""
    assert db.verify() == []
    assert db.status()["stale_segments"] == 0
    rows = sum(e.rows for e in db.snapshot.manifest.ledger.values())
    assert rows == db.status()["documents"]


def test_a_record_keeps_its_name_and_says_what_it_is(db: Engine, tmp_path: Path) -> None:
    write(tmp_path / "a" / "click.jsonl", *GOOD, "torn")
    write(tmp_path / "b" / "bad.csv", "a,b", "1,2")
    write(tmp_path / "c" / "tap.csv", "time,n,<b>", f"{DAY},1,x")
    with db.stream() as stream:
        stream.append("tip", b"nonsense")
    db.ingest(tmp_path / "a", tmp_path / "b", tmp_path / "c")

    rows = db.quarantine.to_pylist()
    assert sorted(row["kind"] for row in rows) == ["column", "event", "record", "source"]
    assert len({row["id"] for row in rows}) == 4
    by_kind = {row["kind"]: row for row in rows}
    assert by_kind["record"]["reader"] == '["jsonl", {}]'
    assert (by_kind["record"]["offset"], by_kind["record"]["original"]) == (20, b"torn")
    assert by_kind["event"]["reader"] is None
    db.ingest(tmp_path / "b")
    assert [row["id"] for row in db.quarantine.to_pylist()] == [row["id"] for row in rows]


def test_what_is_chosen_by_identifier_source_and_glob(db: Engine, tmp_path: Path) -> None:
    logs = [write(tmp_path / f"{n}" / "click.jsonl", *GOOD[n:], "torn", f"torn {n}") for n in range(3)]
    db.ingest(*logs)
    table = db.quarantine

    (one,) = quarantine.choose(table, [table["id"][3].as_py()]).to_pylist()
    assert one["id"] == table["id"][3].as_py()
    assert quarantine.choose(table, [str(logs[0])]).num_rows == 2
    assert quarantine.choose(table, [f"{tmp_path}/*/click.jsonl"]).num_rows == 6
    assert quarantine.choose(table, []) == table
    with pytest.raises(UnknownNameError, match="no record or source in quarantine 'nothing'"):
        quarantine.choose(table, ["nothing"])
    assert quarantine.summary(table)["records"].to_pylist() == [2, 2, 2]


def test_records_whose_time_the_schema_knows_by_now_come_in_once(db: Engine, tmp_path: Path) -> None:
    log = write(tmp_path / "click.jsonl", *GOOD, f'{{"time":"{SKIPPED}","n":20}}', "torn")
    db.ingest(log)
    assert db.status()["quarantined"] == 2
    db = mended(db)

    would = db.retry(dry_run=True)
    assert (would.rows["click"], would.quarantined.total(), db.status()["quarantined"]) == (1, 1, 2)
    before = db.snapshot.generation
    report = db.retry()

    assert (report.records, report.rows) == (2, {"click": 1})
    assert db.quarantine["original"].to_pylist() == [b"torn"]
    assert db.sql("select _ts from click where n = 20").rows == [(datetime(2025, 3, 30, 2, 30, tzinfo=UTC),)]
    (entry,) = db.snapshot.manifest.ledger.values()
    assert (entry.rows, entry.rejected, entry.position) == (21, 1, 22)
    assert db.snapshot.generation == before + 2  # partials by the new schema, and what was tried
    whole(db)
    assert db.retry().rows == {}
    assert db.ingest(log).known == 1
    assert numbers(db) == list(range(21))
    db.close()


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
def test_what_comes_out_is_what_an_ingest_with_the_mended_schema_gives(
    form: str, db: Engine, tmp_path: Path
) -> None:
    times = [DAY] * 19 + [SKIPPED]
    path = tmp_path / f"click.{form}"
    if form == "parquet":
        pq.write_table(pa.table({"time": times, "n": range(20), "x": [1.5] * 20}), path)
    elif form == "csv":
        write(path, "time,n,x", *(f"{time},{n},1.5" for n, time in enumerate(times)))
    else:
        write(path, *(json.dumps({"time": time, "n": n, "x": 1.5}) for n, time in enumerate(times)))
    db.ingest(path)
    assert db.quarantine["offset"].to_pylist() == [19]
    db = mended(db)
    assert db.retry().rows == {"click": 1}

    with Engine.create(tmp_path / "fresh", schema=db.path / "schema" / "entity.yaml") as fresh:
        fresh.ingest(path)
        assert _hashes(db) == _hashes(fresh)
        assert list(db.snapshot.manifest.ledger.values()) == list(fresh.snapshot.manifest.ledger.values())
    assert db.quarantine.num_rows == 0


def _hashes(db: Engine) -> list[tuple[str, str, str]]:
    return sorted((f.kind, f.segment, f.hash) for k in KINDS for f in db.snapshot.files(k))


def test_bytes_do_where_the_source_is_gone(db: Engine, tmp_path: Path) -> None:
    for name, late in (("click.jsonl", f'{{"time":"{SKIPPED}","n":20}}'), ("tap.csv", "1,2,3")):
        lines = GOOD if name == "click.jsonl" else ["time,n", *[f"{DAY},1"] * 20]
        db.ingest(write(tmp_path / name, *lines, late))
        (tmp_path / name).unlink()

    report = mended(db).retry()

    db = Engine(db.path)
    assert report.rows == {"click": 1}
    assert numbers(db) == list(range(21))
    (row,) = db.quarantine.to_pylist()
    assert (
        row["reason"]
        == "its source is no longer there as it was, and its bytes alone do not say their columns"
    )
    whole(db)
    db.close()


def test_a_source_comes_in_as_a_whole_by_what_read_it(db: Engine, tmp_path: Path) -> None:
    log = write(tmp_path / "click.log", "when;n", *(f"{DAY};{n}" for n in range(5)))
    other = write(tmp_path / "other.csv", "a,b", "1,2")
    db.ingest(log, type="click", connector="csv", delimiter=";")
    db.ingest(other)
    assert db.quarantine["kind"].to_pylist() == ["source", "source"]
    db = mended(db)

    report = db.retry(str(log))
    assert (report.sources, report.rows, report.quarantined_files) == (1, {"click": 5}, {})
    assert numbers(db) == list(range(5))
    assert db.quarantine["source"].to_pylist() == [str(other)]
    assert "no column is the time" in db.retry().quarantined_files[str(other)]
    assert db.retry(connector="jsonl").quarantined_files[str(other)]
    other.write_text("when,b\n2025-01-01,2\n")
    assert "has other bytes by now" in str(db.retry())
    other.unlink()
    assert "no longer there" in str(db.retry())
    whole(db)
    db.close()


def test_a_source_that_was_mended_in_its_place_leaves_nothing_behind(db: Engine, tmp_path: Path) -> None:
    log = write(tmp_path / "click.csv", "a,b", "1,2")
    db.ingest(log)
    write(log, "time,n", f"{DAY},1")

    assert db.ingest(log).replaced == []
    assert db.quarantine.num_rows == 0
    assert numbers(db) == [1]
    db.close()


def test_another_reason_takes_the_place_of_the_first(db: Engine, tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(600)]
    log = write(tmp_path / "click.csv", ",".join(names), ",".join("1" for _ in names))
    db.ingest(log)
    assert "601" not in db.quarantine["reason"][0].as_py()
    (name,) = db.quarantine["id"].to_pylist()

    db = Engine(db.path, max_columns=1000)
    assert "no column is the time" in str(db.retry(name))
    assert db.quarantine["id"].to_pylist() == [name]
    assert "no column is the time" in db.quarantine["reason"][0].as_py()


def test_streamed_events_wait_for_their_time(db: Engine) -> None:
    now = datetime(2025, 1, 1, 12, tzinfo=UTC)
    early = {"time": (now + timedelta(hours=1)).isoformat(), "n": 1}
    with db.stream(clock=lambda: now) as stream:
        stream.append("click", [early, {"time": now.isoformat(), "n": 0}], keys=["a", "b"])
        stream.append("click", b'{"n": 2}\nnonsense')
    assert sorted(db.quarantine["kind"].to_pylist()) == ["event"] * 3

    assert db.retry("stream", clock=lambda: now).rows == {}
    report = db.retry(clock=lambda: now + timedelta(hours=1))

    assert (report.rows, report.records) == ({"click": 1}, 3)
    assert numbers(db) == [0, 1]
    assert sorted(db.quarantine["original"].to_pylist()) == [b"nonsense", b'{"n": 2}']
    with db.stream(clock=lambda: now) as stream:
        assert stream.append("click", [early], keys=["a"]).duplicates == 1
    late = db.retry(clock=lambda: now + timedelta(days=90))
    assert late.rows == {}
    assert db.verify() == []
    db.close()


def test_what_is_older_than_the_window_by_now_stays(tmp_path: Path) -> None:
    db = mended(Engine.create(tmp_path / "w"), BERLIN, window=2)
    db.ingest(
        write(
            tmp_path / "click.jsonl",
            *GOOD,
            f'{{"time":"{SKIPPED.replace("2025-03-30", "2024-03-31")}","n":20}}',
        )
    )
    later = [line.replace("01-01", "01-03") for line in GOOD]
    db.ingest(write(tmp_path / "later" / "click.jsonl", *later))

    db = mended(db, window=2)
    report = db.retry()
    assert (report.rows, dict(report.quarantined)) == ({}, {"its time is older than the window": 1})
    assert db.quarantine["reason"].to_pylist() == ["its time is older than the window"]


def test_what_cannot_be_tried_is_said(db: Engine, tmp_path: Path) -> None:
    spec = HEAD + "  entities: {user: {}}\n  references: {users: {entities: {user: id}}}\n"
    db = mended(db, spec)
    db.ingest(write(tmp_path / "users.csv", "id", *"abcdefgh", '"torn'))
    db.ingest(write(tmp_path / "tap.csv", "time,<b>", f"{DAY},x"))

    report = db.retry()
    assert report.left.total() == 2
    assert "reference table" in str(report)
    assert "a column's name" in str(report)
    assert report.to_dict()["left"] == dict(report.left)


def test_a_workspace_of_before_has_no_readers_and_is_tried_by_its_names(db: Engine, tmp_path: Path) -> None:
    log = write(tmp_path / "click.csv", "when,n", f"{DAY},1")
    db.ingest(log)
    (entry,) = [f for f in db.snapshot.manifest.files if f.kind == "quarantine"]
    with db.store.writer() as writer:
        transaction = writer.begin()
        transaction.remove([entry])
        table = transaction.base.read(entry).drop_columns(["reader"])
        transaction.add("quarantine", table, folder="quarantine", meta=entry.meta)
        transaction.commit()

    assert mended(db).retry().rows == {"click": 1}
