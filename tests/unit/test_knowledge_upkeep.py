"""What differs between two results, which of them stay, and what was known on past days."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest
from schemas import PLAYS

from workbench.engine import Engine
from workbench.errors import UnknownNameError, UsageError
from workbench.knowledge import Knowledge, Run
from workbench.knowledge.diff import difference
from workbench.knowledge.thin import superfluous
from workbench.storage import FileEntry

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2025, 6, 30, 12, tzinfo=UTC)


def play(day: int, member: str) -> dict[str, str]:
    return {"time": f"2025-06-{day:02}T08:00:00Z", "member": member, "game": "g"}


@pytest.fixture
def db(tmp_path: Path) -> Engine:
    (tmp_path / "tiny.yaml").write_text(PLAYS)
    engine = Engine.create(tmp_path / "w", schema=tmp_path / "tiny.yaml")
    engine.ingest(pa.Table.from_pylist([play(10, "a"), play(11, "b"), play(12, "c")]), type="Play")
    return engine


def result(kind: str = "pagerank", **columns: list[Any]) -> Knowledge:
    run = Run(
        *("r", kind, "", {}, 0, "cpu", "", {}, ("2025-06-10", "2025-06-10", 1), "", "2025-06-10", "", 0.0)
    )
    return Knowledge(run, pa.table(columns))


class TestDifference:
    def test_rows_that_came_went_and_changed(self) -> None:
        old = result(entity=["a", "b", "c"], rank=[1.0, 2.0, 3.0], place=[3, 2, 1])
        new = result(entity=["b", "c", "d"], rank=[2.0, 3.5, 4.0], place=[2, 1, 1])
        found = difference(old, new)
        assert found.on == ("entity",)
        assert found.to_polars().rows() == [
            ("d", "added", None, 4.0, None, 1),
            ("c", "changed", 3.0, 3.5, 1, 1),
            ("a", "removed", 1.0, None, 3, None),
        ]
        assert difference(old, old).to_polars().height == 0
        assert "against" in repr(found)

    def test_rows_are_known_by_what_is_usual_or_given(self) -> None:
        old = result(
            "trends", **{n: ["x"] for n in ("metric", "dimension", "value", "resolution", "since")}, z=[1]
        )
        assert difference(old, old).on[0] == "metric"
        odd = result("odd", n=[1, 2], v=[1, 1])
        with pytest.raises(UsageError, match="no usual columns"):
            difference(odd, odd)
        assert difference(odd, odd, on=["n"]).on == ("n",)
        with pytest.raises(UsageError, match="no column 'm'"):
            difference(odd, odd, on=["m"])
        with pytest.raises(UsageError, match="several rows"):
            difference(odd, odd, on=["v"])
        with pytest.raises(UsageError, match="cannot be compared"):
            difference(odd, old)

    def test_runs_are_compared_by_id(self, db: Engine) -> None:
        first, last = db.compute("pagerank", asof="2025-06-10"), db.compute("pagerank")
        found = db.knowledge.diff(first.run.id, last)
        assert set(found.to_polars().filter(pl.col("change") == "added")["entity"]) == {
            "member:b",
            "member:c",
        }
        with pytest.raises(UnknownNameError, match="no run 'pagerank'"):
            db.knowledge.diff("pagerank", last)


def entry(
    asof: datetime, *, kind: str = "ranks", size: int = 1, created: str = "", **parameters: Any
) -> FileEntry:
    meta = {"asof": asof.isoformat(), "created": created, "parameters": parameters, "seed": 0}
    name = f"{kind}-{asof.isoformat()}-{created}-{parameters}"
    return FileEntry(name, "knowledge", "", kind, 1, size, "", None, None, "", meta)


class TestThinning:
    def gone(self, entries: list[FileEntry], most: int = 10**9) -> list[str]:
        window = datetime(2025, 6, 1, tzinfo=UTC)
        return [e.path for e in superfluous(entries, NOW, window, most)]

    def test_all_of_two_days_then_one_a_day_then_one_a_week(self) -> None:
        every = [entry(NOW - timedelta(hours=h)) for h in range(0, 24 * 60, 6)]
        kept = [e for e in every if e.path not in self.gone(every)]
        stamps = [datetime.fromisoformat(e.meta["asof"]) for e in kept]
        recent = [s for s in stamps if s > NOW - timedelta(days=2)]
        days = [s.date() for s in stamps if datetime(2025, 6, 1, tzinfo=UTC) <= s <= NOW - timedelta(days=2)]
        weeks = [s.isocalendar()[:2] for s in stamps if s < datetime(2025, 6, 1, tzinfo=UTC)]
        assert len(recent) == 8
        assert len(days) == len(set(days)) == 28
        assert len(weeks) == len(set(weeks))
        assert all(s.hour == 18 for s in stamps if s.date().isoformat() == "2025-06-10")

    def test_other_parameters_are_another_result(self) -> None:
        then = NOW - timedelta(days=5)
        one, other, again = entry(then), entry(then, damping=0.5), entry(then, created="later")
        assert self.gone([one, other, again]) == [one.path]

    def test_the_oldest_go_where_there_is_too_much_but_never_the_newest(self) -> None:
        entries = [entry(NOW - timedelta(days=d), size=10) for d in (3, 2, 1)]
        alone = entry(NOW - timedelta(days=20), kind="graph", size=10)
        assert self.gone([*entries, alone], most=25) == [e.path for e in entries[:2]]
        assert self.gone([*entries, alone], most=1) == [e.path for e in entries[:2]]

    def test_the_engine_removes_them(self, db: Engine) -> None:
        assert db.thin() == 0
        old = db.compute("components", asof="2025-06-10")
        twice = db.compute("components", asof="2025-06-10", seed=1)
        db.ingest(pa.Table.from_pylist([play(25, "d")]), type="Play")
        db.compute("components")
        assert db.thin() == 0
        with db.store.writer() as writer:  # the same once more, as if it had been made from other partials
            transaction = writer.begin()
            from workbench.knowledge import add

            add(transaction, replace(old.run, id="again", created="2030"), old.table)
            transaction.commit()
        assert db.refresh().thin() == 1
        assert {run.id for run in db.knowledge.runs()} >= {"again", twice.run.id}
        assert old.run.id not in {run.id for run in db.knowledge.runs()}

    def test_an_empty_workspace_has_nothing_to_thin(self, tmp_path: Path) -> None:
        with Engine.create(tmp_path / "w") as db:
            assert db.thin() == 0


class TestPastDays:
    def test_what_was_known_on_each_day_of_a_range(self, db: Engine) -> None:
        found = db.compute_days("components", "2025-06-10", "2025-06-11")
        assert [k.run.day for k in found] == ["2025-06-10", "2025-06-11"]
        assert [k.run.day for k in db.compute_days("components", "2025-06-12")] == ["2025-06-12"]
        assert db.knowledge.read("components", asof="2025-06-11").run == found[1].run
        with pytest.raises(UsageError, match="no segment lies between"):
            db.compute_days("components", "2026-01-01")

    def test_the_background_computes_what_was_known(self, db: Engine) -> None:
        with Engine(db.path, history_days=1) as engine:
            while engine.scheduler.turn():
                engine.scheduler.join()
            assert engine.scheduler.status().red == ()
        kinds = {run.kind for run in db.knowledge.runs() if run.day == "2025-06-11"}
        assert {"pagerank", "communities", "anomalies"} <= kinds
        assert "2025-06-10" not in {run.day for run in db.knowledge.runs()}
