"""Sources read once more: what a damaged file held, from where the ledger says that it came."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import xxhash

from workbench.connectors import connectors
from workbench.errors import SourceError, WorkbenchError
from workbench.ingest.batch import Batch
from workbench.ingest.forgotten import Forgotten
from workbench.ingest.sources import find_inputs
from workbench.partials.documents import type_fields
from workbench.partials.names import day_of
from workbench.partials.stored import concat_documents

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from workbench.config.entity_schema import EntitySchema
    from workbench.connectors import Chunk
    from workbench.partials.types import FieldType
    from workbench.settings import Settings
    from workbench.storage import LedgerEntry, Manifest

__all__ = ["Reader"]

_CHUNK = 64 << 20
_HELD = 384 << 20
_BLOCK = 1 << 20
_FAR = 1 << 30


class Reader:
    """Reads the sources of a ledger again, each where it lay or where it lies now.

    Args:
        manifest: The generation whose ledger counts.
        schema: The entity schema.
        settings: The most columns that a source may have.
        places: Files and directories in which sources may lie now.
    """

    def __init__(
        self, manifest: Manifest, schema: EntitySchema, settings: Settings, places: Iterable[Path]
    ) -> None:
        self._schema = schema
        self._settings = settings
        self._fields: Mapping[str, Mapping[str, FieldType]] = manifest.state.get("fields", {})
        self._ledger = [e for e in manifest.ledger.values() if e.rows]
        self._forgotten = Forgotten(manifest.state)
        self._places = _by_size(places)
        self._files: dict[tuple[Path, int], str] = {}

    def named(self, name: str) -> list[LedgerEntry]:
        """Return the sources of an event type or reference, in the order in which they were read."""
        return [entry for entry in self._ledger if entry.name == name]

    def documents(
        self, name: str, days: Sequence[str], gone: dict[str, str]
    ) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield sources of an event type with their documents of some days, those that speak of them first.

        Documents have their final types and no identifiers.

        Args:
            name: The event type.
            days: The segments.
            gone: Is told which source cannot be read again, and why.
        """
        for entry in sorted(self.named(name), key=lambda e: _distance(e.source, days)):
            frame, why = self._read(entry, days)
            if why:
                gone[entry.source] = why
            elif frame is not None and frame.height:
                yield entry.source, frame

    def records(self, entry: LedgerEntry) -> tuple[pl.DataFrame | None, str]:
        """Return the records of one source of a reference, or None and why there are none."""
        return self._read(entry, None)

    def _read(self, entry: LedgerEntry, days: Collection[str] | None) -> tuple[pl.DataFrame | None, str]:
        path = self._find(entry)
        if path is None:
            return None, "nothing with the bytes that were read is there any more"
        why = ""
        for begin in self._begins(path, entry):
            try:
                frames, rows = self._normalised(path, entry, days, begin)
            except (WorkbenchError, OSError) as error:
                return None, f"it cannot be read again: {error}"
            if rows == entry.rows:
                return (concat_documents(frames) if frames else None), ""
            why = why or f"it gives {rows:,} records where it gave {entry.rows:,}, as with other options"
        return None, why

    def _normalised(
        self, path: Path, entry: LedgerEntry, days: Collection[str] | None, begin: int
    ) -> tuple[list[pl.DataFrame], int]:
        """Return the good records of a source, those of some days alone, and how many there are in all."""
        reader = _connector(entry.source)
        inputs, _ = find_inputs([path], self._schema.event_names, event_type=entry.name, connector=reader)
        if not inputs:
            raise SourceError("no connector reads files of that name.")
        (item,) = inputs
        frames = []
        rows = 0
        for batch in self._batches(item.read(begin, _CHUNK), entry, begin):
            result = batch.normalise(self._fields)
            for frame in (*result.frames.values(), *result.references.values()):
                rows += frame.height
                frames.append(self._typed(frame.drop("_source"), entry.name, days))
        return frames, rows

    def _typed(self, frame: pl.DataFrame, name: str, days: Collection[str] | None) -> pl.DataFrame:
        if days is None:
            return self._forgotten.without(frame, name, self._schema)
        typed = type_fields(frame, self._fields.get(name, {}), self._schema)
        if typed.widened:
            raise SourceError(f"{', '.join(typed.widened)} would have another type than it has.")
        day = pl.col("_ts").dt.strftime("%Y-%m-%d").alias("_segment")
        frame = typed.frame.with_columns(day).filter(pl.col("_segment").is_in(list(days)))
        return self._forgotten.without(frame, name, self._schema)

    def _begins(self, path: Path, entry: LedgerEntry) -> list[int]:
        """Return the record with which reading a file may have begun: behind what was read of it earlier."""
        folder = Path(entry.source).parent
        parts = [
            e.position
            for e in self._ledger
            if e.name == entry.name
            and e.bytes < entry.bytes
            and Path(e.source).parent == folder
            and self._hash(path, e) == e.hash
        ]
        # a last record that was not whole then was read again
        return [max(parts), max(parts) - 1, 0] if parts else [0]

    def _batches(self, chunks: Iterable[Chunk], entry: LedgerEntry, begin: int) -> Iterator[Batch]:
        """Yield what is read, as much at a time as fits, up to where it was read before."""
        batch, position, number = None, begin, 0
        for chunk in chunks:
            if position >= entry.position:
                break
            if batch is None:
                # which share of it was bad has been judged
                batch = Batch(self._schema, 1.0, self._settings.max_columns)
                number = batch.open(entry)
            batch.take(number, _until(chunk, position, entry.position), position)
            position = chunk.position
            if batch.held >= _HELD:
                yield batch
                batch = None
        if batch is not None:
            yield batch

    def _find(self, entry: LedgerEntry) -> Path | None:
        paths = [Path(entry.source), *self._places.get(entry.bytes, [])]
        for path in paths:
            if (
                path.is_file()
                and path.stat().st_size >= entry.bytes
                and self._hash(path, entry) == entry.hash
            ):
                return path
        return None

    def _hash(self, path: Path, entry: LedgerEntry) -> str:
        """Return the hash of as many bytes of a file as the source had; more may have been appended since."""
        key = (path, entry.bytes)
        if key not in self._files:
            digest, rest = xxhash.xxh3_128(), entry.bytes
            try:
                with path.open("rb") as file:
                    while rest and (block := file.read(min(_BLOCK, rest))):
                        digest.update(block)
                        rest -= len(block)
            except OSError:
                return ""
            self._files[key] = digest.hexdigest()
        return self._files[key]


