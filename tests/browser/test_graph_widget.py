"""The graph widget in a browser: in JupyterLab it changes the kernel, served it changes the view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from workbench.views import Selection
from workbench.views._graph_widget import _MODULE
from workbench.views.graph import GraphView

if TYPE_CHECKING:
    from conftest import Capture, Lab, Serve
    from playwright.sync_api import Locator, Page

    from workbench.engine import Engine

START = "aircraft:N725MQ"


def graph(scope: Any) -> Locator:
    """Return the graph once it has drawn nodes."""
    found: Locator = scope.locator(".wb-graph[data-nodes]")
    found.wait_for()
    found.evaluate("el => el.scrollIntoView({ block: 'center' })")
    return found


def click(page: Page, drawn: Locator, node: str, **options: Any) -> None:
    """Click on a node where it is drawn."""
    page.wait_for_timeout(600)  # nodes move to their places
    at = drawn.evaluate("(el, id) => el.locate(id)", node)
    page.mouse.click(at["x"], at["y"], **options)


def wait_until(page: Page, what: Any) -> None:
    for _ in range(100):
        if what():
            return
        page.wait_for_timeout(100)
    pytest.fail("it did not come about")


def test_in_jupyterlab_a_click_changes_the_kernel(capture: Capture, lab: Lab, engine: Engine) -> None:
    page = capture.page()
    cells = lab.open(
        page,
        "graph.ipynb",
        f"from workbench.engine import Engine\ndb = Engine({str(engine.path)!r})",
        f"widget = db.view('graph', around=[{START!r}]).widget()\nwidget",
        "print(widget.selected, db.selection.entities)",
    )
    cells.run(0)
    drawn = graph(cells.run(1))
    assert int(drawn.get_attribute("data-nodes") or 0) > 5
    assert "[] ()" in cells.run(2).inner_text()
    click(page, drawn, START)
    wait_until(page, lambda: START in cells.run(2).inner_text())
    assert f"['{START}'] ('{START}',)" in cells.run(2).inner_text()


def test_in_jupyterlab_a_view_draws_whatever_was_imported_before(
    capture: Capture, lab: Lab, engine: Engine
) -> None:
    page = capture.page()
    cells = lab.open(
        page,
        "view.ipynb",
        f"import holoviews\nfrom workbench.engine import Engine\ndb = Engine({str(engine.path)!r})",
        f"view = db.graph.around({START!r}, hops=2).view()\nview",
        "print(db.selection, view.state)",
    )
    cells.run(0)
    drawn = graph(cells.run(1))
    click(page, drawn, START)
    wait_until(page, lambda: f"Selection: {START}" in cells.run(2).inner_text())


def test_in_jupyterlab_a_double_click_expands_and_what_is_drawn_is_exported(
    capture: Capture, lab: Lab, engine: Engine
) -> None:
    page = capture.page()
    cells = lab.open(
        page,
        "expand.ipynb",
        f"import networkx as nx\nfrom workbench.engine import Engine\ndb = Engine({str(engine.path)!r})",
        f"view = db.graph.around({START!r}, hops=2, limit=10).view()\nview",
        "found = view.subgraph()\nfound.to_graphml('drawn.graphml')\n"
        "print(len(nx.read_graphml('drawn.graphml')), found.to_igraph().vcount(), view['expanded'])",
    )
    cells.run(0)
    drawn = graph(cells.run(1))
    before = int(drawn.get_attribute("data-nodes") or 0)
    assert "hidden; not through carrier" in drawn.inner_text()
    page.wait_for_timeout(600)  # nodes move to their places
    at = drawn.evaluate("(el, id) => el.locate(id)", "airport:LGA")
    page.mouse.dblclick(at["x"], at["y"])
    wait_until(page, lambda: int(drawn.get_attribute("data-nodes") or 0) > before)
    after = drawn.get_attribute("data-nodes")
    assert f"{after} {after} ['airport:LGA']" in cells.run(2).inner_text()
    assert capture.problems == []


def test_served_a_click_selects_and_a_double_click_expands(
    capture: Capture, engine: Engine, serve: Serve
) -> None:
    selection = Selection()
    view = GraphView(engine, selection, around=[START])
    page = capture.page()
    page.goto(serve(view.__panel__))
    drawn = graph(page)
    before = int(drawn.get_attribute("data-nodes") or 0)
    click(page, drawn, START)
    wait_until(page, lambda: selection.entities == (START,))
    neighbour = next(row["target"] for row in view.edges().to_pylist() if row["source"] == START)
    page.wait_for_timeout(400)
    at = drawn.evaluate("(el, id) => el.locate(id)", neighbour)
    page.keyboard.down("Shift")
    page.mouse.click(at["x"], at["y"])
    page.keyboard.up("Shift")
    wait_until(page, lambda: selection.entities == (START, neighbour))
    page.wait_for_timeout(400)
    page.mouse.dblclick(at["x"], at["y"])
    wait_until(page, lambda: view["expanded"] == [neighbour])
    wait_until(page, lambda: int(drawn.get_attribute("data-nodes") or 0) > before)
    assert capture.problems == []


def test_the_keyboard_does_what_the_pointer_does(capture: Capture, engine: Engine, serve: Serve) -> None:
    selection = Selection()
    view = GraphView(engine, selection, around=[START])
    page = capture.page()
    page.goto(serve(view.__panel__))
    drawn = graph(page)
    drawn.locator("input[type=search]").fill("n725mq")
    assert drawn.locator(".found").inner_text() == "1 found"
    page.keyboard.press("Enter")
    assert "N725MQ" in drawn.locator(".card").inner_text()
    drawn.locator(".canvas").focus()
    page.keyboard.press("Enter")
    wait_until(page, lambda: selection.entities == (START,))
    page.keyboard.press("c")
    wait_until(page, lambda: drawn.get_attribute("data-nodes") == "1")
    page.keyboard.press("e")
    wait_until(page, lambda: int(drawn.get_attribute("data-nodes") or 0) > 5)
    page.keyboard.press("ArrowUp")
    page.keyboard.press(" ")
    wait_until(page, lambda: len(selection.entities) == 2)
    page.keyboard.press("t")
    rows = drawn.locator(".table tbody tr")
    assert str(rows.count()) == drawn.get_attribute("data-nodes")
    assert drawn.locator(".table button[aria-pressed=true]").count() == 2
    page.keyboard.press("Escape")
    wait_until(page, lambda: selection.entities == ())


def draw(page: Page, picture: Any) -> None:
    """Draw in a page of its own without Panel: the module alone, as any host of its protocol loads it."""
    page.goto("about:blank")
    page.set_content(
        "<style>:root { color-scheme: light dark } body { color: CanvasText }</style><main></main>"
    )
    page.evaluate(
        """async ([module, graph]) => {
          const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
          const { default: { render } } = await import(url);
          const state = { graph, selected: [], theme: "auto", stage: 400 };
          const model = {
            get: (name) => state[name], set: (name, value) => { state[name] = value; },
            save_changes() {}, on() {}, off() {},
          };
          window.dispose = render({ model, el: document.querySelector("main") });
        }""",
        [_MODULE.read_text(encoding="utf-8"), picture],
    )


@pytest.mark.parametrize("capture", ["light", "dark"], indirect=True)
def test_it_follows_the_page_in_light_and_dark(
    capture: Capture, engine: Engine, request: pytest.FixtureRequest
) -> None:
    page = capture.page()
    draw(page, GraphView(engine, Selection(), around=[START]).data().picture.to_json())
    drawn = graph(page)
    scheme = request.node.callspec.params["capture"]
    wait_until(page, lambda: drawn.get_attribute("data-theme") == scheme)
    pixels = page.evaluate(
        """() => {
          const { width, height } = document.querySelector("canvas.sigma-labels");
          const drawn = document.querySelector("canvas.sigma-labels").getContext("2d");
          return drawn.getImageData(0, 0, width, height).data.some((value) => value > 0);
        }"""
    )
    assert pixels
    page.evaluate("window.dispose()")
    assert page.locator(".wb-graph").count() == 0
    assert capture.problems == []


WRITTEN = """
  const { fillText, clearRect } = CanvasRenderingContext2D.prototype;
  window.written = new Map();
  const labels = (context) => context.canvas.classList.contains("sigma-labels");
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
    if (labels(this)) window.written.set(text, [x, y, this.measureText(text).width]);
    return fillText.call(this, text, x, y);
  };
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    if (labels(this)) window.written.clear();
    return clearRect.apply(this, box);
  };
"""


def test_the_largest_node_has_its_label_and_none_lies_over_another(capture: Capture, engine: Engine) -> None:
    page = capture.page()
    page.add_init_script(WRITTEN)
    picture = GraphView(engine, Selection(), around=[START]).data().picture.to_json()
    one = picture["nodes"][0]
    # side by side: each label would cover the next node's
    row = [
        {**one, "id": f"n{n}", "label": f"node number {n}", "x": n, "y": 0, "size": 5 + n} for n in range(9)
    ]
    ends = [{**one, "id": f"e{n}", "label": "", "x": 4, "y": n, "size": 1} for n in (-9, 9)]
    draw(page, {**picture, "nodes": [{**node, "start": False} for node in row + ends], "edges": []})
    graph(page)
    page.wait_for_timeout(600)  # nodes move to their places
    written = page.evaluate("() => Object.fromEntries(window.written)")
    assert "node number 8" in written
    assert len(written) >= 4
    boxes = list(written.values())
    for place, (x, y, width) in enumerate(boxes):
        for other_x, other_y, other_width in boxes[:place]:
            beside = x + width < other_x or other_x + other_width < x
            assert beside or abs(y - other_y) >= 12  # the height of a label
