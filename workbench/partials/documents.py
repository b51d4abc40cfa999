"""Records to documents: names, nulls, times, types and identifiers, over whole batches."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash

from workbench.errors import SourceError
from workbench.partials.coded import (
    coded,
    concatenated,
    encoded,
    is_coded,
    is_text,
    places_of,
    to_frame,
    values_of,
)
from workbench.partials.moments import DAY_US, kept_text, plain_moment, time_column, times_of, zoned
from workbench.partials.names import RESERVED, is_field_name, plan_fields
from workbench.partials.types import canonical_text, convert, infer, type_of, widen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from workbench.config.entity_schema import EntitySchema
    from workbench.partials.types import FieldType

__all__ = [
    "DAY_US",
    "HASH_BITS",
    "Records",
    "Typed",
    "assign_ids",
    "field_text",
    "has_original",
    "normalise",
    "type_fields",
]

# A day's microseconds take 37 bits; what is left of 63 tells apart what happened at the same time.
HASH_BITS = 26


@dataclass(frozen=True)
class Records:
    """Normalised records of one event type.

    Attributes:
        frame: One row a record that has a time: its fields (null words are null), ``_ts``
            (microseconds, UTC), ``_hash`` (64 bits of the content) and, where there is something to
            keep, ``_extra`` (name and value of what is no field).
        rejects: Rows of the input that have no readable time: row number, the row as JSON, reason.
        findings: What is wrong with columns as such, for people.
    """

    frame: pl.DataFrame
    rejects: tuple[tuple[int, bytes, str], ...]
    findings: tuple[str, ...]


def normalise(
    table: pa.Table | Sequence[pa.Table],
    event_type: str,
    schema: EntitySchema,
    *,
    known: Iterable[str] = (),
    timeless: bool = False,
) -> Records:
    """Turn a source's records into documents without identifiers and final types.

    Args:
        table: The records under the source's column names, or several tables of them with the same columns.
        event_type: What they are.
        schema: Gives null words, aliases and where the time stands.
        known: Fields that the event type has already.
        timeless: For reference tables: no time is looked for and ``_ts`` is null.

    Raises:
        SourceError: If no column can be the time, or one has a type that no field can have.
    """
    tables = [table] if isinstance(table, pa.Table) else table
    without = partial(_without_words, words=schema.nulls)
    frame = _without_null_words(_plain(_frame(tables, without), without), without, schema.nulls)
    time = None if timeless else time_column(frame, schema)
    plan = plan_fields((c for c in frame.columns if c != time), schema, known)
    frame, moment = frame.drop(time) if time else frame, frame[time] if time else None
    fields, extra = _merge_spellings(zoned(frame, schema.timestamp.timezone), plan)
    odd = [c for c in frame.columns if not is_field_name(c)]
    times = times_of(moment, frame.height, schema)
    fields = pl.DataFrame([*fields, times])
    if odd or extra:
        fields = fields.with_columns(_extra_column(frame.height, {**{c: frame[c] for c in odd}, **extra}))
    hashed = fields.with_columns(
        pl.Series("_hash", content_hash(fields, event_type), dtype=pl.UInt64),
        *kept_text(moment, times),
    )
    findings = tuple(
        f"column name is not a field name, its values are in _extra: {c[:200]!r}" for c in sorted(odd)
    )
    if timeless:
        return Records(hashed, (), findings)
    bad = hashed["_ts"].is_null()
    rejects = _time_rejects(tables, bad, time or "", moment)
    return Records(hashed.filter(~bad) if rejects else hashed, rejects, findings)


def _frame(tables: Sequence[pa.Table], function: Callable[[pl.Series], pl.Series]) -> pl.DataFrame:
    try:
        return to_frame([encoded(_simple(table)) for table in tables], function)
    except pl.exceptions.ComputeError as error:
        raise SourceError(f"a column has a type that no field can have: {error}.") from error


def _simple(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_decimal256(kind):
            table = table.set_column(place, field.name, table.column(place).cast(pa.string()))
        elif pa.types.is_dictionary(kind) and not pa.types.is_string(kind.value_type):
            table = table.set_column(place, field.name, table.column(place).cast(kind.value_type))
    return table


def _plain(frame: pl.DataFrame, without: Callable[[pl.Series], pl.Series]) -> pl.DataFrame:
    """Reduce the columns' types to those that a field can have; coded text comes without null words."""
    return frame.with_columns(
        plain_moment(c) if c.dtype.is_temporal() else _plain_value(c, without) for c in frame
    )


