"""Shortest paths over a walk; the lengths are sums of 1/weight, or numbers of hops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.graph.search import between, meet

if TYPE_CHECKING:
    from numpy.typing import NDArray

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

    def _inside(self, start: int, end: int) -> NDArray[np.bool_]:
        inside = self.walk.passable
        if not inside[[start, end]].all():
            inside = inside.copy()
            inside[[start, end]] = True
        return inside

    def length(self, path: NDArray[Any], *, weighted: bool, rows: NDArray[Any] | None = None) -> float:
        """Return the length of a path, of which ``rows`` are the edges; infinite for the path of no nodes."""
        if not len(path):
            return float("inf")
        if not weighted:
            return float(len(path) - 1)
        rows = self.walk.heaviest_links(path) if rows is None else rows
        return float((1.0 / self.walk.weights[rows]).sum())

    def shortest(self, start: int, end: int, *, weighted: bool) -> NDArray[np.int64]:
        """Return the nodes of a shortest path, none if there is no path."""
        return meet(self.walk, start, end, self._inside(start, end), weighted=weighted)

    def k_shortest(self, start: int, end: int, k: int, *, weighted: bool) -> list[NDArray[np.int64]]:
        """Return up to ``k`` paths without repeated nodes, shortest first.

        A path of a given length visits only nodes whose distances from both ends sum to no more, so
        the search runs on those alone, with growing lengths until ``k`` paths are short enough.
        Source: Yen 1971, as in igraph.
        """
        shortest = self.shortest(start, end, weighted=weighted)
        if len(shortest) < 2 or k == 1:
            return [shortest] if len(shortest) else []
        inside = self._inside(start, end)
        least = self.length(shortest, weighted=weighted)
        found: list[NDArray[np.int64]] = []
        for factor in _BOUNDS:
            most = least * factor * _ROUNDING
            nodes = between(self.walk, (start, end), inside, most, weighted=weighted)
            found = self._yen(nodes, start, end, k, weighted=weighted)
            longest = self.length(found[-1], weighted=weighted)
            if len(found) == k and longest <= most * _ROUNDING:
                break
        return found

    def _yen(
        self, nodes: NDArray[np.int64], start: int, end: int, k: int, *, weighted: bool
    ) -> list[NDArray[np.int64]]:
        import igraph  # noqa: PLC0415  (kept out of start-up)

        near, far, distance = self._steps(nodes, weighted=weighted)
        graph = igraph.Graph(n=len(nodes), edges=np.column_stack((near, far)), directed=True)
        ends = np.searchsorted(nodes, [start, end]).tolist()
        found = graph.get_k_shortest_paths(*ends, k=k, weights=distance.tolist(), mode="out")
        return [nodes[np.array(path, dtype=np.int64)] for path in found]

    def _steps(
        self, nodes: NDArray[np.int64], *, weighted: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return the steps among nodes as places in ``nodes``, and their lengths; of parallel ones one."""
        links = self.walk.links(nodes)
        place = np.searchsorted(nodes, links.far)
        among = nodes[np.minimum(place, len(nodes) - 1)] == links.far
        near, far = links.origin[among], place[among]
        distance = 1.0 / self.walk.weights[links.rows[among]] if weighted else np.ones(len(near))
        order = np.lexsort((distance, far, near))
        near, far, distance = near[order], far[order], distance[order]
        nearest = np.ones(len(near), dtype=bool)
        nearest[1:] = (near[1:] != near[:-1]) | (far[1:] != far[:-1])
        return near[nearest], far[nearest], distance[nearest]
