"""How soon random cuts through the features part an actor from all others."""

from __future__ import annotations

from workbench.analysis.signals._peers import tail_of, too_few
from workbench.analysis.signals.base import Finding, Scope, Signal
from workbench.compute import Points, backends, run

__all__ = ["Isolation"]


class Isolation(Signal):
    """An isolation forest on the standardised features. Source: Liu, Ting and Zhou 2008."""

    weight = 0.05

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's isolation."""
        if reason := too_few(scope):
            return scope.nothing(reason)
        context = scope.context
        kernel = run(backends, context.device, "isolation", Points(scope.points), seed=context.seed)
        return Finding(tail_of(scope, kernel.table["score"].to_numpy()), kernel=kernel)
