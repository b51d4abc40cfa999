"""Runs one step that is not SQL on the stage that it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from workbench.plans.expressions import conditions, quoted
from workbench.plans.model import (
    CatalogStep,
    Compare,
    Describe,
    Get,
    Neighbourhood,
    Nodes,
    Pairs,
    PathStep,
    Read,
    Search,
    Shared,
    Similar,
    Traverse,
)
from workbench.plans.relation import Relation
from workbench.plans.results import Lineage
from workbench.plans.shapes import columns_of_table, output
from workbench.plans.steps import documents, edges, graph, knowledge, vectors
from workbench.plans.times import Period, period

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workbench.knowledge import Knowledge
    from workbench.plans.expressions import Clock
    from workbench.plans.model import Filter, Step
    from workbench.plans.shapes import Columns
    from workbench.plans.world import Runtime

__all__ = ["Staged", "run_stage"]

_ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
    "list": pa.list_(pa.string()),
    "other": pa.string(),
}


@dataclass(frozen=True)
class Staged:
    """What a stage gave for a step.

    Attributes:
        table: Its rows.
        relation: The rows as SQL, with the step's own conditions.
        lineage: Where they come from.
        hidden: How many rows a limit left out.
        edges: Edges between the rows.
        notes: What a reader must know.
    """

    table: pa.Table
    relation: Relation
    lineage: Lineage
    hidden: int = 0
    edges: pa.Table | None = None
    notes: tuple[str, ...] = ()

    @property
    def plain(self) -> str:
        """Return the statement that gives the rows of the stage as they are."""
        return Relation.of(self.relation.name, self.table).statement


def run_stage(  # noqa: C901, PLR0911, PLR0912, PLR0913, PLR0917  (one case an operation)
    step: Step,
    starts: Mapping[str, list[str]],
    computed: Any,
    world: Runtime,
    clock: Clock,
    sql: Callable[[str], Any],
) -> Staged:
    """Run a step.

    Args:
        step: The step.
        starts: The entities that it begins with: under ``start``, ``left``, ``right``.
        computed: The knowledge that a step ``read`` reads.
        world: The workspace.
        clock: Its clock.
        sql: Runs a statement and gives a frame.

    Raises:
        WorkbenchError: What the stage says is wrong.
    """
    generation = world.snapshot.generation
    window = Lineage(generation, tuple(world.snapshot.segments))
    within = _period(step, clock)
    begin = starts.get("start", [])
    needs_start = isinstance(step, Describe | Traverse | Neighbourhood | Shared)
    if needs_start and not begin:
        table = _empty(output(step, {}, world) or {})
        return _staged(step, table, window, clock, notes=("There was no entity to begin with.",))
    match step:
        case Get():
            days = tuple(sorted({address.partition("/")[0] for address in step.addresses}))
            return _staged(step, documents.get(step, world), Lineage(generation, days), clock)
        case Search():
            return _staged(step, vectors.search(step, within, world), window, clock)
        case Similar():
            return _staged(step, vectors.similar(step, world), window, clock)
        case Nodes():
            return _staged(step, graph.nodes(step, world), window, clock)
        case Describe():
            return _staged(step, graph.describe(begin, world), window, clock)
        case Traverse():
            table, lineage, notes = _traversed(step, begin, within, world, sql)
            return _staged(step, table, lineage, clock, notes=notes)
        case Pairs():
            return _staged(
                step, graph.pairs(step, within, world, sql), _edges_read(step, within, world), clock
            )
        case PathStep():
            return _staged(step, graph.path(step, world), window, clock)
        case Neighbourhood():
            nodes, between, hidden = graph.neighbourhood(step, begin, world)
            note = (f"{hidden:,} more entities were left out by the limit.",) if hidden else ()
            return _staged(step, nodes, window, clock, hidden=hidden, edges=between, notes=note)
        case Shared():
            return _staged(step, graph.shared(step, begin, world), window, clock)
        case Read():
            table, lineage, notes = _read(step, starts.get("start"), computed, within, window)
            return _staged(step, table, lineage, clock, notes=notes)
        case Compare():
            table = knowledge.compare(step, starts["left"], starts["right"], world)
            return _staged(step, table, window, clock)
        case CatalogStep():
            table = knowledge.catalog(step, world)
            return _staged(
                step, table if table.num_columns else _empty(output(step, {}, world) or {}), window, clock
            )
    raise AssertionError(step)


def _period(step: Step, clock: Clock) -> Period:
    since, until = getattr(step, "since", None), getattr(step, "until", None)
    return period(since, until, clock.now, clock.timezone)


def _empty(columns: Columns) -> pa.Table:
    return pa.table({name: pa.array([], _ARROW[kind]) for name, kind in columns.items()})


def _staged(step: Step, table: pa.Table, lineage: Lineage, clock: Clock, **more: Any) -> Staged:
    """Return a stage's rows with the step's own conditions on them."""
    relation = Relation.of(step.id, table)
    where: tuple[Filter, ...] = getattr(step, "where", ())
    if where:
        test = conditions(where, columns_of_table(table.schema), clock)
        body = f"SELECT * FROM given.{quoted(step.id)} WHERE {test}"
        relation = Relation(step.id, relation.columns, ((step.id, body),), relation.order, relation.tables)
    return Staged(table, relation, lineage, **more)


def _traversed(
    step: Traverse, begin: list[str], within: Period, world: Runtime, sql: Callable[[str], Any]
) -> tuple[pa.Table, Lineage, tuple[str, ...]]:
    table = graph.traverse(step, begin, within, world, sql)
    notes = ["The weight counts the events behind the edges."] if table.num_rows else []
    if within and step.depth > 1:
        notes.append("Every edge is of an event in that time; along a way, they may be in any order.")
    return table, _edges_read(step, within, world), tuple(notes)


def _edges_read(step: Traverse | Pairs, within: Period, world: Runtime) -> Lineage:
    """Return what a step along edges reads: the window, or the segments of the events in a time."""
    segments = tuple(world.snapshot.segments)
    if within:
        types = {name for name, _, _ in edges.event_rules(world, step.edge_types)}
        segments = documents.segments_of(types, within, world)
    return Lineage(world.snapshot.generation, segments)


def _read(
    step: Read, about: list[str] | None, computed: Knowledge, within: Period, window: Lineage
) -> tuple[pa.Table, Lineage, tuple[str, ...]]:
    run = computed.run
    table = knowledge.rows_about(computed.to_arrow(), step, about, within)
    first, last, _ = run.segments
    segments = sorted({first, last, *(day for day in window.segments if first <= day <= last)})
    lineage = Lineage(window.generation, tuple(segments), (run.id,), (run.seed,))
    days = run.parameters.get("lookback_days")
    look = f", looking back {days} days" if days else ""
    return table, lineage, (f"Computed: {run.kind} as of {run.day}{look}, by {run.algorithm}.",)