def _connector(source: str) -> str | None:
    """Return what reads a file of a source's name, whatever the name is under which it lies now."""
    known = {suffix: name for name in connectors.names() for suffix in connectors.load(name).suffixes}
    suffix = max((s for s in known if source.lower().endswith(s)), key=len, default="")
    return known.get(suffix)


def _until(chunk: Chunk, start: int, end: int) -> Chunk:
    """Return the records of a chunk before ``end``: more may have been appended since."""
    if chunk.position <= end:
        return chunk
    rejects = tuple(reject for reject in chunk.rejects if reject.offset < end)
    return replace(
        chunk, table=chunk.table.slice(0, end - start - len(rejects)), position=end, rejects=rejects
    )


def _distance(source: str, days: Sequence[str]) -> int:
    """Return how many days a source's path is away from the nearest of some days; many if it names none."""
    named = re.sub(r"\D", "", day_of(Path(source)))
    try:
        day = date(int(named[:4]), int(named[4:6]), int(named[6:8])).toordinal()
    except ValueError:
        return _FAR
    return min(abs(day - date.fromisoformat(wanted).toordinal()) for wanted in days)


def _by_size(places: Iterable[Path]) -> dict[int, list[Path]]:
    found: dict[int, list[Path]] = {}
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file():
                found.setdefault(path.stat().st_size, []).append(path)
    return found
