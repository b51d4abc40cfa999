"""Forgetting: everything about one entity leaves the workspace in one generation, and a search proves it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.errors import UnknownNameError, UsageError
from workbench.graph.keys import format_entity, parse_entity
from workbench.ingest import quarantine
from workbench.ingest.compact import add_events
from workbench.ingest.derive import add_partials, add_reference_partials
from workbench.ingest.forget_report import Forgetting, Left
from workbench.ingest.forgotten import STATE, Forgotten, key_fields, rows_about
from workbench.ingest.mentions import rows_naming
from workbench.ingest.publish import read_references
from workbench.ingest.stream_checkpoint import Checkpoints, log_position
from workbench.ingest.stream_events import decode
from workbench.partials.stored import align, read_documents
from workbench.storage.collect import DAMAGED
from workbench.storage.derived import FOLDER as DERIVED
from workbench.storage.files import publish
from workbench.storage.leases import leased
from workbench.storage.search import search, word
from workbench.storage.wal import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from workbench.config.entity_schema import EntitySchema
    from workbench.settings import Settings
    from workbench.storage import FileEntry, SegmentStore, Snapshot, Transaction
    from workbench.storage.search import Hit

__all__ = ["forget"]

# What the stages above write beside the generations: it can be made or told again.
_BESIDE = ("cache", "sessions", "reports", DAMAGED)


def forget(  # noqa: PLR0913  (what a workspace consists of)
    store: SegmentStore,
    schema: EntitySchema,
    settings: Settings,
    entity: str,
    *,
    now: datetime,
    apply: bool,
    published: Callable[[], object] = lambda: None,
) -> Forgetting:
    """Remove everything about an entity, or say what that would be.

    Args:
        store: The workspace's files.
        schema: The entity schema.
        settings: Window and threads.
        entity: As ``type:key``.
        now: The clock for what waits in the log, which is published first.
        apply: Whether to do it.
        published: Called once the generation is there, to let go of earlier ones.

    Raises:
        UnknownNameError: If there is no such entity type.
        UsageError: If it has no key, or its type is an attribute.
        ReadOnlyError: If this is a mirror.
        WriterLockedError: If another process writes to the workspace or streams into it.
        StorageError: If the disk refuses.
    """
    start = time.perf_counter()
    type_, key = _forgettable(entity, schema)
    report = Forgetting(format_entity(type_, key), apply)
    if apply:
        store.require_writable()
        with Log(store.root / "wal", position=lambda: log_position(store.snapshot()), disk=store.disk) as log:
            entries = [decode(record) for record in log.recovered]
            Checkpoints(store, schema, settings).publish(entries, log.synced, log.epoch, now)
            log.release(log.synced)
            with store.writer(within_reserve=True) as writer:
                transaction = writer.begin()
                _Removal(transaction.base, schema, settings, type_, key, report, transaction).run()
                known = Forgotten(transaction.base.manifest.state)
                transaction.set_state(**{STATE: known.with_entity(type_, key)})
                transaction.forget_earlier()
                report.generation = transaction.commit().generation
                _remove_beside(store, key, report)
                published()
                writer.collect(grace=-1, manifests=1)
    else:
        snapshot = store.snapshot()
        report.generation = snapshot.generation
        _Removal(snapshot, schema, settings, type_, key, report).run()
        report.beside = [path.relative_to(store.root).as_posix() for path in _beside(store.root, key, report)]
    _prove(store, key, report)
    report.seconds = time.perf_counter() - start
    return report


def _forgettable(entity: str, schema: EntitySchema) -> tuple[str, str]:
    """Return type and key of an entity that documents are about."""
    type_, key = parse_entity(entity)
    if type_ not in schema.entities:
        raise UnknownNameError("entity type", type_, schema.entities)
    if not key:
        raise UsageError(f"{entity!r} has no key.", fix="Write it type:key.")
    if type_ in schema.attributes:
        raise UsageError(
            f"{type_} is an attribute: documents with it are about others.",
            fix="Forget the entities that they are about.",
        )
    return type_, key


class _Removal:
    """One entity's removal from a generation, counted, and done where there is a transaction."""

    def __init__(  # noqa: PLR0913, PLR0917  (what one removal meets)
        self,
        base: Snapshot,
        schema: EntitySchema,
        settings: Settings,
        type_: str,
        key: str,
        report: Forgetting,
        transaction: Transaction | None = None,
    ) -> None:
        self.base = base
        self.schema = schema
        self.settings = settings
        self.type_ = type_
        self.key = key
        self.report = report
        self.transaction = transaction
        self.fields = base.manifest.state.get("fields", {})
        self._word = word(key)

    def run(self) -> None:
        """Go through everything that a generation consists of."""
        for segment in self.base.segments:
            self._segment(segment)
        self._references()
        self._knowledge()
        self._quarantine()
        for entry in self.base.manifest.ledger.values():
            if self._word.search(entry.source.encode()):
                self.report.sources += 1
                if self.transaction:
                    named = self._word.sub(b"(forgotten)", entry.source.encode()).decode()
                    self.transaction.record(replace(entry, source=named))

    def _segment(self, segment: str) -> None:
        files = self.base.files("events", segments=[segment])
        counts = {entry.path: number for entry in files if (number := self._count(entry))}
        affected = [entry for entry in files if entry.path in counts]
        if not affected:
            return
        self.report.segments.append(segment)
        for entry in affected:
            self.report.documents[entry.name] += counts[entry.path]
        if not self.transaction:
            return
        if sum(counts.values()) == sum(entry.rows for entry in files):
            self.transaction.remove(f for f in self.base.manifest.files if f.segment == segment)
            return
        self.transaction.remove(affected)
        self._add_left(affected, self.transaction)
        left, threads = self.transaction.preview(), self.settings.worker_threads
        add_partials(self.transaction, left, [segment], self.schema, self.fields, threads=threads)

    def _add_left(self, affected: list[FileEntry], transaction: Transaction) -> None:
        """Write what stays of some parts."""

        def add(entry: FileEntry) -> None:
            frame = read_documents(self.base, [entry], self.fields)[entry.name]
            left = frame.filter(~self._about(frame, entry.name))
            if left.height:
                add_events(transaction, {entry.name: left})

        with ThreadPoolExecutor(self.settings.worker_threads) as pool:
            list(pool.map(add, affected))

    def _count(self, entry: FileEntry) -> int:
        """Return how many documents of a part are about the entity; only fields of keys are read."""
        wanted = sorted({*entry.meta["fields"]} & key_fields(self.type_, self.schema))
        if not wanted:
            return 0
        present = pq.read_schema(self.base.path(entry)).names
        columns = [*wanted, *({"_original"} & {*present})]
        frame = align(pl.DataFrame(self.base.read(entry, columns=columns)), self.fields.get(entry.name, {}))
        return int(self._about(frame, entry.name).sum())

    def _about(self, frame: pl.DataFrame, name: str) -> pl.Series:
        return rows_about(frame, name, self.type_, self.key, self.schema)

    def _references(self) -> None:
        tables = read_references(self.base)
        about = {name: self._about(frame, name) for name, frame in tables.items()}
        changed = {name: int(rows.sum()) for name, rows in about.items() if rows.any()}
        self.report.references.update(changed)
        if not changed or not self.transaction:
            return
        for entry in self.base.files("reference"):
            if entry.name in changed:
                kept = _filtered(self.base.read(entry), (~about[entry.name]).to_arrow())
                self.transaction.remove([entry])
                self.transaction.add("reference", kept, name=entry.name, folder="references")
        left = {name: frame.filter(~about[name]) for name, frame in tables.items()}
        add_reference_partials(self.transaction, left, self.schema)

    def _knowledge(self) -> None:
        for entry in self.base.files("knowledge"):
            table = self.base.read(entry)
            told = any(self._word.search(text.encode()) for text in _texts_of(entry.meta["parameters"]))
            named = pa.array([True] * table.num_rows) if told else rows_naming(table, self.type_, self.key)
            number = named.true_count
            self.report.knowledge[entry.name] += number
            if self.transaction and (number or told):
                self.transaction.remove([entry])
                if not told:
                    self._add_knowledge(self.transaction, entry, _filtered(table, pc.invert(named)))

    @staticmethod
    def _add_knowledge(transaction: Transaction, entry: FileEntry, table: pa.Table) -> None:
        folder = entry.path.rpartition("/")[0]
        transaction.add(
            "knowledge", table, name=entry.name, folder=folder, inputs=entry.inputs, meta=entry.meta
        )

    def _quarantine(self) -> None:
        for entry in self.base.files("quarantine"):
            records = [quarantine.Quarantined(**row) for row in self.base.read(entry).to_pylist()]
            kept = [record for record in records if not self._holds(record)]
            self.report.quarantined += len(records) - len(kept)
            if self.transaction and len(kept) < len(records):
                self.transaction.remove([entry])
                quarantine.add(self.transaction, kept)

    def _holds(self, record: quarantine.Quarantined) -> bool:
        texts = (record.source.encode(), record.reason.encode(), record.original)
        return any(self._word.search(text) for text in texts)


