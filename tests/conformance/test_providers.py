"""Every registered provider, against a local server of its API over the small real model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from llm_servers import Servers, SmallModel

from workbench.errors import ProviderModelError
from workbench.llm import Client, Endpoint, Link, Secret, providers
from workbench.testing.providers import SCHEMA, ProviderSuite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workbench.llm import Provider


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    servers = Servers(SmallModel())
    yield servers
    servers.close()


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> Provider:
    """Keep the local provider's model in memory: it would be loaded for each test."""
    local = providers.create("local")
    Client([Link("local", local, Endpoint())]).models()
    return local


class TestProviders(ProviderSuite):
    pass


def test_openai_speaks_to_llama_cpps_own_server(servers: Servers) -> None:
    link = Link("openai", providers.create("openai"), Endpoint("any", servers.direct, Secret("")))
    found = Client([link]).complete("Which colour is grass?", schema=SCHEMA, max_tokens=60)
    assert found.data["colour"] in {"red", "green", "blue"}
    assert found.usage.sent > 4


def local(model: str = "") -> Link:
    return Link("local", providers.create("local"), Endpoint(model))


def test_local_refuses_what_is_no_model(tmp_path: Path) -> None:
    text, torn = tmp_path / "notes.gguf", tmp_path / "torn.gguf"
    text.write_text("no model", encoding="utf-8")
    torn.write_bytes(b"GGUF" + bytes(64))
    for file, reason in (
        (tmp_path / "none.gguf", "no such file"),
        (text, "not a GGUF"),
        (torn, "cannot load"),
    ):
        with pytest.raises(ProviderModelError, match=reason):
            Client([local(str(file))], retries=0).complete("Hello.")


def test_local_loads_a_model_once_and_shuts_its_server_to_others() -> None:
    one, two = local(), local()
    for link in (one, two):
        Client([link]).complete("Hello.", max_tokens=1)
    assert one.provider._running is two.provider._running  # type: ignore[attr-defined]
    address = one.provider._running.address  # type: ignore[attr-defined]
    body = {"messages": [{"role": "user", "content": "Hello."}]}
    stranger = httpx.post(f"{address}/chat/completions", json=body, trust_env=False)
    assert stranger.status_code == httpx.codes.UNAUTHORIZED


def test_local_says_nothing_on_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    Client([local()]).complete("Hello.", max_tokens=2)
    assert capfd.readouterr() == ("", "")
