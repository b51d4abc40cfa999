"""Tasks over a window small enough to be worked out by hand, through the engine that keeps their results."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from schemas import USES

from workbench.analysis import tasks
from workbench.analysis.tasks.base import Task
from workbench.compute import backends
from workbench.engine import Engine
from workbench.errors import DriverUnavailableError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

# a, b and c play x on the first day, d plays y twice on the second, a plays y on the third; t is a test
# account
PLAYS = [
    ("2025-06-10T08:00:00Z", "a", "x", "false"),
    ("2025-06-10T09:00:00Z", "b", "x", "false"),
    ("2025-06-10T10:00:00Z", "c", "x", "false"),
    ("2025-06-11T08:00:00Z", "d", "y", "false"),
    ("2025-06-11T09:00:00Z", "d", "y", "false"),
    ("2025-06-12T08:00:00Z", "a", "y", "false"),
    ("2025-06-12T09:00:00Z", "t", "x", "true"),
]


@pytest.fixture
def db(tmp_path: Path) -> Engine:
    (tmp_path / "tiny.yaml").write_text(USES)
    engine = Engine.create(tmp_path / "w", schema=tmp_path / "tiny.yaml")
    names = ("time", "member", "game", "isTest")
    table = pa.table({n: [row[i] for row in PLAYS] for i, n in enumerate(names)})
    engine.ingest(table.append_column("platform", pa.array(["web"] * len(PLAYS))), type="Play")
    return engine


def rows(result: Any, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[n] for n in names) for row in result.to_arrow().to_pylist()]


def test_pagerank_of_a_star_is_what_the_equations_say(db: Engine) -> None:
    """h = 0.15/4 + 0.85·3·l and l = 0.15/4 + 0.85·h/3 give h = 0.133125/0.2775."""
    found = db.compute("pagerank", asof="2025-06-10", tolerance=1e-12)
    assert found.columns == ["entity", "type", "key", "rank", "place", "place_in_type"]
    assert rows(found, "entity", "place", "place_in_type") == [
        ("game:x", 1, 1),
        ("member:a", 2, 1),
        ("member:b", 3, 2),
        ("member:c", 4, 3),
    ]
    hub = 0.133125 / 0.2775
    assert [r for (r,) in rows(found, "rank")] == pytest.approx([hub, *[(1 - hub) / 3] * 3], abs=1e-9)


@pytest.mark.parametrize("asof", [None, "2025-06-11", "2025-06-10"])
def test_ranks_sum_to_one_and_places_follow_them(db: Engine, asof: str | None) -> None:
    found = db.compute("pagerank", asof=asof).to_polars()
    assert found["rank"].sum() == pytest.approx(1.0, abs=1e-9)
    assert found["rank"].is_sorted(descending=True)
    assert found["place"].to_list() == list(range(1, found.height + 1))
    for part in found.partition_by("type"):
        assert part["place_in_type"].to_list() == list(range(1, part.height + 1))
    assert set(found["type"]) == {"game", "member"}  # neither the attribute type nor the test account
    assert "member:t" not in found["entity"]


def test_components_of_each_day(db: Engine) -> None:
    sizes = {
        asof: sorted(set(rows(db.compute("components", asof=asof), "component", "size")))
        for asof in ("2025-06-10", "2025-06-11", "2025-06-12")
    }
    assert sizes == {
        "2025-06-10": [(0, 4)],
        "2025-06-11": [(0, 4), (1, 2)],
        "2025-06-12": [(0, 6)],
    }
    assert rows(db.compute("components", asof="2025-06-11"), "entity", "component") == [
        ("game:x", 0),
        ("member:a", 0),
        ("member:b", 0),
        ("member:c", 0),
        ("game:y", 1),
        ("member:d", 1),
    ]


def test_communities_are_the_two_games_circles(db: Engine) -> None:
    found = db.compute("communities", asof="2025-06-11")
    assert rows(found, "entity", "community", "size") == [
        ("game:x", 0, 4),
        ("member:a", 0, 4),
        ("member:b", 0, 4),
        ("member:c", 0, 4),
        ("game:y", 1, 2),
        ("member:d", 1, 2),
    ]
    # 5 units of weight, 3 and 2 inside, degrees 6 and 4: 3/5 - (6/10)² + 2/5 - (4/10)² = 0.48
    by_events = db.compute("communities", asof="2025-06-11", weights="events")
    assert by_events.run.metrics["modularity"] == pytest.approx(0.48)
    assert by_events.table.equals(found.table)
    with pytest.raises(UsageError, match="weights is 'degrees', must be one of ties, events"):
        db.compute("communities", weights="degrees")
    lighter = db.compute("communities", min_weight=2)
    assert {e for e, size in rows(lighter, "entity", "size") if size > 1} == {"game:y", "member:d"}


def test_the_same_question_is_answered_by_the_same_run(db: Engine) -> None:
    first = db.compute("pagerank")
    generation = db.store.snapshot().generation
    again = db.compute("pagerank", asof="2025-06-12", damping=0.85)
    assert again.run == first.run
    assert again.to_arrow().equals(first.to_arrow())
    assert db.store.snapshot().generation == generation
    for other in ({"damping": 0.5}, {"seed": 1}, {"asof": "2025-06-11"}):
        assert db.compute("pagerank", **other).run.id != first.run.id  # type: ignore[arg-type]
    assert db.store.snapshot().generation == generation + 3
    assert len(db.knowledge.runs("pagerank")) == 4


def test_another_method_makes_a_new_run(db: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    first = db.compute("components")
    monkeypatch.setattr(tasks.load("components"), "version", 2)
    assert db.compute("components").run.id != first.run.id


def test_new_documents_make_a_new_run_and_the_old_one_stays(db: Engine) -> None:
    first = db.compute("components")
    table = pa.table({"time": ["2025-06-12T20:00:00Z"], "member": ["e"], "game": ["z"]})
    db.ingest(table, type="Play")
    second = db.compute("components")
    assert second.run.id != first.run.id
    assert second.run.inputs != first.run.inputs
    assert ("game:z", 1) in rows(second, "entity", "component")
    assert db.knowledge.read("components", run=first.run.id).to_arrow().equals(first.to_arrow())


def test_a_run_says_how_it_came_about(db: Engine) -> None:
    run = db.compute("pagerank", asof=date(2025, 6, 11), device="cpu", seed=3, damping=0.5).run
    assert (run.kind, run.device, run.fallback, run.seed) == ("pagerank", "cpu", "", 3)
    assert run.parameters == {"damping": 0.5, "max_iterations": 50, "tolerance": 1e-6}
    assert run.segments == ("2025-06-10", "2025-06-11", 2)
    assert run.day == "2025-06-11"
    assert run.asof == "2025-06-11T09:00:00+00:00"
    assert run.metrics["converged"] == 1
    assert run.versions
    assert set(run.memory) == {"process"}
    assert run.memory["process"] >= 0
    assert db.knowledge.runs() == [run]


def test_what_does_not_exist_is_refused_with_a_suggestion(db: Engine) -> None:
    generation = db.store.snapshot().generation
    with pytest.raises(UnknownNameError, match=r"no parameter 'dampign'\. Did you mean 'damping'"):
        db.compute("pagerank", dampign=0.5)
    with pytest.raises(UnknownNameError, match="Did you mean 'pagerank'"):
        db.compute("pagernak")
    with pytest.raises(UnknownNameError, match="Segments live from 2025-06-10 to 2025-06-12"):
        db.compute("pagerank", asof="2025-06-13")
    with pytest.raises(UsageError, match=r"damping is 1\.5"):
        db.compute("pagerank", damping=1.5)
    with pytest.raises(UsageError, match="is not a time"):
        db.compute("pagerank", asof="Tuesday")
    assert db.store.snapshot().generation == generation


def test_an_empty_workspace_has_nothing_to_compute(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no documents"):
        Engine.create(tmp_path / "w").compute("pagerank")


@pytest.mark.skipif(backends.load("gpu").can_run() is True, reason="this machine has a GPU")
class TestWithoutAGpu:
    def test_asking_for_one_is_an_error_with_the_reason(self, db: Engine) -> None:
        reason = backends.load("gpu").can_run()
        assert isinstance(reason, str)
        with pytest.raises(DriverUnavailableError) as caught:
            db.compute("pagerank", device="gpu")
        assert reason in caught.value.message
        assert db.knowledge.runs() == []

    def test_auto_takes_the_cpu_and_records_why(self, db: Engine) -> None:
        found = db.compute("pagerank", device="auto")
        assert (found.run.device, found.run.fallback) == ("cpu", f"gpu: {backends.load('gpu').can_run()}")
        assert found.run.fallback in found._title()
        assert db.compute("pagerank", device="cpu").run == found.run

    def test_the_counts_behind_trends_are_the_device_s_too(self, db: Engine) -> None:
        with pytest.raises(DriverUnavailableError, match="cannot run aggregate"):
            db.compute("trends", device="gpu")
        run = db.compute("trends", device="auto").run
        assert (run.device, run.fallback) == ("cpu", f"gpu: {backends.load('gpu').can_run()}")
        assert "pyarrow" in run.versions


@pytest.mark.parametrize("name", tasks.names())
def test_every_task_declares_what_it_is(name: str) -> None:
    task = tasks.load(name)
    assert issubclass(task, Task)
    assert task.priority in {"P0", "P1", "P2", "P3"}
    assert task.complete({}) == task.defaults
    for parameter, value in task.defaults.items():
        assert task.complete({parameter: value}) == task.defaults
