"""Tables made of a generation's files and kept to save time: outside every manifest, never an authority.

A *set* is some Arrow files and one description, which names them with their hashes and says of which files
they were made. The description is named by its own hash and appears last, so that a set is whole or not
there. Anybody who can write may add one; what is damaged is passed over, and a set goes when one of the files
that it was made of goes.
"""

from __future__ import annotations

import json
import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import xxhash

from workbench.logs import get_logger
from workbench.storage.disk import LOCAL
from workbench.storage.files import hash_bytes, make_directories, publish

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from workbench.storage.disk import Disk
    from workbench.storage.files import Verifier

__all__ = ["FOLDER", "Derived", "DerivedSet", "unused"]

FOLDER = "cache/derived"


@dataclass(frozen=True)
class DerivedSet:
    """A set of tables.

    Attributes:
        name: Of its description.
        kind: What it is.
        part: Which part of that, if it is made in parts.
        generation: The one that it was made of.
        inputs: The files of that generation that it was made of.
        facts: What its maker wrote down with it.
        files: For each table its file, that file's hash and its length.
    """

    name: str
    kind: str
    part: str
    generation: int
    inputs: tuple[str, ...]
    facts: Mapping[str, Any]
    files: Mapping[str, tuple[str, str, int]]


class Derived:
    """The sets of one kind in a workspace.

    Args:
        root: The workspace.
        kind: What they are.
        verifier: What was checked in this process.
        reserve: Bytes of the disk that they may not use.
        disk: What writes them.
        turn: Held by a thread that makes one which others may want too.
    """

    def __init__(  # noqa: PLR0913  (where they lie and what writes them)
        self,
        root: Path,
        kind: str,
        verifier: Verifier,
        *,
        reserve: int = 0,
        disk: Disk = LOCAL,
        turn: threading.Lock | None = None,
    ) -> None:
        self._folder = root / FOLDER
        self._kind = kind
        self._verifier = verifier
        self._reserve = reserve
        self._disk = disk
        self.turn = turn or threading.Lock()

    def sets(self) -> list[DerivedSet]:
        """Return the sets that are there, newest generation first."""
        found = (_read(path) for path in self._folder.glob("*.json"))
        mine = [made for made in found if made is not None and made.kind == self._kind]
        return sorted(mine, key=lambda made: (-made.generation, made.name))

    def read(self, made: DerivedSet, table: str) -> pa.Table:
        """Return one table of a set, mapped into memory, with one chunk a column.

        Raises:
            CorruptFileError: If its file is missing or damaged.
        """
        name, digest, size = made.files[table]
        path = self._folder / name
        self._verifier.check(path, digest, size)
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
            return file.read_all()

    def keep(
        self,
        tables: Mapping[str, pa.Table],
        *,
        generation: int,
        inputs: Iterable[str],
        facts: Mapping[str, Any],
        part: str = "",
    ) -> DerivedSet | None:
        """Write a set, in place of all others of its part, and return it; None where that cannot be.

        Beside one of a later generation it is not written: nobody who comes would want it.
        A disk that is full or read-only, and one whose reserve would be touched, is no error: it is logged.

        Args:
            tables: By name.
            generation: The one that they were made of.
            inputs: The files of that generation that they were made of.
            facts: JSON data to keep with them.
            part: Which part of the kind it is.
        """
        before = [made for made in self.sets() if made.part == part]
        if any(made.generation > generation for made in before):
            return None
        size = sum(table.nbytes for table in tables.values())
        mark = uuid.uuid4().hex
        try:
            if self._disk.space(self._folder.parents[1]).free - size < self._reserve:
                self._not_kept("the disk's reserve would be touched")
                return None
            make_directories(self._folder, self._disk)
            files = {name: self._write(f"{mark}.{name}.arrow", table) for name, table in tables.items()}
            described = {
                "kind": self._kind,
                "part": part,
                "generation": generation,
                "inputs": sorted(inputs),
                "facts": dict(facts),
                "files": files,
            }
            data = json.dumps(described, sort_keys=True).encode()
            self._disk.sync_directory(self._folder)
            publish(self._folder / f"{hash_bytes(data)}.json", data, self._folder, self._disk)
        except OSError as error:
            self._remove(path.name for path in self._folder.glob(f"{mark}.*"))
            self._not_kept(str(error))
            return None
        now = self.sets()
        made = next((made for made in now if mark in str(made.files)), None)
        for older in now:
            if older.part == part and older.generation <= generation and older != made:
                self._remove([older.name, *(name for name, _, _ in older.files.values())])
        return made

    def _write(self, name: str, table: pa.Table) -> tuple[str, str, int]:
        sink = _Sink(self._disk, self._folder / name)
        try:
            arrays = [c.chunk(0) if c.num_chunks == 1 else c.combine_chunks() for c in table.columns]
            batch = pa.RecordBatch.from_arrays(arrays, schema=table.schema)
            with pa.PythonFile(sink, "w") as file, pa.ipc.new_file(file, batch.schema) as writer:
                writer.write_batch(batch)
            self._disk.sync(sink.descriptor)
        finally:
            self._disk.close(sink.descriptor)
        return name, sink.digest.hexdigest(), sink.size

    def _remove(self, names: Iterable[str]) -> None:
        """Delete files, of which another process may delete some at the same time."""
        for name in names:
            with suppress(OSError):
                self._disk.unlink(self._folder / name)

    def _not_kept(self, reason: str) -> None:
        get_logger("storage").info("not kept", kind=self._kind, reason=reason)


