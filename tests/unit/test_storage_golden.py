"""Golden workspaces: what every format so far wrote opens, verifies, answers and can be written to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workbench.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN = Path(__file__).parents[1] / "golden"
FORMATS = {1: "format-1.zip"}
ANSWERS: dict[str, list[tuple[object, ...]]] = {
    "select _type, count(*) from events group by 1 order by 1": [("click", 121), ("login", 30)],
    "select page, count(*), sum(ms) from click group by 1 order by 1": [
        ("p0", 24, 973.0),
        ("p1", 24, 1045.0),
        ("p2", 24, 1117.0),
        ("p3", 24, 995.0),
        ("p4", 24, 1067.0),
        ("p9", 1, 7.5),
    ],
    "select count(*) from entities": [(20,)],
    "select sum(weight) from edges": [(121,)],
    "select count(*) from knowledge.pagerank": [(20,)],
    "select name from reference.users order by 1 limit 2": [("Name 0",), ("Name 1",)],
}


@pytest.fixture(params=FORMATS)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    shutil.unpack_archive(GOLDEN / FORMATS[request.param], tmp_path / "w")
    (tmp_path / "w" / "tmp").mkdir(exist_ok=True)
    with Engine(tmp_path / "w") as opened:
        yield opened


def assert_answers(engine: Engine) -> None:
    assert engine.verify(full=True) == []
    for statement, rows in ANSWERS.items():
        assert engine.sql(statement).rows == rows
    assert engine.quarantine.num_rows == 1


def test_it_opens_verifies_and_answers_and_reading_leaves_its_format(engine: Engine) -> None:
    before = (engine.path / "FORMAT").read_bytes()
    assert engine.snapshot.segments == ["2025-01-02", "2025-01-03"]
    assert_answers(engine)
    assert (engine.path / "FORMAT").read_bytes() == before


def test_the_first_writer_migrates_it_and_nothing_in_it_changes(engine: Engine, tmp_path: Path) -> None:
    with engine.store.writer():
        pass
    assert json.loads((engine.path / "FORMAT").read_text())["format"] == 2
    assert_answers(engine.refresh())

    log = tmp_path / "more.csv"
    log.write_text("time,user,page,title,ms\n2025-01-03T12:00:30Z,u50,p50,New,1\n")
    engine.ingest(log, type="click")
    assert engine.ingest(log, type="click").known == 1
    assert engine.verify(full=True) == []
    assert engine.sql("select count(*) from click").rows == [(122,)]


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) < 200_000
