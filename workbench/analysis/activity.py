"""What the actors of one type did in a range of time, read from partials alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.graph.keys import format_entities
from workbench.partials.documents import DAY_US, HASH_BITS
from workbench.partials.micros import from_us, moment, to_us
from workbench.partials.shapes import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from workbench.config.entity_schema import EntitySchema
    from workbench.storage import Snapshot

__all__ = [
    "Activity",
    "EdgeEnd",
    "event_edges",
    "event_types",
    "from_us",
    "local_hour",
    "moment",
    "read_activity",
    "to_us",
]


def local_hour(timezone: str) -> pl.Expr:
    """Return the hour of the day, in a zone, of column ``ts`` (microseconds since 1970)."""
    return pl.col("ts").cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(timezone).dt.hour()


@dataclass(frozen=True)
class EdgeEnd:
    """An edge type seen from the actor's end.

    Attributes:
        edge: The edge type.
        outgoing: Whether the actor is its source.
        neighbour: The entity type at the other end.
        events: The event types that give it.
    """

    edge: str
    outgoing: bool
    neighbour: str
    events: tuple[str, ...]


def event_types(schema: EntitySchema, type_: str) -> tuple[str, ...]:
    """Return the event types that name an entity of ``type_``, sorted.

    >>> from workbench.config.entity_schema import load_schema
    >>> event_types(load_schema("flights"), "aircraft")
    ('Arrival', 'Cancellation', 'Departure')
    """
    return tuple(
        sorted(
            name
            for name, rule in schema.events.items()
            if type_ in {entity.type or role for role, entity in rule.entities.items()}
        )
    )


def event_edges(schema: EntitySchema, type_: str) -> tuple[EdgeEnd, ...]:
    """Return the edge types that events give and that have ``type_`` at an end, sorted, sources first.

    What only a reference table gives says nothing about a time, and is left out.

    >>> from workbench.config.entity_schema import load_schema
    >>> [end.edge for end in event_edges(load_schema("flights"), "aircraft")]
    ['ArrivedAt', 'DepartedFrom', 'OperatedBy']
    """
    givers: dict[str, list[str]] = {}
    for name, rule in sorted(schema.events.items()):
        for edge in rule.edges:
            givers.setdefault(edge.type, []).append(name)
    ends = []
    for name in sorted(givers):
        kind = schema.edges[name]
        if kind.source == type_:
            ends.append(EdgeEnd(name, True, kind.target, tuple(dict.fromkeys(givers[name]))))
        if kind.target == type_:
            ends.append(EdgeEnd(name, False, kind.source, tuple(dict.fromkeys(givers[name]))))
    return tuple(ends)


@dataclass(frozen=True)
class Activity:
    """What the actors of one type did.

    Attributes:
        type_: Their type.
        keys: The key of each actor, sorted; ``actor`` in the other tables is the place here.
        events: ``actor``, ``event_type``, ``ts`` (microseconds since 1970), ``day`` (since 1970) and
            ``_id``; one row an actor and event, sorted by ``actor``, ``ts`` and ``_id``.
        edges: ``actor``, ``edge``, ``outgoing``, ``neighbour`` (key), ``weight``, ``first`` and ``last``
            (microseconds) and ``day`` (since 1970); one row an edge and segment.
        properties: ``actor``, ``name``, ``value``, ``last`` (null: a reference table tells).
        since: Start of the range, in microseconds.
        until: Its end, not included.
    """

    type_: str
    keys: pl.Series
    events: pl.DataFrame
    edges: pl.DataFrame
    properties: pl.DataFrame
    since: int
    until: int

    def between(self, since: int, until: int) -> Activity:
        """Return the same of a shorter range, a day at least: over days edges tell their times exactly."""
        since, until = max(since, self.since), min(until, self.until)
        starts = pl.col("day") * DAY_US
        return replace(
            self,
            events=self.events.filter(pl.col("ts").is_between(since, until, closed="left")),
            edges=self.edges.filter((starts > since - DAY_US) & (starts < until)),
            since=since,
            until=until,
        )

    def neighbours(self) -> pl.DataFrame:
        """Return the edges that were seen within the range, a row an edge and segment."""
        inside = [pl.col(end).is_between(self.since, self.until, closed="left") for end in ("first", "last")]
        return self.edges.filter(pl.any_horizontal(inside))

    def names(self) -> pl.Series:
        """Return every actor as it is written."""
        return format_entities(pl.Series([self.type_] * len(self.keys), dtype=pl.String), self.keys)


def read_activity(  # noqa: PLR0913, PLR0917  (what, of whom, and from when to when)
    snapshot: Snapshot,
    segments: Iterable[str],
    schema: EntitySchema,
    type_: str,
    since: int,
    until: int,
    *,
    properties: bool = False,
) -> Activity:
    """Read what the actors of ``type_`` did, test accounts left out.

    Times are exact to the microsecond, for an event's identifier holds its time. No document is opened.

    Args:
        snapshot: The generation.
        segments: The window; only those that touch the range are read.
        schema: What events give.
        type_: Whose activity.
        since: Start of the range, in microseconds since 1970.
        until: Its end, not included.
        properties: Also read properties, the references' too: latest values up to ``until``.

    Raises:
        CorruptFileError: If a partial is damaged.
    """
    days = [s for s in segments if since - DAY_US < _start(s) < until]
    stack = _Stack.read(snapshot, days)
    who = stack.who(type_)
    events = stack.events(who, since, until)
    edges = [stack.edges(who, end, since, until) for end in event_edges(schema, type_)]
    found = _properties(snapshot, segments, type_, who.keys, until) if properties else pl.DataFrame()
    return Activity(type_, who.keys, events, pl.concat([_EDGES, *edges]), found, since, until)


_EDGES = pl.DataFrame(
    schema={
        "actor": pl.Int32(),
        "edge": pl.String(),
        "outgoing": pl.Boolean(),
        "neighbour": pl.String(),
        "weight": pl.Int64(),
        "first": pl.Int64(),
        "last": pl.Int64(),
        "day": pl.Int32(),
    }
)


@dataclass(frozen=True)
class _Who:
    """The actors among stacked entities: ``keys`` sorted; ``actor`` of each stacked row, -1 for others."""

    keys: pl.Series
    actor: NDArray[np.int32]


@dataclass(frozen=True)
class _Stack:
    """Partials of several segments on top of one another; ``node`` is a row of the stacked entities."""

    entities: pl.DataFrame
    sightings: pl.DataFrame
    links: pl.DataFrame

    @classmethod
    def read(cls, snapshot: Snapshot, segments: Sequence[str]) -> _Stack:
        entities = _read(snapshot, "entities", segments, ["type", "key", "is_test"])
        first = entities.with_row_index("row").group_by("segment").agg(pl.col("row").min())
        starts = np.zeros(len(segments) + 1, np.int64)
        starts[first["segment"].to_numpy()] = first["row"].to_numpy()

        def shifted(frame: pl.DataFrame, *names: str) -> pl.DataFrame:
            shift = starts[frame["segment"].to_numpy()]
            return frame.with_columns(pl.Series(n, frame[n].to_numpy() + shift) for n in names)

        days = pl.Series("day", [_start(s) // DAY_US for s in segments], dtype=pl.Int32)
        sightings = shifted(_read(snapshot, "sightings", segments, ["node", "event_type", "_id"]), "node")
        columns = ["type", "source", "target", "weight", "first_seen", "last_seen"]
        links = shifted(_read(snapshot, "edges", segments, columns), "source", "target")
        dated = [f.with_columns(days.gather(f["segment"])).drop("segment") for f in (sightings, links)]
        return cls(entities, *dated)

    def who(self, type_: str) -> _Who:
        chosen = (self.entities["type"] == type_) & ~self.entities["is_test"]
        rows = self.entities.with_row_index("node").filter(chosen).select("node", "key")
        keys = rows["key"].unique().sort()
        actor = np.full(self.entities.height + 1, -1, np.int32)  # one more: an empty stack can be looked up
        actor[rows["node"].to_numpy()] = keys.search_sorted(rows["key"]).to_numpy()
        return _Who(keys, actor)

    def events(self, who: _Who, since: int, until: int) -> pl.DataFrame:
        return (
            self.sightings.with_columns(
                pl.Series("actor", who.actor[self.sightings["node"].to_numpy()]), _time().alias("ts")
            )
            .filter((pl.col("actor") >= 0) & pl.col("ts").is_between(since, until, closed="left"))
            .select("actor", pl.col("event_type").cast(pl.String), "ts", "day", "_id")
            .sort("actor", "ts", "_id")
        )

    def edges(self, who: _Who, end: EdgeEnd, since: int, until: int) -> pl.DataFrame:
        near, far = ("source", "target") if end.outgoing else ("target", "source")
        found = self.links.filter(pl.col("type") == end.edge)
        found = found.select(
            pl.Series("actor", who.actor[found[near].to_numpy()]),
            pl.lit(end.edge).alias("edge"),
            pl.lit(end.outgoing).alias("outgoing"),
            self.entities["key"].gather(found[far]).alias("neighbour"),
            "weight",
            pl.col("first_seen").to_physical().alias("first"),
            pl.col("last_seen").to_physical().alias("last"),
            "day",
            pl.col(near).alias("near"),
            pl.col(far).alias("far"),
        ).filter((pl.col("actor") >= 0) & (pl.col("last") >= since) & (pl.col("first") < until))
        around = (pl.col("first") < since) & (pl.col("last") >= until)
        open_ = found.filter(around)
        if open_.height:
            found = pl.concat([found.filter(~around), self._seen_together(open_, end, since, until)])
        return found.select(_EDGES.columns)

    def _seen_together(self, edges: pl.DataFrame, end: EdgeEnd, since: int, until: int) -> pl.DataFrame:
        """Return those of ``edges`` whose two ends one event within the range names.

        A segment tells only when an edge was seen first and last, and the range lies between the two.
        """
        seen = self.sightings.with_columns(_time().alias("ts")).filter(
            pl.col("ts").is_between(since, until, closed="left")
            & pl.col("event_type").cast(pl.String).is_in(end.events)
        )
        near = seen.select(pl.col("node").alias("near"), "day", "_id", "event_type", "ts")
        far = seen.select(pl.col("node").alias("far"), "day", "_id", "event_type")
        times = (
            edges.select("near", "far", "day")
            .join(near, on=["near", "day"])
            .join(far, on=["far", "day", "_id", "event_type"])
            .group_by("near", "far")
            .agg(pl.col("ts").min().alias("first"), pl.col("ts").max().alias("last"))
        )
        return edges.drop("first", "last").join(times, on=["near", "far"]).select(edges.columns)


def _time() -> pl.Expr:
    into: pl.Expr = pl.col("_id") // 2**HASH_BITS
    return pl.col("day").cast(pl.Int64) * DAY_US + into


def _start(segment: str) -> int:
    return (date.fromisoformat(segment) - date(1970, 1, 1)).days * DAY_US


def _read(snapshot: Snapshot, kind: str, segments: Sequence[str], columns: list[str]) -> pl.DataFrame:
    """Return some partials on top of one another, with ``segment``, the place in ``segments``."""
    place = {segment: i for i, segment in enumerate(segments)}
    entries = [e for e in snapshot.files(kind, segments=segments) if e.rows]
    if not entries:
        return pl.DataFrame(KINDS[kind].empty_table()).select(columns).with_columns(segment=pl.lit(0))
    # one call for all of them: a tenth of the time that a call for each takes
    frame = pl.read_parquet(snapshot.paths(entries), columns=columns, hive_partitioning=False)
    numbers = np.repeat([place[e.segment] for e in entries], [e.rows for e in entries])
    return frame.with_columns(pl.Series("segment", numbers.astype(np.int32)))


def _properties(
    snapshot: Snapshot, segments: Iterable[str], type_: str, keys: pl.Series, until: int
) -> pl.DataFrame:
    """Return the latest value of each property before ``until``; events count before references."""
    places = ["", *(s for s in segments if _start(s) < until)]
    entities = _read(snapshot, "entities", places, ["type", "key", "is_test"])
    nodes = entities.with_columns(pl.int_range(pl.len(), dtype=pl.Int32).over("segment").alias("node"))
    actors = pl.DataFrame({"key": keys}).with_row_index("actor").cast({"actor": pl.Int32})
    chosen = nodes.filter((pl.col("type") == type_) & ~pl.col("is_test")).join(actors, on="key")
    found = _read(snapshot, "properties", places, ["node", "name", "value", "last_seen"])
    return (
        found.join(chosen.select("segment", "node", "actor"), on=["segment", "node"])
        .select(
            "actor", pl.col("name").cast(pl.String), "value", pl.col("last_seen").to_physical().alias("last")
        )
        .filter(pl.col("last").is_null() | (pl.col("last") < until))
        .sort("last", "value", nulls_last=False)
        .group_by("actor", "name")
        .agg(pl.col("value").last(), pl.col("last").last())
        .sort("actor", "name")
    )
