"""Connector ``csv``: delimited text with a header, every column as string, values untouched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from workbench.connectors._csv_records import Grammar, clean_edges, judged_records
from workbench.connectors._lines import (
    LINE_BYTES,
    Block,
    Edges,
    LineReader,
    as_binary,
    blank_lines,
    broken_bytes,
    reject_lines,
)
from workbench.connectors._tables import Run, emit, unique_names
from workbench.connectors.base import CHUNK_BYTES, Chunk, Connector, Source, opened
from workbench.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["CsvConnector"]

DELIMITERS = (b",", b"\t", b";", b"|")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
QUOTED = re.compile(rb'"(?:[^"]++|"")*+"')
HEADER = re.compile(rb'(?:[^"\n]++|"(?:[^"]++|"")*+")++(?:\n|\Z)')


@dataclass(frozen=True)
class _Layout:
    """What the header says: the column names and the grammar of a record."""

    names: list[str]
    grammar: Grammar


class CsvConnector(Connector):
    """Delimited text (``.csv``, ``.tsv``) with a header line, also compressed.

    The delimiter is the option ``delimiter``, else a tab for ``.tsv``, else the one of comma, tab,
    semicolon and bar that occurs most often in the header. All columns are strings, with spaces, zeros and
    quotes as they stand; an empty field is null and a quoted empty field (``""``) the empty string. A
    column without a name is called ``column_3`` by its place, and a second ``a`` is called ``a_2``. A
    blank line is no record, except in a file of one column, where it is a null. Quoted fields may hold
    line ends. A record with another number of fields than the header, with an unclosed quote or text
    after a closing one, with a NUL or bytes that are not UTF-8, or of over 1 MB is a reject.
    """

    suffixes: ClassVar[tuple[str, ...]] = tuple(
        stem + codec for stem in (".csv", ".tsv") for codec in ("", ".gz", ".zst", ".bz2")
    )
    options: ClassVar[tuple[str, ...]] = ("delimiter",)
    appendable: ClassVar[bool] = True

    @classmethod
    def sample(cls, table: pa.Table, directory: Path) -> Source:
        """Write ``table`` as ``sample.csv``: fields that need it are quoted, and so is the empty string."""
        path = directory / "sample.csv"
        arrow_csv.write_csv(table, path)
        return Source(str(path), path)

    def read(self, source: Source, *, position: int = 0, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Yield the records from ``position`` on.

        Raises:
            SourceError: If the file cannot be opened or decompressed, or has no readable header.
            UsageError: If an option is not known or the delimiter is not one ASCII character.
        """
        self.check_options(source)
        with opened(source) as stream:
            reader = LineReader(stream, chunk_bytes // 2)
            block, layout = _begin(reader, source)
            if layout is None:
                return
            number = 0
            while True:
                run, used = _parse(block, layout, number, source)
                yield from emit(run, position, chunk_bytes)
                number = run.end
                if block.final:
                    break
                rest = block.data[used:]
                block = reader.read(Block(rest, final=False) if rest else None)
            if not number:
                yield Chunk(run.table, 0)


def _begin(reader: LineReader, source: Source) -> tuple[Block, _Layout | None]:
    """Read up to the end of the header; return what was read behind it, and no layout for an empty file."""
    block = reader.read()
    if block.data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceError("is UTF-16.", where=source.label, fix="Convert it to UTF-8.")
    while True:
        text = block.data.removeprefix(BYTE_ORDER_MARK).lstrip(b"\r\n")
        found = HEADER.match(text) if text else None
        if found:
            rest = Block(text[found.end() :], block.final, block.lost)
            return rest, _layout(source, found.group().rstrip(b"\r\n"))
        if block.final and not text:
            return block, None
        if block.final or len(text) > LINE_BYTES:
            raise SourceError("the header has an unclosed quote.", where=f"{source.label}:1")
        block = reader.read(block)


def _layout(source: Source, header: bytes) -> _Layout:
    where = f"{source.label}:1"
    if len(header) > LINE_BYTES or b"\0" in header:
        raise SourceError("the header has a NUL byte or is longer than 1 MB.", where=where)
    if b"\r" in re.sub(QUOTED, b"", header):
        raise SourceError(
            "lines end with a carriage return alone.", where=where, fix="Convert the line ends to LF."
        )
    delimiter = _delimiter(source, header)
    width = header.count(delimiter) + 1
    try:
        table = arrow_csv.read_csv(
            pa.py_buffer(header + b"\n"),
            arrow_csv.ReadOptions(autogenerate_column_names=True, block_size=len(header) + 2),
            arrow_csv.ParseOptions(delimiter=delimiter.decode("ascii"), newlines_in_values=True),
            arrow_csv.ConvertOptions(column_types={f"f{i}": pa.string() for i in range(width)}),
        )
    except pa.ArrowInvalid as error:
        raise SourceError(f"the header cannot be read: {error}.", where=where) from error
    names = unique_names([column[0].as_py() for column in table.columns])
    return _Layout(names, Grammar(delimiter, len(names)))


def _delimiter(source: Source, header: bytes) -> bytes:
    given = source.options.get("delimiter")
    if given is not None:
        if not isinstance(given, str) or len(given) != 1 or not given.isascii() or given in '"\r\n\0':
            raise UsageError(
                f"delimiter {given!r} is not one ASCII character.", where=source.label, fix='Give e.g. ";".'
            )
        return given.encode("ascii")
    if source.path is not None and ".tsv" in source.path.suffixes[-2:]:
        return b"\t"
    bare = re.sub(QUOTED, b"", header)
    return max(DELIMITERS, key=bare.count)


def _parse(block: Block, layout: _Layout, number: int, source: Source) -> tuple[Run, int]:
    """Return a block's records and how many bytes they take: parsed as a whole if clean, else one by one."""
    edges = _clean_edges(block, layout.grammar)
    if edges is not None:
        blank = _blank(block.data, edges, layout)
        records = int(np.count_nonzero(~blank))
        text = pa.py_buffer(block.data).slice(0, int(edges[-1]))
        table, wrong = _parse_text(text, layout, threads=True)
        if table is not None and not wrong and table.num_rows == records:
            end = number + records
            return Run(table, np.arange(number, end), [], end), int(edges[-1])
    return _parse_judged(block, layout, number, source)


def _clean_edges(block: Block, grammar: Grammar) -> Edges | None:
    if block.lost or b"\0" in block.data:
        return None
    edges = clean_edges(block.data, grammar.delimiter)
    if edges is None or np.diff(edges, append=len(block.data)).max() > LINE_BYTES:
        return None
    return None if block.final and edges[-1] != len(block.data) else edges


def _parse_judged(block: Block, layout: _Layout, number: int, source: Source) -> tuple[Run, int]:
    judged = judged_records(block, layout.grammar)
    edges = judged.edges
    data = block.data[: edges[-1]]
    blank = _blank(data, edges, layout)
    numbers = number + np.cumsum(~blank) - 1
    bad = judged.bad | broken_bytes(data, edges, block.lost)
    good = ~blank
    good[list(bad)] = False
    rows = np.flatnonzero(good)
    kept = as_binary(data, edges).filter(pa.array(good))
    table, wrong = _parse_text(_joined(kept), layout, threads=False)
    if table is None or table.num_rows + len(wrong) != len(rows):
        raise SourceError(
            "the text cannot be split into records.", where=f"{source.label}: records {number} on"
        )
    for row, fields in wrong:
        bad[int(rows[row])] = f"{fields} fields, not {len(layout.names)}"
    rows = np.delete(rows, [row for row, _ in wrong])
    rejects = reject_lines(data, edges, bad, numbers)
    end = number + int(np.count_nonzero(~blank))
    return Run(table, numbers[rows], rejects, end), len(data)


def _blank(data: bytes, edges: Edges, layout: _Layout) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if len(layout.names) == 1:
        return np.zeros(len(edges) - 1, dtype=bool)
    return blank_lines(data, edges)


def _joined(lines: pa.LargeBinaryArray) -> pa.Buffer:
    if not len(lines):
        return pa.py_buffer(b"")
    _, offsets, data = lines.buffers()
    bounds = np.frombuffer(offsets, np.int64)[lines.offset : lines.offset + len(lines) + 1]
    return data.slice(int(bounds[0]), int(bounds[-1] - bounds[0]))


def _parse_text(
    text: pa.Buffer, layout: _Layout, *, threads: bool
) -> tuple[pa.Table | None, list[tuple[int, int]]]:
    """Return the rows, and the number (without threads) and field count of each one that does not fit.

    There is no table where a field cannot be read as a string.
    """
    wrong: list[tuple[int, int]] = []

    def skip(row: arrow_csv.InvalidRow) -> str:
        wrong.append(((row.number or 1) - 1, row.actual_columns))
        return "skip"

    types = dict.fromkeys(layout.names, pa.string())
    if not text.size:
        return pa.schema(types.items()).empty_table(), wrong
    try:
        table = arrow_csv.read_csv(
            text,
            arrow_csv.ReadOptions(column_names=layout.names, use_threads=threads, block_size=text.size + 1),
            arrow_csv.ParseOptions(
                delimiter=layout.grammar.delimiter.decode("ascii"),
                newlines_in_values=True,
                ignore_empty_lines=len(layout.names) > 1,
                invalid_row_handler=skip,
            ),
            arrow_csv.ConvertOptions(
                column_types=types,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None, wrong
    return table, wrong
