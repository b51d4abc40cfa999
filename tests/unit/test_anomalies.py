"""Anomalies: formulas by hand, calibration where nothing is planted, bursts that come out on top."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from workbench.analysis.signals import signals
from workbench.analysis.signals.base import Signal
from workbench.analysis.tails import at_least, at_most, calibrated, combined, score, upper_tail
from workbench.analysis.tasks.anomalies import CLASSES
from workbench.engine import Engine
from workbench.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: generated}
spec:
  timezone: Europe/Berlin
  entities: {user: {who: true}, item: {}, kind: {attribute: true}}
  edges: {Saw: {from: user, to: item}, Used: {from: user, to: kind}}
  events:
    View:
      entities: {user: user, item: item, kind: kind}
      edges: [{type: Saw, from: user, to: item}, {type: Used, from: user, to: kind}]
    Fail: {entities: {user: user}}
"""
START = datetime(2025, 3, 3, tzinfo=UTC)
DAYS, ACTORS = 35, 800
Log = dict[str, np.ndarray]


def ordinary_log(seed: int) -> Log:
    """Return visits of users of very different activity, with hours and items of their own, in a a week."""
    draw = np.random.default_rng(seed)
    rate = np.clip(draw.pareto(1.2, ACTORS) * 0.6 + 0.1, 0, 15)
    week = np.array([1, 1, 1.05, 1.1, 1.2, 0.7, 0.6])[np.arange(DAYS) % 7]
    visits = draw.poisson(rate[:, None] * week * draw.gamma(4, 1 / 4, (ACTORS, DAYS)))
    user, day = (np.repeat(axis, visits[visits > 0]) for axis in np.nonzero(visits))
    hour = (draw.normal(14, 4, ACTORS)[user] + draw.normal(0, 3, len(user))) % 24
    size = draw.poisson(1 + draw.gamma(2, 1.5, ACTORS)[user]) + 1
    user = np.repeat(user, size)
    time = np.repeat((day * 24 + hour) * 3600, size) + draw.exponential(200, len(user))
    own = draw.integers(0, 400, (ACTORS, 12))[user, draw.integers(0, 12, len(user))]
    item = np.where(draw.random(len(user)) < 0.9, own, draw.integers(0, 3000, len(user)))
    return {"user": user, "time": time, "item": item, "fail": draw.random(len(user)) < 0.03}


def ingest(root: Path, log: Log) -> Engine:
    (root / "generated.yaml").write_text(SCHEMA)
    engine = Engine.create(root / "w", schema=root / "generated.yaml")
    inside = log["time"] < DAYS * 86_400
    for name, chosen in (("View", inside & ~log["fail"]), ("Fail", inside & log["fail"])):
        times = np.datetime64(START.replace(tzinfo=None), "us") + (log["time"][chosen] * 1e6).astype("m8[us]")
        columns = {
            "time": pa.array(times).cast(pa.timestamp("us", "UTC")),
            "user": [f"u{i:03}" for i in log["user"][chosen]],
        }
        if name == "View":
            columns["item"] = [f"i{i}" for i in log["item"][chosen]]
            columns["kind"] = [f"k{i % 5}" for i in log["item"][chosen]]
        engine.ingest(pa.table(columns), type=name)
    return engine


def with_more(log: Log, user: int, times: np.ndarray, items: np.ndarray, *, fail: bool = False) -> Log:
    more = {
        "user": np.full(len(times), user),
        "time": times,
        "item": items,
        "fail": np.full(len(times), fail),
    }
    return {name: np.append(log[name], more[name]) for name in log}


