"""Checks a plan against the workspace before anything runs, and returns all that is wrong with it at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbench.errors import UnknownNameError, UsageError, WorkbenchError, did_you_mean
from workbench.graph.keys import parse_entity
from workbench.plans.checks import check_condition, check_group, check_measures
from workbench.plans.expressions import Clock
from workbench.plans.model import (
    Aggregate,
    Compare,
    FilterRows,
    Get,
    Join,
    Nodes,
    Pairs,
    Plan,
    Read,
    Scan,
    Search,
    SetOperation,
    Sort,
    Timeline,
    Top,
    Traverse,
)
from workbench.plans.shapes import ADDRESS, NODE, SEEN, document_columns, output, property_kinds
from workbench.plans.steps.documents import scanned
from workbench.plans.steps.edges import edges_joining, event_rules
from workbench.plans.times import Period, period

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pydantic import ValidationError

    from workbench.plans.model import Filter, Step
    from workbench.plans.shapes import Columns
    from workbench.plans.world import World

__all__ = ["Finding", "findings_of", "validate"]

_MOST_SHOWN = 1_000_000


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a plan.

    Attributes:
        path: Where, such as ``steps[1].where[0].field``.
        reason: What is wrong, as a sentence.
        suggestion: What to write instead, as a sentence; may be empty.
    """

    path: str
    reason: str
    suggestion: str = ""

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.path}: {self.reason}{f' {self.suggestion}' if self.suggestion else ''}"


def findings_of(error: ValidationError) -> list[Finding]:
    """Return what is wrong with JSON that is no plan.

    >>> from pydantic import ValidationError
    >>> try:
    ...     Plan.model_validate({"steps": [{"op": "scan", "id": "a"}]})
    ... except ValidationError as error:
    ...     print(findings_of(error)[0])
    steps[0].types: it is missing.
    """
    found = []
    for entry in error.errors(include_url=False, include_input=False, include_context=False):
        place = list(entry["loc"])
        if len(place) > 2 and place[0] == "steps":
            del place[2]  # the operation, by which the kind of step was chosen
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
        reason = entry["msg"].removeprefix("Value error, ")
        reason = "it is missing" if entry["type"] == "missing" else reason
        found.append(Finding(path.removeprefix("."), f"{reason}."))
    return found


def validate(plan: Plan, world: World) -> list[Finding]:
    """Return all that is wrong with a plan, in the order of its steps; empty where it can run.

    Args:
        plan: The plan.
        world: The workspace that it shall run on.
    """
    return _Validator(plan, world).run()


