"""Power loss: whatever the disk forgot of what was not synced, the workspace is one whole generation.

The log of every operation of the store is replayed up to each point, and there the power fails: bytes that
were not synced are missing, cut or zeros, changes of names whose directory was not synced are there or
not, in the order in which they were made and in others. Of each state that this can leave it is asserted that

* the workspace opens, at a generation that was committed, byte by byte, and not older than the last one
  whose commit returned: nothing acknowledged is lost;
* ``verify --full`` finds every file that the generation names as it was published;
* the next ingest works and adds exactly its documents;
* of a stream every event that was acknowledged is there, and sent again none is there twice;
* a workspace whose making did not end is none, and can be made.

That the states are severe enough is shown by stores that leave out a sync or publish in another order:
each of them must be caught. ``make faults`` takes all states, of the longest steps a seeded drawing of
1,000, ``make test`` a few.
"""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from faulty_disk import MOST, BreakingDisk, KilledError, Machine, Operation, RecordingDisk, State, some
from steps import SENT, STEPS, opened, send, sitting

from workbench.engine import Engine
from workbench.errors import StorageError, WorkbenchError
from workbench.ingest.stream import Stream
from workbench.storage import SegmentStore, manifest
from workbench.storage.files import hash_bytes, make_directories, publish

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from conftest import Count, Place

    from workbench.storage import Manifest, Snapshot, Transaction
    from workbench.storage.disk import Disk

QUICK = 24
FEW = 8
CHAINS = {
    "ingest, late events, eviction and a result": ["ingest", "late events", "evict", "compute"],
    "compaction": ["late events", "compact"],
    "forgetting": ["forget"],
    "vectors and their indexes": ["index", "late events", "index", "evict"],
}


@dataclass
class Recording:
    """What a store did, and when it said that it was done: a generation, or another number that grows."""

    machine: Machine
    log: list[Operation]
    acknowledged: list[tuple[int, int]] = field(default_factory=list)
    first: dict[str, int] = field(default_factory=dict)

    @property
    def committed(self) -> dict[str, int]:
        """Return the generations that were there or written, by the hash of their manifests."""
        data: dict[str, bytes] = {}
        for operation in self.log:
            if "manifests" in operation.target:
                data[operation.target] = data.pop(operation.path)
            elif operation.kind == "write":
                data[operation.path] = data.get(operation.path, b"") + operation.data
        written = {hash_bytes(d): int(n[-15:-5]) for n, d in data.items() if n.startswith("w/manifests/")}
        return self.first | written

    def states(self, since: int = 0) -> list[tuple[State, int]]:
        """Return each state from some operation on once, with the newest generation acknowledged before.

        Args:
            since: The first operation before which the power fails.
        """
        found: dict[tuple[object, ...], tuple[State, int]] = {}
        draw = random.Random(1)  # noqa: S311
        for number in range(len(self.log) + 1):
            known = max((g for n, g in self.acknowledged if n <= number), default=-1)
            for state in self.machine.states(draw) if number >= since else ():
                found[state.key] = state, known
            if number < len(self.log):
                self.machine.apply(self.log[number])
        return list(found.values())

    def last_states(self) -> list[State]:
        """Return what may be on the disk if the power fails after the last operation."""
        for operation in self.log:
            self.machine.apply(operation)
        return list({state.key: state for state in self.machine.states(random.Random(1))}.values())  # noqa: S311


def record(root: Path, disk: RecordingDisk, steps: Sequence[str], logs: Path) -> Recording:
    first = manifest.read_current(root)
    recording = Recording(Machine.of(disk.root), disk.log, [(0, first.number)], {first.digest: first.number})
    engine = opened(root, disk)
    for step in steps:
        STEPS[step].run(engine, logs)
        recording.acknowledged.append((len(disk.log), SegmentStore(root).snapshot().generation))
    return recording


def documents(found: Manifest) -> int:
    return sum(f.rows for f in found.files if f.kind == "events")


def whole(root: Path, known: int, committed: dict[str, int]) -> Engine:
    """Assert that a workspace holds one of its generations, none before the last acknowledged one."""
    engine = Engine(root)
    found = engine.snapshot.manifest
    assert committed[found.digest] == found.number
    assert found.number >= known
    assert engine.verify(full=True) == []
    return engine


