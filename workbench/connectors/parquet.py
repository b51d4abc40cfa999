"""Connector ``parquet``: Parquet files with their own types, in memory bounded by decoded bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.connectors._tables import chunks, decoded_bytes
from workbench.connectors.base import CHUNK_BYTES, Chunk, Connector, Source, opened
from workbench.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ParquetConnector"]

MOST_ROWS = 1 << 16
BLOW_UP = 4
WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12, "BYTE_ARRAY": 16}
_DICTIONARY = {"RLE_DICTIONARY", "PLAIN_DICTIONARY"}
BROKEN = (OSError, pa.ArrowException)


class ParquetConnector(Connector):
    """Parquet files: native types, page checksums verified where the file has them.

    Text columns come dictionary-encoded where the file has them so. A struct gives columns ``outer.inner``;
    lists and maps are JSON text. What the footer says about sizes is not believed. Before a row group is
    read, one row of it is read with its dictionaries; where these hold values so long that a batch could
    outgrow the chunk, nested text stays dictionary-encoded too until it has been cut to size.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")
    typed: ClassVar[bool] = True

    @classmethod
    def sample(cls, table: pa.Table, directory: Path) -> Source:
        """Write ``table`` as ``sample.parquet`` with small row groups and page checksums."""
        path = directory / "sample.parquet"
        pq.write_table(table, path, row_group_size=64, write_page_checksum=True)
        return Source(str(path), path)

    def read(self, source: Source, *, position: int = 0, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Yield the records from ``position`` on; row groups before it are not read.

        Raises:
            SourceError: If the file cannot be opened, is cut off, or has a broken footer or a damaged page.
            UsageError: If an option is not known.
        """
        self.check_options(source)
        with opened(source) as stream:
            try:
                file = _File(stream)
                sizes = file.group_sizes()
            except BROKEN as error:
                raise SourceError(f"is not a whole Parquet file: {error}.", where=source.label) from error
            skipped, start = 0, 0
            while skipped < len(sizes) and start + sizes[skipped] <= position:
                start += sizes[skipped]
                skipped += 1
            tables = _groups(file, source, sizes, skipped, chunk_bytes)
            yield from chunks(tables, start=start, position=position, chunk_bytes=chunk_bytes)


class _File:
    """A Parquet file, opened with its types, with its text columns encoded, and with all text encoded."""

    def __init__(self, stream: BinaryIO) -> None:
        self.plain = pq.ParquetFile(stream, page_checksum_verification=True)
        self.columns = [self.plain.schema.column(i) for i in range(len(self.plain.schema))]
        text = {field.name for field in self.plain.schema_arrow if pa.types.is_string(field.type)}
        self.usual = self._opened(stream, sorted(text & self._with_dictionaries()))
        long = [column.path for column in self.columns if column.physical_type == "BYTE_ARRAY"]
        self.encoded = self._opened(stream, long)

    def _with_dictionaries(self) -> set[str]:
        """Return the columns whose values the footer says to lie in dictionaries, in every row group."""
        footer = self.plain.metadata
        groups = [footer.row_group(group) for group in range(footer.num_row_groups)]
        return {
            column.path
            for place, column in enumerate(self.columns)
            if all(_DICTIONARY & set(group.column(place).encodings) for group in groups)
        }

    def _opened(self, stream: BinaryIO, encoded: list[str]) -> pq.ParquetFile:
        footer = self.plain.metadata
        return pq.ParquetFile(
            stream, metadata=footer, page_checksum_verification=True, read_dictionary=encoded
        )

    def group_sizes(self) -> list[int]:
        """Return how many records each row group has, by the footer."""
        footer = self.plain.metadata
        return [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]

    def tables(self, group: int, chunk_bytes: int) -> Iterator[pa.Table]:
        """Yield one row group in tables of about ``chunk_bytes`` decoded bytes."""
        probe = next(self.encoded.iter_batches(1, row_groups=[group], use_threads=False), None)
        if probe is None:
            return
        rows = self._batch_rows(group, chunk_bytes)
        long = rows * sum(_longest(column) for column in probe.columns) > BLOW_UP * chunk_bytes
        file = self.encoded if long else self.usual
        for batch in file.iter_batches(rows, row_groups=[group], use_threads=not long):
            table = pa.Table.from_batches([batch])
            yield from _cut(table, self.usual.schema_arrow, chunk_bytes) if long else [table]

    def _batch_rows(self, group: int, chunk_bytes: int) -> int:
        """Return how many rows to decode at once, from the widths of the types and the footer's sizes."""
        footer = self.plain.metadata.row_group(group)
        widths = [max(WIDTHS.get(column.physical_type, 0), column.length or 0) for column in self.columns]
        values = max((footer.column(i).num_values for i in range(footer.num_columns)), default=0)
        repeats = max(1, values // max(1, footer.num_rows))
        row = max(sum(widths) * repeats, footer.total_byte_size // max(1, footer.num_rows), 1)
        rows: int = max(1, min(MOST_ROWS, chunk_bytes // row))
        return rows


def _groups(
    file: _File, source: Source, sizes: list[int], first: int, chunk_bytes: int
) -> Iterator[pa.Table]:
    """Yield the tables of the row groups from ``first`` on, or an empty table if there are no records."""
    if not sum(sizes):
        yield file.usual.schema_arrow.empty_table()
        return
    number = sum(sizes[:first])
    for group in range(first, len(sizes)):
        rows = 0
        try:
            for table in file.tables(group, chunk_bytes):
                rows += table.num_rows
                yield table
        except BROKEN as error:
            raise SourceError(
                f"cannot be read: {error}.",
                where=f"{source.label}: row group {group}, record {number + rows} on",
            ) from error
        if rows != sizes[group]:
            raise SourceError(
                f"has {rows:,} records where its footer says {sizes[group]:,}.",
                where=f"{source.label}: row group {group}",
            )
        number += rows


def _longest(array: pa.Array) -> int:
    """Return the length of the longest value of the array's dictionaries, at any depth, summed."""
    if isinstance(array, pa.StructArray):
        return sum(_longest(child) for child in array.flatten())
    if isinstance(array, pa.MapArray):
        return _longest(array.keys) + _longest(array.items)
    if isinstance(array, pa.ListArray | pa.LargeListArray):
        return _longest(array.flatten())
    if not isinstance(array, pa.DictionaryArray) or not len(array.dictionary):
        return 0
    values = array.dictionary
    if pa.types.is_string(values.type) or pa.types.is_binary(values.type):
        longest: int = pc.max(pc.binary_length(values)).as_py() or 0
        return longest
    return 0


def _cut(table: pa.Table, schema: pa.Schema, limit: int) -> Iterator[pa.Table]:
    """Yield ``table`` with the types of ``schema``, in pieces that decode to at most ``limit``."""
    if table.num_rows > 1 and decoded_bytes(table, limit) > limit:
        half = table.num_rows // 2
        yield from _cut(table.slice(0, half), schema, limit)
        yield from _cut(table.slice(half), schema, limit)
        return
    # A cast decodes all values behind a list column, also those outside the slice, so these are left behind.
    yield table.take(pa.array(range(table.num_rows))).cast(schema)
