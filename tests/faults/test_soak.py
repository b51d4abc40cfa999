"""Two months in a window of two weeks: files, a stream, late events and eviction each day; nothing grows.

Each day gets a file, late events for the day before, streamed events with repeats over several checkpoints,
and the eviction of what the window no longer holds. Once the window is full, memory, files on the disk,
entries of the manifest and descriptors stay what they are. ``make faults`` runs 60 days in a window of 15,
``make test`` 6 in a window of 2.
"""

from __future__ import annotations

import json
import os
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from faulty_disk import FULL, LazyDisk

from workbench.engine import Engine
from workbench.storage import SegmentStore

if TYPE_CHECKING:
    from conftest import Count

START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS, WINDOW, EVENTS = (60, 15, 200) if FULL else (6, 2, 20)
CHECKPOINTS = 6 if FULL else 1


def event(at: datetime, number: int) -> dict[str, str]:
    time = (at + timedelta(seconds=number)).isoformat()
    return {"time": time, "user": f"u{number % 40}", "page": f"/{number % 9}"}


def figures(engine: Engine) -> dict[str, int]:
    """Return what must not grow; memory in KB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "files": sum(1 for path in engine.path.rglob("*") if path.is_file()),
        "live files": len(engine.snapshot.manifest.files),
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208  (names, not paths)
        "memory": pages * resource.getpagesize() >> 10,
    }


def a_day(engine: Engine, folder: Path, day: int) -> int:
    """Let a day pass and return how many documents it brought."""
    now = START + timedelta(days=day)
    file = folder / f"click-{day}.jsonl"
    file.write_text("\n".join(json.dumps(event(now, n)) for n in range(EVENTS)))
    taken = engine.ingest(file, type="click").rows.total()
    late = folder / f"late-{day}.jsonl"
    late.write_text("\n".join(json.dumps(event(now - timedelta(hours=1), n)) for n in range(5)))
    taken += engine.ingest(late, type="click").rows.total()
    for path in (file, late):
        path.unlink()
    with engine.stream(clock=lambda: now + timedelta(hours=20)) as stream:
        for turn in range(CHECKPOINTS):
            at = now + timedelta(hours=turn + 1)
            keys = [f"{day}-{turn}-{n}" for n in range(EVENTS)]
            events = [event(at, n) for n in range(EVENTS)]
            taken += stream.append("click", events, keys=keys).accepted
            assert stream.append("click", events[::-1], keys=keys[::-1]).duplicates == EVENTS
            stream.checkpoint()
    engine.evict()
    with engine.store.writer() as writer:
        writer.collect(grace=-1)
    return taken


def test_nothing_grows_once_the_window_is_full(tmp_path: Path, count: Count) -> None:
    engine = Engine.create(tmp_path / "w", window=WINDOW, stream_seconds=3600)
    engine.store = SegmentStore(engine.path, disk=LazyDisk(), reserve=0)
    seen = []
    for day in range(DAYS):
        taken = a_day(engine, tmp_path, day)
        assert taken == EVENTS * (CHECKPOINTS + 1) + 5
        seen.append(figures(engine.refresh()))
    engine.close()

    assert len(engine.snapshot.segments) == WINDOW
    assert engine.verify(full=True) == []
    assert engine.status()["stale_segments"] == 0
    full, last = seen[WINDOW + 1], seen[-1]
    assert last["live files"] == full["live files"]
    assert abs(last["files"] - full["files"]) <= 2
    assert last["descriptors"] <= full["descriptors"] + 2
    assert last["memory"] <= full["memory"] * 1.1 + 20_000
    for name in full:
        count(
            f"{name} after {DAYS} days in a window of {WINDOW}, {full[name]:,} when it was full", last[name]
        )
