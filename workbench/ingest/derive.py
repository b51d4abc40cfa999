"""Partials of whole segments, written beside them and named by what they were derived from."""

from __future__ import annotations

import functools
import hashlib
import json
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.ingest.workers import workers
from workbench.partials.extract import counts, entity_fields, extract
from workbench.partials.merge import merged
from workbench.partials.profiles import profiles
from workbench.partials.shapes import KINDS, shaped
from workbench.partials.stored import read_documents
from workbench.partials.texts import text_fields, texts
from workbench.vectors.files import outdated, texts_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from concurrent.futures import Executor, Future

    from workbench.config.entity_schema import EntitySchema
    from workbench.partials.types import FieldType
    from workbench.storage import FileEntry, Snapshot, Transaction

__all__ = [
    "add_partials",
    "add_reference_partials",
    "digest",
    "input_hash",
    "input_hashes",
    "shaped",
    "stale_segments",
    "submit_partials",
    "submit_stored",
    "write_partials",
]

# Raised when the functions in workbench.partials give other results for the same documents.
VERSION = 1
# fields of which profiles are made at a time
_FIELDS = 16
# documents of which entities and edges are extracted at a time
_ROWS = 400_000


@functools.cache
def _hashes() -> int:
    """Return what tells polars' hashes, which sketches hold, from those of another version."""
    return int(pl.Series(["workbench"]).hash(seed=0)[0])


