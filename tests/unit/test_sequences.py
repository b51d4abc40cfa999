"""Frequent sequences: exactly those of a plain implementation, and what the task makes of them."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.analysis.sequences import Sequences, frequent
from workbench.engine import Engine

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Pattern = tuple[int, ...]


def coded(sequences: list[list[int]], kinds: int) -> Sequences:
    codes = np.array([code for one in sequences for code in one], np.int32)
    return Sequences(codes, np.cumsum([0, *map(len, sequences)]), kinds)


def prefix_span(
    sequences: list[list[int]], least: int, longest: int
) -> dict[Pattern, list[tuple[int, int, int]]]:
    """Return each frequent pattern with sequence, first and last place of its earliest match."""
    found: dict[Pattern, list[tuple[int, int, int]]] = {}

    def grow(prefix: Pattern, projected: list[tuple[int, int, int]]) -> None:
        if len(prefix) == longest:
            return
        for code in sorted({c for s, _, last in projected for c in sequences[s][last + 1 :]}):
            longer = []
            for s, first, last in projected:
                if code in sequences[s][last + 1 :]:
                    place = sequences[s].index(code, last + 1)
                    longer.append((s, place if not prefix else first, place))
            if len(longer) >= least:
                found[(*prefix, code)] = longer
                grow((*prefix, code), longer)

    grow((), [(s, -1, -1) for s in range(len(sequences))])
    return found


def nothing(*_: NDArray[np.int32]) -> float:
    return 0.0


logs = st.lists(st.lists(st.integers(0, 3), max_size=8), max_size=8)


@given(logs, st.integers(1, 4), st.integers(1, 5))
def test_the_frequent_ones_are_those_of_the_plain_recursion(
    sequences: list[list[int]], least: int, longest: int
) -> None:
    expected = prefix_span(sequences, least, longest)
    seen: list[set[tuple[int, int]]] = []

    def tell(first: NDArray[np.int32], last: NDArray[np.int32]) -> float:
        seen.append(set(zip(first.tolist(), last.tolist(), strict=True)))
        return len(seen) - 1

    found = frequent(coded(sequences, 4), least, longest, 10**9, tell)
    assert found.least == least
    assert {one.codes: one.support for one in found.patterns} == {
        pattern: len(places) for pattern, places in expected.items()
    }
    starts = np.cumsum([0, *map(len, sequences)])
    for one in found.patterns:
        assert seen[int(one.told)] == {(starts[s] + f, starts[s] + e) for s, f, e in expected[one.codes]}


@given(logs, st.integers(1, 30))
def test_where_there_are_too_many_more_support_is_asked_for(sequences: list[list[int]], most: int) -> None:
    every = prefix_span(sequences, 1, 4)
    found = frequent(coded(sequences, 4), 1, 4, most, nothing)
    assert len(found.patterns) <= most
    assert {one.codes for one in found.patterns} == {
        p for p, places in every.items() if len(places) >= found.least
    }
    less = [p for p, places in every.items() if len(places) >= found.least - 1]
    assert found.least == 1 or len(less) > most


def test_the_most_frequent_come_first() -> None:
    found = frequent(coded([[0, 1], [0, 1], [1, 0]], 2), 1, 2, 10, nothing)
    assert [(one.codes, one.support) for one in found.patterns] == [
        ((0,), 3),
        ((1,), 3),
        ((0, 1), 2),
        ((1, 0), 1),
    ]


SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: tiny}
spec:
  entities: {member: {who: true}}
  events:
    Login: {entities: {member: member}}
    Opened: {entities: {member: member}}
    Failed: {entities: {member: member}}
"""
PATTERNS = """
apiVersion: workbench/v1
kind: PatternConfig
metadata: {id: tiny}
spec:
  min_entities: 3
  min_support: 0.6
  codes: {Login: L, Opened: "O:{kind}", Failed: "E:{stage}"}
  classes:
    error chain: {starts: E, ends: E, at_least: 2}
    funnel: {starts: L, contains: O}
"""


def event(member: str, minute: int, **fields: str) -> dict[str, Any]:
    return {"time": f"2025-06-10T10:{minute:02}:00Z", "member": member, **fields}


@pytest.fixture
def db(tmp_path: Path) -> Engine:
    (tmp_path / "tiny.yaml").write_text(SCHEMA)
    engine = Engine.create(tmp_path / "w", schema=tmp_path / "tiny.yaml")
    (tmp_path / "w" / "schema" / "patterns.yaml").write_text(PATTERNS)
    engine.ingest(pa.Table.from_pylist([event(m, 0) for m in "abc"]), type="Login")
    opened = [event("a", 4, kind="slots"), event("b", 10, kind="slots"), event("c", 1, kind="table")]
    engine.ingest(pa.Table.from_pylist(opened), type="Opened")
    failed = [event(m, minute, stage="auth") for m in "ab" for minute in (20, 30)]
    engine.ingest(pa.Table.from_pylist(failed), type="Failed")
    return engine


def test_sequences_are_named_classified_and_timed(db: Engine) -> None:
    found = db.compute("sequences").to_polars()
    rows = {row["pattern"]: row for row in found.to_dicts()}
    # min_support 0.6 of three members: two of them
    assert set(rows) == {
        *("L", "O:slots", "E:auth", "L → O:slots", "L → E:auth", "O:slots → E:auth", "E:auth → E:auth"),
        *("L → O:slots → E:auth", "L → E:auth → E:auth", "O:slots → E:auth → E:auth"),
        "L → O:slots → E:auth → E:auth",
    }
    assert rows["L"]["support"] == 3
    assert rows["L → O:slots"]["median_minutes"] == median([4, 10])
    assert {name: rows[name]["class"] for name in ("L", "L → O:slots", "E:auth", "E:auth → E:auth")} == {
        "L": "other",
        "L → O:slots": "funnel",
        "E:auth": "other",
        "E:auth → E:auth": "error chain",
    }
    assert set(found["change"]) == {"first"}


def test_new_and_vanished_sequences_are_told_apart(db: Engine) -> None:
    db.compute("sequences")
    later = [{"time": f"2025-06-18T10:{m:02}:00Z", "member": who} for m in (0, 5) for who in "xyz"]
    db.ingest(pa.Table.from_pylist(later), type="Login")
    rows = {row["pattern"]: row for row in db.compute("sequences").to_polars().to_dicts()}
    assert rows["L"]["change"] == "kept"
    assert rows["L → L"]["change"] == "new"
    assert (rows["E:auth"]["change"], rows["E:auth"]["support"], rows["E:auth"]["support_before"]) == (
        *("vanished", 0),
        2,
    )
    db.ingest(pa.Table.from_pylist([{"time": "2025-06-19T10:00:00Z", "member": "x"}]), type="Login")
    assert "vanished" not in set(db.compute("sequences").to_polars()["change"])


def test_too_few_actors_have_no_sequences(db: Engine) -> None:
    file = db.path / "schema" / "patterns.yaml"
    file.write_text(PATTERNS.replace("min_entities: 3", "min_entities: 4"))
    with Engine(db.path) as again:
        found = again.compute("sequences")
    assert found.to_polars().height == 0
    assert found.run.metrics["actors"] == 3
