"""Charts that answer to the pointer: a render and its rows as a HoloViews element on Bokeh."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.views.charts.figure import NOTHING, categories, figure, number_text, shown_text
from workbench.views.charts.palette import palette

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from workbench.plans.model import Render
    from workbench.views.charts.figure import Axis, Figure

__all__ = ["common", "draw", "holoviews", "hover", "preload", "style"]

DASHES = ("solid", "dashed", "dotted", "dotdash")
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "plus", "x", "star")
_TOOLS = ["pan", "wheel_zoom", "box_zoom", "reset", "save"]
_BAR = 24
_FONT = {"title": "13px", "labels": "12px", "ticks": "11px", "legend": "11px"}


def draw(render: Render, table: pa.Table, *, timezone: str, dark: bool = False) -> Any:
    """Draw rows as a render says.

    Under the pointer every mark shows all columns of its row. What a chart leaves out is said beside its
    title; rows that cannot be drawn so are a table, with the reason.

    Args:
        render: Kind, source, title and columns.
        table: The rows.
        timezone: IANA zone of the times on axes.
        dark: Whether it stands on dark ground.

    Returns:
        A HoloViews element or overlay for the Bokeh backend.

    Raises:
        UnknownNameError: If the render names a column that the table does not have.
    """
    shown = figure(render, table, timezone)
    match shown.kind:
        case "bar":
            return _bars(shown, dark=dark)
        case "line" | "timeline":
            return _lines(shown, dark=dark)
        case "scatter":
            return _scatter(shown, dark=dark)
        case "heatmap":
            return _heatmap(shown, dark=dark)
        case "metric":
            return _metric(shown, dark=dark)
        case _:
            return _table(shown)


def holoviews() -> Any:
    """Return HoloViews with its Bokeh backend, without the notebook output that its extension() makes."""
    import holoviews as hv  # noqa: PLC0415  (heavy, and for views alone)
    import holoviews.plotting.bokeh  # noqa: PLC0415  (registers the backend)

    return hv


def preload() -> None:
    """Load HoloViews where Panel is at work: in a thread that reads, so that no event loop waits for it."""
    if "panel" in sys.modules:
        holoviews()


def hover(rows: pl.DataFrame) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return a text column for every column of the rows, and the lines under the pointer that show them.

    Columns get names of their own, since a stranger's name may be anything; its name is the line's label.
    """
    texts = {f"h{n}": np.array(shown_text(c), dtype=object) for n, c in enumerate(rows.iter_columns())}
    return texts, [(name, f"@h{n}") for n, name in enumerate(rows.columns)]


def style(*, dark: bool, grid: str = "y") -> Any:
    """Return a HoloViews hook that puts a plot on its page: no ground of its own, and the page's ink.

    On light ground, or on one that the page alone knows, text takes JupyterLab's colour or that of the page's
    colour scheme; told that the ground is dark, it is light whatever the page says.
    """
    colors = palette(dark=dark)

    def apply(plot: Any, _: Any) -> None:
        figure = plot.state
        figure.background_fill_alpha = figure.border_fill_alpha = 0
        figure.outline_line_color = None
        figure.title.text_color = colors.ink
        figure.title.text_font_style = "normal"
        figure.toolbar.logo = None
        figure.toolbar.autohide = True
        for axis in figure.axis:
            axis.axis_line_color = axis.major_tick_line_color = colors.grid
            axis.minor_tick_line_color = None
            axis.major_label_text_color = axis.axis_label_text_color = colors.soft
            axis.axis_label_text_font_style = "normal"
        for lines, drawn in ((figure.xgrid, "x" in grid), (figure.ygrid, "y" in grid)):
            for line in lines:
                line.visible = drawn
        for legend in figure.legend:
            legend.background_fill_alpha = 0
            legend.border_line_color = None
            legend.label_text_color = colors.soft
            legend.stylesheets = [*legend.stylesheets, _LEGEND]
        for bar in figure.select(_color_bar()):
            bar.background_fill_alpha = 0
            bar.bar_line_color = bar.major_tick_line_color = None
            bar.major_label_text_color = bar.title_text_color = colors.soft
        if not dark:
            figure.stylesheets = [*figure.stylesheets, _INK]

    return apply


# A legend is made of elements of the page, which know its colour.
_LEGEND = ".bk-label { color: inherit !important; opacity: 0.8 }"


