"""Features of drawn logs agree with a plain reading of the same rows, in any range of time."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analysis.features import Feature, standardise
from workbench.engine import Engine

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: drawn}
spec:
  entities: {user: {who: true}, item: {}}
  edges: {Saw: {from: user, to: item}}
  events:
    View: {entities: {user: user, item: item}, edges: [{type: Saw, from: user, to: item}]}
    Fail: {entities: {user: user, item: item}}
"""
START = datetime(2025, 6, 10, tzinfo=UTC)

minutes = st.integers(0, 3 * 24 * 12).map(lambda fives: 5 * fives)
events = st.lists(
    st.tuples(minutes, st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from(["View", "Fail"])),
    min_size=1,
    max_size=25,
)


def expected(rows: list[tuple[datetime, str, str, str]]) -> dict[str, dict[str, Any]]:
    """Return the features as their definitions say, one actor after the other."""
    found = {}
    for user in sorted({row[1] for row in rows}):
        own = sorted(row for row in rows if row[1] == user)
        times = [row[0] for row in own]
        pauses = [b - a for a, b in pairwise(times) if b - a > timedelta(minutes=30)]
        hours = Counter(t.hour for t in times)
        found[f"user:{user}"] = {
            "fail_count": sum(row[3] == "Fail" for row in own),
            "view_count": sum(row[3] == "View" for row in own),
            "saw_distinct": len({row[2] for row in own if row[3] == "View"}),
            "visit_count": len(pauses) + 1,
            "avg_visit_gap_hours": sum(pauses, timedelta()) / timedelta(hours=1) / len(pauses)
            if pauses
            else None,
            "hour_entropy": -sum(n / len(own) * math.log2(n / len(own)) for n in hours.values()),
        }
    return found


def table(rows: list[tuple[datetime, str, str, str]]) -> pa.Table:
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(("time", "user", "item"))})


@settings(max_examples=12)  # each makes a workspace
@given(events, minutes, minutes)
def test_features_are_what_a_plain_reading_gives(
    drawn: list[tuple[int, str, str, str]], first: int, second: int
) -> None:
    rows = [(START + timedelta(minutes=m), *rest) for m, *rest in drawn]
    by_type = defaultdict(list)
    for row in rows:
        by_type[row[3]].append(row)
    since, until = (START + timedelta(minutes=m) for m in (min(first, second), max(first, second) + 5))
    with TemporaryDirectory() as folder:
        Path(folder, "s.yaml").write_text(SCHEMA)
        db = Engine.create(f"{folder}/w", schema=f"{folder}/s.yaml")
        for name, part in by_type.items():
            db.ingest(table(part), type=name)
        whole = db.features()
        part = db.features(since=since.isoformat(), until=until.isoformat())
    within = [row for row in rows if since <= row[0] < until]
    for matrix, chosen in ((whole, rows), (part, within)):
        found = {row.pop("entity"): row for row in matrix.to_arrow().to_pylist()}
        assert found == {name: pytest.approx(row) for name, row in expected(chosen).items()}


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=60), st.floats(0.1, 100))
def test_standardised_values_are_finite_centred_and_keep_their_order(
    values: list[float], factor: float
) -> None:
    column = np.array(values)[:, None]
    found = standardise(column, [Feature("n", "count", "n")])[:, 0]
    assert np.isfinite(found).all()
    assert (np.diff(found[np.argsort(values)]) >= -1e-12).all()
    assert np.median(found) == pytest.approx(0, abs=1e-9)
    ordinal = [standardise(c, [Feature("o", "ordinal", "o")])[:, 0] for c in (column, column * factor)]
    np.testing.assert_allclose(*ordinal, rtol=1e-6, atol=1e-6)  # no unit of measure changes it
