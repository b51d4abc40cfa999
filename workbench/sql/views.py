"""What SQL sees of a workspace: one view per event type, ``events``, the window and the knowledge."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.partials.types import widen
from workbench.sql.session import View
from workbench.storage.missing import notes_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from workbench.graph import Graph
    from workbench.partials.types import FieldType
    from workbench.storage import FileEntry, Snapshot

__all__ = ["GIVEN", "Views"]

GIVEN = "given"

_SQL_TYPES: dict[FieldType, str] = {
    "null": "VARCHAR",
    "bool": "BOOLEAN",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "string": "VARCHAR",
}
# a segment is a day of UTC, whatever zone the session shows times in
_SEGMENT = "CAST(CAST(make_timestamp(epoch_us(_ts)) AS DATE) AS VARCHAR)"
_READ = ("events", "reference")
_DAY = len("2013-06-30")
_WINDOW = ("entities", "edges", "properties")


class Views:
    """The views of one generation.

    Files are verified when a statement names their view, not before.

    Args:
        snapshot: The generation.
        fields: The type of each field, by event type.
        graph: Makes the window graph; called when a statement names one of the window's tables.
        scratch: A directory for the window's tables, which the worker reads as files.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        fields: Mapping[str, Mapping[str, FieldType]],
        graph: Callable[[], Graph],
        scratch: Path,
    ) -> None:
        self._snapshot = snapshot
        self._fields = fields
        self._graph = graph
        self._scratch = scratch

    def names(self) -> list[tuple[str, str]]:
        """Return schema and name of every view."""
        snapshot = self._snapshot
        types = sorted({f.name for f in snapshot.files("events")})
        main = [*(["events"] if types else []), *types, *_WINDOW, "counts"]
        kinds = sorted({f.name for f in snapshot.files("knowledge")})
        references = sorted({f.name for f in snapshot.files("reference")})
        return [
            *(("main", n) for n in main),
            *(("knowledge", n) for n in [*kinds, "runs"]),
            *(("reference", n) for n in references),
        ]

    def resolve(self, schema: str, name: str) -> View | None:
        """Return one view, its files verified, or None if there is none of that name.

        Raises:
            CorruptFileError: If a file that the view needs is damaged.
        """
        known = {(s.casefold(), n.casefold()): (s, n) for s, n in self.names()}
        found = known.get((schema.casefold(), name.casefold()))
        if found is None:
            return None
        schema, name = found
        view = self._view(schema, name)
        return replace(view, notes=self._notes(schema, name)) if self._snapshot.missing else view

    def _view(self, schema: str, name: str) -> View:
        if schema == "knowledge":
            return self._runs() if name == "runs" else self._newest(name)
        if schema == "reference":
            return self._files_view(self._snapshot.files("reference", name=name), name, "*", schema)
        if name in _WINDOW:
            return self._window(name)
        if name == "counts":
            return self._files_view(self._snapshot.files("counts"), name, "*", schema)
        entries = self._snapshot.files("events", name=None if name == "events" else name)
        return self._files_view(entries, name, self._columns(name, entries), schema)

    def _notes(self, schema: str, name: str) -> tuple[str, ...]:
        """Return what a reader of a view must know: what is missing from what its rows are made of."""
        missing = self._snapshot.missing
        if schema in (GIVEN, "reference"):
            return notes_on((m for m in missing if m.entry.kind == "reference"), [name])
        if schema == "knowledge":
            runs = [e.meta for e in self._snapshot.files("knowledge", name=None if name == "runs" else name)]
            newest = max((m["created"] for m in runs), default="")
            return notes_on(m for m in missing if m.entry.kind in _READ and m.since <= newest)
        if name in (*_WINDOW, "counts", "events"):
            kinds = _READ if name in _WINDOW else ("events",)
            return notes_on(m for m in missing if m.entry.kind in kinds)
        return notes_on((m for m in missing if m.entry.kind == "events"), [name])

    def _columns(self, name: str, entries: list[FileEntry]) -> str:
        """Return the select list: identity first, then every field in its one type."""
        fields: dict[str, FieldType] = {}
        for event_type in {e.name for e in entries} if name == "events" else {name}:
            for field, kind in self._fields.get(event_type, {}).items():
                fields[field] = widen(fields.get(field, kind), kind)
        # what held a field may have been evicted or forgotten: it keeps its type, without a value
        held = {field for entry in entries for field in entry.meta["fields"]}
        typed = [
            f"CAST({_quote(field) if field in held else 'NULL'} AS {_SQL_TYPES.get(kind, 'VARCHAR')})"
            f" AS {_quote(field)}"
            for field, kind in sorted(fields.items())
        ]
        segment = _SEGMENT if "filename" in {field.casefold() for field in fields} else _by_path(entries)
        return ", ".join([f"{segment} AS _segment", "_id", "_ts", "_type", *typed])

    def _files_view(self, entries: list[FileEntry], name: str, columns: str, schema: str) -> View:
        paths = tuple(self._snapshot.paths(entries))
        if not paths:
            return View(name, "SELECT NULL AS nothing WHERE false", (), schema)
        listed = ", ".join(_literal(str(p)) for p in paths)
        # without hive_partitioning the path's dt=… is no column, which a source's own dt may be
        source = f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
        return View(name, f"SELECT {columns} FROM {source}", paths, schema)  # noqa: S608  (quoted)

    def _newest(self, kind: str) -> View:
        entries = self._snapshot.files("knowledge", name=kind)
        newest = max(entries, key=lambda e: (e.meta["asof"], e.meta["created"]))
        return self._files_view([newest], kind, "*", "knowledge")

    def _runs(self) -> View:
        facts = [e.meta for e in self._snapshot.files("knowledge")]
        rows = [
            {
                "id": m["id"],
                "kind": m["kind"],
                "algorithm": m["algorithm"],
                "device": m["device"],
                "asof": m["asof"],
                "created": m["created"],
                "seconds": m["seconds"],
                "parameters": json.dumps(m["parameters"], sort_keys=True),
                "metrics": json.dumps(m["metrics"], sort_keys=True),
            }
            for m in facts
        ]
        names = ("id", "kind", "algorithm", "device", "asof", "created", "seconds", "parameters", "metrics")
        types = [(n, pa.float64() if n == "seconds" else pa.string()) for n in names]
        return self._scratch_view("runs", pa.Table.from_pylist(rows, schema=pa.schema(types)), "knowledge")

    def _window(self, name: str) -> View:
        graph = self._graph()
        if name == "entities":
            table = graph.nodes()
        elif name == "edges":
            table = graph.edges()
        else:
            properties = graph.window.properties
            entities = graph.entities_of(properties["node"].to_numpy())
            table = properties.drop_columns(["node"]).add_column(0, "entity", entities)
        return self._scratch_view(name, table, "main")

    def given(self, tables: Mapping[str, pa.Table]) -> list[View]:
        """Return views in schema ``given`` of tables in memory; :meth:`forget` deletes their files."""
        return [self._file_of(f"{GIVEN}.{uuid.uuid4().hex}", n, table, GIVEN) for n, table in tables.items()]

    @staticmethod
    def forget(views: Iterable[View]) -> None:
        """Delete the files of views that were given."""
        for file in (file for view in views for file in view.files):
            file.unlink(missing_ok=True)

    def _scratch_view(self, name: str, table: pa.Table, schema: str) -> View:
        return self._file_of(f"{schema}.{name}.{self._snapshot.generation}", name, table, schema)

    def _file_of(self, stem: str, name: str, table: pa.Table, schema: str) -> View:
        path = self._scratch / f"{stem}.parquet"
        if not path.exists():
            pq.write_table(table, path, compression="lz4")
        query = f"SELECT * FROM read_parquet({_literal(str(path))})"  # noqa: S608  (quoted)
        return View(name, query, (path,), schema)


def _by_path(entries: Iterable[FileEntry]) -> str:
    """Return the segment as a part of each file's path: DuckDB then leaves out files of other segments.

    It is a constant of a file, which costs nothing, where a day of each time is a second in ten million.
    """
    ends = {len(entry.path) - entry.path.rfind(entry.segment) for entry in entries}
    return f"substring(filename, -{ends.pop()}, {_DAY})" if len(ends) == 1 else _SEGMENT


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
