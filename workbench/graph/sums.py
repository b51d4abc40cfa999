"""What segments sum up to, and sums of sums (spec 2.2).

Rows stay sorted and node numbers follow that order, so that two sums are merged, never built anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.errors import UsageError
from workbench.executors.ahead import ahead

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

__all__ = [
    "NEVER",
    "NOT_YET",
    "VALUES",
    "Counted",
    "Sum",
    "find",
    "find_nodes",
    "plus",
    "recoded",
    "require_packable",
    "union",
]

# The first moment of what was never seen, and the last: neither wins against a real one.
NEVER = np.iinfo(np.int64).max
NOT_YET = np.iinfo(np.int64).min
_MOST_KEYS = 2**63 - 1
_BLOCK = 1 << 18

VALUES = pl.Schema(
    {
        "node": pl.Int32(),
        "name": pl.Int32(),
        "value": pl.String(),
        "sightings": pl.Int64(),
        "at": pl.Int64(),
    }
)


@dataclass(frozen=True, eq=False)
class Counted:
    """Counts of rows, with their first and last moment in microseconds since 1970.

    Attributes:
        count: How often; 0 for what only reference tables tell.
        first: The first moment, or NEVER.
        last: The last moment, or NOT_YET.
    """

    count: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    def add(self, places: NDArray[Any], other: Counted) -> None:
        """Add the rows of another, in place; no place stands twice."""
        self.count[places] += other.count
        self.first[places] = np.minimum(self.first[places], other.first)
        self.last[places] = np.maximum(self.last[places], other.last)

    def at(self, rows: NDArray[Any]) -> Counted:
        """Return some rows."""
        return Counted(self.count[rows], self.first[rows], self.last[rows])


@dataclass(frozen=True, eq=False)
class Sum:
    """What some segments hold of entities, edges and properties; test accounts are left out.

    Attributes:
        types: Names of entity types, sorted; so are ``kinds`` of edges and ``names`` of properties.
        type: Of each node, as a place in ``types``; nodes are sorted by type and key.
        key: Of each node.
        nodes: Sightings of each node.
        segments: In how many segments each was seen; 0 only where reference tables bring it in.
        source: Node of each edge; edges are sorted by source, target and kind.
        target: Node of each edge.
        kind: Of each edge, as a place in ``kinds``.
        edges: Weight of each edge.
        values: ``node``, ``name``, ``value``, ``sightings`` and ``at``, the last moment: a row for each
            value that a property was seen with.
        places: For each segment the node of each row of its entities; -1 for test accounts.
    """

    types: tuple[str, ...]
    kinds: tuple[str, ...]
    names: tuple[str, ...]
    type: NDArray[np.int32]
    key: pl.Series
    nodes: Counted
    segments: NDArray[np.int32]
    source: NDArray[np.int32]
    target: NDArray[np.int32]
    kind: NDArray[np.int32]
    edges: Counted
    values: pl.DataFrame
    places: Mapping[str, NDArray[np.int32]]

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self.type)

    def packed(self, source: NDArray[Any], target: NDArray[Any], kind: NDArray[Any]) -> NDArray[np.int64]:
        """Return one integer for each source, target and kind, in the order of all three.

        Raises:
            UsageError: If there are more nodes than that can hold (about 700 million).
        """
        require_packable(len(self), len(self.kinds))
        key = np.empty(len(source), np.int64)
        for rows in _blocks(len(source)):
            part = key[rows]
            part[:] = source[rows]
            part *= len(self)
            part += target[rows]
            part *= len(self.kinds)
            part += kind[rows]
        return key

    def select(self, keep: NDArray[np.bool_], edges: NDArray[np.bool_]) -> Sum:
        """Return only some nodes, and only some of the edges among them; values go with their nodes."""
        number = (np.cumsum(keep) - 1).astype(np.int32)
        dropped = np.append(np.where(keep, number, -1), -1).astype(np.int32)
        node = self.values["node"].to_numpy()
        values = self.values.with_columns(pl.Series("node", number[node])).filter(pl.Series(keep[node]))
        tied = self.edges
        columns = (self.source, self.target, self.kind, tied.count, tied.first, tied.last)
        source, target, kind, *counted = ahead(partial(_some, column, edges) for column in columns)
        return replace(
            self,
            type=self.type[keep],
            key=self.key.filter(pl.Series(keep)),
            nodes=self.nodes.at(keep),
            segments=self.segments[keep],
            source=_renumbered(number, source),
            target=_renumbered(number, target),
            kind=kind,
            edges=Counted(*counted),
            values=values,
            places={segment: dropped[nodes] for segment, nodes in self.places.items()},
        )


def require_packable(nodes: int, kinds: int) -> None:
    """Raise if pairs of so many nodes, in so many kinds, have no 63-bit numbers.

    Raises:
        UsageError: If they have not.
    """
    if nodes * nodes * kinds > _MOST_KEYS:
        raise UsageError(
            f"a window of {nodes:,} entities is too large for one graph.", fix="Open a shorter window."
        )


def union(
    left: tuple[str, ...], right: tuple[str, ...]
) -> tuple[tuple[str, ...], NDArray[np.int32], NDArray[np.int32]]:
    """Return all names, sorted, and where those of each stand among them.

    >>> names, left, right = union(("a", "c"), ("b", "c"))
    >>> names, left.tolist(), right.tolist()
    (('a', 'b', 'c'), [0, 2], [1, 2])
    """
    names = tuple(sorted({*left, *right}))
    places = {name: place for place, name in enumerate(names)}
    codes = [np.array([places[name] for name in side], dtype=np.int32) for side in (left, right)]
    return names, codes[0], codes[1]


def plus(left: Sum, right: Sum) -> Sum:
    """Return the sum of both; a segment that both have is the one of ``right``."""
    types, left_types, right_types = union(left.types, right.types)
    kinds, left_kinds, right_kinds = union(left.kinds, right.kinds)
    names, left_names, right_names = union(left.names, right.names)
    sides = left_types[left.type], right_types[right.type]
    nodes = _Merge.of(*find_nodes(sides[0], left.key, sides[1], right.key), len(left))
    whole = replace(
        left,
        types=types,
        kinds=kinds,
        names=names,
        type=nodes.column(*sides),
        key=nodes.texts(left.key, right.key),
        nodes=nodes.counted(left.nodes, right.nodes),
        segments=nodes.total(left.segments, right.segments),
        values=_add_values(
            recoded(left.values, nodes.left, left_names), recoded(right.values, nodes.right, right_names)
        ),
        places={s: _moved(nodes.left, p) for s, p in left.places.items()}
        | {s: _moved(nodes.right, p) for s, p in right.places.items()},
    )
    ends = _ends(left, nodes.left, left_kinds), _ends(right, nodes.right, right_kinds)
    edges = _Merge.of(*find(whole.packed(*ends[0]), whole.packed(*ends[1])), len(left.source))
    source, target, kind = ahead(partial(edges.column, a, b) for a, b in zip(*ends, strict=True))
    return replace(
        whole, source=source, target=target, kind=kind, edges=edges.counted(left.edges, right.edges)
    )


def find(known: NDArray[Any], wanted: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where each wanted one stands, or would stand, among those that are known, and if it does."""
    places = np.searchsorted(known, wanted)
    if not len(known):
        return places, np.zeros(len(wanted), bool)
    return places, known[np.minimum(places, len(known) - 1)] == wanted


