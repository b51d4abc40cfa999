"""One process, one port: the live catalog page, on the loopback interface alone."""

from __future__ import annotations

import ipaddress
import socket
from threading import Lock
from typing import TYPE_CHECKING, Any

from workbench.errors import DriverUnavailableError, UsageError
from workbench.logs import get_logger
from workbench.views import CatalogView

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.views.catalog import Live

__all__ = ["serve"]

# The colours of the browser's scheme, light or dark, through the names that Panel's widgets look up first.
_STYLE = """
:root {
  color-scheme: light dark;
  --design-background-color: Canvas;
  --design-background-text-color: CanvasText;
  --design-surface-color: Canvas;
  --design-surface-text-color: CanvasText;
}
html, body { background: Canvas; color: CanvasText }
body { margin: 16px 24px }
"""


def serve(
    world: Live,
    *,
    address: str = "127.0.0.1",
    port: int = 5006,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the catalog of a workspace until the process is told to stop (SIGINT or SIGTERM).

    Nothing asks for a login yet, so that only this machine may connect. The page and all that it draws
    with come from this server.

    Args:
        world: The workspace; its newest generation is shown.
        address: A loopback address (``127.0.0.1``, ``::1``, ``localhost``).
        port: The port; 0 for any that is free.
        ready: Called with the page's address once the server answers.

    Raises:
        UsageError: If ``address`` is not a loopback address, or the port is taken.
        DriverUnavailableError: If Panel is not installed.
    """
    host = _loopback(address)
    number = _listenable(host, port)
    origin = f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
    server = _start(world, host, number, [origin, f"localhost:{number}"])
    url = f"http://{origin}/"
    get_logger("server").info("serving", url=url)
    if ready is not None:
        server.io_loop.add_callback(ready, url)
    server.run_until_shutdown()


def _loopback(address: str) -> str:
    """Return the address to listen on; raises UsageError for one that others could reach."""
    if address == "localhost":
        return "127.0.0.1"
    try:
        if ipaddress.ip_address(address).is_loopback:
            return address
    except ValueError:
        pass
    raise UsageError(
        f"cannot serve on {address!r}: without a login only this machine may connect.",
        fix="Serve on 127.0.0.1 and reach it from elsewhere through an SSH tunnel.",
    )


def _listenable(host: str, port: int) -> int:
    """Return the port, or a free one for 0: browsers are told the origin before the server listens."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        # a port that a server has just left is free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(
                f"cannot listen on port {port}: {error.strerror}.", where=host, fix="Choose another, or 0."
            ) from error
        return int(probe.getsockname()[1])


def _start(world: Live, host: str, port: int, origins: list[str]) -> Any:
    try:
        import panel as pn  # noqa: PLC0415  (heavy, and for the server alone)
    except ModuleNotFoundError as error:
        raise DriverUnavailableError(
            "serving needs panel, which is not installed.", fix="Install the extra 'lab'."
        ) from error
    pn.extension(raw_css=[_STYLE])
    lock = Lock()
    start: Any = pn.serve
    return start(
        lambda: pn.panel(CatalogView(world, lock)),
        title="workbench catalog",
        address=host,
        port=port,
        websocket_origin=origins,
        show=False,
        start=False,
        verbose=False,
    )
