"""A series with what was expected of it, and the episodes in which it was something else."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from workbench.plans.model import Render
from workbench.views.charts.figure import Figure, figure
from workbench.views.charts.live import common, holoviews, hover
from workbench.views.charts.palette import palette

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

__all__ = ["band", "moment", "severity_colors"]


def severity_colors(*, dark: bool = False) -> dict[str, str]:
    """Return the colour of each severity; the words beside it say the same."""
    colors = palette(dark=dark)
    return {"notable": colors.series[4], "significant": colors.warn, "critical": colors.bad}


def band(  # noqa: PLR0913  (one call a drawing)
    series: pa.Table,
    episodes: pa.Table,
    *,
    title: str,
    timezone: str,
    dark: bool = False,
    chosen: tuple[datetime | None, datetime | None] = (None, None),
    tapped: Callable[[datetime], None] | None = None,
    brushed: Callable[[datetime, datetime], None] | None = None,
) -> Any:
    """Draw what was observed in the band of what was expected, episodes shaded by severity.

    Args:
        series: ``time``, ``observed``, ``expected``, ``lower``, ``upper``, ``z``; null is unknown.
        episodes: ``since``, ``until``, ``severity`` and whatever else is to be told under the pointer.
        title: What is measured.
        timezone: IANA zone of the axis.
        dark: Whether it stands on dark ground.
        chosen: The selected range of time, marked.
        tapped: Called with the moment that is clicked on.
        brushed: Called with the range that is brushed.

    Returns:
        A HoloViews overlay.
    """
    hv = holoviews()
    shown = figure(Render(kind="table", source="series"), series, timezone)
    rows, colors = shown.rows, palette(dark=dark)
    x = hv.Dimension("place", label=f"time ({timezone})")
    y = hv.Dimension("value", label=title)
    times = rows["time"].dt.cast_time_unit("ms").to_numpy() if rows.height else np.array([], "datetime64[ms]")
    texts, lines = hover(rows)
    values = {
        name: rows[name].cast(pl.Float64).to_numpy() for name in ("observed", "expected", "lower", "upper")
    }
    known = ~(np.isnan(values["lower"]) | np.isnan(values["upper"]))
    high = float(np.nanmax([*values["observed"], *values["upper"], 0.0])) or 1.0
    usual = hv.Area(
        (times[known], values["lower"][known], values["upper"][known]), x, ["value", "upper"], label="usual"
    ).opts(color=colors.series[6], alpha=0.25, line_alpha=0)
    expected = hv.Curve((times, values["expected"]), x, y, label="expected").opts(
        color=colors.series[6], line_dash="dashed", line_width=1.2
    )
    observed = hv.Curve((times, values["observed"]), x, y, label="observed").opts(
        color=colors.series[0], line_width=1.6
    )
    marks = hv.Scatter({"place": times, "value": values["observed"], **texts}, [x], [y, *texts]).opts(
        color=colors.series[0],
        size=4,
        alpha=1.0 if rows.height <= 400 else 0.01,
        tools=["hover", "xbox_select"] if brushed else ["hover"],
        hover_tooltips=lines,
        nonselection_alpha=0.2 if rows.height <= 400 else 0.01,
    )
    spans = _spans(episodes, high, timezone, dark=dark)
    parts = [usual, spans, *_chosen(chosen, high, timezone, colors.ink), expected, observed, marks]
    if tapped is not None:
        hv.streams.Tap(source=spans).add_subscriber(
            lambda x, **_: x is not None and tapped(moment(x, timezone))
        )
    if brushed is not None:
        hv.streams.BoundsX(source=marks).add_subscriber(
            lambda boundsx, **_: boundsx and brushed(*(moment(v, timezone) for v in boundsx))
        )
    whole = Figure("line", title, "", rows)
    return hv.Overlay(parts).opts(
        **common(whole, 360, dark=dark),
        xlabel=x.label,
        ylabel="",
        ylim=(min(0.0, float(np.nanmin([*values["observed"], 0.0]))), high * 1.05),
        show_legend=True,
        legend_position="right",
    )


def moment(place: Any, timezone: str) -> datetime:
    """Return the moment at a place on an axis of wall times: milliseconds, or a time without zone."""
    wall = (
        place
        if isinstance(place, datetime)
        else np.datetime64(int(place), "ms").item()
        if isinstance(place, int | float)
        else np.datetime64(place, "us").item()
    )
    return wall.replace(tzinfo=ZoneInfo(timezone))


def _spans(episodes: pa.Table, high: float, timezone: str, *, dark: bool) -> Any:
    hv = holoviews()
    rows = figure(Render(kind="table", source="episodes"), episodes, timezone).rows
    texts, lines = hover(rows)
    left, right = (
        rows[name].dt.cast_time_unit("ms").to_numpy() if rows.height else np.array([], "datetime64[ms]")
        for name in ("since", "until")
    )
    data = {
        "x0": left,
        "y0": np.zeros(rows.height),
        "x1": right,
        "y1": np.full(rows.height, high * 1.05),
        "severity": rows["severity"].cast(pl.String).to_numpy(),
        **texts,
    }
    return hv.Rectangles(data, ["x0", "y0", "x1", "y1"], ["severity", *texts]).opts(
        color="severity",
        cmap=severity_colors(dark=dark),
        alpha=0.28,
        line_color="severity",
        line_alpha=0.9,
        tools=["hover", "tap"],
        hover_tooltips=lines,
        show_legend=False,
        nonselection_alpha=0.28,
    )


def _chosen(
    chosen: tuple[datetime | None, datetime | None], high: float, timezone: str, ink: str
) -> list[Any]:
    hv = holoviews()
    since, until = (c and c.astimezone(ZoneInfo(timezone)).replace(tzinfo=None) for c in chosen)
    if since is None or until is None:
        return []
    return [
        hv.Rectangles([(since, 0, until, high * 1.05)]).opts(fill_alpha=0, line_color=ink, line_dash="dotted")
    ]
