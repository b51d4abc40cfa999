"""The graph of a part of the time, against counting the clicks themselves."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from workbench.engine import Engine
from workbench.errors import UsageError
from workbench.graph import Graph, merge_window

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: tiny}
spec:
  timezone: Europe/Berlin
  fields: {test_account: isTest, booleans: [isTest]}
  entities: {person: {who: true}, page: {}, fault: {}}
  edges:
    Saw: {from: person, to: page}
    Hit: {from: person, to: fault}
  events:
    Click:
      entities:
        person: {fields: [person, login], properties: {level: level}}
        page: page
      edges: [{type: Saw, from: person, to: page}]
    Fault:
      entities: {person: person, fault: {fields: [text], hash: true}}
      edges: [{type: Hit, from: person, to: fault}]
    Beat: {}
"""
FIRST = datetime(2025, 6, 10, tzinfo=UTC)
HOURS = 24 * 5

Row = tuple[datetime, str, str, str, int]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Clicks of five days: time, person, page, level, and whether of a test account."""
    draw = np.random.default_rng(3)
    return [
        (
            FIRST + timedelta(hours=int(hour), minutes=int(minute)),
            f"p{person}",
            f"/{page}",
            f"{level}",
            int(test < 1),
        )
        for hour, minute, person, page, level, test in zip(
            *(draw.integers(0, most, 400) for most in (HOURS, 60, 9, 6, 4, 20)), strict=True
        )
    ]


@pytest.fixture(scope="module")
def db(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("times")
    (folder / "tiny.yaml").write_text(SCHEMA)
    clicks = pl.DataFrame(rows, schema=["time", "person", "page", "level", "isTest"], orient="row")
    # half of the people are named by the fallback field, and one level is no number
    clicks = clicks.with_columns(
        login=pl.when(pl.col("person") > "p4").then("person"),
        person=pl.when(pl.col("person") <= "p4").then("person"),
        level=pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("low")).otherwise("level"),
    )
    faults = pl.DataFrame(
        {"time": [FIRST + timedelta(hours=30)], "person": ["p1"], "text": ["it did not work"]}
    )
    beats = pl.DataFrame({"time": [FIRST, FIRST + timedelta(hours=HOURS - 1)]})
    engine = Engine.create(folder / "w", schema=folder / "tiny.yaml")
    for name, frame in (("Click", clicks), ("Fault", faults), ("Beat", beats)):
        engine.ingest(frame.to_arrow(compat_level=pl.CompatLevel.oldest()), type=name)
    return engine


def counted(rows: list[Row], since: datetime, until: datetime) -> Counter[tuple[str, str]]:
    real = (row for row in rows if since <= row[0] < until and not row[4])
    return Counter((f"person:{person}", f"page:{page}") for _, person, page, _, _ in real)


def saw(graph: Graph) -> Counter[tuple[str, str]]:
    edges = graph.edges().to_pylist()
    return Counter({(e["source"], e["target"]): e["weight"] for e in edges if e["type"] == "Saw"})


@pytest.mark.parametrize(
    ("first", "last"), [(0, HOURS), (5, 7), (20, 50), (24, 48), (24, 49), (90, HOURS + 9), (3, 21)]
)
def test_exactly_what_happened_in_a_range_counts(db: Engine, rows: list[Row], first: int, last: int) -> None:
    since, until = (FIRST + timedelta(hours=hours) for hours in (first, last))
    graph = db.graph.between(since, until, exact=True)
    expected = counted(rows, since, until)
    assert saw(graph) == expected
    seen = graph.nodes("page")
    assert dict(zip(seen["entity"].to_pylist(), seen["sightings"].to_pylist(), strict=True)) == {
        page: sum(count for (_, other), count in expected.items() if other == page)
        for page in {page for _, page in expected}
    }
    moments = [row[0] for row in rows if since <= row[0] < until and not row[4]]
    assert min(seen["first_seen"].to_pylist()) == min(moments)
    assert max(seen["last_seen"].to_pylist()) == max(moments)


def test_days_that_a_range_touches_count_whole(db: Engine, rows: list[Row]) -> None:
    graph = db.graph.between("2025-06-11T10:00+00:00", "2025-06-12T01:00+00:00")
    assert graph.window.segments == ("2025-06-11", "2025-06-12")
    assert saw(graph) == counted(rows, FIRST + timedelta(days=1), FIRST + timedelta(days=3))
    assert repr(graph).startswith("Graph of the UTC days 2025-06-11 to 2025-06-12: ")


def test_a_day_begins_at_midnight_of_the_workspace_s_zone(db: Engine, rows: list[Row]) -> None:
    berlin = FIRST - timedelta(hours=2)
    graph = db.graph.between(date(2025, 6, 11), date(2025, 6, 12), exact=True)
    assert saw(graph) == counted(rows, berlin + timedelta(days=1), berlin + timedelta(days=2))
    assert "from 2025-06-10T22:00:00+00:00 until 2025-06-11T22:00:00+00:00" in repr(graph)


def test_since_and_at_are_the_two_sides_of_a_moment(db: Engine, rows: list[Row]) -> None:
    when = rows[0][0]
    later = db.graph.since(when + timedelta(microseconds=1), exact=True)
    assert saw(db.graph.at(when, exact=True)) + saw(later) == saw(db.graph)
    assert saw(db.graph.at(when, exact=True)) == counted(rows, FIRST, when + timedelta(microseconds=1))
    assert db.graph.at("2025-06-11T12:00+00:00").window.segments == ("2025-06-10", "2025-06-11")
    assert db.graph.between(None, None) is db.graph


def test_a_part_of_a_part_is_in_both(db: Engine, rows: list[Row]) -> None:
    half = db.graph.between("2025-06-11T06:00+00:00", None, exact=True)
    graph = half.between(None, "2025-06-11T12:00+00:00", exact=True)
    assert saw(graph) == counted(rows, FIRST + timedelta(hours=30), FIRST + timedelta(hours=36))


def test_the_sum_of_days_and_parts_of_days_is_made_from_the_kept_window(
    db: Engine, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.graph.kept.WORTH", 0)
    monkeypatch.setattr(
        "workbench.graph.kept.window_of.__kwdefaults__", {"more": (), "worth": 0, "executor": None}
    )
    db.refresh()
    until = FIRST + timedelta(hours=100)
    assert saw(db.graph.at(until, exact=True)) == counted(rows, FIRST, until + timedelta(microseconds=1))


def test_times_that_cannot_be_meant(db: Engine) -> None:
    with pytest.raises(UsageError, match="is empty"):
        db.graph.between("2025-06-12", "2025-06-12")
    with pytest.raises(UsageError, match="'soon' is not a time"):
        db.graph.since("soon")
    assert len(db.graph.since("2030-01-01")) == 0
    with pytest.raises(UsageError, match="no open workspace"):
        Graph(merge_window([]), db.schema).since("2025-06-12")


def test_a_view_shows_the_time_that_was_asked_for(db: Engine, rows: list[Row]) -> None:
    start = db.graph.since("2025-06-14T00:00+00:00").nodes("person")["entity"][0].as_py()
    day = db.graph.between("2025-06-14T00:00+00:00", "2025-06-15T00:00+00:00")
    view = day.around(start).view()
    assert view.edges().num_rows == day.around(start).edges.num_rows
    assert not db.selection
    with pytest.raises(UsageError, match="no view"):
        db.graph.since("2025-06-14T12:00+00:00", exact=True).around(start).view()
