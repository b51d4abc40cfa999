"""Charts: what is drawn, what is under the pointer, what is left out and said."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from workbench.errors import UnknownNameError
from workbench.plans.model import Render
from workbench.views.charts import draw, svg
from workbench.views.charts.figure import figure
from workbench.views.charts.palette import DARK, LIGHT

hv = pytest.importorskip("holoviews", reason="charts are drawn with holoviews")

EVIL = "<script>alert('x')</script>&\"'"
SVG = "{http://www.w3.org/2000/svg}"


def render(kind: str, **columns: Any) -> Render:
    return Render(kind=kind, source="step", **columns)


def hours(count: int, **columns: list[Any]) -> pa.Table:
    start = datetime(2025, 6, 1, 22, tzinfo=UTC)
    times = pa.array([start + timedelta(hours=n) for n in range(count)], pa.timestamp("us", "UTC"))
    return pa.table({"time": times, **columns})


TABLES = {
    "bar": (render("bar", title="Views"), pa.table({"page": ["a", "b", "a"], "views": [3, 5, None]})),
    "grouped bar": (
        render("bar", x="page", y=("views",), color="device"),
        pa.table({"page": ["a", "a", "b"], "device": ["x", "y", "x"], "views": [3, 5, 4]}),
    ),
    "two measures": (render("bar"), pa.table({"page": ["a", "b"], "views": [3, 5], "share": [0.1, -0.2]})),
    "line": (render("line"), hours(5, n=[1, 2, None, 4, 5], m=[1.5, 2.5, 3.5, 4.5, 5.5])),
    "timeline": (render("timeline", color="k", y=("n",)), hours(4, n=[1, 2, 3, 4], k=["a", "b", "a", None])),
    "scatter": (render("scatter"), pa.table({"x": [1.0, 2.0], "y": [3.0, float("nan")], "name": ["a", "b"]})),
    "colored scatter": (
        render("scatter", x="x", y=("y",), color="z"),
        pa.table({"x": [1, 2], "y": [3, 4], "z": [5, 6]}),
    ),
    "heatmap": (
        render("heatmap", x="day", y=("hour",), color="n"),
        pa.table({"day": ["mo", "tu", "mo"], "hour": [1, 1, 2], "n": [1, -2, 3]}),
    ),
    "metric": (render("metric", title="All"), pa.table({"events": [81_234]})),
}


def plot(wanted: Render, table: pa.Table, timezone: str = "UTC") -> Any:
    return hv.render(draw(wanted, table, timezone=timezone), backend="bokeh")


def under_the_pointer(figure: Any) -> list[list[str]]:
    """Return the rows of all hover texts, a text a column."""
    from bokeh.models import HoverTool

    found = []
    for tool in figure.select(HoverTool):
        for renderer in tool.renderers:
            data = renderer.data_source.data
            found += list(zip(*(data[field.strip("@{}")] for _, field in tool.tooltips), strict=True))
    return [list(row) for row in found]


@pytest.mark.parametrize("name", [n for n in TABLES if n != "metric"])
def test_every_row_shows_all_of_its_columns_under_the_pointer(name: str) -> None:
    from bokeh.models import HoverTool

    wanted, table = TABLES[name]
    figure = plot(wanted, table)
    labels = {tuple(label for label, _ in tool.tooltips) for tool in figure.select(HoverTool)}
    assert labels == {tuple(table.column_names)}
    texts = {tuple(row) for row in under_the_pointer(figure)}
    assert len(texts) == table.num_rows
    column = table.column_names.index("n") if "n" in table.column_names else 0
    expected = {
        "" if v is None else f"{v:g}" if isinstance(v, float) else str(v) for v in table[column].to_pylist()
    }
    if not str(table.schema.types[column]).startswith("timestamp"):
        assert {row[column] for row in texts} == expected


@pytest.mark.parametrize("name", TABLES)
def test_the_static_picture_is_well_formed_and_self_contained(name: str) -> None:
    wanted, table = TABLES[name]
    picture = svg(wanted, table, timezone="UTC")
    root = ET.fromstring(picture)  # noqa: S314  (our own)
    assert root.tag == f"{SVG}svg"
    assert root.get("aria-label")
    assert not root.findall(f".//{SVG}script")
    assert not [e for e in root.iter() for key in e.attrib if "href" in key or key.startswith("on")]


@pytest.mark.parametrize("kind", ["bar", "line", "scatter", "heatmap", "metric"])
def test_markup_in_values_and_names_stays_text(kind: str) -> None:
    table = pa.table({EVIL: [EVIL, "b"], "x": [1, 2], "y": [1.0, 2.0]})
    wanted = {
        "heatmap": render(kind, title=EVIL, x=EVIL, y=("x",), color="y"),
        "scatter": render(kind, title=EVIL, x="x", y=("y",), color=EVIL),
    }.get(kind, render(kind, title=EVIL, x=None if kind == "metric" else EVIL, y=("y",)))
    picture = svg(wanted, table, timezone="UTC")
    assert "<script" not in picture
    words = "".join(ET.fromstring(picture).itertext())  # noqa: S314
    assert EVIL in words
    assert plot(wanted, table).title.text.startswith(EVIL[:20])


def test_bars_beyond_the_limit_are_counted() -> None:
    table = pa.table({"page": [f"p{n}" for n in range(1_240)], "views": list(range(1_240, 0, -1))})
    shown = figure(render("bar", title="Views"), table, "UTC")
    assert shown.heading == "Views · 30 of 1,240 shown"
    assert shown.rows["page"].to_list() == [f"p{n}" for n in range(30)]
    assert "30 of 1,240 shown" in svg(render("bar"), table, timezone="UTC")
    drawn = plot(render("bar"), table)
    assert "30 of 1,240 shown" in drawn.title.text
    assert len(under_the_pointer(drawn)) == 30


def test_the_largest_groups_get_the_colours() -> None:
    table = pa.table({"page": ["a"] * 20, "kind": [f"k{n}" for n in range(20)], "views": list(range(20))})
    shown = figure(render("bar", x="page", y=("views",), color="kind"), table, "UTC")
    assert shown.note == "8 largest of 20 kind shown"
    assert sorted(shown.rows["views"]) == list(range(12, 20))


def test_points_beyond_the_limit_are_spread_and_counted() -> None:
    table = pa.table({"x": list(range(12_000)), "y": list(range(12_000))})
    shown = figure(render("scatter"), table, "UTC")
    assert shown.note == "4,000 of 12,000 points shown, evenly spread"
    assert shown.rows["x"].to_list()[:3] == [0, 3, 6]


def test_axes_name_the_zone_and_the_unit() -> None:
    table = hours(3, distance=[1.0, 2.0, 3.0])
    table = table.set_column(
        1, pa.field("distance", pa.float64(), metadata={"unit": "km"}), table["distance"]
    )
    drawn = plot(render("line"), table, "Europe/Berlin")
    assert drawn.xaxis[0].axis_label == "time (Europe/Berlin)"
    assert drawn.yaxis[0].axis_label == "distance (km)"
    shown = figure(render("line"), table, "Europe/Berlin")
    assert shown.rows["time"][0] == datetime(2025, 6, 2, 0)  # noqa: DTZ001  (a wall time)


def test_a_gap_stays_a_gap() -> None:
    picture = svg(render("line", y=("n",)), hours(5, n=[1, 2, None, 4, 5]), timezone="UTC")
    path = next(p for p in ET.fromstring(picture).iter(f"{SVG}path"))  # noqa: S314
    assert path.get("d", "").count("M") == 2


def test_what_cannot_be_drawn_is_a_table_that_says_why() -> None:
    table = pa.table({"page": ["a"], "title": ["b"]})
    assert figure(render("bar"), table, "UTC").heading == "no bar chart: no column is a number"
    assert svg(render("bar"), table, timezone="UTC") == ""
    assert isinstance(draw(render("bar"), table, timezone="UTC"), hv.Table)
    empty = figure(render("line"), hours(0, n=[]), "UTC")
    assert (empty.kind, empty.note) == ("table", "no rows")


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownNameError, match="vews"):
        draw(render("bar", y=("vews",)), pa.table({"page": ["a"], "views": [1]}), timezone="UTC")


def test_equal_names_keep_a_bar_each() -> None:
    drawn = plot(*TABLES["bar"])
    assert len(drawn.y_range.factors) == 3
    assert [name.strip("\u200b") for name in drawn.y_range.factors] == ["a", "b", "a"]


def luminance(color: str) -> float:
    parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("colors", "ground"),
    [(LIGHT, LIGHT.ground), (LIGHT, DARK.ground), (DARK, DARK.ground)],
    ids=["light", "light on dark", "dark"],
)
def test_colours_stand_out_from_their_ground(colors: Any, ground: str) -> None:
    marks = (*colors.series, colors.good, colors.warn, colors.bad)
    assert min(contrast(mark, ground) for mark in marks) >= 3
    if ground == colors.ground:
        assert contrast(colors.ink, ground) >= 7
        assert contrast(colors.soft, ground) >= 4.5
