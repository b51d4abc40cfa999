"""Whether many actors meet at once where usually hardly two do."""

from __future__ import annotations

import numpy as np
import polars as pl

from workbench.analysis.signals._alike import meetings
from workbench.analysis.signals._several import smallest
from workbench.analysis.signals.base import Finding, Scope, Signal, evidence
from workbench.analysis.tails import FEWEST, normal_score, upper_tail

__all__ = ["Crowd"]

_HOURS = (1, 4)
_HOUR_US = 3_600_000_000
_USUAL = 0.5


class Crowd(Signal):
    """The most other actors that an actor's neighbour met for the first time that day within an hour or four.

    Only edge types count in which more than half of the actors have no such company: one device or one
    address is a person's own; what everybody uses draws a crowd every day.
    """

    weight = 1.0

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's largest company."""
        tails, rows = [], []
        for end, edges in meetings(scope):
            for hours in _HOURS:
                company = _company(edges, hours * _HOUR_US)
                if company.height < FEWEST or np.mean(company["others"].to_numpy() > 0) > _USUAL:
                    continue
                actors = company["actor"].to_numpy()
                others = company["others"].to_numpy().astype(np.float64)
                tail = np.full(len(scope), np.nan)
                tail[actors] = upper_tail(others)
                tails.append(tail)
                rows.append(
                    evidence(
                        actors,
                        kind="crowd",
                        feature=f"company within {hours} h by {end.edge}",
                        source=end.edge,
                        other=company["neighbour"].to_numpy(),
                        value=others,
                        typical=0.0,
                        z=normal_score(tail[actors]),
                        since=scope.since,
                        until=scope.until,
                    )
                )
        return smallest(scope, tails, rows, "no edge type whose neighbours are an actor's own")


def _company(edges: pl.DataFrame, window: int) -> pl.DataFrame:
    """Return each ``actor`` with the ``neighbour`` at which most ``others`` came when it came.

    Windows overlap by half, so that two that came within half a window of one another are in one.
    """
    met = edges.select("actor", "neighbour", (pl.col("first") // (window // 2)).alias("turn"))
    both = pl.concat([met, met.with_columns(pl.col("turn") + 1)]).unique()
    size = both.group_by("neighbour", "turn").agg((pl.len() - 1).cast(pl.Int64).alias("others"))
    return (
        both.join(size, on=["neighbour", "turn"])
        .sort("actor", "others", "neighbour", "turn", descending=[False, True, False, False])
        .group_by("actor", maintain_order=True)
        .agg(pl.col("others").first(), pl.col("neighbour").first())
    )
