"""What is found about subjects: whether, how much, beyond what, and why in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from workbench.config.anomaly_rule import Operator

__all__ = ["Verdict", "compare", "figure"]

_COMPARE: dict[str, Callable[[NDArray[np.float64], float | NDArray[np.float64]], NDArray[np.bool_]]] = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
    "=": np.equal,
    "!=": np.not_equal,
}


@dataclass(frozen=True)
class Verdict:
    """What a condition says of every subject.

    Attributes:
        hit: For whom it holds.
        value: What was measured.
        limit: What it was compared with.
        reason: Returns why, in words, of a row.
        event_type: The event type that it is about, for the events behind it; empty: all.
    """

    hit: NDArray[np.bool_]
    value: NDArray[np.float64]
    limit: NDArray[np.float64]
    reason: Callable[[int], str]
    event_type: str = ""


def compare(
    values: NDArray[np.float64], operator: Operator, limit: float | NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return where values are beyond a limit; never where there is no value.

    >>> compare(np.array([1.0, 3.0, np.nan]), "!=", 3.0).tolist()
    [True, False, False]
    """
    known = np.isfinite(values) & np.isfinite(limit)
    return np.asarray(_COMPARE[operator](values, limit) & known)


def figure(value: float) -> str:
    """Return a number for people.

    >>> figure(3.0), figure(0.12345), figure(12345.678)
    ('3', '0.123', '12,346')
    """
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
