"""Whether several actors came to a neighbour that none of them, and nobody else, had before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.analysis.signals._alike import company_tail
from workbench.analysis.signals._several import smallest
from workbench.analysis.signals.base import Finding, Scope, Signal, evidence
from workbench.analysis.tails import FEWEST, normal_score
from workbench.partials.documents import DAY_US

if TYPE_CHECKING:
    from workbench.analysis.signals._pairs import Pairs

__all__ = ["Gathering"]


class Gathering(Signal):
    """The most other actors at a neighbour of the actor's that nobody had a period before.

    Only edge types count whose neighbours are an actor's own, such as a device or an address: who shares one
    has mostly done so for long. How many come to a young one falls geometrically, at the rate at which a
    second follows the first.
    """

    weight = 0.8

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's company; none with under two days of history."""
        before = min(scope.days, scope.history // 2)
        if before < 1:
            nothing = np.full(len(scope), np.nan)
            return Finding(nothing, reason="too little history to know which neighbours are new to all")
        tails, rows = [], []
        active = scope.matrix.events > 0
        for end, pairs in scope.pairs.items():
            if active.sum() < FEWEST or end not in scope.own:
                continue
            met = _company(scope, scope.met[end], pairs, before)
            tail = company_tail(scope, met)
            actors = met["actor"].to_numpy()
            tails.append(tail)
            rows.append(
                evidence(
                    actors,
                    kind="gathering",
                    feature=f"company at a new {end.edge} neighbour",
                    source=end.edge,
                    other=met["neighbour"],
                    value=met["others"].to_numpy().astype(np.float64),
                    typical=0.0,
                    z=normal_score(tail[actors]),
                    since=scope.since,
                    until=scope.until,
                )
            )
        return smallest(scope, tails, rows, "no edge type whose neighbours are an actor's own")


def _company(scope: Scope, edges: pl.DataFrame, pairs: Pairs, before: int) -> pl.DataFrame:
    """Return each ``actor`` with the young ``neighbour`` of the period that most ``others`` have, if any."""
    young = scope.since - before * DAY_US
    first, last = (edges[end].to_numpy() for end in ("first", "last"))
    met = edges.select("actor", "neighbour")[pairs.rows[pairs.starts]].with_columns(
        pl.Series("first", pairs.over(np.minimum, first)), pl.Series("last", pairs.over(np.maximum, last))
    )
    shared = (
        met.group_by("neighbour")
        .agg(pl.col("first").min().alias("born"), (pl.len() - 1).cast(pl.Int64).alias("others"))
        .filter((pl.col("born") >= young) & (pl.col("others") > 0))
    )
    return (
        met.filter(pl.col("last") >= scope.since)
        .join(shared.select("neighbour", "others"), on="neighbour")
        .sort("actor", "others", "neighbour", descending=[False, True, False])
        .group_by("actor", maintain_order=True)
        .agg(pl.col("others").first(), pl.col("neighbour").first())
    )
