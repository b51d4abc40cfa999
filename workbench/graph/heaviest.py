"""The heaviest of many: without a sort, and of what is mostly light without a partition of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["heaviest"]

# So many times more than are wanted are compared first, each of them the heaviest of its own few.
_WIDER = 4
# Of fewer for each of those, a partition of all costs less.
_DEEP = 8


def heaviest(weight: NDArray[np.number], limit: int) -> NDArray[np.intp]:
    """Return the places of the ``limit`` greatest, ascending; of equals at the cut, the first.

    Args:
        weight: At least ``limit`` numbers.
        limit: How many.

    >>> heaviest(np.array([5, 1, 7, 5, 5]), 2).tolist()
    [0, 2]
    """
    if not limit:
        return np.empty(0, dtype=np.intp)
    width = limit * _WIDER
    if len(weight) < width * _DEEP:
        return _first(np.arange(len(weight)), weight, np.partition(weight, -limit)[-limit], limit)
    whole = len(weight) // width * width
    tops = weight[:whole].reshape(-1, width).max(axis=0)
    # so many are at least as great as this
    least = np.partition(tops, -limit)[-limit]
    places = np.flatnonzero(weight >= least)
    weight = weight[places]
    more = weight[weight > least]
    cut = np.partition(more, -limit)[-limit] if len(more) >= limit else least
    return _first(places, weight, cut, limit)


def _first(
    places: NDArray[np.intp], weight: NDArray[np.number], cut: np.number, limit: int
) -> NDArray[np.intp]:
    above = places[weight > cut]
    level = places[weight == cut][: limit - len(above)]
    return np.sort(np.concatenate([above, level]))
