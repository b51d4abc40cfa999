"""Every registered executor shows the behaviour of the conformance suite."""

from __future__ import annotations

from workbench.executors import executors
from workbench.testing.executors import ExecutorSuite


class TestExecutors(ExecutorSuite):
    pass


def test_the_suite_takes_every_registered_executor() -> None:
    assert {"dask", "threads"} <= set(executors.names())
    assert "ahead" not in executors.names()
    assert ExecutorSuite.parameters == []
