"""Edges between entities that tasks have found: what the graph is asked for by their type."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol

import polars as pl

from workbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from workbench.config.entity_schema import EntitySchema
    from workbench.knowledge.store import KnowledgeStore, Run
    from workbench.storage import Snapshot

__all__ = ["TASKS", "Computed", "computed_edges"]


@dataclass(frozen=True)
class Computed:
    """Edges of one type that compute found.

    Attributes:
        type: The edges' type.
        runs: The runs of the task that found them.
        rows: How many rows their results have: forgetting takes some out of a run's.
        read: Returns :attr:`edges`.
        groups: The type of the entities at the target end that compute found too; empty where both ends are
            entities of the window.
    """

    type: str
    runs: tuple[str, ...]
    rows: int
    read: Callable[[], pa.Table]
    groups: str = ""

    @cached_property
    def edges(self) -> pa.Table:
        """``source`` and ``target`` as they are written, ``weight`` (above 0), ``run``; each pair once."""
        return self.read()


class World(Protocol):
    """What computed edges need of a workspace."""

    @property
    def schema(self) -> EntitySchema:
        """Return the entity schema."""

    @property
    def snapshot(self) -> Snapshot:
        """Return the generation that is being read."""

    @property
    def knowledge(self) -> KnowledgeStore:
        """Return the results of compute."""


def computed_edges(world: World) -> dict[str, Callable[[], Computed]]:
    """Return by type what gives the edges of the newest results, read when it is called.

    ``SimilarTo`` weighs the similarity, ``CoOccursWith`` the normalised pointwise mutual information; an
    entity that shares its cluster or its community with another has an edge of weight 1 to it. For each type
    of entities the newest result counts, as long as all days live that it is of. Each raises
    UnknownNameError where there is no result, and UsageError where none counts. A type of entities that the
    schema has is never one of groups.
    """
    own = world.schema.entities
    return {name: partial(_edges, world, name) for name, kind in _KINDS.items() if kind.groups not in own}


@dataclass(frozen=True)
class _Kind:
    """How edges of a type are read.

    Attributes:
        task: What finds them.
        read: Returns ``source``, ``target`` and ``weight`` of a result of it.
        about: The column that tells of which type of entities a result is; empty where the parameters do.
        groups: As :attr:`Computed.groups`.
    """

    task: str
    read: Callable[[pl.DataFrame], pl.DataFrame]
    about: str = ""
    groups: str = ""

    def of(self, run: Run, table: pl.DataFrame) -> str:
        """Return the type of the entities that a result is about."""
        if not self.about:
            return str(run.parameters.get("type", ""))
        return str(table[self.about][0]).partition(":")[0] if table.height else ""


def _together(table: pl.DataFrame) -> pl.DataFrame:
    return table.select(pl.col("first").alias("source"), pl.col("second").alias("target"), weight="npmi")


def _alike(table: pl.DataFrame) -> pl.DataFrame:
    return table.select("source", "target", weight="similarity")


def _inside(table: pl.DataFrame, group: str) -> pl.DataFrame:
    name = pl.format("{}:{}", pl.lit(group), group)
    several = table.filter(pl.col("size") > 1)
    return several.select(pl.col("entity").alias("source"), name.alias("target"), weight=pl.lit(1.0))


_KINDS = {
    "CoOccursWith": _Kind("cooccurrence", _together),
    "InCluster": _Kind("clusters", partial(_inside, group="cluster"), "type", "cluster"),
    "InCommunity": _Kind("communities", partial(_inside, group="community"), groups="community"),
    "SimilarTo": _Kind("similarity", _alike, "source"),
}
TASKS = {name: kind.task for name, kind in _KINDS.items()}
"""Which task finds the edges of a type."""


def _edges(world: World, type_: str) -> Computed:
    kind, live = _KINDS[type_], world.snapshot.segments
    # the last of each; without a type a task takes the first, which may be asked for by its name too
    newest = {run.parameters.get("type", ""): run.id for run in world.knowledge.runs(kind.task)}
    found = [world.knowledge.read(kind.task, run=run) for run in newest.values()]
    found = found or [world.knowledge.read(kind.task)]
    found.sort(key=lambda result: (result.run.asof, result.run.created))
    tables = [(result.run, result.to_arrow()) for result in found]
    # what says of which entities and days a result is stands in each of its rows
    heads = [(run, pl.DataFrame(table.slice(0, 1)), table) for run, table in tables]
    last = {kind.of(run, head): (run, head, table) for run, head, table in heads}
    alive = [(run, table) for run, head, table in last.values() if _lives(run, head, live)]
    if not alive:
        raise UsageError(
            f"the {type_} edges of {found[-1].run.id} are of days that are not there any more.",
            fix=f"Run compute({kind.task!r}) first.",
        )
    runs, rows = tuple(run.id for run, _ in alive), sum(table.num_rows for _, table in alive)
    return Computed(type_, runs, rows, partial(_joined, kind, alive), kind.groups)


def _joined(kind: _Kind, alive: Sequence[tuple[Run, pa.Table]]) -> pa.Table:
    edges = pl.concat(kind.read(pl.DataFrame(table)).with_columns(run=pl.lit(run.id)) for run, table in alive)
    # what is alike or goes together by nothing, or by its opposite, is not joined
    edges = (
        edges.filter(pl.col("weight") > 0)
        .with_columns(pl.col("weight").clip(upper_bound=1.0))
        .unique(("source", "target"), keep="last", maintain_order=True)
    )
    return edges.to_arrow(compat_level=pl.CompatLevel.oldest())


def _lives(run: Run, table: pl.DataFrame, live: Sequence[str]) -> bool:
    """Return whether all days that a result is of are there."""
    first, last, days = run.segments
    if table.height and "days" in table.columns:  # not stored at first: it is of some of what the run saw
        first, last, days = (table[name][0] for name in ("first_day", "last_day", "days"))
    return bool(sum(first <= day <= last for day in live) >= days)
