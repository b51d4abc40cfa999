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

    from workbench.knowledge.store import KnowledgeStore, Run
    from workbench.storage import Snapshot

__all__ = ["TASKS", "Computed", "computed_edges"]

TASKS = {"SimilarTo": "similarity"}
"""Which task finds the edges of a type."""


@dataclass(frozen=True)
class Computed:
    """Edges of one type that compute found.

    Attributes:
        type: The edges' type.
        runs: The runs of the task that found them.
        edges: ``source`` and ``target`` as they are written, ``weight`` (above 0), ``run``; each pair once.
    """

    type: str
    runs: tuple[str, ...]
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
    """Return by type what gives the edges of the newest results, read when it is called.

    They weigh their similarity. For each type of entities the newest result counts, as long as all days live
    that it is of. Each raises UnknownNameError where there is no result, and UsageError where none counts.
    """
    return {name: partial(_edges, world, name) for name in TASKS}


def _edges(world: World, type_: str) -> Computed:
    task, live = TASKS[type_], world.snapshot.segments
    # the last of each; without a type a task takes the first, which may be asked for by its name too
    newest = {run.parameters["type"]: run.id for run in world.knowledge.runs(task)}
    found = [world.knowledge.read(task, run=run) for run in newest.values()] or [world.knowledge.read(task)]
    tables: dict[str, tuple[Run, pl.DataFrame]] = {}
    for result in sorted(found, key=lambda result: (result.run.asof, result.run.created)):
        table = pl.DataFrame(result.to_arrow())
        of = str(table["source"][0]).partition(":")[0] if table.height else ""
        tables[of] = result.run, table
    alive = {run.id: table for run, table in tables.values() if _lives(run, table, live)}
    if not alive:
        raise UsageError(
            f"the {type_} edges of {result.run.id} are of days that are not there any more.",
            fix=f"Run compute({task!r}) first.",
        )
    # what is alike by nothing, or by its opposite, is not joined
    weight = pl.col("similarity").clip(upper_bound=1.0).alias("weight")
    edges = pl.concat(
        table.filter(pl.col("similarity") > 0).select("source", "target", weight, pl.lit(run).alias("run"))
        for run, table in alive.items()
    )
    return Computed(type_, tuple(alive), edges.to_arrow(compat_level=pl.CompatLevel.oldest()))


def _lives(run: Run, table: pl.DataFrame, live: Sequence[str]) -> bool:
    """Return whether all days that a result is of are there."""
    first, last, days = run.segments
    if table.height and "days" in table.columns:  # not stored at first: it is of some of what the run saw
        first, last, days = (table[name][0] for name in ("first_day", "last_day", "days"))
    return bool(sum(first <= day <= last for day in live) >= days)
