"""The window graph: the merge of the live segments' partials, as Arrow tables (spec 2.2, 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.errors import UsageError
from workbench.partials.shapes import EDGES, ENTITIES, PROPERTIES, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

__all__ = ["REFERENCE", "WINDOW_EDGES", "WINDOW_ENTITIES", "WINDOW_PROPERTIES", "Window", "merge_window"]

REFERENCE = ""
"""The segment name of parts that come from reference tables."""

_NAME = pa.dictionary(pa.int32(), pa.string())

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

_MOST_KEYS = 2**63 - 1


@dataclass(frozen=True, eq=False)
class Window:
    """The graph of the window.

    Attributes:
        entities: One row an entity, sorted by type and key. The row number is the window id that the
            other tables use; it is internal and never part of a result.
        edges: One row for each source, target and type, sorted by them.
        properties: One row for each entity and property, sorted by them.
        segments: The segments that were merged, in order.
    """

    entities: pa.Table
    edges: pa.Table
    properties: pa.Table
    segments: tuple[str, ...] = ()

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
        include_test: Also merge the rows of test accounts.

    Raises:
        UsageError: If the window has more entities than an edge key can hold (about 700 million).
    """
    stack = _Stack.of(parts)
    entities, ids = _merge_entities(stack, include_test=include_test)
    seen = entities["seen"].to_numpy()
    edges = _place_edges(stack, ids, seen)
    keep = seen.copy()
    keep[edges["target"].to_numpy()] = True
    new_ids = np.where(keep, np.cumsum(keep) - 1, -1).astype(np.int32)
    edges = edges.with_columns(pl.Series(end, new_ids[edges[end].to_numpy()]) for end in ("source", "target"))
    final_ids = np.where(ids >= 0, new_ids[ids], -1) if len(new_ids) else ids
    return Window(
        entities=_table(entities.filter(pl.Series(keep)), WINDOW_ENTITIES, {"type": stack.entity_types}),
        edges=_table(
            _merge_edges(edges, int(keep.sum()), len(stack.edge_types)),
            WINDOW_EDGES,
            {"type": stack.edge_types},
        ),
        properties=_table(
            _merge_properties(stack, final_ids), WINDOW_PROPERTIES, {"name": stack.property_names}
        ),
        segments=tuple(sorted({segment for segment in stack.segments if segment != REFERENCE})),
    )


@dataclass(frozen=True)
class _Stack:
    """All parts on top of each other: node numbers are rows of the stacked ``entities``.

    ``type`` and ``name`` are positions in the sorted name lists; ``segment`` is null for references.
    """

    segments: tuple[str, ...]
    entities: pl.DataFrame
    edges: pl.DataFrame
    properties: pl.DataFrame
    entity_types: list[str]
    edge_types: list[str]
    property_names: list[str]

    @classmethod
    def of(cls, parts: Iterable[tuple[str, Mapping[str, pa.Table]]]) -> _Stack:
        pairs = list(parts)
        tables = {
            kind: [_conform(part[kind], schema) for _, part in pairs]
            for kind, schema in (("entities", ENTITIES), ("edges", EDGES), ("properties", PROPERTIES))
        }
        names = sorted({segment for segment, _ in pairs} - {REFERENCE})
        numbers = np.array([names.index(s) if s != REFERENCE else -1 for s, _ in pairs], dtype=np.int32)
        heights = np.array([table.num_rows for table in tables["entities"]], dtype=np.int64)
        offsets = np.cumsum(heights) - heights
        entities, entity_types = _frame(tables["entities"], ENTITIES, "type")
        edges, edge_types = _frame(tables["edges"], EDGES, "type")
        properties, property_names = _frame(tables["properties"], PROPERTIES, "name")
        shift = _repeated(offsets, tables["edges"])
        segment = pl.Series("segment", _repeated(numbers, tables["entities"]))
        return cls(
            segments=tuple(segment for segment, _ in pairs),
            entities=entities.with_columns(segment.replace(-1, None)),
            edges=edges.with_columns(
                pl.Series("source", edges["source"].to_numpy() + shift),
                pl.Series("target", edges["target"].to_numpy() + shift),
                pl.Series("reference", _repeated(numbers, tables["edges"]) < 0),
            ),
            properties=properties.with_columns(
                pl.Series("node", properties["node"].to_numpy() + _repeated(offsets, tables["properties"]))
            ),
            entity_types=entity_types,
            edge_types=edge_types,
            property_names=property_names,
        )


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    return table.select(schema.names).cast(schema)


def _repeated(values: NDArray[Any], tables: list[pa.Table]) -> NDArray[Any]:
    return np.repeat(values, [table.num_rows for table in tables])


