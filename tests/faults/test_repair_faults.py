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
from typing import TYPE_CHECKING

from damaged import kept, repair, repaired
from faulty_disk import MOST, BreakingDisk, KilledError, Machine, RecordingDisk, points, some
from steps import outcome
from test_power_loss import Recording

from workbench.errors import DiskFullError, StorageError
from workbench.storage import SegmentStore

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Count, Place
    from damaged import Damaged

QUICK = 8


def test_undisturbed_it_brings_back_what_there_is_and_names_the_rest(
    place: Place, damaged: Damaged, two_days: Path
) -> None:
    root = place("w", damaged.root)
    repair(root)
    files, _, missing, recovered = repaired(root)
    before = {(f.kind, f.segment, f.hash) for f in SegmentStore(two_days).snapshot().manifest.files}
    assert {f for f in before if f[1] == "2025-01-01"} <= files  # type: ignore[operator]
    assert missing == [("2025-01-02", "click", 1)]
    assert recovered == [b"one", b"three"]
    assert damaged.bytes <= kept(root)


def test_every_operation_may_fail(place: Place, damaged: Damaged, count: Count) -> None:
    whole = BreakingDisk()
    root = place("whole", damaged.root)
    repair(root, whole)
    after = repaired(root)
    everywhere = points(whole.kinds)
    for at, how in (chosen := some(everywhere, QUICK, "repair")):
        root = place("w", damaged.root)
        error = outcome(lambda: repair(root, BreakingDisk(at, how)))  # noqa: B023  (called at once)
        if isinstance(error, StorageError):
            assert isinstance(error, DiskFullError) == (how == "ENOSPC"), (at, how, error)
        elif error is None:
            assert repaired(root) == after, (at, how)
        assert (how in ("before", "after")) == isinstance(error, KilledError), (at, how, error)
        assert damaged.bytes <= kept(root), (at, how)
        repair(root)
        assert repaired(root) == after, (at, how)
        assert damaged.bytes <= kept(root), (at, how)
        assert list((root / "tmp").iterdir()) == [], (at, how)
    count(f"failpoints of repair, of {len(everywhere):,} at {len(whole.kinds):,} operations", len(chosen))


def test_after_any_loss_of_power_the_next_repair_ends_it(
    place: Place, damaged: Damaged, tmp_path: Path, count: Count
) -> None:
    root = place("recorded", damaged.root)
    disk = RecordingDisk(root.parent)
    recording = Recording(Machine.of(disk.root), disk.log)
    recording.acknowledged.append((0, 0))
    repair(root, disk)
    after = repaired(root)
    recording.acknowledged.append((len(disk.log), SegmentStore(root).snapshot().generation))
    states = recording.states()
    for number, (state, known) in enumerate(chosen := some(states, QUICK, "repair", MOST)):
        target = tmp_path / str(number)
        target.mkdir()
        state.write(target)
        if known:
            assert SegmentStore(target / "w").snapshot().generation == known, state.how
        assert damaged.bytes <= kept(target / "w"), state.how
        repair(target / "w")
        assert repaired(target / "w") == after, state.how
        assert damaged.bytes <= kept(target / "w"), state.how
        shutil.rmtree(target)
    operations = f"{len(disk.log):,} operations"
    count(f"states after a loss of power in repair, of {len(states):,}; {operations}", len(chosen))