class _Sink:
    """A new file as pyarrow writes to it, with the hash of what was written."""

    closed = False

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self.descriptor = disk.create(path)
        self.digest = xxhash.xxh3_128()
        self.size = 0

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        self.digest.update(rest)
        self.size += len(rest)
        while rest:
            rest = rest[self._disk.write(self.descriptor, rest) :]
        return self.size

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def close(self) -> None:
        """Leave the file to who opened it."""


def _read(path: Path) -> DerivedSet | None:
    """Return a description; None where it is damaged or gone."""
    try:
        return _described(path, path.stat().st_mtime_ns)
    except (OSError, ValueError):
        return None


# A window of a year in parts has a thousand descriptions, each of which every other one is looked at for.
@lru_cache(4096)
def _described(path: Path, changed: int) -> DerivedSet:  # noqa: ARG001  (one that was changed is read again)
    """Return a description.

    Raises:
        OSError: If it is gone.
        ValueError: If it is damaged.
    """
    data = path.read_bytes()
    if hash_bytes(data) != path.stem:
        raise ValueError(path)
    told = json.loads(data)
    files = {name: (file, digest, size) for name, (file, digest, size) in told["files"].items()}
    part = told.get("part", "")
    return DerivedSet(
        path.name, told["kind"], part, told["generation"], tuple(told["inputs"]), told["facts"], files
    )


def unused(root: Path, live: Collection[str], horizon: float) -> list[Path]:
    """Return the files that belong to no set of which everything that it was made of is ``live``.

    Args:
        root: The workspace.
        live: The files that some generation needs.
        horizon: What is younger may be a set in the making.
    """
    folder = root / FOLDER
    described = {path.name: _read(path) for path in folder.glob("*.json")}
    kept: set[str] = set()
    for name, made in described.items():
        if made and set(made.inputs) <= set(live):
            kept |= {name, *(file for file, _, _ in made.files.values())}
    gone = {*described, *(file for made in described.values() if made for file, _, _ in made.files.values())}
    return [
        path
        for path in sorted(folder.glob("*"))
        if path.name not in kept and (path.name in gone or _is_older(path, horizon))
    ]


def _is_older(path: Path, horizon: float) -> bool:
    try:
        return path.stat().st_mtime < horizon
    except FileNotFoundError:  # its maker has given it its name
        return False