def _frame(tables: list[pa.Table], schema: pa.Schema, coded: str) -> tuple[pl.DataFrame, list[str]]:
    """Return the stacked tables with column ``coded`` as positions in the sorted list of its names."""
    stacked = pa.concat_tables([schema.empty_table(), *tables])
    column = stacked.column(coded).unify_dictionaries().combine_chunks()
    found = column.dictionary.to_pylist()
    names = sorted(found)
    ranks = np.array([names.index(name) for name in found], dtype=np.int32)
    codes = ranks[column.indices.to_numpy(zero_copy_only=False)] if found else np.empty(0, np.int32)
    frame = pl.DataFrame(stacked.drop_columns([coded]))
    return frame.with_columns(pl.Series(coded, codes)), names


def _merge_entities(stack: _Stack, *, include_test: bool) -> tuple[pl.DataFrame, NDArray[np.int32]]:
    """Return one row an entity, sorted, and for each stacked row its number there (-1: left out)."""
    rows = stack.entities if include_test else stack.entities.filter(~pl.col("is_test"))
    merged = (
        rows.group_by("type", "key")
        .agg(
            pl.col("sightings").sum(),
            pl.col("first_seen").min(),
            pl.col("last_seen").max(),
            pl.col("segment").drop_nulls().n_unique().alias("segments"),
        )
        .sort("type", "key")
        .with_row_index("id")
        .with_columns(pl.col("segments").gt(0).alias("seen"))
    )
    # Rows of test accounts share their key with other rows, so they are taken out after the join.
    ids = stack.entities.select("type", "key", "is_test").join(
        merged.select("type", "key", "id"), on=["type", "key"], how="left", maintain_order="left"
    )
    out = pl.lit(value=False) if include_test else pl.col("is_test")
    numbers = ids.select(pl.when(out).then(-1).otherwise(pl.col("id").cast(pl.Int64)).fill_null(-1))
    return merged, numbers.to_series().to_numpy().astype(np.int32)


def _place_edges(stack: _Stack, ids: NDArray[np.int32], seen: NDArray[np.bool_]) -> pl.DataFrame:
    """Return the stacked edges between entities' numbers, less those that do not count."""
    source = ids[stack.edges["source"].to_numpy()] if len(ids) else np.empty(0, np.int32)
    target = ids[stack.edges["target"].to_numpy()] if len(ids) else np.empty(0, np.int32)
    counts = (source >= 0) & (target >= 0)
    if len(seen):
        counts &= ~stack.edges["reference"].to_numpy() | seen[source]
    frame = stack.edges.with_columns(pl.Series("source", source), pl.Series("target", target))
    return frame if counts.all() else frame.filter(pl.Series(counts))


def _merge_edges(edges: pl.DataFrame, entities: int, types: int) -> pl.DataFrame:
    """Sum edges of one source, target and type, in that order.

    The three are packed into one integer: grouping by it takes a quarter of the time.
    """
    if entities * entities * types > _MOST_KEYS:
        raise UsageError(
            f"a window of {entities:,} entities is too large for one graph.", fix="Open a shorter window."
        )
    types = max(types, 1)
    events = pl.col("weight").filter(~pl.col("reference")).sum()
    packed = (pl.col("source").cast(pl.Int64) * entities + pl.col("target")) * types + pl.col("type")
    pair = pl.col("packed") // types
    if edges["reference"].any():
        weight = pl.when(events > 0).then(events).otherwise(1)
    else:
        weight = pl.col("weight").sum()
    return (
        edges.lazy()
        .with_columns(packed.alias("packed"))
        .group_by("packed")
        .agg(weight.alias("weight"), pl.col("first_seen").min(), pl.col("last_seen").max())
        .sort("packed")
        .with_columns(
            (pair // max(entities, 1)).alias("source"),
            (pair % max(entities, 1)).alias("target"),
            (pl.col("packed") % types).alias("type"),
        )
        .collect(engine="streaming")
    )


def _merge_properties(stack: _Stack, ids: NDArray[np.int32]) -> pl.DataFrame:
    nodes = stack.properties["node"].to_numpy()
    node = pl.Series("node", ids[nodes] if len(ids) else nodes.astype(np.int32))
    # Values from reference tables have no time, which sorts before every time.
    return (
        stack.properties.with_columns(node)
        .filter(pl.col("node") >= 0)
        .group_by("node", "name", "value")
        .agg(pl.col("last_seen").max().alias("at"))
        .sort("at", "value", nulls_last=False)
        .group_by("node", "name")
        .agg(pl.col("value").last(), pl.col("at").last(), pl.len().alias("values"))
        .sort("node", "name")
    )


def _table(frame: pl.DataFrame, schema: pa.Schema, coded: dict[str, list[str]]) -> pa.Table:
    """Return ``frame`` in Arrow, with codes as dictionaries of just the names in use, sorted."""
    table = frame.select(schema.names).to_arrow(compat_level=pl.CompatLevel.oldest())
    for name, names in coded.items():
        codes = frame[name].to_numpy()
        used = np.flatnonzero(np.bincount(codes, minlength=len(names)))
        positions = np.searchsorted(used, codes).astype(np.int32)
        column = pa.DictionaryArray.from_arrays(
            pa.array(positions), pa.array([names[i] for i in used], pa.string())
        )
        table = table.set_column(schema.get_field_index(name), name, column)
    return table.cast(schema).combine_chunks()
