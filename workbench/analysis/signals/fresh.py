"""Whether an actor brings neighbours that nobody had before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.analysis.signals._alike import met_first
from workbench.analysis.signals._pairs import smallest_of_each
from workbench.analysis.signals._several import Several
from workbench.analysis.signals.base import Finding, Scope, Signal
from workbench.analysis.tails import FEWEST, at_least
from workbench.partials.documents import DAY_US

if TYPE_CHECKING:
    import polars as pl

    from workbench.analysis.signals._pairs import Pairs

__all__ = ["Fresh"]

_PRIOR = 1.0  # periods that an actor's own history is short of
_LEAST = 0.1
_BULK = 0.995  # of the actors: more are never anomalous


class Fresh(Signal):
    """Neighbours that the actor was the first of all to meet, by edge type, against how many it brings.

    Somebody has a new device now and then; who comes with one after another that nobody has seen has not.
    The first neighbour that an actor has at all does not count: everybody has one. What is new to all, a new
    item for example, counts for one of them only.
    """

    weight = 1.0

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's number; none with under two days of history."""
        half = scope.history // 2
        active = scope.matrix.events > 0
        if half < 1:
            return scope.nothing("too little history to know which neighbours are new to all")
        found = Several(scope, "fresh")
        actors = np.flatnonzero(active)
        for end, pairs in scope.pairs.items():
            if len(actors) < FEWEST:
                continue
            brought = _brought(pairs, scope.met[end])
            now = met_first(scope, *brought, scope.since, scope.until)
            before = met_first(scope, *brought, scope.since - half * DAY_US, scope.since)
            periods = np.minimum(scope.seen_days, half) / scope.days
            mean, variance = _expected(now, before, periods, active)
            found.add(
                at_least(now, mean, variance)[actors],
                actors,
                feature=f"{end.edge} neighbours new to all",
                source=end.edge,
                value=now[actors],
                typical=mean[actors],
            )
        return found.smallest("no edge type of events")


def _brought(pairs: Pairs, edges: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return actor and time of the meetings in which anybody met a neighbour for the first time.

    An actor's own first meeting of all is left out.
    """
    first = pairs.over(np.minimum, edges["first"].to_numpy())
    brings, begins = (smallest_of_each(side, first) for side in (pairs.neighbour, pairs.actor))
    brought = np.setdiff1d(brings, begins, assume_unique=True)
    return pairs.actor[brought], first[brought]


def _expected(
    now: np.ndarray, before: np.ndarray, periods: np.ndarray, active: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of each actor's number: its own usual one beside everybody's now."""
    bound = np.minimum(now, np.quantile(now[active], _BULK))
    own = before / (periods + _PRIOR)
    mean = np.maximum(own + bound[active].mean(), _LEAST)
    spread = max(float((np.square(bound - mean)[active] / mean[active]).mean()), 1.0)
    return mean, spread * mean + own / (periods + _PRIOR)
