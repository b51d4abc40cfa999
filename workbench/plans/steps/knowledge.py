"""Steps over what is computed, over features, and over the catalog."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from workbench.analysis import tasks
from workbench.errors import UsageError
from workbench.knowledge import parse_asof
from workbench.plans.steps.graph import to_arrow
from workbench.plans.times import period

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from workbench.knowledge import Knowledge
    from workbench.plans.expressions import Clock
    from workbench.plans.model import CatalogStep, Compare, Read
    from workbench.plans.times import Period
    from workbench.plans.world import Runtime, World

__all__ = ["catalog", "compare", "knowledge", "known_kinds", "rows_about", "time_of"]

_LOOKBACK = "lookback_days"


def known_kinds(world: World) -> list[str]:
    """Return the kinds of knowledge that there are or that can be computed."""
    return sorted({*world.knowledge.kinds(), *tasks.names()})


def time_of(kind: str, columns: Collection[str]) -> str:
    """Return how a kind is selected by time: by ``look-back``, ``overlap`` of its own times, or not."""
    if kind in tasks.names() and _LOOKBACK in tasks.load(kind).defaults:
        return "look-back"
    return "overlap" if {"since", "until"} <= set(columns) else ""


def knowledge(step: Read, world: Runtime, clock: Clock) -> Knowledge:
    """Return the result that a step reads, computed first where there is none.

    A kind that looks back from its ``asof`` is, with ``since`` and ``until``, that of the period: as of its
    last day, with a look-back of its length.

    Raises:
        WorkbenchError: If there is no such knowledge as of that day and it cannot be computed.
    """
    asof = step.asof
    parameters: dict[str, Any] = {}
    within = period(step.since, step.until, clock.now, clock.timezone)
    if within and time_of(step.kind, ()) == "look-back":
        last, days = _look_back(within, world)
        parameters[_LOOKBACK] = days
        asof = asof or last
    if not parameters:
        found = _as_it_is(step.kind, asof, world)
        if found is not None:
            return found
    return world.compute(step.kind, asof=asof, keep="if possible", **parameters)


def _as_it_is(kind: str, asof: str | None, world: Runtime) -> Knowledge | None:
    """Return what there is of a kind: of a task's results the newest with the default parameters."""
    if kind not in tasks.names():
        return world.knowledge.read(kind, asof=asof)
    defaults = tasks.load(kind).complete({})
    runs = [run for run in world.knowledge.runs(kind) if run.parameters == defaults]
    if asof is not None:
        day = parse_asof(asof)
        runs = [run for run in runs if run.day == day]
    return world.knowledge.read(kind, run=runs[-1].id) if runs else None


def _look_back(within: Period, world: World) -> tuple[str, int]:
    """Return the last segment of a period and the period's length in days.

    Segments are days of UTC: the last one is that whose end is nearest to the period's.
    """
    days = world.snapshot.segments
    if within.until is not None:
        end = (within.until - timedelta(hours=12)).date().isoformat()
        days = [day for day in days if day <= end]
    if not days:
        raise UsageError(f"the window holds no events before {within.until}.")
    if within.since is None:
        return days[-1], len(days)
    stop = within.until or world.now or within.since
    return days[-1], max(1, round((stop - within.since) / timedelta(days=1)))


def rows_about(table: pa.Table, step: Read, entities: Sequence[str] | None, within: Period) -> pa.Table:
    """Return the rows that are about some entities and, of rows with a time of their own, that time.

    Raises:
        UsageError: If the rows are about no entities, or about no time.
    """
    if entities is not None:
        if "entity" not in table.column_names:
            raise UsageError(
                f"{step.kind} is not about entities: its columns are {', '.join(table.column_names)}."
            )
        table = table.filter(pc.is_in(table["entity"].cast("string"), pa.array(entities, pa.string())))
    how = time_of(step.kind, table.column_names)
    if not within or how == "look-back":
        return table
    if not how:
        raise UsageError(f"{step.kind} is not about times.", fix="Leave since and until out, or use asof.")
    frame = pl.DataFrame(table)
    if within.since:
        frame = frame.filter(pl.col("until") > within.since)
    if within.until:
        frame = frame.filter(pl.col("since") < within.until)
    return to_arrow(frame)


def compare(step: Compare, left: Sequence[str], right: Sequence[str], world: Runtime) -> pa.Table:
    """Return the means of two sets of entities over the features, and how far they are apart.

    ``difference`` is in standard deviations of all entities of the type.

    Raises:
        UsageError: If the sets are empty or of different types.
    """
    import numpy as np  # noqa: PLC0415

    types = {entity.partition(":")[0] for entity in [*left, *right]}
    if not left or not right or len(types) != 1:
        raise UsageError(
            f"cannot compare {len(left):,} with {len(right):,} entities ({', '.join(sorted(types))}).",
            fix="Both sets must hold entities, all of one type.",
        )
    matrix = world.features(types.pop())
    places = {entity: n for n, entity in enumerate(matrix.entities.to_pylist())}
    means, sizes = [], []
    for side in (left, right):
        rows = [places[entity] for entity in dict.fromkeys(side) if entity in places]
        if not rows:
            raise UsageError("none of the entities has features.", where=step.id)
        means.append(np.nanmean(matrix.values[rows], axis=0))
        sizes.append(len(rows))
    spread = np.nanstd(matrix.values, axis=0)
    apart = np.divide(means[0] - means[1], spread, out=np.zeros_like(spread), where=spread > 0)
    order = np.argsort(-np.abs(apart), kind="stable")
    names = np.array(matrix.names, dtype=object)[order]
    return pa.table(
        {
            "feature": pa.array(names, pa.string()),
            "left": means[0][order],
            "right": means[1][order],
            "difference": apart[order],
        }
    )


def catalog(step: CatalogStep, world: World) -> pa.Table:
    """Return a section of the catalog as a table."""
    rows = [_SECTIONS[step.section](entry) for entry in _entries(step, world)]
    if step.section == "fields":
        rows = [row for group in rows for row in group]
    return pa.Table.from_pylist(rows) if rows else pa.table({})


def _entries(step: CatalogStep, world: World) -> Sequence[Any]:
    found: Sequence[Any] = getattr(world.catalog, "event_types" if step.section == "fields" else step.section)
    return found


_SECTIONS: dict[str, Any] = {
    "event_types": lambda e: {
        "name": e.name,
        "documents": e.documents,
        "share": e.share,
        "first": e.first,
        "last": e.last,
        "fields": len(e.fields),
        "description": e.description,
    },
    "fields": lambda e: [
        {
            "event_type": e.name,
            "name": f.name,
            "kind": f.type,
            "null_share": f.null_share,
            "distinct": f.distinct,
            "minimum": f.minimum,
            "maximum": f.maximum,
            "examples": ", ".join(f.examples),
            "entities": ", ".join(f.entities),
        }
        for f in e.fields
    ],
    "entity_types": lambda e: {
        "name": e.name,
        "count": e.count,
        "who": e.who,
        "attribute": e.attribute,
        "sightings": e.sightings,
        "properties": ", ".join(p.name for p in e.properties),
        "description": e.description,
    },
    "edge_types": lambda e: {
        "name": e.name,
        "source": e.source,
        "target": e.target,
        "count": e.count,
        "weight": e.weight,
        "description": e.description,
    },
    "knowledge": lambda e: {
        "kind": e.kind,
        "rows": e.rows,
        "asof": e.asof,
        "algorithm": e.algorithm,
        "seed": e.seed,
    },
}
