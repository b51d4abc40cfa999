"""Runs a plan: chains of table steps as one statement each, the other steps on their own stage (spec 6.2)."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.errors import UsageError, WorkbenchError
from workbench.graph.keys import format_entity, parse_entity
from workbench.logs import get_logger
from workbench.plans.expressions import Clock, quoted
from workbench.plans.model import (
    Aggregate,
    Compare,
    Describe,
    FilterRows,
    Join,
    Neighbourhood,
    Read,
    Scan,
    SetOperation,
    Shared,
    Sort,
    Timeline,
    Top,
    Traverse,
)
from workbench.plans.results import Lineage, StepReport, StepResult
from workbench.plans.steps import tables
from workbench.plans.steps.documents import scan, scanned
from workbench.plans.steps.stages import run_stage
from workbench.progress import Update, silent

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.plans.model import Plan, Step
    from workbench.plans.relation import Relation
    from workbench.plans.world import Runtime
    from workbench.progress import Progress

__all__ = ["Execution", "execute"]

_AT_ONCE = 4
_TICK = 0.05  # seconds between two looks at the clock and at who wants to stop
_COUNTED = 5_000_000  # rows that are read a second time to tell how many a folded step gave
_OF_TABLES = (Aggregate, FilterRows, Join, Scan, SetOperation, Sort, Timeline, Top)


@dataclass
class _Done:
    """What a step left for the steps that read it."""

    relation: Relation
    lineage: Lineage
    result: StepResult | None = None
    report: StepReport | None = None
    notes: tuple[str, ...] = ()


@dataclass
class _Running:
    """A step in a thread of its own."""

    step: Step
    began: float
    limit: float


@dataclass(frozen=True)
class Execution:
    """What a plan gave.

    Attributes:
        results: The rows of every step that was shown or had to be there whole, in the plan's order.
        reports: How every step went.
        notes: What a reader must know of steps whose rows are not among the results.
        generation: The generation that was read.
        seconds: What it took.
    """

    results: dict[str, StepResult]
    reports: tuple[StepReport, ...]
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    generation: int = 0
    seconds: float = 0.0

    @property
    def failed(self) -> tuple[StepReport, ...]:
        """Return the steps that failed, the first cause first."""
        return tuple(report for report in self.reports if report.status == "failed")


def execute(
    plan: Plan,
    world: Runtime,
    *,
    progress: Progress = silent,
    stop: threading.Event | None = None,
    limit: float = 30.0,
) -> Execution:
    """Run a valid plan on one generation.

    A step that fails takes those with it that read it, with its reason; the others' results stay.

    Args:
        plan: What :func:`~workbench.plans.validate.validate` has found nothing about.
        world: The workspace.
        progress: Told after each step.
        stop: Once it is set, in any thread, what runs is given up.
        limit: Seconds that a step may take.

    Raises:
        KeyboardInterrupt: If it was interrupted; no step is left running.
    """
    return _Executor(plan, world, progress, stop or threading.Event(), limit).run()


class _Executor:
    def __init__(
        self, plan: Plan, world: Runtime, progress: Progress, stop: threading.Event, limit: float
    ) -> None:
        self.plan = plan
        self.world = world
        self.progress = progress
        self.stop = stop
        self.limit = limit
        self.clock = Clock(world.now, world.timezone)
        self.done: dict[str, _Done] = {}
        self.failed: dict[str, str] = {}
        self.finished: queue.SimpleQueue[tuple[str, _Done | BaseException]] = queue.SimpleQueue()
        read = {name for step in plan.steps if not isinstance(step, _OF_TABLES) for name in step.reads()}
        self.wanted = {*plan.shown, *read}

    def run(self) -> Execution:
        began = time.perf_counter()
        try:
            self._compute()
            generation = self.world.snapshot.generation
            self._run_steps()
        except BaseException:
            self.stop.set()  # a statement that still runs ends with its worker
            raise
        reports = tuple(self._report(step) for step in self.plan.steps)
        left = {step.id: self.done[step.id].result for step in self.plan.steps if step.id in self.done}
        notes = {name: d.notes for name, d in self.done.items() if d.notes and d.result is None}
        return Execution(
            {name: result for name, result in left.items() if result is not None},
            self._with_counts(reports),
            notes,
            generation,
            time.perf_counter() - began,
        )

    def _compute(self) -> None:
        """Make the knowledge that is not there yet: it is stored as a new generation, before all else."""
        from workbench.plans.steps.knowledge import knowledge  # noqa: PLC0415  (loads the analysis stage)

        if any(not isinstance(step, _OF_TABLES) for step in self.plan.steps):
            _ = self.world.graph  # once, before several threads ask for it
        self.knowledge: dict[str, Any] = {}
        reads = [step for step in self.plan.steps if isinstance(step, Read)]
        for number, step in enumerate(reads):
            self.progress(Update(step.kind, number, len(reads), "kinds of knowledge"))
            try:
                self.knowledge[step.id] = knowledge(step, self.world, self.clock)
            except Exception as error:  # noqa: BLE001  (the step's boundary, as in a thread)
                self.failed[step.id] = _reason(step.id, error)

    def _run_steps(self) -> None:
        pending = [step for step in self.plan.steps if step.id not in self.failed]
        running: dict[str, _Running] = {}
        total = len(self.plan.steps)
        while pending or running:
            pending = [step for step in pending if not self._begin(step, running)]
            if running:
                self._await(running)
            if self.stop.is_set():
                for step in (*(r.step for r in running.values()), *pending):
                    self.failed.setdefault(step.id, "it was stopped.")
                return
            self.progress(Update("plan", len(self.done) + len(self.failed), total, "steps"))

    def _begin(self, step: Step, running: dict[str, _Running]) -> bool:
        """Start a step whose sources are there, or give it up with one of them; False where it must wait."""
        for name in step.reads():
            if name in self.failed:
                self.failed[step.id] = f"it reads {name!r}, which failed: {self.failed[name]}"
                return True
        if any(name not in self.done for name in step.reads()) or len(running) >= _AT_ONCE:
            return False
        # db.sql watches the time of a statement itself, from when the worker is free for it
        limit = float("inf") if isinstance(step, _OF_TABLES) else self.limit
        running[step.id] = _Running(step, time.monotonic(), limit)
        threading.Thread(target=self._work, args=(step,), daemon=True, name=f"step {step.id}").start()
        return True

    def _work(self, step: Step) -> None:
        try:
            outcome: _Done | BaseException = self._run(step)
        except BaseException as error:  # noqa: BLE001  (the thread's boundary: it is told to who waits)
            outcome = error
        self.finished.put((step.id, outcome))

    def _await(self, running: dict[str, _Running]) -> None:
        """Take what has finished, and give up what takes too long."""
        try:
            name, outcome = self.finished.get(timeout=_TICK)
        except queue.Empty:
            now = time.monotonic()
            for task in [task for task in running.values() if now - task.began > task.limit]:
                del running[task.step.id]
                self.failed[task.step.id] = f"it took longer than its limit of {self.limit:g} s."
            return
        if running.pop(name, None) is None:
            return  # it was given up before
        if isinstance(outcome, _Done):
            self.done[name] = outcome
        else:
            self.failed[name] = _reason(name, outcome)

    def _run(self, step: Step) -> _Done:
        began = time.perf_counter()
        base = Lineage(self.world.snapshot.generation)
        lineage = base.merged(self.done[name].lineage for name in step.reads())
        if not isinstance(step, _OF_TABLES):
            return self._run_stage(step, lineage, began)
        relation = self._relation(step)
        if isinstance(step, Scan):
            lineage = lineage.merged([Lineage(base.generation, scanned(step, self.world, self.clock)[1])])
        done = _Done(relation, lineage)
        table = self._sql(relation.statement, relation) if step.id in self.wanted else None
        cut = self._cut(step, relation, table)
        rows_before = cut.rows if cut else table.num_rows if table is not None else 0
        seconds = time.perf_counter() - began
        if table is not None:
            done.result = StepResult(
                step.id,
                step.title,
                table,
                rows_before,
                seconds,
                relation.statement,
                lineage,
                notes=cut.notes if cut else (),
                given=tuple(relation.tables),
            )
        done.notes = cut.notes if cut else ()
        done.report = StepReport(
            step.id,
            step.op,
            step.title,
            "folded" if table is None else "done",
            None if table is None else table.num_rows,
            seconds,
        )
        return done

    def _run_stage(self, step: Step, lineage: Lineage, began: float) -> _Done:
        starts = self._starts(step)
        stage = run_stage(step, starts, self.knowledge.get(step.id), self.world, self.clock, self._frame)
        lineage = lineage.merged([stage.lineage])
        seconds = time.perf_counter() - began
        relation, table = stage.relation, stage.table
        conditions = relation.statement != stage.plain  # they are SQL over what the stage gave
        if conditions:
            table = self._sql(relation.statement, relation)
        result = StepResult(
            step.id,
            step.title,
            table,
            table.num_rows + stage.hidden,
            seconds,
            relation.statement if conditions else "",
            lineage,
            stage.edges,
            stage.notes,
            (step.id,) if conditions else (),
        )
        report = StepReport(step.id, step.op, step.title, "done", table.num_rows, seconds)
        return _Done(type(relation).of(step.id, table, relation.within), lineage, result, report)

    def _starts(self, step: Step) -> dict[str, list[str]]:
        """Return the entities that a step begins with, by where it names them."""
        found = {}
        for name in ("start", "left", "right"):
            given = getattr(step, name, None)
            if isinstance(given, tuple):
                found[name] = list(dict.fromkeys(format_entity(*parse_entity(entity)) for entity in given))
            elif given is not None and isinstance(
                step, Compare | Describe | Neighbourhood | Read | Shared | Traverse
            ):
                found[name] = self._entities(given)
        return found

    def _entities(self, name: str) -> list[str]:
        """Return the entities in the rows of a step, each once, in their order."""
        result = self.done[name].result
        if result is None or "entity" not in result.table.column_names:
            raise UsageError(f"the rows of {name!r} are not entities: they have no column 'entity'.")
        column = result.table["entity"].cast("string").unique()
        return [entity for entity in column.to_pylist() if entity is not None]

    def _relation(self, step: Step) -> Relation:  # noqa: PLR0911  (one case an operation)
        """Return the rows of a step over tables as SQL."""
        of = {name: self.done[name].relation for name in step.reads()}
        match step:
            case Scan():
                return scan(step, self.world, self.clock)
            case Aggregate():
                return tables.aggregate(step, of[step.source], self.clock, self.world)
            case Timeline():
                return tables.timeline(step, of[step.source], self.clock, self.world)
            case FilterRows():
                return tables.filtered(step, of[step.source], self.clock)
            case Sort():
                return tables.ordered(step, of[step.source])
            case Top():
                return tables.top(step, of[step.source])
            case Join():
                return tables.joined(step, of[step.left], of[step.right], self.world)
            case SetOperation():
                return tables.set_of(step, [of[name] for name in step.sources])
        raise AssertionError(step)

    def _sql(self, statement: str, relation: Relation) -> pa.Table:
        found = self.world.sql(statement, timeout=self.limit, tables=relation.tables, stop=self.stop)
        return found.to_arrow()

    def _frame(self, statement: str) -> Any:
        return self.world.sql(statement, timeout=self.limit, stop=self.stop).to_polars()

    def _cut(self, step: Step, relation: Relation, table: pa.Table | None) -> _Cut | None:
        """Return what a limit left out, for a step that has one."""
        if isinstance(step, Scan) and step.limit is not None:
            limit, whole = step.limit, scan(step, self.world, self.clock, limited=False)
        elif isinstance(step, Top):
            limit, whole = step.n, self.done[step.source].relation
        else:
            return None
        if table is not None and table.num_rows < limit:
            return _Cut(table.num_rows)
        rows = self._sql(whole.select("count(*)"), whole).column(0)[0].as_py()
        if rows <= limit:
            return _Cut(rows)
        notes = [f"The first {limit:,} of {rows:,} rows are shown."]
        if isinstance(step, Top):
            which = "smallest" if step.ascending else "largest"
            notes = [f"The {limit:,} rows with the {which} {step.by} are shown, of {rows:,}."]
            equal = self._equal_beyond(step, relation)
            if equal:
                rows_have = "row has" if equal == 1 else "rows have"
                notes.append(f"{equal:,} more {rows_have} the same {step.by} as the last one shown.")
        return _Cut(rows, tuple(notes))

    def _equal_beyond(self, step: Top, relation: Relation) -> int:
        """Return how many rows beyond the cut have the value of the last row before it."""
        by, source, shown = quoted(step.by), quoted(step.source), quoted(step.id)
        order = "DESC NULLS FIRST" if step.ascending else "ASC NULLS FIRST"
        last = f"(SELECT {by} FROM {shown} ORDER BY {by} {order} LIMIT 1)"
        counts = [
            f"(SELECT count(*) FROM {name} WHERE {by} IS NOT DISTINCT FROM {last})"
            for name in (source, shown)
        ]
        found = self._sql(relation.select(f"{counts[0]} - {counts[1]}") + " LIMIT 1", relation)
        return int(found.column(0)[0].as_py()) if found.num_rows else 0

    def _report(self, step: Step) -> StepReport:
        if step.id in self.failed:
            return StepReport(step.id, step.op, step.title, "failed", reason=self.failed[step.id])
        report = self.done[step.id].report
        if report is None:
            raise AssertionError(step.id)
        return report

    def _with_counts(self, reports: tuple[StepReport, ...]) -> tuple[StepReport, ...]:
        """Fill in how many rows the folded steps gave, where reading them again is cheap."""
        folded = [report.id for report in reports if report.status == "folded"]
        scans = [step for step in self.plan.steps if isinstance(step, Scan) and step.id in self.done]
        if not folded or sum(scanned(s, self.world, self.clock)[0] for s in scans) > _COUNTED:
            return reports
        last, *others = [self.done[name].relation for name in folded]
        counts = ", ".join(f"(SELECT count(*) FROM {quoted(name)})" for name in folded)
        whole = last.then("#counts", f"SELECT {counts}", others=others)
        try:
            counted = self._sql(whole.select("*"), whole)
        except WorkbenchError:
            return reports  # how many there were is left open, which the report says
        rows = dict(zip(folded, (column[0].as_py() for column in counted.columns), strict=True))
        return tuple(
            StepReport(r.id, r.op, r.title, r.status, rows.get(r.id, r.rows), r.seconds, r.reason)
            for r in reports
        )


@dataclass(frozen=True)
class _Cut:
    """How many rows there were before a limit, and what to say of it."""

    rows: int
    notes: tuple[str, ...] = ()


def _reason(name: str, error: BaseException) -> str:
    """Return what went wrong in a step, for people."""
    if isinstance(error, WorkbenchError):
        return str(error)
    get_logger("plans").error("step failed", step=name, exc_info=error)
    return f"an unexpected {type(error).__name__}: {error}"