@pytest.fixture(scope="module", params=[11, 12])
def ordinary(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A log in which nothing is planted."""
    return ingest(tmp_path_factory.mktemp("ordinary"), ordinary_log(request.param))


PLANTED = {
    "user:u005": "views on one day",
    "user:u006": "failures",
    "user:u007": "new items",
    "user:u008": "silence",
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The same kind of log with four users whose last week is not like their weeks before."""
    log = ordinary_log(13)
    draw = np.random.default_rng(1)
    for user, each in ((5, 3), (6, 6), (7, 8), (8, 40)):  # of ordinary activity up to then
        log = {name: values[log["user"] != user] for name, values in log.items()}
        until = DAYS - 7 if user == 8 else DAYS
        times = (np.repeat(np.arange(until), each) * 24 + draw.uniform(8, 20, until * each)) * 3600
        log = with_more(log, user, times, draw.integers(0, 8, len(times)))
    last = (DAYS - 3) * 86_400
    log = with_more(log, 5, last + draw.uniform(0, 3600, 120), np.full(120, 3))
    log = with_more(log, 6, last + np.linspace(-300_000, 250_000, 30), np.full(30, 3), fail=True)
    log = with_more(log, 7, last + draw.uniform(-80_000, 80_000, 60), np.arange(2000, 2060))
    return ingest(tmp_path_factory.mktemp("planted"), log)


@pytest.mark.parametrize("lookback", [1, 7, 14])
def test_where_nothing_is_planted_hardly_anybody_is_anomalous(ordinary: Engine, lookback: int) -> None:
    """At most 1 % of actors reach 0.5 and 0.1 % reach 0.7: of 800, eight and, rounded up, one."""
    found = ordinary.compute("anomalies", lookback_days=lookback).to_polars()
    assert found.height > 0.97 * ACTORS
    assert (found["score"] >= 0.5).sum() <= 0.01 * ACTORS
    assert (found["score"] >= 0.7).sum() <= 1
    for name in found.columns:
        if name.startswith("signal_"):
            assert (found[name].fill_null(0) >= 0.5).sum() <= 0.015 * ACTORS


def test_what_is_planted_comes_out_on_top(planted: Engine) -> None:
    top = planted.anomalies.top(4)
    assert set(top["entity"]) == set(PLANTED)
    assert (top["score"] >= 0.5).all()
    assert top["score"][0] >= 0.7
    assert (planted.anomalies.to_polars()["score"] >= 0.5).mean() <= 0.01 + 4 / ACTORS


def test_the_reasons_say_what_was_planted(planted: Engine) -> None:
    why = {entity: planted.anomalies.of(entity)["why"] for entity in PLANTED}
    assert "View events in the 24 hours to" in why["user:u005"]
    assert "30 Fail" in why["user:u006"]
    assert "60 new item neighbours by Saw" in why["user:u007"]
    assert "no View events, its own past suggests 2" in why["user:u008"]
    assert all(text.startswith("In the 7 days to 2025-04-07 ") for text in why.values())  # Berlin's day


def test_the_addresses_are_the_events_of_the_time_that_deviates(planted: Engine) -> None:
    burst = planted.anomalies.of("user:u005")
    assert burst["events"] >= 120
    assert len(burst["addresses"]) == 20
    for address in burst["addresses"]:
        document = planted.get(address)
        assert document.fields["user"] == "u005"
        assert document.time >= START + timedelta(days=DAYS - 7)
    failures = planted.anomalies.of("user:u006")
    assert {planted.get(a).event_type for a in failures["addresses"]} >= {"Fail"}
    assert planted.anomalies.of("user:u008")["addresses"] == []


def test_rows_are_ranked_and_classes_follow_scores(planted: Engine) -> None:
    found = planted.anomalies.to_polars()
    assert found["place"].to_list() == list(range(1, found.height + 1))
    assert found["score"].is_sorted(descending=True)
    assert found["score"].is_between(0, 1).all()
    limits = [0, 0.3, 0.5, 0.7, 1.01]
    for name, low, high in zip(CLASSES, limits, limits[1:], strict=False):
        assert found.filter(pl.col("class") == name)["score"].is_between(low, high, closed="left").all()
    normal = found.filter(pl.col("class") == "normal")
    assert set(normal["why"]) == {"Nothing stands out."}
    assert normal["drivers"].list.len().sum() == 0
    metrics = planted.anomalies.knowledge.run.metrics
    assert sum(metrics[name.replace(" ", "_")] for name in CLASSES) == metrics["actors"] == found.height


def test_drivers_carry_figures(planted: Engine) -> None:
    (first, *_) = planted.anomalies.of("user:u006")["drivers"]
    assert first["feature"] == "fail_count"
    assert first["value"] == 30
    assert 0 <= first["typical"] < 3
    assert first["z"] > 5
    gone = planted.anomalies.of("user:u008")["drivers"][0]
    assert (gone["feature"], gone["value"]) == ("view_count", 0)
    assert gone["z"] < -5


def test_an_explanation_is_readable(planted: Engine) -> None:
    text = planted.anomalies.explain("user:u006")
    assert text.startswith(("user:u006: anomalous, score 0.", "user:u006: highly anomalous, score 0."))
    assert f"of {len(planted.anomalies):,}" in text.splitlines()[0]
    assert ", change 0." in next(line for line in text.splitlines() if line.startswith("  signals: "))
    assert "fail_count: 30, expected" in text
    with pytest.raises(UnknownNameError, match="Did you mean 'user:u006'"):
        planted.anomalies.explain("user:u006x")


def test_an_earlier_day_does_not_know_what_came_later(planted: Engine) -> None:
    before = planted.compute("anomalies", asof="2025-03-30")
    assert (before.run.segments[1], before.run.day) == ("2025-03-30", "2025-03-30")
    scores = dict(before.to_polars().select("entity", "score").rows())
    assert max(scores[entity] for entity in PLANTED) < 0.5


def test_detections_follow_from_run_to_run(planted: Engine) -> None:
    days = ["2025-04-03", "2025-04-04", "2025-04-05"]
    runs = [planted.compute("anomalies", asof=day, lookback_days=3).to_polars() for day in days]
    rows = [run.filter(pl.col("entity") == "user:u008").row(0, named=True) for run in runs]
    assert [row["score"] >= 0.5 for row in rows] == [True] * 3
    assert [row["consecutive"] for row in rows] == [1, 2, 3]
    assert {row["first_detected"].date().isoformat() for row in rows} == {days[0]}
    quiet = runs[2].filter(pl.col("score") < 0.5)
    assert (quiet["consecutive"] == 0).all()


def test_a_newcomer_and_a_rare_guest_are_no_anomalies(tmp_path: Path) -> None:
    log = ordinary_log(14)
    late = np.array([DAYS * 86_400 - 5_000.0])
    log = with_more(log, 901, late, np.array([7]))  # its first event
    log = with_more(log, 902, np.append(late, 86_400.0), np.array([7, 2999]))  # its second in five weeks
    found = ingest(tmp_path, log).anomalies
    assert found.of("user:u901")["score"] < 0.3
    assert found.of("user:u902")["score"] < 0.3
    assert found.of("user:u901")["signal_change"] is None


# the origin's formulas


def rows(*events: tuple[str, str, str]) -> pa.Table:
    return pa.table({n: [e[i] for e in events] for i, n in enumerate(("time", "user", "item"))})


@pytest.fixture
def small(tmp_path: Path) -> Callable[[pa.Table], Engine]:
    def make(table: pa.Table) -> Engine:
        (tmp_path / "generated.yaml").write_text(SCHEMA.replace("Europe/Berlin", "UTC"))
        engine = Engine.create(tmp_path / "w", schema=tmp_path / "generated.yaml")
        engine.ingest(table, type="View")
        return engine

    return make


def classic(engine: Engine, **parameters: Any) -> dict[str, dict[str, Any]]:
    found = engine.compute("anomalies", profile="classic", **parameters)
    return {row["entity"]: row for row in found.to_arrow().to_pylist()}


DAY = ["2025-06-01", "2025-06-02", "2025-06-03"]


def test_the_classic_statistical_signal_is_the_largest_z_over_five(
    small: Callable[[pa.Table], Engine],
) -> None:
    # users with 1, 1, 1, 1 and 6 views of one item in one hour: mean 2, deviation 2, z = 2 of the last
    counts = {"a": 1, "b": 1, "c": 1, "d": 1, "e": 6}
    events = [(f"{DAY[0]}T08:{m:02}:00Z", u, "x") for u, n in counts.items() for m in range(n)]
    found = classic(small(rows(*events)))
    assert found["user:e"]["signal_statistical"] == pytest.approx(2 / 5)
    assert found["user:a"]["signal_statistical"] == pytest.approx(0.5 / 5)
    driver = found["user:e"]["drivers"]
    assert driver == []  # normal: 0.2 of 0.4, of 0.7 in all
    assert found["user:e"]["signal_behavioural"] == 0  # no history
    assert found["user:e"]["signal_graph"] == 0
    assert found["user:e"]["score"] == pytest.approx(0.2 * 0.4 / 0.7)
    assert found["user:e"]["signal_dbscan_noise"] is None


def test_equal_actors_have_no_spread_and_no_score(small: Callable[[pa.Table], Engine]) -> None:
    found = classic(small(rows(*[(f"{DAY[0]}T08:00:00Z", u, "x") for u in "abc"])))
    assert {row["score"] for row in found.values()} == {0}


def test_the_classic_behavioural_signal_is_one_less_the_cosine(small: Callable[[pa.Table], Engine]) -> None:
    """The same day again gives 0; a day without anything, a zero vector, gives 0."""
    again = [(f"{day}T08:00:00Z", "a", "x") for day in DAY]
    gone = [(f"{day}T08:30:00Z", "b", "x") for day in DAY[:2]]
    more = [(f"{DAY[0]}T08:40:00Z", "c", "x")]
    more += [(f"{DAY[2]}T{h:02}:00:00Z", "c", f"y{h}") for h in range(4, 9)]
    found = classic(small(rows(*again, *gone, *more)))
    signal = {name: row["signal_behavioural"] for name, row in found.items()}
    assert signal["user:a"] == pytest.approx(0, abs=1e-9)
    assert signal["user:b"] == 0
    # c before: a view, an item, a kind less (none given), a visit on one of the days
    now = np.array([5, 5, 5, 1, np.log2(5)])  # views, items, visits, hours of gap, bits of hours
    before = np.array([1, 1, 1, 0, 0])
    assert signal["user:c"] == pytest.approx(1 - now @ before / np.linalg.norm(now) / np.linalg.norm(before))


def test_the_classic_graph_signal_counts_new_neighbours_and_communities(
    small: Callable[[pa.Table], Engine],
) -> None:
    events = [(f"{DAY[0]}T08:00:00Z", "a", "x0"), (f"{DAY[0]}T08:00:00Z", "b", "x0")]
    events += [
        (f"{DAY[2]}T07:0{i}:00Z", "a", f"n{i}") for i in range(4)
    ]  # 4 new, 1 in 2 days before: over 3 * 0.5
    events += [(f"{DAY[2]}T07:00:00Z", "b", "m")]  # 1 new is not over 1.5
    events += [(f"{DAY[2]}T08:00:00Z", "c", "q")]  # no history
    found = classic(small(rows(*events)))
    assert {name: row["signal_graph"] for name, row in found.items()} == {
        "user:a": 0.5,
        "user:b": 0,
        "user:c": 0,
    }


def test_neighbours_in_more_than_three_communities_count(small: Callable[[pa.Table], Engine]) -> None:
    circles = [
        (f"{DAY[0]}T08:00:00Z", f"c{circle}m{member}", f"i{circle}{item}")
        for circle in range(5)
        for member in range(6)
        for item in range(4)
    ]
    bridge = [(f"{DAY[0]}T08:00:00Z", "bridge", f"i{circle}0") for circle in range(5)]
    found = classic(small(rows(*circles, *bridge)))
    assert found["user:bridge"]["signal_graph"] == 0.3
    assert found["user:c0m0"]["signal_graph"] == 0


def test_the_classic_density_signal_is_the_part_of_texts_like_no_others(tmp_path: Path) -> None:
    schema = SCHEMA.replace(
        "entities: {user: user, item", 'text: "{said}"\n      entities: {user: user, item'
    )
    (tmp_path / "generated.yaml").write_text(schema)
    engine = Engine.create(tmp_path / "w", schema=tmp_path / "generated.yaml")
    said = [("a", "payment accepted")] * 6 + [("b", "payment accepted"), ("b", "volcano erupts"), ("c", None)]
    times = [f"{DAY[0]}T08:{minute:02}:00Z" for minute in range(len(said))]
    columns = {"time": times, "user": [u for u, _ in said], "said": [text for _, text in said]}
    engine.ingest(pa.table({**columns, "item": ["x"] * len(said)}), type="View")
    found = classic(engine)
    signal = {name: row["signal_dbscan_noise"] for name, row in found.items()}
    assert signal == {"user:a": 0, "user:b": 0.5, "user:c": 0}
    assert "renormalised" not in engine.knowledge.read("anomalies").run.algorithm
    assert found["user:b"]["score"] >= 0.3 * 0.5


def test_the_algorithm_says_what_was_left_out(small: Callable[[pa.Table], Engine]) -> None:
    engine = small(rows((f"{DAY[0]}T08:00:00Z", "a", "x")))
    run = engine.compute("anomalies", profile="classic").run
    assert "dbscan_noise" in run.algorithm
    assert "weights renormalised" in run.algorithm


def test_wrong_parameters_are_refused(small: Callable[[pa.Table], Engine]) -> None:
    engine = small(rows((f"{DAY[0]}T08:00:00Z", "a", "x")))
    with pytest.raises(UnknownNameError, match="Did you mean 'classic'"):
        engine.compute("anomalies", profile="clasic")
    with pytest.raises(UsageError, match="lookback_days is 0, must be at least 1"):
        engine.compute("anomalies", lookback_days=0)
    with pytest.raises(UnknownNameError, match="entity type"):
        engine.compute("anomalies", type="usr")


def test_few_actors_are_judged_by_their_own_history_alone(small: Callable[[pa.Table], Engine]) -> None:
    events = [(f"2025-06-{d:02}T{h:02}:00:00Z", u, "x") for d in range(1, 22) for u in "ab" for h in (8, 12)]
    events += [(f"2025-06-21T13:{m:02}:00Z", "a", "x") for m in range(40)]
    found = small(rows(*events)).compute("anomalies", lookback_days=1)
    first, second = found.to_arrow().to_pylist()
    assert first["entity"] == "user:a"
    assert first["score"] > 0.7
    assert second["score"] < 0.3
    assert first["signal_isolation"] is None
    assert "2 actors are too few to compare" in found.run.algorithm


def test_a_log_that_names_no_actor_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "generated.yaml").write_text(SCHEMA)
    engine = Engine.create(tmp_path / "w", schema=tmp_path / "generated.yaml")
    engine.ingest(pa.table({"time": [f"{DAY[0]}T08:00:00Z"], "level": ["high"]}), type="Alarm")
    assert len(engine.features()) == len(engine.clusters) == len(engine.anomalies) == 0
    assert engine.clusters.profile().is_empty()
    assert engine.compute("anomalies", profile="classic").to_arrow().num_rows == 0


