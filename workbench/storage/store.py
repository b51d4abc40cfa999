"""The segment store: a workspace's files, read by generation, written in transactions."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import CorruptFileError, StorageError, WorkspaceError
from workbench.storage.files import Verifier, hash_bytes, publish, stage, sync_directories
from workbench.storage.lock import WriterLock
from workbench.storage.manifest import (
    CURRENT,
    FileEntry,
    LedgerEntry,
    Manifest,
    commit,
    manifest_name,
    read_current,
    recent_manifests,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["FORMAT", "SegmentStore", "Snapshot", "Transaction", "Writer"]

FORMAT = 1
_FOLDERS = ("manifests", "segments", "references", "knowledge", "quarantine", "tmp")
_KEPT_MANIFESTS = 3
_GRACE_SECONDS = 600.0


class SegmentStore:
    """A workspace directory's files.

    Args:
        root: The workspace.

    Raises:
        WorkspaceError: If ``root`` is not a workspace or has a format that this version cannot read.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.id = _read_format(root)
        self._verifier = Verifier()

    @classmethod
    def create(cls, root: Path, files: Mapping[str, bytes] | None = None) -> SegmentStore:
        """Make a new, empty workspace in ``root``, which must be empty or absent.

        Args:
            root: The directory.
            files: What the stages above keep beside the data, by path within the workspace.

        Raises:
            WorkspaceError: If ``root`` is a file or a directory with something in it.
            StorageError: If the file system refuses.
        """
        if root.exists() and not _is_vacant(root, files or {}):
            raise WorkspaceError(
                "cannot make a workspace here: there is something already.",
                where=str(root),
                fix="Name an empty or a new directory.",
            )
        try:
            _lay_out(root, files or {})
        except OSError as error:
            raise StorageError(f"cannot make a workspace here: {error.strerror}.", where=str(root)) from error
        return cls(root)

    @staticmethod
    def is_workspace(root: Path) -> bool:
        """Return whether ``root`` holds a finished workspace of any format."""
        return (root / "FORMAT").is_file()

    def snapshot(self) -> Snapshot:
        """Return the newest generation, to be read whole whatever a writer does meanwhile."""
        return Snapshot(self.root, read_current(self.root), self._verifier)

    @contextmanager
    def writer(self) -> Iterator[Writer]:
        """Hold the writer lock for the length of the context.

        Raises:
            WriterLockedError: If another process holds it.
        """
        with WriterLock(self.root / "LOCK"):
            writer = Writer(self.root, self._verifier)
            writer.collect()
            yield writer


class Snapshot:
    """One generation of a workspace, read-only."""

    def __init__(self, root: Path, manifest: Manifest, verifier: Verifier) -> None:
        self.root = root
        self.manifest = manifest
        self._verifier = verifier

    @property
    def generation(self) -> int:
        """Return the manifest's number."""
        return self.manifest.number

    @property
    def segments(self) -> list[str]:
        """Return the days of the live segments, in order."""
        return sorted({f.segment for f in self.manifest.files if f.kind == "events"})

    def files(
        self, kind: str, *, segments: Iterable[str] | None = None, name: str | None = None
    ) -> list[FileEntry]:
        """Return the live files of ``kind``, by segment and path, optionally of some segments or one name."""
        wanted = None if segments is None else set(segments)
        found = [
            f
            for f in self.manifest.files
            if f.kind == kind and (wanted is None or f.segment in wanted) and (name is None or f.name == name)
        ]
        return sorted(found, key=lambda f: (f.segment, f.path))

    def path(self, entry: FileEntry) -> Path:
        """Return the absolute path of a file whose bytes have been checked: safe to hand to any reader.

        Raises:
            CorruptFileError: If the file is missing or damaged.
        """
        path = self.root / entry.path
        self._verifier.check(path, entry.hash, entry.bytes)
        return path

    def read(
        self, entry: FileEntry, *, columns: Sequence[str] | None = None, filters: Any = None
    ) -> pa.Table:
        """Return a file's table, checked.

        Args:
            entry: The file.
            columns: Only these columns.
            filters: An Arrow expression, or a list of ``(column, operator, value)``.

        Raises:
            CorruptFileError: If the file is missing or damaged.
        """
        # partitioning=None: the directory's dt=… is not a column of the table
        return pq.read_table(
            self.path(entry),
            columns=None if columns is None else list(columns),
            filters=filters,
            partitioning=None,
            page_checksum_verification=True,
        )

    def verify(self, *, full: bool = False) -> Iterator[tuple[FileEntry, str]]:
        """Yield every live file with what is wrong with it, or an empty string.

        Args:
            full: Read every byte even of files that were checked before in this process.
        """
        for entry in self.manifest.files:
            try:
                self._verifier.check(self.root / entry.path, entry.hash, entry.bytes, full=full)
            except StorageError as error:
                yield entry, error.message
            else:
                yield entry, ""


