"""Walks over the window graph: numpy on adjacency arrays, with the graph itself never copied."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.graph.heaviest import heaviest
from workbench.graph.incoming import HEAVY, by_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

__all__ = ["Adjacency", "Csr", "Direction", "Links", "Reach", "Walk"]

Direction = Literal["both", "out", "in"]

# Below this share of the nodes, sorting the new ones is cheaper than passes over all.
_SPARSE = 1 / 32
# A node with more entries is looked at alone, where they lie.
_LONG = 2_048
# Of a node with more entries, those that are too light are looked for.
_HUB = 256


@dataclass(frozen=True)
class Csr:
    """One direction of the graph: node ``i`` has the entries ``indptr[i]`` to ``indptr[i + 1]``.

    Entries of a node that come in are sorted by weight, heaviest first: hubs are where edges come in, and
    who wants the heaviest need not look at all.

    Attributes:
        indptr: int64, one more than there are nodes.
        far: int32, the node at the other end of each entry's edge.
        rows: int32, the edge's row in the window's edges.
    """

    indptr: NDArray[np.int64]
    far: NDArray[np.int32]
    rows: NDArray[np.int32]

    def counts(self, nodes: NDArray[Any]) -> NDArray[np.int64]:
        """Return how many entries each of ``nodes`` has."""
        counts: NDArray[np.int64] = self.indptr[nodes + 1] - self.indptr[nodes]
        return counts

    def positions(
        self, nodes: NDArray[Any], counts: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the positions of the first ``counts`` entries of ``nodes``, and of which each is."""
        counts = self.counts(nodes) if counts is None else counts
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        origin = np.repeat(np.arange(len(nodes)), counts)
        return np.arange(total) + np.repeat(self.indptr[nodes] - (ends - counts), counts), origin

    def pieces(self, nodes: NDArray[Any]) -> Iterator[slice | NDArray[np.int64]]:
        """Yield where the entries of ``nodes`` lie, piece by piece: those of a hub are not copied."""
        counts = self.counts(nodes)
        hubs = nodes[counts > _LONG]
        spans = zip(self.indptr[hubs].tolist(), self.indptr[hubs + 1].tolist(), strict=True)
        yield from (slice(first, end) for first, end in spans)
        rest, counts = nodes[counts <= _LONG], counts[counts <= _LONG]
        starts = np.cumsum(counts) - counts
        total = int(counts.sum())
        yield np.arange(total) + np.repeat(self.indptr[rest] - starts, counts)


@dataclass(frozen=True)
class Adjacency:
    """The graph in both directions.

    Attributes:
        out: From sources to targets.
        into: From targets to sources.
    """

    out: Csr
    into: Csr

    @classmethod
    def of(cls, edges: pa.Table, nodes: int) -> Adjacency:
        """Build both directions from a window's edges, which are sorted by source."""
        source, target, weight = (edges[name].to_numpy() for name in ("source", "target", "weight"))
        pointers, into = by_target(target, weight, nodes)
        starts = np.searchsorted(source, np.arange(nodes + 1, dtype=np.int32))
        return cls(
            out=Csr(starts, target, np.arange(len(source), dtype=np.int32)),
            into=Csr(pointers, source.take(into, mode="clip"), into),
        )

    @property
    def nodes(self) -> int:
        """Return the number of nodes."""
        return len(self.out.indptr) - 1


def _pointers(origin: NDArray[Any], nodes: int) -> NDArray[np.int64]:
    counts = np.bincount(origin, minlength=nodes)
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)))


@dataclass(frozen=True)
class Links:
    """Edges met from a set of nodes: index of the near end in the set, far end, edge row."""

    origin: NDArray[np.int64]
    far: NDArray[np.int32]
    rows: NDArray[np.int32]

    def where(self, keep: NDArray[np.bool_]) -> Links:
        """Return the links for which ``keep`` is true."""
        return Links(self.origin[keep], self.far[keep], self.rows[keep])


@dataclass(frozen=True)
class Reach:
    """The nodes that a walk reached, in hops from the start.

    Attributes:
        nodes: Window ids, nearest first, ascending within a hop.
        hops: The number of hops to each.
        hidden: For each hop, how many nodes were left out by the limit.
    """

    nodes: NDArray[np.int64]
    hops: NDArray[np.int64]
    hidden: tuple[int, ...]


