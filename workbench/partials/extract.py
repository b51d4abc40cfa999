"""Documents to partials: entities, edges, sightings, properties and counts.

All functions work on the documents of many segments at once: what comes out for a segment depends on its
own documents alone. An entity of a segment is a whole number, in the order of segment, type, key and test
account, so that grouping and joining are sorting and searching in arrays of numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import xxhash

from workbench.partials.coded import coded, is_coded, on_values, places_of, stacked
from workbench.partials.documents import field_text, has_original
from workbench.partials.shapes import COUNTS
from workbench.partials.types import TRUE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from workbench.config.entity_schema import EntityRule, EntitySchema, EventRule

    Numbers = NDArray[np.int64]

__all__ = ["counts", "entity_fields", "entity_keys", "extract", "is_test"]

_TIME = pl.Datetime("us", "UTC")
# most numbers of which it is cheaper to note which occur than to sort those that do
_DENSE = 1 << 24
_JOINED = pl.Schema(
    {
        "type": pl.UInt32(),
        "edge": pl.Int64(),
        "weight": pl.Int64(),
        "first_seen": _TIME,
        "last_seen": _TIME,
    }
)
_ROW = {"segment": pl.String(), "_id": pl.Int64(), "time": pl.Int64(), "is_test": pl.Boolean()}


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
    parts = [
        _part(name, documents[name], rules[name], schema)
        for name in sorted(documents)
        if name in rules and rules[name].entities and not documents[name].is_empty()
    ]
    log = _Log(parts)
    # before the sightings, the largest by far, are there
    joined = {"edges": log.edges(), "properties": log.properties()}
    node, row = log.seen()
    shown = slice(0, 0) if references else slice(None)
    return {
        "entities": log.entities(node, row, timed=not references),
        "sightings": log.sightings(node[shown], row[shown]),
        **joined,
    }


@dataclass(frozen=True)
class _Part:
    """What of the rows of one event type goes into partials; all text is coded.

    Attributes:
        name: The event type.
        rule: Its entities and edges.
        rows: The rows' ``segment``, ``_id``, ``time`` in microseconds and ``is_test``.
        keys: Role to the key that each row gives.
        properties: Role, name and value of each property.
    """

    name: str
    rule: EventRule
    rows: pl.DataFrame
    keys: dict[str, pl.Series]
    properties: list[tuple[str, str, pl.Series]]

    def type_of(self, role: str) -> str:
        return self.rule.entities[role].type or role


def _part(name: str, frame: pl.DataFrame, rule: EventRule, schema: EntitySchema) -> _Part:
    rows = frame.select(
        pl.col("_segment").alias("segment"),
        "_id",
        pl.col("_ts").to_physical().alias("time"),
        is_test(frame, schema),
    )
    texts = {role: _key(frame, entity) for role, entity in rule.entities.items()}
    properties = [
        (role, label, _text(frame, field))
        for role, entity in rule.entities.items()
        for label, field in entity.properties.items()
        if field in frame.columns
    ]
    hashed = [role for role, entity in rule.entities.items() if entity.hash]
    properties += [(role, "text", texts[role]) for role in hashed]
    keys = {**texts, **{role: _hashed(texts[role]) for role in hashed}}
    return _Part(name, rule, rows, keys, properties)


class _Log:
    """The rows of all event types, one after the other, and the entities that they name: its nodes."""

    def __init__(self, parts: list[_Part]) -> None:
        self._parts = parts
        self._starts = np.cumsum([0, *(part.rows.height for part in parts)])
        self._rows = pl.concat([pl.DataFrame(schema=_ROW), *(part.rows for part in parts)])
        self._segments = self._rows["segment"].unique().sort()
        _, (self._segment,) = _ranked([coded(self._rows["segment"])])
        self._types = sorted({part.type_of(role) for part in parts for role in part.keys})
        roles = [(n, role) for n, part in enumerate(parts) for role in part.keys]
        self._keys, ranks = _ranked([parts[n].keys[role] for n, role in roles])
        numbers = [self._entity(*role, key) for role, key in zip(roles, ranks, strict=True)]
        a_segment = 2 * len(self._types) * len(self._keys)
        self._nodes, named = _numbered(numbers, len(self._segments) * a_segment)
        # the node of each row, by part and role; -1 where it names none
        self._named = dict(zip(roles, named, strict=True))
        segment = self._nodes // max(a_segment, 1)
        self._segment_of = self._segments.gather(segment)
        self._place = np.arange(len(segment)) - np.searchsorted(segment, segment)

    def _entity(self, part: int, role: str, key: Numbers) -> Numbers:
        """Return the number of the entity that each row of a part names in a role, -1 for none."""
        here = slice(self._starts[part], self._starts[part + 1])
        kind = self._types.index(self._parts[part].type_of(role))
        entity = (self._segment[here] * len(self._types) + kind) * len(self._keys) + key
        return np.where(key < 0, -1, entity * 2 + self._rows["is_test"].to_numpy()[here])

    def _placed(self, nodes: Numbers) -> dict[str, pl.Series]:
        """Return the segment of nodes, and where they stand in it."""
        return {
            "segment": self._segment_of.gather(nodes),
            "node": pl.Series(self._place[nodes], dtype=pl.Int32),
        }

    def seen(self) -> tuple[Numbers, Numbers]:
        """Return each node with the rows that name it, once a row, in the order of node and ``_id``."""
        ids = self._rows["_id"].fill_null(0).to_numpy()
        order = np.lexsort((ids, self._segment)) if len(self._segments) > 1 else np.argsort(ids)
        turn = np.empty_like(order)
        turn[order] = np.arange(len(order))
        rows = {role: np.flatnonzero(node >= 0) for role, node in self._named.items()}
        pairs = _once(
            _joined(
                self._named[role][at] * len(order) + turn[at + self._starts[role[0]]]
                for role, at in rows.items()
            )
        )
        node = pairs // max(len(order), 1)
        pairs -= node * len(order)
        return node, order[pairs]

    def entities(self, node: Numbers, row: Numbers, *, timed: bool) -> pl.DataFrame:
        """Return a row for each node, of which ``node`` and ``row`` are what is :meth:`seen`."""
        rest, is_test = np.divmod(self._nodes, 2)
        rest, key = np.divmod(rest, max(len(self._keys), 1))
        starts = np.searchsorted(node, np.arange(len(self._nodes)))
        entities = pl.DataFrame(
            {
                **self._placed(np.arange(len(self._nodes))),
                "type": pl.Series(self._types, dtype=pl.String).gather(rest % max(len(self._types), 1)),
                "key": self._keys.gather(key),
                "is_test": is_test.astype(bool),
                "sightings": np.diff(starts, append=len(node)) if timed else np.zeros_like(starts),
            }
        )
        times = self._rows["time"].fill_null(0).to_numpy()[row]
        # every node is seen, so that no range is empty
        ends = [each.reduceat(times, starts) if len(starts) else starts for each in (np.minimum, np.maximum)]
        first, last = (pl.Series(end if timed else [None] * len(end), dtype=pl.Int64) for end in ends)
        return entities.with_columns(first_seen=first.cast(_TIME), last_seen=last.cast(_TIME))

    def sightings(self, node: Numbers, row: Numbers) -> pl.DataFrame:
        """Return what is :meth:`seen` as the partial; two columns of few values are held by these."""
        event_type = np.repeat(np.arange(len(self._parts)), np.diff(self._starts))[row]
        names = pl.Series([part.name for part in self._parts], dtype=pl.Categorical())
        segments = self._segment_of.cast(pl.Categorical())
        return pl.DataFrame(
            {
                "segment": segments.gather(node),
                "node": pl.Series(self._place[node], dtype=pl.Int32),
                "event_type": names.gather(event_type),
                "_id": self._rows["_id"].gather(row),
            }
        )

    def edges(self) -> pl.DataFrame:
        """Return each pair of nodes that rows join, with the number of rows and their times."""
        types = sorted({edge.type for part in self._parts for edge in part.rule.edges})
        found = [self._joined(kind, name) for kind, name in enumerate(types)]
        counted = pl.concat([pl.DataFrame(schema=_JOINED), *found])
        source, target = np.divmod(counted["edge"].to_numpy(), max(len(self._nodes), 1))
        ends = self._placed(source)
        edges = counted.select(
            ends["segment"],
            pl.Series("type", types, dtype=pl.String).gather(counted["type"]),
            ends["node"].alias("source"),
            self._placed(target)["node"].alias("target"),
            "weight",
            "first_seen",
            "last_seen",
        )
        return edges if len(self._segments) < 2 else edges.sort("segment", maintain_order=True)

    def _joined(self, kind: int, name: str) -> pl.DataFrame:
        """Return each edge of a type, as one number of both nodes, in order."""
        found = []
        for n, part in enumerate(self._parts):
            for edge in part.rule.edges:
                if edge.type != name:
                    continue
                source, target = self._named[n, edge.source], self._named[n, edge.target]
                both = (source >= 0) & (target >= 0)
                number = source[both] * len(self._nodes) + target[both]
                found.append(pl.DataFrame({"edge": number, "time": part.rows["time"].filter(both)}))
        return (
            pl.concat(found)
            .group_by("edge")
            .agg(
                pl.len().cast(pl.Int64).alias("weight"),
                pl.col("time").min().cast(_TIME).alias("first_seen"),
                pl.col("time").max().cast(_TIME).alias("last_seen"),
            )
            .sort("edge")
            .select(pl.lit(kind, pl.UInt32).alias("type"), *_JOINED.names()[1:])
        )

    def properties(self) -> pl.DataFrame:
        """Return each value that a node's property was seen with, with the number of rows."""
        value = {"node": pl.Int64(), "name": pl.String(), "value": pl.String()}
        found = [pl.DataFrame(schema={**value, "sightings": pl.Int64(), "last_seen": pl.Int64()})]
        for n, part in enumerate(self._parts):
            for role, name, values in part.properties:
                node = self._named[n, role]
                rows = pl.DataFrame({"node": node, "value": values, "time": part.rows["time"]})
                counted = (
                    rows.filter(pl.col("node") >= 0, pl.col("value").is_not_null())
                    .group_by("node", "value")
                    .agg(pl.len().cast(pl.Int64).alias("sightings"), pl.col("time").max().alias("last_seen"))
                )
                found.append(
                    counted.select(
                        "node",
                        pl.lit(name).alias("name"),
                        pl.col("value").cast(pl.String),
                        "sightings",
                        "last_seen",
                    )
                )
        counted = (
            pl.concat(found)
            .group_by("node", "name", "value")
            .agg(pl.col("sightings").sum(), pl.col("last_seen").max().cast(_TIME))
            .sort("node", "name", "value")
        )
        return counted.with_columns(**self._placed(counted["node"].to_numpy()))


