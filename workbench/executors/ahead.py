"""Work that is done ahead of who asks for it."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["ahead"]

_T = TypeVar("_T")
_MOST = 4  # at a time: each takes memory


def ahead(calls: Iterable[Callable[[], _T]], threads: int = 0) -> Iterator[_T]:
    """Yield what calls return, in their order, while the next ones run in threads, one a processor, but few.

    >>> list(ahead(lambda n=n: n * n for n in range(4)))
    [0, 1, 4, 9]

    Args:
        calls: They are asked for one by one, no more of them than run.
        threads: How many; 0: one a processor, four at most.

    Raises:
        Exception: What a call raises; those that run are waited for.
    """
    waiting, workers = iter(calls), threads or min(os.cpu_count() or 1, _MOST)
    with ThreadPoolExecutor(workers) as pool:
        coming = deque(pool.submit(call) for call in islice(waiting, workers))
        while coming:
            found = coming.popleft().result()
            coming.extend(pool.submit(call) for call in islice(waiting, 1))
            yield found
