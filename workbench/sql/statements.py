"""What a statement is and which tables it names, told by DuckDB's own parser before anything is bound.

Binding opens files, and a file is opened only after its hash was verified: the tables must be known first.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import duckdb

from workbench.errors import SqlRefusedError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, Statement

__all__ = ["Reading", "read_statement"]

Listing = Literal["none", "names", "all"]


@dataclass(frozen=True)
class Reading:
    """What a statement needs.

    Attributes:
        tables: Schema and name of each table it names, as spelt there; schema ``""`` where none is given and
            ``None`` where any may be meant. Names of common table expressions are among them.
        listing: Whether it lists the catalog: the names of all tables only, or their columns too.
        once: Whether it leaves something behind in its connection, which then serves no second statement.
    """

    tables: tuple[tuple[str | None, str], ...]
    listing: Listing = "none"
    once: bool = False


_READS = "SELECT, FROM, WITH, VALUES, PIVOT, DESCRIBE, SUMMARIZE, SHOW and EXPLAIN"
_INSTEAD = {
    "ATTACH": "Files and databases come in through ingest; only the workspace's own tables can be read.",
    "CALL": "Write SELECT * FROM the function instead.",
    "COPY": "Save the result instead: db.sql(...).to_polars().write_parquet(path).",
    "CREATE": "Name an intermediate result with WITH name AS (SELECT ...).",
    "DELETE": "Nothing is deleted by SQL; workbench forget removes everything about one entity.",
    "EXPORT": "Save the result instead: db.sql(...).to_polars().write_parquet(path).",
    "INSERT": "Documents come in through ingest.",
    "LOAD": "Extensions cannot be loaded; JSON, Parquet and time zones are built in.",
    "PRAGMA": "Use SHOW TABLES, DESCRIBE name or SUMMARIZE name.",
    "SET": "Settings are the workspace's: timezone, sql_memory, sql_timeout and threads in workbench.toml.",
    "VARIABLE_SET": "Name an intermediate value with WITH name AS (SELECT ...).",
}

_BLANK = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
_FIRST_WORD = re.compile(rf"{_BLANK}\(*{_BLANK}(\w+)", re.DOTALL)
_EXPLAIN = re.compile(rf"{_BLANK}explain\b{_BLANK}(?:analy[sz]e\b)?{_BLANK}", re.IGNORECASE | re.DOTALL)
_EXPLAIN_OPTIONS = re.compile(rf"\([^()]*\){_BLANK}", re.DOTALL)
_PIVOT_STARTS = {"pivot", "pivot_wider", "from", "select", "with"}

_CATALOG_SCHEMAS = {"information_schema", "pg_catalog"}
_NAMES_ONLY = {"tables", "schemata"}
_CATALOG_TABLES = {"duckdb_columns", "duckdb_tables", "duckdb_views", "sqlite_master", "sqlite_schema"}
_CATALOG_FUNCTIONS = {*_CATALOG_TABLES, "pragma_show", "pragma_table_info"}
_DYNAMIC = {"query", "query_table", "json_execute_serialized_sql"}
_WRITES = {"INSERT_QUERY_NODE", "UPDATE_QUERY_NODE", "DELETE_QUERY_NODE", "MERGE_QUERY_NODE"}


def read_statement(con: DuckDBPyConnection, text: str) -> Reading:
    """Parse one statement and return what it needs, without binding or running it.

    Args:
        con: An idle connection, of which only the parser is used.
        text: The statement as the user wrote it.

    Raises:
        SqlRefusedError: If it is not exactly one statement that only reads.
        duckdb.ParserException: If it is not SQL.
    """
    statement = _only(con.extract_statements(text))
    kind = _kind(statement)
    body = text
    if kind == "EXPLAIN" or (kind == "MULTI" and _EXPLAIN.match(text)):
        body, kind = _explained(con, text)
    if kind == "MULTI" and _first_word(body) in _PIVOT_STARTS:
        # A PIVOT without IN is several statements: the first collects its values in a temporary type.
        return Reading(_words(text), once=True)
    if kind != "SELECT":
        shown = _first_word(body).upper() if kind in {"MULTI", "OTHER"} else kind.replace("_", " ")
        raise SqlRefusedError(
            f"{shown} does not run here: db.sql runs {_READS}.",
            fix=_INSTEAD.get(kind, "Nothing in the workspace can be changed by SQL."),
        )
    return _walk(con, body)


def _only(found: list[Statement]) -> Statement:
    if not found:
        raise SqlRefusedError("the statement is empty.", fix=f"db.sql runs one of {_READS}.")
    if len(found) > 1:
        raise SqlRefusedError(
            f"these are {len(found)} statements and db.sql runs one.", fix="Call it once for each of them."
        )
    return found[0]


def _kind(statement: Statement) -> str:
    try:
        return statement.type.name
    except ValueError:  # DuckDB's Python enumeration lacks some of its own statement types
        return "OTHER"


def _first_word(text: str) -> str:
    found = _FIRST_WORD.match(text)
    return found[1].lower() if found else ""


def _explained(con: DuckDBPyConnection, text: str) -> tuple[str, str]:
    """Return the statement behind EXPLAIN and its type."""
    body = _EXPLAIN.sub("", text, count=1)
    try:
        found = con.extract_statements(body)
    except duckdb.ParserException:  # the parenthesis was a list of options
        body = _EXPLAIN_OPTIONS.sub("", body, count=1)
        found = con.extract_statements(body)
    return body, _kind(_only(found))


def _words(text: str) -> tuple[tuple[None, str], ...]:
    """Return everything in a text that could be a table's name, inside quotes too."""
    quoted = [q.replace('""', '"') for q in re.findall(r'"((?:[^"]|"")+)"', text)]
    literal = [q.replace("''", "'") for q in re.findall(r"'((?:[^']|'')+)'", text)]
    return tuple((None, word) for word in dict.fromkeys([*quoted, *literal, *re.findall(r"[\w$]+", text)]))


