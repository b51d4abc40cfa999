"""Streamed events: what is acknowledged, what becomes of it, what is seen when."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest

from workbench.engine import Engine
from workbench.errors import BackPressureError, DiskFullError, StorageError, UsageError, WriterLockedError
from workbench.ingest.derive import KINDS
from workbench.ingest.stream import Acknowledgement
from workbench.storage import SegmentStore
from workbench.storage.disk import Disk, Space
from workbench.storage.wal import Log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workbench.ingest.stream import Stream

NOW = datetime(2025, 6, 12, 12, tzinfo=UTC)
SCHEMA = """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: shop, name: Shop, version: 1}
spec:
  timestamp: {fields: [time]}
  entities:
    user: {who: true}
    page: {}
  edges:
    Visited: {from: user, to: page}
  events:
    click:
      aliases: [Klick]
      entities: {user: user, page: page}
      edges: [{type: Visited, from: user, to: page}]
"""


def click(number: int, **more: Any) -> dict[str, Any]:
    time = (NOW - timedelta(hours=2) + timedelta(seconds=number)).isoformat()
    return {"time": time, "user": f"u{number % 7}", "page": f"/{number % 3}", "n": number, **more}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    return Engine.create(tmp_path / "w", schema=tmp_path / "schema.yaml").path


@pytest.fixture
def engine(workspace: Path) -> Iterator[Engine]:
    """Nothing becomes visible by itself."""
    with Engine(workspace, stream_seconds=3600) as opened:
        yield opened


def opened(engine: Engine, now: datetime = NOW) -> Stream:
    return engine.stream(clock=lambda: now)


def column(engine: Engine, statement: str) -> list[Any]:
    engine.refresh()
    return [row[0] for row in engine.sql(statement).rows]


def abandon(stream: Stream) -> None:
    """Let go of a stream as a process does that dies: nothing is published any more."""
    with stream._lock:
        stream._ended = True
        stream._wake.notify_all()
    stream._thread.join()
    stream._log.close()


# what can be appended


def test_an_event_is_durable_at_once_and_visible_when_the_stream_closes(engine: Engine) -> None:
    with opened(engine) as stream:
        assert stream.append("click", click(1)) == Acknowledgement(1)
        assert engine.refresh().snapshot.segments == []
        assert stream.status()["waiting"] == 1

    assert engine.sql('select n, "user", page from click').rows == [(1, "u1", "/1")]
    assert engine.status()["stale_segments"] == 0
    assert list((engine.path / "wal").glob("*.wal")) == []


def test_mappings_lines_and_tables_give_the_same_documents(engine: Engine) -> None:
    events = [click(n, ratio=n / 4, ok=True) for n in range(4)]
    lines = "\n".join(json.dumps(event) for event in events)
    frame = pl.DataFrame(events).with_columns(pl.col("time").str.to_datetime(time_zone="UTC"))
    found = []
    for given in (events, lines, lines.encode(), frame, frame.to_arrow()):
        with opened(engine) as stream:
            assert stream.append("click", given) == Acknowledgement(4)
        found.append(engine.sql('select n, "user", page, ratio, ok, _ts from click order by n').rows)
        engine.evict("2025-06-12")
    assert all(rows == found[0] for rows in found)
    assert [row[3] for row in found[0]] == [0.0, 0.25, 0.5, 0.75]


def test_times_and_other_scalars_of_python_are_text_that_types_read(engine: Engine) -> None:
    with opened(engine) as stream:
        stream.append("click", {"time": NOW, "day": NOW.date(), "path": engine.path})
    (row,) = engine.sql('select _ts, "path" from click').rows
    assert row[0].astimezone(UTC) == NOW
    assert row[1] == str(engine.path)


def test_an_alias_becomes_the_event_type(engine: Engine) -> None:
    with opened(engine) as stream:
        stream.append("Klick", click(1))
    assert list(engine.status()["event_types"]) == ["click"]


def test_streamed_days_have_the_partials_of_an_ingest(engine: Engine, tmp_path: Path) -> None:
    events = [click(n) for n in range(200)]
    with opened(engine) as stream:
        for start in range(0, 200, 10):
            stream.append("click", events[start : start + 10])
            stream.checkpoint()
    once = Engine.create(tmp_path / "once", schema=tmp_path / "schema.yaml")
    (tmp_path / "click.jsonl").write_text("\n".join(json.dumps(event) for event in events))
    once.ingest(tmp_path / "click.jsonl")

    def partials(which: Engine) -> dict[str, str]:
        return {kind: f.hash for kind in KINDS for f in which.snapshot.files(kind)}

    assert len(engine.snapshot.files("events")) < 20
    assert partials(engine) == partials(once)
    ids = "select _id, n from click order by _id"
    assert engine.sql(ids).rows == once.sql(ids).rows


@pytest.mark.parametrize("events", [7, [7], None, object()])
def test_what_holds_no_events_is_refused(engine: Engine, events: Any) -> None:
    with opened(engine) as stream:
        with pytest.raises(UsageError):
            stream.append("click", events)
        with pytest.raises(UsageError, match="cannot be written as JSON"):
            stream.append("click", {(1, 2): "a key that is none"})
        for name in ("", "<b>"):
            with pytest.raises(UsageError, match="no event type"):
                stream.append(name, click(1))
        assert stream.append("click", []) == Acknowledgement(0)
    assert engine.snapshot.generation == 0


# exactly once


def test_keys_are_seen_once_in_a_call_a_stream_and_a_workspace(engine: Engine) -> None:
    with opened(engine) as stream:
        both = [click(1), click(1)]
        assert stream.append("click", both, keys=["a", "a"]) == Acknowledgement(1, 1)
        assert stream.append("click", click(2), keys="a") == Acknowledgement(0, 1)
        stream.checkpoint()
        assert stream.append("click", click(3), keys="a") == Acknowledgement(0, 1)
        assert stream.append("click", click(4), keys="a", source="another") == Acknowledgement(1)
    with opened(engine) as stream:
        assert stream.append("click", [click(5), click(6)], keys=["a", None]) == Acknowledgement(1, 1)
        assert stream.append("click", click(6), keys=[None]) == Acknowledgement(1)
    assert column(engine, "select n from click order by n") == [1, 4, 6, 6]


def test_what_a_process_that_died_had_acknowledged_comes_back_once(engine: Engine) -> None:
    stream = opened(engine)
    stream.append("click", [click(n) for n in range(10)], keys=[str(n) for n in range(10)])
    stream.append("click", '{"broken"')
    abandon(stream)

    with opened(engine) as stream:
        assert stream.recovered == 11
        again = [click(n) for n in range(5, 15)]
        assert stream.append("click", again, keys=[str(n) for n in range(5, 15)]) == Acknowledgement(5, 5)
    assert column(engine, "select n from click order by n") == list(range(15))
    assert engine.quarantine["original"].to_pylist() == [b'{"broken"']


@pytest.mark.parametrize("table", [False, True])
def test_fields_can_be_the_key(engine: Engine, table: bool) -> None:
    events = [click(1), click(2), {**click(1), "page": "/other"}, {**click(3), "user": None}]
    events = [events, pa.Table.from_pylist(events)][table]
    with opened(engine) as stream:
        assert stream.append("click", events, key=("user", "time")) == Acknowledgement(3, 1)
        assert stream.append("click", events, key=("user", "time")) == Acknowledgement(1, 3)
        assert stream.append("view", events, key=("user", "time")) == Acknowledgement(3, 1)
        assert stream.append("click", events, key="missing") == Acknowledgement(4)


def test_the_setting_says_which_fields_are_the_key(workspace: Path) -> None:
    with Engine(workspace, stream_key="user, time") as engine, opened(engine) as stream:
        assert stream.append("click", [click(1), click(1)]) == Acknowledgement(1, 1)
        assert stream.append("click", json.dumps(click(1))) == Acknowledgement(0, 1)


def test_there_is_a_key_for_each_event(engine: Engine) -> None:
    with opened(engine) as stream, pytest.raises(UsageError, match="1 keys for 2 events"):
        stream.append("click", [click(1), click(2)], keys=["a"])


def test_keys_leave_with_their_day(engine: Engine) -> None:
    with opened(engine) as stream:
        stream.append("click", click(1), keys="a")
    assert [f.segment for f in engine.snapshot.files("keys")] == ["2025-06-12"]
    engine.evict("2025-06-12")
    with opened(engine) as stream:
        assert stream.append("click", click(1), keys="a") == Acknowledgement(1)


def test_many_parts_and_keys_are_merged(engine: Engine) -> None:
    with opened(engine) as stream:
        for n in range(40):
            stream.append("click", click(n, **({"<b>": "x"} if n % 2 else {})), keys=str(n))
            stream.checkpoint()
        assert len(engine.refresh().snapshot.files("events")) < 20
        assert len(engine.snapshot.files("keys")) < 20
        for n in range(40):
            assert stream.append("click", click(n), keys=str(n)) == Acknowledgement(0, 1)
    assert column(engine, "select n from click order by n") == list(range(40))


# bad input, early, late


def test_what_is_no_event_goes_to_quarantine_with_its_bytes(engine: Engine) -> None:
    text = (
        b'{"time":"2025-06-12T10:00:00Z","n":1}\n\n{"n":\n7\n{}\n{"n":NaN}\n{"a":1,"a":2}\n'
        + json.dumps({"time": "nonsense", "n": 2}).encode()
    )
    with opened(engine) as stream:
        assert stream.append("click", text, source="web") == Acknowledgement(3, 0, 4)
        assert stream.append("click", [{"n": float("nan")}, click(9)]) == Acknowledgement(1, 0, 1)
    rows = engine.quarantine.to_pylist()
    assert {(row["original"], row["name"]) for row in rows} == {
        (b'{"n":', "click"),
        (b"7", "click"),
        (b"{}", "click"),
        (b'{"n":NaN}', "click"),
        (b'{"a":1,"a":2}', "click"),
        (b'{"time": "nonsense", "n": 2}', "click"),
        (b"{'n': nan}", "click"),
    }
    assert {row["source"] for row in rows} == {"stream web", "stream"}
    assert column(engine, "select n from click order by n") == [1, 9]
    counts = {"documents": 2, "quarantined": 7, "refused": 0, "forgotten": 0}
    assert engine.snapshot.manifest.state["stream"] == counts


def test_events_without_any_time_go_to_quarantine(engine: Engine) -> None:
    with opened(engine) as stream:
        stream.append("click", [{"n": 1}, {"n": 2}])
        stream.append("click", pa.table({"n": [3]}))
    assert sorted(engine.quarantine["original"].to_pylist()) == [b'{"n": 3}', b'{"n":1}', b'{"n":2}']
    assert engine.refresh().snapshot.segments == []


def test_too_many_columns_go_to_quarantine(workspace: Path) -> None:
    with Engine(workspace, max_columns=5, stream_seconds=3600) as engine:
        with opened(engine) as stream:
            stream.append("click", {**click(1), "a": 1, "b": 2})
        assert engine.quarantine["reason"].to_pylist() == ["6 columns, at most 5 are allowed."]


def test_an_event_with_too_many_columns_stops_no_other(workspace: Path) -> None:
    wide = {**click(2), **{f"w{n}": n for n in range(9)}}
    with Engine(workspace, max_columns=6, stream_seconds=3600) as engine:
        with opened(engine) as stream:
            stream.append("click", [click(1), wide, *[wide] * 3, click(3)])
            stream.append(
                "click", pa.table({**{name: [value] for name, value in click(4).items()}, "a": [1]})
            )
        assert column(engine, "select n from click order by n") == [1, 3, 4]
        assert set(engine.quarantine["reason"].to_pylist()) == {"13 columns, at most 6 are allowed."}
        with opened(engine) as stream:  # of those that are too many together the new ones give way
            stream.append("click", [{**click(n), f"b{n}": 1, f"c{n}": 1} for n in (5, 5, 6, 7)])
            stream.append("click", {**click(8), "b5": 1, "z": 1})
        assert column(engine, "select n from click order by n") == [1, 3, 4, 5, 5]
        reasons = engine.quarantine["reason"].to_pylist()[4:]
    assert "the column 'z' is beyond the 6 that are allowed at a time." in reasons


def test_what_has_too_many_columns_together_comes_in_one_after_the_other(workspace: Path) -> None:
    with Engine(workspace, max_columns=5, stream_seconds=3600) as engine, opened(engine) as stream:
        stream.append("click", [{**click(1), "a": 1, "b": 2}, {**click(2), "c": 1, "d": 2}])
    with Engine(workspace, max_columns=6, stream_seconds=3600) as engine:
        assert [engine.retry().rows for _ in range(2)] == [{"click": 1}] * 2
        assert engine.quarantine.num_rows == 0


def test_late_events_go_to_their_day_and_early_ones_to_quarantine(workspace: Path) -> None:
    with Engine(workspace, window=3, stream_seconds=3600) as engine:
        times = {
            "now": NOW,
            "soon": NOW + timedelta(minutes=5),
            "early": NOW + timedelta(minutes=5, seconds=1),
            "yesterday": NOW - timedelta(days=1),
            "first": datetime(2025, 6, 10, tzinfo=UTC),
            "too old": datetime(2025, 6, 9, 23, 59, tzinfo=UTC),
        }
        with opened(engine) as stream:
            events = [{"time": time, "name": name} for name, time in times.items()]
            stream.append("click", events, keys=list(times))
            stream.checkpoint()
            assert stream.append("click", events, keys=list(times)) == Acknowledgement(0, 6)
        assert engine.sql("select name, strftime(_ts, '%d') from click order by 1").rows == [
            ("first", "10"),
            ("now", "12"),
            ("soon", "12"),
            ("yesterday", "11"),
        ]
        assert b"early" in engine.quarantine["original"].to_pylist()[0]
        assert "ahead of the workspace's clock" in engine.quarantine["reason"].to_pylist()[0]
        assert engine.snapshot.manifest.state["stream"]["refused"] == 1
        assert engine.status()["stale_segments"] == 0


def test_a_field_that_becomes_text_is_text_in_what_is_stored(engine: Engine) -> None:
    with opened(engine) as stream:
        stream.append("click", [click(n, code="007" if n == 3 else str(n)) for n in range(3)])
        stream.append("view", click(0))
        stream.checkpoint()
        stream.append("click", click(9, code="x7"))
    assert column(engine, "select code from click order by n") == ["0", "1", "2", "x7"]


def test_identifiers_are_unique_over_checkpoints(engine: Engine) -> None:
    with opened(engine) as stream:
        for _ in range(3):
            stream.append("click", [click(1)] * 2)
            stream.checkpoint()
    ids = column(engine, "select _id from click order by _id")
    assert ids == list(range(ids[0], ids[0] + 6))


# when it is seen


def test_what_waits_is_published_by_itself(workspace: Path) -> None:
    with Engine(workspace, stream_seconds=0.02) as engine, opened(engine) as stream:
        stream.append("click", click(1))
        done = threading.Event()
        for _ in range(3_000):
            if engine.refresh().snapshot.segments:
                break
            done.wait(0.02)
        assert engine.snapshot.segments == ["2025-06-12"]


def test_another_writer_delays_a_checkpoint_and_loses_nothing(engine: Engine) -> None:
    stream = opened(engine)
    stream.append("click", click(1))
    with engine.store.writer():
        with pytest.raises(WriterLockedError):
            stream.checkpoint()
        with pytest.raises(WriterLockedError):
            stream.close()
    assert stream.status()["open"] is False
    stream.close()
    with opened(engine):
        pass
    assert column(engine, "select n from click") == [1]


def test_the_thread_says_why_nothing_is_published(workspace: Path) -> None:
    held = SegmentStore(workspace)  # of another process, as far as locks go
    with Engine(workspace, stream_seconds=0.01) as engine, opened(engine) as stream, held.writer():
        stream.append("click", click(1))
        wait = threading.Event()
        for _ in range(3_000):
            if stream.status()["problem"]:
                break
            wait.wait(0.02)
        assert "another writer holds" in stream.status()["problem"]


def test_a_second_stream_is_told_who_has_it(engine: Engine) -> None:
    with opened(engine), pytest.raises(WriterLockedError, match="pid"):
        opened(engine)


def test_an_ingest_of_files_goes_on_beside_a_stream(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "click.jsonl").write_text(json.dumps(click(1)))
    with opened(engine) as stream:
        stream.append("click", click(2))
        stream.checkpoint()
        engine.ingest(tmp_path / "click.jsonl")
        stream.append("click", click(3))
    assert column(engine, "select n from click order by n") == [1, 2, 3]
    assert engine.status()["stale_segments"] == 0


# pressure


def test_too_much_that_waits_is_sent_back_with_a_time(workspace: Path) -> None:
    with Engine(workspace, stream_seconds=0.5, stream_backlog_mb=1) as engine:
        stream = opened(engine)
        with engine.store.writer():
            stream.append("click", [click(1, text="x" * 600_000), click(2, text="y" * 600_000)])
            with pytest.raises(BackPressureError) as raised:
                stream.append("click", click(2))
            assert raised.value.retry_after == 0.5
        stream.checkpoint()
        assert stream.append("click", click(3)) == Acknowledgement(1)
        stream.close()
        assert column(engine, "select n from click order by n") == [1, 2, 3]


def test_the_reserve_of_the_disk_is_left_alone(engine: Engine) -> None:
    class Full(Disk):
        def space(self, path: Path) -> Space:
            return Space(1 << 30, 1 << 20)

    with opened(engine) as stream:
        stream.append("click", click(1))
        engine.store.disk, before = Full(), engine.store.disk
        stream._space_checked = 0.0
        with pytest.raises(DiskFullError, match="reserve"):
            stream.append("click", click(2))
        engine.store.disk = before
        stream.append("click", click(3))
    assert column(engine, "select n from click order by n") == [1, 3]


def test_a_stream_whose_log_failed_takes_nothing_and_its_successor_goes_on(engine: Engine) -> None:
    stream = opened(engine)
    stream.append("click", click(1), keys="1")

    class Failing(Disk):
        def sync(self, descriptor: int) -> None:
            raise OSError(5, "Input/output error")

    stream._log._disk = Failing()
    for _ in range(2):
        with pytest.raises(StorageError, match="Input/output error"):
            stream.append("click", click(2), keys="2")
    assert stream.status()["open"] is False
    stream.close()
    assert column(engine, "select n from click") == [1]
    with opened(engine) as stream:
        acknowledged = stream.append("click", click(2), keys="2")
        assert acknowledged.accepted + acknowledged.duplicates == 1
    assert column(engine, "select n from click order by n") == [1, 2]


def test_a_closed_stream_takes_nothing(engine: Engine) -> None:
    stream = opened(engine)
    stream.close()
    with pytest.raises(StorageError, match="closed"):
        stream.append("click", click(1))


def test_a_duplicate_is_acknowledged_only_when_its_first_is_durable(engine: Engine) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Disk):
        def sync(self, descriptor: int) -> None:
            begun.set()
            go_on.wait(60)
            super().sync(descriptor)

    with opened(engine) as stream:
        stream._log._disk = Slow()
        found: list[Acknowledgement] = []

        def send() -> None:
            found.append(stream.append("click", click(1), keys="1"))

        threads = [threading.Thread(target=send) for _ in range(2)]
        threads[0].start()
        begun.wait(60)
        threads[1].start()
        threads[1].join(0.2)
        assert threads[1].is_alive()
        go_on.set()
        for thread in threads:
            thread.join()
        assert sorted(a.accepted for a in found) == [0, 1]


def test_threads_append_at_once_and_every_event_is_there_once(workspace: Path) -> None:
    with Engine(workspace, stream_seconds=0.05) as engine:
        with opened(engine) as stream:
            counted: list[Acknowledgement] = []

            def work(name: int) -> None:
                for n in range(0, 60, 3):
                    numbers = [(name // 2) * 60 + n + i for i in range(3)]  # each event is sent twice
                    events = [click(number) for number in numbers]
                    counted.append(stream.append("click", events, keys=[str(number) for number in numbers]))

            threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert (sum(a.accepted for a in counted), sum(a.duplicates for a in counted)) == (240, 240)
        assert column(engine, "select n from click order by n") == list(range(240))


def test_a_log_that_cannot_be_read_leaves_the_lock_free(engine: Engine) -> None:
    with Log(engine.path / "wal") as log:
        log.append(1, b"")
    with pytest.raises(Exception, match="unpack"):
        opened(engine)
    Log(engine.path / "wal").close()
