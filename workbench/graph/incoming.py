"""Edges by target, in the order in which a walk against them meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HEAVY", "by_target"]

_BITS = 16
# Heavier edges are not told apart in the order of what comes in.
HEAVY = np.int64(2**_BITS - 1)
# Numbers below it are sorted.
_MOST = 2**63
_BLOCK = 1 << 18


def by_target(
    target: NDArray[np.int32], weight: NDArray[Any], nodes: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return pointers to the edges of each target, and their rows, heaviest first and then as they stand.

    Numbers are sorted much faster than an order of them is found, so that an edge's row is a part of its
    number where there is room.
    """
    bits = len(target).bit_length()
    if weight.dtype.kind != "i" or nodes << (_BITS + bits) >= _MOST:
        return _by_order(target, weight, nodes)
    keys = np.empty(len(target), np.int64)
    rows = np.empty(len(target), np.int32)
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(target), _BLOCK)]
    for block in blocks:  # each stays within the processor's cache
        key = target[block].astype(np.int64)
        key <<= _BITS
        key += HEAVY - np.minimum(weight[block], HEAVY)
        key <<= bits
        key |= np.arange(block.start, block.start + len(key))
        keys[block] = key
    keys.sort()
    for block in blocks:
        rows[block] = keys[block] & ((1 << bits) - 1)
    return np.searchsorted(keys, np.arange(nodes + 1) << (_BITS + bits)), rows


def _by_order(
    target: NDArray[np.int32], weight: NDArray[Any], nodes: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    from scipy.sparse import csr_array  # noqa: PLC0415  (kept out of start-up)

    # numpy sorts 16 bits by radix; what was computed weighs fractions
    whole = weight.dtype.kind == "i"
    light = (HEAVY - np.minimum(weight, HEAVY)).astype(np.uint16) if whole else -weight
    heaviest = np.argsort(light, kind="stable").astype(np.int32)
    ends = np.arange(len(target) + 1, dtype=np.int32)
    found = csr_array((heaviest, target[heaviest], ends), shape=(len(target), nodes)).tocsc()
    return found.indptr.astype(np.int64), found.data
