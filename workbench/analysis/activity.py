"""What the actors of one type did in a range of time, read from partials alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from workbench.analysis.runs import starts
from workbench.analysis.stacked import Met, read_stacked
from workbench.graph.keys import format_entities
from workbench.partials.documents import DAY_US
from workbench.partials.micros import from_us, moment, start_of, to_us
from workbench.shared import Shared

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
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
            ``_id``; one row an actor and event, sorted by ``actor``, ``ts`` and ``_id``. Of a part of the
            range, if no more was asked for.
        edges: ``actor``, ``edge``, ``outgoing``, ``neighbour`` (key), ``weight``, ``first`` and ``last``
            (microseconds) and ``day`` (since 1970); one row an edge and segment, those of an edge type and
            direction together. Names are Enums of those that the schema has, and that the window has of
            neighbours.
        properties: ``actor``, ``name``, ``value``, ``last`` (null: a reference table tells).
        since: Start of the range, in microseconds.
        until: Its end, not included.
        met: What it was read from, by others too as long as one of them is at it.
    """

    type_: str
    keys: pl.Series
    events: pl.DataFrame
    edges: pl.DataFrame
    properties: pl.DataFrame
    since: int
    until: int
    met: Met | None = None

    @property
    def places(self) -> dict[str, NDArray[np.int32]]:
        """Return the actor of each row of the entities of each segment that was read; -1 for others."""
        return self.met.who.places if self.met else {}

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

    def by_end(self, *, within: bool = False) -> dict[tuple[str, bool], pl.DataFrame]:
        """Return the edges of each ``edge`` and ``outgoing`` that there are; nothing is copied.

        Args:
            within: Only those that :meth:`neighbours` returns.
        """
        edges = self.neighbours() if within else self.edges
        if not edges.height:
            return {}
        edge, outgoing = edges["edge"].to_physical().to_numpy(), edges["outgoing"].to_numpy()
        at = starts(edge, outgoing)
        parts = [edges[a:b] for a, b in zip(at, [*at[1:], len(edge)], strict=True)]
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
    files = tuple(e.hash for kind in ("entities", "edges") for e in snapshot.files(kind, segments=days))
    met = _MET.get(
        (files, type_, schema.fingerprint, since, until),
        lambda: Met.read(snapshot, days, type_, event_edges(schema, type_), since, until),
    )
    begin = since if events_since is None else max(since, events_since)
    events = met.events(begin, until, event_types(schema, type_))
    keys = met.who.keys
    found = _properties(snapshot, segments, type_, keys, until) if properties else pl.DataFrame()
    return Activity(type_, keys, events, met.edges, found, since, until, met)


# The edges of a month are a gigabyte: tasks that run side by side need them once.
_MET: Shared[Met] = Shared()


def _properties(
    snapshot: Snapshot, segments: Iterable[str], type_: str, keys: pl.Series, until: int
) -> pl.DataFrame:
    """Return the latest value of each property before ``until``; events count before references."""
    places = ["", *(s for s in segments if start_of(s) < until)]
    entities = read_stacked(snapshot, "entities", places, ["type", "key", "is_test"])
    nodes = entities.with_columns(pl.int_range(pl.len(), dtype=pl.Int32).over("segment").alias("node"))
    actors = pl.DataFrame({"key": keys}).with_row_index("actor").cast({"actor": pl.Int32})
    chosen = nodes.filter((pl.col("type") == type_) & ~pl.col("is_test")).join(actors, on="key")
    found = read_stacked(snapshot, "properties", places, ["node", "name", "value", "last_seen"])
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
