"""A browser that may not leave the machine, and pages to show it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from workbench.engine import Engine

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or what Playwright has installed; not longer, for Playwright's loop runs with it."""
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
            lambda answer: (
                self.problems.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
            ),
        )


@pytest.fixture(params=["light"])
def capture(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Capture]:
    """A context of 1280 by 900 in a light or dark scheme; the test fails if a request left the machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=request.param)
    context.set_default_timeout(30_000)
    captured = Capture(context)
    yield captured
    context.close()
    assert captured.outside == [], "requests left the machine"


@pytest.fixture(scope="session")
def flights(flights_between: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the first two weeks of February 2013 and what is computed from them."""
    root = tmp_path_factory.mktemp("browser") / "workspace"
    with Engine.create(root, schema="flights") as engine:
        engine.ingest(flights_between("2013-02-01", "2013-02-14"))
        for task in ("pagerank", "communities"):
            engine.compute(task)
    return root


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
        port = _free_port()
        # in a thread with a loop of its own: Playwright runs this thread's
        server = pn.serve(make, port=port, address="127.0.0.1", show=False, threaded=True, verbose=False)
        servers.append(server)
        url = f"http://127.0.0.1:{port}/"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return url
            time.sleep(0.1)
        raise AssertionError(f"{url} does not answer")

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab on this machine, without a login, in an empty directory."""
    root = tmp_path_factory.mktemp("lab")
    port = _free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--ServerApp.port={port}"]
    command += ["--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=", f"--ServerApp.root_dir={root}"]
    command += ["--ServerApp.allow_root=True"]
    # or it asks whether to fetch the project's news
    settings = root / ".config" / "labconfig" / "page_config.json"
    settings.parent.mkdir(parents=True)
    off = {"@jupyterlab/apputils-extension:announcements": True}
    settings.write_text(json.dumps({"disabledExtensions": off}), encoding="utf-8")
    own = {f"JUPYTER_{name}_DIR": str(root / f".{name.lower()}") for name in ("CONFIG", "RUNTIME")}
    with (root / "lab.log").open("w") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **own}, stdout=log, stderr=subprocess.STDOUT, cwd=root
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/api", process, root / "lab.log")
            yield Lab(root, f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(timeout=20)


class Lab:
    """A running JupyterLab.

    Attributes:
        root: The directory that it shows.
        url: Its address, without a slash at the end.
    """

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.url = url

    def open(self, page: Page, name: str, *cells: str) -> Cells:
        """Write a notebook of code cells, show it, and wait until its kernel is there."""
        notebook = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            "cells": [
                {
                    "id": f"cell-{number}",
                    "cell_type": "code",
                    "execution_count": None,
                    "metadata": {},
                    "outputs": [],
                    "source": source,
                }
                for number, source in enumerate(cells)
            ],
        }
        (self.root / name).write_text(json.dumps(notebook), encoding="utf-8")
        page.goto(f"{self.url}/lab/tree/{name}?reset")
        page.locator(".jp-NotebookPanel-notebook .jp-CodeCell").first.wait_for()
        page.get_by_text("| Idle").wait_for()
        return Cells(page)


class Cells:
    """The cells of the notebook on a page; outputs alone are looked at, never the source."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def run(self, number: int) -> Locator:
        """Run a cell to its end and return its output area."""
        cell = self._page.locator(".jp-Notebook .jp-CodeCell").nth(number)
        cell.scroll_into_view_if_needed()
        cell.locator(".jp-InputArea-editor").click()
        prompt = cell.locator(".jp-InputArea-prompt")
        before = prompt.inner_text()
        deadline = time.monotonic() + 60
        pressed = 0.0
        while time.monotonic() < deadline:
            text = prompt.inner_text()
            if text == before and time.monotonic() > pressed + 3:
                # a kernel that is still connecting loses what it is asked
                self._page.keyboard.press("Control+Enter")
                pressed = time.monotonic()
            if text != before and re.fullmatch(r"\[\d+\]:", text):
                return cell.locator(".jp-OutputArea")
            self._page.wait_for_timeout(100)
        pytest.fail(f"cell {number} did not end: {cell.inner_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310  (this machine's own server)
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')[-3000:]}")
