"""What a chart shows, worked out once for the live and the static form: columns, axes, rows, limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import polars as pl

from workbench.errors import UnknownNameError
from workbench.tabular import cell_text

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.plans.model import Render

__all__ = [
    "CATEGORIES",
    "CELLS",
    "NOTHING",
    "POINTS",
    "SERIES",
    "Axis",
    "Figure",
    "categories",
    "figure",
    "number_text",
    "shown_text",
]

NOTHING = "(none)"
"""How a missing value is called where it is a category."""

CATEGORIES = 30
"""The most bars, or groups of bars."""
SERIES = 8
"""The most lines or colours."""
POINTS = 5_000
"""The most points of a scatter or a line chart."""
CELLS = 40
"""The most rows, and the most columns, of a heat map."""

Scale = Literal["time", "number", "category"]


@dataclass(frozen=True)
class Axis:
    """A column and how it is scaled.

    Attributes:
        column: Its name.
        title: The name for people, with its unit or its time zone.
        scale: How values are placed.
    """

    column: str
    title: str
    scale: Scale


@dataclass(frozen=True)
class Figure:
    """A chart without its ink.

    Attributes:
        kind: As the render says, or ``table`` where its rows cannot be drawn so.
        title: The title, or empty.
        note: What was left out or could not be drawn, or empty.
        rows: The rows to draw with all their columns; times are wall times of the zone.
        x: Where marks stand.
        y: What they show; of a heat map the other side.
        color: What tells them apart; of a heat map what its cells show.
    """

    kind: str
    title: str
    note: str
    rows: pl.DataFrame
    x: Axis | None = None
    y: tuple[Axis, ...] = ()
    color: Axis | None = None

    @property
    def heading(self) -> str:
        """Return the title with what was left out."""
        return " · ".join(part for part in (self.title, self.note) if part)


def figure(render: Render, table: pa.Table, timezone: str) -> Figure:
    """Work out what is to be drawn.

    Columns that the render does not name are chosen: along x the first time, else the first text, up y every
    number that is left. Rows keep their order; what exceeds a chart's limit is left out and said.

    Args:
        render: How the rows are shown.
        table: The rows; a column's metadata may give its ``unit``.
        timezone: IANA zone of the times on axes.

    Raises:
        UnknownNameError: If the render names a column that the table does not have.
    """
    for name in (render.x, *render.y, render.color):
        if name is not None and name not in table.column_names:
            raise UnknownNameError("column", name, table.column_names, where=render.title or render.kind)
    frame = _wall_times(pl.DataFrame(table), timezone)
    axes = {name: _axis(frame, table, name, timezone) for name in frame.columns}
    whole = Figure(render.kind, render.title, "", frame)
    if not frame.height:
        return replace(whole, kind="table", note="no rows")
    match render.kind:
        case "metric":
            return _metric(whole, render, axes)
        case "heatmap":
            return _heatmap(whole, render, axes)
        case "bar":
            return _bars(whole, render, axes)
        case "line" | "timeline" | "scatter":
            return _points(whole, render, axes)
        case _:
            return replace(whole, kind="table")


def shown_text(column: pl.Series, timezone: str = "UTC") -> list[str]:
    """Return values as people read them, on one line each, shortened visibly."""
    zone = ZoneInfo(timezone)
    return [cell_text(value, zone) for value in column.to_list()]


def categories(rows: pl.DataFrame, axis: Axis) -> list[str]:
    """Return a name for every row; a column of times at midnight gives days."""
    column = rows[axis.column]
    if axis.scale == "time":
        known = column.drop_nulls()
        days = (known == known.dt.truncate("1d")).all()
        return column.dt.strftime("%Y-%m-%d" if days else "%Y-%m-%d %H:%M").fill_null(NOTHING).to_list()
    return [text or NOTHING for text in shown_text(column)]


def _wall_times(frame: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """Return the rows with every point in time as the zone's clocks show it."""
    zoned = [n for n, t in frame.schema.items() if isinstance(t, pl.Datetime) and t.time_zone]
    days = [n for n, t in frame.schema.items() if t == pl.Date]
    return frame.with_columns(
        pl.col(zoned).dt.convert_time_zone(timezone).dt.replace_time_zone(None),
        pl.col(days).cast(pl.Datetime),
    )


def _axis(frame: pl.DataFrame, table: pa.Table, name: str, timezone: str) -> Axis:
    kind = frame.schema[name]
    scale: Scale = "time" if kind == pl.Datetime else "number" if kind.is_numeric() else "category"
    unit = (table.schema.field(name).metadata or {}).get(b"unit", b"").decode()
    # a day has no zone: midnight here is midnight there
    zoned = scale == "time" and getattr(table.schema.field(name).type, "tz", None)
    about = timezone if zoned else unit
    return Axis(name, f"{name} ({about})" if about else name, scale)


def _first(axes: dict[str, Axis], *scales: Scale, but: tuple[str, ...] = ()) -> Axis | None:
    """Return the first column of the first scale that any has."""
    found = (a for scale in scales for n, a in axes.items() if a.scale == scale and n not in but)
    return next(found, None)


def _measures(render: Render, axes: dict[str, Axis], x: Axis) -> tuple[Axis, ...]:
    """Return what goes up: the columns named, or every number that is not used yet."""
    names = render.y or tuple(
        n for n, a in axes.items() if a.scale == "number" and n not in (x.column, render.color)
    )
    return tuple(axes[n] for n in names if axes[n].scale == "number")


