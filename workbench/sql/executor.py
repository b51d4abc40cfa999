"""Answers the requests of ``db.sql`` inside the worker: parse a statement, or run it and stream its rows."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from workbench.errors import SqlError, SqlRefusedError
from workbench.sql import frames
from workbench.sql.database import Config, Database
from workbench.sql.statements import read_statement

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO

__all__ = ["Executor"]

_MEMORY_FIX = "Aggregate or filter earlier, or raise sql_memory."
_MISSING_TABLE = re.compile(r'Catalog Error: Table with name "?([^"\n]+?)"? does not exist')


class Executor:
    """Answers one request after the other, keeping the last database for as long as its views are wanted.

    Args:
        config: What every database is opened with.
        output: Where the frames of the answers go.
    """

    def __init__(self, config: Config, output: FileIO) -> None:
        self._config = config
        self._output = output
        self._kept: Database | None = None

    @cached_property
    def _parser(self) -> Database:
        return Database(self._config)

    def answer(self, request: dict[str, Any]) -> None:
        """Answer one request; what goes wrong with the statement is the answer.

        Raises:
            BrokenPipeError: If nobody reads the answer any more.
        """
        handle: Callable[[dict[str, Any]], None] = self._parse if request["op"] == "parse" else self._run
        try:
            handle(request)
        except SqlError as error:
            kind = "refused" if isinstance(error, SqlRefusedError) else "sql"
            self._fail({"kind": kind, "message": error.message, "where": error.where, "fix": error.fix})
        except duckdb.Error as error:
            self._fail(_parts(str(error)))
        except MemoryError:
            self._fail({"kind": "memory", "message": "the worker's memory is used up.", "fix": _MEMORY_FIX})
        except RecursionError:
            self._fail({"kind": "refused", "message": "the statement is nested too deeply."})

    def _fail(self, error: dict[str, str]) -> None:
        frames.send_json(self._output, {"error": error})

    def _parse(self, request: dict[str, Any]) -> None:
        reading = read_statement(self._parser.con, request["statement"])
        frames.send_json(
            self._output, {"tables": reading.tables, "listing": reading.listing, "once": reading.once}
        )

    def _run(self, request: dict[str, Any]) -> None:
        database = self._database(request)
        try:
            hugeint = self._stream(database, request["statement"])
        except (pa.ArrowException, OSError) as error:
            self._drop(database)  # its connection may still hold the unfinished result
            if isinstance(error, (BrokenPipeError, MemoryError)):
                raise
            self._fail(_parts(str(error)))
            return
        finally:
            if database is not self._kept:
                database.close()
        frames.send_json(self._output, {"hugeint": hugeint})

    def _database(self, request: dict[str, Any]) -> Database:
        if request["once"]:
            return Database(self._config, request["schemas"], request["views"])
        if self._kept and self._kept.holds(request["views"]):
            return self._kept
        if self._kept:
            self._drop(self._kept)
        self._kept = Database(self._config, request["schemas"], request["views"])
        return self._kept

    def _drop(self, database: Database) -> None:
        if database is self._kept:
            self._kept = None
        database.close()

    def _stream(self, database: Database, statement: str) -> list[int]:
        reader, hugeint = database.run(statement)
        with reader:
            frames.send(self._output, b"A", _encoded(reader.schema))
            for batch in reader:
                frames.send(self._output, b"A", _encoded(reader.schema, batch))
        return hugeint


def _encoded(schema: pa.Schema, *batches: pa.RecordBatch) -> memoryview:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return memoryview(sink.getvalue())


def _parts(text: str) -> dict[str, str]:
    """Return DuckDB's message as kind, message, place, suggestion and the name of a missing table."""
    message, _, place = text.partition("\n\nLINE ")
    message, _, _ = message.partition("\n\nPossible solutions:")
    message, _, candidates = message.partition("\nCandidate bindings: ")
    message, _, suggestion = message.partition("\nDid you mean ")
    memory = message.startswith("Out of Memory Error")
    missing = _MISSING_TABLE.match(message)
    fix = f"There are: {candidates}." if candidates else f"Did you mean {suggestion}" if suggestion else ""
    return {
        "kind": "memory" if memory else "sql",
        "message": " ".join(message.split()).rstrip("!.") + ".",
        "where": f"line {place.partition(':')[0]}" if place else "",
        "fix": _MEMORY_FIX if memory else fix,
        "table": missing[1] if missing else "",
    }
