"""A directory for what a process needs while it lives; what a killed one left is removed by the next."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["Scratch"]

_PREFIX = "workbench-"
_LOCK = "lock"


class Scratch:
    """A directory among the system's temporary ones, gone with :meth:`remove`.

    A process that is killed cannot remove its own. So each is locked as long as its process lives, and a new
    one first removes those of this user that nobody holds.

    >>> scratch = Scratch()
    >>> scratch.path.is_dir()
    True
    >>> scratch.remove()
    >>> scratch.path.exists()
    False
    """

    def __init__(self) -> None:
        _remove_left(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        aside = self.path / f"{_LOCK}.new"
        self._lock = os.open(aside, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        aside.rename(self.path / _LOCK)  # held before another can see it

    def remove(self) -> None:
        """Remove it with all that is in it; a second time does nothing."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def _remove_left(folder: Path) -> None:
    for lock in folder.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError):  # gone meanwhile, held, or another user's
            if lock.stat().st_uid != os.getuid():
                continue
            descriptor = os.open(lock, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
            finally:
                os.close(descriptor)
