"""Trends: what is expected, what stands out of it, and what one episode is; figures worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.analysis.baseline import classic, seasonal
from workbench.analysis.episodes import episodes, fold
from workbench.analysis.series import SeriesSet, daily, hourly
from workbench.engine import Engine
from workbench.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

MONDAY = datetime(2025, 3, 3, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")
SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: calls}
spec:
  timezone: America/New_York
  fields: {test_account: isTest}
  entities: {client: {who: true}, host: {attribute: true}}
  events:
    Answer: {entities: {client: client, host: host}}
    Failure: {entities: {client: client, host: host}}
  terms:
    call: {events: [Answer, Failure], outcomes: [Failure]}
"""


def days_of(counts: list[list[float]], totals: list[list[float]] | None = None) -> SeriesSet:
    """Series of whole days from a Monday on, one a list."""
    values = np.array(counts, float)
    buckets = daily(MONDAY, MONDAY + timedelta(days=values.shape[1], hours=-1), "UTC")
    assert len(buckets) == values.shape[1]
    rows = range(len(values))
    names = pl.DataFrame(
        {"metric": [f"m{i}" for i in rows], "dimension": [None for _ in rows], "value": [None for _ in rows]},
        schema={"metric": pl.String, "dimension": pl.String, "value": pl.String},
    )
    of = np.full_like(values, np.nan) if totals is None else np.array(totals, float)
    return SeriesSet(buckets, names, values, of)


def test_a_day_is_compared_with_the_same_day_of_other_weeks_itself_left_out() -> None:
    weeks = [[10.0, 20, 30, 40, 50, 60, 70] for _ in range(6)]
    weeks[2][3] = 400
    baseline = seasonal(days_of([np.ravel(weeks).tolist()]), weeks=26)
    assert baseline.expected[0].tolist() == [10, 20, 30, 40, 50, 60, 70] * 6
    assert np.flatnonzero(baseline.deviation[0]).tolist() == [2 * 7 + 3]
    # MAD is 0, the scale √(40 + 1)
    assert baseline.deviation[0, 17] == pytest.approx(360 / np.sqrt(41))


def test_the_scale_is_the_absolute_deviation_where_that_is_larger() -> None:
    mondays = [100.0, 110, 90, 130, 70, 100]
    counts = [0.0] * 42
    counts[::7] = mondays
    baseline = seasonal(days_of([counts]), weeks=26)
    # of the others than the fourth: median 100, deviations 0, 10, 10, 30, 0
    assert baseline.expected[0, 21] == 100
    assert baseline.scale[0, 21] == pytest.approx(1.4826 * 10)


def test_with_fewer_than_four_other_weeks_the_other_days_are_the_baseline() -> None:
    counts = [10.0, 10, 10, 10, 10, 40, 40] * 2
    baseline = seasonal(days_of([counts]), weeks=26)
    assert set(baseline.expected[0]) == {10.0}


def test_hours_of_the_local_week_hold_through_the_clock_change() -> None:
    first = datetime(2025, 2, 1, tzinfo=UTC)
    buckets = hourly(first, first + timedelta(days=60), "America/New_York")
    local = buckets.starts.dt.convert_time_zone("America/New_York")
    hours = local.dt.hour().to_numpy()
    values = np.where(hours == 9, 100.0, 0.0)[None, :]
    names = pl.DataFrame(
        {"metric": ["m"], "dimension": [None], "value": [None]}, schema_overrides={"value": pl.String}
    )
    baseline = seasonal(SeriesSet(buckets, names, values, np.full_like(values, np.nan)), weeks=26)
    known = np.isfinite(baseline.expected)
    assert np.array_equal(baseline.expected[known], values[known])
    assert known.mean() > 0.99


def test_of_a_share_the_expected_count_follows_the_total() -> None:
    totals = [100.0, 200, 100, 100, 100, 100, 100] * 6
    counts = [t / 10 for t in totals]
    counts[15], totals[15] = 30.0, 50.0
    baseline = seasonal(days_of([counts], [totals]), weeks=26)
    assert baseline.expected[0, 15] == pytest.approx(5.0)
    assert baseline.deviation[0, 15] == pytest.approx(25 / np.sqrt(6))


