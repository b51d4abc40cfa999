"""A browser that may not leave the machine, and pages to show it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from workbench.engine import Engine
from workbench.samples.flights import write_sources

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOCAL = re.compile(r"^(https?|wss?)://(localhost|127\.0\.0\.1|\[::1\])(:|/|$)|^(data|blob|file|about):")
WIDTHS = (1280, 1920)

Serve = Callable[[Callable[[], Any]], str]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or what Playwright has installed."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = str(CHROMIUM) if CHROMIUM.exists() else None
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


class Capture:
    """A browser context whose every request that leaves the machine is stopped and counted.

    Attributes:
        outside: The addresses of those requests.
        problems: What pages wrote to the console as errors, failed scripts and refused files.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.outside: list[str] = []
        self.problems: list[str] = []
        context.route("**/*", self._route)
        context.on("page", self._watch)

    def page(self) -> Page:
        return self.context.new_page()

    def _route(self, route: Route) -> None:
        url = route.request.url
        if LOCAL.match(url):
            route.continue_()
        else:
            self.outside.append(url)
            route.abort()

    def _watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        page.on(
            "console",
            lambda message: self.problems.append(message.text) if message.type == "error" else None,
        )
        page.on(
            "response",
            lambda answer: self.problems.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
        )


@pytest.fixture(params=["light"])
def capture(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Capture]:
    """A context of 1280 by 900 in the scheme of the parameter; the test fails if a request left the machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=request.param)
    context.set_default_timeout(30_000)
    captured = Capture(context)
    yield captured
    context.close()
    assert captured.outside == [], "requests left the machine"


@pytest.fixture(scope="session")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the first two weeks of February 2013 and what is computed from them."""
    root = tmp_path_factory.mktemp("browser")
    sources = write_sources(root / "sources")
    for path in sources.rglob("*.parquet"):
        if path.parent.name != "reference" and not "2013-02-01" <= path.stem <= "2013-02-14":
            path.unlink()
    with Engine.create(root / "workspace", schema="flights") as engine:
        engine.ingest(sources)
        for task in ("pagerank", "communities"):
            engine.compute(task)
    return root / "workspace"


@pytest.fixture
def engine(flights: Path) -> Iterator[Engine]:
    """The workspace, open; tests may add knowledge to it."""
    with Engine(flights) as engine:
        yield engine


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that serves what another one makes for each session, and gives the page's address."""
    import panel as pn

    servers = []

    def start(make: Callable[[], Any]) -> str:
        server = pn.serve(make, port=0, address="127.0.0.1", show=False, start=False, verbose=False)
        port = server.port
        thread = threading.Thread(target=_run, args=(server,), daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{port}/"

    yield start
    for server, thread in servers:
        server.io_loop.add_callback(server.io_loop.stop)
        thread.join(timeout=10)


def _run(server: Any) -> None:
    server.start()
    server.io_loop.start()
