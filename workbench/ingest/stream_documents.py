"""Entries of the log to documents, as an ingest of files makes them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.connectors import Source, connectors
from workbench.errors import SourceError
from workbench.ingest.columns import within
from workbench.ingest.quarantine import Quarantined
from workbench.ingest.stream_events import LINES, REJECTS, TABLE, Entry
from workbench.ingest.stream_keys import NO_KEY, halves
from workbench.partials.documents import normalise, type_fields
from workbench.partials.stored import concat_documents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from workbench.config.entity_schema import EntitySchema
    from workbench.ingest.forgotten import Forgotten
    from workbench.ingest.stream_keys import Halves
    from workbench.partials.types import FieldType

__all__ = ["TOO_EARLY", "Bounds", "Documents", "documents"]

TOO_EARLY = "its time is more than 5 minutes ahead of the workspace's clock"


class Bounds(NamedTuple):
    """What times and columns events may have: microseconds since 1970, and a number."""

    oldest: int
    newest: int
    columns: int


@dataclass
class Documents:
    """What some entries of the log become.

    Attributes:
        typed: Documents without identifiers, with ``_segment``, by event type.
        fields: The types of all fields after them.
        widened: Event types of which a field has another type than before.
        keys: The keys of the documents, by segment; of what went to quarantine under the empty name.
        quarantined: What could not be taken.
        refused: How many are older than the window.
        forgotten: How many are about entities that were forgotten.
    """

    typed: dict[str, pl.DataFrame] = field(default_factory=dict)
    fields: dict[str, dict[str, FieldType]] = field(default_factory=dict)
    widened: set[str] = field(default_factory=set)
    keys: dict[str, Halves] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    refused: int = 0
    forgotten: int = 0


def documents(
    entries: Sequence[Entry],
    schema: EntitySchema,
    fields: Mapping[str, Mapping[str, FieldType]],
    bounds: Bounds,
    forgotten: Forgotten,
) -> Documents:
    """Normalise and type the events of some entries.

    Args:
        entries: What was logged, in order.
        schema: The entity schema.
        fields: The types of all fields so far.
        bounds: What is taken.
        forgotten: Entities of which nothing is taken.
    """
    result = Documents(fields={name: dict(known) for name, known in fields.items()})
    rows = _Rows(entries)
    for name in sorted({entry.name for entry in entries}):
        frames = [
            frame
            for piece in rows.pieces(name)
            if (frame := _normalised(piece, name, schema, result, rows, bounds.columns)) is not None
        ]
        number = sum(frame.height for frame in frames)
        frames = [forgotten.without(frame, name, schema) for frame in frames]
        result.forgotten += number - sum(frame.height for frame in frames)
        frames = [kept for f in frames if (kept := _in_time(f, result, rows, bounds)).height]
        if not frames:
            continue
        frame = concat_documents(frames)
        known = result.fields.get(name, {})
        typed = type_fields(frame.drop("_row"), known, schema)
        result.fields[name] = typed.fields
        if typed.widened:
            result.widened.add(name)
        segment = pl.col("_ts").dt.strftime("%Y-%m-%d").alias("_segment")
        result.typed[name] = typed.frame.with_columns(segment)
        rows.note_segments(frame["_row"].to_numpy(), result.typed[name]["_segment"])
    rows.quarantine_rejects(result)
    result.keys = rows.keys_by_segment()
    return result


class _Piece(NamedTuple):
    table: pa.Table
    rows: NDArray[np.int64]
    rejects: Sequence[tuple[int, bytes, str]]  # row, its bytes, reason


class _Rows:
    """All records of some entries, numbered from 0 in their order."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._starts = np.cumsum([0, *(entry.rows for entry in entries)])
        keys = b"".join(entry.keys or NO_KEY * entry.rows for entry in entries)
        self._keys = halves(keys)
        self._segments = np.full(len(self._keys), "", dtype="U10")
        self._kept = np.zeros(len(self._keys), dtype=bool)
        self._lines_of: dict[int, list[bytes]] = {}

    def pieces(self, name: str) -> Iterator[_Piece]:
        """Yield the records of an event type as tables with few kinds of columns."""
        yield from self._lines(name)
        groups: dict[pa.Schema, list[tuple[pa.Table, NDArray[np.int64]]]] = {}
        for place, entry in self._of(name, TABLE):
            table = entry.table()
            groups.setdefault(table.schema, []).append((table, self._numbers(place)))
        for parts in groups.values():
            table = pa.concat_tables([part for part, _ in parts])
            yield _Piece(table, np.concatenate([numbers for _, numbers in parts]), ())

    def _lines(self, name: str) -> Iterator[_Piece]:
        """Read JSON lines as the connector of JSON files does, from memory."""
        found = list(self._of(name, LINES))
        if not found:
            return
        numbers = np.concatenate([self._numbers(place) for place, _ in found])
        connector = connectors.create("jsonl")
        descriptor = os.memfd_create("workbench-stream")
        try:
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.writelines(entry.body + b"\n" for _, entry in found)
            start = 0
            for chunk in connector.read(Source("stream", Path(f"/proc/self/fd/{descriptor}"))):
                bad = np.array([r.offset for r in chunk.rejects], dtype=np.int64)
                good = np.setdiff1d(np.arange(start, chunk.position), bad, assume_unique=True)
                rejects = [(int(numbers[r.offset]), r.original, r.reason) for r in chunk.rejects]
                yield _Piece(chunk.table, numbers[good], rejects)
                start = chunk.position
        finally:
            os.close(descriptor)

    def _of(self, name: str, kind: int) -> Iterator[tuple[int, Entry]]:
        return ((n, e) for n, e in enumerate(self._entries) if e.name == name and e.kind == kind)

    def _numbers(self, place: int) -> NDArray[np.int64]:
        return np.arange(self._starts[place], self._starts[place + 1], dtype=np.int64)

    def quarantined(self, row: int, original: bytes, reason: str) -> Quarantined:
        """Return a record as it goes to quarantine; of a line the bytes that came."""
        self._kept[row] = True
        place = int(np.searchsorted(self._starts, row, side="right")) - 1
        entry = self._entries[place]
        offset = row - int(self._starts[place])
        if entry.kind == LINES:
            if place not in self._lines_of:
                self._lines_of[place] = entry.body.split(b"\n")
            original = self._lines_of[place][offset]
        source = f"stream {entry.source}".strip()
        return Quarantined(source, f"wal-{entry.sequence}", entry.name, offset, reason, original)

    def quarantine_rejects(self, result: Documents) -> None:
        """Put into quarantine what was no event when it came."""
        for place, entry in enumerate(self._entries):
            if entry.kind == REJECTS:
                start = int(self._starts[place])
                result.quarantined += [
                    self.quarantined(start + n, reject["original"], reject["reason"])
                    for n, reject in enumerate(entry.table().to_pylist())
                ]

    def note_segments(self, rows: NDArray[np.int64], segments: pl.Series) -> None:
        """Note in which segments records came to lie."""
        self._segments[rows] = segments.to_numpy()
        self._kept[rows] = True

    def keys_by_segment(self) -> dict[str, Halves]:
        """Return the keys of what was stored or quarantined; what is refused may come again."""
        keyed = self._kept & self._keys.any(axis=1)
        segments, keys = self._segments[keyed], self._keys[keyed]
        return {str(segment): keys[segments == segment] for segment in np.unique(segments)}


