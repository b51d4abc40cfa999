"""Edges of a time, counted from the documents: what the window's graph, which counts by days, cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import polars.selectors as cs

from workbench.graph.keys import format_entities, parse_entity
from workbench.partials.extract import entity_keys
from workbench.partials.types import TRUE
from workbench.plans.expressions import literal, quoted
from workbench.plans.times import sql_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from workbench.config.entity_schema import EdgeRule, EntityRule, EventRule
    from workbench.plans.model import Direction
    from workbench.plans.times import Period
    from workbench.plans.world import Runtime, World

__all__ = ["edges_between", "edges_joining", "event_rules", "near_and_far", "reached"]

_EDGES = {"source": pl.String(), "target": pl.String(), "weight": pl.Int64()}


def event_rules(world: World, edge_types: Sequence[str]) -> Iterator[tuple[str, EventRule, EdgeRule]]:
    """Yield the event types whose events give edges of some types (none: of any), with both rules."""
    for name, rule in world.schema.events.items():
        if name in world.fields:
            for edge in rule.edges:
                if not edge_types or edge.type in edge_types:
                    yield name, rule, edge


def edges_joining(world: World, one: str, other: str) -> list[str]:
    """Return the schema's edge types that join two entity types, in either direction."""
    return sorted(n for n, e in world.schema.edges.items() if {e.source, e.target} == {one, other})


def edges_between(
    edge_types: Sequence[str],
    within: Period,
    starts: Sequence[str] | None,
    world: Runtime,
    sql: Callable[[str], Any],
) -> pl.DataFrame:
    """Return ``source``, ``target`` and ``weight`` (events) of the edges whose events lie in a time.

    Events of test accounts do not count, as in the graph.

    Args:
        edge_types: Only these; none: all.
        within: The time.
        starts: Only edges that touch one of these entities; None for all.
        world: The workspace.
        sql: Runs a statement and returns its rows.
    """
    frames = [pl.DataFrame(schema=_EDGES)]
    for event_type, rule, edge in event_rules(world, edge_types):
        ends = (rule.entities[edge.source], rule.entities[edge.target])
        types = (ends[0].type or edge.source, ends[1].type or edge.target)
        keys = None if starts is None else (_keys(starts, types[0]), _keys(starts, types[1]))
        if keys is not None and not any(keys):
            continue
        counted = sql(_statement(event_type, ends, within, keys, world))
        if counted is not None and counted.height:
            frames.append(_named(counted, ends, types))
    edges = pl.concat(frames)
    if starts is not None:
        edges = edges.filter(pl.col("source").is_in(list(starts)) | pl.col("target").is_in(list(starts)))
    return edges.group_by("source", "target").agg(pl.col("weight").sum())


def _keys(starts: Sequence[str], type_: str) -> list[str]:
    return [key for kind, key in map(parse_entity, starts) if kind == type_]


def _statement(
    event_type: str,
    ends: tuple[EntityRule, EntityRule],
    within: Period,
    keys: tuple[list[str], list[str]] | None,
    world: World,
) -> str:
    """Return the statement that counts events by all the fields that give the keys of both ends."""
    own = world.fields[event_type]
    fields = [f for f in dict.fromkeys([*_fields(ends[0]), *_fields(ends[1])]) if f in own]
    tests = [
        *([f"_ts >= {sql_time(within.since)}"] if within.since else []),
        *([f"_ts < {sql_time(within.until)}"] if within.until else []),
    ]
    test = world.schema.fields.test_account
    if test in own:
        true = ", ".join(map(literal, TRUE))
        tests.append(f"NOT coalesce(lower(CAST({quoted(test)} AS VARCHAR)) IN ({true}), false)")
    if keys is not None:
        touching = [_touches(rule, wanted, own) for rule, wanted in zip(ends, keys, strict=True) if wanted]
        if all(touching):  # else some key is not just a field's text: all events are counted, then sifted
            tests.append(f"({' OR '.join(touching)})")
    where = f" WHERE {' AND '.join(tests)}" if tests else ""
    shown = ", ".join([*map(quoted, fields), f"count(*) AS {quoted('#events')}"])
    return f"SELECT {shown} FROM main.{quoted(event_type)}{where} GROUP BY ALL"


def _fields(rule: EntityRule) -> tuple[str, ...]:
    return (*rule.join, *rule.fields)


def _touches(rule: EntityRule, keys: list[str], own: Any) -> str:
    """Return the condition that an event names one of some keys; empty where only the key itself can tell."""
    if rule.hash or rule.join or len(rule.fields) != 1 or own.get(rule.fields[0]) != "string":
        return ""
    return f"{quoted(rule.fields[0])} IN ({', '.join(map(literal, keys))})"


def _named(
    counted: pl.DataFrame, ends: tuple[EntityRule, EntityRule], types: tuple[str, str]
) -> pl.DataFrame:
    """Return counted events as edges between entities, as they are written."""
    counted = counted.with_columns(cs.datetime().dt.convert_time_zone("UTC"))  # keys spell times so
    keyed = entity_keys(counted, {"source": ends[0], "target": ends[1]})
    keyed = keyed.with_columns(counted["#events"].alias("weight")).drop_nulls(["source", "target"])
    written = [
        format_entities(pl.repeat(type_, keyed.height, eager=True, dtype=pl.String), keyed[end]).alias(end)
        for end, type_ in zip(("source", "target"), types, strict=True)
    ]
    return pl.DataFrame([*written, keyed["weight"].cast(pl.Int64)])


def reached(
    edges: pl.DataFrame,
    starts: Sequence[str],
    direction: Direction,
    depth: int,
    attributes: frozenset[str],
) -> pl.DataFrame:
    """Return ``entity``, ``hops`` and ``weight`` of what is reached along edges; starts are left out.

    The weight is that of all edges over which an entity is reached at its distance. Entities of attribute
    types are reached, but nothing is through them, unless it starts there.
    """
    steps = near_and_far(edges, direction)
    seen = pl.DataFrame({"entity": pl.Series(list(dict.fromkeys(starts)), dtype=pl.String)})
    front, layers = seen, []
    for hop in range(1, depth + 1):
        layer = (
            steps.join(front, left_on="near", right_on="entity", how="semi")
            .join(seen, left_on="far", right_on="entity", how="anti")
            .group_by(pl.col("far").alias("entity"))
            .agg(pl.col("weight").sum())
            .with_columns(pl.lit(hop).cast(pl.Int64).alias("hops"))
        )
        if layer.is_empty():
            break
        layers.append(layer)
        seen = pl.concat([seen, layer.select("entity")])
        type_ = pl.col("entity").str.split_exact(":", 1).struct.field("field_0")
        front = layer.select("entity").filter(~type_.is_in(list(attributes)))
    if not layers:
        return pl.DataFrame(schema={"entity": pl.String(), "weight": pl.Int64(), "hops": pl.Int64()})
    return pl.concat(layers)


def near_and_far(edges: pl.DataFrame, direction: Direction) -> pl.DataFrame:
    """Return edges as steps from ``near`` to ``far``; a loop leads nowhere."""
    out = edges.select(pl.col("source").alias("near"), pl.col("target").alias("far"), "weight")
    into = edges.select(pl.col("target").alias("near"), pl.col("source").alias("far"), "weight")
    ways = {"out": [out], "in": [into], "both": [out, into]}[direction]
    return pl.concat(ways).filter(pl.col("near") != pl.col("far"))
