"""One process, one port: pages, REST and WebSockets behind one gate."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any

from workbench.errors import DriverUnavailableError
from workbench.logs import get_logger
from workbench.server.access import Access, resolve_access

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from workbench.server.gate import Gate
    from workbench.server.world import World

__all__ = ["application", "serve"]

_SHUTDOWN_SECONDS = 3
_LARGEST_MESSAGE = 4 << 20
_KEEP_ALIVE_SECONDS = 20
_AWAKE_SECONDS = 0.2


def serve(
    world: World,
    access: Access | None = None,
    *,
    ready: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Serve a workspace until the process is told to stop (SIGINT or SIGTERM).

    Pages and all that they draw with come from this server.

    Args:
        world: The workspace; its newest generation is shown.
        access: Who may come and how; by default this machine alone, without a login, on any free port.
        ready: Called with the first page's address once the server answers.
        stop: Once it is set, in any thread and be it before the server answers, the server ends, too.

    Raises:
        UsageError: If the port is taken.
        DriverUnavailableError: If what serving needs is not installed.
    """
    rules = access or resolve_access()
    try:
        import uvicorn  # noqa: PLC0415  (for the server alone)

        gate = application(world, rules)
    except ModuleNotFoundError as error:
        raise DriverUnavailableError(
            f"serving needs {error.name}, which is not installed.", fix="Install what workbench depends on."
        ) from error
    certificate, key = rules.certificate or (None, None)
    config = uvicorn.Config(
        gate,
        host=rules.host,
        port=rules.port,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="websockets-sansio",
        ws_max_size=_LARGEST_MESSAGE,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    server = uvicorn.Server(config)
    with _until_told(server):
        asyncio.run(_run(server, rules.url, ready, stop))


def application(world: World, access: Access) -> Gate:
    """Return the ASGI application: everything that is served, behind its gate."""
    from fastapi import FastAPI  # noqa: PLC0415  (for the server alone)

    from workbench.server.api import rest  # noqa: PLC0415
    from workbench.server.errors import answer_errors  # noqa: PLC0415
    from workbench.server.gate import Gate  # noqa: PLC0415
    from workbench.server.ingest import Intake  # noqa: PLC0415
    from workbench.server.limits import Attempts, Sessions  # noqa: PLC0415
    from workbench.server.login import login_routes  # noqa: PLC0415
    from workbench.server.panels import add_pages  # noqa: PLC0415

    sessions, attempts, intake = Sessions(), Attempts(), Intake(world)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=intake.lifespan)
    answer_errors(app)

    @app.get("/healthz")
    async def alive() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/favicon.ico", status_code=204)
    async def icon() -> None:
        """Answer browsers, which ask for it whatever the page says."""

    app.include_router(login_routes(access, sessions, attempts))
    app.mount("/api", rest(world, intake))
    add_pages(app, world, access)
    return Gate(app, access, sessions, attempts)


async def _run(
    server: Any, url: str, ready: Callable[[str], None] | None, stop: threading.Event | None
) -> None:
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():  # noqa: ASYNC110  (uvicorn has no event for it)
        await asyncio.sleep(0.02)
    if server.started:
        get_logger("server").info("serving", url=url)
        if ready is not None:
            ready(url)
    while stop is not None and not serving.done():
        server.should_exit = server.should_exit or stop.is_set()
        await asyncio.wait([serving], timeout=_AWAKE_SECONDS)
    await serving


@contextlib.contextmanager
def _until_told(server: Any) -> Iterator[None]:
    """Let the server end in order at SIGINT and SIGTERM, and the process then with success.

    Uvicorn raises the signal once more when it has ended; a service that was told to stop has not failed.
    """

    def stop(*_: object) -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    server.capture_signals = contextlib.nullcontext
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
