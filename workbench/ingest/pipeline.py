"""The pipeline: read, normalise, type, identify, derive, publish; one generation a batch."""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from workbench.errors import SourceError
from workbench.ingest import quarantine
from workbench.ingest.batch import Batch
from workbench.ingest.forgotten import Forgotten
from workbench.ingest.growth import Earlier, Place
from workbench.ingest.memory import give_back
from workbench.ingest.publish import Publisher
from workbench.ingest.report import IngestReport, Outcome
from workbench.ingest.room import Room
from workbench.ingest.sources import find_inputs
from workbench.ingest.workers import workers
from workbench.logs import get_logger
from workbench.partials.documents import DAY_US, type_fields
from workbench.partials.names import day_of
from workbench.progress import Update, silent
from workbench.storage import LedgerEntry

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from workbench.config.entity_schema import EntitySchema
    from workbench.ingest.batch import Normalised
    from workbench.ingest.sources import Input
    from workbench.partials.documents import Typed
    from workbench.partials.types import FieldType
    from workbench.progress import Progress
    from workbench.settings import Settings
    from workbench.storage import SegmentStore, Snapshot, Writer

__all__ = ["Ingest", "Run"]

_CHUNK_SHARE = 4
_CHUNK = 64 << 20  # decoded bytes read at a time
_HELD = 384 << 20  # bytes that a batch holds, text encoded
# what a batch has to hold before a new day publishes it: small files of many days are one generation
_LARGE = _HELD // 8


class Ingest:
    """Brings sources into a workspace, exactly once.

    Every batch is one transaction: its segments, their partials, what went to quarantine and the
    ledger entries of its sources become visible together or not at all, so that a killed ingest is
    resumed by running it again.

    Args:
        store: The workspace's files.
        schema: The entity schema.
        settings: Batch size, limits, threads.
        let_go: Called where files of earlier generations are to make place on the disk.
        closed: Called at the end of each ingest, and of one that was interrupted: what it published counts.
    """

    def __init__(
        self,
        store: SegmentStore,
        schema: EntitySchema,
        settings: Settings,
        let_go: Callable[[], object] = lambda: None,
        closed: Callable[[], object] = lambda: None,
    ) -> None:
        self.store = store
        self.schema = schema
        self.settings = settings
        self.let_go = let_go
        self.closed = closed
        self._log = get_logger("ingest")

    def run(  # noqa: PLR0913  (the options of one command)
        self,
        sources: Iterable[Any],
        *,
        event_type: str | None = None,
        connector: str | None = None,
        options: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        replaced: Literal["take", "refuse"] = "take",
        progress: Progress = silent,
        told: Callable[[Outcome], object] | None = None,
        stop: threading.Event | None = None,
    ) -> IngestReport:
        """Read all sources that are not in the ledger yet and publish their documents.

        Args:
            sources: Paths, globs, directories or data frames.
            event_type: What the records are; by default what each path speaks of.
            connector: What reads them; by default decided by file name.
            options: Reading options of the connector.
            dry_run: Do everything but store.
            replaced: What to do with a file of events whose place held other bytes when it was ingested
                before, with which it does not begin: take it, or put it into quarantine.
            progress: Told after each chunk that was read.
            told: Told of each source once it is durable.
            stop: Once it is set, in any thread, the batch is published and nothing more is read.

        Raises:
            SourceError: If a path does not exist. Files that cannot be read go to quarantine instead.
            WriterLockedError: If another process writes to the workspace.
        """
        start = time.perf_counter()
        inputs, skipped = find_inputs(
            sources, self.schema.event_names, event_type=event_type, connector=connector, options=options
        )
        report = IngestReport(dry_run=dry_run, skipped=skipped)
        with self.begun(report) as run:
            run.replaced, run.told, run.stop = replaced, told, stop
            run.progress, run.total = progress, len(inputs)
            for item in inputs:
                if run.stopped:
                    break
                run.tick()
                run.read(item)
                run.done += 1
            run.flush()
            run.tick()
        report.generation = self.store.snapshot().generation
        report.seconds = time.perf_counter() - start
        self._log.info("ingested", files=report.files, rows=sum(report.rows.values()), seconds=report.seconds)
        return report

    @contextmanager
    def begun(self, report: IngestReport) -> Iterator[Run]:
        """Hold the writer lock, but for a dry run, and give what reads sources and publishes them."""
        try:
            with nullcontext(None) if report.dry_run else self.store.writer() as writer:
                run = Run(self, writer, report)
                if writer is not None and (stale := run.publisher.derive_again(writer)):
                    report.changes.append(f"partials of {stale:,} segments were derived again")
                yield run
        finally:
            self.closed()