def _normalised(  # noqa: PLR0913, PLR0917  (what one piece meets)
    piece: _Piece, name: str, schema: EntitySchema, result: Documents, rows: _Rows, columns: int
) -> pl.DataFrame | None:
    """Return a piece's documents with ``_row``; what is none goes to quarantine."""
    result.quarantined += [rows.quarantined(*reject) for reject in piece.rejects]
    known = result.fields.get(name, {})
    table, places, reasons = within(piece.table, columns, known)
    _set_aside(piece, reasons, result, rows)
    if not table.num_rows:
        return None
    try:
        records = normalise(table, name, schema, known=known)
    except SourceError as error:
        _set_aside(piece, dict.fromkeys(places.tolist(), error.message), result, rows)
        return None
    numbers = piece.rows[places]
    bad = np.array([row for row, _, _ in records.rejects], dtype=np.int64)
    result.quarantined += [
        rows.quarantined(int(numbers[row]), original, reason) for row, original, reason in records.rejects
    ]
    return records.frame.with_columns(pl.Series("_row", np.delete(numbers, bad)))


def _set_aside(piece: _Piece, reasons: Mapping[int, str], result: Documents, rows: _Rows) -> None:
    """Put records of a piece into quarantine, by their places in it."""
    originals = piece.table.take(sorted(reasons)).to_pylist() if reasons else []
    result.quarantined += [
        rows.quarantined(
            int(piece.rows[place]),
            json.dumps(
                {name: value for name, value in row.items() if value is not None}, default=str
            ).encode(),
            reasons[place],
        )
        for place, row in zip(sorted(reasons), originals, strict=True)
    ]


def _in_time(frame: pl.DataFrame, result: Documents, rows: _Rows, bounds: Bounds) -> pl.DataFrame:
    """Keep what lies in the window; what is ahead of the clock is quarantined, what is older counted."""
    times = frame["_ts"].to_physical()
    early, late = times > bounds.newest, times < bounds.oldest
    if early.any():
        shown = (
            frame.filter(early).drop("_row", "_hash").with_columns(pl.col("_ts").dt.to_string("iso:strict"))
        )
        result.quarantined += [
            rows.quarantined(row, json.dumps(values, default=str).encode(), TOO_EARLY)
            for row, values in zip(frame["_row"].filter(early), shown.iter_rows(named=True), strict=True)
        ]
    result.refused += int(late.sum())
    return frame.filter(~(early | late))
