"""Quarantine: what could not be read, kept with its original bytes and the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.storage import Snapshot, Transaction

__all__ = ["QUARANTINE", "Quarantined", "add", "read", "release"]

QUARANTINE = pa.schema(
    [
        ("source", pa.string()),
        ("source_hash", pa.string()),
        ("name", pa.string()),  # the event type that the record would have become
        # number of the record in its source; -1 for a source as a whole, null for a column's name
        ("offset", pa.int64()),
        ("reason", pa.string()),
        ("original", pa.binary()),
    ]
)


class Quarantined(NamedTuple):
    """One record; or a source as a whole (offset -1, no bytes: it is still there), or a column's name."""

    source: str
    source_hash: str
    name: str
    offset: int | None
    reason: str
    original: bytes


def add(transaction: Transaction, records: Iterable[Quarantined]) -> None:
    """Put records into quarantine with the generation that is being made."""
    rows = [r._asdict() for r in records]
    if rows:
        table = pa.Table.from_pylist(rows, schema=QUARANTINE)
        number = sum(r["offset"] is not None and r["offset"] >= 0 for r in rows)
        transaction.add("quarantine", table, folder="quarantine", meta={"records": number})


def release(transaction: Transaction, sources: set[tuple[str, str]]) -> None:
    """Take sources (hash, name) that were quarantined as a whole out again: they have been read meanwhile."""
    for entry in transaction.base.manifest.files:
        if entry.kind != "quarantine":
            continue
        rows = transaction.base.read(entry).to_pylist()
        records = [Quarantined(**r) for r in rows]
        kept = [r for r in records if r.offset != -1 or (r.source_hash, r.name) not in sources]
        if len(kept) < len(rows):
            transaction.remove([entry])
            add(transaction, kept)


def read(snapshot: Snapshot) -> pa.Table:
    """Return everything in quarantine, in the order in which it came."""
    tables = [snapshot.read(entry) for entry in snapshot.manifest.files if entry.kind == "quarantine"]
    return pa.concat_tables(tables) if tables else QUARANTINE.empty_table()
