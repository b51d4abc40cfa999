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
    nodes, edges = _less(whole.nodes, places, gone.nodes), _less(whole.edges, rows, gone.edges)
    for backwards in (False, True):
        todo = _Missing(nodes, places, gone.nodes, segments > 0, backwards=backwards)
        ties = _Missing(edges, rows, gone.edges, edges.count > 0, backwards=backwards)
        _search(whole, packed, days(backwards), todo, ties)
    rest = replace(
        whole,
        nodes=nodes,
        segments=segments,
        edges=edges,
        values=_less_values(whole, gone, places, days(True)),
        places={segment: p for segment, p in whole.places.items() if segment not in drop},
    )
    return rest.select(segments > 0, edges.count > 0)


def _require(holds: bool | np.bool_) -> None:
    if not holds:
        raise MismatchError


def _codes(codes: NDArray[np.int32], names: tuple[str, ...], whole: tuple[str, ...]) -> NDArray[np.int32]:
    """Return codes of names as codes of others; a name that they lack may stand there, but not be used."""
    places = {name: place for place, name in enumerate(whole)}
    found = np.array([places.get(name, -1) for name in names], np.int32)[codes]
    _require((found >= 0).all())
    return found


def _less(whole: Counted, places: NDArray[Any], gone: Counted) -> Counted:
    left = Counted(whole.count.copy(), whole.first.copy(), whole.last.copy())
    left.count[places] -= gone.count
    _require((left.count[places] >= 0).all())
    return left


class _Missing:
    """The rows of which the first, or the last, moment left with what is gone, until it is found again."""

    def __init__(
        self,
        counted: Counted,
        places: NDArray[Any],
        gone: Counted,
        alive: NDArray[np.bool_],
        *,
        backwards: bool,
    ) -> None:
        self._moments = counted.last if backwards else counted.first
        self._nothing = NOT_YET if backwards else NEVER
        held = self._moments[places] == (gone.last if backwards else gone.first)
        self.rows: NDArray[Any] = places[held & alive[places]]
        self._moments[self.rows] = self._nothing

    def fill(self, hit: NDArray[Any], moments: NDArray[np.int64]) -> None:
        """Take the moments of some of ``rows``; they are found then."""
        self._moments[self.rows[hit]] = moments
        self.rows = np.delete(self.rows, hit)


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
        row_of = np.full(len(whole), -1)
        row_of[places[places >= 0]] = np.flatnonzero(places >= 0)
        here = row_of[nodes.rows]
        nodes.fill(np.flatnonzero(here >= 0), day.nodes[here[here >= 0]])
        # most edges of a day are of entities of which nothing is missing; test accounts have no place
        missing = np.zeros(len(whole) + 1, bool)
        missing[whole.source[edges.rows]] = True
        ends = places[day.source], places[day.target]
        rows = np.flatnonzero(missing[ends[0]] & (ends[1] >= 0))
        kinds = _codes(day.kind[rows], day.kinds, whole.kinds)
        keys = whole.packed(ends[0][rows], ends[1][rows], kinds)
        wanted, found = find(packed[edges.rows], keys)
        edges.fill(wanted[found], day.edges[rows[found]])


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
