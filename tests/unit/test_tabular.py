"""What every table offers: Arrow both ways, JSON, and a display that strangers' data cannot break."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pytest

from workbench.tabular import SHOWN, Tabular, cell_text, html_table, json_value, text_table

BERLIN = ZoneInfo("Europe/Berlin")
MOMENT = datetime(2025, 6, 12, 22, 30, 0, 250_000, tzinfo=UTC)


class Rows(Tabular):
    def __init__(self, table: pa.Table, timezone: str = "UTC", title: str = "") -> None:
        self.table, self.timezone, self.title = table, timezone, title

    def to_arrow(self) -> pa.Table:
        return self.table

    def _title(self) -> str:
        return self.title


TABLE = pa.table({"x": [1, 2, None], "when": pa.array([MOMENT, None, MOMENT], pa.timestamp("us", "UTC"))})


def test_arrow_goes_out_and_comes_in_again() -> None:
    rows = Rows(TABLE)
    assert pa.table(rows).equals(TABLE)
    assert pa.RecordBatchReader.from_stream(rows).read_all().equals(TABLE)
    assert pl.DataFrame(rows).equals(pl.DataFrame(TABLE))
    assert rows.to_polars().equals(pl.DataFrame(TABLE))
    assert pa.table(rows.to_polars()).to_pylist() == TABLE.to_pylist()
    assert rows.to_pandas()["x"].to_list()[:2] == [1.0, 2.0]


def test_another_schema_can_be_asked_for() -> None:
    wanted = pa.schema([("x", pa.int32())])
    capsule = Rows(TABLE.select(["x"])).__arrow_c_stream__(wanted.__arrow_c_schema__())
    assert pa.RecordBatchReader._import_from_c_capsule(capsule).schema == wanted


def test_length_and_columns() -> None:
    assert (len(Rows(TABLE)), Rows(TABLE).columns) == (3, ["x", "when"])
    assert Tabular._title(Rows(TABLE)) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (2**62 + 1, 2**62 + 1),
        ("<b>", "<b>"),
        (0.1, 0.1),
        (float("nan"), None),
        (float("-inf"), None),
        (MOMENT, "2025-06-13T00:30:00.250000+02:00"),
        (datetime(2025, 6, 12, 1), "2025-06-12T01:00:00"),  # noqa: DTZ001  (a time without a zone stays so)
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999999+00:00"),
        (date(2025, 6, 12), "2025-06-12"),
        (time(1, 2), "01:02:00"),
        (timedelta(hours=1), "1:00:00"),
        (Decimal("1.10"), "1.10"),
        (b"\x00\xff", "00ff"),
        ({"a": [MOMENT, float("nan")], 1: {"b": b"x"}}, {"a": ["2025-06-13T00:30:00.250000+02:00", None],
                                                         "1": {"b": "78"}}),
        ([("key", Decimal(1))], [["key", "1"]]),
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_as_json(value: Any, expected: Any) -> None:
    found = json_value(value, BERLIN)
    assert found == expected
    assert type(found) is type(expected)
    json.dumps(found, allow_nan=False)


def test_all_rows_are_in_the_json() -> None:
    maps = pa.array([[("k", 1.5)]] * SHOWN * 3, pa.map_(pa.string(), pa.float64()))
    found = Rows(pa.table({"n": range(SHOWN * 3), "m": maps})).to_json()
    assert found == {"columns": ["n", "m"], "rows": [[i, [["k", 1.5]]] for i in range(SHOWN * 3)]}


def test_times_in_json_are_in_the_tables_zone() -> None:
    assert Rows(TABLE, "America/New_York").to_json()["rows"] == [
        [1, "2025-06-12T18:30:00.250000-04:00"],
        [2, None],
        [None, "2025-06-12T18:30:00.250000-04:00"],
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (0.123456789, "0.123457"),
        (float("nan"), "nan"),
        (MOMENT, "2025-06-13 00:30:00"),
        (datetime(2025, 6, 12, 1), "2025-06-12 01:00:00"),  # noqa: DTZ001
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01 00:53:28"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31 23:59:59"),
        ("a\nb\tc", "a·b·c"),
        ("\x1b[31mred\x1b[0m", "·[31mred·[0m"),
        ("right\u202eleft", "right·left"),
        ("\u2066hidden\u200b", "·hidden·"),
        ("größe 飛行機", "größe 飛行機"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ([1, "a"], "[1, 'a']"),
    ],
    ids=ascii,
)
def test_a_value_for_people(value: Any, expected: str) -> None:
    assert cell_text(value, BERLIN) == expected


EVIL = "<script>alert('x')</script>&\"\x1b[2J"


def test_no_name_value_or_title_gets_out_of_the_html() -> None:
    shown = html_table(pa.table({EVIL: [EVIL]}), EVIL, "UTC")
    assert "<script" not in shown
    assert "\x1b" not in shown[shown.index("<table>") :]
    assert shown.count("&lt;script&gt;") == 3
    assert set(re.findall(r"<(\w+)", shown)) == {
        "div",
        "strong",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "small",
    }


def test_no_name_or_value_moves_the_terminal() -> None:
    shown = text_table(pa.table({EVIL: [EVIL]}), "", "UTC")
    assert all(c.isprintable() or c == "\n" for c in shown)


def test_the_display_is_bounded_and_says_so() -> None:
    table = pa.table({"n": range(100_000), "long": ["y" * 1000] * 100_000})
    bundle = Rows(table, title="many")._repr_mimebundle_()
    assert bundle["text/plain"] == repr(Rows(table, title="many"))
    lines = bundle["text/plain"].splitlines()
    assert lines[0] == "many"
    assert len(lines) == 2 + SHOWN + 1
    assert lines[-1] == "100,000 rows, the first 20 shown"
    assert max(map(len, lines)) < 80
    assert bundle["text/html"].count("<tr>") == SHOWN + 1
    assert "y" * 60 not in bundle["text/html"]


def test_text_is_aligned_and_names_the_zone_of_times() -> None:
    assert repr(Rows(TABLE, "Europe/Berlin")).splitlines() == [
        "x  when",
        "1  2025-06-13 00:30:00",
        "2",
        "   2025-06-13 00:30:00",
        "3 rows; times in Europe/Berlin",
    ]
    assert repr(Rows(pa.table({"x": [1]}))).endswith("\n1 row")
    assert repr(Rows(pa.table({"x": pa.array([MOMENT], pa.timestamp("us"))}))).endswith("\n1 row")


def test_tables_without_rows_or_columns_are_shown() -> None:
    assert repr(Rows(pa.table({"x": pa.array([], pa.int64())}))) == "x\n0 rows"
    assert repr(Rows(pa.table({}))).endswith("0 rows")
    assert "0 rows" in html_table(pa.table({}), "", "UTC")
