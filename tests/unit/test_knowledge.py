"""As-of reads: the exact day or an error that names the nearest, the newest of equals, a run by its id."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from workbench.errors import CorruptFileError, UnknownNameError, UsageError
from workbench.knowledge import KnowledgeStore, Run, add, parse_asof
from workbench.storage import SegmentStore

if TYPE_CHECKING:
    from pathlib import Path


def run(identifier: str, day: str, hour: int = 12, *, kind: str = "pagerank", minute: int = 0) -> Run:
    """A run that saw the window up to ``hour`` of ``day`` and was made at ``minute`` of a later hour."""
    return Run(
        id=identifier,
        kind=kind,
        algorithm="power iteration",
        parameters={"damping": 0.85},
        seed=0,
        device="cpu",
        fallback="",
        versions={"library": "1.0"},
        segments=("2025-06-01", day, 9),
        inputs="ff",
        asof=datetime.fromisoformat(f"{day}T{hour:02}:00:00+00:00").isoformat(),
        created=f"2025-07-01T00:{minute:02}:00+00:00",
        seconds=0.5,
        metrics={"converged": 1.0},
    )


def table(name: str) -> pa.Table:
    return pa.table({"entity": [name]})


@pytest.fixture
def store(tmp_path: Path) -> SegmentStore:
    return SegmentStore.create(tmp_path / "w")


def keep(store: SegmentStore, *runs: Run) -> KnowledgeStore:
    with store.writer() as writer:
        for one in runs:
            transaction = writer.begin()
            add(transaction, one, table(one.id))
            transaction.commit()
    return KnowledgeStore(store, "Europe/Berlin")


def test_a_run_of_before_memory_was_measured_is_read(store: SegmentStore) -> None:
    facts = {name: value for name, value in asdict(run("r1", "2025-06-10")).items() if name != "memory"}
    with store.writer() as writer:
        transaction = writer.begin()
        transaction.add("knowledge", table("r1"), name="pagerank", folder="knowledge/pagerank", meta=facts)
        transaction.commit()
    assert KnowledgeStore(store).read("pagerank").run == run("r1", "2025-06-10")


def test_a_result_comes_back_with_its_run(store: SegmentStore) -> None:
    knowledge = keep(store, run("r1", "2025-06-10"))
    found = knowledge.read("pagerank")
    assert found.run == run("r1", "2025-06-10")
    assert found.to_arrow().equals(table("r1"))
    assert found.timezone == "Europe/Berlin"
    assert repr(found).splitlines()[0] == (
        "pagerank as of 2025-06-10T12:00:00+00:00 by power iteration on cpu, converged 1"
    )


def test_the_newest_is_of_the_latest_data_time_not_of_the_latest_clock(store: SegmentStore) -> None:
    knowledge = keep(
        store,
        run("late", "2025-06-12", minute=1),
        run("early", "2025-06-10", minute=2),
        run("mid", "2025-06-11"),
    )
    assert knowledge.read("pagerank").run.id == "late"
    assert [r.id for r in knowledge.runs("pagerank")] == ["early", "mid", "late"]


def test_of_equal_data_times_the_latest_made_is_read(store: SegmentStore) -> None:
    knowledge = keep(
        store,
        run("second", "2025-06-10", minute=2),
        run("first", "2025-06-10", minute=1),
        run("other", "2025-06-10", kind="components", minute=3),
    )
    assert knowledge.read("pagerank").run.id == "second"
    assert knowledge.read("pagerank", asof="2025-06-10").run.id == "second"
    assert [r.id for r in knowledge.runs()] == ["first", "second", "other"]
    assert knowledge.kinds() == ["components", "pagerank"]


def test_within_a_day_the_one_that_saw_more_is_read(store: SegmentStore) -> None:
    knowledge = keep(
        store, run("evening", "2025-06-10", 20, minute=1), run("noon", "2025-06-10", 12, minute=2)
    )
    assert knowledge.read("pagerank", asof=date(2025, 6, 10)).run.id == "evening"


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [("2025-06-01", "2025-06-10"), ("2025-06-13", "2025-06-10"), ("2025-06-17", "2025-06-20"),
     ("2026-01-01", "2025-06-20")],
)  # fmt: skip
def test_a_day_without_a_run_is_an_error_that_names_the_nearest(
    store: SegmentStore, asked: str, nearest: str
) -> None:
    knowledge = keep(store, run("a", "2025-06-10"), run("b", "2025-06-20"))
    with pytest.raises(UnknownNameError, match=f"no pagerank as of '{asked}'") as caught:
        knowledge.read("pagerank", asof=asked)
    assert f"nearest is as of {nearest};" in caught.value.fix
    assert f"compute('pagerank', asof='{asked}')" in caught.value.fix


def test_a_run_is_read_by_its_id(store: SegmentStore) -> None:
    knowledge = keep(store, run("pagerank-1", "2025-06-10"), run("pagerank-2", "2025-06-11"))
    assert knowledge.read("pagerank", run="pagerank-1").to_arrow().equals(table("pagerank-1"))
    with pytest.raises(UnknownNameError, match=r"no run of pagerank 'pagerank-3'\. Did you mean"):
        knowledge.read("pagerank", run="pagerank-3")


def test_unknown_knowledge_is_named_with_what_there_is(store: SegmentStore) -> None:
    knowledge = KnowledgeStore(store)
    with pytest.raises(UnknownNameError, match=r"Run compute\('pagerank'\) first"):
        knowledge.read("pagerank")
    keep(store, run("r", "2025-06-10"))
    with pytest.raises(UnknownNameError, match="Did you mean 'pagerank'"):
        knowledge.read("pagernak")
    assert knowledge.runs("components") == []


def test_damaged_knowledge_is_never_returned(store: SegmentStore) -> None:
    knowledge = keep(store, run("r", "2025-06-10"))
    (path,) = (store.root / "knowledge" / "pagerank").iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    with pytest.raises(CorruptFileError):
        knowledge.read("pagerank")


@pytest.mark.parametrize(
    ("asof", "expected"),
    [
        ("2013-06-30", "2013-06-30"),
        ("20130630", "2013-06-30"),
        ("2013-06-30T23:30:00", "2013-06-30"),
        ("2013-06-30 23:30", "2013-06-30"),
        ("2013-06-30T23:30:00-04:00", "2013-07-01"),
        ("2013-07-01T01:00:00+02:00", "2013-06-30"),
        ("2013-06-30T23:59:59Z", "2013-06-30"),
        (date(2013, 6, 30), "2013-06-30"),
        (datetime(2013, 6, 30, 23), "2013-06-30"),  # noqa: DTZ001  (without a zone: UTC)
        (datetime(2013, 6, 30, 23, tzinfo=UTC), "2013-06-30"),
        (datetime(2013, 6, 30, 23, tzinfo=timezone(timedelta(hours=-4))), "2013-07-01"),
    ],
    ids=repr,
)
def test_a_time_means_the_utc_day_that_it_falls_on(asof: Any, expected: str) -> None:
    assert parse_asof(asof) == expected


@pytest.mark.parametrize(
    "asof", ["", "yesterday", "2013-02-30", "2013-06", "30.06.2013", "2013-06-30T25:00:00"]
)
def test_what_is_no_time_is_refused(asof: str) -> None:
    with pytest.raises(UsageError, match="is not a time") as caught:
        parse_asof(asof)
    assert repr(asof) in caught.value.message
