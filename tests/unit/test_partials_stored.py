"""Documents as they are stored, and read back under the types of a later day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest

from workbench.config.entity_schema import EntitySchema
from workbench.partials.documents import field_text, normalise, type_fields
from workbench.partials.lookup import Document, find_document
from workbench.partials.stored import Stored, align, concat_documents, read_documents, to_arrow
from workbench.storage import SegmentStore
from workbench.storage.writer import encoded

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.storage import Snapshot

NOON = datetime(2025, 6, 12, 12, tzinfo=UTC)
DAY = "2025-06-12"


def typed(columns: dict[str, Any], known: dict[str, Any] | None = None) -> pl.DataFrame:
    rows = len(next(iter(columns.values())))
    table = pa.table({"time": [NOON.isoformat().replace("+00:00", "Z")] * rows, **columns})
    frame = type_fields(normalise(table, "Login", EntitySchema()).frame, known or {}, EntitySchema()).frame
    return frame.drop("_hash").with_columns(_id=pl.int_range(frame.height, dtype=pl.Int64))


def stored(root: Path, **batches: pl.DataFrame) -> Snapshot:
    store = SegmentStore.create(root / "w")
    with store.writer() as writer:
        transaction = writer.begin()
        for name, frame in batches.items():
            kind = name.rstrip("0123456789")
            transaction.add("events", to_arrow(frame, kind), segment=DAY, name=kind)
        return transaction.commit()


def texts(frame: pl.DataFrame, field: str) -> list[str | None]:
    return frame.select(field_text(frame, field).alias("t"))["t"].to_list()


def test_columns_stand_in_their_order_and_what_is_no_field_is_a_map() -> None:
    frame = typed({"b": ["1.50", "2"], "a": ["x", None], "<b>": ["odd", None]})
    table = to_arrow(frame, "Login")
    assert table.column_names == ["_id", "_ts", "_type", "a", "b", "_extra", "_original"]
    assert table.schema.field("_ts").type == pa.timestamp("us", tz="UTC")
    assert table.schema.field("_type").type == pa.dictionary(pa.int32(), pa.string())
    assert table["_type"].to_pylist() == ["Login", "Login"]
    assert table.schema.field("_extra").type == pa.map_(pa.string(), pa.string())
    assert table["_extra"].to_pylist() == [[("<b>", "odd")], []]
    assert table["_original"].to_pylist() == [{"b": "1.50"}, {"b": None}]


def test_a_file_made_a_row_group_at_a_time_has_the_bytes_of_the_whole_table() -> None:
    rows = 300
    frame = typed(
        {
            "coded": [None if n % 7 == 0 else f"v{n % 11}" for n in range(rows)],
            "unique": [f"u{n}" for n in range(rows)],
            "whole": [None if n % 5 == 0 else str(n % 13) for n in range(rows)],
            "flag": [[True, None, False][n % 3] for n in range(rows)],
            "when": [f"2025-06-12T08:30:00.{n:03}Z" if n % 4 else None for n in range(rows)],
            "<b>": ["odd" if n % 50 == 0 else None for n in range(rows)],
            "spelled": ["1.50", "2.5", "3.25"] * (rows // 3),
        }
    )
    frame = frame.with_columns(_id=pl.Series([(n * 97) % rows for n in range(rows)]))
    order = frame["_id"].arg_sort().to_numpy()

    documents = Stored(frame, "Login", order)

    assert documents.coded == ["_type", "coded"]
    table = to_arrow(frame.sort("_id"), "Login")
    assert documents.column_names == table.column_names
    assert pa.concat_tables(documents.groups(64)).equals(table)
    assert encoded(documents, 64) == encoded(table, 64)


def test_no_documents_are_one_empty_group() -> None:
    frame = typed({"a": ["x", "x", "x"]}).clear()
    assert [group.num_rows for group in Stored(frame, "Login").groups(64)] == [0]


def test_reading_gives_back_what_was_stored(tmp_path: Path) -> None:
    one = typed({"n": ["1", "2"], "<b>": ["odd", None]})
    two = typed({"n": ["3"], "m": ["x"]})
    snapshot = stored(tmp_path, Login1=one, Login2=two, Click=two)
    fields = {"Login": {"n": "int64", "m": "string"}}
    found = read_documents(snapshot, snapshot.files("events", segments=[DAY]), fields)  # type: ignore[arg-type]
    assert set(found) == {"Login", "Click"}
    login = found["Login"].sort("n")
    assert login["n"].to_list() == [1, 2, 3]
    assert login["m"].to_list() == [None, None, "x"]
    assert login["_segment"].to_list() == [DAY] * 3
    assert "_type" not in login.columns
    assert read_documents(snapshot, [], fields) == {}  # type: ignore[arg-type]


def test_a_wider_type_reads_older_documents_as_they_were() -> None:
    numbers = typed({"n": ["1", "20"]})
    assert align(numbers, {"n": "float64"})["n"].to_list() == [1.0, 20.0]
    assert align(numbers, {"n": "string"})["n"].to_list() == ["1", "20"]
    decimals = typed({"n": ["1.50", "2"]})
    assert align(decimals, {"n": "string"})["n"].to_list() == ["1.50", "2"]
    assert align(decimals, {"other": "int64"}).equals(decimals)
    assert align(decimals, {"n": "float64"}).equals(decimals)


def test_digits_that_a_float_cannot_hold_are_kept_beside_it() -> None:
    frame = align(typed({"n": ["9007199254740993", "5"]}), {"n": "float64"})
    assert texts(frame, "n") == ["9007199254740993", "5"]
    assert texts(align(frame, {"n": "string"}), "n") == ["9007199254740993", "5"]


def test_stacking_fills_what_one_lacks_and_keeps_all_texts() -> None:
    one = typed({"n": ["1.50", "2"]}, {"n": "float64"})
    two = typed({"m": ["x"]})
    three = typed({"k": ["2.50"]})
    whole = concat_documents([one, two, three])
    assert texts(whole, "n") == ["1.50", "2", None, None]
    assert texts(whole, "m") == [None, None, "x", None]
    assert texts(whole, "k") == [None, None, None, "2.50"]
    assert concat_documents([two]).equals(two)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1, 2], ["x", None], ["1", "2", "x", None]),
        ([1, 2], [0.5, 2.0], ["1", "2", "0.5", "2"]),
        ([2**53 + 1], [0.5], ["9007199254740993", "0.5"]),
        ([-(2**63)], [0.5], ["-9223372036854775808", "0.5"]),
        ([True], ["yes"], ["true", "yes"]),
        ([None], [5], [None, "5"]),
    ],
    ids=str,
)
def test_stacking_different_types_loses_no_text(
    one: list[Any], other: list[Any], expected: list[Any]
) -> None:
    frames = [pl.DataFrame({"_id": range(len(values)), "f": values}) for values in (one, other)]
    whole = concat_documents(frames)
    assert texts(whole, "f") == expected


def test_one_document_by_its_address(tmp_path: Path) -> None:
    frame = typed({"n": ["1.50", "2"], "empty": [None, "x"], "<b>": ["odd", None]})
    snapshot = stored(tmp_path, Login=frame)
    found = find_document(snapshot, DAY, 0, {"Login": {"n": "float64"}}, "America/New_York")
    assert found == Document(f"{DAY}/0", "Login", NOON, {"n": 1.5}, {"n": "1.50"}, {"<b>": "odd"})
    assert found is not None
    assert found.time.isoformat() == "2025-06-12T08:00:00-04:00"
    other = find_document(snapshot, DAY, 1, {"Login": {"n": "string"}}, "UTC")
    assert other is not None
    assert (other.fields, other.original, other.extra) == ({"n": "2", "empty": "x"}, {}, {})
    assert find_document(snapshot, DAY, 7, {}, "UTC") is None
    assert find_document(snapshot, "2025-06-13", 0, {}, "UTC") is None
