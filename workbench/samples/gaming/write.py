"""One day of one event type as a Parquet file, a row group at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.samples.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["write_parquet"]


def write_parquet(path: Path, tables: Iterator[pa.Table]) -> tuple[int, int]:
    """Write tables as the row groups of one file, which appears whole or not at all; return rows and columns.

    Dictionary arrays are written as they are, without hashing, and read back as strings: the Arrow
    schema, which would say that they are dictionaries, is not stored.

    Args:
        path: The file; its directory is there.
        tables: Tables of one schema: dictionary arrays of strings, and strings for what hardly repeats.
    """
    first = next(tables)
    repeating = [field.name for field in first.schema if pa.types.is_dictionary(field.type)]
    with (
        replacing(path) as file,
        pq.ParquetWriter(
            file,
            first.schema,
            compression="zstd",
            use_dictionary=repeating,
            write_statistics=["@timestamp"],
            store_schema=False,
        ) as writer,
    ):
        writer.write_table(first)
        rows = first.num_rows
        for table in tables:
            writer.write_table(table)
            rows += table.num_rows
    return rows, first.num_columns
