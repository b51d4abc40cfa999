"""Rows that kernels group: what is asked of them, and how columns become whole numbers and come back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["Coder", "Column", "Function", "Measure", "Rows", "canonical"]

Function = Literal["rows", "count", "sum", "min", "max", "distinct"]
Measure = tuple[Function, str]

_WITHOUT_COLUMN = "rows"


@dataclass(frozen=True)
class Rows:
    """Rows to be grouped, as Arrow tables of one schema.

    Attributes:
        parts: The tables, read one after another, for example one a segment; a list, or whatever else can
            be gone through again when another device has to take over.

    Raises:
        UsageError: If they can be gone through once only.
    """

    parts: Iterable[pa.Table]

    def __post_init__(self) -> None:
        if iter(self.parts) is self.parts:
            raise UsageError("the parts can be read once only.", fix="Give a list of tables.")


@dataclass
class Column:
    """One column on its way to a device: as whole numbers (keys), or as numbers (what is measured).

    Attributes:
        name: In the tables.
        kind: Its type in the tables, without its dictionary.
        values: Of texts, those seen so far; a row's code is a place in it.
    """

    name: str
    kind: pa.DataType
    values: pa.Array | None = None

    @classmethod
    def key(cls, schema: pa.Schema, name: str, where: str) -> Column:
        """Return a column whose equal values are to be found; floats are refused."""
        kind = _kind(schema, name, where)
        if _is_text(kind):
            return cls(name, kind, pa.array([], kind))
        if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind)):
            raise UsageError(
                f"{where}: column {name!r} is {kind}, equal values of which are not defined well.",
                fix="Use whole numbers, times, booleans or texts.",
            )
        return cls(name, kind)

    @classmethod
    def number(cls, schema: pa.Schema, name: str, function: Function) -> Column:
        """Return a column that is added up or compared."""
        kind = _kind(schema, name, function)
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
        if not (number or (function != "sum" and pa.types.is_temporal(kind))):
            raise UsageError(f"{function} of column {name!r} is not defined: it is {kind}.")
        if function == "sum":
            return cls(name, pa.float64() if pa.types.is_floating(kind) else pa.int64())
        return cls(name, kind)

    def encode(self, table: pa.Table) -> pa.ChunkedArray:
        """Return the column for a device: texts as codes, times and booleans as integers, NaN as null."""
        column = table[self.name]
        if self.values is not None:
            return self._coded(column)
        if pa.types.is_floating(self.kind):
            column = column.cast(self.kind)
            return pc.if_else(pc.is_nan(column), pa.scalar(None, self.kind), column)
        if pa.types.is_dictionary(column.type):
            column = column.cast(self.kind)
        return column.cast(_stand_in(self.kind))

    def decode(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return what a device found in the column's own type."""
        if self.values is None:
            return column.cast(_stand_in(self.kind)).cast(self.kind)
        return pa.chunked_array([self.values.take(_one(column).cast(pa.int32()))], self.kind)

    def order(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return numbers that are ordered as the encoded values' own are."""
        if self.values is None:
            return column
        rank = np.empty(len(self.values), np.int32)
        rank[pc.sort_indices(self.values).to_numpy()] = np.arange(len(rank), dtype=np.int32)
        return pa.chunked_array([pa.array(rank).take(_one(column).cast(pa.int32()))])

    def _coded(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        chunks = []
        for chunk in column.chunks:
            given = pa.types.is_dictionary(chunk.type)
            coded = chunk if given else chunk.dictionary_encode()
            words = coded.dictionary.cast(self.kind)
            if not (given or len(cast("pa.Array", self.values))):
                # the first words: their codes are theirs for good
                self.values = words
                chunks.append(coded.indices)
                continue
            place = pc.index_in(words, self.values)
            if place.null_count:
                new = pc.unique(words.filter(place.is_null())).drop_null()
                self.values = pa.concat_arrays([cast("pa.Array", self.values), new])
                place = pc.index_in(words, self.values)
            chunks.append(place.take(coded.indices))
        return pa.chunked_array(chunks, pa.int32())


@dataclass
class Coder:
    """What is asked of rows, column by column.

    Attributes:
        keys: The columns by which rows are grouped.
        numbers: What is added up or compared: the column and the function, by the measure's name.
        counted: Columns whose values are counted, by the measure's name.
        distinct: Columns whose different values are counted, by the measure's name.
        rows: The measures that are the number of rows.
        names: All measures, in the order of the result.
    """

    keys: list[Column]
    numbers: dict[str, tuple[Column, Function]] = field(default_factory=dict)
    counted: dict[str, str] = field(default_factory=dict)
    distinct: dict[str, Column] = field(default_factory=dict)
    rows: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, schema: pa.Schema, by: Sequence[str], measures: Mapping[str, Measure]) -> Coder:
        """Return the request after checking it against the rows' schema.

        Raises:
            UsageError: If there is no key, a name stands twice, or a column's type does not do.
            UnknownNameError: If there is no such column or function; near misses are suggested.
        """
        if not by:
            raise UsageError("rows are grouped by at least one column.")
        if twice := [name for name in (*by, *measures) if [*by, *measures].count(name) > 1]:
            raise UsageError(f"{twice[0]!r} stands twice among keys and measures.")
        coder = cls([Column.key(schema, name, "by") for name in by], names=list(measures))
        for name, (function, column) in measures.items():
            coder._add(schema, name, function, column)
        return coder

    def _add(self, schema: pa.Schema, name: str, function: Function, column: str) -> None:
        if function not in get_args(Function):
            raise UnknownNameError("function", function, get_args(Function), where=f"measure {name!r}")
        if (function == _WITHOUT_COLUMN) != (not column):
            raise UsageError(f"measure {name!r}: {function} takes {'no' if column else 'a'} column.")
        if function == "rows":
            self.rows.append(name)
        elif function == "count":
            _kind(schema, column, name)
            self.counted[name] = column
        elif function == "distinct":
            self.distinct[name] = Column.key(schema, column, "distinct")
        else:
            self.numbers[name] = (Column.number(schema, column, function), function)

    @property
    def places(self) -> list[str]:
        """Return what the keys are called on a device."""
        return [f"k{i}" for i in range(len(self.keys))]

    def encode(self, table: pa.Table) -> pa.Table:
        """Return the columns for a device: keys ``k0`` …, what is measured, ``d:`` what is told apart."""
        columns = dict(zip(self.places, (key.encode(table) for key in self.keys), strict=True))
        for name, (column, _) in self.numbers.items():
            columns[f"m:{name}"] = column.encode(table)
        for name, wanted in self.counted.items():
            columns[f"m:{name}"] = pc.is_valid(table[wanted]).cast(pa.int64())
        for name, column in self.distinct.items():
            columns[f"d:{name}"] = column.encode(table)
        return pa.table(columns)


def canonical(coder: Coder, found: pa.Table, apart: Mapping[str, pa.Table]) -> pa.Table:
    """Return a device's groups as they are everywhere: sorted by the keys, nulls last, in fixed types.

    Args:
        coder: What was asked.
        found: One row a group: the keys and what was measured.
        apart: For each measure of different values the keys and, in ``m``, their number.
    """
    found = _sorted(coder, found)
    columns = {
        key.name: key.decode(found[place]) for key, place in zip(coder.keys, coder.places, strict=True)
    }
    for name in coder.names:
        if name in apart:
            columns[name] = _sorted(coder, apart[name])["m"].cast(pa.int64())
        elif name in coder.numbers:
            column, function = coder.numbers[name]
            measured = column.decode(found[f"m:{name}"])
            # the sum of no value: some libraries say null
            columns[name] = pc.fill_null(measured, 0) if function == "sum" else measured
        else:
            columns[name] = found[f"m:{name}"].cast(pa.int64())
    return pa.table(columns)


def batches(parts: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield the parts, several small ones together and none above ``rows`` rows."""
    waiting: list[pa.Table] = []
    for part in parts:
        for start in range(0, part.num_rows, rows):
            piece = part.slice(start, rows)
            if waiting and sum(table.num_rows for table in waiting) + piece.num_rows > rows:
                yield pa.concat_tables(waiting)
                waiting = []
            waiting.append(piece)
    if waiting:
        yield pa.concat_tables(waiting)


def _sorted(coder: Coder, found: pa.Table) -> pa.Table:
    order = pa.table(
        {place: key.order(found[place]) for key, place in zip(coder.keys, coder.places, strict=True)}
    )
    keys = [(place, "ascending", "at_end") for place in coder.places]
    return found.take(pc.sort_indices(order, sort_keys=keys))


def _kind(schema: pa.Schema, name: str, where: str) -> pa.DataType:
    if name not in schema.names:
        raise UnknownNameError("column", name, schema.names, where=where)
    kind: Any = schema.field(name).type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _stand_in(kind: pa.DataType) -> pa.DataType:
    """Return the whole numbers that stand for values of a type on a device."""
    if pa.types.is_boolean(kind):
        return pa.int8()
    if pa.types.is_temporal(kind):
        return pa.int32() if kind.bit_width == 32 else pa.int64()
    return kind


def _one(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
