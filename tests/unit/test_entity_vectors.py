"""Vectors of entities: what a loop over the documents gives, and the same when segments' counts are kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from schemas import SHELVES

from workbench.engine import Engine
from workbench.vectors.entities import EntityVectors, entity_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TITLES = [
    f"{first} {second}" for first in ("sea", "war", "garden", "stars") for second in ("old", "blue", "loud")
]


def loans(day: int, seed: int) -> list[dict[str, str]]:
    draw = np.random.default_rng(seed)
    return [
        {
            "time": f"2025-06-{day:02}T{n % 24:02}:{n // 24:02}:00Z",
            "reader": f"r {draw.integers(30)}",
            "book": "b",
            "title": "everybody's" if n % 3 == 0 else TITLES[draw.integers(len(TITLES))],
        }
        for n in range(120)
    ]


LOANS = [row for day in (10, 11, 12) for row in loans(day, day)]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "shelves.yaml").write_text(SHELVES)
    with Engine.create(tmp_path / "w", schema=tmp_path / "shelves.yaml") as engine:
        engine.ingest(pa.Table.from_pylist(LOANS), type="Loan")
        silent = [{"time": "2025-06-12T05:00:00Z", "reader": "r silent"}]
        engine.ingest(pa.Table.from_pylist(silent), type="Visit")
        yield engine


def by_hand(db: Engine) -> dict[str, np.ndarray]:
    """Return the mean of each reader, from the documents one by one."""
    said = Counter((row["reader"], row["title"]) for row in LOANS)
    readers = {reader for reader, _ in said}
    sums: dict[str, np.ndarray] = {reader: np.zeros(db.vectors.window.dimension) for reader in readers}
    for (reader, title), count in said.items():
        having = sum(other == title for _, other in said)
        vector = db.vectors.embedder.embed([f"read {title}"])[0].astype(np.float16).astype(float)
        sums[reader] += count * np.log(len(readers) / having) * vector
    return {reader: total / np.linalg.norm(total) for reader, total in sums.items()}


def same(one: EntityVectors, other: EntityVectors) -> bool:
    return one.keys.equals(other.keys) and np.array_equal(one.means, other.means)


def test_means_are_those_of_the_documents_one_by_one(db: Engine) -> None:
    found = entity_vectors(db.by_segment, "reader", db.vectors.window)
    wanted = by_hand(db)
    assert found.keys.to_list() == sorted(wanted)
    for key, mean in zip(found.keys, found.means, strict=True):
        assert mean @ wanted[key] == pytest.approx(1, abs=1e-4)
    rest = np.array([wanted[key] for key in found.keys])
    rest -= rest.mean(axis=0)
    cosines = rest @ rest[3] / np.linalg.norm(rest, axis=1) / np.linalg.norm(rest[3])
    assert found.cosines(3) == pytest.approx(cosines, abs=1e-3)
    assert found.own()[3] @ found.own().T == pytest.approx(found.cosines(3), abs=1e-5)


def test_kept_counts_of_segments_give_the_same_and_only_a_changed_segment_is_counted_again(
    db: Engine,
) -> None:
    plain = entity_vectors(db.by_segment, "reader", db.vectors.window)
    keeping = replace(db.by_segment, worth=0)
    kept = db.store.derived("texts of reader")
    assert kept.sets() == []
    assert same(entity_vectors(keeping, "reader", db.vectors.window), plain)
    before = {made.part: made.name for made in kept.sets()}
    assert sorted(before) == ["2025-06-10", "2025-06-11", "2025-06-12"]
    assert same(entity_vectors(keeping, "reader", db.vectors.window), plain)
    assert {made.part: made.name for made in kept.sets()} == before
    late = {"time": "2025-06-11T23:59:00Z", "reader": "r 77", "book": "b", "title": "stars"}
    db.ingest(pa.Table.from_pylist([late]), type="Loan")
    keeping = replace(db.by_segment, worth=0)
    found = entity_vectors(keeping, "reader", db.vectors.window)
    assert "r 77" in found.keys
    assert same(found, entity_vectors(replace(db.by_segment, kept=None), "reader", db.vectors.window))
    after = {made.part: made.name for made in kept.sets()}
    assert {day for day in after if after[day] != before[day]} == {"2025-06-11"}


def test_a_type_that_no_text_names_has_none(db: Engine) -> None:
    found = entity_vectors(db.by_segment, "nobody", db.vectors.window)
    assert found.keys.is_empty()
    assert found.means.shape == (0, db.vectors.window.dimension)
    assert found.spread == 0