def test_bursts_are_everyday_life_of_a_bursty_series_and_not_of_a_quiet_one() -> None:
    generator = np.random.default_rng(5)
    quiet = generator.poisson(20, 364).astype(float)
    bursty = quiet + (generator.random(364) < 0.25) * generator.exponential(60, 364).round()
    # 50 more at the same place, and away from any burst
    place = int(np.flatnonzero(np.abs(bursty[60:] - 20) < 2)[0]) + 60
    quiet[place] = bursty[place] = 70
    baseline = seasonal(days_of([quiet.tolist(), bursty.tolist()]), weeks=26)
    assert baseline.z[0, place] >= 4
    assert baseline.z[1, place] < 2


def test_few_events_where_there_are_none_are_not_critical_however_they_divide() -> None:
    counts = [0.0] * 70
    counts[30] = 5
    baseline = seasonal(days_of([counts]), weeks=26)
    assert baseline.deviation[0, 30] == 5
    assert baseline.z[0, 30] == pytest.approx(2 * (np.sqrt(5.375) - np.sqrt(1.375)))


def test_before_two_weeks_are_known_nothing_is_critical() -> None:
    quiet = [10.0] * 20
    quiet[5] = 900
    assert seasonal(days_of([quiet]), weeks=26).z[0, 5] >= 4
    assert 3 <= seasonal(days_of([quiet[:12]]), weeks=26).z[0, 5] < 4


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 5.0, 50.0, 500.0]))
def test_what_is_only_chance_is_hardly_ever_critical(seed: int, rate: float) -> None:
    counts = np.random.default_rng(seed).poisson(rate, (20, 182)).astype(float)
    z = seasonal(days_of(counts.tolist()), weeks=26).z
    # 3,640 days: a normal deviate reaches 4 once in 15,800
    assert (np.abs(z) >= 4).sum() <= 4


@given(st.integers(0, 2**32 - 1))
def test_an_episode_does_not_hide_itself(seed: int) -> None:
    counts = np.random.default_rng(seed).poisson(20, 63).astype(float)
    counts[40:43] += 200
    z = seasonal(days_of([counts.tolist()]), weeks=26).z[0]
    assert (z[40:43] >= 4).all()


def test_the_classic_baseline_is_mean_and_deviation_of_the_week_before() -> None:
    counts = [1.0, 2, 3, 10, 5, 5, 5, 5, 5, 5, 5, 5]
    baseline = classic(days_of([counts]))
    assert np.isnan(baseline.expected[0, :3]).all()
    assert baseline.expected[0, 3] == 2
    assert baseline.z[0, 3] == pytest.approx(8 / np.std([1, 2, 3]))
    # seven equal days before: no deviation, no score
    assert baseline.z[0, 11] == 0


def found_in(series: SeriesSet) -> pl.DataFrame:
    return episodes(series, seasonal(series, weeks=26))


def test_adjacent_alerts_are_one_episode_with_its_sums_and_its_peak() -> None:
    counts = [10.0] * 70
    counts[30:33] = [100, 300, 50]
    counts[50] = 0
    counts[51] = 100
    rows = found_in(days_of([counts])).sort("start").rows(named=True)
    assert [(r["start"], r["end"], r["direction"]) for r in rows] == [
        (30, 33, "up"),
        (50, 51, "down"),
        (51, 52, "up"),
    ]
    first = rows[0]
    assert (first["observed"], first["expected"], first["excess"], first["hours"]) == (450, 30, 420, 72)
    assert first["since"] == MONDAY + timedelta(days=30)
    assert first["until"] == MONDAY + timedelta(days=33)
    assert first["peak"] == MONDAY + timedelta(days=31)


def test_an_episode_at_either_end_of_the_window_is_whole() -> None:
    counts = [10.0] * 70
    counts[0] = counts[69] = 200
    rows = found_in(days_of([counts])).sort("start")
    assert rows.select("start", "end").rows() == [(0, 1), (69, 70)]


