"""Whether conditions, groups and measures fit the columns that they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workbench.plans.expressions import Clock
    from workbench.plans.model import Filter, Group, Measure, Value
    from workbench.plans.shapes import Columns, Kind

__all__ = ["Problem", "check_condition", "check_group", "check_measures"]

Problem = tuple[str, str, str]
"""Where in the part, what is wrong, what to do."""

_NAMES: Mapping[Kind, str] = {
    "string": "text",
    "int64": "a number",
    "float64": "a number",
    "bool": "true or false",
    "timestamp": "a time",
    "list": "a list",
    "other": "a nested value",
}
_NULL_TESTS = ("is null", "is not null")
_TEXT_TESTS = ("contains", "starts with")
_EQUALITY = ("=", "!=", "in", "not in")
_OPERATORS: Mapping[Kind, tuple[str, ...]] = {
    "string": (*_EQUALITY, "<", "<=", ">", ">=", "between", *_TEXT_TESTS),
    "int64": (*_EQUALITY, "<", "<=", ">", ">=", "between"),
    "float64": (*_EQUALITY, "<", "<=", ">", ">=", "between"),
    "bool": _EQUALITY,
    "timestamp": (*_EQUALITY, "<", "<=", ">", ">=", "between"),
    "list": ("contains",),
    "other": (),
}


def check_condition(test: Filter, columns: Columns, clock: Clock) -> Iterator[Problem]:
    """Yield what is wrong with a condition on columns."""
    if test.field not in columns:
        yield "field", f"there is no column {test.field!r}.", did_you_mean(test.field, list(columns))
        return
    kind = columns[test.field]
    if test.op in _NULL_TESTS:
        return
    allowed = _OPERATORS[kind]
    if test.op not in allowed:
        yield (
            "op",
            f"{test.field!r} is {_NAMES[kind]}, to which {test.op!r} does not apply.",
            f"Use one of {', '.join([*allowed, *_NULL_TESTS])}.",
        )
        return
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    for value in values:
        if value is not None and (wrong := _misfit(value, test.op, kind, clock)):
            yield "value", f"{value!r} does not fit {test.field!r}, which is {_NAMES[kind]}.", wrong
            return


def _misfit(value: Value, op: str, kind: Kind, clock: Clock) -> str:
    """Return what to write instead of a value that cannot be compared with a kind; empty where it can be."""
    if kind == "timestamp":
        try:
            clock.literal(str(value))
        except UsageError as error:
            return error.fix or error.message
    elif kind in ("int64", "float64"):
        if isinstance(value, bool) or (isinstance(value, str) and not _is_number(value)):
            return "Write a number."
    elif kind == "bool":
        if not isinstance(value, bool) and str(value).strip().lower() not in ("true", "false"):
            return "Write true or false."
    elif kind == "string" and not isinstance(value, str) and op not in (*_EQUALITY, *_TEXT_TESTS):
        return "Write the value as text; text is compared letter by letter."
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def check_group(group: Group, columns: Columns) -> Iterator[Problem]:
    """Yield what is wrong with a group of rows with these columns."""
    if group.field not in columns:
        yield "field", f"there is no column {group.field!r}.", did_you_mean(group.field, list(columns))
    elif group.bucket and columns[group.field] != "timestamp":
        yield (
            "bucket",
            f"{group.field!r} is {_NAMES[columns[group.field]]}: only times fall into buckets.",
            "Leave the bucket out.",
        )


def check_measures(measure: Measure, columns: Columns) -> Iterator[Problem]:
    """Yield what is wrong with a measure over rows with these columns."""
    if measure.field is None:
        return
    if measure.field not in columns:
        yield "field", f"there is no column {measure.field!r}.", did_you_mean(measure.field, list(columns))
        return
    kind = columns[measure.field]
    numeric = measure.op in ("sum", "mean", "median")
    if (numeric and kind not in ("int64", "float64", "bool")) or (
        measure.op in ("min", "max") and kind in ("list", "other")
    ):
        numbers = [name for name, other in columns.items() if other in ("int64", "float64")]
        yield (
            "op",
            f"{measure.field!r} is {_NAMES[kind]}: it has no {measure.op}.",
            f"Numbers are {', '.join(numbers)}." if numbers else "There are no numbers here.",
        )
