"""Series of entities come from each segment alone, whatever day its hours belong to, as in the documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.analysis.newcomers import hashed, newcomers
from workbench.analysis.series import read_series
from workbench.engine import Engine

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.analysis.series import Resolution, SeriesSet

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: calls}
spec:
  fields: {test_account: isTest}
  entities: {client: {who: true}, host: {}, room: {attribute: true}}
  events:
    Answer: {entities: {client: client, host: host, room: room}}
    Failure: {entities: {client: client, host: host}}
"""
DAYS = 12  # more than are merged at a time
FEW = 20
NEW_DAYS = 3


@pytest.fixture(scope="module")
def documents() -> pl.DataFrame:
    generator = np.random.default_rng(0)
    rows = 6_000
    start = int(datetime(2025, 3, 3, tzinfo=UTC).timestamp()) * 1_000_000
    client = generator.integers(0, 400, rows)
    return pl.DataFrame(
        {
            "time": pl.Series(start + np.sort(generator.integers(0, DAYS * 86_400, rows)) * 1_000_000).cast(
                pl.Datetime("us", "UTC")
            ),
            "type": np.where(generator.random(rows) < 0.2, "Failure", "Answer"),
            "client": [f"c{n}" for n in client],
            "host": [f"h{n}" for n in generator.integers(0, 5, rows)],
            "room": [f"r{n}" for n in generator.integers(0, 3, rows)],
            # the same client is one on some of its events
            "isTest": (client % 7 == 0) & (generator.random(rows) < 0.5),
        }
    )


@pytest.fixture(scope="module")
def db(documents: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("calls")
    (folder / "calls.yaml").write_text(SCHEMA)
    engine = Engine.create(folder / "w", schema=folder / "calls.yaml")
    answers, failures = (documents.filter(type=name).drop("type") for name in ("Answer", "Failure"))
    engine.ingest(answers, type="Answer")
    engine.ingest(failures.drop("room"), type="Failure")
    return engine


def read(db: Engine, timezone: str, most_values: int | None = FEW) -> dict[Resolution, SeriesSet]:
    return read_series(
        db.by_segment,
        db.snapshot.segments,
        timezone,
        attributes=db.schema.attributes,
        terms={},
        most_values=most_values,
        new_days=NEW_DAYS,
    )


def counted(documents: pl.DataFrame, days: SeriesSet, timezone: str) -> dict[tuple[str, ...], list[float]]:
    """Return what there is by day, straight from the documents; an hour is of the day that it begins in."""
    hour = pl.col("time").dt.truncate("1h").dt.convert_time_zone(timezone)
    real = documents.filter(~pl.col("isTest")).with_columns(hour.dt.date().to_physical().alias("day"))
    axis = {int(day): place for place, day in enumerate(days.buckets.day)}
    found: dict[tuple[str, ...], list[float]] = {}

    def add(name: tuple[str, ...], day: int, amount: int = 1) -> None:
        if day in axis:
            found.setdefault(name, [0.0] * len(axis))[axis[day]] += amount

    for row in real.rows(named=True):
        add((row["type"],), row["day"])
        for small in ("host", "room"):
            if small == "host" or row["type"] == "Answer":
                add((row["type"], small, row[small]), row["day"])
    for type_ in ("client", "host"):
        seen = {day: set(keys) for day, keys in real.group_by("day").agg(type_).rows()}
        order = sorted(seen)
        whole = [day for day in order if day in axis]
        for place, day in enumerate(order):
            add((f"distinct {type_}",), day, len(seen[day]))
            before = set().union(*(seen[other] for other in order[max(0, place - NEW_DAYS) : place]))
            known = day in whole[NEW_DAYS:]
            add((f"new {type_}",), day, len(seen[day] - before) if known else 0)
    return found


@pytest.mark.parametrize("timezone", ["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"])
def test_daily_series_are_those_of_the_documents(db: Engine, documents: pl.DataFrame, timezone: str) -> None:
    assert len(db.snapshot.segments) == DAYS
    days = read(db, timezone)["day"]
    names = [tuple(part for part in row if part is not None) for row in days.names.rows()]
    found = dict(zip(names, np.nan_to_num(days.counts).tolist(), strict=True))
    assert found == counted(documents, days, timezone)
    assert len(days.buckets) == (DAYS if timezone == "UTC" else DAYS - 1)


def test_what_is_new_is_not_known_of_the_first_days(db: Engine) -> None:
    days = read(db, "Asia/Kolkata")["day"]
    new = days.select(days.names.with_row_index().filter(metric="new client")["index"].to_list())
    assert np.flatnonzero(np.isnan(new.counts[0])).tolist() == list(range(NEW_DAYS))


@pytest.mark.parametrize(("lookback", "new"), [(1, [2, 1, 1, 1]), (2, [2, 1, 0, 1]), (9, [2, 1, 0, 0])])
def test_days_without_an_entity_of_the_type_are_passed_over(lookback: int, new: list[int]) -> None:
    # nobody between day 2 and day 50: day 50 follows day 2
    seen = [("a", 1, "x"), ("a", 1, "y"), ("a", 2, "z"), ("a", 50, "x"), ("a", 50, "z"), ("a", 51, "y")]
    other = [("b", day, "x") for day in range(1, 52)]
    frame = pl.DataFrame([*seen, *other], schema=["type", "day", "key"], orient="row")
    found = newcomers(hashed(frame), lookback)
    assert found.filter(type="a")["entities"].to_list() == new
    assert found.filter(type="b")["entities"].to_list() == [1] + [0] * 50


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20)), min_size=1, max_size=80), st.integers(1, 12)
)
def test_who_is_new_is_who_was_on_none_of_the_days_before(met: list[tuple[int, int]], lookback: int) -> None:
    frame = pl.DataFrame(
        [("a", day, f"k{key}") for key, day in met], schema=["type", "day", "key"], orient="row"
    )
    parts = [hashed(part.unique()) for part in frame.partition_by("key")]  # a day comes in several rows
    seen = {day: {key for key, other in met if other == day} for _, day in met}
    days = sorted(seen)
    wanted = [
        len(seen[day] - set().union(*(seen[d] for d in days[max(0, place - lookback) : place])))
        for place, day in enumerate(days)
    ]
    assert newcomers(pl.concat(parts), lookback)["entities"].to_list() == wanted


def test_without_entities_the_same_series_of_the_whole_are_read(db: Engine) -> None:
    whole, full = read(db, "UTC", most_values=None), read(db, "UTC")
    assert whole["hour"].names.equals(full["hour"].names)
    assert np.array_equal(whole["hour"].counts, full["hour"].counts, equal_nan=True)
    assert whole["day"].names["metric"].to_list() == ["Answer", "Failure"]


def test_a_type_that_is_small_in_each_segment_may_be_large_in_all(db: Engine) -> None:
    in_a_day = max(e.rows for e in db.snapshot.files("entities"))
    most = in_a_day  # no type has more in a day; clients have more in all
    dimensions = set(read(db, "UTC", most)["day"].names["dimension"].drop_nulls())
    assert dimensions == {"host", "room"}
    assert "client" in set(read(db, "UTC", 1_000)["day"].names["dimension"].drop_nulls())


def test_an_empty_window_has_no_series(tmp_path: Path) -> None:
    engine = Engine.create(tmp_path / "w")
    assert read(engine, "UTC")["day"].names.is_empty()
