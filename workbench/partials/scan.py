"""Documents in batches: of the files, row groups and columns of a window only those that a scan needs."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import and_
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.errors import CorruptFileError, UnknownNameError, UsageError
from workbench.given import names, whole
from workbench.partials.micros import moment
from workbench.partials.prune import bounds_of, columns_of, file_bounds, possible
from workbench.partials.stored import align
from workbench.partials.types import widen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from workbench.config.entity_schema import EntitySchema
    from workbench.partials.types import FieldType
    from workbench.storage import FileEntry, Snapshot

__all__ = ["Wanted", "scan_documents"]

_TIME = pa.timestamp("us", "UTC")
_ARROW: dict[FieldType, pa.DataType] = {
    "null": pa.string(),
    "bool": pa.bool_(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "timestamp": _TIME,
    "string": pa.string(),
}
_IDENTITY = [("_segment", pa.string()), ("_id", pa.int64()), ("_ts", _TIME), ("_type", pa.string())]
_BATCH = 1 << 14  # rows
_ROW = "row number"  # no field has a blank in its name
_MISSING = re.compile(r"No match for FieldRef\.Name\((.*?)\) in ")


@dataclass(frozen=True)
class Wanted:
    """What a scan asks for.

    Attributes:
        types: Event types; None for all.
        since: First moment, in microseconds since 1970.
        until: First moment after the range.
        where: A condition, as an Arrow expression or as pyarrow's ``filters``.
        columns: Which columns, in that order; None for all.
        limit: Most documents.
    """

    types: Sequence[str] | None = None
    since: int | None = None
    until: int | None = None
    where: Any = None
    columns: Sequence[str] | None = None
    limit: int | None = None

    @classmethod
    def of(  # noqa: PLR0913, PLR0917  (a condition each)
        cls,
        schema: EntitySchema,
        timezone: str,
        types: str | Sequence[str] | None = None,
        between: tuple[str | date | None, str | date | None] = (None, None),
        where: Any = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Wanted:
        """Return what is asked for in words of people: aliases of event types, days and times in a zone.

        Raises:
            UsageError: If a time is none, or the range ends before it begins.
        """
        named = None if types is None else [schema.event_names.get(name, name) for name in names(types)]
        since, until = (None if at is None else moment(at, timezone) for at in between)
        if since is not None and until is not None and until < since:
            raise UsageError(f"the range from {between[0]} until {between[1]} is empty.")
        return cls(named, since, until, where, columns, limit)


def scan_documents(
    snapshot: Snapshot, fields: Mapping[str, Mapping[str, FieldType]], wanted: Wanted
) -> pa.RecordBatchReader:
    """Return documents in batches of some thousand rows, every field in its one type.

    The first batch is read at once: until then a caller can begin again at a newer generation. The
    generation's files stay while the reader lives.

    Args:
        snapshot: The generation.
        fields: The type of each field, by event type.
        wanted: Which documents, and what of them.

    Raises:
        UnknownNameError: If there is no such event type or column.
        UsageError: If the condition or the limit cannot be meant.
        CorruptFileError: If a file is missing or damaged; later, from the reader, if one is met then.
    """
    scan = _Scan(snapshot, fields, wanted)
    batches = scan.batches()
    first = next(batches, None)
    schema = pa.schema([scan.schema.field(name) for name in scan.columns])
    return pa.RecordBatchReader.from_batches(schema, _after(first, batches, snapshot.generation))


def _after(
    first: pa.RecordBatch | None, batches: Iterator[pa.RecordBatch], generation: int
) -> Iterator[pa.RecordBatch]:
    if first is None:
        return
    yield first
    given = first.num_rows
    try:
        for batch in batches:
            yield batch
            given += batch.num_rows
    except CorruptFileError as error:
        raise CorruptFileError(
            f"the scan of generation {generation} cannot go on after {given:,} documents: {error.message}",
            where=error.where,
            fix="Begin it again: what was given is not the whole. If that fails too, run 'workbench verify'.",
        ) from error


@dataclass(frozen=True)
class _Condition:
    """What documents have to fulfil, and the columns that it looks at."""

    expression: pc.Expression
    columns: frozenset[str]


class _Scan:
    """One scan of one generation."""

    def __init__(
        self, snapshot: Snapshot, fields: Mapping[str, Mapping[str, FieldType]], wanted: Wanted
    ) -> None:
        self._snapshot = snapshot
        self._wanted = wanted
        known = sorted({*fields, *(file.name for file in snapshot.files("events"))})
        self._types = known if wanted.types is None else list(wanted.types)
        for name in self._types:
            if name not in known:
                raise UnknownNameError("event type", name, known)
        self._kinds: dict[str, FieldType] = {}
        for name in self._types:
            for field, kind in fields.get(name, {}).items():
                self._kinds[field] = widen(self._kinds.get(field, kind), kind)
        typed = [(field, _ARROW[kind]) for field, kind in sorted(self._kinds.items())]
        self.schema = pa.schema([*_IDENTITY, *typed])
        self.columns = self._chosen(wanted.columns)
        self._conditions = self._read_condition(wanted.where)
        if wanted.limit is not None:
            whole(wanted.limit, "limit")

    def _chosen(self, columns: Sequence[str] | None) -> list[str]:
        chosen = self.schema.names if columns is None else names(columns)
        for name in chosen:
            if name not in self.schema.names:
                raise UnknownNameError("column", name, self.schema.names)
        if not chosen or len({*chosen}) < len(chosen):
            raise UsageError(f"columns is {chosen}.", fix="Name at least one column, and each once.")
        return chosen

    def _read_condition(self, where: Any) -> list[pc.Expression]:
        """Return the condition, if there is one, seen to fit the columns."""
        if where is None:
            return []
        if isinstance(where, str):
            raise UsageError(
                "where is a text; conditions in SQL are db.sql's.",
                fix='Write it as pc.field("n") > 3 (pyarrow.compute as pc), or as [("n", ">", 3)].',
            )
        try:
            condition = where if isinstance(where, pc.Expression) else pq.filters_to_expression(where)
            self.schema.empty_table().filter(condition)
        except (pa.ArrowException, TypeError, ValueError) as error:
            if missing := _MISSING.match(str(error)):
                raise UnknownNameError("column", missing[1], self.schema.names) from None
            text = str(error).splitlines()[0].rstrip(".")
            raise UsageError(f"where cannot be applied: {text}.") from error
        return [condition]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the documents, file by file."""
        left = self._wanted.limit
        for entry in self._entries:
            if left == 0:
                return
            condition = self._condition_on(entry)
            with self._opened(entry) as part:
                for group in part.groups(condition):
                    for batch in part.read(group, self.columns, condition, left):
                        yield batch
                        left = None if left is None else left - batch.num_rows
                    if left == 0:
                        return

    @contextmanager
    def _opened(self, entry: FileEntry) -> Iterator[_Part]:
        try:
            with self._snapshot.open(entry) as file:
                yield _Part(file, entry, self.schema, self._kinds)
        except OSError as error:  # it was whole when it was opened
            raise CorruptFileError(
                f"cannot be read any more: {error}.",
                where=str(self._snapshot.root / entry.path),
                fix="Run 'workbench verify' for the extent of the damage.",
            ) from error

    @cached_property
    def _entries(self) -> list[FileEntry]:
        """Return the files that may hold something, told without opening any."""
        found = [f for f in self._snapshot.files("events") if f.name in self._types]
        files = sorted(found, key=lambda f: (f.segment, f.name, f.min_ts or 0, f.path))
        if self._timed is None:
            return files
        kept = possible(self._timed.expression, self.schema, [file_bounds(f, _TIME) for f in files])
        return [files[place] for place in kept]

    def _condition_on(self, entry: FileEntry) -> _Condition | None:
        """Return what the documents of a file have to fulfil: nothing about time if all of it is within."""
        since, until = self._wanted.since, self._wanted.until
        first, last = entry.min_ts, entry.max_ts
        early = since is not None and (first is None or first < since)
        late = until is not None and (last is None or last >= until)
        return self._timed if early or late else self._timeless

    @cached_property
    def _timed(self) -> _Condition | None:
        since, until, time = self._wanted.since, self._wanted.until, pc.field("_ts")
        bounds = [
            *([] if since is None else [time >= pa.scalar(since, _TIME)]),
            *([] if until is None else [time < pa.scalar(until, _TIME)]),
        ]
        return self._all_of([*bounds, *self._conditions])

    @cached_property
    def _timeless(self) -> _Condition | None:
        return self._all_of(self._conditions)

    def _all_of(self, conditions: Sequence[pc.Expression]) -> _Condition | None:
        if not conditions:
            return None
        whole = reduce(and_, conditions)
        return _Condition(whole, frozenset(columns_of(whole, self.schema)))


