"""The catalog as a view: the live page with its search."""

from __future__ import annotations

import asyncio
from html import escape
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.catalog import Catalog
    from workbench.storage import Snapshot

__all__ = ["CatalogView", "Live"]

_REFRESH_MS = 5_000
_LOADING = "<p>Reading the workspace …</p>"


class Live(Protocol):
    """An open workspace that can move to its newest generation."""

    def refresh(self) -> object:
        """Read the newest generation from now on."""

    @property
    def snapshot(self) -> Snapshot:
        """Return the generation that is being read."""

    @property
    def catalog(self) -> Catalog:
        """Return what that generation holds."""


class CatalogView:
    """Shows the catalog of a workspace with a search box; served, it follows new generations.

    Reading happens in a thread, so that neither a kernel nor a server waits for it. Several views may
    share a workspace: they read it one after the other.

    Args:
        world: The workspace.
        lock: Held while the workspace is read; shared by all views of it.
    """

    def __init__(self, world: Live, lock: Lock | None = None) -> None:
        self._world = world
        self._lock = lock or Lock()
        self._shown = -1
        self._panes: dict[str, Any] = {}

    def __panel__(self) -> Any:
        """Return a new Panel viewable; in a server session it is filled in as soon as the page is out."""
        import panel as pn  # noqa: PLC0415  (heavy, and for views alone)

        self._shown = -1
        html: Any = pn.pane.HTML
        self._panes = {
            "query": pn.widgets.TextInput(
                label="Search",
                placeholder="a type, field, value, entity or result",
                sizing_mode="stretch_width",
            ),
            "hits": html("", sizing_mode="stretch_width", visible=False),
            "catalog": html(_LOADING, sizing_mode="stretch_width"),
        }

        async def search(event: Any) -> None:
            await self._search(event.new)

        self._panes["query"].param.watch(search, "value")
        session: Any = pn.state.curdoc
        if session is None or session.session_context is None:
            self._show(*self._read())
        else:
            session.add_next_tick_callback(self.follow)
            session.add_periodic_callback(self.follow, _REFRESH_MS)
        return pn.Column(*self._panes.values(), sizing_mode="stretch_width", max_width=1200)

    async def follow(self) -> None:
        """Show the newest generation if it is not shown yet."""
        self._show(*await asyncio.to_thread(self._read))

    def to_arrow(self) -> pa.Table:
        """Return the event types: ``type``, ``documents``, ``share``, ``first``, ``last``, ``fields``."""
        import pyarrow as pa  # noqa: PLC0415

        with self._lock:
            events = self._world.catalog.event_types
        time = pa.timestamp("us", tz="UTC")
        return pa.table(
            {
                "type": pa.array([e.name for e in events], pa.string()),
                "documents": pa.array([e.documents for e in events], pa.int64()),
                "share": pa.array([e.share for e in events], pa.float64()),
                "first": pa.array([e.first for e in events], time),
                "last": pa.array([e.last for e in events], time),
                "fields": pa.array([len(e.fields) for e in events], pa.int64()),
            }
        )

    def _read(self) -> tuple[int, str]:
        """Return the newest generation and its page; the page is empty where it is shown already."""
        with self._lock:
            try:
                self._world.refresh()
                generation = self._world.snapshot.generation
                return generation, "" if generation == self._shown else self._world.catalog.to_html()
            except WorkbenchError as error:
                return -1, f"<p role='alert'>{escape(str(error))}</p>"

    def _show(self, generation: int, page: str) -> None:
        if page:
            self._shown = generation
            self._panes["catalog"].object = page

    async def _search(self, query: str) -> None:
        self._panes["hits"].visible = bool(query.strip())
        if query.strip():
            self._panes["hits"].object = await asyncio.to_thread(self._find, query)

    def _find(self, query: str) -> str:
        """Return what was found as HTML, or why nothing was looked for."""
        with self._lock:
            try:
                return self._world.catalog.search(query)._repr_mimebundle_()["text/html"]
            except WorkbenchError as error:
                return f"<p role='alert'>{escape(str(error))}</p>"
