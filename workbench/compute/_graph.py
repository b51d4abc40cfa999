"""The graph that kernels work on, and what is the same for every device: labels and modularity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EdgeList", "UndirectedGraph", "canonical_labels", "modularity"]

_COLUMNS = {"source": pa.int32(), "target": pa.int32(), "weight": pa.float64()}


@dataclass(frozen=True)
class EdgeList:
    """A weighted graph as an Arrow table.

    Attributes:
        table: Columns ``source`` and ``target`` (int32, in ``[0, nodes)``) and ``weight`` (float64, > 0).
            Kernels treat the graph as undirected: a pair that stands more than once, in whichever
            direction, weighs the sum. They leave self loops out: an edge from a node to itself does
            not relate it to another.
        nodes: Number of nodes, isolated ones included.

    Raises:
        UsageError: If a column is missing or of another type, or a value is null or out of range.
    """

    table: pa.Table
    nodes: int

    def __post_init__(self) -> None:
        if not 0 <= self.nodes < np.iinfo(np.int32).max:
            raise UsageError(f"an edge list cannot have {self.nodes} nodes.", fix="Use 0 to 2**31 - 2.")
        for name, kind in _COLUMNS.items():
            if name not in self.table.column_names:
                raise UsageError(f"an edge list needs a column {name!r}.", where="EdgeList")
            column = self.table[name]
            if column.type != kind or column.null_count:
                raise UsageError(
                    f"column {name!r} must be {kind} without nulls, is {column.type} with "
                    f"{column.null_count} nulls.",
                    where="EdgeList",
                )
        if self.table.num_rows:
            self._check_ranges()

    def _check_ranges(self) -> None:
        for name in ("source", "target"):
            bounds = pc.min_max(self.table[name]).as_py()
            if bounds["min"] < 0 or bounds["max"] >= self.nodes:
                raise UsageError(
                    f"column {name!r} has nodes {bounds['min']} to {bounds['max']}, "
                    f"outside [0, {self.nodes}).",
                    where="EdgeList",
                )
        weight = self.table["weight"].to_numpy()
        if not (np.isfinite(weight).all() and (weight > 0).all()):
            raise UsageError("every weight must be finite and above 0.", where="EdgeList")

    def undirected(self) -> UndirectedGraph:
        """Return the edges as arrays with ``low < high`` and without self loops; repeated pairs stay.

        It is made once: kernels that start at one node are asked for again and again.

        >>> table = pa.table({"source": [2, 1], "target": [0, 1], "weight": [3.0, 1.0]})
        >>> schema = pa.schema({"source": pa.int32(), "target": pa.int32(), "weight": pa.float64()})
        >>> EdgeList(table.cast(schema), 3).undirected().high
        array([2], dtype=int32)
        """
        return self._undirected

    @cached_property
    def _undirected(self) -> UndirectedGraph:
        source, target = self.table["source"].to_numpy(), self.table["target"].to_numpy()
        weight = self.table["weight"].to_numpy()
        loops = source == target
        if loops.any():
            source, target, weight = source[~loops], target[~loops], weight[~loops]
        return UndirectedGraph(self.nodes, np.minimum(source, target), np.maximum(source, target), weight)


@dataclass(frozen=True)
class UndirectedGraph:
    """An undirected weighted graph without self loops, as arrays.

    Attributes:
        nodes: Number of nodes, isolated ones included.
        low: The smaller end of each edge (int32).
        high: The larger end of each edge (int32).
        weight: The weight of each edge (float64, > 0); repeated pairs weigh their sum.
    """

    nodes: int
    low: NDArray[np.int32]
    high: NDArray[np.int32]
    weight: NDArray[np.float64]

    @property
    def edges(self) -> int:
        """Number of edges, repeated pairs counted as often as they stand."""
        return len(self.low)

    @cached_property
    def neighbours(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return where the neighbours of each node begin, one more at the end, and all of them in a row.

        >>> ends = np.array([0, 0], np.int32), np.array([1, 2], np.int32)
        >>> starts, others = UndirectedGraph(3, *ends, np.ones(2)).neighbours
        >>> starts.tolist(), others.tolist()
        ([0, 2, 3, 4], [1, 2, 0, 0])
        """
        near, far = np.concatenate([self.low, self.high]), np.concatenate([self.high, self.low])
        starts = np.concatenate([[0], np.cumsum(np.bincount(near, minlength=self.nodes))])
        return starts, far[np.argsort(near, kind="stable")]

    def strength(self) -> NDArray[np.float64]:
        """Return the sum of the weights at each node."""
        at_low = np.bincount(self.low, self.weight, self.nodes)
        at_high = np.bincount(self.high, self.weight, self.nodes)
        return np.add(at_low, at_high, dtype=np.float64)

    def within(self, labels: NDArray[Any]) -> UndirectedGraph:
        """Return the graph with only the edges whose ends have the same label."""
        inside = labels[self.low] == labels[self.high]
        return UndirectedGraph(self.nodes, self.low[inside], self.high[inside], self.weight[inside])

    def linked(self) -> tuple[UndirectedGraph, NDArray[np.int64]]:
        """Return the graph of the nodes that have an edge, and which nodes these are.

        >>> ends = np.array([0, 3], np.int32), np.array([3, 4], np.int32)
        >>> graph, nodes = UndirectedGraph(5, *ends, np.ones(2)).linked()
        >>> nodes.tolist(), graph.nodes, graph.low.tolist(), graph.high.tolist()
        ([0, 3, 4], 3, [0, 1], [1, 2])
        """
        has = np.zeros(self.nodes, dtype=bool)
        has[self.low] = has[self.high] = True
        nodes = np.flatnonzero(has)
        if len(nodes) == self.nodes:
            return self, nodes
        number = np.cumsum(has, dtype=np.int32) - np.int32(1)
        return UndirectedGraph(len(nodes), number[self.low], number[self.high], self.weight), nodes

    def merged(self) -> UndirectedGraph:
        """Return the graph with each pair of nodes once, sorted, with the sum of its weights."""
        key = self.low.astype(np.int64) * self.nodes + self.high
        pairs, place = np.unique(key, return_inverse=True)
        low, high = np.divmod(pairs, max(self.nodes, 1))
        weight = np.asarray(np.bincount(place, self.weight, len(pairs)), np.float64)
        return UndirectedGraph(self.nodes, low.astype(np.int32), high.astype(np.int32), weight)

    def anchored(self, groups: NDArray[np.integer], share: float) -> UndirectedGraph:
        """Return the graph with a further node for each group, tied to the group's members.

        Args:
            groups: A group from 0 on for each node; less for none.
            share: What the tie weighs of all that the member is tied by.

        >>> ends = np.array([0, 1], np.int32), np.array([1, 2], np.int32)
        >>> graph = UndirectedGraph(3, *ends, np.ones(2)).anchored(np.array([0, -1, 1]), 0.5)
        >>> graph.nodes, graph.high.tolist(), graph.weight.tolist()
        (5, [1, 2, 3, 4], [1.0, 1.0, 0.5, 0.5])
        """
        strength = self.strength()
        members = np.flatnonzero((groups >= 0) & (strength > 0)).astype(np.int32)
        anchors = (self.nodes + groups[members]).astype(np.int32)
        return UndirectedGraph(
            self.nodes + int(groups.max(initial=-1)) + 1,
            np.concatenate([self.low, members]),
            np.concatenate([self.high, anchors]),
            np.concatenate([self.weight, share * strength[members]]),
        )

    def inverted(self) -> UndirectedGraph:
        """Return the graph with the inverse of each weight: how far its ends are from each other."""
        return UndirectedGraph(self.nodes, self.low, self.high, 1 / self.weight)


def canonical_labels(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Return ``labels`` with every group named by its smallest member, so that equal partitions are equal.

    >>> canonical_labels(np.array([7, 3, 7, 3, 9])).tolist()
    [0, 1, 0, 1, 4]
    """
    _, first, group = np.unique(labels, return_index=True, return_inverse=True)
    return first[group].astype(np.int32)


def modularity(graph: UndirectedGraph, labels: NDArray[np.int32]) -> float:
    """Return the weighted modularity of a partition at resolution 1; 0 for a graph without edges.

    Args:
        graph: The graph.
        labels: A label in ``[0, nodes)`` for each node.

    Source: Newman 2004, "Analysis of weighted networks".

    >>> ends = np.array([0, 2], np.int32), np.array([1, 3], np.int32)
    >>> modularity(UndirectedGraph(4, *ends, np.ones(2)), np.array([0, 0, 2, 2], np.int32))
    0.5
    """
    total = graph.weight.sum()
    if not total:
        return 0.0
    inside = graph.weight[labels[graph.low] == labels[graph.high]].sum() / total
    share = np.bincount(labels, graph.strength()) / (2 * total)
    return float(inside - np.square(share).sum())
