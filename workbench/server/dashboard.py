"""The pages: all views side by side over one selection, and each view on a page of its own."""

from __future__ import annotations

import json
import weakref
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from workbench.errors import WorkbenchError
from workbench.server.gate import CHOSEN_COOKIE, PREFERRED_COOKIE
from workbench.server.visitor import Role, visitor
from workbench.views import Selection, views
from workbench.views._look import alert, fragment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workbench.server.visitor import Visitor
    from workbench.server.world import World
    from workbench.views import View

__all__ = ["pages", "usable_views"]

_FIRST = "catalog"
_SCHEMES = ("light", "dark")
_SHOWN_ENTITIES = 8
# The page's own colours, for the two schemes that its switch chooses between.
_STYLE = """
#header { --header-background: #21374f; background-color: #21374f !important; box-shadow: none !important; }
#header .app-header .title { font-size: 17px; font-weight: 600; }
"""
_BUTTON = """<style>
form { margin: 0 } span { font-size: 13px; color: #fff }
button { font: inherit; font-size: 13px; color: #fff; background: none; cursor: pointer;
  border: 1px solid rgb(255 255 255 / 45%); border-radius: 5px; padding: 3px 10px }
button:focus-visible { outline: 2px solid #fff; outline-offset: 2px }</style>"""
# The page is drawn anew: its charts are pictures in the colours of one scheme.
_SWITCH = """<button onclick="const to = new window.URL(location.href);
document.cookie = '{cookie}={scheme}; path=/; max-age=31536000; samesite=lax';
to.searchParams.delete('theme'); location.assign(to)">{label}</button>"""
# Before all else that the page loads: the colours that the browser prefers, which it tells no server. Only
# where the cookie is kept is the page loaded again, or it would be for ever.
_PREFERENCE = """<script>(() => {
  const prefers = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  if (prefers === "DRAWN") return;
  document.cookie = "COOKIE=" + prefers + "; path=/; max-age=31536000; samesite=lax";
  if (document.cookie.includes("COOKIE=" + prefers)) location.reload();
})()</script>"""
_LOGOUT = '<form method="post" action="/logout"><button>Log out</button></form>'


def usable_views() -> tuple[dict[str, type[View]], list[str]]:
    """Return the views that can run here, the catalog first, and why the others cannot."""
    usable: dict[str, type[View]] = {}
    problems = []
    for name in sorted(views.names(), key=lambda name: (name != _FIRST, name)):
        try:
            kind = views.load(name)
        except WorkbenchError as error:  # one that is wrong takes none of the others away
            problems.append(str(error))
            continue
        reason = kind.can_run()
        if reason is True:
            usable[name] = kind
        else:
            problems.append(f"{name} cannot run here: {reason}.")
    return usable, problems


def pages(world: World, *, login: bool) -> dict[str, Callable[[], Any]]:
    """Return what draws each page, by its path: ``/`` and ``/views/NAME``.

    A page is drawn for one browser window, with a selection of its own; what it shows stands in its address.

    Args:
        world: The workspace.
        login: Whether there is a login that one can leave.
    """

    def page(only: str | None) -> Callable[[], Any]:
        return lambda: _page(world, only, login=login)

    return {"/": page(None), **{f"/views/{name}": page(name) for name in usable_views()[0]}}


def _page(world: World, only: str | None, *, login: bool) -> Any:
    import panel as pn  # noqa: PLC0415  (heavy)

    who = visitor()
    wanted = _arguments(pn.state.session_args)
    usable, problems = usable_views()
    window = _Window(world, {only: usable[only]} if only else usable, wanted, problems, who)
    body = window.place(only) if only else window.tabs
    named = wanted.get("theme") if wanted.get("theme") in _SCHEMES else ""
    dark = (named or who.scheme) == "dark"
    html: Any = pn.pane.HTML
    header = pn.Row(
        pn.Spacer(sizing_mode="stretch_width"),
        *(html(_BUTTON + part, align="center") for part in _header(who, dark=dark, login=login)),
        sizing_mode="stretch_width",
    )
    page: Any = pn.template.BootstrapTemplate(
        title=f"workbench · {world.path.name}",
        main=[pn.Column(window.bar, body, sizing_mode="stretch_width")],
        header=[header],
        header_background="#21374f",
        favicon="",
        theme="dark" if dark else "default",
        raw_css=[_STYLE],
    )
    if not named and not who.chosen:
        page.template = _asking_template("dark" if dark else "light")
    window.begin()
    return page


@cache
def _asking_template(drawn: str) -> Any:
    """Return the page's template, with a script that loads it again where other colours are preferred."""
    from panel.io.resources import parse_template  # noqa: PLC0415  (heavy)

    script = _PREFERENCE.replace("DRAWN", drawn).replace("COOKIE", PREFERRED_COOKIE)
    return parse_template(
        '{% extends "bootstrap/bootstrap.html" %}{% block preamble %}'
        + script
        + "{{ super() }}{% endblock %}"
    )


def _header(who: Visitor, *, dark: bool, login: bool) -> list[str]:
    """Return what stands in the page's head, on the right."""
    scheme = "light" if dark else "dark"
    switch = _SWITCH.format(cookie=CHOSEN_COOKIE, scheme=scheme, label=scheme.title())
    if not login:
        return [switch]
    return [f"<span>{escape(who.name)} · {who.role}</span>", switch, _LOGOUT]