class Writer:
    """The one writer of a workspace; lives as long as the lock is held."""

    def __init__(self, root: Path, verifier: Verifier) -> None:
        self.root = root
        self._verifier = verifier
        self._broken = ""

    def snapshot(self) -> Snapshot:
        """Return the newest generation."""
        return Snapshot(self.root, read_current(self.root), self._verifier)

    def begin(self) -> Transaction:
        """Start a change on top of the newest generation.

        Raises:
            StorageError: If an earlier write failed: what the disk holds is then uncertain.
        """
        self.require_whole()
        return Transaction(self)

    def require_whole(self) -> None:
        """Raise if an earlier write failed.

        Raises:
            StorageError: If one did.
        """
        if self._broken:
            raise StorageError(
                f"an earlier write failed ({self._broken}); this writer has stopped.",
                where=str(self.root),
                fix="Mend the cause, then open the workspace again: the last generation is whole.",
            )

    def fail(self, error: OSError) -> StorageError:
        """Stop this writer for good after a failed write, and return the error to raise."""
        self._broken = str(error)
        return StorageError(
            f"a write failed: {error}.",
            where=str(self.root),
            fix="Mend the cause and run it again: the step is published as a whole or not at all.",
        )

    def collect(self, *, grace: float = _GRACE_SECONDS) -> int:
        """Delete files that no recent generation names and return how many.

        Kept are the files of the last three manifests, and whatever is younger than ``grace``
        seconds, which a reader may have just begun to open. While one of the three is damaged, nothing
        is deleted: what it names is not known.
        """
        try:
            recent = recent_manifests(self.root, _KEPT_MANIFESTS)
        except CorruptFileError:
            return 0
        kept = {f.path for manifest in recent for f in manifest.files}
        for path in (self.root / "manifests").glob("*.json"):
            if path.name < manifest_name(recent[-1].number):
                path.unlink()
        horizon = time.time() - grace
        removed = 0
        for folder in _FOLDERS[1:]:
            for path in (self.root / folder).rglob("*"):
                if not path.is_file() or path.relative_to(self.root).as_posix() in kept:
                    continue
                # nothing in tmp is read by anybody, and no other writer lives
                if folder == "tmp" or path.stat().st_mtime < horizon:
                    path.unlink()
                    removed += 1
        return removed