def _joined(arrays: Iterable[Numbers]) -> Numbers:
    return np.concatenate([np.empty(0, dtype=np.int64), *arrays])


def _once(numbers: Numbers) -> Numbers:
    """Sort numbers where they are and return each once; most differ, where np.unique would hash them."""
    numbers.sort()
    first = np.ones(len(numbers), dtype=bool)
    np.not_equal(numbers[1:], numbers[:-1], out=first[1:])
    once: Numbers = numbers[first]
    return once


def _numbered(arrays: list[Numbers], end: int) -> tuple[Numbers, list[Numbers]]:
    """Return the numbers below ``end`` that occur, sorted, and for each number its place among them.

    Less than 0 stays -1.
    """
    if end <= _DENSE:
        found = np.zeros(end, dtype=bool)
        for numbers in arrays:
            found[numbers[numbers >= 0]] = True
        places = np.cumsum(found) - 1
        # what is not there is the last
        places = np.append(places, -1)
        return np.flatnonzero(found), [places[numbers] for numbers in arrays]
    once = _once(_joined(numbers[numbers >= 0] for numbers in arrays))
    return once, [np.where(n < 0, -1, np.searchsorted(once, n)) for n in arrays]


def _ranked(columns: Sequence[pl.Series]) -> tuple[pl.Series, list[Numbers]]:
    """Return the values of coded columns, sorted, and where each row's stands among them, -1 for null."""
    lists: list[pl.Series] = [column.dtype.categories for column in columns]  # type: ignore[attr-defined]
    texts = pl.concat([pl.Series([], dtype=pl.String), *lists])
    values = texts.unique().sort()
    places = texts.cast(pl.Enum(values)).to_physical().cast(pl.Int64).to_numpy()
    ranks, start = [], 0
    for column, own in zip(columns, lists, strict=True):
        rank = np.append(places[start : start + len(own)], -1)
        start += len(own)
        at, there = places_of(column)
        ranks.append(
            rank.take(at, mode="clip") if there is None else rank[np.where(there, at, np.int64(len(own)))]
        )
    return values, ranks


