"""Shortest paths over a walk; the lengths are sums of 1/weight, or numbers of hops."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.graph.traversal import trace

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from workbench.graph.traversal import Walk

__all__ = ["PathFinder"]

# Sums of the same distances in another order differ in the last digits.
_ROUNDING = 1 + 1e-9
# Yen's search is the costly part, so it is tried on few nodes first.
_BOUNDS = (1.0, 1.1, 1.25, 1.5, 2.0, 4.0, np.inf)


@dataclass(frozen=True)
class PathFinder:
    """Finds shortest paths between two nodes.

    Inner nodes of a path are passable nodes of the walk; its two ends may be any.

    Attributes:
        walk: The way to walk.
    """

    walk: Walk

    @cached_property
    def _passable_steps(self) -> csr_array:
        return self.walk.matrix(self.walk.passable, self.walk.passable)

    def _steps(self, start: int, end: int) -> csr_array:
        if self.walk.passable[[start, end]].all():
            return self._passable_steps
        inside = self.walk.passable.copy()
        inside[[start, end]] = True
        return self.walk.matrix(inside, inside)

    def length(self, path: NDArray[Any], *, weighted: bool) -> float:
        """Return the length of a path; infinite for the path of no nodes."""
        if not len(path):
            return float("inf")
        if not weighted:
            return float(len(path) - 1)
        return float((1.0 / self.walk.weights[self.walk.heaviest_links(path)]).sum())

    def shortest(self, start: int, end: int, *, weighted: bool) -> NDArray[np.int64]:
        """Return the nodes of a shortest path, none if there is no path.

        Source: Dijkstra 1959. The path with the fewest hops bounds how far the search has to look.
        """
        from scipy.sparse.csgraph import dijkstra  # noqa: PLC0415  (kept out of start-up)

        by_hops = self.walk.shortest_by_hops(start, end)
        if not weighted or len(by_hops) < 2:
            return by_hops
        bound = self.length(by_hops, weighted=True) * _ROUNDING
        _, parent = dijkstra(self._steps(start, end), indices=start, return_predecessors=True, limit=bound)
        return trace(parent, start, end)

    def k_shortest(self, start: int, end: int, k: int, *, weighted: bool) -> list[NDArray[np.int64]]:
        """Return up to ``k`` paths without repeated nodes, shortest first.

        A path of a given length visits only nodes whose distances from both ends sum to no more, so
        the search runs on those alone, with growing lengths until ``k`` paths are short enough.
        Source: Yen 1971, as in igraph.
        """
        shortest = self.shortest(start, end, weighted=weighted)
        if len(shortest) < 2:
            return [shortest] if len(shortest) else []
        steps = self._steps(start, end)
        if not weighted:
            steps = type(steps)((np.ones_like(steps.data), steps.indices, steps.indptr), shape=steps.shape)
        back = steps if self.walk.direction == "both" else steps.T.tocsr()
        least = self.length(shortest, weighted=weighted)
        found: list[NDArray[np.int64]] = []
        for factor in _BOUNDS:
            bound = least * factor
            nodes = _between(steps, back, start, end, bound)
            found = _yen(steps, nodes, start, end, k)
            longest = self.length(found[-1], weighted=weighted)
            if len(found) == k and longest <= bound * _ROUNDING:
                break
        return found


def _between(steps: csr_array, back: csr_array, start: int, end: int, bound: float) -> NDArray[np.int64]:
    """Return the nodes on walks from ``start`` to ``end`` of at most length ``bound``."""
    from scipy.sparse.csgraph import dijkstra  # noqa: PLC0415  (kept out of start-up)

    limit = bound * _ROUNDING
    there = dijkstra(steps, indices=start, limit=limit)
    onward = dijkstra(back, indices=end, limit=limit)
    total = there + onward
    return np.flatnonzero(np.isfinite(total) & (total <= limit))


def _yen(steps: csr_array, nodes: NDArray[np.int64], start: int, end: int, k: int) -> list[NDArray[np.int64]]:
    import igraph  # noqa: PLC0415  (kept out of start-up)

    inner = steps[nodes][:, nodes].tocoo()
    order = np.lexsort((inner.data, inner.col, inner.row))
    row, col, distance = inner.row[order], inner.col[order], inner.data[order]
    nearest = np.ones(len(row), dtype=bool)
    nearest[1:] = (row[1:] != row[:-1]) | (col[1:] != col[:-1])
    graph = igraph.Graph(
        n=len(nodes), edges=np.column_stack((row[nearest], col[nearest])).tolist(), directed=True
    )
    ends = np.searchsorted(nodes, [start, end]).tolist()
    found = graph.get_k_shortest_paths(*ends, k=k, weights=distance[nearest].tolist(), mode="out")
    return [nodes[np.array(path, dtype=np.int64)] for path in found]
