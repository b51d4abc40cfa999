"""From a plan to an answer: checked, run, put in words. What goes wrong is the answer, never a traceback."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from workbench.errors import WorkbenchError
from workbench.plans.answer import Answer
from workbench.plans.execute import Execution, execute
from workbench.plans.model import Aggregate, FilterRows, Join, Plan, Scan, Sort, Top
from workbench.plans.phrasing import phrase
from workbench.plans.renders import chosen_renders
from workbench.plans.validate import Finding, findings_of, validate
from workbench.progress import silent
from workbench.storage.missing import notes_on

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from workbench.plans.world import Runtime
    from workbench.progress import Progress

__all__ = ["Runs", "run"]

_KEPT = 16
_MOST_ROWS = 200_000
_LISTED = 5
# what reads nothing but the documents that scans give
_OF_SCANS = (Aggregate, FilterRows, Join, Scan, Sort, Top)


class Runs:
    """The latest runs of plans by what they do and the generation that they read."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, tuple[str, ...], int], Execution] = OrderedDict()

    def find(self, plan: Plan, generation: int) -> Execution | None:
        """Return the run of the same steps on the same generation, if it is kept."""
        return self._kept.get((plan.fingerprint, tuple(sorted(plan.shown)), generation))

    def keep(self, plan: Plan, execution: Execution) -> None:
        """Keep a whole run whose rows are not too many."""
        rows = sum(result.table.num_rows for result in execution.results.values())
        if execution.failed or rows > _MOST_ROWS:
            return
        self._kept[plan.fingerprint, tuple(sorted(plan.shown)), execution.generation] = execution
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)


def run(  # noqa: PLR0913  (the words of a run)
    plan: Plan | Mapping[str, Any],
    world: Runtime,
    *,
    runs: Runs | None = None,
    progress: Progress = silent,
    stop: threading.Event | None = None,
    reading: str = "",
) -> Answer:
    """Check a plan, run it and return the answer; one that cannot be run is an answer ``failed``.

    Args:
        plan: The plan, or its JSON data.
        world: The workspace.
        runs: Where runs are looked for and kept.
        progress: Told after each step.
        stop: Once it is set, in any thread, what runs is given up.
        reading: What the question was taken to mean.
    """
    facts: dict[str, Any] = {
        "timezone": world.timezone,
        "workspace": world.store.name,
        "attributes": world.schema.attributes,
    }
    if not isinstance(plan, Plan):
        try:
            plan = Plan.model_validate(plan)
        except ValidationError as error:
            return _refused(None, findings_of(error), facts)
    facts |= {"plan": plan, "question": plan.question, "reading": reading}
    try:
        findings = validate(plan, world)
        if findings:
            return _refused(plan, findings, {k: v for k, v in facts.items() if k != "plan"})
        execution = _executed(plan, world, runs, progress, stop)
    except WorkbenchError as error:  # a damaged file, for example, which no step is to blame for
        return Answer("failed", str(error), **facts)
    facts |= {"results": execution.results, "reports": execution.reports, "seconds": execution.seconds}
    main = execution.results.get(plan.main.id)
    if main is None:
        first = execution.failed[0]
        others = "; other steps have results" if execution.results else ""
        return Answer("failed", f"Step {first.id!r} ({first.op}) failed: {first.reason}{others}", **facts)
    notes = [note for said in execution.notes.values() for note in said]
    if _counts_test_accounts(plan, world):
        notes.append("Events of test accounts are counted, too.")
    notes += _missing(plan, execution, world)
    notes += [f"Step {r.id!r} ({r.op}) failed: {r.reason}" for r in execution.failed]
    text = phrase(plan, execution.results, world.timezone, reading=reading, notes=notes)
    renders = tuple(r for r in chosen_renders(plan, main.table) if r.source in execution.results)
    return Answer("answered", text, renders=renders, **facts)


def _executed(
    plan: Plan, world: Runtime, runs: Runs | None, progress: Progress, stop: threading.Event | None
) -> Execution:
    """Return what a valid plan gives, or gave on the same generation."""
    kept = runs.find(plan, world.snapshot.generation) if runs else None
    if kept is not None:
        return kept
    execution = execute(plan, world, progress=progress, stop=stop, limit=world.settings.step_timeout)
    if runs:
        runs.keep(plan, execution)
    return execution


def _counts_test_accounts(plan: Plan, world: Runtime) -> bool:
    """Return whether a scan counts events of test accounts without being asked to."""
    field = world.schema.fields.test_account
    scans = [s for s in plan.steps if isinstance(s, Scan) and field not in {f.field for f in s.where}]
    types = {name for scan in scans for name in scan.types if field in world.fields.get(name, {})}
    return any(e.test_documents for e in world.catalog.event_types if e.name in types) if types else False


def _missing(plan: Plan, execution: Execution, world: Runtime) -> tuple[str, ...]:
    """Return what is missing from the segments and event types that were read, as sentences."""
    missing = [m for m in world.snapshot.missing if m.entry.kind in ("events", "reference")]
    segments = [s for result in execution.results.values() for s in result.lineage.segments]
    if all(isinstance(step, _OF_SCANS) for step in plan.steps):
        types = {name for step in plan.steps if isinstance(step, Scan) for name in step.types}
        missing = [m for m in missing if m.entry.name in types]
    return notes_on(missing, segments=segments)


def _refused(plan: Plan | None, findings: Sequence[Finding], facts: Mapping[str, Any]) -> Answer:
    listed = " ".join(str(finding) for finding in findings[:_LISTED])
    more = f" And {len(findings) - _LISTED:,} more." if len(findings) > _LISTED else ""
    number = "1 thing is" if len(findings) == 1 else f"{len(findings):,} things are"
    return Answer(
        "failed",
        f"{number} wrong with the plan. {listed}{more}",
        plan=plan,
        findings=tuple(findings),
        **facts,
    )
