"""Compaction: fewer files, and nothing else changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from workbench.engine import Engine
from workbench.errors import UnknownNameError
from workbench.ingest import compact as compaction
from workbench.partials.shapes import KINDS
from workbench.storage import SegmentStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2025, 6, 12, 12, tzinfo=UTC)
SCHEMA = """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: shop}
spec:
  entities: {user: {who: true}, page: {}}
  edges: {Visited: {from: user, to: page}}
  events:
    click:
      entities: {user: user, page: page}
      edges: [{type: Visited, from: user, to: page}]
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    with Engine.create(tmp_path / "w", schema=tmp_path / "schema.yaml", stream_seconds=3600) as opened:
        yield opened


def late(engine: Engine, folder: Path, number: int, **more: Any) -> None:
    """Ingest one file with two events of one day and one of the day before."""
    rows = [
        {"time": (NOW + timedelta(days=days, seconds=number)).isoformat(), "user": f"u{number % 3}", **more}
        for days in (0, 0, -1)
    ]
    path = folder / f"click-{number}.jsonl"
    path.write_text("\n".join(json.dumps({**row, "page": f"/{n}"}) for n, row in enumerate(rows)))
    engine.ingest(path, type="click")


def facts(engine: Engine) -> tuple[object, ...]:
    """Return what must not change: documents by address, partials, what they were derived from."""
    rows = engine.sql('select _segment, _id, _ts, "user", page from click order by 1, 2').rows
    partials = {(f.segment, f.kind): (f.hash, f.inputs) for k in KINDS for f in engine.snapshot.files(k)}
    return rows, partials, engine.status()["stale_segments"], engine.verify(full=True)


def parts(engine: Engine, day: str = "2025-06-12") -> int:
    return len(engine.snapshot.files("events", segments=[day]))


def test_late_files_are_merged_by_eights_as_they_come(engine: Engine, tmp_path: Path) -> None:
    seen = []
    for number in range(10):
        late(engine, tmp_path, number)
        seen.append(parts(engine))
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8, 2, 3]
    assert engine.sql("select count(*), count(distinct _id || _segment) from click").rows == [(30, 30)]
    assert engine.status()["stale_segments"] == 0


def test_on_demand_all_that_fit_become_one_in_one_generation(engine: Engine, tmp_path: Path) -> None:
    for number in range(5):
        late(engine, tmp_path, number)
    before, generation = facts(engine), engine.snapshot.generation

    done = engine.compact()
    assert done.to_dict() == {
        "segments": ["2025-06-11", "2025-06-12"],
        "files": 10,
        "into": 2,
        "bytes": done.bytes,
        "into_bytes": sum(f.bytes for f in engine.snapshot.files("events")),
        "generation": generation + 1,
    }
    assert done.into_bytes < done.bytes
    assert "compacted 10 parts of 2 segments into 2, " in str(done)
    assert facts(engine) == before

    again = engine.compact()
    assert (again.files, again.generation) == (0, generation + 1)
    assert str(again).startswith("nothing to compact")


def test_one_day_alone(engine: Engine, tmp_path: Path) -> None:
    for number in range(3):
        late(engine, tmp_path, number)
    assert "of 1 segment into 1" in str(engine.compact("2025-06-11"))
    assert (parts(engine, "2025-06-11"), parts(engine)) == (1, 3)
    with pytest.raises(UnknownNameError, match="2025-06-13"):
        engine.compact("2025-06-13")


def test_partials_that_are_behind_stay_so(engine: Engine) -> None:
    with engine.stream(clock=lambda: NOW) as stream:
        for number in range(3):
            stream.append("click", {"time": NOW, "user": f"u{number}", "page": "/"}, keys=str(number))
            stream.checkpoint()
        assert engine.refresh().status()["stale_segments"] == 1
        assert engine.compact().files == 6
        assert engine.status()["stale_segments"] == 1
        assert [f.rows for f in engine.snapshot.files("keys")] == [3]
        # a repeat is still known, now and by another stream
        assert stream.append("click", {"time": NOW, "user": "u1", "page": "/"}, keys="1").duplicates == 1
    with engine.stream(clock=lambda: NOW) as stream:
        assert stream.append("click", {"time": NOW, "user": "u1", "page": "/"}, keys="1").duplicates == 1
    assert engine.status()["stale_segments"] == 0


def test_parts_as_large_as_one_may_be_stay(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        late(engine, tmp_path, number)
    before = facts(engine)
    monkeypatch.setattr(compaction, "_ROWS", 5)
    done = engine.compact("2025-06-12")
    assert (done.files, done.into, parts(engine)) == (4, 2, 3)
    assert engine.compact("2025-06-12").files == 0
    monkeypatch.setattr(compaction, "_BYTES", 1)
    assert engine.compact().files == 0
    assert facts(engine) == before


def test_originals_extras_and_widened_fields_come_through(engine: Engine, tmp_path: Path) -> None:
    late(engine, tmp_path, 1, n=1, **{"<b>": "kept"})
    late(engine, tmp_path, 2, n="007")
    late(engine, tmp_path, 3, at="2025-06-12 10:00")
    addresses = [f"{s}/{i}" for s, i in engine.sql("select _segment, _id from click").rows]
    before = {address: engine.get(address) for address in addresses}
    assert {d.fields["n"] for d in before.values() if "n" in d.fields} == {"1", "007"}
    engine.compact()
    assert {address: engine.get(address) for address in addresses} == before
    assert any(d.extra == {"<b>": "kept"} for d in before.values())
    assert any(d.original for d in before.values())


def test_a_reader_of_an_earlier_generation_is_not_disturbed(engine: Engine, tmp_path: Path) -> None:
    for number in range(3):
        late(engine, tmp_path, number)
    with Engine(engine.path) as reader:
        before = facts(reader)
        engine.compact()
        with SegmentStore(engine.path).writer() as writer:
            writer.collect(grace=-1, manifests=1)
        assert facts(reader) == before
        assert parts(reader) == 3
