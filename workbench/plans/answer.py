"""The answer to a question: a text, its tables, how they are shown, and everything that they came from."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from workbench.tabular import Tabular, html_table, json_value, text_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from workbench.plans.model import Plan, Render
    from workbench.plans.results import StepReport, StepResult
    from workbench.plans.validate import Finding

__all__ = ["Answer", "Status"]

Status = Literal["answered", "ask_back", "declined", "failed"]


@dataclass(frozen=True, eq=False, repr=False)
class Answer(Tabular):
    """What a question or a plan came to. As a table it is its main table.

    Attributes:
        status: ``answered``; ``ask_back`` where the question has several meanings; ``declined`` where the
            workspace cannot answer it; ``failed``.
        text: The answer in words, or what is asked back, or why there is none.
        question: As it was asked; empty for a plan.
        plan: What was run, or would have been.
        reading: What the question was taken to mean.
        planner: Who made the plan; empty where it was given.
        confidence: How sure the planner was, from 0 to 1.
        results: The rows of the plan's steps that were shown or had to be there whole, by step.
        renders: How they are shown.
        suggestions: Complete questions that can be asked next.
        findings: What the validator found wrong with the plan.
        reports: How each step went.
        alternatives: Answers by other planners that read the question in another way.
        timezone: Zone of all times.
        seconds: What running the plan took.
        workspace: Where it was run.
        attributes: The workspace's attribute types, through which no way leads.
        viewer: Draws the answer's pictures as HTML; set by the engine.
    """

    status: Status
    text: str
    question: str = ""
    plan: Plan | None = None
    reading: str = ""
    planner: str = ""
    confidence: float = 0.0
    results: Mapping[str, StepResult] = field(default_factory=dict)
    renders: tuple[Render, ...] = ()
    suggestions: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    reports: tuple[StepReport, ...] = ()
    alternatives: tuple[Answer, ...] = ()
    timezone: str = "UTC"
    seconds: float = 0.0
    workspace: str = ""
    attributes: frozenset[str] = frozenset()
    viewer: Callable[[Answer], str] | None = None

    def __bool__(self) -> bool:
        """Return whether the question was answered."""
        return self.status == "answered"

    @property
    def main(self) -> StepResult | None:
        """Return the main result, if there is one."""
        return self.results.get(self.plan.main.id) if self.plan else None

    @property
    def tables(self) -> dict[str, pa.Table]:
        """Return the tables that are shown, by step, the main one first."""
        shown = self.plan.shown if self.plan else ()
        return {name: self.results[name].table for name in shown if name in self.results}

    def to_arrow(self) -> pa.Table:
        """Return the main table; one without columns where there is none."""
        import pyarrow as pa  # noqa: PLC0415  (kept out of start-up)

        return self.main.table if self.main else pa.table({})

    def to_json(self) -> dict[str, Any]:
        """Return status, text, plan, tables with all their rows, renders and suggestions as JSON data."""
        return {
            "status": self.status,
            "text": self.text,
            "plan": self.plan.to_json() if self.plan else None,
            "tables": [_json_table(name, table, self.timezone) for name, table in self.tables.items()],
            "renders": [render.model_dump(mode="json") for render in self.renders],
            "suggestions": list(self.suggestions),
        }

    def to_python(self) -> str:
        """Return a script that opens the workspace and gives the same rows, as ``answer``."""
        from workbench.plans.script import script  # noqa: PLC0415  (each form is loaded when asked for)

        return script(self)

    def to_sql(self) -> str:
        """Return the statements that DuckDB ran, each under its step's name; empty where there was none."""
        ran = [(r.id, r.sql) for r in self.results.values() if r.sql]
        return "\n\n".join(f"-- {name}\n{sql};" for name, sql in ran)

    def explain(self) -> str:
        """Return the steps with their rows and times, as text."""
        lines = [
            *([f"question: {self.question}"] if self.question else []),
            *([f"reading: {self.reading}"] if self.reading else []),
            *([f"planner: {self.planner}, confidence {self.confidence:.2f}"] if self.planner else []),
        ]
        steps = {step.id: step for step in self.plan.steps} if self.plan else {}
        for report in self.reports:
            reads = ", ".join(steps[report.id].reads())
            head = f"{report.id}: {report.op}{f' of {reads}' if reads else ''}"
            lines.append(f"{head}: {_outcome(report)}")
            details = steps[report.id].model_dump(mode="json", exclude_defaults=True, exclude={"id", "title"})
            lines.append(f"    {json.dumps(details, ensure_ascii=False)}")
        lines += [f"{finding}" for finding in self.findings]
        return "\n".join([*lines, f"in all {self.seconds:.2f} s"])

    def __repr__(self) -> str:
        """Return the text and the first rows of the main table."""
        return "\n".join([self.text, *(self._text_tables())])

    def _text_tables(self) -> list[str]:
        return [
            text_table(table, self.results[name].title or name, self.timezone)
            for name, table in self.tables.items()
            if table.num_columns
        ]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        drawn = self.viewer(self) if self.viewer and self.status == "answered" else ""
        tables = "".join(
            html_table(table, self.results[name].title or name, self.timezone)
            for name, table in self.tables.items()
            if table.num_columns
        )
        asked = "".join(f"<li>{html.escape(question)}</li>" for question in self.suggestions)
        asked = f"<p>You can ask:</p><ul>{asked}</ul>" if asked else ""
        plan = (
            f"<details><summary>plan</summary><pre>{html.escape(self.explain())}</pre></details>"
            if self.plan
            else ""
        )
        body = f"<p>{html.escape(self.text)}</p>{drawn}{tables}{asked}{plan}"
        return {"text/plain": repr(self), "text/html": f"<div>{body}</div>"}


def _json_table(name: str, table: pa.Table, timezone: str) -> dict[str, Any]:
    zone = ZoneInfo(timezone)
    columns = [[json_value(v, zone) for v in column.to_pylist()] for column in table.columns]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return {"name": name, "columns": list(table.column_names), "rows": rows}


def _outcome(report: StepReport) -> str:
    if report.status == "failed":
        return f"failed: {report.reason}"
    rows = "rows not counted" if report.rows is None else f"{report.rows:,} rows"
    return (
        f"{rows}, folded into the step that reads it"
        if report.status == "folded"
        else f"{rows} in {report.seconds:.2f} s"
    )