class _Window:
    """One browser window: views made when they are first looked at, their selection and their address."""

    def __init__(
        self,
        world: World,
        kinds: Mapping[str, type[View]],
        wanted: dict[str, Any],
        problems: list[str],
        who: Visitor,
    ) -> None:
        import panel as pn  # noqa: PLC0415  (heavy)

        self._role, self._reader = who.role, who.name
        self._world = world
        self._kinds = kinds
        self._names = names = list(kinds)
        self._selection = Selection(world.timezone)
        self._problem = " ".join(problems)
        self._views: dict[str, View] = {}
        self._in_browser = False
        self._state = {k: v for k, v in wanted.items() if k not in ("view", "theme")}
        first = wanted.get("view", names[0])
        self._first = first if first in names else names[0]
        if self._first != first:
            self._problem = f"There is no view {first!r}."
        wide = {"sizing_mode": "stretch_width"}
        self._places = {name: pn.Column(**wide, min_height=200) for name in names}
        self.tabs = pn.Tabs(
            *((kind.title or name, self._places[name]) for name, kind in kinds.items()),
            active=names.index(self._first),
            dynamic=True,
            **wide,
        )
        self._text = pn.pane.HTML("", **wide)
        self._clear = pn.widgets.Button(label="Clear", width=70, visible=False)
        self._clear.on_click(lambda _: self._selection.clear())
        self.bar = pn.Row(self._text, self._clear, **wide)

    def place(self, name: str) -> Any:
        """Return where a view is shown."""
        return self._places[name]

    def begin(self) -> None:
        """Show the first view, and follow the tabs and the selection from now on."""
        import panel as pn  # noqa: PLC0415  (heavy)

        self._select()
        self._show(self._first)
        self.tabs.param.watch(lambda event: self._show(self._names[event.new]), "active")
        self._selection.param.watch(lambda *_: self._told(), ["entities", "since", "until"])
        pn.state.onload(self._loaded)

    def _select(self) -> None:
        """Take the selection out of the address."""
        entities = self._state.pop("entities", self._state.pop("entity", ()))
        times = {name: self._state.pop(name, None) for name in ("since", "until")}
        try:
            self._selection.select(entities, **times)
        except WorkbenchError as error:
            self._problem = str(error)

    def _show(self, name: str) -> None:
        if name not in self._views:
            self._places[name][:] = [self._made(name)]
        self._told()

    def _made(self, name: str) -> Any:
        """Return a view's Panel object, or why there is none; what the address says is for the first view."""
        import panel as pn  # noqa: PLC0415  (heavy)

        kind = self._kinds[name]
        state = self._state if name == self._first else {}
        try:
            view = kind(self._world, self._selection, **state)
        except WorkbenchError as error:
            return pn.pane.HTML(fragment(alert(str(error))))
        view.acts = self._role >= Role.OPERATOR
        view.reader = self._reader
        self._views[name] = view
        view.listen(weakref.WeakMethod(self._told))
        return pn.panel(view)

    def _loaded(self) -> None:
        self._in_browser = True  # before that the browser's address would win
        self._told()

    def _told(self) -> None:
        """Write the selection on the page, and all that is shown into its address."""
        import panel as pn  # noqa: PLC0415  (heavy)

        self._clear.visible = bool(self._selection)
        self._text.object = fragment(_selected(self._selection, self._problem))
        name = self._names[self.tabs.active]
        view = self._views.get(name)
        location = pn.state.location
        if self._in_browser and location is not None and view is not None:
            location.search = _search(name if len(self._names) > 1 else "", view.state, location.search)


def _arguments(given: Mapping[str, list[bytes]]) -> dict[str, Any]:
    """Return an address's arguments: JSON where it is that, else text; of a repeated one the list."""
    found: dict[str, Any] = {}
    for name, values in given.items():
        texts = [_value(value.decode("utf-8", "replace")) for value in values]
        found[name] = texts if len(texts) > 1 else texts[0]
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _search(name: str, state: Mapping[str, Any], present: str) -> str:
    """Return the address's query for a state; the colour scheme that it names stays."""
    named = parse_qs(present.removeprefix("?")).get("theme")
    parts = {"view": name} if name else {}
    for key, value in state.items():
        parts[key] = value if isinstance(value, str) else json.dumps(value)
    if named:
        parts["theme"] = named[0]
    return f"?{urlencode(parts)}" if parts else ""


def _selected(selection: Selection, problem: str) -> str:
    """Return the selection, every name escaped."""
    shown = "".join(
        f"<span class='chip'>{escape(name)}</span>" for name in selection.entities[:_SHOWN_ENTITIES]
    )
    more = len(selection.entities) - _SHOWN_ENTITIES
    if more > 0:
        shown += f"<span class='chip'>and {more:,} more</span>"
    for word in ("since", "until"):
        if word in selection.state:
            shown += f"<span class='chip'>{word} {escape(selection.state[word])}</span>"
    text = f"<p><span class='soft'>Selected</span> {shown}</p>" if shown else ""
    return text + (alert(problem) if problem else "")
