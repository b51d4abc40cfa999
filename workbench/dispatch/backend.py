"""What networkx calls: one function for each of its own, and whether it can and should be called."""

from __future__ import annotations

from inspect import signature
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compute import backends
from workbench.dispatch.converted import Arrays, arrays_of, from_networkx, to_networkx
from workbench.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    import pyarrow as pa

__all__ = ["can_run", "convert_from_nx", "convert_to_nx", "should_run"]

convert_from_nx, convert_to_nx = from_networkx, to_networkx

# Below this many edges networkx has its answer before the graph is converted.
_FEW = 2_000
_UNDIRECTED = frozenset(
    {
        *("pagerank", "leiden_communities", "connected_components", "is_connected"),
        *("number_connected_components", "node_connected_component"),
    }
)
_PAIRS = frozenset({"shortest_path", "shortest_path_length"})
_UNKNOWN = ("personalization", "nstart", "dangling", "max_level", "cutoff")


def can_run(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool | str:
    """Return True, or why a call has to be networkx's own."""
    try:
        given = signature(globals()[name]).bind(*args, **kwargs).arguments
    except (KeyError, TypeError) as error:
        return f"it is not known here: {error}"
    graph = given["G"]
    ends = given.get("source"), given.get("target")
    reasons = {
        **{f"{o} is not known here": given.get(o) is not None for o in _UNKNOWN},
        "a function as weight is not known here": callable(given.get("weight")),
        "this method is not known here": given.get("method", "dijkstra") not in {"dijkstra", "unweighted"},
        "only paths from one node to one are found here": name in _PAIRS and None in ends,
        "directed graphs are not known here": name in _UNDIRECTED
        and not isinstance(graph, Graph)
        and graph.is_directed(),
    }
    return next((reason for reason, holds in reasons.items() if holds), True)


def should_run(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool | str:
    """Return True, or why networkx is as quick: converting a small graph takes longer than the answer."""
    graph = signature(globals()[name]).bind(*args, **kwargs).arguments["G"]
    if isinstance(graph, Graph | Arrays):
        return True
    return graph.number_of_edges() >= _FEW or f"it has fewer than {_FEW} edges"


def pagerank(
    G: Any,
    alpha: float = 0.85,
    personalization: None = None,
    max_iter: int = 100,
    tol: float = 1e-6,
    nstart: None = None,
    weight: str | None = "weight",
    dangling: None = None,
) -> dict[Hashable, float]:
    """Return the rank of each node, as close to the limit as networkx's or closer."""
    from networkx import PowerIterationFailedConvergence

    graph = arrays_of(G)
    if not len(graph):
        return {}
    edges = graph.edge_list(weight)
    table, metrics = _cpu().pagerank(edges, damping=alpha, max_iterations=max_iter, tolerance=tol)
    if not metrics["converged"]:
        raise PowerIterationFailedConvergence(max_iter)
    return dict(zip(graph.nodes, table["rank"].to_pylist(), strict=True))


def leiden_communities(
    G: Any,
    weight: str | None = "weight",
    resolution: float = 1,
    max_level: None = None,
    seed: Any = None,
) -> list[set[Hashable]]:
    """Return the communities as sets of nodes; the same for the same seed, None is 0."""
    graph = arrays_of(G)
    edges = graph.edge_list(weight)
    table, _ = _cpu().communities(edges, resolution=resolution, seed=_seed(seed))
    return _groups(graph, table["community"].to_numpy())


def connected_components(G: Any) -> Iterator[set[Hashable]]:
    """Yield the components as sets of nodes."""
    yield from _groups(arrays_of(G), _labels(arrays_of(G)))


def number_connected_components(G: Any) -> int:
    """Return the number of components."""
    return len(np.unique(_labels(arrays_of(G))))


def is_connected(G: Any) -> bool:
    """Return whether there is one component."""
    from networkx import NetworkXPointlessConcept

    if not len(arrays_of(G)):
        raise NetworkXPointlessConcept("Connectivity is undefined for the null graph.")
    return number_connected_components(G) == 1


def node_connected_component(G: Any, n: Hashable) -> set[Hashable]:
    """Return the nodes of one node's component."""
    graph = arrays_of(G)
    labels = _labels(graph)
    return {graph.nodes[place] for place in np.flatnonzero(labels == labels[_place(graph, n)])}


def shortest_path(
    G: Any,
    source: Hashable = None,
    target: Hashable = None,
    weight: str | None = None,
    method: str = "dijkstra",
) -> list[Hashable]:
    """Return the nodes of a shortest path."""
    return _path(arrays_of(G), source, target, weight)[0]


def shortest_path_length(
    G: Any,
    source: Hashable = None,
    target: Hashable = None,
    weight: str | None = None,
    method: str = "dijkstra",
) -> float:
    """Return the length of a shortest path: hops, or the sum of its weights."""
    length = _path(arrays_of(G), source, target, weight)[1]
    return length if weight else round(length)


def has_path(G: Any, source: Hashable, target: Hashable) -> bool:
    """Return whether there is a path."""
    graph = arrays_of(G)
    return bool(np.isfinite(_reached(graph, source, None)[0][_place(graph, target)]))


def dijkstra_path(
    G: Any, source: Hashable, target: Hashable, weight: str | None = "weight"
) -> list[Hashable]:
    """Return the nodes of a shortest path by weights."""
    return _path(arrays_of(G), source, target, weight)[0]


def dijkstra_path_length(
    G: Any,
    source: Hashable,
    target: Hashable,
    weight: str | None = "weight",
) -> float:
    """Return the length of a shortest path by weights."""
    return _path(arrays_of(G), source, target, weight)[1]


def single_source_dijkstra_path_length(
    G: Any,
    source: Hashable,
    cutoff: None = None,
    weight: str | None = "weight",
) -> dict[Hashable, float]:
    """Return the distance of each node that can be reached, nearest first."""
    graph = arrays_of(G)
    distance = _reached(graph, source, weight)[0]
    order = np.argsort(distance, kind="stable")
    return {graph.nodes[place]: float(distance[place]) for place in order[np.isfinite(distance[order])]}


def single_source_shortest_path_length(
    G: Any,
    source: Hashable,
    cutoff: None = None,
) -> dict[Hashable, int]:
    """Return the hops to each node that can be reached, nearest first."""
    return {
        node: round(hops) for node, hops in single_source_dijkstra_path_length(G, source, None, None).items()
    }


def _cpu() -> Any:
    return backends.create("cpu")


def _seed(seed: Any) -> int:
    if seed is None or isinstance(seed, int):
        return seed or 0
    return seed.randrange(2**31) if isinstance(seed, Random) else int(seed.integers(2**31))


def _labels(graph: Arrays) -> np.ndarray[Any, Any]:
    table: pa.Table
    loops = graph.source == graph.target
    plain = Arrays(
        graph.nodes,
        graph.source[~loops],
        graph.target[~loops],
        {None: np.ones(int((~loops).sum()))},
        False,
        True,
        None,
    )
    table, _ = _cpu().components(plain.edge_list(None))
    labels: np.ndarray[Any, Any] = table["component"].to_numpy()
    return labels


def _groups(graph: Arrays, labels: np.ndarray[Any, Any]) -> list[set[Hashable]]:
    """Return the nodes of each label, in the order of their first nodes."""
    if not len(labels):
        return []
    order = np.argsort(labels, kind="stable")
    ends = np.flatnonzero(np.diff(labels[order])) + 1
    return [{graph.nodes[place] for place in places} for places in np.split(order, ends)]


def _place(graph: Arrays, node: Hashable) -> int:
    from networkx import NodeNotFound

    if node not in graph.places:
        raise NodeNotFound(f"Node {node} not found in graph")
    return graph.places[node]


def _reached(
    graph: Arrays, source: Hashable, weight: str | None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the distance of each node from one, and the node before it on the way."""
    from scipy.sparse.csgraph import dijkstra

    start = _place(graph, source)
    found = dijkstra(graph.matrix(weight), indices=start, return_predecessors=True)
    return found[0], found[1]


def _path(
    graph: Arrays, source: Hashable, target: Hashable, weight: str | None
) -> tuple[list[Hashable], float]:
    from networkx import NetworkXNoPath

    end = _place(graph, target)
    distance, before = _reached(graph, source, weight)
    if not np.isfinite(distance[end]):
        raise NetworkXNoPath(f"No path between {source} and {target}.")
    path = [end]
    while before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    return [graph.nodes[place] for place in reversed(path)], float(distance[end])
