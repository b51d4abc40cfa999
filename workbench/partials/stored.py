"""Stored documents read back with one type per field, whenever and however they were written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.partials.coded import DISTINCT, coded, is_coded, places_of, stacked, values_of
from workbench.partials.documents import field_text
from workbench.partials.names import RESERVED
from workbench.partials.types import canonical_text, convert, polars_type

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from workbench.partials.types import FieldType
    from workbench.storage import FileEntry, Snapshot

__all__ = ["EXTRA", "Stored", "align", "concat_documents", "read_documents", "to_arrow"]

# above this number of distinct values a dictionary costs who reads one document
_MOST_VALUES = 1 << 13
# what tells documents apart, and how their sources spelled values
_ALWAYS = ("_id", "_ts", "_original")
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
    snapshot: Snapshot,
    entries: Iterable[FileEntry],
    fields: Mapping[str, Mapping[str, FieldType]],
    columns: Mapping[str, Collection[str]] | None = None,
) -> dict[str, pl.DataFrame]:
    """Return stored documents by event type, with column ``_segment``.

    Args:
        snapshot: The generation.
        entries: Its files of events that are read.
        fields: The type of each field, by event type.
        columns: Only documents of these event types, and of their fields only these.
    """
    found: dict[str, list[pl.DataFrame]] = {}
    for entry in entries:
        if columns is not None and entry.name not in columns:
            continue
        frame = _frame(_read(snapshot, entry, None if columns is None else columns[entry.name]))
        frame = align(frame, fields.get(entry.name, {})).with_columns(_segment=pl.lit(entry.segment))
        found.setdefault(entry.name, []).append(frame)
    return {name: concat_documents(frames) for name, frames in found.items()}


def _read(snapshot: Snapshot, entry: FileEntry, wanted: Collection[str] | None) -> pa.Table:
    if wanted is None:
        return snapshot.read(entry).drop_columns("_type")
    with snapshot.open(entry) as file:
        held = file.schema_arrow.names
    return snapshot.read(entry, columns=[c for c in held if c in wanted or c in _ALWAYS])


def _frame(table: pa.Table) -> pl.DataFrame:
    """Return stored documents with ``_extra`` as new documents have it: a list, not a map."""
    frame = pl.DataFrame(table)
    return frame.cast({"_extra": EXTRA}) if "_extra" in frame.columns else frame


def to_arrow(frame: pl.DataFrame, name: str) -> pa.Table:
    """Return documents as they are stored: ``_id``, ``_ts``, ``_type``, then the fields that have values."""
    (table,) = Stored(frame, name).groups(max(frame.height, 1))
    return table


class Stored:
    """Documents of one event type as they are stored, made some rows at a time.

    Of coded text, which is most of a log, no copy of all rows is made.

    Args:
        frame: The documents.
        name: Their event type.
        order: The rows in the order in which they are stored; by default as they are.

    Attributes:
        column_names: As in the file.
        num_rows: Number of documents.
        plain: The columns that are not coded, whole.
        coded: Names of the columns that are.
    """

    def __init__(self, frame: pl.DataFrame, name: str, order: NDArray[np.intp] | None = None) -> None:
        fields = sorted(
            c for c in frame.columns if c not in RESERVED and frame[c].null_count() < frame.height
        )
        last = [c for c in ("_extra", "_original") if c in frame.columns]
        self.column_names = ["_id", "_ts", "_type", *fields, *last]
        self.num_rows = frame.height
        self._order = order
        self._columns = {
            "_type": _Coded(np.zeros(frame.height, np.uint8), None, np.zeros(1, np.int32), [name])
        }
        plain: dict[str, pa.Array] = {}
        for column in (frame[c] for c in ("_id", "_ts", *fields, *last)):
            coded = _coded(column)
            if coded is None:
                plain[column.name] = _plain(column, order)
            else:
                self._columns[column.name] = coded
        self.plain = pa.table(plain)
        self.coded = list(self._columns)

    def groups(self, rows: int) -> Iterator[pa.Table]:
        """Yield tables of ``rows`` documents; at least one."""
        for start in range(0, max(self.num_rows, 1), rows):
            here = slice(start, start + rows)
            places = here if self._order is None else self._order[here]
            plain = self.plain.slice(start, rows)
            arrays = [
                self._columns[c].taken(places) if c in self._columns else plain[c] for c in self.column_names
            ]
            yield pa.table(arrays, names=self.column_names)


@dataclass(frozen=True)
class _Coded:
    """A column of coded text: each row's place, which rows have one, and what stands for the places."""

    places: NDArray[Any]
    there: NDArray[np.bool_] | None
    moved: NDArray[np.int32]
    values: pa.Array

    def taken(self, rows: slice | NDArray[np.intp]) -> pa.DictionaryArray:
        indices = self.moved.take(self.places[rows], mode="clip")
        mask = None if self.there is None else ~self.there[rows]
        return pa.DictionaryArray.from_arrays(pa.array(indices, mask=mask), self.values)


def _coded(column: pl.Series) -> _Coded | None:
    """Return a column of coded text with those values that occur, in order, unless they are too many."""
    values = values_of(column)
    if values is None:
        return None
    held = column.drop_nulls().to_physical().to_numpy()
    used = np.bincount(held, minlength=len(values)) > 0
    kept = values.filter(pl.Series(used)).sort()
    if len(kept) > min(DISTINCT * len(held), _MOST_VALUES):
        return None
    moved = values.cast(pl.Enum(kept), strict=False).to_physical().fill_null(0).to_numpy().astype(np.int32)
    text = kept.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string())
    return _Coded(*places_of(column), moved, text)


def _plain(column: pl.Series, order: NDArray[np.intp] | None) -> pa.Array:
    if order is not None and (column.dtype.is_numeric() or isinstance(column.dtype, pl.Datetime)):
        array = column.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
        numbers, there = places_of(column)
        mask = None if there is None else ~there[order]
        return pa.array(numbers[order], mask=mask).cast(array.type)
    if order is not None:
        column = column.gather(order)
    if is_coded(column):
        column = column.cast(pl.String)
    array = column.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    return _as_map(array) if column.name == "_extra" else array


def _as_map(pairs: pa.Array) -> pa.Array:
    pairs = pairs.cast(pa.list_(pairs.type.value_type))
    entries = pairs.values
    return pa.MapArray.from_arrays(
        pairs.offsets, entries.field("key").cast(pa.string()), entries.field("value").cast(pa.string())
    )
