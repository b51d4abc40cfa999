"""Rules: what each finds, by hand; when it triggers and is resolved; what is kept; backtests."""

from __future__ import annotations

import json
import os
import queue
import shutil
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from workbench.analysis.activity import to_us
from workbench.config.anomaly_rule import AnomalyRule
from workbench.engine import Engine
from workbench.errors import ConfigError, UnknownNameError, UsageError
from workbench.rules.judge import Judge
from workbench.rules.memory import Memory
from workbench.rules.scene import Scene
from workbench.rules.sequences import completions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = datetime(2025, 6, 2, tzinfo=UTC)  # a Monday
DAYS = 12
END = START + timedelta(days=DAYS)
SCHEMA = """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: shop}
spec:
  timestamp: {fields: [time]}
  entities: {user: {who: true}, page: {}, country: {attribute: true}}
  edges: {Saw: {from: user, to: page}, LivesIn: {from: user, to: country}}
  events:
    View:
      aliases: [Look]
      entities: {user: user, page: page, country: country}
      edges: [{type: Saw, from: user, to: page}, {type: LivesIn, from: user, to: country}]
    Fail:
      entities: {user: user}
"""
FEATURES = """\
apiVersion: workbench/v1
kind: FeatureConfig
metadata: {id: shop}
spec:
  encodings:
    user: [{edge: LivesIn, encoding: ordinal, order: {de: 1, fr: 2}}]
"""


def at(day: int, hour: float) -> datetime:
    return START + timedelta(days=day, hours=hour)


def events() -> dict[str, list[dict[str, Any]]]:
    """Ten users view two pages a day at noon; four of them do something else at the end.

    ``spiky`` views 40 pages on the last day, ``gone`` is not seen on the last four days, ``drifty`` only
    fails on the last day, ``failing`` fails three times and then views at 18:00 of the last day.
    """
    last = DAYS - 1
    users = [*(f"u{n}" for n in range(6)), "spiky", "gone", "drifty", "failing"]
    views, fails = [], []
    for n, user in enumerate(users):
        country = "fr" if user == "gone" else "de"
        for day in range(DAYS):
            if (user == "gone" and day >= DAYS - 4) or (user == "drifty" and day == last):
                continue
            views += [
                {"time": at(day, 12 + k / 60 + n / 3600), "user": user, "page": f"p{k}", "country": country}
                for k in range(2)
            ]
    views += [
        {"time": at(last, 13 + k / 60), "user": "spiky", "page": f"new{k}", "country": "de"}
        for k in range(38)
    ]
    fails += [{"time": at(last, 12 + k / 60), "user": "drifty", "code": 500} for k in range(12)]
    fails += [{"time": at(last, 17.9 + k / 60), "user": "failing", "code": 500 + k} for k in range(3)]
    views.append({"time": at(last, 18), "user": "failing", "page": "p0", "country": "de"})
    views.append({"time": END - timedelta(seconds=1), "user": "u0", "page": "p0", "country": "de"})
    return {"View": views, "Fail": fails}


