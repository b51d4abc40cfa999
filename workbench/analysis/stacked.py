"""Partials of several segments on top of one another: their entities, and the events and edges of some."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.analysis.runs import starts
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
    """The actors of some segments.

    Attributes:
        keys: Their keys, sorted.
        places: The actor of each row of the entities of a segment; -1 for others.
        rows: The first row of the entities of a segment that is of their type, and the one after the last.
    """

    keys: pl.Series
    places: dict[str, NDArray[np.int32]]
    rows: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Stack:
    """The entities of several segments on top of one another.

    Attributes:
        snapshot: The generation.
        rows: Those of each segment.
        entities: Of all of them.
    """

    snapshot: Snapshot
    rows: dict[str, slice]
    entities: pl.DataFrame

    @classmethod
    def read(cls, snapshot: Snapshot, segments: Sequence[str]) -> Stack:
        """Read the entities of segments."""
        entities = read_stacked(snapshot, "entities", segments, ["type", "key", "is_test"])
        heights = np.bincount(entities["segment"].to_numpy(), minlength=len(segments))
        bounds = pairwise([0, *np.cumsum(heights).tolist()])
        rows = {segment: slice(*bound) for segment, bound in zip(segments, bounds, strict=False)}
        return cls(snapshot, rows, entities)

    def who(self, type_: str) -> Who:
        """Return the actors of a type, test accounts left out."""
        of_type = (self.entities["type"] == type_).to_numpy()
        rows = np.flatnonzero(of_type & ~self.entities["is_test"].to_numpy())
        named = self.entities["key"].gather(rows)
        keys = named.unique().sort()
        actor = np.full(self.entities.height, -1, np.int32)
        actor[rows] = keys.search_sorted(named).to_numpy()
        parts = self.rows.items()
        return Who(keys, {s: actor[r] for s, r in parts}, {s: _bounds(of_type[r]) for s, r in parts})

    def edges(self, who: Who, ends: Sequence[EdgeEnd], since: int, until: int) -> pl.DataFrame:
        """Return the edges of the actors: those of each end together, and in it those of each segment."""
        columns: dict[str, list[list[NDArray[Any]]]] = {name: [[] for _ in ends] for name in _COLUMNS}
        reads = (partial(_links, self.snapshot, segment) for segment in self.rows)
        for segment, links in zip(self.rows, ahead(reads), strict=True):
            for name, run in _by_type(links):
                for number, end in enumerate(ends):
                    if end.edge == name:
                        found = self._of_end(run, segment, who, end, since, until)
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
        self, links: pl.DataFrame, segment: str, who: Who, end: EdgeEnd, since: int, until: int
    ) -> pl.DataFrame:
        """Return edges of one type and segment from one end."""
        near, far = ("source", "target") if end.outgoing else ("target", "source")
        midnight = start_of(segment)
        found = links.select(
            pl.Series("actor", who.places[segment][links[near].to_numpy()]),
            pl.col(far).alias("far") + self.rows[segment].start,
            "weight",
            pl.col("first_seen").to_physical().alias("first"),
            pl.col("last_seen").to_physical().alias("last"),
            pl.lit(midnight // DAY_US, pl.Int32).alias("day"),
            pl.col(near).alias("near"),
        ).filter((pl.col("actor") >= 0) & (pl.col("last") >= since) & (pl.col("first") < until))
        if not midnight < since <= until < midnight + DAY_US:
            return found
        around = (pl.col("first") < since) & (pl.col("last") >= until)
        open_ = found.filter(around)
        return pl.concat([found.filter(~around), self._seen_together(open_, segment, end, since, until)])

    def _seen_together(
        self, edges: pl.DataFrame, segment: str, end: EdgeEnd, since: int, until: int
    ) -> pl.DataFrame:
        """Return those of ``edges``, all of a segment, whose two ends one event within the range names.

        A segment tells only when an edge was seen first and last, and the range lies between the two.
        """
        columns = ["node", "event_type", "_id"]
        (sightings,) = Segment(self.snapshot, segment).read("sightings", columns=columns)
        seen = (
            pl.DataFrame(sightings)
            .with_columns(
                (start_of(segment) + pl.col("_id") // 2**HASH_BITS).alias("ts"),
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
            .join(seen.select(*event, far=pl.col("node") + self.rows[segment].start), on=["far", *event])
            .group_by("near", "far")
            .agg(pl.col("ts").min().alias("first"), pl.col("ts").max().alias("last"))
        )
        return edges.drop("first", "last").join(times, on=["near", "far"]).select(edges.columns)


@dataclass(frozen=True, eq=False)
class Met:
    """The actors of a type in some segments, and what they met there.

    Attributes:
        snapshot: The generation.
        who: The actors.
        edges: Those of a range of time, as :meth:`Stack.edges` has them.
    """

    snapshot: Snapshot
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
        """Read both; of the other entities nothing is held."""
        stack = Stack.read(snapshot, segments)
        who = stack.who(type_)
        return cls(snapshot, who, stack.edges(who, ends, since, until))

    def events(self, since: int, until: int, types: Iterable[str]) -> pl.DataFrame:
        """Return the events of the actors, a row each, by actor and time.

        The sightings of a segment are sorted by node and time, and nodes of a type by key: each actor's of a
        day are a run in it, so that runs are put in order, not rows.
        """
        parts = [self._seen(segment, since, until) for segment in self.who.places]
        seen = pl.concat([EVENTS, *parts])
        kind = pl.Enum(sorted({*types, *seen["event_type"].unique().cast(pl.String)}))
        seen = seen.with_columns(pl.col("event_type").cast(kind))
        order = _by_runs(seen["actor"].to_numpy())
        return pl.DataFrame({name: _placed(seen[name], order) for name in seen.columns})

    def _seen(self, segment: str, since: int, until: int) -> pl.DataFrame:
        low, high = self.who.rows[segment]
        if not high or not since - DAY_US < start_of(segment) < until:
            return EVENTS
        seen = _read_events(Segment(self.snapshot, segment), low, high)
        actor = pl.Series("actor", self.who.places[segment][seen["actor"].to_numpy()])
        return seen.with_columns(actor).filter(
            (pl.col("actor") >= 0) & pl.col("ts").is_between(since, until, closed="left")
        )


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
    low, high = _bounds((pl.DataFrame(tables[0])["type"] == type_).to_numpy()) if tables else (0, 0)
    return _read_events(segment, low, high) if high else EVENTS


def _bounds(of_type: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the first of a segment's entities of a type and the one after: they are sorted by type."""
    of = np.flatnonzero(of_type)
    return (int(of[0]), int(of[-1]) + 1) if len(of) else (0, 0)


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
    first = starts(links["type"].to_physical().to_numpy())
    for begin, end in pairwise([*first.tolist(), links.height]):
        yield links.item(begin, "type"), links[begin:end]


def _by_runs(groups: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return where each row goes that groups stand together in order, rows of one in the order they have."""
    first = starts(groups)
    lengths = np.diff(first, append=len(groups))
    order = np.argsort(groups[first], kind="stable")
    places = np.empty(len(first), np.int64)
    places[order] = np.cumsum(lengths[order]) - lengths[order]
    return np.repeat(places - first, lengths) + np.arange(len(groups))


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
