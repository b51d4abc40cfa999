"""The text of an answer: every figure in it stands in a result table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pyarrow.types as pt

from workbench.plans.sentences import EPISODE, Sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from workbench.plans.model import Plan
    from workbench.plans.results import Lineage, StepResult

__all__ = ["phrase", "unsupported_figures"]

_FIGURE = re.compile(r"(?<![\w.:-])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


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
    shown = [results[name] for name in plan.shown if name in results]
    said = [note for result in results.values() for note in result.notes]
    sentences = [
        *([_sentence(reading)] if reading else []),
        Sentences(plan, main.table, ZoneInfo(timezone)).finding(),
        *_beside(plan, shown, main, timezone),
        *dict.fromkeys([*notes, *said]),
    ]
    if timezone not in reading and _has_times(plan, shown):
        sentences.append(f"Times are in {timezone}.")
    sentences.append(_origin(main.lineage))
    return " ".join(sentences)


def _beside(plan: Plan, shown: Iterable[StepResult], main: StepResult, timezone: str) -> Iterable[str]:
    """Yield what the episodes of trends say that stand beside the main table."""
    for result in shown:
        if result is not main and set(result.table.column_names) >= EPISODE and result.table.num_rows:
            yield f"Of all events, {Sentences(plan, result.table, ZoneInfo(timezone)).finding()}"


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


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "?", "!")) else f"{text}."


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
