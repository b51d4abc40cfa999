"""Figures about the whole window graph: degrees, statistics, and its edges for the compute backends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from workbench.compute.base import EdgeList
from workbench.tabular import html_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.graph.traversal import Adjacency

__all__ = ["GraphStats", "by_type", "components", "degrees", "edge_list"]


@dataclass(frozen=True, repr=False)
class GraphStats:
    """Statistics of the window graph.

    Attributes:
        nodes: Entities by type.
        edges: Edges by type.
        average_degree: Mean over all entities of the number of edges that touch them.
        maximum_degree: The most edges that touch one entity.
        components: Connected components, without attribute types and whatever way edges point.
        largest_component: Entities in the largest of them.
        density: Edges for each ordered pair of entities, 0 to 1 unless several types join one pair.
    """

    nodes: dict[str, int]
    edges: dict[str, int]
    average_degree: float
    maximum_degree: int
    components: int
    largest_component: int
    density: float

    def __repr__(self) -> str:
        """Return all figures but those by type."""
        return (
            f"{sum(self.nodes.values()):,} nodes, {sum(self.edges.values()):,} edges; "
            f"degree {self.average_degree:.2f} on average, {self.maximum_degree:,} at most; "
            f"{self.components:,} components, the largest of {self.largest_component:,}; "
            f"density {self.density:.3g}"
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        table = html_table(by_type(self.nodes, self.edges), repr(self), "UTC")
        return {"text/plain": repr(self), "text/html": table}


def by_type(nodes: dict[str, int], edges: dict[str, int]) -> pa.Table:
    """Return counts by type as a table: ``kind`` (node or edge), ``type``, ``count``."""
    return pa.table(
        {
            "kind": ["node"] * len(nodes) + ["edge"] * len(edges),
            "type": pa.array([*nodes, *edges], pa.string()),
            "count": pa.array([*nodes.values(), *edges.values()], pa.int64()),
        }
    )


def degrees(adjacency: Adjacency) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each node the number of edges that leave it and that come in."""
    return np.diff(adjacency.out.indptr), np.diff(adjacency.into.indptr)


def components(
    source: NDArray[np.int32], target: NDArray[np.int32], inside: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the sizes of the connected components of the nodes in ``inside``, largest first."""
    from scipy.sparse import csr_array  # noqa: PLC0415  (kept out of start-up)
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415  (kept out of start-up)

    numbers = np.cumsum(inside) - 1
    both = inside[source] & inside[target]
    rows, columns = numbers[source[both]], numbers[target[both]]
    nodes = int(inside.sum())
    if not nodes:
        return np.empty(0, dtype=np.int64)
    matrix = csr_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(nodes, nodes))
    _, labels = connected_components(matrix, directed=False)
    return np.sort(np.bincount(labels))[::-1]


def edge_list(
    edges: pa.Table,
    inside: NDArray[np.bool_],
    min_weight: float,
    rows: NDArray[np.integer] | slice = slice(None),
) -> tuple[EdgeList, NDArray[np.int32]]:
    """Return the edges among the nodes in ``inside`` for the compute backends, and the nodes' window ids.

    Each pair stands once, the smaller number first, with the weights of all its edges summed, in
    both directions and of all types, or of the edges in ``rows``; ``min_weight`` is about that sum.
    Loops tie nothing together and are left out.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415  (kept out of start-up)

    ids = np.flatnonzero(inside).astype(np.int32)
    numbers = np.cumsum(inside, dtype=np.int32) - np.int32(1)
    source, target, weight = (edges[name].to_numpy()[rows] for name in ("source", "target", "weight"))
    keep = inside[source] & inside[target] & (source != target)
    if not keep.all():
        source, target, weight = source[keep], target[keep], weight[keep]
    source, target = numbers[source], numbers[target]
    ends = np.minimum(source, target), np.maximum(source, target)
    # rows of a matrix are laid out by counting, and its entries are sorted pairs
    pairs = coo_array((weight, ends), (len(ids), len(ids))).tocsr()
    first = np.repeat(np.arange(len(ids), dtype=np.int32), np.diff(pairs.indptr))
    second, weight = pairs.indices.astype(np.int32, copy=False), pairs.data
    strong = np.flatnonzero(weight >= min_weight)
    if len(strong) < len(weight):
        first, second, weight = first[strong], second[strong], weight[strong]
    table = pa.table({"source": first, "target": second, "weight": weight.astype(np.float64)})
    return EdgeList(table, len(ids)), ids
