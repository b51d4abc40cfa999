"""JupyterLab as people use it: the tour, questions in cells, saved notebooks, the catalog, the launcher."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Capture, Lab
    from playwright.sync_api import Browser, Locator, Page, Response

    from workbench.engine import Engine

TOUR = Path(__file__).parents[2] / "notebooks" / "00_tour.ipynb"
INSTALLED = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / "workbench-lab"
MINUTE = 60_000
BUSIEST = "select carrier from Departure group by all order by count(*) desc limit 1"
ENDED = """() => [...document.querySelectorAll(".jp-Notebook .jp-CodeCell .jp-InputPrompt")]
  .every((prompt) => /^\\[\\d+\\]:$/.test(prompt.textContent.trim()))"""


def inked(drawn: Locator) -> float:
    """Return the share of a picture that is not of its ground's colour, by whatever it was drawn."""
    drawn.scroll_into_view_if_needed()
    image = Image.open(io.BytesIO(drawn.screenshot())).convert("RGB")
    counts = sorted(count for count, _ in image.getcolors(image.width * image.height) or [])
    return sum(counts[:-1]) / sum(counts)


def in_color(drawn: Locator) -> float:
    """Return the share of a picture that is no grey: marks, where axes and words are grey."""
    drawn.scroll_into_view_if_needed()
    image = Image.open(io.BytesIO(drawn.screenshot())).convert("HSV")
    saturation = image.getchannel("S").histogram()
    return sum(saturation[64:]) / sum(saturation)


def shown(page: Page) -> Locator:
    """Return the code cells of the notebook in front."""
    return page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-CodeCell")


def opening(engine: Engine) -> str:
    return f"import workbench as wb\ndb = wb.open({str(engine.path)!r})\n%load_ext workbench"