def _color_bar() -> Any:
    from bokeh.models.annotations import ColorBar  # noqa: PLC0415  (heavy)

    return ColorBar


# BokehJS reads these in place of a plot's own colours. A canvas knows CanvasText, but not currentcolor.
_INK = """:host {
  --wb-ink: var(--jp-ui-font-color1, CanvasText);
  --bk-text-color: var(--wb-ink);
  --bk-major-label-text-color: color-mix(in srgb, var(--wb-ink) 74%, transparent);
  --bk-group-text-color: color-mix(in srgb, var(--wb-ink) 74%, transparent);
  --bk-subgroup-text-color: color-mix(in srgb, var(--wb-ink) 74%, transparent);
  --bk-axis-label-text-color: color-mix(in srgb, var(--wb-ink) 74%, transparent);
  --bk-label-text-color: color-mix(in srgb, var(--wb-ink) 82%, transparent);
  --bk-title-text-color: color-mix(in srgb, var(--wb-ink) 74%, transparent);
  --bk-axis-line-color: color-mix(in srgb, var(--wb-ink) 20%, transparent);
  --bk-major-tick-line-color: color-mix(in srgb, var(--wb-ink) 20%, transparent);
  --bk-grid-line-color: color-mix(in srgb, var(--wb-ink) 11%, transparent);
}"""


def common(shown: Figure, height: int, *, dark: bool, grid: str = "y") -> dict[str, Any]:
    """Return the options that all plots share."""
    return {
        "title": shown.heading,
        "height": height,
        "responsive": True,
        "show_grid": True,
        "fontsize": _FONT,
        "default_tools": _TOOLS,
        "active_tools": [],
        "hooks": [style(dark=dark, grid=grid)],
    }


def _places(rows: pl.DataFrame, axis: Axis) -> Any:
    """Return where marks stand: numbers, times, or names of which no two rows share one."""
    column = rows[axis.column]
    if axis.scale == "number":
        return column.cast(pl.Float64).to_numpy()
    if axis.scale == "time":
        return column.dt.cast_time_unit("ms").to_numpy()
    return np.array(shown_text(column), dtype=object)


def distinct(names: Sequence[str]) -> list[str]:
    """Return names of which no two are equal: a repeated one gets invisible marks, to have its own place.

    >>> len(set(distinct(["a", "a", "b"])))
    3
    """
    seen: dict[str, int] = {}
    found = []
    for name in names:
        times = seen[name] = seen.get(name, -1) + 1
        found.append(name + "\u200b" * times)
    return found


