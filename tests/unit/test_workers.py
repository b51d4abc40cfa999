"""Threads of a step: they end with it, and what has not begun when it fails is not begun any more."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from workbench.ingest.workers import workers


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ingest")]


def test_threads_end_with_the_block() -> None:
    with workers(2) as pool:
        assert [job.result() for job in [pool.submit(abs, -1), pool.submit(abs, 2)]] == [1, 2]
        assert _threads()
    assert _threads() == []


def test_what_has_not_begun_when_the_block_fails_is_not_begun() -> None:
    go, ran, jobs = threading.Event(), list[int](), list[Future[object]]()

    def step() -> None:
        with workers(1) as pool:
            jobs.append(pool.submit(go.wait, 60))
            jobs.append(pool.submit(ran.append, 1))
            jobs[1].add_done_callback(lambda _: go.set())
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        step()
    assert jobs[0].result()
    assert jobs[1].cancelled()
    assert ran == []
    assert _threads() == []
