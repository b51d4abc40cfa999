"""Whether many actors meet at once where usually hardly two do."""

from __future__ import annotations

import polars as pl

from workbench.analysis.signals._alike import add_company, in_company
from workbench.analysis.signals._several import Several
from workbench.analysis.signals.base import Finding, Scope, Signal
from workbench.analysis.tally import HOUR_US

__all__ = ["Crowd"]

_HOURS = (1, 4)


class Crowd(Signal):
    """The most other actors that an actor's neighbour met within an hour or four, beyond what it was used to.

    Only edge types count whose neighbours are an actor's own, such as a device or an address; who shares one
    with many does so every day, and the largest company that a neighbour had before is usual for it.
    """

    weight = 0.5

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's largest company."""
        found = Several(scope, "crowd")
        for end, edges in scope.met.items():
            if end in scope.own:
                for hours in _HOURS:
                    company = _company(scope, edges, hours * HOUR_US)
                    add_company(found, scope, company, f"company within {hours} h by {end.edge}", end.edge)
        return found.smallest("no edge type whose neighbours are an actor's own")


def _company(scope: Scope, edges: pl.DataFrame, window: int) -> pl.DataFrame:
    """Return each ``actor`` with the ``neighbour`` at which most ``others`` ``came`` beyond the ``usual``.

    Windows overlap by half, so that two that came within half a window of one another are in one.
    """
    met = in_company(edges, window // 2).select(
        "actor",
        "neighbour",
        (pl.col("first") // (window // 2)).alias("turn"),
        past=pl.col("first") < scope.since,
    )
    both = pl.concat([met, met.with_columns(pl.col("turn") + 1)]).unique(["actor", "neighbour", "turn"])
    size = both.group_by("neighbour", "turn").agg(
        (pl.len() - 1).cast(pl.Int64).alias("came"), pl.col("past").any()
    )
    usual = size.filter("past").group_by("neighbour").agg(pl.col("came").max().alias("usual"))
    unusual = (
        size.filter(~pl.col("past"))
        .join(usual, on="neighbour", how="left")
        .with_columns(pl.col("usual").fill_null(0))
        .with_columns((pl.col("came") - pl.col("usual")).alias("others"))
        .filter(pl.col("others") > 0)
    )
    return (
        both.join(unusual.drop("past"), on=["neighbour", "turn"])
        .sort("actor", "others", "neighbour", "turn", descending=[False, True, False, False])
        .group_by("actor", maintain_order=True)
        .agg(pl.col("neighbour", "others", "came", "usual").first())
    )
