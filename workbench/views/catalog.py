"""The catalog as a view: what there is, with a search over all names."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

from workbench.errors import UsageError
from workbench.views._look import fragment
from workbench.views._page import pickable
from workbench.views._stored import select_entities
from workbench.views.base import View

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from workbench.catalog import Catalog
    from workbench.views.base import Job

__all__ = ["CatalogView"]

_HITS = 20


@dataclass(frozen=True)
class _Data:
    catalog: Catalog
    page: str
    found: tuple[dict[str, Any], ...]
    note: str


class CatalogView(View):
    """What the workspace holds: events over time, fields, entities, edges, knowledge, segments.

    A click on an entity selects it. State: ``search``, the name that is looked for; typos are forgiven.
    """

    title: ClassVar[str] = "Catalog"
    defaults: ClassVar[Mapping[str, Any]] = {"search": ""}
    follows: ClassVar[bool] = False

    def read(self, job: Job) -> _Data:
        """Return the catalog of the generation, its page, and what the search found."""
        catalog = self.world.catalog
        page = catalog.to_html()
        job.check()
        found: list[dict[str, Any]] = []
        note = ""
        if self["search"].strip():
            try:
                hits = catalog.search(self["search"], _HITS)
            except UsageError as error:
                note = str(error)
            else:
                found = hits.to_arrow().to_pylist()
                note = hits._title()  # noqa: SLF001  (a table's line above it)
        return _Data(catalog, page, tuple(found), note)

    def table(self, data: _Data) -> pa.Table:
        """Return the event types: ``type``, ``documents``, ``share``, ``first``, ``last``, ``fields``."""
        import pyarrow as pa  # noqa: PLC0415

        events = data.catalog.event_types
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

    def controls(self) -> Mapping[str, Any]:
        """Return the box of the search."""
        import panel as pn  # noqa: PLC0415  (heavy)

        hint = "a type, field, value, entity or result"
        return {"search": pn.widgets.TextInput(label="Search", placeholder=hint, width=420)}

    def empty(self, data: _Data) -> str:
        """Return nothing: an empty workspace has a catalog, too."""
        del data
        return ""

    def draw(self, data: _Data, shown: Any) -> Any:
        """Return what was found above the catalog's page."""
        import panel as pn  # noqa: PLC0415  (heavy)

        if shown is None:
            shown = pn.Column(
                pickable(picked=self._pick),
                pickable(picked=self._pick),
                sizing_mode="stretch_width",
            )
        found, page = shown
        found.markup = fragment(_found(data)) if self["search"].strip() else ""
        page.markup = data.page
        return shown

    def html(self, data: _Data) -> str:
        """Return what was found and the catalog's page."""
        return (_found(data) if self["search"].strip() else "") + data.page

    def to_python(self) -> str:
        """Return Python that gives the catalog, or what the search found."""
        return f"db.catalog.search({self['search']!r})" if self["search"].strip() else "db.catalog"

    def _pick(self, what: str) -> None:
        kind, _, name = what.partition("=")
        if kind == "entity":
            select_entities(self.selection, [name])
        elif kind == "search":
            self.update(search=name)


def _found(data: _Data) -> str:
    """Return the hits as a table; those that are entities can be picked."""
    note = f"<h3 role='status'>{escape(data.note)}</h3>"
    if not data.found:
        return note
    lines = []
    for hit in data.found:
        pick = (
            f" data-pick='{escape('entity=' + hit['name'], quote=True)}'" if hit["kind"] == "entity" else ""
        )
        select = "<td class='soft'>select</td>" if pick else "<td></td>"
        lines.append(
            f"<tr{pick}><td class='name'>{escape(hit['name'])}</td><td>{escape(hit['kind'])}</td>"
            f"<td>{escape(hit['where'])}</td><td class='number'>{hit['weight']:,}</td>{select}</tr>"
        )
    head = "<tr><th>name</th><th>is</th><th>of</th><th class='number'>behind it</th><th></th></tr>"
    table = f"<table><thead>{head}</thead><tbody>{''.join(lines)}</tbody></table>"
    return note + table
