"""What the signals share that compare an actor with those of about its own size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.analysis.signals._pairs import codes
from workbench.analysis.tails import FEWEST, SMALLEST, upper_tail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.analysis.activity import EdgeEnd
    from workbench.analysis.signals._several import Several
    from workbench.analysis.signals.base import Scope

__all__ = ["add_company", "among_alike", "in_company", "meetings", "met_first", "tail_among_alike"]

_A_BIN = 100
_MOST_BINS = 40
_A_GROUP = 250
_MOST_GROUPS = 6


def among_alike(figure: np.ndarray, size: np.ndarray, least: float = 0.1) -> np.ndarray:
    """Return how far each figure lies above the median of those of about the same size, in upper spreads.

    The spread is what lies between the median and the quantile 0.84, which is one standard deviation of a
    normal distribution; at least ``least``, and half of the median spread. Fewer than 50 figures are not
    compared.

    >>> size = np.repeat([1.0, 100.0], 500)
    >>> figure = np.log(size) + np.tile(np.linspace(-1, 1, 500), 2)
    >>> bool(np.median(np.abs(among_alike(figure, size))) < 1)
    True
    """
    result = np.full(len(figure), np.nan)
    known = np.flatnonzero(np.isfinite(figure))
    if len(known) < FEWEST:
        return result
    sizes, figures = size[known], figure[known]
    bins = int(np.clip(len(known) // _A_BIN, 1, _MOST_BINS))
    edges = np.unique(np.quantile(sizes, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(edges, sizes, side="left")
    parts = [place == one for one in np.unique(place)]
    at = np.array([np.median(sizes[part]) for part in parts])
    middle, upper = np.array([np.quantile(figures[part], [0.5, 0.84]) for part in parts]).T
    spread = np.maximum(upper - middle, max(least, 0.5 * float(np.median(upper - middle))))
    result[known] = (figures - np.interp(sizes, at, middle)) / np.interp(sizes, at, spread)
    return result


def tail_among_alike(
    figure: np.ndarray, size: np.ndarray, least: float = 0.1, number: np.ndarray | None = None
) -> np.ndarray:
    """Return the upper-tail probability of each figure among those of about the same size.

    Groups by number, which is the size where none is given, have tails of their own: to be all of four is
    nothing that to be all of forty is.
    """
    found = among_alike(figure, size, least)
    number = size if number is None else number
    known = np.isfinite(found)
    if not known.any():
        return found
    groups = int(np.clip(known.sum() // _A_GROUP, 1, _MOST_GROUPS))
    edges = np.unique(np.quantile(number[known], np.linspace(0, 1, groups + 1)[1:-1]))
    place = np.searchsorted(edges, number, side="left")
    for one in np.unique(place):
        found[place == one] = upper_tail(found[place == one])
    return found


def meetings(scope: Scope) -> Iterator[tuple[EdgeEnd, pl.DataFrame]]:
    """Yield each edge type to other than attributes with its edges in the period, if there are any.

    A row is an edge and a day, with the times at which it was seen first and last.
    """
    for end, edges in scope.met.items():
        found = edges.filter(pl.col("first") >= scope.since)
        if found.height:
            yield end, found


def met_first(scope: Scope, actor: np.ndarray, first: np.ndarray, since: int, until: int) -> np.ndarray:
    """Return how many of the first meetings of each actor lie within a range."""
    inside = (first >= since) & (first < until)
    return np.bincount(actor[inside], minlength=len(scope)).astype(np.float64)


def in_company(edges: pl.DataFrame, turn: int) -> pl.DataFrame:
    """Return the edges whose neighbour is met again within the same or the next ``turn`` microseconds.

    A turn begins at every multiple of its length.
    """
    if not edges.height:
        return edges
    turns = edges["first"].to_numpy() // turn
    turns -= turns.min()
    # after the last turn of a neighbour one is empty: the first of the next is not next to it
    key = codes(edges) * (turns.max() + 2) + turns
    order = np.argsort(key)
    near = np.diff(key[order]) <= 1
    kept = np.zeros(len(order), bool)
    kept[order[1:][near]] = kept[order[:-1][near]] = True
    return edges.filter(pl.Series(kept))


def add_company(found: Several, scope: Scope, company: pl.DataFrame, feature: str, edge: str) -> None:
    """Add the tail probability of each actor's company at a neighbour of its own; 1 without any.

    How many come falls geometrically, at the rate at which a second follows the first, neighbour by
    neighbour: a crowd of twenty at one is one crowd. Of fewer than 50 actors nothing is added.

    Args:
        found: To what.
        scope: Whose actors.
        company: ``actor``, ``neighbour``, how many ``came``, the ``usual`` number, and the ``others`` beyond
            it; a row an actor with at least one.
        feature: What it is called.
        edge: The edge type that leads to the neighbours.
    """
    active = scope.matrix.events > 0
    if active.sum() < FEWEST:
        return
    others = company["others"].to_numpy().astype(np.float64)
    by_neighbour = company.group_by("neighbour").agg(pl.col("others").max())["others"].to_numpy()
    ratio = (float((by_neighbour > 1).sum()) + 1) / (len(by_neighbour) + 2)
    some = company.height / active.sum()
    found.add(
        np.clip(some * ratio ** (others - 1), SMALLEST, 1.0),
        company["actor"].to_numpy(),
        np.where(active, 1.0, np.nan),
        feature=feature,
        source=edge,
        other=company["neighbour"],
        value=company["came"],
        typical=company["usual"],
    )
