"""The feature in which an actor differs most from all others."""

from __future__ import annotations

import numpy as np

from workbench.analysis.signals._peers import peer_evidence, tail_of, too_few
from workbench.analysis.signals.base import Finding, Scope, Signal

__all__ = ["Outlying"]


class Outlying(Signal):
    """The largest robust z-score over the standardised features: the robust version of ``statistical``."""

    weight = 0.3

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's largest deviation."""
        if reason := too_few(scope):
            return scope.nothing(reason)
        tail = tail_of(scope, np.abs(scope.points).max(1))
        return Finding(tail, peer_evidence(scope, tail))
