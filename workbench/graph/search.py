"""Distances from one node, and from two at once, on the adjacency arrays as they are: no matrix is built.

A step takes the nearest of the nodes that wait and follows all their edges at once, in numpy; a distance
that proves too long is corrected later. So hubs cost their edges once and nothing costs Python per node.
Sources: Dijkstra 1959; Pohl 1971 for the search from both ends; Dong et al. 2021 for steps of many nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.graph.traversal import Walk

__all__ = ["Ball", "between", "meet"]

Way = tuple[float, list[int]]

# Nodes of a step: few while little waits, so that what is near is final before what is far is looked at.
_FEWEST, _SHARE = 16, 16
# Edges that come in to a hub when a way is looked for that is short enough to begin with.
_PROBE = 64


@dataclass(frozen=True)
class _Found:
    """Nodes that a step came to by shorter ways than were known: how far each is, and from where."""

    nodes: NDArray[np.int32]
    distance: NDArray[np.float64]
    before: NDArray[np.int64]

    def where(self, keep: NDArray[np.bool_]) -> _Found:
        return _Found(self.nodes[keep], self.distance[keep], self.before[keep])


class Ball:
    """What lies around a node, and how far away; it grows.

    Args:
        walk: Which way edges are followed.
        centre: The node.
        inside: For each node whether it may be come to.
        weighted: Whether an edge is 1/weight long, or 1.

    Attributes:
        distance: Of each node from the centre, as far as it is known; what is less than ``radius`` is final.
        radius: How far the nearest node is that waits: infinite where none does.
    """

    def __init__(self, walk: Walk, centre: int, inside: NDArray[np.bool_], *, weighted: bool) -> None:
        self._walk = walk
        self._inside = inside
        self._weighted = weighted
        nodes = walk.adjacency.nodes
        self.distance = np.full(nodes, np.inf)
        self._before = np.full(nodes, -1, np.int32)
        self._waits = np.zeros(nodes, bool)
        self._turn = np.empty(nodes, np.int32)
        self._waiting = np.array([centre], np.int64)
        self.distance[centre] = self.radius = 0.0
        self._waits[centre] = True

    def __len__(self) -> int:
        """Return how many nodes wait."""
        return len(self._waiting)

    def step(self, limit: float = np.inf, *, end: float = np.inf, most: int | None = None) -> _Found:
        """Follow the edges of the nearest nodes that wait.

        Args:
            limit: Only of nodes at most so far away.
            end: What is not nearer may be left out.
            most: Follow only so many of the edges that come in to a node, the heaviest.
        """
        distance = self.distance[self._waiting]
        some = max(_FEWEST, len(distance) // _SHARE)
        if not self._weighted:
            limit = min(limit, self.radius)
        elif some < len(distance):
            limit = min(limit, float(np.partition(distance, some)[some]))
        near = distance <= limit
        nodes, self._waiting = self._waiting[near], self._waiting[~near]
        self._waits[nodes] = False
        start = self.distance[nodes]
        # beyond rounding
        least = (1 - 1e-9) / np.maximum(end - start, 1e-9) if self._weighted and end < np.inf else None
        links = self._walk.links(nodes, least=least, most=most)
        further = 1.0 / self._walk.weights[links.rows] if self._weighted else 1.0
        reached = start[links.origin] + further
        shorter = (reached < self.distance[links.far]) & self._inside[links.far]
        return _Found(links.far[shorter], reached[shorter], nodes[links.origin[shorter]])

    def take(self, found: _Found) -> None:
        """Know what a step found; whatever is nearer than before waits again."""
        nodes = found.nodes
        np.minimum.at(self.distance, nodes, found.distance)
        shortest = self.distance[nodes] == found.distance
        self._before[nodes[shortest]] = found.before[shortest]
        fresh = nodes[~self._waits[nodes]]
        # each once: the last place that it wrote down for itself
        self._turn[fresh] = np.arange(len(fresh), dtype=np.int32)
        fresh = fresh[self._turn[fresh] == np.arange(len(fresh))]
        self._waits[fresh] = True
        self._waiting = np.concatenate([self._waiting, fresh])
        self.radius = float(self.distance[self._waiting].min(initial=np.inf))

    def grow(self, limit: float, length: float = np.inf, rest: NDArray[np.float64] | None = None) -> None:
        """Grow to a radius.

        Args:
            limit: The radius.
            length: What is further in all is left alone.
            rest: How far each node is, at least, from where the way ends.
        """
        if rest is not None:
            kept = self.distance[self._waiting] + rest[self._waiting] <= length
            self._waits[self._waiting[~kept]] = False
            self._waiting = self._waiting[kept]
            self.radius = float(self.distance[self._waiting].min(initial=np.inf))
        while self.radius <= limit and len(self):
            found = self.step(limit, end=length * (1 + 1e-9))
            self.take(found if rest is None else found.where(found.distance + rest[found.nodes] <= length))

    def way(self, node: int) -> list[int]:
        """Return the nodes from one that was come to back to the centre."""
        way = [node]
        while (before := int(self._before[way[-1]])) >= 0:
            way.append(before)
        return way


def meet(walk: Walk, start: int, end: int, inside: NDArray[np.bool_], *, weighted: bool) -> NDArray[np.int64]:
    """Return the nodes of a shortest path, none if there is no path.

    Balls grow around both ends until no way through what is still open can be shorter than the best that
    is known; what cannot be on a shorter way is not taken up.

    Args:
        walk: Which way edges are followed.
        start: The first node.
        end: The last.
        inside: For each node whether it may be on the path.
        weighted: Whether an edge is 1/weight long, or 1.
    """
    if start == end:
        return np.array([start], np.int64)
    ways = (walk, start), (walk.reversed(), end)
    known: Way = (np.inf, [])
    for most in (_PROBE, None) if weighted else (None,):
        there, back = (Ball(way, centre, inside, weighted=weighted) for way, centre in ways)
        known = _met(there, back, known, most)
    return np.array(known[1], np.int64)


def _met(
    there: Ball, back: Ball, known: tuple[float, list[int]], most: int | None
) -> tuple[float, list[int]]:
    """Return the length and the nodes of a shortest way between two centres, or what is known already."""
    best, middle = known[0], -1
    while there.radius + back.radius < best:
        side, other = (there, back) if len(there) <= len(back) else (back, there)
        found = side.step(end=best - other.radius, most=most)
        length = found.distance + other.distance[found.nodes]
        shortest = int(length.argmin()) if len(length) else -1
        nearer = shortest >= 0 and length[shortest] < best
        if nearer:
            best, middle = float(length[shortest]), int(found.nodes[shortest])
        keep = found.distance + other.radius < best
        if nearer:
            keep[shortest] = True
        side.take(found.where(keep))
    return known if middle < 0 else (best, [*there.way(middle)[::-1], *back.way(middle)[1:]])


def between(
    walk: Walk, ends: tuple[int, int], inside: NDArray[np.bool_], length: float, *, weighted: bool
) -> NDArray[np.int64]:
    """Return the nodes, ascending, on walks of at most this length from one node to another.

    Args:
        walk: Which way edges are followed.
        ends: The first node and the last.
        inside: For each node whether it may be on the walk.
        length: The most.
        weighted: Whether an edge is 1/weight long, or 1.
    """
    there = Ball(walk, ends[0], inside, weighted=weighted)
    back = Ball(walk.reversed(), ends[1], inside, weighted=weighted)
    half = length / 2
    for ball in (there, back):
        ball.grow(half, length)
    # what is not within half of the one end is at least that far from it
    there.grow(length, length, np.minimum(back.distance, half))
    back.grow(length, length, there.distance)
    total: NDArray[Any] = there.distance + back.distance
    return np.flatnonzero(np.isfinite(total) & (total <= length))