class Transaction:
    """A change to the workspace: all of it becomes the next generation, or none.

    Files are written and synced as they are added, but no reader sees them before :meth:`commit`.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.base = writer.snapshot()
        self._staged: list[tuple[Path, FileEntry]] = []
        self._removed: set[str] = set()
        self._ledger: dict[str, LedgerEntry] = dict(self.base.manifest.ledger)
        self._state: dict[str, Any] = dict(self.base.manifest.state)

    def add(  # noqa: PLR0913  (a file's facts, each its own)
        self,
        kind: str,
        table: pa.Table,
        *,
        segment: str = "",
        name: str = "",
        folder: str = "",
        inputs: str = "",
        times: tuple[int, int] | None = None,
        meta: dict[str, Any] | None = None,
        row_group: int = 1 << 17,
    ) -> FileEntry:
        """Write ``table`` as a new file and return its entry.

        Args:
            kind: What it holds.
            table: The rows. Equal tables give equal bytes.
            segment: The day that it belongs to, or empty.
            name: The event type, reference or knowledge kind within the kind.
            folder: Where it goes when it belongs to no segment, for example ``knowledge/pagerank``.
            inputs: Hash of what it was derived from.
            times: Earliest and latest event time, in microseconds since 1970.
            meta: Facts to keep in the manifest.
            row_group: Rows in a row group.

        Raises:
            StorageError: If the disk refuses; the writer then stops.
        """
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", write_page_checksum=True, row_group_size=row_group)
        data = memoryview(sink.getvalue())
        place = f"segments/dt={segment}" if segment else folder
        path = f"{place}/{uuid.uuid4().hex}.{kind}.parquet"
        low, high = times or (None, None)
        entry = FileEntry(
            path,
            kind,
            segment,
            name,
            table.num_rows,
            len(data),
            hash_bytes(data),
            low,
            high,
            inputs,
            meta or {},
        )
        aside = self._writer.root / "tmp" / Path(path).name
        try:
            stage(aside, data)
        except OSError as error:
            raise self._writer.fail(error) from error
        self._staged.append((aside, entry))
        return entry

    def remove(self, entries: Iterable[FileEntry]) -> None:
        """Leave files out of the next generation."""
        self._removed.update(e.path for e in entries)

    def record(self, entry: LedgerEntry) -> None:
        """Note what was taken from a source."""
        self._ledger[entry.key] = entry

    def set_state(self, **facts: Any) -> None:
        """Keep small JSON facts with the generation."""
        self._state.update(facts)

    def commit(self) -> Snapshot:
        """Publish everything as the next generation and return it.

        Raises:
            StorageError: If the disk refuses, an earlier write of this writer failed, or another
                generation was published since :meth:`Writer.begin`.
        """
        root = self._writer.root
        self._writer.require_whole()
        if self._writer.snapshot().generation != self.base.generation:
            raise StorageError(
                f"generation {self.base.generation} is no longer the newest.",
                where=str(root),
                fix="Begin again: this change was made on top of it.",
            )
        folders = {(root / entry.path).parent for _, entry in self._staged}
        kept = tuple(f for f in self.base.manifest.files if f.path not in self._removed)
        files = (*kept, *(entry for _, entry in self._staged))
        manifest = self.base.manifest.next(_now(), files=files, ledger=self._ledger, state=self._state)
        try:
            for folder in sorted(folders):
                folder.mkdir(parents=True, exist_ok=True)
            for aside, entry in self._staged:
                aside.replace(root / entry.path)
            sync_directories(sorted({p for f in folders for p in (f, f.parent)}))
            commit(root, manifest)
        except OSError as error:
            raise self._writer.fail(error) from error
        return self._writer.snapshot()


def _read_format(root: Path) -> str:
    path = root / "FORMAT"
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        what = "is not a workspace" if root.exists() else "does not exist"
        raise WorkspaceError(
            f"the directory {what}.", where=str(root), fix=f"Make one with 'workbench init {root}'."
        ) from None
    except ValueError as error:
        raise WorkspaceError(f"not readable: {error}.", where=str(path)) from error
    if not isinstance(found, dict) or not isinstance(found.get("least_reader"), int):
        raise WorkspaceError("does not say which format the workspace has.", where=str(path))
    if found["least_reader"] > FORMAT:
        raise WorkspaceError(
            f"the workspace has format {found.get('format')}, this version reads up to {FORMAT}.",
            where=str(root),
            fix="Install a newer workbench.",
        )
    return str(found.get("workspace", ""))


def _is_vacant(root: Path, files: Iterable[str]) -> bool:
    """Return whether nothing is in ``root`` but what a killed creation leaves, which writes FORMAT last."""
    folders = {*_FOLDERS, CURRENT, *(Path(name).parts[0] for name in files)}
    if not root.is_dir() or any(p.name not in folders for p in root.iterdir()):
        return False
    ours = {root / CURRENT, root / "manifests" / manifest_name(0), *(root / name for name in files)}
    found = (p for p in root.rglob("*") if not p.is_dir())
    return all(path in ours or path.parent == root / "tmp" for path in found)


def _lay_out(root: Path, files: Mapping[str, bytes]) -> None:
    """Write an empty workspace, FORMAT last."""
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        publish(root / name, data, root / "tmp")
    commit(root, Manifest(0, _now(), ""))
    text = json.dumps({"format": FORMAT, "least_reader": FORMAT, "workspace": uuid.uuid4().hex})
    publish(root / "FORMAT", text.encode(), root / "tmp")


def _now() -> str:
    return datetime.now(UTC).isoformat("T", "milliseconds")
