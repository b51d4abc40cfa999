"""A mirror, read as a workspace: files are fetched as they are asked for, checked, and kept for a while."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import CorruptFileError, DiskFullError, StorageError, WorkspaceError
from workbench.logs import get_logger
from workbench.storage.collect import FOLDERS as DATA
from workbench.storage.disk import LOCAL, refusal
from workbench.storage.files import Verifier, hash_file, make_directories, publish
from workbench.storage.format import FOLDERS
from workbench.storage.manifest import CURRENT, check_manifest, read_manifest
from workbench.storage.mirror import configuration, read_head
from workbench.storage.places import place_at
from workbench.storage.snapshot import Snapshot
from workbench.storage.store import SegmentStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.settings import Settings
    from workbench.storage.disk import Disk
    from workbench.storage.manifest import Manifest
    from workbench.storage.mirror import Head
    from workbench.storage.places import Place, Stored

__all__ = ["MirroredStore", "open_mirror"]

# What was asked for within this time is about to be opened by somebody, or open.
_IN_USE_SECONDS = 600.0
_TRIES = 2


def open_mirror(address: str, settings: Settings) -> MirroredStore:
    """Open a mirror in S3; what is fetched of it is kept where the settings say.

    Raises:
        UsageError: If it is no address.
        DriverUnavailableError: If the library that speaks to S3 is not installed.
        WorkspaceError: If there is no mirror.
        RemoteError: If nobody answers there.
    """
    cache = settings.mirror_cache or Path(
        os.environ.get("XDG_CACHE_HOME") or "~/.cache", "workbench", "mirrors"
    )
    place = place_at(address, settings)
    folder = Path(cache).expanduser().absolute()
    return MirroredStore(place, folder, settings.mirror_cache_mb << 20, reserve=settings.reserve_bytes)


class MirroredStore(SegmentStore):
    """A mirror's files; the directory that they are fetched into is laid out as a workspace.

    Args:
        place: Where the mirror is.
        cache: Where directories of mirrors lie, each its own.
        limit: Bytes of fetched files that stay, but for those that were used in the last minutes.
        disk: What writes.
        reserve: Bytes of the disk that are left free; by default a twentieth, at most 1 GB.

    Raises:
        WorkspaceError: If there is no mirror, or one that this version cannot read.
        RemoteError: If the place does not answer.
        StorageError: If nothing can be kept in ``cache``.
    """

    def __init__(
        self, place: Place, cache: Path, limit: int, *, disk: Disk = LOCAL, reserve: int | None = None
    ) -> None:
        self._place = place
        head = _require_head(place)
        identity = hashlib.sha256(f"{place.name}\n{head.workspace}".encode()).hexdigest()[:16]
        # the last name is shown as the workspace's
        root = cache / identity / place.name.rpartition("/")[2]
        try:
            cache.mkdir(0o700, parents=True, exist_ok=True)
            for folder in FOLDERS:
                make_directories(root / folder, disk)
            _lay_out(root, head, disk)
        except OSError as error:
            raise StorageError(
                f"what is fetched cannot be kept: {error.strerror}.",
                where=str(root),
                fix="Name another directory by the setting mirror_cache.",
            ) from error
        super().__init__(root, disk=disk, reserve=reserve)
        self._fetcher = self._verifier = Fetcher(root, place, limit, disk, lambda: self.reserve)

    @property
    def name(self) -> str:
        """Return where the mirror is."""
        return self._place.name

    def snapshot(self) -> Snapshot:
        """Return the newest generation in the mirror."""
        head = _require_head(self._place)
        if head.workspace != self.id:
            raise WorkspaceError(
                "the mirror of another workspace lies there by now.", where=self.name, fix="Open it again."
            )
        self._fetcher.listed = None
        with self._turn:
            manifest = self._manifest(head)
        return Snapshot(self.root, manifest, self._verifier)

    def _manifest(self, head: Head) -> Manifest:
        """Return the manifest that a head names, fetched if it is not here yet."""
        name, expected = head.pointer
        path = self.root / "manifests" / name
        try:
            manifest = read_manifest(path, expected)
            os.utime(path)
        except CorruptFileError:
            where = f"{self.name}/manifests/{name}"
            data = self._place.read(f"manifests/{name}")
            if data is None:
                raise CorruptFileError("the mirror has lost its manifest.", where=where, fix=_FIX) from None
            manifest = check_manifest(data, expected, where)
            publish(path, data, self.root / "tmp", self.disk)
        publish(self.root / CURRENT, head.encode(), self.root / "tmp", self.disk)
        return manifest


def _require_head(place: Place) -> Head:
    found = read_head(place)
    if found is None:
        raise WorkspaceError(
            "there is no mirror.",
            where=place.name,
            fix="Make one with 'workbench mirror', or correct the name.",
        )
    return found[0]


def _lay_out(root: Path, head: Head, disk: Disk) -> None:
    """Bring a workspace's own files to what they were when the mirror was made."""
    here = configuration(root)
    for name, text in head.files.items():
        if here.pop(name, None) != text:
            make_directories((root / name).parent, disk)
            publish(root / name, text.encode("utf-8", "surrogateescape"), root / "tmp", disk)
    for name in here:
        disk.unlink(root / name)


