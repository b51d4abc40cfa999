"""A batch: records held in memory until they are published together with their ledger entries."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from workbench.errors import SourceError
from workbench.ingest.quarantine import WHOLE, Quarantined
from workbench.ingest.report import Outcome
from workbench.ingest.workers import workers
from workbench.partials.coded import encoded
from workbench.partials.documents import normalise
from workbench.partials.stored import concat_documents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from workbench.config.entity_schema import EntitySchema
    from workbench.connectors import Chunk
    from workbench.partials.documents import Records
    from workbench.storage import LedgerEntry

__all__ = ["Batch", "Normalised"]


@dataclass(frozen=True)
class _Piece:
    """Consecutive good records of one source with their numbers in it."""

    source: int
    schema: pa.Schema  # as its source has it
    table: pa.Table  # its text encoded
    numbers: NDArray[np.int64]


@dataclass(frozen=True)
class _Rows:
    """Where the records of several pieces come from: the first source, and source and number of each."""

    first: int
    sources: NDArray[np.int32]
    numbers: NDArray[np.int64]

    @classmethod
    def of(cls, pieces: list[_Piece]) -> _Rows:
        sources = [np.full(len(p.numbers), p.source, dtype=np.int32) for p in pieces]
        return cls(pieces[0].source, np.concatenate(sources), np.concatenate([p.numbers for p in pieces]))


@dataclass
class Normalised:
    """A batch after normalisation.

    Attributes:
        frames: Documents without identifiers and final types, by event type.
        references: The same for reference tables.
        ledger: An entry for each source, with its counts.
        quarantined: Records and whole sources that could not be taken.
        findings: Columns whose names are no field names, and what of them goes to quarantine.
        released: Identifiers of what was in quarantine and is outdated by this.
    """

    frames: dict[str, pl.DataFrame] = field(default_factory=dict)
    references: dict[str, pl.DataFrame] = field(default_factory=dict)
    ledger: list[LedgerEntry] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    findings: dict[str, Quarantined] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)

    def outcomes(self, read: Mapping[str, tuple[str, int]]) -> Iterator[Outcome]:
        """Yield what became of each source that is finished.

        Args:
            read: What it is called and the record with which reading began, by the ledger's key.
        """
        reasons = {(q.source_hash, q.name): q.reason for q in self.quarantined if q.offset == WHOLE}
        for entry in self.ledger:
            if entry.status != "partial":
                label, begun = read.get(entry.key, (entry.source, 0))
                status: Literal["quarantined", "stored"] = (
                    "quarantined" if entry.status == "quarantined" else "stored"
                )
                reason = reasons.get((entry.hash, entry.name), "")
                yield Outcome(label, entry.name, status, entry.rows, entry.rejected, begun, reason)


@dataclass
class Batch:
    """Collects chunks of sources up to a number of bytes.

    Chunks of equal columns are normalised together, whatever file they came from: a thousand small
    files cost about as much as one large one.

    Attributes:
        schema: The entity schema.
        max_bad_share: Share of bad records above which a source is quarantined whole.
        max_columns: Most columns that a source may have.
        size: Bytes taken, in memory as the connector gave them.
        held: Bytes held: text is kept as places in lists of its values.
    """

    schema: EntitySchema
    max_bad_share: float
    max_columns: int
    size: int = 0
    held: int = 0
    _opened: list[LedgerEntry] = field(default_factory=list)
    _entries: list[LedgerEntry] = field(default_factory=list)
    _readers: list[str | None] = field(default_factory=list)
    _pieces: list[_Piece] = field(default_factory=list)
    _rejects: dict[int, list[tuple[int, bytes, str]]] = field(default_factory=dict)
    _failed: dict[int, str] = field(default_factory=dict)

    def open(self, entry: LedgerEntry, reader: str | None = None) -> int:
        """Start taking chunks of a source, by what reads it, and return its number in the batch."""
        self._readers.append(reader)
        self._opened.append(entry)
        self._entries.append(entry)
        return len(self._entries) - 1

    def take(self, source: int, chunk: Chunk, start: int) -> None:
        """Add a chunk that began at record ``start``.

        Raises:
            SourceError: If it has more columns than a source may have.
        """
        if chunk.table.num_columns > self.max_columns:
            raise SourceError(
                f"{chunk.table.num_columns} columns, at most {self.max_columns} are allowed.",
                fix="Raise the setting max_columns if that is meant.",
            )
        bad = np.array([r.offset for r in chunk.rejects], dtype=np.int64)
        numbers = np.setdiff1d(np.arange(start, chunk.position, dtype=np.int64), bad, assume_unique=True)
        table = encoded(chunk.table)
        self._pieces.append(_Piece(source, chunk.table.schema.remove_metadata(), table, numbers))
        self.held += table.nbytes + numbers.nbytes
        self._rejects.setdefault(source, []).extend((r.offset, r.original, r.reason) for r in chunk.rejects)
        self._entries[source] = replace(self._entries[source], position=chunk.position)
        self.size += chunk.table.nbytes

    def close(self, source: int) -> None:
        """Note that the source was read to its end."""
        self._entries[source] = replace(self._entries[source], status="done")

    def fail(self, source: int, reason: str) -> None:
        """Note that the source cannot be read: all of it goes to quarantine."""
        self._failed[source] = reason

    def normalise(self, known: Mapping[str, Mapping[str, object]], threads: int = 1) -> Normalised:
        """Turn everything taken into documents.

        Args:
            known: Fields of each event type so far.
            threads: Event types normalised at a time.
        """
        result = Normalised()
        groups: dict[tuple[str, pa.Schema], list[_Piece]] = {}
        for piece in self._pieces:
            if piece.source not in self._failed:
                name = self._entries[piece.source].name
                groups.setdefault((name, piece.schema), []).append(piece)
        self._pieces.clear()
        frames = []
        with workers(threads) as pool:
            jobs = []
            for key in list(groups):
                name, pieces = key[0], groups.pop(key)
                tables = [piece.table for piece in pieces]
                job = pool.submit(self._records, name, tables, known.get(name, {}))
                jobs.append((name, _Rows.of(pieces), job))
                del pieces, tables  # which are let go as soon as their documents are there
            for name, rows, job in jobs:
                frame = self._documents(rows, job.result(), result)
                if frame is not None:
                    frames.append((name, frame))
        self._judge(frames)
        for name, frame in frames:
            kept = frame.filter(~pl.col("_source").is_in(list(self._failed))) if self._failed else frame
            target = result.references if name in self.schema.references else result.frames
            if kept.height:
                target[name] = concat_documents([target[name], kept]) if name in target else kept
        self._account(result)
        return result

    def _records(
        self, name: str, tables: list[pa.Table], known: Mapping[str, object]
    ) -> Records | SourceError:
        try:
            return normalise(tables, name, self.schema, known=known, timeless=name in self.schema.references)
        except SourceError as error:
            return error

    def _documents(
        self, rows: _Rows, records: Records | SourceError, result: Normalised
    ) -> pl.DataFrame | None:
        """Return the documents of a group, with ``_source``; note what is none."""
        sources, numbers = rows.sources, rows.numbers
        if isinstance(records, SourceError):
            for source in set(sources.tolist()):
                self._failed[source] = str(records)
            return None
        for finding in records.findings:
            odd = self._quarantined(rows.first, None, finding)
            result.findings.setdefault(finding, odd)
        bad = np.array([row for row, _, _ in records.rejects], dtype=np.int64)
        for row, original, reason in records.rejects:
            self._rejects.setdefault(int(sources[row]), []).append((int(numbers[row]), original, reason))
        return records.frame.with_columns(pl.Series("_source", np.delete(sources, bad)))

    def _judge(self, frames: list[tuple[str, pl.DataFrame]]) -> None:
        """Quarantine as a whole each source of which too large a share is bad."""
        good = np.zeros(len(self._entries), dtype=np.int64)
        for _, frame in frames:
            good += np.bincount(frame["_source"].to_numpy(), minlength=len(good))
        for source, rejects in self._rejects.items():
            before = self._opened[source]
            bad = before.rejected + len(rejects)
            total = bad + before.rows + int(good[source])
            if source not in self._failed and rejects and bad > self.max_bad_share * total:
                first = min(rejects)
                self._failed[source] = (
                    f"{bad:,} of {total:,} records are bad, more than {self.max_bad_share:.0%}; "
                    f"the first is record {first[0]}: {first[2]}"
                )
        self._good = good

    def _account(self, result: Normalised) -> None:
        for number, entry in enumerate(self._entries):
            if number in self._failed:
                # what earlier batches published of it stays, and is not read again
                before, reason = self._opened[number], self._failed[number]
                if before.position:
                    reason = f"from record {before.position:,} on, {before.rows:,} are stored: {reason}"
                result.quarantined.append(self._quarantined(number, WHOLE, reason))
                result.ledger.append(replace(before, status="quarantined"))
                continue
            rejects = sorted(self._rejects.get(number, ()))
            result.quarantined += [
                self._quarantined(number, offset, reason, original) for offset, original, reason in rejects
            ]
            rows = entry.rows + int(self._good[number])
            result.ledger.append(replace(entry, rows=rows, rejected=entry.rejected + len(rejects)))

    def _quarantined(
        self, source: int, offset: int | None, reason: str, original: bytes = b""
    ) -> Quarantined:
        entry = self._entries[source]
        reader = self._readers[source]
        return Quarantined(entry.source, entry.hash, entry.name, offset, reason, original, reader)
