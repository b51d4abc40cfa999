"""Partials of whole segments, written beside them and named by what they were derived from."""

from __future__ import annotations

import functools
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.partials.extract import counts, extract
from workbench.partials.profiles import profiles
from workbench.partials.shapes import KINDS, shaped
from workbench.partials.texts import texts
from workbench.vectors.files import outdated, texts_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workbench.config.entity_schema import EntitySchema
    from workbench.partials.types import FieldType
    from workbench.storage import FileEntry, Snapshot, Transaction

__all__ = ["add_partials", "add_reference_partials", "digest", "input_hash", "shaped", "stale_segments"]

# Raised when the functions in workbench.partials give other results for the same documents.
VERSION = 1


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


def add_partials(
    transaction: Transaction,
    documents: Mapping[str, pl.DataFrame],
    schema: EntitySchema,
    inputs: Mapping[str, str],
    *,
    threads: int,
) -> None:
    """Derive the partials of all segments in ``documents`` and add them, in place of older ones.

    Args:
        transaction: The generation that is being made.
        documents: All documents of the segments, by event type.
        schema: Which fields give which entities, edges and properties.
        inputs: :func:`input_hash` of each segment.
        threads: Files written at a time.
    """
    derived = {
        **extract(documents, schema),
        "counts": counts(documents, schema),
        "profiles": profiles(documents),
        "texts": texts(documents, schema),
    }
    transaction.remove(e for kind in KINDS for e in transaction.base.files(kind, segments=inputs))

    def write(job: tuple[str, str, pl.DataFrame]) -> FileEntry:
        kind, segment, frame = job
        told = texts_facts(frame.filter(~pl.col("is_test"))["text"].to_list()) if kind == "texts" else None
        return transaction.add(kind, shaped(frame, kind), segment=segment, inputs=inputs[segment], meta=told)

    with ThreadPoolExecutor(threads) as pool:
        written = list(pool.map(write, _split(derived, inputs)))
    for entry in written:
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
