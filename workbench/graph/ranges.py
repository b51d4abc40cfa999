"""Edges of many segments, summed range by range of their sources: little is worked on at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from workbench.executors.ahead import ahead
from workbench.graph.sums import Counted, require_packable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["Ties", "edges_of"]

# Rows of a range: their keys are sorted within the processor's cache, and what is made of them is small.
_ROWS = 1_000_000
# A segment's edges are sorted by type and source: so many pieces more than types are worth a sort.
_PIECES = 64


@dataclass(frozen=True, eq=False)
class Ties:
    """Edges of a segment, in any order, of which one may stand several times.

    Attributes:
        source: Node of each.
        target: Node of each.
        kind: Of each, as a number.
        weight: Of each.
        first: Its first moment.
        last: Its last moment.
    """

    source: NDArray[np.int32]
    target: NDArray[np.int32]
    kind: NDArray[Any]
    weight: NDArray[Any]
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.source)

    def at(self, rows: Any) -> Ties:
        """Return some rows."""
        return Ties(*(column[rows] for column in self.columns))

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        """Return the attributes in order."""
        return self.source, self.target, self.kind, self.weight, self.first, self.last

    def pieces(self) -> list[Ties]:
        """Return the same edges, in pieces that are sorted by source."""
        cuts = np.flatnonzero(self.source[1:] < self.source[:-1]) + 1
        if len(cuts) > _PIECES:
            return [self.at(np.argsort(self.source, kind="stable"))]
        return [self.at(slice(a, b)) for a, b in pairwise([0, *cuts.tolist(), len(self)])]


class Edges(NamedTuple):
    """One row for each source, target and kind, sorted by them."""

    source: NDArray[np.int32]
    target: NDArray[np.int32]
    kind: NDArray[np.int32]
    counted: Counted


def edges_of(ties: Sequence[Ties], nodes: int, kinds: int) -> Edges:
    """Sum edges of one source, target and kind, in that order.

    Args:
        ties: The edges of each segment.
        nodes: How many there are.
        kinds: How many there are.

    Raises:
        UsageError: If there are more nodes than an edge key can hold (about 700 million).
    """
    require_packable(nodes, kinds)
    most = sum(map(len, ties))
    # memory that is not written to is not taken
    found: list[NDArray[Any]] = [
        np.empty(most, kind) for kind in (np.int32, np.int32, np.int32, np.int64, np.int64, np.int64)
    ]
    height = 0
    for summed in ahead(partial(_summed, *some, nodes, kinds) for some in _ranges(ties, nodes)):
        end = height + len(summed[0])
        for column, part in zip(found, summed, strict=True):
            column[height:end] = part
        height = end
    source, target, kind, count, first, last = (column[:height] for column in found)
    return Edges(source, target, kind, Counted(count, first, last))


def _ranges(ties: Sequence[Ties], nodes: int) -> Iterator[tuple[list[Ties], range]]:
    """Yield the edges of some sources, in pieces, with these, until all are."""
    pieces = [piece for one in ties for piece in one.pieces() if len(piece)]
    met = np.zeros(nodes, np.int64)
    for piece in pieces:
        low = int(piece.source[0])
        counts = np.bincount(piece.source - low)
        met[low : low + len(counts)] += counts
    ends = np.cumsum(met)
    total = int(ends[-1]) if nodes else 0
    bounds = np.unique([0, *np.searchsorted(ends, np.arange(_ROWS, total, _ROWS)) + 1, nodes]).tolist()
    cuts = [np.searchsorted(piece.source, bounds).tolist() for piece in pieces]
    for number, (low, high) in enumerate(pairwise(bounds)):
        parts = [
            piece.at(slice(cut[number], cut[number + 1]))
            for piece, cut in zip(pieces, cuts, strict=True)
            if cut[number] < cut[number + 1]
        ]
        if parts:
            yield parts, range(low, high)


def _summed(parts: list[Ties], sources: range, nodes: int, kinds: int) -> tuple[NDArray[Any], ...]:
    rows = Ties(*map(np.concatenate, zip(*(part.columns for part in parts), strict=True)))
    keys = (rows.source - sources.start).astype(np.int64)
    keys *= nodes
    keys += rows.target
    keys *= kinds
    keys += rows.kind
    order, fresh = _grouped(keys, len(sources) * nodes * kinds)
    starts = np.flatnonzero(fresh)
    first_rows = order[starts]
    return (
        rows.source[first_rows],
        rows.target[first_rows],
        rows.kind[first_rows],
        np.add.reduceat(rows.weight[order], starts, dtype=np.int64),
        np.minimum.reduceat(rows.first[order], starts),
        np.maximum.reduceat(rows.last[order], starts),
    )


def _grouped(keys: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the order of keys below ``most``, equal ones as they stand, and where others begin.

    Numbers are sorted much faster than an order of them is found, so that the order is a part of them
    where there is room.
    """
    bits = len(keys).bit_length()
    if most << bits < 2**63:
        keys = keys << bits
        keys |= np.arange(len(keys))
        keys.sort()
        order = keys & ((1 << bits) - 1)
        keys >>= bits
    else:
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
    return order, np.concatenate([[True], keys[1:] != keys[:-1]])
