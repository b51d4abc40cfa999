"""Text held as places in a list of its distinct values, so that what is done to text is done once a value.

In a data frame such a column is an ``Enum``. A log's texts repeat: a day of 104 million cells has a few
hundred thousand distinct values, and its places fit in one or two bytes a cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "coded",
    "concatenated",
    "encoded",
    "is_coded",
    "is_text",
    "narrowed",
    "on_values",
    "stacked",
    "to_frame",
    "value_counts",
]


def is_coded(column: pl.Series) -> bool:
    """Return whether a column's text is held as places in a list of values."""
    return isinstance(column.dtype, pl.Enum)


def is_text(column: pl.Series) -> bool:
    """Return whether a column holds text, in either form."""
    return column.dtype == pl.String() or is_coded(column)


def encoded(table: pa.Table) -> pa.Table:
    """Return a table with its text columns dictionary-encoded, each with one dictionary.

    >>> encoded(pa.table({"a": ["x", "y", "x"]})).schema.field("a").type
    DictionaryType(dictionary<values=string, indices=int32, ordered=0>)
    """
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            column = table.column(place).combine_chunks().cast(pa.string()).dictionary_encode()
        elif _is_dictionary(field.type) and table.column(place).num_chunks > 1:
            column = table.column(place).unify_dictionaries()
        else:
            continue
        table = table.set_column(place, field.name, column)
    return table


def narrowed(table: pa.Table) -> pa.Table:
    """Return an encoded table with places as narrow as its dictionaries allow, to be held."""
    for place, field in enumerate(table.schema):
        if _is_dictionary(field.type):
            column = table.column(place)
            longest = max((len(chunk.dictionary) for chunk in column.chunks), default=0)
            width = pa.int8() if longest < 1 << 7 else pa.int16() if longest < 1 << 15 else pa.int32()
            table = table.set_column(place, field.name, column.cast(pa.dictionary(width, pa.string())))
    return table


def concatenated(tables: Sequence[pa.Table]) -> pa.Table:
    """Return tables of the same columns, of any width of places, one after the other."""
    wide = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema(
        [pa.field(f.name, wide if _is_dictionary(f.type) else f.type) for f in tables[0].schema]
    )
    return pa.concat_tables([table.cast(schema) for table in tables])


def _is_dictionary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(kind)) and (
        pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)
    )


def to_frame(table: pa.Table) -> pl.DataFrame:
    """Return a table as a data frame in which dictionary-encoded text stays encoded."""
    plain = [n for n, f in enumerate(table.schema) if not _is_dictionary(f.type)]
    frame = pl.DataFrame(table.select(plain)) if plain else pl.DataFrame()
    columns = {n: frame.to_series(place) for place, n in enumerate(plain)}
    for n, field in enumerate(table.schema):
        if n not in columns:
            column = table.column(n).unify_dictionaries().combine_chunks()
            columns[n] = _series(column if isinstance(column, pa.Array) else column.chunk(0)).alias(
                field.name
            )
    return pl.DataFrame([columns[n].alias(field.name) for n, field in enumerate(table.schema)])


def _series(array: pa.DictionaryArray) -> pl.Series:
    values = pl.Series(array.dictionary.cast(pa.string()), dtype=pl.String)
    places = pl.Series(array.indices.cast(pa.uint32()), dtype=pl.UInt32)
    if values.null_count() or not values.is_unique().all():
        return coded(values).gather(places)
    return places.cat.to(pl.Enum(values))


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
    values = pl.concat([_values(column) for column in columns]).unique(maintain_order=True)
    kind = pl.Enum(values)
    return pl.concat([_values(c).cast(kind).gather(c.to_physical()).alias(c.name) for c in columns])


def _values(column: pl.Series) -> pl.Series:
    values: pl.Series = column.dtype.categories  # type: ignore[attr-defined]
    return values


def on_values(column: pl.Series, function: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Return ``function`` of each value of a column; of coded text it is computed once a distinct value.

    Args:
        column: Text, in either form; any other column is handed to ``function`` as it is.
        function: Looks at each value alone and leaves null null.

    >>> on_values(coded(pl.Series(["a", "b", "a"])), lambda text: text.str.to_uppercase()).to_list()
    ['A', 'B', 'A']
    """
    if not is_coded(column):
        return function(column)
    values = function(_values(column))
    if values.dtype == pl.String():
        values = coded(values)
    return values.gather(column.to_physical()).alias(column.name)


def value_counts(column: pl.Series) -> tuple[pl.Series, NDArray[np.int64]]:
    """Return the values of a text column that occur, and how often each does; null is none."""
    if not is_coded(column):
        present = column.drop_nulls()
        return present, np.ones(len(present), dtype=np.int64)
    values = _values(column)
    places = column.to_physical().drop_nulls().to_numpy()
    counts = np.bincount(places, minlength=len(values))
    used = np.flatnonzero(counts)
    return values.gather(used), counts[used]
