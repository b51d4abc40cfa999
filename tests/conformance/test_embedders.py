"""Every registered embedder shows the behaviour of the conformance suite."""

from __future__ import annotations

from workbench.embedders import embedders
from workbench.testing.embedders import EmbedderSuite


class TestEmbedders(EmbedderSuite):
    pass


def test_the_suite_takes_every_registered_embedder() -> None:
    assert {"hashing", "static"} <= set(embedders.names())
    assert EmbedderSuite.parameters == []
