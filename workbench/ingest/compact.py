"""Compaction: small parts of a segment become one, so that reading stays cheap however events came.

Late and streamed events go to further parts of their segment, which are files like any other; there is no
other kind for them. Wherever events are published parts of a size are merged by eights, and on demand all
that fit into one. Documents keep their ``_id`` and hence their address, and a merged part carries the sum of
its parts' hashes, so that partials derived before stay current.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.ingest.derive import digest
from workbench.ingest.stream_keys import key_table, stored_keys
from workbench.partials.names import RESERVED
from workbench.partials.stored import Stored, read_documents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor, Future

    import polars as pl

    from workbench.partials.types import FieldType
    from workbench.storage import FileEntry, SegmentStore, Transaction

__all__ = ["Compaction", "add_events", "compact", "merge_parts", "store_anew", "submit_events"]

# Eight parts of a size become one of the next: each row is written again once for each factor of eight.
_FACTOR = 8
# A part that is larger is left as it is: what is merged is held in memory.
_ROWS = 1 << 20
_BYTES = 128 << 20
_KINDS = ("events", "keys")


@dataclass(frozen=True)
class Compaction:
    """What a compaction did.

    Attributes:
        segments: Days of which parts were merged.
        files: Parts that were merged.
        into: Parts that they became.
        bytes: Size of the parts that were merged.
        into_bytes: Size of what they became.
        generation: The generation after it.
    """

    segments: tuple[str, ...]
    files: int
    into: int
    bytes: int
    into_bytes: int
    generation: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON data."""
        return {**asdict(self), "segments": list(self.segments)}

    def __str__(self) -> str:
        """Return the figures as a line for people."""
        if not self.files:
            return "nothing to compact: every segment has as few parts as it can have"
        days = f"{len(self.segments):,} segment{'s' * (len(self.segments) != 1)}"
        return (
            f"compacted {self.files:,} parts of {days} into {self.into:,}, "
            f"{self.bytes / 1e6:,.1f} MB into {self.into_bytes / 1e6:,.1f} MB"
        )


def compact(store: SegmentStore, segments: Sequence[str] | None = None) -> Compaction:
    """Merge all parts that fit into one, of all segments or some, in one generation.

    Args:
        store: The workspace's files.
        segments: Days; by default all.

    Raises:
        UnknownNameError: If a day has no segment.
        WriterLockedError: If another process writes to the workspace.
        DiskFullError: If the disk's reserve would be touched: for a while the old parts lie beside the new.
        StorageError: If the disk refuses.
    """
    store.snapshot().require(segments or ())
    with store.writer() as writer:
        transaction = writer.begin()
        fields = transaction.base.manifest.state.get("fields", {})
        groups = [
            group
            for kind in _KINDS
            for group in _fitting(transaction.base.files(kind, segments=segments))
            if len(group) > 1
        ]
        merged = [entry for group in groups for entry in _merge(transaction, group, fields)]
        snapshot = transaction.commit() if groups else transaction.base
    parts = [part for group in groups for part in group]
    return Compaction(
        tuple(sorted({part.segment for part in parts})),
        len(parts),
        len(merged),
        sum(part.bytes for part in parts),
        sum(part.bytes for part in merged),
        snapshot.generation,
    )


def merge_parts(
    transaction: Transaction, segments: Iterable[str], fields: Mapping[str, Mapping[str, FieldType]]
) -> list[FileEntry]:
    """Merge parts of equal size where there are eight of them, in some segments; return the new ones.

    Args:
        transaction: The generation that is being made; what it leaves out already is left alone.
        segments: Days that get events in it.
        fields: The type of each field, by event type.
    """
    days = set(segments)
    groups = [group for kind in _KINDS for group in _crowded(transaction.kept(kind, segments=days))]
    return [entry for group in groups for entry in _merge(transaction, group, fields)]


def _crowded(files: Iterable[FileEntry]) -> list[list[FileEntry]]:
    """Return groups of eight or more files of one segment, name and order of size."""
    groups: dict[tuple[str, str, int], list[FileEntry]] = {}
    for file in files:
        if _is_small(file):
            size = int(np.log(max(file.rows, 1)) / np.log(_FACTOR))
            groups.setdefault((file.segment, file.name, size), []).append(file)
    return [group for group in groups.values() if len(group) >= _FACTOR]


