"""The CPU kernels against hand-computed figures and networkx; how a backend is chosen."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any

import networkit
import networkx as nx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.compute import Backend, EdgeList, backends, choose, run
from workbench.errors import (
    DriverError,
    DriverUnavailableError,
    KernelFailedError,
    UnknownNameError,
    UsageError,
)
from workbench.registry import Registry
from workbench.testing.backends import edge_list, graphs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CPU = backends.create("cpu")
PATH_OF_3 = edge_list([0, 1], [1, 2], [1, 1], nodes=3)


@st.composite
def weighted_graphs(draw: st.DrawFn) -> EdgeList:
    nodes = draw(st.integers(1, 30))
    ends = st.integers(0, nodes - 1)
    rows = draw(st.lists(st.tuples(ends, ends, st.floats(0.01, 100)), max_size=80))
    source, target, weight = zip(*rows, strict=True) if rows else ((), (), ())
    return edge_list(source, target, weight, nodes)


def dense(edges: EdgeList) -> np.ndarray:
    """Return the adjacency matrix that the edge list means."""
    matrix = np.zeros((edges.nodes, edges.nodes))
    source, target, weight = (column.to_numpy() for column in edges.table.columns)
    np.add.at(matrix, (source, target), weight)
    np.fill_diagonal(matrix, 0)
    return matrix + matrix.T


# ------------------------------------------------------------------------------------------ PageRank


def test_pagerank_of_a_path_is_the_hand_computed_one() -> None:
    # The middle has 0.05 and 0.85 of both ends, an end 0.05 and 0.85 of half the middle.
    middle = 0.135 / 0.2775
    table, _ = CPU.pagerank(PATH_OF_3)
    assert table["rank"].to_pylist() == pytest.approx([(1 - middle) / 2, middle, (1 - middle) / 2], abs=1e-7)


def test_an_isolated_node_has_the_teleport_share() -> None:
    # With isolated rank x: x = 0.15 / 3 + 0.85 * x / 3, and the pair shares the rest.
    isolated = 0.05 / (1 - 0.85 / 3)
    ranks = CPU.pagerank(edge_list([0], [1], [7], nodes=3))[0]["rank"].to_pylist()
    assert ranks == pytest.approx([(1 - isolated) / 2, (1 - isolated) / 2, isolated], abs=1e-9)


@given(weighted_graphs(), st.floats(0.05, 0.95))
def test_pagerank_solves_its_linear_system(edges: EdgeList, damping: float) -> None:
    ranks = CPU.pagerank(edges, damping=damping, tolerance=1e-12, max_iterations=500)[0]["rank"].to_numpy()
    matrix = dense(edges)
    strength = matrix.sum(axis=0)
    walk = np.where(strength > 0, matrix / np.where(strength > 0, strength, 1), 1 / edges.nodes)
    exact = np.linalg.solve(
        np.eye(edges.nodes) - damping * walk, np.full(edges.nodes, (1 - damping) / edges.nodes)
    )
    np.testing.assert_allclose(ranks, exact, rtol=1e-8)


def test_pagerank_equals_networkx_to_a_millionth() -> None:
    draw = np.random.default_rng(3)
    ends = np.unique((2_000 * draw.random((2, 9_000)) ** 2).astype(np.int32), axis=1)
    edges = edge_list(*ends, draw.integers(1, 9, ends.shape[1]), nodes=2_010)
    table, metrics = CPU.pagerank(edges, tolerance=1e-9)
    expected = nx.pagerank(nx.from_numpy_array(dense(edges)), tol=1e-15, max_iter=1_000)
    np.testing.assert_allclose(table["rank"].to_numpy(), list(expected.values()), rtol=1e-6)
    assert metrics["converged"] == 1


def test_pagerank_of_a_bipartite_graph_converges_within_the_default_iterations() -> None:
    draw = np.random.default_rng(4)
    source, target = draw.integers(0, 400, 1_500), draw.integers(400, 500, 1_500)
    metrics = CPU.pagerank(edge_list(source, target, np.ones(1_500), nodes=500))[1]
    assert metrics["converged"] == 1
    assert metrics["iterations"] <= 50
    assert metrics["residual"] <= 1e-6


def test_pagerank_says_when_it_has_not_converged() -> None:
    table, metrics = CPU.pagerank(graphs()["skewed"], max_iterations=2)
    assert metrics["converged"] == 0
    assert metrics["residual"] > 1e-6
    assert table["rank"].to_numpy().sum() == pytest.approx(1)


# ------------------------------------------------------------------------- components and communities


@given(weighted_graphs())
def test_components_are_exact(edges: EdgeList) -> None:
    groups = nx.connected_components(nx.from_numpy_array(dense(edges)))
    expected = {node: min(group) for group in groups for node in group}
    assert CPU.components(edges)[0]["component"].to_pylist() == [expected[n] for n in range(edges.nodes)]


@given(weighted_graphs(), st.integers(0, 3), st.floats(0.2, 4))
def test_communities_are_connected_and_named_by_their_smallest_member(
    edges: EdgeList, seed: int, resolution: float
) -> None:
    labels = CPU.communities(edges, seed=seed, resolution=resolution)[0]["community"].to_numpy()
    inside = dense(edges) * (labels[:, None] == labels)
    groups = nx.connected_components(nx.from_numpy_array(inside))
    expected = {node: min(group) for group in groups for node in group}
    assert labels.tolist() == [expected[n] for n in range(edges.nodes)]


def test_two_triangles_on_a_bridge_are_two_communities() -> None:
    edges = edge_list([0, 1, 2, 3, 4, 5, 2], [1, 2, 0, 4, 5, 3, 3], np.ones(7), nodes=6)
    table, metrics = CPU.communities(edges)
    assert table["community"].to_pylist() == [0, 0, 0, 3, 3, 3]
    # Each triangle has 3 of 7 edges and half of the ends.
    assert metrics == {"modularity": pytest.approx(6 / 7 - 0.5), "communities": 2}


def test_communities_do_not_depend_on_the_thread_that_asks() -> None:
    expected = CPU.communities(graphs()["skewed"], seed=9)[0]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: CPU.communities(graphs()["skewed"], seed=9)[0], range(8)))
    assert all(result.equals(expected) for result in results)


def test_networkit_keeps_the_threads_of_the_process() -> None:
    before = networkit.getMaxNumberOfThreads()
    networkit.setNumberOfThreads(3)
    try:
        CPU.communities(PATH_OF_3)
        assert networkit.getMaxNumberOfThreads() == 3
    finally:
        networkit.setNumberOfThreads(before)


def test_leiden_lets_other_threads_run() -> None:
    draw = np.random.default_rng(0)
    edges = edge_list(*draw.integers(0, 20_000, (2, 120_000)), np.ones(120_000), nodes=20_000)
    done = threading.Event()
    ticks = count()
    ticker = threading.Thread(target=lambda: [next(ticks) for _ in iter(lambda: done.wait(0.001), True)])
    ticker.start()
    seconds = run(backends, "cpu", "communities", edges).seconds
    done.set()
    ticker.join()
    # A kernel that held the interpreter would allow a tick every few hundred milliseconds.
    assert next(ticks) > 50 * seconds


# ---------------------------------------------------------------------------------- options and input


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        ("pagerank", {"damping": 1.0}),
        ("pagerank", {"damping": -0.1}),
        ("pagerank", {"max_iterations": 0}),
        ("pagerank", {"tolerance": 0.0}),
        ("communities", {"resolution": 0.0}),
        ("communities", {"seed": -1}),
    ],
)
def test_an_option_out_of_range_is_refused(kernel: Any, options: dict[str, float]) -> None:
    (name,) = options
    with pytest.raises(UsageError, match=f"{name} is .*, must be"):
        run(backends, "cpu", kernel, PATH_OF_3, **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: edge_list([0], [3], [1], nodes=3), r"'target' has nodes 3 to 3, outside \[0, 3\)"),
        (lambda: edge_list([-1], [0], [1], nodes=3), "'source' has nodes -1"),
        (lambda: edge_list([0], [1], [0], nodes=3), "weight must be finite and above 0"),
        (lambda: edge_list([0], [1], [np.nan], nodes=3), "weight must be finite and above 0"),
        (lambda: edge_list([], [], [], nodes=-1), "-1 nodes"),
        (lambda: EdgeList(PATH_OF_3.table.drop_columns("weight"), 3), "needs a column 'weight'"),
        (lambda: EdgeList(pa.table({"source": [0], "target": [1], "weight": [1.0]}), 3), "is int64"),
        (
            lambda: EdgeList(PATH_OF_3.table.set_column(2, "weight", pa.array([1.0, None], pa.float64())), 3),
            "with 1 nulls",
        ),
    ],
    ids=["target", "source", "zero", "nan", "nodes", "column", "type", "null"],
)
def test_a_malformed_edge_list_is_refused(make: Callable[[], EdgeList], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


# ------------------------------------------------------------------------------------------ selection

DRIVER = """
from workbench.errors import KernelFailedError
from workbench.compute.cpu import CpuBackend