def _plain_value(column: pl.Series, without: Callable[[pl.Series], pl.Series]) -> pl.Series:
    kind = column.dtype
    if isinstance(kind, pl.Enum):
        return column
    too_large = kind == pl.UInt64() and bool((column > np.iinfo(np.int64).max).any())
    if too_large or isinstance(kind, pl.Categorical | pl.Decimal | pl.Null):
        return coded(without(column.cast(pl.String)))
    if kind == pl.Binary():
        return column.bin.encode("hex")
    if kind.is_integer():
        return column.cast(pl.Int64)
    return column.cast(pl.Float64) if kind.is_float() else column


def _without_words(text: pl.Series, words: tuple[str, ...]) -> pl.Series:
    stripped = text.str.strip_chars()
    return stripped.set(stripped.is_in(words), None)


def _without_null_words(
    frame: pl.DataFrame, without: Callable[[pl.Series], pl.Series], words: tuple[str, ...]
) -> pl.DataFrame:
    if "NaN" in words:
        frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None))
    return frame.with_columns(without(c).alias(c.name) if c.dtype == pl.String() else c for c in frame)


def _merge_spellings(
    frame: pl.DataFrame, plan: Mapping[str, list[str]]
) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
    """Coalesce the spellings of each field; a spelling that contradicts the chosen value is kept aside."""
    columns, aside = [], {}
    for field, spellings in plan.items():
        first, *others = spellings
        if not others:
            columns.append(frame[first].alias(field))
            continue
        same = len({frame[c].dtype for c in spellings}) == 1 and not is_coded(frame[first])
        texts = frame.select(
            pl.col(c) if same else canonical_text(pl.col(c), frame[c].dtype).alias(c) for c in spellings
        )
        merged = texts.select(pl.coalesce(spellings).alias(field)).to_series()
        columns.append(coded(merged) if is_text(merged) else merged)
        for other in others:
            conflict = texts.select(
                pl.when(pl.col(other).ne(pl.coalesce(spellings))).then(pl.col(other).cast(pl.String))
            ).to_series()
            if conflict.null_count() < len(conflict):
                aside[other] = conflict
    return pl.DataFrame(columns) if columns else frame.select([]), aside


def _extra_column(height: int, named: Mapping[str, pl.Series]) -> pl.Series:
    """Return a list of names and values a row; few rows have any, so that only those are looked at."""
    rows = {name: named[name].is_not_null().arg_true() for name in sorted(named)}
    found = [
        pl.DataFrame({"row": row, "value": named[name].gather(row).cast(pl.String)}).with_columns(
            key=pl.lit(name)
        )
        for name, row in rows.items()
    ]
    pairs = pl.concat(found).sort("row", maintain_order=True)
    ends = np.cumsum(np.bincount(pairs["row"].to_numpy(), minlength=height))
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    entries = pairs.select("key", "value").to_struct().to_arrow(compat_level=pl.CompatLevel.oldest())
    return pl.Series("_extra", pa.ListArray.from_arrays(offsets, entries))


def _time_rejects(
    tables: Sequence[pa.Table], bad: pl.Series, time: str, moment: pl.Series | None
) -> tuple[tuple[int, bytes, str], ...]:
    if not bad.any() or moment is None:
        return ()
    numbers = np.flatnonzero(bad.to_numpy())
    table = concatenated(tables)
    # a time that is out of range as a Python object is still a text
    texts = [f.with_type(pa.string()) if _is_moment(f.type) else f for f in table.schema]
    rows = table.take(numbers).cast(pa.schema(texts)).to_pylist()
    empty = moment.gather(numbers).is_null()
    return tuple(
        (
            int(number),
            json.dumps(row, default=str, ensure_ascii=False).encode(),
            f"no time in {time!r}" if none else f"unreadable time in {time!r}: {str(row[time])[:100]!r}",
        )
        for number, row, none in zip(numbers, rows, empty, strict=True)
    )


