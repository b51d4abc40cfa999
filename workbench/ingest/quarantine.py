"""Quarantine: what could not be read, kept with its original bytes and the reason."""

from __future__ import annotations

from fnmatch import fnmatchcase
from os.path import abspath
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from workbench.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.storage import FileEntry, Snapshot, Transaction

__all__ = [
    "QUARANTINE",
    "STREAMED",
    "WHOLE",
    "Quarantined",
    "add",
    "choose",
    "read",
    "record_id",
    "replace",
    "summary",
]

QUARANTINE = pa.schema(
    [
        ("source", pa.string()),
        ("source_hash", pa.string()),
        ("name", pa.string()),  # the event type that the record would have become
        # number of the record in its source; -1 for a source as a whole, null for a column's name
        ("offset", pa.int64()),
        ("reason", pa.string()),
        ("original", pa.binary()),
        # what read it, as JSON [connector, options]; null for streamed events and where it was not kept
        ("reader", pa.string()),
    ]
)
WHOLE = -1
STREAMED = "wal-"  # what the source_hash of a streamed event begins with


class Quarantined(NamedTuple):
    """One record; or a source as a whole (offset -1, no bytes: it is still there), or a column's name."""

    source: str
    source_hash: str
    name: str
    offset: int | None
    reason: str
    original: bytes
    reader: str | None = None

    @property
    def id(self) -> str:
        """Return what names it in commands."""
        return record_id(self.source_hash, self.name, self.offset, self.original, self.reason)


def record_id(
    source_hash: str, name: str, offset: int | None, original: bytes = b"", reason: str = ""
) -> str:
    """Return the name of what is in quarantine: another reason for the same record leaves it as it is.

    >>> record_id("5f", "Click", 7, b"torn") == record_id("5f", "Click", 7, b"torn", "not valid JSON")
    True
    """
    # a column's name has nothing but its reason
    facts = f"{source_hash}\0{name}\0{reason if offset is None else offset}\0"
    return xxhash.xxh3_64_hexdigest(facts.encode() + original)[:12]


def add(transaction: Transaction, records: Iterable[Quarantined]) -> None:
    """Put records into quarantine with the generation that is being made."""
    rows = [r._asdict() for r in records]
    if rows:
        _put(transaction, pa.Table.from_pylist(rows, schema=QUARANTINE))


def _put(transaction: Transaction, table: pa.Table) -> None:
    number = pc.sum(pc.greater_equal(table["offset"], 0)).as_py() or 0
    transaction.add("quarantine", table, folder="quarantine", meta={"records": number})


def replace(transaction: Transaction, outdated: set[str], records: Iterable[Quarantined]) -> None:
    """Take what is outdated out of quarantine, and put records in.

    What is outdated and comes in again for the same reason stays where it is.

    Args:
        transaction: The generation that is being made.
        outdated: Identifiers; there may be nothing of that name.
        records: What could not be read now.
    """
    records = list(records)
    if outdated:
        again = {(record.id, record.reason) for record in records}
        staying: set[tuple[str, str]] = set()
        for entry in _files(transaction.base):
            table = _read(transaction.base, [entry])
            facts = list(zip(table["id"].to_pylist(), table["reason"].to_pylist(), strict=True))
            kept = [fact[0] not in outdated or fact in again for fact in facts]
            staying |= {fact for fact in facts if fact[0] in outdated and fact in again}
            if not all(kept):
                transaction.remove([entry])
                rest = table.select(QUARANTINE.names).filter(pa.array(kept, pa.bool_()))
                if rest.num_rows:
                    _put(transaction, rest)
        records = [record for record in records if (record.id, record.reason) not in staying]
    add(transaction, records)


def read(snapshot: Snapshot) -> pa.Table:
    """Return everything in quarantine, in the order in which it came.

    The columns of :data:`QUARANTINE` follow ``id`` and ``kind``: "record" (of a file), "event" (of a
    stream), "source" (as a whole) or "column" (a name that is no field's).
    """
    return _read(snapshot, _files(snapshot))


def _files(snapshot: Snapshot) -> list[FileEntry]:
    return [entry for entry in snapshot.manifest.files if entry.kind == "quarantine"]


def _read(snapshot: Snapshot, entries: Iterable[FileEntry]) -> pa.Table:
    tables = []
    for entry in entries:
        table = snapshot.read(entry)
        if "reader" not in table.column_names:  # of a version that did not keep it
            table = table.append_column("reader", pa.nulls(table.num_rows, pa.string()))
        tables.append(table.select(QUARANTINE.names))
    table = pa.concat_tables(tables) if tables else QUARANTINE.empty_table()
    facts = [table[name].to_pylist() for name in ("source_hash", "name", "offset", "original", "reason")]
    ids = [record_id(*row) for row in zip(*facts, strict=True)]
    table = table.add_column(0, "id", pa.array(ids, pa.string()))
    return table.add_column(1, "kind", _kinds(table))


def _kinds(table: pa.Table) -> pa.ChunkedArray:
    offset = table["offset"]
    streamed = pc.starts_with(table["source_hash"], STREAMED)
    return pc.if_else(
        pc.is_null(offset),
        "column",
        pc.if_else(pc.equal(offset, WHOLE), "source", pc.if_else(streamed, "event", "record")),
    )


def choose(table: pa.Table, wanted: Iterable[str]) -> pa.Table:
    """Return the rows that identifiers or sources name; all of them if nothing is wanted.

    Args:
        table: What :func:`read` gives.
        wanted: Identifiers; sources as they were named, or globs of such names.

    Raises:
        UnknownNameError: If there is nothing of a name.
    """
    wanted = list(wanted)
    if not wanted:
        return table
    sources = pc.unique(table["source"]).to_pylist()
    masks = []
    for text in wanted:
        place = abspath(text)  # noqa: PTH100  (links stay what they are)
        named = [s for s in sources if s == text or fnmatchcase(s, text) or abspath(s) == place]  # noqa: PTH100
        mask = pc.or_(pc.equal(table["id"], text), pc.is_in(table["source"], pa.array(named, pa.string())))
        if not pc.any(mask).as_py():
            raise UnknownNameError("record or source in quarantine", text, sources)
        masks.append(mask)
    found = masks[0]
    for mask in masks[1:]:
        found = pc.or_(found, mask)
    return table.filter(found)


def summary(table: pa.Table) -> pa.Table:
    """Return how many there are of each source and reason, the most frequent first.

    A reason counts up to its first colon, behind which it says with which value.
    """
    short = pc.list_element(pc.split_pattern(table["reason"], ": ", max_splits=1), 0)
    # of a whole source its reason is all there is to say
    reason = pc.if_else(pc.equal(table["kind"], "record"), short, table["reason"])
    reason = pc.if_else(pc.equal(table["kind"], "event"), short, reason)
    keys = ["source", "name", "kind", "reason"]
    place = table.column_names.index("reason")
    counted = table.set_column(place, "reason", reason).group_by(keys, use_threads=False)
    found = counted.aggregate([("id", "count"), ("id", "first")])
    found = found.rename_columns([*keys, "records", "first_id"])
    return found.sort_by([("records", "descending"), ("source", "ascending"), ("reason", "ascending")])
