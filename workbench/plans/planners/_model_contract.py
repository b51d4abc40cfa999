"""From a plan back to the form, where it has that shape: so that every accepted plan can be an example."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from workbench.plans.model import (
    Aggregate,
    CatalogStep,
    Describe,
    PathStep,
    Read,
    Scan,
    Similar,
    Sort,
    Timeline,
    Top,
    Traverse,
)
from workbench.plans.planners._model_form import EVERYTHING, ORDERS, SECTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workbench.plans.model import Filter, Measure, Plan, Step

__all__ = ["contract"]

Data = dict[str, Any]
_PLAIN = ("=", "!=", "<", "<=", ">", ">=", "contains", "starts with")


class _NoForm(Exception):  # noqa: N818  (not an error: the plan says more than the form can)
    """The plan has another shape."""


def contract(plan: Plan, terms: Mapping[str, Sequence[str]]) -> Data | None:
    """Return the query of the form that means a plan, or None where the form cannot say it.

    Args:
        plan: The plan.
        terms: The schema's nouns for several event types, with these.
    """
    try:
        return _query(plan.steps, terms)
    except _NoForm:
        return None


def _query(steps: Sequence[Step], terms: Mapping[str, Sequence[str]]) -> Data:  # noqa: PLR0911
    match steps:
        case [Scan() as scan] if scan.limit and not scan.columns:
            return _with_events(scan, terms, {"do": "list"}, {"limit": scan.limit})
        case [Scan() as scan, Timeline() as line] if line.field == "_ts" and len(line.by) <= 1:
            more = {"figure": _figure(line.measures), "bucket": line.bucket, "split": "".join(line.by)}
            return _with_events(scan, terms, {"do": "timeline"}, more)
        case [Scan() as scan, Aggregate() as figures, *rest] if len(rest) <= 1:
            return _with_events(scan, terms, {"do": "figures"}, _figures(figures, rest))
        case [Traverse() as step] if step.depth == 1 and isinstance(step.start, tuple):
            return _connected(step)
        case [PathStep() as step] if not step.edge_types:
            return {"do": "path", "from": step.start[0], "to": step.start[1]}
        case [Similar() as step]:
            return {"do": "similar", "entity": step.entity, "k": step.k}
        case [Describe() as step] if isinstance(step.start, tuple) and len(step.start) == 1:
            return {"do": "describe", "entity": step.start[0]}
        case [Read() as step] if not step.where and not step.asof and not isinstance(step.start, str):
            of = step.start[0] if step.start else EVERYTHING
            return {"do": "knowledge", "kind": step.kind, "of": of, **_time(step.since, step.until)}
        case [CatalogStep() as step] if step.section in SECTIONS:
            return {"do": "catalog", "section": step.section}
    raise _NoForm


def _with_events(scan: Scan, terms: Mapping[str, Sequence[str]], head: Data, more: Data) -> Data:
    named = [name for name, types in terms.items() if set(types) == set(scan.types)]
    if not named and len(scan.types) != 1:
        raise _NoForm
    where = [condition for test in scan.where for condition in _conditions(test)]
    query = {**head, "events": named[0] if named else scan.types[0], **more}
    return {**query, **({"where": where} if where else {}), **_time(scan.since, scan.until)}


def _conditions(test: Filter) -> list[Data]:
    if test.op in ("in", "not in") and isinstance(test.value, tuple):
        op = "=" if test.op == "in" else "!="
        return [{"field": test.field, "op": op, "value": value} for value in test.value]
    if test.op not in _PLAIN:
        raise _NoForm
    return [{"field": test.field, "op": test.op, "value": test.value}]


def _figure(measures: Sequence[Measure]) -> str:
    if len(measures) != 1:
        raise _NoForm
    (measure,) = measures
    if measure.op == "share":
        if len(measure.where) != 1 or (measure.where[0].field, measure.where[0].op) != ("_type", "="):
            raise _NoForm
        return f"share of {measure.where[0].value}"
    if measure.where or measure.op == "part":
        raise _NoForm
    return f"{measure.op} {measure.field or ''}".strip()


def _figures(figures: Aggregate, rest: Sequence[Step]) -> Data:
    by = [group.bucket or group.field for group in figures.by]
    if len(by) > 2 or any(group.bucket and group.field != "_ts" for group in figures.by):
        raise _NoForm
    query = {"figure": _figure(figures.measures), "by": by, "order": ORDERS[0], "limit": 0}
    name = figures.measures[0].name
    match rest:
        case [Top() as top] if top.by == name:
            return {**query, "order": ORDERS[top.ascending], "limit": top.n}
        case [Sort() as sort] if sort.by[0].field == name:
            return {**query, "order": ORDERS[not sort.by[0].descending]}
        case []:
            return query
    raise _NoForm


def _connected(step: Traverse) -> Data:
    if len(step.types) != 1 or len(step.edge_types) > 1 or step.since or step.until:
        raise _NoForm
    to = f"{step.types[0]} by {step.edge_types[0]}" if step.edge_types else step.types[0]
    return {"do": "connected", "start": list(step.start), "to": to, "of": "each"}


def _time(since: str | None, until: str | None) -> Data:
    if since is None and until is None:
        return {}
    if since is not None and until is None and since.startswith("last "):
        return {"time": since}
    try:
        first = date.fromisoformat(since or "")
        last = date.fromisoformat(until or "") - timedelta(days=1)
    except ValueError:
        raise _NoForm from None
    return {"time": f"{first} to {last}" if first != last else str(first)}
