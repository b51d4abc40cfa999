"""Power loss: whatever the disk forgot of what was not synced, the workspace is one whole generation.

The log of every operation of the store is replayed up to each point, and there the power fails: bytes that
were not synced are missing, cut or zeros, changes of names whose directory was not synced are there or
not, in the order in which they were made and in others. Of each state that this can leave it is asserted that

* the workspace opens, at a generation that was committed, byte by byte, and not older than the last one
  whose commit returned: nothing acknowledged is lost;
* ``verify --full`` finds every file that the generation names as it was published;
* the next ingest works and adds exactly its documents;
* a workspace whose making did not end is none, and can be made.

That the states are severe enough is shown by stores that leave out a sync or publish in another order:
each of them must be caught. ``make faults`` takes all states, ``make test`` a seeded drawing of them.
"""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from faulty_disk import BreakingDisk, KilledError, Machine, Operation, RecordingDisk, State, some

from workbench.engine import Engine
from workbench.errors import StorageError, WorkbenchError
from workbench.storage import SegmentStore, manifest
from workbench.storage.files import hash_bytes, make_directories, publish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from workbench.storage import Manifest, Snapshot, Transaction
    from workbench.storage.disk import Disk

QUICK = 30


def opened(root: Path, disk: Disk) -> Engine:
    engine = Engine(root)
    engine.store = SegmentStore(root, disk=disk)
    return engine


@dataclass
class Recording:
    """What a store did, and when it said that it was done."""

    machine: Machine
    log: list[Operation]
    acknowledged: list[tuple[int, int]] = field(default_factory=list)

    @property
    def committed(self) -> dict[str, int]:
        """Return the generations that were written, by the hash of their manifests."""
        data: dict[str, bytes] = {}
        for operation in self.log:
            if "manifests" in operation.target:
                data[operation.target] = data.pop(operation.path)
            elif operation.kind == "write":
                data[operation.path] = data.get(operation.path, b"") + operation.data
        return {hash_bytes(d): int(n[-15:-5]) for n, d in data.items() if n.startswith("w/manifests/")}

    def states(self, since: int = 0, every: int = 1) -> Iterator[tuple[State, int]]:
        """Yield each state from some operation on once, with the newest generation acknowledged before.

        Args:
            since: The first operation before which the power fails.
            every: Only at each so many operations.
        """
        seen: set[tuple[object, int]] = set()
        draw = random.Random(1)  # noqa: S311
        for number in range(len(self.log) + 1):
            known = max((g for n, g in self.acknowledged if n <= number), default=-1)
            for state in self.machine.states(draw) if number >= since and not number % every else ():
                if (state.key, known) not in seen:
                    seen.add((state.key, known))
                    yield state, known
            if number < len(self.log):
                self.machine.apply(self.log[number])

    def last_states(self) -> list[State]:
        """Return what may be on the disk if the power fails after the last operation."""
        for operation in self.log:
            self.machine.apply(operation)
        return list({state.key: state for state in self.machine.states(random.Random(1))}.values())  # noqa: S311


def record(root: Path, disk: RecordingDisk, steps: list[Callable[[Engine], object]]) -> Recording:
    recording = Recording(Machine.of(disk.root), disk.log)
    first = SegmentStore(root).snapshot().generation
    recording.acknowledged.append((0, first))
    engine = opened(root, disk)
    for step in steps:
        step(engine)
        recording.acknowledged.append((len(disk.log), SegmentStore(root).snapshot().generation))
    return recording


def steps_of(logs: Path) -> list[Callable[[Engine], object]]:
    return [
        lambda engine: engine.ingest(logs / "click-3.csv", type="click"),
        lambda engine: engine.ingest(logs / "late.csv", type="click"),
        lambda engine: engine.evict("2025-01-01"),
        lambda engine: engine.compute("components", device="cpu"),
    ]


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


def check(root: Path, known: int, committed: dict[str, int], more: Path) -> None:
    """Assert the promises of a workspace after a loss of power."""
    engine = whole(root, known, committed)
    found = engine.snapshot.manifest
    engine.ingest(more, type="click")
    assert documents(engine.snapshot.manifest) == documents(found) + 1
    assert engine.verify() == []
    assert engine.status()["stale_segments"] == 0


@pytest.fixture
def recording(place: Callable[[str], Path], logs: Path) -> Recording:
    root = place("recorded")
    return record(root, RecordingDisk(root.parent), steps_of(logs))


def test_every_state_is_a_whole_generation(
    recording: Recording, two_days: Path, logs: Path, tmp_path: Path, count: Callable[[str, int], None]
) -> None:
    committed = recording.committed
    first = manifest.read_current(two_days)
    committed[first.digest] = first.number
    states = list(recording.states())
    for number, (state, known) in enumerate(chosen := some(states, QUICK, "power")):
        root = tmp_path / str(number)
        root.mkdir()
        state.write(root)
        try:
            check(root / "w", known, committed, logs / "more.csv")
        except (AssertionError, WorkbenchError) as error:
            raise AssertionError(f"{state.how}, acknowledged {known}: {error}") from error
        shutil.rmtree(root)
    count(f"states after a loss of power, of {len(states):,}; {len(recording.log):,} operations", len(chosen))


def test_a_creation_that_the_power_cut_off_is_no_workspace_or_a_whole_one(
    logs: Path, tmp_path: Path, count: Callable[[str, int], None]
) -> None:
    (tmp_path / "disk").mkdir()
    disk = RecordingDisk(tmp_path / "disk")
    files = {"schema/entity.yaml": (logs / "schema.yaml").read_bytes()}
    recording = Recording(Machine.of(disk.root), disk.log)
    SegmentStore.create(disk.root / "w", files, disk=disk)
    recording.acknowledged.append((len(disk.log), 0))
    states = some(list(recording.states()), QUICK, "creation")
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
    place: Callable[[str], Path], logs: Path, tmp_path: Path, count: Callable[[str, int], None]
) -> None:
    """A writer is killed, another finds what it left, acknowledges that it is there, and the power fails."""
    whole = BreakingDisk()
    opened(place("whole"), whole).ingest(logs / "click-3.csv", type="click")
    tried = 0
    for at in range(len(whole.kinds) - 12, len(whole.kinds)):
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
    name: str, place: Callable[[str], Path], logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, place_of, changed = CARELESS[name]
    root = place("careless")
    before = manifest.read_current(root)
    with monkeypatch.context() as patched:
        if changed is not None:
            patched.setattr(place_of, changed)
        recording = record(root, disk(root.parent), steps_of(logs)[:1])
    committed = {**recording.committed, before.digest: before.number}
    # what is left out shows when the last operations, and then the acknowledgement, are lost
    late = list(recording.states(since=len(recording.log) - 20))
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
