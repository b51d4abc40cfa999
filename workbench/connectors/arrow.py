"""Connector ``arrow``: Arrow IPC files and streams, also Feather."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, ClassVar

import pyarrow as pa
from pyarrow import ipc

from workbench.connectors._tables import chunks
from workbench.connectors.base import CHUNK_BYTES, Chunk, Connector, Source, opened
from workbench.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ArrowConnector"]

FILE_MAGIC = b"ARROW1"
FEATHER_1_MAGIC = b"FEA1"


class ArrowConnector(Connector):
    """Arrow IPC files and streams (``.arrow``, ``.feather``, ``.ipc``, ``.arrows``): native types.

    Which of the two it is, is told by the first bytes. A struct gives columns ``outer.inner``; lists and
    maps are JSON text. Every batch is validated before it is used, and is decoded whole, so memory is
    bounded by the writer's batches.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".arrow", ".arrows", ".feather", ".ipc")
    typed: ClassVar[bool] = True

    @classmethod
    def sample(cls, table: pa.Table, directory: Path) -> Source:
        """Write ``table`` as ``sample.arrow`` in small batches."""
        path = directory / "sample.arrow"
        with ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=64)
        return Source(str(path), path)

    def read(self, source: Source, *, position: int = 0, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Yield the records from ``position`` on.

        Raises:
            SourceError: If the file cannot be opened, is cut off or damaged, or is of Feather version 1.
            UsageError: If an option is not known.
        """
        self.check_options(source)
        with opened(source) as stream:
            yield from chunks(_tables(stream, source), position=position, chunk_bytes=chunk_bytes)


def _tables(stream: BinaryIO, source: Source) -> Iterator[pa.Table]:
    magic = stream.read(len(FILE_MAGIC))
    stream.seek(0)
    if magic.startswith(FEATHER_1_MAGIC):
        raise SourceError(
            "is a Feather file of version 1.", where=source.label, fix="Write it again as version 2."
        )
    if not magic:
        raise SourceError("is empty, without even a schema.", where=source.label)
    number = 0
    try:
        batches = _file(stream) if magic == FILE_MAGIC else _stream(stream)
        for batch in batches:
            batch.validate(full=True)
            yield pa.Table.from_batches([batch])
            number += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"cannot be read: {error}.", where=f"{source.label}: record {number} on") from error


def _file(stream: BinaryIO) -> Iterator[pa.RecordBatch]:
    with ipc.open_file(stream) as reader:
        yield _nothing(reader.schema)
        for place in range(reader.num_record_batches):
            yield reader.get_batch(place)


def _stream(stream: BinaryIO) -> Iterator[pa.RecordBatch]:
    with ipc.open_stream(stream) as reader:
        yield _nothing(reader.schema)
        yield from reader


def _nothing(schema: pa.Schema) -> pa.RecordBatch:
    """Return an empty batch, so that a file without batches still tells its columns."""
    return pa.RecordBatch.from_pylist([], schema=schema)
