"""What ``db.sql`` returns: all rows as an Arrow table, with the forms that a notebook and a program want."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import html
import math
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from workbench.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl

__all__ = ["Result"]

SHOWN_ROWS = 20
SHOWN_COLUMNS = 30
SHOWN_CHARACTERS = 120

_EXACT_DIGITS = 15  # a decimal of so many digits is the same number again after a trip through a float


@dataclass(frozen=True, eq=False, repr=False)
class Result(Tabular):
    """All rows of one statement.

    Attributes:
        table: The rows; timestamps with a zone are in ``timezone``.
        statement: The statement as it was given.
        seconds: What it took, with the verification of the files that were opened for the first time.
        timezone: IANA time zone that the statement's dates and hours are in.
        notes: What a reader must know of the rows, as sentences: what is missing from the tables.

    >>> result = Result(pa.table({"page": ["home", "help"], "clicks": [2, 1]}), "select ...", 0.01, "UTC")
    >>> result.rows
    [('home', 2), ('help', 1)]
    >>> result.to_json()
    {'columns': ['page', 'clicks'], 'rows': [['home', 2], ['help', 1]]}
    """

    table: pa.Table
    statement: str
    seconds: float
    timezone: str
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """All rows as tuples of Python values."""
        return list(self)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Iterate over the rows as tuples of Python values."""
        for batch in self.table.to_batches():
            yield from zip(*map(_python, batch.columns), strict=True)

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table, without a copy."""
        return self.table

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a polars frame; an interval becomes a struct of months, days and nanoseconds."""
        import polars as pl  # noqa: PLC0415

        frame = pl.from_arrow(_without_intervals(self.table))
        if not isinstance(frame, pl.DataFrame):
            raise TypeError(f"polars made a {type(frame).__name__} of a table")
        return frame

    def to_json(self) -> dict[str, list[Any]]:
        """Return ``{"columns": [...], "rows": [[...], ...]}`` of all rows, ready for ``json.dumps``.

        Where there are notes, they are under ``"notes"``.

        Timestamps, dates and times become ISO 8601, those with a zone with their offset; intervals ISO 8601
        durations; decimals numbers where that is exact and strings otherwise; bytes base64; NaN null;
        infinities ``"Infinity"`` and ``"-Infinity"``; structs objects; maps lists of pairs.
        """
        notes = {"notes": list(self.notes)} if self.notes else {}
        return {"columns": self.columns, "rows": [[_json(value) for value in row] for row in self], **notes}

    def __repr__(self) -> str:
        """Return the first rows as text."""
        if plan := self._plan():
            return plan
        head, names = self._head()
        cells = [names, *([_shown(value) for value in row] for row in head)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([*lines, self._footer()])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._html()}

    def _plan(self) -> str:
        """Return what EXPLAIN said, line by line, or nothing if this is another statement's result."""
        if self.columns != ["explain_key", "explain_value"]:
            return ""
        return "\n".join(_escaped(line) for row in self for line in str(row[1]).splitlines())

    def _html(self) -> str:
        if plan := self._plan():
            return f"<pre>{html.escape(plan)}</pre>"
        head, names = self._head()
        title = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(_shown(value))}</td>" for value in row) + "</tr>"
            for row in head
        )
        return (
            f"<table><thead><tr>{title}</tr></thead><tbody>{body}</tbody></table>"
            f"<p><small>{html.escape(self._footer())}</small></p>"
        )

    def _head(self) -> tuple[list[tuple[Any, ...]], list[str]]:
        first = self.table.slice(0, SHOWN_ROWS).select(
            list(range(min(SHOWN_COLUMNS, self.table.num_columns)))
        )
        columns = [_python(column) for column in first.columns]
        return list(islice(zip(*columns, strict=True), SHOWN_ROWS)), [
            _shown(name) for name in first.column_names
        ]

    def _footer(self) -> str:
        rows, columns = self.table.num_rows, self.table.num_columns
        said = [f"{'… ' if rows > SHOWN_ROWS else ''}{rows:,} row{'' if rows == 1 else 's'} in all"]
        if columns > SHOWN_COLUMNS:
            said.append(f"the first {SHOWN_COLUMNS} of {columns} columns")
        if any(_has_time(field.type) for field in self.table.schema):
            said.append(f"time zone {self.timezone}")
        return " ".join([", ".join(said) + "." * bool(self.notes), *self.notes])


def _has_time(kind: pa.DataType) -> bool:
    return pa.types.is_temporal(kind) or any(_has_time(kind.field(i).type) for i in range(kind.num_fields))


def _python(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return a column as Python values; dates that Python does not have, such as infinity, as text."""
    try:
        values: list[Any] = column.to_pylist()
    except (OverflowError, ValueError):
        values = [_scalar(value) for value in column]
    return values


def _scalar(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        return str(value.cast(pa.string()))


def _without_intervals(table: pa.Table) -> pa.Table:
    """Return the table with its interval columns, which polars does not have, as structs."""
    names = ("months", "days", "nanoseconds")
    kind = pa.struct(dict(zip(names, (pa.int32(), pa.int32(), pa.int64()), strict=True)))
    for i, field in enumerate(table.schema):
        if pa.types.is_interval(field.type):
            values = [
                None if v is None else dict(zip(names, v, strict=True)) for v in table.column(i).to_pylist()
            ]
            table = table.set_column(i, field.name, pa.array(values, kind))
    return table


def _shown(value: Any) -> str:
    """Return a value for a screen: one line, bounded, with every character that is not printed escaped."""
    if value is None:
        return "null"
    if isinstance(value, dt.datetime):
        value = value.isoformat(sep=" ")
    elif isinstance(value, pa.MonthDayNano):
        value = _iso_interval(value)
    text = str(value)
    cut = text[:SHOWN_CHARACTERS] + "…" if len(text) > SHOWN_CHARACTERS else text
    return _escaped(cut)


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _json_float(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _json_decimal(value: decimal.Decimal) -> int | float | str:
    if value == value.to_integral_value():
        return int(value)
    return float(value) if len(value.as_tuple().digits) <= _EXACT_DIGITS else str(value)


def _iso_interval(value: pa.MonthDayNano) -> str:
    """Return an interval as an ISO 8601 duration.

    >>> _iso_interval(pa.MonthDayNano([1, 2, 3_500_000_000]))
    'P1M2DT3.5S'
    """
    seconds = decimal.Decimal(value.nanoseconds).scaleb(-9).normalize()
    return f"P{value.months}M{value.days}DT{seconds:f}S"


def _json(value: Any) -> Any:
    """Return one Python value of a result as JSON has it."""
    for kind, convert in _JSON:
        if isinstance(value, kind):
            return convert(value)
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


_JSON: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (float, _json_float),
    (decimal.Decimal, _json_decimal),
    ((dt.date, dt.time), lambda value: value.isoformat()),
    (bytes, lambda value: base64.b64encode(value).decode()),
    (pa.MonthDayNano, _iso_interval),  # before the tuples, of which it is one
    (dict, lambda value: {str(key): _json(item) for key, item in value.items()}),
    ((list, tuple), lambda value: [_json(item) for item in value]),
)
