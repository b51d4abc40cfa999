"""Connector ``jsonl``: one JSON object a line, every value as string."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from workbench.connectors._json_numbers import with_quoted_numbers
from workbench.connectors._json_table import MOST_FIELDS, TooManyCellsError, fields, malformed
from workbench.connectors._lines import (
    Block,
    Edges,
    LineReader,
    as_binary,
    blank_lines,
    broken_bytes,
    reject_lines,
)
from workbench.connectors._tables import Run, emit
from workbench.connectors.base import CHUNK_BYTES, Chunk, Connector, Source, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duckdb import DuckDBPyConnection

__all__ = ["JsonLinesConnector"]

CELL_BYTES = 8
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class JsonLinesConnector(Connector):
    """One JSON object a line (``.jsonl``, ``.ndjson``, ``.json``), also compressed.

    Every key is a column of strings. A string is its value, a number or boolean its text as it stands
    (``5``, ``1.10``, ``true``), null is null. A nested object gives columns ``outer.inner`` down to depth
    32, below which it is JSON text, as are arrays (compact, numbers as DuckDB prints them) and empty
    objects. The columns of a chunk are the keys of its lines, in order of appearance. A blank line is no
    record. A line that is not one strict JSON object, has a key twice, a NUL or bytes that are not UTF-8,
    no field or more than 10,000, or is over 1 MB, is a reject.
    """

    suffixes: ClassVar[tuple[str, ...]] = tuple(
        stem + codec for stem in (".jsonl", ".ndjson", ".json") for codec in ("", ".gz", ".zst", ".bz2")
    )
    appendable: ClassVar[bool] = True

    @classmethod
    def sample(cls, table: pa.Table, directory: Path) -> Source:
        """Write ``table`` as ``sample.jsonl``."""
        path = directory / "sample.jsonl"
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist()]
        path.write_text("".join(lines), encoding="utf-8", newline="")
        return Source(str(path), path)

    def read(self, source: Source, *, position: int = 0, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Yield the records from ``position`` on.

        Raises:
            SourceError: If the file cannot be opened or decompressed.
            UsageError: If an option is not known.
        """
        import duckdb  # noqa: PLC0415  (only where it is needed)

        self.check_options(source)
        with (
            opened(source) as stream,
            duckdb.connect(config={"enable_external_access": "false"}) as connection,
        ):
            reader = LineReader(stream, chunk_bytes // 2)
            number = 0
            first = True
            final = False
            while not final:
                block = reader.read()
                final = block.final
                if first and block.data.startswith(BYTE_ORDER_MARK):
                    block = Block(block.data.removeprefix(BYTE_ORDER_MARK), final, block.lost)
                first = False
                edges = block.edges()
                blank = blank_lines(block.data, edges)
                numbers = number + np.cumsum(~blank) - 1
                number += int(np.count_nonzero(~blank))
                if len(numbers) and number > position:
                    run = _Lines(block, edges, blank, numbers)
                    yield from run.chunks(connection, position, chunk_bytes)


class _Lines:
    """The records of one block."""

    def __init__(self, block: Block, edges: Edges, blank: np.ndarray, numbers: Edges) -> None:
        self.block = block
        self.edges = edges
        self.blank = blank
        self.numbers = numbers

    def chunks(self, connection: DuckDBPyConnection, position: int, chunk_bytes: int) -> Iterator[Chunk]:
        """Yield the block's records from ``position`` on."""
        data, edges = self.block.data, self.edges
        bad = broken_bytes(data, edges, self.block.lost)
        rows = np.flatnonzero(self._good(bad))
        lines = as_binary(data, edges).take(pa.array(rows)).cast(pa.large_string())
        bad |= {int(rows[place]): reason for place, reason in malformed(connection, lines).items()}
        good = self._good(bad)
        lines = lines.filter(pa.array(good[rows]))
        rows = np.flatnonzero(good)
        begin = int(self.numbers[0] + self.blank[0])
        for start, stop, table, repeated in _tables(
            connection, with_quoted_numbers(lines), chunk_bytes // CELL_BYTES
        ):
            bad |= {int(rows[start + place]): reason for place, reason in repeated.items()}
            keep = np.setdiff1d(np.arange(stop - start), np.fromiter(repeated, np.int64, len(repeated)))
            last = stop == len(rows)
            end = int(self.numbers[-1]) + 1 if last else int(self.numbers[rows[stop]])
            here = {record: reason for record, reason in bad.items() if begin <= self.numbers[record] < end}
            rejects = reject_lines(data, edges, here, self.numbers)
            numbers = self.numbers[rows[start:stop]][keep]
            yield from emit(Run(table.take(pa.array(keep)), numbers, rejects, end), position, chunk_bytes)
            begin = end

    def _good(self, bad: dict[int, str]) -> np.ndarray:
        good = ~self.blank
        good[list(bad)] = False
        return good


def _tables(
    connection: DuckDBPyConnection, lines: pa.LargeStringArray, most_cells: int
) -> Iterator[tuple[int, int, pa.Table, dict[int, str]]]:
    """Yield runs of lines as (start, stop, table, reasons of refused rows), each with a bounded table."""
    waiting = [(0, len(lines))]
    while waiting:
        start, stop = waiting.pop()
        try:
            found = fields(connection, lines.slice(start, stop - start), most_cells)
        except TooManyCellsError:
            if stop - start > 1:
                half = (start + stop) // 2
                waiting += [(half, stop), (start, half)]
                continue
            yield start, stop, pa.table({}), {0: f"more than {MOST_FIELDS:,} fields"}
            continue
        yield start, stop, pa.table(found.columns), found.repeated