def _fitting(files: Iterable[FileEntry]) -> Iterator[list[FileEntry]]:
    """Yield small files of one segment and name in groups that fit into one, in order of time."""
    groups: dict[tuple[str, str], list[FileEntry]] = {}
    for file in files:
        if _is_small(file):
            groups.setdefault((file.segment, file.name), []).append(file)
    for group in groups.values():
        chosen: list[FileEntry] = []
        for file in sorted(group, key=lambda f: (f.min_ts or 0, f.path)):
            if chosen and not _fits([*chosen, file]):
                yield chosen
                chosen = []
            chosen.append(file)
        yield chosen


def _is_small(file: FileEntry) -> bool:
    return file.rows < _ROWS and file.bytes < _BYTES


def _fits(files: Sequence[FileEntry]) -> bool:
    return sum(file.rows for file in files) <= _ROWS and sum(file.bytes for file in files) <= _BYTES


def _merge(
    transaction: Transaction, parts: Sequence[FileEntry], fields: Mapping[str, Mapping[str, FieldType]]
) -> list[FileEntry]:
    transaction.remove(parts)
    base = transaction.base
    if parts[0].kind == "keys":
        keys = np.concatenate([stored_keys(base.read(part)) for part in parts])
        return [transaction.add("keys", key_table(keys), segment=parts[0].segment)]
    return add_events(transaction, read_documents(base, parts, fields), merged=digest(parts))


def add_events(
    transaction: Transaction, typed: Mapping[str, pl.DataFrame], *, merged: str = ""
) -> list[FileEntry]:
    """Add identified documents as parts of their segments and return these.

    Args:
        transaction: The generation that is being made.
        typed: Documents by event type, with ``_segment``.
        merged: :func:`~workbench.ingest.derive.digest` of the parts that they were in, if they are merged.
    """
    return [_add_part(transaction, *part, merged=merged) for part in _parts(typed)]


def store_anew(
    transaction: Transaction, names: Iterable[str], fields: Mapping[str, Mapping[str, FieldType]]
) -> None:
    """Store the parts of some event types again, a field that became text with the text that it had.

    No reader but this one knows the original text.
    """
    for name in sorted(names):
        for part in transaction.base.files("events", name=name):
            transaction.remove([part])
            add_events(transaction, read_documents(transaction.base, [part], fields))


def submit_events(
    pool: Executor, transaction: Transaction, typed: Mapping[str, pl.DataFrame]
) -> list[Future[FileEntry]]:
    """Begin to add identified documents as parts of their segments, the largest first.

    Args:
        pool: Threads to write with.
        transaction: The generation that is being made.
        typed: Documents by event type, with ``_segment``.
    """
    parts = sorted(_parts(typed), key=lambda part: part[2].height * part[2].width, reverse=True)
    return [pool.submit(_add_part, transaction, *part) for part in parts]


def _parts(typed: Mapping[str, pl.DataFrame]) -> list[tuple[str, str, pl.DataFrame]]:
    return [
        (name, segment, part) for name, frame in sorted(typed.items()) for segment, part in _by_segment(frame)
    ]


def _add_part(
    transaction: Transaction, name: str, segment: str, part: pl.DataFrame, *, merged: str = ""
) -> FileEntry:
    times = part["_ts"].to_physical().to_numpy()
    span = (int(times.min()), int(times.max()))
    ids = part["_id"]
    order = None if ids.is_sorted() else ids.arg_sort().to_numpy()
    table = Stored(part.drop("_segment", "_hash", strict=False), name, order)
    held: dict[str, Any] = {"fields": [c for c in table.column_names if c not in RESERVED]}
    if merged:
        held["merged"] = merged
    return transaction.add("events", table, segment=segment, name=name, times=span, meta=held)


def _by_segment(frame: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    segments = frame["_segment"].unique()
    if len(segments) == 1:
        return [(str(segments[0]), frame)]
    parts = frame.partition_by("_segment", as_dict=True)
    return [(str(segment), part) for (segment,), part in sorted(parts.items())]