class _Part:
    """One file of documents, open."""

    def __init__(
        self, file: pq.ParquetFile, entry: FileEntry, schema: pa.Schema, kinds: Mapping[str, FieldType]
    ) -> None:
        self._file = file
        self._entry = entry
        self._schema = schema
        self._kinds = kinds
        self._stored: pa.Schema = file.schema_arrow
        # what is stored in another type than it has by now: read by the text that its source had
        self._drifted = {n for n in schema.names if n in self._stored.names and not self._as_stored(n)}

    def _as_stored(self, name: str) -> bool:
        stored, kind = self._stored.field(name).type, self._schema.field(name).type
        return bool(_plain(stored) == kind)

    def groups(self, condition: _Condition | None) -> list[int]:
        """Return the row groups that may hold something, told by their statistics."""
        footer = self._file.metadata
        if condition is None:
            return list(range(footer.num_row_groups))
        compared = condition.columns - self._drifted - {"_type"}
        kinds = {n: self._schema.field(n).type for n in sorted(compared) if n in self._stored.names}
        whole = file_bounds(self._entry, _TIME)
        bounds = [whole & bounds_of(footer.row_group(n), kinds) for n in range(footer.num_row_groups)]
        return possible(condition.expression, self._schema, bounds)

    def read(
        self, group: int, columns: Sequence[str], condition: _Condition | None, limit: int | None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the documents of a row group that fulfil a condition, the first ``limit`` of them.

        What the condition looks at is read first; the other columns only if something fulfils it.
        """
        rows = self._file.metadata.row_group(group).num_rows
        kept = None if condition is None else self._fulfilling(group, rows, condition)
        if kept is not None and not len(kept):
            return
        table = self._raw(group, columns)
        table = table if kept is None or len(kept) == rows else table.take(kept)
        table = table.slice(0, limit)
        # text is held once a value until it is given
        for start in range(0, table.num_rows, _BATCH):
            yield from self._typed(table.slice(start, _BATCH), columns).combine_chunks().to_batches()

    def _fulfilling(self, group: int, rows: int, condition: _Condition) -> pa.Array:
        """Return the numbers of the rows that fulfil a condition."""
        looked_at = sorted(condition.columns) or ["_id"]
        tested = self._typed(self._raw(group, looked_at), looked_at)
        numbered = tested.append_column(_ROW, pa.array(np.arange(rows, dtype=np.int32)))
        return numbered.filter(condition.expression)[_ROW]

    def _raw(self, group: int, columns: Sequence[str]) -> pa.Table:
        stored = [n for n in columns if n in self._stored.names and n != "_type"]
        texts = [f"_original.{n}" for n in sorted(self._drifted.intersection(columns))]
        table: pa.Table = self._file.read_row_group(group, columns=[*(stored or ["_id"]), *texts])
        return table

    def _typed(self, table: pa.Table, columns: Sequence[str]) -> pa.Table:
        """Return columns in the types of the schema; what the file lacks is null."""
        drifted = [n for n in columns if n in self._drifted]
        if drifted:
            beside = [n for n in ("_original",) if n in table.column_names]
            frame = align(pl.DataFrame(table.select([*drifted, *beside])), self._kinds)
            found = frame.select(drifted).to_arrow(compat_level=pl.CompatLevel.oldest())
        arrays = []
        for name in columns:
            kind = self._schema.field(name).type
            if name in drifted:
                arrays.append(found[name].cast(kind))
            elif name in ("_segment", "_type"):
                constant = self._entry.segment if name == "_segment" else self._entry.name
                arrays.append(pa.repeat(constant, table.num_rows))
            elif name in table.column_names:
                arrays.append(table[name].cast(kind))
            else:
                arrays.append(pa.nulls(table.num_rows, kind))
        return pa.table(arrays, names=list(columns))


def _plain(kind: pa.DataType) -> pa.DataType:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.string() if pa.types.is_large_string(plain) else plain
