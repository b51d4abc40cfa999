"""One generation of what was normalised: segments with their partials, references, quarantine, ledger."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import polars as pl

from workbench.ingest import quarantine
from workbench.ingest.compact import merge_parts, store_anew, submit_events
from workbench.ingest.derive import (
    add_partials,
    add_reference_partials,
    input_hashes,
    stale_segments,
    submit_partials,
    write_partials,
)
from workbench.ingest.identifiers import identified
from workbench.ingest.workers import workers
from workbench.partials.documents import type_fields
from workbench.partials.names import RESERVED
from workbench.partials.stored import align, concat_documents
from workbench.partials.types import type_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from workbench.config.entity_schema import EntitySchema
    from workbench.ingest.batch import Normalised
    from workbench.partials.types import FieldType
    from workbench.settings import Settings
    from workbench.storage import Snapshot, Transaction, Writer

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
            self._derive(transaction, transaction.base, segments)
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
        held = {f.segment for f in base.files("events")}
        stale = {f.segment for name in widened for f in base.files("events", name=name)}
        typed = identified(base, typed)
        store_anew(transaction, widened, self.fields)
        merge_parts(transaction, touched, self.fields)
        fresh = touched - held
        with workers(self._threads) as pool:
            jobs = submit_events(pool, transaction, typed)
            # of days that were not there all documents are at hand
            derived = submit_partials(pool, _of_segments(typed, fresh, touched), self.schema)
            for job in jobs:
                job.result()
            whole = transaction.preview()
            inputs = input_hashes(whole, fresh, self.schema, self.fields)
            write_partials(pool, transaction, derived, inputs)
        for segments in _together(whole, sorted((touched | stale) & held)):
            self._derive(transaction, whole, segments)

    def _derive(self, transaction: Transaction, snapshot: Snapshot, segments: Sequence[str]) -> None:
        add_partials(transaction, snapshot, segments, self.schema, self.fields, threads=self._threads)

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


def _of_segments(
    typed: Mapping[str, pl.DataFrame], segments: set[str], touched: set[str]
) -> Mapping[str, pl.DataFrame]:
    """Return the documents of some of the segments that they are in."""
    if segments == touched:
        return typed
    return {name: frame.filter(pl.col("_segment").is_in(segments)) for name, frame in typed.items()}
