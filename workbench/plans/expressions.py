"""Conditions, measures and groups of a plan as text of SQL: names quoted, values as literals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.plans.times import parse_time, sql_time

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from workbench.plans.model import Bucket, Filter, Group, Measure, Value
    from workbench.plans.shapes import Columns, Kind

__all__ = ["Clock", "bucketed", "condition", "conditions", "grouped", "literal", "measured", "quoted"]

_COMPARE = {"=", "!=", "<", "<=", ">", ">="}
_AGGREGATES = {"sum": "sum", "mean": "avg", "median": "median", "min": "min", "max": "max"}


class Clock:
    """What relative times are read with.

    Args:
        now: The clock of the workspace.
        timezone: Its zone.
    """

    def __init__(self, now: datetime | None, timezone: str) -> None:
        self.now = now
        self.timezone = timezone

    def literal(self, text: str) -> str:
        """Return a time of a plan as a literal; raises UsageError if it is none."""
        return sql_time(parse_time(text, self.now, self.timezone))


def quoted(name: str) -> str:
    """Return a name as SQL writes it.

    >>> print(quoted('a "b'))
    "a ""b"
    """
    return '"' + name.replace('"', '""') + '"'


def literal(value: Value) -> str:
    """Return a value as SQL writes it.

    >>> literal("it's"), literal(2.0), literal(value=True)
    ("'it''s'", '2.0', 'true')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"CAST('{value}' AS DOUBLE)"
    # DuckDB's lexer ends a text at a zero byte
    parts = ("'" + part.replace("'", "''") + "'" for part in value.split("\0"))
    return " || chr(0) || ".join(parts)


def condition(test: Filter, columns: Columns, clock: Clock) -> str:
    """Return one condition; texts are compared as they are, ``contains`` and ``starts with`` in any case."""
    field, kind = quoted(test.field), columns[test.field]
    if test.op in ("is null", "is not null"):
        return f"{field} {test.op.upper()}"
    value = test.value
    if isinstance(value, tuple):
        first, *rest = written = [_literal(item, kind, clock) for item in value]
        if test.op == "between":
            return f"{field} BETWEEN {first} AND {rest[0]}"
        return f"{field} {test.op.upper()} ({', '.join(written)})"
    if value is None:
        raise AssertionError(test)  # the model does not let it through
    if test.op in _COMPARE:
        return f"{field} {test.op} {_literal(value, kind, clock)}"
    if kind == "list":
        return f"list_contains({field}, {literal(value)})"
    function = "contains" if test.op == "contains" else "starts_with"
    return f"{function}(lower({field}), lower({literal(str(value))}))"


def conditions(tests: Iterable[Filter], columns: Columns, clock: Clock) -> str:
    """Return conditions that all must hold, or nothing where there are none."""
    return " AND ".join(condition(test, columns, clock) for test in tests)


def _literal(value: Value, kind: Kind, clock: Clock) -> str:
    """Return a value for comparison with a column of a kind; the validator saw to it that it fits."""
    if kind == "timestamp":
        return clock.literal(str(value))
    if kind == "string":
        return literal(value if isinstance(value, str) else _spelt(value))
    if kind in ("int64", "float64") and isinstance(value, str):
        number = float(value)
        return literal(int(value) if value.strip().lstrip("+-").isdecimal() else number)
    if kind == "bool" and isinstance(value, str):
        return literal(value.strip().lower() == "true")
    return literal(value)


def _spelt(value: float | bool) -> str:
    """Return a number as a text field spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if float(value).is_integer() else str(value)


def bucketed(field: str, bucket: Bucket) -> str:
    """Return the start of the local bucket that a time is in; of a day or week, the hour or day's number."""
    if bucket == "hour of day":
        return f"extract('hour' FROM {quoted(field)})"
    if bucket == "day of week":
        return f"extract('isodow' FROM {quoted(field)})"
    return f"date_trunc({literal(bucket)}, {quoted(field)})"


def grouped(group: Group) -> str:
    """Return the value that a group is made by."""
    return bucketed(group.field, group.bucket) if group.bucket else quoted(group.field)


def measured(measure: Measure, columns: Columns, clock: Clock) -> str:
    """Return the figure over the rows of a group."""
    if measure.minus:
        taken = measure.model_copy(update={"where": measure.minus, "minus": ()})
        whole = measure.model_copy(update={"minus": ()})
        return f"{measured(whole, columns, clock)} - {measured(taken, columns, clock)}"
    where = conditions(measure.where, columns, clock)
    kept = f" FILTER (WHERE {where})" if where else ""
    if measure.op == "count":
        return f"count(*){kept}"
    if measure.op == "share":
        return f"count(*){kept} / nullif(count(*), 0)"
    if measure.op == "part":
        return f"count(*){kept} / nullif(sum(count(*){kept}) OVER (), 0)"
    field = quoted(measure.field or "")
    if measure.op == "distinct":
        return f"count(DISTINCT {field}){kept}"
    if columns[measure.field or ""] == "bool" and measure.op in ("sum", "mean", "median"):
        field = f"CAST({field} AS INTEGER)"
    return f"{_AGGREGATES[measure.op]}({field}){kept}"
