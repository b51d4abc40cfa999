"""What is new in the knowledge."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from workbench.analysis.insights import INSIGHTS, TELLERS
from workbench.analysis.tasks.base import Context, Outcome, Task, measured

if TYPE_CHECKING:
    from workbench.knowledge import Knowledge, Run

__all__ = ["Insights"]


class Insights(Task):
    """What is new since the last insights: classes entered and left, episodes, groups, sequences, ranks.

    Each is told once. ``source`` says who worded it: ``template``. Source: spec 5.1, 5.3.
    """

    priority = "P3"
    period = 300.0
    after: ClassVar[tuple[str, ...]] = ("anomalies", "trends")
    inputs: ClassVar[tuple[str, ...]] = ("entities", "edges", "sightings", "counts")
    facts: ClassVar[tuple[str, ...]] = ("attributes", "features", "patterns", "timezone")

    def run(self, context: Context) -> Outcome:
        """Return a row an insight.

        Columns: ``type`` (anomaly, trend, cluster, graph, pattern), ``severity`` (info, notable,
        significant, critical), ``subject``, ``title``, ``text``, ``before``, ``after``, ``chart`` (``name``
        and ``value``), ``question`` (to go on with), ``source``, ``run`` (where it is from).
        """
        begin = time.perf_counter()
        told = context.knowledge.runs("insights")
        since = told[-1].created if told else ""
        rows = []
        for kind, tell in TELLERS.items():
            runs = [run for run in context.knowledge.runs(kind) if run.asof <= context.asof.isoformat()]
            old, new = _told(context, runs, since)
            if new is not None:
                found = tell(old, new)
                rows += [{**row, "source": "template", "run": new.run.id} for row in found]
        table = pl.DataFrame(rows, schema=INSIGHTS, orient="row")
        counts = {
            severity: float((table["severity"] == severity).sum()) for severity in ("critical", "significant")
        }
        return measured(
            table, "insights from templates", begin, {"insights": float(len(rows)), **counts}, "polars"
        )


def _told(context: Context, runs: list[Run], since: str) -> tuple[Knowledge | None, Knowledge | None]:
    """Return the result that was told of last and the one to tell of, if there is one."""
    fresh = [run for run in runs if run.created > since]
    if not fresh:
        return None, None
    known = [run for run in runs if run.created <= since and run.parameters == fresh[-1].parameters]
    read = context.knowledge.read
    new = read(fresh[-1].kind, run=fresh[-1].id)
    return (read(known[-1].kind, run=known[-1].id) if known else None), new