_FIX = "Run 'workbench mirror --full' where the workspace is: it copies again what is missing or damaged."


class Fetcher(Verifier):
    """Checks files that lie in a mirror, after fetching those that are not here or damaged here.

    Args:
        root: Where they are kept.
        place: Where they come from.
        limit: Bytes that stay.
        disk: What tells how much is free.
        reserve: Gives the bytes of the disk that are left free.
    """

    lazy = True

    def __init__(self, root: Path, place: Place, limit: int, disk: Disk, reserve: Callable[[], int]) -> None:
        super().__init__()
        self._root = root
        self._place = place
        self._limit = limit
        self._disk = disk
        self._reserve = reserve
        self._lock = threading.Lock()
        self.listed: dict[str, Stored] | None = None
        self._left = 0

    def size(self, root: Path, name: str) -> int | None:
        """Return the length of a file in the mirror, or None where it is missing; listed once a snapshot."""
        del root
        if self.listed is None:
            self.listed = self._place.list()
        found = self.listed.get(name)
        return None if found is None else found.bytes

    def prepare(self, files: Sequence[tuple[Path, str, int]]) -> None:
        """Fetch those that are not here, several at a time."""
        missing = [file for file in files if not file[0].exists()]
        with ThreadPoolExecutor(self._place.parallel) as pool:
            for _ in pool.map(lambda file: self.check(*file), missing):
                pass

    def check(self, path: Path, expected: str, size: int, *, full: bool = False) -> None:
        """Raise if the mirror's file is not the one that was published; afterwards it is here.

        Args:
            path: Where it is, or will be.
            expected: Its xxh3-128 in hex.
            size: Its length in bytes.
            full: Fetch it even if it is here.

        Raises:
            CorruptFileError: If the mirror does not have it, or its bytes differ.
            RemoteError: If the mirror does not answer.
            DiskFullError: If the disk's reserve would be touched.
        """
        if not full:
            try:
                super().check(path, expected, size)
                # the kernel does not count every read
                os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
            except (CorruptFileError, FileNotFoundError):
                pass  # not here yet or no longer, or damaged here
            else:
                return
        self._fetch(path, expected, size)
        super().check(path, expected, size)

    def _fetch(self, path: Path, expected: str, size: int) -> None:
        name = path.relative_to(self._root).as_posix()
        where = f"{self._place.name}/{name}"
        aside = self._root / "tmp" / f"{path.name}.{secrets.token_hex(4)}"
        self._make_room(size)
        try:
            for _ in range(_TRIES):
                with aside.open("wb") as sink:
                    if not self._place.get(name, sink):
                        raise CorruptFileError("the mirror has lost this file.", where=where, fix=_FIX)
                if hash_file(aside) == expected:
                    break
            else:
                raise CorruptFileError(
                    "the mirror's bytes are not those that were published.", where=where, fix=_FIX
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.replace(path)
        except OSError as error:
            raise refusal(error)(
                f"what is fetched cannot be kept: {error.strerror}.", where=str(path)
            ) from error
        finally:
            aside.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        """Delete what was not used for longest, so that ``size`` more bytes are within the limit.

        Raises:
            DiskFullError: If the disk's reserve would be touched.
        """
        with self._lock:
            self._left -= size
            if self._left < 0:
                self._left = self._limit - self._sweep(self._limit - size) - size
        free, reserve = self._disk.space(self._root).free, self._reserve()
        if free - size < reserve:
            raise DiskFullError(
                f"{free >> 20:,} MB of the disk are free, {reserve >> 20:,} MB of them are a reserve.",
                where=str(self._root),
                fix="Make room, or name a directory on another disk by the setting mirror_cache.",
            )

    def _sweep(self, limit: int) -> int:
        """Delete files until the others have at most ``limit`` bytes or are in use, and return their size."""
        files = []
        for path in (p for folder in (*DATA, "manifests") for p in (self._root / folder).rglob("*")):
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue  # another process was faster
            if path.is_file():
                files.append((facts.st_atime, facts.st_size, path))
        total = sum(size for _, size, _ in files)
        horizon = time.time() - _IN_USE_SECONDS
        for used, size, path in sorted(files):
            if total > limit and used <= horizon:
                path.unlink(missing_ok=True)
                total -= size
        get_logger("storage").info("swept", root=str(self._root), bytes=total, limit=limit)
        return total