def test_of_a_share_the_episode_has_the_share_of_all_its_events() -> None:
    totals = [[100.0] * 70]
    counts = [1.0] * 70
    counts[20:22] = [50, 70]
    (row,) = found_in(days_of([counts], totals)).rows(named=True)
    assert (row["observed"], row["expected"], row["excess"]) == (0.6, 0.01, 118)


def test_a_day_takes_in_its_hours_and_the_whole_its_parts() -> None:
    frame = {
        "metric": ["m", "m", "m"],
        "dimension": [None, None, "host"],
        "value": [None, None, "a"],
        "direction": ["up"] * 3,
        "since": [MONDAY, MONDAY + timedelta(hours=9), MONDAY],
        "until": [MONDAY + timedelta(hours=24), MONDAY + timedelta(hours=11), MONDAY + timedelta(hours=24)],
        "peak": [MONDAY, MONDAY + timedelta(hours=10), MONDAY],
        "z": [3.5, 4.5, 9.0],
        "size": [10.0, 8.0, 6.0],
        "resolution": ["day", "hour", "day"],
    }
    rows = pl.DataFrame(frame)
    told = fold(rows[[1]], rows[[0, 2]]).rows(named=True)
    assert [(r["value"], r["z"], r["severity"], r["peak"].hour) for r in told] == [
        (None, 4.5, "critical", 10)
    ]
    # what the whole shows only faintly is the part's own
    faint = rows.with_columns(pl.Series("z", [2.1, 2.2, 9.0]))
    assert [r["value"] for r in fold(faint[[1]], faint[[0, 2]]).rows(named=True)] == ["a", None]


def test_more_new_ones_are_no_news_where_more_events_or_more_of_them_at_all_say_so() -> None:
    names = ["new client", "new host", "distinct client", "number of clusters"]
    rows = pl.DataFrame(
        {
            "metric": names,
            "dimension": pl.Series([None] * 4, dtype=pl.String),
            "value": pl.Series([None] * 4, dtype=pl.String),
            "direction": ["up"] * 4,
            "since": [MONDAY] * 4,
            "until": [MONDAY + timedelta(hours=24)] * 4,
            "peak": [MONDAY] * 4,
            "z": [4.5, 4.5, 4.2, 4.5],
            "size": [10.0, 9.0, 8.0, 7.0],
            "resolution": ["day"] * 4,
        }
    )
    assert fold(rows.clear(), rows)["metric"].to_list() == [
        "new host",
        "distinct client",
        "number of clusters",
    ]
    event = rows[[0]].with_columns(metric=pl.lit("Answer"))
    # clusters are no entities: what happens more often does not tell of them
    told = fold(rows.clear(), pl.concat([rows, event]))["metric"].to_list()
    assert sorted(told) == ["Answer", "number of clusters"]


# through the engine: 8 weeks of calls from two hosts, one of which fails on one afternoon


def local(day: int, hour: int) -> datetime:
    """A moment of the window by the workspace's clocks: they are not put forward in it."""
    return (datetime(2025, 3, 10, hour, tzinfo=NEW_YORK) + timedelta(days=day)).astimezone(UTC)


def calls(kind: str, *, failing: bool) -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    for day in range(56):
        for hour in range(24):
            usual = 10 if kind == "Answer" else 1
            burst = 40 if failing and kind == "Failure" and day == 30 and 13 <= hour < 16 else 0
            rows += [
                {
                    "time": local(day, hour) + timedelta(minutes=n % 60, seconds=n),
                    "client": f"c{n % 5}",
                    "host": "b" if n >= usual or n % 2 else "a",
                    "isTest": "false",
                }
                for n in range(usual + burst)
            ]
    return pl.DataFrame(rows)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    root = tmp_path_factory.mktemp("calls")
    (root / "calls.yaml").write_text(SCHEMA)
    engine = Engine.create(root / "w", schema=root / "calls.yaml")
    engine.ingest(calls("Answer", failing=True), type="Answer")
    engine.ingest(calls("Failure", failing=True), type="Failure")
    test = pl.DataFrame({"time": [local(20, 5)] * 300, "client": [f"t{n}" for n in range(300)]})
    engine.ingest(test.with_columns(isTest=pl.lit("true"), host=pl.lit("a")), type="Failure")
    return engine