def filled(path: Path, until: datetime = END, **settings: Any) -> Engine:
    (path / "shop.yaml").write_text(SCHEMA)
    engine = Engine.create(path / "w", schema=path / "shop.yaml", **settings)
    (engine.path / "schema" / "features.yaml").write_text(FEATURES)
    for name, rows in events().items():
        chosen = [row for row in rows if row["time"] < until]
        if chosen:
            engine.ingest(pl.DataFrame(chosen).to_arrow(), type=name)
    return engine


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return filled(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def own(shop: Engine, tmp_path: Path) -> Iterator[Engine]:
    """A copy to write to; the shop itself is only read."""
    shutil.copytree(shop.path, tmp_path / "w")
    with Engine(tmp_path / "w") as engine:
        (engine.path / "rules").mkdir()
        yield engine


def rule(*, id_: str = "r", enabled: bool = True, **spec: Any) -> AnomalyRule:
    return AnomalyRule.from_json({"metadata": {"id": id_, "enabled": enabled}, **spec})


def template(kind: str, **parameters: Any) -> dict[str, Any]:
    return {"template": {kind: parameters}}


def found(engine: Engine, wanted: AnomalyRule, until: datetime = END) -> dict[str, float]:
    rows = Judge(engine).find(wanted, to_us(until))
    return {row["key"]: row["value"] for row in rows.iter_rows(named=True)}


def write(engine: Engine, text: str, name: str = "r.yaml") -> Path:
    path = engine.path / "rules" / name
    path.write_text(text)
    return path


DOCUMENT = """\
apiVersion: workbench/v1
kind: AnomalyRule
metadata: {id: busy, name: Busy}
spec:
  template:
    threshold: {feature: view_count, operator: ">", value: 30}
  schedule: {cron: "0 * * * *", cooldown: 2h}
  notifications:
    - file: {path: told.jsonl}
"""


# what each kind finds


def test_a_threshold_on_a_feature(shop: Engine) -> None:
    assert found(shop, rule(**template("threshold", feature="view_count", operator=">", value=30))) == {
        "spiky": 40
    }
    few = found(shop, rule(**template("threshold", feature="view_count", operator="<", value=2)))
    assert few == {"drifty": 0}  # gone is not there at all: that is an absence


def test_a_spike_against_the_subject_s_own_history(shop: Engine) -> None:
    wanted = template("spike", feature="view_count", multiplier=5)
    assert found(shop, rule(**wanted)) == {"spiky": 40}
    # 40 is 20 times the usual 2
    assert found(shop, rule(**template("spike", feature="view_count", multiplier=21))) == {}
    # a history of three days is less than five samples
    assert found(shop, rule(**wanted, history="3d")) == {}


def test_a_spike_against_the_mean_of_all(shop: Engine) -> None:
    # nine active users have 2·6 + 1 + 40 + 3 = 56 views, drifty none
    mean = 56 / 9
    wanted = {"feature": "view_count", "baseline": "population_mean", "min_samples": 9}
    assert found(shop, rule(**template("spike", multiplier=40 / mean - 0.01, **wanted))) == {"spiky": 40}
    assert found(shop, rule(**template("spike", multiplier=40 / mean + 0.01, **wanted))) == {}
    assert found(shop, rule(**template("spike", multiplier=5, **{**wanted, "min_samples": 10}))) == {}


def test_a_spike_against_the_subject_s_cluster(own: Engine) -> None:
    clusters = {row["key"]: row["cluster"] for row in own.compute("clusters", most=3).to_polars().to_dicts()}
    counts = {
        **dict.fromkeys((f"u{n}" for n in range(1, 6)), 2),
        "u0": 3,
        "spiky": 40,
        "failing": 3,
        "drifty": 0,
    }
    values = [
        counts[key] for key, cluster in clusters.items() if cluster == clusters["spiky"] and key in counts
    ]
    mean = max(sum(values) / len(values), 1.0)
    wanted = {"feature": "view_count", "baseline": "cluster_centroid", "min_samples": 1}
    hit = found(own, rule(**template("spike", multiplier=max(40 / mean - 0.01, 1.01), **wanted)))
    assert ("spiky" in hit) == (40 / mean > 1.01)
    assert found(own, rule(**template("spike", multiplier=40 / mean + 1, **wanted))) == {}


def test_an_absence_after_presence(shop: Engine) -> None:
    wanted = template("absence", feature="view_count", lookback_days=3)
    assert found(shop, rule(**wanted)) == {"gone": 0}
    assert found(shop, rule(**template("absence", feature="view_count", lookback_days=5))) == {}
    assert "the last on 2025-06-09" in Judge(shop).find(rule(**wanted), to_us(END))["reason"][0]


def test_a_drift_of_the_mixture(shop: Engine) -> None:
    wanted = {"features": ["view_count", "fail_count"], "threshold": 0.5}
    assert found(shop, rule(**template("drift", **wanted))) == pytest.approx({"drifty": 1.0})
    # failing: 3 views, 3 failures today; only views before
    distance = 1 - 3 / np.sqrt(3**2 + 3**2)
    near = {**wanted, "threshold": distance - 0.01, "min_events": 6}
    assert found(shop, rule(**template("drift", **near))) == pytest.approx(
        {"drifty": 1.0, "failing": distance}
    )
    assert set(found(shop, rule(**template("drift", **{**near, "min_events": 7})))) == {"drifty"}


def test_a_sequence_within_a_time(shop: Engine) -> None:
    wanted = {"pattern": [{"event": "Fail", "times": 3}, "Look"], "within": "10m"}
    assert found(shop, rule(**template("sequence", **wanted))) == {"failing": 1}
    assert found(shop, rule(**template("sequence", **{**wanted, "within": "5m"}))) == {}
    coded = {"pattern": [{"event": "Fail", "where": {"code": [501, 502]}}, "View"], "within": "10m"}
    assert found(shop, rule(**template("sequence", **coded))) == {"failing": 1}
    none = {"pattern": [{"event": "Fail", "where": {"code": 404}}, "View"], "within": "10m"}
    assert found(shop, rule(**template("sequence", **none))) == {}


def test_the_latest_beginning_counts_for_a_sequence() -> None:
    """Agrees with a search by hand over random events."""
    draw = np.random.default_rng(5)
    actor = np.sort(draw.integers(0, 5, 200))
    ts = np.concatenate([np.sort(draw.integers(0, 1000, n)) for n in np.bincount(actor, minlength=5)])
    steps = [draw.random(200) < 0.3 for _ in range(3)]
    begun = completions(pl.Series(actor), ts, steps)
    for i in range(200):
        chains = [
            ts[a]
            for a in range(i)
            for b in range(a + 1, i)
            if actor[a] == actor[b] == actor[i] and steps[0][a] and steps[1][b] and steps[2][i]
        ]
        assert (begun[i] if begun[i] >= 0 else None) == (max(chains) if chains else None)


def test_a_composition_of_signals_and_features(shop: Engine) -> None:
    spiky = {"signal": "z_score", "threshold": 2}
    many = {"feature": "view_count", "operator": ">", "threshold": 10}
    assert set(found(shop, rule(composition={"and": [spiky, many]}))) == {"spiky"}
    assert set(found(shop, rule(composition={"and": [spiky, {"not": many}]}))) == {"drifty", "failing"}
    assert set(found(shop, rule(composition={"or": [spiky, many]}))) == {"drifty", "failing", "spiky"}
    drift = {"signal": "behavioral_deviation", "threshold": 0.5}
    assert "drifty" in found(shop, rule(composition=drift))
    assert "spiky" in found(shop, rule(composition={"signal": "graph_anomaly", "threshold": 0.5}))


def test_filters_say_whom_a_rule_is_about(shop: Engine) -> None:
    wanted = template("threshold", feature="view_count", value=1)
    every = set(found(shop, rule(**wanted)))
    assert every == {*(f"u{n}" for n in range(6)), "spiky", "failing"}
    assert set(found(shop, rule(**wanted, filters={"exclude": ["u?", "user:fail*"]}))) == {"spiky"}
    french = template("absence", feature="view_count", lookback_days=3)
    lives = [{"feature": "lives_in", "operator": ">=", "value": 2}]
    assert found(shop, rule(**french, history="9d", filters={"where": lives})) == {}  # nothing says it now
    assert set(found(shop, rule(**wanted, filters={"where": [{"feature": "fail_count", "value": 1}]}))) == {
        "failing"
    }
    with pytest.raises(UnknownNameError, match="view_count"):
        found(shop, rule(**wanted, filters={"where": [{"feature": "view_cuont", "value": 1}]}))


def test_classes_and_scores_come_from_the_anomalies(own: Engine) -> None:
    wanted = template("threshold", feature="view_count", value=1)
    scores = {
        row["key"]: (row["score"], row["class"]) for row in own.compute("anomalies").to_polars().to_dicts()
    }
    middle = sorted(score for score, _ in scores.values())[len(scores) // 2]
    hit = set(found(own, rule(**wanted, filters={"min_score": middle})))
    assert hit == {k for k in found(own, rule(**wanted)) if scores[k][0] >= middle}
    normal = set(found(own, rule(**wanted, filters={"classes": ["normal"]})))
    assert normal == {k for k in found(own, rule(**wanted)) if scores[k][1] == "normal"}


def test_a_plan_has_to_agree(shop: Engine) -> None:
    wanted = template("threshold", feature="view_count", value=1)
    scan = {
        "op": "scan", "id": "s", "types": ["Fail"], "since": "{since}",
        "where": [{"field": "user", "op": "=", "value": "{key}"}],
    }  # fmt: skip
    from workbench.rules.enrich import agreed

    def kept(**limits: int) -> set[str]:
        enriched = rule(**wanted, enrichment={"plan": {"steps": [scan]}, **limits})
        rows = Judge(shop).find(enriched, to_us(END))
        return set(agreed(shop, enriched, rows, to_us(END))["key"])

    assert kept(at_least=1) == {"failing"}
    assert kept(at_most=0) == {*(f"u{n}" for n in range(6)), "spiky"}
    broken = rule(**wanted, enrichment={"plan": {"steps": [{**scan, "types": ["Fale"]}]}, "at_least": 1})
    with pytest.raises(UsageError, match="Did you mean 'Fail'"):
        agreed(shop, broken, Judge(shop).find(broken, to_us(END)), to_us(END))


def test_a_trend_is_told_from_what_was_before(shop: Engine) -> None:
    quiet = rule(**template("trend", metric="View", severity="notable", direction="up"), lookback="1d")
    assert found(shop, quiet, END - timedelta(days=3)) == {}
    with pytest.raises(UnknownNameError, match="View"):
        found(shop, rule(**template("trend", metric="Veiw")))
    # metrics that may have no series yet
    for metric in ("new item", "distinct item", "number of clusters", "size of cluster 3"):
        assert found(shop, rule(**template("trend", metric=metric, severity="critical"))) == {}


# triggered, resolved


def test_a_rule_triggers_once_and_is_resolved(own: Engine) -> None:
    write(own, DOCUMENT)
    now = datetime(2025, 6, 14, 12, 0, tzinfo=UTC)
    fired = own.rules.evaluate(now)
    assert [(f.rule, f.event, f.subject, f.value) for f in fired] == [("busy", "triggered", "user:spiky", 40)]
    assert own.get(fired[0].addresses[0]).fields["user"] == "spiky"
    assert own.rules.evaluate(now + timedelta(minutes=59)) == []  # not due
    assert own.rules.evaluate(now + timedelta(hours=1)) == []  # due, and nothing has changed
    later = pl.DataFrame([{"time": END + timedelta(days=1), "user": "u1", "page": "p", "country": "de"}])
    own.ingest(later.to_arrow(), type="View")
    over = own.rules.evaluate(now + timedelta(hours=2))
    assert [(f.event, f.subject) for f in over] == [("resolved", "user:spiky")]
    assert over[0].since == now
    lines = [json.loads(line) for line in (own.path / "notifications/told.jsonl").read_text().splitlines()]
    assert [line["title"] for line in lines] == ["Busy triggered: user:spiky", "Busy resolved: user:spiky"]
    events = own.rules.log().to_polars()["event"].to_list()
    assert events == ["sent", "resolved", "sent", "triggered"]


def test_what_was_kept_is_there_in_another_process(own: Engine) -> None:
    write(own, DOCUMENT)
    now = datetime(2025, 6, 14, 12, 0, tzinfo=UTC)
    own.rules.evaluate(now)
    again = Engine(own.path)
    assert again.rules.active() == {"busy": ("user:spiky",)}
    assert again.rules.evaluate(now + timedelta(minutes=10)) == []  # not due: nothing is written
    written = (own.path / "alerts/state.jsonl").stat().st_mtime_ns
    assert again.rules.evaluate(now + timedelta(hours=1)) == []
    assert (own.path / "alerts/state.jsonl").stat().st_mtime_ns > written
    assert again.rules.to_polars()["active"].to_list() == [1]


def test_the_cooldown_keeps_a_rule_from_flapping(own: Engine) -> None:
    write(own, DOCUMENT)
    now = datetime(2025, 6, 13, 23, 0, tzinfo=UTC)
    rules = own.rules
    assert [f.event for f in rules.evaluate(now)] == ["triggered"]
    write(own, DOCUMENT.replace("value: 30", "value: 90"))
    assert [f.event for f in rules.evaluate(now + timedelta(minutes=30), only=["busy"])] == ["resolved"]
    write(own, DOCUMENT)
    assert rules.evaluate(now + timedelta(hours=1)) == []
    assert [f.event for f in rules.evaluate(now + timedelta(hours=2))] == ["triggered"]


def test_a_rule_that_is_disabled_or_gone_lets_go(own: Engine) -> None:
    path = write(own, DOCUMENT)
    now = datetime(2025, 6, 14, 12, 0, tzinfo=UTC)
    own.rules.evaluate(now)
    own.rules.disable("busy")
    assert "enabled: false" in path.read_text()
    over = own.rules.evaluate(now + timedelta(hours=3))
    assert [(f.event, f.reason) for f in over] == [("resolved", "the rule is disabled or gone")]
    assert own.rules.log(limit=1).to_polars()["event"].to_list() == ["resolved"]  # and nobody was told
    own.rules.enable("busy")
    assert own.rules.get("busy").metadata.enabled


def test_one_failing_rule_does_not_stop_the_others(own: Engine) -> None:
    write(own, DOCUMENT)
    wrong = DOCUMENT.replace("busy", "wrong").replace("view_count", "veiw_count")
    write(own, wrong, "wrong.yaml")
    fired = own.rules.evaluate(datetime(2025, 6, 14, 12, 0, tzinfo=UTC))
    assert [f.rule for f in fired] == ["busy"]
    texts = [str(problem) for problem in own.rules.problems()]
    assert texts[0].startswith(
        "wrong.yaml: spec.template.threshold.feature: there is no feature of user 'veiw_count'. "
        "Did you mean 'view_count'?"
    )
    assert texts[1].startswith("wrong: its last evaluation failed: there is no feature of user")


@pytest.mark.parametrize(
    "composition",
    [
        "not: {feature: avg_visit_gap_hours, operator: '>', threshold: 99}",
        "or: [{feature: avg_visit_gap_hours, threshold: 99}, {feature: fail_count, threshold: 2}]",
    ],
)
def test_what_holds_without_a_value_is_told_all_the_same(own: Engine, composition: str) -> None:
    text = DOCUMENT.replace("template:", "composition:")
    write(own, text.replace('threshold: {feature: view_count, operator: ">", value: 30}', composition))
    fired = own.rules.evaluate(datetime(2025, 6, 14, 12, 0, tzinfo=UTC))
    assert own.rules.problems() == []
    assert "user:failing" in {f.subject for f in fired}
    assert (own.path / "notifications/told.jsonl").read_text().count("\n") == 1


def test_a_clock_that_is_put_back_holds_up_no_rule(own: Engine) -> None:
    write(own, DOCUMENT)
    now = datetime(2025, 6, 14, 12, 0, tzinfo=UTC)
    ahead = now + timedelta(days=900)
    assert [f.event for f in own.rules.evaluate(ahead)] == ["triggered"]
    write(own, DOCUMENT.replace("value: 30", "value: 90"))
    assert [f.event for f in own.rules.evaluate(now)] == ["resolved"]
    write(own, DOCUMENT)
    assert [f.event for f in own.rules.evaluate(now + timedelta(hours=1))] == ["triggered"]


def test_an_empty_workspace_has_nothing_to_evaluate(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SCHEMA)
    engine = Engine.create(tmp_path / "w", schema=tmp_path / "shop.yaml")
    assert engine.rules.evaluate() == []
    assert not (engine.path / "alerts").exists()
    with pytest.raises(UsageError, match="no events"):
        engine.rules.backtest(rule(**template("threshold", feature="view_count", value=1)))


def test_what_rules_did_about_an_entity_is_forgotten_with_it(own: Engine) -> None:
    write(own, DOCUMENT.replace("value: 30", "value: 2"))
    own.rules.evaluate(datetime(2025, 6, 14, 12, 0, tzinfo=UTC))
    assert {"user:spiky", "user:failing"} <= set(own.rules.active()["busy"])
    assert not own.forget("user:spiky").applied
    report = own.forget("user:spiky", apply=True)
    assert report.proved
    assert {"alerts/state.jsonl", "notifications/told.jsonl"} <= set(report.beside)
    assert "user:spiky" not in own.rules.active()["busy"]
    assert "user:failing" in own.rules.active()["busy"]
    assert own.rules.problems() == []


# files


def test_a_bad_file_leaves_the_last_good_version_running(own: Engine) -> None:
    path = write(own, DOCUMENT)
    rules = own.rules
    assert rules.problems() == []
    rules.evaluate(datetime(2025, 6, 14, 12, 0, tzinfo=UTC))
    path.write_text(DOCUMENT.replace("threshold: {feature", "threshold: {feeture"))
    problem, *_ = rules.problems()
    assert str(problem) == (
        f"{path}:6: spec.template.threshold.feature: missing key 'feature'.\n"
        f"{path}:6: spec.template.threshold.feeture: unknown key 'feeture'. Did you mean 'feature'? "
        "The last good version goes on."
    )
    assert rules.get("busy").template is not None
    # also for a process that never saw the good one
    again = Engine(own.path).rules
    assert [r.id for r in again.list()] == ["busy"]
    assert again.problems()[0].running
    path.write_text(DOCUMENT)
    assert rules.problems() == []
    path.unlink()
    assert rules.list() == []


def test_what_is_no_document_stops_no_rule(own: Engine) -> None:
    write(own, DOCUMENT)
    write(own, "[" * 5000, "deep.yaml")
    write(own, DOCUMENT.replace("name: Busy", "name: 2025-02-30"), "date.yaml")
    folder = own.path / "rules"
    (folder / "loop.yaml").symlink_to("loop.yaml")
    os.mkfifo(folder / "pipe.yaml")
    assert [f.rule for f in own.rules.evaluate(datetime(2025, 6, 14, 12, 0, tzinfo=UTC))] == ["busy"]
    assert [str(problem).removeprefix(f"{folder}/") for problem in own.rules.problems()] == [
        "date.yaml: not to be read as YAML: day is out of range for month.",
        "deep.yaml: not valid YAML: it is nested too deep.",
        "loop.yaml: cannot be read: Too many levels of symbolic links.",
        "pipe.yaml: this is a pipe, not a file.",
    ]


def test_a_rule_extends_another_and_two_have_no_id_in_common(own: Engine) -> None:
    write(own, DOCUMENT)
    child = write(
        own,
        "apiVersion: workbench/v1\nkind: AnomalyRule\nmetadata: {id: busier, extends: busy}\n"
        "spec:\n  template: {threshold: {value: 39}}\n  schedule: {cooldown: null}\n",
        "busier.yaml",
    )
    busier = own.rules.get("busier")
    assert busier.template is not None
    assert busier.template.threshold is not None
    assert (busier.template.threshold.feature, busier.template.threshold.value) == ("view_count", 39)
    assert (busier.name, busier.schedule.cron, busier.schedule.cooldown) == ("Busy", "0 * * * *", timedelta())
    child.write_text(child.read_text().replace("id: busier", "id: busy"))
    assert "'busy' is the id of" in str(own.rules.problems()[0])


def test_a_watch_tells_of_what_changes(own: Engine) -> None:
    said: queue.Queue[str] = queue.Queue()
    stop = threading.Event()
    thread = threading.Thread(target=own.rules.watch, args=(said.put, stop))
    thread.start()
    try:
        path = write(own, DOCUMENT)
        assert said.get(timeout=60) == "1 rules are good"
        path.write_text(DOCUMENT.replace("threshold:", "treshold:"))
        text = said.get(timeout=60)
        assert "unknown key 'treshold'. Did you mean 'threshold'?" in text
        assert text.endswith("The last good version goes on.")
    finally:
        stop.set()
        thread.join()


def test_an_example_is_added_disabled(own: Engine) -> None:
    path = own.rules.add("trend-spike")
    assert not own.rules.get("trend-spike").metadata.enabled
    before = path.read_text()
    own.rules.enable("trend-spike")
    assert path.read_text() == before.replace("enabled: false", "enabled: true")
    with pytest.raises(UsageError, match="already"):
        own.rules.add("trend-spike")
    with pytest.raises(UnknownNameError, match="trend-spike"):
        own.rules.add("trend-spice")
    with pytest.raises(UnknownNameError, match="Did you mean 'trend-spike'"):
        own.rules.get("trend_spike")


# backtests


@pytest.mark.parametrize("hours", [15, 3])
def test_what_is_remembered_is_what_would_be_read(shop: Engine, hours: float) -> None:
    """Every feature of a period and of the periods before, and every signal, are the same."""
    for day in (DAYS - 5, DAYS - 1):
        until = to_us(at(day, 18.5))
        scenes = [
            Scene(shop, "user", until, timedelta(hours=hours + 12), timedelta(days=4), memory=memory)
            for memory in (None, Memory(shop, to_us(END)))
        ]
        names = list(scenes[0].features)
        tables = []
        for scene in scenes:
            keys = scene.keys.to_list()
            columns = {name: np.vstack([scene.values(name)[None], scene.before(name)]) for name in names}
            seen = scene.activity.events["actor"].unique().to_list()
            tables.append({keys[i]: {n: c[:, i].tolist() for n, c in columns.items()} for i in seen})
        assert str(tables[0]) == str(tables[1])
        if hours > 12:
            for signal in ("behavioral_deviation", "graph_anomaly", "z_score"):
                found = [dict(zip(s.keys, s.signal(signal)[0], strict=True)) for s in scenes]
                assert all(found[0][key] == pytest.approx(v, nan_ok=True) for key, v in found[1].items())


def test_a_backtest_says_what_evaluations_would_have_said(tmp_path: Path) -> None:
    """At every tick it finds what an evaluation finds in a workspace that ends there."""
    wanted = rule(
        **template("spike", feature="saw_distinct", multiplier=3, min_samples=2),
        schedule={"cron": "0 15 * * *"},
    )
    whole = filled(tmp_path)
    result = whole.rules.backtest(wanted)
    assert (result.replayed, result.ticks) == (DAYS, DAYS)
    rows = result.to_polars()
    assert rows["subject"].to_list() == ["user:spiky"]
    assert rows["triggered"].to_list() == [at(DAYS - 1, 15)]
    for day in (DAYS - 2, DAYS - 1):
        (tmp_path / str(day)).mkdir()
        part = filled(tmp_path / str(day), at(day, 15))
        assert found(part, wanted, at(day, 15)) == found(whole, wanted, at(day, 15))
    assert result.precision is None
    assert result.by_day()["fired"].to_list() == [0] * (DAYS - 1) + [1]
    assert "12 ticks" in repr(result)


def test_a_backtest_of_many_ticks_is_thinned_and_says_so(shop: Engine) -> None:
    wanted = rule(**template("threshold", feature="view_count", value=30), schedule={"cron": "*/10 * * * *"})
    result = shop.rules.backtest(wanted, since="2025-06-13", most_ticks=10)
    assert (result.replayed, result.ticks) == (10, 143)
    assert "10 of 143 ticks" in repr(result)
    assert result.summary()["fired"] == 1
    with pytest.raises(UsageError, match="no tick"):
        shop.rules.backtest(wanted, since="2025-06-13T00:01", until="2025-06-13T00:02")
    with pytest.raises(UnknownNameError, match="rule"):
        shop.rules.backtest("nothing")
    with pytest.raises(ConfigError, match="a template is one of"):
        shop.rules.backtest({"metadata": {"id": "x"}, "spec": {"template": {}}})


def test_tasks_have_the_parameters_of_the_workspace_s_files(own: Engine) -> None:
    head = "apiVersion: workbench/v1\nkind: {}\nmetadata: {{id: own}}\nspec: {}\n"
    (own.path / "schema/scoring.yaml").write_text(head.format("ScoringConfig", "{lookback_days: 2}"))
    (own.path / "schema/trends.yaml").write_text(head.format("TrendConfig", "{method: classic}"))
    assert own.compute("anomalies").run.parameters["lookback_days"] == 2
    assert own.compute("anomalies", lookback_days=3).run.parameters["lookback_days"] == 3
    assert own.compute("trends").run.parameters["method"] == "classic"
    (own.path / "schema/trends.yaml").write_text(head.format("TrendConfig", "{metod: classic}"))
    with pytest.raises(ConfigError, match=r"trends\.yaml:4: spec\.metod: .* Did you mean 'method'"):
        own.compute("trends")


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Three views an hour for thirty days, and forty more between ten and eleven on the 26th day, in fr."""
    path = tmp_path_factory.mktemp("month")
    (path / "shop.yaml").write_text(SCHEMA)
    engine = Engine.create(path / "w", schema=path / "shop.yaml")
    rows = [
        {"time": at(0, hour + k / 4), "user": f"u{k}", "page": "p", "country": "de"}
        for hour in range(30 * 24)
        for k in range(3)
    ]
    rows += [
        {"time": at(25, 10 + k / 60), "user": f"u{k % 3}", "page": "p", "country": "fr"} for k in range(40)
    ]
    engine.ingest(pl.DataFrame(rows).to_arrow(), type="View")
    return engine


def test_a_trend_is_found_once_its_hour_is_over(month: Engine) -> None:
    wanted = rule(**template("trend", metric="Look", severity="critical", direction="up"), lookback="2h")
    assert found(month, wanted, at(25, 10.9)) == {}
    rows = Judge(month).find(wanted, to_us(at(25, 11)))
    assert rows["subject"].to_list() == ["View"]
    assert rows["value"][0] >= 4
    assert rows["reason"][0] == "View: 43 instead of 3 from 2025-06-27 10:00 until 2025-06-27 11:00, critical"
    assert found(month, wanted, at(25, 13.1)) == {}  # over for more than two hours
    down = rule(**template("trend", metric="View", severity="critical", direction="down"), lookback="2h")
    assert found(month, down, at(25, 11)) == {}
    excluded = rule(
        **template("trend", metric="View", severity="critical"), lookback="2h", filters={"exclude": ["View"]}
    )
    assert found(month, excluded, at(25, 11)) == {}


def test_a_trend_as_a_signal_is_the_same_for_everybody(month: Engine) -> None:
    wanted = {"signal": "trend", "metric": "View", "threshold": 4}
    assert set(found(month, rule(composition=wanted, lookback="2h"), at(25, 11))) == {"u0", "u1", "u2"}
    assert found(month, rule(composition=wanted, lookback="2h"), at(24, 11)) == {}
    with pytest.raises(UnknownNameError, match="metric"):
        found(month, rule(composition={**wanted, "metric": "Veiw"}, lookback="2h"), at(25, 11))


def test_a_signal_that_is_not_available_is_said(shop: Engine) -> None:
    with pytest.raises(UsageError, match="dbscan_noise is not available: no event type has a text template"):
        found(shop, rule(composition={"signal": "dbscan_noise", "threshold": 0.5}))
    with pytest.raises(UsageError, match=r"isolation is not available: .* too few"):
        found(shop, rule(composition={"signal": "isolation", "threshold": 0.5}))


def test_what_names_nothing_is_said_with_what_may_be_meant(own: Engine) -> None:
    specs = {
        "a": "template: {drift: {features: [view_cont], threshold: 0.5}}",
        "b": "template: {sequence: {pattern: [Vew], within: 1h}}",
        "c": "template: {trend: {metric: Vew, dimension: page}}",
        "d": "template: {trend: {metric: distinct users}}",
        "e": "template: {trend: {metric: View, dimension: contry}}",
        "e2": "template: {trend: {metric: new users}}",
        "f": "composition: {and: [{feature: view_cont, threshold: 1}]}",
        "g": "template: {threshold: {feature: view_count, value: 1}}\n"
        "  enrichment: {plan: {steps: []}, at_most: 0}",
        "h": "template: {trend: {metric: share of number of clusters}}",
    }
    for name, spec in specs.items():
        head = f"apiVersion: workbench/v1\nkind: AnomalyRule\nmetadata: {{id: {name}}}\nspec:\n"
        write(own, f"{head}  {spec}\n", f"{name}.yaml")
    texts = [str(problem).removeprefix("spec.") for problem in own.rules.problems()]
    assert [text.split(":")[0] for text in texts] == [f"{name}.yaml" for name in specs]
    assert "drift.features.0: there is no feature of user 'view_cont'. Did you mean 'view_count'?" in texts[0]
    assert "pattern.0: there is no event type of user 'Vew'. Did you mean 'View'?" in texts[1]
    assert "trend.metric: there is no metric 'Vew'. Did you mean 'View'?" in texts[2]
    assert "Did you mean 'user'?" in texts[3]
    assert "trend.dimension: there is no entity type 'contry'. Did you mean 'country'?" in texts[4]
    assert "there is no metric 'new users'. Did you mean 'user'?" in texts[5]
    assert "composition: there is no feature of user 'view_cont'" in texts[6]
    assert "steps" in texts[7]
    assert "there is no metric 'share of number of clusters'" in texts[8]
    for path in (own.path / "rules").glob("e*.yaml"):
        path.write_text(
            path.read_text().replace("new users", "number of communities").replace("contry", "country")
        )
    assert not [problem for problem in own.rules.problems() if str(problem).startswith("e")]
