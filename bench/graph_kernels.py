"""Graph kernels of the workbench beside the libraries that do the same, on the same arrays.

    python bench/graph_kernels.py             100,000 nodes, 1,000,000 edges
    python bench/graph_kernels.py --quick     10,000 nodes, 100,000 edges

Every row starts from the edge arrays and ends with a value for each node, so building a library's own
graph counts. ``ratio`` is the row's time over the workbench's: above 1, the workbench is faster. Where a
library gives another quality, it stands beside the time: the largest relative error of a rank, and the
modularity. networkx is run on a hundredth of the graph, against the workbench on the same.
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import igraph
import networkit
import networkx as nx
import numpy as np
import pyarrow as pa
from _record import taken_on, write
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from workbench.compute import EdgeList, backends

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LIBRARIES = ("igraph", "networkit", "networkx", "numpy", "pyarrow", "scipy")
BLOCK = 200


@dataclass
class Row:
    kernel: str
    library: str
    nodes: int
    edges: int
    wall_seconds: float
    cpu_seconds: float
    ratio: float
    quality: float | None


def power_law(nodes: int, edges: int, seed: int) -> EdgeList:
    """Return a graph with hubs and communities: most edges stay within blocks of 200 nodes."""
    draw = np.random.default_rng(seed)
    drawn = int(edges * 1.4)
    reach = np.cumsum(np.arange(1, nodes + 1) ** -0.6)
    source, target = np.searchsorted(reach / reach[-1], draw.random((2, drawn)))
    near = np.minimum(source // BLOCK * BLOCK + draw.integers(0, BLOCK, drawn), nodes - 1)
    target = np.where(draw.random(drawn) < 0.7, near, target)
    low, high = np.minimum(source, target), np.maximum(source, target)
    pairs = draw.permutation(np.unique((low * nodes + high)[low != high]))[:edges]
    shuffled = draw.permutation(nodes).astype(np.int32)
    weight = draw.integers(1, 9, len(pairs)).astype(np.float64)
    columns = {"source": shuffled[pairs // nodes], "target": shuffled[pairs % nodes], "weight": weight}
    return EdgeList(pa.table(columns), nodes)


def arrays(edges: EdgeList) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    source, target, weight = (column.to_numpy() for column in edges.table.columns)
    return source, target, weight


def igraph_graph(edges: EdgeList) -> tuple[igraph.Graph, list[float]]:
    source, target, weight = arrays(edges)
    # igraph's PageRank takes weights as a list only.
    ends = np.column_stack([source, target]).astype(np.int64)
    return igraph.Graph(n=edges.nodes, edges=ends), weight.tolist()


def networkx_graph(edges: EdgeList) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(range(edges.nodes))
    graph.add_weighted_edges_from(zip(*(a.tolist() for a in arrays(edges)), strict=True))
    return graph


def networkit_graph(edges: EdgeList) -> networkit.Graph:
    source, target, weight = arrays(edges)
    ends = (source.astype(np.uint64), target.astype(np.uint64))
    return networkit.GraphFromCoo((weight, ends), n=edges.nodes, weighted=True, directed=False)


def scipy_ranks(edges: EdgeList, tolerance: float = 1e-6) -> NDArray[np.float64]:
    """Return the ranks by bare power iteration on scipy's CSR."""
    source, target, weight = arrays(edges)
    rows, columns = np.concatenate([source, target]), np.concatenate([target, source])
    matrix = coo_array((np.concatenate([weight, weight]), (rows, columns)), (edges.nodes,) * 2).tocsr()
    strength = matrix.sum(axis=0)
    share = np.divide(1, strength, out=np.zeros(edges.nodes), where=strength > 0)
    ranks = np.full(edges.nodes, 1 / edges.nodes)
    while True:
        walked = 0.85 * (matrix @ (ranks * share))
        following = walked + (1 - walked.sum()) / edges.nodes
        if np.abs(following - ranks).sum() < tolerance:
            return following
        ranks = following


def igraph_ranks(edges: EdgeList) -> NDArray[np.float64]:
    graph, weight = igraph_graph(edges)
    return np.array(graph.pagerank(weights=weight, directed=False))


def networkx_ranks(edges: EdgeList) -> NDArray[np.float64]:
    ranks = nx.pagerank(networkx_graph(edges), tol=1e-6 / edges.nodes, max_iter=1_000)
    return np.array(list(ranks.values()))


def networkit_leiden(edges: EdgeList, threads: int) -> NDArray[Any]:
    before = networkit.getMaxNumberOfThreads()
    networkit.setNumberOfThreads(threads)
    networkit.setSeed(0, useThreadId=False)
    leiden = networkit.community.ParallelLeiden(networkit_graph(edges), iterations=5, randomize=True, gamma=1)
    labels = np.array(leiden.run().getPartition().getVector())
    networkit.setNumberOfThreads(before)
    return labels


def igraph_leiden(edges: EdgeList) -> NDArray[Any]:
    igraph.set_random_number_generator(random.Random(0))  # noqa: S311
    graph, weight = igraph_graph(edges)
    return np.array(graph.community_leiden("modularity", weights=weight).membership)


