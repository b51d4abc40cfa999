"""How tables lie in Parquet: dictionaries, differences, and all of it read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.storage.layout import ROW_GROUP, parquet_options

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2025, 6, 12, 12, tzinfo=UTC)
PAIRS = pa.map_(pa.string(), pa.string())


def table(rows: int = 100) -> pa.Table:
    numbers = range(rows)
    return pa.table(
        {
            "_id": pa.array(numbers, pa.int64()),
            "_ts": pa.array([NOON + timedelta(seconds=n // 2) for n in numbers], pa.timestamp("us", "UTC")),
            "falls": pa.array(reversed(numbers), pa.int64()),
            "gaps": pa.array([None, *numbers[1:]], pa.int64()),
            "ratio": pa.array([n / 7 for n in numbers]),
            "unique": pa.array([None if n == 3 else f"u{n}" for n in numbers]),
            "large": pa.array([f"u{n}" for n in numbers], pa.large_string()),
            "page": pa.array([f"p{n % 7}" for n in numbers]),
            "coded": pa.array([f"c{n % 7}" for n in numbers]).dictionary_encode(),
            "empty": pa.array([None] * rows, pa.string()),
            "_extra": pa.array([[("<b>", "odd")]] * rows, PAIRS),
            "list": pa.array([["a", "b"]] * rows),
            "_original": pa.array([{"ratio": "1.50"}] * rows),
        }
    )


def test_rising_numbers_are_differences_and_what_repeats_has_a_dictionary(tmp_path: Path) -> None:
    options = parquet_options(table())
    assert options["column_encoding"] == {"_id": "DELTA_BINARY_PACKED", "_ts": "DELTA_BINARY_PACKED"}
    assert options["row_group_size"] == ROW_GROUP
    pq.write_table(table(), tmp_path / "t.parquet", **options)
    group = pq.ParquetFile(tmp_path / "t.parquet").metadata.row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    coded = {c.path_in_schema for c in columns if c.has_dictionary_page}
    assert coded == {
        "falls",
        "gaps",
        "ratio",
        "page",
        "coded",
        "empty",
        "_extra.key_value.key",
        "_extra.key_value.value",
        "list.list.element",
        "_original.ratio",
    }


@pytest.mark.parametrize("rows", [0, 1, 2, 300])
def test_every_table_is_read_back_as_it_was(rows: int, tmp_path: Path) -> None:
    written = table(300).slice(0, rows)
    pq.write_table(written, tmp_path / "t.parquet", **parquet_options(written, 64))
    found = pq.ParquetFile(tmp_path / "t.parquet", page_checksum_verification=True)
    assert found.read().equals(written)
    assert found.metadata.num_row_groups == max(1, -(-rows // 64))
