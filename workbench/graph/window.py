"""The window graph: the merge of the live segments' partials, as Arrow tables (spec 2.2, 4.2)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.graph.stack import moments, sum_of
from workbench.graph.sums import NEVER, NOT_YET, Counted, Sum, find_nodes, plus, union
from workbench.partials.shapes import TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from workbench.graph.traversal import Adjacency

__all__ = [
    "REFERENCE",
    "WINDOW_EDGES",
    "WINDOW_ENTITIES",
    "WINDOW_PROPERTIES",
    "Window",
    "complete",
    "merge_window",
    "single",
    "sum_within",
]

REFERENCE = ""
"""The segment name of parts that come from reference tables."""

_NAME = pa.dictionary(pa.int32(), pa.string())
_ROWS = 1 << 16

WINDOW_ENTITIES = pa.schema(
    [
        ("type", _NAME),
        ("key", pa.string()),
        ("sightings", pa.int64()),
        ("first_seen", TIMESTAMP),
        ("last_seen", TIMESTAMP),
        ("segments", pa.int32()),  # in how many segments the entity was seen
    ]
)

WINDOW_EDGES = pa.schema(
    [
        ("source", pa.int32()),
        ("target", pa.int32()),
        ("type", _NAME),
        ("weight", pa.int64()),
        ("first_seen", TIMESTAMP),
        ("last_seen", TIMESTAMP),
    ]
)

WINDOW_PROPERTIES = pa.schema(
    [
        ("node", pa.int32()),
        ("name", _NAME),
        ("value", pa.string()),  # the latest
        ("at", TIMESTAMP),  # when the value was last seen; null if only a reference table has it
        ("values", pa.int32()),  # how many distinct values were seen
    ]
)


@dataclass(frozen=True, eq=False)
class Window:
    """The graph of the window.

    Attributes:
        entities: One row an entity, sorted by type and key. The row number is the window id that the
            other tables use; it is internal and never part of a result.
        edges: One row for each source, target and type, sorted by them.
        properties: One row for each entity and property, sorted by them.
        segments: The segments that were merged, in order.
        adjacency: The edges by source and by target, where they are at hand already.
        places: For each segment the node of each row of its entities; -1 for test accounts.
    """

    entities: pa.Table
    edges: pa.Table
    properties: pa.Table
    segments: tuple[str, ...] = ()
    adjacency: Adjacency | None = None
    places: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)

    @cached_property
    def edge_codes(self) -> NDArray[np.int32]:
        """Return the type of each edge, as a place in the dictionary of the column."""
        codes: NDArray[np.int32] = single(self.edges["type"]).indices.to_numpy(zero_copy_only=False)
        return codes

    def rows_of(self, node: int) -> dict[str, NDArray[np.int64]]:
        """Return in which rows of which segment's entities a node stands."""
        found = {segment: np.flatnonzero(nodes == node) for segment, nodes in self.places.items()}
        return {segment: rows for segment, rows in sorted(found.items()) if len(rows)}

    def equals(self, other: Window) -> bool:
        """Return whether both hold the same rows."""
        return bool(
            self.entities.equals(other.entities)
            and self.edges.equals(other.edges)
            and self.properties.equals(other.properties)
        )


def merge_window(
    parts: Iterable[tuple[str, Mapping[str, pa.Table]]], *, include_test: bool = False
) -> Window:
    """Merge partials into the window graph.

    The result depends on the set of parts, not on their order. Sightings and weights are summed over
    segments; of a property the latest value is kept (of values last seen at one time, the largest).

    Reference tables tell about entities but do not bring them in: their properties count for the
    entities that are seen in the window, their edges for those with a seen source. The far ends of
    these edges exist too, with 0 sightings and their properties. An edge that both events and a
    reference table show weighs its events; one that only reference tables show weighs 1. A value
    from events stands before one from a reference table.

    Args:
        parts: A segment's name with its ``entities``, ``edges`` and ``properties`` partials (the
            schemas of :mod:`workbench.partials.shapes`); the name is empty for reference tables.
            They are taken one by one, and not kept as they are.
        include_test: Also merge the rows of test accounts.

    Raises:
        UsageError: If the window has more entities than an edge key can hold (about 700 million).
    """
    references = []

    def of_events() -> Iterator[tuple[str, Mapping[str, pa.Table]]]:
        for segment, part in parts:
            if segment == REFERENCE:
                references.append(part)
            else:
                yield segment, part

    return complete(sum_of(of_events(), include_test=include_test), references)


