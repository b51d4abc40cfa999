"""What this process does, by an audit hook that is out of the way afterwards."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["audited"]


@contextmanager
def audited(note: Callable[[str, tuple[Any, ...]], object]) -> Iterator[None]:
    """Tell a function of each audit event while the block runs.

    A hook cannot be taken away again. CPython 3.11 cannot trace a thread that starts while a hook in Python
    runs in another, so that what stays behind is a call of C that does nothing.

    Args:
        note: Gets the event's name and arguments.

    >>> opened = []
    >>> with audited(lambda event, arguments: opened.append(arguments[0]) if event == "open" else None):
    ...     open(__file__).close()
    >>> open(__file__).close()
    >>> len(opened)
    1
    """
    hook = partial(note)
    sys.addaudithook(hook)
    try:
        yield
    finally:
        hook.__setstate__(({}.get, (), {}, {}))  # type: ignore[attr-defined]