class {name}(CpuBackend):
    requires = ({requires})
    preference = {preference}
    gaps = {gaps}

    def solve_components(self, graph):
        {body}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Registry[Backend]]:
    """Return a function that writes driver files into a package of their own and gives its registry."""

    def make(**drivers: dict[str, Any]) -> Registry[Backend]:
        folder = tmp_path / f"drivers_of_{tmp_path.name}"
        folder.mkdir()
        (folder / "__init__.py").touch()
        for stem, words in drivers.items():
            filled = {
                "requires": "",
                "preference": 0,
                "gaps": {},
                "body": "return super().solve_components(graph)",
            }
            (folder / f"{stem}.py").write_text(DRIVER.format(name=stem.title(), **filled | words))
        monkeypatch.syspath_prepend(str(tmp_path))
        return Registry("compute backend", folder.name, Backend)

    return make


FAILS = "raise KernelFailedError('out of device memory')"


def test_a_driver_file_is_picked_up_by_preference(package: Callable[..., Registry[Backend]]) -> None:
    registry = package(slow={"preference": 1}, fast={"preference": 2})
    result = run(registry, "auto", "components", PATH_OF_3)
    assert (result.device, result.reason) == ("fast", "")
    assert result.table["component"].to_pylist() == [0, 0, 0]
    assert result.metrics == {"components": 1, "largest": 3}
    assert set(result.versions) - {"faiss-cpu", "umap-learn"} == {"numpy", "pyarrow"}  # these if installed
    assert result.seconds > 0


