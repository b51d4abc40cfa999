"""db.sql when its worker is too slow, interrupted, killed, out of memory or orphaned."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workbench.errors import SqlError, SqlTimeoutError
from workbench.sql import SqlSession, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENDLESS = "select max(sin(a.range + b.range)) from range(1000000) a, range(1000000) b"
LIMITS = {"timezone": "UTC", "memory": "256MB", "threads": 1, "timeout": 120.0}


def no_view(schema: str, name: str) -> View | None:
    raise AssertionError(f"{schema}.{name} was not named")


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def runs(pid: int | None) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def exists(pid: int | None) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[SqlSession]:
    with SqlSession(no_view, list, directory=tmp_path, **LIMITS) as opened:  # type: ignore[arg-type]
        yield opened
    assert list(tmp_path.iterdir()) == []


def started(session: SqlSession) -> int:
    """Run one statement and return the worker's process id."""
    assert session.query("select 1").rows == [(1,)]
    pid = session.worker_pid
    assert pid is not None
    return pid


def test_nothing_is_started_before_the_first_statement(session: SqlSession) -> None:
    assert session.worker_pid is None


def test_a_statement_over_its_limit_is_killed(session: SqlSession) -> None:
    first = started(session)
    begin = time.monotonic()
    with pytest.raises(SqlTimeoutError, match=r"0\.5 s.*timeout=.*sql_timeout"):
        session.query(ENDLESS, timeout=0.5)
    assert 0.4 < time.monotonic() - begin < 10
    assert not exists(first)
    assert started(session) != first


def test_the_limit_of_the_session_holds_where_none_is_given(tmp_path: Path) -> None:
    limits = LIMITS | {"timeout": 1.0}
    with (
        SqlSession(no_view, list, directory=tmp_path, **limits) as session,  # type: ignore[arg-type]
        pytest.raises(TimeoutError),
    ):
        session.query(ENDLESS)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Whatever who started the tests made of it, ctrl-C interrupts: shells let jobs of theirs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_kills_the_statement_and_the_next_one_runs(
    session: SqlSession, interruptible: None
) -> None:
    first = started(session)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        session.query(ENDLESS)
    timer.join()
    assert not exists(first)
    assert started(session) != first