def entity_keys(frame: pl.DataFrame, rules: Mapping[str, EntityRule]) -> pl.DataFrame:
    """Return the keys that rows of fields give, a column for each rule under its name.

    The same keys as :func:`extract` makes, for rows that are no documents.
    """
    keys = {name: _key(frame, rule) for name, rule in rules.items()}
    return pl.DataFrame(
        {n: (_hashed(key) if rules[n].hash else key).cast(pl.String) for n, key in keys.items()}
    )


def entity_fields(rule: EventRule) -> set[str]:
    """Return the fields that give an event type's entities and their properties."""
    return {
        field
        for entity in rule.entities.values()
        for field in (*entity.fields, *entity.join, *entity.properties.values())
    }


def is_test(frame: pl.DataFrame, schema: EntitySchema) -> pl.Expr:
    """Return which events are of test accounts, also where some of the field's values are no booleans."""
    test = schema.fields.test_account
    if test not in frame.columns:
        return pl.lit(value=False).alias("is_test")
    if frame[test].dtype == pl.Boolean():
        return pl.col(test).fill_null(value=False).alias("is_test")
    return field_text(frame, test).str.to_lowercase().is_in(TRUE).fill_null(value=False).alias("is_test")


def _text(frame: pl.DataFrame, field: str) -> pl.Series:
    """Return the text of a field, coded."""
    column = frame[field]
    if is_coded(column) and not has_original(frame, field):
        return column
    return coded(frame.select(field_text(frame, field).alias(field)).to_series())


def _key(frame: pl.DataFrame, rule: EntityRule) -> pl.Series:
    """Return the key: the joined fields where all have a value, else the first of the others that has."""
    options = [_text(frame, f) for f in rule.fields if f in frame.columns]
    if rule.join and all(f in frame.columns for f in rule.join):
        # concat_str is null where any part is
        texts = pl.concat_str([field_text(frame, f) for f in rule.join], separator=rule.separator)
        options.insert(0, coded(frame.select(texts.alias("key")).to_series()))
    if not options:
        return pl.repeat(None, frame.height, dtype=pl.Enum([]), eager=True)
    whole = stacked(options)
    alike = [whole.slice(n * frame.height, frame.height) for n in range(len(options))]
    return (
        pl.DataFrame({f"{n}": column for n, column in enumerate(alike)})
        .select(pl.coalesce(pl.all()))
        .to_series()
    )


def _hashed(text: pl.Series) -> pl.Series:
    """Replace long text by its xxh3-64 in hex; each distinct text is hashed once."""
    return on_values(
        text,
        lambda values: pl.Series(
            [xxhash.xxh3_64_hexdigest(value.encode()) for value in values], dtype=pl.String
        ),
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
