"""The events that name an entity, out of the rows of all, and how many there are in each period."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from workbench.graph import sighted as module
from workbench.graph.sighted import counted, sighted
from workbench.partials.documents import HASH_BITS
from workbench.partials.shapes import ENTITIES, SIGHTINGS
from workbench.storage import SegmentStore

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.storage import Snapshot

DAYS = ("2025-03-29", "2025-03-30")  # between them Berlin's clocks go forward
MINUTE = 60_000_000
Row = tuple[int, str, int]


def drawn(seed: int) -> list[Row]:
    """Sightings of a day: entity's row, event's type and identifier, in the order of a partial."""
    draw = np.random.default_rng(seed)
    minutes = draw.choice(24 * 60, 300, replace=False).tolist()
    kinds = draw.choice(["Click", "Login", "Stay"], 300).tolist()
    ids = [(minute * MINUTE << HASH_BITS) | 7 for minute in minutes]
    return sorted(zip(draw.integers(0, 5, 300).tolist(), kinds, ids, strict=True), key=lambda r: (r[0], r[2]))


def stored(place: Path, told: int = 0) -> Snapshot:
    """Two days, in which the first entity's events are ``told`` more than there are."""
    store = SegmentStore.create(place)
    with store.writer() as writer:
        transaction = writer.begin()
        for number, day in enumerate(DAYS):
            rows = drawn(number)
            counts = np.bincount([row[0] for row in rows], minlength=6)
            counts[0] += told
            entities = [
                {"type": "t", "key": str(n), "is_test": False, "sightings": int(count)}
                for n, count in enumerate(counts)
            ]
            sightings = [dict(zip(("node", "event_type", "_id"), row, strict=True)) for row in rows]
            transaction.add("entities", pa.Table.from_pylist(entities, ENTITIES), segment=day)
            table = pa.Table.from_pylist(sightings, SIGHTINGS)
            transaction.add("sightings", table, segment=day, row_group=64)
        return transaction.commit()


def expected(wanted: dict[str, list[int]]) -> list[tuple[str, int, str, datetime]]:
    found = [
        (day, identifier, kind, datetime.fromisoformat(f"{day}T00:00+00:00"), identifier >> HASH_BITS)
        for number, day in enumerate(DAYS)
        for row, kind, identifier in drawn(number)
        if row in wanted.get(day, [])
    ]
    rows = [
        (day, i, kind, datetime.fromtimestamp(start.timestamp() + into / 1e6, UTC))
        for day, i, kind, start, into in found
    ]
    return sorted(rows, key=lambda row: (row[3], row[1]))


@pytest.mark.parametrize("told", [0, 3])
@pytest.mark.parametrize("wanted", [{DAYS[0]: [0], DAYS[1]: [4]}, {DAYS[1]: [2, 0, 3]}, {DAYS[0]: [5]}, {}])
def test_an_entitys_events_come_in_order_of_time(
    tmp_path: Path, told: int, wanted: dict[str, list[int]]
) -> None:
    """Also where what one file says of another one is not so."""
    found = sighted(stored(tmp_path / "w", told), {d: np.array(rows) for d, rows in wanted.items()})
    assert found.rows() == expected(wanted)
    assert found.columns == ["segment", "_id", "event_type", "_ts"]


@pytest.mark.parametrize("every", ["10m", "1h", "6h", "1d", "1w", "1mo"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"])
def test_quarters_of_an_hour_sum_up_to_any_period(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: str, zone: str
) -> None:
    seen = sighted(stored(tmp_path / "w"), {day: np.arange(5) for day in DAYS})
    local = pl.col("_ts").dt.convert_time_zone(zone).dt.truncate(every)
    plain = (
        seen.group_by(local.alias("period"), pl.col("event_type").cast(pl.String))
        .agg(pl.len().alias("events"))
        .sort("period", "event_type")
    )
    assert counted(seen, every, zone).equals(plain)
    monkeypatch.setattr(module, "_MANY", 0)
    assert counted(seen, every, zone).equals(plain)
    assert counted(seen, every, zone).schema == plain.schema


def test_old_times_are_counted_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zones once differed from UTC by seconds."""
    monkeypatch.setattr(module, "_MANY", 0)
    times = [datetime(1970, 5, 1, 12, 44, second, tzinfo=UTC) for second in (10, 50)]
    seen = pl.DataFrame({"_ts": pl.Series(times, dtype=pl.Datetime("us", "UTC")), "event_type": ["a", "a"]})
    assert counted(seen, "1h", "Africa/Monrovia")["events"].to_list() == [1, 1]
