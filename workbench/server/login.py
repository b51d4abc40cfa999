"""The login page, and what it takes to come in and to leave."""

from __future__ import annotations

import asyncio
import math
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from workbench.server.gate import client_of, cookie_name, session_secret

if TYPE_CHECKING:
    from workbench.server.access import Access
    from workbench.server.limits import Attempts, Sessions

__all__ = ["login_routes"]

# Each check takes 32 MB; the others wait.
_CHECKS_AT_ONCE = 2

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>workbench · log in</title>
<style>
:root {{ color-scheme: light dark; font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; background: Canvas;
  color: CanvasText }}
form {{ width: min(320px, 84vw); display: grid; gap: 12px; padding: 28px; border-radius: 10px;
  border: 1px solid color-mix(in srgb, CanvasText 18%, transparent) }}
h1 {{ font-size: 18px; margin: 0 0 4px }}
label {{ display: grid; gap: 4px; font-size: 13px }}
input, button {{ font: inherit; padding: 8px 10px; border-radius: 6px;
  border: 1px solid color-mix(in srgb, CanvasText 30%, transparent) }}
button {{ background: #2a62ad; color: #fff; border: 0; cursor: pointer; margin-top: 6px }}
input:focus-visible, button:focus-visible {{ outline: 2px solid #3574c4; outline-offset: 2px }}
p {{ margin: 0; color: #c8413b; font-size: 13px }}
</style></head>
<body><form method="post" action="login?next={next}">
<h1>workbench</h1>{problem}
<label>Name <input name="name" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button>
</form></body></html>
"""


def login_routes(access: Access, sessions: Sessions, attempts: Attempts) -> APIRouter:
    """Return ``GET`` and ``POST /login`` and ``POST /logout``.

    A session is a cookie that scripts cannot read and that other sites' requests do not carry. Attempts are
    limited for each client, and take as long for a name that does not exist.
    """
    router = APIRouter(include_in_schema=False)
    checks = asyncio.Semaphore(_CHECKS_AT_ONCE)

    @router.get("/login")
    async def page(request: Request) -> Response:
        if not access.login or sessions.user(session_secret(request.headers.get("cookie", ""), access)):
            return RedirectResponse(_target(request), 303)
        return HTMLResponse(_page(request))

    @router.post("/login")
    async def login(request: Request) -> Response:
        client = client_of(request.scope, access)
        if wait := attempts.wait(client):
            seconds = math.ceil(wait)
            text = f"Too many attempts. Try again in {seconds} s."
            return HTMLResponse(_page(request, text), 429, {"retry-after": str(seconds)})
        form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
        name, password = (form.get(field, [""])[0] for field in ("name", "password"))
        # counted before the check, so that many at once cannot slip past the limit
        attempts.failed(client)
        async with checks:
            known = access.passwords is not None and await asyncio.to_thread(
                access.passwords.match, name, password
            )
        if not known:
            return HTMLResponse(_page(request, "The name or the password is wrong."), 401)
        attempts.succeeded(client)
        answer = RedirectResponse(_target(request), 303)
        answer.set_cookie(
            cookie_name(access),
            sessions.open(name),
            max_age=sessions.seconds,
            secure=access.secure,
            httponly=True,
            samesite="lax",
        )
        return answer

    @router.post("/logout")
    async def logout(request: Request) -> Response:
        sessions.close(session_secret(request.headers.get("cookie", ""), access))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(cookie_name(access), secure=access.secure, httponly=True, samesite="lax")
        return answer

    return router


def _target(request: Request) -> str:
    """Return the page that was asked for: one of this server, whatever the link says."""
    wanted = request.query_params.get("next", "/")
    inside = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if inside else "/"


def _page(request: Request, problem: str = "") -> str:
    shown = f'<p role="alert">{escape(problem)}</p>' if problem else ""
    return _PAGE.format(next=escape(quote(_target(request), safe="")), problem=shown)
