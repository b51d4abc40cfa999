"""The behaviour that every connector has to show.

Subclass :class:`ConnectorSuite` in a test module; pytest does the rest::

    from workbench.testing.connectors import ConnectorSuite

    class TestSyslog(ConnectorSuite):
        parameters = ["syslog"]

Without ``parameters`` it runs against every registered connector, those of installed distributions
included. All that the suite needs to know stands in the driver's own file: its attributes, and
:meth:`~workbench.connectors.Connector.sample`, which writes a table in the connector's form. A connector
that cannot run here, or whose sample needs a service that is not there, is skipped with its reason.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pytest

from workbench.connectors import Source, connectors
from workbench.connectors.base import CHUNK_BYTES
from workbench.errors import DriverUnavailableError, SourceError, UnknownNameError, UsageError
from workbench.testing._audit import audited
from workbench.testing._driver_suite import DriverSuite

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from workbench.connectors import Chunk, Connector

__all__ = ["ROWS", "ConnectorSuite", "text_table", "typed_table"]

ROWS = 300
DIRT = (
    "plain",
    " spaced ",
    "007",
    "",
    None,
    'say "so"',
    "a,b;c\td|e=f",
    "naïve 東京 🙂",
    "null",
    "[1]",
    "{}",
)


def text_table(rows: int = ROWS) -> pa.Table:
    """Return a table of strings with quotes, delimiters, spaces, empty strings and nulls.

    >>> text_table(3).column_names
    ['number', 'text', 'other name']
    """
    numbers = [str(row) for row in range(rows)]
    text = [DIRT[row % len(DIRT)] for row in range(rows)]
    other = [None if row % 3 else f"value {row}" for row in range(rows)]
    return pa.table({"number": numbers, "text": text, "other name": pa.array(other, pa.string())})


def typed_table(rows: int = ROWS) -> pa.Table:
    """Return :func:`text_table` with an integer, a float, a boolean, a time and a nested column.

    >>> typed_table(3).schema.field("at").type
    TimestampType(timestamp[us, tz=UTC])
    """
    start = datetime(2013, 3, 10, tzinfo=UTC)
    columns = {
        "count": pa.array([None if row % 7 == 0 else row for row in range(rows)], pa.int64()),
        "share": pa.array([row / 8 for row in range(rows)], pa.float64()),
        "flag": pa.array([row % 2 == 0 for row in range(rows)], pa.bool_()),
        "at": pa.array([start + timedelta(minutes=row) for row in range(rows)], pa.timestamp("us", "UTC")),
        "place": pa.array([{"x": row, "name": f"n{row}"} for row in range(rows)]),
        "tags": pa.array([[row, row + 1] if row % 2 else [] for row in range(rows)], pa.list_(pa.int64())),
    }
    return pa.table(
        {**dict(zip(text_table().column_names, text_table(rows).columns, strict=True)), **columns}
    )


def _expected(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows as a connector shall give them: structs by field, lists as JSON text."""
    rows = []
    for row in table.to_pylist():
        if "place" in row:
            place = row.pop("place")
            row |= {"place.x": place["x"], "place.name": place["name"]}
            row["tags"] = "[" + ",".join(str(tag) for tag in row["tags"]) + "]"
        rows.append(row)
    return rows


def _rows(chunks: list[Chunk], names: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Return the chunks' records; a column that a chunk lacks is null in it, and so is one of ``names``."""
    columns = dict.fromkeys([*names, *(name for chunk in chunks for name in chunk.table.column_names)])
    return [{name: row.get(name) for name in columns} for chunk in chunks for row in chunk.table.to_pylist()]


def _fingerprint(path: Path) -> tuple[str, int]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns


@contextmanager
def _writes(directory: Path) -> Iterator[list[str]]:
    """Note every file that is opened for writing below a directory, from Python."""
    paths: list[str] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]).startswith(str(directory)):
            mode, flags = arguments[1], arguments[2]
            if (mode and set(mode) & set("wax+")) or flags & (os.O_WRONLY | os.O_RDWR):
                paths.append(str(arguments[0]))

    with audited(note):
        yield paths


