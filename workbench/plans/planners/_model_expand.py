"""From a filled form to a plan, and to a sentence that says what it does."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from workbench.plans.model import Plan
from workbench.plans.planners._model_form import ALL_TIME, BUCKETS, CYCLES, EVERYTHING, ORDERS, listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.plans.planners._model_form import Form

__all__ = ["expand"]

Data = dict[str, Any]
Step = dict[str, Any]
_LAST = re.compile(r"last \d+ \w+")


def expand(form: Form, query: Data, question: str) -> tuple[Plan, str]:
    """Return the plan that a query of the form means, and what it means in one sentence.

    Args:
        form: The form that was filled in.
        query: What was filled in.
        question: The question.

    Raises:
        ValueError: If the query is not one of the form's (pydantic's errors are such, too).
        KeyError: If something is missing in it.
    """
    make = _MAKERS.get(str(query["do"]))
    if make is None:
        raise ValueError(f"query.do: {query['do']!r} is no kind of query.")
    steps, renders, reading = make(form, query)
    plan = Plan.model_validate({"question": question, "steps": steps, "renders": renders})
    return plan, reading


Made = tuple[list[Step], list[Step], str]


def _scan(form: Form, query: Data) -> tuple[Step, str]:
    """Return the step that reads the documents, and the words for its conditions and time."""
    when, said = _period(form, query)
    where = [dict(condition) for condition in query.get("where", ())]
    step = {"op": "scan", "id": "documents", "types": list(form.types_of(query["events"])), **when}
    if where:
        step["where"] = _merged(where)
        tests = [f"{c['field']} {c['op']} {_shown(c['value'])}" for c in step["where"]]
        said = f" where {listed(tests)}{said}"
    return step, said


def _merged(conditions: list[Data]) -> list[Data]:
    """Return conditions of which several values of one field are alternatives."""
    found: list[Data] = []
    for condition in dict.fromkeys(tuple(c.items()) for c in conditions):
        test = dict(condition)
        same = next((c for c in found if (c["field"], c["op"]) == (test["field"], test["op"])), None)
        if same is None or test["op"] not in ("=", "!="):
            found.append(test)
        else:
            same["value"] = [
                *(same["value"] if isinstance(same["value"], list) else [same["value"]]),
                test["value"],
            ]
    for test in found:
        if isinstance(test["value"], list):
            test["op"] = "in" if test["op"] == "=" else "not in"
    return found


def _shown(value: Any) -> str:
    return listed([str(v) for v in value]) if isinstance(value, list) else str(value)


def _period(form: Form, query: Data) -> tuple[Data, str]:
    """Return ``since`` and ``until`` of what was written as a time, and its words."""
    text = query.get("time", ALL_TIME)
    if text == ALL_TIME:
        return {}, ""
    for name, since, until in form.found.periods:
        if name == text:
            when = {k: v for k, v in (("since", since), ("until", until)) if v is not None}
            return when, f" {name}" if name[:1].islower() else f" in {name}"
    if _LAST.fullmatch(text):
        return {"since": text}, f" in the {text}"
    first, _, last = text.partition(" to ")
    return {"since": first, "until": _after(last or first)}, f" in {text}"


def _after(text: str) -> str:
    """Return the day after a day, a month or a year.

    >>> _after("2013-12"), _after("2013-02-28"), _after("2013")
    ('2014-01-01', '2013-03-01', '2014-01-01')
    """
    parts = [int(part) for part in text.split("-")]
    if len(parts) == 3:
        return (date(*parts) + timedelta(days=1)).isoformat()
    year, month = (parts[0], parts[1]) if len(parts) == 2 else (parts[0], 12)
    return date(year + month // 12, month % 12 + 1, 1).isoformat()


def _measure(query: Data) -> tuple[Data, str]:
    """Return the measure of a figure, and its words."""
    op, _, name = str(query["figure"]).partition(" ")
    events = query["events"]
    if op == "count":
        return {"name": "count"}, f"the number of {events}"
    if op == "share":
        outcome = name.removeprefix("of ")
        where = [{"field": "_type", "op": "=", "value": outcome}]
        return {
            "name": f"share of {outcome}",
            "op": "share",
            "where": where,
        }, f"the share of {outcome} in {events}"
    field = f"{op} {name}"
    return {"name": field, "op": op, "field": name}, f"the {field} of {events}"


def _figures(form: Form, query: Data) -> Made:
    scan, conditions = _scan(form, query)
    measure, said = _measure(query)
    groups = [_group(name) for name in dict.fromkeys(query["by"])]
    columns = [str(group.get("name", group["field"])) for group in groups]
    steps = [
        scan,
        {"op": "aggregate", "id": "figures", "source": "documents", "by": groups, "measures": [measure]},
    ]
    reading = f"{said}{f' by {listed(columns)}' if columns else ''}{conditions}"
    if not groups:
        return steps, [{"kind": "metric", "source": "figures", "y": [measure["name"]]}], reading
    smallest = query["order"] == ORDERS[1]
    if query["limit"]:
        top = {"op": "top", "id": "answer", "source": "figures", "by": measure["name"], "n": query["limit"]}
        steps.append({**top, "ascending": smallest})
        reading += f", the {query['limit']} {'smallest' if smallest else 'largest'}"
    else:
        key = {"field": measure["name"], "descending": not smallest}
        steps.append({"op": "sort", "id": "answer", "source": "figures", "by": [key]})
        reading += f", {query['order']}"
    bar = {"kind": "bar", "source": "answer", "x": columns[0], "y": [measure["name"]]}
    if len(columns) > 1:
        bar["color"] = columns[1]
    return steps, [bar, {"kind": "table", "source": "answer"}], reading


def _group(name: str) -> Data:
    return {"field": "_ts", "bucket": name, "name": name} if name in {*BUCKETS, *CYCLES} else {"field": name}


def _timeline(form: Form, query: Data) -> Made:
    scan, conditions = _scan(form, query)
    measure, said = _measure(query)
    by = [query["split"]] if query["split"] else []
    line = {"op": "timeline", "id": "timeline", "source": "documents", "bucket": query["bucket"], "by": by}
    render = {"kind": "line", "source": "timeline", "x": "time", "y": [measure["name"]]}
    if by:
        render["color"] = by[0]
    split = f" for each {by[0]}" if by else ""
    return (
        [scan, {**line, "measures": [measure]}],
        [render],
        f"{said} per {query['bucket']}{split}{conditions}",
    )


def _list(form: Form, query: Data) -> Made:
    scan, conditions = _scan(form, query)
    scan["limit"] = query["limit"]
    reading = f"the first {query['limit']} {query['events']}{conditions}"
    return [scan], [{"kind": "table", "source": "documents"}], reading


def _connected(_: Form, query: Data) -> Made:
    far, by, edge = str(query["to"]).partition(" by ")
    starts = list(dict.fromkeys(query["start"]))
    step: Step = {"op": "traverse", "types": [far], **({"edge_types": [edge]} if edge else {})}
    way = f"{by}{edge}"
    if query["of"] == "each" or len(starts) == 1:
        steps = [{**step, "id": "connected", "start": starts}]
        reading = f"each {far} that is connected to {listed(starts)}{way}"
    else:
        names = [f"connected_{number}" for number in range(1, len(starts) + 1)]
        steps = [{**step, "id": name, "start": [start]} for name, start in zip(names, starts, strict=True)]
        steps.append({"op": "set", "id": "connected", "sources": names, "kind": "intersection"})
        reading = f"each {far} that is connected to all of {listed(starts)}{way}"
    return steps, [{"kind": "table", "source": "connected"}], reading


def _path(_: Form, query: Data) -> Made:
    ends = [query["from"], query["to"]]
    if ends[0] == ends[1]:
        raise ValueError("query.to: a path needs two different ends.")
    step = {"op": "path", "id": "path", "start": ends}
    return [step], [{"kind": "graph", "source": "path"}], f"how {listed(ends)} are connected"


def _similar(_: Form, query: Data) -> Made:
    step = {"op": "similar", "id": "similar", "entity": query["entity"], "k": query["k"]}
    return [step], [{"kind": "table", "source": "similar"}], f"what is most like {query['entity']}"


def _describe(_: Form, query: Data) -> Made:
    step = {"op": "describe", "id": "facts", "start": [query["entity"]]}
    return [step], [{"kind": "table", "source": "facts"}], f"what is known of {query['entity']}"


def _knowledge(form: Form, query: Data) -> Made:
    when, said = _period(form, query)
    step: Step = {"op": "read", "id": "knowledge", "kind": query["kind"], **when}
    whose = ""
    if query["of"] != EVERYTHING:
        step["start"], whose = [query["of"]], f" of {query['of']}"
    return [step], [{"kind": "table", "source": "knowledge"}], f"the {query['kind']}{whose}{said}"


def _catalog(_: Form, query: Data) -> Made:
    step = {"op": "catalog", "id": "catalog", "section": query["section"]}
    words = query["section"].replace("_", " ")
    return [step], [{"kind": "table", "source": "catalog"}], f"the {words} that there are"


_MAKERS: dict[str, Callable[[Form, Data], Made]] = {
    "figures": _figures,
    "timeline": _timeline,
    "list": _list,
    "connected": _connected,
    "path": _path,
    "similar": _similar,
    "describe": _describe,
    "knowledge": _knowledge,
    "catalog": _catalog,
}
