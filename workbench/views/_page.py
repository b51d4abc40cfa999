"""Markup whose parts can be picked, by pointer and by keyboard."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["pickable"]

_MODULE = """
function render({ model, el }) {
  const place = document.createElement("div");
  let times = 0;
  const draw = () => {
    const name = (d) => (d.querySelector("summary b") ?? d.querySelector("summary")).textContent;
    const open = new Set([...place.querySelectorAll("details[open]")].map(name));
    place.innerHTML = model.get("markup");
    for (const d of place.querySelectorAll("details")) d.open ||= open.has(name(d));
    for (const part of place.querySelectorAll("[data-pick]")) {
      part.tabIndex = 0;
      part.style.cursor = "pointer";
      if (!part.hasAttribute("role") && !["BUTTON", "TR"].includes(part.tagName)) part.role = "button";
    }
  };
  const pick = (event) => {
    const part = event.target.closest("[data-pick]");
    if (!part) return;
    event.preventDefault();
    model.set("pick", [part.dataset.pick, ++times]);
    model.save_changes();
  };
  place.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    if (!copy) return pick(event);
    event.preventDefault();
    const text = copy.parentElement.querySelector("pre").textContent;
    navigator.clipboard.writeText(text).then(() => { copy.textContent = "Copied"; });
  });
  place.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") pick(event);
  });
  model.on("change:markup", draw);
  draw();
  el.append(place);
  return () => place.remove();
}
export default { render };
"""


@cache
def _component() -> type[Any]:
    """Return the Panel component: made on first use, since Panel is heavy."""
    import param  # noqa: PLC0415
    from panel.custom import AnyWidgetComponent  # noqa: PLC0415

    # Not a JSComponent: where one of those shares a page with an AnyWidgetComponent, such as the graph,
    # Panel 1.9 renders both in the way of the first.
    class Page(AnyWidgetComponent):
        """A fragment of HTML, and what was picked in it last with how often anything was."""

        _esm = _MODULE

        markup = param.String(default="")
        pick = param.List(default=[])

    return Page


def pickable(markup: str = "", picked: Callable[[str], None] | None = None, **layout: Any) -> Any:
    """Return a fragment of HTML as a Panel object; its :attr:`markup` can be set anew.

    An element with ``data-pick`` is a button that tells which it is; one with ``data-copy`` copies the text
    of the ``pre`` beside it.

    Args:
        markup: The fragment, every value in it escaped.
        picked: Called with the picked element's ``data-pick``.
        layout: Panel's options of size and place.
    """
    page = _component()(markup=markup, **{"sizing_mode": "stretch_width", **layout})
    if picked is not None:
        page.param.watch(lambda event: picked(event.new[0]), "pick")
    return page
