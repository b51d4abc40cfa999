"""``db.sql`` as the rest of the product sees it: one statement in, one :class:`Result` out."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from workbench.errors import (
    CorruptFileError,
    SqlError,
    SqlRefusedError,
    UsageError,
    did_you_mean,
)
from workbench.sql.process import Worker
from workbench.sql.result import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["SqlSession", "View"]

Name = tuple[str, str]


@dataclass(frozen=True)
class View:
    """A table that statements can name.

    Attributes:
        name: Its name, such as ``Click`` or ``Page View``; matched without regard to case.
        query: The SELECT that gives its rows, over ``read_parquet([...])`` of the files and nothing else.
        files: The files that the worker may open for it, verified by whoever made the view.
        schema: ``main``, or ``knowledge`` for a table of computed knowledge.
        notes: What a reader must know of its rows, as sentences.
    """

    name: str
    query: str
    files: tuple[Path, ...] = ()
    schema: str = "main"
    notes: tuple[str, ...] = ()


class SqlSession:
    """Runs one statement at a time in a locked-down DuckDB of its own process (spec 3.3).

    The worker is started by the first statement, in about a fifth of a second, and killed when a statement
    exceeds its time limit or is interrupted; the next one starts another. Calls from several threads wait for
    each other.

    Args:
        resolve: Gives the view of a schema and name out of ``names``, or None where it is gone. Called in
            this process, for just the tables that a statement names, before any of their files is opened;
            what it raises is raised. It must not use the session.
        names: Gives schema and name of every table there is. A name without a schema is looked up in ``main``
            first, then in the other schemas in alphabetical order.
        timezone: IANA time zone of dates, of truncation and of the result's timestamps.
        memory: Memory limit of the worker's database, such as ``"2GB"``; the process is bounded to twice that
            and a base.
        threads: Threads of the worker.
        timeout: Seconds that one statement may run.
        directory: Where the worker's private temporary directory is made; the system's own place by default.

    >>> with SqlSession(
    ...     lambda schema, name: View("numbers", "SELECT range AS n FROM range(4)"),
    ...     lambda: [("main", "numbers")],
    ...     timezone="UTC", memory="256MB", threads=1, timeout=60,
    ... ) as session:
    ...     session.query("select sum(n) as total from Numbers").rows
    [(6,)]
    """

    def __init__(  # noqa: PLR0913  (each limit is the caller's to set)
        self,
        resolve: Callable[[str, str], View | None],
        names: Callable[[], Iterable[Name]],
        *,
        timezone: str,
        memory: str,
        threads: int,
        timeout: float,
        directory: Path | None = None,
    ) -> None:
        self._resolve = resolve
        self._names = names
        self._timezone = timezone
        self._memory = memory
        self._threads = threads
        self._timeout = timeout
        self._directory = directory
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._closed = False

    def __enter__(self) -> Self:
        """Return the session."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the session."""
        self.close()

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker, or None while there is none."""
        return self._worker.pid if self._worker and self._worker.alive else None

    def start(self) -> None:
        """Start the worker, as the first statement would; until it answers, others can go on."""
        with self._lock:
            if not self._closed:
                self._running()

    def query(
        self,
        statement: str,
        *,
        timeout: float | None = None,
        views: Sequence[View] = (),
        stop: threading.Event | None = None,
    ) -> Result:
        """Run one statement that reads, and return all of its rows.

        Args:
            statement: One SELECT, FROM, WITH, VALUES, PIVOT, DESCRIBE, SUMMARIZE, SHOW or EXPLAIN.
            timeout: Seconds it may run, in place of the session's limit; verifying files is not counted.
            views: Tables that this statement can name beside the session's own.
            stop: Once it is set, in any thread, the statement ends as it does at its time limit.

        Raises:
            SqlRefusedError: If it is anything else, or more than one statement.
            SqlTimeoutError: If it ran longer than it may. The worker is killed.
            SqlError: If DuckDB refuses it, with DuckDB's message; or if the worker died.
            CorruptFileError: If a file of a table that it names is missing or damaged.
            UsageError: If the session is closed or the timeout is not positive.
        """
        if not isinstance(statement, str):
            raise UsageError(f"{statement!r} is no statement.", fix="Give one SELECT as a text.")
        limit = self._timeout if timeout is None else timeout
        if not 0 < limit <= threading.TIMEOUT_MAX:
            raise UsageError(f"timeout is {limit!r}: it must be a positive number of seconds.")
        with self._lock:
            if self._closed:
                raise UsageError("the SQL session is closed.", fix="Open the workspace again.")
            begin = time.perf_counter()
            table, notes = self._answer(statement, limit, views, stop)
            return Result(table, statement, time.perf_counter() - begin, self._timezone, notes)

    def close(self) -> None:
        """End the worker and remove its temporary files; a second call does nothing."""
        with self._lock:
            self._closed = True
            self._discard()

    def _discard(self) -> None:
        if self._worker:
            self._worker.close()
        self._worker = None

    def _running(self) -> Worker:
        if self._worker and not self._worker.alive:
            self._discard()
        if not self._worker:
            self._worker = Worker(
                timezone=self._timezone,
                memory=self._memory,
                threads=self._threads,
                directory=self._directory,
            )
        return self._worker

    def _answer(
        self, statement: str, limit: float, given: Sequence[View], stop: threading.Event | None
    ) -> tuple[pa.Table, tuple[str, ...]]:
        worker = self._running()
        with worker.limit(limit, stop):
            worker.ask({"op": "parse", "statement": statement})
            _, reading = _collect(worker)
        own = {(view.schema, view.name): view for view in given}
        known = [] if "error" in reading else [*self._names(), *own]
        self._check(reading, known, ())
        views = self._views(reading, known, own)
        request = {
            "op": "run",
            "statement": statement,
            "schemas": sorted({schema for schema, _ in known} - {"main"}),
            "views": [_message(view) for view in views],
            "once": reading["once"] or reading["listing"] == "names" or not views,
        }
        with worker.limit(limit, stop):
            worker.ask(request)
            tables, end = _collect(worker)
        self._check(end, known, views)
        table = _narrowed(pa.concat_tables(tables).unify_dictionaries(), end["hugeint"])
        notes = tuple(dict.fromkeys(note for view in views for note in view.notes))
        return table.rename_columns(_distinct(table.column_names)), notes

    def _views(self, reading: dict[str, Any], known: list[Name], own: Mapping[Name, View]) -> list[View]:
        """Resolve the tables that a statement names, and those that a listing of the catalog shows."""
        named = _named(reading["tables"], known)
        if reading["listing"] == "all":
            named = dict.fromkeys(known)
        views = [view for name in named if (view := own.get(name) or self._resolve(*name)) is not None]
        if reading["listing"] == "names":
            views += [
                View(name, "SELECT NULL", schema=schema)
                for schema, name in known
                if (schema, name) not in named
            ]
        return views

    def _check(self, reply: dict[str, Any], known: list[Name], views: Iterable[View]) -> None:
        """Raise the error that a reply carries, if it does."""
        error = reply.get("error")
        if error is None:
            return
        if error["kind"] == "memory":
            self._discard()  # what is left of its bounded memory may be in pieces
        gone = [file for view in views for file in view.files if not file.exists()]
        if gone:
            raise CorruptFileError("the file is gone.", where=str(gone[0]), fix="Run workbench verify.")
        fix = error.get("fix", "")
        if missing := error.get("table"):
            fix = _nearest(missing, known)
        kind = SqlRefusedError if error["kind"] == "refused" else SqlError
        raise kind(error["message"], where=error.get("where", ""), fix=fix)


def _collect(worker: Worker) -> tuple[list[pa.Table], dict[str, Any]]:
    """Return the tables of one answer, over the bytes as they came, and the message that closes it."""
    tables: list[pa.Table] = []
    while True:
        kind, payload = worker.reply()
        if kind == b"J":
            return tables, json.loads(payload)
        tables.append(pa.ipc.open_stream(payload).read_all())


def _named(tables: Iterable[tuple[str | None, str]], known: Iterable[Name]) -> dict[Name, None]:
    """Return the known tables that are meant, in DuckDB's order of look-up.

    Raises:
        SqlError: If a name fits several tables that differ in case only.
    """
    spelt: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    schema_of: dict[str, str] = {}
    for home, name in known:
        spelt[name.lower()][home.lower()].append(name)
        schema_of[home.lower()] = home
    found: dict[Name, None] = {}
    for schema, name in tables:
        homes = spelt.get(name.lower(), {})
        order = sorted(homes, key=lambda home: (home != "main", home))
        meant = order if schema is None else [schema.lower()] if schema else order[:1]
        for home in meant:
            spellings = homes.get(home, [])
            if len(spellings) > 1 and name not in spellings:
                raise SqlError(
                    f"{name!r} fits several tables that differ in case only.",
                    fix=did_you_mean(name, spellings),
                )
            if spellings:
                found[schema_of[home], name if name in spellings else spellings[0]] = None
    return found


def _nearest(missing: str, known: Iterable[Name]) -> str:
    """Return the suggestion for a table that does not exist."""
    return did_you_mean(missing.rpartition(".")[2], sorted({name for _, name in known}))


def _message(view: View) -> dict[str, Any]:
    files = [str(file.absolute()) for file in view.files]
    return {"schema": view.schema, "name": view.name, "query": view.query, "files": files}


def _narrowed(table: pa.Table, hugeint: Iterable[int]) -> pa.Table:
    """Return HUGEINT columns, which every sum of integers is, as int64 where all values fit.

    DuckDB hands them over as decimals of 38 digits, which neither pandas nor a chart can calculate with.
    """
    for i in hugeint:
        try:
            column = pc.cast(table.column(i), pa.int64())
        except pa.ArrowInvalid:
            continue
        table = table.set_column(i, pa.field(table.field(i).name, pa.int64()), column)
    return table


def _distinct(names: list[str]) -> list[str]:
    """Return the names with a number behind those that occur before, as data frames want them."""
    taken, result = set(names), []
    for i, name in enumerate(names):
        new, count = name, 0
        while new in names[:i] or (count and new in taken):
            count += 1
            new = f"{name}_{count}"
        taken.add(new)
        result.append(new)
    return result
