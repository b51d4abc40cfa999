"""Every registered embedder shows the behaviour of the conformance suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from llm_servers import Servers

from workbench.embedders import embedders
from workbench.testing.embedders import EmbedderSuite

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.close()


class TestEmbedders(EmbedderSuite):
    pass


def test_the_suite_takes_every_registered_embedder() -> None:
    assert {"hashing", "ollama", "onnx", "openai", "static"} <= set(embedders.names())
    assert EmbedderSuite.parameters == []
