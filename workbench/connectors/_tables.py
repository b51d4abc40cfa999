"""What all connectors do with a table: bound it, number its records, flatten its nested columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.connectors.base import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from workbench.connectors.base import Reject

__all__ = ["MAX_DEPTH", "Run", "chunks", "decoded_bytes", "emit", "flatten", "unique_names"]

MAX_DEPTH = 32


def unique_names(names: Sequence[str]) -> list[str]:
    """Return ``names`` with an empty one named by its place and a repeated one numbered.

    >>> unique_names(["a", "", "a", "a_2"])
    ['a', 'column_2', 'a_3', 'a_2']
    """
    taken = {name for name in names if name}
    used: set[str] = set()
    result = []
    for place, name in enumerate(names, 1):
        unique = name or f"column_{place}"
        number = 2
        while unique in used or (unique != name and unique in taken):
            unique = f"{name or f'column_{place}'}_{number}"
            number += 1
        used.add(unique)
        result.append(unique)
    return result


def decoded_bytes(table: pa.Table, limit: int = 0) -> int:
    """Return how many bytes ``table`` takes once its dictionary columns are decoded.

    Args:
        table: The table.
        limit: If given, what is returned is only so exact that it tells whether it is more than this: lengths
            are looked up row by row in as few columns as can be.
    """
    chunks = [chunk for column in table.columns for chunk in column.chunks]
    if not limit:
        return sum(map(_column_bytes, chunks))
    bounds = sorted(((*_bounds(chunk), n) for n, chunk in enumerate(chunks)), reverse=True)
    most, least = sum(high for high, _, _ in bounds), sum(low for _, low, _ in bounds)
    for high, low, n in bounds:
        if most <= limit or least > limit:
            break
        if high > low:
            size = _column_bytes(chunks[n])
            most, least = most + size - high, least + size - low
    return most if most <= limit else least


def _bounds(array: pa.Array) -> tuple[int, int]:
    """Return the most and the least bytes that a column can take."""
    if not pa.types.is_dictionary(array.type) or not _is_long(array.dictionary):
        size = _column_bytes(array)
        return size, size
    longest = pc.max(pc.binary_length(array.dictionary)).as_py() or 0
    return len(array) * (4 + longest), len(array) * 4


def _is_long(values: pa.Array) -> bool:
    return bool(pa.types.is_string(values.type) or pa.types.is_binary(values.type))


def _column_bytes(array: pa.Array) -> int:
    if isinstance(array, pa.StructArray):
        return sum(_column_bytes(child) for child in array.flatten())
    if isinstance(array, pa.MapArray):
        start, stop = array.offsets[0].as_py(), array.offsets[-1].as_py()
        entries = (array.keys.slice(start, stop - start), array.items.slice(start, stop - start))
        return sum(_column_bytes(entry) for entry in entries) + 4 * len(array)
    if isinstance(array, pa.ListArray | pa.LargeListArray):
        return _column_bytes(array.flatten()) + 4 * len(array)
    if not isinstance(array, pa.DictionaryArray):
        return int(array.nbytes)
    values = array.dictionary
    if not _is_long(values):
        return int(array.nbytes)
    counts = np.bincount(array.indices.drop_null().to_numpy(), minlength=len(values))
    lengths = pc.binary_length(values).fill_null(0).to_numpy()
    return int(lengths.astype(np.int64) @ counts) + 4 * len(array)


@dataclass(frozen=True)
class Run:
    """Consecutive records as a text format gives them.

    Attributes:
        table: The good records.
        numbers: The record number of each row, ascending.
        rejects: The bad records, ascending.
        end: The number of the first record after the run.
    """

    table: pa.Table
    numbers: np.ndarray[tuple[int], np.dtype[np.int64]]
    rejects: list[Reject]
    end: int


def emit(run: Run, position: int, chunk_bytes: int) -> Iterator[Chunk]:
    """Yield the run's records from ``position`` on, in chunks of at most ``chunk_bytes`` or one record."""
    first = int(np.searchsorted(run.numbers, position))
    table, numbers = run.table.slice(first), run.numbers[first:]
    waiting = [reject for reject in run.rejects if reject.offset >= position]
    if not table.num_rows and not waiting:
        return
    row = 0
    for piece in _pieces(table, chunk_bytes):
        row += piece.num_rows
        stop = int(numbers[row]) if row < len(numbers) else run.end
        here = tuple(reject for reject in waiting if reject.offset < stop)
        waiting = waiting[len(here) :]
        yield Chunk(piece, stop, here)


