"""The property graph of the window: one object for its entities, edges and walks (spec 4.2)."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pyarrow as pa

from workbench.errors import UnknownNameError, UsageError
from workbench.given import whole
from workbench.graph.computed import of_edge_types, of_the_whole, over
from workbench.graph.listing import Listing
from workbench.graph.paths import PathFinder
from workbench.graph.subgraph import Neighbourhood, Path, Subgraph
from workbench.graph.traversal import Direction, Reach, Walk
from workbench.partials.micros import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from numpy.typing import NDArray

    from workbench.config.entity_schema import EntitySchema
    from workbench.graph.times import Times
    from workbench.graph.window import Window
    from workbench.knowledge.edges import Computed

__all__ = ["Graph"]


class Graph(Listing):
    """The entities and edges of the window.

    Entities are written ``type:key``. Nodes of an *attribute type* are returned as end points, but
    no walk goes on through one unless ``through`` names its type; a walk may always start at one.
    Edges are stored with a direction and followed both ways unless ``direction`` says otherwise.

    Args:
        window: The merged partials.
        schema: Says which types are attribute types, and which property labels an entity.
        timezone: Zone in which results show times; by default the schema's.
        viewer: What shows a result of this graph; results hand themselves to it.
        times: What the graph of another time is made of.
        computed: By type what gives the edges that were computed; walks go along them where they name the
            type, and nothing else counts them.
        of: Which part of the window's time it is of, in words.

    Example:
        >>> from workbench.config.entity_schema import EntitySchema
        >>> from workbench.graph import Graph, merge_window
        >>> graph = Graph(merge_window([]), EntitySchema())
        >>> graph
        Graph: 0 nodes, 0 edges
    """

    # networkx hands its calls about this graph to workbench.dispatch
    __networkx_backend__ = "workbench"

    def __init__(  # noqa: PLR0913  (what it is made of)
        self,
        window: Window,
        schema: EntitySchema,
        timezone: str = "",
        viewer: Callable[..., Any] | None = None,
        *,
        times: Times | None = None,
        computed: Mapping[str, Callable[[], Computed]] = MappingProxyType({}),
        of: str = "",
    ) -> None:
        super().__init__(window, schema, timezone)
        self._viewer = viewer
        self._times = times
        self._computed = {name: edges for name, edges in computed.items() if name not in schema.edges}
        self._laid: dict[tuple[Any, ...], Graph] = {}
        self._of = of

    def __repr__(self) -> str:
        """Return the number of nodes and edges, and of which time they are if not of the whole window."""
        of = f" of {self._of}" if self._of else ""
        return f"Graph{of}: {len(self):,} nodes, {self.window.edges.num_rows:,} edges"

    def edges(self, type: str | None = None) -> pa.Table:  # noqa: A002  (the word of the specification)
        """Return the edges, of one type or all that were counted, sorted by source and target.

        Returns:
            ``source`` and ``target`` (dictionary of ``type:key``), ``type``, ``weight``,
            ``first_seen``, ``last_seen``; of computed edges also ``computed``, the run that found them.

        Raises:
            UnknownNameError: If there is no such type, or it has not been computed.
            UsageError: If it was computed of days that are gone.
        """
        graph = self.with_edges(None if type is None else [type])
        return super().edges(type) if graph is self else graph.edges(type)

    edge_list = of_edge_types(Listing.edge_list)

    def with_edges(self, types: Sequence[str] | None) -> Graph:
        """Return the graph of these types of edges alone where some of them are computed, else this one.

        Raises:
            UnknownNameError: If there is no such type, or it has not been computed.
            UsageError: If it was computed of days that are gone.
        """
        asked = {*(types or ())} & self._computed.keys()
        if not asked:
            return self
        found = {name: self._computed[name]() for name in sorted(asked)}
        key = (frozenset(types or ()), *((edges.runs, edges.rows) for edges in found.values()))
        laid = self._laid.get(key)
        if laid is None:
            counted = self._wanted([name for name in types or () if name not in found])
            window = over(self.window, self._index, counted, found)
            laid = Graph(window, self.schema, self.timezone, self._viewer, of=self._of)
            self._laid = {key: laid}
        return laid

    @of_edge_types
    def around(  # noqa: PLR0913  (the words of a walk)
        self,
        key: str | Sequence[str],
        hops: int = 1,
        *,
        edge_types: Sequence[str] | None = None,
        direction: Direction = "both",
        limit: int | None = None,
        through: Sequence[str] = (),
    ) -> Neighbourhood:
        """Return the entities within ``hops`` of one or several, and all edges between them.

        Args:
            key: Where to start.
            hops: How far to go.
            edge_types: Only these types of edges are followed and returned.
            direction: Which way edges are followed.
            limit: The most new nodes for each hop: those to which the edges weigh most in sum. The
                others are counted in ``hidden``.
            through: Attribute types through which to walk all the same.

        Raises:
            UnknownNameError: If an entity or a type does not exist.
            UsageError: If ``hops`` or ``limit`` is no number, or negative.
        """
        hops = whole(hops, "hops")
        limit = None if limit is None else whole(limit, "limit")
        found = self._reach(self._walk(edge_types, direction, through), key, hops, limit)
        walk = {
            "hops": hops,
            "edge_types": edge_types and list(edge_types),
            "direction": direction,
            "limit": limit,
            "through": list(through),
        }
        return replace(found, walk=walk)

    @of_edge_types
    def bfs(
        self,
        key: str | Sequence[str],
        depth: int | None = None,
        *,
        edge_types: Sequence[str] | None = None,
        direction: Direction = "both",
        through: Sequence[str] = (),
    ) -> Neighbourhood:
        """Return all that can be reached, breadth first, down to ``depth`` or to the end.

        Raises:
            UnknownNameError: If an entity or a type does not exist.
        """
        return self._reach(self._walk(edge_types, direction, through), key, depth, None)

    @of_edge_types
    def dfs(
        self,
        key: str,
        *,
        edge_types: Sequence[str] | None = None,
        direction: Direction = "both",
        through: Sequence[str] = (),
    ) -> Neighbourhood:
        """Return all that can be reached, depth first: nodes in the order of the first visit.

        ``hops`` is the depth in the search tree, not the distance.

        Raises:
            UnknownNameError: If the entity or a type does not exist.
        """
        walk = self._walk(edge_types, direction, through)
        starts = self._index.ids(key)
        nodes, depths = walk.depth_first(int(starts[0]))
        return self._neighbourhood(walk, starts, Reach(nodes, depths, ()))

    @of_edge_types
    def path(  # noqa: PLR0913  (the words of a walk)
        self,
        a: str,
        b: str,
        *,
        weighted: bool = True,
        edge_types: Sequence[str] | None = None,
        direction: Direction = "both",
        through: Sequence[str] = (),
    ) -> Path:
        """Return a shortest path; empty (false, of infinite length) if there is none.

        The distance of an edge is 1/weight, or 1 if not ``weighted``; of parallel edges the nearest
        counts. Source: Dijkstra 1959.

        Raises:
            UnknownNameError: If an entity or a type does not exist.
        """
        finder, start, end = self._find(a, b, edge_types, direction, through)
        return self._path(finder, finder.shortest(start, end, weighted=weighted), weighted=weighted)

    @of_edge_types
    def paths(  # noqa: PLR0913  (the words of a walk)
        self,
        a: str,
        b: str,
        k: int = 3,
        *,
        weighted: bool = True,
        edge_types: Sequence[str] | None = None,
        direction: Direction = "both",
        through: Sequence[str] = (),
    ) -> list[Path]:
        """Return up to ``k`` shortest paths without repeated nodes, shortest first.

        Raises:
            UnknownNameError: If an entity or a type does not exist.
            UsageError: If ``k`` is less than 1.
        """
        k = whole(k, "k", 1)
        finder, start, end = self._find(a, b, edge_types, direction, through)
        found = finder.k_shortest(start, end, k, weighted=weighted)
        return [self._path(finder, nodes, weighted=weighted) for nodes in found]

    @of_edge_types
    def shared(
        self, keys: Sequence[str], *, edge_types: Sequence[str] | None = None, through: Sequence[str] = ()
    ) -> pa.Table:
        """Return the entities that two or more of ``keys`` are joined to.

        Attribute types are left out unless ``through`` names them: almost all share those.

        Returns:
            The columns of :meth:`nodes`, ``shared_by`` (how many of ``keys``) and ``weight`` (of all
            the edges to them); most shared first, then heaviest.

        Raises:
            UnknownNameError: If an entity or a type does not exist.
        """
        walk = self._walk(edge_types, "both", through)
        ids, counts, weights = walk.shared(self._index.ids(keys))
        table = self._tables.nodes(ids)
        return table.append_column("shared_by", pa.array(counts)).append_column("weight", pa.array(weights))

    @of_edge_types
    def subgraph(self, keys: Sequence[str], *, edge_types: Sequence[str] | None = None) -> Subgraph:
        """Return the given entities, in their order, and all edges between them, or those of some types.

        Raises:
            UnknownNameError: If an entity or a type does not exist.
        """
        ids = self._index.ids(keys)
        return Subgraph(*self._cut(ids, self._walk(edge_types).inner(ids)), self.timezone, self._viewer)

    def between(self, since: str | date | None, until: str | date | None, *, exact: bool = False) -> Graph:
        """Return the graph of a range of time, with the sightings and weights that it had in it.

        Args:
            since: A day or time in the workspace's zone; None is the window's start.
            until: The end, not included; None is the window's end.
            exact: Count what happened in the range alone, from the documents of the segments that it cuts.
                By default segments (UTC days) that it touches count whole, from their partials.

        Raises:
            UsageError: If a time is none, the range is empty, or the graph comes from no open workspace.
        """
        since_us, until_us = (
            None if bound is None else moment(bound, self.timezone) for bound in (since, until)
        )
        return self._cut_out(since_us, until_us, exact=exact)

    def since(self, time: str | date, *, exact: bool = False) -> Graph:
        """Return the graph from a moment on; see :meth:`between`."""
        return self.between(time, None, exact=exact)

    def at(self, time: str | date, *, exact: bool = False) -> Graph:
        """Return the graph as it stood at a moment: of what had happened by then, the moment itself included.

        Args:
            time: A day's first moment, or a time, in the workspace's zone.
            exact: As for :meth:`between`; by default the whole segment (UTC day) counts in which it lies.

        Raises:
            UsageError: If it is no time, or the graph comes from no open workspace.
        """
        return self._cut_out(None, moment(time, self.timezone) + 1, exact=exact)

    def _cut_out(self, since: int | None, until: int | None, *, exact: bool) -> Graph:
        if self._times is None:
            raise UsageError(
                "a graph that comes from no open workspace has no other time.", fix="Ask db.graph for it."
            )
        times = self._times.within(since, until)
        if times == self._times:
            return self
        window, of = times.window(exact=exact)
        viewer = self._viewer and partial(self._viewer, times=times, exact=exact)
        computed = {name: partial(of_the_whole, name) for name in self._computed}
        return Graph(window, self.schema, self.timezone, viewer, times=times, computed=computed, of=of)

    @property
    def _computed_names(self) -> Sequence[str]:
        return list(self._computed)

    @cached_property
    def _default_walk(self) -> Walk:
        weights = self.window.edges["weight"].to_numpy()
        # half the memory, and what is summed is read faster; an edge may be met from both of its ends
        if weights.dtype.kind == "i" and 2 * int(weights.sum()) < 2**31:
            weights = weights.astype(np.int32)
        coming = weights[self._adjacency.into.rows]
        return Walk(self._adjacency, self.window.edge_codes, weights, coming, self._passable(()))

    @cached_property
    def _default_finder(self) -> PathFinder:
        return PathFinder(self._default_walk)

    def _walk(
        self,
        edge_types: Sequence[str] | None = None,
        direction: Direction = "both",
        through: Sequence[str] = (),
    ) -> Walk:
        if direction not in get_args(Direction):
            raise UnknownNameError("direction", direction, get_args(Direction), where="graph")
        if edge_types is None and direction == "both" and not through:
            return self._default_walk
        return replace(
            self._default_walk,
            passable=self._passable(through),
            edge_types=None if edge_types is None else self._wanted(edge_types),
            direction=direction,
        )

    def _find(
        self, a: str, b: str, edge_types: Sequence[str] | None, direction: Direction, through: Sequence[str]
    ) -> tuple[PathFinder, int, int]:
        walk = self._walk(edge_types, direction, through)
        finder = self._default_finder if walk is self._default_walk else PathFinder(walk)
        return finder, int(self._index.ids(a)[0]), int(self._index.ids(b)[0])

    def _cut(self, ids: NDArray[Any], rows: NDArray[Any], **extra: NDArray[Any]) -> tuple[pa.Table, pa.Table]:
        nodes = self._tables.nodes(ids, **extra)
        return nodes, self._tables.edges(rows, ids, nodes["entity"])

    def _reach(
        self, walk: Walk, key: str | Sequence[str], hops: int | None, limit: int | None
    ) -> Neighbourhood:
        starts = self._index.ids(key)
        return self._neighbourhood(walk, starts, walk.reach(starts, hops, limit), hops)

    def _neighbourhood(
        self, walk: Walk, starts: NDArray[Any], found: Reach, hops: int | None = None
    ) -> Neighbourhood:
        nodes, edges = self._cut(found.nodes, walk.inner(found.nodes), hops=found.hops)
        ended = (found.hops > 0) & ~walk.passable[found.nodes]
        if hops is not None:
            ended &= found.hops < hops
        return Neighbourhood(
            nodes,
            edges,
            self.timezone,
            self._viewer,
            starts=tuple(self._index.entities(starts).to_pylist()),
            hidden=found.hidden,
            ends=self._index.counted(found.nodes[ended]),
        )

    def _path(self, finder: PathFinder, nodes: NDArray[Any], *, weighted: bool) -> Path:
        rows = finder.walk.heaviest_links(nodes)
        length = finder.length(nodes, weighted=weighted, rows=rows)
        return Path(*self._cut(nodes, rows), self.timezone, self._viewer, length=length)