class _Validator:
    def __init__(self, plan: Plan, world: World) -> None:
        self.plan = plan
        self.world = world
        self.clock = Clock(world.now, world.timezone)
        self.findings: list[Finding] = []
        self.columns: dict[str, Columns | None] = {}
        self.rows_read = 0
        self.before = 0  # findings before the step that is checked

    def run(self) -> list[Finding]:
        for number, step in enumerate(self.plan.steps):
            path = f"steps[{number}]"
            before = self.before = len(self.findings)
            self._identity(step, path)
            if len(self.findings) == before:
                self._step(step, path)
            whole = len(self.findings) == before
            self.columns.setdefault(step.id, output(step, self.columns, self.world) if whole else None)
        self._renders()
        self._costs()
        return self.findings

    def say(self, path: str, reason: str, suggestion: str = "") -> None:
        """Note a finding."""
        self.findings.append(Finding(path, reason, suggestion))

    def known(self, path: str, what: str, name: str, known: Collection[str]) -> bool:
        """Return whether a name exists, and note where it does not."""
        if name in known:
            return True
        self.say(path, f"there is no {what} {name!r}.", did_you_mean(name, sorted(known)))
        return False

    # ids and references

    def _identity(self, step: Step, path: str) -> None:
        taken = {name.casefold() for name in self.columns}
        if step.id.casefold() in taken:
            self.say(
                f"{path}.id",
                f"another step is called {step.id!r} already.",
                "Names differ in more than case.",
            )
        every = [s.id for s in self.plan.steps]
        for name in step.reads():
            if name not in every:
                self.say(
                    path,
                    f"it reads {name!r}, which is no step.",
                    did_you_mean(name, sorted(set(every) - {step.id})),
                )
            elif name not in self.columns:
                self.say(
                    path,
                    f"it reads {name!r}, which does not come before it.",
                    "Steps read earlier ones only.",
                )

    # one step

    def _step(self, step: Step, path: str) -> None:
        within = self._period(step, path)
        for name in ("start", "left", "right", "entity"):
            value = getattr(step, name, None)
            entities = value if isinstance(value, tuple) else (value,) if name == "entity" and value else ()
            for number, entity in enumerate(entities):
                self._entity(entity, f"{path}.{name}" + (f"[{number}]" if isinstance(value, tuple) else ""))
        if not isinstance(step, Join):
            for name in ("start", "left", "right"):
                value = getattr(step, name, None)
                if isinstance(value, str):
                    self._column(
                        "entity", value, f"{path}.{name}", "Only rows of entities can be started from."
                    )
        for number, edge in enumerate(getattr(step, "edge_types", ())):
            self.known(f"{path}.edge_types[{number}]", "edge type", edge, self.edge_types)
        checks: dict[type, Any] = {
            Scan: self._scan,
            Search: self._event_types,
            Get: self._get,
            Nodes: self._nodes,
            Traverse: self._traverse,
            Pairs: self._pairs,
            Read: self._read,
            Aggregate: self._aggregate,
            Timeline: self._timeline,
            FilterRows: self._filter,
            Join: self._join,
            SetOperation: self._set,
            Sort: self._sort,
            Top: self._top,
        }
        check = checks.get(type(step))
        if check is not None:
            check(step, path, within)
        elif not isinstance(step, Compare):
            self._entity_types(step, path)

    def _period(self, step: Step, path: str) -> Period:
        """Return the time of a step; note it where it is no time, or outside the window."""
        since, until = getattr(step, "since", None), getattr(step, "until", None)
        if since is None and until is None:
            return Period()
        try:
            found = period(since, until, self.clock.now, self.clock.timezone)
        except UsageError as error:
            self.say(f"{path}.{'since' if since is not None else 'until'}", error.message, error.fix)
            return Period()
        first, now = self._window
        if first is not None and now is not None:
            outside = (found.since is not None and found.since > now) or (
                found.until is not None and found.until <= first
            )
            if outside:
                held = f"{self._day(first)} to {self._day(now)}"
                end = "since" if found.since is not None and found.since > now else "until"
                self.say(f"{path}.{end}", "that time is outside the window.", f"It holds events from {held}.")
        return found

    @cached_property
    def _window(self) -> tuple[Any, Any]:
        """The earliest and the latest event time."""
        from datetime import UTC, datetime, timedelta  # noqa: PLC0415

        starts = [f.min_ts for f in self.world.snapshot.files("events") if f.min_ts is not None]
        if not starts:
            return None, None
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=min(starts)), self.world.now

    def _day(self, time: Any) -> str:
        from zoneinfo import ZoneInfo  # noqa: PLC0415

        return str(time.astimezone(ZoneInfo(self.clock.timezone)).date())

    def _entity(self, entity: str, path: str) -> None:
        try:
            self.world.graph.node(entity)
        except UnknownNameError as error:
            self.say(path, error.message, error.fix)
        except UsageError as error:
            self.say(path, error.message, error.fix)

    def _column(self, name: str, source: str, path: str, suggestion: str = "") -> str | None:
        """Return the kind of a step's column; note it where there is none; None where nobody knows."""
        columns = self.columns.get(source)
        if columns is None:
            return None
        if name not in columns:
            self.say(
                path,
                f"the rows of {source!r} have no column {name!r}.",
                suggestion or did_you_mean(name, list(columns)),
            )
            return None
        return columns[name]

    def _conditions(self, tests: Iterable[Filter], columns: Columns | None, path: str) -> None:
        for number, test in enumerate(tests):
            if columns is not None:
                self.findings += [
                    Finding(f"{path}[{number}].{place}", reason, suggestion)
                    for place, reason, suggestion in check_condition(test, columns, self.clock)
                ]

    @cached_property
    def edge_types(self) -> set[str]:
        """The edge types that there are."""
        column = self.world.graph.window.edges["type"].combine_chunks()
        return {*self.world.schema.edges, *column.dictionary.to_pylist()}

    @cached_property
    def entity_types(self) -> set[str]:
        """The entity types that there are."""
        column = self.world.graph.window.entities["type"].combine_chunks()
        return {*self.world.schema.entities, *column.dictionary.to_pylist()}

    def _entity_types(self, step: Any, path: str, _: Period | None = None) -> None:
        for number, name in enumerate(getattr(step, "types", ())):
            self.known(f"{path}.types[{number}]", "entity type", name, self.entity_types)

    def _event_types(self, step: Scan | Search, path: str, _: Period) -> None:
        for number, name in enumerate(step.types):
            self.known(f"{path}.types[{number}]", "event type", name, self.world.fields)

    # by operation

    def _scan(self, step: Scan, path: str, within: Period) -> None:
        before = len(self.findings)
        self._event_types(step, path, within)
        if len(self.findings) > before:
            return
        fields = ADDRESS | document_columns(self.world, step.types)
        for number, name in enumerate(step.columns):
            self.known(f"{path}.columns[{number}]", f"field of {', '.join(step.types)}", name, fields)
        self._conditions(step.where, fields, f"{path}.where")
        if len(self.findings) > self.before:
            return  # also where its time is wrong
        rows = scanned(step, self.world, self.clock)[0]
        self.rows_read += rows
        if (
            step.id in self.plan.shown
            and rows > _MOST_SHOWN
            and (step.limit is None or step.limit > _MOST_SHOWN)
        ):
            self.say(
                path,
                f"it would show up to {rows:,} documents.",
                "Count them with 'aggregate', or give a limit.",
            )

    def _get(self, step: Get, path: str, _: Period) -> None:
        for number, address in enumerate(step.addresses):
            segment, slash, identifier = address.partition("/")
            if not slash or not identifier.isdecimal():
                self.say(
                    f"{path}.addresses[{number}]", f"{address!r} is not an address.", "Write it segment/_id."
                )
            else:
                self.known(f"{path}.addresses[{number}]", "segment", segment, self.world.snapshot.segments)

    def _nodes(self, step: Nodes, path: str, _: Period) -> None:
        if not self.known(f"{path}.type", "entity type", step.type, self.entity_types):
            return
        kinds = property_kinds(self.world, step.type)
        for number, name in enumerate(step.properties):
            self.known(f"{path}.properties[{number}]", f"property of {step.type}", name, kinds)
        self._conditions(step.where, NODE | SEEN | kinds, f"{path}.where")

    def _traverse(self, step: Traverse, path: str, within: Period) -> None:
        before = len(self.findings)
        self._entity_types(step, path)
        self._timed_edges(step, path, within)
        if len(self.findings) == before and step.depth == 1:
            self._reaches(step, path)

    def _timed_edges(self, step: Traverse | Pairs, path: str, within: Period) -> None:
        if within and not any(event_rules(self.world, step.edge_types)):
            self.say(
                f"{path}.since",
                f"no event gives {' or '.join(step.edge_types) or 'an edge'}: such edges have no time.",
                "Leave since and until out.",
            )

    def _pairs(self, step: Pairs, path: str, within: Period) -> None:
        ends = (step.type, step.neighbours)
        both = [
            self.known(f"{path}.{place}", "entity type", name, self.entity_types)
            for place, name in (("type", step.type), ("neighbours", step.neighbours))
        ]
        self._timed_edges(step, path, within)
        if len(self.findings) > self.before or not all(both):
            return
        joining = edges_joining(self.world, *ends)
        if not set(step.edge_types or joining) & set(joining):
            self.say(
                f"{path}.edge_types",
                f"none of them joins {step.type} and {step.neighbours}.",
                f"{' and '.join(joining)} would." if joining else "No edge type does.",
            )

    def _reaches(self, step: Traverse, path: str) -> None:
        """Note where a step along edges of these types cannot begin or end at entities of these types."""
        ends = [(e.source, e.target) for n, e in self.world.schema.edges.items() if n in step.edge_types]
        if not ends or len(ends) != len(set(step.edge_types)):
            return
        out = [(s, t) for s, t in ends if step.direction in ("out", "both")]
        ways = [*out, *((t, s) for s, t in ends if step.direction in ("in", "both"))]
        starts = (
            {parse_entity(e)[0] for e in step.start}
            if isinstance(step.start, tuple)
            else {s for s, _ in ways}
        )
        far = {t for s, t in ways if s in starts}
        joins = ", ".join(
            f"{n} leads from {e.source} to {e.target}"
            for n, e in self.world.schema.edges.items()
            if n in step.edge_types
        )
        if not far:
            self.say(f"{path}.direction", f"nothing is reached from {', '.join(sorted(starts))} in direction "
                     f"{step.direction!r}.", f"{joins}.")  # fmt: skip
        elif step.types and not far & set(step.types):
            self.say(f"{path}.types", f"only {', '.join(sorted(far))} can be reached.", f"{joins}.")

    def _read(self, step: Read, path: str, within: Period) -> None:
        from workbench.knowledge import parse_asof  # noqa: PLC0415
        from workbench.plans.steps.knowledge import known_kinds, time_of  # noqa: PLC0415

        if not self.known(f"{path}.kind", "knowledge", step.kind, known_kinds(self.world)):
            return
        columns = output(step, self.columns, self.world)
        self._conditions(step.where, columns, f"{path}.where")
        if columns is not None and step.start is not None and "entity" not in columns:
            self.say(
                f"{path}.start",
                f"{step.kind} is not about entities.",
                f"Its columns are {', '.join(columns)}.",
            )
        if within and columns is not None and not time_of(step.kind, columns):
            self.say(
                f"{path}.since", f"{step.kind} is not about times.", "Leave since and until out, or use asof."
            )
        if step.asof is not None:
            try:
                day = parse_asof(step.asof)
            except WorkbenchError as error:
                self.say(f"{path}.asof", error.message, error.fix)
                return
            days = [*self.world.snapshot.segments, *(run.day for run in self.world.knowledge.runs(step.kind))]
            if day not in days:
                held = f"The window holds {days[0]} to {days[-1]}." if days else ""
                self.say(f"{path}.asof", f"there is no segment and no run of {day}.", held)

    def _aggregate(self, step: Aggregate, path: str, _: Period) -> None:
        columns = self.columns[step.source]
        names = [g.column for g in step.by]
        if columns is not None:
            for number, group in enumerate(step.by):
                self._add(f"{path}.by[{number}]", check_group(group, columns))
        self._measures(step, columns, names, path)

    def _measures(
        self, step: Aggregate | Timeline, columns: Columns | None, names: list[str], path: str
    ) -> None:
        taken = {name.casefold() for name in names}
        if len(taken) < len(names):
            self.say(f"{path}.by", "two groups have the same name.", "Give one of them a name of its own.")
        for number, measure in enumerate(step.measures):
            place = f"{path}.measures[{number}]"
            if measure.name.casefold() in taken:
                self.say(
                    f"{place}.name",
                    f"another column is called {measure.name!r} already.",
                    "Choose another name.",
                )
            taken.add(measure.name.casefold())
            if columns is not None:
                self._add(place, check_measures(measure, columns))
                self._conditions(measure.where, columns, f"{place}.where")
                self._conditions(measure.minus, columns, f"{place}.minus")

    def _add(self, path: str, found: Iterable[tuple[str, str, str]]) -> None:
        self.findings += [
            Finding(f"{path}.{place}", reason, suggestion) for place, reason, suggestion in found
        ]

    def _timeline(self, step: Timeline, path: str, _: Period) -> None:
        kind = self._column(step.field, step.source, f"{path}.field")
        if kind not in (None, "timestamp"):
            self.say(
                f"{path}.field", f"{step.field!r} is no time.", "A timeline is over a time, such as _ts."
            )
        for number, name in enumerate(step.by):
            self._column(name, step.source, f"{path}.by[{number}]")
        self._measures(step, self.columns[step.source], ["time", *step.by], path)

    def _filter(self, step: FilterRows, path: str, _: Period) -> None:
        self._conditions(step.where, self.columns[step.source], f"{path}.where")

    def _join(self, step: Join, path: str, _: Period) -> None:
        for number, name in enumerate(step.on):
            place = f"{path}.on[{number}]"
            kinds = {self._column(name, source, place) for source in (step.left, step.right)} - {None}
            if len(kinds) > 1 and kinds != {"int64", "float64"}:
                self.say(
                    place, f"{name!r} is {' on one side and '.join(sorted(map(str, kinds)))} on the other."
                )

    def _set(self, step: SetOperation, path: str, _: Period) -> None:
        kinds = {self._column(step.on, source, f"{path}.on") for source in step.sources} - {None}
        if len(kinds) > 1:
            self.say(f"{path}.on", f"{step.on!r} is not of one kind: {', '.join(sorted(map(str, kinds)))}.")

    def _sort(self, step: Sort, path: str, _: Period) -> None:
        for number, key in enumerate(step.by):
            self._column(key.field, step.source, f"{path}.by[{number}].field")

    def _top(self, step: Top, path: str, _: Period) -> None:
        self._column(step.by, step.source, f"{path}.by")

    # the whole

    def _renders(self) -> None:
        for number, render in enumerate(self.plan.renders):
            path = f"renders[{number}]"
            if not self.known(f"{path}.source", "step", render.source, self.columns):
                continue
            named = {"x": (render.x,), "y": render.y, "color": (render.color,)}
            for place, names in named.items():
                for name in names:
                    if name is not None:
                        self._column(name, render.source, f"{path}.{place}")

    def _costs(self) -> None:
        most = self.world.settings.plan_rows
        if self.rows_read > most:
            self.say(
                "steps",
                f"it would read {self.rows_read:,} documents; the setting plan_rows allows {most:,}.",
                "Narrow the time, or raise plan_rows.",
            )
