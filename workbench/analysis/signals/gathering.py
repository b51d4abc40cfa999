"""Whether several actors came to a neighbour that none of them, and nobody else, had before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.analysis.signals._alike import add_company
from workbench.analysis.signals._several import Several
from workbench.analysis.signals.base import Finding, Scope, Signal
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
            return scope.nothing("too little history to know which neighbours are new to all")
        found = Several(scope, "gathering")
        for end, pairs in scope.pairs.items():
            if end in scope.own:
                company = _company(scope, scope.met[end], pairs, before)
                add_company(found, scope, company, f"company at a new {end.edge} neighbour", end.edge)
        return found.smallest("no edge type whose neighbours are an actor's own")


def _company(scope: Scope, edges: pl.DataFrame, pairs: Pairs, before: int) -> pl.DataFrame:
    """Return each ``actor`` with the young ``neighbour`` of the period that most ``others`` have, if any.

    All of them ``came``, and none is the ``usual`` number.
    """
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
        .agg(pl.col("neighbour", "others").first())
        .with_columns(pl.col("others").alias("came"), pl.lit(0).alias("usual"))
    )
