"""Panel in the application: its pages, their WebSockets, and the files that they are drawn with."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002  (FastAPI reads the annotations)
from fastapi.responses import JSONResponse

from workbench.server.dashboard import pages
from workbench.server.errors import refused

if TYPE_CHECKING:
    from fastapi import FastAPI, WebSocket

    from workbench.server.access import Access
    from workbench.server.world import World

__all__ = ["add_pages"]


def add_pages(app: FastAPI, world: World, access: Access) -> None:
    """Add the dashboard, the views' pages and what they need to an application."""
    # here, in one thread: Panel and a view's thread would import it at once, and one find the half of it
    import holoviews.plotting.bokeh  # noqa: F401, PLC0415
    import panel as pn  # noqa: PLC0415  (heavy, and for the server alone)
    from bokeh.core.validation import silence  # noqa: PLC0415
    from bokeh.core.validation.warnings import EMPTY_LAYOUT  # noqa: PLC0415
    from panel.io.fastapi import add_applications  # noqa: PLC0415
    from tornado.web import HTTPError  # noqa: PLC0415

    @app.exception_handler(HTTPError)
    async def wrong_path(request: Request, error: HTTPError) -> JSONResponse:
        """Answer as Panel's own server would: its handler of components raises the errors of that one."""
        return JSONResponse(refused(error.reason or "no such file.", request.url.path), error.status_code)

    silence(EMPTY_LAYOUT)  # a view that is not looked at yet has nothing in it
    pn.extension("tabulator")
    pn.config.session_history = 0
    _detach_when_closed()
    add_applications(
        dict(pages(world, login=access.login)),
        app=app,
        title=f"workbench · {world.path.name}",
        websocket_origin=list(access.hosts),
        # ids of sessions cannot be made up, nor handed to somebody in a link
        secret_key=secrets.token_bytes(32),
        sign_sessions=True,
        # a page carries these facts of its request, where scripts can read them: no secret may be among them
        include_headers=[],
        include_cookies=[],
    )


def _detach_when_closed() -> None:
    """Let a session end with its WebSocket.

    bokeh-fastapi 0.1.8 reads on after the end and breaks off with an error, without telling the session,
    which then stays in memory for ever.
    """
    from bokeh_fastapi.handler import WSHandler  # noqa: PLC0415  (panel.io.fastapi changes the same class)

    connect: Any = WSHandler.ws_connect
    if getattr(connect, "detaches", False):
        return

    async def ws_connect(self: Any, websocket: WebSocket) -> None:
        try:
            await connect(self, websocket)
        finally:
            if self.connection is not None:
                self.application.client_lost(self.connection)
                self.connection = None

    ws_connect.detaches = True  # type: ignore[attr-defined]
    WSHandler.ws_connect = ws_connect
