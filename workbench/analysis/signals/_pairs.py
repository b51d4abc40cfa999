"""Actors and the neighbours that they met, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.analysis.runs import starts

if TYPE_CHECKING:
    from typing import Any

    import polars as pl
    from numpy.typing import NDArray

__all__ = ["Pairs", "codes", "smallest_of_each"]


@dataclass(frozen=True)
class Pairs:
    """Each actor and neighbour that met, sorted by both; arrays have a place a pair.

    Attributes:
        actor: Whose.
        neighbour: The neighbour's code, in the order of keys.
        rows: The edges that it was made of, those of a pair together.
        starts: Where those of each pair start.
    """

    actor: NDArray[np.int32]
    neighbour: NDArray[np.unsignedinteger]
    rows: NDArray[np.int32]
    starts: NDArray[np.int32]

    @classmethod
    def of(cls, edges: pl.DataFrame) -> Pairs:
        """Return the pairs of edges."""
        actor, neighbour = edges["actor"].to_numpy(), codes(edges)
        key = actor.astype(np.int64) * (int(neighbour.max(initial=0)) + 1) + neighbour
        # a day's edges are sorted by both already: to merge runs is faster than to sort
        rows = np.argsort(key, kind="stable").astype(np.int32)
        begin = starts(key[rows])
        firsts = rows[begin]
        return cls(actor[firsts], neighbour[firsts], rows, begin.astype(np.int32))

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.starts)

    def over(self, function: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        """Return what a function, a sum for example, makes of the values of each pair's edges."""
        found: NDArray[Any] = function.reduceat(values[self.rows], self.starts)
        return found


def codes(edges: pl.DataFrame) -> NDArray[np.unsignedinteger]:
    """Return the code of each edge's neighbour: its place among the keys of all neighbours."""
    found: NDArray[np.unsignedinteger] = edges["neighbour"].to_physical().to_numpy()
    return found


def smallest_of_each(group: NDArray[np.integer], figure: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of the smallest figure of each group, of equal ones the first; by group.

    >>> smallest_of_each(np.array([3, 1, 3, 1]), np.array([5, 7, 2, 7])).tolist()
    [1, 2]
    """
    smallest = np.full(int(group.max(initial=0)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(smallest, group, figure)
    places = np.flatnonzero(figure == smallest[group])
    _, firsts = np.unique(group[places], return_index=True)
    found: NDArray[np.int64] = places[firsts]
    return found
