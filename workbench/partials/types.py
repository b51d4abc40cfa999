"""Field types: inferred over all data of a batch, widened when data disagree, never losing a value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from workbench.partials.coded import is_coded, value_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TRUE", "FieldType", "canonical_text", "convert", "infer", "polars_type", "type_of", "widen"]

FieldType = Literal["null", "bool", "int64", "float64", "timestamp", "string"]

# Over this share of values must parse for a column to take a type; the rest keep their text.
SHARE = 0.999
_INT = r"^-?(?:0|[1-9]\d{0,18})$"
# a whole number of more than 15 digits is no float: two of them could become one
_FLOAT = r"^-?(?:(?:0|[1-9]\d{0,14})|(?:0|[1-9]\d*)(?:\.\d+(?:[eE][+-]?\d{1,3})?|[eE][+-]?\d{1,3}))$"
_TIME = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?$"
# what Python does not match, polars does not parse; "$" would also match before a line's end
_SHAPES: dict[FieldType, re.Pattern[str]] = {
    "int64": re.compile(_INT.replace("$", r"\Z")),
    "float64": re.compile(_FLOAT.replace("$", r"\Z")),
    "timestamp": re.compile(_TIME.replace("$", r"\Z")),
}
_PROBED = 1000
TRUE = ("true", "1", "yes")
_FALSE = ("false", "0", "no")
_POLARS: dict[FieldType, pl.DataType] = {
    "null": pl.String(),
    "bool": pl.Boolean(),
    "int64": pl.Int64(),
    "float64": pl.Float64(),
    "timestamp": pl.Datetime("us", "UTC"),
    "string": pl.String(),
}
_EXACT_FLOAT = 2.0**53


def polars_type(kind: FieldType) -> pl.DataType:
    """Return the polars type that a field of ``kind`` is stored as."""
    return _POLARS[kind]


def widen(a: FieldType, b: FieldType) -> FieldType:
    """Return the narrowest type that holds both: int → float → string; anything else → string.

    >>> widen("int64", "float64"), widen("null", "bool"), widen("timestamp", "int64")
    ('float64', 'bool', 'string')
    """
    if b in (a, "null"):
        return a
    if a == "null":
        return b
    return "float64" if {a, b} == {"int64", "float64"} else "string"


def type_of(column: pl.Series) -> FieldType:
    """Return the field type of a column that is typed already."""
    kind = column.dtype
    if column.null_count() == len(column):
        return "null"
    if kind == pl.Boolean():
        return "bool"
    if kind.is_integer():
        return "int64"
    if kind.is_numeric():
        return "float64"
    return "timestamp" if kind.is_temporal() and kind != pl.Time() and kind != pl.Duration() else "string"


def canonical_text(column: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """Return the text of a typed column: what a converted value is compared with, and keys are made of.

    Whole floats are written without a fraction, times as ISO 8601 in UTC.
    """
    if kind.is_float():
        whole = (column == column.floor()) & (column.abs() < _EXACT_FLOAT)
        return (
            pl.when(whole)
            .then(column.cast(pl.Int64, strict=False).cast(pl.String))
            .otherwise(column.cast(pl.String))
        )
    if isinstance(kind, pl.Datetime):
        # chrono's %.f leaves the fraction out where it is zero
        return column.dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")
    return column.cast(pl.String)


def parse_times(text: pl.Expr, timezone: str) -> pl.Expr:
    """Return UTC timestamps of ISO 8601 text; null where it is none. Naive times are in ``timezone``."""
    spaced = text.str.replace("T", " ", literal=True).str.replace(r"Z$", "+00:00")
    spaced = spaced.str.replace(r"^(\d{4}-\d\d-\d\d)$", "${1} 00:00").str.replace(
        r"^(\d{4}-\d\d-\d\d \d\d:\d\d)($|[+-])", "${1}:00${2}"
    )
    zoned = spaced.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", strict=False, time_unit="us", time_zone="UTC")
    naive = (
        spaced.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
        .dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
        .dt.convert_time_zone("UTC")
    )
    return pl.coalesce(zoned, naive)


def _parse(text: pl.Series, kind: FieldType, timezone: str) -> pl.Series:
    """Parse text as ``kind``; null where it does not fit that kind's strict spelling."""
    column = pl.col("v")
    if kind == "int64":
        parsed = pl.when(column.str.contains(_INT)).then(column).cast(pl.Int64, strict=False)
    elif kind == "float64":
        parsed = pl.when(column.str.contains(_FLOAT)).then(column).cast(pl.Float64, strict=False)
        parsed = pl.when(parsed.is_finite()).then(parsed)
    elif kind == "timestamp":
        parsed = parse_times(pl.when(column.str.contains(_TIME)).then(column), timezone)
    elif kind == "bool":
        folded = column.str.to_lowercase()
        parsed = pl.when(folded.is_in(TRUE)).then(True).when(folded.is_in(_FALSE)).then(False)
    else:
        parsed = column
    return pl.DataFrame({"v": text}).select(parsed.alias("v")).to_series()


