"""Rows of any table that name an entity."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from workbench.graph.keys import format_entity

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["rows_naming"]


def rows_naming(table: pa.Table, type_: str, key: str) -> pa.BooleanArray:
    """Return which rows name an entity.

    A row does if one of its texts, however deep, holds ``type:key``, or if of two texts that stand side by
    side one is the type and the other the key.

    >>> table = pa.table({"entity": ["page:a", "page:ab"], "type": ["page", "user"], "key": ["a", "a"]})
    >>> rows_naming(table, "page", "a").to_pylist()
    [True, False]
    """
    columns = [column.combine_chunks() for column in table.columns]
    arrays = [c if isinstance(c, pa.Array) else pa.chunked_array(c).combine_chunks() for c in columns]
    return _named(arrays, table.num_rows, type_, key)


def _named(columns: Iterable[pa.Array], rows: int, type_: str, key: str) -> pa.BooleanArray:
    nobody = pa.array([False] * rows, pa.bool_())
    found, kinds, keys = [nobody], [nobody], [nobody]
    for column in columns:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()  # noqa: PLW2901  (the same column)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            found.append(_says(column, format_entity(type_, key)))
            kinds.append(pc.fill_null(pc.equal(column, type_), False))
            keys.append(pc.fill_null(pc.equal(column, key), False))
        elif pa.types.is_struct(column.type):
            found.append(_named(column.flatten(), rows, type_, key))
        elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            values = column.flatten()
            inside = _named([values], len(values), type_, key)
            parents = pc.list_parent_indices(column).filter(inside)
            found.append(pc.is_in(pa.array(range(rows), pa.int64()), parents.cast(pa.int64())))
    any_of = functools.partial(functools.reduce, pc.or_)
    return any_of([*found, pc.and_(any_of(kinds), any_of(keys))])


def _says(column: pa.Array, entity: str) -> pa.BooleanArray:
    """Return which texts hold an entity, not as the beginning of a longer key."""
    pattern = r"(^|[^0-9A-Za-z_])\Q" + entity.replace(r"\E", r"\E\\E\Q") + r"\E($|[^0-9A-Za-z_%])"
    return pc.fill_null(pc.match_substring_regex(column, pattern), False)