def _bars(shown: Figure, *, dark: bool) -> Any:
    hv = holoviews()
    assert shown.x is not None  # noqa: S101  (figure() sets it for this kind)
    rows, x, colors = shown.rows, shown.x, palette(dark=dark).series
    parts: list[tuple[list[str], list[str] | None, Axis, pl.DataFrame]]
    if shown.color is not None:
        kdims = [hv.Dimension("place", label=x.title), hv.Dimension("color", label=shown.color.title)]
        parts = [(categories(rows, x), categories(rows, shown.color), shown.y[0], rows)]
    elif len(shown.y) > 1:
        kdims = [hv.Dimension("place", label=x.title), hv.Dimension("color", label="measure")]
        names = distinct(categories(rows, x))
        parts = [(names, [y.title] * rows.height, y, rows) for y in shown.y]
    else:
        kdims = [hv.Dimension("place", label=x.title)]
        parts = [(distinct(categories(rows, x)), None, shown.y[0], rows)]
    data: dict[str, list[Any]] = {}
    lines: list[tuple[str, str]] = []
    for places, groups, y, part in parts:
        texts, lines = hover(part)
        columns = {
            "place": places,
            "color": groups,
            "value": part[y.column].cast(pl.Float64).to_list(),
            **texts,
        }
        for name, values in columns.items():
            if values is not None:
                data.setdefault(name, []).extend(values)
    title = shown.y[0].title if len(shown.y) == 1 else "value"
    vdims = [hv.Dimension("value", label=title), *(f"h{n}" for n in range(rows.width))]
    arrays = {
        name: np.array(values, dtype=float if name == "value" else object) for name, values in data.items()
    }
    groups_shown = list(dict.fromkeys(data.get("color", [])))
    height = 110 + _BAR * max(3, len(set(data["place"])) * max(1, len(groups_shown) * 2 // 3))
    options = {
        **common(shown, min(height, 900), dark=dark, grid="x"),
        "invert_axes": True,
        "invert_yaxis": True,
        "tools": ["hover"],
        "hover_tooltips": lines,
        "line_color": None,
        "bar_width": 0.8,
        "xlabel": x.title,
        "ylabel": title,
    }
    if groups_shown:
        cmap = dict(zip(groups_shown, _cycle(colors, len(groups_shown)), strict=True))
        options |= {
            "color": "color",
            "cmap": cmap,
            "multi_level": False,
            "show_legend": True,
            "legend_position": "right",
        }
    else:
        options |= {"color": colors[0], "show_legend": False}
    return hv.Bars(arrays, kdims=kdims, vdims=vdims).opts(**options)


def _cycle(colors: Sequence[str], number: int) -> list[str]:
    return [colors[n % len(colors)] for n in range(number)]


def _lines(shown: Figure, *, dark: bool) -> Any:
    hv = holoviews()
    assert shown.x is not None  # noqa: S101  (figure() sets it for this kind)
    x, colors = shown.x, palette(dark=dark).series
    if shown.color is not None:
        color = shown.color.column
        split = shown.rows.partition_by(color, as_dict=True, maintain_order=True)
        parts = [
            (shown_text(pl.Series([key[0]]))[0] or NOTHING, shown.y[0], rows) for key, rows in split.items()
        ]
    else:
        parts = [(y.title, y, shown.rows) for y in shown.y]
    title = shown.y[0].title if len(shown.y) == 1 else "value"
    marked = shown.rows.height <= 400
    drawn = []
    for number, (name, y, rows) in enumerate(parts):
        texts, lines = hover(rows)
        data = {"place": _places(rows, x), "value": rows[y.column].cast(pl.Float64).to_numpy(), **texts}
        vdims = [hv.Dimension("value", label=title), *texts]
        kdims = [hv.Dimension("place", label=x.title)]
        ink = colors[number % len(colors)]
        curve = hv.Curve(data, kdims, vdims, label=name if len(parts) > 1 else "").opts(
            color=ink, line_width=2, line_dash="solid" if marked else DASHES[number % len(DASHES)]
        )
        marks = hv.Scatter(data, kdims, vdims, label=name if len(parts) > 1 else "").opts(
            color=ink,
            marker=MARKERS[number % len(MARKERS)],
            size=5 if marked else 1,
            alpha=1.0 if marked else 0.01,
            tools=["hover"],
            hover_tooltips=lines,
        )
        drawn += [curve, marks]
    options = common(shown, 340, dark=dark)
    zero = {"ylim": (0, None)} if shown.kind == "timeline" and _never_negative(shown) else {}
    return hv.Overlay(drawn).opts(
        **options,
        **zero,
        xlabel=x.title,
        ylabel=title,
        show_legend=len(parts) > 1,
        legend_position="right",
    )


def _never_negative(shown: Figure) -> bool:
    least = shown.rows.select(pl.min_horizontal(pl.col(y.column).min() for y in shown.y)).item()
    return least is None or least >= 0


def _scatter(shown: Figure, *, dark: bool) -> Any:
    hv = holoviews()
    assert shown.x is not None  # noqa: S101  (figure() sets it for this kind)
    rows, x, y, colors = shown.rows, shown.x, shown.y[0], palette(dark=dark).series
    texts, lines = hover(rows)
    data = {"place": _places(rows, x), "value": rows[y.column].cast(pl.Float64).to_numpy(), **texts}
    kdims = [hv.Dimension("place", label=x.title)]
    vdims = [hv.Dimension("value", label=y.title), *texts]
    options: dict[str, Any] = {"size": 7, "alpha": 0.75, "color": colors[0], "line_color": None}
    color = shown.color
    if color is not None and color.scale == "category":
        names = categories(rows, color)
        kinds = list(dict.fromkeys(names))
        data["color"] = np.array(names, dtype=object)
        data["mark"] = np.array([MARKERS[kinds.index(n) % len(MARKERS)] for n in names], dtype=object)
        vdims += [hv.Dimension("color", label=color.title), "mark"]
        options |= {
            "color": "color",
            "cmap": dict(zip(kinds, _cycle(colors, len(kinds)), strict=True)),
            "marker": hv.dim("mark"),
            "legend_position": "right",
        }
    elif color is not None and color.scale == "number":
        data["color"] = rows[color.column].cast(pl.Float64).to_numpy()
        vdims += [hv.Dimension("color", label=color.title)]
        options |= {"color": "color", "cmap": "cividis", "colorbar": True, "clabel": color.title}
    return hv.Scatter(data, kdims, vdims).opts(
        **options,
        **common(shown, 420, dark=dark, grid="xy"),
        tools=["hover"],
        hover_tooltips=lines,
        xlabel=x.title,
        ylabel=y.title,
    )


def _heatmap(shown: Figure, *, dark: bool) -> Any:
    hv = holoviews()
    assert shown.x is not None  # noqa: S101  (figure() sets it for this kind)
    assert shown.color is not None  # noqa: S101
    rows, x, y, color = shown.rows, shown.x, shown.y[0], shown.color
    texts, lines = hover(rows)
    xs, ys = categories(rows, x), categories(rows, y)
    across, down = list(dict.fromkeys(xs)), list(dict.fromkeys(ys))
    left = np.array([across.index(name) for name in xs], dtype=float)
    low = np.array([down.index(name) for name in ys], dtype=float)
    value = rows[color.column].cast(pl.Float64)
    data = {"x0": left, "y0": low, "x1": left + 0.96, "y1": low + 0.92, "value": value.to_numpy(), **texts}
    vdims = [hv.Dimension("value", label=color.title), *texts]
    edge = float(value.abs().max() or 1.0)  # type: ignore[arg-type]  # a number: figure() checked
    signed = bool((value < 0).any())
    # rectangles, not hv.HeatMap: that one cannot reshape pandas 3 strings, and merges cells of equal names
    return hv.Rectangles(data, ["x0", "y0", "x1", "y1"], vdims).opts(
        **common(shown, 130 + _BAR * max(4, len(down)), dark=dark, grid=""),
        color="value",
        cmap=diverging(dark=dark) if signed else _sequential(dark=dark),
        clim=(-edge, edge) if signed else (float(value.min() or 0), edge),  # type: ignore[arg-type]
        line_color=None,
        tools=["hover"],
        hover_tooltips=lines,
        colorbar=True,
        clabel=color.title,
        xticks=[(n + 0.48, name) for n, name in enumerate(across)],
        yticks=[(n + 0.46, name) for n, name in enumerate(down)],
        xrotation=45 if max(map(len, across)) > 60 // len(across) else 0,
        xlim=(-0.04, len(across)),
        ylim=(-0.08, len(down)),
        invert_yaxis=True,
        xlabel=x.title,
        ylabel=y.title,
    )


def _sequential(*, dark: bool) -> list[str]:
    """Return 21 colours: the more, the stronger."""
    return diverging(dark=dark)[20::-1]


def diverging(*, dark: bool) -> list[str]:
    """Return 41 colours: blue below, orange above, and between them less and less until the ground shows."""
    below, above = palette(dark=dark).series[:2]
    strengths = [*range(20, 0, -1), 0, *range(1, 21)]
    return [
        f"{below if n < 20 else above}{round(10 + strength * 12.25):02x}"
        for n, strength in enumerate(strengths)
    ]


def _metric(shown: Figure, *, dark: bool) -> Any:
    hv = holoviews()
    colors = palette(dark=dark)
    row = shown.rows.row(0, named=True)
    parts: list[Any] = []
    for place, y in enumerate(shown.y):
        parts += [
            hv.Text(place, 1, _metric_text(row[y.column])).opts(
                text_font_size="34px", text_color=colors.series[0], text_font_style="bold", text_align="left"
            ),
            hv.Text(place, 0, y.title).opts(
                text_font_size="12px", text_color=colors.series[6], text_align="left"
            ),
        ]
    options = {**common(shown, 120, dark=dark, grid=""), "show_grid": False, "toolbar": None}
    return hv.Overlay(parts).opts(
        **options, xaxis=None, yaxis=None, xlim=(-0.02, max(3, len(shown.y))), ylim=(-0.6, 1.8)
    )


def _metric_text(value: Any) -> str:
    return (
        number_text(value) if isinstance(value, int | float) else shown_text(pl.Series([value]))[0] or NOTHING
    )


def _table(shown: Figure) -> Any:
    hv = holoviews()
    texts, _ = hover(shown.rows)
    names = [hv.Dimension(f"h{n}", label=name) for n, name in enumerate(shown.rows.columns)]
    height = 60 + 25 * min(20, shown.rows.height)
    return hv.Table(texts, kdims=names, vdims=[], label="").opts(
        title=shown.heading, height=height, width=900
    )
