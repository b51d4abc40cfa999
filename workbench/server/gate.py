"""The gate: every request and every WebSocket passes here first, and what is not open to all is closed."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.exceptions import HTTPException

from workbench.server.limits import Attempts, Rate, Sessions
from workbench.server.visitor import Role, Visitor, visiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from workbench.server.access import Access

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Message, Receive, Send], Awaitable[None]]

__all__ = [
    "CHOSEN_COOKIE",
    "PREFERRED_COOKIE",
    "TOKEN_USER",
    "Gate",
    "client_of",
    "cookie_name",
    "session_secret",
]

TOKEN_USER = "token"  # noqa: S105  (how a program is called that sent the token)

CHOSEN_COOKIE = "workbench-scheme"
"""The colours that somebody chose with the page's switch."""
PREFERRED_COOKIE = "workbench-prefers"
"""The colours that his machine prefers, as the page's script found out."""

_SCHEMES = ("light", "dark")
_HEALTH = "/healthz"
_LOGIN = "/login"
_SAFE = {"GET", "HEAD", "OPTIONS"}
_LARGEST_BODY = 1 << 20
_INGEST = "/api/ingest/"
_LARGEST_INGEST = 16 << 20
_REFUSED_SOCKET = 1008

# Bokeh makes functions from templates and writes its page with inline scripts and styles; browser modules of
# widgets are imported from blobs. Nothing of another origin is ever let in.
_CONTENT = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' blob: data:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _CONTENT.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


@dataclass(frozen=True)
class _Refusal:
    """Why a request goes no further."""

    status: int
    message: str
    fix: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass
