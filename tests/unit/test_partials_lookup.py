"""One document out of files of many row groups, whatever was added to its segment and when."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from workbench.errors import CorruptFileError
from workbench.partials.lookup import find_document, find_documents
from workbench.partials.stored import to_arrow
from workbench.storage import SegmentStore

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.partials.types import FieldType
    from workbench.storage import Snapshot

NOON = datetime(2025, 6, 12, 12, tzinfo=UTC)
DAY = "2025-06-12"
FIELDS: dict[str, dict[str, FieldType]] = {
    "Login": {"n": "int64", "user": "string", "price": "float64"},
    "Click": {"user": "string"},
}


def documents(ids: list[int], **columns: list[Any]) -> pl.DataFrame:
    times = pl.Series([NOON + timedelta(seconds=i) for i in ids], dtype=pl.Datetime("us", "UTC"))
    return pl.DataFrame({"_id": ids, **columns}).with_columns(_ts=times)


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """Two parts of one event type and one of another, in groups of four rows."""
    even, odd, late = list(range(0, 40, 2)), list(range(1, 40, 2)), [41, 100]
    text = pl.Enum([f"u{n}" for n in range(40)])
    login = documents(even, n=even, user=[f"u{n}" for n in even], price=[1.5] * 20)
    login = login.with_columns(
        pl.col("user").cast(text),
        _original=pl.Series([{"price": "1.50"}] * 20),
        empty=pl.lit(None, pl.String),
    )
    store = SegmentStore.create(tmp_path / "w")
    with store.writer() as writer:
        transaction = writer.begin()
        for name, frame in (
            ("Login", login),
            ("Click", documents(odd, user=["x"] * 20)),
            ("Login", documents(late, n=late)),
        ):
            transaction.add("events", to_arrow(frame, name), segment=DAY, name=name, row_group=4)
        return transaction.commit()


def test_every_document_is_found_by_its_identifier(snapshot: Snapshot) -> None:
    wanted = [*range(40), 41, 100]
    random.Random(0).shuffle(wanted)  # noqa: S311
    for identifier in wanted:
        found = find_document(snapshot, DAY, identifier, FIELDS, "UTC")
        assert found is not None
        assert found.address == f"{DAY}/{identifier}"
        assert found.time == NOON + timedelta(seconds=identifier)
        if identifier >= 40:
            assert (found.event_type, found.fields) == ("Login", {"n": identifier})
        elif identifier % 2:
            assert (found.event_type, found.fields, found.original) == ("Click", {"user": "x"}, {})
        else:
            assert found.fields == {"n": identifier, "user": f"u{identifier}", "price": 1.5}
            assert found.original == {"price": "1.50"}


@pytest.mark.parametrize("number", [0, 1, 5, 40])
def test_some_documents_are_what_each_alone_is(snapshot: Snapshot, number: int) -> None:
    ids = random.Random(number).sample([*range(40), 41, 100], number)  # noqa: S311
    names = ["Click" if i < 40 and i % 2 else "Login" for i in ids]
    wanted = pl.DataFrame(
        {"segment": [DAY] * number, "event_type": names, "_id": ids},
        schema={"segment": pl.String, "event_type": pl.String, "_id": pl.Int64},
    )
    found = find_documents(snapshot, wanted, FIELDS)
    rows = {row["_id"]: row for frame in found.values() for row in frame.iter_rows(named=True)}
    assert sorted(rows) == sorted(ids)
    for identifier, row in rows.items():
        alone = find_document(snapshot, DAY, identifier, FIELDS, "UTC")
        assert alone is not None
        assert row["_segment"] == DAY
        assert {n: row[n] for n in ("n", "user", "price") if row.get(n) is not None} == alone.fields
    assert find_documents(snapshot, wanted.with_columns(segment=pl.lit("2025-06-13")), FIELDS) == {}


def test_many_documents_of_a_group_are_what_few_are(tmp_path: Path) -> None:
    frame = documents(list(range(100)), n=list(range(100))).with_columns(
        _extra=pl.Series([[{"key": "<b>", "value": f"v{n}"}] for n in range(100)])
    )
    store = SegmentStore.create(tmp_path / "w")
    with store.writer() as writer:
        transaction = writer.begin()
        transaction.add("events", to_arrow(frame, "Login"), segment=DAY, name="Login", row_group=50)
        snapshot = transaction.commit()
    wanted = pl.DataFrame({"_id": [3, *range(60, 90)]})
    wanted = wanted.with_columns(segment=pl.lit(DAY), event_type=pl.lit("Login"))
    (found,) = find_documents(snapshot, wanted, {"Login": {"n": "int64"}}).values()
    assert found["n"].to_list() == [3, *range(60, 90)]
    assert found["_extra"].list.first().struct.field("value").to_list() == [f"v{n}" for n in found["n"]]


@pytest.mark.parametrize("identifier", [40, 42, 99, 101, -1, 2**63 - 1])
def test_what_lies_within_no_group_or_between_two_is_not_there(snapshot: Snapshot, identifier: int) -> None:
    assert find_document(snapshot, DAY, identifier, FIELDS, "UTC") is None


def test_what_is_not_in_order_is_found_too(tmp_path: Path) -> None:
    store = SegmentStore.create(tmp_path / "w")
    with store.writer() as writer:
        transaction = writer.begin()
        table = to_arrow(documents([9, 1, 8, 2, 7, 3]), "Login")
        transaction.add("events", table, segment=DAY, name="Login", row_group=2)
        snapshot = transaction.commit()
    found = [find_document(snapshot, DAY, n, {}, "UTC") for n in (1, 2, 3, 7, 8, 9)]
    assert [document.address for document in found if document] == [f"{DAY}/{n}" for n in (1, 2, 3, 7, 8, 9)]


def test_a_file_that_is_damaged_or_gone_is_an_error_however_often_it_was_read(snapshot: Snapshot) -> None:
    assert find_document(snapshot, DAY, 0, FIELDS, "UTC")
    (path,) = {snapshot.root / e.path for e in snapshot.files("events", name="Login") if e.rows == 20}
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CorruptFileError, match="not those that were published"):
        find_document(snapshot, DAY, 0, FIELDS, "UTC")
    path.unlink()
    with pytest.raises(CorruptFileError, match="missing"):
        find_document(snapshot, DAY, 0, FIELDS, "UTC")
