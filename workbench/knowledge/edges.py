"""Edges between entities that tasks have found: what the graph is asked for by their type."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import polars as pl

from workbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from workbench.knowledge.store import KnowledgeStore
    from workbench.storage import Snapshot

__all__ = ["TASKS", "Computed", "computed_edges"]

TASKS = {"SimilarTo": "similarity"}
"""Which task finds the edges of a type."""


@dataclass(frozen=True)
class Computed:
    """Edges of one type that compute found.

    Attributes:
        type: The edges' type.
        run: The run of the task that found them.
        edges: ``source`` and ``target`` as they are written, and ``weight``, above 0; each pair once.
    """

    type: str
    run: str
    edges: pa.Table


class World(Protocol):
    """What computed edges need of a workspace."""

    @property
    def snapshot(self) -> Snapshot:
        """Return the generation that is being read."""

    @property
    def knowledge(self) -> KnowledgeStore:
        """Return the results of compute."""


def computed_edges(world: World) -> dict[str, Callable[[], Computed]]:
    """Return by type what gives the edges of the newest result, read when it is called.

    They weigh their similarity. Each gives the edges as long as all days live that the result is of, or else
    raises: UnknownNameError where there is none, UsageError where it is of a day that is gone.
    """
    return {name: partial(_edges, world, name) for name in TASKS}


def _edges(world: World, type_: str) -> Computed:
    task = TASKS[type_]
    found = world.knowledge.read(task)
    table = pl.DataFrame(found.to_arrow())
    if not _lives(table, world.snapshot.segments):
        raise UsageError(
            f"the {type_} edges of {found.run.id} are of days that are not there any more.",
            fix=f"Run compute({task!r}) first.",
        )
    # what is alike by nothing, or by its opposite, is not joined
    alike = table.filter(pl.col("similarity") > 0).select(
        "source", "target", pl.col("similarity").clip(upper_bound=1.0).alias("weight")
    )
    return Computed(type_, found.run.id, alike.to_arrow(compat_level=pl.CompatLevel.oldest()))


def _lives(table: pl.DataFrame, live: Sequence[str]) -> bool:
    """Return whether all days that a result is of are there."""
    if table.is_empty():
        return True
    if "days" not in table.columns:  # as it was stored before days were
        return False
    first, last, days = (table[name][0] for name in ("first_day", "last_day", "days"))
    return bool(sum(first <= day <= last for day in live) >= days)
