"""Whether an actor has many of what others have one of."""

from __future__ import annotations

import numpy as np

from workbench.analysis.signals._alike import among_alike, meetings
from workbench.analysis.signals._pairs import Pairs
from workbench.analysis.signals._several import Several
from workbench.analysis.signals.base import Finding, Scope, Signal
from workbench.analysis.tails import FEWEST, upper_tail

__all__ = ["Variety"]

_FEWEST_SIGHTINGS = 3
_LEAST_SPREAD = 0.3


class Variety(Signal):
    """Distinct neighbours of the edge types in which the typical actor has one, such as an address.

    Compared is with actors that have about as many sightings of the type.
    """

    weight = 0.1

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's number of neighbours."""
        found = Several(scope, "variety")
        for end, edges in meetings(scope):
            sightings = np.bincount(edges["actor"].to_numpy(), edges["weight"].to_numpy())
            actors = np.flatnonzero(sightings >= _FEWEST_SIGHTINGS)
            sightings = sightings[actors]
            distinct = np.bincount(Pairs.of(edges).actor).astype(np.float64)[actors]
            if len(actors) < FEWEST or np.median(distinct) != 1:
                continue
            found.add(
                upper_tail(among_alike(np.log(distinct), sightings, _LEAST_SPREAD)),
                actors,
                feature=f"distinct {end.edge} neighbours",
                source=end.edge,
                value=distinct,
                typical=1.0,
            )
        return found.smallest("no edge type in which the typical actor has one neighbour")
