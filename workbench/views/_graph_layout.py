"""Where nodes are drawn: computed in Python, so that the browser's main thread never is."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["place"]

_ROUNDS = 400
_SPRINGS = 150
"""Up to so many nodes distances on the screen can follow those in the graph; it takes nodes squared."""
_GAP = 0.05
"""How near nodes may lie to each other, as a share of the picture's width; less where they are many."""
_PUSHES, _MOST_APART = 60, 600
_WIDE: NDArray[np.float64] = np.array([1.5, 1.0])  # screens are wider than high


def place(edges: NDArray[np.int64], known: NDArray[np.float64], *, seed: int = 0) -> NDArray[np.float64]:
    """Return a position for each node, such that neighbours are near and others apart.

    Nodes with a known position keep it; new ones start beside their neighbours, so that a picture grows
    and does not jump. Sources: Kamada and Kawai 1989 for small pictures, Fruchterman and Reingold 1991.

    Args:
        edges: int64 [m, 2], positions of the ends.
        known: float64 [n, 2], NaN where a node is new.
        seed: Of the first positions.

    Returns:
        float64 [n, 2].

    >>> import numpy as np
    >>> edges, new = np.array([[0, 1], [1, 2], [2, 3]]), np.full((4, 2), np.nan)
    >>> spots = place(edges, new)
    >>> np.array_equal(spots, place(edges, new))
    True
    >>> bool(np.hypot(*(spots[0] - spots[1])) < np.hypot(*(spots[0] - spots[3])))
    True
    """
    nodes = len(known)
    fixed = ~np.isnan(known[:, 0])
    if not nodes or fixed.all():
        return known.copy()
    start = _start(edges, known, fixed, np.random.default_rng(seed))
    if not fixed.any() and nodes <= _SPRINGS:
        return _apart(np.multiply(_relax("kamada_kawai", edges, start), _WIDE), ~fixed)
    far = 10.0 * (np.abs(start).max() + np.sqrt(nodes))
    low = np.where(fixed[:, None], known, -far)
    high = np.where(fixed[:, None], known, far)
    spots = _relax(
        "fruchterman_reingold",
        edges,
        start,
        niter=_ROUNDS,
        start_temp=np.sqrt(nodes) / (10 if fixed.any() else 4),
        minx=low[:, 0].tolist(),
        maxx=high[:, 0].tolist(),
        miny=low[:, 1].tolist(),
        maxy=high[:, 1].tolist(),
    )
    return _apart(spots if fixed.any() else np.multiply(spots, _WIDE), ~fixed)


def _apart(spots: NDArray[np.float64], free: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Push nodes that lie on each other apart, of which some may move; the others stay where they are."""
    gap = min(_GAP, 0.7 / np.sqrt(len(spots))) * float(np.ptp(spots, axis=0).max(initial=0.0))
    if not gap or len(spots) > _MOST_APART:
        return spots
    spots = spots.copy()
    first = np.arange(len(spots))
    for _ in range(_PUSHES):
        way = spots[:, None] - spots[None]
        distance = np.hypot(way[..., 0], way[..., 1])
        close = (distance < gap) & (first[:, None] != first)
        if not close.any():
            break
        # of two in one place the later goes to the right
        way[..., 0] += np.where(distance == 0, np.sign(first[:, None] - first), 0)
        length = np.maximum(np.hypot(way[..., 0], way[..., 1]), 1e-9)
        push = np.where(close, (gap - distance) / 2, 0.0) / length
        spots[free] += (way * push[..., None]).sum(axis=1)[free]
    return spots


def _relax(
    algorithm: str, edges: NDArray[np.int64], start: NDArray[np.float64], **options: Any
) -> NDArray[np.float64]:
    import igraph  # noqa: PLC0415  (heavy)

    graph = igraph.Graph(n=len(start), edges=edges[edges[:, 0] != edges[:, 1]].tolist()).simplify()
    # igraph has one generator for the whole process: it is lent out seeded and given back as it is by default
    igraph.set_random_number_generator(random.Random(0))  # noqa: S311  (no secret)
    try:
        layout = graph.layout(algorithm, seed=start.tolist(), **options)
    finally:
        igraph.set_random_number_generator(random)
    return np.array(layout.coords, dtype=np.float64)


def _start(
    edges: NDArray[np.int64], known: NDArray[np.float64], fixed: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return where each node is before forces act: its own place, its neighbours' middle, or a disc."""
    nodes = len(known)
    angle, radius = rng.uniform(0, 2 * np.pi, nodes), np.sqrt(rng.uniform(0, 1, nodes) * nodes)
    start: NDArray[Any] = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    if fixed.any():
        both = np.concatenate([edges, edges[:, ::-1]])
        both = both[fixed[both[:, 1]] & ~fixed[both[:, 0]]]
        counts = np.bincount(both[:, 0], minlength=nodes)
        near = counts > 0
        for axis in (0, 1):
            sums = np.bincount(both[:, 0], weights=known[both[:, 1], axis], minlength=nodes)
            start[near, axis] = sums[near] / counts[near] + rng.normal(0, 1.0, int(near.sum()))
        start[fixed] = known[fixed]
    return start
