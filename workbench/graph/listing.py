"""What a graph says of itself without a walk: its entities and edges as tables, degrees, statistics."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from workbench.errors import UnknownNameError
from workbench.graph import export, measures
from workbench.graph.names import EntityIndex
from workbench.graph.tables import GraphTables
from workbench.graph.touching import Touching
from workbench.graph.traversal import Adjacency
from workbench.graph.window import single
from workbench.tabular import html_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from workbench.compute.base import EdgeList
    from workbench.config.entity_schema import EntitySchema
    from workbench.graph.window import Window

__all__ = ["Listing"]


class Listing(export.Exports):
    """The entities and edges of a window, as tables.

    Args:
        window: The merged partials.
        schema: Says which types are attribute types, and which property labels an entity.
        timezone: Zone in which results show times; by default the schema's.
    """

    def __init__(self, window: Window, schema: EntitySchema, timezone: str = "") -> None:
        self.window = window
        self.schema = schema
        self.timezone = timezone or schema.timezone
        self._index = EntityIndex(window.entities, schema.entities)
        labels = {name: kind.label for name, kind in schema.entities.items() if kind.label}
        self._tables = GraphTables(window, self._index, labels)

    def __len__(self) -> int:
        """Return the number of nodes."""
        return int(self.window.entities.num_rows)

    @property
    def types(self) -> list[str]:
        """Return the types of which there are entities, sorted."""
        spans = {name: self._index.rows_of(name) for name in self._index.types}
        return sorted(name for name, (first, end) in spans.items() if end > first)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        counts = measures.by_type(self._tables.counts("entities"), self._tables.counts("edges"))
        return {"text/plain": repr(self), "text/html": html_table(counts, repr(self), self.timezone)}

    def nodes(self, type: str | None = None) -> pa.Table:  # noqa: A002  (the word of the specification)
        """Return the entities, of one type or all, sorted by type and key.

        Returns:
            ``entity`` (as ``type:key``), ``type``, ``key``, ``label`` (null where the schema names
            none), ``sightings``, ``first_seen``, ``last_seen``.

        Raises:
            UnknownNameError: If there is no such type.
        """
        first, end = (0, len(self)) if type is None else self._index.rows_of(type)
        return self._tables.nodes(np.arange(first, end))

    def edges(self, type: str | None = None) -> pa.Table:  # noqa: A002  (the word of the specification)
        """Return the edges, of one type or all, sorted by source and target.

        Returns:
            ``source`` and ``target`` (dictionary of ``type:key``), ``type``, ``weight``,
            ``first_seen``, ``last_seen``.

        Raises:
            UnknownNameError: If there is no such type.
        """
        if type is None:
            return self._tables.all_edges
        wanted = self._wanted([type])
        return self._tables.all_edges.filter(pa.array(wanted[self.window.edge_codes]))

    def node(self, key: str) -> dict[str, Any]:
        """Return what is known of an entity: its row of :meth:`nodes` and ``properties``.

        Returns:
            The columns of :meth:`nodes`, ``segments`` (how many it was seen in), and ``properties``:
            name to ``value`` (the latest), ``at`` (when it was last seen, None if only a reference
            table tells) and ``values`` (how many distinct ones were seen).

        Raises:
            UnknownNameError: If the window has no such entity.
        """
        (node,) = self._index.ids(key)
        return self._tables.node(int(node))

    def touching(self, key: str) -> Touching:
        """Return the edges that touch an entity, heaviest first.

        Raises:
            UnknownNameError: If the window has no such entity.
        """
        (node,) = self._index.ids(key)
        return Touching.of(self.window, self._index, self._adjacency, int(node))

    def rows(self, key: str) -> dict[str, NDArray[np.int64]]:
        """Return in which rows of which segment's entities partial an entity stands.

        Raises:
            UnknownNameError: If the window has no such entity.
        """
        (node,) = self._index.ids(key)
        return self.window.rows_of(int(node))

    def degree(self, type: str | None = None) -> pa.Table:  # noqa: A002  (the word of the specification)
        """Return how many edges touch each entity, of one type or all.

        Returns:
            ``entity``, ``type``, ``key``, ``degree`` (``out`` + ``in``), ``out``, ``in``.

        Raises:
            UnknownNameError: If there is no such type.
        """
        first, end = (0, len(self)) if type is None else self._index.rows_of(type)
        out, into = (counts[first:end] for counts in measures.degrees(self._adjacency))
        table = self._tables.nodes(np.arange(first, end)).select(["entity", "type", "key"])
        for name, counts in (("degree", out + into), ("out", out), ("in", into)):
            table = table.append_column(name, pa.array(counts))
        return table

    def stats(self) -> measures.GraphStats:
        """Return nodes and edges by type, degrees, components and density of the graph."""
        out, into = measures.degrees(self._adjacency)
        nodes, edges = len(self), self.window.edges.num_rows
        sizes = measures.components(*self._ends, self._passable(()))
        return measures.GraphStats(
            nodes=self._tables.counts("entities"),
            edges=self._tables.counts("edges"),
            average_degree=2 * edges / nodes if nodes else 0.0,
            maximum_degree=int((out + into).max(initial=0)),
            components=len(sizes),
            largest_component=int(sizes.max(initial=0)),
            density=edges / (nodes * (nodes - 1)) if nodes > 1 else 0.0,
        )

    @property
    def edge_types(self) -> list[str]:
        """The types of the edges that there are, sorted."""
        return sorted(self._edge_names)

    def edge_list(
        self,
        min_weight: float = 1,
        *,
        edge_types: Sequence[str] | None = None,
        with_attributes: bool = False,
    ) -> tuple[EdgeList, NDArray[np.int32]]:
        """Return the graph for the compute backends, and the window id of each of its nodes.

        Attribute types are left out unless ``with_attributes``. Each pair stands once with the weights
        of all types and both directions summed, if the sum is at least ``min_weight``; entities that
        keep no edge are still nodes. Loops are left out.

        Args:
            min_weight: Least weight of a pair; computed edges weigh 1 at most.
            edge_types: Only edges of these types.
            with_attributes: Attribute types too.

        Raises:
            UnknownNameError: If there is no such type of edges.
        """
        inside = np.ones(len(self), dtype=bool) if with_attributes else self._passable(())
        if edge_types is None:
            return measures.edge_list(self.window.edges, inside, min_weight)
        wanted = np.flatnonzero(self._wanted(edge_types))
        rows = np.flatnonzero(np.logical_or.reduce([self.window.edge_codes == code for code in wanted]))
        return measures.edge_list(self.window.edges, inside, min_weight, rows)

    def entities_of(self, ids: NDArray[np.integer]) -> pa.Array:
        """Return window ids, such as those of :meth:`edge_list`, as ``type:key``."""
        return self._tables.nodes(ids)["entity"].combine_chunks()

    def to_arrow(self) -> tuple[pa.Table, pa.Table]:
        """Return :meth:`nodes` and :meth:`edges`."""
        return self.nodes(), self.edges()

    def _exported(self) -> tuple[pa.Table, pa.Table]:
        return self.to_arrow()

    @property
    def _ends(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        return self.window.edges["source"].to_numpy(), self.window.edges["target"].to_numpy()

    @property
    def _computed_names(self) -> Sequence[str]:
        return ()

    @cached_property
    def _adjacency(self) -> Adjacency:
        return self.window.adjacency or Adjacency.of(self.window.edges, len(self))

    @cached_property
    def _edge_names(self) -> list[str]:
        names: list[str] = single(self.window.edges["type"]).dictionary.to_pylist()
        return names

    def _passable(self, through: Sequence[str]) -> NDArray[np.bool_]:
        for name in through:
            self._index.rows_of(name)
        return ~self._index.has_type(self.schema.attributes - set(through))

    def _wanted(self, edge_types: Sequence[str]) -> NDArray[np.bool_]:
        known = {*self._edge_names, *self.schema.edges, *self._computed_names}
        for name in edge_types:
            if name not in known:
                raise UnknownNameError("edge type", name, known, where="graph")
        return np.array([name in edge_types for name in self._edge_names], dtype=bool)
