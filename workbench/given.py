"""What was given as an argument: numbers and texts as they are meant, or an error that says what to give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["names", "whole", "words"]


def whole(value: Any, what: str, least: int = 0) -> int:
    """Return a whole number.

    Args:
        value: What was given.
        what: What it is called.
        least: The smallest that it may be.

    Raises:
        UsageError: If it is none, or smaller.

    >>> whole(3.0, "hops")
    3
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or value != value // 1 or value < least:
        raise UsageError(f"{what} is {value!r}.", fix=f"Give a whole number, {least} or more.")
    return int(value)


def names(value: str | Iterable[str]) -> list[str]:
    """Return names given as a list; a single text is a list of one, and so is what is no list.

    >>> names("a"), names(("a", "b"))
    (['a'], ['a', 'b'])
    """
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return [value]  # type: ignore[list-item]
    return list(value)


def words(value: Any, what: str) -> str:
    """Return a text.

    Args:
        value: What was given.
        what: What it is called.

    Raises:
        UsageError: If it is none.

    >>> words("late at night", "text")
    'late at night'
    """
    if not isinstance(value, str):
        raise UsageError(f"{what} is {value!r}.", fix="Give a text.")
    return value
