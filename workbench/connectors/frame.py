"""Connector ``frame``: data frames in memory, through the Arrow PyCapsule interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from workbench.connectors._tables import chunks
from workbench.connectors.base import CHUNK_BYTES, Chunk, Connector, Source
from workbench.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["FrameConnector"]


class FrameConnector(Connector):
    """Data frames: pandas, polars (also lazy), pyarrow, DuckDB relations, any ``__arrow_c_stream__``.

    Native types; a struct gives columns ``outer.inner``, lists and maps are JSON text. The index of a
    pandas frame is a column if it has a name. A one-way stream (``RecordBatchReader``) can be read once,
    and ``position`` counts from where it stands.
    """

    typed: ClassVar[bool] = True

    @classmethod
    def accepts(cls, data: object) -> bool:
        """Return whether ``data`` is a table in memory that this connector reads."""
        if isinstance(data, pa.RecordBatch) or _is(data, "polars", "LazyFrame"):
            return True
        return hasattr(data, "__arrow_c_stream__") and not isinstance(data, pa.ChunkedArray)

    @classmethod
    def sample(cls, table: pa.Table, directory: Path) -> Source:  # noqa: ARG003  (nothing is written)
        """Return ``table`` itself as a source."""
        return Source("sample", data=table)

    def read(self, source: Source, *, position: int = 0, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Yield the records from ``position`` on.

        Raises:
            SourceError: If the object is not a table, or a column mixes types.
            UsageError: If an option is not known.
        """
        self.check_options(source)
        if not self.accepts(source.data):
            raise SourceError(
                f"{type(source.data).__name__} is not a data frame.",
                where=source.label,
                fix="Give a pandas, polars, pyarrow or DuckDB table.",
            )
        yield from chunks(_tables(source), position=position, chunk_bytes=chunk_bytes)


def _tables(source: Source) -> Iterator[pa.Table]:
    try:
        with _reader(source.data) as reader:
            yield reader.schema.empty_table()
            for batch in reader:
                yield pa.Table.from_batches([batch])
    except pa.ArrowException as error:
        raise SourceError(
            f"cannot be read as Arrow: {error}.", where=source.label, fix="Give each column one type."
        ) from error


def _reader(data: Any) -> pa.RecordBatchReader:
    if isinstance(data, pa.RecordBatchReader):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data]).to_reader()
    if _is(data, "polars", "LazyFrame"):
        data = data.collect()
    elif _is(data, "pandas", "DataFrame"):
        named = any(name is not None for name in data.index.names)
        return pa.Table.from_pandas(data.rename(columns=str), preserve_index=named).to_reader()
    return pa.RecordBatchReader.from_stream(data)


def _is(data: object, package: str, name: str) -> bool:
    """Return whether ``data`` is of a class of that package, without importing the package."""
    return any(
        kind.__name__ == name and kind.__module__.partition(".")[0] == package for kind in type(data).__mro__
    )
