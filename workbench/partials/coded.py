"""Text held as places in a list of its distinct values, so that what is done to text is done once a value.

In a data frame such a column is an ``Enum``. A log's texts repeat: a day of 104 million cells has a few
hundred thousand distinct values, and its places fit in one or two bytes a cell. A column most of whose
values differ, such as an event's number, is held as plain text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "DISTINCT",
    "coded",
    "concatenated",
    "encoded",
    "is_coded",
    "is_text",
    "on_values",
    "places_of",
    "stacked",
    "to_frame",
    "value_counts",
    "values_of",
]


# above this share of distinct values a list of them saves nothing
DISTINCT = 0.5


def values_of(column: pl.Series) -> pl.Series | None:
    """Return the list of values that a column's text is held by, or None if it is held in another way."""
    kind = column.dtype
    return kind.categories if isinstance(kind, pl.Enum) else None


def is_coded(column: pl.Series) -> bool:
    """Return whether a column's text is held as places in a list of values."""
    return values_of(column) is not None


def is_text(column: pl.Series) -> bool:
    """Return whether a column holds text, in either form."""
    return isinstance(column.dtype, pl.String | pl.Enum)


def encoded(table: pa.Table) -> pa.Table:
    """Return a table with its text columns dictionary-encoded where that saves something.

    Each has one dictionary, and places as narrow as it allows, to be held.

    >>> encoded(pa.table({"a": ["x", "y", "x", "x"], "n": ["1", "2", "3", "4"]})).schema.types
    [DictionaryType(dictionary<values=string, indices=int8, ordered=0>), DataType(string)]
    """
    for place, field in enumerate(table.schema):
        column = table.column(place)
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            column = _narrowed(_joined(column.cast(pa.string())))
        elif _is_dictionary(field.type):
            column = _joined(column.unify_dictionaries() if column.num_chunks > 1 else column)
            # most of a long list may be values of other rows
            many = _distinct(column) > DISTINCT * len(column)
            column = _narrowed(column.cast(pa.string()) if many else column)
        else:
            continue
        table = table.set_column(place, field.name, column)
    return table


def _narrowed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text with the narrowest places that there are for it, or as it is if most values differ."""
    places = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    distinct = _distinct(places)
    if distinct > DISTINCT * len(column):
        return column
    width = pa.int8() if distinct < 1 << 7 else pa.int16() if distinct < 1 << 15 else pa.int32()
    kind = pa.dictionary(width, pa.string())
    if places.type == kind:
        return places
    # not by a cast, which looks at every place again
    chunks = [
        pa.DictionaryArray.from_arrays(
            chunk.indices.cast(width, safe=False), chunk.dictionary.cast(pa.string()), safe=False
        )
        for chunk in places.chunks
    ]
    return pa.chunked_array(chunks, kind)


def _joined(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.num_chunks == 1:
        return column
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.ChunkedArray) else pa.chunked_array([whole])


def _distinct(column: pa.ChunkedArray) -> int:
    return max((len(chunk.dictionary) for chunk in column.chunks), default=0)


def concatenated(tables: Sequence[pa.Table]) -> pa.Table:
    """Return encoded tables of the same columns one after the other; what is coded in one is so in all."""
    fields = []
    for place, field in enumerate(tables[0].schema):
        kind = pa.dictionary(pa.int32(), pa.string()) if _is_coded_in(tables, place) else field.type
        fields.append(pa.field(field.name, kind))
    return pa.concat_tables([table.cast(pa.schema(fields)) for table in tables])


def _is_coded_in(tables: Sequence[pa.Table], place: int) -> bool:
    return any(_is_dictionary(table.schema.field(place).type) for table in tables)


def _is_dictionary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(kind)) and (
        pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)
    )


def to_frame(tables: Sequence[pa.Table], function: Callable[[pl.Series], pl.Series]) -> pl.DataFrame:
    """Return tables of the same columns one after the other; dictionary-encoded text stays encoded.

    Args:
        tables: Text of a column may be encoded in some of them only.
        function: Looks at each value of encoded text alone and gives what is in its place.
    """
    schema = tables[0].schema
    places = range(len(schema))
    plain = [n for n in places if not _is_coded_in(tables, n)]
    frame = pl.DataFrame(pa.concat_tables([t.select(plain) for t in tables])) if plain else pl.DataFrame()
    columns = {n: frame.to_series(place) for place, n in enumerate(plain)}
    for n in places:
        if n not in columns:
            columns[n] = _series([table.column(n) for table in tables], function)
    return pl.DataFrame([columns[n].alias(schema.field(n).name) for n in places])


def _series(columns: Sequence[pa.ChunkedArray], function: Callable[[pl.Series], pl.Series]) -> pl.Series:
    chunks = [
        chunk if _is_dictionary(chunk.type) else chunk.dictionary_encode()
        for column in columns
        for chunk in column.chunks
    ]
    lists = [chunk.dictionary.cast(pa.string()) for chunk in chunks]
    texts = function(pl.Series(pa.chunked_array(lists, pa.string()), dtype=pl.String))
    values = texts.unique(maintain_order=True).drop_nulls()
    kind = pl.Enum(values)
    numbers = texts.cast(kind).to_physical()
    moved, known = numbers.fill_null(0).to_numpy(), numbers.is_not_null().to_numpy()
    found, start = [pa.array(moved[:0])], 0
    for chunk in chunks:
        here = slice(start, start + len(chunk.dictionary))
        found.append(_moved(chunk.indices, moved[here], known[here]))
        start = here.stop
    places = pl.Series(pa.chunked_array(found))
    return values.gather(places) if len(values) > DISTINCT * len(places) else places.cat.to(kind)


def _moved(indices: pa.Array, numbers: NDArray[Any], known: NDArray[np.bool_]) -> pa.Array:
    """Return the number of each place of a list, null where it is not known."""
    if not known.any():
        return pa.nulls(len(indices), pa.from_numpy_dtype(numbers.dtype))
    places, there = _unpacked(indices)
    moved = numbers.take(places, mode="clip")
    if not known.all():
        those = known.take(places, mode="clip")
        there = those if there is None else there & those
    return pa.array(moved, mask=None if there is None else ~there)


def _unpacked(array: pa.Array) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return whole numbers as they lie in memory, and which of them are not null, if some are."""
    width = np.dtype(array.type.to_pandas_dtype())
    numbers = np.frombuffer(
        array.buffers()[1] or b"", dtype=width, count=len(array), offset=array.offset * width.itemsize
    )
    return numbers, array.is_valid().to_numpy(zero_copy_only=False) if array.null_count else None


