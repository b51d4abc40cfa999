"""What would change if signals that were right counted more, shown before it is applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl

from workbench.analysis.signals import signals
from workbench.analysis.tails import combined, probability, score
from workbench.errors import UsageError
from workbench.tabular import Tabular

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.analysis.triage import Triage
    from workbench.knowledge import Knowledge

__all__ = ["Reweighting", "reweighted"]

_PRIOR = 4.0  # marks that a signal is as right as all together
_LEAST, _MOST = 0.25, 2.0


class _World(Protocol):
    timezone: str

    @property
    def triage(self) -> Triage: ...
    def compute(self, task: str, **parameters: Any) -> Knowledge: ...


@dataclass(frozen=True, repr=False)
class Reweighting(Tabular):
    """Actors whose class or place among the first would change with other weights of signals.

    Attributes:
        world: The workspace.
        weights: Signal to its weight.
        before: Signal to the weight that it has now.
        table: ``entity``, ``score``, ``score_then``, ``class``, ``class_then``, ``place``, ``place_then``.
        timezone: Of the workspace.
    """

    world: _World
    weights: dict[str, float]
    before: dict[str, float]
    table: pa.Table
    timezone: str = "UTC"

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        return self.table

    def apply(self, *, author: str = "") -> Knowledge:
        """Keep the weights, compute the anomalies with them, and return these.

        Raises:
            ReadOnlyError: If the workspace is a mirror.
        """
        self.world.triage.apply("ensemble", self.weights, author=author)
        return self.world.compute("anomalies", profile="ensemble")

    def _title(self) -> str:
        changed = [
            f"{name} {self.before[name]:.2f} to {weight:.2f}"
            for name, weight in self.weights.items()
            if abs(weight - self.before[name]) >= 0.005
        ]
        return f"weights: {', '.join(changed) or 'none changes'}; apply() keeps them"


def reweighted(world: _World, run: Knowledge, first: int) -> Reweighting:
    """Return what weights by the signals' precision would change in a run.

    A signal's weight is multiplied by its precision over that of all anomalies, both drawn together by four
    marks' worth, within a quarter and twice the signal's own weight.

    Args:
        world: The workspace.
        run: The newest anomalies of the profile ``ensemble``.
        first: How many of the highest places are compared beside the classes.

    Raises:
        UsageError: If nothing is marked as confirmed or benign.
    """
    names = [c.removeprefix("signal_") for c in run.table.column_names if c.startswith("signal_")]
    counts = {row["signal"]: row for row in world.triage.precision().iter_rows(named=True)}
    every = counts["any"]
    if every["precision"] is None:
        raise UsageError(
            "nothing is marked as confirmed or benign.", fix="Mark some anomalies: anomalies.mark(…)."
        )
    now = world.triage.weights("ensemble")
    before, weights = {}, {}
    base = max(every["precision"], 1e-3)
    for name in names:
        own = signals.load(name).weight
        said = counts.get(name, {"confirmed": 0, "benign": 0})
        number = said["confirmed"] + said["benign"]
        right = (said["confirmed"] + _PRIOR * base) / (number + _PRIOR)
        before[name] = now.get(name, own)
        weights[name] = round(own * float(np.clip(right / base, _LEAST, _MOST)), 4)
    return Reweighting(
        world, weights, before, _compared(run, names, list(weights.values()), first), world.timezone
    )


def _compared(run: Knowledge, names: list[str], weights: list[float], first: int) -> pa.Table:
    frame = run.to_polars()
    scores = np.stack([frame[f"signal_{name}"].cast(pl.Float64).to_numpy() for name in names])
    then = score(combined(probability(scores), np.array(weights)))
    limits = pl.sum_horizontal((pl.col("score_then") >= limit).cast(pl.Int32) for limit in (0.3, 0.5, 0.7))
    classes = dict(enumerate(("normal", "mild", "anomalous", "highly anomalous")))
    found = frame.select("entity", "score", "class", "place").with_columns(
        pl.Series("score_then", then),
    )
    found = found.with_columns(
        limits.replace_strict(classes, return_dtype=pl.String).alias("class_then"),
        pl.col("score_then").rank("ordinal", descending=True).cast(pl.Int64).alias("place_then"),
    )
    moved = (pl.col("class") != pl.col("class_then")) | (
        (pl.col("place") != pl.col("place_then")) & (pl.min_horizontal("place", "place_then") <= first)
    )
    columns = ["entity", "score", "score_then", "class", "class_then", "place", "place_then"]
    shown = found.filter(moved).sort("place_then").select(columns)
    return shown.to_arrow(compat_level=pl.CompatLevel.oldest())
