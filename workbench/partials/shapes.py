"""The Arrow shapes of a segment's partials: what every later stage reads.

Rows are sorted by the columns named first, so that equal documents give equal bytes. ``node`` is
the row number in the segment's ``entities`` partial and means nothing outside the segment.
Rows of test accounts are kept apart by ``is_test``.
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

__all__ = [
    "COUNTS",
    "EDGES",
    "ENTITIES",
    "KINDS",
    "PROFILES",
    "PROPERTIES",
    "SIGHTINGS",
    "TEXTS",
    "TIMESTAMP",
    "shaped",
]

TIMESTAMP = pa.timestamp("us", tz="UTC")
_NAME = pa.dictionary(pa.int32(), pa.string())

ENTITIES = pa.schema(
    [
        ("type", _NAME),
        ("key", pa.string()),
        ("is_test", pa.bool_()),
        ("sightings", pa.int64()),  # events that name the entity; 0 where only a reference table does
        ("first_seen", TIMESTAMP),
        ("last_seen", TIMESTAMP),
    ]
)

EDGES = pa.schema(
    [
        ("type", _NAME),
        ("source", pa.int32()),
        ("target", pa.int32()),
        ("weight", pa.int64()),  # events that show the edge; 1 for an edge of a reference table
        ("first_seen", TIMESTAMP),
        ("last_seen", TIMESTAMP),
    ]
)

# Event type and time (in the identifier) stand here, so that a timeline never opens the documents.
SIGHTINGS = pa.schema([("node", pa.int32()), ("event_type", _NAME), ("_id", pa.int64())])

# One row for each value that a property was seen with: the latest value and the number of values
# follow from it, also after segments are merged or evicted.
PROPERTIES = pa.schema(
    [
        ("node", pa.int32()),
        ("name", _NAME),
        ("value", pa.string()),
        ("sightings", pa.int64()),
        ("last_seen", TIMESTAMP),
    ]
)

COUNTS = pa.schema([("type", _NAME), ("hour", TIMESTAMP), ("is_test", pa.bool_()), ("events", pa.int64())])

# One row for each field of each event type. ``hashes`` are the 1,024 smallest 64-bit hashes of the
# field's distinct values (a k-minimum-values sketch), ``top`` its most frequent values.
PROFILES = pa.schema(
    [
        ("type", _NAME),
        ("field", _NAME),
        ("rows", pa.int64()),
        ("nulls", pa.int64()),
        ("minimum", pa.string()),
        ("maximum", pa.string()),
        ("hashes", pa.list_(pa.uint64())),
        ("top", pa.list_(pa.struct([("value", pa.string()), ("events", pa.int64())]))),
    ]
)

# One row for each distinct text of an event type; ``ids`` are the events that say it, in order.
TEXTS = pa.schema(
    [("event_type", _NAME), ("text", pa.string()), ("is_test", pa.bool_()), ("ids", pa.list_(pa.int64()))]
)

KINDS: dict[str, pa.Schema] = {
    "entities": ENTITIES,
    "edges": EDGES,
    "sightings": SIGHTINGS,
    "properties": PROPERTIES,
    "counts": COUNTS,
    "profiles": PROFILES,
    "texts": TEXTS,
}


def shaped(frame: pl.DataFrame, kind: str) -> pa.Table:
    """Return a partial in its Arrow shape; equal rows give equal arrays, dictionaries included."""
    table = frame.select(KINDS[kind].names).to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
    columns = [_shaped(column, field) for field, column in zip(KINDS[kind], table.columns, strict=True)]
    return table.from_arrays(columns, schema=KINDS[kind])


def _shaped(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    if not pa.types.is_dictionary(field.type):
        return column.cast(field.type)
    values = field.type.value_type
    if not pa.types.is_dictionary(column.type):
        return column.cast(values).combine_chunks().dictionary_encode().cast(field.type)
    # the values in the order in which they first occur, and no others
    chunks = []
    for chunk in column.chunks:
        places = chunk.indices.dictionary_encode()
        found = chunk.dictionary.take(places.dictionary).cast(values)
        chunks.append(pa.DictionaryArray.from_arrays(places.indices, found).cast(field.type))
    return pa.chunked_array(chunks, field.type)
