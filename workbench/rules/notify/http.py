"""One POST to an address that was checked: no redirect, no proxy, no longer than it may take."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any, Protocol

from workbench.errors import NotificationFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workbench.rules.notify.guard import Target

__all__ = ["deadline", "post"]

_REPLY = 2_000
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


def post(target: Target, body: bytes, headers: Mapping[str, str], timeout: float) -> str:
    """Send a body and return the status, such as ``200 OK``.

    Raises:
        NotificationFailedError: If nobody answers in time, or not with success; it says whether it makes
            sense to try again. What the other side wrote is not repeated.
    """
    connection = _connection(target, timeout)
    try:
        with deadline(connection, timeout):
            connection.request("POST", target.path, body, {"User-Agent": "workbench", **headers})
            reply = connection.getresponse()
            reply.read(_REPLY)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise NotificationFailedError(f"{target.host}:{target.port}: {reason}.", again=True) from error
    finally:
        connection.close()
    status = f"{reply.status} {http.client.responses.get(reply.status, '')}".strip()
    if 200 <= reply.status < 300:
        return status
    said = f"it answered {status}"
    if 300 <= reply.status < 400:
        said += ", and redirects are not followed"
    after = reply.headers.get("Retry-After", "")
    raise NotificationFailedError(
        f"{target.host}:{target.port}: {said}.",
        again=reply.status in _AGAIN,
        after=float(after) if after.isdecimal() else 0.0,
    )


class Connected(Protocol):
    """What has a socket while it is connected."""

    sock: Any


class _Plain(http.client.HTTPConnection):
    """A connection to a numeric address, under the name that was asked for."""

    address = ""

    def connect(self) -> None:
        """Connect to the address that was checked, and to no other."""
        self.sock = socket.create_connection((self.address, self.port), self.timeout)


class _Encrypted(http.client.HTTPSConnection):
    """The same with TLS: the certificate has to be that of the name."""

    address = ""

    def connect(self) -> None:
        """Connect to the address that was checked, and to no other."""
        plain = socket.create_connection((self.address, self.port), self.timeout)
        self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)


def _connection(target: Target, timeout: float) -> http.client.HTTPConnection:
    kind = _Encrypted if target.scheme == "https" else _Plain
    connection = kind(target.host, target.port, timeout=timeout)
    connection.address = target.address
    return connection


@contextlib.contextmanager
def deadline(connection: Connected, seconds: float) -> Iterator[None]:
    """End a connection after a time, however slowly the other side goes on."""

    def end() -> None:
        if connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
