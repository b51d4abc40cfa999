"""What triage says of subjects, where there is a triage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from workbench.analysis.triage import Triage

if TYPE_CHECKING:
    from workbench.rules.scene import World

__all__ = ["marks"]


def marks(world: World) -> pl.DataFrame:
    """Return ``subject`` and ``mark`` (``confirmed``, ``benign`` or ``ignored``), the newest of each."""
    return Triage(world).marks().select(pl.col("entity").alias("subject"), "mark")
