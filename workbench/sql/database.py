"""The locked database that statements over the same tables run in: no file but the views' own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypedDict

import duckdb

from workbench.errors import SqlError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

__all__ = ["Config", "Database", "ViewMessage"]

CELLS = 1_000_000  # in one batch on its way to the parent, whatever the number of columns
# Arrow has no type for these and DuckDB's substitutes lose a part of the value (or all of it, with UHUGEINT).
_NO_ARROW = re.compile(r"\b(UHUGEINT|BIGNUM|TIME WITH TIME ZONE|BIT|UNION|VARIANT)\b")


class Config(TypedDict):
    """What a worker is started with."""

    timezone: str
    memory: str
    threads: int
    scratch: str


class ViewMessage(TypedDict):
    """A view on the wire."""

    schema: str
    name: str
    query: str
    files: list[str]


class Database:
    """An in-memory DuckDB that holds nothing but views and can open nothing but their files.

    DuckDB fixes the list of allowed files when external access is switched off, so other views need another
    database (about 20 ms without any files).

    Args:
        config: Time zone, memory limit, threads and the directory to spill to.
        schemas: Every schema there is, in the order in which unqualified names are looked up.
        views: The views, with the files they may read.

    Raises:
        SqlError: If a view cannot be made.
        duckdb.Error: If a setting cannot be applied.
    """

    def __init__(
        self, config: Config, schemas: Sequence[str] = (), views: Iterable[ViewMessage] = ()
    ) -> None:
        self._views = _by_name(views)
        self.con = con = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": config["memory"],
                "threads": config["threads"],
                "temp_directory": f"{config['scratch']}/spill",
                "secret_directory": f"{config['scratch']}/secrets",
                "allow_persistent_secrets": False,
                "allow_community_extensions": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "python_enable_replacements": False,
            },
        )
        con.execute("SET parquet_metadata_cache = true")  # binding reads the footers of all files again
        con.execute(f"SET TimeZone = {_literal(config['timezone'])}")
        allowed = dict.fromkeys(file for view in self._views.values() for file in view["files"])
        con.execute(f"SET allowed_paths = [{', '.join(map(_literal, allowed))}]")
        con.execute("SET enable_external_access = false")
        for schema in schemas:
            con.execute(f"CREATE SCHEMA IF NOT EXISTS {_name(schema)}")
        for view in self._views.values():
            self._create(view)
        path = ",".join(_name(schema) for schema in dict.fromkeys(["main", *schemas]))
        con.execute(f"SET search_path = {_literal(path)}")
        con.execute("SET lock_configuration = true")

    def _create(self, view: ViewMessage) -> None:
        try:
            self.con.execute(f"CREATE VIEW {_name(view['schema'])}.{_name(view['name'])} AS {view['query']}")
        except duckdb.Error as error:
            table = view["name"] if view["schema"] == "main" else f"{view['schema']}.{view['name']}"
            raise SqlError(f"the table cannot be opened: {error}", where=table) from error

    def holds(self, views: Iterable[ViewMessage]) -> bool:
        """Return whether exactly these views are open here, with the same definitions and files."""
        return self._views == _by_name(views)

    def run(self, statement: str) -> tuple[pa.RecordBatchReader, list[int]]:
        """Start a statement; return its rows, computed as they are read, and the places of HUGEINT columns.

        Raises:
            SqlError: If a column has a type that Arrow does not have.
            duckdb.Error: If the statement is wrong; further errors may come while the rows are read.
        """
        relation = self.con.sql(statement)
        types = [str(kind) for kind in relation.types]
        for name, kind in zip(relation.columns, types, strict=True):
            if _NO_ARROW.search(kind):
                raise SqlError(
                    f"column {name!r} of the result is of type {kind}, which Arrow does not have.",
                    fix="Cast it, for example to VARCHAR.",
                )
        reader = relation.to_arrow_reader(max(2048, CELLS // max(1, len(types))))
        return reader, [i for i, kind in enumerate(types) if kind == "HUGEINT"]

    def close(self) -> None:
        """Free the database's memory and its temporary files."""
        self.con.close()


def _by_name(views: Iterable[ViewMessage]) -> dict[tuple[str, str], ViewMessage]:
    return {(view["schema"], view["name"]): view for view in views}


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
