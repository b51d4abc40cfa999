"""Places: where copies of a workspace's files lie, as far as a mirror needs to know."""

from __future__ import annotations

import fcntl
import io
import mmap
import re
import secrets
import shutil
import stat
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from urllib.parse import unquote, urlsplit

from workbench.errors import RemoteError, UsageError
from workbench.storage.disk import LOCAL
from workbench.storage.files import hash_bytes, hash_file, make_directories, publish, stage, sync_directories

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.settings import Settings
    from workbench.storage.disk import Disk

__all__ = ["HEAD", "Directory", "Place", "Stored", "place_at", "s3_url"]

HEAD = "CURRENT"


class Stored(NamedTuple):
    """A file of a place: its length and its age in seconds."""

    bytes: int
    age: float


class Place(ABC):
    """Files by path, each whole or absent, and one of them, the *head*, replaced only by who has seen it.

    Every method raises :class:`~workbench.errors.RemoteError` where the place gives no answer.

    Attributes:
        name: What people call it; it holds no key.
        parallel: How many files may be on their way at once.
    """

    name: str
    parallel = 1

    @abstractmethod
    def list(self) -> dict[str, Stored]:
        """Return all files."""

    @abstractmethod
    def get(self, path: str, sink: BinaryIO) -> bool:
        """Write a file's bytes to an empty file, all of them, or return False where there is no such file."""

    @abstractmethod
    def put(self, path: str, source: Path | bytes) -> None:
        """Write a file, in the place of what was there; its bytes arrived as they were sent."""

    @abstractmethod
    def settle(self, paths: Iterable[str]) -> None:
        """Return once files that were put survive a loss of power."""

    @abstractmethod
    def head(self) -> tuple[bytes, str] | None:
        """Return the head and its version, or None where there is none."""

    @abstractmethod
    def swap(self, data: bytes, version: str | None) -> bool:
        """Replace the head, or make it (None), if it still has that version; return whether it did."""

    @abstractmethod
    def delete(self, paths: Iterable[str]) -> None:
        """Delete files."""

    def read(self, path: str) -> bytes | None:
        """Return a small file's bytes, or None where there is no such file."""
        sink = io.BytesIO()
        return sink.getvalue() if self.get(path, sink) else None


class Directory(Place):
    """A directory, on any file system that can rename: what is in it is found there by its path.

    Args:
        root: Where; made when the first file is put.
        disk: What writes.
    """

    def __init__(self, root: Path, disk: Disk = LOCAL) -> None:
        self.root = root
        self.name = str(root)
        self._disk = disk

    def list(self) -> dict[str, Stored]:
        """Return all files, also those that were on their way as their process died."""
        now, found = time.time(), {}
        try:
            for path in self.root.rglob("*"):
                facts = path.lstat()
                if stat.S_ISREG(facts.st_mode):
                    found[path.relative_to(self.root).as_posix()] = Stored(
                        facts.st_size, now - facts.st_mtime
                    )
        except OSError as error:
            raise self._refused(error) from error
        return found

    def get(self, path: str, sink: BinaryIO) -> bool:
        """Copy a file."""
        try:
            with (self.root / path).open("rb") as file:
                shutil.copyfileobj(file, sink, 1 << 20)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._refused(error) from error
        return True

    def put(self, path: str, source: Path | bytes) -> None:
        """Write a file aside, read it back, and rename it."""
        target = self.root / path
        aside = self.root / "tmp" / f"{target.name}.{secrets.token_hex(4)}"
        try:
            for folder in (aside.parent, target.parent):
                make_directories(folder, self._disk)
            expected = _stage(aside, source, self._disk)
            if hash_file(aside) != expected:
                raise RemoteError("what was written reads back otherwise.", where=str(target))
            self._disk.rename(aside, target)
        except OSError as error:
            raise self._refused(error) from error

    def settle(self, paths: Iterable[str]) -> None:
        """Sync the directories of files, also of those that a killed process put."""
        parents = {(self.root / path).parent for path in paths}
        folders = {p for f in parents for p in (f, *f.parents) if p.is_relative_to(self.root)}
        try:
            sync_directories(sorted(folders, reverse=True), self._disk)
        except OSError as error:
            raise self._refused(error) from error

    def head(self) -> tuple[bytes, str] | None:
        """Return the head; its version is its hash."""
        data = self.read(HEAD)
        return None if data is None else (data, hash_bytes(data))

    def swap(self, data: bytes, version: str | None) -> bool:
        """Replace the head under a lock of the kernel."""
        try:
            make_directories(self.root / "tmp", self._disk)
            with (self.root / "LOCK").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                found = self.head()
                if (found[1] if found else None) != version:
                    return False
                publish(self.root / HEAD, data, self.root / "tmp", self._disk)
        except OSError as error:
            raise self._refused(error) from error
        return True

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files."""
        try:
            for path in paths:
                self._disk.unlink(self.root / path)
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> RemoteError:
        return RemoteError(
            f"the file system refuses: {error.strerror}.",
            where=str(error.filename or self.root),
            fix="Mend the cause and run it again: only what is missing is copied.",
        )


def _stage(aside: Path, source: Path | bytes, disk: Disk) -> str:
    """Write a file aside and return the hash of what was to be written."""
    if isinstance(source, bytes) or not source.stat().st_size:
        data = source if isinstance(source, bytes) else b""
        stage(aside, data, disk)
        return hash_bytes(data)
    with source.open("rb") as file:
        # not closed here: of a write that fails, a part of it is still in somebody's hands
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    stage(aside, view, disk)
    return hash_bytes(view)


def s3_url(source: object) -> str | None:
    """Return the address in S3 that is meant, or None.

    A path that was made of an address has lost a slash.

    >>> s3_url(Path("s3://bucket/shop")), s3_url("shop")
    ('s3://bucket/shop', None)
    """
    found = re.match(r"s3:/{1,2}(?!/)", str(source))
    return f"s3://{str(source)[found.end() :]}" if found else None


def place_at(address: str | Path, settings: Settings, disk: Disk = LOCAL) -> Place:
    """Return the place of an address: ``s3://bucket/prefix``, ``file:///…`` or a directory.

    Args:
        address: Where.
        settings: How S3 is reached.
        disk: What writes to a directory.

    Raises:
        UsageError: If it is no such address.
        DriverUnavailableError: If the library that speaks to S3 is not installed.
    """
    url = s3_url(address)
    if url is not None:
        from workbench.storage.s3 import S3  # noqa: PLC0415  (loaded where it is used)

        return S3.at(url, settings)
    scheme = re.match(r"(\w[\w+.-]+)://", str(address))
    if scheme is None:
        return Directory(Path(address).expanduser().absolute(), disk)
    parts = urlsplit(str(address))
    if scheme[1] != "file" or parts.netloc not in {"", "localhost"}:
        raise UsageError(
            f"there is no mirror at an address that begins with {scheme[1] + '://'!r}.",
            fix="Write s3://bucket/prefix, file:///directory or a directory.",
        )
    return Directory(Path(unquote(parts.path)), disk)
