"""How strongly edges tie: what says nothing is left out, what is more than chance counts.

The weight of an edge is a number of events. What everybody meets, such as an error, then ties all together,
and one who repeats a thing a hundred times is tied to it alone. Steps without domain knowledge mend that:

1. An edge type that falls into communities no better than its degrees would at random says nothing of them.
2. In a graph of two sides, such as actors and what they touch, an edge weighs by how much more often both
   ends meet than their numbers of edges let expect (pointwise mutual information).
3. In any other graph it weighs more with each neighbour that both ends share.
4. What has no telling edge joins a community to which more than half of its events lead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.compute import EdgeList, backends, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from workbench.compute.base import Device

__all__ = ["gain", "joined", "telling", "tied"]

_SAMPLE = 50_000  # edges of a type that are looked at
_REWIRED = 3
_NOISE = 0.02
_PROBE = 10_000  # edges that show whether ends share neighbours at all
_MOST_STEPS = 50_000_000  # neighbours looked at to count shared ones
_CHUNK = 4_000_000
_LEAST = 0.01  # of a tie that is no stronger than chance: it holds together what has none else


def telling(types: Mapping[str, EdgeList], device: Device, seed: int) -> tuple[list[str], dict[str, float]]:
    """Return the edge types that tell about communities, and the :func:`gain` of each.

    Where none does, or there is only one, all of them are returned.

    Args:
        types: The edges of each type.
        device: Where kernels run.
        seed: Seed of the sample and of the rewiring.
    """
    if len(types) < 2:
        return list(types), {}
    gains = {name: gain(edges, device, seed) for name, edges in types.items()}
    kept = [name for name, edges in types.items() if gains[name] > _noise(edges)]
    return kept or list(types), gains


def gain(edges: EdgeList, device: Device, seed: int) -> float:
    """Return how much higher the modularity of a graph's communities is than after rewiring at random.

    Rewired edges keep the number of edges of each node. All edges count as one; of a large graph a sample of
    nodes with all their edges is taken. A forest of stars, where each node of one side has one edge, gains
    nothing. A graph is rewired again only where it is not clear yet whether it gains more than noise.
    Source: Guimerà, Sales-Pardo and Amaral 2004, "Modularity from fluctuations in random graphs".

    >>> left, right = np.divmod(np.arange(800), 4)
    >>> blocks = _edges(left, 200 + 4 * (left // 50) + right, np.ones(800), 216)
    >>> gain(blocks, "cpu", 0) > 0.3
    True
    >>> gain(_edges(left, 200 + right, np.ones(800), 216), "cpu", 0)
    0.0
    """
    draw = np.random.default_rng(seed)
    source, target = _sampled(edges, draw)
    if _stars(source, target, edges.nodes):
        return 0.0
    found, border = _modularity(source, target, device, seed), _noise(edges)
    chance: list[float] = []
    for _ in range(_REWIRED):
        rewired = _distinct(source, draw.permutation(target), edges.nodes)
        chance.append(_modularity(*rewired, device, seed))
        more = found - float(np.mean(chance))
        if abs(more - border) > border / 2:
            break
    return max(0.0, more)


def tied(edges: EdgeList) -> EdgeList:
    """Return a graph with weights that say how strongly its edges tie.

    Args:
        edges: Each pair once; the weight is a number of events.

    >>> triangle = _edges(np.array([0, 0, 1, 2]), np.array([1, 2, 2, 3]), np.ones(4), 4)
    >>> weights = tied(triangle).table["weight"].to_numpy()
    >>> (weights / weights[3]).round(1).tolist()
    [2.0, 2.0, 2.0, 1.0]
    """
    graph = edges.undirected()
    if not graph.edges:
        return edges
    low, high = graph.low, graph.high
    weight = np.log1p(graph.weight)
    probe = np.unique(np.linspace(0, graph.edges - 1, _PROBE).astype(np.int64))
    degree = np.bincount(low, minlength=graph.nodes) + np.bincount(high, minlength=graph.nodes)
    if not _shared(low, high, degree, graph.nodes, probe).any():
        strength = np.bincount(low, weight, graph.nodes) + np.bincount(high, weight, graph.nodes)
        expected = strength[low] * strength[high] / (2 * weight.sum())
        weight = np.maximum(np.log(weight / expected), _LEAST)
    elif np.minimum(degree[low], degree[high]).sum() <= _MOST_STEPS:
        weight *= 1 + _shared(low, high, degree, graph.nodes, np.arange(graph.edges))
    return _edges(low, high, weight, edges.nodes)


def joined(labels: NDArray[np.int32], edges: EdgeList, others: Sequence[pa.Table]) -> NDArray[np.int32]:
    """Return labels with which nodes without edges belong where more than half of their other edges lead.

    Args:
        labels: A label for each node.
        edges: The edges that the labels come from.
        others: Edges that they do not come from, with the numbers of events as ``weight``.

    >>> told = _edges(np.array([0]), np.array([1]), np.ones(1), 4)
    >>> more = _edges(np.array([0, 1, 2]), np.array([2, 3, 3]), np.array([2.0, 1.0, 9.0]), 4)
    >>> joined(np.array([0, 0, 2, 3], np.int32), told, [more.table]).tolist()
    [0, 0, 2, 3]
    >>> more = _edges(np.array([0, 1]), np.array([2, 3]), np.ones(2), 4)
    >>> joined(np.array([0, 0, 2, 3], np.int32), told, [more.table]).tolist()
    [0, 0, 0, 0]
    """
    ends = [edges.table[end].to_numpy() for end in ("source", "target")]
    lone = np.ones(edges.nodes, dtype=bool)
    lone[np.concatenate(ends)] = False
    parts = [_leading(table, lone) for table in others]
    if not parts:
        return labels
    node, goal, events = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    # of a node and where it leads; to other lone nodes: 0
    packed = node.astype(np.int64) * (edges.nodes + 1) + np.where(lone[goal], 0, labels[goal] + 1)
    ties = pl.DataFrame({"packed": packed, "events": events}).group_by("packed").agg(pl.col("events").sum())
    node, to = np.divmod(ties["packed"].to_numpy(), edges.nodes + 1)
    events = ties["events"].to_numpy()
    most = (events > np.bincount(node, events, edges.nodes)[node] / 2) & (to > 0)
    found = labels.copy()
    found[node[most]] = to[most] - 1
    return found


def _leading(table: pa.Table, lone: NDArray[np.bool_]) -> list[NDArray[Any]]:
    """Return the nodes in ``lone``, where edges lead from them either way, and the weights of these."""
    source, target, weight = (table[name].to_numpy() for name in ("source", "target", "weight"))
    there, back = np.flatnonzero(lone[source]), np.flatnonzero(lone[target])
    return [
        np.concatenate([source[there], target[back]]),
        np.concatenate([target[there], source[back]]),
        np.concatenate([weight[there], weight[back]]),
    ]


def _edges(
    source: NDArray[np.integer], target: NDArray[np.integer], weight: NDArray[np.float64], nodes: int
) -> EdgeList:
    ends = {"source": source.astype(np.int32), "target": target.astype(np.int32)}
    return EdgeList(pa.table({**ends, "weight": weight}), nodes)


def _sampled(edges: EdgeList, draw: np.random.Generator) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return the edges of some nodes of that side which has more of them."""
    source, target = edges.table["source"].to_numpy(), edges.table["target"].to_numpy()
    if len(source) <= _SAMPLE:
        return source, target
    met = [np.flatnonzero(np.bincount(end, minlength=edges.nodes)) for end in (source, target)]
    many = int(len(met[1]) > len(met[0]))
    drawn = np.zeros(edges.nodes, dtype=bool)
    drawn[met[many]] = draw.random(len(met[many])) < _SAMPLE / len(source)
    chosen = drawn[(source, target)[many]]
    return source[chosen], target[chosen]


def _distinct(
    source: NDArray[np.integer], target: NDArray[np.integer], nodes: int
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    return np.divmod(np.unique(source.astype(np.int64) * nodes + target), nodes)


def _stars(source: NDArray[np.integer], target: NDArray[np.integer], nodes: int) -> bool:
    """Return whether one end of every edge has no other: rewired, they are stars of the same sizes."""
    degree = np.bincount(np.concatenate([source, target]), minlength=nodes)
    return bool((degree[source] == 1).all() or (degree[target] == 1).all())


def _noise(edges: EdgeList) -> float:
    """Return what a graph of so many edges may gain by chance."""
    return _NOISE + 1 / float(np.sqrt(max(edges.table.num_rows, 1)))


def _modularity(source: NDArray[np.integer], target: NDArray[np.integer], device: Device, seed: int) -> float:
    nodes, places = np.unique(np.concatenate([source, target]), return_inverse=True)
    graph = _edges(places[: len(source)], places[len(source) :], np.ones(len(source)), len(nodes))
    return run(backends, device, "communities", graph, seed=seed).metrics["modularity"]


def _shared(
    low: NDArray[np.int32],
    high: NDArray[np.int32],
    degree: NDArray[np.int64],
    nodes: int,
    which: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return how many neighbours the ends of some edges share: those of the end with fewer are looked at."""
    ends, others = np.concatenate([low, high]), np.concatenate([high, low])
    order = np.argsort(ends, kind="stable")
    neighbours, starts = others[order], np.concatenate([[0], np.cumsum(degree)])
    pairs = np.sort(low.astype(np.int64) * nodes + high)
    fewer = degree[low[which]] <= degree[high[which]]
    near = np.where(fewer, low[which], high[which])
    far = np.where(fewer, high[which], low[which])
    found = np.zeros(len(which), np.int64)
    steps = np.cumsum(degree[near])
    begin = 0
    while begin < len(which):
        done = steps[begin - 1] if begin else 0
        end = max(int(np.searchsorted(steps, done + _CHUNK, side="right")), begin + 1)
        length = degree[near[begin:end]]
        edge = np.repeat(np.arange(end - begin), length)
        at = np.arange(len(edge)) - np.repeat(np.cumsum(length) - length, length)
        met = neighbours[np.repeat(starts[near[begin:end]], length) + at]
        other = far[begin:end][edge]
        key = np.minimum(met, other).astype(np.int64) * nodes + np.maximum(met, other)
        place = np.minimum(np.searchsorted(pairs, key), len(pairs) - 1)
        found[begin:end] = np.bincount(edge[pairs[place] == key], minlength=end - begin)
        begin = end
    return found
