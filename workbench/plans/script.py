"""An answer as a Python script over the public API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from workbench.graph.keys import format_entity, parse_entity
from workbench.plans.expressions import literal
from workbench.plans.model import Neighbourhood, Nodes, Read, Search, Shared, Similar, Traverse
from workbench.plans.shapes import NODE, SEEN
from workbench.plans.steps.knowledge import time_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.plans.answer import Answer
    from workbench.plans.model import Plan, Step
    from workbench.plans.results import StepResult

__all__ = ["script"]


def script(answer: Answer) -> str:
    """Return a script that leaves the main table of an answer in ``answer``."""
    lines = [f"# {line}" for line in answer.question.splitlines()]
    lines += ["import workbench as wb", "", f"db = wb.open({answer.workspace!r})"]
    if answer.plan is None or answer.main is None:
        return "\n".join([*lines, "# there is no answer to reproduce", ""])
    needed = _needed(answer)
    for step in answer.plan.steps:
        result = answer.results.get(step.id)
        if result is not None and step.id in needed:
            lines += ["", *_lines(step, result, answer)]
    return "\n".join([*lines, "", f"answer = {_name(answer.plan.main.id)}", ""])


def _needed(answer: Answer) -> set[str]:
    """Return the steps whose rows stand in the script: those that are shown, and what they were made of."""
    plan = answer.plan
    steps = {step.id: step for step in plan.steps} if plan else {}
    found: set[str] = set()
    pending = list(answer.tables)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            result = answer.results.get(name)
            pending += (result.given if result else ()) or (
                () if result and result.sql else steps[name].reads()
            )
    return found


def _name(step: str) -> str:
    return f"{step}_rows"


def _lines(step: Step, result: StepResult, answer: Answer) -> list[str]:
    """Return the statements that give the rows of a step, under its name."""
    lines = [f"# {step.title}"] if step.title.isprintable() and step.title else []
    if not result.sql or result.given == (step.id,):
        before, rows = _stage(step, result, answer)
        lines += [*before, f"{_name(step.id)} = {rows}"]
    if result.sql:  # of a stage's rows, the step's own conditions
        given = ", ".join(f"{json.dumps(name)}: {_name(name)}" for name in result.given)
        lines.append(f"{_name(step.id)} = {_sql(result.sql, given)}")
    return lines


def _sql(statement: str, given: str) -> str:
    tables = f", tables={{{given}}}" if given else ""
    return f"db.sql({_text(statement)}{tables}).to_arrow()"


def _text(statement: str) -> str:
    """Return a statement as a Python literal, over several lines where that is readable."""
    if '"""' in statement or "\\" in statement or statement.endswith('"') or not statement.isprintable():
        if "\\" in statement or not statement.replace("\n", "").isprintable() or '"""' in statement:
            return repr(statement)
        return f'"""\n{statement}\n"""'
    return f'"""{statement}"""'


def _starts(step: Step) -> str:
    start = getattr(step, "start", ())
    return f'{_name(start)}["entity"].to_pylist()' if isinstance(start, str) else repr(list(start))


def _stage(  # noqa: PLR0911  (one case an operation)
    step: Step, result: StepResult, answer: Answer
) -> tuple[list[str], str]:
    """Return what gives the rows of a step that is not SQL: statements before, and an expression."""
    edge_types = getattr(step, "edge_types", ())
    edges = f", edge_types={list(edge_types)!r}" if edge_types else ""
    match step:
        case Nodes() if not step.properties and not step.where:
            return [], f"db.graph.nodes({step.type!r})"
        case Read() if not (step.since or step.until) or time_of(step.kind, ()) == "look-back":
            read = f"db.knowledge.read({step.kind!r}, run={result.lineage.runs[0]!r}).to_arrow()"
            if step.start is None:
                return [], read
            return [], _about(step, read)
        case Neighbourhood():
            return [], f"db.graph.around({_starts(step)}, {step.hops}{edges}, limit={step.limit}).nodes"
        case Shared() if not step.types:
            columns = ["entity", "type", "key", "label", "shared_by", "weight"]
            return [], f"db.graph.shared({_starts(step)}{edges}).select({columns!r})"
        case Traverse() if not (step.since or step.until):
            walk = f"db.graph.around({_starts(step)}, {step.depth}{edges}, direction={step.direction!r})"
            statement = _reached(step, answer.attributes)
            return [f"around = {walk}"], _sql(statement, '"nodes": around.nodes, "edges": around.edges')
        case Similar():
            columns = ["entity", "type", "key", "label", "score"]
            return [], f"db.vectors.similar({step.entity!r}, k={step.k}).to_arrow().select({columns!r})"
        case Search() if not (step.since or step.until or step.types):
            return [], f"db.vectors.search(text={step.text!r}, k={step.k}).to_arrow()"
    return [], _as_plan(step, answer.plan)


def _about(step: Read, read: str) -> str:
    """Return the expression of the rows of knowledge that are about the step's entities."""
    if isinstance(step.start, str):
        given, wanted = f', "start": {_name(step.start)}', "SELECT entity FROM given.start"
    else:
        entities = (format_entity(*parse_entity(entity)) for entity in step.start or ())
        given, wanted = "", ", ".join(map(literal, entities))
    return _sql(f"SELECT * FROM given.rows WHERE entity IN ({wanted})", f'"rows": {read}{given}')


def _reached(step: Traverse, attributes: Iterable[str]) -> str:
    """Return the statement that counts, in a neighbourhood, the events by which each entity is reached."""
    ways = {"out": ("source", "target"), "in": ("target", "source")}
    chosen = ways.values() if step.direction == "both" else [ways[step.direction]]
    steps = " UNION ALL ".join(
        f"SELECT {near} AS near, {far} AS far, weight FROM given.edges WHERE source <> target"
        for near, far in chosen
    )
    listed = ", ".join(map(literal, sorted(attributes)))
    through = f"(n.hops = 0 OR n.type NOT IN ({listed}))" if listed else "true"
    types = f" AND f.type IN ({', '.join(map(literal, step.types))})" if step.types else ""
    return (
        "SELECT f.entity, f.type, f.key, f.label, CAST(f.hops AS BIGINT) AS hops, sum(s.weight) AS weight\n"
        f"FROM ({steps}) AS s\n"
        "JOIN given.nodes AS n ON n.entity = s.near JOIN given.nodes AS f ON f.entity = s.far\n"
        f"WHERE f.hops = n.hops + 1 AND {through}{types}\n"
        "GROUP BY ALL ORDER BY hops, weight DESC, f.entity"
    )


def _as_plan(step: Step, plan: Plan | None) -> str:
    """Return what runs a step, and those that it reads, as a plan of its own."""
    every = plan.steps if plan else ()
    by_id = {s.id: s for s in every}
    wanted, pending = {step.id}, [step.id]
    while pending:
        reads = by_id[pending.pop()].reads()
        pending += [name for name in reads if name not in wanted]
        wanted |= set(reads)
    steps = []
    for one in every:
        if one.id in wanted:
            content = {"op": one.op, **one.model_dump(mode="json", exclude_defaults=True)}
            if (
                isinstance(step, Nodes) and one.id == step.id
            ):  # what its conditions speak of is needed all the same
                fixed = {*NODE, *SEEN}
                named = [*step.properties, *(f.field for f in step.where if f.field not in fixed)]
                content["properties"] = list(dict.fromkeys(named))
            if one.id == step.id:
                content.pop("where", None)
            steps.append(content)
    return f"db.execute({{'steps': {steps!r}}}).to_arrow()"
