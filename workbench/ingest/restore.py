"""What damaged files held, found again among what their sources give: exactly that, or it is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.partials.documents import assign_ids, type_fields
from workbench.partials.names import RESERVED
from workbench.partials.stored import concat_documents, to_arrow
from workbench.storage.files import hash_bytes
from workbench.storage.writer import encoded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from workbench.config.entity_schema import EntitySchema
    from workbench.ingest.reread import Reader
    from workbench.storage import FileEntry, Snapshot

__all__ = ["Lost", "Restored", "restore_documents", "restore_table"]


@dataclass(frozen=True)
class Lost:
    """A file that is damaged, and how many of its rows are lost: fewer, if some came back before."""

    entry: FileEntry
    rows: int


@dataclass
class Restored:
    """What came back of some files of one segment and event type, or of one reference table.

    Attributes:
        files: Files of which the very bytes came back, with these.
        found: Paths of the files that came back whole, with their sources.
        frame: Documents of the others, with ``_id`` and ``_segment``; None if there are none.
        table: The reference table.
        sources: Where the documents of ``frame`` come from.
        reason: Why some do not come back; empty where all do.
    """

    files: list[tuple[FileEntry, memoryview]] = field(default_factory=list)
    found: dict[str, tuple[str, ...]] = field(default_factory=dict)
    frame: pl.DataFrame | None = None
    table: pa.Table | None = None
    sources: tuple[str, ...] = ()
    reason: str = ""

    @property
    def part(self) -> int:
        """Return how many documents came back of files that did not whole, or not with their bytes."""
        return 0 if self.frame is None else self.frame.height

    @property
    def is_empty(self) -> bool:
        """Return whether nothing came back."""
        return not self.files and self.frame is None and self.table is None


def restore_documents(
    base: Snapshot, reader: Reader, name: str, lost: Sequence[Lost], damaged: set[str]
) -> dict[str, Restored]:
    """Return by segment what the sources of an event type give again of damaged files.

    A document comes back if it is in a source and in no whole file; more than was lost never does.

    Args:
        base: The generation.
        reader: Reads the sources.
        name: The event type.
        lost: The damaged files, or what is missing of them.
        damaged: Paths of all damaged files.
    """
    by_day: dict[str, _Day] = {}
    for item in lost:
        day = item.entry.segment
        if day not in by_day:
            by_day[day] = _Day(*_stored_ids(base, day, name, damaged))
        by_day[day].lost.append(item)
    gone: dict[str, str] = {}
    for source, frame in reader.documents(name, sorted(by_day), gone):
        for day, found in by_day.items():
            found.take(name, source, frame.filter(pl.col("_segment") == day))
        if all(found.is_whole for found in by_day.values()):
            break
    for found in by_day.values():
        found.explain(gone)
    return {day: found.result for day, found in by_day.items()}


@dataclass
class _Day:
    """One segment of which documents of one type are lost: the identifiers that its whole files hold."""

    own: NDArray[np.int64]
    others: NDArray[np.int64]
    lost: list[Lost] = field(default_factory=list)
    frames: dict[str, pl.DataFrame] = field(default_factory=dict)
    result: Restored = field(default_factory=Restored)
    _found: list[NDArray[np.int64]] = field(default_factory=list)

    @property
    def left(self) -> list[Lost]:
        """Return the files whose bytes have not come back."""
        found = {entry.path for entry, _ in self.result.files}
        return [x for x in self.lost if x.entry.path not in found]

    @property
    def wanted(self) -> int:
        """Return how many documents these held."""
        return sum(x.rows for x in self.left)

    @property
    def is_whole(self) -> bool:
        return self.result.part == self.wanted

    def take(self, name: str, source: str, frame: pl.DataFrame) -> None:
        """Look for what is lost in one source more."""
        if not frame.height:
            return
        self.frames[source] = frame
        for x in self.left:
            if x.rows == x.entry.rows and (data := self._bytes(name, frame, x.entry)) is not None:
                self.result.files.append((x.entry, data))
                self._found.append(pq.read_table(pa.BufferReader(data), columns=["_id"])["_id"].to_numpy())
                self.result.found[x.entry.path] = (source,)
                break
        self.result.frame, self.result.sources, self.result.reason = None, (), ""
        if self.left:
            self._rest(self.left)

    def _bytes(self, name: str, frame: pl.DataFrame, entry: FileEntry) -> memoryview | None:
        """Return the bytes of a file if a source gives just these."""
        frame = self._new(frame)
        if frame.height != entry.rows:
            return None
        data = encoded(to_arrow(frame.sort("_id").drop("_segment", "_hash"), name))
        return data if hash_bytes(data) == entry.hash else None

    def _new(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return documents with identifiers, without those that are in whole files."""
        frame = frame.with_columns(assign_ids(frame, np.empty(0, np.int64)))
        known = np.concatenate([self.own, *self._found])
        return frame.filter(~pl.Series(np.isin(frame["_id"].to_numpy(), known)))

    def _rest(self, left: Sequence[Lost]) -> None:
        """Look for the files whose bytes no source gives in all sources together."""
        result = self.result
        frame = concat_documents([f.with_columns(_from=pl.lit(s)) for s, f in self.frames.items()])
        frame = self._new(frame)
        frame = frame.filter(pl.col("_ts").to_physical().is_between(*_span(left)))
        result.reason = _unlike(frame, left, self.wanted)
        if result.reason or not frame.height:
            return
        if np.isin(frame["_id"].to_numpy(), self.others).any():
            frame = frame.with_columns(assign_ids(frame, np.concatenate([self.own, self.others])))
        result.sources = tuple(sorted(frame["_from"].unique()))
        result.frame = frame.drop("_from", "_hash")

    def explain(self, gone: Mapping[str, str]) -> None:
        """Say which files came back, and why others did not."""
        result = self.result
        if self.is_whole:
            result.found |= {x.entry.path: result.sources for x in self.left}
        elif not result.reason:
            result.reason = _reason(gone)


