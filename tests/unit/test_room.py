"""A disk that fills up: old days of a rolling workspace make place, where that is permitted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from workbench.engine import Engine
from workbench.errors import DiskFullError
from workbench.storage import SegmentStore
from workbench.storage.disk import Disk, Space

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2025, 6, 1, tzinfo=UTC)
RESERVE = 1 << 20


class SmallDisk(Disk):
    """A disk of which only so much is left as its workspace leaves."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.size = 1 << 40

    def used(self) -> int:
        return sum(p.stat().st_size for p in self.root.rglob("*") if p.is_file())

    def shrink(self, left: int) -> None:
        """Leave so many bytes above the reserve."""
        self.size = self.used() + RESERVE + left

    def space(self, path: Path) -> Space:
        return Space(self.size, max(self.size - self.used(), 0))


def made(root: Path, *, days: int = 4, **settings: Any) -> tuple[Engine, SmallDisk]:
    options: dict[str, Any] = {"window": 30, "evict_when_full": True, "stream_seconds": 3600, **settings}
    engine = Engine.create(root / "w", **options)
    disk = SmallDisk(engine.path)
    engine.store = SegmentStore(engine.path, disk=disk, reserve=RESERVE)
    for day in range(days):
        engine.ingest(log(root, day, 300), type="click")
    return engine, disk


def log(root: Path, day: int, rows: int) -> Path:
    path = root / f"click-{day}-{rows}.jsonl"
    at = START + timedelta(days=day)
    path.write_text(
        "\n".join(
            json.dumps({"time": (at + timedelta(seconds=n)).isoformat(), "n": n * 7919 % 10_007})
            for n in range(rows)
        )
    )
    return path


def days(engine: Engine) -> list[str]:
    return [segment[-2:] for segment in engine.refresh().snapshot.segments]


def test_ingest_evicts_the_oldest_day_rather_than_stop(tmp_path: Path) -> None:
    engine, disk = made(tmp_path)
    disk.shrink(8_000)
    report = engine.ingest(log(tmp_path, 5, 300), type="click")
    assert report.evicted == ["2025-06-01"]
    assert "evicted, for the disk's reserve was touched: 2025-06-01" in str(report)
    assert days(engine) == ["02", "03", "04", "06"]
    assert list((engine.path / "segments" / "dt=2025-06-01").iterdir()) == []
    assert engine.verify(full=True) == []
    assert engine.sql("select count(*) from click").rows == [(1200,)]
    # collecting goes on as ever: what the next generations leave behind is deleted in time
    engine.evict("2025-06-02")
    with engine.store.writer() as writer:
        assert writer.collect(grace=-1, manifests=1) > 0


def test_two_days_at_most_and_never_the_newest(tmp_path: Path) -> None:
    engine, disk = made(tmp_path)
    disk.shrink(0)
    with pytest.raises(DiskFullError, match="are a reserve"):
        engine.ingest(log(tmp_path, 5, 3_000), type="click")
    assert days(engine) == ["03", "04"]
    engine.evict("2025-06-03")
    disk.shrink(0)
    with pytest.raises(DiskFullError):
        engine.ingest(log(tmp_path, 5, 3_001), type="click")
    assert days(engine) == ["04"]


@pytest.mark.parametrize("settings", [{"evict_when_full": False}, {"window": "all"}])
def test_nothing_is_evicted_unless_it_is_permitted(tmp_path: Path, settings: dict[str, Any]) -> None:
    engine, disk = made(tmp_path, days=3, **settings)
    disk.shrink(0)
    with pytest.raises(DiskFullError):
        engine.ingest(log(tmp_path, 5, 300), type="click")
    with engine.stream(clock=lambda: START) as stream:
        disk.shrink(-1)
        with pytest.raises(DiskFullError):
            stream.append("click", {"time": START.isoformat()})
    assert days(engine) == ["01", "02", "03"]


def test_a_stream_evicts_before_it_refuses_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    engine, disk = made(tmp_path)
    now = START + timedelta(days=5)
    with engine.stream(clock=lambda: now) as stream:
        disk.shrink(-1)
        assert stream.append("click", {"time": now.isoformat(), "n": 1}).accepted == 1
        assert days(engine) == ["02", "03", "04"]
        disk.shrink(4_000)
        stream._space_checked = 0.0
        assert stream.append("click", {"time": now.isoformat(), "n": 2}).accepted == 1
        stream.checkpoint()
    assert days(engine)[-1] == "06"
    assert engine.sql("select count(*) from click where _segment = '2025-06-06'").rows == [(2,)]
    assert engine.status()["stale_segments"] == 0


def test_while_another_writes_a_stream_refuses(tmp_path: Path) -> None:
    engine, disk = made(tmp_path, days=3)
    with engine.stream(clock=lambda: START) as stream:
        disk.shrink(-1)
        with SegmentStore(engine.path).writer(), pytest.raises(DiskFullError):
            stream.append("click", {"time": START.isoformat()})
        disk.shrink(1 << 20)
    assert days(engine) == ["01", "02", "03"]


def test_files_that_a_reader_holds_are_no_gain_and_cost_one_day_alone(tmp_path: Path) -> None:
    engine, disk = made(tmp_path)
    reader = Engine(engine.path)
    disk.shrink(0)
    with pytest.raises(DiskFullError):
        engine.ingest(log(tmp_path, 5, 300), type="click")
    for _ in range(3):
        with pytest.raises(DiskFullError):
            engine.ingest(log(tmp_path, 5, 300), type="click")
    assert days(engine) == ["02", "03", "04"]
    assert len(reader.snapshot.segments) == 4
    assert reader.verify(full=True) == []
