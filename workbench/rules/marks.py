"""What triage says of subjects, where there is a triage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from workbench.rules.scene import World

__all__ = ["marks"]

_SCHEMA = {"subject": pl.String(), "mark": pl.String()}


def marks(world: World) -> pl.DataFrame:
    """Return ``subject`` and ``mark`` (``confirmed``, ``benign`` or ``ignored``), the newest of each."""
    del world
    return pl.DataFrame(schema=_SCHEMA)