def check(root: Path, known: int, committed: dict[str, int], more: Path) -> Engine:
    """Assert the promises of a workspace after a loss of power."""
    engine = whole(root, known, committed)
    found = engine.snapshot.manifest
    engine.ingest(more, type="click")
    assert documents(engine.snapshot.manifest) == documents(found) + 1
    assert engine.verify() == []
    assert engine.status()["stale_segments"] == 0
    return engine


@pytest.mark.parametrize("name", CHAINS)
def test_every_state_is_a_whole_generation(
    name: str, place: Place, logs: Path, tmp_path: Path, count: Count
) -> None:
    root, steps = place("recorded"), CHAINS[name]
    with Engine(root) as engine:
        STEPS[steps[0]].prepare(engine, logs)
    recording = record(root, RecordingDisk(root.parent), steps, logs)
    committed = recording.committed
    states = recording.states()
    quick = QUICK if steps[0] == "ingest" else FEW
    for number, (state, known) in enumerate(chosen := some(states, quick, "power", MOST)):
        root = tmp_path / str(number)
        root.mkdir()
        state.write(root)
        try:
            engine = check(root / "w", known, committed, logs / "more.csv")
            if "index" in steps:
                STEPS["index"].run(engine, logs)
                assert engine.status()["segments_without_vectors"] == 0
                assert engine.verify() == []
        except (AssertionError, WorkbenchError) as error:
            raise AssertionError(f"{state.how}, acknowledged {known}: {error}") from error
        shutil.rmtree(root)
    operations = f"{len(recording.log):,} operations"
    count(f"states after a loss of power in {name}, of {len(states):,}; {operations}", len(chosen))


