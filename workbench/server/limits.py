"""How much a client may ask for: requests in a time, attempts to log in, sessions that are open."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Attempts", "Rate", "Sessions"]

_MOST_CLIENTS = 10_000


class Rate:
    """A token bucket a client.

    Args:
        burst: Requests at once.
        per_second: Requests that are added to it in a second.
        clock: Seconds that never go back.

    >>> now = [0.0]
    >>> rate = Rate(burst=1, per_second=0.5, clock=lambda: now[0])
    >>> rate.wait("a"), rate.wait("a"), rate.wait("b")
    (0.0, 2.0, 0.0)
    """

    def __init__(self, burst: int, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Take one request, or return the seconds after which it may come again."""
        now = self._clock()
        left, at = self._clients.pop(client, (float(self._burst), now))
        left = min(float(self._burst), left + (now - at) * self._per_second)
        allowed = left >= 1
        self._clients[client] = (left - 1 if allowed else left, now)
        if len(self._clients) > _MOST_CLIENTS:
            self._clients.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._per_second


class Attempts:
    """Failed attempts to log in: after some in a row each one doubles the time until the next.

    >>> now = [0.0]
    >>> attempts = Attempts(free=1, clock=lambda: now[0])
    >>> attempts.failed("a"); attempts.wait("a")
    0.0
    >>> attempts.failed("a"); attempts.failed("a"); attempts.wait("a")
    2.0
    """

    def __init__(
        self, free: int = 5, longest: float = 300.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._free = free
        self._longest = longest
        self._clock = clock
        self._clients: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Return the seconds until a client may try again; 0 if at once."""
        failures, at = self._clients.get(client, (0, 0.0))
        if failures <= self._free:
            return 0.0
        return max(0.0, at + min(self._longest, 2.0 ** (failures - self._free - 1)) - self._clock())

    def failed(self, client: str) -> None:
        """Count one more failure."""
        failures, _ = self._clients.pop(client, (0, 0.0))
        self._clients[client] = (failures + 1, self._clock())
        if len(self._clients) > _MOST_CLIENTS:
            self._clients.popitem(last=False)

    def succeeded(self, client: str) -> None:
        """Forget a client's failures."""
        self._clients.pop(client, None)


class Sessions:
    """Who is logged in, by a secret that only the browser keeps: here its hash stands.

    >>> sessions = Sessions(hours=1)
    >>> secret = sessions.open("anna")
    >>> sessions.user(secret), sessions.user("guess")
    ('anna', None)
    >>> sessions.close(secret); sessions.user(secret)
    """

    def __init__(self, hours: float = 12, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = int(hours * 3600)
        self._clock = clock
        self._users: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def open(self, user: str) -> str:
        """Return the secret of a new session."""
        secret = secrets.token_urlsafe(32)
        self._users[_digest(secret)] = (user, self._clock() + self.seconds)
        if len(self._users) > _MOST_CLIENTS:
            self._users.popitem(last=False)
        return secret

    def user(self, secret: str) -> str | None:
        """Return whose session it is; None if there is none, or no more."""
        user, ends = self._users.get(_digest(secret), ("", 0.0))
        if not user or self._clock() < ends:
            return user or None
        self.close(secret)
        return None

    def close(self, secret: str) -> None:
        """End a session."""
        self._users.pop(_digest(secret), None)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
