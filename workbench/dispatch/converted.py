"""A graph of networkx as arrays, and the window graph as networkx's algorithms see it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from workbench.compute.base import EdgeList
from workbench.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Hashable

    import networkx as nx
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

__all__ = ["Arrays", "arrays_of", "from_networkx", "from_window", "to_networkx"]


@dataclass(frozen=True, eq=False)
class Arrays:
    """A graph as arrays; the backend's own kind of graph.

    Attributes:
        nodes: The nodes, in networkx's order.
        source: Place of each edge's source; an undirected edge stands once.
        target: Place of each edge's target.
        weights: The weight of each edge, by the name of the attribute; None is 1 for each.
        directed: Whether edges have a direction.
        multi: Whether two nodes may have several edges.
        original: What it was made of.
    """

    nodes: list[Hashable]
    source: NDArray[np.int32]
    target: NDArray[np.int32]
    weights: dict[str | None, NDArray[np.float64]]
    directed: bool
    multi: bool
    original: Any

    __networkx_backend__ = "workbench"

    def is_directed(self) -> bool:
        """Return whether edges have a direction."""
        return self.directed

    def is_multigraph(self) -> bool:
        """Return whether two nodes may have several edges."""
        return self.multi

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self.nodes)

    @cached_property
    def places(self) -> dict[Hashable, int]:
        """Return the place of each node."""
        return {node: place for place, node in enumerate(self.nodes)}

    def weight(self, name: str | None) -> NDArray[np.float64]:
        """Return the weight of each edge.

        Raises:
            NotImplementedError: If one is not above 0 and finite, or the attribute was not converted.
        """
        if name not in self.weights:
            raise NotImplementedError(f"the weight {name!r} was not converted")
        weights = self.weights[name]
        if not (np.isfinite(weights).all() and (weights > 0).all()):
            raise NotImplementedError("weights have to be above 0")
        return weights

    def edge_list(self, weight: str | None) -> EdgeList:
        """Return the graph for kernels that see no loops.

        Raises:
            NotImplementedError: If there is one, or a weight is not above 0.
        """
        if (self.source == self.target).any():
            raise NotImplementedError("an edge leads from a node to itself")
        columns = {"source": self.source, "target": self.target, "weight": self.weight(weight)}
        return EdgeList(pa.table(columns), len(self))

    def matrix(self, weight: str | None) -> csr_array:
        """Return the steps as scipy has them; of parallel edges the lightest."""
        from scipy.sparse import csr_array  # noqa: PLC0415  (kept out of start-up)

        length = self.weight(weight)
        source, target = self.source, self.target
        if not self.directed:
            source, target = np.concatenate([source, target]), np.concatenate([target, source])
            length = np.concatenate([length, length])
        order = np.lexsort((length, target, source))
        source, target, length = source[order], target[order], length[order]
        lightest = np.ones(len(source), bool)
        lightest[1:] = (source[1:] != source[:-1]) | (target[1:] != target[:-1])
        ends = source[lightest], target[lightest]
        return csr_array((length[lightest], ends), shape=(len(self), len(self)))


def from_networkx(graph: Any, *, edge_attrs: dict[str, Any] | None = None, **_: Any) -> Arrays:
    """Return a graph of networkx as arrays, with the edge attributes that the call needs."""
    if isinstance(graph, Graph):
        return from_window(graph)
    nodes = list(graph)
    places = {node: place for place, node in enumerate(nodes)}
    ends = [(places[a], places[b], data) for a, b, data in graph.edges(data=True)]
    weights: dict[str | None, NDArray[np.float64]] = {None: np.ones(len(ends))}
    for name, default in (edge_attrs or {}).items():
        usual = 1 if default is None else default
        weights[name] = np.array([data.get(name, usual) for _, _, data in ends], np.float64)
    source, target = (np.array([end[side] for end in ends], np.int32) for side in (0, 1))
    return Arrays(nodes, source, target, weights, graph.is_directed(), graph.is_multigraph(), graph)


def from_window(graph: Graph) -> Arrays:
    """Return the window graph as ranks see it: undirected, summed over edge types, without attributes."""
    edges, ids = graph.edge_list()
    source, target, weight = (column.to_numpy() for column in edges.table.columns)
    nodes = graph.entities_of(ids).to_pylist()
    weights: dict[str | None, NDArray[np.float64]] = {None: np.ones(len(weight)), "weight": weight}
    return Arrays(nodes, source, target, weights, directed=False, multi=False, original=graph)


def to_networkx(graph: Any, **_: Any) -> nx.Graph:
    """Return what networkx can work on: what the arrays were made of."""
    original = graph.original if isinstance(graph, Arrays) else graph
    return original.to_networkx() if isinstance(original, Graph) else original


def arrays_of(graph: Any) -> Arrays:
    """Return the arrays of a graph; the window graph keeps its own."""
    if isinstance(graph, Arrays):
        return graph
    kept = graph.__dict__.get("_dispatched")
    if kept is None:
        kept = graph.__dict__["_dispatched"] = from_window(graph)
    found: Arrays = kept
    return found