def test_every_event_that_a_stream_acknowledged_is_there(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    monkeypatch.setattr(Stream, "_run", sitting)
    root = place("recorded")
    disk = RecordingDisk(root.parent)
    recording = Recording(Machine.of(disk.root), disk.log)
    before = documents(SegmentStore(root).snapshot().manifest)
    send(opened(root, disk), lambda number: recording.acknowledged.append((len(disk.log), number)))
    states = recording.states()
    for number, (state, known) in enumerate(chosen := some(states, FEW, "stream", MOST)):
        root = tmp_path / str(number)
        root.mkdir()
        state.write(root)
        with Engine(root / "w", stream_seconds=3600) as engine:
            assert engine.verify(full=True) == []
            with engine.stream() as stream:
                stream.checkpoint()
            there = documents(engine.snapshot.manifest) - before
            assert known + 1 <= there <= SENT, (state.how, known, there)
            send(engine)
            assert documents(engine.snapshot.manifest) == before + SENT, state.how
            assert engine.verify() == []
            assert engine.status()["stale_segments"] == 0
        shutil.rmtree(root)
    operations = f"{len(disk.log):,} operations"
    count(f"states after a loss of power in a stream, of {len(states):,}; {operations}", len(chosen))


def test_a_creation_that_the_power_cut_off_is_no_workspace_or_a_whole_one(
    logs: Path, tmp_path: Path, count: Count
) -> None:
    (tmp_path / "disk").mkdir()
    disk = RecordingDisk(tmp_path / "disk")
    files = {"schema/entity.yaml": (logs / "schema.yaml").read_bytes()}
    recording = Recording(Machine.of(disk.root), disk.log)
    SegmentStore.create(disk.root / "w", files, disk=disk)
    recording.acknowledged.append((len(disk.log), 0))
    states = some(recording.states(), QUICK, "creation")
    for number, (state, known) in enumerate(states):
        root = tmp_path / str(number)
        root.mkdir()
        state.write(root)
        if SegmentStore.is_workspace(root / "w"):
            assert SegmentStore(root / "w").snapshot().generation == 0
            assert (root / "w" / "schema" / "entity.yaml").read_bytes() == files["schema/entity.yaml"]
        else:
            assert known == -1
            assert SegmentStore.create(root / "w", files).snapshot().generation == 0
        shutil.rmtree(root)
    count("states of a creation after a loss of power", len(states))


def test_what_a_killed_writer_left_is_durable_once_the_next_one_has_seen_it(
    place: Place, logs: Path, tmp_path: Path, count: Count
) -> None:
    """A writer is killed, another finds what it left, acknowledges that it is there, and the power fails."""
    whole = BreakingDisk()
    opened(place("whole"), whole).ingest(logs / "click-3.csv", type="click")
    tried = 0
    for at in some(range(len(whole.kinds) - 12, len(whole.kinds)), 4, "killed"):
        root = place("killed")
        disk = RecordingDisk(root.parent)
        recording = Recording(Machine.of(root.parent), disk.log)
        with pytest.raises(KilledError):
            opened(root, BreakingDisk(at, "after", disk)).ingest(logs / "click-3.csv", type="click")
        opened(root, disk).ingest(logs / "click-3.csv", type="click")
        seen = SegmentStore(root).snapshot().manifest
        recording.acknowledged.append((len(disk.log), seen.number))
        for number, state in enumerate(some(recording.last_states(), 6, f"killed {at}")):
            target = tmp_path / "after" / str(number)
            target.mkdir(parents=True)
            state.write(target)
            engine = Engine(target / "w")
            assert engine.snapshot.generation >= seen.number, (at, state.how)
            assert documents(engine.snapshot.manifest) == documents(seen)
            assert engine.verify(full=True) == []
            tried += 1
        shutil.rmtree(tmp_path / "after")
    count("states after a kill, a recovery and a loss of power", tried)


# stores that leave something out


class NoFileSync(RecordingDisk):
    """Renames files whose bytes are not synced."""

    def sync(self, descriptor: int) -> None:
        pass


class NoDirectorySync(RecordingDisk):
    """Acknowledges before the names are synced."""

    def sync_directory(self, path: Path) -> None:
        pass


def current_first(root: Path, found: Manifest, disk: Disk) -> None:
    """Publish the pointer before what it points to."""
    data = found.encode()
    name = manifest.manifest_name(found.number)
    pointer = json.dumps({"manifest": name, "hash": hash_bytes(data)}).encode()
    publish(root / "CURRENT", pointer, root / "tmp", disk)
    publish(root / "manifests" / name, data, root / "tmp", disk)


def manifest_first(self: Transaction) -> Snapshot:
    """Commit the manifest before the files that it names are where it says."""
    staged, self._staged = self._staged, []
    root, disk = self._writer.root, self._writer.disk
    kept = [f for f in self.base.manifest.files if f.path not in self._removed]
    files = (*kept, *(entry for _, entry in staged))
    changed = self.base.manifest.next("", files=files, ledger=self._ledger, state=self._state)
    manifest.commit(root, changed, disk)
    for aside, entry in staged:
        make_directories((root / entry.path).parent, disk)
        disk.rename(aside, root / entry.path)
        disk.sync_directory((root / entry.path).parent)
    return self._writer.snapshot()


CARELESS = {
    "no sync of files": (NoFileSync, "", None),
    "no sync of directories": (NoDirectorySync, "", None),
    "CURRENT first": (RecordingDisk, "workbench.storage.writer.commit", current_first),
    "manifest first": (RecordingDisk, "workbench.storage.writer.Transaction.commit", manifest_first),
}


@pytest.mark.parametrize("name", CARELESS)
def test_a_store_that_is_not_careful_enough_is_caught(
    name: str, place: Place, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, place_of, changed = CARELESS[name]
    root = place("careless")
    with monkeypatch.context() as patched:
        if changed is not None:
            patched.setattr(place_of, changed)
        recording = record(root, disk(root.parent), ["ingest"], logs)
    committed = recording.committed
    # what is left out shows when the last operations, and then the acknowledgement, are lost
    late = recording.states(since=len(recording.log) - 20)
    for number, (state, known) in enumerate(reversed(late)):
        target = tmp_path / str(number)
        target.mkdir()
        state.write(target)
        try:
            whole(target / "w", known, committed)
        except (AssertionError, StorageError, KeyError):
            return
        shutil.rmtree(target)
    pytest.fail("no state shows what this store leaves out")
