"""One probability of several: a signal looks at every edge type and says what is rarest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.analysis.signals.base import Finding, evidence
from workbench.analysis.tails import normal_score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.analysis.signals.base import Scope

__all__ = ["Several"]


class Several:
    """Tail probabilities, of which the smallest counts, and the evidence of each.

    Args:
        scope: What is looked at.
        kind: Of the evidence.
    """

    def __init__(self, scope: Scope, kind: str) -> None:
        self._scope, self._kind = scope, kind
        self._tails: list[NDArray[np.float64]] = []
        self._rows: list[pl.DataFrame] = []

    def add(
        self, tail: NDArray[np.float64], actors: NDArray[np.integer], rest: Any = np.nan, **columns: Any
    ) -> None:
        """Add the probabilities of some actors.

        Args:
            tail: Of each of them; not a number where there is nothing to say.
            actors: Whose.
            rest: Of the others.
            columns: Of the evidence, where they are not the kind, the probability's and the period's.
        """
        scope = self._scope
        found = np.full(len(scope), rest)
        found[actors] = tail
        self._tails.append(found)
        usual = {"kind": self._kind, "z": normal_score(tail), "since": scope.since, "until": scope.until}
        self._rows.append(evidence(actors, **{**usual, **columns}))

    def smallest(self, reason: str) -> Finding:
        """Return the smallest of the probabilities, as improbable as the smallest of so many is.

        Args:
            reason: Why there is nothing at all, where nothing was added.
        """
        if not self._tails:
            return self._scope.nothing(reason)
        stacked = np.stack(self._tails)
        known = np.isfinite(stacked)
        least = np.where(known, stacked, 1.0).min(0)
        found = np.where(known.any(0), np.minimum(least * known.sum(0), 1.0), np.nan)
        return Finding(found, pl.concat(self._rows))
