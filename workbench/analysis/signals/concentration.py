"""How much of what an actor does is about one and the same thing."""

from __future__ import annotations

import numpy as np
import polars as pl

from workbench.analysis.signals._alike import meetings, tail_among_alike
from workbench.analysis.signals._several import smallest
from workbench.analysis.signals.base import Finding, Scope, Signal, evidence
from workbench.analysis.tails import FEWEST, normal_score

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
        tails, rows = [], []
        for end, edges in meetings(scope):
            seen = (
                edges.group_by("actor", "neighbour")
                .agg(pl.col("weight").sum())
                .sort("actor", "weight", "neighbour", descending=[False, True, False])
                .group_by("actor", maintain_order=True)
                .agg(
                    pl.col("weight").first().alias("most"),
                    pl.col("weight").sum().alias("all"),
                    pl.col("neighbour").first(),
                )
                .filter(pl.col("all") >= _FEWEST_SIGHTINGS)
            )
            if seen.height < FEWEST or seen.select((pl.col("most") / pl.col("all")).median()).item() > _USUAL:
                continue
            actors = seen["actor"].to_numpy()
            most, every = (seen[c].to_numpy().astype(np.float64) for c in ("most", "all"))
            odds = np.log((most + 0.5) / (every - most + _OTHERS))
            tail = np.full(len(scope), np.nan)
            tail[actors] = tail_among_alike(odds, every, _LEAST_SPREAD)
            tails.append(tail)
            share = float(np.median(most / every))
            rows.append(
                evidence(
                    actors,
                    kind="concentration",
                    feature=f"most seen {end.edge} neighbour",
                    source=end.edge,
                    other=seen["neighbour"].to_numpy(),
                    value=most,
                    typical=share * every,
                    z=normal_score(tail[actors]),
                    since=scope.since,
                    until=scope.until,
                )
            )
        return smallest(scope, tails, rows, "no edge type in which actors have several neighbours")
