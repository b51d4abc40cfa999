"""Documents to partials: entities, edges, sightings, properties and counts.

All functions work on the documents of many segments at once, with ``segment`` as a grouping key:
what comes out for a segment depends on its own documents alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import xxhash

from workbench.partials.documents import field_text
from workbench.partials.shapes import COUNTS
from workbench.partials.types import TRUE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workbench.config.entity_schema import EntityRule, EntitySchema, EventRule

__all__ = ["counts", "entity_keys", "extract", "is_test"]

_PLACE = pl.Categorical()
_TEXTUAL = pl.col("segment", "type", "key").cast(pl.String)
_NODE = ("segment", "type", "key", "is_test")
_MENTION = {
    "segment": _PLACE,
    "type": _PLACE,
    "key": _PLACE,
    "is_test": pl.Boolean(),
    "_id": pl.Int64(),
    "_ts": pl.Datetime("us", "UTC"),
    "event_type": _PLACE,
}


def extract(
    documents: Mapping[str, pl.DataFrame], schema: EntitySchema, *, references: bool = False
) -> dict[str, pl.DataFrame]:
    """Return the partials ``entities``, ``edges``, ``sightings`` and ``properties``, each with ``segment``.

    Args:
        documents: By event type, with ``_segment``, ``_id``, ``_ts`` and the fields.
        schema: Which fields give which entities, edges and properties.
        references: The frames are reference tables: rows count as no sighting and have no time.
    """
    rules = schema.references if references else schema.events
    mentions: list[pl.DataFrame] = []
    edges: list[pl.DataFrame] = []
    properties: list[pl.DataFrame] = []
    for name in sorted(documents):
        rule = rules.get(name)
        if rule is None or not rule.entities or documents[name].is_empty():
            continue
        keyed = _keyed(documents[name], rule, schema, timed=not references)
        mentions += _mentions(keyed, rule, None if references else name)
        for role, entity in rule.entities.items():
            properties += _properties(documents[name], keyed, role, entity)
        edges += list(_edges(keyed, rule))
    return _assemble(mentions, edges, properties)


def _keyed(frame: pl.DataFrame, rule: EventRule, schema: EntitySchema, *, timed: bool) -> pl.DataFrame:
    """Return segment, _id, _ts, is_test and one key column for each role, named ``@role``."""
    common = [
        pl.col("_segment").cast(pl.String).alias("segment"),
        pl.col("_id") if timed else pl.lit(None, pl.Int64).alias("_id"),
        pl.col("_ts"),
        is_test(frame, schema),
    ]
    keys = [_key(frame, entity).alias(f"@{role}") for role, entity in rule.entities.items()]
    hashed = [role for role, entity in rule.entities.items() if entity.hash]
    keyed = frame.select(*common, *keys).with_columns(
        pl.col(f"@{role}").alias(f"@{role}.text") for role in hashed
    )
    # rows are grouped and joined by places in a list of keys, which are compared as text once a key
    return keyed.with_columns(_hashed(f"@{role}") for role in hashed).with_columns(
        pl.col("segment", *(f"@{role}" for role in rule.entities)).cast(_PLACE)
    )


def entity_keys(frame: pl.DataFrame, rules: Mapping[str, EntityRule]) -> pl.DataFrame:
    """Return the keys that rows of fields give, a column for each rule under its name.

    The same keys as :func:`extract` makes, for rows that are no documents.
    """
    keyed = frame.with_columns(_key(frame, rule).alias(f"@{name}") for name, rule in rules.items())
    keyed = keyed.select(pl.col(f"@{name}").alias(name) for name in rules)
    return keyed.with_columns(_hashed(name) for name, rule in rules.items() if rule.hash)


def is_test(frame: pl.DataFrame, schema: EntitySchema) -> pl.Expr:
    """Return which events are of test accounts, also where some of the field's values are no booleans."""
    test = schema.fields.test_account
    if test not in frame.columns:
        return pl.lit(value=False).alias("is_test")
    return field_text(frame, test).str.to_lowercase().is_in(TRUE).fill_null(value=False).alias("is_test")


