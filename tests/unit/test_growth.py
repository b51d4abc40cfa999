"""Files that have grown since they were read: what is new comes in, nothing comes twice."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from workbench.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = "2025-01-01T00:00:00Z"


def lines(*numbers: int) -> str:
    return "".join(f'{{"time":"{DAY}","n":{n}}}\n' for n in numbers)


def rows(*numbers: int) -> str:
    return "".join(f"{DAY},{n}\n" for n in numbers)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Engine]:
    with Engine.create(tmp_path / "w") as engine:
        yield engine
        assert engine.verify() == []
        ledger = engine.snapshot.manifest.ledger.values()
        assert sum(e.rows for e in ledger) == engine.status()["documents"]


def numbers(db: Engine) -> list[int]:
    return [n for (n,) in db.sql("select n from click order by n").rows]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_log_that_grew_goes_on_where_it_was(form: str, db: Engine, tmp_path: Path) -> None:
    log, more = tmp_path / f"click.{form}", rows if form == "csv" else lines
    log.write_text("time,n\n" * (form == "csv") + more(0, 1))
    for last in (3, 5):
        db.ingest(log)
        with log.open("a") as file:
            file.write(more(last - 1, last))
        assert db.ingest(log, dry_run=True).rows == {"click": 2}
        report = db.ingest(log)
        assert (report.files, report.grown, report.rows) == (1, 1, {"click": 2})
        assert "1 source had grown" in str(report)
    assert numbers(db) == [0, 1, 2, 3, 4, 5]
    assert db.ingest(log).known == 1
    assert {e.status for e in db.snapshot.manifest.ledger.values()} == {"done"}
    assert [e.position for e in db.snapshot.manifest.ledger.values()] == [2, 4, 6]


def test_a_record_that_was_half_written_is_read_when_it_is_whole(db: Engine, tmp_path: Path) -> None:
    log = tmp_path / "click.jsonl"
    text = lines(*range(10))
    log.write_text(text[:-9])
    db.ingest(log)
    assert db.quarantine.num_rows == 1

    log.write_text(text + lines(10))
    db.ingest(log)

    assert numbers(db) == list(range(11))
    assert db.quarantine.num_rows == 0
    assert sum(e.rejected for e in db.snapshot.manifest.ledger.values()) == 0


def test_a_last_record_without_a_line_end_is_whole_if_a_line_ends_behind_it(
    db: Engine, tmp_path: Path
) -> None:
    log = tmp_path / "click.csv"
    log.write_text(("time,n\n" + rows(1, 2)).removesuffix("\n"))
    db.ingest(log)
    log.write_text("time,n\n" + rows(1, 2, 3))
    db.ingest(log)
    assert numbers(db) == [1, 2, 3]


def test_a_record_that_was_cut_and_taken_is_not_guessed_at(db: Engine, tmp_path: Path) -> None:
    log = tmp_path / "click.csv"
    log.write_text(f"time,n\n{DAY},1\n{DAY},2")
    db.ingest(log)
    for last in ("34\n", "34\n" + rows(5)):
        log.write_text(f"time,n\n{DAY},1\n{DAY},2{last}")
        (reason,) = db.ingest(log).quarantined_files.values()
        assert (
            "the file has grown since 2 of its records were read, and the last of them was not whole"
            in reason
        )
        assert (numbers(db), db.quarantine.num_rows) == ([1, 2], 1)
        assert db.retry().quarantined_files


def test_a_quote_that_may_be_closed_by_now_is_not_guessed_at(db: Engine, tmp_path: Path) -> None:
    log = tmp_path / "click.csv"
    begun = "time,n\n" + rows(*range(9)) + f'{DAY},"9\n' + rows(10)
    log.write_text(begun)
    db.ingest(log)
    log.write_text(begun + '"\n')
    assert "may be closed by now" in str(db.ingest(log))
    assert numbers(db) == [*range(9), 10]


def test_a_log_goes_on_under_another_name_and_within_one_ingest(db: Engine, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "click.1.jsonl").write_text(lines(0, 1))
    (logs / "click.2.jsonl").write_text(lines(0, 1, 2))
    report = db.ingest(logs)
    assert (report.files, report.grown) == (2, 1)
    (logs / "click.2.jsonl").rename(logs / "click.3.jsonl")
    with (logs / "click.3.jsonl").open("a") as file:
        file.write(lines(3))
    (logs / "click.2.jsonl").write_text(lines(7))
    report = db.ingest(logs)
    assert (report.grown, report.replaced) == (1, [str(logs / "click.2.jsonl")])
    assert "taken as another source" in str(report)
    assert numbers(db) == [0, 1, 2, 3, 7]


def test_a_copy_that_grew_goes_on(db: Engine, tmp_path: Path) -> None:
    log, copy = tmp_path / "click.jsonl", tmp_path / "copies" / "click.jsonl"
    copy.parent.mkdir()
    log.write_text(lines(0, 1))
    db.ingest(log)
    copy.write_text(lines(0, 1, 2))
    assert db.ingest(copy).rows == {"click": 1}
    assert numbers(db) == [0, 1, 2]


def test_a_bad_log_that_grew_good_leaves_quarantine(db: Engine, tmp_path: Path) -> None:
    log = tmp_path / "click.jsonl"
    log.write_text(lines(0) + "torn\n")
    assert db.ingest(log).quarantined_files
    log.write_text(lines(0) + "torn\n" + lines(*range(1, 9)))
    db.ingest(log)
    assert numbers(db) == list(range(9))
    assert db.quarantine["original"].to_pylist() == [b"torn"]


def test_only_what_lines_can_be_appended_to_goes_on(db: Engine, tmp_path: Path) -> None:
    log = tmp_path / "click.jsonl.gz"
    first, second = (gzip.compress(lines(n).encode()) for n in (0, 1))
    log.write_bytes(first)
    db.ingest(log)
    log.write_bytes(first + second)
    report = db.ingest(log)
    assert (report.grown, report.replaced) == (0, [str(log)])
    assert numbers(db) == [0, 0, 1]