def single(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, copied only where it is several."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def complete(events: Sum, references: Sequence[Mapping[str, pa.Table]]) -> Window:
    """Return the window of what segments sum up to and of what reference tables tell about that."""
    whole = plus(events, _told(events, references)) if references else events
    weight = np.maximum(whole.edges.count, 1) if references else whole.edges.count
    return Window(
        entities=pa.table(
            [
                _names(whole.type, whole.types),
                whole.key.to_arrow(compat_level=pl.CompatLevel.oldest()),
                whole.nodes.count,
                _moments(whole.nodes.first, NEVER),
                _moments(whole.nodes.last, NOT_YET),
                whole.segments,
            ],
            names=WINDOW_ENTITIES.names,
        ).cast(WINDOW_ENTITIES),
        edges=pa.table(
            [
                whole.source,
                whole.target,
                _names(whole.kind, whole.kinds),
                weight,
                _moments(whole.edges.first, NEVER),
                _moments(whole.edges.last, NOT_YET),
            ],
            names=WINDOW_EDGES.names,
        ).cast(WINDOW_EDGES),
        properties=_properties(whole),
        segments=tuple(sorted(whole.places)),
        places=whole.places,
    )


def sum_within(
    window: Window, names: tuple[str, ...], values: pl.DataFrame, places: Mapping[str, NDArray[np.int32]]
) -> Sum:
    """Return what segments alone sum up to in a window: what only reference tables tell is left out.

    Args:
        window: A window.
        names: Of the sum that it was completed from.
        values: Of that sum.
        places: Of that sum.
    """
    entities, edges = window.entities, window.edges
    types, kinds = single(entities["type"]), single(edges["type"])
    seen = entities["segments"].to_numpy()
    whole = Sum(
        types=tuple(types.dictionary.to_pylist()),
        kinds=tuple(kinds.dictionary.to_pylist()),
        names=names,
        type=types.indices.to_numpy(),
        key=pl.Series("key", entities["key"]),
        nodes=_counted(entities, "sightings"),
        segments=seen,
        source=edges["source"].to_numpy(),
        target=edges["target"].to_numpy(),
        kind=kinds.indices.to_numpy(),
        edges=_counted(edges, "weight"),
        values=values.clear(),
        places={},
    )
    if not (seen > 0).all() or edges["first_seen"].null_count:
        whole = whole.select(seen > 0, edges["first_seen"].is_valid().to_numpy())
    return replace(whole, values=values, places=places)


def _counted(table: pa.Table, count: str) -> Counted:
    first, last = moments(table["first_seen"], NEVER), moments(table["last_seen"], NOT_YET)
    return Counted(table[count].to_numpy(), first, last)


def _told(events: Sum, references: Sequence[Mapping[str, pa.Table]]) -> Sum:
    """Return what reference tables tell about what was seen, without counts of their own."""
    told = sum_of([(REFERENCE, part) for part in references])
    _, here, there = union(events.types, told.types)
    _, seen = find_nodes(here[events.type], events.key, there[told.type], told.key)
    edges = seen[told.source]
    keep = seen.copy()
    keep[told.target[edges]] = True
    kept = told.select(keep, edges)
    nothing = np.zeros_like
    return replace(
        kept,
        nodes=replace(kept.nodes, count=nothing(kept.nodes.count)),
        segments=nothing(kept.segments),
        edges=replace(kept.edges, count=nothing(kept.edges.count)),
        places={},
    )


def _properties(whole: Sum) -> pa.Table:
    # Values from reference tables have no time, which sorts before every time.
    latest = (
        whole.values.sort("at", "value", nulls_last=False)
        .group_by("node", "name")
        .agg(pl.col("value").last(), pl.col("at").last(), pl.len().alias("values"))
        .sort("node", "name")
    )
    return pa.table(
        [
            latest["node"].to_numpy(),
            _names(latest["name"].to_numpy(), whole.names),
            latest["value"].to_arrow(compat_level=pl.CompatLevel.oldest()),
            latest["at"].to_arrow().cast(TIMESTAMP),
            latest["values"].to_numpy(),
        ],
        names=WINDOW_PROPERTIES.names,
    ).cast(WINDOW_PROPERTIES)


def _names(codes: NDArray[np.int32], names: Sequence[str]) -> pa.DictionaryArray:
    """Return codes as a dictionary of just the names in use, which are sorted."""
    used = _used(codes, len(names))
    if len(used) < len(names):
        codes = np.searchsorted(used, codes).astype(np.int32)
    return pa.DictionaryArray.from_arrays(
        pa.array(codes), pa.array([names[i] for i in used.tolist()], pa.string())
    )


def _used(codes: NDArray[np.int32], names: int) -> NDArray[np.int64]:
    """Return the codes that occur; all do, mostly, and within the first rows."""
    counts = np.zeros(names, np.int64)
    for start in range(0, len(codes), _ROWS):
        counts += np.bincount(codes[start : start + _ROWS], minlength=names)
        if counts.all():
            break
    return np.flatnonzero(counts)


def _moments(moments: NDArray[np.int64], nothing: int) -> pa.Array:
    none = moments == nothing
    return pa.array(moments, pa.int64(), mask=none if none.any() else None).cast(TIMESTAMP)
