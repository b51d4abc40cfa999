"""What commands print: tables and text in which strangers' data can do nothing, JSON and files."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import typer

from workbench.errors import UsageError
from workbench.tabular import Tabular, cell_text, json_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pyarrow as pa
    from rich.console import Console, RenderableType

__all__ = [
    "SHOWN_ROWS",
    "Rows",
    "console",
    "plain_json",
    "print_facts",
    "print_json",
    "print_note",
    "print_table",
    "print_text",
    "printable",
    "size",
    "span",
    "write_file",
]

SHOWN_ROWS = 40

_GAP = 2
_UNBOUNDED = 1 << 16  # columns: what goes into a pipe or a file is not cut to a terminal's width


@dataclass(frozen=True, repr=False)
class Rows(Tabular):
    """A bare table in a time zone, so that it has the forms of every other result."""

    table: pa.Table
    timezone: str = "UTC"

    def to_arrow(self) -> pa.Table:
        """Return the table."""
        return self.table


def printable(text: str) -> str:
    r"""Return ``text`` with all that could steer a terminal escaped; line breaks stay.

    >>> printable("red \x1b[31m\u202e\nnext")
    'red \\x1b[31m\\u202e\nnext'
    """
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def console() -> Console:
    """Return the console of standard output: no markup, no emoji codes, no guessed highlights."""
    from rich.console import Console  # noqa: PLC0415  (kept out of start-up)

    width = None if sys.stdout.isatty() else _UNBOUNDED
    return Console(width=width, markup=False, emoji=False, highlight=False)


def span(seconds: float) -> str:
    """Return a length of time for people.

    >>> span(0.25), span(90), span(7500), span(200_000)
    ('0.2 s', '2 min', '2.1 h', '2.3 d')
    """
    for limit, unit, length in ((60, "s", 1), (3600, "min", 60), (86_400, "h", 3600)):
        if seconds < limit:
            figures = 0 if unit == "min" or (unit == "s" and seconds >= 10) else 1
            return f"{seconds / length:.{figures}f} {unit}"
    return f"{seconds / 86_400:.1f} d"


def print_text(text: str = "") -> None:
    """Print a text whose parts may be strangers' data."""
    typer.echo(printable(text))


def print_note(text: str) -> None:
    """Print on standard error what is no part of the answer."""
    typer.echo(printable(text), err=True)


def print_json(document: Any) -> None:
    """Print one JSON document: in ASCII, so that it steers no terminal and fits every encoding."""
    typer.echo(json.dumps(document, ensure_ascii=True, allow_nan=False))


def plain_json(value: Any, timezone: str) -> Any:
    """Return nested data as JSON data, times as ISO 8601 in ``timezone``."""
    return json_value(value, ZoneInfo(timezone))


def print_facts(facts: Mapping[str, str], *, notes: Mapping[str, str] | None = None) -> None:
    """Print names with their values, and what there is to say of each, in two or three columns."""
    from rich.table import Table  # noqa: PLC0415  (kept out of start-up)
    from rich.text import Text  # noqa: PLC0415  (kept out of start-up)

    grid = Table.grid(padding=(0, _GAP))
    grid.add_column(no_wrap=True)
    for _ in range(2 if notes else 1):
        grid.add_column(overflow="fold")
    for name, value in facts.items():
        row = [Text(printable(name), style="bold"), Text(printable(value))]
        if notes:
            row.append(Text(printable(notes.get(name, "")), style="dim"))
        grid.add_row(*row)
    _print(grid)


def print_table(table: pa.Table, timezone: str, *, title: str = "", rows: int = SHOWN_ROWS) -> None:
    """Print the first rows of a table and, under it, everything that is not shown.

    Args:
        table: The rows.
        timezone: Zone in which times are shown.
        title: The line above it.
        rows: The most rows that are shown.
    """
    from rich.cells import cell_len  # noqa: PLC0415  (kept out of start-up)

    zone = ZoneInfo(timezone)
    columns = [
        [cell_text(name, zone), *(cell_text(value, zone) for value in column.to_pylist())]
        for name, column in zip(table.column_names, table.slice(0, rows).columns, strict=True)
    ]
    widths = [max(map(cell_len, column)) for column in columns]
    fitting = _fitting(widths, console().width)
    if title:
        print_text(title)
    numbers = [_is_number(kind) for kind in table.schema.types[:fitting]]
    _print(_drawn(columns[:fitting], numbers))
    print_text(_footer(table, timezone, rows, fitting))


def size(count: int) -> str:
    """Return a number of bytes for people.

    >>> size(80_089_403), size(120)
    ('80.1 MB', '120 B')
    """
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            break
        number /= 1000
    return f"{number:,.0f} {unit}" if unit == "B" else f"{number:,.1f} {unit}"


def write_file(path: Path, text: str) -> None:
    """Write a text file.

    Raises:
        UsageError: If it cannot be written there.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}.", where=str(path)) from error
    print_note(f"written: {path}")


def _print(drawn: RenderableType) -> None:
    """Print something drawn, without the blanks that pad its lines outside a terminal."""
    target = console()
    if target.is_terminal:
        target.print(drawn)
        return
    with target.capture() as captured:
        target.print(drawn)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _fitting(widths: Iterable[int], space: int) -> int:
    """Return how many columns of these widths stand side by side in ``space``, at least one."""
    fitting = used = 0
    for width in widths:
        used += width + _GAP
        if fitting and used > space:
            break
        fitting += 1
    return fitting


def _drawn(columns: list[list[str]], numbers: list[bool]) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415  (kept out of start-up)
    from rich.text import Text  # noqa: PLC0415  (kept out of start-up)

    drawn = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold cyan")
    for (name, *_), number in zip(columns, numbers, strict=True):
        drawn.add_column(Text(name), justify="right" if number else "left", no_wrap=True)
    for row in zip(*(values for _, *values in columns), strict=True):
        drawn.add_row(*map(Text, row))
    return drawn


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa  # noqa: PLC0415  (kept out of start-up)

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _footer(table: pa.Table, timezone: str, rows: int, columns: int) -> str:
    said = ["1 row" if table.num_rows == 1 else f"{table.num_rows:,} rows"]
    if table.num_rows > rows:
        said[0] += f", the first {rows:,} shown"
    if hidden := table.column_names[columns:]:
        said.append("columns not shown: " + ", ".join(hidden))
    if any(getattr(kind, "tz", None) for kind in table.schema.types):
        said.append(f"times in {timezone}")
    if table.num_rows > rows or hidden:
        said.append("--json gives everything")
    return "; ".join(said)
