"""Tallies: the same whether all events are counted at once or segment by segment, kept, and counted anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import workbench as wb
from workbench.analysis.activity import read_activity
from workbench.analysis.stacked import EVENTS
from workbench.analysis.tally import HOUR_US, Counting, Tally, read_tally, tally_of
from workbench.engine import Engine
from workbench.partials.documents import DAY_US
from workbench.partials.micros import start_of
from workbench.storage.by_segment import BySegment

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.analysis.activity import Activity

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: tiny}
spec:
  fields: {test_account: isTest}
  entities: {account: {who: true}, user: {who: true}, item: {}}
  events:
    View: {entities: {user: user, item: item}}
    Fail: {entities: {user: user, account: account}}
"""
START, DAYS = datetime(2025, 3, 28, tzinfo=UTC), 4  # summer time begins in Rome on the third
VISIT_US = HOUR_US // 2


def some(seed: int, events: int) -> pa.Table:
    """Return events of few users, so that visits often go on past midnight."""
    draw = np.random.default_rng(seed)
    times = np.sort(draw.integers(0, DAYS * DAY_US, events))
    moments = np.datetime64(START.replace(tzinfo=None), "us") + times.astype("m8[us]")
    return pa.table(
        {
            "time": pa.array(moments).cast(pa.timestamp("us", "UTC")),
            "user": [f"u{n}" for n in draw.integers(0, 12, events)],
            "item": [f"i{n}" for n in draw.integers(0, 5, events)],
            "account": [f"a{n}" for n in draw.integers(0, 3, events)],
            "isTest": draw.random(events) < 0.1,
        }
    )


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return with_events(tmp_path_factory.mktemp("tally"))


def with_events(root: Path) -> Engine:
    (root / "tiny.yaml").write_text(SCHEMA)
    engine = Engine.create(root / "w", schema=root / "tiny.yaml")
    engine.ingest(some(1, 2_000), type="View")
    engine.ingest(some(2, 300), type="Fail")
    return engine


def activity_of(engine: Engine, since: int, until: int) -> Activity:
    return read_activity(engine.snapshot, engine.snapshot.segments, engine.schema, "user", since, until)


def kept_of(engine: Engine) -> BySegment:
    """Return what keeps also what is found in small segments."""
    return replace(engine.by_segment, worth=0)


def same(one: Tally, other: Tally) -> None:
    assert one.hourly.height > 0
    by = ["actor", "hour", "local"]
    for columns in (["event_type", *by, "events"], [*by, "visits"]):
        frames = [
            t.hourly.cast({"event_type": pl.String})
            .filter(pl.col(columns[-1]) > 0)
            .select(columns)
            .sort(columns)
            for t in (one, other)
        ]
        assert frames[0].equals(frames[1])
    assert one.spans.equals(other.spans)


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Rome", "Asia/Kolkata"])
@pytest.mark.parametrize(
    ("since", "until"),
    [(0, DAYS * DAY_US), (0, 2 * DAY_US), (DAY_US + 7 * HOUR_US, 3 * DAY_US + 5), (5, 6 * HOUR_US)],
)
def test_segments_say_what_their_events_say_at_once(
    engine: Engine, since: int, until: int, timezone: str
) -> None:
    first = start_of(engine.snapshot.segments[0])
    counting = Counting("user", timezone, VISIT_US)
    activity = activity_of(engine, first + since, first + until)
    found = read_tally(activity, counting, activity.since, activity.until, kept_of(engine))
    same(found, tally_of(activity.events, counting))


def test_a_visit_past_midnight_is_one(engine: Engine) -> None:
    times = [23.9, 24.1, 47.8, 48.2, 50.0]
    events = pl.DataFrame(
        {"actor": [3] * 5, "event_type": ["View"] * 5, "ts": [int(h * HOUR_US) for h in times]},
        schema_overrides={"actor": pl.Int32},
    )
    found = tally_of(events, Counting("user", "UTC", VISIT_US))
    assert found.total("visits", 4).tolist() == [0, 0, 0, 3]
    assert found.total("events", 4).tolist() == [0, 0, 0, 5]
    assert found.spans.row(0, named=True) == {
        "actor": 3,
        "first": int(23.9 * HOUR_US),
        "last": 50 * HOUR_US,
        "gaps": 2,
        "pauses": int(47.8 * HOUR_US) - int(24.1 * HOUR_US) + 50 * HOUR_US - int(48.2 * HOUR_US),
    }


def test_nothing_is_an_empty_tally() -> None:
    found = tally_of(EVENTS, Counting("user", "UTC", VISIT_US))
    assert found.hourly.is_empty()
    assert found.total("events", 2).tolist() == [0, 0]


def test_what_a_segment_says_is_counted_once(tmp_path: Path) -> None:
    """Who counts in the same way counts nothing again; a segment that changed is counted anew."""
    engine = with_events(tmp_path)
    counting = Counting("user", "UTC", VISIT_US)

    def counted(of: Counting) -> int:
        """Return how many segments had to be counted."""
        days = engine.snapshot.segments
        kept = engine.store.derived("tally of user")
        before = {made.name for made in kept.sets()}
        activity = activity_of(engine, start_of(days[0]), start_of(days[-1]) + DAY_US)
        read_tally(activity, of, activity.since, activity.until, kept_of(engine))
        return len({made.name for made in kept.sets()} - before)

    assert counted(counting) == DAYS
    assert counted(counting) == 0
    assert counted(Counting("user", "UTC", 2 * VISIT_US)) == DAYS
    assert counted(counting) == DAYS  # of each segment one is kept
    engine.ingest(some(3, 400).slice(399), type="View")
    assert counted(counting) == 1


def test_a_damaged_tally_is_counted_anew(engine: Engine) -> None:
    first = start_of(engine.snapshot.segments[0])
    activity = activity_of(engine, first, first + DAYS * DAY_US)
    counting = Counting("user", "Asia/Tokyo", VISIT_US)
    right = read_tally(activity, counting, activity.since, activity.until, kept_of(engine))
    day = engine.snapshot.segments[1]
    (made,) = [made for made in engine.store.derived("tally of user").sets() if made.part == day]
    file = engine.path / "cache" / "derived" / made.files["spans"][0]
    file.write_bytes(file.read_bytes()[:-8] + bytes(8))
    another = wb.open(engine.path)
    same(read_tally(activity, counting, activity.since, activity.until, kept_of(another)), right)


def test_where_nothing_is_kept_it_is_counted_each_time(engine: Engine) -> None:
    first = start_of(engine.snapshot.segments[0])
    activity = activity_of(engine, first, first + DAYS * DAY_US)
    counting = Counting("user", "UTC", VISIT_US)
    found = read_tally(activity, counting, activity.since, activity.until, BySegment(engine.snapshot))
    same(found, tally_of(activity.events, counting))
