"""Entities as points of a plane, coloured by their group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.views.charts.figure import Figure
from workbench.views.charts.live import MARKERS, common, holoviews, hover
from workbench.views.charts.palette import palette

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import polars as pl

__all__ = ["DRAWN", "group_color", "projection"]

DRAWN = 20_000
"""The most points that are drawn."""


def group_color(group: int, *, dark: bool = False) -> str:
    """Return the colour of a group; from the ninth on, colours come again with another mark."""
    series = palette(dark=dark).series
    return series[group % len(series)]


def projection(  # noqa: PLR0913  (one call a drawing)
    points: pl.DataFrame,
    *,
    title: str,
    axes: tuple[str, str],
    chosen: Collection[str] = (),
    dark: bool = False,
    brushed: Callable[[list[str]], None] | None = None,
) -> Any:
    """Draw entities as points.

    Args:
        points: ``entity``, ``x``, ``y``, ``cluster`` and whatever else is to be told under the pointer;
            beyond ``DRAWN`` rows every so many-th of each cluster is drawn, and the title says so.
        title: What is shown.
        axes: Titles of x and y.
        chosen: The selected entities, which stand out.
        dark: Whether it stands on dark ground.
        brushed: Called with the entities within a lasso or a box; with none where the mark is taken away.

    Returns:
        A HoloViews element.
    """
    hv = holoviews()
    rows = points
    note = ""
    if rows.height > DRAWN:
        rows = rows.sort("cluster", "entity").gather_every(-(-rows.height // DRAWN))
        note = f"{rows.height:,} of {points.height:,} shown, evenly from each cluster"
    texts, lines = hover(rows)
    groups = rows["cluster"].to_list()
    kinds = sorted(set(groups))
    data = {
        "x": rows["x"].to_numpy(),
        "y": rows["y"].to_numpy(),
        "cluster": np.array([str(g) for g in groups], dtype=object),
        "mark": np.array([MARKERS[g % len(MARKERS)] for g in groups], dtype=object),
        **texts,
    }
    element = hv.Scatter(
        data,
        [hv.Dimension("x", label=axes[0])],
        [hv.Dimension("y", label=axes[1]), "cluster", "mark", *texts],
    )
    index = np.flatnonzero(rows["entity"].is_in(list(chosen)).to_numpy()).tolist() if chosen else []
    if brushed is not None:
        names = rows["entity"].to_list()
        stream = hv.streams.Selection1D(source=element, index=index)
        stream.add_subscriber(lambda index: brushed([names[n] for n in index]))
    return element.opts(
        **{
            **common(Figure("scatter", title, note, rows), 460, dark=dark, grid="xy"),
            "active_tools": ["lasso_select"],
        },
        tools=["hover", "lasso_select", "box_select", "tap"],
        hover_tooltips=lines,
        color="cluster",
        cmap={str(g): group_color(g, dark=dark) for g in kinds},
        marker=hv.dim("mark"),
        size=5 if rows.height > 2_000 else 7,
        alpha=0.55,
        line_color=None,
        selected=index,
        selection_alpha=1.0,
        selection_line_color=palette(dark=dark).bad,
        nonselection_alpha=0.12,
        show_legend=len(kinds) <= 20,
        legend_position="right",
        xlabel=axes[0],
        ylabel=axes[1],
    )