def test_one_actor_alone_is_normal(small: Callable[[pa.Table], Engine]) -> None:
    engine = small(rows((f"{DAY[0]}T08:00:00Z", "a", "x")))
    assert engine.anomalies.explain("User:a").splitlines()[:2] == [
        "user:a: normal, score 0.00, place 1 of 1",
        "  Nothing stands out.",
    ]
    assert engine.clusters.of("user:a")["label"] == "typical in everything"


@pytest.mark.parametrize("name", signals.names())
def test_every_signal_declares_its_profile_and_weight(name: str) -> None:
    signal = signals.load(name)
    assert issubclass(signal, Signal)
    assert signal.profile in {"classic", "ensemble"}
    assert 0 < signal.weight <= 1


# probabilities


def test_tails_of_counts_are_those_of_the_distributions() -> None:
    from scipy.stats import nbinom, poisson

    counts, mean = np.array([0.0, 1, 3, 30]), np.full(4, 2.5)
    up, down = at_least(counts, mean, mean), at_most(counts, mean, mean)
    assert up == pytest.approx(poisson.sf(counts - 1, 2.5))
    assert down == pytest.approx(poisson.cdf(counts, 2.5))
    up, down = at_least(counts, mean, 4 * mean), at_most(counts, mean, 4 * mean)
    size, share = 2.5**2 / (3 * 2.5), 1 / 4
    assert up == pytest.approx(nbinom.sf(counts - 1, size, share))
    assert down == pytest.approx(nbinom.cdf(counts, size, share))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("heavy", [False, True])