def places_of(column: pl.Series) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return where each row's text of a coded column stands in its list, and which rows have one, if not all.

    The place of a row without text is any number. numpy takes by these in a third of the time that polars and
    arrow need, which look at each place's validity on its own.
    """
    return _unpacked(column.to_physical().rechunk().to_arrow())


def coded(text: pl.Series) -> pl.Series:
    """Return a text column with each distinct value held once."""
    if is_coded(text):
        return text
    values = text.unique(maintain_order=True).drop_nulls()
    return text.cast(pl.Enum(values))


def stacked(columns: Sequence[pl.Series]) -> pl.Series:
    """Return coded columns one after the other, with one list of values."""
    if len(columns) == 1:
        return columns[0]
    lists: list[pl.Series] = [column.dtype.categories for column in columns]  # type: ignore[attr-defined]
    kind = pl.Enum(pl.concat(lists).unique(maintain_order=True))
    return pl.concat(
        [
            values.cast(kind).gather(column.to_physical()).alias(column.name)
            for values, column in zip(lists, columns, strict=True)
        ]
    )


def on_values(column: pl.Series, function: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Return ``function`` of each value of a column; of coded text it is computed once a distinct value.

    Args:
        column: Text, in either form; any other column is handed to ``function`` as it is.
        function: Looks at each value alone and leaves null null.

    >>> on_values(coded(pl.Series(["a", "b", "a"])), lambda text: text.str.to_uppercase()).to_list()
    ['A', 'B', 'A']
    """
    before = values_of(column)
    if before is None:
        return function(column)
    values = function(before)
    if values.dtype == pl.String():
        if values.equals(before):
            return column
        values = coded(values)
    return values.gather(column.to_physical()).alias(column.name)


def value_counts(column: pl.Series) -> tuple[pl.Series, NDArray[np.int64]]:
    """Return the values of a text column that occur, and how often each does; null is none."""
    values = values_of(column)
    if values is None:
        present = column.drop_nulls()
        return present, np.ones(len(present), dtype=np.int64)
    places = column.to_physical().drop_nulls().to_numpy()
    counts = np.bincount(places, minlength=len(values))
    if counts.all():
        return values, counts
    used = np.flatnonzero(counts)
    return values.gather(used), counts[used]
