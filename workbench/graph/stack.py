"""What segments sum up to, from their partials: all of them on top of each other, grouped at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.graph.sums import NEVER, NOT_YET, VALUES, Counted, Sum, require_packable
from workbench.partials.shapes import EDGES, ENTITIES, PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["coded", "moments", "sum_of"]


def sum_of(parts: Iterable[tuple[str, Mapping[str, pa.Table]]], *, include_test: bool = False) -> Sum:
    """Return what segments sum up to; it depends on the set of parts, not on their order.

    Args:
        parts: A segment's name with its ``entities``, ``edges`` and ``properties`` partials (the schemas
            of :mod:`workbench.partials.shapes`).
        include_test: Also sum the rows of test accounts.

    Raises:
        UsageError: If there are more entities than an edge key can hold (about 700 million).
    """
    stack = _Stack.of(parts)
    entities, ids = _merge_entities(stack, include_test=include_test)
    edges = _merge_edges(_place_edges(stack, ids), entities.height, len(stack.edge_types))
    return Sum(
        types=stack.entity_types,
        kinds=stack.edge_types,
        names=stack.property_names,
        type=entities["type"].to_numpy(),
        key=entities["key"],
        nodes=_counted(entities, "sightings"),
        segments=entities["segments"].to_numpy().astype(np.int32),
        source=edges["source"].to_numpy().astype(np.int32),
        target=edges["target"].to_numpy().astype(np.int32),
        kind=edges["type"].to_numpy().astype(np.int32),
        edges=_counted(edges, "weight"),
        values=_merge_values(stack, ids),
        places=_places(stack, ids),
    )


@dataclass(frozen=True)
class _Stack:
    """All parts on top of each other: node numbers are rows of the stacked ``entities``.

    ``type`` and ``name`` are positions in the sorted name lists, ``segment`` one in ``segments``.
    """

    segments: tuple[str, ...]
    heights: NDArray[np.int64]
    entities: pl.DataFrame
    edges: pl.DataFrame
    properties: pl.DataFrame
    entity_types: tuple[str, ...]
    edge_types: tuple[str, ...]
    property_names: tuple[str, ...]

    @classmethod
    def of(cls, parts: Iterable[tuple[str, Mapping[str, pa.Table]]]) -> _Stack:
        pairs = list(parts)
        tables = {
            kind: [_conform(part[kind], schema) for _, part in pairs]
            for kind, schema in (("entities", ENTITIES), ("edges", EDGES), ("properties", PROPERTIES))
        }
        names = sorted({segment for segment, _ in pairs})
        numbers = np.array([names.index(segment) for segment, _ in pairs], dtype=np.int32)
        heights = np.array([table.num_rows for table in tables["entities"]], dtype=np.int64)
        offsets = np.cumsum(heights) - heights
        entities, entity_types = _frame(tables["entities"], ENTITIES, "type")
        edges, edge_types = _frame(tables["edges"], EDGES, "type")
        properties, property_names = _frame(tables["properties"], PROPERTIES, "name")
        shift = _repeated(offsets, tables["edges"])
        return cls(
            segments=tuple(segment for segment, _ in pairs),
            heights=heights,
            entities=entities.with_columns(pl.Series("segment", _repeated(numbers, tables["entities"]))),
            edges=edges.with_columns(
                pl.Series("source", edges["source"].to_numpy() + shift),
                pl.Series("target", edges["target"].to_numpy() + shift),
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


def _repeated(values: NDArray[Any], tables: Sequence[pa.Table]) -> NDArray[Any]:
    return np.repeat(values, [table.num_rows for table in tables])


def coded(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Return a column of names as positions in the sorted list of its names, and that list."""
    array = column.unify_dictionaries().combine_chunks()
    found = array.dictionary.to_pylist()
    names = sorted(found)
    ranks = np.array([names.index(name) for name in found], dtype=np.int32)
    codes = ranks[array.indices.to_numpy(zero_copy_only=False)] if found else np.empty(0, np.int32)
    return codes, tuple(names)


def moments(column: pa.ChunkedArray, nothing: int) -> NDArray[np.int64]:
    """Return times in microseconds since 1970, and ``nothing`` where there is none."""
    numbers = column.cast(pa.int64())
    found: NDArray[np.int64] = (numbers.fill_null(nothing) if column.null_count else numbers).to_numpy()
    return found


