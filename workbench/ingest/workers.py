"""Threads that end with the step that they work for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from workbench.ingest.memory import give_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor, Future

__all__ = ["workers"]

P = ParamSpec("P")
T = TypeVar("T")


class _Pool(ThreadPoolExecutor):
    """Threads that give back what a job needed when it is done."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        def job() -> T:
            try:
                return fn(*args, **kwargs)
            finally:
                give_back()

        return super().submit(job)


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
    pool = _Pool(threads, thread_name_prefix="ingest")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