def _key(frame: pl.DataFrame, rule: EntityRule) -> pl.Expr:
    """Return the key: the joined fields where all have a value, else the first of the others that has."""
    options = [field_text(frame, f) for f in rule.fields if f in frame.columns]
    if rule.join and all(f in frame.columns for f in rule.join):
        # concat_str is null where any part is
        options.insert(0, pl.concat_str([field_text(frame, f) for f in rule.join], separator=rule.separator))
    return pl.coalesce(options) if options else pl.lit(None, pl.String)


def _hashed(column: str) -> pl.Expr:
    """Replace long text by its xxh3-64 in hex; each distinct text is hashed once."""

    def digests(texts: pl.Series) -> pl.Series:
        distinct = texts.unique().drop_nulls()
        digest = [xxhash.xxh3_64_hexdigest(text.encode()) for text in distinct]
        return texts.replace_strict(distinct, digest, default=None, return_dtype=pl.String)

    return pl.col(column).map_batches(digests, return_dtype=pl.String)


def _mentions(keyed: pl.DataFrame, rule: EventRule, event_type: str | None) -> Iterator[pl.DataFrame]:
    """Yield a row for each entity that an event names, once for those that it names in two roles."""
    roles: dict[str, list[pl.DataFrame]] = {}
    for role, entity in rule.entities.items():
        named = keyed.filter(pl.col(f"@{role}").is_not_null()).select(
            "segment",
            pl.lit(entity.type or role).cast(_PLACE).alias("type"),
            pl.col(f"@{role}").alias("key"),
            "is_test",
            "_id",
            "_ts",
            pl.lit(event_type, pl.String).cast(_PLACE).alias("event_type"),
        )
        roles.setdefault(entity.type or role, []).append(named)
    for frames in roles.values():
        several = len(frames) > 1 or event_type is None
        yield pl.concat(frames).unique(["segment", "key", "is_test", "_id"]) if several else frames[0]


def _properties(
    frame: pl.DataFrame, keyed: pl.DataFrame, role: str, rule: EntityRule
) -> Iterator[pl.DataFrame]:
    values = {n: field_text(frame, field) for n, field in rule.properties.items() if field in frame.columns}
    texts = frame.select(expression.alias(name) for name, expression in values.items()).get_columns()
    if rule.hash:
        texts.append(keyed[f"@{role}.text"].alias("text"))
    for text in texts:
        yield keyed.select(
            "segment",
            pl.lit(rule.type or role).cast(_PLACE).alias("type"),
            pl.col(f"@{role}").alias("key"),
            "is_test",
            "_ts",
            pl.lit(text.name).alias("name"),
            text.alias("value"),
        ).filter(pl.col("key").is_not_null() & pl.col("value").is_not_null())


def _edges(keyed: pl.DataFrame, rule: EventRule) -> Iterator[pl.DataFrame]:
    for edge in rule.edges:
        source, target = rule.entities[edge.source], rule.entities[edge.target]
        yield keyed.select(
            "segment",
            pl.lit(edge.type).cast(_PLACE).alias("type"),
            pl.lit(source.type or edge.source).cast(_PLACE).alias("source_type"),
            pl.col(f"@{edge.source}").alias("source_key"),
            pl.lit(target.type or edge.target).cast(_PLACE).alias("target_type"),
            pl.col(f"@{edge.target}").alias("target_key"),
            "is_test",
            "_ts",
        ).filter(pl.col("source_key").is_not_null() & pl.col("target_key").is_not_null())