def find_nodes(
    types: NDArray[np.int32], keys: pl.Series, wanted_types: NDArray[np.int32], wanted_keys: pl.Series
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where each wanted node stands, or would stand, among those that are known, and if it does.

    Both are sorted by type and key, and types are the same numbers in both.
    """
    places, found = np.empty(len(wanted_types), np.int64), np.zeros(len(wanted_types), bool)
    for code in np.unique(wanted_types):
        first, end = np.searchsorted(types, [code, code + 1])
        rows = slice(*np.searchsorted(wanted_types, [code, code + 1]))
        known, keys_here = keys[first:end], wanted_keys[rows]
        near = known.search_sorted(keys_here).to_numpy().astype(np.int64)
        places[rows] = near + first
        if end > first:
            found[rows] = (known.gather(np.minimum(near, end - first - 1)) == keys_here).to_numpy()
    return places, found


def recoded(values: pl.DataFrame, nodes: NDArray[Any], names: NDArray[np.int32]) -> pl.DataFrame:
    """Return values with other numbers for their nodes and names."""
    return values.with_columns(
        pl.Series("node", nodes[values["node"].to_numpy()].astype(np.int32)),
        pl.Series("name", names[values["name"].to_numpy()].astype(np.int32)),
    )


def _add_values(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    return (
        pl.concat([left, right])
        .group_by("node", "name", "value")
        .agg(pl.col("sightings").sum(), pl.col("at").max())
        .sort("node", "name", "value")
    )


def _moved(numbers: NDArray[Any], places: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return new numbers for nodes; -1 stays."""
    moved: NDArray[np.int32] = np.append(numbers, -1).astype(np.int32)[places]
    return moved


def _some(column: NDArray[Any], rows: NDArray[np.bool_]) -> NDArray[Any]:
    return column[rows]


def _ends(
    side: Sum, nodes: NDArray[Any], kinds: NDArray[np.int32]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int32]]:
    """Return source, target and kind of edges in new numbers."""
    source, target = (_renumbered(nodes, column) for column in (side.source, side.target))
    return source, target, _renumbered(kinds, side.kind)