def infer(text: pl.Series, *, boolean: bool = False, timezone: str = "UTC") -> FieldType:
    """Return the type of a string column: the narrowest that over 99.9 % of its values spell strictly.

    A spelling is strict if nothing is lost: ``007`` and ``+1`` are not integers. Fields are booleans
    only where the schema says so.

    >>> infer(pl.Series(["1", "-20", None])), infer(pl.Series(["007"])), infer(pl.Series(["1.50", "2"]))
    ('int64', 'string', 'float64')
    """
    values, counts = value_counts(text)
    if values.is_empty():
        return "null"
    kinds: tuple[FieldType, ...] = ("bool",) if boolean else ("int64", "float64", "timestamp")
    for kind in kinds:
        if not _cannot_be(values, counts, kind) and _share(values, counts, kind, timezone) > SHARE:
            return kind
    return "string"


def _cannot_be(values: pl.Series, counts: NDArray[np.int64], kind: FieldType) -> bool:
    """Return whether already the most frequent values, if none of them fits, are too many for a kind."""
    shape = _SHAPES.get(kind)
    if shape is None:
        return False
    first = np.argsort(-counts, kind="stable")[:_PROBED]
    allowed = (1 - SHARE) * counts.sum()
    missed = np.cumsum(counts[first])
    for text, so_far in zip(values.gather(first), missed, strict=True):
        if shape.match(text):
            return False
        if so_far > allowed + 1:
            return True
    return False


def _share(text: pl.Series, counts: NDArray[np.int64], kind: FieldType, timezone: str) -> float:
    """Return the share of values that parse, of which each occurs ``counts`` times."""
    parsed = _parse(text, kind, timezone).is_not_null().to_numpy()
    return float(counts[parsed].sum() / counts.sum())


def convert(
    column: pl.Series, kind: FieldType, *, timezone: str = "UTC"
) -> tuple[pl.Series, pl.Series | None]:
    """Convert a column to ``kind`` and keep the text that the typed value would not give back.

    Args:
        column: Strings, or a column with a type of its own.
        kind: The type to store.
        timezone: Zone of naive times.

    Returns:
        The typed column, and the original text where it differs from :func:`canonical_text` of the
        typed value (null elsewhere), or None where there is nothing to keep.

    >>> values, original = convert(pl.Series(["1.50", "2"]), "float64")
    >>> values.to_list(), original.to_list()
    ([1.5, 2.0], ['1.50', None])
    """
    target = polars_type(kind)
    name = column.name
    if column.dtype == target or (is_coded(column) and kind in ("string", "null")):
        return column, None
    if is_coded(column):
        values, original = convert(column.dtype.categories, kind, timezone=timezone)  # type: ignore[attr-defined]
        places = column.to_physical()
        if original is not None:
            original = original.gather(places).alias(name)
            original = None if original.null_count() == len(original) else original
        return values.gather(places).alias(name), original
    frame = pl.DataFrame({"v": column})
    if column.dtype != pl.String():
        if kind == "string":
            return frame.select(canonical_text(pl.col("v"), column.dtype)).to_series().alias(name), None
        if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is None:
            column = column.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
        values = column.cast(target)
        if not (column.dtype == pl.Int64() and values.dtype == pl.Float64()):
            return values, None
        inexact = ~pl.col("v").is_between(-_EXACT_FLOAT, _EXACT_FLOAT, closed="none")
        digits = frame.select(pl.when(inexact).then(pl.col("v").cast(pl.String))).to_series()
        return values, None if digits.null_count() == len(digits) else digits.alias(name)
    values = _parse(column, kind, timezone)
    both = pl.DataFrame({"t": column, "v": values})
    differs = pl.col("t").is_not_null() & pl.col("t").ne_missing(canonical_text(pl.col("v"), target))
    original = both.select(pl.when(differs).then(pl.col("t"))).to_series()
    return values.alias(name), None if original.null_count() == len(original) else original.alias(name)