def _pieces(table: pa.Table, limit: int, size: int | None = None) -> Iterator[pa.Table]:
    if table.num_rows <= 1 or (decoded_bytes(table, limit) if size is None else size) <= limit:
        yield table
        return
    half = table.num_rows // 2
    yield from _pieces(table.slice(0, half), limit)
    yield from _pieces(table.slice(half), limit)


def chunks(
    tables: Iterable[pa.Table], *, start: int = 0, position: int = 0, chunk_bytes: int
) -> Iterator[Chunk]:
    """Yield typed tables, flattened, as chunks of about ``chunk_bytes``; small ones are joined.

    ``start`` is the number of the first table's first record. Where there is no record at all, one
    empty chunk tells the columns.
    """
    held: list[pa.Table] = []
    size = 0
    number = start
    last: pa.Table | None = None
    for table in tables:
        last = table
        end = number + table.num_rows
        if table.num_rows and end > position:
            piece = table.slice(max(0, position - number))
            taken = decoded_bytes(piece, chunk_bytes)
            if held and size + taken > chunk_bytes:
                yield from _typed(held, number, chunk_bytes, size)
                held, size = [], 0
            held.append(piece)
            size += taken
        number = end
        if size >= chunk_bytes:
            yield from _typed(held, number, chunk_bytes, size)
            held, size = [], 0
    if held:
        yield from _typed(held, number, chunk_bytes, size)
    if last is not None and number == 0:
        yield Chunk(flatten(last), 0)


def _typed(held: list[pa.Table], end: int, chunk_bytes: int, size: int) -> Iterator[Chunk]:
    table = held[0] if len(held) == 1 else pa.concat_tables(held)
    number = end - table.num_rows
    for piece in _pieces(table, chunk_bytes, size):
        number += piece.num_rows
        yield Chunk(flatten(piece), number)


def flatten(table: pa.Table) -> pa.Table:
    """Return ``table`` with a column for each struct field, named ``outer.inner``, and lists as JSON text.

    Struct fields below depth 32, maps and unions become JSON text too, string views plain strings.
    Schema metadata is dropped: it describes the table as it was.
    """
    table = table.replace_schema_metadata(None).rename_columns(unique_names(table.column_names))
    for _ in range(MAX_DEPTH):
        if not any(_expands(field.type) for field in table.schema):
            break
        table = _flatten_once(table)
        table = table.rename_columns(unique_names(table.column_names))
    for place, field in enumerate(table.schema):
        plain = _plain(table.column(place))
        if plain is not None:
            table = table.set_column(place, pa.field(field.name, plain.type), plain)
    return table


def _flatten_once(table: pa.Table) -> pa.Table:
    fields: list[pa.Field] = []
    columns: list[pa.ChunkedArray] = []
    for field, column in zip(table.schema, table.columns, strict=True):
        if not _expands(field.type):
            fields.append(field)
            columns.append(column)
            continue
        names = [f"{field.name}.{child.name}" for child in field.type]
        for name, child in zip(names, column.flatten(), strict=True):
            fields.append(pa.field(name, child.type))
            columns.append(child)
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _expands(kind: pa.DataType) -> bool:
    return bool(pa.types.is_struct(kind)) and kind.num_fields > 0


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Return the column without views or nesting, or None if it has none."""
    kind = column.type
    if pa.types.is_dictionary(kind) and kind.value_type == pa.string_view():
        return column.cast(pa.dictionary(kind.index_type, pa.string()))
    if kind == pa.string_view():
        return column.cast(pa.string())
    if kind == pa.binary_view():
        return column.cast(pa.binary())
    return _json_text(column) if pa.types.is_nested(kind) else None


def _json_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import duckdb  # noqa: PLC0415  (only where it is needed)

    with duckdb.connect(config={"enable_external_access": "false"}) as connection:
        # which would go to the standard output of who reads
        connection.execute("SET enable_progress_bar = false")
        connection.register("nested", pa.table({"value": column}))
        rows = connection.sql("SELECT to_json(value)::VARCHAR AS value FROM nested")
        return rows.to_arrow_table().column(0).cast(pa.string())
