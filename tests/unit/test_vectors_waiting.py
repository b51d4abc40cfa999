"""An embedder's server fails: what there is is searched, the rest waits and is told, nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from llm_servers import Servers

import workbench
from workbench.embedders import embedders
from workbench.engine import Engine
from workbench.errors import ConfigError, ProviderConnectionError, ProviderError, ProviderReplyError
from workbench.settings import load_settings
from workbench.vectors import VectorCache, Waiting, connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: visits}
spec:
  entities:
    client: {who: true}
  events:
    Visit:
      entities: {client: client}
      text: "visited the page {page}"
"""
TEXTS = [f"text {n}" for n in range(10)]


class Breaking(embedders.load("hashing")):  # type: ignore[misc]
    """A server that gives so many batches and then fails, until it is given more."""

    model = "breaking"
    batch = 2

    def __init__(self, gives: int) -> None:
        self.gives = gives
        self.asked: list[str] = []

    def encode(self, texts: Any) -> Any:
        if not self.gives:
            raise ProviderConnectionError("nobody answers.", where="breaking at nowhere", transient=True)
        self.gives -= 1
        self.asked += texts
        return super().encode(texts)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.close()


def test_what_a_failing_server_gave_is_kept_and_the_rest_is_asked_for_again(tmp_path: Path) -> None:
    embedder = Breaking(3)
    cache = VectorCache(tmp_path, embedder)
    cache.rest = cache.keep_seconds = 0.0
    vectors = cache.embed_some(TEXTS)
    assert (np.linalg.norm(vectors, axis=1) > 0).tolist() == [True] * 6 + [False] * 4
    assert cache.waiting == Waiting.read(tmp_path)
    assert cache.waiting is not None
    assert (cache.waiting.texts, cache.waiting.model) == (4, "breaking")
    assert "nowhere" in cache.waiting.reason
    embedder.gives = 1
    assert (np.linalg.norm(cache.embed_some(TEXTS), axis=1) > 0).sum() == 8
    # another process goes on where this one ended
    other = Breaking(9)
    again = VectorCache(tmp_path, other)
    assert np.array_equal(again.embed_some(TEXTS), embedders.create("hashing").embed(TEXTS))
    assert other.asked == TEXTS[8:]
    assert again.waiting is None
    assert Waiting.read(tmp_path) is None


def test_whoever_needs_all_vectors_is_told_and_what_came_is_kept(tmp_path: Path) -> None:
    embedder = Breaking(1)
    with pytest.raises(ProviderConnectionError, match="nobody answers"):
        VectorCache(tmp_path, embedder).embed(TEXTS)
    embedder.gives = 9
    VectorCache(tmp_path, embedder).embed(TEXTS)
    assert embedder.asked == TEXTS


def test_a_server_that_failed_is_left_alone_for_a_while(tmp_path: Path) -> None:
    embedder = Breaking(1)
    cache = VectorCache(tmp_path, embedder)
    cache.rest = float("inf")
    cache.embed_some(TEXTS)
    embedder.gives = 9
    assert cache.embed_some(TEXTS)[:2].any(axis=1).all()
    assert embedder.gives == 9
    assert cache.waiting is not None
    assert cache.waiting.texts == 8


def test_vectors_of_another_dimension_are_not_mixed_with_those_that_are_kept(tmp_path: Path) -> None:
    class Wider(Breaking):
        dimension = 512

    VectorCache(tmp_path, Breaking(9)).embed(TEXTS[:3])
    with pytest.raises(ProviderReplyError, match="have 512 numbers, those that are kept have 256"):
        VectorCache(tmp_path, Wider(9)).embed(TEXTS)


def test_what_is_kept_needs_no_server(servers: Servers, tmp_path: Path) -> None:
    def cache(address: str) -> VectorCache:
        made = embedders.create("ollama", servers.model, base_url=address, key=lambda: servers.key, retries=0)
        return VectorCache(tmp_path, made)

    with servers.serve("ollama") as server:
        vectors = cache(server.base_url).embed(TEXTS)
    offline = cache("http://127.0.0.1:9")
    assert offline.dimension == 256
    assert np.array_equal(offline.embed(TEXTS), vectors)
    with pytest.raises(ProviderError, match="nobody answers"):
        VectorCache(tmp_path / "new", offline._embedder).embed_some(TEXTS)
    waiting = Waiting.read(tmp_path / "new")
    assert waiting is not None
    assert waiting.texts == len(TEXTS)


def test_ingest_and_search_go_on_while_the_server_is_away(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBEDDER_KEY", servers.key)
    (tmp_path / "v.yaml").write_text(SCHEMA)

    def events(pages: list[str]) -> pl.DataFrame:
        times = [datetime(2025, 3, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(len(pages))]
        return pl.DataFrame({"time": times, "client": ["a", "b"] * (len(pages) // 2), "page": pages})

    def opened(address: str) -> Engine:
        return workbench.open(
            tmp_path / "w",
            embedder=f"openai:{servers.model}",
            embedder_base_url=address,
            embedder_api_key="env:EMBEDDER_KEY",
        )

    Engine.create(tmp_path / "w", schema=tmp_path / "v.yaml").ingest(
        events(["garden tools", "winter coats"]), type="Visit"
    )
    with servers.serve("openai") as server:
        db = opened(server.base_url)
        assert db.vectors.search("visited the page garden tools", k=1).to_polars()["text"].to_list() == [
            "visited the page garden tools"
        ]
        address = db.vectors.search("garden tools", k=1).to_polars()["address"][0]
    away = opened("http://127.0.0.1:9/v1")
    away.ingest(events(["garden chairs", "coffee machines"]), type="Visit")
    away.vectors.embedder.retries = 0  # type: ignore[attr-defined]
    away.vectors._cache.rest = 0.0
    found = away.vectors.search(address=address, k=1)
    assert found.to_polars()["text"].to_list() == ["visited the page winter coats"]
    assert "2 texts have no vectors yet: openai at 127.0.0.1:9: nobody answers" in found.title
    assert "2 texts have no vectors yet" in repr(away.vectors)
    assert away.status()["texts_without_vectors"] == 2
    with pytest.raises(ProviderConnectionError, match="embedder_base_url"):
        away.vectors.search("garden")
    # the server is back: the next call embeds what waits
    with servers.serve("openai") as server:
        away.vectors.embedder.base_url = server.base_url  # type: ignore[attr-defined]
        found = away.vectors.search(address=address, k=1)
    assert found.to_polars()["text"].to_list() == ["visited the page garden chairs"]
    assert "no vectors yet" not in found.title
    assert away.status()["texts_without_vectors"] == 0


def test_settings_name_the_embedder_and_never_hold_its_key() -> None:
    chosen = load_settings(
        environ={}, embedder="ollama:all-minilm", embedder_base_url="http://10.0.0.7:11434"
    )
    made = connect(chosen)
    assert (made.model, made.leaves_machine) == ("ollama:all-minilm", True)
    with pytest.raises(ConfigError, match="takes no model"):
        connect(load_settings(environ={}, embedder="static:large"))
    for name, value in (
        ("embedder_api_key", "sk-secret"),
        ("embedder_base_url", "https://me:sk-secret@host"),
    ):
        with pytest.raises(ConfigError, match=name) as raised:
            load_settings(environ={}, **{name: value})
        assert "sk-secret" not in str(raised.value)
