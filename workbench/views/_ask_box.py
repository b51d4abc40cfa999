"""A box for questions that completes the word that is being typed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ask_box"]

_MODULE = """
function render({ model, el }) {
  const tell = (name, value) => { model.set(name, value); model.save_changes(); };
  const place = document.createElement("form");
  place.className = "ask";
  place.innerHTML = `<input type="text" role="combobox" aria-autocomplete="list" aria-expanded="false"
    aria-controls="offers" autocomplete="off" spellcheck="false"><button type="submit">Ask</button>
    <ul id="offers" role="listbox" hidden></ul>`;
  const [input, , list] = place.children;
  input.setAttribute("aria-label", model.get("label"));
  input.placeholder = model.get("placeholder");
    let times = 0, active = -1, wait = 0;
  const from = () => input.value.slice(0, input.selectionStart).search(/[^\\s,]*$/);
  const close = () => {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const mark = (n) => {
    active = n;
    [...list.children].forEach((item, m) => item.setAttribute("aria-selected", String(m === n)));
    if (n >= 0) input.setAttribute("aria-activedescendant", `offer-${n}`);
  };
  const take = (n) => {
    const start = from(), end = input.selectionStart, word = model.get("offers")[n].insert + " ";
    input.value = input.value.slice(0, start) + word + input.value.slice(end).trimStart();
    input.selectionStart = input.selectionEnd = start + word.length;
    close();
    input.focus();
  };
  model.on("change:offers", () => {
    const offers = model.get("offers");
    list.replaceChildren(...offers.map((offer, n) => {
      const item = document.createElement("li"), about = document.createElement("small");
      item.id = `offer-${n}`;
      item.role = "option";
      item.textContent = offer.name;
      about.textContent = offer.about;
      item.append(about);
      item.addEventListener("mousedown", (event) => { event.preventDefault(); take(n); });
      return item;
    }));
    const open = offers.length > 0 && input.matches(":focus");
    list.hidden = !open;
    input.setAttribute("aria-expanded", String(open));
    active = -1;
  });
  input.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(() => tell("word", input.value.slice(from(), input.selectionStart)), 120);
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const count = list.hidden ? 0 : list.children.length;
    if (event.key === "Escape") close();
    else if (count && event.key === "ArrowDown") mark((active + 1) % count);
    else if (count && event.key === "ArrowUp") mark((active + count - 1) % count);
    else if (count && event.key === "Tab") take(Math.max(active, 0));
    else if (count && event.key === "Enter" && active >= 0) take(active);
    else if (event.key === "Enter") place.requestSubmit();
    else return;
    event.preventDefault();
  });
  place.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(wait);
    close();
    if (input.value.trim()) tell("ask", [input.value.trim(), ++times]);
    input.value = "";
  });
  el.append(place);
  return () => place.remove();
}
export default { render };
"""
_STYLE = """
.ask {
  display: flex; gap: 8px; position: relative; max-width: 900px;
  font: 14px/1.4 system-ui, sans-serif;
  --line: color-mix(in srgb, currentColor 35%, transparent);
}
.ask input {
  flex: 1; font: inherit; padding: 8px 11px; border-radius: 6px; color: inherit;
  background: transparent; border: 1px solid var(--line);
}
.ask button {
  font: inherit; padding: 8px 18px; border-radius: 6px; border: 0; color: #fff;
  background: #2f68b0; cursor: pointer;
}
.ask :is(input, button):focus-visible { outline: 2px solid #3574c4; outline-offset: 1px; }
.ask ul {
  position: absolute; top: 100%; left: 0; right: 90px; z-index: 30; margin: 3px 0 0; padding: 4px;
  list-style: none; border-radius: 6px; max-height: 300px; overflow-y: auto;
  border: 1px solid var(--line);
  background: var(--jp-layout-color1, Canvas); color: var(--jp-ui-font-color1, CanvasText);
}
.ask ul[hidden] { display: none; }
.ask li { padding: 4px 9px; border-radius: 4px; cursor: pointer; overflow-wrap: anywhere; }
.ask li small { margin-left: 10px; opacity: 0.65; }
.ask li:is([aria-selected="true"], :hover) {
  background: color-mix(in srgb, #3574c4 22%, transparent);
}
"""


@cache
def _component() -> type[Any]:
    """Return the Panel component: made on first use, since Panel is heavy."""
    import param  # noqa: PLC0415
    from panel.custom import AnyWidgetComponent  # noqa: PLC0415

    class AskBox(AnyWidgetComponent):
        """A combobox: the word under the caret, what it may become, and the question asked last."""

        _esm = _MODULE
        _stylesheets: ClassVar[list[str]] = [_STYLE]

        label = param.String(default="Ask a question")
        placeholder = param.String(default="")
        word = param.String(default="")
        offers = param.List(default=[], doc="What the word may become: insert, name, about.")
        ask = param.List(default=[], doc="The question, and how often anything was asked.")

    return AskBox


def ask_box(asked: Callable[[str], None], **params: Any) -> Any:
    """Return a combobox: arrows choose an offer, Tab or Enter takes it, Enter asks, Escape closes the offers.

    Whoever watches its ``word``, the one under the caret, sets its ``offers``.

    Args:
        asked: Called with the question.
        params: Its ``placeholder`` and Panel's options of size and place.
    """
    box = _component()(**{"sizing_mode": "stretch_width", **params})
    box.param.watch(lambda event: asked(event.new[0]), "ask")
    return box
