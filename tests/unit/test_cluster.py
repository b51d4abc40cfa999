"""Tasks run anywhere: what they send can be sent, and what comes about is the same."""

from __future__ import annotations

import logging
import pickle
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl
import pytest

import workbench
import workbench.executors.dask as dask_driver
from workbench.analysis import Context, tasks
from workbench.engine import Engine
from workbench.errors import ConfigError, CorruptFileError, DriverUnavailableError, ExecutorError
from workbench.executors import Executor, Threads, executors, named
from workbench.executors.base import tree
from workbench.executors.dask import Dask
from workbench.graph import window_of
from workbench.settings import load_settings
from workbench.storage.by_segment import BySegment
from workbench.testing.executors import total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from workbench.graph.window import Window

T = TypeVar("T")
R = TypeVar("R")

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: calls}
spec:
  timezone: America/New_York
  entities: {client: {who: true}, host: {}}
  edges: {Called: {from: client, to: host}}
  events:
    Answer:
      entities: {client: client, host: host}
      edges: [{type: Called, from: client, to: host}]
"""
DAYS = 11  # more than are merged at a time
NO_DASHBOARD: dict[str, Any] = {
    "dashboard_address": "127.0.0.1:0",
    "scheduler_kwargs": {"dashboard": False},
    "silence_logs": logging.CRITICAL,
}
MOST_SENT = 4_096  # bytes of a function and an item: no engine, no table, no manifest


class Sending(Executor):
    """Runs what would arrive in another process, here; notes what was sent."""

    apart = True

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        return (self._arrived((function, item)) for item in items)

    def reduce(
        self, function: Callable[[T], R], merge: Callable[[Sequence[R]], R], items: Iterable[T]
    ) -> R | None:
        self._note(merge)
        return tree(self.map(function, items), lambda parts: sent(merge(parts)))

    def _note(self, what: Any) -> bytes:
        self.sent.append(pickle.dumps(what))
        return self.sent[-1]

    def _arrived(self, call: tuple[Callable[[Any], R], Any]) -> R:
        function, item = pickle.loads(self._note(call))  # noqa: S301  (its own)
        found: R = sent(function(item))
        return found


def sent(result: R) -> R:
    """Return a result as it arrives: its arrays are those of a message, which nobody may write to."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(result, protocol=5, buffer_callback=buffers.append)
    found: R = pickle.loads(data, buffers=[bytes(buffer) for buffer in buffers])  # noqa: S301  (its own)
    return found


