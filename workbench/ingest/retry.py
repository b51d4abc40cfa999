"""Quarantine, once more: what can be read by now becomes documents, the rest stays with its new reason."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from workbench.connectors import Source, connectors
from workbench.errors import SourceError, UnknownNameError
from workbench.ingest import quarantine
from workbench.ingest.batch import Normalised
from workbench.ingest.columns import within
from workbench.ingest.quarantine import STREAMED, Quarantined
from workbench.ingest.report import IngestReport
from workbench.ingest.sources import find_inputs
from workbench.ingest.stream_checkpoint import bounds_of
from workbench.ingest.stream_documents import TOO_EARLY
from workbench.partials.documents import DAY_US, normalise
from workbench.partials.stored import concat_documents
from workbench.progress import Update, silent
from workbench.storage.files import hash_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from workbench.ingest.pipeline import Ingest, Run
    from workbench.progress import Progress

__all__ = ["RetryReport", "retry"]

_TOO_OLD = "its time is older than the window"


@dataclass
class RetryReport:
    """What a retry did, or would do.

    Attributes:
        dry_run: Whether nothing was stored.
        records: Records that were tried one by one.
        sources: Sources that were tried as a whole.
        rows: Documents stored, by event type.
        references: Rows stored, by reference table.
        days: Documents stored, by segment.
        quarantined: Records that stay, by reason.
        quarantined_files: Sources that stay as a whole, with the reason.
        left: What was not tried, with the reason.
        seconds: Wall time.
        generation: The generation after it.
    """

    dry_run: bool = False
    records: int = 0
    sources: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    references: Counter[str] = field(default_factory=Counter)
    days: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    quarantined_files: dict[str, str] = field(default_factory=dict)
    left: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    generation: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON data."""
        data = asdict(self)
        for name in ("rows", "references", "days", "quarantined", "left"):
            data[name] = dict(sorted(getattr(self, name).items()))
        return data

    def __str__(self) -> str:
        """Return the report as a few lines for people."""
        verb = "would store" if self.dry_run else "stored"
        tried = f"{self.records:,} records and {self.sources:,} sources in quarantine"
        lines = [f"{verb} {sum(self.rows.values()):,} documents of {tried}, {self.seconds:.1f} s"]
        lines += [f"  {name}: {n:,}" for name, n in sorted(self.rows.items())]
        lines += [f"  {name}: {n:,} reference rows" for name, n in sorted(self.references.items())]
        lines += [
            f"stays as a whole: {path}: {reason.removeprefix(f'{path}: ')}"
            for path, reason in sorted(self.quarantined_files.items())
        ]
        lines += [f"stays: {n:,} records: {reason}" for reason, n in self.quarantined.most_common()]
        lines += [f"not tried: {n:,}: {reason}" for reason, n in self.left.most_common()]
        return "\n".join(lines)


class _Piece(NamedTuple):
    """Records that can be read by now, and the place of each among those that were tried."""

    table: pa.Table
    places: np.ndarray[tuple[int], np.dtype[np.int64]]


class _Group(NamedTuple):
    """Records of one source and event type."""

    source: str
    hash: str
    name: str
    reader: str | None
    records: list[Quarantined]

    @property
    def streamed(self) -> bool:
        return self.hash.startswith(STREAMED)


def retry(  # noqa: PLR0913  (the options of one command)
    ingest: Ingest,
    wanted: Iterable[str] = (),
    *,
    dry_run: bool = False,
    connector: str | None = None,
    options: Mapping[str, Any] | None = None,
    clock: Callable[[], datetime] | None = None,
    progress: Progress = silent,
) -> RetryReport:
    """Read what is in quarantine again: whole sources, and single records from their source or their bytes.

    What becomes documents leaves quarantine in the same generation.

    Args:
        ingest: The workspace's ingest, with the schema and the settings of today.
        wanted: Identifiers and sources; by default everything.
        dry_run: Do everything but store.
        connector: What reads whole sources; by default what read them before.
        options: Its reading options; by default those from before.
        clock: Says which streamed events are still ahead of their time; by default the wall clock.
        progress: Told as it goes on.

    Raises:
        UnknownNameError: If there is nothing of a name in quarantine.
        WriterLockedError: If another process writes to the workspace.
    """
    start = time.perf_counter()
    inner = IngestReport(dry_run=dry_run)
    result = RetryReport(dry_run=dry_run)
    with ingest.begun(inner) as run:
        run.progress = progress
        table = quarantine.choose(quarantine.read(run.snapshot()), wanted)
        rows = [Quarantined(**row) for row in table.drop_columns(["id", "kind"]).to_pylist()]
        columns = sum(row.offset is None for row in rows)
        if columns:
            result.left["a column's name; its values are in the documents' _extra"] = columns
        whole = [row for row in rows if row.offset == quarantine.WHOLE]
        result.sources = len(whole)
        run.total = len(whole)
        for row in whole:
            run.tick()
            _read_source(run, row, connector, options)
            run.done += 1
        run.flush()
        records = _Records(run, clock() if clock else datetime.now(UTC), progress)
        records.read(_groups(rows), result)
        result.records = records.number
    result.rows, result.references, result.days = inner.rows, inner.references, inner.days
    result.quarantined, result.quarantined_files = inner.quarantined, inner.quarantined_files
    result.generation = ingest.store.snapshot().generation
    result.seconds = time.perf_counter() - start
    return result


