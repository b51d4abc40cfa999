"""The parts of a report as markup: text, answers, tables, views, charts, parts of the graph."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from workbench.errors import UsageError, WorkbenchError
from workbench.graph import Subgraph
from workbench.knowledge import Knowledge
from workbench.plans.answer import Answer
from workbench.reports.pictures import graph_picture
from workbench.sql import Result
from workbench.tabular import Tabular, cell_text
from workbench.views import View
from workbench.views._graph_picture import Picture

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.plans.model import Render
    from workbench.plans.results import StepResult

__all__ = ["Drawn", "draw_part", "in_script", "is_element", "markdown", "table_markup"]

SHOWN_ROWS = 500
_KINDS = "text, answers, tables, views, parts of the graph and HoloViews elements"


@dataclass
class Drawn:
    """One part.

    Attributes:
        pieces: In their order: HTML in which every value is escaped, Bokeh models, and pictures of graphs.
        provenance: How it came about, for the manifest; empty for text.
    """

    pieces: list[Any] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)

    def add(self, *pieces: Any) -> None:
        """Add what comes next."""
        self.pieces += pieces

    def to_html(self) -> str:
        """Return the part for a :func:`~workbench.reports.page.page`, which brings what it is drawn with."""
        return "".join(map(_piece, self.pieces))


def draw_part(part: Any, timezone: str) -> Drawn:
    """Return a part of a report.

    Args:
        part: What to show.
        timezone: Zone of the times of a table that has none of its own.

    Raises:
        UsageError: If it is nothing that a report can show.
    """
    if isinstance(part, str):
        return Drawn([markdown(part)])
    if isinstance(part, View):
        state = {"view": part.name, "state": part.state, "python": part.to_python()}
        return Drawn([f"<h3>{escape(part.title)}</h3>", part.to_html()], state)
    kinds: tuple[tuple[type, Any], ...] = ((Answer, _answer), (Subgraph, _subgraph), (Tabular, _tabular))
    for kind, draw in kinds:
        if isinstance(part, kind):
            drawn: Drawn = draw(part)
            return drawn
    if is_element(part):
        return _element(part)
    if hasattr(part, "__arrow_c_stream__"):
        return _table(part, timezone)
    raise UsageError(f"a report cannot show a {type(part).__name__}.", fix=f"It shows {_KINDS}.")


def _piece(piece: Any) -> str:
    if isinstance(piece, str):
        return piece
    if isinstance(piece, Picture):
        data = in_script(json.dumps(piece.to_json()))
        return (
            f'<div class="wb-drawing" data-graph><script type="application/json">{data}</script>'
            f"{piece.to_svg()}</div>"
        )
    from bokeh.embed import components  # noqa: PLC0415  (heavy)

    script, place = components(piece)
    return f'<div class="wb-figure">{place}</div>{script}'


def in_script(text: str) -> str:
    r"""Return JSON that cannot end the script element that it stands in.

    >>> print(in_script('"</script>"'))
    "\u003c/script>"
    """
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def table_markup(table: pa.Table, timezone: str, title: str = "") -> str:
    """Return a table with its first rows; how many there are is said. Every name and value is escaped."""
    import pyarrow.types as pt  # noqa: PLC0415  (kept out of start-up)

    zone = ZoneInfo(timezone)
    shown = table.slice(0, SHOWN_ROWS)
    numeric = [pt.is_integer(t) or pt.is_floating(t) or pt.is_decimal(t) for t in table.schema.types]
    classes = [' class="number"' if number else "" for number in numeric]
    names = (cell_text(name, zone) for name in table.column_names)
    head = "".join(f"<th{c}>{escape(n)}</th>" for c, n in zip(classes, names, strict=True))
    columns = [[cell_text(value, zone) for value in column.to_pylist()] for column in shown.columns]
    rows = "".join(
        "<tr>" + "".join(f"<td{c}>{escape(v)}</td>" for c, v in zip(classes, row, strict=True)) + "</tr>"
        for row in zip(*columns, strict=True)
    )
    count = "1 row" if table.num_rows == 1 else f"{table.num_rows:,} rows"
    cut = f", the first {SHOWN_ROWS:,} shown" if table.num_rows > SHOWN_ROWS else ""
    times = f"; times in {timezone}" if any(getattr(t, "tz", None) for t in table.schema.types) else ""
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    return (
        f'<div class="table"><table>{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        f"<p class='soft'>{count}{cut}{escape(times)}</p>"
    )


def markdown(text: str) -> str:
    """Return CommonMark with tables as HTML: markup in it is shown as text, links lead to web pages alone."""
    from markdown_it import MarkdownIt  # noqa: PLC0415  (for reports alone)

    rendered: str = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image").render(text)
    return rendered


def _answer(answer: Answer) -> Drawn:
    title = answer.question or (answer.plan.question if answer.plan else "") or "Answer"
    drawn = Drawn([f"<h3>{escape(title)}</h3><p>{escape(answer.text)}</p>"])
    pictured = set()
    for render in answer.renders:
        result = answer.results.get(render.source)
        if result is not None and result.table.num_rows and render.kind not in ("table", "summary"):
            _render(drawn, render, result, answer.timezone)
            pictured.add((render.source, render.kind))
    for name, table in answer.tables.items():
        if table.num_columns and (name, "metric") not in pictured:
            result = answer.results[name]
            drawn.add(table_markup(table, answer.timezone, result.title))
            drawn.add(*(f"<p class='soft'>{escape(note)}</p>" for note in result.notes))
    if answer.plan is not None:
        drawn.add(
            f"<details><summary>How this came about</summary><pre>{escape(answer.explain())}</pre></details>",
            f"<details><summary>Python</summary><pre>{escape(answer.to_python())}</pre></details>",
        )
        drawn.provenance = {
            "question": answer.question,
            "planner": answer.planner,
            "plan": answer.plan.to_json(),
            "lineage": {name: result.lineage.to_json() for name, result in answer.results.items()},
        }
    return drawn


def _render(drawn: Drawn, render: Render, result: StepResult, timezone: str) -> None:
    from workbench.views import charts  # noqa: PLC0415  (heavy)

    if render.kind == "graph":
        if result.edges is not None:
            drawn.add(graph_picture(result.table, result.edges))
        return
    try:
        element = charts.draw(render, result.table, timezone=timezone)
    except WorkbenchError as error:
        drawn.add(f"<p role='alert'>{escape(str(error))}</p>")
        return
    if type(element).__name__ != "Table":  # rows that cannot be drawn stand in the table below
        drawn.add(_bokeh(element))


def _table(part: Any, timezone: str) -> Drawn:
    import pyarrow as pa  # noqa: PLC0415  (kept out of start-up)

    table = pa.table(part)
    return Drawn([table_markup(table, timezone)], {"rows": table.num_rows})


def _subgraph(part: Subgraph) -> Drawn:
    drawn = Drawn([f"<h3>{escape(repr(part))}</h3>"], {"graph": repr(part)})
    if part.nodes.num_rows:
        drawn.add(graph_picture(part.nodes, part.edges, hidden=sum(getattr(part, "hidden", ()))))
    tables = "".join(
        table_markup(table, part.timezone, name)
        for name, table in (("nodes", part.nodes), ("edges", part.edges))
        if table.num_rows
    )
    drawn.add(f"<details><summary>Nodes and edges as tables</summary>{tables}</details>")
    return drawn


def _tabular(part: Tabular) -> Drawn:
    from dataclasses import asdict  # noqa: PLC0415

    table = part.to_arrow()
    title = part._title()  # noqa: SLF001  (a title is for those who show it)
    drawn = Drawn([table_markup(table, part.timezone, title)], {"rows": table.num_rows})
    if isinstance(part, Result):
        drawn.provenance["sql"] = part.statement
        drawn.add(f"<details><summary>SQL</summary><pre>{escape(part.statement)}</pre></details>")
    if isinstance(part, Knowledge):
        drawn.provenance["run"] = asdict(part.run)
    return drawn


def is_element(part: Any) -> bool:
    """Return whether it is something of HoloViews, without importing that."""
    module = sys.modules.get("holoviews")
    return module is not None and isinstance(part, module.core.Dimensioned)


def _element(part: Any) -> Drawn:
    import holoviews as hv  # noqa: PLC0415  (heavy)

    if isinstance(part, hv.HoloMap | hv.DynamicMap):
        raise UsageError(
            f"a report cannot show all frames of a {type(part).__name__}.",
            fix="Give one frame, or .layout().",
        )
    return Drawn([_bokeh(part)], {"chart": type(part).__name__})


def _bokeh(element: Any) -> Any:
    """Return the Bokeh model of a HoloViews element."""
    import holoviews as hv  # noqa: PLC0415  (heavy)
    import holoviews.plotting.bokeh  # noqa: PLC0415  (registers the backend; hv.extension would write to a notebook)

    assert holoviews.plotting.bokeh  # noqa: S101
    return hv.renderer("bokeh").get_plot(element).state
