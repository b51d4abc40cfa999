"""Reports: what they show of which part, that nothing gets out of a value, and templates run as notebooks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import polars as pl
import pytest
from schemas import CLICKS
from typer.testing import CliRunner

from workbench.cli.app import app
from workbench.engine import Engine
from workbench.errors import ReportFailedError, SourceError, UnknownNameError, UsageError
from workbench.reports.template import run_template

if TYPE_CHECKING:
    from collections.abc import Mapping

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
COUNT = {
    "question": f"clicks per page {HOSTILE}",
    "steps": [
        {"op": "scan", "id": "clicks", "types": ["click"]},
        {
            "op": "aggregate",
            "id": "pages",
            "source": "clicks",
            "by": [{"field": "page"}],
            "measures": [{"name": "n"}],
        },
    ],
    "renders": [{"kind": "bar", "source": "pages", "x": "page", "y": ["n"]}],
}


def clicks(*pages: str, hour: int = 10) -> pl.DataFrame:
    times = [datetime(2025, 6, 12, hour, minute, tzinfo=UTC) for minute in range(len(pages))]
    return pl.DataFrame({"time": times, "user": ["anna"] * len(pages), "page": list(pages)})


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    (tmp_path / "schema.yaml").write_text(CLICKS)
    engine = Engine.create(tmp_path / "shop", schema=tmp_path / "schema.yaml")
    engine.ingest(clicks("/home", HOSTILE, "/shop", "/home"), type="click")
    return engine


def elements(html: str) -> str:
    """Return what a browser takes for markup: the page without the text inside its scripts."""
    return re.sub(r"(<script\b[^>]*>).*?(</script>)", r"\1\2", html, flags=re.DOTALL)


# parts


def test_every_kind_of_part_is_shown(engine: Engine) -> None:
    import holoviews as hv

    parts = [
        "# Heading\n\n*Some* text",
        engine.execute(COUNT),
        engine.sql("select page from click order by page"),
        engine.graph.around("user:anna"),
        engine.view("catalog"),
        hv.Curve([1, 2, 3], label="a curve"),
        pl.DataFrame({"column of a frame": [1]}),
    ]
    report = engine.report("All kinds", parts, parameters={"month": 3})
    html = elements(report.to_html())
    assert "<em>Some</em> text" in html
    assert html.count('class="wb-figure"') == 2
    assert html.count('class="wb-drawing"') == 1
    for text in ("<td>/home</td>", "Neighbourhood of user:anna", "Catalog", "column of a frame", "month = 3"):
        assert text in html
    headings = re.findall(r'<li class="level\d"><a href="#(s\d+)">([^<]*)', html)
    assert ("s1", "Heading") in headings
    assert all(f'id="{name}"' in html for name, _ in headings)


def test_no_value_becomes_markup_anywhere(engine: Engine) -> None:
    hostile = pl.DataFrame({HOSTILE: [HOSTILE]})
    parts = [
        HOSTILE,
        engine.execute(COUNT),
        engine.graph.around("user:anna"),
        hostile,
        engine.view("catalog"),
    ]
    html = engine.report(HOSTILE, parts, parameters={"value": HOSTILE}).to_html()
    markup = elements(html)
    assert "alert(1)" in markup
    assert "onerror=alert(2)>" not in markup
    assert not re.search(r"<(script|img)\b[^>]*>\s*alert|<img", markup)
    # every script of the page is one that the report writes
    assert len(re.findall(r"<script\b", markup)) == len(re.findall(r"</script>", markup))
    assert not re.search(r"<script>\s*alert", html)


def test_a_page_refers_to_nothing_outside_and_forbids_it(engine: Engine) -> None:
    text = (
        "[a link](https://example.org) ![image](https://example.org/x.png) <img src='https://example.org/y'>"
    )
    html = engine.report("Offline", [text, engine.execute(COUNT), engine.graph.around("user:anna")]).to_html()
    markup = elements(html)
    assert "default-src &#x27;none&#x27;" in markup
    assert "connect-src &#x27;none&#x27;" in markup
    assert not re.search(r"""<(?:script|img|link|iframe)\b[^>]*(?:src|href)=""", markup)


def test_how_many_rows_are_left_out_is_said(engine: Engine) -> None:
    html = engine.report("Many", [engine.sql("select range as n from range(501)")]).to_html()
    assert "501 rows, the first 500 shown" in html
    assert html.count("<tr>") == 501


def test_what_cannot_be_shown_is_named(engine: Engine) -> None:
    import holoviews as hv

    with pytest.raises(UsageError, match="object"):
        engine.report("x", [object()]).to_html()
    with pytest.raises(UsageError, match="HoloMap"):
        engine.report("x", [hv.HoloMap({1: hv.Curve([1]), 2: hv.Curve([2])})]).to_html()
    with pytest.raises(UsageError, match="cannot be written"):
        engine.report("x", []).save("/nowhere/x.html")


def manifest_in(html: str) -> dict[str, Any]:
    found = re.search(r'id="wb-manifest">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    manifest: dict[str, Any] = json.loads(found[1])
    return manifest


def test_the_manifest_tells_what_it_was_made_from(engine: Engine, tmp_path: Path) -> None:
    answer = engine.execute(COUNT)
    path = engine.report("Made from", [answer], parameters={"day": datetime(2025, 6, 1, tzinfo=UTC)}).save(
        tmp_path / "r.html"
    )
    manifest = manifest_in(path.read_text())
    assert manifest["generation"] == engine.snapshot.generation
    assert manifest["workspace"] == "shop"
    assert manifest["parameters"] == {"day": "2025-06-01T02:00:00+02:00"}
    assert manifest["created"].endswith(("+01:00", "+02:00"))
    (part,) = manifest["parts"]
    assert part["plan"]["steps"][1]["id"] == "pages"
    assert part["lineage"]["pages"]["segments"] == {"first": "2025-06-12", "last": "2025-06-12", "count": 1}


def test_the_fingerprint_is_of_the_documents(engine: Engine, tmp_path: Path) -> None:
    def fingerprint(of: Engine) -> str:
        found: str = of.report("x", []).manifest["fingerprint"]
        return found

    before = fingerprint(engine)
    engine.compute("pagerank")
    assert fingerprint(engine) == before
    engine.ingest(clicks("/new", hour=12), type="click")
    assert fingerprint(engine) != before


# templates


def notebook(path: Path, *cells: str, parameters: str | None = "workspace = ''\nlimit = 2") -> Path:
    made = nbformat.v4.new_notebook()
    if parameters is not None:
        made.cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    for source in cells:
        kind = nbformat.v4.new_markdown_cell if source.startswith("# ") else nbformat.v4.new_code_cell
        made.cells.append(kind(source))
    nbformat.write(made, path)
    return path


OPEN = "import workbench as wb\ndb = wb.open(workspace)"


def test_a_template_becomes_a_page_with_its_parameters(engine: Engine, tmp_path: Path) -> None:
    template = notebook(
        tmp_path / "t.ipynb",
        "# Pages\nof *the* shop",
        OPEN,
        'db.sql(f"select page, count(*) as n from click group by all order by n desc, page limit {limit}")',
        f"db.execute({COUNT!r})",
        "print(type(limit), limit)",
    )
    made = run_template(template, engine, {"limit": "1"})
    html = elements(made.html)
    assert "<title>Pages</title>" in html
    assert "of <em>the</em> shop" in html
    assert "<td>/home</td>" in html
    assert "<td>/shop</td>" in html  # of the answer, which has all pages
    assert "&lt;class &#x27;int&#x27;&gt; 1" in html
    assert html.count('class="wb-figure"') == 1
    assert "<summary>Code</summary>" not in html
    assert "workbench-report-" not in made.html
    assert made.manifest["parameters"] == {"limit": 1}
    assert made.manifest["template"] == "t.ipynb"
    assert [set(part) >= {"rows"} or set(part) >= {"plan"} for part in made.manifest["parts"]] == [True, True]
    assert manifest_in(made.html) == made.manifest
    assert "<summary>Code</summary>" in run_template(template, engine, code=True).html


def test_the_workspace_holds_still_and_keeps_nothing_of_the_run(engine: Engine, tmp_path: Path) -> None:
    template = notebook(
        tmp_path / "t.ipynb",
        OPEN,
        "from workbench.engine import Engine\n"
        "import polars as pl, datetime as dt\n"
        "time = dt.datetime(2025, 6, 12, 15, tzinfo=dt.UTC)\n"
        "frame = pl.DataFrame({'time': [time], 'user': ['boris'], 'page': ['/late']})\n"
        "Engine(original).ingest(frame, type='click')",
        "db.refresh(); db.compute('pagerank')\n"
        "print('clicks:', db.sql('select count(*) from click').rows, db.knowledge.kinds())",
        parameters="workspace = ''\noriginal = ''",
    )
    made = run_template(template, engine, {"original": str(engine.path)})
    assert "clicks: [(4,)] [&#x27;pagerank&#x27;]" in made.html
    engine.refresh()
    assert engine.sql("select count(*) from click").rows == [(5,)]
    assert engine.knowledge.kinds() == []


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"limti": "1"}, UnknownNameError, "limit"),
        ({"limit": "many"}, UsageError, "of type int"),
        ({"limit": "1.5"}, UsageError, "of type int"),
        ({"limit": "true"}, UsageError, "of type int"),
    ],
)
def test_parameters_must_be_the_template_s(
    engine: Engine, tmp_path: Path, given: Mapping[str, str], error: type[Exception], said: str
) -> None:
    template = notebook(tmp_path / "t.ipynb", OPEN)
    with pytest.raises(error, match=said):
        run_template(template, engine, given)


def test_a_template_that_names_no_workspace_is_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no parameter 'workspace'"):
        run_template(notebook(tmp_path / "t.ipynb", OPEN, parameters=None), engine)


@pytest.mark.parametrize("content", ["", "no json", "[]", "{}"])
def test_what_is_no_notebook_is_named(engine: Engine, tmp_path: Path, content: str) -> None:
    path = tmp_path / "t.ipynb"
    path.write_text(content)
    with pytest.raises(SourceError, match=r"t\.ipynb|notebook"):
        run_template(path, engine)


def test_a_failing_cell_is_named_with_its_error(engine: Engine, tmp_path: Path) -> None:
    template = notebook(tmp_path / "t.ipynb", OPEN, "db.sql('select pgae from click')", "print('never')")
    with pytest.raises(ReportFailedError, match=r"code cell 3 \(db\.sql\('select pgae") as failure:
        run_template(template, engine)
    assert "page" in str(failure.value)


def test_the_command_writes_a_page_or_nothing(engine: Engine, tmp_path: Path) -> None:
    good = notebook(tmp_path / "good.ipynb", OPEN, "db.sql('select page from click')")
    bad = notebook(tmp_path / "bad.ipynb", OPEN, "1 / 0")
    out = tmp_path / "out.html"

    def command(template: Path, *options: str) -> Any:
        words = ["report", "run", str(template), "-w", str(engine.path), "-o", str(out), "-q", *options]
        return CliRunner().invoke(app, words)

    failed = command(bad)
    assert failed.exit_code == 1
    assert "ZeroDivisionError: division by zero" in failed.stderr
    assert not out.exists()
    assert command(good, "-p", "limti=1").exit_code == 2
    assert not out.exists()
    assert command(good, "-p", "limit=1").exit_code == 0
    assert "<td>/home</td>" in out.read_text()


def test_the_shipped_template_runs_on_any_workspace(engine: Engine) -> None:
    template = Path(__file__).parents[2] / "notebooks" / "90_report_template.ipynb"
    made = run_template(template, engine, {"top": "1"})
    assert made.manifest["parameters"]["top"] == 1
    assert 'class="wb-figure"' in made.html


def test_a_run_that_is_stopped_in_a_cell_says_so_and_writes_nothing(engine: Engine, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    endless = f"import threading\nopen({str(begun)!r}, 'w').close()\nthreading.Event().wait()"
    template, out = notebook(tmp_path / "t.ipynb", OPEN, endless), tmp_path / "out.html"
    command = [sys.executable, "-m", "workbench", "report", "run", str(template), "-w", str(engine.path)]
    with subprocess.Popen([*command, "-o", str(out), "-q"], stderr=subprocess.PIPE, text=True) as process:
        begun.read_text()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.startswith("workbench: stopped.")
    assert not out.exists()
