"""How soon random cuts through the features part an actor from all others."""

from __future__ import annotations

import numpy as np

from workbench.analysis.signals._peers import tail_of
from workbench.analysis.signals.base import Finding, Scope, Signal
from workbench.analysis.tails import FEWEST
from workbench.compute import Points, backends, run

__all__ = ["Isolation"]


class Isolation(Signal):
    """An isolation forest on the standardised features. Source: Liu, Ting and Zhou 2008."""

    weight = 0.05

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's isolation."""
        if len(scope.active) < FEWEST:
            reason = f"{len(scope.active)} actors are too few to compare"
            return Finding(np.full(len(scope), np.nan), reason=reason)
        context = scope.context
        kernel = run(backends, context.device, "isolation", Points(scope.points), seed=context.seed)
        return Finding(tail_of(scope, kernel.table["score"].to_numpy()), kernel=kernel)
