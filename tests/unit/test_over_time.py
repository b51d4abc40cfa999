"""Clusters and communities over time: as of each day, of one setting, and what that says of a run."""

from __future__ import annotations

import shutil
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from workbench.engine import Engine
from workbench.errors import UnknownNameError
from workbench.knowledge import ENOUGH, Run, add, of_days

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FIRST = datetime(2025, 3, 3, tzinfo=UTC)
DAYS = 40
JUMP = 25
SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {{id: calls}}
spec:
  timezone: {zone}
  entities: {{client: {{who: true}}, host: {{}}}}
  events:
    Answer: {{entities: {{client: client, host: host}}}}
"""


def workspace(root: Path, zone: str = "UTC") -> Engine:
    """One client a day, and a host that is there every hour."""
    root.mkdir(exist_ok=True)
    (root / "calls.yaml").write_text(SCHEMA.format(zone=zone))
    engine = Engine.create(root / "w", schema=root / "calls.yaml")
    hours = [FIRST + timedelta(hours=hour) for hour in range(24 * DAYS)]
    clients = [f"c{hour // 24}" for hour in range(24 * DAYS)]
    engine.ingest(pl.DataFrame({"time": hours, "client": clients, "host": ["h"] * len(hours)}), type="Answer")
    return engine


def tell(db: Engine, kind: str, day: int, table: Mapping[str, list[Any]], **changes: Any) -> None:
    """Store a result as of the end of a day."""
    segments = db.snapshot.segments
    asof = FIRST + timedelta(days=day, hours=23)
    facts: dict[str, Any] = {
        "id": f"{kind}-{uuid.uuid4().hex}",
        "kind": kind,
        "algorithm": "told",
        "parameters": {},
        "seed": 0,
        "device": "cpu",
        "fallback": "",
        "versions": {},
        "segments": (segments[0], segments[day], day + 1),
        "inputs": "",
        "asof": asof.isoformat(),
        "created": f"2026-01-01T00:00:{day:02}+00:00",
        "seconds": 0.0,
    }
    with db.store.writer() as writer:
        transaction = writer.begin()
        add(transaction, Run(**{**facts, **changes}), pa.table(dict(table)))
        transaction.commit()
    db.refresh()


def sizes(*numbers: int) -> dict[str, list[Any]]:
    """A result with so many rows in clusters 0, 1, …"""
    return {"cluster": np.repeat(np.arange(len(numbers)), numbers).astype(np.int32).tolist()}


def observed(db: Engine, metric: str) -> dict[int, float]:
    """What is known of a metric, by day of the window."""
    rows = db.trends.series(metric).to_polars().drop_nulls("observed")
    zone = ZoneInfo(db.timezone)
    return {
        (time.astimezone(zone).date() - FIRST.date()).days: value
        for time, value in rows.select("time", "observed").rows()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which trends were computed: what its segments tell is kept."""
    root = tmp_path_factory.mktemp("calls")
    with workspace(root) as engine:
        engine.compute("trends")
    return root / "w"


@pytest.fixture
def db(made: Path, tmp_path: Path) -> Engine:
    return Engine(shutil.copytree(made, tmp_path / "w"))


def test_there_is_a_series_of_few_results_and_no_alert(db: Engine) -> None:
    assert not [name for name in db.trends.metrics if "cluster" in name or "communities" in name]
    told = db.compute("trends").run.id
    for day, numbers in {3: (4, 2), 5: (4, 0, 3), 9: (90, 1)}.items():
        tell(db, "clusters", day, sizes(*numbers))
    tell(db, "communities", 7, {"community": [0, 0, 1]}, metrics={"communities": 2.0})
    tell(db, "communities", 8, {"community": [0, 1, 2]})  # of an earlier version, which noted no number
    assert observed(db, "number of clusters") == {3: 2, 5: 2, 9: 2}
    assert observed(db, "size of cluster 0") == {3: 4, 5: 4, 9: 90}
    # it was not there on one day in between
    assert observed(db, "size of cluster 1") == {3: 2, 5: 0, 9: 1}
    assert observed(db, "size of cluster 2") == {5: 3}
    assert observed(db, "number of communities") == {7: 2, 8: 3}
    assert {"number of clusters", "size of cluster 2", "number of communities"} <= set(db.trends.metrics)
    assert db.compute("trends").run.id == told  # it depends on none of these
    with pytest.raises(UnknownNameError, match="hour"):
        db.trends.series("number of clusters", resolution="hour")