def _filtered(table: pa.Table, mask: pa.Array) -> pa.Table:
    """Return some rows of a table, with dictionaries of their own values alone."""
    kept = table.filter(mask)
    for place, column in enumerate(kept.schema):
        if pa.types.is_dictionary(column.type):
            values = kept.column(place).cast(column.type.value_type).combine_chunks()
            kept = kept.set_column(place, column, values.dictionary_encode().cast(column.type))
    return kept


def _texts_of(value: Any) -> Iterator[str]:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        yield from _texts_of(item)
    if isinstance(value, str):
        yield value


def _beside(root: Path, key: str, report: Forgetting) -> list[Path]:
    """Return the files beside the generations that have to go or to change."""
    found = [root / hit.path for hit in search(root, key, under=_BESIDE)]
    found += [root / hit.path for hit in search(root, key, under=("wal",)) if hit.path.endswith(".cut")]
    found += [path for path in _by_line(root) if word(key).search(path.read_bytes())]
    if report.documents:
        # a vector says what its text says: of which documents it was made is not kept
        found += (root / "cache" / "vectors").rglob("*.parquet")
    if report.documents or report.references:
        found += (root / DERIVED).glob("*")  # keys stand there without anything between them
    return sorted(set(found))


def _by_line(root: Path) -> list[Path]:
    """Return the files beside the generations that are about something else in each line."""
    patterns = ("*.jsonl", "alerts/*.jsonl", "notifications/*")
    return sorted(path for pattern in patterns for path in root.glob(pattern) if path.is_file())


