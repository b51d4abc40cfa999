"""What several threads want at a time: made by one, and there as long as somebody holds it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Shared"]

V = TypeVar("V")


class Shared(Generic[V]):
    """Values by what they are made of. They can be referred to weakly, and are not changed.

    >>> class Table:
    ...     pass
    >>> tables = Shared[Table]()
    >>> one = tables.get("a", Table)
    >>> tables.get("a", Table) is one, tables.get("b", Table) is one
    (True, False)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: WeakValueDictionary[Hashable, threading.Lock] = WeakValueDictionary()
        self._values: WeakValueDictionary[Hashable, V] = WeakValueDictionary()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """Return the value of a key that somebody holds; where nobody does it is made.

        Who asks while it is made waits for it.

        Raises:
            Exception: What ``make`` raises; who waited tries by itself.
        """
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            value = self._values.get(key)
            if value is None:
                value = self._values[key] = make()
            return value
