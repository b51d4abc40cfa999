"""Segments taken out of a sum again (spec 2.2).

Counts are subtracted. The first and the last moment cannot be: where a segment that leaves held it, it is
looked for again in the partials of those that stay, nearest day first, so that what is met every day costs
one day.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.graph.stack import coded, moments
from workbench.graph.sums import NEVER, NOT_YET, Counted, find, find_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    import pyarrow as pa
    from numpy.typing import NDArray

from workbench.graph.sums import Sum

__all__ = ["Day", "MismatchError", "minus"]

_KEY = ["node", "name", "value"]


class MismatchError(Exception):
    """What is to be taken out was not put in like that."""


@dataclass(frozen=True, eq=False)
class Day:
    """A segment that stays, with its rows as its partials have them.

    Attributes:
        segment: Its name; later days have greater ones.
        nodes: The first moment of each row of its entities, or the last, whichever is looked for.
        source: Row of each edge's source in its entities.
        target: Row of each edge's target in its entities.
        kind: Of each edge, as a place in ``kinds``.
        kinds: The names of edge types.
        edges: The moment of each edge.
        values: Returns its properties: ``node``, ``name`` as text, ``value`` and ``at`` in microseconds.
    """

    segment: str
    nodes: NDArray[np.int64]
    source: NDArray[np.int32]
    target: NDArray[np.int32]
    kind: NDArray[np.int32]
    kinds: tuple[str, ...]
    edges: NDArray[np.int64]
    values: Callable[[], pl.DataFrame]

    @classmethod
    def of(
        cls,
        segment: str,
        parts: tuple[pa.Table, pa.Table],
        properties: Callable[[], pa.Table],
        *,
        backwards: bool,
    ) -> Day:
        """Return the day of a segment's partials; its properties are seldom needed, and read then.

        Args:
            segment: Its name.
            parts: Its entities and its edges.
            properties: Reads its properties.
            backwards: Whether the last moments are looked for, or the first.
        """
        entities, edges = parts
        kind, kinds = coded(edges["type"])
        name, nothing = ("last_seen", NOT_YET) if backwards else ("first_seen", NEVER)
        return cls(
            segment,
            moments(entities[name], nothing),
            edges["source"].to_numpy(),
            edges["target"].to_numpy(),
            kind,
            kinds,
            moments(edges[name], nothing),
            lambda: _values(properties()),
        )


def _values(properties: pa.Table) -> pl.DataFrame:
    name, last_seen = pl.col("name").cast(pl.String), pl.col("last_seen").to_physical()
    return pl.DataFrame(properties).select("node", name, "value", last_seen.alias("at"))


def minus(
    whole: Sum, gone: Sum, days: Callable[[bool], Iterable[Day]], drop: Collection[str] = frozenset()
) -> Sum:
    """Return ``whole`` without what ``gone`` put into it.

    Args:
        whole: The sum of all, those that leave included.
        gone: The sum of the segments that leave.
        days: Returns segments that stay: those from the first that leaves on, in order, or, asked with
            True, those up to the last that leaves, newest first. They are asked for one by one.
        drop: The segments that leave and do not come back in another form.

    Raises:
        MismatchError: If something of ``gone`` is not in ``whole``, or of what stays not in ``days``.
    """
    types, kinds = _codes(gone.type, gone.types, whole.types), _codes(gone.kind, gone.kinds, whole.kinds)
    places, found = find_nodes(whole.type, whole.key, types, gone.key)
    _require(found.all())
    packed = whole.packed(whole.source, whole.target, whole.kind)
    rows, found = find(packed, whole.packed(places[gone.source], places[gone.target], kinds))
    _require(found.all())

    segments = whole.segments.copy()
    segments[places] -= gone.segments
    nodes, edges = _Rest(whole.nodes, places, gone.nodes), _Rest(whole.edges, rows, gone.edges)
    stays = segments[places] > 0
    for backwards in (False, True):
        todo = nodes.missing(gone.nodes, stays, backwards=backwards)
        ties = edges.missing(gone.edges, edges.left.count > 0, backwards=backwards)
        _search(whole, packed, days(backwards), todo, ties)
    del packed
    rest = replace(
        whole,
        segments=segments,
        values=_less_values(whole, gone, places, days(True)),
        places={segment: p for segment, p in whole.places.items() if segment not in drop},
    )
    alive = np.ones(len(whole.source), bool)
    alive[rows[edges.left.count == 0]] = False
    left = rest.select(segments > 0, alive)
    nodes.put(left.nodes, stays)
    edges.put(left.edges, edges.left.count > 0)
    return left


def _require(holds: bool | np.bool_) -> None:
    if not holds:
        raise MismatchError


def _codes(codes: NDArray[np.int32], names: tuple[str, ...], whole: tuple[str, ...]) -> NDArray[np.int32]:
    """Return codes of names as codes of others; a name that they lack may stand there, but not be used."""
    places = {name: place for place, name in enumerate(whole)}
    found = np.array([places.get(name, -1) for name in names], np.int32)[codes]
    _require((found >= 0).all())
    return found


class _Rest:
    """The rows of a sum of which something is gone, in order, with what is left of each."""

    def __init__(self, whole: Counted, places: NDArray[Any], gone: Counted) -> None:
        self._places = places
        self.left = whole.at(places)
        self.left.count[:] -= gone.count
        _require((self.left.count >= 0).all())

    def missing(self, gone: Counted, alive: NDArray[np.bool_], *, backwards: bool) -> _Missing:
        """Take away the first, or the last, moments that left; those of rows that stay are missing."""
        moments, others = (self.left.last, gone.last) if backwards else (self.left.first, gone.first)
        hits = np.flatnonzero((moments == others) & alive)
        moments[hits] = NOT_YET if backwards else NEVER
        return _Missing(self._places[hits], hits, moments)

    def put(self, counted: Counted, alive: NDArray[np.bool_]) -> None:
        """Put what is left where it belongs when the rows that are not ``alive`` are taken out."""
        places = self._places[alive]
        places -= np.searchsorted(self._places[~alive], places)
        for column, left in (
            (counted.count, self.left.count),
            (counted.first, self.left.first),
            (counted.last, self.left.last),
        ):
            column[places] = left[alive]


class _Missing:
    """Rows of which the first, or the last, moment left with what is gone, until it is found again."""

    def __init__(self, rows: NDArray[Any], hits: NDArray[Any], moments: NDArray[np.int64]) -> None:
        self.rows = rows
        self._hits = hits
        self._moments = moments

    def fill(self, found: NDArray[Any], moments: NDArray[np.int64]) -> None:
        """Take the moments of some of ``rows``; they are found then."""
        self._moments[self._hits[found]] = moments
        self.rows, self._hits = np.delete(self.rows, found), np.delete(self._hits, found)


def _search(
    whole: Sum, packed: NDArray[np.int64], days: Iterable[Day], nodes: _Missing, edges: _Missing
) -> None:
    """Find what is missing, in the first of the days that has it."""
    waiting = iter(days)
    while len(nodes.rows) or len(edges.rows):
        day = next(waiting, None)
        if day is None:
            raise MismatchError
        places = whole.places[day.segment]
        if len(nodes.rows):
            row_of = np.full(len(whole), -1)
            row_of[places[places >= 0]] = np.flatnonzero(places >= 0)
            here = row_of[nodes.rows]
            nodes.fill(np.flatnonzero(here >= 0), day.nodes[here[here >= 0]])
        if len(edges.rows):
            rows, keys = _wanted(whole, day, places, edges.rows)
            wanted, found = find(packed[edges.rows], keys)
            edges.fill(wanted[found], day.edges[rows[found]])


def _wanted(
    whole: Sum, day: Day, places: NDArray[np.int32], edges: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the rows of a day's edges that may be some of those, with what they are packed to.

    Most of a day's edges are of entities of which nothing is missing; test accounts have no place.
    """
    wanted = []
    for end in (whole.source, whole.target):
        missing = np.zeros(len(whole) + 1, bool)
        missing[end[edges]] = True
        wanted.append(missing[places])
    rows = np.flatnonzero(wanted[0][day.source])
    rows = rows[wanted[1][day.target[rows]]]
    ends = places[day.source[rows]], places[day.target[rows]]
    return rows, whole.packed(*ends, _codes(day.kind[rows], day.kinds, whole.kinds))