def _walk(con: DuckDBPyConnection, text: str) -> Reading:
    """Collect the tables and the use of the catalog from the syntax tree, whatever the nesting."""
    serialized = con.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchall()[0][0]
    tree = json.loads(serialized)
    if tree["error"]:
        raise SqlRefusedError(f"the statement cannot be checked: {tree['error_message']}.")
    tables: dict[tuple[str | None, str], None] = {}
    listing: set[Listing] = set()
    pending: list[Any] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            pending.extend(node.values())
            names, lists = _needs(node, text)
            tables.update(dict.fromkeys(names))
            listing.add(lists)
    return Reading(tuple(tables), "all" if "all" in listing else "names" if "names" in listing else "none")


def _needs(node: dict[str, Any], text: str) -> tuple[tuple[tuple[str | None, str], ...], Listing]:
    """Return the tables that one node of the syntax tree names and what it lists of the catalog."""
    match node.get("type"):
        case "BASE_TABLE":
            return _base_table(str(node.get("schema_name", "")), str(node["table_name"]))
        case "TABLE_FUNCTION":
            function = str(node["function"].get("function_name", "")).lower()
            lists: Listing = "all" if function in _CATALOG_FUNCTIONS else "none"
            return (_words(text) if function in _DYNAMIC else ()), lists
        case "SHOW_REF":
            return _show(node)
        case str(kind) if kind in _WRITES:
            raise SqlRefusedError(
                f"{kind.partition('_')[0]} inside WITH does not run here: db.sql runs {_READS}.",
                fix="Nothing in the workspace can be changed by SQL.",
            )
    return (), "none"


def _base_table(schema: str, name: str) -> tuple[tuple[tuple[str | None, str], ...], Listing]:
    if schema.lower() in _CATALOG_SCHEMAS:
        return (), "names" if name.lower() in _NAMES_ONLY else "all"
    schema = "" if schema.lower() == "memory" else schema
    catalog = not schema and (name.lower() in _CATALOG_TABLES or name.lower().startswith("pg_"))
    return ((schema, name),), "all" if catalog else "none"


def _show(node: dict[str, Any]) -> tuple[tuple[tuple[str | None, str], ...], Listing]:
    name = str(node.get("table_name", ""))
    match node.get("show_type"):
        case "SHOW":
            return ((str(node.get("schema_name", "")), name),), "none"
        case "SHOW_SPECIAL" if name == "__show_tables_expanded":
            return (), "all"
        case "SHOW_SPECIAL" | "SHOW_FROM":
            return (), "names"
    return (), "none"
