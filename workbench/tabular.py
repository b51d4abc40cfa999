"""What every result that is a table offers: Arrow in and out, and a bounded, escaped display."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = ["SHOWN", "Tabular", "TitledTable", "cell_text", "html_table", "json_value", "text_table"]

SHOWN = 20
_WIDEST = 60
_SECONDS = len("2013-06-30 23:59:59")


class Tabular(ABC):
    """A result that is a table.

    Attributes:
        timezone: IANA zone in which times are shown; Arrow data stay in UTC.
    """

    timezone: str = "UTC"

    @abstractmethod
    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a polars data frame."""
        import polars as pl  # noqa: PLC0415  (kept out of start-up)

        return pl.DataFrame(self.to_arrow())

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas data frame; pandas must be installed."""
        return self.to_arrow().to_pandas()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Hand the rows to any library that reads Arrow."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.to_arrow().num_rows)

    @property
    def columns(self) -> list[str]:
        """Return the names of the columns."""
        return list(self.to_arrow().column_names)

    def to_json(self) -> dict[str, Any]:
        """Return ``columns`` and all ``rows`` as JSON data; times as ISO 8601 in :attr:`timezone`."""
        table = self.to_arrow()
        zone = ZoneInfo(self.timezone)
        columns = [[json_value(v, zone) for v in column.to_pylist()] for column in table.columns]
        return {
            "columns": list(table.column_names),
            "rows": [list(row) for row in zip(*columns, strict=True)],
        }

    def _title(self) -> str:
        """Return the line above the table."""
        return ""

    def __repr__(self) -> str:
        """Return the first rows as text, with the number of all."""
        return text_table(self.to_arrow(), self._title(), self.timezone)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        table = self.to_arrow()
        return {
            "text/plain": text_table(table, self._title(), self.timezone),
            "text/html": html_table(table, self._title(), self.timezone),
        }


@dataclass(frozen=True, repr=False)
class TitledTable(Tabular):
    """A table with a line above it.

    Attributes:
        table: The rows.
        title: The line; empty for none.
        timezone: Zone in which times are shown.
    """

    table: pa.Table
    title: str = ""
    timezone: str = "UTC"

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        return self.table

    def _title(self) -> str:
        return self.title


def json_value(value: Any, zone: ZoneInfo) -> Any:  # noqa: PLR0911  (one line a type)
    """Return a value as JSON can carry it: nothing is rounded, what JSON lacks becomes text or null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value - value == 0.0 else None  # NaN and infinities have no JSON
    if isinstance(value, datetime):
        return _local(value, zone).isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(k): json_value(v, zone) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(v, zone) for v in value]
    return str(value)


def cell_text(value: Any, zone: ZoneInfo) -> str:
    """Return a value for people, on one line."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return _local(value, zone).isoformat(" ", "seconds")[:_SECONDS]
    text = str(value)
    if len(text) > _WIDEST:
        text = text[: _WIDEST - 1] + "…"
    return "".join(c if c.isprintable() else "·" for c in text)


def _local(value: datetime, zone: ZoneInfo) -> datetime:
    """Return a time in ``zone``; at the calendar's ends, where it has none there, as it is."""
    try:
        return value.astimezone(zone) if value.tzinfo else value
    except OverflowError:
        return value


def _cells(table: pa.Table, timezone: str) -> list[list[str]]:
    zone = ZoneInfo(timezone)
    shown = table.slice(0, SHOWN)
    return [
        [cell_text(v, zone) for v in row] for row in zip(*(c.to_pylist() for c in shown.columns), strict=True)
    ]


def _names(table: pa.Table) -> list[str]:
    """Return the columns' names for people: a statement can give a column any name at all."""
    return [cell_text(name, ZoneInfo("UTC")) for name in table.column_names]


def _footer(table: pa.Table, timezone: str) -> str:
    zoned = any(str(t).startswith("timestamp") and getattr(t, "tz", None) for t in table.schema.types)
    rows = f"{table.num_rows:,} rows" if table.num_rows != 1 else "1 row"
    cut = f", the first {SHOWN} shown" if table.num_rows > SHOWN else ""
    return rows + cut + (f"; times in {timezone}" if zoned else "")


def text_table(table: pa.Table, title: str, timezone: str) -> str:
    """Return the first rows of a table as aligned text."""
    cells = _cells(table, timezone)
    names = _names(table)
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    head = "  ".join(n.ljust(w) for n, w in zip(names, widths, strict=True)).rstrip()
    return "\n".join([*([title] if title else []), head, *lines, _footer(table, timezone)])


def html_table(table: pa.Table, title: str, timezone: str) -> str:
    """Return the first rows of a table as HTML; every name and value is escaped."""
    head = "".join(f"<th>{html.escape(n)}</th>" for n in _names(table))
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>"
        for row in _cells(table, timezone)
    )
    caption = f"<strong>{html.escape(title)}</strong>" if title else ""
    return (
        f"<div>{caption}<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"<small>{html.escape(_footer(table, timezone))}</small></div>"
    )