def test_an_interrupt_in_the_middle_of_the_rows_leaves_no_half_answer(
    session: SqlSession, interruptible: None
) -> None:
    started(session)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        session.query("select range, repeat('x', 10) from range(2000000000)")
    timer.join()
    assert session.query("select 7").rows == [(7,)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_dies_in_a_statement_is_reported(session: SqlSession, number: signal.Signals) -> None:
    first = started(session)
    timer = threading.Timer(0.5, os.kill, (first, number))
    timer.start()
    with pytest.raises(SqlError, match=f"signal {number.value}") as failed:
        session.query(ENDLESS)
    timer.join()
    assert not isinstance(failed.value, SqlTimeoutError)
    assert not exists(first)
    assert started(session) != first


def test_a_worker_that_died_between_statements_is_replaced(session: SqlSession) -> None:
    first = started(session)
    os.kill(first, signal.SIGKILL)
    assert wait_for(lambda: session.worker_pid is None)
    assert started(session) != first


def test_a_setting_that_is_wrong_is_named(tmp_path: Path) -> None:
    limits = LIMITS | {"timezone": "Mars/Olympus"}
    with (
        SqlSession(no_view, list, directory=tmp_path, **limits) as session,  # type: ignore[arg-type]
        pytest.raises(SqlError, match="Mars/Olympus"),
    ):
        session.query("select 1")


def peak_memory(pid: int) -> int:
    """Return the most bytes that a process has held."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024


@pytest.mark.parametrize(
    "statement",
    [
        "select length(repeat('x', 3000000000))",  # not counted by DuckDB's own limit
        "select len(list(range)) from range(100000000)",
        "select list(repeat('x', 100000) || range) from range(100000)",
    ],
)
def test_memory_is_bounded_and_the_next_statement_runs(session: SqlSession, statement: str) -> None:
    first = started(session)
    peaks = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02) and runs(first):
            try:
                peaks.append(peak_memory(first))
            except (FileNotFoundError, ProcessLookupError, StopIteration):
                return

    thread = threading.Thread(target=watch)
    thread.start()
    with pytest.raises(SqlError, match="ggregate or filter earlier"):
        session.query(statement)
    done.set()
    thread.join()
    assert max(peaks, default=0) < 1_400_000_000
    assert started(session)


def test_a_sort_larger_than_memory_spills_to_the_private_directory(
    session: SqlSession, tmp_path: Path
) -> None:
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            seen.update(path.name for path in tmp_path.rglob("spill/*"))

    thread = threading.Thread(target=watch)
    thread.start()
    result = session.query(
        "select count(*), count(distinct t) from (select t, row_number() over (order by hash(t)) as n "
        "from (select repeat('x', 1000) || range as t from range(300000))) where n > 0"
    )
    done.set()
    thread.join()
    assert result.rows == [(300_000, 300_000)]
    assert seen
    assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.rglob("spill/*")) == []


def test_closing_ends_the_worker_and_removes_its_files(tmp_path: Path) -> None:
    session = SqlSession(no_view, list, directory=tmp_path, **LIMITS)  # type: ignore[arg-type]
    pid = started(session)
    assert len(list(tmp_path.iterdir())) == 1
    begin = time.monotonic()
    session.close()
    session.close()
    assert time.monotonic() - begin < 1.5  # an idle worker ends by itself
    assert not exists(pid)
    assert list(tmp_path.iterdir()) == []


def test_a_forgotten_session_leaves_nothing_behind(tmp_path: Path) -> None:
    session = SqlSession(no_view, list, directory=tmp_path, **LIMITS)  # type: ignore[arg-type]
    pid = started(session)
    del session
    gc.collect()
    assert not exists(pid)
    assert list(tmp_path.iterdir()) == []


PARENT = """
import os, sys, threading
from pathlib import Path
from workbench.sql import SqlSession

session = SqlSession(lambda s, n: None, list, timezone="UTC", memory="256MB", threads=1, timeout=120,
                     directory=Path(sys.argv[1]))
session.query("select 1")
print(session.worker_pid, flush=True)
if sys.argv[2] == "busy":
    session.query(sys.argv[3])
elif sys.argv[2] == "idle":
    threading.Event().wait()
"""


@pytest.mark.parametrize("state", ["busy", "idle"])
def test_a_worker_does_not_outlive_its_parent(tmp_path: Path, state: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), state, ENDLESS], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert runs(pid)
        time.sleep(0.3)
        parent.kill()
    assert wait_for(lambda: not runs(pid))
    assert wait_for(lambda: list(tmp_path.iterdir()) == [])


def test_a_parent_that_ends_without_closing_leaves_nothing_behind(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", PARENT, str(tmp_path), "end", ""],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert ended.stderr == b""
    assert not exists(int(ended.stdout))
    assert list(tmp_path.iterdir()) == []


def test_threads_take_turns(session: SqlSession) -> None:
    answers: dict[int, list[tuple[int]]] = {}

    def ask(number: int) -> None:
        answers[number] = session.query(f"select {number}").rows  # type: ignore[assignment]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: [(number,)] for number in range(8)}


def test_the_end_of_a_fork_leaves_the_worker_alone(session: SqlSession, tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from workbench.sql import SqlSession

session = SqlSession(lambda s, n: None, list, timezone="UTC", memory="256MB", threads=1, timeout=120,
                     directory=Path(sys.argv[1]))
session.query("select 1")
if (child := os.fork()) == 0:
    sys.exit(0)
os.waitpid(child, 0)
print(session.query("select 2").rows, len(list(Path(sys.argv[1]).iterdir())))
session.close()
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True, timeout=60, text=True
    )
    assert ended.stdout == "[(2,)] 1\n"
