"""The text of an answer: every figure in it stands in a result table."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pyarrow.types as pt

from workbench.plans.model import Aggregate, Describe, PathStep, Sort, Timeline, Top
from workbench.tabular import cell_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from workbench.plans.model import Plan, Step
    from workbench.plans.results import Lineage, StepResult

__all__ = ["phrase", "unsupported_figures"]

_NAMED = 3  # rows that a sentence names
_FACTS = 8
_FIGURE = re.compile(r"(?<![\w.:-])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
_DIGITS = 6  # significant ones, as tables show


def phrase(
    plan: Plan,
    results: Mapping[str, StepResult],
    timezone: str,
    *,
    reading: str = "",
    notes: Iterable[str] = (),
) -> str:
    """Return an answer as sentences: the reading, what the main table says, what a reader must know.

    Args:
        plan: What was run.
        results: The rows of its steps; the main one is among them.
        timezone: Zone of all times.
        reading: What the question was taken to mean.
        notes: What to say besides, of steps that are not shown.
    """
    main = results[plan.main.id]
    zone = ZoneInfo(timezone)
    shown = [results[name] for name in plan.shown if name in results]
    said = [note for result in results.values() for note in result.notes]
    sentences = [
        *([_sentence(reading)] if reading else []),
        _finding(plan, main, zone),
        *dict.fromkeys([*notes, *said]),
    ]
    if _has_times(plan, shown):
        sentences.append(f"Times are in {timezone}.")
    sentences.append(_origin(main.lineage))
    return " ".join(sentences)


def unsupported_figures(text: str, tables: Iterable[pa.Table]) -> tuple[str, ...]:
    """Return the figures in a text that occur in no table, neither as they are, rounded, nor as percentages.

    The number of rows of a table counts as its figure, and so does every number inside a text value.

    >>> import pyarrow as pa
    >>> unsupported_figures("UA has 4,926 of 27,972.", [pa.table({"carrier": ["UA"], "n": [4926]})])
    ('27,972',)
    """
    known: set[str] = set()
    for table in tables:
        known.add(str(table.num_rows))
        for column in table.columns:
            for value in column.unique().to_pylist():
                known |= _spellings(value)
    return tuple(
        f for f in dict.fromkeys(_FIGURE.findall(text)) if f.replace(",", "").lstrip("+") not in known
    )


def _spellings(value: Any) -> set[str]:
    if isinstance(value, bool) or value is None:
        return set()
    if isinstance(value, int):
        return {str(value)}
    if isinstance(value, float):
        places = {f"{v:.{n}f}" for v in (value, 100 * value) for n in range(5)}
        return {f"{value:.6g}", f"{100 * value:.6g}", *places}
    return {figure.replace(",", "") for figure in _FIGURE.findall(str(value))}


def _finding(plan: Plan, main: StepResult, zone: ZoneInfo) -> str:
    table, step = main.table, plan.main
    if not table.num_rows:
        return "Nothing was found: the result has no rows."
    if isinstance(step, PathStep):
        return _paths(table)
    if isinstance(step, Describe):
        return _facts(table)
    kinds = _kinds_of_measures(plan)
    if table.num_rows == 1:
        values = (
            f"{name} is {_value(table[name][0].as_py(), name, kinds, zone)}"
            for name in table.column_names
            if _is_shown(table[name])
        )
        return f"{main.title or 'Result'}: {', '.join(values)}."
    if isinstance(step, Timeline):
        return _over_time(step, table, kinds, zone)
    count = _counted(table)
    label, figure = _label_and_figure(table, step)
    if label is None:
        return f"{count}."
    if figure is None:
        names = [_value(v, label, kinds, zone) for v in table[label].slice(0, _NAMED).to_pylist()]
        return (
            f"{count}, the first {', '.join(names)}."
            if table.num_rows > _NAMED
            else f"{count}: {', '.join(names)}."
        )
    if _in_order_of(plan, figure):
        rows = zip(
            table[label].slice(0, _NAMED).to_pylist(), table[figure].slice(0, _NAMED).to_pylist(), strict=True
        )
        pairs = (f"{_value(n, label, kinds, zone)} ({_value(v, figure, kinds, zone)})" for n, v in rows)
        return (
            f"{count}, in the order of {figure}: {', '.join(pairs)}{' …' if table.num_rows > _NAMED else ''}."
        )
    return f"{count}{_extremes(table, label, figure, kinds, zone)}."


def _counted(table: pa.Table) -> str:
    """Return how many rows there are, by what they are where all are entities of one type."""
    if {"entity", "type"} <= set(table.column_names):
        types = table["type"].unique().to_pylist()
        if len(types) == 1:
            return f"{table.num_rows:,} rows of {types[0]}"
    return f"{table.num_rows:,} rows"


def _in_order_of(plan: Plan, figure: str) -> bool:
    """Return whether the main rows are ordered by a column first."""
    step = plan.main
    first = step.by if isinstance(step, Top) else step.by[0].field if isinstance(step, Sort) else None
    return first == figure


def _extremes(table: pa.Table, label: str, figure: str, kinds: Mapping[str, str], zone: ZoneInfo) -> str:
    pairs = zip(table[figure].to_pylist(), table[label].to_pylist(), strict=True)
    known = [(value, name) for value, name in pairs if value is not None and value == value]
    if not known:
        return f", all without {figure}"
    largest, smallest = max(known, key=lambda pair: pair[0]), min(known, key=lambda pair: pair[0])
    if largest[0] == smallest[0]:
        return f", {figure} is {_value(largest[0], figure, kinds, zone)} in all of them"
    said = [
        f"{_value(v, figure, kinds, zone)} ({_value(n, label, kinds, zone)})" for v, n in (largest, smallest)
    ]
    return f"; {figure} is largest with {said[0]} and smallest with {said[1]}"


def _is_shown(column: pa.ChunkedArray) -> bool:
    return not (pt.is_nested(column.type) or column[0].as_py() is None)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _kinds_of_measures(plan: Plan) -> dict[str, str]:
    """Return the operation that each column was measured by."""
    return {
        m.name: m.op for step in plan.steps if isinstance(step, Aggregate | Timeline) for m in step.measures
    }


def _value(value: Any, name: str, kinds: Mapping[str, str], zone: ZoneInfo) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if kinds.get(name) in ("share", "part"):
            return f"{100 * value:.4g} %"
        return f"{value:,.{_DIGITS}g}" if abs(value) < 10**_DIGITS else f"{value:,.0f}"
    if isinstance(value, datetime):
        text = (
            value.astimezone(zone).isoformat(" ", "minutes")
            if value.tzinfo
            else value.isoformat(" ", "minutes")
        )
        return text[: len("2013-03-01")] if " 00:00" in text else text[: len("2013-03-01 00:00")]
    return cell_text(value, zone)


def _label_and_figure(table: pa.Table, step: Step) -> tuple[str | None, str | None]:
    """Return the column that names the rows, and the one that they are told apart by."""
    numbers = [f.name for f in table.schema if pt.is_integer(f.type) or pt.is_floating(f.type)]
    named = [f.name for f in table.schema if f.name not in numbers and not pt.is_nested(f.type)]
    if isinstance(step, Aggregate):
        groups = [g.column for g in step.by]
        return (groups[0] if groups else None), step.measures[0].name
    by = getattr(step, "by", None)
    figure = by if isinstance(by, str) and by in numbers else None
    if figure is None and isinstance(by, tuple) and by:
        figure = next((key.field for key in by if key.field in numbers), None)
    label = "label" if "label" in named and not table["label"].null_count else next(iter(named), None)
    preferred = ("score", "weight", "shared_by", "rank", "documents", "count", "rows", "difference")
    figure = figure or next((name for name in preferred if name in numbers), None)
    return label, figure or (numbers[0] if len(numbers) == 1 else None)


def _over_time(step: Timeline, table: pa.Table, kinds: Mapping[str, str], zone: ZoneInfo) -> str:
    times = table["time"].to_pylist()
    name = step.measures[0].name
    values = [(v, t) for v, t in zip(table[name].to_pylist(), times, strict=True) if v is not None]
    first, last = (_value(t, "time", kinds, zone) for t in (times[0], times[-1]))
    head = f"{table.num_rows:,} rows, by {step.bucket} from {first} to {last}"
    if not values:
        return f"{head}, all without a value."
    (low, at_low), (high, at_high) = min(values), max(values, key=lambda pair: pair[0])
    ends = [
        f"{_value(v, name, kinds, zone)} ({_value(t, 'time', kinds, zone)})"
        for v, t in ((low, at_low), (high, at_high))
    ]
    return f"{head}; {name} between {ends[0]} and {ends[1]}."


def _paths(table: pa.Table) -> str:
    """Return the first path in words, each edge with its direction."""
    rows = [row for row in table.to_pylist() if row["path"] == 1]
    ends = [{row["source"], row["target"]} for row in rows]
    here = rows[0]["source"]
    if len(rows) > 1 and here in ends[1]:
        here = rows[0]["target"]
    said = here
    for row in rows:
        out = row["source"] == here
        here = row["target"] if out else row["source"]
        said += f" -{row['edge']}→ {here}" if out else f" ←{row['edge']}- {here}"
    more = max(table["path"].to_pylist())
    return f"{'A path' if more == 1 else f'{more:,} paths, the first'} of {len(rows):,} edges: {said}."


def _facts(table: pa.Table) -> str:
    rows = table.to_pylist()
    first = rows[0]["entity"]
    facts = [f"{row['fact']} {row['value']}" for row in rows if row["entity"] == first][:_FACTS]
    return f"{first}: {'; '.join(facts)}."


def _has_times(plan: Plan, shown: Iterable[StepResult]) -> bool:
    asked = any(getattr(step, end, None) for step in plan.steps for end in ("since", "until", "asof"))
    return asked or any(pt.is_timestamp(kind) for result in shown for kind in result.table.schema.types)


def _origin(lineage: Lineage) -> str:
    segments = lineage.segments
    days = ""
    if len(segments) == 1:
        days = f"segment {segments[0]}"
    elif segments:
        days = f"segments {segments[0]} to {segments[-1]}"
    runs = (
        f"run {', '.join(lineage.runs)} with seed {', '.join(map(str, lineage.seeds))}"
        if lineage.runs
        else ""
    )
    return f"From {', '.join(filter(None, [days, runs, f'generation {lineage.generation}']))}."
