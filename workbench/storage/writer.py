"""The one writer: changes to a workspace in transactions, each the next generation or nothing."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import CorruptFileError, DiskFullError, StorageError
from workbench.storage.collect import KEPT_MANIFESTS, collect
from workbench.storage.disk import refusal
from workbench.storage.files import hash_bytes, make_directories, stage, sync_directories
from workbench.storage.layout import ROW_GROUP, parquet_options
from workbench.storage.manifest import FileEntry, LedgerEntry, commit, read_current
from workbench.storage.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from workbench.storage.disk import Disk
    from workbench.storage.files import Verifier
    from workbench.storage.lock import WriterLock

__all__ = ["Groups", "Transaction", "Writer", "encoded", "now", "refused"]

_GRACE_SECONDS = 600.0


class Groups(Protocol):
    """A table that is made a row group at a time.

    Attributes:
        num_rows: Number of rows.
        plain: The columns that are not dictionary-encoded, whole.
        coded: Names of those that are.
    """

    num_rows: int
    plain: pa.Table
    coded: list[str]

    def groups(self, rows: int) -> Iterator[pa.Table]:
        """Yield tables of ``rows`` rows; at least one."""


class Writer:
    """The one writer of a workspace; lives as long as the lock is held.

    Args:
        root: The workspace.
        verifier: What was checked in this process.
        disk: What writes.
        lock: The writer lock, held.
        reserve: Bytes of the disk that no new data may use.
    """

    def __init__(self, root: Path, verifier: Verifier, disk: Disk, lock: WriterLock, reserve: int) -> None:
        self.root = root
        self.disk = disk
        self.verifier = verifier
        self._lock = lock
        self._reserve = reserve
        self._broken = ""
        # what a killed writer left may be seen without being durable: nothing is built on it before it is
        sync_directories([root], disk)
        make_directories(root / "tmp", disk)  # copies leave empty directories out
        lock.claim(max(lock.epoch, read_current(root).epoch + 1))

    @property
    def epoch(self) -> int:
        """Return the number of this writer: higher than any before that published something."""
        return self._lock.epoch

    @property
    def broken(self) -> str:
        """Return why this writer has stopped, or nothing."""
        return self._broken

    def snapshot(self) -> Snapshot:
        """Return the newest generation; nothing of it is collected while the writer lives."""
        return Snapshot(self.root, read_current(self.root), self.verifier)

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

    def require_held(self) -> None:
        """Raise if another writer may have the workspace by now.

        Raises:
            WriterLockedError: If the lock is no longer held.
        """
        self._lock.require_held()

    def require_space(self, size: int) -> None:
        """Raise if ``size`` more bytes would touch the disk's reserve.

        Raises:
            DiskFullError: If they would.
        """
        free = self.disk.space(self.root).free
        if free - size < self._reserve:
            raise DiskFullError(
                f"{free >> 20:,} MB of the disk are free, {self._reserve >> 20:,} MB of them are a reserve.",
                where=str(self.root),
                fix="Make room, evict days or lower the setting disk_reserve_mb; reading goes on.",
            )

    def fail(self, error: OSError) -> StorageError:
        """Stop this writer for good after a failed write, and return the error to raise."""
        self._broken = str(error)
        return refused(error, self.root)

    def collect(self, *, grace: float = _GRACE_SECONDS, manifests: int = KEPT_MANIFESTS) -> int:
        """Delete files that no recent generation and no reader needs, and return how many.

        Args:
            grace: Younger files stay, in seconds: a reader without a lease may have just begun to open them.
            manifests: How many of the last generations stay.
        """
        return collect(self.root, self.disk, grace=grace, manifests=manifests)

    def has_leftovers(self) -> bool:
        """Return whether segments have files that the newest generation does not name."""
        live = {entry.path for entry in self.snapshot().manifest.files}
        found = (path for path in (self.root / "segments").rglob("*") if path.is_file())
        return any(path.relative_to(self.root).as_posix() not in live for path in found)

    def close(self) -> None:
        """Collect once more, unless a write failed."""
        if not self._broken:
            self.collect()


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
        self._is_first = False

    def add(  # noqa: PLR0913  (a file's facts, each its own)
        self,
        kind: str,
        table: pa.Table | Groups,
        *,
        segment: str = "",
        name: str = "",
        folder: str = "",
        inputs: str = "",
        times: tuple[int, int] | None = None,
        meta: dict[str, Any] | None = None,
        row_group: int = ROW_GROUP,
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
            DiskFullError: If the disk's reserve would be touched.
            StorageError: If the disk refuses; the writer then stops.
        """
        data = encoded(table, row_group)
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
        return self._stage(entry, data)

    def add_file(  # noqa: PLR0913  (a file's facts, each its own)
        self,
        kind: str,
        data: memoryview,
        *,
        segment: str,
        name: str = "",
        suffix: str = ".parquet",
        rows: int,
        inputs: str,
        meta: dict[str, Any],
    ) -> FileEntry:
        """Write bytes that somebody else has laid out as a new file of a segment, and return its entry.

        Args:
            kind: What they hold.
            data: The bytes.
            segment: The day that it belongs to.
            name: As for :meth:`add`.
            suffix: How the file's name ends: ``.index`` for what a library of indexes reads.
            rows: How many rows, or vectors, they hold.
            inputs: Hash of what it was derived from.
            meta: Facts to keep in the manifest.

        Raises:
            DiskFullError: If the disk's reserve would be touched.
            StorageError: If the disk refuses; the writer then stops.
        """
        ending = suffix if suffix == f".{kind}" else f".{kind}{suffix}"
        path = f"segments/dt={segment}/{uuid.uuid4().hex}{ending}"
        entry = FileEntry(
            path, kind, segment, name, rows, len(data), hash_bytes(data), inputs=inputs, meta=meta
        )
        return self._stage(entry, data)

    def add_copy(self, entry: FileEntry, data: memoryview) -> FileEntry:
        """Write the bytes of a file that was published before as a new one, and return its entry.

        Raises:
            CorruptFileError: If they are not the bytes of ``entry``.
            DiskFullError: If the disk's reserve would be touched.
            StorageError: If the disk refuses; the writer then stops.
        """
        if hash_bytes(data) != entry.hash:
            raise CorruptFileError("these are not the file's bytes.", where=entry.path)
        before = Path(entry.path)
        path = before.with_name(uuid.uuid4().hex + "".join(before.suffixes)).as_posix()
        return self._stage(replace(entry, path=path), data)

    def _stage(self, entry: FileEntry, data: memoryview) -> FileEntry:
        aside = self._writer.root / "tmp" / Path(entry.path).name
        self._writer.require_space(len(data))
        try:
            stage(aside, data, self._writer.disk)
        except OSError as error:
            raise self._writer.fail(error) from error
        self._staged.append((aside, entry))
        return entry

    def kept(self, kind: str, *, segments: Iterable[str] | None = None) -> list[FileEntry]:
        """Return the files of ``kind`` that stay from the generation before, as :meth:`Snapshot.files`."""
        return [f for f in self.base.files(kind, segments=segments) if f.path not in self._removed]

    def preview(self) -> Snapshot:
        """Return the generation as it is so far, to derive from: new files are read where they lie aside."""
        staged = [replace(e, path=f"tmp/{aside.name}") for aside, e in self._staged]
        kept = [f for f in self.base.manifest.files if f.path not in self._removed]
        manifest = replace(self.base.manifest, files=(*kept, *staged), state=self._state, digest="")
        return Snapshot(self._writer.root, manifest, self._writer.verifier)

    def remove(self, entries: Iterable[FileEntry]) -> None:
        """Leave files out of the next generation."""
        self._removed.update(e.path for e in entries)

    def record(self, entry: LedgerEntry) -> None:
        """Note what was taken from a source."""
        self._ledger[entry.key] = entry

    def set_state(self, **facts: Any) -> None:
        """Keep small JSON facts with the generation."""
        self._state.update(facts)

    def forget_earlier(self) -> None:
        """Begin the chain of manifests anew: no earlier generation is kept for its own sake any more."""
        self._is_first = True

    def commit(self) -> Snapshot:
        """Publish everything as the next generation and return it.

        Raises:
            StorageError: If the disk refuses, an earlier write of this writer failed, or another
                generation was published since :meth:`Writer.begin`.
            WriterLockedError: If another writer took the workspace meanwhile.
        """
        root, disk = self._writer.root, self._writer.disk
        self._writer.require_whole()
        self._writer.require_held()
        if self._writer.snapshot().generation != self.base.generation:
            raise StorageError(
                f"generation {self.base.generation} is no longer the newest.",
                where=str(root),
                fix="Begin again: this change was made on top of it.",
            )
        folders = {(root / entry.path).parent for _, entry in self._staged}
        kept = tuple(f for f in self.base.manifest.files if f.path not in self._removed)
        files = (*kept, *(entry for _, entry in self._staged))
        facts = {"ledger": self._ledger, "state": self._state, "epoch": self._writer.epoch}
        manifest = self.base.manifest.next(now(), files=files, **facts)
        if self._is_first:
            manifest = replace(manifest, previous="")
        try:
            for folder in sorted(folders):
                make_directories(folder, disk)
            for aside, entry in self._staged:
                disk.rename(aside, root / entry.path)
            # also above a directory that is there: a killed writer may not have come to that
            sync_directories(sorted({p for f in folders for p in (f, f.parent)}), disk)
            commit(root, manifest, disk)
        except OSError as error:
            raise self._writer.fail(error) from error
        return self._writer.snapshot()


def encoded(table: pa.Table | Groups, row_group: int = ROW_GROUP) -> memoryview:
    """Return the bytes of the Parquet file that holds ``table``; equal tables give equal bytes."""
    sink = pa.BufferOutputStream()
    if isinstance(table, pa.Table):
        pq.write_table(table, sink, **parquet_options(table, row_group))
        return memoryview(sink.getvalue())
    options = parquet_options(table.plain, row_group)
    size = options.pop("row_group_size")
    options["use_dictionary"] += table.coded
    with ExitStack() as stack:
        file = None
        for group in table.groups(size):
            file = file or stack.enter_context(pq.ParquetWriter(sink, group.schema, **options))
            file.write_table(group, size)
    return memoryview(sink.getvalue())


def refused(error: OSError, root: Path) -> StorageError:
    """Return the error to raise where the disk refused an operation."""
    return refusal(error)(
        f"a write failed: {error}.",
        where=str(root),
        fix="Mend the cause and run it again: the step is published as a whole or not at all.",
    )


def now() -> str:
    """Return the wall clock as manifests write it."""
    return datetime.now(UTC).isoformat("T", "milliseconds")
