"""Figures about the whole window graph: degrees, statistics, and its edges for the compute backends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
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
    edges: pa.Table, inside: NDArray[np.bool_], min_weight: float
) -> tuple[EdgeList, NDArray[np.int32]]:
    """Return the edges among the nodes in ``inside`` for the compute backends, and the nodes' window ids.

    Each pair stands once, the smaller number first, with the weights of all its edges summed, in
    both directions and of all types; ``min_weight`` is about that sum. Loops tie nothing together
    and are left out.
    """
    ids = np.flatnonzero(inside).astype(np.int32)
    numbers = np.cumsum(inside, dtype=np.int64) - 1
    source, target = edges["source"].to_numpy(), edges["target"].to_numpy()
    keep = inside[source] & inside[target] & (source != target)
    ends = numbers[source[keep]], numbers[target[keep]]
    packed = np.minimum(*ends) * len(ids) + np.maximum(*ends)
    pairs = (
        pl.LazyFrame({"packed": packed, "weight": edges["weight"].to_numpy()[keep]})
        .group_by("packed")
        .agg(pl.col("weight").sum())
        .filter(pl.col("weight") >= min_weight)
        .sort("packed")
        .collect(engine="streaming")
    )
    first, second = np.divmod(pairs["packed"].to_numpy(), max(len(ids), 1))
    table = pa.table(
        {
            "source": first.astype(np.int32),
            "target": second.astype(np.int32),
            "weight": pairs["weight"].to_numpy().astype(np.float64),
        }
    )
    return EdgeList(table, len(ids)), ids
