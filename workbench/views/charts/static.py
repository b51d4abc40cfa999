"""Charts that need nothing: a small inline SVG for saved notebooks and mails; every value is escaped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from math import ceil, floor, isfinite, log10
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.views.charts.figure import NOTHING, categories, figure, number_text, shown_text
from workbench.views.charts.palette import DARK, LIGHT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from workbench.plans.model import Render
    from workbench.views.charts.figure import Axis, Figure

__all__ = ["svg"]

_WIDTH = 640
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 26, 42
_BAR = 20
_LABEL = 170
_MARKS = 1_500


def svg(render: Render, table: pa.Table, *, timezone: str) -> str:
    """Return rows as a picture without scripts or outside references, light or dark as the page.

    Args:
        render: How the rows are shown.
        table: The rows.
        timezone: IANA zone of the times on axes.

    Returns:
        An ``<svg>`` element; empty where the render is no picture (a table, a summary, a graph) or the rows
        cannot be drawn so.

    Raises:
        UnknownNameError: If the render names a column that the table does not have.

    >>> import pyarrow as pa
    >>> from workbench.plans.model import Render
    >>> views = pa.table({"page": ["home"], "views": [3]})
    >>> picture = svg(Render(kind="bar", source="s"), views, timezone="UTC")
    >>> picture.startswith("<svg"), "<title>page: home" in picture
    (True, True)
    """
    shown = figure(render, table, timezone)
    match shown.kind:
        case "bar":
            return _bars(shown)
        case "line" | "timeline" | "scatter":
            return _points(shown)
        case "heatmap":
            return _heatmap(shown)
        case "metric":
            return _metric(shown)
        case _:
            return ""


def _ink(place: int) -> str:
    light, dark = LIGHT.series[place % len(LIGHT.series)], DARK.series[place % len(DARK.series)]
    return f"light-dark({light},{dark})"


def _frame(shown: Figure, height: int, body: Sequence[str]) -> str:
    label = shown.heading or f"{shown.kind} chart"
    title = f'<text x="0" y="14" font-size="13" fill="currentColor">{escape(shown.heading)}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(label)}" width="{_WIDTH}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="system-ui,sans-serif" font-size="11" '
        f'style="max-width:100%;height:auto">{title if shown.heading else ""}{"".join(body)}</svg>'
    )


def _text(x: float, y: float, words: str, *, anchor: str = "start", soft: bool = False) -> str:
    opacity = ' fill-opacity=".7"' if soft else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="currentColor"{opacity}>{escape(words)}</text>'


def _facts(rows: pl.DataFrame) -> list[str]:
    """Return a line for each row that tells all of its columns."""
    columns = [[f"{name}: {text}" for text in shown_text(rows[name])] for name in rows.columns]
    return ["\n".join(row) for row in zip(*columns, strict=True)]


def _mark(shape: str, fact: str) -> str:
    return f"{shape}<title>{escape(fact)}</title>"


def _legend(names: Sequence[str], y: float) -> list[str]:
    """Return colour keys in one line, as many as fit; the rest is counted."""
    parts, x = [], float(_LEFT)
    for place, name in enumerate(names):
        words = name if len(name) <= 24 else name[:23] + "…"
        if x + 20 + 6.2 * len(words) > _WIDTH - 60:
            parts.append(_text(x, y, f"+{len(names) - place} more", soft=True))
            break
        parts.append(f'<rect x="{x:.1f}" y="{y - 8:.1f}" width="9" height="9" style="fill:{_ink(place)}"/>')
        parts.append(_text(x + 13, y, words, soft=True))
        x += 26 + 6.2 * len(words)
    return parts


def _bars(shown: Figure) -> str:
    assert shown.x is not None  # noqa: S101  (figure() sets it for this kind)
    rows, facts = shown.rows, _facts(shown.rows)
    names = categories(rows, shown.x)
    groups = categories(rows, shown.color) if shown.color else None
    kinds = list(dict.fromkeys(groups)) if groups else [y.title for y in shown.y]
    bars: list[tuple[str, float | None, int, str]] = []
    for n, (name, fact) in enumerate(zip(names, facts, strict=True)):
        for place, y in enumerate(shown.y):
            bars.append((name, rows[y.column][n], kinds.index(groups[n]) if groups else place, fact))
    values = [float(v) for _, v, _, _ in bars if v is not None and isfinite(v)]
    low, high = min(0.0, *values, 0.0), max(0.0, *values, 0.0)
    scale = (_WIDTH - _LABEL - 70) / ((high - low) or 1.0)
    zero = _LABEL - low * scale
    top = _TOP + (18 if len(kinds) > 1 else 0)
    parts = _legend(kinds, _TOP + 8) if len(kinds) > 1 else []
    last = None
    for n, (name, value, kind, fact) in enumerate(bars):
        line = top + n * _BAR
        if name != last or (len(shown.y) == 1 and not groups):
            words = name if len(name) <= 26 else name[:25] + "…"
            parts.append(_text(_LABEL - 6, line + 14, words, anchor="end"))
        last = name
        if value is None or not isfinite(value):
            parts.append(_text(zero + 4, line + 14, NOTHING, soft=True))
            continue
        length = abs(value) * scale
        left = zero if value >= 0 else zero - length
        parts.append(
            _mark(f'<rect x="{left:.1f}" y="{line + 3}" width="{max(1.0, length):.1f}" height="{_BAR - 6}" '
                  f'style="fill:{_ink(kind)}">', fact) + "</rect>"
        )  # fmt: skip
        parts.append(_text(max(zero, zero + value * scale) + 5, line + 14, number_text(value), soft=True))
    height = top + _BAR * len(bars) + 22
    measure = shown.y[0].title if len(shown.y) == 1 else ""
    parts.append(_text(_LABEL, height - 6, measure, soft=True))
    parts.append(_text(_LABEL - 6, height - 6, shown.x.title, anchor="end", soft=True))
    return _frame(shown, height, parts)


def _numbers(column: pl.Series) -> list[float | None]:
    """Return where values stand: numbers as they are, times in seconds."""
    if column.dtype == pl.Datetime:
        return [None if v is None else v / 1e6 for v in column.dt.epoch("us").to_list()]
    if column.dtype.is_numeric():
        return [None if v is None or not isfinite(v) else float(v) for v in column.to_list()]
    places = {name: float(n) for n, name in enumerate(dict.fromkeys(column.to_list()))}
    return [places[v] for v in column.to_list()]


class _Plane:
    """Maps values to the picture and draws the axes."""

    def __init__(
        self, xs: Sequence[float], ys: Sequence[float], height: int, top: float, *, zero: bool
    ) -> None:
        self.x0, self.x1 = min(xs), max(xs)
        self.y0, self.y1 = (min(0.0, *ys) if zero else min(ys)), max(ys)
        if self.x0 == self.x1:
            self.x0, self.x1 = self.x0 - 1, self.x1 + 1
        if self.y0 == self.y1:
            self.y0, self.y1 = self.y0 - 1, self.y1 + 1
        self.bottom, self.top = height - _BOTTOM, top

    def x(self, value: float) -> float:
        return _LEFT + (value - self.x0) / (self.x1 - self.x0) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return self.bottom - (value - self.y0) / (self.y1 - self.y0) * (self.bottom - self.top)

    def rules(self) -> list[str]:
        """Return horizontal lines at round values, labelled."""
        parts = []
        for value in _round_steps(self.y0, self.y1, 5):
            y = self.y(value)
            parts.append(
                f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" '
                'stroke-opacity=".15"/>'
            )
            parts.append(_text(_LEFT - 6, y + 4, number_text(value), anchor="end", soft=True))
        return parts


def _round_steps(low: float, high: float, about: int) -> list[float]:
    """Return round values between two: multiples of 1, 2 or 5 times a power of ten.

    >>> _round_steps(0, 42, 5)
    [0.0, 10.0, 20.0, 30.0, 40.0]
    """
    rough = (high - low) / about
    power = 10.0 ** floor(log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    return [round(n * step, 12) for n in range(ceil(low / step), floor(high / step) + 1)]


def _points(shown: Figure) -> str:
    shown = _fewer(shown)
    assert shown.x is not None  # noqa: S101  (figure() sets it for this kind)
    rows = shown.rows
    color = shown.color if shown.color is not None and shown.color.scale == "category" else None
    if shown.kind != "scatter":
        color = shown.color
    groups = categories(rows, color) if color else None
    kinds = list(dict.fromkeys(groups)) if groups else [y.title for y in shown.y]
    height, top = 280, _TOP + (22 if len(kinds) > 1 else 4)
    xs = _numbers(rows[shown.x.column])
    columns = [_numbers(rows[y.column]) for y in shown.y]
    all_y = [v for column in columns for v in column if v is not None]
    all_x = [v for v in xs if v is not None]
    if not all_x or not all_y:
        return ""
    plane = _Plane(all_x, all_y, height, top, zero=shown.kind == "timeline")
    parts = [*(_legend(kinds, _TOP + 8) if len(kinds) > 1 else []), *plane.rules()]
    facts = _facts(rows)
    paths: dict[int, list[str]] = {}
    for place, column in enumerate(columns):
        gap = dict.fromkeys(range(len(kinds)), True)
        for n, (x, y) in enumerate(zip(xs, column, strict=True)):
            kind = kinds.index(groups[n]) if groups else place
            if x is None or y is None:
                gap[kind] = True
                continue
            px, py = plane.x(x), plane.y(y)
            if shown.kind != "scatter":
                paths.setdefault(kind, []).append(f"{'M' if gap[kind] else 'L'}{px:.1f} {py:.1f}")
                gap[kind] = False
            if shown.kind == "scatter" or rows.height <= 120:
                size = 3.0 if shown.kind == "scatter" else 2.4
                parts.append(
                    _mark(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{size}" fill-opacity=".8" '
                          f'style="fill:{_ink(kind)}">', facts[n]) + "</circle>"
                )  # fmt: skip
    for kind, path in paths.items():
        line = f'<path d="{"".join(path)}" fill="none" stroke-width="1.8" style="stroke:{_ink(kind)}"/>'
        parts.append(line)
    parts += _ends(shown.x, rows, plane, height)
    measure = shown.y[0].title if len(shown.y) == 1 else "value"
    parts.append(_text(0, top - 8, measure, soft=True))
    return _frame(shown, height, parts)


def _fewer(shown: Figure) -> Figure:
    """Return a figure of so many marks as a small picture bears; it says how many there were."""
    total = shown.rows.height
    if total <= _MARKS:
        return shown
    rows = shown.rows.gather_every(-(-total // _MARKS))
    note = f"{rows.height:,} of {total:,} rows drawn"
    return replace(shown, rows=rows, note="; ".join(filter(None, [shown.note, note])))


def _ends(axis: Axis, rows: pl.DataFrame, plane: _Plane, height: int) -> list[str]:
    """Return the labels along x: round numbers, or the first, the middle and the last time or name."""
    y = height - _BOTTOM + 15
    title = _text((_LEFT + _WIDTH - _RIGHT) / 2, height - 8, axis.title, anchor="middle", soft=True)
    if axis.scale == "number":
        marks = [
            _text(plane.x(v), y, number_text(v), anchor="middle", soft=True)
            for v in _round_steps(plane.x0, plane.x1, 6)
        ]
        return [*marks, title]
    if axis.scale == "category":
        names = list(dict.fromkeys(categories(rows, axis)))
        step = -(-len(names) // 8)
        marks = [
            _text(plane.x(n), y, name[:12], anchor="middle", soft=True)
            for n, name in enumerate(names)
            if n % step == 0
        ]
        return [*marks, title]
    times, form = _ticks(plane.x0, plane.x1)
    marks = [_text(plane.x(t.timestamp()), y, t.strftime(form), anchor="middle", soft=True) for t in times]
    return [*marks, title]


_DAY = 86_400
_STEPS = {
    "1m": 60, "5m": 300, "15m": 900, "1h": 3_600, "3h": 10_800, "6h": 21_600, "1d": _DAY, "2d": 2 * _DAY,
    "1w": 7 * _DAY, "2w": 14 * _DAY, "1mo": 31 * _DAY, "2mo": 61 * _DAY, "6mo": 183 * _DAY, "1y": 366 * _DAY,
}  # fmt: skip


def _ticks(first: float, last: float) -> tuple[list[datetime], str]:
    """Return at most seven round times between two, given in seconds, and how they are written."""
    step = next((name for name, seconds in _STEPS.items() if (last - first) / seconds <= 6), "20y")
    start, end = datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)
    times = pl.datetime_range(
        pl.Series([start]).dt.truncate(step)[0], end, step, time_unit="us", eager=True
    ).to_list()
    long = "%H:%M" if last - first <= _DAY else "%m-%d %H:%M"
    return [t for t in times if t >= start] or [start], long if step[-1] in "mh" else "%Y-%m-%d"


def _heatmap(shown: Figure) -> str:
    assert shown.x is not None  # noqa: S101  (figure() sets it for this kind)
    assert shown.color is not None  # noqa: S101
    rows, facts = shown.rows, _facts(shown.rows)
    xs, ys = categories(rows, shown.x), categories(rows, shown.y[0])
    across, down = list(dict.fromkeys(xs)), list(dict.fromkeys(ys))
    cell = (_WIDTH - _LABEL) / len(across)
    values = _numbers(rows[shown.color.column])
    largest = max((abs(v) for v in values if v is not None), default=0.0) or 1.0
    parts = [_text(_LABEL - 6, _TOP + n * _BAR + 14, name[:26], anchor="end") for n, name in enumerate(down)]
    for name, side, value, fact in zip(xs, ys, values, facts, strict=True):
        if value is None:
            continue
        x, y = _LABEL + across.index(name) * cell, _TOP + down.index(side) * _BAR
        ink = _ink(0 if value >= 0 else 1)
        strength = 0.06 + 0.94 * abs(value) / largest
        parts.append(
            _mark(f'<rect x="{x:.1f}" y="{y}" width="{cell - 1:.1f}" height="{_BAR - 1}" '
                  f'fill-opacity="{strength:.2f}" style="fill:{ink}">', fact) + "</rect>"
        )  # fmt: skip
    height = _TOP + _BAR * len(down) + 44
    step = -(-len(across) // max(1, int((_WIDTH - _LABEL) / 58)))
    parts += [
        _text(_LABEL + (n + 0.5) * cell, height - 28, name[:10], anchor="middle", soft=True)
        for n, name in enumerate(across)
        if n % step == 0
    ]
    sides = f"{shown.y[0].title} by {shown.x.title}; {shown.color.title} up to {number_text(largest)}"
    parts.append(_text(_LABEL, height - 8, sides, soft=True))
    return _frame(shown, height, parts)


def _metric(shown: Figure) -> str:
    row: dict[str, Any] = shown.rows.row(0, named=True)
    parts, each = [], _WIDTH / max(3, len(shown.y))
    for n, y in enumerate(shown.y):
        value = row[y.column]
        words = number_text(value) if isinstance(value, int | float) else shown_text(pl.Series([value]))[0]
        parts.append(
            f'<text x="{n * each:.1f}" y="62" font-size="34" font-weight="600" fill="currentColor">'
            f"{escape(words or NOTHING)}</text>"
        )
        parts.append(_text(n * each, 82, y.title, soft=True))
    return _frame(shown, 92, parts)
