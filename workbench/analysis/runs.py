"""Runs: equal values that follow one another, in columns that are sorted or nearly so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["changes", "starts"]


def changes(*columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows differ from the one before in any of the columns; the first does.

    >>> changes(np.array([4, 4, 2]), np.array([7, 7, 7])).tolist()
    [True, False, True]
    """
    found = np.zeros(len(columns[0]), bool)
    found[:1] = True
    for values in columns:
        found[1:] |= values[1:] != values[:-1]
    return found


def starts(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """Return where each run of equal rows begins.

    >>> starts(np.array([4, 4, 2, 4])).tolist()
    [0, 2, 3]
    """
    return np.flatnonzero(changes(*columns))
