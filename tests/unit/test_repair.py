"""Repair from end to end: what comes back, what does not, and where that is said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from schemas import PAGES
from typer.testing import CliRunner

from workbench.cli.app import app
from workbench.engine import Engine
from workbench.opening import repair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = "2025-01-02"


def lines(day: int, *hours: int, user: str = "anna") -> str:
    return "".join(
        json.dumps({"time": f"2025-01-0{day}T{h:02d}:00:00Z", "user": user, "page": f"p{h % 3}"}) + "\n"
        for h in hours
    )


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    root = tmp_path / "logs"
    root.mkdir()
    (root / "schema.yaml").write_text(PAGES)
    for day in (1, 2, 3):
        (root / f"click-{day}.jsonl").write_text(lines(day, 1, 2, 3))
    return root


@pytest.fixture
def engine(logs: Path, tmp_path: Path) -> Iterator[Engine]:
    with Engine.create(tmp_path / "w", schema=logs / "schema.yaml") as opened:
        for day in (1, 2, 3):
            opened.ingest(logs / f"click-{day}.jsonl", type="click")
        yield opened


def damage(engine: Engine, kind: str = "events", segment: str = DAY) -> None:
    for entry in engine.snapshot.files(kind, segments=[segment]):
        path = engine.path / entry.path
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


def rows(engine: Engine) -> list[tuple[object, ...]]:
    return engine.sql("select _segment, _id, user, page from click order by all").rows


def addresses(engine: Engine) -> set[object]:
    return {row[:2] for row in rows(engine)}


def test_nothing_to_repair_is_said(engine: Engine) -> None:
    report = engine.repair()
    assert not report
    assert report.whole
    assert str(report).startswith("nothing to repair: ")


def test_a_dry_run_changes_nothing(engine: Engine) -> None:
    damage(engine)
    before = {p: p.read_bytes() for p in engine.path.rglob("*") if p.is_file() and "readers" not in p.parts}
    report = engine.repair()
    assert [f.action for f in report.findings] == ["read again"]
    assert not report.whole
    after = {p: p.read_bytes() for p in engine.path.rglob("*") if p.is_file() and "readers" not in p.parts}
    assert after == before


def test_documents_of_several_sources_and_of_one_that_grew_come_back(engine: Engine, logs: Path) -> None:
    with (logs / "click-2.jsonl").open("a") as file:
        file.write(lines(2, 5, 6))
    engine.ingest(logs / "click-2.jsonl", type="click")
    (logs / "late-a.jsonl").write_text(lines(2, 7, user="ben"))
    (logs / "late-b.jsonl").write_text(lines(2, 8, user="ben") + lines(1, 9))
    engine.ingest(logs / "late-a.jsonl", logs / "late-b.jsonl", type="click")
    before = rows(engine)
    assert len(before) == 14
    damage(engine)

    assert engine.repair(apply=True).whole
    assert rows(engine) == before
    assert engine.verify(full=True) == []
    assert engine.status()["stale_segments"] == 0


def test_what_was_forgotten_does_not_come_back(engine: Engine, logs: Path) -> None:
    (logs / "late.jsonl").write_text(lines(2, 7, user="ben") + lines(2, 8, user="carla"))
    engine.ingest(logs / "late.jsonl", type="click")
    engine.forget("user:ben", apply=True)
    before = rows(engine)
    damage(engine)
    engine.repair(apply=True)
    assert rows(engine) == before


def test_a_source_with_other_bytes_gives_nothing_back(engine: Engine, logs: Path) -> None:
    damage(engine)
    (logs / "click-2.jsonl").write_text(lines(2, 1, 2, 4))
    report = engine.repair(apply=True)
    assert {f.action for f in report.findings} == {"lost"}
    reasons = {m.entry.segment: m.reason for m in report.missing}
    assert "nothing with the bytes that were read is there any more" in reasons[DAY]
    assert sum(m.rows for m in report.missing) == 3


@pytest.fixture
def missing(engine: Engine, logs: Path) -> str:
    """The sentence that results over the day say."""
    engine.compute("pagerank", device="cpu")
    (logs / "click-2.jsonl").rename(logs / "elsewhere")
    damage(engine)
    (found,) = engine.repair(apply=True).missing
    assert str(found).startswith("3 click documents of 2025-01-02 (01:00 to 03:00 UTC) are missing since 2")
    return str(found)


def test_results_over_a_damaged_window_say_so(engine: Engine, missing: str) -> None:
    assert engine.status()["missing"] == [missing]
    assert missing in engine.catalog.to_text()
    for table in ("click", "events", "counts", "edges", "entities"):
        assert engine.sql(f"from {table}").notes == (missing,)
    result = engine.sql("select 1 from click")
    assert missing in repr(result)
    assert missing in result._repr_mimebundle_()["text/html"]
    assert result.to_json()["notes"] == [missing]
    assert engine.sql("select 1").notes == ()
    assert missing in engine.ask("how many click events per day").text
    # what was computed before has seen everything
    assert engine.knowledge.read("pagerank").notes == ()
    assert engine.sql("select count(*) from knowledge.pagerank").notes == ()
    assert engine.compute("pagerank", device="cpu").notes == (missing,)
    assert missing in repr(engine.knowledge.read("pagerank"))
    assert engine.sql("select count(*) from knowledge.pagerank").notes == (missing,)


def test_a_later_repair_finds_the_source_elsewhere(engine: Engine, missing: str, logs: Path) -> None:
    assert not engine.repair(apply=True).whole
    report = engine.repair(apply=True, sources=[logs])
    assert report.whole
    assert [f.problem[:13] for f in report.findings] == ["missing since"]
    assert engine.status()["missing"] == []
    assert len(rows(engine)) == 9


def test_evicting_the_day_ends_it(engine: Engine, missing: str) -> None:
    assert engine.evict(DAY) == [DAY]
    assert engine.status()["missing"] == []
    assert not engine.repair()


def test_the_command_says_it_and_its_exit_code_too(engine: Engine, logs: Path) -> None:
    def run(*arguments: object) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["repair", "-q", "-w", str(engine.path), *map(str, arguments)])
        return done.exit_code, done.stdout

    assert run()[0] == 0
    damage(engine, "edges")
    code, text = run()
    assert (code, "derived again" in text, "nothing was changed" in text) == (1, True, True)
    code, text = run("--apply", "--json")
    assert (code, json.loads(text)["findings"][0]["action"]) == (0, "derived again")
    damage(engine.refresh())
    (logs / "click-2.jsonl").unlink()
    assert run("--apply")[0] == 1
    assert run("--from", logs)[0] == 1


def test_a_workspace_that_does_not_open_is_repaired_by_its_path(engine: Engine) -> None:
    before = rows(engine)
    damage(engine, "counts")
    (engine.path / "CURRENT").write_text("")
    said = repair(engine.path)
    assert [d.path for d in said.head] == ["CURRENT"]
    assert [f.action for f in said.findings] == ["derived again"]
    report = repair(engine.path, apply=True)
    assert report.whole
    assert [d.path for d in report.head] == ["CURRENT"]
    with Engine(engine.path) as again:
        assert rows(again) == before
        assert again.verify(full=True) == []
