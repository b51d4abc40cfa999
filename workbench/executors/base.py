"""What an executor does: a function over many items, in order, and the merge of the results as a tree."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

from workbench.registry import Driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["FAN_IN", "Executor", "called", "tree"]

T = TypeVar("T")
R = TypeVar("R")

FAN_IN = 8
"""How many results are merged at a time, at most."""


class Executor(Driver):
    """Runs a function over many items, and merges what comes out.

    A function runs in this process or in another one, on this machine or on another, and cannot tell. So it
    is one of a module, or a :func:`functools.partial` of one; it takes what it works on from its item alone;
    an item is small and can be pickled, such as a :class:`~workbench.storage.Segment`; what it returns is
    made of Arrow tables, NumPy arrays, polars frames and plain values, and is not changed afterwards. It may
    run more than once for an item, where a worker was lost: it writes nothing.

    Attributes:
        apart: Whether functions run in other processes: what they return is sent.
    """

    apart: ClassVar[bool] = False

    @abstractmethod
    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Yield what ``function`` returns for each item, in their order, while the next ones run.

        Args:
            function: What to run.
            items: They are asked for one by one, few more of them than run.

        Raises:
            Exception: What the function raises, with a note that names the item.
            ExecutorError: If what runs it is lost.
        """

    @abstractmethod
    def reduce(
        self, function: Callable[[T], R], merge: Callable[[Sequence[R]], R], items: Iterable[T]
    ) -> R | None:
        """Return the merge of what ``function`` returns for each item; None if there are no items.

        Results that stand side by side are merged in their order, :data:`FAN_IN` at a time. What is merged
        with what depends on the number of items alone, so that the result is the same wherever it comes
        about, to the last bit of a sum of fractions.

        Args:
            function: What to run.
            merge: Makes one result of several, two at least.
            items: As for :meth:`map`.

        Raises:
            Exception: What a function raises; of ``function`` with a note that names the item.
            ExecutorError: If what runs it is lost.
        """

    def close(self) -> None:
        """Let go of what it holds; it can still be used, and takes it again."""

    def __enter__(self) -> Self:
        """Return the executor itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def called(function: Callable[[T], R], item: T) -> R:
    """Return what a function returns for an item; an error gets a note that names the item.

    >>> called(abs, -1)
    1
    """
    try:
        return function(item)
    except Exception as error:
        error.add_note(f"in {item}")
        raise


def tree(leaves: Iterable[R], merge: Callable[[Sequence[R]], R]) -> R | None:
    """Return the merge of all leaves, in their order, :data:`FAN_IN` at a time, as soon as they are there.

    >>> tree("abcdefghijk", lambda parts: f"({''.join(parts)})")
    '((abcdefgh)(ijk))'
    >>> tree("a", "".join), tree("", "".join)
    ('a', None)
    """
    levels: list[list[R]] = []
    for leaf in leaves:
        grown = leaf
        for level in levels:
            level.append(grown)
            if len(level) < FAN_IN:
                break
            grown = merge(level.copy())
            level.clear()
        else:
            levels.append([grown])
    last: list[R] = []
    for level in levels:
        rest = level + last
        last = [merge(rest)] if len(rest) > 1 else rest
    return last[0] if last else None
