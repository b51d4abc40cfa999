"""JSON objects as a table of strings, through DuckDB's JSON functions."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.connectors._tables import MAX_DEPTH

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["MOST_FIELDS", "Fields", "TooManyCellsError", "fields", "malformed"]

MOST_FIELDS = 10_000
LENIENT = r"(?i),\s*[}\]]|[:\[,]\s*[-+]?(?:nan|inf)"
EMPTY = r"^\s*\{\s*\}\s*$"

_KEYS = """
WITH shapes AS (SELECT json_keys(doc) AS keys, min(i) AS i FROM docs WHERE doc IS NOT NULL GROUP BY keys),
     parts AS (SELECT i, unnest(keys) AS key, generate_subscripts(keys, 1) AS place FROM shapes)
SELECT key FROM parts GROUP BY key ORDER BY min(i), arg_min(place, i)
"""
_REPEATED = "SELECT i FROM docs WHERE doc IS NOT NULL AND len(json_keys(doc)) <> list_unique(json_keys(doc))"


class TooManyCellsError(Exception):
    """The table of these lines would be larger than allowed; fewer lines may fit."""


@dataclass(frozen=True)
class Fields:
    """The columns of a run of objects, at most ``most``, and the rows with two values for one of them."""

    most: int
    columns: dict[str, pa.StringArray] = field(default_factory=dict)
    repeated: dict[int, str] = field(default_factory=dict)


def malformed(connection: DuckDBPyConnection, lines: pa.LargeStringArray) -> dict[int, str]:
    """Return the reason for each line that is not one JSON object, by its place."""
    connection.register("lines", pa.table({"line": lines}))
    kinds = connection.sql(
        "SELECT CASE WHEN NOT json_valid(line) THEN '' ELSE json_type(line) END AS kind FROM lines"
    ).to_arrow_table()
    kind = kinds.column(0).combine_chunks()
    bad = dict.fromkeys(_where(pc.equal(kind, "")), "not valid JSON")
    bad |= dict.fromkeys(
        _where(pc.and_(pc.not_equal(kind, ""), pc.not_equal(kind, "OBJECT"))), "not a JSON object"
    )
    bad |= dict.fromkeys(_where(pc.match_substring_regex(lines, EMPTY)), "an object without fields")
    for place in _where(pc.match_substring_regex(lines, LENIENT)):
        if place not in bad and not _strictly_valid(lines[place].as_py()):
            bad[place] = "not valid JSON"
    return bad


def _strictly_valid(line: str) -> bool:
    """Judge a line that may have what DuckDB lets pass: a comma before a bracket, NaN, Infinity."""

    def refuse(constant: str) -> float:
        raise ValueError(constant)

    try:
        json.loads(line, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _where(mask: pa.BooleanArray) -> list[int]:
    return np.flatnonzero(mask.to_numpy(zero_copy_only=False)).tolist()


def fields(connection: DuckDBPyConnection, lines: pa.LargeStringArray, most_cells: int) -> Fields:
    """Return every key's values as strings; nested objects give ``outer.inner`` columns.

    Args:
        connection: An in-memory DuckDB.
        lines: JSON objects.
        most_cells: How many cells, rows times columns, the table may have; one row may have 10,000.

    Raises:
        TooManyCellsError: If it would have more.
    """
    most = max(most_cells // max(1, len(lines)), 1) if len(lines) > 1 else MOST_FIELDS
    result = Fields(min(most, MOST_FIELDS))
    _expand(connection, lines, "", 1, result)
    return result


def _expand(connection: DuckDBPyConnection, docs: pa.Array, prefix: str, depth: int, result: Fields) -> None:
    """Add the columns of the objects ``docs`` (null where a row has none) to ``result``."""
    connection.register("docs", pa.table({"doc": docs, "i": np.arange(len(docs))}))
    keys = [key for (key,) in connection.execute(_KEYS).fetchall()]
    if len(keys) + len(result.columns) > result.most:
        raise TooManyCellsError
    if not keys:
        return
    for (row,) in connection.execute(_REPEATED).fetchall():
        result.repeated[row] = "a key stands twice in one object"
    for key, values in zip(keys, _values(connection, keys), strict=True):
        inner = _objects(connection, key, values) if depth < MAX_DEPTH else None
        name = prefix + key
        if inner is None:
            _add(result, name, values)
            continue
        scalars = pc.if_else(inner, None, values)
        if scalars.null_count < len(scalars):
            _add(result, name, scalars)
        _expand(connection, pc.if_else(inner, values, None), f"{name}.", depth + 1, result)
        connection.register("docs", pa.table({"doc": docs, "i": np.arange(len(docs))}))


def _values(connection: DuckDBPyConnection, keys: list[str]) -> list[pa.StringArray]:
    """Return the text of each key's values; a row's values are extracted in one pass over its text."""
    rows = connection.sql(
        "SELECT coalesce(json_extract_string(doc, $paths), list_resize([], len($paths))) FROM docs",
        params={"paths": [_pointer(key) for key in keys]},
    ).to_arrow_table()
    cells = pa.concat_arrays([chunk.flatten() for chunk in rows.column(0).chunks]).cast(pa.string())
    return [cells.take(pa.array(np.arange(place, len(cells), len(keys)))) for place in range(len(keys))]


def _pointer(key: str) -> str:
    """Return the JSON pointer (RFC 6901) to ``key``."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _objects(connection: DuckDBPyConnection, key: str, values: pa.StringArray) -> pa.BooleanArray | None:
    """Return which rows have an object with keys there, or None if none has."""
    looks = pc.fill_null(pc.starts_with(values, "{"), fill_value=False)
    if not pc.any(looks).as_py():
        return None
    path = {"path": _pointer(key)}
    kinds = connection.sql("SELECT json_type(doc, $path) FROM docs", params=path).to_arrow_table()
    objects = pc.equal(kinds.column(0).combine_chunks(), "OBJECT")
    inner = pc.and_(pc.fill_null(objects, fill_value=False), pc.not_equal(pc.fill_null(values, ""), "{}"))
    return inner if pc.any(inner).as_py() else None


def _add(result: Fields, name: str, values: pa.StringArray) -> None:
    """Add a column; where ``{"a.b": 1}`` and ``{"a": {"b": 2}}`` meet in one row, the row is refused."""
    present = result.columns.get(name)
    if present is None:
        result.columns[name] = values
        return
    both = pc.and_(pc.is_valid(present), pc.is_valid(values))
    result.repeated.update(dict.fromkeys(_where(both), f"two values for {name!r}"))
    result.columns[name] = pc.coalesce(present, values)
