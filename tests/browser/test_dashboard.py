"""The served dashboard behind its login: every view draws, one selection for all, links that lead back."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from workbench.engine import Engine
from workbench.server.dashboard import usable_views
from workbench.server.passwords import add_password

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

SECONDS = 60
NAME, PASSWORD = "anna", "correct horse"
ENTITY = "aircraft:N725MQ"


@pytest.fixture(scope="module")
def url(flights: Path) -> Iterator[str]:
    """The address of ``workbench serve`` with a password file, on a workspace where all is computed."""
    with Engine(flights) as engine:
        for task in ("clusters", "anomalies", "trends"):
            engine.compute(task)
    users = flights.with_name("users")
    add_password(users, NAME, PASSWORD)
    options = ["--port", "0", "--password-file", str(users)]
    command = [sys.executable, "-m", "workbench", "serve", str(flights), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ})
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        assert line.startswith("http"), line + process.stderr.read()
        yield line.split()[0].rstrip("/")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
        process.stderr.close()


def log_in(page: Page, address: str) -> None:
    page.goto(address)
    assert "/login" in page.url
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def drawn(page: Page, name: str) -> None:
    """Wait until a view has read what it shows and drawn it; it must not say that something went wrong."""
    frame = page.locator(f".wb-frame.wb-{name}")
    frame.wait_for(state="visible", timeout=SECONDS * 1000)
    if name == "chat":
        frame.locator("input").first.fill("what data do you have")
        page.keyboard.press("Enter")
    frame.locator("canvas, svg, tbody tr, .tabulator-row").first.wait_for(timeout=SECONDS * 1000)
    frame.locator(".spin").first.wait_for(state="detached", timeout=SECONDS * 1000)
    assert frame.locator("[role=alert]").all_inner_texts() == []


def arguments(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_behind_the_login_every_view_draws_and_its_link_leads_back(url: str, capture) -> None:  # noqa: ANN001
    page = capture.page()
    log_in(page, f"{url}/?entity={ENTITY}")
    kinds, problems = usable_views()
    assert problems == []
    for name, kind in kinds.items():
        page.locator(".bk-tab", has_text=re.compile(f"^{kind.title}$")).click()
        drawn(page, name)
        page.wait_for_url(re.compile(f"view={name}"))
    again = capture.context.new_page()
    again.goto(page.url)
    drawn(again, list(kinds)[-1])
    # what the server refused or did not have, or the page's own rules forbade; scripts are the views' own
    assert capture.problems == []


def test_a_link_selects_and_clearing_shows_in_the_address(url: str, capture) -> None:  # noqa: ANN001
    page = capture.page()
    log_in(page, f"{url}/?view=graph&entity={ENTITY}")
    drawn(page, "graph")
    page.locator(".chip", has_text=ENTITY).wait_for()
    page.locator(".bk-tab", has_text="Clusters").click()
    page.wait_for_url(re.compile("view=clusters"))
    assert json.loads(arguments(page)["entities"][0]) == [ENTITY]
    page.get_by_role("button", name="Clear").click()
    page.wait_for_url(lambda address: "entities" not in address)
    page.locator(".chip", has_text=ENTITY).wait_for(state="detached")


def test_dark_stays_dark_from_view_to_view_and_in_the_next_window(url: str, capture) -> None:  # noqa: ANN001
    page = capture.page()
    log_in(page, f"{url}/?view=graph")
    drawn(page, "graph")
    light = ground(page)
    with page.expect_navigation():
        page.get_by_role("button", name="Dark").click()
    drawn(page, "graph")
    assert sum(ground(page)) < sum(light) / 2
    page.locator(".bk-tab", has_text="Clusters").click()
    page.wait_for_url(re.compile("view=clusters"))
    again = capture.page()
    again.goto(url)
    drawn(again, "catalog")
    assert sum(ground(again)) < sum(light) / 2


@pytest.mark.parametrize("capture", ["dark"], indirect=True)
def test_what_the_browser_prefers_is_followed_unless_the_address_says_otherwise(url: str, capture) -> None:  # noqa: ANN001
    page = capture.page()
    log_in(page, url)
    drawn(page, "catalog")
    page.wait_for_function("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0] < 80")
    page.goto(f"{url}/?theme=light")
    drawn(page, "catalog")
    assert sum(ground(page)) > 3 * 200


@pytest.mark.parametrize("name", ["trends", "clusters"])
def test_a_plot_with_a_legend_draws_in_the_dark(url: str, capture, name: str) -> None:  # noqa: ANN001
    page = capture.page()
    log_in(page, f"{url}/?view={name}&theme=dark")
    drawn(page, name)
    assert sum(ground(page)) < 3 * 80
    canvases = page.locator(f".wb-frame.wb-{name} canvas")
    colored = 0
    for _ in range(100):
        colored = max(canvas.evaluate(COLORED) for canvas in canvases.all())
        if colored > 500:
            break
        page.wait_for_timeout(100)
    assert colored > 500
    assert capture.problems == []


# How many pixels of a canvas are neither grey nor empty.
COLORED = """canvas => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [r, g, b, a] = data.slice(i, i + 4);
    if (a > 128 && Math.max(r, g, b) - Math.min(r, g, b) > 60) count += 1;
  }
  return count;
}"""


def ground(page: Page) -> list[int]:
    color: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return [int(part) for part in re.findall(r"\d+", color)[:3]]


def test_who_logs_out_is_out(url: str, capture) -> None:  # noqa: ANN001
    page = capture.page()
    log_in(page, f"{url}/views/graph")
    drawn(page, "graph")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(re.compile("/login"))
    page.goto(f"{url}/views/graph")
    assert "/login" in page.url


def test_a_view_that_does_not_exist_is_named(url: str, capture) -> None:  # noqa: ANN001
    page = capture.page()
    log_in(page, f"{url}/?view=<b>nothing</b>")
    alert = page.locator("[role=alert]").first
    alert.wait_for()
    assert "There is no view '<b>nothing</b>'" in alert.inner_text()


@pytest.mark.parametrize("address", ["view=graph&hops=x", "view=anomalies&threshold=abc"])
def test_a_link_with_a_wrong_value_says_so(url: str, capture, address: str) -> None:  # noqa: ANN001
    page = capture.page()
    log_in(page, f"{url}/?{address}")
    said = page.locator("[role=alert]").first
    said.wait_for()
    assert address.rpartition("&")[2].replace("=", " is '") in said.inner_text()


def test_a_table_of_many_columns_is_moved_sideways_not_squeezed(url: str, capture) -> None:  # noqa: ANN001
    page = capture.page()
    log_in(page, f"{url}/?view=chat&questions=%5B%22%40anomalies%22%5D")
    cell = page.locator(".wb-frame.wb-chat .scroll tbody td").first
    cell.wait_for()
    box = cell.bounding_box()
    assert box is not None
    assert box["height"] < 80  # once each cell was as narrow as a letter
