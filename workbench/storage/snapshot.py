"""A snapshot: one generation of a workspace as readers see it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from workbench.errors import CorruptFileError, UnknownNameError, UsageError, WorkspaceError
from workbench.progress import Update, silent
from workbench.storage.files import Verifier
from workbench.storage.manifest import manifest_name, read_manifest
from workbench.storage.missing import missing_in
from workbench.storage.rows import RowFinder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from workbench.progress import Progress
    from workbench.storage.leases import Lease
    from workbench.storage.manifest import FileEntry, Manifest
    from workbench.storage.missing import Missing
    from workbench.storage.rows import Rows

__all__ = ["Segment", "Snapshot"]

_MANY = 4  # files that are worth threads
_FOOTERS = 128  # that are kept decoded, a month of four event types; a megabyte each where they are wide


class Snapshot:
    """One generation of a workspace, read-only; its files stay while the object lives, if it has a lease.

    Pickled, it is no more than where it lies and which it is: another process that sees the directory reads
    the same, while the one that sent it keeps it.
    """

    def __init__(
        self, root: Path, manifest: Manifest, verifier: Verifier, lease: Lease | None = None
    ) -> None:
        self.root = root
        self.manifest = manifest
        self._verifier = verifier
        self._lease = lease
        self._footers = lru_cache(_FOOTERS)(pq.read_metadata)
        self._finder = RowFinder(self._footers)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how another process reads the same generation.

        Raises:
            UsageError: If it is none that lies there whole: of a mirror in S3, or not committed.
        """
        if self.lazy or not self.manifest.digest:
            raise UsageError(
                "only a generation of a workspace in a directory is sent to other processes.",
                where=str(self.root),
                fix="Leave the setting cluster empty, or make a workspace of it: 'workbench restore'.",
            )
        return _opened, (self.root, self.generation, self.manifest.digest)

    @property
    def generation(self) -> int:
        """Return the manifest's number."""
        return self.manifest.number

    @property
    def segments(self) -> list[str]:
        """Return the days of the live segments, in order."""
        return sorted({f.segment for f in self.manifest.files if f.kind == "events"})

    def differs(self, other: Snapshot, *, but: Collection[str]) -> bool:
        """Return whether two generations differ in their state, or in files of other kinds than some."""
        files, others = ({f.path for f in s.manifest.files if f.kind not in but} for s in (self, other))
        return files != others or self.manifest.state != other.manifest.state

    def latest(self, segments: Iterable[str] | None = None) -> datetime:
        """Return the time of the latest document of some segments, or of all; 1970 where there is none."""
        latest = max((f.max_ts or 0 for f in self.files("events", segments=segments)), default=0)
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=latest)

    def require(self, days: Iterable[str]) -> None:
        """Raise unless each day has a segment.

        Raises:
            UnknownNameError: If one has none; near misses are suggested.
        """
        live = self.segments
        for day in days:
            if day not in live:
                raise UnknownNameError("segment", day, live)

    @cached_property
    def missing(self) -> tuple[Missing, ...]:
        """Return what was published once and is lost."""
        return missing_in(self.manifest)

    def files(
        self, kind: str, *, segments: Iterable[str] | None = None, name: str | None = None
    ) -> list[FileEntry]:
        """Return the live files of ``kind``, by segment and path, optionally of some segments or one name."""
        days = self._live.get(kind, {})
        wanted = days if segments is None else days.keys() & set(segments)
        found = [f for day in sorted(wanted) for f in days[day]]
        return found if name is None else [f for f in found if f.name == name]

    @cached_property
    def _live(self) -> dict[str, dict[str, list[FileEntry]]]:
        """Return the live files by kind and segment, those of a segment in the order of their paths."""
        found: dict[str, dict[str, list[FileEntry]]] = {}
        for entry in sorted(self.manifest.files, key=lambda f: f.path):
            found.setdefault(entry.kind, {}).setdefault(entry.segment, []).append(entry)
        return found

    @property
    def lazy(self) -> bool:
        """Return whether files come as they are asked for: that one is not there yet says nothing."""
        return self._verifier.lazy

    def size(self, entry: FileEntry) -> int | None:
        """Return the length that a file has where it lies, without reading it; None where it is missing."""
        return self._verifier.size(self.root, entry.path)

    def path(self, entry: FileEntry) -> Path:
        """Return the absolute path of a file whose bytes have been checked: safe to hand to any reader.

        Raises:
            CorruptFileError: If the file is missing or damaged.
            RemoteError: If it comes from a mirror that does not answer.
        """
        path = self.root / entry.path
        self._verifier.check(path, entry.hash, entry.bytes)
        return path

    def paths(self, entries: Sequence[FileEntry]) -> list[Path]:
        """Return the absolute paths of files, checked side by side: a first reader waits for their hashes.

        Raises:
            CorruptFileError: If one is missing or damaged, the first of them.
            RemoteError: If they come from a mirror that does not answer.
        """
        self._verifier.prepare([(self.root / e.path, e.hash, e.bytes) for e in entries])
        if len(entries) < _MANY:
            return [self.path(entry) for entry in entries]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(self.path, entries))

    def open(self, entry: FileEntry) -> pq.ParquetFile:
        """Return a file to be read in pieces, checked; whoever opens it closes it.

        Raises:
            CorruptFileError: If the file is missing or damaged.
        """
        path = self.path(entry)
        return pq.ParquetFile(path, metadata=self._footers(path), page_checksum_verification=True)

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

    def rows(self, entry: FileEntry, identifiers: NDArray[np.int64]) -> Iterator[Rows]:
        """Yield the rows of a file of documents, by row group, that have one of some ``_id``, and few others.

        Raises:
            CorruptFileError: If the file is missing or damaged.
        """
        return self._finder.find(self.path(entry), identifiers)

    def verify(self, *, full: bool = False) -> Iterator[tuple[FileEntry, str]]:
        """Yield every live file with what is wrong with it, or an empty string.

        Args:
            full: Read every byte even of files that were checked before in this process.
        """
        for entry in self.manifest.files:
            try:
                self._verifier.check(self.root / entry.path, entry.hash, entry.bytes, full=full)
            except CorruptFileError as error:
                yield entry, error.message
            else:
                yield entry, ""

    def damages(self, *, full: bool = False, progress: Progress = silent) -> list[tuple[str, str]]:
        """Return the damaged files with what is wrong with each, as :meth:`verify` finds them."""
        total = len(self.manifest.files)
        found = []
        for done, (entry, problem) in enumerate(self.verify(full=full), 1):
            if problem:
                found.append((entry.path, problem))
            progress(Update("verify", done, total, "files"))
        return found