def test_with_enough_days_a_jump_is_an_episode(db: Engine) -> None:
    before = db.compute("trends")
    for day in range(5, 5 + ENOUGH - 1):
        tell(db, "clusters", day, sizes(100 + day % 3, 50))
    assert db.compute("trends").run.id == before.run.id
    for day in range(5 + ENOUGH - 1, DAYS):
        tell(db, "clusters", day, sizes(100 + day % 3 + 400 * (JUMP <= day < JUMP + 2), 50))
    found = db.trends.to_polars().filter(pl.col("metric").str.contains("cluster"))
    assert db.trends.knowledge.run.id != before.run.id
    (row,) = found.rows(named=True)
    assert (row["metric"], row["severity"], row["direction"]) == ("size of cluster 0", "critical", "up")
    assert (row["since"], row["until"]) == (FIRST + timedelta(days=JUMP), FIRST + timedelta(days=JUMP + 2))
    # how large it was, not the sum of two days
    assert row["observed"] == pytest.approx(501, abs=2)
    assert row["expected"] == pytest.approx(101, abs=1)
    # what is told again is not computed again, and another result is
    known = db.trends.knowledge.run.id
    assert db.compute("trends").run.id == known
    assert db.inputs_of("trends") == db.trends.knowledge.run.inputs  # its own run is no news to it
    tell(db, "clusters", 30, sizes(99, 51), created="2027-01-01T00:00:00+00:00")
    assert db.trends.knowledge.run.id != known


def test_a_result_as_of_an_earlier_day_sees_none_of_later_ones(db: Engine) -> None:
    for day in range(DAYS):
        tell(db, "clusters", day, sizes(10 if day < JUMP else 900))
    early = db.compute("trends", asof=db.snapshot.segments[JUMP - 1]).to_polars()
    assert early.filter(pl.col("metric").str.contains("cluster")).is_empty()


def test_the_setting_with_the_most_days_is_the_series_and_of_a_day_the_newest_result(db: Engine) -> None:
    segments = db.snapshot.segments
    for day in range(4):
        tell(db, "communities", day, {"community": [0]}, parameters={"resolution": 1.0})
    for day in range(3):
        tell(db, "communities", day, {"community": [0, 1]}, parameters={"resolution": 2.0})
    again = "2026-02-01T00:00:00+00:00"
    tell(db, "communities", 2, {"community": [0, 1, 2]}, parameters={"resolution": 1.0}, created=again)
    assert observed(db, "number of communities") == {0: 1, 1: 1, 2: 3, 3: 1}
    assert [
        e.meta["segments"][1] for e in of_days(db.snapshot, "communities", segments[1:], least=1)
    ] == list(segments[1:4])
    assert of_days(db.snapshot, "communities", segments, least=5) == []
    # as many days: the one that was used last
    tell(db, "communities", 3, {"community": [0, 1]}, parameters={"resolution": 2.0}, created=again)
    assert observed(db, "number of communities") == {0: 2, 1: 2, 2: 2, 3: 2}


def test_a_result_is_of_the_local_day_in_which_its_data_end(tmp_path: Path) -> None:
    auckland = workspace(tmp_path / "east", "Pacific/Auckland")
    tell(auckland, "communities", 5, {"community": [0]})
    assert observed(auckland, "number of communities") == {6: 1}
    west = workspace(tmp_path / "west", "America/New_York")
    tell(west, "communities", 5, {"community": [0]})
    assert observed(west, "number of communities") == {5: 1}


def test_new_entities_are_known_from_the_second_week_on(db: Engine) -> None:
    new = observed(db, "new client")
    assert min(new) == 7
    assert set(new.values()) == {1}
    assert set(observed(db, "new host").values()) == {0}
