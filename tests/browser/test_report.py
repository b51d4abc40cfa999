"""A report opened from disk: it draws, tells what is under the pointer, and asks nobody for anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from workbench.engine import Engine

PER_CARRIER = {
    "question": "Departures per carrier",
    "steps": [
        {"op": "scan", "id": "events", "types": ["Departure"]},
        {
            "op": "aggregate",
            "id": "carriers",
            "source": "events",
            "by": [{"field": "carrier"}],
            "measures": [{"name": "departures"}],
        },
    ],
    "renders": [{"kind": "bar", "source": "carriers", "x": "carrier", "y": ["departures"]}],
}
# Pixels of a canvas that are neither transparent nor white, by their colour's hue: blue bars, or any.
PAINTED = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let blue = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200 && data[i + 2] > data[i] + 60) blue++;
  return blue;
}"""


@pytest.fixture(scope="module")
def report(flights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with text, a chart, a part of the graph and a table."""
    from workbench.engine import Engine

    with Engine(flights) as engine:
        parts = [
            "## February\n\nTwo weeks of it.",
            engine.execute(PER_CARRIER),
            engine.graph.around("aircraft:N725MQ"),
            engine.sql("select carrier, count(*) as n from Departure group by all order by n desc"),
        ]
        return engine.report("Two weeks", parts).save(tmp_path_factory.mktemp("report") / "report.html")


def chart(page: Page) -> Locator:
    canvas = page.locator(".wb-figure canvas").first
    canvas.wait_for()
    page.wait_for_function("() => window.Bokeh?.documents.every((d) => d.is_idle)")
    return canvas


def test_it_draws_and_tells_what_is_under_the_pointer(report: Path, engine: Engine, capture) -> None:  # noqa: ANN001
    page = capture.page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    canvas = chart(page)
    assert canvas.evaluate(PAINTED) > 2_000
    page.locator(".wb-figure").first.scroll_into_view_if_needed()
    box = page.locator(".wb-figure").first.bounding_box()
    assert box is not None
    told = page.locator(".bk-Tooltip, .bk-tooltip").first
    for share in (0.1, 0.15, 0.2, 0.3, 0.5):
        page.mouse.move(box["x"] + 110, box["y"] + share * box["height"], steps=4)
        page.wait_for_timeout(300)
        if told.count() and told.is_visible():
            break
    text = told.evaluate("tip => tip.shadowRoot.textContent")
    counts = dict(
        engine.sql("select carrier, count(*) from Departure group by all").rows,
    )
    assert any(
        carrier in text and str(count) in text.replace(",", "") for carrier, count in counts.items()
    ), text
    assert all(url.startswith(("file:", "blob:", "data:")) for url in requests), requests
    assert capture.problems == []


def test_the_graph_in_it_is_the_widget(report: Path, capture) -> None:  # noqa: ANN001
    page = capture.page()
    page.goto(report.as_uri())
    drawing = page.locator(".wb-drawing")
    drawing.locator("canvas").first.wait_for()
    drawing.get_by_role("button", name="Table").click()
    rows = drawing.locator("tbody tr")
    rows.first.wait_for()
    assert any("N725MQ" in text for text in rows.all_inner_texts())


@pytest.mark.parametrize("capture", ["dark"], indirect=True)
def test_it_follows_a_dark_scheme(report: Path, capture) -> None:  # noqa: ANN001
    page = capture.page()
    page.goto(report.as_uri())
    chart(page)
    ground, ink = page.evaluate(
        "() => { const s = getComputedStyle(document.body); return [s.backgroundColor, s.color] }"
    )
    assert (ground, ink) != ("rgb(255, 255, 255)", "rgb(0, 0, 0)")
    assert sum(map(int, ground[4:-1].split(","))) < 150
    assert sum(map(int, ink[4:-1].split(","))) > 600


def test_its_contents_lead_to_their_places(report: Path, capture) -> None:  # noqa: ANN001
    page = capture.page()
    page.goto(report.as_uri())
    page.get_by_role("navigation").get_by_text("Departures per carrier").click()
    heading = page.get_by_role("heading", name="Departures per carrier")
    assert page.url.endswith(f"#{heading.get_attribute('id')}")


def test_without_scripts_the_facts_are_there(report: Path, browser, tmp_path: Path) -> None:  # noqa: ANN001
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator(".wb-drawing svg circle").count() > 5
    assert page.locator("td", has_text="UA").count() >= 1
    context.close()