def test_a_fitted_tail_is_as_rare_as_it_says(seed: int, heavy: bool) -> None:
    draw = np.random.default_rng(seed)
    values = draw.pareto(2.0, 5_000) if heavy else draw.exponential(size=5_000)
    tail = upper_tail(values)
    for level in (0.05, 0.01, 0.002):
        assert (tail <= level).mean() == pytest.approx(level, rel=0.5)
    assert (np.argsort(-values, kind="stable") == np.argsort(tail, kind="stable")).mean() > 0.99


def test_calibration_never_makes_anything_rarer() -> None:
    uniform = np.random.default_rng(3).random(3_000)
    too_narrow = uniform**2  # one in ten is said to be one in a hundred
    found = calibrated(too_narrow)
    assert (found >= too_narrow).all()
    assert (found <= 0.01).mean() == pytest.approx(0.01, rel=0.6)
    assert calibrated(uniform[:10]).tolist() == uniform[:10].tolist()  # too few to judge by


def test_the_combination_holds_its_level_whatever_depends_on_what() -> None:
    draw = np.random.default_rng(4)
    one = draw.random(20_000)
    for other in (draw.random(20_000), one):
        found = combined(np.stack([one, other]), np.array([1.0, 0.5]))
        assert (found <= 0.01).mean() == pytest.approx(0.01, rel=0.35)
    assert combined(np.full((2, 1), np.nan), np.ones(2)).tolist() == [1]
    tiny = combined(np.array([[1e-25], [0.9]]), np.ones(2))
    assert tiny[0] == pytest.approx(2e-25, rel=1e-6)


def test_scores_fall_with_probability_and_stay_below_one() -> None:
    found = score(np.logspace(-30, 0, 200))
    assert (np.diff(found) < 0).all()
    assert found[0] < 1
    assert found[-1] == 0