def _frame(tables: list[pa.Table], schema: pa.Schema, column: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the stacked tables with one column as positions in the sorted list of its names."""
    stacked = pa.concat_tables([schema.empty_table(), *tables])
    codes, names = coded(stacked.column(column))
    frame = pl.DataFrame(stacked.drop_columns([column]))
    return frame.with_columns(pl.Series(column, codes)), names


def _counted(frame: pl.DataFrame, count: str) -> Counted:
    first, last = (
        frame[name].to_physical().fill_null(nothing).to_numpy()
        for name, nothing in (("first_seen", NEVER), ("last_seen", NOT_YET))
    )
    return Counted(frame[count].to_numpy(), first, last)


def _merge_entities(stack: _Stack, *, include_test: bool) -> tuple[pl.DataFrame, NDArray[np.int32]]:
    """Return one row an entity, sorted, and for each stacked row its number there (-1: left out)."""
    rows = stack.entities if include_test else stack.entities.filter(~pl.col("is_test"))
    merged = (
        rows.group_by("type", "key")
        .agg(
            pl.col("sightings").sum(),
            pl.col("first_seen").min(),
            pl.col("last_seen").max(),
            pl.col("segment").n_unique().alias("segments"),
        )
        .sort("type", "key")
        .with_row_index("id")
    )
    # Rows of test accounts share their key with other rows, so they are taken out after the join.
    ids = stack.entities.select("type", "key", "is_test").join(
        merged.select("type", "key", "id"), on=["type", "key"], how="left", maintain_order="left"
    )
    out = pl.lit(value=False) if include_test else pl.col("is_test")
    numbers = ids.select(pl.when(out).then(-1).otherwise(pl.col("id").cast(pl.Int64)).fill_null(-1))
    return merged, numbers.to_series().to_numpy().astype(np.int32)


def _places(stack: _Stack, ids: NDArray[np.int32]) -> dict[str, NDArray[np.int32]]:
    parts = zip(stack.segments, np.split(ids, np.cumsum(stack.heights)[:-1]), strict=True)
    return dict(parts) if stack.segments else {}


def _place_edges(stack: _Stack, ids: NDArray[np.int32]) -> pl.DataFrame:
    """Return the stacked edges between entities' numbers, less those that do not count."""
    source = ids[stack.edges["source"].to_numpy()] if len(ids) else np.empty(0, np.int32)
    target = ids[stack.edges["target"].to_numpy()] if len(ids) else np.empty(0, np.int32)
    counts = (source >= 0) & (target >= 0)
    frame = stack.edges.with_columns(pl.Series("source", source), pl.Series("target", target))
    return frame if counts.all() else frame.filter(pl.Series(counts))


def _merge_edges(edges: pl.DataFrame, entities: int, types: int) -> pl.DataFrame:
    """Sum edges of one source, target and type, in that order.

    The three are packed into one integer: grouping by it takes a quarter of the time.
    """
    require_packable(entities, types)
    types = max(types, 1)
    packed = (pl.col("source").cast(pl.Int64) * entities + pl.col("target")) * types + pl.col("type")
    pair = pl.col("packed") // types
    return (
        edges.lazy()
        .with_columns(packed.alias("packed"))
        .group_by("packed")
        .agg(pl.col("weight").sum(), pl.col("first_seen").min(), pl.col("last_seen").max())
        .sort("packed")
        .with_columns(
            (pair // max(entities, 1)).alias("source"),
            (pair % max(entities, 1)).alias("target"),
            (pl.col("packed") % types).alias("type"),
        )
        .collect(engine="streaming")
    )


def _merge_values(stack: _Stack, ids: NDArray[np.int32]) -> pl.DataFrame:
    nodes = stack.properties["node"].to_numpy()
    node = pl.Series("node", ids[nodes] if len(ids) else nodes.astype(np.int32))
    return (
        stack.properties.with_columns(node, pl.col("last_seen").to_physical())
        .filter(pl.col("node") >= 0)
        .group_by("node", "name", "value")
        .agg(pl.col("sightings").sum(), pl.col("last_seen").max().alias("at"))
        .sort("node", "name", "value")
        .select(*VALUES)
        .cast(VALUES)
    )