def _less_values(whole: Sum, gone: Sum, places: NDArray[Any], days: Iterable[Day]) -> pl.DataFrame:
    names = _codes(gone.values["name"].to_numpy(), gone.names, whole.names)
    out = gone.values.with_columns(
        pl.Series("node", places[gone.values["node"].to_numpy()].astype(np.int32)), pl.Series("name", names)
    )
    joined = whole.values.join(out, on=_KEY, how="left", maintain_order="left")
    _require(joined["sightings_right"].count() == out.height)
    rest = joined.select(
        *_KEY,
        (pl.col("sightings") - pl.col("sightings_right").fill_null(0)).alias("sightings"),
        pl.when(pl.col("at") == pl.col("at_right")).then(None).otherwise("at").alias("at"),
    ).filter(pl.col("sightings") > 0)
    waiting = iter(days)
    while rest["at"].null_count():
        day = next(waiting, None)
        if day is None:
            raise MismatchError
        found = day.values()
        numbers = {name: place for place, name in enumerate(whole.names)}
        found = found.with_columns(
            pl.Series("node", whole.places[day.segment][found["node"].to_numpy()]),
            pl.col("name").replace_strict(numbers, default=None, return_dtype=pl.Int32),
        ).select(*_KEY, "at")
        rest = rest.join(found, on=_KEY, how="left", maintain_order="left").select(
            *_KEY, "sightings", pl.coalesce("at", "at_right").alias("at")
        )
    return rest
