"""How a table lies in its Parquet file: small enough pieces that one row or one column is cheap to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ROW_GROUP", "parquet_options"]

ROW_GROUP = 1 << 16
_PAGE = 1 << 13  # rows: who wants one row decodes one page of each column
_SAMPLE = 1 << 12
_REPEATED = 0.5  # above this share of distinct values a dictionary saves nothing and costs every reader


def parquet_options(table: pa.Table, row_group: int = ROW_GROUP) -> dict[str, Any]:
    """Return how pyarrow shall write a table; equal tables are written alike.

    Text that hardly repeats gets no dictionary, and whole numbers and times in ascending order are kept as
    differences: both are smaller so, and are read without a dictionary of as many values as there are rows.

    Args:
        table: The rows.
        row_group: Rows in a row group.

    >>> options = parquet_options(pa.table({"n": [1, 2, 2], "s": ["a", "b", "c"], "t": ["a", "a", "a"]}))
    >>> options["use_dictionary"], options["column_encoding"]
    (['t'], {'n': 'DELTA_BINARY_PACKED'})
    """
    rising = {f.name for f in table.schema if _rises(table.column(f.name))}
    unique = {f.name for f in table.schema if _hardly_repeats(table.column(f.name))}
    leaves = [
        leaf
        for field in table.schema
        if field.name not in rising | unique
        for leaf in _leaves(field.name, field.type)
    ]
    return {
        "compression": "zstd",
        "write_page_checksum": True,
        "row_group_size": row_group,
        "max_rows_per_page": _PAGE,
        "use_dictionary": leaves,
        "column_encoding": dict.fromkeys(sorted(rising), "DELTA_BINARY_PACKED"),
    }


def _rises(column: pa.ChunkedArray) -> bool:
    if not (pa.types.is_int64(column.type) or pa.types.is_timestamp(column.type)) or column.null_count:
        return False
    values = column.cast(pa.int64()).to_numpy()
    return bool(len(values) > 1 and np.all(values[:-1] <= values[1:]))


def _hardly_repeats(column: pa.ChunkedArray) -> bool:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return False
    sample = column.drop_null().slice(0, _SAMPLE)
    return bool(pc.count_distinct(sample).as_py() > _REPEATED * len(sample))


def _leaves(path: str, kind: pa.DataType) -> Iterator[str]:
    """Yield the names that Parquet has for the columns within a column."""
    if pa.types.is_map(kind):
        yield from _leaves(f"{path}.key_value.key", kind.key_type)
        yield from _leaves(f"{path}.key_value.value", kind.item_type)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{path}.{field.name}", field.type)
    else:
        yield path
