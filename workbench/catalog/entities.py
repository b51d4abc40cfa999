"""Entity and edge types, from the window graph and the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from workbench.catalog.model import EdgeType, EntityType, Property, Sample
from workbench.config.entity_schema import EntityType as DeclaredEntity

if TYPE_CHECKING:
    from workbench.config import EntitySchema
    from workbench.graph import Graph

__all__ = ["edge_types", "entity_types"]

_SAMPLES = 5
_EXAMPLES = 3


def entity_types(graph: Graph, schema: EntitySchema) -> tuple[EntityType, ...]:
    """Return every entity type of the window and of the schema, by name."""
    # both tables are sorted by type and key
    nodes = pl.DataFrame(graph.nodes()).with_columns(
        pl.col("type").cast(pl.String), pl.Series("degree", graph.degree()["degree"])
    )
    totals = nodes.group_by("type").agg(
        pl.len().alias("count"),
        pl.col("sightings").sum(),
        pl.col("first_seen").min(),
        pl.col("last_seen").max(),
        pl.struct("entity", "key", pl.col("label").fill_null(""), "sightings")
        .sort_by("sightings", "degree", "entity", descending=[True, True, False])
        .head(_SAMPLES)
        .alias("samples"),
    )
    found = {row["type"]: row for row in totals.iter_rows(named=True)}
    properties = _properties(graph, nodes["type"], {name: row["count"] for name, row in found.items()})
    types = []
    for name in sorted({*found, *schema.entities}):
        declared = schema.entities.get(name, DeclaredEntity())
        row = found.get(name, {})
        types.append(
            EntityType(
                name=name,
                count=row.get("count", 0),
                who=declared.who,
                attribute=declared.attribute,
                label=declared.label,
                description=declared.description,
                synonyms=declared.synonyms,
                sightings=row.get("sightings", 0),
                first_seen=row.get("first_seen"),
                last_seen=row.get("last_seen"),
                samples=tuple(Sample(**sample) for sample in row.get("samples", ())),
                properties=properties.get(name, ()),
            )
        )
    return tuple(types)


def _properties(graph: Graph, types: pl.Series, sizes: dict[str, int]) -> dict[str, tuple[Property, ...]]:
    known = pl.DataFrame(graph.window.properties.select(["node", "name", "value"]))
    if known.is_empty():
        return {}
    by = ("type", "name")
    owned = known.with_columns(types.gather(known["node"]).alias("type"), pl.col("name").cast(pl.String))
    values = owned.group_by(*by, "value").agg(pl.len().alias("entities"))
    merged = (
        values.sort("entities", "value", descending=[True, False])
        .group_by(by, maintain_order=True)
        .agg(
            pl.col("entities").sum(),
            pl.len().alias("distinct"),
            pl.col("value").head(_EXAMPLES).alias("examples"),
        )
        .sort(by)
    )
    found: dict[str, list[Property]] = {}
    for row in merged.iter_rows(named=True):
        coverage = row["entities"] / sizes[row["type"]]
        entry = Property(row["name"], row["entities"], coverage, row["distinct"], tuple(row["examples"]))
        found.setdefault(row["type"], []).append(entry)
    return {name: tuple(entries) for name, entries in found.items()}


def edge_types(graph: Graph, schema: EntitySchema) -> tuple[EdgeType, ...]:
    """Return every edge type of the window and of the schema, by name."""
    edges = pl.DataFrame(graph.window.edges.select(["type", "weight", "first_seen", "last_seen"]))
    totals = edges.group_by(pl.col("type").cast(pl.String)).agg(
        pl.len().alias("count"),
        pl.col("weight").sum(),
        pl.col("first_seen").min(),
        pl.col("last_seen").max(),
    )
    found = {row["type"]: row for row in totals.iter_rows(named=True)}
    types = []
    for name in sorted({*found, *schema.edges}):
        declared = schema.edges.get(name)
        row = found.get(name, {})
        types.append(
            EdgeType(
                name=name,
                count=row.get("count", 0),
                weight=row.get("weight", 0),
                source=declared.source if declared else "",
                target=declared.target if declared else "",
                description=declared.description if declared else "",
                synonyms=declared.synonyms if declared else (),
                first_seen=row.get("first_seen"),
                last_seen=row.get("last_seen"),
            )
        )
    return tuple(types)
