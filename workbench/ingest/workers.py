"""Threads that end with the step that they work for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

__all__ = ["workers"]


@contextmanager
def workers(threads: int) -> Iterator[Executor]:
    """Give threads to work with; none of them is left when the block ends, however it ends.

    Polars, pyarrow and numpy let go of the interpreter while they compute. What has not begun when the block
    is left by an error is not begun any more, so that an interrupted step ends soon.

    Args:
        threads: How many.

    >>> with workers(2) as pool:
    ...     list(pool.map(abs, [-1, 2]))
    [1, 2]
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ingest")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