def _read_source(
    run: Run, row: Quarantined, connector: str | None, options: Mapping[str, Any] | None
) -> None:
    """Read a source again that is in quarantine as a whole."""
    via, known = json.loads(row.reader) if row.reader else (None, {})
    if connector is not None:
        via, known = connector, {}
    path = Path(row.source)
    problem = "" if path.is_file() else "the source is no longer there"
    if not problem:
        names = run.schema.event_names
        given = known if options is None or not options else options
        inputs, _ = find_inputs([path], names, event_type=row.name, connector=via, options=given)
        try:
            if not inputs:
                problem = "no connector reads it"
            elif inputs[0].hash() != row.source_hash:
                problem = "the file has other bytes by now: ingest it"
            else:
                run.read(inputs[0])
        except SourceError as error:
            problem = str(error)
    if problem:
        run.report.quarantined_files[row.source] = problem


def _groups(rows: Sequence[Quarantined]) -> list[_Group]:
    groups: dict[tuple[str, str, str | None], _Group] = {}
    for row in rows:
        if row.offset is None or row.offset == quarantine.WHOLE:
            continue
        key = (row.source_hash, row.name, row.reader)
        group = groups.setdefault(key, _Group(row.source, row.source_hash, row.name, row.reader, []))
        group.records.append(row)
    return list(groups.values())