def _is_moment(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def content_hash(frame: pl.DataFrame, event_type: str) -> NDArray[np.uint64]:
    """Return 64 bits of each row's content, whatever the order of columns and of empty ones among them."""
    total = np.full(frame.height, xxhash.xxh3_64_intdigest(event_type.encode()), dtype=np.uint64)
    for column in frame.get_columns():
        seed = xxhash.xxh3_64_intdigest(column.name.encode()) >> 1
        values = values_of(column)
        if values is not None:
            _add_by_value(total, column, values.hash(seed=seed).to_numpy())
            continue
        plain = column.struct.unnest() if column.dtype == pl.Struct else column
        hashes = plain.hash(seed=seed).to_numpy().copy()  # type: ignore[union-attr]
        hashes[column.is_null().to_numpy()] = 0
        total += hashes
    return total


def _add_by_value(total: NDArray[np.uint64], column: pl.Series, hashes: NDArray[np.uint64]) -> None:
    """Add to each row that has a value the hash of it."""
    if not len(hashes):
        return
    places, there = places_of(column)
    found = hashes.take(places, mode="clip")
    total += found if there is None else found * there


@dataclass(frozen=True)
class Typed:
    """Documents of one event type with final types.

    Attributes:
        frame: As in :class:`Records`, typed, plus ``_original`` (a struct of the texts that the typed
            values would not give back) where there is any.
        fields: The type of every field after this batch, widened where the batch disagreed.
        widened: Fields whose type differs from the one that earlier batches had.
    """

    frame: pl.DataFrame
    fields: dict[str, FieldType]
    widened: tuple[str, ...]


def type_fields(frame: pl.DataFrame, known: Mapping[str, FieldType], schema: EntitySchema) -> Typed:
    """Give every field one type: what its text spells, widened by what earlier batches found.

    Args:
        frame: Normalised records.
        known: Field types so far.
        schema: Says which fields are booleans and which stay strings.
    """
    fields: dict[str, FieldType] = dict(known)
    columns: list[pl.Series] = []
    originals: list[pl.Series] = []
    widened: list[str] = []
    zone = schema.timestamp.timezone
    for column in frame.get_columns():
        name = column.name
        if name in RESERVED or name == "_hash":
            columns.append(column)
            continue
        if name == "_ts_text":
            originals.append(column.alias("_ts"))
            continue
        kind = _kind(column, known.get(name, "null"), schema)
        if known.get(name, "null") not in ("null", kind):
            widened.append(name)
        fields[name] = kind
        if column.null_count() == len(column):
            continue
        values, original = convert(column, kind, timezone=zone)
        columns.append(values)
        if original is not None:
            originals.append(original.alias(name))
    result = pl.DataFrame(columns)
    if originals:
        result = result.with_columns(pl.DataFrame(originals).to_struct("_original"))
    return Typed(result, fields, tuple(widened))


def _kind(column: pl.Series, known: FieldType, schema: EntitySchema) -> FieldType:
    if column.name in schema.fields.strings and column.null_count() < len(column):
        return "string"
    boolean = column.name in schema.fields.booleans or column.name == schema.fields.test_account
    if not is_text(column):
        digits = boolean and column.dtype == pl.Int64() and bool(column.is_between(0, 1).all())
        return widen(known, "bool" if digits else type_of(column))
    return widen(known, infer(column, boolean=boolean, timezone=schema.timestamp.timezone))


def field_text(frame: pl.DataFrame, field: str) -> pl.Expr:
    """Return the text of a field as its source spelled it, as far as that is known."""
    text = canonical_text(pl.col(field), frame[field].dtype)
    if has_original(frame, field):
        return pl.coalesce(pl.col("_original").struct.field(field), text)
    return text


def has_original(frame: pl.DataFrame, field: str) -> bool:
    """Return whether a field has values that its source spelled in another way."""
    original = frame["_original"].dtype if "_original" in frame.columns else None
    return isinstance(original, pl.Struct) and field in {f.name for f in original.fields}


def assign_ids(frame: pl.DataFrame, taken: NDArray[np.int64]) -> pl.Series:
    """Return ``_id`` of each document: microseconds into the segment's day, then 26 bits of its content.

    Identifiers sort by time and do not depend on the order of arrival, so that the same documents
    give the same partials however they came. Where two documents would get the same one, the later
    in content order takes the next that is free; of documents that come in different batches the
    earlier batch keeps its own, and only there does the order of arrival show.

    Args:
        frame: Documents of one segment with ``_ts`` and ``_hash``.
        taken: Identifiers already given in that segment.
    """
    into = frame["_ts"].to_physical().to_numpy() % DAY_US
    hashes = frame["_hash"].to_numpy()
    wished = (into << HASH_BITS) | (hashes & np.uint64((1 << HASH_BITS) - 1)).astype(np.int64)
    used = np.sort(taken)
    # in the numbering of free identifiers, "the next that is free" is "one more than the one before"
    slot = wished - np.searchsorted(used, wished)
    order = np.lexsort((hashes, slot))
    rank = np.arange(len(slot))
    slot = np.maximum.accumulate(slot[order] - rank) + rank
    ids = slot + np.searchsorted(used - np.arange(len(used)), slot, side="right")
    result = np.empty(len(ids), dtype=np.int64)
    result[order] = ids
    return pl.Series("_id", result)