def _stored_ids(
    base: Snapshot, day: str, name: str, damaged: set[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the identifiers in a segment's whole files: those of an event type, and of the others."""
    parts: dict[bool, list[NDArray[np.int64]]] = {True: [], False: []}
    for entry in base.files("events", segments=[day]):
        if entry.path not in damaged:
            parts[entry.name == name].append(base.read(entry, columns=["_id"])["_id"].to_numpy())
    own, others = (np.concatenate([np.empty(0, np.int64), *parts[mine]]) for mine in (True, False))
    return own, others


def _span(lost: Sequence[Lost]) -> tuple[int, int]:
    """Return the earliest and the latest time of what was lost."""
    return min(x.entry.min_ts or 0 for x in lost), max(x.entry.max_ts or 0 for x in lost)


def _unlike(frame: pl.DataFrame, lost: Sequence[Lost], wanted: int) -> str:
    """Return why documents cannot be those that were lost."""
    if frame.height > wanted:
        return f"its sources hold {frame.height - wanted:,} documents more than it did"
    had = {f for x in lost for f in x.entry.meta["fields"]}
    fields = {c for c in frame.columns if c not in (*RESERVED, "_from", "_hash")}
    fields = {f for f in fields if frame[f].null_count() < frame.height}
    complete = frame.height == sum(x.entry.rows for x in lost)
    if fields - had or (complete and fields != had):
        return f"its sources give other fields: {', '.join(sorted(fields ^ had))}"
    times = frame["_ts"].to_physical()
    if complete and (times.min(), times.max()) != _span(lost):
        return "its sources give other times"
    return ""


def _reason(gone: Mapping[str, str]) -> str:
    if not gone:
        return "no source of them is known, as of streamed events"
    source, why = next(iter(gone.items()))
    more = f" and of {len(gone) - 1:,} more" if len(gone) > 1 else ""
    return f"of its source {source}{more} {why}"


def restore_table(reader: Reader, lost: Lost, schema: EntitySchema) -> Restored:
    """Return a reference table, of the sources that were read last under its name."""
    result = Restored()
    frames: list[pl.DataFrame] = []
    taken: list[str] = []
    for entry in reversed(reader.named(lost.entry.name)):
        frame, why = reader.records(entry)
        if frame is None:
            result.reason = _reason({entry.source: why})
            return result
        frames.insert(0, frame)
        taken.insert(0, entry.source)
        if sum(f.height for f in frames) >= lost.rows:
            break
    rows = sum(f.height for f in frames)
    if rows != lost.rows:
        result.reason = f"its sources give {rows:,} rows, it had {lost.rows:,}"
        return result
    typed = type_fields(concat_documents(frames), {}, schema).frame.drop("_hash", "_ts", strict=False)
    result.table = typed.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
    result.found[lost.entry.path] = tuple(taken)
    return result
