"""The blizzard of February 2013 among the trends: it is there because of its events, and only then."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from workbench.engine import Engine

if TYPE_CHECKING:
    from pathlib import Path

ZONE = "America/New_York"
STORM = (date(2013, 2, 8), date(2013, 2, 9))
MOVED_TO = date(2013, 5, 15)


def local_days(found: Any, **only: str) -> list[tuple[date, date]]:
    """First and last local day of each episode."""
    frame = found.to_polars()
    for name, value in only.items():
        frame = frame.filter(pl.col(name) == value)
    days = frame.select(
        pl.col("since").dt.convert_time_zone(ZONE).dt.date(),
        pl.col("until").dt.offset_by("-1us").dt.convert_time_zone(ZONE).dt.date(),
    )
    return [(first, last) for first, last in days.iter_rows()]


@pytest.fixture(scope="module")
def computed(demo: Path) -> Path:
    return demo / "flights"


@pytest.fixture(scope="module")
def cancellations(flights_sources: Path) -> pl.DataFrame:
    """All cancellations with the local day that they were scheduled for."""
    files = sorted((flights_sources / "Cancellation").glob("*.parquet"))
    return pl.concat(
        pl.read_parquet(path).with_columns(pl.lit(path.stem).str.to_date().alias("day")) for path in files
    )


def with_events(root: Path, events: pl.DataFrame) -> Engine:
    engine = Engine.create(root, schema="flights")
    engine.ingest(events.drop("day"), type="Cancellation")
    return engine


def test_the_blizzard_stands_at_the_top_of_the_year_and_few_days_are_critical(
    computed: Path,
) -> None:
    with Engine(computed) as db:
        critical = db.trends.alerts(severity="critical")
        top = critical.to_polars().head(2)
        assert set(top["metric"]) == {"Cancellation", "share of Cancellation"}
        assert local_days(critical)[:2] == [STORM, STORM]
        worst = top.row(by_predicate=pl.col("metric") == "Cancellation", named=True)
        # as SQL counts them
        assert worst["observed"] == 472 + 393
        assert worst["expected"] < 20
        assert worst["value"] is None
        # the three airports of the city lead the drill-down
        assert {d["value"] for d in worst["drivers"][:3]} == {"EWR", "JFK", "LGA"}
        days = pl.Series(
            [d for first, last in local_days(critical) for d in pl.date_range(first, last, eager=True)]
        )
        assert STORM[0] in days
        assert days.n_unique() <= 15
        assert db.trends.knowledge.run.metrics["critical_days"] == days.n_unique()


def test_the_series_counts_what_sql_counts(computed: Path) -> None:
    with Engine(computed) as db:
        series = db.trends.series("Departure", "carrier", "B6").to_polars()
        gold = db.sql(
            'SELECT CAST(_ts AS DATE) AS day, count(*) AS n FROM "Departure" '
            "WHERE carrier = 'B6' GROUP BY day"
        ).to_polars()
        local = series.with_columns(pl.col("time").dt.convert_time_zone(ZONE).dt.date().alias("day"))
        both = local.join(gold, on="day")
        assert both.height == series.height == 364  # the first and the last day are not whole
        assert both.filter(pl.col("observed") != pl.col("n")).is_empty()


def test_without_its_cancellations_the_alert_is_gone(cancellations: pl.DataFrame, tmp_path: Path) -> None:
    rest = cancellations.filter(~pl.col("day").is_between(*STORM))
    assert cancellations.height - rest.height == 865
    alerts = with_events(tmp_path / "w", rest).trends.alerts()
    assert len(alerts) > 0
    assert [days for days in local_days(alerts) if days[0] <= STORM[1] and days[1] >= STORM[0]] == []


def test_moved_to_another_day_the_alert_follows(cancellations: pl.DataFrame, tmp_path: Path) -> None:
    local = pl.col("time").dt.convert_time_zone(ZONE).dt.replace_time_zone(None)
    clock = local - local.dt.truncate("1d")
    there = (pl.lit(MOVED_TO).cast(pl.Datetime("us")) + clock).dt.replace_time_zone(ZONE)
    moved = cancellations.with_columns(
        pl.when(pl.col("day").is_between(*STORM))
        .then(there.dt.convert_time_zone("UTC"))
        .otherwise(pl.col("time"))
        .alias("time")
    )
    critical = with_events(tmp_path / "w", moved).trends.alerts(severity="critical")
    days = local_days(critical, metric="Cancellation")
    assert days[0] == (MOVED_TO, MOVED_TO)
    assert critical.to_polars()["observed"][0] > 865
    assert [d for d in days if d[0] <= STORM[1] and d[1] >= STORM[0]] == []
