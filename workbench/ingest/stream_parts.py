"""Parts of a segment that a stream wrote, merged as they become many, so that reading stays cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.ingest.stream_keys import key_table, stored_keys
from workbench.partials.documents import assign_ids
from workbench.partials.names import RESERVED
from workbench.partials.stored import align, concat_documents, to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from workbench.partials.types import FieldType
    from workbench.storage import FileEntry, Snapshot, Transaction

__all__ = ["add_events", "identified", "merge_parts", "read_parts"]

# Eight parts of a size become one of the next: each row is written again once for each factor of eight.
_FACTOR = 8
_LARGEST = 1 << 20  # rows of a part that is left as it is
_NEAR = 1_000  # microseconds: an identifier that was taken is at most a few after its time's own
_EXTRA = pl.List(pl.Struct({"key": pl.String, "value": pl.String}))


def merge_parts(
    transaction: Transaction, segments: Iterable[str], fields: Mapping[str, Mapping[str, FieldType]]
) -> None:
    """Merge parts of equal size where there are eight of them, in some segments."""
    base = transaction.base
    for kind in ("events", "keys"):
        for parts in _crowded(base.files(kind, segments=segments)):
            transaction.remove(parts)
            segment, name = parts[0].segment, parts[0].name
            if kind == "keys":
                keys = np.concatenate([stored_keys(base.read(part)) for part in parts])
                transaction.add("keys", key_table(keys), segment=segment)
            else:
                add_events(transaction, {name: read_parts(base, parts, fields.get(name, {}))})


def _crowded(files: Iterable[FileEntry]) -> Iterator[list[FileEntry]]:
    """Yield groups of eight or more files of one segment, name and order of size."""
    groups: dict[tuple[str, str, int], list[FileEntry]] = {}
    for file in files:
        if file.rows < _LARGEST:
            size = int(np.log(max(file.rows, 1)) / np.log(_FACTOR))
            groups.setdefault((file.segment, file.name, size), []).append(file)
    return (group for group in groups.values() if len(group) >= _FACTOR)


def read_parts(
    snapshot: Snapshot, parts: Iterable[FileEntry], fields: Mapping[str, FieldType]
) -> pl.DataFrame:
    """Return the documents of some parts of one event type, with ``_segment``."""
    frames = []
    for part in parts:
        frame = pl.DataFrame(snapshot.read(part).drop_columns("_type"))
        if "_extra" in frame.columns:
            frame = frame.cast({"_extra": _EXTRA})
        frames.append(align(frame, fields).with_columns(_segment=pl.lit(part.segment)))
    return concat_documents(frames)


def add_events(transaction: Transaction, typed: Mapping[str, pl.DataFrame]) -> None:
    """Add identified documents as parts of their segments."""
    for name, frame in sorted(typed.items()):
        for (segment,), part in sorted(frame.sort("_id").partition_by("_segment", as_dict=True).items()):
            times = part["_ts"].to_physical().to_numpy()
            span = (int(times.min()), int(times.max()))
            table = to_arrow(part.drop("_segment", "_hash", strict=False), name)
            held = {"fields": [c for c in table.column_names if c not in RESERVED]}
            transaction.add("events", table, segment=str(segment), name=name, times=span, meta=held)


def identified(snapshot: Snapshot, typed: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Give every document its ``_id``, unique over all event types of its segment.

    Of what is stored only parts are looked at whose times overlap: identifiers begin with the time.
    """
    facts = [
        frame.select("_segment", "_ts", "_hash", pl.lit(name).alias("name")).with_row_index("row")
        for name, frame in typed.items()
    ]
    if not facts:
        return {}
    parts = [
        part.with_columns(assign_ids(part, _taken(snapshot, str(segment), part["_ts"])))
        for (segment,), part in pl.concat(facts).partition_by("_segment", as_dict=True).items()
    ]
    by_name = pl.concat(parts).partition_by("name", as_dict=True)
    return {
        str(name): typed[str(name)].with_columns(part.sort("row")["_id"]) for (name,), part in by_name.items()
    }


def _taken(snapshot: Snapshot, segment: str, times: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    moments = times.to_physical().to_numpy()
    first, last = int(moments.min()) - _NEAR, int(moments.max()) + _NEAR
    near = [
        snapshot.read(part, columns=["_id"])["_id"].to_numpy()
        for part in snapshot.files("events", segments=[segment])
        if part.min_ts is not None
        and part.max_ts is not None
        and part.min_ts <= last
        and part.max_ts >= first
    ]
    return np.concatenate([np.empty(0, dtype=np.int64), *near])
