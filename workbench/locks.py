"""Locks: one that threads get in turn, and one that its holder can lend out while it waits."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FairLock", "LendableLock"]


class FairLock:
    """A reentrant lock that threads get in the order in which they came.

    A thread that gives an ordinary lock back and wants it again at once mostly has it before those that wait.

    >>> lock = FairLock()
    >>> with lock, lock:
    ...     pass
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: deque[tuple[threading.Lock, int]] = deque()
        self._owner = 0
        self._times = 0

    def __enter__(self) -> None:
        """Take the lock once all that came before have had it."""
        me = threading.get_ident()
        with self._mutex:
            if self._times and self._owner != me:
                gate = threading.Lock()
                gate.acquire()
                self._waiting.append((gate, me))
            else:
                self._owner = me
                self._times += 1
                return
        try:
            gate.acquire()
        except BaseException:
            self._leave(gate, me)
            raise

    def __exit__(self, *_: object) -> None:
        """Give one taking back; the last to the thread that has waited longest."""
        with self._mutex:
            self._times -= 1
            if not self._times and self._waiting:
                gate, self._owner = self._waiting.popleft()
                self._times = 1
                gate.release()

    def _leave(self, gate: threading.Lock, me: int) -> None:
        """Wait no longer, or pass on what was given while the wait was interrupted."""
        with self._mutex:
            waits = (gate, me) in self._waiting
            if waits:
                self._waiting.remove((gate, me))
        if not waits:
            self.__exit__()


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
        self._asking = 0
        self._counting = threading.Lock()

    @property
    def held(self) -> bool:
        """Return whether the calling thread holds it."""
        return self._times > 0

    @property
    def wanted(self) -> bool:
        """Return whether somebody waits for an answer, or another thread holds it just now."""
        return self._asking > 0 or self.taken

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Note that somebody waits for an answer, with the lock or without it."""
        with self._counting:
            self._asking += 1
        try:
            yield
        finally:
            with self._counting:
                self._asking -= 1

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
