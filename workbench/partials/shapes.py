"""The Arrow shapes of a segment's partials: what every later stage reads.

Rows are sorted by the columns named first, so that equal documents give equal bytes. ``node`` is
the row number in the segment's ``entities`` partial and means nothing outside the segment.
Rows of test accounts are kept apart by ``is_test``.
"""

from __future__ import annotations

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
