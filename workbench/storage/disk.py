"""The operations by which the store changes a file system, in one place, so that tests can break each."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING, NamedTuple

from workbench.errors import DiskFullError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LOCAL", "NETWORK", "Disk", "Space", "file_system", "refusal"]

# Kinds of mounts whose locks, renames or syncs may not be what those of a local file system are.
NETWORK = frozenset(
    {
        *("afs", "beegfs", "ceph", "cifs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4"),
        *("smb2", "smb3", "smbfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    }
)


class Space(NamedTuple):
    """Bytes of a file system: all of them, and those that may still be written."""

    total: int
    free: int


class Disk:
    """A file system as the store changes it.

    Each method is one operation of the kernel and raises its :class:`OSError`. Nothing that the store
    must find again after a loss of power is written in any other way: ``LOCK`` and the leases in
    ``readers/`` mean something only while their processes live.
    """

    def create(self, path: Path) -> int:
        """Make a new, empty file and return its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write at most all of ``data`` at the file's position and return how many bytes it were."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Make a file's bytes survive a loss of power; its name is its directory's."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a file."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, in the place of what had it."""
        os.replace(source, target)  # noqa: PTH105  (one call of the kernel)

    def unlink(self, path: Path) -> None:
        """Remove a file's name."""
        os.unlink(path)  # noqa: PTH108  (one call of the kernel)

    def make_directory(self, path: Path) -> None:
        """Make a directory."""
        os.mkdir(path)  # noqa: PTH102  (one call of the kernel)

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory survive a loss of power."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def space(self, path: Path) -> Space:
        """Return how much the file system that holds ``path`` can hold, and still can."""
        found = shutil.disk_usage(path)
        return Space(found.total, found.free)


def refusal(error: OSError) -> type[StorageError]:
    """Return the kind of error to raise where the disk refused an operation.

    >>> refusal(OSError(errno.ENOSPC, "")).__name__, refusal(OSError(errno.EIO, "")).__name__
    ('DiskFullError', 'StorageError')
    """
    return DiskFullError if error.errno in {errno.ENOSPC, errno.EDQUOT} else StorageError


# It has no state: one for everybody.
LOCAL = Disk()


def file_system(path: Path, mounts: str) -> str:
    """Return the kind of the file system that holds ``path``.

    Args:
        path: Any path.
        mounts: The text of ``/proc/self/mountinfo``.

    >>> from pathlib import Path
    >>> mounts = '''22 1 8:1 / / rw - ext4 /dev/sda1 rw
    ... 40 22 0:50 / /srv/shared rw shared:7 - nfs4 server:/ rw'''
    >>> file_system(Path("/srv/shared/w"), mounts), file_system(Path("/srv/w"), mounts)
    ('nfs4', 'ext4')
    """
    where, found = "", ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4].replace("\\040", " ")
        # the later of two mounts at one place covers the earlier
        if path.is_relative_to(point) and len(point) >= len(where):
            where, found = point, after.split()[0]
    return found
