"""Stored documents read back with one type per field, whenever and however they were written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.partials.coded import DISTINCT, coded, is_coded, stacked, values_of
from workbench.partials.documents import field_text
from workbench.partials.names import RESERVED
from workbench.partials.types import canonical_text, convert, polars_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workbench.partials.types import FieldType
    from workbench.storage import Snapshot

__all__ = ["EXTRA", "align", "concat_documents", "read_documents", "to_arrow"]

# above this number of distinct values a dictionary costs who reads one document
_MOST_VALUES = 1 << 13
EXTRA = pl.List(pl.Struct({"key": pl.String, "value": pl.String}))


def align(frame: pl.DataFrame, fields: Mapping[str, FieldType]) -> pl.DataFrame:
    """Return documents with each field in the type that ``fields`` says; text comes back as it was."""
    changes, originals = [], {}
    for column in frame.get_columns():
        kind = fields.get(column.name)
        if kind is None or column.name in RESERVED or column.dtype == polars_type(kind):
            continue
        if kind == "string":
            changes.append(frame.select(field_text(frame, column.name).alias(column.name)).to_series())
        else:
            values, original = convert(column, kind)
            changes.append(values)
            if original is not None:
                originals[column.name] = original
    frame = frame.with_columns(changes)
    if originals:
        frame = _with_original(frame, sorted({*_texts_of(frame), *originals}))
        texts = [pl.coalesce(pl.field(name), text).alias(name) for name, text in originals.items()]
        frame = frame.with_columns(pl.col("_original").struct.with_fields(texts))
    return frame


def concat_documents(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Stack documents of one event type; fields that one of them lacks are null there.

    A field of several types becomes text, so that its type can be inferred from all of its values.
    """
    kinds: dict[str, set[Any]] = {}
    if len(frames) == 1:
        return frames[0]
    for column in (column for frame in frames for column in frame.get_columns()):
        if not column.dtype.is_nested():
            kinds.setdefault(column.name, set()).add(pl.Enum if is_coded(column) else column.dtype)
    for name, found in sorted(kinds.items()):
        if pl.Enum in found and found <= {pl.Enum, pl.String()}:
            frames = _coded_alike(frames, name)
        elif len(found) > 1:
            frames = _agreeing(frames, name)
    names = sorted({name for frame in frames for name in _texts_of(frame)})
    if names:
        frames = [_with_original(frame, names) for frame in frames]
    return pl.concat(frames, how="diagonal_relaxed")


def _coded_alike(frames: list[pl.DataFrame], field: str) -> list[pl.DataFrame]:
    """Return the frames with one list of values for a field of text that is coded in some of them."""
    whole = stacked([coded(f[field]) for f in frames if field in f.columns])
    end, found = 0, []
    for frame in frames:
        if field in frame.columns:
            frame = frame.with_columns(whole.slice(end, frame.height))  # noqa: PLW2901  (the same rows)
            end += frame.height
        found.append(frame)
    return found


def _agreeing(frames: list[pl.DataFrame], field: str) -> list[pl.DataFrame]:
    """Return the frames with a field that all of them can be stacked by: numbers, or text."""
    having = [f for f in frames if field in f.columns]
    held = [f[field] for f in having if f[field].null_count() < f.height]
    kinds = {column.dtype for column in held}
    exact = all(bool(c.is_between(-(2**53), 2**53).all()) for c in held if c.dtype == pl.Int64())
    if len(kinds) > 1 and not (kinds == {pl.Int64(), pl.Float64()} and exact):
        return [
            f.with_columns(canonical_text(pl.col(field), f.schema[field])) if field in f.columns else f
            for f in frames
        ]
    # a column without values has no say
    return [f.drop(field) if field in f.columns and f.schema[field] not in kinds else f for f in frames]


def _texts_of(frame: pl.DataFrame) -> set[str]:
    kind = frame["_original"].dtype if "_original" in frame.columns else None
    return {f.name for f in kind.fields} if isinstance(kind, pl.Struct) else set()


def _with_original(frame: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    present = _texts_of(frame)
    texts = [
        (pl.col("_original").struct.field(n) if n in present else pl.lit(None, pl.String)).alias(n)
        for n in names
    ]
    return frame.with_columns(pl.struct(texts).alias("_original"))


def read_documents(
    snapshot: Snapshot, segments: Iterable[str], fields: Mapping[str, Mapping[str, FieldType]]
) -> dict[str, pl.DataFrame]:
    """Return the stored documents of some segments by event type, with column ``_segment``."""
    found: dict[str, list[pl.DataFrame]] = {}
    for entry in snapshot.files("events", segments=segments):
        frame = _frame(snapshot.read(entry))
        frame = align(frame, fields.get(entry.name, {})).with_columns(_segment=pl.lit(entry.segment))
        found.setdefault(entry.name, []).append(frame)
    return {name: concat_documents(frames) for name, frames in found.items()}


def _frame(table: pa.Table) -> pl.DataFrame:
    """Return stored documents with ``_extra`` as new documents have it: a list, not a map."""
    frame = pl.DataFrame(table.drop_columns("_type"))
    return frame.cast({"_extra": EXTRA}) if "_extra" in frame.columns else frame


def to_arrow(frame: pl.DataFrame, name: str) -> pa.Table:
    """Return documents as they are stored: ``_id``, ``_ts``, ``_type``, then the fields that have values."""
    fields = sorted(c for c in frame.columns if c not in RESERVED and frame[c].null_count() < frame.height)
    last = [c for c in ("_extra", "_original") if c in frame.columns]
    arrays = [_stored(frame[c]) for c in ("_id", "_ts", *fields, *last)]
    table = pa.table(arrays, names=["_id", "_ts", *fields, *last])
    kinds = pa.DictionaryArray.from_arrays(pa.array([0] * table.num_rows, pa.int32()), [name])
    table = table.add_column(2, "_type", kinds)
    if "_extra" in last:
        place = table.schema.get_field_index("_extra")
        table = table.set_column(place, "_extra", _as_map(table["_extra"]))
    return table


def _stored(column: pl.Series) -> pa.Array:
    """Return a column as it is stored: of coded text those values that occur, in order."""
    values = values_of(column)
    if values is None:
        return column.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    places = column.to_physical()
    used = np.bincount(places.drop_nulls().to_numpy(), minlength=len(values)) > 0
    kept = values.filter(pl.Series(used)).sort()
    if len(kept) > min(DISTINCT * (len(column) - column.null_count()), _MOST_VALUES):
        return column.cast(pl.String).to_arrow(compat_level=pl.CompatLevel.oldest())
    moved = values.cast(pl.Enum(kept), strict=False).to_physical().gather(places)
    return pa.DictionaryArray.from_arrays(
        moved.cast(pl.Int32).to_arrow(), kept.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string())
    )


def _as_map(column: pa.ChunkedArray) -> pa.Array:
    pairs = column.combine_chunks()
    pairs = pairs.cast(pa.list_(pairs.type.value_type))
    entries = pairs.values
    return pa.MapArray.from_arrays(
        pairs.offsets, entries.field("key").cast(pa.string()), entries.field("value").cast(pa.string())
    )