def networkx_louvain(edges: EdgeList) -> NDArray[Any]:
    groups = nx.community.louvain_communities(networkx_graph(edges), seed=0)
    label = {node: place for place, group in enumerate(groups) for node in group}
    return np.array([label[node] for node in range(edges.nodes)])


def scipy_components(edges: EdgeList) -> NDArray[Any]:
    source, target, weight = arrays(edges)
    matrix = coo_array((weight, (source, target)), (edges.nodes,) * 2)
    return np.asarray(connected_components(matrix, directed=False)[1])


def igraph_components(edges: EdgeList) -> NDArray[Any]:
    return np.array(igraph_graph(edges)[0].connected_components().membership)


def networkx_components(edges: EdgeList) -> NDArray[Any]:
    groups = nx.connected_components(networkx_graph(edges))
    label = {node: place for place, group in enumerate(groups) for node in group}
    return np.array([label[node] for node in range(edges.nodes)])


def workbench(device: str, kernel: str) -> Callable[[EdgeList], NDArray[Any]]:
    backend = backends.create(device)
    return lambda edges: getattr(backend, kernel)(edges)[0].column(1).to_numpy()


def rank_error(edges: EdgeList, ranks: NDArray[Any]) -> float:
    return float(np.abs(ranks / scipy_ranks(edges, 1e-14) - 1).max())


def modularity(edges: EdgeList, labels: NDArray[Any]) -> float:
    source, target, weight = arrays(edges)
    group = np.unique(labels, return_inverse=True)[1]
    groups = int(group.max()) + 1
    strength = np.bincount(group[source], weight, groups) + np.bincount(group[target], weight, groups)
    inside = weight[group[source] == group[target]].sum() / weight.sum()
    return float(inside - np.square(strength / strength.sum()).sum())


def distinct(_: EdgeList, labels: NDArray[Any]) -> float:
    return float(len(np.unique(labels)))


Contender = tuple[str, "Callable[[EdgeList], NDArray[Any]]"]

LARGE: dict[str, list[Contender]] = {
    "pagerank": [("scipy bare, power iteration", scipy_ranks), ("igraph", igraph_ranks)],
    "communities": [
        ("networkit bare, 1 thread", lambda edges: networkit_leiden(edges, 1)),
        ("networkit bare, 2 threads", lambda edges: networkit_leiden(edges, 2)),
        ("igraph Leiden", igraph_leiden),
    ],
    "components": [("scipy bare", scipy_components), ("igraph", igraph_components)],
}
SMALL: dict[str, list[Contender]] = {
    "pagerank": [("networkx", networkx_ranks)],
    "communities": [("networkx Louvain", networkx_louvain)],
    "components": [("networkx", networkx_components)],
}
QUALITY = {"pagerank": rank_error, "communities": modularity, "components": distinct}


def measure(edges: EdgeList, contenders: dict[str, list[Contender]], repeats: int) -> list[Row]:
    """Return a row for each contender and device; the best of ``repeats`` runs, taken in turns."""
    devices = [name for name in backends.names() if backends.load(name).can_run() is True]
    rows = []
    for kernel, others in contenders.items():
        own = [(f"workbench {device}", workbench(device, kernel)) for device in devices]
        timed = dict.fromkeys((name for name, _ in own + others), (float("inf"), float("inf")))
        results = {}
        for _ in range(repeats):
            for name, call in own + others:
                wall, cpu = time.perf_counter(), time.process_time()
                results[name] = call(edges)
                spent = (time.perf_counter() - wall, time.process_time() - cpu)
                timed[name] = min(timed[name], spent)
        base = timed["workbench cpu"][0]
        for name, (wall, cpu) in timed.items():
            quality = QUALITY[kernel](edges, results[name])
            size = (edges.nodes, edges.table.num_rows)
            rows.append(Row(kernel, name, *size, wall, cpu, wall / base, quality))
    return rows


def show(rows: list[Row]) -> None:
    measures = {"pagerank": "rank error", "communities": "modularity", "components": "components"}
    print(f"{'kernel':<12} {'library':<28} {'edges':>9} {'wall s':>8} {'CPU s':>8} {'ratio':>7}  quality")
    for row in rows:
        times = f"{row.wall_seconds:8.3f} {row.cpu_seconds:8.3f} {row.ratio:7.2f}"
        quality = f"{measures[row.kernel]} {row.quality:.4g}"
        print(f"{row.kernel:<12} {row.library:<28} {row.edges:9,} {times}  {quality}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the graph kernels beside other libraries.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, one run of each")
    parser.add_argument("--json", type=Path, help="also write the rows, with versions, to this file")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    nodes, edges, repeats = (10_000, 100_000, 1) if options.quick else (100_000, 1_000_000, 3)
    machine = taken_on(*LIBRARIES)
    rows = measure(power_law(nodes, edges, options.seed), LARGE, repeats)
    rows += measure(power_law(nodes // 100, edges // 100, options.seed), SMALL, repeats)
    show(rows)
    for name in backends.names():
        reason = backends.load(name).can_run()
        if reason is not True:
            print(f"workbench {name} did not run: {reason}")
    write(options.json, {"seed": options.seed, **machine, "rows": [asdict(row) for row in rows]})


if __name__ == "__main__":
    main()
