"""Every registered vector index shows the behaviour of the conformance suite."""

from __future__ import annotations

from workbench.indexes import indexes
from workbench.testing.indexes import IndexSuite


class TestIndexes(IndexSuite):
    pass


def test_the_suite_takes_every_registered_index() -> None:
    assert {"exact", "faiss", "hnswlib", "usearch"} <= set(indexes.names())
    assert IndexSuite.parameters == []