@dataclass(frozen=True)
class Segment:
    """One segment of a generation: an item for an executor, small enough to be sent.

    Attributes:
        snapshot: The generation.
        day: The segment.
    """

    snapshot: Snapshot
    day: str

    def __str__(self) -> str:
        """Return which it is, as errors name it."""
        return f"segment {self.day} of {self.snapshot.root}, generation {self.snapshot.generation}"

    def files(self, kind: str) -> list[FileEntry]:
        """Return its files of a kind."""
        return self.snapshot.files(kind, segments=[self.day])

    def read(
        self, kind: str, *, columns: Sequence[str] | None = None, filters: Sequence[Any] | None = None
    ) -> list[pa.Table]:
        """Return its tables of a kind, checked; of a partial there is one, or none.

        Args:
            kind: Of the files.
            columns: Only these.
            filters: Only rows for which they hold, as :meth:`Snapshot.read` has them.

        Raises:
            CorruptFileError: If one is missing or damaged.
        """
        return [self.snapshot.read(entry, columns=columns, filters=filters) for entry in self.files(kind)]


# Items are unpickled one by one: of a generation that is known nothing is read or checked again.
@lru_cache(4)
def _opened(root: Path, number: int, digest: str) -> Snapshot:
    """Return a generation that another process reads.

    Raises:
        WorkspaceError: If the workspace is not seen from here.
        CorruptFileError: If the generation's manifest is missing or damaged.
    """
    if not root.is_dir():
        raise WorkspaceError(
            "the workspace is not seen from here.",
            where=str(root),
            fix="Workers need it at the same path as the one that asks, on a file system that all share.",
        )
    manifest = read_manifest(root / "manifests" / manifest_name(number), digest)
    return Snapshot(root, manifest, _verifier(root))


@lru_cache(4)
def _verifier(root: Path) -> Verifier:  # noqa: ARG001  (whose files it knows)
    return Verifier()
