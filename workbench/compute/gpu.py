"""The GPU backend: cuDF and cuGraph of RAPIDS 26.10.

Its calls are checked against the signatures in the libraries' wheels (``tests/gpu_signatures``);
what they compute is tested only where there is a GPU, by the conformance suite.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa

from workbench.compute.base import Backend
from workbench.errors import KernelFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import cudf
    import cugraph
    from cudf.core.groupby import DataFrameGroupBy
    from numpy.typing import NDArray

    from workbench.compute._graph import UndirectedGraph

__all__ = ["GpuBackend"]

# cuGraph iterates by the power method. An iteration of the reference's conjugate gradients lowers
# the error by 0.56 at damping 0.85, one of the power method by 0.85: log 0.56 / log 0.85 = 3.6.
_POWER_STEPS = 4


class GpuBackend(Backend):
    """PageRank, Leiden and weakly connected components by cuGraph."""

    requires = ("cudf", "cugraph", "cuda")
    extra = "gpu"
    preference = 10
    gaps: ClassVar[dict[str, str]] = {
        "kmeans": "cuML is not adapted: points are computed on the CPU",
        "pca": "cuML is not adapted: points are computed on the CPU",
        "isolation": "cuML has no isolation forest",
        "dbscan": "cuML is not adapted: points are computed on the CPU",
    }

    @classmethod
    def can_run(cls) -> Literal[True] | str:
        """Return True, or the reason: libraries that are missing, else what the device says.

        The libraries import without a GPU and fail at first use, each in its own way, so the device
        is asked for one byte of memory. Nothing is imported where a library is missing.
        """
        installed = super().can_run()
        return _ask_device() if installed is True else installed

    def versions(self) -> dict[str, str]:
        """Return the version of each library that this backend calls."""
        import cudf
        import cugraph

        return {"cudf": str(cudf.__version__), "cugraph": str(cugraph.__version__)}

    def solve_pagerank(
        self, graph: UndirectedGraph, *, damping: float, max_iterations: int, tolerance: float
    ) -> tuple[NDArray[np.float64], dict[str, float]]:
        """Return the ranks by cuGraph's power iteration; ``tolerance`` bounds the 1-norm of a step."""
        import cugraph

        steps = _POWER_STEPS * max_iterations
        with _failures(f"PageRank did not converge in {steps} power iterations"):
            result: cudf.DataFrame = cugraph.pagerank(
                _load(graph, transposed=True), alpha=damping, max_iter=steps, tol=tolerance
            )
            return _by_vertex(result, "pagerank", graph.nodes).astype(np.float64), {"converged": 1.0}

    def solve_communities(self, graph: UndirectedGraph, *, resolution: float, seed: int) -> NDArray[Any]:
        """Return the communities of cuGraph's Leiden."""
        import cugraph

        with _failures("Leiden did not converge"):
            result: cudf.DataFrame
            result, _ = cugraph.leiden(_load(graph), resolution=resolution, random_state=seed)
            return _by_vertex(result, "partition", graph.nodes)

    def solve_components(self, graph: UndirectedGraph) -> NDArray[Any]:
        """Return cuGraph's weakly connected components."""
        import cugraph

        with _failures("the components did not converge"):
            result: cudf.DataFrame = cugraph.weakly_connected_components(_load(graph))
            return _by_vertex(result, "labels", graph.nodes)


def _ask_device() -> Literal[True] | str:
    """Return True if the device gives a byte of memory, else the CUDA runtime's reason."""
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        return f"needs cuda.bindings, which does not load: {error}"
    try:
        status, count = runtime.cudaGetDeviceCount()
        if int(status) == 0 and not count:
            return "no CUDA device"
        if int(status) == 0:
            status, pointer = runtime.cudaMalloc(1)
        if int(status) == 0:
            (status,) = runtime.cudaFree(pointer)
        if int(status) == 0:
            return True
        _, message = runtime.cudaGetErrorString(status)
    except RuntimeError as error:  # a part of CUDA is missing from the machine
        return f"no CUDA device: {error}"
    return f"no CUDA device: {message.decode()}"


@contextmanager
def _failures(not_converged: str) -> Iterator[None]:
    """Translate what cuDF and cuGraph raise at run time; their mistakes of use stay as they are."""
    from cugraph.exceptions import FailedToConvergeError

    try:
        yield
    except FailedToConvergeError as error:
        raise KernelFailedError(not_converged) from error
    except MemoryError as error:
        raise KernelFailedError(f"out of device memory ({error})") from error
    except RuntimeError as error:
        raise KernelFailedError(f"the device failed ({error})") from error


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