def test_the_tour_runs_and_its_views_draw(
    capture: Capture, lab: Lab, place_demo: Callable[[Path], Path]
) -> None:
    folder = lab.root / "tour"
    folder.mkdir()
    place_demo(folder)
    notebook = nbformat.read(TOUR, as_version=4)
    sources = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in sources:
        cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, folder / TOUR.name)

    page = capture.page()
    page.goto(f"{lab.url}/lab/tree/tour/{TOUR.name}?reset")
    cells = shown(page)
    cells.first.wait_for()
    page.get_by_text("| Idle").wait_for()
    assert cells.count() == len(sources)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_function(ENDED, timeout=4 * MINUTE)

    assert page.locator(".jp-OutputArea [data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert page.locator(".jp-OutputArea [data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    outputs = {cell.source: cells.nth(n).locator(".jp-OutputArea") for n, cell in enumerate(sources)}
    views = {source: output for source, output in outputs.items() if "view(" in source.splitlines()[0]}
    assert len(views) >= 3
    for source, output in views.items():
        canvas = output.locator("canvas").first
        canvas.wait_for(timeout=MINUTE)
        page.wait_for_timeout(500)
        assert inked(canvas) > 0.005, source
        assert output.locator(".wb-static").first.is_hidden(), source
    asked = {source: output for source, output in outputs.items() if source.startswith("%%ask")}
    # JupyterLab has pictures of its own beside an output
    charts = [output.locator(".jp-OutputArea-output svg") for output in asked.values()]
    charts = [chart.first for chart in charts if chart.count()]
    assert len(charts) >= 2
    assert all(in_color(chart) > 0.01 for chart in charts)
    assert (folder / "flights-2013.html").stat().st_size > 100_000


def test_a_question_in_a_cell_is_answered_with_a_chart(capture: Capture, lab: Lab, engine: Engine) -> None:
    page = capture.page()
    cells = lab.open(
        page,
        "ask.ipynb",
        opening(engine),
        "%%ask -o answer\ndepartures per carrier",
        "len(answer.to_polars())",
    )
    cells.run(0)
    output = cells.run(1)
    assert in_color(output.locator(".jp-OutputArea-output svg").first) > 0.05
    ((busiest,),) = engine.sql(BUSIEST).rows
    assert output.locator("table tr").nth(1).inner_text().startswith(busiest)
    assert "Planning …" not in output.inner_text()
    assert cells.run(2).inner_text().endswith(str(output.locator("tbody tr").count()))


def test_a_question_typed_into_the_chat_is_answered_with_a_chart(
    capture: Capture, lab: Lab, engine: Engine
) -> None:
    page = capture.page()
    cells = lab.open(
        page,
        "chat.ipynb",
        opening(engine),
        "chat = db.view('chat')\nchat",
        "chat['questions'], chat.answers[0].status",
    )
    cells.run(0)
    output = cells.run(1)
    box = output.get_by_role("combobox", name="Ask a question")
    box.fill("departures per carrier")
    box.press("Enter")
    output.locator(".wb-turn").wait_for(timeout=MINUTE)
    chart = output.locator("canvas").first
    chart.wait_for()
    page.wait_for_timeout(500)
    assert in_color(chart) > 0.05
    assert "(['departures per carrier'], 'answered')" in cells.run(2).inner_text()


def save(page: Page, path: Path) -> Any:
    """Save the notebook on the page and return what is in the file."""

    def written(response: Response) -> bool:
        return response.request.method == "PUT" and path.name in response.url

    with page.expect_response(written):
        page.keyboard.press("Control+s")
    return nbformat.read(path, as_version=4)


# Panel puts an empty output before each of its own, which is nothing to export.
@pytest.mark.filterwarnings("ignore:Your element with mimetype:UserWarning")
def test_a_saved_and_exported_notebook_shows_everything_without_kernel_and_network(
    browser: Browser, capture: Capture, lab: Lab, engine: Engine, tmp_path: Path
) -> None:
    page = capture.page()
    sources = (
        opening(engine),
        "%%ask\ndepartures per carrier",
        "db.view('graph', around=['aircraft:N725MQ'])",
        "db.view('catalog')",
    )
    cells = lab.open(page, "saved.ipynb", *sources)
    for number in range(len(sources)):
        cells.run(number)
    page.locator(".jp-OutputArea .wb-graph[data-nodes]").wait_for()
    notebook = save(page, lab.root / "saved.ipynb")
    assert all(cell.outputs for cell in notebook.cells[1:])
    exporter = HTMLExporter(mathjax_url="", require_js_url="", embed_images=True)
    html, _ = exporter.from_notebook_node(notebook)
    file = tmp_path / "saved.html"
    file.write_text(html, encoding="utf-8")

    capture.context.set_offline(True)
    exported = capture.page()
    requests: list[str] = []
    exported.on("request", lambda request: requests.append(request.url))
    exported.goto(file.as_uri())
    asked, graph, catalog = (exported.locator(".jp-CodeCell").nth(n) for n in (1, 2, 3))
    assert in_color(asked.locator("svg").first) > 0.05
    ((busiest,),) = engine.sql(BUSIEST).rows
    assert busiest in asked.locator("table").first.inner_text()
    assert "Planning …" not in asked.inner_text()
    assert in_color(graph.locator(".wb-graph[data-nodes]")) > 0.001
    catalog.locator("[data-root-id]").get_by_text("Departure", exact=True).first.wait_for()
    assert all(url.startswith(("file:", "data:", "blob:")) for url in requests), requests

    plain = browser.new_context(java_script_enabled=False, offline=True)
    exported = plain.new_page()
    exported.goto(file.as_uri())
    static = exported.locator(".wb-static")
    assert static.count() == 2
    assert static.first.locator("svg circle").count() > 5
    assert "Departure" in static.last.inner_text()
    assert exported.locator(".jp-CodeCell").nth(1).locator("svg").first.is_visible()
    plain.close()


def test_the_catalog_lists_the_open_workspace_and_inserts_code(
    capture: Capture, lab: Lab, engine: Engine
) -> None:
    page = capture.page()
    cells = lab.open(page, "panel.ipynb", opening(engine))
    page.locator(".jp-SideBar li[data-id='workbench-catalog']").click()
    panel = page.locator("#workbench-catalog")
    panel.get_by_text("No workspace is open in this notebook yet.").wait_for()
    cells.run(0)
    panel.get_by_role("heading", name="db", exact=True).wait_for()
    ((departures,),) = engine.sql("select count(*) from Departure").rows
    entry = panel.locator("li button", has=page.get_by_text("Departure", exact=True))
    assert entry.locator("small").inner_text() == f"{departures:,}"

    entries = panel.locator("li button:visible")
    before = entries.count()
    panel.get_by_role("searchbox", name="Filter the catalog").fill("departure")
    assert 1 <= entries.count() < before
    entry.click()
    assert shown(page).count() == 2
    added = shown(page).nth(1)
    assert added.locator(".cm-content").inner_text() == "db.sql('select * from \"Departure\" limit 20')"
    assert added.evaluate("cell => cell.classList.contains('jp-mod-active')")
    assert "20 rows" in cells.run(1).inner_text()
    assert capture.problems == []


def test_the_launcher_opens_an_investigation_and_the_tour(
    capture: Capture, lab: Lab, place_demo: Callable[[Path], Path], tmp_path: Path
) -> None:
    for path in lab.root.glob("Untitled*.ipynb"):
        path.unlink()
    page = capture.page()
    page.goto(f"{lab.url}/lab?reset")
    cards = page.locator(".jp-LauncherCard[data-category='Workbench']")
    cards.first.wait_for()
    assert cards.locator(".jp-LauncherCard-label").all_inner_texts() == ["Tour", "New investigation"]
    cards.nth(1).click()
    page.get_by_role("heading", name="Investigation").wait_for()
    page.get_by_text("| Idle").wait_for()
    assert cards.count() == 0, "the launcher made room"
    page.keyboard.press("Control+Shift+L")
    cards.nth(0).click()
    page.get_by_role("heading", name="What the flights of 2013 tell").wait_for()

    investigation = nbformat.read(lab.root / "Untitled.ipynb", as_version=4)
    place_demo(tmp_path)
    NotebookClient(investigation, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    answer = investigation.cells[-1].outputs[-1].data["text/plain"]
    assert "Departure" in answer
    came = nbformat.read(INSTALLED / "static" / TOUR.name, as_version=4)
    opened = nbformat.read(lab.root / "Untitled1.ipynb", as_version=4)
    assert [cell.source for cell in opened.cells] == [cell.source for cell in came.cells]
