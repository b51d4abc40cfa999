"""Every call of RAPIDS fits the libraries' recorded signatures; no GPU, nothing imported."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path

import pytest
from gpu_calls import CHECKED, LIBRARIES, PACKAGE, Use, library_uses, unknown_objects
from wheel_signatures import misfit, parse, read_name

from workbench.compute import backends

HERE = Path(__file__).parent
RECORD = json.loads((HERE / "signatures-26.10.json").read_text())
SIGNATURES: dict[str, str | None] = RECORD["signatures"]
USES = [(file.name, use) for file in CHECKED for use in library_uses(file.read_text())]
CALLS = [(file, use) for file, use in USES if use.call is not None]


@pytest.mark.parametrize(("file", "use"), CALLS, ids=[f"{file}-{use.line}-{use.name}" for file, use in CALLS])
def test_call_fits_the_recorded_signature(file: str, use: Use) -> None:
    signature = SIGNATURES.get(use.name)
    assert signature, f"{file}:{use.line}: {use.name} has no recorded signature"
    assert misfit(signature, use.call) == ""


def test_the_checked_files_are_those_of_the_backend() -> None:
    classes = [c for c in backends.load("gpu").__mro__ if c.__module__.startswith("workbench.compute")]
    files = {Path(inspect.getfile(c)).name for c in classes}
    assert {"gpu.py", "_gpu_points.py", "_gpu_rows.py"} <= files & {file.name for file in CHECKED}


def test_every_file_that_imports_a_library_is_checked() -> None:
    importing = re.compile(rf"^\s*(?:import|from) (?:{'|'.join(LIBRARIES)})\b", re.MULTILINE)
    files = [file for file in PACKAGE.rglob("*.py") if importing.search(file.read_text())]
    assert set(files) == set(CHECKED)


@pytest.mark.parametrize("file", CHECKED, ids=[file.name for file in CHECKED])
def test_no_object_of_a_library_is_called_unchecked(file: Path) -> None:
    assert unknown_objects(file.read_text()) == []


def test_an_object_of_unknown_class_is_found() -> None:
    source = (
        "def f(t):\n    import cudf\n    a = cudf.DataFrame(t)\n    b: cudf.Series = a.max()\n    b.sum()\n"
    )
    assert unknown_objects(source) == ["4: a.max"]


def test_record_holds_exactly_the_names_in_use() -> None:
    assert set(SIGNATURES) == {use.name for _, use in USES}


def test_every_kernel_calls_its_algorithm() -> None:
    graph = ("pagerank", "leiden", "louvain", "weakly_connected_components", "core_number", "bfs", "sssp")
    points = ("cluster.KMeans", "cluster.DBSCAN", "cluster.HDBSCAN", "decomposition.PCA")
    more = ("ensemble.IsolationForest", "manifold.UMAP", "neighbors.NearestNeighbors")
    wanted = {*(f"cugraph.{name}" for name in graph), *(f"cuml.{name}" for name in (*points, *more))}
    wanted |= {f"cudf.DataFrame.{name}" for name in ("from_arrow", "groupby", "to_arrow")}
    assert wanted <= {use.name for _, use in CALLS}


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("cugraph.pagerank(g, alpha=0.85, tol=1e-6)", ""),
        ("cugraph.pagerank(g, damping=0.85)", "unexpected keyword argument 'damping'"),
        ("cugraph.pagerank()", "missing a required argument: 'G'"),
        ("cugraph.leiden(g, 100, 1.0, 7, 1.0, 2)", "too many positional arguments"),
        ("cugraph.leiden(g, G=g)", "multiple values for argument 'G'"),
        ("cugraph.leiden(*arguments)", "cannot be checked"),
        ("cuml.manifold.UMAP(n_neighbours=15)", "unexpected keyword argument 'n_neighbours'"),
        ("cudf.DataFrame.from_arrow(g, columns=['a'])", "unexpected keyword argument 'columns'"),
        ("cudf.core.groupby.DataFrameGroupBy.agg({'a': 'sum'})", ""),
        ("cudf.core.groupby.DataFrameGroupBy.agg(a=('a', 'sum'))", "'a' is taken by **kwargs alone"),
        ("cudf.core.groupby.DataFrameGroupBy.agg('sum', 1)", "1 arguments are taken by *args alone"),
    ],
)
def test_a_wrong_call_is_found(call: str, reason: str) -> None:
    (use,) = library_uses(f"import cudf, cugraph, cuml\ndef f(g, arguments):\n    return {call}\n")
    found = misfit(SIGNATURES[use.name], use.call)
    assert reason in found
    assert bool(found) == bool(reason)


def test_variables_have_the_class_of_their_annotation() -> None:
    source = "import cudf\ndef f(a: cudf.DataFrame):\n    b: cudf.Series = a.groupby('x')\n    b.sum()\n"
    assert [use.name for use in library_uses(source)] == ["cudf.DataFrame.groupby", "cudf.Series.sum"]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    package = tmp_path / "lib"
    (package / "algo").mkdir(parents=True)
    (package / "__init__.py").write_text("from lib.algo import rank, Frame\n__version__ = '1'\n")
    (package / "algo" / "__init__.py").write_text(
        "from lib.algo.rank import rank\nfrom .frame import Frame\n"
    )
    (package / "algo" / "rank.py").write_text("def rank(G: int, /, alpha=0.85, *, tol: float = 1e-5): ...\n")
    (package / "algo" / "frame.py").write_text(
        "class Base:\n    def __init__(self, data=None): ...\n    def head(self, n=5): ...\n"
        "class Frame(Base):\n    @classmethod\n    def of(cls, table): ...\n"
    )
    (package / "fast.pyx").write_text(
        "from lib.base cimport handle\n\ncdef extern from 'x':\n    cdef void fit(int *rows)\n\n"
        "cdef class Raw:\n    def __init__(self, Other upstream, size=None):\n        pass\n\n"
        "class Model(Raw):\n    labels_ = Reflected()\n\n    def __init__(\n        self,\n        *,\n"
        "        eps=1 << 3,  # a comment\n    ):\n        cdef int n = 0\n\n"
        "    @wrapped(to='x')\n    def fit(self, X, y=None) -> 'Model':\n        n = <int>y\n"
    )
    return tmp_path


def test_signatures_are_read_from_cython(site: Path) -> None:
    assert read_name(site, "lib.fast.Model") == "(*, eps=1 << 3)"
    assert read_name(site, "lib.fast.Model.fit") == "(X, y=None)"
    assert read_name(site, "lib.fast.Model.labels_") is None
    with pytest.raises(LookupError):
        read_name(site, "lib.fast.Model.centres_")


def test_signatures_are_read_through_re_exports_and_bases(site: Path) -> None:
    assert read_name(site, "lib.rank") == "(G, /, alpha=0.85, *, tol=1e-05)"
    assert read_name(site, "lib.algo.rank") == "(G, /, alpha=0.85, *, tol=1e-05)"
    assert read_name(site, "lib.Frame") == "(data=None)"
    assert read_name(site, "lib.Frame.of") == "(table)"
    assert read_name(site, "lib.Frame.head") == "(n=5)"
    assert read_name(site, "lib.__version__") is None


@pytest.mark.parametrize("name", ["lib.rang", "lib.Frame.tail", "other.rank"])
def test_a_name_that_the_wheels_lack_is_an_error(site: Path, name: str) -> None:
    with pytest.raises(LookupError):
        read_name(site, name)


def test_parsed_signature_binds_as_python_does() -> None:
    def function(a: int, b: int = 1, *rest: int, c: int, d: int = 2, **more: int) -> tuple[object, ...]:
        return a, b, rest, c, d, more

    assert [(p.name, p.kind) for p in parse("(a, b=1, *rest, c, d=2, **more)").parameters.values()] == [
        (p.name, p.kind) for p in inspect.signature(function).parameters.values()
    ]
    call = ast.parse("function(1, 2, 3)", mode="eval").body
    assert "missing a required" in misfit("(a, b=1, *rest, c, d=2, **more)", call)
