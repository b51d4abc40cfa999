"""The segment store: a workspace's files, read by generation, written in transactions."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import ReadOnlyError, StorageError, WorkspaceError
from workbench.locks import FairLock
from workbench.storage.derived import Derived
from workbench.storage.disk import LOCAL, NETWORK, file_system
from workbench.storage.files import Verifier
from workbench.storage.format import is_vacant, lay_out, migrate, read_format
from workbench.storage.leases import Leases
from workbench.storage.lock import WriterLock
from workbench.storage.manifest import is_mirror, read_manifest, read_pointer
from workbench.storage.snapshot import Snapshot
from workbench.storage.writer import Writer, now, refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workbench.storage.disk import Disk

__all__ = ["SegmentStore"]

_RESERVE_SHARE = 20
_RESERVE_MOST = 1 << 30


class SegmentStore:
    """A workspace directory's files.

    Args:
        root: The workspace.
        disk: What writes them.
        reserve: Bytes of the disk that no new data may use; by default a twentieth, at most 1 GB.
        force_network: Whether to write also where the file system is another machine's.

    Raises:
        WorkspaceError: If ``root`` is not a workspace or has a format that this version cannot read.
    """

    def __init__(
        self, root: Path, *, disk: Disk = LOCAL, reserve: int | None = None, force_network: bool = False
    ) -> None:
        self.root = root
        self.disk = disk
        self.id = read_format(root).workspace
        self._reserve = reserve
        self._force_network = force_network
        self._verifier = Verifier()
        self._turns: dict[str, threading.Lock] = {}
        self._beside = Verifier()  # of what is derived: it is nowhere else
        self._leases = Leases(root / "readers")
        self._turn = FairLock()  # a stream writes nearly all the time

    @classmethod
    def create(
        cls, root: Path, files: Mapping[str, bytes] | None = None, *, disk: Disk = LOCAL
    ) -> SegmentStore:
        """Make a new, empty workspace in ``root``, which must be empty or absent.

        Args:
            root: The directory.
            files: What the stages above keep beside the data, by path within the workspace.
            disk: What writes them.

        Raises:
            WorkspaceError: If ``root`` is a file or a directory with something in it.
            StorageError: If the file system refuses.
        """
        if root.exists() and not is_vacant(root, files or {}):
            raise WorkspaceError(
                "cannot make a workspace here: there is something already.",
                where=str(root),
                fix="Name an empty or a new directory.",
            )
        try:
            lay_out(root, files or {}, now(), disk)
        except OSError as error:
            raise StorageError(f"cannot make a workspace here: {error.strerror}.", where=str(root)) from error
        return cls(root, disk=disk)

    @staticmethod
    def is_workspace(root: Path) -> bool:
        """Return whether ``root`` holds a finished workspace of any format."""
        return (root / "FORMAT").is_file()

    @property
    def name(self) -> str:
        """Return what people call the place where it lies."""
        return str(self.root)

    @property
    def reserve(self) -> int:
        """Return how many bytes of the disk no new data may use."""
        if self._reserve is not None:
            return self._reserve
        return min(self.disk.space(self.root).total // _RESERVE_SHARE, _RESERVE_MOST)

    def snapshot(self) -> Snapshot:
        """Return the newest generation, to be read whole whatever a writer does meanwhile."""
        pointer = read_pointer(self.root)
        while True:
            lease = self._leases.take(pointer.number, pointer.hash)
            newest = read_pointer(self.root)
            if newest == pointer:
                break
            pointer = newest
        manifest = read_manifest(self.root / "manifests" / pointer.name, pointer.hash)
        return Snapshot(self.root, manifest, self._verifier, lease)

    def derived(self, kind: str) -> Derived:
        """Return the tables of a kind that are kept beside the generations to save time."""
        turn = self._turns.setdefault(kind, threading.Lock())
        return Derived(self.root, kind, self._beside, reserve=self.reserve, disk=self.disk, turn=turn)

    @contextmanager
    def writer(self, *, within_reserve: bool = False) -> Iterator[Writer]:
        """Hold the writer lock for the length of the context; a workspace of an older format is migrated.

        Threads that share this object wait for one another; other processes are refused at once.

        Args:
            within_reserve: Whether to write also when the disk's reserve is touched: what makes room must.

        Raises:
            WriterLockedError: If another process holds it.
            ReadOnlyError: If this is a mirror.
            WorkspaceError: If the workspace lies on a network file system and that is not forced.
            StorageError: If the disk refuses.
        """
        self.require_writable()
        with self._turn, WriterLock(self.root / "LOCK") as lock:
            try:
                migrate(self.root, read_format(self.root), self.disk)
                reserve = 0 if within_reserve else self.reserve
                writer = Writer(self.root, self._verifier, self.disk, lock, reserve)
            except OSError as error:
                raise refused(error, self.root) from error
            writer.collect()
            yield writer
            writer.close()

    def require_writable(self) -> None:
        """Raise where nothing may be written.

        Raises:
            ReadOnlyError: If this is a mirror.
            WorkspaceError: If the workspace lies on a network file system and that is not forced.
        """
        if is_mirror(self.root):
            raise ReadOnlyError(
                "this is a mirror, which is only read.",
                where=self.name,
                fix="Write to the workspace that it mirrors, or make one of it with 'workbench restore'.",
            )
        if self._force_network:
            return
        kind = file_system(self.root.resolve(), Path("/proc/self/mountinfo").read_text("utf-8"))
        if kind in NETWORK:
            raise WorkspaceError(
                f"the workspace lies on a network file system ({kind}), whose locks and syncs may not hold.",
                where=str(self.root),
                fix="Move it to a local disk, or set force_network if one machine alone writes to it.",
            )
