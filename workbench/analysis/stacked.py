"""Partials of several segments on top of one another: their entities, and the events and edges of some."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.executors.ahead import ahead
from workbench.partials.documents import DAY_US, HASH_BITS
from workbench.partials.micros import start_of
from workbench.partials.shapes import KINDS
from workbench.storage import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from workbench.analysis.activity import EdgeEnd
    from workbench.storage import Snapshot

__all__ = ["EVENTS", "Met", "Stack", "Who", "read_events", "read_stacked"]

# Of an edge as it is read, each with the kind of its numbers.
_COLUMNS = {
    "actor": np.empty(0, np.int32),
    "far": np.empty(0, np.int32),
    "weight": np.empty(0, np.int64),
    "first": np.empty(0, np.int64),
    "last": np.empty(0, np.int64),
    "day": np.empty(0, np.int32),
}


@dataclass(frozen=True)
class Who:
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
class Stack:
    """Partials of several segments on top of one another.

    Attributes:
        snapshot: The generation.
        segments: Which.
        starts: In the stacked entities, the first of each segment, and the end of the last.
        entities: Of all of them.
    """

    snapshot: Snapshot
    segments: Sequence[str]
    starts: NDArray[np.int32]
    entities: pl.DataFrame

    @classmethod
    def read(cls, snapshot: Snapshot, segments: Sequence[str]) -> Stack:
        """Read the entities of segments."""
        entities = read_stacked(snapshot, "entities", segments, ["type", "key", "is_test"])
        heights = np.bincount(entities["segment"].to_numpy(), minlength=len(segments))
        starts = np.cumsum(np.append(0, heights))[: len(segments) + 1].astype(np.int32)
        return cls(snapshot, segments, starts, entities)

    def who(self, type_: str) -> Who:
        """Return the actors of a type, test accounts left out."""
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
        return Who(keys, actor, bounds)

    def events(self, who: Who, since: int, until: int, types: Iterable[str]) -> pl.DataFrame:
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

    def _seen(self, place: int, who: Who, since: int, until: int) -> pl.DataFrame:
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

    def edges(self, who: Who, ends: Sequence[EdgeEnd], since: int, until: int) -> pl.DataFrame:
        """Return the edges of the actors: those of each end together, and in it those of each segment."""
        columns: dict[str, list[list[NDArray[Any]]]] = {name: [[] for _ in ends] for name in _COLUMNS}
        reads = (partial(_links, self.snapshot, segment) for segment in self.segments)
        for place, links in enumerate(ahead(reads)):
            for name, run in _by_type(links):
                for number, end in enumerate(ends):
                    if end.edge == name:
                        found = self._of_end(run, place, who, end, since, until)
                        for column in _COLUMNS:
                            columns[column][number].append(found[column].to_numpy())
        heights = [sum(map(len, parts)) for parts in columns["actor"]]

        def joined(name: str) -> NDArray[Any]:
            # what is joined is let go of: a month of all columns is a gigabyte
            return np.concatenate([_COLUMNS[name], *(part for parts in columns.pop(name) for part in parts)])

        kinds = pl.Enum(sorted({end.edge for end in ends}))
        edge = [
            pl.Series([end.edge], dtype=kinds).new_from_index(0, height)
            for end, height in zip(ends, heights, strict=True)
        ]
        return pl.DataFrame(
            {
                "actor": joined("actor"),
                "edge": pl.concat([pl.Series(dtype=kinds), *edge], rechunk=True),
                "outgoing": np.repeat(np.array([end.outgoing for end in ends], bool), heights),
                "neighbour": self._keys(joined("far")),
                **{name: joined(name) for name in ("weight", "first", "last", "day")},
            }
        )

    def _keys(self, nodes: NDArray[np.int32]) -> pl.Series:
        """Return the keys of stacked entities, as an Enum of those that there are."""
        met = np.zeros(self.entities.height, bool)
        met[nodes] = True
        rows = np.flatnonzero(met)
        keys = self.entities["key"].gather(rows)
        names = pl.Enum(keys.unique().sort())
        code = np.zeros(self.entities.height, np.uint32)
        code[rows] = keys.cast(names).to_physical().to_numpy()
        return pl.Series(code[nodes]).cat.to(names)

    def _of_end(  # noqa: PLR0913, PLR0917  (which, whose, and of when)
        self, links: pl.DataFrame, place: int, who: Who, end: EdgeEnd, since: int, until: int
    ) -> pl.DataFrame:
        """Return edges of one type and segment from one end."""
        near, far = ("source", "target") if end.outgoing else ("target", "source")
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
        if not midnight < since <= until < midnight + DAY_US:
            return found
        around = (pl.col("first") < since) & (pl.col("last") >= until)
        open_ = found.filter(around)
        return pl.concat([found.filter(~around), self._seen_together(open_, place, end, since, until)])

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


@dataclass(frozen=True, eq=False)
class Met:
    """The actors of a type in some segments, and what they met there.

    Attributes:
        stack: The segments.
        who: The actors.
        edges: Those of a range of time, as :meth:`Stack.edges` has them.
    """

    stack: Stack
    who: Who
    edges: pl.DataFrame

    @classmethod
    def read(  # noqa: PLR0913, PLR0917  (what, of whom, and from when to when)
        cls,
        snapshot: Snapshot,
        segments: Sequence[str],
        type_: str,
        ends: Sequence[EdgeEnd],
        since: int,
        until: int,
    ) -> Met:
        """Read both."""
        stack = Stack.read(snapshot, segments)
        who = stack.who(type_)
        return cls(stack, who, stack.edges(who, ends, since, until))

    @property
    def places(self) -> dict[str, NDArray[np.int32]]:
        """Return the actor of each row of the entities of each segment; -1 for others."""
        bounds = pairwise(self.stack.starts.tolist())
        return {
            day: self.who.actor[first:last]
            for day, (first, last) in zip(self.stack.segments, bounds, strict=True)
        }


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


def _links(snapshot: Snapshot, segment: str) -> pl.DataFrame:
    """Return the edges of a segment as they stand in its partial."""
    columns = ["type", "source", "target", "weight", "first_seen", "last_seen"]
    return read_stacked(snapshot, "edges", [segment], columns)


def _by_type(links: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the edges of each type: in a segment they stand together."""
    kind = links["type"].to_physical().to_numpy()
    at = np.flatnonzero(kind[1:] != kind[:-1]) + 1
    bounds = [0, *at.tolist(), len(kind)]
    for begin, end in pairwise(bounds if len(kind) else []):
        yield links.item(begin, "type"), links[begin:end]


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


def read_stacked(snapshot: Snapshot, kind: str, segments: Sequence[str], columns: list[str]) -> pl.DataFrame:
    """Return some partials on top of one another, with ``segment``, the place in ``segments``."""
    place = {segment: i for i, segment in enumerate(segments)}
    entries = [e for e in snapshot.files(kind, segments=segments) if e.rows]
    if not entries:
        return pl.DataFrame(KINDS[kind].empty_table()).select(columns).with_columns(segment=pl.lit(0))
    # one call for all of them: a tenth of the time that a call for each takes
    frame = pl.read_parquet(snapshot.paths(entries), columns=columns, hive_partitioning=False)
    numbers = np.repeat([place[e.segment] for e in entries], [e.rows for e in entries])
    return frame.with_columns(pl.Series("segment", numbers.astype(np.int32)))