def require(name: str) -> None:
    reason = executors.load(name).can_run()
    if reason is not True:
        pytest.skip(f"executor {name!r} cannot run here: {reason}")


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calls")
    (folder / "calls.yaml").write_text(SCHEMA)
    rows = 40 * DAYS
    with Engine.create(folder / "w", schema=folder / "calls.yaml") as engine:
        engine.ingest(
            pl.DataFrame(
                {
                    "time": [f"2025-03-{1 + n % DAYS:02d}T{n % 24:02d}:00:00Z" for n in range(rows)],
                    "client": [f"c{n % 97}" for n in range(rows)],
                    "host": [f"h{n % 5}" for n in range(rows)],
                }
            ),
            type="Answer",
        )
        assert len(engine.snapshot.segments) == DAYS
    return folder / "w"


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Yield the address of a cluster of one process."""
    require("dask")
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, **NO_DASHBOARD) as running:
        yield running.scheduler_address


@pytest.fixture
def db(calls: Path) -> Iterator[Engine]:
    with Engine(calls) as engine:
        yield engine


def context(db: Engine, task: str, executor: Executor) -> Context:
    segments = db.snapshot.segments
    assert db.now is not None
    made = db.context(segments, db.now, tasks.load(task).complete({}))
    return replace(made, by_segment=BySegment(db.snapshot, executor=executor))


@pytest.mark.parametrize("task", ["trends", "clusters"])
def test_what_a_task_sends_is_small_and_its_result_the_same(db: Engine, task: str) -> None:
    sending = Sending()
    found = tasks.create(task).run(context(db, task, sending)).table
    assert found.equals(tasks.create(task).run(context(db, task, Threads())).table)
    assert len(sending.sent) >= DAYS
    assert max(map(len, sending.sent)) < MOST_SENT


def test_a_window_that_workers_merge_is_the_same_window(db: Engine, tmp_path: Path) -> None:
    sending = Sending()
    kept = db.store.derived("window")
    here = window_of(db.snapshot, kept, db.snapshot.segments, worth=0)
    there = window_of(db.snapshot, kept, db.snapshot.segments, worth=0, executor=sending)
    assert there.equals(here)
    assert there.segments == here.segments
    assert {day: nodes.tolist() for day, nodes in there.places.items()} == {
        day: nodes.tolist() for day, nodes in here.places.items()
    }
    assert 2 <= len(sending.sent) < DAYS
    assert max(map(len, sending.sent)) < MOST_SENT
    none = window_of(db.snapshot, kept, [], worth=0, executor=sending)
    assert none.entities.num_rows == 0


def test_of_threads_that_want_the_window_one_merges_it(db: Engine) -> None:
    kept = db.store.derived("window")
    once, both = Sending(), Sending()
    begin = threading.Barrier(2)

    def wanted(_: int) -> Window:
        begin.wait()
        return window_of(db.snapshot, db.store.derived("window"), worth=0, executor=both)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(wanted, range(2))
    assert one.equals(other)
    for made in kept.sets():
        (db.path / "cache" / "derived" / made.name).unlink()
    window_of(db.snapshot, kept, worth=0, executor=once)
    assert len(both.sent) == len(once.sent) > 0
    for made in kept.sets():
        (db.path / "cache" / "derived" / made.name).unlink()


def test_a_small_window_is_merged_here(db: Engine) -> None:
    sending = Sending()
    window_of(db.snapshot, db.store.derived("window"), executor=sending)
    assert sending.sent == []


def damage(db: Engine, kind: str, day: str) -> Path:
    (entry,) = db.snapshot.files(kind, segments=[day])
    path = db.path / entry.path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    return path


def test_a_damaged_partial_is_named_wherever_it_is_found(calls: Path, cluster: str, tmp_path: Path) -> None:
    copy = tmp_path / "w"
    shutil.copytree(calls, copy)
    with Engine(copy) as db, named(cluster) as elsewhere:
        path = damage(db, "sightings", "2025-03-07")
        for executor in (Threads(), elsewhere):
            with pytest.raises(CorruptFileError) as caught:
                tasks.create("trends").run(context(db, "trends", executor))
            assert caught.value.where == str(path)
            generation = db.snapshot.generation
            assert caught.value.__notes__ == [f"in segment 2025-03-07 of {copy}, generation {generation}"]


def test_an_engine_computes_the_same_on_a_cluster_and_leaves_it(
    calls: Path, db: Engine, cluster: str
) -> None:
    with Engine(calls, cluster=cluster) as other:
        beside = other.beside()
        assert beside.executor is other.executor
        beside.close()  # the cluster is not its own
        assert other.now is not None
        made = other.context(other.snapshot.segments, other.now, tasks.load("trends").complete({}))
        assert made.by_segment.executor is other.executor
        found = tasks.create("trends").run(made).table
        kept, days = db.store.derived("window"), db.snapshot.segments
        window = window_of(db.snapshot, kept, days, worth=0, executor=other.executor)
    assert found.equals(tasks.create("trends").run(context(db, "trends", Threads())).table)
    assert window.equals(window_of(db.snapshot, kept, days, worth=0))


def test_a_cluster_that_runs_stays_when_it_is_left(cluster: str) -> None:
    with named(cluster) as executor:
        assert list(executor.map(abs, [-1, -2])) == [1, 2]
        executor.close()
        assert executor.reduce(abs, total, [-1, -2]) == 3


def test_an_address_without_a_scheduler_or_workers_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    require("dask")
    from distributed import LocalCluster

    monkeypatch.setattr(dask_driver, "_SECONDS", 0.5)
    with pytest.raises(ExecutorError, match=r"tcp://127\.0\.0\.1:1: no scheduler answers there"):
        list(named("tcp://127.0.0.1:1").map(abs, [1]))
    monkeypatch.setattr(dask_driver, "_SECONDS", 5.0)
    with (
        LocalCluster(n_workers=0, **NO_DASHBOARD) as empty,
        pytest.raises(ExecutorError, match="the scheduler has no workers"),
    ):
        named(empty.scheduler_address).reduce(abs, total, [1])


def test_a_library_that_is_missing_is_said_when_the_cluster_is_used() -> None:
    class Missing(Dask):
        requires = ("no_such_library",)

    executor = Missing("local")
    with pytest.raises(DriverUnavailableError, match=r"needs no_such_library, not installed; .* 'cluster'"):
        list(executor.map(abs, [1]))
    executor.close()


def test_workers_of_another_version_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    call = dask_driver._called
    assert call(workbench.__version__, abs, -1) == 1
    with pytest.raises(ExecutorError, match=r"a worker has workbench .*, this is 0\.0\.0"):
        call("0.0.0", abs, -1)


@pytest.mark.parametrize("cluster", ["", "local", "tcp://10.0.0.1:8786", "tls://cluster.example:8786"])
def test_clusters_that_can_be_set(cluster: str) -> None:
    assert load_settings(environ={}, cluster=cluster).cluster == cluster
    assert isinstance(named(cluster), Dask if cluster else Threads)


@pytest.mark.parametrize("cluster", ["here", "http://10.0.0.1:8786", "tcp://10.0.0.1", "tcp://a b:1"])
def test_clusters_that_cannot(cluster: str) -> None:
    with pytest.raises(ConfigError, match="'local' or tcp://host:port"):
        load_settings(environ={}, cluster=cluster)
