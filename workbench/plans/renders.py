"""How results are shown where a plan does not say it: told from the shape of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.types as pt

from workbench.plans.model import Neighbourhood, PathStep, Render, Timeline

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.plans.model import Plan, Step

__all__ = ["chosen_renders"]

_MOST_BARS = 40
_COLOURS = 12


def chosen_renders(plan: Plan, table: pa.Table) -> tuple[Render, ...]:
    """Return the plan's renders, or the one that fits its main table.

    >>> import pyarrow as pa
    >>> from workbench.plans import Plan
    >>> plan = Plan.model_validate({"steps": [{"op": "catalog", "id": "c", "section": "event_types"}]})
    >>> [r.kind for r in chosen_renders(plan, pa.table({"name": ["a", "b"], "documents": [1, 2]}))]
    ['bar']
    """
    return plan.renders or (_fitting(plan.main, table),)


def _fitting(step: Step, table: pa.Table) -> Render:
    numbers = [f.name for f in table.schema if pt.is_integer(f.type) or pt.is_floating(f.type)]
    times = [f.name for f in table.schema if pt.is_timestamp(f.type)]
    names = [f.name for f in table.schema if f.name not in {*numbers, *times} and not pt.is_nested(f.type)]
    title = step.title
    if isinstance(step, Neighbourhood | PathStep):
        return Render(kind="graph", source=step.id, title=title)
    if isinstance(step, Timeline) or (times and len(times) == 1 and numbers and not names):
        color = names[0] if names and len(set(table[names[0]].to_pylist())) <= _COLOURS else None
        figures = tuple(numbers[:1] if color else numbers)
        return Render(kind="line", source=step.id, title=title, x=times[0], y=figures, color=color)
    if table.num_rows == 1 and numbers and len(table.column_names) <= 3:
        return Render(kind="metric", source=step.id, title=title, y=tuple(numbers))
    if names and len(numbers) == 1 and len(names) == 1 and 1 < table.num_rows <= _MOST_BARS:
        return Render(kind="bar", source=step.id, title=title, x=names[0], y=(numbers[0],))
    return Render(kind="table", source=step.id, title=title)
