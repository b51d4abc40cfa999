"""Durable files: written aside, synced, renamed, and checked by hash before anybody opens them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import xxhash

from workbench.errors import CorruptFileError
from workbench.storage.disk import LOCAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from workbench.storage.disk import Disk

__all__ = ["Verifier", "hash_bytes", "hash_file", "make_directories", "publish", "stage", "sync_directories"]

_BLOCK = 1 << 20


def hash_bytes(data: bytes | memoryview) -> str:
    """Return the xxh3-128 of ``data`` in hex.

    >>> hash_bytes(b"")
    '99aa06d3014798d86001c324468d497f'
    """
    return xxhash.xxh3_128_hexdigest(data)


def hash_file(path: Path) -> str:
    """Return the xxh3-128 of a file's bytes in hex; reads it in blocks of 1 MB."""
    digest = xxhash.xxh3_128()
    block = memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as file:
        while read := file.readinto(block):
            digest.update(block[:read])
    return digest.hexdigest()


def stage(path: Path, data: bytes | memoryview, disk: Disk = LOCAL) -> None:
    """Write ``data`` to a new file and sync it, so that a rename can publish it."""
    descriptor = disk.create(path)
    try:
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[disk.write(descriptor, rest) :]
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)


def publish(path: Path, data: bytes, aside: Path, disk: Disk = LOCAL) -> None:
    """Replace ``path`` by ``data``, atomically and durably, by way of the directory ``aside``."""
    temporary = aside / f"{path.name}.{os.getpid()}"
    if temporary.exists():
        disk.unlink(temporary)
    stage(temporary, data, disk)
    disk.rename(temporary, path)
    disk.sync_directory(path.parent)


def sync_directories(paths: Iterable[Path], disk: Disk = LOCAL) -> None:
    """Sync directories, so that the renames in them survive a loss of power."""
    for path in paths:
        disk.sync_directory(path)


def make_directories(path: Path, disk: Disk = LOCAL) -> None:
    """Make a directory and those missing above it, whose names then survive a loss of power."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        disk.make_directory(directory)
        disk.sync_directory(directory.parent)


class Verifier:
    """Checks files against their recorded hash, each once as long as it is not touched.

    DuckDB, polars and native index readers do not notice a flipped bit, so no path is handed to
    them that has not been through here. What was checked is remembered by inode, size and time of
    change; what was found damaged is forgotten.
    """

    # Whether files come from elsewhere as they are checked.
    lazy = False

    def __init__(self) -> None:
        self._seen: set[tuple[int, int, int, int, str]] = set()

    def size(self, root: Path, name: str) -> int | None:
        """Return the length of a file where it lies, or None where it is missing."""
        try:
            return os.stat(f"{root}/{name}").st_size  # noqa: PTH116  (thousands of files in milliseconds)
        except FileNotFoundError:
            return None

    def prepare(self, files: Sequence[tuple[Path, str, int]]) -> None:
        """Take note that files, each with its hash and length, are about to be checked."""

    def check(self, path: Path, expected: str, size: int, *, full: bool = False) -> None:
        """Raise if the file at ``path`` is not the one that was published.

        Args:
            path: The file.
            expected: Its xxh3-128 in hex.
            size: Its length in bytes.
            full: Read the file even if it was checked before.

        Raises:
            CorruptFileError: If it is missing, cannot be read, or its bytes differ.
        """
        fix = "'workbench repair' says what can be done about it."
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise CorruptFileError("the file is missing.", where=str(path), fix=fix) from None
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            raise CorruptFileError(
                f"the file has {found.st_size} bytes, the manifest says {size}.", where=str(path), fix=fix
            )
        identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, expected)
        if identity in self._seen and not full:
            return
        self._seen.discard(identity)
        try:
            digest = hash_file(path)
        except OSError as error:
            raise CorruptFileError(f"cannot be read: {error.strerror}.", where=str(path), fix=fix) from error
        if digest != expected:
            raise CorruptFileError(
                "the file's bytes are not those that were published.", where=str(path), fix=fix
            )
        self._seen.add(identity)
