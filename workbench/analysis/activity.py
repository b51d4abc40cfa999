"""What the actors of one type did in a range of time, read from partials alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.graph.keys import format_entities
from workbench.partials.documents import DAY_US, HASH_BITS
from workbench.partials.micros import from_us, moment, to_us
from workbench.partials.shapes import KINDS
from workbench.storage import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
    "read_events",
    "start_of",
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
            ``_id``; one row an actor and event, sorted by ``actor``, ``ts`` and ``_id``. Of a part of the
            range, if no more was asked for.
        edges: ``actor``, ``edge``, ``outgoing``, ``neighbour`` (key), ``weight``, ``first`` and ``last``
            (microseconds) and ``day`` (since 1970); one row an edge and segment, those of an edge type and
            direction together. Names are Enums of those that the schema has, and that the window has of
            neighbours.
        properties: ``actor``, ``name``, ``value``, ``last`` (null: a reference table tells).
        since: Start of the range, in microseconds.
        until: Its end, not included.
        places: The actor of each row of the entities of each segment that was read; -1 for others.
    """

    type_: str
    keys: pl.Series
    events: pl.DataFrame
    edges: pl.DataFrame
    properties: pl.DataFrame
    since: int
    until: int
    places: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)

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

    def by_end(self) -> dict[tuple[str, bool], pl.DataFrame]:
        """Return the edges of each ``edge`` and ``outgoing`` that there are; nothing is copied."""
        if not self.edges.height:
            return {}
        edge, outgoing = self.edges["edge"].to_physical().to_numpy(), self.edges["outgoing"].to_numpy()
        at = np.flatnonzero(np.append(True, (edge[1:] != edge[:-1]) | (outgoing[1:] != outgoing[:-1])))
        parts = [self.edges[a:b] for a, b in zip(at, [*at[1:], len(edge)], strict=True)]
        return {(part.item(0, "edge"), part.item(0, "outgoing")): part for part in parts}

    def neighbours(self) -> pl.DataFrame:
        """Return the edges that were seen within the range, a row an edge and segment."""
        if self._has_whole_days:
            return self.edges
        inside = [pl.col(end).is_between(self.since, self.until, closed="left") for end in ("first", "last")]
        return self.edges.filter(pl.any_horizontal(inside))

    @property
    def _has_whole_days(self) -> bool:
        """Return whether all that is known of the days of the edges lies within the range."""
        day = self.edges["day"].to_numpy()
        first, last = (int(limit) for limit in (day.min(initial=2**31 - 1), day.max(initial=-(2**31))))
        return first * DAY_US >= self.since and (last + 1) * DAY_US <= self.until

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
    events_since: int | None = None,
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
        events_since: Read only the events from then on; by default those of the whole range.

    Raises:
        CorruptFileError: If a partial is damaged.
    """
    days = [s for s in segments if since - DAY_US < start_of(s) < until]
    stack = _Stack.read(snapshot, days)
    who = stack.who(type_)
    begin = since if events_since is None else max(since, events_since)
    events = stack.events(who, begin, until, event_types(schema, type_))
    edges = stack.edges(who, event_edges(schema, type_), since, until)
    found = _properties(snapshot, segments, type_, who.keys, until) if properties else pl.DataFrame()
    places = {day: who.actor[stack.starts[i] : stack.starts[i + 1]] for i, day in enumerate(days)}
    return Activity(type_, who.keys, events, edges, found, since, until, places)


_LINKS = pl.Schema(
    {
        "actor": pl.Int32(),
        "far": pl.Int32(),
        "weight": pl.Int64(),
        "first": pl.Int64(),
        "last": pl.Int64(),
        "day": pl.Int32(),
    }
)


@dataclass(frozen=True)
class _Who:
    """The actors among stacked entities.

    Attributes:
        keys: Their keys, sorted.
        actor: Of each stacked row; -1 for others.
        rows: In each segment, the first row of its own entities that is of their type, and the one after.
    """

    keys: pl.Series
    actor: NDArray[np.int32]
    rows: list[tuple[int, int]]


@dataclass(frozen=True)
class _Stack:
    """Partials of several segments on top of one another.

    Attributes:
        snapshot: The generation.
        segments: Which.
        starts: In the stacked entities, the first of each segment, and the end of the last.
        entities: Of all of them.
        links: Edges as they stand in the partials, with ``segment``, its place.
    """

    snapshot: Snapshot
    segments: Sequence[str]
    starts: NDArray[np.int32]
    entities: pl.DataFrame
    links: pl.DataFrame

    @classmethod
    def read(cls, snapshot: Snapshot, segments: Sequence[str]) -> _Stack:
        entities = _read(snapshot, "entities", segments, ["type", "key", "is_test"])
        heights = np.bincount(entities["segment"].to_numpy(), minlength=len(segments))
        starts = np.cumsum(np.append(0, heights))[: len(segments) + 1].astype(np.int32)
        columns = ["type", "source", "target", "weight", "first_seen", "last_seen"]
        return cls(snapshot, segments, starts, entities, _read(snapshot, "edges", segments, columns))

    def who(self, type_: str) -> _Who:
        of_type = (self.entities["type"] == type_).to_numpy()
        rows = np.flatnonzero(of_type & ~self.entities["is_test"].to_numpy())
        named = self.entities["key"].gather(rows)
        keys = named.unique().sort()
        actor = np.full(self.entities.height + 1, -1, np.int32)  # one more: an empty stack can be looked up
        actor[rows] = keys.search_sorted(named).to_numpy()
        # the entities of a segment are sorted by type
        of = np.flatnonzero(of_type)
        first, last = (np.searchsorted(of, self.starts[:-1]), np.searchsorted(of, self.starts[1:]))
        bounds = [
            (int(of[a] - start), int(of[b - 1] - start) + 1) if b > a else (0, 0)
            for a, b, start in zip(first, last, self.starts, strict=False)
        ]
        return _Who(keys, actor, bounds)

    def events(self, who: _Who, since: int, until: int, types: Iterable[str]) -> pl.DataFrame:
        """Return the events of the actors, a row each, by actor and time.

        The sightings of a segment are sorted by node and time, and nodes of a type by key: each actor's of a
        day are a run in it, so that runs are put in order, not rows.
        """
        parts = [self._seen(place, who, since, until) for place in range(len(self.segments))]
        seen = pl.concat([EVENTS, *parts])
        kind = pl.Enum(sorted({*types, *seen["event_type"].unique().cast(pl.String)}))
        seen = seen.with_columns(pl.col("event_type").cast(kind))
        order = _by_runs(seen["actor"].to_numpy())
        return pl.DataFrame({name: _placed(seen[name], order) for name in seen.columns})

    def _seen(self, place: int, who: _Who, since: int, until: int) -> pl.DataFrame:
        low, high = who.rows[place]
        segment, start = Segment(self.snapshot, self.segments[place]), self.starts[place]
        midnight = start_of(segment.day)
        if high == low or not since - DAY_US < midnight < until:
            return EVENTS
        seen = _read_events(segment, low, high)
        actor = pl.Series("actor", who.actor[seen["actor"].to_numpy() + start])
        return seen.with_columns(actor).filter(
            (pl.col("actor") >= 0) & pl.col("ts").is_between(since, until, closed="left")
        )

    def edges(self, who: _Who, ends: Sequence[EdgeEnd], since: int, until: int) -> pl.DataFrame:
        """Return the edges of the actors: those of each end together, and in it those of each segment."""
        runs = self._runs()
        parts = [self._of_end(runs.get(end.edge, []), who, end, since, until) for end in ends]
        far = np.concatenate([np.empty(0, np.int32), *(part["far"].to_numpy() for part in parts)])
        met = np.zeros(self.entities.height, bool)
        met[far] = True
        rows = np.flatnonzero(met)
        keys = self.entities["key"].gather(rows)
        names = pl.Enum(keys.unique().sort())
        code = np.zeros(self.entities.height, np.uint32)
        code[rows] = keys.cast(names).to_physical().to_numpy()
        kinds = pl.Enum(sorted({end.edge for end in ends}))
        named = [
            part.select("actor", pl.lit(end.edge, kinds).alias("edge"), outgoing=end.outgoing)
            for part, end in zip(parts, ends, strict=True)
        ]
        none = pl.DataFrame(schema={"actor": pl.Int32(), "edge": kinds, "outgoing": pl.Boolean()})
        told = pl.concat([pl.DataFrame(schema=_LINKS), *parts])
        return pl.concat([none, *named]).with_columns(
            pl.Series("neighbour", code[far]).cat.to(names), *told["weight", "first", "last", "day"]
        )

    def _runs(self) -> dict[str, list[tuple[int, int]]]:
        """Return where the edges of each type stand: in a segment they are together."""
        if not self.links.height:
            return {}
        kind, segment = self.links["type"].to_physical().to_numpy(), self.links["segment"].to_numpy()
        at = np.flatnonzero(np.append(True, (kind[1:] != kind[:-1]) | (segment[1:] != segment[:-1])))
        names = self.links["type"].gather(at).cast(pl.String)
        found: dict[str, list[tuple[int, int]]] = {}
        for name, begin, end in zip(names, at, np.append(at[1:], len(kind)), strict=True):
            found.setdefault(name, []).append((int(begin), int(end)))
        return found

    def _of_end(
        self, runs: Sequence[tuple[int, int]], who: _Who, end: EdgeEnd, since: int, until: int
    ) -> pl.DataFrame:
        near, far = ("source", "target") if end.outgoing else ("target", "source")
        parts = [pl.DataFrame(schema=_LINKS)]
        for begin, stop in runs:
            links = self.links[begin:stop]
            place = links.item(0, "segment")
            midnight = start_of(self.segments[place])
            ends = links[near].to_numpy() + self.starts[place]
            found = links.select(
                pl.Series("actor", who.actor[ends]),
                pl.Series("far", links[far].to_numpy() + self.starts[place]),
                "weight",
                pl.col("first_seen").to_physical().alias("first"),
                pl.col("last_seen").to_physical().alias("last"),
                pl.lit(midnight // DAY_US, pl.Int32).alias("day"),
                pl.Series("near", ends),
            ).filter((pl.col("actor") >= 0) & (pl.col("last") >= since) & (pl.col("first") < until))
            if midnight < since and until < midnight + DAY_US:
                around = (pl.col("first") < since) & (pl.col("last") >= until)
                open_ = found.filter(around)
                found = pl.concat(
                    [found.filter(~around), self._seen_together(open_, place, end, since, until)]
                )
            parts.append(found.drop("near"))
        return pl.concat(parts)

    def _seen_together(
        self, edges: pl.DataFrame, place: int, end: EdgeEnd, since: int, until: int
    ) -> pl.DataFrame:
        """Return those of ``edges``, all of a segment, whose two ends one event within the range names.

        A segment tells only when an edge was seen first and last, and the range lies between the two.
        """
        segment = Segment(self.snapshot, self.segments[place])
        (sightings,) = segment.read("sightings", columns=["node", "event_type", "_id"])
        seen = (
            pl.DataFrame(sightings)
            .with_columns(
                pl.col("node") + int(self.starts[place]),
                (start_of(segment.day) + pl.col("_id") // 2**HASH_BITS).alias("ts"),
            )
            .filter(
                pl.col("ts").is_between(since, until, closed="left")
                & pl.col("event_type").cast(pl.String).is_in(end.events)
            )
        )
        event = ["_id", "event_type"]
        times = (
            edges.select("near", "far")
            .join(seen.select("ts", *event, near="node"), on="near")
            .join(seen.select(*event, far="node"), on=["far", *event])
            .group_by("near", "far")
            .agg(pl.col("ts").min().alias("first"), pl.col("ts").max().alias("last"))
        )
        return edges.drop("first", "last").join(times, on=["near", "far"]).select(edges.columns)


EVENTS = pl.DataFrame(
    schema={
        "actor": pl.Int32(),
        "event_type": pl.Categorical(),
        "ts": pl.Int64(),
        "day": pl.Int32(),
        "_id": pl.Int64(),
    }
)


def read_events(segment: Segment, type_: str) -> pl.DataFrame:
    """Return the events of the entities of a type in a segment, as :class:`Activity` has them.

    The ``actor`` is a row of the segment's entities. Rows are sorted by ``actor``, ``ts`` and ``_id``.

    Raises:
        CorruptFileError: If a partial is damaged.
    """
    tables = segment.read("entities", columns=["type"])
    if not tables or not len(of := np.flatnonzero(pl.DataFrame(tables[0])["type"] == type_)):
        return EVENTS
    return _read_events(segment, int(of[0]), int(of[-1]) + 1)


def _read_events(segment: Segment, low: int, high: int) -> pl.DataFrame:
    """Return the events of some rows of a segment's entities."""
    midnight = start_of(segment.day)
    within = [("node", ">=", low), ("node", "<", high)]
    tables = segment.read("sightings", columns=["node", "event_type", "_id"], filters=within)
    if not tables:
        return EVENTS
    return pl.DataFrame(tables[0]).select(
        pl.col("node").alias("actor"),
        pl.col("event_type").cast(pl.Categorical()),
        (midnight + pl.col("_id") // 2**HASH_BITS).alias("ts"),
        pl.lit(midnight // DAY_US, pl.Int32).alias("day"),
        "_id",
    )


def _by_runs(groups: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return where each row goes that groups stand together in order, rows of one in the order they have."""
    if not len(groups):
        return np.empty(0, np.int64)
    starts = np.flatnonzero(np.append(True, groups[1:] != groups[:-1]))
    lengths = np.diff(np.append(starts, len(groups)))
    order = np.argsort(groups[starts], kind="stable")
    places = np.empty(len(starts), np.int64)
    places[order] = np.cumsum(lengths[order]) - lengths[order]
    return np.repeat(places - starts, lengths) + np.arange(len(groups))


def _placed(column: pl.Series, places: NDArray[np.int64]) -> pl.Series:
    values = column.to_physical().to_numpy()
    placed = np.empty_like(values)
    placed[places] = values
    made = pl.Series(column.name, placed)
    return made.cat.to(column.dtype) if isinstance(column.dtype, pl.Enum) else made


def start_of(segment: str) -> int:
    """Return the midnight that a segment begins with, in microseconds since 1970."""
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
    places = ["", *(s for s in segments if start_of(s) < until)]
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
