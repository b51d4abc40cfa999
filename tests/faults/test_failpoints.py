"""Failpoints: at each operation of a step the disk refuses, or the process dies.

Steps are ingest, late events, eviction, compaction, forgetting, a computation's result, vectors with their
indexes, and a stream with its checkpoints; ``test_repair_faults.py`` takes repair, ``test_beside.py`` mirrors
and kept tables.

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
from faulty_disk import BreakingDisk, KilledError, points, some
from steps import STEPS, facts, opened, outcome, sitting

from workbench.engine import Engine
from workbench.errors import DiskFullError, StorageError
from workbench.ingest.stream import Stream
from workbench.storage import SegmentStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Count

QUICK = 12
FEW = {"forget": 6, "index": 8, "stream": 8}  # of the quick form; these steps take longer


@pytest.mark.parametrize("name", STEPS)
def test_every_operation_may_fail(
    name: str,
    place: Callable[[str], Path],
    logs: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: Count,
) -> None:
    monkeypatch.setattr(Stream, "_run", sitting)
    step = STEPS[name]
    origin = place("origin")
    with Engine(origin) as engine:
        step.prepare(engine, logs)
    whole = BreakingDisk()
    root = place("whole", origin)
    before = facts(SegmentStore(root).snapshot(), step)
    step.run(opened(root, whole), logs)
    after = facts(SegmentStore(root).snapshot(), step)
    assert before != after

    everywhere = points(whole.kinds)
    for at, how in (chosen := some(everywhere, FEW.get(name, QUICK), name)):
        root = place("w", origin)
        disk = BreakingDisk(at, how)
        error = outcome(lambda: step.run(opened(root, disk), logs))  # noqa: B023  (called at once)
        if isinstance(error, StorageError):
            assert isinstance(error, DiskFullError) == (how == "ENOSPC"), (at, how, error)
        elif error is None:
            assert facts(SegmentStore(root).snapshot(), step) == after, (at, how)
        assert (how in ("before", "after")) == isinstance(error, KilledError), (at, how, error)
        engine = Engine(root, stream_seconds=3600)
        assert step.commits > 1 or facts(engine.snapshot, step) in (before, after), (at, how)
        assert engine.verify(full=True) == [], (at, how)
        step.run(engine, logs)
        assert facts(engine.store.snapshot(), step) == after, (at, how)
        assert list((root / "tmp").iterdir()) == [], (at, how)
    count(f"failpoints of {name}, of {len(everywhere):,} at {len(whole.kinds):,} operations", len(chosen))