def _assemble(
    mentions: list[pl.DataFrame], edges: list[pl.DataFrame], properties: list[pl.DataFrame]
) -> dict[str, pl.DataFrame]:
    mentioned = pl.concat(mentions) if mentions else pl.DataFrame(schema=_MENTION)
    entities = (
        mentioned.group_by(_NODE)
        .agg(
            pl.col("event_type").count().cast(pl.Int64).alias("sightings"),
            pl.col("_ts").min().alias("first_seen"),
            pl.col("_ts").max().alias("last_seen"),
        )
        .with_columns(_TEXTUAL)
        .sort(_NODE)
        .with_columns(pl.int_range(pl.len(), dtype=pl.Int32).over("segment").alias("node"))
    )
    nodes = entities.select(pl.col("segment", "type", "key").cast(_PLACE), "is_test", "node")
    sightings = (
        mentioned.filter(pl.col("event_type").is_not_null())
        .join(nodes, on=_NODE)
        .select("segment", "node", "event_type", "_id")
        .sort(pl.col("segment").cast(pl.String), "node", "_id")
        .with_columns(pl.col("segment", "event_type").cast(pl.String))
    )
    return {
        "entities": entities,
        "sightings": sightings,
        "edges": _assemble_edges(edges, nodes),
        "properties": _assemble_properties(properties, nodes),
    }


def _assemble_edges(edges: list[pl.DataFrame], nodes: pl.DataFrame) -> pl.DataFrame:
    if not edges:
        ends = {"segment": pl.String(), "type": pl.String(), "source": pl.Int32(), "target": pl.Int32()}
        times = {"first_seen": pl.Datetime("us", "UTC"), "last_seen": pl.Datetime("us", "UTC")}
        return pl.DataFrame(schema={**ends, "weight": pl.Int64(), **times})
    by = ("segment", "type", "source_type", "source_key", "target_type", "target_key", "is_test")
    counted = (
        pl.concat(edges)
        .group_by(by)
        .agg(
            pl.len().cast(pl.Int64).alias("weight"),
            pl.col("_ts").min().alias("first_seen"),
            pl.col("_ts").max().alias("last_seen"),
        )
    )
    for end in ("source", "target"):
        named = nodes.rename({"type": f"{end}_type", "key": f"{end}_key", "node": end})
        counted = counted.join(named, on=["segment", f"{end}_type", f"{end}_key", "is_test"])
    columns = ["segment", "type", "source", "target", "weight", "first_seen", "last_seen"]
    return (
        counted.select(columns)
        .with_columns(pl.col("segment", "type").cast(pl.String))
        .sort("segment", "type", "source", "target")
    )


def _assemble_properties(properties: list[pl.DataFrame], nodes: pl.DataFrame) -> pl.DataFrame:
    if not properties:
        return pl.DataFrame(
            schema={
                "segment": pl.String(),
                "node": pl.Int32(),
                "name": pl.String(),
                "value": pl.String(),
                "sightings": pl.Int64(),
                "last_seen": pl.Datetime("us", "UTC"),
            }
        )
    return (
        pl.concat(properties)
        .group_by(*_NODE, "name", "value")
        .agg(pl.len().cast(pl.Int64).alias("sightings"), pl.col("_ts").max().alias("last_seen"))
        .join(nodes, on=_NODE)
        .select(pl.col("segment").cast(pl.String), "node", "name", "value", "sightings", "last_seen")
        .sort("segment", "node", "name", "value")
    )


def counts(documents: Mapping[str, pl.DataFrame], schema: EntitySchema) -> pl.DataFrame:
    """Return the partial ``counts``: events by segment, type and hour."""
    frames = [
        frame.select(
            pl.col("_segment").cast(pl.String).alias("segment"),
            pl.lit(name).alias("type"),
            pl.col("_ts").dt.truncate("1h").alias("hour"),
            is_test(frame, schema),
        )
        for name, frame in documents.items()
    ]
    if not frames:
        return pl.DataFrame(COUNTS.empty_table()).with_columns(segment=pl.lit(""))
    by = ("segment", "type", "hour", "is_test")
    return pl.concat(frames).group_by(by).agg(pl.len().cast(pl.Int64).alias("events")).sort(by)
