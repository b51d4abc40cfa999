"""The time of a record: where it stands, how it is read, and what its source wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from workbench.errors import SourceError
from workbench.partials.coded import is_text, on_values
from workbench.partials.iso import exact_times
from workbench.partials.types import canonical_text, parse_times

if TYPE_CHECKING:
    from workbench.config.entity_schema import EntitySchema

__all__ = ["DAY_US", "kept_text", "plain_moment", "time_column", "times_of", "zoned"]

DAY_US = 86_400_000_000
_SECONDS, _MILLIS, _MICROS = 1e11, 1e14, 1e17
# Calendars of other libraries end at the years 1 and 9999, and a zone may be a day off.
_FIRST, _LAST = (int(datetime(y, 7, 1, tzinfo=UTC).timestamp()) * 1_000_000 for y in (1, 9999))


def time_column(frame: pl.DataFrame, schema: EntitySchema) -> str:
    """Return the column that holds the time: declared spellings first, exactly, then whatever their case."""
    folded = {c.strip().casefold(): c for c in reversed(frame.columns)}
    for field in schema.timestamp.fields:
        for spelling in (field, *schema.fields.aliases.get(field, ())):
            if spelling in frame.columns:
                return spelling
            if spelling.casefold() in folded:
                return folded[spelling.casefold()]
    shown = ", ".join(frame.columns[:20])
    raise SourceError(
        f"no column is the time: looked for {', '.join(schema.timestamp.fields)}; the columns are {shown}.",
        fix="Name it in the entity schema under timestamp.fields.",
    )


def plain_moment(column: pl.Series) -> pl.Series:
    """Reduce a column of dates, times or durations to the types that a field can have."""
    kind = column.dtype
    if kind == pl.Time():
        return column.dt.strftime("%H:%M:%S%.f")
    if kind == pl.Date():
        # by arithmetic, for a cast stops the process at a date of no year
        return (column.to_physical().cast(pl.Int64) * DAY_US).cast(pl.Datetime("us"))
    if isinstance(kind, pl.Duration):
        return column.dt.to_string("iso")
    times = column.cast(pl.Datetime("us", getattr(kind, "time_zone", None)))
    return times if (times.cast(kind) == column).all() else _moment_text(column)


def zoned(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Read times without a zone as times in ``zone``; a column with a time of no year is its numbers."""
    moments = [c for c in frame if isinstance(c.dtype, pl.Datetime)]
    odd = [c.name for c in moments if not _in_range(c).all()]
    return frame.with_columns(pl.col(odd).to_physical()).with_columns(
        _in_utc_or_text(c, zone) for c in moments if c.name not in odd
    )


def times_of(moment: pl.Series | None, rows: int, schema: EntitySchema) -> pl.Series:
    """Return when each record was, as ``_ts``; null where that cannot be read, or no calendar has it."""
    if moment is None:
        return pl.Series("_ts", [None] * rows, dtype=pl.Datetime("us", "UTC"))
    zone = schema.timestamp.timezone
    if is_text(moment):
        times = on_values(moment, lambda text: _text_times(text, zone))
    elif isinstance(moment.dtype, pl.Datetime):
        times = _in_utc(_only(moment, _in_range(moment)), zone)
    else:
        number = pl.DataFrame({"t": moment.cast(pl.Float64)})
        times = number.select(_epoch(pl.col("t"))).to_series()
    return _only(times, _in_range(times)).alias("_ts")


def kept_text(moment: pl.Series | None, parsed: pl.Series) -> list[pl.Series]:
    """Keep the source's spelling of the time where the timestamp would not give it back."""
    if moment is None or not is_text(moment):
        return []
    others = on_values(moment, exact_times).is_null()
    moment = moment.filter(others).cast(pl.String)
    both = pl.DataFrame({"t": moment, "v": parsed.filter(others)})
    differs = pl.col("t").is_not_null() & pl.col("t").ne_missing(canonical_text(pl.col("v"), parsed.dtype))
    text = both.select(pl.when(differs).then(pl.col("t"))).to_series()
    if text.null_count() == len(text):
        return []
    kept = pl.repeat(None, len(parsed), dtype=pl.String, eager=True).alias("_ts_text")
    return [kept.scatter(others.arg_true(), text)]


def _text_times(text: pl.Series, zone: str) -> pl.Series:
    """Read text as ISO 8601 or a number of :func:`_epoch`; what is spelled in the usual way goes fast."""
    times = exact_times(text)
    others = (times.is_null() & text.is_not_null()).arg_true()
    if others.is_empty():
        return times
    column = pl.col("t")
    numeric = column.str.contains(r"^\d{9,19}(\.\d+)?$")
    epoch = _epoch(pl.when(numeric).then(column).cast(pl.Float64, strict=False))
    frame = pl.DataFrame({"t": text.gather(others)})
    return times.scatter(others, frame.select(pl.coalesce(parse_times(column, zone), epoch)).to_series())


def _epoch(number: pl.Expr) -> pl.Expr:
    """Read numbers as time since 1970 in seconds, milli-, micro- or nanoseconds, by their size."""
    scale = (
        pl.when(number < _SECONDS)
        .then(1e6)
        .when(number < _MILLIS)
        .then(1e3)
        .when(number < _MICROS)
        .then(1.0)
        .otherwise(1e-3)
    )
    return (
        (number * scale)
        .round()
        .cast(pl.Int64, strict=False)
        .cast(pl.Datetime("us"))
        .dt.replace_time_zone("UTC")
    )


def _in_utc_or_text(moment: pl.Series, zone: str) -> pl.Series:
    """Return times in UTC, or as text if the zone's clocks skipped one of them."""
    times = _in_utc(moment, zone)
    return times if times.null_count() == moment.null_count() else _moment_text(moment)


def _in_utc(moment: pl.Series, zone: str) -> pl.Series:
    if moment.dtype.time_zone is None:  # type: ignore[attr-defined]
        moment = moment.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return moment.cast(pl.Datetime("us", "UTC"))


def _in_range(moment: pl.Series) -> pl.Series:
    return moment.to_physical().is_between(_FIRST, _LAST)


def _only(column: pl.Series, mask: pl.Series) -> pl.Series:
    """Return a column with null where ``mask`` is not true."""
    return column if mask.all(ignore_nulls=False) else pl.select(pl.when(mask).then(column)).to_series()


def _moment_text(moment: pl.Series) -> pl.Series:
    """Return times as ISO 8601 text: what a microsecond of UTC cannot hold."""
    if moment.dtype.time_zone is None:  # type: ignore[attr-defined]
        return moment.dt.strftime("%Y-%m-%dT%H:%M:%S%.f")
    return moment.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")
