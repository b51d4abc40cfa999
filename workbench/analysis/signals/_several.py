"""One probability of several: a signal looks at every edge type and says what is rarest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.analysis.signals.base import Finding

if TYPE_CHECKING:
    from workbench.analysis.signals.base import Scope

__all__ = ["smallest"]


def smallest(scope: Scope, tails: list[np.ndarray], rows: list[pl.DataFrame], reason: str) -> Finding:
    """Return the smallest of several tail probabilities, as improbable as the smallest of so many is.

    Args:
        scope: What was looked at.
        tails: One probability an actor each; not a number where there is nothing to say.
        rows: The evidence.
        reason: Why there is nothing at all, where ``tails`` is empty.
    """
    if not tails:
        return Finding(np.full(len(scope), np.nan), reason=reason)
    stacked = np.stack(tails)
    known = np.isfinite(stacked)
    least = np.where(known, stacked, 1.0).min(0)
    found = np.where(known.any(0), np.minimum(least * known.sum(0), 1.0), np.nan)
    return Finding(found, pl.concat(rows))
