"""What goes together: entities that the same actors have, more often than chance would have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

__all__ = ["COOCCURRENCE", "cooccurring"]

COOCCURRENCE = {
    "first": pl.String(),
    "second": pl.String(),
    "together": pl.Int64(),
    "first_actors": pl.Int64(),
    "second_actors": pl.Int64(),
    "actors": pl.Int64(),
    "lift": pl.Float64(),
    "pmi": pl.Float64(),
    "npmi": pl.Float64(),
    "g": pl.Float64(),
    "p": pl.Float64(),
}


def cooccurring(one: pl.DataFrame, other: pl.DataFrame, least: int, *, same: bool = False) -> pl.DataFrame:
    """Return the pairs that at least ``least`` actors have, with how much more often than by chance.

    Chance is that the two have nothing to do with each other, among the actors that have one of each kind.
    ``lift`` is observed over expected, ``pmi`` its logarithm (base 2), ``npmi`` that in [-1, 1], ``g`` the
    log-likelihood ratio with its ``p``, of one degree of freedom.

    Args:
        one: ``actor`` (a number from 0) and ``name`` (a string, or faster an Enum of sorted ones), each pair
            once.
        other: The same of the other kind.
        least: How many actors a pair has to have.
        same: Whether both are of one kind: a pair is then given once, and none of a thing with itself.

    Source: Dunning 1993; Bouma 2009.

    >>> one = pl.DataFrame({"actor": [1, 2, 3, 4], "name": ["x", "x", "y", "y"]})
    >>> other = pl.DataFrame({"actor": [1, 2, 3, 4], "name": ["u", "u", "v", "v"]})
    >>> cooccurring(one, other, 1).select("first", "second", "together", "lift", "npmi").rows()
    [('x', 'u', 2, 2.0, 1.0), ('y', 'v', 2, 2.0, 1.0)]
    """
    from scipy.sparse import triu  # noqa: PLC0415  (kept out of start-up)

    actors = [frame["actor"].to_numpy() for frame in (one, other)]
    has = np.zeros((2, 1 + max(int(part.max(initial=0)) for part in actors)), bool)
    for place, part in enumerate(actors):
        has[place, part] = True
    both = has[0] & has[1]
    total = int(both.sum())
    left, right = (_incidence(frame, both) for frame in (one, other))
    together = left[1].T @ right[1]
    counted = (triu(together, k=1) if same else together).tocoo()
    enough = counted.data >= least
    rows, columns = counted.coords[0][enough], counted.coords[1][enough]
    counts = counted.data[enough].astype(np.float64)
    sums = [np.asarray(matrix.sum(0), np.float64).ravel() for _, matrix in (left, right)]
    first, second = sums[0][rows], sums[1][columns]
    lift = counts * total / (first * second)
    pmi = np.log2(lift)
    g = _log_likelihood(counts, first, second, total)
    found = pl.DataFrame(
        {
            "first": left[0].gather(rows),
            "second": right[0].gather(columns),
            "together": counts.astype(np.int64),
            "first_actors": first.astype(np.int64),
            "second_actors": second.astype(np.int64),
            "actors": np.full(len(counts), total, np.int64),
            "lift": lift,
            "pmi": pmi,
            "npmi": _normalised(pmi, counts / max(total, 1)),
            "g": g,
            "p": _tail(g),
        },
        schema=COOCCURRENCE,
    )
    return found.sort("g", "first", "second", descending=[True, False, False])


def _incidence(frame: pl.DataFrame, actors: NDArray[np.bool_]) -> tuple[pl.Series, csr_array]:
    """Return the names, sorted, and who of some actors has which: a row an actor, a column a name."""
    from scipy.sparse import csr_array  # noqa: PLC0415  (kept out of start-up)

    name = frame["name"]
    kind = name.dtype if isinstance(name.dtype, pl.Enum) else pl.Enum(name.unique().sort())
    actor = frame["actor"].to_numpy()
    known = actors[actor]
    rows = (np.cumsum(actors) - 1)[actor[known]]
    columns = name.cast(kind).to_physical().to_numpy()[known]
    shape = (int(actors.sum()), len(kind.categories))
    return kind.categories, csr_array((np.ones(len(rows), np.int32), (rows, columns)), shape=shape)


def _normalised(pmi: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the PMI in [-1, 1]; what all have goes together no more than by chance."""
    most = -np.log2(share)
    return np.divide(pmi, most, out=np.zeros_like(pmi), where=most > 0)


def _log_likelihood(
    together: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64], total: int
) -> NDArray[np.float64]:
    """Return Dunning's G² of each table of two by two."""
    cells = (together, first - together, second - together, total - first - second + together)
    ends = (
        (first, second),
        (first, total - second),
        (total - first, second),
        (total - first, total - second),
    )
    g = np.zeros_like(together)
    for observed, (row, column) in zip(cells, ends, strict=True):
        expected = row * column / max(total, 1)
        seen = observed > 0
        g[seen] += observed[seen] * np.log(observed[seen] / expected[seen])
    return np.maximum(2 * g, 0.0)


def _tail(g: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import erfc  # noqa: PLC0415  (kept out of start-up)

    return np.asarray(erfc(np.sqrt(g / 2)), np.float64)