def _as_table(whole: Figure, why: str) -> Figure:
    return replace(whole, kind="table", note=f"no {whole.kind} chart: {why}")


def _metric(whole: Figure, render: Render, axes: dict[str, Axis]) -> Figure:
    named = [axes[n] for n in render.y] or [a for a in axes.values() if a.scale == "number"]
    y = tuple(named or axes.values())
    left = f"the first of {whole.rows.height:,} rows" if whole.rows.height > 1 else ""
    return replace(whole, rows=whole.rows.head(1), y=y, note=left)


def _bars(whole: Figure, render: Render, axes: dict[str, Axis]) -> Figure:
    x = axes[render.x] if render.x else _first(axes, "category", "time", "number", but=render.y)
    y = _measures(render, axes, x) if x else ()
    if x is None or not y:
        return _as_table(whole, "no column is a number" if not y else "one column is not enough")
    color = axes[render.color] if render.color and render.color != x.column else None
    if color is not None:
        y = y[:1]
    rows, notes = whole.rows, list[str]()
    names = rows.select(pl.col(x.column).unique(maintain_order=True)).to_series()
    # without a colour every row is a bar of its own
    total = len(names) if color else rows.height
    if total > CATEGORIES:
        rows = rows.filter(pl.col(x.column).is_in(names.head(CATEGORIES).implode(), nulls_equal=True))
        rows = rows if color else whole.rows.head(CATEGORIES)
        notes.append(f"{CATEGORIES} of {total:,} shown")
    rows, color, colors_left = _few_colors(rows, color, y[0].column)
    notes += colors_left
    if len(y) > SERIES:
        notes.append(f"{SERIES} of {len(y)} measures shown")
    return replace(whole, rows=rows, x=x, y=y[:SERIES], color=color, note="; ".join(notes))


def _points(whole: Figure, render: Render, axes: dict[str, Axis]) -> Figure:
    wanted: tuple[Scale, ...] = ("number",) if whole.kind == "scatter" else ("time", "number", "category")
    x = axes[render.x] if render.x else _first(axes, *wanted, but=render.y)
    y = _measures(render, axes, x) if x else ()
    if x is None or not y:
        return _as_table(whole, "it needs a place and a number")
    color = axes[render.color] if render.color else None
    if color is not None or whole.kind == "scatter":
        y = y[:1]
    rows, notes = whole.rows, list[str]()
    if color is not None and (color.scale == "category" or whole.kind != "scatter"):
        rows, color, notes = _few_colors(rows, color, y[0].column)
    if rows.height > POINTS:
        notes.append(f"{POINTS:,} of {rows.height:,} points shown, evenly spread")
        rows = rows.gather_every(-(-rows.height // POINTS))
        notes[-1] = notes[-1].replace(f"{POINTS:,}", f"{rows.height:,}")
    if whole.kind != "scatter" and x.scale != "category":
        rows = rows.sort(x.column, maintain_order=True)
    if len(y) > SERIES:
        notes.append(f"{SERIES} of {len(y)} measures shown")
    return replace(whole, rows=rows, x=x, y=y[:SERIES], color=color, note="; ".join(notes))


def _heatmap(whole: Figure, render: Render, axes: dict[str, Axis]) -> Figure:
    number = axes[render.color] if render.color else _first(axes, "number", but=(render.x or "", *render.y))
    used: tuple[str, ...] = (number.column,) if number else ()
    x = axes[render.x] if render.x else _first(axes, "category", "time", "number", but=(*used, *render.y))
    used = (*used, x.column) if x else used
    y = axes[render.y[0]] if render.y else _first(axes, "category", "time", "number", but=used)
    if x is None or y is None or number is None or number.scale != "number":
        return _as_table(whole, "it needs two sides and a number")
    rows, notes = whole.rows, list[str]()
    for axis in (x, y):
        names = rows.select(pl.col(axis.column).unique(maintain_order=True)).to_series()
        if len(names) > CELLS:
            notes.append(f"{CELLS} of {len(names):,} {axis.column} shown")
            rows = rows.filter(pl.col(axis.column).is_in(names.head(CELLS).implode(), nulls_equal=True))
    return replace(whole, rows=rows, x=x, y=(y,), color=number, note="; ".join(notes))


def _few_colors(
    rows: pl.DataFrame, color: Axis | None, measure: str
) -> tuple[pl.DataFrame, Axis | None, list[str]]:
    """Return the rows of the largest groups by a measure, as many as there are colours."""
    if color is None:
        return rows, None, []
    sizes = rows.group_by(color.column, maintain_order=True).agg(pl.col(measure).abs().sum())
    if sizes.height <= SERIES:
        return rows, color, []
    largest = sizes.sort(measure, descending=True, nulls_last=True, maintain_order=True).head(SERIES)
    kept = rows.filter(pl.col(color.column).is_in(largest[color.column].implode(), nulls_equal=True))
    return kept, color, [f"{SERIES} largest of {sizes.height:,} {color.column} shown"]


def number_text(value: Any) -> str:
    """Return a figure as people read it: thousands parted, four significant digits of a fraction.

    >>> number_text(1240), number_text(0.123456), number_text(81234.5), number_text(None)
    ('1,240', '0.1235', '81,234', '')
    """
    if value is None or not isfinite(value):
        return ""
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:,.4g}"
