"""Single documents by their address, without their neighbours being read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from workbench.errors import UnknownNameError, UsageError
from workbench.partials.stored import EXTRA, align, concat_documents
from workbench.partials.types import polars_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from workbench.partials.types import FieldType
    from workbench.storage import FileEntry, Snapshot

__all__ = ["Document", "document_at", "find_document", "find_documents", "parse_address", "scan"]

# Rows that lie between two wanted ones and are read with them: to begin anew takes as long.
_NEAR = 1 << 11
_FEW = 12  # runs of rows of a row group that are read for themselves
_SCANS = 256  # whose footers are kept decoded, a month of four event types and its sightings
_LARGEST_ID = 2**63 - 1


def parse_address(address: str) -> tuple[str, int]:
    """Return segment and identifier.

    Raises:
        UsageError: If it is no address.

    >>> parse_address("2013-02-08/17")
    ('2013-02-08', 17)
    """
    segment, slash, number = address.partition("/") if isinstance(address, str) else ("", "", "")  # type: ignore[redundant-expr]
    if not slash or not number.isdecimal() or len(number) > 19 or int(number) > _LARGEST_ID:
        raise UsageError(f"{address!r} is not an address.", fix="Write it segment/_id, as results do.")
    return segment, int(number)


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


def document_at(
    snapshot: Snapshot, address: str, fields: Mapping[str, Mapping[str, FieldType]], timezone: str
) -> Document:
    """Return the document at ``segment/_id``, its time in ``timezone``.

    Raises:
        UsageError: If the address is not written so.
        UnknownNameError: If there is no such document.
    """
    found = find_document(snapshot, *parse_address(address), fields, timezone)
    if found is None:
        raise UnknownNameError("document", address, fix="It may have been evicted, or never have been.")
    return found


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
        for run in _runs(snapshot, entry, np.array([identifier])):
            frame = run.collect()
            if frame.height:
                return _document(frame, entry, fields.get(entry.name, {}), timezone)
    return None


def _document(frame: pl.DataFrame, entry: FileEntry, kinds: Mapping[str, FieldType], zone: str) -> Document:
    """Return a frame of one row as a document; only what has a value is looked at."""
    row = {name: value for name, value in frame.row(0, named=True).items() if value is not None}
    stored = frame.schema
    drifted = [name for name in row if name in kinds and not _is_stored_as(stored[name], kinds[name])]
    if drifted:
        beside = [name for name in ("_original",) if name in row]
        row |= align(_plain(frame.select(*drifted, *beside)), kinds).row(0, named=True)
    original = row.pop("_original", {})
    extra = _plain(frame.select("_extra"))["_extra"][0] if row.pop("_extra", None) else ()
    return Document(
        f"{entry.segment}/{row.pop('_id')}",
        entry.name,
        row.pop("_ts").astimezone(ZoneInfo(zone)),
        {name: value for name, value in row.items() if value is not None and name != "_type"},
        {name: text for name, text in original.items() if text is not None},
        {pair["key"]: pair["value"] for pair in extra},
    )


def _is_stored_as(stored: pl.DataType, kind: FieldType) -> bool:
    return stored == polars_type(kind) or (kind == "string" and stored == pl.Categorical())


def find_documents(
    snapshot: Snapshot, wanted: pl.DataFrame, fields: Mapping[str, Mapping[str, FieldType]]
) -> dict[str, pl.DataFrame]:
    """Return some stored documents by event type, with column ``_segment``.

    Args:
        snapshot: The generation.
        wanted: Their ``segment``, ``event_type`` and ``_id``.
        fields: The type of each field, by event type.
    """
    groups = wanted.partition_by("segment", "event_type", as_dict=True)
    files = [
        (entry, list(_runs(snapshot, entry, part["_id"].to_numpy())))
        for (segment, name), part in sorted(groups.items())
        for entry in snapshot.files("events", segments=[segment], name=name)
    ]
    frames = iter(pl.collect_all([run for _, runs in files for run in runs]))
    found: dict[str, list[pl.DataFrame]] = {}
    for entry, runs in files:
        held = [frame for frame in islice(frames, len(runs)) if frame.height]
        if held:
            whole = align(_plain(pl.concat(held)), fields.get(entry.name, {}))
            found.setdefault(entry.name, []).append(whole.with_columns(_segment=pl.lit(entry.segment)))
    return {name: concat_documents(frames) for name, frames in found.items()}


def _runs(snapshot: Snapshot, entry: FileEntry, identifiers: NDArray[np.int64]) -> Iterator[pl.LazyFrame]:
    """Yield what reads those documents of a file that have one of some identifiers, a run of rows each."""
    wanted = pl.col("_id").is_in(identifiers.tolist())
    for _, start, rows in snapshot.rows(entry, identifiers):
        runs = np.split(rows, np.flatnonzero(np.diff(rows) > _NEAR) + 1)
        for run in runs if len(runs) <= _FEW else [rows]:
            first, last = int(run[0]), int(run[-1])
            # polars decodes some pages of each column, pyarrow the columns' whole groups
            yield scan(snapshot.path(entry)).slice(start + first, last - first + 1).filter(wanted)


@lru_cache(_SCANS)
def scan(path: Path) -> pl.LazyFrame:
    """Return a file to be read in pieces, whose footer is decoded once: files are immutable."""
    return pl.scan_parquet(path, glob=False, hive_partitioning=False)


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Return stored documents with text as text and ``_extra`` as a list."""
    # column by column: a query over a frame of one row costs more than the row
    kept = [column for column in frame.get_columns() if column.name != "_type"]
    frame = pl.DataFrame([c.cast(pl.String) if c.dtype == pl.Categorical() else c for c in kept])
    return frame.cast({"_extra": EXTRA}) if "_extra" in frame.columns else frame
