"""The GPU backend: cuDF, cuGraph and cuML of RAPIDS 26.10.

Its calls are checked against the signatures in the libraries' wheels (``tests/gpu_signatures``);
what they compute is tested only where there is a GPU, by the conformance suite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa

from workbench.compute._gpu_device import ask_device, metered, on_device
from workbench.compute._gpu_points import GpuPoints
from workbench.compute._gpu_rows import GpuRows
from workbench.compute.base import Backend
from workbench.errors import KernelFailedError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import cudf
    import cugraph
    from cudf.core.groupby import DataFrameGroupBy
    from numpy.typing import NDArray

    from workbench.compute._graph import UndirectedGraph
    from workbench.compute._graph_kernels import Method
    from workbench.compute._memory import Meter

__all__ = ["GpuBackend"]

# cuGraph iterates by the power method. An iteration of the reference's conjugate gradients lowers
# the error by 0.56 at damping 0.85, one of the power method by 0.85: log 0.56 / log 0.85 = 3.6.
_POWER_STEPS = 4


class GpuBackend(GpuPoints, GpuRows, Backend):
    """Graphs by cuGraph, points by cuML, rows by cuDF."""

    requires = ("cudf", "cugraph", "cuml", "rmm", "cuda")
    extra = "gpu"
    preference = 10
    gaps: ClassVar[dict[str, str]] = {
        "communities:label_propagation": "cuGraph has no label propagation",
        "betweenness": "how cuGraph scales what it samples is not known from its wheels",
    }

    @classmethod
    def can_run(cls) -> Literal[True] | str:
        """Return True, or the reason: libraries that are missing, else what the device says.

        The libraries import without a GPU and fail at first use, each in its own way, so the device
        is asked for one byte of memory. Nothing is imported where a library is missing.
        """
        installed = super().can_run()
        return ask_device() if installed is True else installed

    def versions(self) -> dict[str, str]:
        """Return the version of each library that this backend calls."""
        import cudf
        import cugraph
        import cuml

        return {library.__name__: str(library.__version__) for library in (cudf, cugraph, cuml)}

    def metered(self) -> AbstractContextManager[Meter]:
        """Measure the device memory that is taken through RMM meanwhile."""
        return metered()

    def solve_pagerank(
        self, graph: UndirectedGraph, *, damping: float, max_iterations: int, tolerance: float
    ) -> tuple[NDArray[np.float64], dict[str, float]]:
        """Return the ranks by cuGraph's power iteration; ``tolerance`` bounds the 1-norm of a step."""
        import cugraph

        steps = _POWER_STEPS * max_iterations
        with on_device(f"PageRank did not converge in {steps} power iterations"):
            result: cudf.DataFrame = cugraph.pagerank(
                _load(graph, transposed=True), alpha=damping, max_iter=steps, tol=tolerance
            )
            return _by_vertex(result, "pagerank", graph.nodes).astype(np.float64), {"converged": 1.0}

    def solve_communities(
        self, graph: UndirectedGraph, *, method: Method, resolution: float, seed: int
    ) -> NDArray[Any]:
        """Return the communities of cuGraph's Leiden or Louvain; the latter draws nothing."""
        import cugraph

        with on_device(f"{method} did not converge"):
            result: cudf.DataFrame
            if method == "leiden":
                result, _ = cugraph.leiden(_load(graph), resolution=resolution, random_state=seed)
            else:
                result, _ = cugraph.louvain(_load(graph), resolution=resolution)
            return _by_vertex(result, "partition", graph.nodes)

    def solve_components(self, graph: UndirectedGraph) -> NDArray[Any]:
        """Return cuGraph's weakly connected components."""
        import cugraph

        with on_device("the components did not converge"):
            result: cudf.DataFrame = cugraph.weakly_connected_components(_load(graph))
            return _by_vertex(result, "labels", graph.nodes)

    def solve_core_numbers(self, graph: UndirectedGraph) -> NDArray[Any]:
        """Return cuGraph's core numbers."""
        import cugraph

        with on_device():
            result: cudf.DataFrame = cugraph.core_number(_load(graph))
            return _by_vertex(result, "core_number", graph.nodes)

    def solve_hops(self, graph: UndirectedGraph, source: int) -> NDArray[Any]:
        """Return cuGraph's breadth-first search; what it does not reach has the largest number."""
        import cugraph

        with on_device():
            result: cudf.DataFrame = cugraph.bfs(_load(graph), start=source, return_predecessors=False)
            hops = _by_vertex(result, "distance", graph.nodes)
        return np.where(hops < graph.nodes, hops, -1)

    def solve_distances(self, graph: UndirectedGraph, source: int) -> NDArray[np.float64]:
        """Return cuGraph's shortest paths; what it does not reach has the largest number."""
        import cugraph

        with on_device():
            result: cudf.DataFrame = cugraph.sssp(_load(graph), source=source)
            distance = _by_vertex(result, "distance", graph.nodes).astype(np.float64)
        return np.where(distance <= graph.weight.sum(), distance, np.inf)


def _load(graph: UndirectedGraph, *, transposed: bool = False) -> cugraph.Graph:
    """Return the graph on the device, repeated pairs summed: cuGraph would keep the smallest."""
    import cudf
    import cugraph

    frame: cudf.DataFrame = cudf.DataFrame.from_arrow(
        pa.table({"low": graph.low, "high": graph.high, "weight": graph.weight})
    )
    groups: DataFrameGroupBy = frame.groupby(["low", "high"], as_index=False, sort=False)
    pairs: cudf.DataFrame = groups.agg({"weight": "sum"})
    loaded: cugraph.Graph = cugraph.Graph(directed=False)
    loaded.from_cudf_edgelist(
        pairs,
        source="low",
        destination="high",
        weight="weight",
        store_transposed=transposed,
        vertices=cudf.Series(np.arange(graph.nodes, dtype=np.int32)),
    )
    return loaded


def _by_vertex(result: cudf.DataFrame, column: str, nodes: int) -> NDArray[Any]:
    """Return a column of a cuGraph result in node order; cuGraph's own order is not defined."""
    ordered: cudf.DataFrame = result.sort_values("vertex")
    table = ordered.to_arrow(preserve_index=False)
    if table.num_rows != nodes:
        raise KernelFailedError(f"cuGraph returned {table.num_rows} of {nodes} nodes")
    return np.asarray(table[column])