class ConnectorSuite(DriverSuite):
    """The conformance suite; see the module.

    Attributes:
        parameters: The names of the connectors to run it against; all registered ones if empty.
        prepare: Python statements that make the connectors findable in a fresh process, where being
            installed is not enough; by default none.
    """

    parameters: ClassVar[list[Any]] = []
    registry = connectors
    home = ("workbench.connectors", "connectors")
    heavy = frozenset({"duckdb", "fsspec", "pandas", "polars", "requests", "scipy"})

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for each connector."""
        metafunc.parametrize("name", self.parameters or connectors.names(), ids=str)

    @pytest.fixture
    def connector(self, name: str) -> Connector:
        """Return the connector, or skip with the reason why it cannot run here."""
        reason = connectors.load(name).can_run()
        if reason is not True:
            pytest.skip(f"connector {name!r} cannot run here: {reason}")
        return connectors.create(name)

    @pytest.fixture
    def table(self, connector: Connector) -> pa.Table:
        """Return the table that the sample is made of."""
        return typed_table() if connector.typed else text_table()

    @pytest.fixture
    def source(self, connector: Connector, table: pa.Table, tmp_path: Path) -> Source:
        """Return the table as a source of this connector, or skip where its service is not there."""
        return self._sample(connector, table, tmp_path)

    @staticmethod
    def _sample(connector: Connector, table: pa.Table, directory: Path) -> Source:
        try:
            return connector.sample(table, directory)
        except DriverUnavailableError as error:
            pytest.skip(str(error))

    def test_records_come_back_as_they_were(
        self, connector: Connector, source: Source, table: pa.Table
    ) -> None:
        """Values, nulls, types, names and order survive; nothing is refused."""
        chunks = list(connector.read(source))
        assert _rows(chunks) == _expected(table)
        assert [chunk.rejects for chunk in chunks if chunk.rejects] == []
        if not connector.typed:
            assert {str(field.type) for chunk in chunks for field in chunk.table.schema} == {"string"}

    def test_every_record_is_in_a_chunk_or_a_reject(self, connector: Connector, source: Source) -> None:
        """Positions count good and bad records, and each reject stands within its chunk."""
        begin = 0
        for chunk in connector.read(source, chunk_bytes=2_000):
            assert chunk.position - begin == chunk.table.num_rows + len(chunk.rejects)
            assert all(begin <= reject.offset < chunk.position for reject in chunk.rejects)
            begin = chunk.position
        assert begin == ROWS

    def test_small_chunks_are_bounded_and_have_the_same_records(
        self, connector: Connector, source: Source, table: pa.Table
    ) -> None:
        """No chunk of several records is over its limit (offsets and validity bits aside)."""
        chunks = list(connector.read(source, chunk_bytes=2_000))
        assert len(chunks) > 3
        assert all(chunk.table.num_rows == 1 or chunk.table.nbytes <= 4_000 for chunk in chunks)
        assert _rows(chunks) == _expected(table)

    def test_reading_resumes_at_every_position(self, connector: Connector, source: Source) -> None:
        """From each chunk's end, and from the middle of a chunk, the same rest is read."""
        whole = _rows(list(connector.read(source)))
        ends = [chunk.position for chunk in connector.read(source, chunk_bytes=4_000)]
        for position in {0, 1, ROWS // 2, ROWS - 1, *ends}:
            rest = list(connector.read(source, position=position, chunk_bytes=4_000))
            assert _rows(rest, whole[0]) == whole[position:]
            assert not rest or rest[-1].position == ROWS
        assert _rows(list(connector.read(source, position=ROWS + 5))) == []

    def test_a_source_without_records_gives_none(self, connector: Connector, tmp_path: Path) -> None:
        """It is no error, and the columns may be told by one empty chunk."""
        table = typed_table(0) if connector.typed else text_table(0)
        chunks = list(connector.read(self._sample(connector, table, tmp_path)))
        assert len(chunks) <= 1
        assert _rows(chunks) == []
        assert [chunk.position for chunk in chunks] == [0] * len(chunks)

    def test_the_source_is_left_as_it_was(self, connector: Connector, source: Source, tmp_path: Path) -> None:
        """A read-only file in a read-only directory is read, and neither content, time nor files change."""
        if source.path is None:
            assert list(connector.read(source))
            assert list(tmp_path.iterdir()) == []
            return
        before = _fingerprint(source.path)
        listing = sorted(source.path.parent.iterdir())
        source.path.chmod(0o444)
        source.path.parent.chmod(0o555)
        try:
            with _writes(source.path.parent) as written:
                list(connector.read(source, chunk_bytes=2_000))
        finally:
            source.path.parent.chmod(0o755)
        assert written == []
        assert _fingerprint(source.path) == before
        assert sorted(source.path.parent.iterdir()) == listing

    def test_a_missing_file_is_a_source_error(
        self, connector: Connector, source: Source, tmp_path: Path
    ) -> None:
        """So is a directory; the message says where."""
        if source.path is None:
            pytest.skip("reads no files")
        for path in (tmp_path / "missing" / source.path.name, tmp_path):
            broken = dataclasses.replace(source, label="the label", path=path)
            with pytest.raises(SourceError, match="the label"):
                list(connector.read(broken))

    def test_an_unknown_option_is_a_usage_error(self, connector: Connector, source: Source) -> None:
        """It is named, and the near miss among the connector's options is suggested."""
        wrong = dataclasses.replace(source, options={**source.options, "no_such_option": 1})
        with pytest.raises(UsageError, match="no_such_option"):
            list(connector.read(wrong))
        for option in connector.options:
            near = dataclasses.replace(source, options={**source.options, f"{option}s": 1})
            with pytest.raises(UnknownNameError, match=option):
                list(connector.read(near))

    def test_suffixes_are_lower_case_and_its_own(self, name: str) -> None:
        """They begin with a dot, and no other connector claims them."""
        driver = connectors.load(name)
        others = {
            suffix
            for other in connectors.names()
            if other != name
            for suffix in connectors.load(other).suffixes
        }
        assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in driver.suffixes)
        assert len(set(driver.suffixes)) == len(driver.suffixes)
        assert others & set(driver.suffixes) == set()

    def test_the_default_chunk_holds_a_small_source(self, connector: Connector, source: Source) -> None:
        """A source far below the limit is one chunk."""
        sizes = [
            chunk.table.nbytes for chunk in connector.read(source, chunk_bytes=CHUNK_BYTES) if chunk.position
        ]
        assert len(sizes) == 1