def test_memory_is_by_how_much_the_peak_of_the_process_grew() -> None:
    code = (
        "import numpy as np; from workbench.compute import Growth\n"
        "with Growth() as first: np.ones(40_000_000)\n"
        "with Growth() as second: np.ones(1_000_000)\n"
        "print(first.bytes, second.bytes)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    first, second = map(int, printed.split())
    assert 300e6 < first < 400e6
    assert second < 8e6  # within what the first took


def test_auto_falls_back_and_says_why(package: Callable[..., Registry[Backend]]) -> None:
    registry = package(
        cpu={},
        broken={"preference": 3, "body": FAILS},
        absent={"preference": 2, "requires": "'no_such_library',"},
        partial={"preference": 1, "gaps": {"components": "the library has none"}},
    )
    result = run(registry, "auto", "components", PATH_OF_3)
    assert result.device == "cpu"
    assert result.reason == (
        "broken: out of device memory; absent: needs no_such_library, not installed; "
        "partial: the library has none"
    )
    assert choose(registry, "auto", "components") == ("broken", "")
    assert choose(registry, "auto", "pagerank") == ("broken", "")


def test_a_device_by_name_never_falls_back(package: Callable[..., Registry[Backend]]) -> None:
    registry = package(cpu={}, broken={"body": FAILS}, partial={"gaps": {"components": "there is none"}})
    for device, reason in {"broken": "out of device memory", "partial": "there is none"}.items():
        with pytest.raises(DriverUnavailableError, match=f"'{device}' cannot run components: {reason}"):
            run(registry, device, "components", PATH_OF_3)
    with pytest.raises(DriverUnavailableError, match="there is none"):
        choose(registry, "partial", "components")


def test_no_backend_at_all_is_an_error_with_every_reason(package: Callable[..., Registry[Backend]]) -> None:
    registry = package(one={"body": FAILS}, two={"requires": "'no_such_library',"})
    with pytest.raises(DriverUnavailableError, match="one: out of device memory; two: needs no_such_library"):
        run(registry, "auto", "components", PATH_OF_3)


def test_a_fall_back_is_logged_once(
    package: Callable[..., Registry[Backend]], caplog: pytest.LogCaptureFixture
) -> None:
    registry = package(cpu={}, flaky={"preference": 1, "body": FAILS.replace("memory", "memory here")})
    with caplog.at_level("INFO", logger="workbench.compute"):
        for _ in range(3):
            run(registry, "auto", "components", PATH_OF_3)
    (line,) = caplog.records
    facts = (line.kernel, line.backend, line.reason)
    assert facts == ("components", "flaky", "out of device memory here")


def test_unknown_names_are_suggested() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'cpu'"):
        run(backends, "cpuu", "components", PATH_OF_3)
    with pytest.raises(UnknownNameError, match="Did you mean 'pagerank'"):
        run(backends, "cpu", "page_rank", PATH_OF_3)  # type: ignore[arg-type]


def test_a_kernel_failure_is_a_driver_error() -> None:
    assert issubclass(KernelFailedError, DriverError)


def test_listing_backends_imports_no_library() -> None:
    code = (
        "import sys; from workbench.compute import backends, choose\n"
        "print([i.name for i in backends.describe()], backends.load('gpu').requires)\n"
        "heavy = {'cudf', 'cugraph', 'cupy', 'cuda', 'scipy', 'networkit', 'networkx', 'igraph', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "['cpu', 'gpu'] ('cudf', 'cugraph', 'cuml', 'rmm', 'cuda')\n"


@pytest.mark.skipif(backends.load("gpu").can_run() is True, reason="this machine has a GPU")
def test_without_a_gpu_its_reason_is_in_the_result_and_in_the_error() -> None:
    reason = backends.load("gpu").can_run()
    assert reason is not True
    assert run(backends, "auto", "pagerank", PATH_OF_3).reason == f"gpu: {reason}"
    with pytest.raises(DriverUnavailableError, match="device 'gpu' cannot run pagerank: needs cudf"):
        run(backends, "gpu", "pagerank", PATH_OF_3)