@dataclass(frozen=True)
class Walk:
    """A way to walk the graph.

    Attributes:
        adjacency: The graph.
        types: Type code of each edge row.
        weights: Weight of each edge row, in a type that holds the sum of all, twice.
        coming: Weight of each entry of what comes in: to look each up by its row costs more than all else.
        passable: For each node whether a walk may go on from it; a start always may.
        edge_types: For each type code whether its edges are followed; None for all.
        direction: Which way edges are followed.
    """

    adjacency: Adjacency
    types: NDArray[np.int32]
    weights: NDArray[np.number]
    coming: NDArray[np.number]
    passable: NDArray[np.bool_]
    edge_types: NDArray[np.bool_] | None = None
    direction: Direction = "both"

    def reversed(self) -> Walk:
        """Return the same ways from their ends to their starts."""
        back: dict[Direction, Direction] = {"both": "both", "out": "in", "in": "out"}
        return replace(self, direction=back[self.direction])

    def links(
        self, nodes: NDArray[Any], *, least: NDArray[np.float64] | None = None, most: int | None = None
    ) -> Links:
        """Return the edges that lead on from ``nodes``.

        Args:
            nodes: Window ids.
            least: For each node, edges that come in and are lighter may be left out.
            most: Of the edges that come in to a node, only so many, the heaviest.
        """
        out, into = self.adjacency.out, self.adjacency.into
        coming = into.counts(nodes) if most is None else np.minimum(into.counts(nodes), most)
        if least is not None:
            for hub in np.flatnonzero(coming > _HUB).tolist():
                coming[hub] = self._heavier(int(nodes[hub]), int(coming[hub]), float(least[hub]))
        sides = {"both": ((out, None), (into, coming)), "out": ((out, None),), "in": ((into, coming),)}
        return _join(self._side(side, nodes, counts) for side, counts in sides[self.direction])

    def _heavier(self, node: int, count: int, least: float) -> int:
        """Return how many of the first edges that come in are at least so heavy."""
        first = int(self.adjacency.into.indptr[node])
        rows = self.adjacency.into.rows[first : first + count]
        least = min(least, float(HEAVY))
        # as they are sorted: what is heavier still is not told apart
        return bisect_right(
            range(count), -least, key=lambda place: -min(float(self.weights[rows[place]]), float(HEAVY))
        )

    def _side(self, side: Csr, nodes: NDArray[Any], counts: NDArray[np.int64] | None = None) -> Links:
        positions, origin = side.positions(nodes, counts)
        links = Links(origin, side.far[positions], side.rows[positions])
        return links if self.edge_types is None else links.where(self.edge_types[self.types[links.rows]])

    def reach(self, starts: NDArray[Any], hops: int | None, limit: int | None = None) -> Reach:
        """Return the nodes within ``hops`` of ``starts`` (None: all that can be reached).

        ``limit`` keeps that many of the new nodes of each hop: those to which the edges weigh most
        in sum, and of equals the first by type and key. Nodes that it leaves out are not walked from.
        """
        starts = np.unique(starts).astype(np.int64)
        seen = np.zeros(self.adjacency.nodes, dtype=bool)
        seen[starts] = True
        rings, hidden, frontier = [starts], [], starts
        while len(frontier) and (hops is None or len(rings) <= hops):
            new, left = self._all(frontier, seen) if limit is None else self._most(frontier, seen, limit)
            if not len(new) and not left:
                break
            hidden.append(left)
            rings.append(new)
            frontier = new[self.passable[new]]
        counts = [len(ring) for ring in rings]
        return Reach(np.concatenate(rings), np.repeat(np.arange(len(rings)), counts), tuple(hidden))

    def _all(self, nodes: NDArray[Any], seen: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
        """Return the nodes, ascending, that edges lead to and that are new, and that none is left out.

        They are seen from then on.
        """
        met = list(self._ends(nodes))
        if self._are_few(met):
            new = _distinct(met)
            new = new[~seen[new]]
        else:
            marks = np.zeros(self.adjacency.nodes, dtype=bool)
            for far, _ in met:
                marks[far] = True
            new = np.flatnonzero(marks & ~seen)
        seen[new] = True
        return new, 0

    def _most(
        self, nodes: NDArray[Any], seen: NDArray[np.bool_], limit: int
    ) -> tuple[NDArray[np.int64], int]:
        """Return of the new nodes those to which the edges weigh most, and how many others there are.

        All of them are seen from then on.
        """
        met = list(self._ends(nodes))
        # an edge weighs something: what sums up to nothing was not met
        total = np.zeros(self.adjacency.nodes, dtype=self.coming.dtype)
        for far, weight in met:
            np.add.at(total, far, weight)
        if self._are_few(met):
            new = _distinct(met)
            new = new[~seen[new]]
            seen[new] = True
        else:
            np.copyto(total, 0, where=seen)
            fresh = total != 0
            seen |= fresh
            found = int(np.count_nonzero(fresh))
            if found > max(limit, self.adjacency.nodes * _SPARSE):
                return heaviest(total, limit), found - limit
            new = np.flatnonzero(fresh)
        kept = new[heaviest(total[new], limit)] if len(new) > limit else new
        return kept, len(new) - len(kept)

    def _are_few(self, met: Iterable[tuple[NDArray[Any], Any]]) -> bool:
        return sum(len(far) for far, _ in met) < self.adjacency.nodes * _SPARSE

    def _ends(self, nodes: NDArray[Any]) -> Iterator[tuple[NDArray[np.int32], NDArray[np.number]]]:
        """Yield where the edges from nodes lead, and their weights, piece by piece."""
        out, into = (self.adjacency.out, self.weights), (self.adjacency.into, self.coming)
        for side, weights in {"both": (out, into), "out": (out,), "in": (into,)}[self.direction]:
            for piece in side.pieces(nodes):
                far, weight = side.far[piece], weights[piece]
                if self.edge_types is not None:
                    wanted = self.edge_types[self.types[side.rows[piece]]]
                    far, weight = far[wanted], weight[wanted]
                yield far, weight

    def inner(self, nodes: NDArray[Any]) -> NDArray[np.int32]:
        """Return the rows of all edges of the walk's types that join two of ``nodes``, ascending."""
        member = np.zeros(self.adjacency.nodes, dtype=bool)
        member[nodes] = True
        out, into = self.adjacency.out, self.adjacency.into
        # An inner edge is an entry of both its ends, so the direction with fewer entries is enough.
        side = out if out.counts(nodes).sum() <= into.counts(nodes).sum() else into
        found = []
        for piece in side.pieces(nodes):
            inside = np.flatnonzero(member[side.far[piece]])
            rows = side.rows[piece][inside]
            found.append(rows if self.edge_types is None else rows[self.edge_types[self.types[rows]]])
        return np.sort(np.concatenate(found))

    def depth_first(self, start: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the nodes in the order of a depth-first search, and their depths in its tree."""
        from scipy.sparse.csgraph import depth_first_order  # noqa: PLC0415  (kept out of start-up)

        leave = self.passable.copy()
        leave[start] = True
        steps = self.matrix(leave, np.ones_like(leave))
        order, parent = depth_first_order(steps, start, return_predecessors=True)
        return order.astype(np.int64), _depths(order, parent)

    def shared(self, nodes: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.number]]:
        """Return the passable nodes next to two or more of ``nodes``, to how many, and with what weight.

        Most shared first, then heaviest, then ascending.
        """
        links = self.links(nodes)
        links = links.where(self.passable[links.far] & (links.far != nodes[links.origin]))
        ids, place = np.unique(links.far, return_inverse=True)
        pairs = np.unique(place * len(nodes) + links.origin)
        counts = np.bincount(pairs // max(len(nodes), 1), minlength=len(ids))
        kind = np.int64 if self.weights.dtype.kind == "i" else np.float64
        weights = np.zeros(len(ids), dtype=kind)
        np.add.at(weights, place, self.weights[links.rows].astype(kind))
        order = np.lexsort((ids, -weights, -counts))
        order = order[counts[order] > 1]
        return ids[order].astype(np.int64), counts[order], weights[order]

    def heaviest_links(self, path: NDArray[Any]) -> NDArray[np.int32]:
        """Return for each step of a path the row of its heaviest edge; of equals, the first."""
        back, rows = self.reversed(), []
        counts = self.adjacency.out.counts(path) + self.adjacency.into.counts(path)
        steps = zip(pairwise(path.tolist()), pairwise(counts.tolist()), strict=True)
        for (a, b), (of_a, of_b) in steps:
            # from the end that has fewer edges: the other may be a hub
            walk, near, far = (self, a, b) if of_a <= of_b else (back, b, a)
            links = walk.links(np.array([near]))
            joining = links.rows[links.far == far]
            rows.append(joining[np.lexsort((joining, -self.weights[joining]))[0]])
        return np.array(rows, dtype=np.int32)

    def matrix(self, leave: NDArray[np.bool_], enter: NDArray[np.bool_]) -> csr_array:
        """Return the steps from nodes in ``leave`` to nodes in ``enter`` as distances, 1/weight.

        Parallel edges are parallel entries: a shortest path takes the nearest, and nothing may sum them.
        """
        from scipy.sparse import csr_array  # noqa: PLC0415  (kept out of start-up)

        nodes = self.adjacency.nodes
        leaving = np.flatnonzero(leave)
        links = self.links(leaving)
        links = links.where(enter[links.far])
        order = np.argsort(links.origin, kind="stable")
        distances = 1.0 / self.weights[links.rows[order]]
        indptr = _pointers(leaving[links.origin], nodes).astype(np.int32)
        return csr_array((distances, links.far[order], indptr), shape=(nodes, nodes))


def _distinct(met: Iterable[tuple[NDArray[np.int32], Any]]) -> NDArray[np.int64]:
    """Return the nodes that were met, ascending, each once."""
    far = np.sort(np.concatenate([far for far, _ in met]))
    return far[np.flatnonzero(np.diff(far, prepend=-1))].astype(np.int64)


def _join(parts: Iterable[Links]) -> Links:
    links = list(parts)
    if len(links) == 1:
        return links[0]
    return Links(
        np.concatenate([part.origin for part in links]),
        np.concatenate([part.far for part in links]),
        np.concatenate([part.rows for part in links]),
    )


def _depths(order: NDArray[Any], parent: NDArray[Any]) -> NDArray[np.int64]:
    """Return the depth of each node of a search tree, by doubling the jumps towards the root."""
    place = np.zeros(len(parent), dtype=np.int64)
    place[order] = np.arange(len(order))
    up = np.zeros(len(order), dtype=np.int64)
    up[1:] = place[parent[order[1:]]]
    depths = np.ones(len(order), dtype=np.int64)
    depths[0] = 0
    while up.any():
        depths += depths[up]
        up = up[up]
    return depths
