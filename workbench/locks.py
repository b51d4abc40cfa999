"""A lock that its holder can lend out while it waits for something else."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LendableLock"]


class LendableLock:
    """A reentrant lock; inside :meth:`lent` its holder does without it, however often it has taken it.

    >>> lock = LendableLock()
    >>> with lock, lock, lock.lent():
    ...     lock.held
    False
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = threading.local()

    @property
    def held(self) -> bool:
        """Return whether the calling thread holds it."""
        return self._times > 0

    @property
    def taken(self) -> bool:
        """Return whether another thread holds it just now."""
        free = self._lock.acquire(blocking=False)
        if free:
            self._lock.release()
        return not free

    @property
    def _times(self) -> int:
        return getattr(self._depth, "times", 0)

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock and return whether it was to be had in time."""
        taken = self._lock.acquire(blocking, timeout)
        if taken:
            self._depth.times = self._times + 1
        return taken

    def release(self) -> None:
        """Give back one taking; raises RuntimeError where the calling thread has none."""
        self._lock.release()
        self._depth.times = self._times - 1

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let others have the lock, and take it again, as often as it was taken, at the end."""
        times = self._times
        for _ in range(times):
            self.release()
        try:
            yield
        finally:
            for _ in range(times):
                self.acquire()

    def __enter__(self) -> bool:
        """Take the lock."""
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self.release()
