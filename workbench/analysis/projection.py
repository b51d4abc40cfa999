"""Actors as points of a plane: by principal components, or by UMAP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from workbench.compute import backends, choose, run
from workbench.errors import DriverUnavailableError
from workbench.tabular import Tabular

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.compute import KernelRun, Points
    from workbench.compute.base import Device

__all__ = ["METHODS", "MOST", "Projection", "cannot", "umap"]

METHODS = ("pca", "umap")
MOST = 4_000
"""The most actors that UMAP places unless it is told otherwise.

From 4,096 on umap-learn finds neighbours by an approximation, which it first has to compile: that takes
longer than all the rest.
"""


@dataclass(frozen=True, repr=False)
class Projection(Tabular):
    """Actors in a plane: ``entity``, ``x`` and ``y``.

    Attributes:
        table: The rows.
        method: ``pca`` or ``umap``.
        of: How many actors there are; more than rows where a sample was placed.
        kernel: How UMAP came about; None of principal components, which are part of the clusters' run.
    """

    table: pa.Table
    method: str
    of: int
    kernel: KernelRun | None = None

    def to_arrow(self) -> pa.Table:
        """Return the rows."""
        return self.table

    def _title(self) -> str:
        return self.facts

    @property
    def facts(self) -> str:
        """Return how they were placed, in words."""
        shown = f"{self.table.num_rows:,} of {self.of:,} actors" if self.table.num_rows < self.of else ""
        if self.kernel is None:
            return shown or "principal components"
        why = f" ({self.kernel.reason})" if self.kernel.reason else ""
        trust = f"trustworthiness {self.kernel.metrics['trustworthiness']:.2f}"
        facts = [f"UMAP on {self.kernel.device}{why}", shown, f"{self.kernel.seconds:.2g} s", trust]
        return ", ".join(filter(None, facts))


def cannot(device: Device | str) -> str:
    """Return why UMAP cannot run on a device; nothing if it can."""
    try:
        choose(backends, device, "umap")
    except DriverUnavailableError as error:
        return error.message.removesuffix(".")
    return ""


def umap(entities: pl.Series, points: Points, *, of: int, device: Device | str, seed: int) -> Projection:
    """Return where UMAP puts actors; the same seed gives the same on a device.

    Args:
        entities: Their names.
        points: What they are like, row by row.
        of: How many actors there are in all.
        device: Where.
        seed: Decides the result.

    Raises:
        DriverUnavailableError: If the device cannot run it.
    """
    found = run(backends, device, "umap", points, seed=seed)
    plane = {name: pl.Series(found.table[f"component_{i}"]) for i, name in enumerate(("x", "y"))}
    frame = pl.DataFrame({"entity": entities, **plane})
    return Projection(frame.to_arrow(compat_level=pl.CompatLevel.oldest()), "umap", of, found)
