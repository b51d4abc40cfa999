"""Leases: the generation that a living process reads stays, and nobody has to clean up after a dead one."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from workbench.storage import SegmentStore
from workbench.storage.leases import Leases, _release, leased
from workbench.storage.manifest import manifest_name

if TYPE_CHECKING:
    from pathlib import Path

DAY = "2025-06-12"

READ = """
import sys
from pathlib import Path
from workbench.storage import SegmentStore

snapshot = SegmentStore(Path(sys.argv[1])).snapshot()
print(snapshot.generation, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path: Path) -> SegmentStore:
    return SegmentStore.create(tmp_path / "w")


def replace(store: SegmentStore, times: int = 1) -> None:
    """Publish so many generations, each with one file in the place of the one before."""
    for number in range(times):
        with store.writer() as writer:
            transaction = writer.begin()
            transaction.remove(transaction.base.files("events"))
            transaction.add("events", pa.table({"x": [number]}), segment=DAY)
            transaction.commit()


def age(root: Path) -> None:
    old = time.time() - 3600
    for path in root.rglob("*"):
        os.utime(path, (old, old))


def leases(store: SegmentStore) -> list[str]:
    return sorted(p.name for p in (store.root / "readers").iterdir())


def test_a_leased_generation_keeps_its_files_until_the_snapshot_is_gone(store: SegmentStore) -> None:
    replace(store)
    held = store.snapshot()
    (entry,) = held.files("events")
    replace(store, 6)
    age(store.root)
    with store.writer():
        pass

    assert held.read(entry)["x"].to_pylist() == [0]
    assert (store.root / "manifests" / manifest_name(held.generation)).exists()
    # neither its neighbours nor anything else is kept for its sake
    assert len(list((store.root / "manifests").iterdir())) == 4
    assert len(list(store.root.rglob("*.parquet"))) == 4

    del held
    gc.collect()
    with store.writer():
        pass
    assert not (store.root / entry.path).exists()
    assert leases(store) == []


def test_snapshots_of_one_generation_share_a_lease_that_says_whose_it_is(store: SegmentStore) -> None:
    one, two = store.snapshot(), store.snapshot()
    (name,) = leases(store)
    note = json.loads((store.root / "readers" / name).read_text())
    assert (note["pid"], note["generation"]) == (os.getpid(), 0)
    assert [(r.generation, r.pid) for r in leased(store.root / "readers")] == [(0, os.getpid())]

    replace(store)
    three = store.snapshot()
    assert len(leases(store)) == 2
    del one
    assert len(leases(store)) == 2
    del two
    assert [int(n[:10]) for n in leases(store)] == [three.generation]


@pytest.mark.parametrize("end", [signal.SIGKILL, None], ids=["killed", "ended"])
def test_the_lease_of_another_process_holds_until_it_ends(
    store: SegmentStore, end: signal.Signals | None
) -> None:
    replace(store)
    command = [sys.executable, "-c", READ, str(store.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        assert reader.stdout.readline() == "1\n"
        (path,) = (store.root / f.path for f in store.snapshot().files("events"))
        replace(store, 5)
        age(store.root)
        with store.writer():
            pass
        assert path.exists()
        assert [r.pid for r in leased(store.root / "readers")] == [reader.pid]
        if end is None:
            reader.stdin.close()
        else:
            reader.send_signal(end)
        reader.wait(30)
    assert len(leases(store)) == (end is not None)  # who is killed leaves its file
    with store.writer():
        pass
    assert leases(store) == []
    assert not path.exists()


def test_a_child_takes_a_lease_of_its_own_and_leaves_its_parents(store: SegmentStore) -> None:
    held = store.snapshot()
    (name,) = leases(store)
    child = os.fork()
    if not child:
        mine = store.snapshot()
        own = len(leases(store)) == 2
        held._lease.release()  # type: ignore[union-attr]
        mine._lease.release()  # type: ignore[union-attr]
        os._exit(0 if own and leases(store) == [name] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert [r.pid for r in leased(store.root / "readers")] == [os.getpid()]
    assert held.generation == 0


def test_what_a_child_inherited_is_closed_in_it_and_not_removed(store: SegmentStore) -> None:
    path = store.root / "readers" / "x"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    _release(path, descriptor, os.getpid() + 1)
    assert path.exists()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_reader_whose_file_was_taken_for_a_dead_ones_takes_another(
    store: SegmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let a collector come exactly between the making of a lease and its lock."""
    import fcntl

    lock, met = fcntl.flock, []

    def late(descriptor: int, how: int) -> None:
        if not met:
            met.append(leased_now := leased(store.root / "readers"))
            assert leased_now == []
        lock(descriptor, how)

    folder = store.root / "readers"
    monkeypatch.setattr(fcntl, "flock", lambda d, h: lock(d, h) if h & fcntl.LOCK_NB else late(d, h))
    lease = Leases(folder).take(7, "0" * 32)
    monkeypatch.undo()
    assert lease is not None
    assert met == [[]]
    assert [r.generation for r in leased(folder)] == [7]


def test_what_is_no_lease_is_left_alone(store: SegmentStore) -> None:
    (store.root / "readers" / "notes.txt").write_text("mine")
    with store.writer():
        pass
    assert leases(store) == ["notes.txt"]


def test_a_lease_that_goes_while_it_is_looked_at_is_no_error(
    store: SegmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Leases(store.root / "readers").take(0, "0" * 32)
    assert lease is not None
    opened = os.open

    def gone(path: Path, flags: int, *mode: int) -> int:
        lease.release()
        return opened(path, flags, *mode)

    monkeypatch.setattr(os, "open", gone)
    assert leased(store.root / "readers") == []


def test_where_nothing_can_be_written_reading_goes_on_without_a_lease(store: SegmentStore) -> None:
    replace(store)
    (store.root / "readers").rmdir()
    (store.root / "readers").write_text("in the way")
    snapshot = store.snapshot()
    assert [snapshot.read(f).num_rows for f in snapshot.files("events")] == [1]


def test_the_folder_is_made_where_an_older_version_made_none(store: SegmentStore) -> None:
    (store.root / "readers").rmdir()
    assert store.snapshot().generation == 0
    assert (store.root / "readers").is_dir()


def test_a_generation_that_is_published_meanwhile_is_read_instead(
    store: SegmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, seen = Leases.take, []

    def slow(self: Leases, generation: int, digest: str) -> object:
        if not seen:
            replace(store)
        seen.append(generation)
        return take(self, generation, digest)

    monkeypatch.setattr(Leases, "take", slow)
    assert store.snapshot().generation == 1
    assert seen == [0, 1]


def test_nothing_is_deleted_while_it_is_unknown_what_a_reader_needs(store: SegmentStore) -> None:
    replace(store)
    held = store.snapshot()
    replace(store, 4)
    (store.root / "manifests" / manifest_name(held.generation)).write_text("{}")
    age(store.root)
    before = sorted(store.root.rglob("*.parquet"))
    with store.writer() as writer:
        assert writer.collect(grace=-1) == 0
    assert sorted(store.root.rglob("*.parquet")) == before
