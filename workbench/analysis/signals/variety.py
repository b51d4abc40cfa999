"""Whether an actor has many of what others have one of."""

from __future__ import annotations

import numpy as np
import polars as pl

from workbench.analysis.signals._alike import among_alike, meetings
from workbench.analysis.signals._several import smallest
from workbench.analysis.signals.base import Finding, Scope, Signal, evidence
from workbench.analysis.tails import FEWEST, normal_score, upper_tail

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
        tails, rows = [], []
        for end, edges in meetings(scope):
            seen = (
                edges.group_by("actor")
                .agg(pl.col("neighbour").n_unique().alias("distinct"), pl.col("weight").sum())
                .filter(pl.col("weight") >= _FEWEST_SIGHTINGS)
                .sort("actor")
            )
            if seen.height < FEWEST or seen["distinct"].median() != 1:
                continue
            actors = seen["actor"].to_numpy()
            distinct, sightings = (seen[c].to_numpy().astype(np.float64) for c in ("distinct", "weight"))
            tail = np.full(len(scope), np.nan)
            tail[actors] = upper_tail(among_alike(np.log(distinct), sightings, _LEAST_SPREAD))
            tails.append(tail)
            rows.append(
                evidence(
                    actors,
                    kind="variety",
                    feature=f"distinct {end.edge} neighbours",
                    source=end.edge,
                    value=distinct,
                    typical=1.0,
                    z=normal_score(tail[actors]),
                    since=scope.since,
                    until=scope.until,
                )
            )
        return smallest(scope, tails, rows, "no edge type in which the typical actor has one neighbour")