def _renumbered(numbers: NDArray[Any], column: NDArray[np.int32]) -> NDArray[Any]:
    """Return new numbers for a column, which is the same where they are."""
    if len(numbers) and numbers[-1] == len(numbers) - 1:  # they rise from 0 on
        return column
    renumbered = np.empty(len(column), numbers.dtype)
    for rows in _blocks(len(column)):
        numbers.take(column[rows], mode="clip", out=renumbered[rows])  # to clip is faster than to check
    return renumbered


def _blocks(rows: int) -> Iterator[slice]:
    """Yield all rows in blocks that stay within the processor's cache while they are worked on."""
    return (slice(start, start + _BLOCK) for start in range(0, rows, _BLOCK))


@dataclass(frozen=True)
class _Merge:
    """Where the rows of two sorted lists stand in the list of both, in which equal rows stand once.

    Attributes:
        kept: Which rows of the list of both come from the left.
        right: For each row of the right its place there.
        fresh: Which rows of the right the left does not have.
    """

    kept: NDArray[np.bool_]
    right: NDArray[np.int64]
    fresh: NDArray[np.bool_]

    @classmethod
    def of(cls, places: NDArray[np.int64], found: NDArray[np.bool_], rows: int) -> _Merge:
        before = np.cumsum(~found)  # rows that come in before and with each
        right = np.where(found, places + before, places + before - 1)
        kept = np.ones(rows + np.count_nonzero(~found), bool)
        kept[right[~found]] = False
        return cls(kept, right, ~found)

    @cached_property
    def left(self) -> NDArray[np.int32]:
        """For each row of the left its place in the list of both."""
        return np.flatnonzero(self.kept).astype(np.int32)

    def column(self, left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
        column = np.empty(len(self.kept), left.dtype)
        column[self.kept] = left
        column[self.right[self.fresh]] = right[self.fresh]
        return column

    def total(self, left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
        column = self.column(left, np.zeros_like(right))
        column[self.right] += right
        return column

    def counted(self, left: Counted, right: Counted) -> Counted:
        columns = (
            (left.count, np.zeros_like(right.count)),
            (left.first, right.first),
            (left.last, right.last),
        )
        summed = Counted(*ahead(partial(self.column, *both) for both in columns))
        summed.add(self.right, right)
        return summed

    def texts(self, left: pl.Series, right: pl.Series) -> pl.Series:
        order = np.empty(len(self.kept), np.int64)
        order[self.kept] = np.arange(len(left))
        order[self.right[self.fresh]] = len(left) + np.flatnonzero(self.fresh)
        return pl.concat([left, right]).gather(order)