def _remove_beside(store: SegmentStore, key: str, report: Forgetting) -> None:
    mentioned = word(key)
    by_line = set(_by_line(store.root))
    for path in _beside(store.root, key, report):
        report.beside.append(path.relative_to(store.root).as_posix())
        if path in by_line:
            lines = path.read_bytes().splitlines(keepends=True)
            kept = b"".join(line for line in lines if not mentioned.search(line))
            publish(path, kept, store.root / "tmp", store.disk)
        else:
            store.disk.unlink(path)


def _prove(store: SegmentStore, key: str, report: Forgetting) -> None:
    """Search everything, and say of what is found why it is there."""
    files = {entry.path: entry for entry in store.snapshot().manifest.files}
    readers = sorted(
        {f"process {r.pid}" for r in leased(store.root / "readers") if r.generation < report.generation}
    )
    for hit in search(store.root, key, numbers=("events", "reference")):
        report.similar += hit.parts
        if hit.whole + hit.words:
            why = _why(hit, files, ", ".join(readers))
            report.left.append(Left(hit.path, hit.place, hit.whole + hit.words, why))


def _why(hit: Hit, files: dict[str, FileEntry], readers: str) -> str:
    entry = files.get(hit.path)
    top = hit.path.partition("/")[0]
    if entry is not None and entry.kind == "events":
        return f"field {hit.place} of {entry.name} holds it, which gives no key of this entity's type"
    if entry is not None:
        return f"{entry.kind} of what is left hold it"
    if top in {"segments", "references", "knowledge", "quarantine", "manifests"}:
        return f"an earlier generation, which a reader holds ({readers or 'gone meanwhile'})"
    if top == "wal":
        return "it waits in the log to be published"
    return "a file that is yours to edit"
