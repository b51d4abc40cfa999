"""Magics in real kernels: what they find, what they show, and what is left in an exported notebook."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import nbformat
import polars as pl
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from schemas import CLICKS

from workbench.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = CLICKS.replace("Europe/Berlin", "UTC")
SECONDS = 120
QUIET = ["--log-level=ERROR"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("magics")
    (root / "schema.yaml").write_text(SCHEMA)
    engine = Engine.create(root / "shop", schema=root / "schema.yaml")
    pages = ["/home", "/shop", "/home", "<b>bold</b>"]
    times = [datetime(2025, 6, 12, 10, minute, tzinfo=UTC) for minute in range(len(pages))]
    frame = pl.DataFrame({"time": times, "user": ["anna", "boris", "anna", "anna"], "page": pages})
    engine.ingest(frame, type="click")
    return engine.path


def run(*cells: str) -> Any:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", extra_arguments=QUIET).execute()
    return notebook


def texts(cell: Any) -> list[str]:
    return [o.text if o.output_type == "stream" else o.data.get("text/plain", "") for o in cell.outputs]


def test_a_notebook_opens_asks_and_queries(workspace: Path) -> None:
    notebook = run(
        "%load_ext workbench",
        "%wb",
        f"%wb open {workspace}",
        "%wb catalog",
        "%wb status",
        "%%ask -o answer\nclicks per page",
        "sorted(answer.to_polars().rows())",
        "%%ask --plan-only -o planned\nclicks per page",
        "planned['status'], planned['findings'], len(planned['plan']['steps']) > 0",
        "%%wbsql -o result\nselect page, count(*) as n from click group by all order by n desc limit 1",
        "result.rows",
        "%wb list",
        "%wb show catalog",
        "%ask what is the colour of money",
    )
    _, usage, opened, catalog, status, asked, rows, plan, planned, sql, result, listed, view, declined = (
        texts(cell) for cell in notebook.cells
    )
    assert "%wb open PATH" in usage[0]
    assert opened == catalog
    assert '"documents": 4' in status[0]
    head, answer = asked
    assert head.startswith("Answered by the planner grammar")
    assert "/home" in answer
    assert eval(rows[0]) == [("/home", 2), ("/shop", 1), ("<b>bold</b>", 1)]  # noqa: S307  (this test's own cells)
    assert '"status": "planned"' in plan[0]
    assert planned == ["('planned', [], True)"]
    assert "/home" in sql[0]
    assert result == ["[('/home', 2)]"]
    assert listed == [f"db: {workspace}"]
    assert any("catalog" in text for text in view)
    assert declined[0] in {"declined", "ask back"}


def test_an_exported_notebook_shows_the_answer_without_a_kernel(workspace: Path) -> None:
    notebook = run("%load_ext workbench", f"%wb open {workspace}", "%%ask\nclicks per page")
    bundle = notebook.cells[2].outputs[1].data["text/html"]
    assert "<svg" in bundle
    assert "&lt;b&gt;bold&lt;/b&gt;" in bundle
    assert "<b>bold</b>" not in bundle
    page, _ = HTMLExporter(mathjax_url="", require_js_url="").from_notebook_node(notebook)
    assert "number by page" in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert page.count("<svg") >= bundle.count("<svg")
    assert "Planning …" not in page


def failure(*cells: str) -> str:
    with pytest.raises(CellExecutionError) as caught:
        run("%load_ext workbench", *cells)
    return str(caught.value.evalue)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%ask\nclicks per page", "no workspace is open"),
        ("%%wbsql\nselect 1", "no workspace is open"),
        ("%wb opne x", "'open'"),
        ("%wb open", "what is to be opened"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(cell: str, said: str) -> None:
    assert said in failure(cell)


def test_of_several_workspaces_one_must_be_named(workspace: Path) -> None:
    both = (f"%wb open {workspace} a", f"%wb open {workspace} b")
    assert "a, b" in failure(*both, "%%wbsql\nselect 1")
    assert "no open workspace 'c'" in failure(*both, "%%wbsql --db c\nselect 1")
    notebook = run("%load_ext workbench", *both, "%%wbsql --db b\nselect 1 as one", "c = a\n%wb list")
    assert "one" in texts(notebook.cells[3])[0]
    (listed,) = texts(notebook.cells[4])
    assert [line.partition(":")[0] for line in listed.splitlines()] == ["a", "b"]


class Kernel:
    """A kernel that cells are sent to and that can be interrupted."""

    def __init__(self) -> None:
        self.manager, self.client = start_new_kernel(kernel_name="python3", extra_arguments=QUIET)

    def run(self, source: str, interrupt_at: str = "") -> tuple[str, list[Any]]:
        """Run a cell; interrupt it once an output says ``interrupt_at``. Returns its status and outputs."""
        outputs: list[Any] = []

        def hook(message: Any) -> None:
            if message["msg_type"] in {"display_data", "update_display_data", "execute_result", "stream"}:
                outputs.append(message["content"])
            if interrupt_at and interrupt_at in str(message["content"]):
                self.manager.interrupt_kernel()

        reply = self.client.execute_interactive(source, output_hook=hook, timeout=SECONDS)
        return reply["content"]["status"], outputs

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    yield kernel
    kernel.close()


def test_an_interrupted_question_says_so_and_leaves_the_engine_usable(
    workspace: Path, kernel: Kernel
) -> None:
    slow = f"""
import time, workbench
from workbench.progress import Update
class Slow(workbench.Engine):
    def ask(self, question, **options):
        if question == "slowly":
            options["progress"](Update("thinking", 1, 2, "steps"))
            time.sleep({SECONDS})
        return super().ask(question, **options)
db = Slow({str(workspace)!r})
"""
    kernel.run("%load_ext workbench")
    kernel.run(slow)
    began = time.monotonic()
    status, outputs = kernel.run("%%ask\nslowly", interrupt_at="thinking: 1 of 2 steps")
    assert status == "error"
    assert time.monotonic() - began < SECONDS / 2
    assert outputs[-1]["data"]["text/plain"] == "Stopped: nothing was changed."
    status, outputs = kernel.run("%%ask\nclicks per page")
    assert status == "ok"
    assert "/home" in outputs[-1]["data"]["text/plain"]


def test_an_interrupted_statement_leaves_the_engine_usable(workspace: Path, kernel: Kernel) -> None:
    kernel.run("%load_ext workbench")
    kernel.run(f"%wb open {workspace}")
    kernel.run("%%wbsql\nselect 1")
    long = "select sum(a.range * b.range % 7) from range(1000000) a, range(1000000) b"
    begin = "import threading, _thread\nthreading.Timer(2, _thread.interrupt_main).start()"
    kernel.run(begin)
    status, _ = kernel.run(f"%%wbsql\n{long}")
    assert status == "error"
    status, outputs = kernel.run("%%wbsql\nselect count(*) as n from click")
    assert status == "ok"
    assert "4" in outputs[-1]["data"]["text/plain"]
