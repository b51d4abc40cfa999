"""One writer: an advisory lock that the kernel gives back when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from workbench.errors import WriterLockedError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["WriterLock"]


class WriterLock:
    """An exclusive ``flock`` on the workspace's ``LOCK`` file, held as a context.

    The file's text names the holder for people; it decides nothing and is never judged by its age.

    Attributes:
        path: The file.
        epoch: One more than that of the holder before, as far as its note says.

    Raises:
        WriterLockedError: On entering, if another process or another writer here holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.epoch = 0
        self._descriptor = -1
        self._pid = 0

    def __enter__(self) -> Self:
        """Take the lock, at once or not at all."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 1000).decode("utf-8", "replace").strip() or "an unknown process"
            os.close(descriptor)
            raise WriterLockedError(
                f"another writer holds this workspace: {holder}.",
                where=str(self.path.parent),
                fix="Wait until it has finished or end that process; reading works meanwhile.",
            ) from None
        self._descriptor, self._pid = descriptor, os.getpid()
        self.claim(_epoch(os.read(descriptor, 1000)) + 1)
        return self

    def claim(self, epoch: int) -> None:
        """Note who holds the lock, in which epoch."""
        self.epoch = epoch
        note = {
            "pid": self._pid,
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat("T", "seconds"),
            "epoch": epoch,
        }
        # a full disk takes no note, and must not keep a writer from evicting
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(note).encode(), 0)

    def require_held(self) -> None:
        """Raise unless this process still holds the very file that others would lock.

        Raises:
            WriterLockedError: If the file was removed or replaced, or this process is a child of the holder.
        """
        held = os.fstat(self._descriptor)
        try:
            found = os.stat(self.path)  # noqa: PTH116  (compared with fstat)
        except FileNotFoundError:
            found = None
        if self._pid == os.getpid() and found is not None and os.path.samestat(held, found):
            return
        raise WriterLockedError(
            "this writer no longer holds the workspace's lock.",
            where=str(self.path),
            fix="Open the workspace again: the last generation is whole.",
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lock back."""
        os.close(self._descriptor)
        self._descriptor = -1


def _epoch(note: bytes) -> int:
    """Return the epoch that a holder noted, or 0 where there is none to be read."""
    try:
        found = json.loads(note)["epoch"]
    except (ValueError, TypeError, KeyError):
        return 0
    return found if isinstance(found, int) else 0
