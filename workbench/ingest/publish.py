"""One generation of what was normalised: segments with their partials, references, quarantine, ledger."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.ingest import quarantine
from workbench.ingest.compact import merge_parts, submit_events
from workbench.ingest.derive import (
    add_reference_partials,
    input_hash,
    stale_segments,
    submit_partials,
    submit_stored,
    write_partials,
)
from workbench.ingest.workers import workers
from workbench.partials.documents import assign_ids, type_fields
from workbench.partials.names import RESERVED
from workbench.partials.stored import align, concat_documents, read_documents
from workbench.partials.types import type_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Executor, Future

    from workbench.config.entity_schema import EntitySchema
    from workbench.ingest.batch import Normalised
    from workbench.partials.types import FieldType
    from workbench.settings import Settings
    from workbench.storage import FileEntry, Snapshot, Transaction, Writer

__all__ = ["Publisher", "read_references"]

# segments whose partials are derived together: so many at most, of so many documents
_SEGMENTS = 31
_DOCUMENTS = 1_000_000


class Publisher:
    """Publishes batches, each as one generation.

    Files of events are written while their partials are derived, on as many threads as the settings say.

    Args:
        schema: The entity schema.
        settings: Threads.
        fields: The type of each field, by event type: what the generation will say.

    Attributes:
        continued: Reference tables of which more is read: rows are added to what is stored.
    """

    def __init__(
        self, schema: EntitySchema, settings: Settings, fields: dict[str, dict[str, FieldType]]
    ) -> None:
        self.schema = schema
        self.fields = fields
        self.continued: set[str] = set()
        self._threads = settings.worker_threads

    def publish(
        self, transaction: Transaction, found: Normalised, typed: dict[str, pl.DataFrame], widened: set[str]
    ) -> None:
        """Make a generation of a batch and commit it.

        Args:
            transaction: The generation that is being made.
            found: The batch.
            typed: Its documents, with ``_segment``, by event type.
            widened: Event types of which a field's type is not what it was.
        """
        for entry in found.ledger:
            transaction.record(entry)
        quarantine.replace(transaction, found.released, found.quarantined)
        transaction.set_state(fields=self.fields, schema=self.schema.fingerprint)
        if typed:
            self._add_segments(transaction, typed, widened)
        if found.references:
            self._add_references(transaction, found.references)
        transaction.commit()

    def derive_again(self, writer: Writer) -> int:
        """Bring partials up to date that were derived under another schema; return of how many segments."""
        stale = stale_segments(writer.snapshot(), self.schema, self.fields)
        for segments in _together(writer.snapshot(), stale):
            transaction = writer.begin()
            events = transaction.base.files("events", segments=segments)
            with workers(self._threads) as pool:
                derived = submit_stored(pool, transaction.base, events, self.schema, self.fields)
                self._add_partials(pool, transaction, derived, segments, events)
            transaction.commit()
        references = {f.inputs for f in writer.snapshot().files("entities", segments=[""])}
        if references - {self.schema.fingerprint}:
            transaction = writer.begin()
            add_reference_partials(transaction, read_references(transaction.base), self.schema)
            transaction.commit()
        return len(stale)

    def _add_segments(
        self, transaction: Transaction, typed: dict[str, pl.DataFrame], widened: set[str]
    ) -> None:
        base = transaction.base
        touched = {s for frame in typed.values() for s in frame["_segment"].unique()}
        stored_in = {f.segment for f in base.files("events")}
        stale = {f.segment for name in widened for f in base.files("events", name=name)}
        events = base.files("events", segments=(touched | stale) & stored_in)
        stored = read_documents(base, events, self.fields)
        taken = _ids_by_segment(stored)
        typed = _identified(typed, taken)
        # a field that became text is stored anew, for no reader but this one knows the original text
        wider = {name: stored[name] for name in sorted(widened) if name in stored}
        replaced = {f.path for name in wider for f in base.files("events", name=name)}
        transaction.remove(f for f in base.files("events") if f.path in replaced)
        merged = merge_parts(transaction, touched, self.fields)
        kept = transaction.kept("events", segments=touched | stale)
        documents = {
            name: concat_documents([f[name] for f in (stored, typed) if name in f])
            for name in sorted({*stored, *typed})
        }
        with workers(self._threads) as pool:
            jobs = [job for frames in (wider, typed) for job in submit_events(pool, transaction, frames)]
            derived = submit_partials(pool, documents, self.schema)
            added = [*merged, *(job.result() for job in jobs)]
            self._add_partials(pool, transaction, derived, touched | stale, [*kept, *added])

    def _add_partials(
        self,
        pool: Executor,
        transaction: Transaction,
        derived: Iterable[Future[dict[str, pl.DataFrame]]],
        segments: Iterable[str],
        events: Iterable[FileEntry],
    ) -> None:
        """Add what was derived from ``segments``, whose files of events are all given."""
        files: dict[str, list[FileEntry]] = {segment: [] for segment in sorted(segments)}
        for entry in events:
            files[entry.segment].append(entry)
        inputs = {
            segment: input_hash(entries, self.schema, self.fields) for segment, entries in files.items()
        }
        write_partials(pool, transaction, derived, inputs)

    def _add_references(self, transaction: Transaction, references: Mapping[str, pl.DataFrame]) -> None:
        """Store reference tables: what one ingest reads under a table's name takes the older one's place."""
        tables = read_references(transaction.base)
        for name, frame in references.items():
            stored = [tables[name]] if name in self.continued and name in tables else []
            known = {c.name: type_of(c) for f in stored for c in f if c.name not in RESERVED}
            typed = type_fields(frame.drop("_source"), known, self.schema)
            added = typed.frame.drop("_hash").with_columns(_id=pl.lit(None, pl.Int64))
            tables[name] = concat_documents([*(align(f, typed.fields) for f in stored), added])
            self.continued.add(name)
            transaction.remove(transaction.base.files("reference", name=name))
            table = tables[name].drop("_id", "_ts").to_arrow(compat_level=pl.CompatLevel.oldest())
            transaction.add("reference", table.combine_chunks(), name=name, folder="references")
        add_reference_partials(transaction, tables, self.schema)


def read_references(snapshot: Snapshot) -> dict[str, pl.DataFrame]:
    """Return the reference tables by name, with an empty ``_id`` and ``_ts``."""
    return {
        entry.name: pl.DataFrame(snapshot.read(entry)).with_columns(
            _id=pl.lit(None, pl.Int64), _ts=pl.lit(None, pl.Datetime("us", "UTC"))
        )
        for entry in snapshot.files("reference")
    }


def _together(snapshot: Snapshot, segments: Iterable[str]) -> Iterator[list[str]]:
    """Yield segments in groups that are small enough to be derived together."""
    documents = Counter[str]()
    for entry in snapshot.files("events"):
        documents[entry.segment] += entry.rows
    group: list[str] = []
    for segment in segments:
        if group and (len(group) == _SEGMENTS or sum(documents[s] for s in (*group, segment)) > _DOCUMENTS):
            yield group
            group = []
        group.append(segment)
    if group:
        yield group


def _ids_by_segment(stored: Mapping[str, pl.DataFrame]) -> dict[str, np.ndarray[Any, np.dtype[np.int64]]]:
    if not stored:
        return {}
    ids = pl.concat([f.select("_segment", "_id") for f in stored.values()])
    parts = ids.partition_by("_segment", as_dict=True)
    return {str(segment): part["_id"].to_numpy() for (segment,), part in parts.items()}


def _identified(
    typed: Mapping[str, pl.DataFrame], taken: Mapping[str, np.ndarray[Any, np.dtype[np.int64]]]
) -> dict[str, pl.DataFrame]:
    """Give every document its ``_id``: unique over all event types of its segment."""
    rows = pl.concat(
        [
            f.select("_segment", "_ts", "_hash", pl.lit(name).alias("name")).with_row_index("row")
            for name, f in sorted(typed.items())
        ]
    )
    none = np.empty(0, dtype=np.int64)
    parts = [
        part.with_columns(assign_ids(part, taken.get(str(segment), none)))
        for (segment,), part in rows.partition_by("_segment", as_dict=True).items()
    ]
    by_name = pl.concat(parts).partition_by("name", as_dict=True) if parts else {}
    return {
        str(name): typed[str(name)].with_columns(part.sort("row")["_id"]) for (name,), part in by_name.items()
    }
