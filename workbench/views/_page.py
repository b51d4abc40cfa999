"""Markup whose parts can be picked, by pointer and by keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import param
from panel.custom import AnyWidgetComponent

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Page"]


class Page(AnyWidgetComponent):
    """A fragment of HTML; an element with ``data-pick`` is a button that tells which it is.

    One with ``data-copy`` copies the text of the ``pre`` beside it.

    Args:
        markup: The fragment, every value in it escaped.
        picked: Called with the picked element's ``data-pick``.
    """

    markup = param.String(default="")
    pick = param.List(default=[], doc="The value picked last, and how often anything was picked.")

    # Not a JSComponent: where one of those shares a page with an AnyWidgetComponent, such as the graph,
    # Panel 1.9 renders both in the way of the first.
    _esm = """
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
    }
    export default { render };
    """

    def __init__(self, markup: str = "", picked: Callable[[str], None] | None = None, **params: Any) -> None:
        super().__init__(markup=markup, **{"sizing_mode": "stretch_width", **params})  # type: ignore[no-untyped-call]
        if picked is not None:
            self.param.watch(lambda event: picked(event.new[0]), "pick")
