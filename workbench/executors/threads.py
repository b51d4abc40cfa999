"""Executor ``threads``: this process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from workbench.executors.ahead import ahead
from workbench.executors.base import Executor, called, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["Threads"]

T = TypeVar("T")
R = TypeVar("R")


class Threads(Executor):
    """Threads of this process, few at a time: each item that is worked on takes memory.

    Args:
        threads: How many; 0: one a core, four at most.
    """

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Yield what ``function`` returns for each item, in their order, while the next ones run."""
        return ahead((partial(called, function, item) for item in items), self._threads)

    def reduce(
        self, function: Callable[[T], R], merge: Callable[[Sequence[R]], R], items: Iterable[T]
    ) -> R | None:
        """Return the merge of what ``function`` returns for each item; None if there are no items."""
        return tree(self.map(function, items), merge)
