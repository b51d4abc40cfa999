"""Failpoints: at each operation of a step the disk refuses, or the process dies.

Steps are ingest, late events, eviction, compaction and forgetting.

Of every one it is asserted that

* an error of the kernel comes out as a ``StorageError`` (a full disk as ``DiskFullError``), unless the step
  was done all the same;
* a short write is no error: the rest is written;
* afterwards the workspace is one whole generation, the one before the step or the one after it;
* the step, taken again, ends where it ends undisturbed: the same documents, the same partials.

``make faults`` takes all of them, ``make test`` a seeded drawing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faulty_disk import ERRORS, BreakingDisk, KilledError, some

from workbench.engine import Engine
from workbench.errors import DiskFullError, StorageError
from workbench.partials.shapes import KINDS
from workbench.storage import SegmentStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from workbench.storage import Snapshot

QUICK = 20
FEW = {"compact": 8, "forget": 8}  # of the quick form; their steps take longer
WAYS = [*ERRORS, "short", "before", "after"]


def _evict(engine: Engine, logs: Path) -> object:
    return engine.evict("2025-01-01") if "2025-01-01" in engine.store.snapshot().segments else None


def _compact(engine: Engine, logs: Path) -> object:
    """Compaction of late events; what it leaves is what they left."""
    engine.ingest(logs / "late.csv", type="click")
    return engine.compact()


def _forget(engine: Engine, logs: Path) -> object:
    return engine.forget("user:u1", apply=True)


STEPS: dict[str, Callable[[Engine, Path], object]] = {
    "ingest": lambda engine, logs: engine.ingest(logs / "click-3.csv", type="click"),
    "late events": lambda engine, logs: engine.ingest(logs / "late.csv", type="click"),
    "evict": _evict,
    "compact": _compact,
    "forget": _forget,
}


def opened(root: Path, disk: BreakingDisk) -> Engine:
    engine = Engine(root)
    engine.store = SegmentStore(root, disk=disk)
    return engine


def facts(snapshot: Snapshot) -> tuple[dict[tuple[str, str], str], int, list[str]]:
    """Return what a generation holds: partials by hash, documents, sources."""
    partials = {(f.kind, f.segment): f.hash for kind in KINDS for f in snapshot.files(kind)}
    return partials, sum(f.rows for f in snapshot.files("events")), sorted(snapshot.manifest.ledger)


def outcome(step: Callable[[], object]) -> BaseException | None:
    """Return how a step failed; what is neither our error nor the kill is a failure of the test."""
    try:
        step()
    except (StorageError, KilledError) as error:
        return error
    return None


@pytest.mark.parametrize("name", STEPS)
def test_every_operation_may_fail(
    name: str, place: Callable[[str], Path], logs: Path, count: Callable[[str, int], None]
) -> None:
    step = STEPS[name]
    whole = BreakingDisk()
    root = place("whole")
    before = facts(SegmentStore(root).snapshot())
    step(opened(root, whole), logs)
    after = facts(SegmentStore(root).snapshot())
    assert before != after

    points = [
        (at, how) for at, kind in enumerate(whole.kinds) for how in WAYS if how != "short" or kind == "write"
    ]
    for at, how in (chosen := some(points, FEW.get(name, QUICK), name)):
        root = place("w")
        disk = BreakingDisk(at, how)
        error = outcome(lambda: step(opened(root, disk), logs))  # noqa: B023  (called at once)
        if isinstance(error, StorageError):
            assert isinstance(error, DiskFullError) == (how == "ENOSPC"), (at, how, error)
        elif error is None:
            assert facts(SegmentStore(root).snapshot()) == after, (at, how)
        assert (how in ("before", "after")) == isinstance(error, KilledError), (at, how, error)
        engine = Engine(root)
        assert facts(engine.snapshot) in (before, after), (at, how)
        assert engine.verify(full=True) == [], (at, how)
        step(engine, logs)
        assert facts(engine.store.snapshot()) == after, (at, how)
        assert list((root / "tmp").iterdir()) == [], (at, how)
    count(f"failpoints of {name}, of {len(points):,} at {len(whole.kinds):,} operations", len(chosen))
