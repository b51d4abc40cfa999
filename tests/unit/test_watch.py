"""Watched directories: what is complete comes in once, and nothing stops the watch but a wish."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from workbench.engine import Engine
from workbench.errors import SourceError, StorageError, WriterLockedError
from workbench.ingest.watch import Told, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECONDS = 0.05


def lines(*numbers: int, day: str = "2025-01-01") -> str:
    return "".join(f'{{"time":"{day}T00:00:00Z","n":{n}}}\n' for n in numbers)


def numbers(db: Engine) -> list[int]:
    return [n for (n,) in db.sql("select n from click order by n").rows]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Engine]:
    with Engine.create(tmp_path / "w", watch_seconds=SECONDS) as engine:
        yield engine
        assert engine.verify() == []


def once(db: Engine, *directories: Path, **options: Any) -> list[Told]:
    said: list[Told] = []
    db.watch(*directories, once=True, say=said.append, **options)
    return said


@contextmanager
def watching(db: Engine, *directories: Path, **options: Any) -> Iterator[Callable[[str], Told]]:
    """Watch in a thread; give a function that waits until something of a kind is said."""
    said: queue.Queue[Told] = queue.Queue()
    stop = threading.Event()
    thread = threading.Thread(
        target=lambda: db.watch(*directories, say=said.put, stop=stop, **options), daemon=True
    )
    thread.start()

    def wait_for(what: str) -> Told:
        while (told := said.get(timeout=60)).what != what:
            pass
        return told

    yield wait_for
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


def test_what_is_there_is_taken_once_and_what_is_being_written_is_left(db: Engine, logs: Path) -> None:
    (logs / "click.jsonl").write_text(lines(1))
    for name in (".hidden.jsonl", "click.jsonl.part", "click.jsonl.tmp", "click.jsonl~", "_click.jsonl"):
        (logs / name).write_text(lines(2))
    (logs / ".git").mkdir()
    (logs / ".git" / "click.jsonl").write_text(lines(3))
    (logs / "notes.docx").write_text("x")
    deeper = logs / "2025" / "click-2.jsonl"
    deeper.parent.mkdir()
    deeper.write_text(lines(4))

    said = once(db, logs)
    assert sorted((t.what, t.source) for t in said) == [
        ("skipped", str(logs / "notes.docx")),
        ("stored", str(deeper)),
        ("stored", str(logs / "click.jsonl")),
    ]
    assert f"{deeper}: 1 click" in [str(t) for t in said]
    assert numbers(db) == [1, 4]
    assert [t.text for t in once(db, logs) if t.what == "known"] == ["2 files had been taken before"]
    with pytest.raises(SourceError, match="no such directory"):
        once(db, logs / "nothing")


def test_a_workspace_in_a_watched_directory_is_no_source(db: Engine, tmp_path: Path) -> None:
    (tmp_path / "click.jsonl").write_text(lines(1))
    assert [told.text for told in once(db, tmp_path)] == [f"{tmp_path / 'click.jsonl'}: 1 click"]
    generation = db.snapshot.generation
    assert [told.what for told in once(db, tmp_path)] == ["known"]
    assert db.refresh().snapshot.generation == generation
    assert db.ingest(tmp_path).known == 1
    with pytest.raises(SourceError, match="this is a workspace"):
        db.ingest(db.path)


def test_a_file_is_taken_when_two_looks_find_it_the_same(db: Engine, logs: Path) -> None:
    log, stop = logs / "click.jsonl", threading.Event()
    taken: list[Any] = []

    def take(paths: Any, **_: Any) -> Any:
        taken.extend(paths)
        raise SourceError("it went away")

    watch = Watch([logs], take, list, lambda told: None, SECONDS)
    log.write_text(lines(1))
    watch.turn(stop)
    stop.wait(SECONDS)
    log.write_text(lines(1, 2))
    watch.turn(stop)
    assert taken == []
    stop.wait(2 * SECONDS)
    watch.turn(stop)
    assert taken == [log]


def test_what_changes_all_the_time_is_left_for_the_next_time(db: Engine, logs: Path) -> None:
    (logs / "click.jsonl").write_text(lines(1))
    said: list[Told] = []
    watch = Watch([logs], lambda *_, **__: pytest.fail("taken"), list, said.append, SECONDS)
    watch._look()
    stop = threading.Event()
    stop.wait = lambda *_: bool((logs / "click.jsonl").write_text(lines(1, 2)))  # type: ignore[method-assign]
    watch.once(stop)
    assert [t.text for t in said] == [f"{logs / 'click.jsonl'}: still being written, left for the next time"]


def test_a_watch_takes_what_comes_and_what_grows_and_goes_on_after_bad_files(db: Engine, logs: Path) -> None:
    (logs / "click.jsonl").write_text(lines(0, 1))
    with watching(db, logs) as wait_for:
        assert wait_for("stored").rows == 2
        (logs / "bad.csv").write_text("a,b\n1,2\n")
        assert "quarantined: no column is the time" in wait_for("quarantined").text
        with (logs / "click.jsonl").open("a") as file:
            file.write(lines(2))
        grown = wait_for("stored")
        assert (grown.rows, grown.text.endswith("1 click from record 2 on")) == (1, True)
        aside = logs / "more.jsonl.part"
        aside.write_text(lines(3))
        aside.rename(logs / "click-2.jsonl")
        assert wait_for("stored").source.endswith("click-2.jsonl")
    assert numbers(db) == [0, 1, 2, 3]
    assert db.quarantine["source"].to_pylist() == [str(logs / "bad.csv")]


def test_a_watch_waits_for_another_writer_and_says_so(db: Engine, logs: Path) -> None:
    (logs / "click.jsonl").write_text(lines(1))
    with Engine(db.path).store.writer():
        with pytest.raises(WriterLockedError):
            once(db, logs)
        with watching(db, logs) as wait_for:
            assert "another writer holds this workspace" in wait_for("waiting").text
    with watching(db, logs) as wait_for:
        assert wait_for("stored").rows == 1


def test_a_watch_goes_on_once_the_other_writer_is_done(db: Engine, logs: Path) -> None:
    (logs / "click.jsonl").write_text(lines(1))
    other = Engine(db.path).store.writer()
    other.__enter__()
    with watching(db, logs) as wait_for:
        wait_for("waiting")
        other.__exit__(None, None, None)
        assert wait_for("stored").rows == 1
        assert wait_for("note").text == "it goes on"


def test_a_full_disk_is_told_and_waited_out(db: Engine, logs: Path) -> None:
    (logs / "click.jsonl").write_text(lines(1))
    full = Engine(db.path, watch_seconds=SECONDS, disk_reserve_mb=1 << 40)
    with watching(full, logs) as wait_for:
        assert "of them are a reserve" in wait_for("waiting").text
    full.close()
    with pytest.raises(StorageError):
        once(Engine(db.path, watch_seconds=SECONDS, disk_reserve_mb=1 << 40), logs)
    assert db.refresh().status()["documents"] == 0


def test_the_window_goes_with_the_days(tmp_path: Path, logs: Path) -> None:
    db = Engine.create(tmp_path / "rolling", watch_seconds=SECONDS, window=2)
    for n in (1, 2):
        (logs / f"click-{n}.jsonl").write_text(lines(n, day=f"2025-01-0{n}"))
    once(db, logs)
    for n in (3, 4):
        (logs / f"click-{n}.jsonl").write_text(lines(n, day=f"2025-01-0{n}"))
    said = once(db, logs)
    assert [t.text for t in said if t.what == "evicted"] == ["evicted: 2025-01-01, 2025-01-02"]
    (logs / "click-0.jsonl").write_text(lines(0))
    assert "1 documents refused, older than the window" in [t.text for t in once(db, logs)]
    (logs / "click-9.jsonl").write_text(lines(9, day="2026-01-01"))
    with watching(db, logs) as wait_for:
        assert "nothing is evicted" in wait_for("waiting").text
    assert numbers(db) == [3, 4, 9]
    db.close()


def test_a_file_with_other_bytes_is_refused_until_somebody_says_so(db: Engine, logs: Path) -> None:
    log = logs / "click.jsonl"
    log.write_text(lines(1, 2))
    once(db, logs)
    for number in (3, 4):
        log.write_text(lines(number))
        (told,) = (t for t in once(db, logs) if t.what == "quarantined")
        assert "was ingested before with other bytes" in told.text
    assert numbers(db) == [1, 2]
    assert db.quarantine.num_rows == 1

    db.retry(str(log))
    assert (numbers(db), db.quarantine.num_rows) == ([1, 2, 4], 0)
    log.write_text(lines(5))
    assert [t.what for t in once(db, logs, replaced="take")] == ["stored"]
    assert numbers(db) == [1, 2, 4, 5]


def test_a_file_that_cannot_be_read_is_told_once(db: Engine, logs: Path) -> None:
    (logs / "bad.csv").symlink_to("/proc/self/status")
    (logs / "worse.csv").symlink_to("/proc/self/mem")
    (logs / "gone.csv").symlink_to(logs / "nothing")
    said = once(db, logs)
    assert [(t.what, t.source) for t in said if t.what == "unreadable"] == [
        ("unreadable", str(logs / "worse.csv"))
    ]


def test_a_watch_ends_between_files_and_the_next_goes_on(db: Engine, logs: Path) -> None:
    for n in range(3):
        (logs / f"click-{n}.jsonl").write_text(lines(n))
    stop = threading.Event()
    small = Engine(db.path, watch_seconds=SECONDS)
    report = None

    def tick(update: Any) -> None:
        if update.done == 1:
            stop.set()

    from workbench.ingest import Ingest

    report = Ingest(small.store, small.schema, small.settings).run([logs], progress=tick, stop=stop)
    assert report.files == 2
    once(db, logs)
    assert numbers(db) == [0, 1, 2]
    stop.set()
    db.watch(logs, say=lambda told: pytest.fail(str(told)), stop=stop)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_with_everything_published(
    number: signal.Signals, db: Engine, logs: Path
) -> None:
    (logs / "click.jsonl").write_text(lines(1))
    command = [sys.executable, "-m", "workbench", "watch", str(logs), "-w", str(db.path), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert (told["what"], told["rows"]) == ("stored", 1)
        process.send_signal(number)
        rest, problems = process.communicate(timeout=60)
    assert (process.returncode, rest, problems) == (0, "", "")
    assert numbers(db.refresh()) == [1]
