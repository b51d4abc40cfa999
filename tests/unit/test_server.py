"""The served catalog page in a process of its own, and the view that it shows."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.request import urlopen

import polars as pl
import pytest

from workbench.engine import Engine
from workbench.errors import UsageError
from workbench.server import serve
from workbench.views import CatalogView

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("panel", reason="panel comes with the extra 'lab'")

PROGRAM = """
import sys
from workbench.engine import Engine
from workbench.server import serve
serve(Engine(sys.argv[1]), port=0, ready=lambda url: print(url, flush=True))
"""
SECONDS = 60


def clicks(page: str, hour: int = 10) -> pl.DataFrame:
    return pl.DataFrame({"time": [datetime(2025, 6, 12, hour, tzinfo=UTC)], "page": [page]})


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = Engine.create(tmp_path / "w")
    engine.ingest(clicks("<i>home</i>"), type="click")
    return engine


@pytest.fixture
def url(engine: Engine) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(engine.path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(SECONDS) == 0
        process.stdout.close()


def drawn(address: str, wanted: str) -> list[str]:
    """Return the markup of a session's page as soon as ``wanted`` is in it."""
    from bokeh.client import pull_session

    session = pull_session(url=address)
    try:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            session.pull()
            texts = [
                m.text
                for m in session.document.select({"type": object})
                if isinstance(getattr(m, "text", 0), str)
            ]
            if any(wanted in text for text in texts):
                return texts
            time.sleep(0.2)
    finally:
        session.close()
    raise AssertionError(f"{wanted!r} did not appear within {SECONDS} s")


def test_the_first_page_shows_the_catalog_and_follows_new_generations(url: str, engine: Engine) -> None:
    with urlopen(url, timeout=SECONDS) as answer:  # noqa: S310  (this machine's own server)
        page = answer.read().decode()
    assert answer.status == 200
    assert "<title>workbench catalog</title>" in page
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//[^"']*""", page) == []
    shown = "".join(drawn(url, "click"))
    assert "wb-catalog" in shown
    engine.ingest(clicks("help", 11), type="visit")
    drawn(url, "visit")


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1", "::", "example.org", ""])  # noqa: S104
def test_an_address_that_others_could_reach_is_refused(engine: Engine, address: str) -> None:
    with pytest.raises(UsageError, match="only this machine") as refusal:
        serve(engine, address=address)
    assert "127.0.0.1" in refusal.value.fix


def test_a_port_that_is_taken_is_named(engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=str(port)):
            serve(engine, port=port)


def test_the_view_shows_the_page_finds_names_and_has_a_table(engine: Engine) -> None:
    import panel as pn

    view = CatalogView(engine)
    _, hits, page = pn.panel(view)
    assert "<b>click</b>" in page.object
    assert not hits.visible
    asyncio.run(view._search("hoem"))
    assert hits.visible
    assert "&lt;i&gt;home&lt;/i&gt;" in hits.object
    asyncio.run(view._search("--"))
    assert "role='alert'" in hits.object
    assert pl.DataFrame(view.to_arrow()).select("type", "documents", "fields").rows() == [("click", 1, 1)]


def test_the_view_moves_to_the_newest_generation(engine: Engine) -> None:
    import panel as pn

    view = CatalogView(engine)
    _, _, page = pn.panel(view)
    Engine(engine.path).ingest(clicks("help", 11), type="visit")
    asyncio.run(view.follow())
    assert "<b>visit</b>" in page.object
