"""How much of what an actor does is about one and the same thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.analysis.signals._alike import meetings, tail_among_alike
from workbench.analysis.signals._pairs import Pairs, smallest_of_each
from workbench.analysis.signals._several import Several
from workbench.analysis.signals.base import Finding, Scope, Signal
from workbench.analysis.tails import FEWEST

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Concentration"]

_FEWEST_SIGHTINGS = 4
_USUAL = 0.5  # where the typical actor has one neighbour for most of it, one neighbour says nothing
_LEAST_SPREAD = 0.5
_OTHERS = 2.0  # sightings of other neighbours that an actor of a few is credited with


class Concentration(Signal):
    """The share of an actor's sightings with its most seen neighbour, by edge type.

    Compared, as log-odds, is with actors that have about as many sightings of the type. What everybody
    sees at a time, in an outage for example, is part of the comparison.
    """

    weight = 0.8

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's most one-sided edge type."""
        found = Several(scope, "concentration")
        for end, edges in meetings(scope):
            actors, every, most, neighbour = _most_seen(edges)
            if len(actors) < FEWEST or np.median(most / every) > _USUAL:
                continue
            odds = np.log((most + 0.5) / (every - most + _OTHERS))
            found.add(
                tail_among_alike(odds, every, _LEAST_SPREAD),
                actors,
                feature=f"most seen {end.edge} neighbour",
                source=end.edge,
                other=neighbour,
                value=most,
                typical=float(np.median(most / every)) * every,
            )
        return found.smallest("no edge type in which actors have several neighbours")


def _most_seen(edges: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, pl.Series]:
    """Return actors, the number of their sightings and those with the most seen neighbour, and that.

    Of several that are seen as often it is the first by key. Actors with few sightings are left out.
    """
    pairs = Pairs.of(edges)
    weight = pairs.over(np.add, edges["weight"].to_numpy())
    most = smallest_of_each(pairs.actor, -weight)
    every = np.bincount(pairs.actor, weight)[pairs.actor[most]]
    most, every = most[every >= _FEWEST_SIGHTINGS], every[every >= _FEWEST_SIGHTINGS]
    neighbour = edges["neighbour"][pairs.rows[pairs.starts[most]]]
    return pairs.actor[most], every, weight[most].astype(np.float64), neighbour