class _Records:
    """Single records on their way out of quarantine: one generation for all of them."""

    def __init__(self, run: Run, now: datetime, progress: Progress) -> None:
        self.run = run
        self.progress = progress
        self.number = 0
        self.found = Normalised()
        streamed = bounds_of(run.settings, now)
        self._newest, self._oldest = streamed.newest, streamed.oldest

    def read(self, groups: Sequence[_Group], result: RetryReport) -> None:
        """Read all groups, and store what can be stored."""
        for done, group in enumerate(groups):
            self.progress(Update("retry", done, len(groups), "sources"))
            if group.name in self.run.schema.references:
                result.left["of a reference table, which is ingested as a whole"] += len(group.records)
                continue
            self.number += len(group.records)
            self._read_group(group)
        if groups:
            self.progress(Update("retry", len(groups), len(groups), "sources"))
        self.run.store(self.found)

    def _read_group(self, group: _Group) -> None:
        reasons: dict[int, str] = {}
        frames = []
        for piece in _pieces(group, reasons):
            frame = self._documents(group, piece, reasons)
            if frame is not None and frame.height:
                frames.append(frame)
        good = concat_documents(frames) if frames else None
        stored = set() if good is None else set(good["_place"].to_list())
        for place, record in enumerate(group.records):
            self.found.released.add(record.id)
            if place not in stored:
                reason = reasons.get(place, "it was not found in its source")
                self.found.quarantined.append(record._replace(reason=reason))
        if good is None:
            return
        frame = good.drop("_place").with_columns(_source=pl.lit(0, pl.Int32))
        held = self.found.frames
        held[group.name] = concat_documents([held[group.name], frame]) if group.name in held else frame
        self._account(group, len(stored))

    def _documents(self, group: _Group, piece: _Piece, reasons: dict[int, str]) -> pl.DataFrame | None:
        """Return documents with ``_place``; note the reason of what is none."""
        known = self.run.fields.get(group.name, {})
        table, rows, over = within(piece.table, self.run.settings.max_columns, known)
        reasons.update({int(piece.places[row]): reason for row, reason in over.items()})
        if not table.num_rows:
            return None
        places = piece.places[rows]
        try:
            records = normalise(table, group.name, self.run.schema, known=known)
        except SourceError as error:
            reasons.update(dict.fromkeys(places.tolist(), str(error)))
            return None
        for row, _, reason in records.rejects:
            reasons[int(places[row])] = reason
        bad = np.array([row for row, _, _ in records.rejects], dtype=np.int64)
        frame = records.frame.with_columns(pl.Series("_place", np.delete(places, bad)))
        return self._in_time(group, frame, reasons)

    def _in_time(self, group: _Group, frame: pl.DataFrame, reasons: dict[int, str]) -> pl.DataFrame:
        times = frame["_ts"].to_physical()
        newest = self._newest if group.streamed else np.iinfo(np.int64).max
        oldest = self._oldest if group.streamed else self._horizon(frame)
        for mask, reason in ((times > newest, TOO_EARLY), (times < oldest, _TOO_OLD)):
            reasons.update(dict.fromkeys(frame["_place"].filter(mask).to_list(), reason))
        return frame.filter((times <= newest) & (times >= oldest))

    def _horizon(self, frame: pl.DataFrame) -> int:
        window = self.run.settings.window
        times = [f.max_ts for f in self.run.snapshot().files("events") if f.max_ts is not None]
        if window == "all" or not frame.height:
            return int(np.iinfo(np.int64).min)
        newest = max([*times, int(frame["_ts"].to_physical().max())])  # type: ignore[arg-type]
        return (newest // DAY_US - window + 1) * DAY_US

    def _account(self, group: _Group, stored: int) -> None:
        for entry in self.run.ledger.values():
            if (entry.hash, entry.name) == (group.hash, group.name):
                rows, rejected = entry.rows + stored, entry.rejected - stored
                self.found.ledger.append(replace(entry, rows=rows, rejected=rejected))


def _pieces(group: _Group, reasons: dict[int, str]) -> Iterator[_Piece]:
    """Read records from their source if it is as it was, else from the bytes that were kept."""
    path = Path(group.source)
    try:
        same = not group.streamed and path.is_file() and hash_file(path) == group.hash
    except OSError:
        same = False
    if not same:
        yield from _from_bytes(group, reasons)
        return
    via, options = json.loads(group.reader) if group.reader else (None, {})
    try:
        (item,), _ = find_inputs([path], {}, event_type=group.name, connector=via, options=options)
        places = {int(record.offset or 0): place for place, record in enumerate(group.records)}
        yield from _wanted(item.read(min(places), 64 << 20), min(places), places, reasons)
    except (SourceError, UnknownNameError, ValueError) as error:
        for place in range(len(group.records)):
            reasons.setdefault(place, str(error))


def _from_bytes(group: _Group, reasons: dict[int, str]) -> Iterator[_Piece]:
    """Read what was kept of each record as a line of JSON: how streams and typed formats keep them."""
    lines = [record.original.replace(b"\n", b" ").replace(b"\r", b" ").strip() for record in group.records]
    places = []
    for place, line in enumerate(lines):
        if line.startswith(b"{"):
            places.append(place)
        else:
            reasons[place] = (
                group.records[place].reason
                if group.streamed
                else "its source is no longer there as it was, and its bytes alone do not say their columns"
            )
    if not places:
        return
    descriptor = os.memfd_create("workbench-retry")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.writelines(lines[place] + b"\n" for place in places)
        source = Source(group.source, Path(f"/proc/self/fd/{descriptor}"))
        chunks = connectors.create("jsonl").read(source)
        yield from _wanted(chunks, 0, dict(enumerate(places)), reasons)
    finally:
        os.close(descriptor)


def _wanted(
    chunks: Iterable[Any], start: int, places: Mapping[int, int], reasons: dict[int, str]
) -> Iterator[_Piece]:
    """Yield the records of some numbers, with their places; note the reason of those that are bad."""
    numbers = np.array(sorted(places), dtype=np.int64)
    for chunk in chunks:
        bad = np.array([reject.offset for reject in chunk.rejects], dtype=np.int64)
        for reject in chunk.rejects:
            if reject.offset in places:
                reasons[places[reject.offset]] = reject.reason
        good = np.setdiff1d(np.arange(start, chunk.position, dtype=np.int64), bad, assume_unique=True)
        rows = np.flatnonzero(np.isin(good, numbers))
        if len(rows):
            yield _Piece(chunk.table.take(rows), np.array([places[int(n)] for n in good[rows]]))
        start = chunk.position
        if start > numbers[-1]:
            return
