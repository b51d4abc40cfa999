"""What is appended to a stream: events as they are given, as they stand in the log, and back."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from workbench.connectors import Source, connectors
from workbench.errors import SourceError, UsageError

if TYPE_CHECKING:
    from workbench.storage.wal import Record

__all__ = [
    "LINES",
    "REJECTED",
    "REJECTS",
    "TABLE",
    "Entry",
    "Given",
    "decode",
    "encode",
    "given",
    "one_document",
    "table_body",
]

# Kinds of records in the log. The numbers are part of the format.
LINES, TABLE, REJECTS = 1, 2, 3
_HEAD = struct.Struct("<II")


@dataclass(frozen=True)
class Given:
    """Events as they were given: JSON lines or a table, and what is neither.

    Attributes:
        lines: JSON objects, each on one line.
        values: The same, decoded.
        table: A table of events, in place of lines.
        places: The number of each line or row among all that was given.
        rejects: What is no event: its number, its bytes, the reason.
    """

    lines: list[bytes] = field(default_factory=list)
    values: list[Mapping[str, Any]] = field(default_factory=list)
    table: pa.Table | None = None
    places: list[int] = field(default_factory=list)
    rejects: list[tuple[int, bytes, str]] = field(default_factory=list)

    @property
    def number(self) -> int:
        """Return how many records were given, good and bad."""
        return len(self.places) + len(self.rejects)


def given(events: Any) -> Given:
    """Read what a caller gives: a mapping, a list of them, JSON text of one a line, or any table.

    Raises:
        UsageError: If it is nothing of the kind.
    """
    if isinstance(events, Given):
        return events
    if isinstance(events, Mapping):
        return _mappings([events])
    if isinstance(events, str):
        return _lines(events.encode().split(b"\n"))
    if isinstance(events, bytes):
        return _lines(events.split(b"\n"))
    if isinstance(events, Sequence):
        return _mappings(events)
    connector = connectors.create("frame")
    try:
        tables = [chunk.table for chunk in connector.read(Source("stream", data=events))]
    except SourceError as error:
        raise UsageError(
            f"cannot append: {error}", fix="Give a mapping, a list of mappings, JSON lines or a table."
        ) from error
    table = pa.concat_tables(tables).combine_chunks()
    return Given(table=table, places=list(range(table.num_rows)))


def one_document(text: bytes) -> Given:
    """Read JSON text of one event, which may stand on several lines."""
    found = _lines([text])
    # outside of strings a line end is white space, and within them JSON has none
    return replace(found, lines=[line.replace(b"\r", b" ").replace(b"\n", b" ") for line in found.lines])


def _mappings(events: Sequence[Any]) -> Given:
    result = Given()
    for place, event in enumerate(events):
        if not isinstance(event, Mapping):
            raise UsageError(f"event {place} is a {type(event).__name__}, not a mapping of field to value.")
        try:
            line = _ENCODER.encode(event if isinstance(event, dict) else dict(event))
        except ValueError as error:
            result.rejects.append((place, repr(event).encode(), f"not to be written as JSON: {error}"))
        except TypeError as error:
            raise UsageError(f"event {place} cannot be written as JSON: {error}.") from error
        else:
            result.lines.append(line.encode())
            result.values.append(event)
            result.places.append(place)
    return result


def _lines(texts: Sequence[bytes]) -> Given:
    result = Given()
    for place, text in enumerate(line for line in texts if line.strip()):
        try:
            value = _DECODER.decode(text.decode())
        except (ValueError, RecursionError):
            result.rejects.append((place, text, "not valid JSON"))
            continue
        if not isinstance(value, dict) or not value:
            result.rejects.append((place, text, "not a JSON object with fields"))
            continue
        result.lines.append(text.strip())
        result.values.append(value)
        result.places.append(place)
    return result


def _plain(value: Any) -> Any:
    """Return what JSON has no form for as text."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if hasattr(value, "item"):  # a scalar of numpy
        return value.item()
    return str(value)


def _refuse(constant: str) -> float:
    raise ValueError(constant)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
_DECODER = json.JSONDecoder(parse_constant=_refuse)


@dataclass(frozen=True)
class Entry:
    """Records of one event type that were appended together.

    Attributes:
        kind: ``LINES``, ``TABLE`` or ``REJECTS``.
        name: The event type.
        source: Who sent them.
        rows: How many.
        keys: 16 bytes for each, all zero for one without a key; empty if none has one.
        body: JSON lines, or an Arrow table as an IPC stream; of rejects with the columns of
            :data:`REJECTED`.
        sequence: The number of the log's record, 0 before it has one.
    """

    kind: int
    name: str
    source: str
    rows: int
    keys: bytes
    body: bytes
    sequence: int = 0

    @property
    def size(self) -> int:
        """Return about how many bytes it takes."""
        return len(self.body) + len(self.keys)

    def table(self) -> pa.Table:
        """Return the table in the body."""
        return pa.ipc.open_stream(self.body).read_all()


REJECTED = pa.schema([("original", pa.binary()), ("reason", pa.string())])


def table_body(table: pa.Table) -> bytes:
    """Return a table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(memoryview(sink.getvalue()))


def encode(entry: Entry) -> bytes:
    """Return the payload of an entry's record in the log.

    >>> entry = Entry(LINES, "click", "web", 1, b"", b'{"page":"/"}')
    >>> from workbench.storage.wal import Record
    >>> decode(Record(0, LINES, encode(entry), 0)) == entry
    True
    """
    facts = json.dumps([entry.name, entry.source, entry.rows]).encode()
    return b"".join((_HEAD.pack(len(facts), len(entry.keys)), facts, entry.keys, entry.body))


def decode(record: Record) -> Entry:
    """Return the entry that a record of the log holds."""
    length, keyed = _HEAD.unpack_from(record.payload)
    facts, body = _HEAD.size + length, _HEAD.size + length + keyed
    name, source, rows = json.loads(record.payload[_HEAD.size : facts])
    keys = record.payload[facts:body]
    return Entry(record.kind, name, source, rows, keys, record.payload[body:], record.sequence)
