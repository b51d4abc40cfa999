"""How far ingest is behind: streamed events that wait longer than they should."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Overdue"]


class _Stream(Protocol):
    def status(self) -> dict[str, Any]: ...


class Overdue:
    """Counts the events that wait to be published although more than their time has passed.

    That events wait for the next checkpoint is no backlog: a stream of 1,000 a second has thousands of them.

    Args:
        streams: Returns the open streams.
        seconds: For how long an event may wait.
        clock: Seconds of a clock that only goes forward.
    """

    def __init__(
        self,
        streams: Callable[[], Iterable[_Stream]],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._streams = streams
        self._seconds = seconds
        self._clock = clock
        self._seen: deque[tuple[float, int, int]] = deque()

    def count(self) -> int:
        """Return how many events are overdue now; it knows from one call to the next."""
        now = self._clock()
        found = [stream.status() for stream in self._streams()]
        waiting = sum(status["waiting"] for status in found)
        published = sum(status["published"] for status in found)
        if self._seen and published < self._seen[-1][2]:
            self._seen.clear()  # another stream, which counts from the beginning
        self._seen.append((now, waiting, published))
        while len(self._seen) > 1 and self._seen[1][0] <= now - self._seconds:
            self._seen.popleft()
        then, before, done = self._seen[0]
        return max(0, before - (published - done)) if then <= now - self._seconds else 0
