"""Partials of stored segments: the same from documents held whole, read in pieces, or extracted in parts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import polars as pl
import pytest

import workbench as wb
from workbench.engine import Engine
from workbench.ingest.derive import submit_partials, submit_stored
from workbench.partials.extract import extract
from workbench.partials.merge import merged
from workbench.partials.stored import read_documents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    root = tmp_path_factory.mktemp("merge")
    # the first day comes in several files of an event type
    for turn, days in enumerate((1, 2)):
        wb.synth(root / f"logs{turn}", days=days, events_per_day=1_500, seed=turn)
    with Engine.create(root / "ws", schema="gaming") as engine:
        for turn in range(2):
            engine.ingest(root / f"logs{turn}")
        yield engine


def same(one: Mapping[str, pl.DataFrame], other: Mapping[str, pl.DataFrame]) -> bool:
    """Compare partials, dictionaries by what they stand for."""

    def plain(frame: pl.DataFrame) -> pl.DataFrame:
        coded = [n for n, kind in frame.schema.items() if isinstance(kind, pl.Categorical | pl.Enum)]
        return frame.cast(dict.fromkeys(coded, pl.String()))

    return set(one) == set(other) and all(plain(one[kind]).equals(plain(other[kind])) for kind in one)


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_what_is_extracted_in_parts_is_what_is_extracted_at_once(db: Engine, parts: int) -> None:
    day = db.snapshot.segments[0]
    documents = read_documents(db.snapshot, db.snapshot.files("events", segments=[day]), db.fields)
    split = [
        {name: frame.filter(pl.col("_id").hash(seed=1) % parts == part) for name, frame in documents.items()}
        for part in range(parts)
    ]
    whole = extract(documents, db.schema)
    assert whole["edges"].height > 100
    assert same(merged([extract(part, db.schema) for part in split]), whole)


def test_a_part_that_names_nothing_changes_nothing(db: Engine) -> None:
    day = db.snapshot.segments[0]
    documents = read_documents(db.snapshot, db.snapshot.files("events", segments=[day]), db.fields)
    whole = extract(documents, db.schema)
    assert same(merged([extract({}, db.schema), extract(documents, db.schema)]), whole)


@pytest.mark.parametrize("rows", [1, 500, 1_000_000])
@pytest.mark.parametrize("days", [1, 2])
def test_partials_of_stored_segments_are_those_of_their_documents(db: Engine, rows: int, days: int) -> None:
    events = db.snapshot.files("events", segments=db.snapshot.segments[:days])
    assert max(sum(e.name == f.name and e.segment == f.segment for f in events) for e in events) > 1
    documents = read_documents(db.snapshot, events, db.fields)
    with ThreadPoolExecutor(2) as pool:
        wanted = [job.result() for job in submit_partials(pool, documents, db.schema)]
        found = [job.result() for job in submit_stored(pool, db.snapshot, events, db.schema, db.fields, rows)]
    for one, other in zip(found, wanted, strict=True):
        assert same(one, other)
