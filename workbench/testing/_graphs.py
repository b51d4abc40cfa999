"""What backends are tried on: graphs and points, and what networkx makes of them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from workbench.compute import EdgeList, Points

if TYPE_CHECKING:
    import networkx as nx
    from numpy.typing import NDArray

__all__ = ["blobs", "component_labels", "edge_list", "graphs", "planted_partition", "reference"]


def edge_list(source: Any, target: Any, weight: Any, nodes: int) -> EdgeList:
    """Return an :class:`EdgeList` from three sequences.

    >>> edge_list([0], [1], [2.0], nodes=3).nodes
    3
    """
    columns = {
        "source": pa.array(np.asarray(source, np.int32)),
        "target": pa.array(np.asarray(target, np.int32)),
        "weight": pa.array(np.asarray(weight, np.float64)),
    }
    return EdgeList(pa.table(columns), nodes)


def planted_partition(groups: int = 8, size: int = 60, seed: int = 1) -> tuple[EdgeList, NDArray[np.int64]]:
    """Return a graph of well separated groups and the group of each node.

    Within a group a fifth of the pairs are edges, between groups one in 250.
    """
    nodes = groups * size
    group = np.random.default_rng(seed).permutation(np.repeat(np.arange(groups), size))
    low, high = np.triu_indices(nodes, 1)
    chance = np.where(group[low] == group[high], 0.2, 0.004)
    kept = np.random.default_rng(seed + 1).random(len(low)) < chance
    return edge_list(low[kept], high[kept], np.ones(kept.sum()), nodes), group


def blobs(sizes: tuple[int, ...] = (120, 80, 50, 30), seed: int = 1) -> tuple[Points, NDArray[np.int64]]:
    """Return points in well separated groups of these sizes, in three dimensions, and the group of each."""
    draw = np.random.default_rng(seed)
    group = draw.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centres = 15 * np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [-1, 0, 1], [0, -1, -1]], float)
    return Points(centres[group] + draw.normal(size=(len(group), 3))), group


def _skewed(nodes: int = 1_500, edges: int = 6_000) -> EdgeList:
    """Return a graph with hubs, both directions of some pairs, self loops, and isolated nodes."""
    draw = np.random.default_rng(11)
    ends = (nodes * draw.random((2, edges)) ** 2.5).astype(np.int32)
    pairs = np.unique(ends, axis=1)
    return edge_list(pairs[0], pairs[1], draw.integers(1, 20, pairs.shape[1]), nodes + 25)


def _star(leaves: int = 30) -> EdgeList:
    return edge_list(np.zeros(leaves), np.arange(1, leaves + 1), np.arange(1, leaves + 1), leaves + 1)


@functools.cache
def graphs() -> dict[str, EdgeList]:
    """Return the graphs of the suite by name: the corner cases first, then two of some size."""
    return {
        "empty": edge_list([], [], [], 0),
        "no edges": edge_list([], [], [], 4),
        "self loops only": edge_list([1, 2], [1, 2], [3, 1], 4),
        "one pair": edge_list([3], [0], [2.5], 4),
        "both directions": edge_list([0, 1, 1, 2], [1, 0, 2, 3], [1, 4, 2, 0.5], 5),
        "self loop": edge_list([0, 1, 1], [1, 1, 2], [1, 9, 2], 3),
        "star, bipartite": _star(),
        "two paths": edge_list([0, 2, 4, 1, 3], [2, 4, 6, 3, 5], [1, 2, 3, 4, 5], 7),
        "skewed": _skewed(),
        "planted groups": planted_partition()[0],
    }


def reference(edges: EdgeList) -> nx.Graph:
    """Return the graph that the edge list means: undirected, pairs summed, no self loops."""
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(range(edges.nodes))
    for source, target, weight in zip(*(column.to_pylist() for column in edges.table.columns), strict=True):
        if source != target:
            before = graph.get_edge_data(source, target, {"weight": 0.0})["weight"]
            graph.add_edge(source, target, weight=before + weight)
    return graph


def component_labels(graph: nx.Graph) -> list[int]:
    """Return, for each node of a networkx graph, the smallest node of its component."""
    import networkx as nx

    labels = {node: min(members) for members in nx.connected_components(graph) for node in members}
    return [labels[node] for node in range(len(labels))]
