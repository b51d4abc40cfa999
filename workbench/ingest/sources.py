"""What is to be read: paths, globs, directories and objects become sources with a connector and a name."""

from __future__ import annotations

import glob
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.connectors import Source, connectors
from workbench.errors import SourceError, UsageError
from workbench.partials.names import event_type_of
from workbench.storage import SegmentStore
from workbench.storage.files import hash_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from workbench.connectors import Chunk, Connector

__all__ = ["Input", "files_below", "find_inputs"]


@dataclass
class Input:
    """One source to read.

    Attributes:
        source: Where the records are.
        connector: What reads them.
        name: The event type or reference that they become.
        size: Bytes of the source.
        via: The connector's name.
    """

    source: Source
    connector: Connector
    name: str
    size: int
    via: str = ""
    _drained: list[Chunk] | None = None
    _hash: str = ""
    _found: tuple[int, int] = (0, 0)

    @property
    def reader(self) -> str:
        """Return what reads it, as JSON that quarantine keeps."""
        return json.dumps([self.via, self.source.options], sort_keys=True, default=str)

    def hash(self) -> str:
        """Return the xxh3-128 of the source's bytes; of an object in memory, of its Arrow data.

        Raises:
            SourceError: If the file cannot be read.
        """
        if not self._hash:
            if self.source.path is not None:
                try:
                    self._found = _identity(self.source.path)
                    self._hash = hash_file(self.source.path)
                except OSError as error:
                    raise SourceError(
                        f"cannot be read: {error.strerror}.", where=self.source.label
                    ) from error
            else:
                self._hash, self.size = _hash_chunks(self._drain())
        return self._hash

    def read(self, position: int, chunk_bytes: int) -> Iterable[Chunk]:
        """Yield the source's chunks from ``position`` on."""
        if self.source.path is None:
            return [c for c in self._drain() if c.position > position]
        return self.connector.read(self.source, position=position, chunk_bytes=chunk_bytes)

    def check_unchanged(self) -> None:
        """Raise if the file was written to while it was read.

        Raises:
            SourceError: If its size or its time of change is not what it was.
        """
        path = self.source.path
        if path is not None and (not path.is_file() or _identity(path) != self._found):
            raise SourceError(
                "the file changed while it was read.",
                where=self.source.label,
                fix="Ingest it when it is complete.",
            )

    def _drain(self) -> list[Chunk]:
        # an object may be a stream that can be read only once, and its hash is needed first
        if self._drained is None:
            self._drained = list(self.connector.read(self.source))
        return self._drained


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _hash_chunks(chunks: Iterable[Chunk]) -> tuple[str, int]:
    import pyarrow as pa  # noqa: PLC0415  (only for objects)

    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, chunk.table.schema) as stream:
            stream.write_table(chunk.table.combine_chunks())
        data = memoryview(sink.getvalue())
        digest.update(data)
        size += len(data)
    return digest.hexdigest()[:32], size


def find_inputs(
    sources: Iterable[Any],
    names: Mapping[str, str],
    *,
    event_type: str | None = None,
    connector: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[list[Input], list[str]]:
    """Return what is to be read, in order of path, and the files that no connector reads.

    Args:
        sources: Paths, globs, directories (searched through), or objects in memory.
        names: What sources may call event types and references, mapped to their own names.
        event_type: What all of them become; by default what each path speaks of.
        connector: What reads them; by default decided by file name or kind of object.
        options: Reading options handed to the connector.

    Raises:
        SourceError: If a path does not exist.
        UsageError: If an object in memory comes without ``event_type`` or is of no known kind.
    """
    by_suffix = {s: name for name in connectors.names() for s in connectors.load(name).suffixes}
    made: dict[str, Connector] = {}
    inputs: list[Input] = []
    skipped: list[str] = []
    for source in sources:
        if not isinstance(source, str | Path):
            inputs.append(_object_input(source, event_type, connector, dict(options or {})))
            continue
        for path in _expand(source):
            suffix = _suffix(path.name, by_suffix)
            name = connector or by_suffix.get(suffix)
            if name is None:
                skipped.append(str(path))
                continue
            kind = names.get(event_type, event_type) if event_type else event_type_of(path, names, suffix)
            found = Source(str(path), path, options=dict(options or {}))
            if name not in made:
                made[name] = connectors.create(name)
            inputs.append(Input(found, made[name], kind, path.stat().st_size, name))
    inputs.sort(
        key=lambda i: (i.source.path is None, i.source.path.name if i.source.path else "", i.source.label)
    )
    return inputs, skipped


def _suffix(name: str, known: Iterable[str]) -> str:
    """Return the longest known ending of a file's name, or nothing."""
    return max((s for s in known if name.lower().endswith(s)), key=len, default="")


def _expand(source: str | Path) -> list[Path]:
    path = Path(source).expanduser()
    if path.is_dir():
        if SegmentStore.is_workspace(path):
            raise SourceError(
                "this is a workspace: its files are no sources.",
                where=str(source),
                fix="'workbench restore' makes another workspace of it.",
            )
        return sorted(p for p in files_below(path) if not _hidden(p.name) and p.is_file())
    if path.is_file():
        return [path]
    found = sorted(Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file())  # noqa: PTH207
    if not found:
        raise SourceError("there is no such file or directory.", where=str(source))
    return found


def files_below(directory: Path) -> Iterator[Path]:
    """Yield what lies in a directory and below it.

    Folders that begin with a dot or an underscore are left alone, and so are workspaces and their mirrors:
    what they hold has come in before.
    """
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(
            name
            for name in folders
            if not _hidden(name) and not SegmentStore.is_workspace(Path(folder, name))
        )
        for name in names:
            yield Path(folder, name)


def _hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _object_input(data: Any, event_type: str | None, connector: str | None, options: dict[str, Any]) -> Input:
    name = connector or next((n for n in connectors.names() if connectors.load(n).accepts(data)), None)
    if name is None:
        raise UsageError(
            f"cannot read an object of type {type(data).__name__}.",
            fix="Give a path, or a data frame of pandas, polars, pyarrow or DuckDB.",
        )
    if event_type is None:
        raise UsageError("a data frame does not say what its rows are.", fix="Give type='…', the event type.")
    label = f"{type(data).__module__.split('.')[0]} {type(data).__name__}"
    return Input(Source(label, data=data, options=options), connectors.create(name), event_type, 0, name)
