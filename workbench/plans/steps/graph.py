"""Steps over the property graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from workbench.errors import UsageError
from workbench.partials.types import convert
from workbench.plans.shapes import PAIR, property_kinds
from workbench.plans.steps.edges import edges_between, edges_joining, near_and_far, reached
from workbench.tabular import cell_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from workbench.plans.model import Neighbourhood, Nodes, Pairs, PathStep, Shared, Traverse
    from workbench.plans.times import Period
    from workbench.plans.world import Runtime

__all__ = ["describe", "neighbourhood", "nodes", "pairs", "path", "shared", "traverse"]

_MOST_DESCRIBED = 100
_NODE = ("entity", "type", "key", "label")
_TEXT = pl.String()


def to_arrow(frame: pl.DataFrame) -> pa.Table:
    """Return a frame as Arrow that every library reads."""
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def nodes(step: Nodes, world: Runtime) -> pa.Table:
    """Return the entities of a type with the properties that the step names, typed as their values spell."""
    graph = world.graph
    frame = pl.DataFrame(graph.nodes(step.type)).cast({"type": pl.String, "key": pl.String})
    kinds = property_kinds(world, step.type)
    own = set(frame.columns)
    wanted = [*step.properties, *(f.field for f in step.where if f.field not in own)]
    if not wanted:
        return to_arrow(frame)
    properties = pl.DataFrame(graph.window.properties.select(["node", "name", "value"]))
    properties = properties.cast({"name": pl.String}).filter(pl.col("name").is_in(wanted))
    owners = graph.entities_of(properties["node"].to_numpy())
    values = properties.with_columns(pl.Series("entity", owners, dtype=pl.String))
    for name in dict.fromkeys(wanted):
        kind = kinds[name]
        column = values.filter(pl.col("name") == name).select("entity", pl.col("value").alias(name))
        typed, _ = convert(
            column[name], kind if kind in ("int64", "float64", "bool", "timestamp") else "string"
        )
        frame = frame.join(
            column.with_columns(typed.alias(name)), on="entity", how="left", maintain_order="left"
        )
    return to_arrow(frame)


def describe(entities: Sequence[str], world: Runtime) -> pa.Table:
    """Return what is known of entities, a row a fact.

    Raises:
        UsageError: If they are more than can be read.
    """
    if len(entities) > _MOST_DESCRIBED:
        raise UsageError(
            f"{len(entities):,} entities cannot be described at once; at most {_MOST_DESCRIBED} can.",
            fix="Take the first ones with a step 'top' before.",
        )
    zone = ZoneInfo(world.timezone)
    rows = [
        (name, fact, _text(value, zone))
        for name in entities
        for fact, value in _facts(world.entity(name))
        if value not in (None, "")
    ]
    return to_arrow(
        pl.DataFrame(rows, schema=dict.fromkeys(("entity", "fact", "value"), pl.String()), orient="row")
    )


def _text(value: Any, zone: ZoneInfo) -> str:
    """Return a fact for people, whole: a table is no screen."""
    return value if isinstance(value, str) else cell_text(value, zone)


def _facts(entity: Any) -> list[tuple[str, Any]]:
    facts = entity.facts
    found = [(name.replace("_", " "), facts[name]) for name in ("label", "sightings", "segments")]
    found += [(name.replace("_", " "), facts[name]) for name in ("first_seen", "last_seen")]
    found += list(entity.properties.items())
    edges = pl.DataFrame(entity.neighbours(limit=2**31 - 1)).cast({"edge": pl.String})
    counted = (
        edges.group_by("edge", "direction").agg(pl.len(), pl.col("weight").sum()).sort("edge", "direction")
    )
    found += [
        (f"{edge} ({direction})", f"{count:,} entities, weight {weight:,}")
        for edge, direction, count, weight in counted.iter_rows()
    ]
    for kind, row in entity.knowledge.items():
        found += [
            (f"{kind}: {name}", value) for name, value in row.items() if not isinstance(value, list | dict)
        ]
    return found


def traverse(step: Traverse, starts: Sequence[str], within: Period, world: Runtime, sql: Any) -> pa.Table:
    """Return what is reached from entities along edges, nearest first, then those with most events.

    Args:
        step: The step.
        starts: Where it begins.
        within: Only events in this time count; then the edges are counted anew from the documents.
        world: The workspace.
        sql: Runs a statement.
    """
    graph = world.graph
    if within:
        edges = edges_between(step.edge_types, within, starts if step.depth == 1 else None, world, sql)
    else:
        around = graph.around(
            list(starts), step.depth, edge_types=step.edge_types or None, direction=step.direction
        )
        edges = (
            pl.DataFrame(around.edges)
            .select("source", "target", "weight")
            .cast({"source": pl.String, "target": pl.String})
        )
    found = reached(edges, starts, step.direction, step.depth, world.schema.attributes)
    named = named_nodes(found, world)
    if step.types:
        named = named.filter(pl.col("type").is_in(step.types))
    order = ["hops", "weight", "entity"]
    return to_arrow(named.select(*_NODE, "hops", "weight").sort(order, descending=[False, True, False]))


def pairs(step: Pairs, within: Period, world: Runtime, sql: Any) -> pa.Table:
    """Return entities of a type, each beside its neighbours of another type, sorted by both.

    Args:
        step: The step.
        within: Only events in this time count; then the edges are counted anew from the documents.
        world: The workspace.
        sql: Runs a statement.
    """
    edge_types = step.edge_types or tuple(edges_joining(world, step.type, step.neighbours))
    if within:
        edges = edges_between(edge_types, within, None, world, sql)
    else:
        ends = [pl.col("source", "target").cast(pl.String), pl.col("weight")]
        edges = pl.concat(
            pl.DataFrame(world.graph.edges(name).select(["source", "target", "weight"])).select(ends)
            for name in dict.fromkeys(edge_types)
        )
    found = (
        near_and_far(edges, "both")
        .filter(
            pl.col("near").str.starts_with(f"{step.type}:")
            & pl.col("far").str.starts_with(f"{step.neighbours}:")
        )
        .group_by(pl.col("near").alias("entity"), pl.col("far").alias("neighbour"))
        .agg(pl.col("weight").sum())
    )
    far = named_nodes(found.select(entity=pl.col("neighbour").unique()), world)
    far = far.select(neighbour="entity", neighbour_key="key", neighbour_label="label")
    named = named_nodes(found, world).join(far, on="neighbour", how="left")
    return to_arrow(named.select(*PAIR).sort("entity", "neighbour"))


def named_nodes(frame: pl.DataFrame, world: Runtime) -> pl.DataFrame:
    """Add type, key and label to a frame with column ``entity``."""
    if frame.is_empty():
        return frame.with_columns(pl.lit(None, pl.String).alias(n) for n in _NODE if n != "entity")
    types = {entity.partition(":")[0] for entity in frame["entity"].unique()}
    known = [pl.DataFrame(world.graph.nodes(name).select(list(_NODE))) for name in sorted(types)]
    return frame.join(
        pl.concat(n.with_columns(pl.all().cast(_TEXT)) for n in known),
        on="entity",
        how="left",
        maintain_order="left",
    )


def path(step: PathStep, world: Runtime) -> pa.Table:
    """Return the shortest paths between two entities, a row an edge."""
    start, end = step.start
    found = world.graph.paths(start, end, step.k, edge_types=step.edge_types or None)
    frames = [
        pl.DataFrame(one.edges).select(
            pl.lit(number).cast(pl.Int64).alias("path"),
            pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("step"),
            pl.col("source").cast(pl.String),
            pl.col("type").cast(pl.String).alias("edge"),
            pl.col("target").cast(pl.String),
            "weight",
        )
        for number, one in enumerate(found, 1)
        if one
    ]
    numbers = dict.fromkeys(("path", "step"), pl.Int64()) | dict.fromkeys(
        ("source", "edge", "target"), pl.String()
    )
    empty = pl.DataFrame(schema=numbers | {"weight": pl.Int64()})
    return to_arrow(pl.concat([empty, *frames]))


def neighbourhood(
    step: Neighbourhood, starts: Sequence[str], world: Runtime
) -> tuple[pa.Table, pa.Table, int]:
    """Return the entities around others, the edges between them, and how many the limit hid."""
    found = world.graph.around(list(starts), step.hops, edge_types=step.edge_types or None, limit=step.limit)
    return found.nodes, found.edges, sum(found.hidden)


def shared(step: Shared, starts: Sequence[str], world: Runtime) -> pa.Table:
    """Return the entities that two or more have in common."""
    through = [name for name in step.types if name in world.schema.attributes]
    table = world.graph.shared(list(starts), edge_types=step.edge_types or None, through=through)
    frame = pl.DataFrame(table).cast({"type": pl.String}).select(*_NODE, "shared_by", "weight")
    return to_arrow(frame.filter(pl.col("type").is_in(step.types)) if step.types else frame)