class Run:
    """One ingest under the writer lock (or without one, for a dry run)."""

    def __init__(self, ingest: Ingest, writer: Writer | None, report: IngestReport) -> None:
        self.ingest = ingest
        self.schema = ingest.schema
        self.settings = ingest.settings
        self.writer = writer
        self.report = report
        self.replaced = "take"
        self.told: Callable[[Outcome], object] | None = None
        self.stop: threading.Event | None = None
        self.progress: Progress = silent
        self.done = self.total = 0
        snapshot = self.snapshot()
        self.ledger = dict(snapshot.manifest.ledger)
        self.fields: dict[str, dict[str, FieldType]] = {
            name: dict(fields) for name, fields in snapshot.manifest.state.get("fields", {}).items()
        }
        self.publisher = Publisher(self.schema, self.settings, self.fields)
        self.forgotten = Forgotten(snapshot.manifest.state)
        self.earlier = Earlier(self.ledger, lambda: quarantine.read(self.snapshot()))
        self.places: dict[str, Place] = {}
        self.begun: dict[str, tuple[str, int]] = {}
        self.rows = 0
        self.taken: set[str] = set()
        self.day = ""
        self.batch = self._new_batch()

    def _new_batch(self) -> Batch:
        return Batch(self.schema, self.settings.max_bad_share, self.settings.max_columns)

    @property
    def stopped(self) -> bool:
        """Return whether nothing more is to be read."""
        return self.stop is not None and self.stop.is_set()

    def tick(self) -> None:
        """Say how far it is."""
        self.progress(Update("ingest", self.done, self.total, "files", self.rows))

    def snapshot(self) -> Snapshot:
        """Return the newest generation."""
        return self.writer.snapshot() if self.writer else self.ingest.store.snapshot()

    def read(self, item: Input) -> None:
        """Read one source into the batch, publishing whenever the batch is full."""
        try:
            digest = item.hash()
        except SourceError as error:
            self.report.quarantined_files[item.source.label] = str(error)
            self._tell(Outcome(item.source.label, item.name, "unreadable", reason=str(error)))
            return
        entry = LedgerEntry(item.source.label, item.name, digest, item.size, 0, 0, 0, "partial")
        entry = self.ledger.get(entry.key, entry)
        if entry.position:
            self.publisher.continued.add(item.name)
        if entry.status == "done" or entry.key in self.taken:
            self.report.known += 1
            self._tell(Outcome(item.source.label, item.name, "known"))
            return
        place = self._place(item, entry)
        entry, problem = place.entry, place.problem
        self.taken.add(entry.key)
        self.report.files += 1
        self.report.bytes += item.size
        self._flush_before(item)
        if problem:
            self.batch.fail(self.batch.open(entry, item.reader), problem)
        else:
            self._read_chunks(item, entry)

    def _place(self, item: Input, entry: LedgerEntry) -> Place:
        """Return where reading a source begins: where an ingest left it, or an earlier one that has grown."""
        self.begun[entry.key] = (item.source.label, 0)
        again = entry.status == "quarantined" and not entry.rows + entry.rejected
        if entry.name in self.schema.references or (entry.key in self.ledger and not again):
            return Place(entry)
        place = self.earlier.place(item, entry, refuse=self.replaced == "refuse")
        if place.waits:
            self.flush()
            place = self.earlier.place(item, entry, refuse=self.replaced == "refuse")
        self.places[entry.key] = place
        self.earlier.add(entry, read=False)
        self.begun[entry.key] = (item.source.label, place.entry.position)
        self.report.grown += place.entry.position > 0
        if place.replaced and not place.problem:
            self.report.replaced.append(item.source.label)
        return place

    def _read_chunks(self, item: Input, entry: LedgerEntry) -> None:
        limit = self.settings.batch_mb << 20
        number, position = self.batch.open(entry, item.reader), entry.position
        try:
            for chunk in item.read(position, min(limit // _CHUNK_SHARE, _CHUNK)):
                self.batch.take(number, chunk, position)
                position = chunk.position
                self.rows += chunk.table.num_rows
                self.tick()
                if self.batch.size >= limit or self.batch.held >= _HELD or self.stopped:
                    self.flush()
                    entry = self.ledger.get(entry.key, entry)
                    if entry.status == "quarantined" or self.stopped:
                        return
                    number = self.batch.open(entry, item.reader)
            item.check_unchanged()
        except SourceError as error:
            self.batch.fail(number, str(error))
        else:
            self.batch.close(number)

    def _flush_before(self, item: Input) -> None:
        """Publish what is held if the source begins another day: a day's partials are then derived once."""
        day = day_of(item.source.path)
        if day != self.day and self.batch.held >= _LARGE:
            self.flush()
        self.day = day

    def flush(self) -> None:
        """Normalise and publish what the batch holds."""
        batch, self.batch = self.batch, self._new_batch()
        give_back(arrow=True)
        self.store(batch.normalise(self.fields, self.settings.worker_threads))

    def store(self, found: Normalised) -> None:
        """Publish what was normalised, as one generation."""
        if not found.ledger and not found.released:
            return
        self._leave_out_forgotten(found)
        outcomes = list(found.outcomes(self.begun)) if self.told else []
        typed, widened = self._type(found)
        typed = self._within_window(typed)
        self._count(found, typed)
        self._settle(found)
        if self.writer is not None:
            self._publish_with_room(self.writer, found, typed, widened)
        for entry in found.ledger:
            self.ledger[entry.key] = entry
            self.earlier.add(entry)
        for outcome in outcomes:
            self._tell(outcome)

    def _settle(self, found: Normalised) -> None:
        """Note what is outdated with these sources: in quarantine, and of those with which they go on."""
        for entry in list(found.ledger):
            if self.ledger.get(entry.key, entry).status == "quarantined":
                found.released.add(quarantine.record_id(entry.hash, entry.name, quarantine.WHOLE))
            place = self.places.pop(entry.key, None)
            if place is None:
                continue
            found.released |= place.outdated
            if place.earlier is not None and entry.status != "quarantined":
                found.released |= place.released
                found.ledger.append(place.earlier)

    def _tell(self, outcome: Outcome) -> None:
        if self.told is not None:
            self.told(outcome)

    def _leave_out_forgotten(self, found: Normalised) -> None:
        """Leave out records about entities that were forgotten, and count them."""
        for frames in (found.frames, found.references) if self.forgotten else ():
            for name, frame in list(frames.items()):
                frames[name] = self.forgotten.without(frame, name, self.schema)
                self.report.forgotten += frame.height - frames[name].height
                if frames[name].is_empty():
                    del frames[name]

    def _type(self, found: Normalised) -> tuple[dict[str, pl.DataFrame], set[str]]:
        """Give all fields their types; return the documents, and the event types that widened."""
        frames, widened = {}, set()
        names = list(found.frames)

        def typed_of(name: str) -> Typed:
            frame = found.frames.pop(name)  # each is let go as soon as its typed form is there
            return type_fields(frame.drop("_source"), self.fields.get(name, {}), self.schema)

        with workers(self.settings.worker_threads) as pool:
            jobs = {name: pool.submit(typed_of, name) for name in names}
            found_types = {name: job.result() for name, job in jobs.items()}
        for name, typed in found_types.items():
            known = self.fields.get(name)
            if known is None:
                self.report.changes.append(f"new event type {name}")
            for field in typed.widened:
                widened.add(name)
                self.report.changes.append(f"{name}.{field} is now {typed.fields[field]}")
            for field in sorted(set(typed.fields) - set(known or typed.fields)):
                self.report.changes.append(f"new field {name}.{field}")
            self.fields[name] = typed.fields
            frames[name] = typed.frame.with_columns(pl.col("_ts").dt.strftime("%Y-%m-%d").alias("_segment"))
        return frames, widened

    def _within_window(self, typed: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """Refuse what is older than the window, whose end is the newest event of any type."""
        if self.settings.window == "all" or not typed:
            return typed
        stored = [f.max_ts for f in self.ingest.store.snapshot().files("events") if f.max_ts is not None]
        found = [int(frame["_ts"].to_physical().max()) for frame in typed.values()]  # type: ignore[arg-type]
        horizon = (max([*stored, *found]) // DAY_US - self.settings.window + 1) * DAY_US
        late = {name: frame["_ts"].to_physical() < horizon for name, frame in typed.items()}
        self.report.refused += sum(int(mask.sum()) for mask in late.values())
        return {name: frame.filter(~late[name]) for name, frame in typed.items() if not late[name].all()}

    def _count(self, found: Normalised, typed: Mapping[str, pl.DataFrame]) -> None:
        report = self.report
        for name, frame in typed.items():
            report.rows[name] += frame.height
            for segment, number in frame.group_by("_segment").len().iter_rows():
                report.days[segment] += number
        for name, frame in found.references.items():
            report.references[name] += frame.height
        for record in found.quarantined:
            if record.offset == -1:
                report.quarantined_files[record.source] = record.reason
            else:
                report.quarantined[record.reason.split(": ")[0]] += 1
        new = {text: odd for text, odd in found.findings.items() if text not in report.findings}
        report.findings += new
        found.quarantined += new.values()

    def _publish_with_room(
        self, writer: Writer, found: Normalised, typed: dict[str, pl.DataFrame], widened: set[str]
    ) -> None:
        continued = frozenset(self.publisher.continued)

        def publish() -> None:
            self.publisher.continued = set(continued)
            self.publisher.publish(writer.begin(), found, typed, widened)

        room = Room(self.settings, self.ingest.let_go)
        try:
            room.within(writer, publish)
        finally:
            self.report.evicted += room.evicted
