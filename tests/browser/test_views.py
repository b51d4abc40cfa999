"""The views in a browser: each draws with what this machine has, a click in one is the selection of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from workbench.views import Selection, views

if TYPE_CHECKING:
    from workbench.engine import Engine

SECONDS = 60
KINDS = ("clusters", "anomalies", "trends")
DRAWN = {
    "catalog": {},
    "clusters": {},
    "anomalies": {"threshold": 0.0, "actor": "aircraft:N725MQ"},
    "trends": {"severity": "notable"},
    "chat": {"questions": ["departures per carrier"]},
}
INK = """
(frame) => {
  let most = 0;
  const look = (root) => {
    for (const part of root.querySelectorAll("*")) {
      if (part.tagName === "CANVAS" && part.width && part.height) {
        const pixels = part.getContext("2d").getImageData(0, 0, part.width, part.height).data;
        const seen = new Set();
        for (let n = 0; n < pixels.length; n += 4) if (pixels[n + 3]) seen.add(pixels.slice(n, n + 3).join());
        most = Math.max(most, seen.size);
      }
      if (part.shadowRoot) look(part.shadowRoot);
    }
  };
  look(frame.getRootNode().host ? frame.getRootNode() : document);
  return most;
}
"""


@pytest.fixture
def computed(engine: Engine) -> Engine:
    for kind in KINDS:
        engine.compute(kind)
    return engine


def opened(serve: Any, capture: Any, engine: Engine, name: str, **state: Any) -> tuple[Any, Any]:
    """Serve a view and return its page once it is drawn, and the view."""
    import panel as pn

    made: list[Any] = []

    def make() -> Any:
        made.append(views.create(name, engine, Selection(), **state))
        return pn.panel(made[-1])

    page = capture.page()
    page.goto(serve(make))
    frame = page.locator(f".wb-frame.wb-{name}")
    frame.wait_for()
    frame.locator(".spin").first.wait_for(state="detached", timeout=SECONDS * 1000)
    page.wait_for_function("!document.querySelector('.wb-frame .spin')")
    assert frame.locator("[role=alert]").all_inner_texts() == []
    return page, made[-1]


@pytest.mark.parametrize("capture", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("name", DRAWN)
def test_a_view_draws_with_what_this_machine_has(
    serve: Any, capture: Any, computed: Engine, name: str
) -> None:
    page, _ = opened(serve, capture, computed, name, **DRAWN[name])
    if name == "catalog":
        page.locator("b", has_text="Departure").first.wait_for()
        assert page.locator("svg rect").count() > 10
    else:
        page.locator("canvas").first.wait_for()
        page.wait_for_function(f"({INK})(document.body) > 2")
    assert [text for text in capture.problems if "favicon" not in text] == []


def test_a_row_of_anomalies_is_picked_by_keyboard(serve: Any, capture: Any, computed: Engine) -> None:
    page, view = opened(serve, capture, computed, "anomalies", threshold=0.0)
    row = page.locator("tr[data-pick^='actor=']").nth(1)
    name = row.locator("td.name").inner_text()
    row.focus()
    page.keyboard.press("Enter")
    page.locator("h3", has_text=name).wait_for(timeout=SECONDS * 1000)
    assert view.selection.entities == (name,)


def test_an_alert_selects_its_time(serve: Any, capture: Any, computed: Engine) -> None:
    page, view = opened(serve, capture, computed, "trends", severity="notable")
    page.locator("tr[data-pick='0']").click()
    page.locator("tr[aria-current]").wait_for()
    worst = view.data().alerts.row(0, named=True)
    assert (view.selection.since, view.selection.until) == (worst["since"], worst["until"])


def test_a_box_on_the_map_of_clusters_selects(serve: Any, capture: Any, computed: Engine) -> None:
    page, view = opened(serve, capture, computed, "clusters")
    canvas = page.locator("canvas").first
    canvas.wait_for()
    page.wait_for_function(f"({INK})(document.body) > 2")
    place = canvas.bounding_box()
    left, top = place["x"] + 0.3 * place["width"], place["y"] + 0.2 * place["height"]
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((0.6, 0.2), (0.6, 0.8), (0.3, 0.8), (0.3, 0.21)):
        page.mouse.move(place["x"] + x * place["width"], place["y"] + y * place["height"], steps=6)
    page.mouse.up()
    page.get_by_text("of them selected").wait_for(timeout=SECONDS * 1000)
    chosen = set(view.selection.entities)
    assert chosen
    assert chosen < set(computed.knowledge.read("clusters").to_arrow()["entity"].to_pylist())


def test_the_chat_completes_a_word_and_answers_with_a_chart(
    serve: Any, capture: Any, computed: Engine
) -> None:
    page, view = opened(serve, capture, computed, "chat")
    box = page.get_by_role("combobox", name="Ask a question")
    box.press_sequentially("departures of N725M", delay=30)
    page.locator(".ask li").first.wait_for()
    page.keyboard.press("Tab")
    assert box.input_value() == "departures of aircraft N725MQ "
    box.fill("departures per carrier")
    page.keyboard.press("Enter")
    page.locator("h3", has_text="departures per carrier").wait_for(timeout=SECONDS * 1000)
    page.locator(".wb-turn canvas").first.wait_for()
    [answer] = view.answers
    counted = dict(computed.sql("select carrier, count(*) from Departure group by all").rows)
    assert dict(zip(*(c.to_pylist() for c in answer.to_arrow().columns[:2]), strict=True)) == counted
    assert box.input_value() == ""
    page.locator("button[data-pick^='ask=']").first.click()
    page.locator(".wb-turn").nth(1).wait_for(timeout=SECONDS * 1000)
    assert len(view.answers) == 2


def test_trends_draw_in_jupyterlab_and_a_click_reaches_the_kernel(
    lab: Any, capture: Any, computed: Engine
) -> None:
    page = capture.page()
    opening = f"import workbench as wb; db = wb.open({str(computed.path)!r})"
    cells = lab.open(page, "trends.ipynb", opening, "db.view('trends', severity='notable')")
    cells.run(0)
    output = cells.run(1)
    output.locator("canvas").first.wait_for(timeout=SECONDS * 1000)
    page.wait_for_function(f"({INK})(document.body) > 2", timeout=SECONDS * 1000)
    output.locator("tr[data-pick='0'][tabindex]").click()
    output.locator("tr[aria-current]").wait_for()
