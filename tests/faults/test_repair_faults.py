"""Repair under failpoints and loss of power.

A workspace is damaged in every way at once: CURRENT, the newest manifest, a partial, a reference, documents
whose source is there, documents whose source is gone, and a bad record in the log before a good one. At each
operation of its repair the disk refuses or the process dies; and after any of them the power fails. Then

* an error of the kernel comes out as a ``StorageError``, a full disk as ``DiskFullError``;
* the next repair ends where an undisturbed one ends: the same documents, partials and missing ranges;
* ``verify --full`` is clean then, and the log opens with every good record;
* the bytes of what is damaged are where they were, or in ``quarantine/damaged``: nothing is lost twice.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

import pytest
from faulty_disk import BreakingDisk, KilledError, Machine, RecordingDisk, points, some
from steps import outcome
from test_power_loss import Recording

from workbench.engine import Engine, workspace_schema
from workbench.errors import DiskFullError, StorageError
from workbench.ingest.repair import Repair
from workbench.ingest.stream_checkpoint import log_position
from workbench.partials.shapes import KINDS
from workbench.settings import load_settings
from workbench.storage import SegmentStore
from workbench.storage.collect import DAMAGED
from workbench.storage.disk import LOCAL
from workbench.storage.files import hash_bytes
from workbench.storage.wal import Log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Place

    from workbench.storage.disk import Disk

QUICK = 8


class Damaged(NamedTuple):
    """A damaged workspace, and the hashes of its damaged files' bytes."""

    root: Path
    bytes: set[str]


def flip(path: Path, place: int) -> str:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    return hash_bytes(bytes(data))


@pytest.fixture(scope="module")
def damaged(two_days: Path, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    root = tmp_path_factory.mktemp("damaged") / "w"
    shutil.copytree(two_days, root)
    gone = root.parent / "gone.csv"
    gone.write_text("time,user,page,title\n2025-01-02T07:30:00Z,u7,p7,Gone\n")
    with Engine(root) as engine:
        engine.ingest(gone, type="click")
        engine.ingest(logs / "late.csv", type="click")
        snapshot = engine.snapshot
    gone.unlink()
    with Log(root / "wal", position=lambda: log_position(snapshot)) as log:
        for payload in (b"one", b"two", b"three"):
            log.append(1, payload)
    events = snapshot.files("events", segments=["2025-01-02"])
    (reference,) = snapshot.files("reference")
    partial = snapshot.files("edges", segments=["2025-01-01"])[0]
    kept = {flip(root / f.path, f.bytes // 2) for f in (*events, reference)}
    flip(root / partial.path, 100)
    (path,) = (root / "wal").glob("*.wal")
    kept.add(flip(path, path.read_bytes().index(b"two")))
    kept.add(flip(max((root / "manifests").glob("*.json")), 300))
    kept.add(flip(root / "CURRENT", 5))
    return Damaged(root, kept)


def repair(root: Path, disk: Disk = LOCAL) -> None:
    Repair(root, workspace_schema(root), load_settings(root), disk=disk).run(apply=True)


def facts(root: Path) -> tuple[object, ...]:
    """Return what a repaired workspace holds, having checked that it is whole."""
    with Engine(root) as engine:
        assert engine.verify(full=True) == []
        assert engine.status()["stale_segments"] == 0
        snapshot = engine.snapshot
    with Log(root / "wal", position=lambda: log_position(snapshot)) as log:
        recovered = [record.payload for record in log.recovered]
    files = {(f.kind, f.segment, f.hash) for f in snapshot.manifest.files if f.kind in (*KINDS, "events")}
    missing = [(m.entry.segment, m.entry.name, m.rows) for m in snapshot.missing]
    return files, sorted(snapshot.manifest.ledger), missing, recovered


def kept(root: Path) -> set[str]:
    """Return the hashes of what lies where it was published or where damaged files are kept."""
    paths = [
        p
        for folder in (DAMAGED, "segments", "references", "manifests", "wal")
        for p in root.glob(f"{folder}/**/*")
    ]
    return {hash_bytes(p.read_bytes()) for p in (*paths, root / "CURRENT") if p.is_file()}


def test_undisturbed_it_brings_back_what_there_is_and_names_the_rest(
    place: Place, damaged: Damaged, two_days: Path
) -> None:
    root = place("w", damaged.root)
    repair(root)
    files, _, missing, recovered = facts(root)
    before = {(f.kind, f.segment, f.hash) for f in SegmentStore(two_days).snapshot().manifest.files}
    assert {f for f in before if f[1] == "2025-01-01"} <= files  # type: ignore[operator]
    assert missing == [("2025-01-02", "click", 1)]
    assert recovered == [b"one", b"three"]
    assert damaged.bytes <= kept(root)


def test_every_operation_may_fail(place: Place, damaged: Damaged, count: Callable[[str, int], None]) -> None:
    whole = BreakingDisk()
    root = place("whole", damaged.root)
    repair(root, whole)
    after = facts(root)
    everywhere = points(whole.kinds)
    for at, how in (chosen := some(everywhere, QUICK, "repair")):
        root = place("w", damaged.root)
        error = outcome(lambda: repair(root, BreakingDisk(at, how)))  # noqa: B023  (called at once)
        if isinstance(error, StorageError):
            assert isinstance(error, DiskFullError) == (how == "ENOSPC"), (at, how, error)
        elif error is None:
            assert facts(root) == after, (at, how)
        assert (how in ("before", "after")) == isinstance(error, KilledError), (at, how, error)
        assert damaged.bytes <= kept(root), (at, how)
        repair(root)
        assert facts(root) == after, (at, how)
        assert damaged.bytes <= kept(root), (at, how)
        assert list((root / "tmp").iterdir()) == [], (at, how)
    count(f"failpoints of repair, of {len(everywhere):,} at {len(whole.kinds):,} operations", len(chosen))


def test_after_any_loss_of_power_the_next_repair_ends_it(
    place: Place, damaged: Damaged, tmp_path: Path, count: Callable[[str, int], None]
) -> None:
    root = place("recorded", damaged.root)
    disk = RecordingDisk(root.parent)
    recording = Recording(Machine.of(disk.root), disk.log)
    recording.acknowledged.append((0, 0))
    repair(root, disk)
    after = facts(root)
    recording.acknowledged.append((len(disk.log), SegmentStore(root).snapshot().generation))
    states = recording.states()
    for number, (state, known) in enumerate(chosen := some(states, QUICK, "repair")):
        target = tmp_path / str(number)
        target.mkdir()
        state.write(target)
        if known:
            assert SegmentStore(target / "w").snapshot().generation == known, state.how
        assert damaged.bytes <= kept(target / "w"), state.how
        repair(target / "w")
        assert facts(target / "w") == after, state.how
        assert damaged.bytes <= kept(target / "w"), state.how
        shutil.rmtree(target)
    operations = f"{len(disk.log):,} operations"
    count(f"states after a loss of power in repair, of {len(states):,}; {operations}", len(chosen))