def input_hash(
    events: Iterable[FileEntry], schema: EntitySchema, fields: Mapping[str, Mapping[str, FieldType]]
) -> str:
    """Return a hash of everything that a segment's partials depend on.

    Of the field types only those count whose fields the segment holds: a field that is new to later
    segments changes nothing here.
    """
    events = list(events)
    types = sorted({(e.name, f, fields.get(e.name, {}).get(f, "")) for e in events for f in e.meta["fields"]})
    facts = [VERSION, _hashes(), schema.fingerprint, types, digest(events)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def digest(parts: Iterable[FileEntry]) -> str:
    """Return the sum of the hashes of some parts of a segment, modulo 2^128, in hex.

    A part that was merged counts with the sum of what it was merged from: merging changes no digest.
    """
    total = sum(int(part.meta.get("merged") or part.hash, 16) for part in parts)
    return f"{total % (1 << 128):032x}"


def stale_segments(
    snapshot: Snapshot, schema: EntitySchema, fields: Mapping[str, Mapping[str, FieldType]]
) -> list[str]:
    """Return the segments whose partials were derived from something else than what is there now."""
    events: dict[str, list[FileEntry]] = {}
    for entry in snapshot.files("events"):
        events.setdefault(entry.segment, []).append(entry)
    derived = {(f.segment, f.kind): f.inputs for kind in KINDS for f in snapshot.files(kind)}
    return [
        segment
        for segment, entries in sorted(events.items())
        if {derived.get((segment, kind)) for kind in KINDS} != {input_hash(entries, schema, fields)}
    ]


def input_hashes(
    snapshot: Snapshot,
    segments: Iterable[str],
    schema: EntitySchema,
    fields: Mapping[str, Mapping[str, FieldType]],
) -> dict[str, str]:
    """Return :func:`input_hash` of segments that a snapshot holds whole."""
    files: dict[str, list[FileEntry]] = {segment: [] for segment in sorted(segments)}
    for entry in snapshot.files("events", segments=files):
        files[entry.segment].append(entry)
    return {segment: input_hash(entries, schema, fields) for segment, entries in files.items()}


def add_partials(  # noqa: PLR0913  (what is derived, of what, and how)
    transaction: Transaction,
    snapshot: Snapshot,
    segments: Sequence[str],
    schema: EntitySchema,
    fields: Mapping[str, Mapping[str, FieldType]],
    *,
    threads: int,
) -> None:
    """Derive the partials of stored segments and add them, in place of older ones.

    Args:
        transaction: The generation that is being made.
        snapshot: Where the segments' documents are.
        segments: Their days.
        schema: Which fields give which entities, edges and properties.
        fields: The type of each field, by event type.
        threads: Kinds derived and files written at a time.
    """
    events = snapshot.files("events", segments=segments)
    with workers(threads) as pool:
        derived = submit_stored(pool, snapshot, events, schema, fields)
        write_partials(pool, transaction, derived, input_hashes(snapshot, segments, schema, fields))


def submit_partials(
    pool: Executor, documents: Mapping[str, pl.DataFrame], schema: EntitySchema
) -> list[Future[dict[str, pl.DataFrame]]]:
    """Begin to derive the partials of all segments in ``documents``; each job gives some kinds of them."""
    return [
        pool.submit(extract, documents, schema),
        pool.submit(lambda: {"profiles": profiles(documents)}),
        pool.submit(lambda: {"counts": counts(documents, schema), "texts": texts(documents, schema)}),
    ]


def submit_stored(  # noqa: PLR0913, PLR0917  (as submit_partials, and where the documents are)
    pool: Executor,
    snapshot: Snapshot,
    events: Sequence[FileEntry],
    schema: EntitySchema,
    fields: Mapping[str, Mapping[str, FieldType]],
    rows: int = _ROWS,
) -> list[Future[dict[str, pl.DataFrame]]]:
    """Begin to derive the partials of stored segments, as :func:`submit_partials` does of their documents.

    These are never held whole, however long the day: each job reads the fields that it needs, profiles are
    made of some fields at a time, and of a large segment some files at a time.

    Args:
        pool: Threads to derive with.
        snapshot: The generation.
        events: All files of events of the segments.
        schema: Which fields give which entities, edges and properties.
        fields: The type of each field, by event type.
        rows: Of a segment with more documents so many are extracted at a time, unless one file has more.
    """
    held: dict[str, set[str]] = {}
    for entry in events:
        held.setdefault(entry.name, set()).update(entry.meta["fields"])
    test = schema.fields.test_account
    rules = {name: schema.events[name] for name in held if name in schema.events}

    def joined() -> dict[str, pl.DataFrame]:
        columns = {name: {test, *entity_fields(rule)} for name, rule in rules.items()}
        parts = _parts([entry for entry in events if entry.name in columns], rows)
        return merged([extract(read_documents(snapshot, part, fields, columns), schema) for part in parts])

    def profiled() -> dict[str, pl.DataFrame]:
        some = [
            {name: sorted(names)[at : at + _FIELDS]}
            for name, names in held.items()
            for at in range(0, len(names), _FIELDS)
        ]
        found = [profiles(read_documents(snapshot, events, fields, columns)) for columns in some]
        kept = [rows for rows in found if rows.height]
        return {"profiles": pl.concat(kept).sort("segment", "type", "field") if kept else profiles({})}

    def counted() -> dict[str, pl.DataFrame]:
        said = {name: text_fields(rule.text) for name, rule in rules.items()}
        columns = {name: {test, *said.get(name, ())} for name in held}
        documents = read_documents(snapshot, events, fields, columns)
        return {"counts": counts(documents, schema), "texts": texts(documents, schema)}

    return [pool.submit(job) for job in (joined, profiled, counted)]


def _parts(events: Sequence[FileEntry], rows: int) -> list[list[FileEntry]]:
    """Return the files of one segment in groups of so many documents; those of several as one group."""
    parts: list[list[FileEntry]] = [[]]
    several = len({entry.segment for entry in events}) > 1
    for entry in events:
        if parts[-1] and not several and sum(e.rows for e in parts[-1]) + entry.rows > rows:
            parts.append([])
        parts[-1].append(entry)
    return parts


def write_partials(
    pool: Executor,
    transaction: Transaction,
    derived: Iterable[Future[dict[str, pl.DataFrame]]],
    inputs: Mapping[str, str],
) -> None:
    """Add partials that are being derived, in place of older ones.

    Args:
        pool: Threads to write with.
        transaction: The generation that is being made.
        derived: What :func:`submit_partials` began.
        inputs: :func:`input_hash` of each segment.
    """
    transaction.remove(e for kind in KINDS for e in transaction.base.files(kind, segments=inputs))

    def write(kind: str, segment: str, frame: pl.DataFrame) -> FileEntry:
        told = texts_facts(frame.filter(~pl.col("is_test"))["text"].to_list()) if kind == "texts" else None
        return transaction.add(kind, shaped(frame, kind), segment=segment, inputs=inputs[segment], meta=told)

    jobs = [pool.submit(write, *job) for kinds in derived for job in _split(kinds.result(), inputs)]
    for entry in [job.result() for job in jobs]:
        if entry.kind == "texts":
            transaction.remove(outdated(transaction, entry))


def _split(
    derived: Mapping[str, pl.DataFrame], segments: Iterable[str]
) -> Iterable[tuple[str, str, pl.DataFrame]]:
    """Yield every kind of every segment, empty ones too: a partial that is missing is damage."""
    for kind, frame in derived.items():
        by_segment: dict[Any, pl.DataFrame] = frame.partition_by("segment", as_dict=True, maintain_order=True)
        empty = frame.clear()
        for segment in segments:
            yield kind, segment, by_segment.get((segment,), empty)


def add_reference_partials(
    transaction: Transaction, references: Mapping[str, pl.DataFrame], schema: EntitySchema
) -> None:
    """Derive entities, properties and edges of all reference tables and add them, in place of older ones."""
    named = {n: f.with_columns(_segment=pl.lit("")) for n, f in references.items()}
    derived = extract(named, schema, references=True)
    for kind in ("entities", "edges", "properties"):
        transaction.remove(e for e in transaction.base.files(kind, segments=[""]))
        transaction.add(kind, shaped(derived[kind], kind), folder="references", inputs=schema.fingerprint)
