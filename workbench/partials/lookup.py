"""One document by its address, without its neighbours being read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from workbench.partials.stored import align

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow.parquet as pq

    from workbench.partials.types import FieldType
    from workbench.storage import FileEntry, Snapshot

__all__ = ["Document", "find_document"]

_ID = 0  # the place of column _id, with which stored documents begin


@dataclass(frozen=True)
class Document:
    """One event.

    Attributes:
        address: ``segment/_id``.
        event_type: Its type.
        time: Its time, in the workspace's zone.
        fields: Its fields with their typed values; fields without a value are left out.
        original: The source's text of every field whose typed value would not give it back.
        extra: Values that came under names that are no field names.
    """

    address: str
    event_type: str
    time: datetime
    fields: dict[str, Any]
    original: dict[str, str]
    extra: dict[str, str]


def find_document(
    snapshot: Snapshot,
    segment: str,
    identifier: int,
    fields: Mapping[str, Mapping[str, FieldType]],
    timezone: str,
) -> Document | None:
    """Return one stored document, its time in ``timezone``, or None if there is none such."""
    parts = snapshot.files("events", segments=[segment])
    for entry in sorted(parts, key=lambda part: part.rows, reverse=True):
        row = _row(snapshot, entry, identifier, fields.get(entry.name, {}))
        if row is None:
            continue
        original = row.pop("_original", None) or {}
        extra = row.pop("_extra", None) or {}
        return Document(
            f"{segment}/{row.pop('_id')}",
            entry.name,
            row.pop("_ts").astimezone(ZoneInfo(timezone)),
            {name: value for name, value in row.items() if value is not None},
            {name: text for name, text in original.items() if text is not None},
            dict(extra),
        )
    return None


def _row(
    snapshot: Snapshot, entry: FileEntry, identifier: int, fields: Mapping[str, FieldType]
) -> dict[str, Any] | None:
    with snapshot.open(entry) as file:
        place = _place(file, identifier)
    if place is None:
        return None
    # polars decodes the one page of a column that the row is in; pyarrow would decode its whole group
    found = pl.scan_parquet(snapshot.path(entry), glob=False, hive_partitioning=False).slice(place, 1)
    frame = found.collect().drop("_type").cast({pl.Categorical: pl.String})
    return align(frame, fields).row(0, named=True)


def _place(file: pq.ParquetFile, identifier: int) -> int | None:
    """Return the row that a document is in: only groups are read whose identifiers may have it."""
    start = 0
    for number in range(file.num_row_groups):
        group = file.metadata.row_group(number)
        bounds = group.column(_ID).statistics
        if bounds.min <= identifier <= bounds.max:
            held = file.read_row_group(number, columns=["_id"], use_threads=False)["_id"].to_numpy()
            found = np.flatnonzero(held == identifier)
            if len(found):
                return start + int(found[0])
        start += group.num_rows
    return None
