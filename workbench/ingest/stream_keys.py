"""Keys that make an event the same again, and which of them were seen."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from workbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from workbench.ingest.stream_events import Given
    from workbench.storage import Snapshot

__all__ = ["KEY", "KEY_BYTES", "NO_KEY", "SeenKeys", "content_keys", "given_keys", "key_table"]

KEY_BYTES = 16
NO_KEY = bytes(KEY_BYTES)
KEY = pa.schema([("key", pa.binary(KEY_BYTES))])
_MERGE_AT = 200_000

# One row a key: its two halves, so that numpy can sort and search.
Halves: TypeAlias = "NDArray[np.uint64]"


def given_keys(source: str, keys: Sequence[str | None], number: int) -> list[bytes]:
    """Return the hash of each idempotency key of a source.

    Raises:
        UsageError: If there are not as many as events.
    """
    if len(keys) != number:
        raise UsageError(
            f"{len(keys):,} keys for {number:,} events.", fix="Give each event its key, or None."
        )
    return [NO_KEY if key is None else _hashed(source, key) for key in keys]


def content_keys(source: str, name: str, fields: Sequence[str], events: Given) -> list[bytes]:
    """Return the hash of each event's type and the values of some fields; none where one has no value.

    Rejects have no fields and so no key.
    """
    if events.table is not None:
        table = events.table
        columns = [
            pc.cast(table[f], pa.string()).to_pylist() if f in table.column_names else [None] * table.num_rows
            for f in fields
        ]
        rows: Iterable[Sequence[Any]] = zip(*columns, strict=True)
    else:
        rows = ([_text(value.get(f)) for f in fields] for value in events.values)
    found = [NO_KEY] * events.number
    for place, values in zip(events.places, rows, strict=True):
        if None not in values:
            found[place] = _hashed(source, name, *values)
    return found


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, date) else json.dumps(value, default=str)


def _hashed(*parts: str) -> bytes:
    text = "\0".join((*parts, str(len(parts))))
    return xxhash.xxh3_128_digest(text.encode())


def key_table(keys: Halves) -> pa.Table:
    """Return keys as they are stored: sorted, each once."""
    rows = keys[np.lexsort((keys[:, 1], keys[:, 0]))]
    rows = rows[np.concatenate([[True], np.any(rows[1:] != rows[:-1], axis=1)])] if len(rows) else rows
    buffer = pa.py_buffer(rows.astype(">u8").tobytes())
    return pa.table(
        [pa.FixedSizeBinaryArray.from_buffers(KEY[0].type, len(rows), [None, buffer])], schema=KEY
    )


def halves(keys: bytes) -> Halves:
    """Return keys that follow one another as rows of two numbers."""
    return np.frombuffer(keys, dtype=">u8").astype(np.uint64).reshape(-1, 2)


def stored_keys(table: pa.Table) -> Halves:
    """Return the keys of a table that :func:`key_table` made."""
    column = table["key"].combine_chunks()
    data = column.buffers()[1]
    start = column.offset * KEY_BYTES
    return halves(memoryview(data)[start : start + len(column) * KEY_BYTES].tobytes())


class SeenKeys:
    """All keys of live segments and of what is not published yet: 16 bytes each in memory.

    Args:
        snapshot: Where the published ones are.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        tables = [stored_keys(snapshot.read(entry)) for entry in snapshot.files("keys")]
        self._sorted = _merged(tables)
        self._new: set[bytes] = set()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._sorted) + len(self._new)

    def add(self, keys: Sequence[bytes]) -> list[bool]:
        """Note keys, and return of each whether it was new; events without a key always are."""
        if len(self._new) >= _MERGE_AT:
            self._sorted = _merged([self._sorted, halves(b"".join(self._new))])
            self._new = set()
        old = self._among_sorted(keys)
        fresh = []
        for key, known in zip(keys, old, strict=True):
            new = key == NO_KEY or not (known or key in self._new)
            if new and key != NO_KEY:
                self._new.add(key)
            fresh.append(new)
        return fresh

    def _among_sorted(self, keys: Sequence[bytes]) -> list[bool]:
        if not len(self._sorted) or not keys:
            return [False] * len(keys)
        wanted = halves(b"".join(keys))
        first, second = self._sorted[:, 0], self._sorted[:, 1]
        at = np.searchsorted(first, wanted[:, 0])
        found = np.zeros(len(wanted), dtype=bool)
        # one round, but for keys that agree in their first half
        while True:
            place = np.minimum(at, len(first) - 1)
            same = (at < len(first)) & (first[place] == wanted[:, 0])
            found |= same & (second[place] == wanted[:, 1])
            going_on = same & ~found
            if not going_on.any():
                return list(found)
            at = np.where(going_on, at + 1, len(first))


def _merged(parts: Sequence[Halves]) -> Halves:
    rows = np.concatenate([np.empty((0, 2), dtype=np.uint64), *parts])
    # stable: runs that are sorted already are merged
    rows = rows[np.argsort(rows[:, 1], kind="stable")]
    merged: Halves = np.asfortranarray(rows[np.argsort(rows[:, 0], kind="stable")])
    return merged