class Gate:
    """ASGI middleware before everything that the server answers.

    In this order: the host is one of ours; what comes from a browser comes from a page of ours; the client is
    not too fast; the body is not too large; and somebody is known to have logged in, by cookie or by token.
    Without a login all this holds but the last.

    Attributes:
        app: What answers.
        access: The rules.
        sessions: Who is logged in.
        attempts: Failed attempts, of logins and of tokens.
        rate: Requests of each client; static files are not counted.
    """

    app: App
    access: Access
    sessions: Sessions
    attempts: Attempts
    rate: Rate = field(default_factory=lambda: Rate(burst=300, per_second=20))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            await self._request(scope, receive, send)

    async def _request(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = _Headers(scope)
        static = scope["path"].startswith("/static/")
        guarded = _guarded_send(send, secure=self.access.secure, private=not static)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(scope, headers, refusal, guarded)
            return
        with visiting(self._visitor(scope, headers)):
            await self.app(scope, _bounded(receive, _largest(scope["path"])), guarded)

    async def _socket(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = _Headers(scope)
        if self._refusal(scope, headers) is not None:
            await receive()
            await send({"type": "websocket.close", "code": _REFUSED_SOCKET})
            return
        with visiting(self._visitor(scope, headers)):
            await self.app(scope, self._while_known(scope, headers, receive), send)

    def _refusal(self, scope: Message, headers: _Headers) -> _Refusal | None:
        """Return why a request is refused, or None."""
        path = scope["path"]
        if path == _HEALTH:
            return None
        if headers["host"].lower() not in self.access.hosts:
            return _Refusal(421, "this server goes by another name.", "Use one of its own addresses.")
        origin = headers["origin"]
        unsafe = scope["type"] == "websocket" or scope["method"] not in _SAFE
        foreign = headers["sec-fetch-site"] not in ("", "same-origin", "none")
        if unsafe and (origin.lower() not in self.access.origins if origin else foreign):
            return _Refusal(403, "the request comes from a page of another origin.", "Begin at a page here.")
        client = client_of(scope, self.access)
        # events are held back by what the workspace can take, not by how often they come
        unlimited = path.startswith(("/static/", _INGEST))
        if not unlimited and (wait := self.rate.wait(client)):
            return _too_many("too many requests.", wait)
        length, largest = headers["content-length"], _largest(path)
        if length and (not length.isdecimal() or int(length) > largest):
            return _Refusal(413, _too_large(largest), "Send less.")
        return self._unknown(scope, headers, client)

    def _visitor(self, scope: Message, headers: _Headers) -> Visitor:
        """Return who makes a request that is let in."""
        name = scope.get("user", "")
        if name == TOKEN_USER:
            return Visitor(name, self.access.token_role)
        jar = _cookies(headers["cookie"])
        chosen, preferred = (jar.get(cookie, "") for cookie in (CHOSEN_COOKIE, PREFERRED_COOKIE))
        scheme = next((one for one in (chosen, preferred) if one in _SCHEMES), "")
        # whoever has not logged in yet sees the login alone
        role = self.access.role(name) if name or not self.access.login else Role.VIEWER
        return Visitor(name, role, scheme, chosen=chosen in _SCHEMES)

    def _unknown(self, scope: Message, headers: _Headers, client: str) -> _Refusal | None:
        """Return a refusal unless it is known who asks; he stands in ``scope["user"]`` then."""
        if not self.access.login or scope["path"] == _LOGIN:
            return None
        scheme, _, token = headers["authorization"].partition(" ")
        if scheme.lower() == "bearer":
            if wait := self.attempts.wait(client):
                return _too_many("too many wrong tokens.", wait)
            if self.access.has_token(token.strip()):
                self.attempts.succeeded(client)
                scope["user"] = TOKEN_USER
                return None
            self.attempts.failed(client)
        elif user := self.sessions.user(session_secret(headers["cookie"], self.access)):
            scope["user"] = user
            return None
        return _Refusal(401, "nobody is logged in.", f"Log in at {_LOGIN}, or send the token as 'Bearer'.")

    def _while_known(self, scope: Message, headers: _Headers, receive: Receive) -> Receive:
        """Return ``receive`` that ends a WebSocket with the session that it was opened in."""
        if not self.access.login or scope.get("user") == TOKEN_USER:
            return receive
        secret = session_secret(headers["cookie"], self.access)

        async def received() -> Message:
            message = await receive()
            if self.sessions.user(secret) is None:
                return {"type": "websocket.disconnect", "code": _REFUSED_SOCKET}
            return message

        return received


class _Headers:
    """A request's headers by lower-case name, empty where there is none; of several the last."""

    def __init__(self, scope: Message) -> None:
        self._values = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

    def __getitem__(self, name: str) -> str:
        return str(self._values.get(name, ""))


def client_of(scope: Message, access: Access) -> str:
    """Return the address that a request comes from; behind a proxy the last that the proxy names."""
    if access.behind_proxy and (forwarded := _Headers(scope)["x-forwarded-for"]):
        return forwarded.rpartition(",")[2].strip()
    client = scope.get("client")
    return str(client[0]) if client else ""


def cookie_name(access: Access) -> str:
    """Return the name of the session's cookie: browsers share cookies among the ports of a machine."""
    return f"{'__Host-' if access.secure else ''}workbench-{access.port}"


def session_secret(cookies: str, access: Access) -> str:
    """Return the secret in a ``Cookie`` header; empty if there is none."""
    return _cookies(cookies).get(cookie_name(access), "")


def _cookies(header: str) -> dict[str, str]:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(header)
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


def _too_many(message: str, wait: float) -> _Refusal:
    seconds = math.ceil(wait)
    return _Refusal(
        429, message, f"Try again in {seconds} s.", headers=((b"retry-after", str(seconds).encode()),)
    )


def _largest(path: str) -> int:
    return _LARGEST_INGEST if path.startswith(_INGEST) else _LARGEST_BODY


def _too_large(largest: int) -> str:
    return f"the body is larger than {largest:,} bytes."


def _bounded(receive: Receive, largest: int) -> Receive:
    """Return ``receive`` that breaks off a body which turns out too large: not every one says its length."""
    left = largest

    async def received() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, _too_large(largest))
        return message

    return received


def _guarded_send(send: Send, *, secure: bool, private: bool) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            extra = list(_HEADERS)
            if secure:
                extra.append((b"strict-transport-security", b"max-age=31536000"))
            if private:
                extra.append((b"cache-control", b"no-store"))
            message["headers"] = [*message["headers"], *(pair for pair in extra if pair[0] not in present)]
        await send(message)

    return sent


async def _answer(scope: Message, headers: _Headers, refusal: _Refusal, send: Send) -> None:
    """Send a refusal; a browser that is to see a page is sent to the login."""
    page = scope["method"] == "GET" and "text/html" in headers["accept"]
    extra = list(refusal.headers)
    if refusal.status == 401 and page:
        query = scope["query_string"].decode("latin-1")
        wanted = scope["path"] + (f"?{query}" if query else "")
        status, body = 303, b""
        extra.append((b"location", f"{_LOGIN}?next={quote(wanted, safe='')}".encode()))
    else:
        status = refusal.status
        error = {"type": "Refused", "message": refusal.message, "where": scope["path"], "fix": refusal.fix}
        body = json.dumps({"error": error}).encode()
        extra.append((b"content-type", b"application/json"))
        if status == 401:
            extra.append((b"www-authenticate", b'Bearer realm="workbench"'))
    extra.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": extra})
    await send({"type": "http.response.body", "body": body})
