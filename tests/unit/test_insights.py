"""Insights: told once, when something begins or ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pyarrow as pa

from workbench.analysis.insights import INSIGHT_KINDS, MOST, insights
from workbench.knowledge import Knowledge, Run

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
RUN = Run(
    id="r1",
    kind="anomalies",
    algorithm="ensemble",
    parameters={},
    seed=0,
    device="cpu",
    fallback="",
    versions={},
    segments=("2025-06-01", "2025-06-01", 1),
    inputs="",
    asof=NOON.isoformat(),
    created=NOON.isoformat(),
    seconds=0.0,
)
CLASSES = (("normal", 0.3), ("mild", 0.5), ("anomalous", 0.7), ("highly anomalous", 1.1))


def anomalies(run: str = "r1", **scores: float) -> Knowledge:
    rows = [
        {
            "entity": f"user:{name}",
            "score": score,
            "class": next(c for c, limit in CLASSES if score < limit),
            "why": f"{name} did much.",
            "signal_change": score,
            "signal_rhythm": None,
        }
        for name, score in scores.items()
    ]
    schema = {"signal_rhythm": pl.Float64}
    return Knowledge(replace(RUN, id=run), pl.DataFrame(rows, schema_overrides=schema).to_arrow())


def trends(*rows: tuple[str, str | None, int, int, str], run: str = "t1") -> Knowledge:
    columns: dict[str, Any] = {
        "metric": [r[0] for r in rows],
        "dimension": ["page" if r[1] else None for r in rows],
        "value": [r[1] for r in rows],
        "since": [NOON + timedelta(hours=r[2]) for r in rows],
        "until": [NOON + timedelta(hours=r[3]) for r in rows],
        "observed": [90.0] * len(rows),
        "expected": [10.0] * len(rows),
        "z": [8.0] * len(rows),
        "severity": [r[4] for r in rows],
        "direction": ["up"] * len(rows),
    }
    texts = dict.fromkeys(("metric", "dimension", "value", "severity", "direction"), pl.String)
    frame = pl.DataFrame(columns, schema_overrides=texts)
    return Knowledge(replace(RUN, id=run, kind="trends"), frame.to_arrow(), "Europe/Berlin")


def ranks(*names: str) -> Knowledge:
    table = pa.table({"entity": list(names), "rank": [1.0 / (n + 1) for n in range(len(names))]})
    return Knowledge(replace(RUN, kind="pagerank"), table)


def test_what_enters_a_class_is_told_and_what_stays_is_not() -> None:
    before = anomalies(a=0.2, b=0.6, c=0.8, d=0.35, e=0.1)
    after = anomalies(a=0.75, b=0.65, c=0.55, d=0.1, e=0.4)
    found = {i.entities[0]: i for i in insights(before, after)}
    assert set(found) == {"user:a", "user:c"}
    entered, fell = found["user:a"], found["user:c"]
    assert (entered.type, entered.severity, entered.title) == (
        "anomaly",
        "critical",
        "user:a is highly anomalous",
    )
    assert entered.text == "a did much. Score 0.75. It was normal before."
    assert entered.chart == {"kind": "bar", "x": ["change"], "y": [0.75], "label": "signal"}
    assert entered.question == "anomalies of user:a"
    assert (fell.severity, fell.title) == ("info", "user:c is no longer highly anomalous")
    assert "anomalous now" in fell.text


def test_without_a_run_before_what_there_is_begins() -> None:
    assert [i.title for i in insights(None, anomalies(a=0.6, b=0.9, c=0.2))] == [
        "user:b is highly anomalous",
        "user:a is anomalous",
    ]


def test_who_the_new_run_does_not_know_has_left() -> None:
    (gone,) = insights(anomalies(a=0.6, b=0.1), anomalies(b=0.1))
    assert (gone.title, gone.severity) == ("user:a is no longer anomalous", "info")


def test_the_same_runs_give_the_same_identifiers() -> None:
    first, second = (insights(None, anomalies(a=0.6)) for _ in range(2))
    assert first == second
    assert first[0].to_dict()["entities"] == ["user:a"]
    assert insights(None, anomalies("r2", a=0.6))[0].id != first[0].id


def test_many_are_cut_and_counted() -> None:
    many = {f"u{n:03}": 0.6 for n in range(MOST + 20)}
    found = insights(None, anomalies(**many))  # type: ignore[arg-type]
    assert len(found) == MOST
    assert found[-1].title == "21 more about anomalies"
    assert found[-1].severity == "info"


def test_a_known_episode_is_not_told_again_unless_it_becomes_worse() -> None:
    before = trends(("views", None, 0, 3, "significant"), ("views", "p1", 0, 3, "critical"))
    after = trends(
        ("views", None, 0, 4, "critical"),
        ("views", "p1", 0, 4, "critical"),
        ("views", "p2", 5, 6, "significant"),
        ("views", "p3", 5, 6, "notable"),
    )
    worse, new = insights(before, after)
    assert (worse.title, worse.severity) == ("views: more than usual from 2025-06-01 14:00", "critical")
    assert new.title == "views of page p2: more than usual from 2025-06-01 19:00"
    assert new.chart["y"] == [10.0, 90.0]
    assert new.question == "what happened on 2025-06-01"
    assert len(insights(None, after)) == 3


def test_ranks_tell_who_came_and_who_went() -> None:
    names = [f"n:{n}" for n in range(12)]
    before, after = ranks(*names), ranks("n:11", *names[:11])
    assert insights(None, after) == []
    came, went = insights(before, after)
    assert (came.title, came.severity) == ("n:11 is among the 10 highest ranks", "notable")
    assert (went.title, went.severity) == ("n:9 is no longer among the 10 highest ranks", "info")


def test_other_knowledge_gives_none() -> None:
    assert "components" not in INSIGHT_KINDS
    other = Knowledge(replace(RUN, kind="components"), pa.table({"entity": ["a:b"]}))
    assert insights(None, other) == []