def test_a_failing_host_is_the_worst_episode_and_its_driver(db: Engine) -> None:
    rows = db.trends.to_polars()
    worst = rows.filter(pl.col("metric") == "Failure", pl.col("dimension").is_null()).row(0, named=True)
    assert worst["severity"] == "critical"
    assert (worst["since"], worst["until"]) == (local(30, 0), local(31, 0))
    assert local(30, 13) <= worst["peak"] < local(30, 16)
    assert (worst["observed"], worst["expected"], worst["excess"]) == (144, 24, 120)
    assert worst["drivers"][0] == {
        "dimension": "host",
        "value": "b",
        "observed": 120.0,
        "expected": 0.0,
        "excess": 120.0,
    }
    share = rows.filter(pl.col("metric") == "share of Failure", pl.col("dimension").is_null()).row(
        0, named=True
    )
    assert share["observed"] == pytest.approx(144 / (144 + 240))
    assert rows["severity"].to_list() == sorted(
        rows["severity"], key=["critical", "significant", "notable"].index
    )


def test_test_accounts_raise_no_alert(db: Engine) -> None:
    day = db.trends.series("Failure").to_polars().filter(pl.col("time") == local(20, 0))
    assert day["observed"].to_list() == [24]


def test_a_series_has_a_band_in_which_nothing_is_notable(db: Engine) -> None:
    series = db.trends.series("Failure", resolution="hour").to_polars()
    outside = series.filter(~pl.col("observed").is_between("lower", "upper"))
    assert outside["time"].to_list() == [local(30, hour) for hour in (13, 14, 15)]
    assert series.filter(pl.col("z").abs() >= 2)["time"].to_list() == outside["time"].to_list()
    share = db.trends.series("share of Failure").to_polars()
    assert share.filter(pl.col("time") == local(30, 0))["observed"].to_list() == [144 / 384]
    assert share["upper"].max() <= 1
    by_host = db.trends.series("Failure", "host", "b").to_polars()
    assert by_host.filter(pl.col("time") == local(30, 0))["observed"].to_list() == [120]


def test_alerts_are_those_at_least_so_severe(db: Engine) -> None:
    everything = db.trends.alerts()
    critical = db.trends.alerts(severity="critical").to_polars()
    assert len(everything) == len(db.trends)
    assert set(critical["severity"]) == {"critical"}
    assert critical.equals(everything.to_polars().filter(severity="critical"))
    assert "Failure" in repr(db.trends)


def test_names_that_do_not_exist_are_told_with_what_is_near(db: Engine) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'critical'"):
        db.trends.alerts(severity="critcal")
    with pytest.raises(UnknownNameError, match="Did you mean 'Failure'"):
        db.trends.series("Failur")
    with pytest.raises(UnknownNameError, match="host"):
        db.trends.series("Failure", "hosts", "b")
    with pytest.raises(UsageError, match="both"):
        db.trends.series("Failure", "host")
    with pytest.raises(UnknownNameError, match="day, hour"):
        db.trends.series("Failure", resolution="weekly")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="seasonal"):
        db.compute("trends", method="sesonal")
    with pytest.raises(UsageError, match="at least 4"):
        db.compute("trends", weeks=3)
    with pytest.raises(UsageError, match="at least 1"):
        db.compute("trends", new_days=0)


def test_the_run_is_kept_with_its_figures_and_read_again(db: Engine) -> None:
    run = db.trends.knowledge.run
    assert run.metrics["critical_days"] == 1
    assert db.compute("trends").run.id == run.id
    assert db.compute("trends", method="classic").run.algorithm == "trends (classic)"


def test_a_short_window_has_no_alerts_and_no_failure(tmp_path: Path) -> None:
    (tmp_path / "calls.yaml").write_text(SCHEMA)
    engine = Engine.create(tmp_path / "w", schema=tmp_path / "calls.yaml")
    engine.ingest(pl.DataFrame({"time": [local(0, 1)], "client": ["a"]}), type="Answer")
    assert engine.compute("trends").to_arrow().num_rows == 0
    assert engine.trends.alerts("critical").to_arrow().num_rows == 0
