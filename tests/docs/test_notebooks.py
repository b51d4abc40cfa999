"""The shipped notebooks run from top to bottom and show what is stored in them."""

from __future__ import annotations

import os
import re
import runpy
from pathlib import Path
from typing import Any

import nbformat
import polars as pl
import pytest
from nbclient import NotebookClient

from workbench.engine import Engine
from workbench.opening import DEMO_TASKS

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TOUR = ROOT / "notebooks" / "00_tour.ipynb"
MOST_BYTES = 200_000
FLOAT = re.compile(r"\d+\.\d{3,}")
# How long something took, and the name of a run: other ones every time.
PASSING = re.compile(r"\d+\.\d+ s\b|(?<=-)\d{8}T\d{6}-[0-9a-f]{8}|generation \d+")


def slimmed(notebook: Any) -> Any:
    """Return the notebook without what only a live page needs, as it is stored."""
    return runpy.run_path(str(ROOT / ".ci" / "notebooks.py"))["slim"](notebook)


def outputs(notebook: Any) -> list[list[str]]:
    """Return the text of each code cell's outputs, floats to four digits: the last are the processor's."""
    return [
        [
            PASSING.sub(
                "…",
                FLOAT.sub(
                    lambda match: f"{float(match[0]):.4g}", output.get("text") or output["data"]["text/plain"]
                ),
            )
            for output in cell.outputs
        ]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_shows_what_its_cells_give(
    path: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(workplace / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    stored = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(workplace)}}).execute()
    assert outputs(slimmed(fresh)) == outputs(stored)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_stored_executed_small_and_clean(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert path.stat().st_size < MOST_BYTES
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/(home|root|tmp|Users|var)/", text)
    assert os.uname().nodename not in text
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)


@pytest.fixture
def tenth(demo: Path, workplace: Path) -> Path:
    """Return a workspace of every tenth row of the demo's sources, computed like the demo's."""
    sources = demo / "flights-logs"
    for path in sources.rglob("*.parquet"):
        copy = workplace / "tenth-logs" / path.relative_to(sources)
        copy.parent.mkdir(parents=True, exist_ok=True)
        frame = pl.read_parquet(path)
        (frame if path.parent.name == "reference" else frame.gather_every(10)).write_parquet(copy)
    workspace = workplace / "tenth"
    with Engine.create(workspace, schema="flights") as engine:
        engine.ingest(workplace / "tenth-logs")
        for task in DEMO_TASKS:
            engine.compute(task)
    return workspace


def test_the_tour_tells_another_story_of_a_tenth_of_the_data(
    tenth: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(workplace / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    stored = nbformat.read(TOUR, as_version=4)
    fresh = nbformat.read(TOUR, as_version=4)
    (opening,) = [cell for cell in fresh.cells if "wb.demo()" in cell.source]
    opening.source = opening.source.replace("wb.demo()", f"wb.open({tenth.name!r})")
    NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(workplace)}}).execute()

    pairs = list(zip(outputs(slimmed(fresh)), outputs(stored), strict=True))
    figures = [(here, there) for here, there in pairs if re.search(r"\d", "".join(there))]
    told = [(here, there) for here, there in figures if not there[0].startswith(("db.view(", "PosixPath("))]
    same = [here for here, there in told if here == there]
    assert len(told) > 12
    assert not same, same
