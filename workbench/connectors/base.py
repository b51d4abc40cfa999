"""What a connector is: a source in, Arrow chunks with a position out."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, cast

from workbench.errors import SourceError, UnknownNameError
from workbench.registry import Driver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

__all__ = ["CHUNK_BYTES", "Chunk", "Connector", "Reject", "Source", "opened"]

CHUNK_BYTES = 64 << 20
CODECS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}


@dataclass(frozen=True)
class Source:
    """One thing to read: a file, or an object in memory.

    Attributes:
        label: What messages, the ledger and quarantine call it (a file's path as it was given).
        path: The file, where it is one.
        data: The object, where it is not a file.
        options: Connector-specific reading options, for example ``{"delimiter": ";"}``.
    """

    label: str
    path: Path | None = None
    data: Any = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reject:
    """One record that could not be read.

    Attributes:
        offset: The record's number in its source, from 0, counting good and bad ones.
        original: The record's bytes as they stand in the source.
        reason: What is wrong with it, as a short phrase.
    """

    offset: int
    original: bytes
    reason: str


@dataclass(frozen=True)
class Chunk:
    """A bounded run of consecutive records.

    Attributes:
        table: The good records. Text formats give every column as string and leave typing to
            ingest; typed formats give their own Arrow types. Column names are the source's own.
        position: How many records of the source lie before the end of this chunk, good and bad:
            reading with this position goes on where the chunk ended.
        rejects: The bad records of the run.
    """

    table: pa.Table
    position: int
    rejects: tuple[Reject, ...] = ()


class Connector(Driver):
    """Turns a source into Arrow chunks.

    A connector opens its source read-only, holds about ``chunk_bytes`` of decoded data at a time,
    never drops a record (it is in a chunk's table or in its rejects) and raises
    :class:`~workbench.errors.SourceError` where the source as a whole cannot be read.

    Attributes:
        suffixes: File name endings that this connector reads, lower case, longest match wins.
        typed: Whether its columns carry types of their own (else all are strings).
        options: Names of the reading options that :attr:`Source.options` may hold.
        appendable: Whether a file stays readable, and its records keep their numbers, as lines are appended.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    typed: ClassVar[bool] = False
    options: ClassVar[tuple[str, ...]] = ()
    appendable: ClassVar[bool] = False

    @classmethod
    def accepts(cls, data: object) -> bool:  # noqa: ARG003  (the signature is the interface)
        """Return whether this connector reads such an object in memory."""
        return False

    @classmethod
    @abstractmethod
    def sample(cls, table: pa.Table, directory: Path) -> Source:
        """Write ``table`` below ``directory`` in this connector's form, for the conformance suite.

        Columns are strings where the connector is not ``typed``; null and the empty string differ.

        Raises:
            DriverUnavailableError: If a sample needs a service that is not there; says which.
        """

    def check_options(self, source: Source) -> None:
        """Raise :class:`~workbench.errors.UnknownNameError` if the source has an option that is not known."""
        for name in source.options:
            if name not in self.options:
                raise UnknownNameError("reading option", name, self.options, where=source.label)

    @abstractmethod
    def read(self, source: Source, *, position: int = 0, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Yield the source's records from ``position`` on, in order, in bounded chunks."""


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """Open the source's file read-only; ``.gz``, ``.zst`` and ``.bz2`` are decompressed as they are read.

    Raises:
        SourceError: If there is no such file, it may not be read, or its compressed data is damaged.
    """
    import pyarrow as pa  # noqa: PLC0415  (only where it is needed)

    if source.path is None:
        raise SourceError("is not a file.", where=source.label, fix="Give a path.")
    codec = CODECS.get(source.path.suffix.lower())
    try:
        with source.path.open("rb") as file:
            yield cast("BinaryIO", pa.CompressedInputStream(file, codec)) if codec else file
    except OSError as error:
        reason = error.strerror or str(error)
        raise SourceError(f"cannot be read: {reason}.", where=source.label) from error
