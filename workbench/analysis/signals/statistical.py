"""The origin's statistical signal."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from workbench.analysis.signals._classic import classic_evidence, z_scores
from workbench.analysis.signals.base import Finding, Scope, Signal

__all__ = ["Statistical"]

_FULL = 5.0


class Statistical(Signal):
    """min(max |z| / 5, 1) over the features; a feature without spread has z = 0."""

    profile: ClassVar[Literal["classic", "ensemble"]] = "classic"
    weight = 0.2

    def find(self, scope: Scope) -> Finding:
        """Return the signal of each actor."""
        z = z_scores(scope.matrix.values)
        return Finding(np.minimum(np.abs(z).max(1, initial=0) / _FULL, 1.0), classic_evidence(scope, z))
