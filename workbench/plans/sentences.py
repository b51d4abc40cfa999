"""What a table says, as one sentence: by what its rows are."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow.types as pt

from workbench.plans.model import Aggregate, Describe, PathStep, Sort, Timeline, Top
from workbench.tabular import cell_text

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    import pyarrow as pa

    from workbench.plans.model import Plan

__all__ = ["EPISODE", "Sentences"]

_NAMED = 3  # rows that a sentence names
_FACTS = 8
_DIGITS = 6  # significant ones, as tables show
_DAY = len("2013-03-01")
_FIGURES = ("score", "weight", "shared_by", "rank", "documents", "count", "rows", "difference")
EPISODE = {"metric", "since", "until", "observed", "expected", "severity", "direction"}


class Sentences:
    """The words for the main table of a plan.

    Args:
        plan: What was run.
        table: The rows of its last step.
        zone: Zone of all times.
    """

    def __init__(self, plan: Plan, table: pa.Table, zone: ZoneInfo) -> None:
        self.step = plan.main
        self.table = table
        self.zone = zone
        self.names = set(table.column_names)
        measured = [step for step in plan.steps if isinstance(step, Aggregate | Timeline)]
        self.shares = {m.name for s in measured for m in s.measures if m.op in ("share", "part")}

    def finding(self) -> str:
        """Return what the rows say."""
        if not self.table.num_rows:
            return "Nothing was found: the result has no rows."
        if isinstance(self.step, PathStep):
            return self._paths()
        if isinstance(self.step, Describe):
            return self._facts()
        if self.names >= EPISODE:
            return self._episodes()
        if self.table.num_rows == 1:
            return self._one_row()
        return self._over_time() if isinstance(self.step, Timeline) else self._rows()

    def value(self, value: Any, name: str) -> str:  # noqa: PLR0911  (one line a type)
        """Return a value of a column for people."""
        if value is None:
            return "none"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, datetime):
            return self._time(value)
        if not isinstance(value, int | float):
            return cell_text(value, self.zone)
        if name in self.shares:
            return f"{100 * value:.4g} %"
        if isinstance(value, int):
            return f"{value:,}"
        return f"{value:,.0f}" if abs(value) >= 10**_DIGITS else f"{value:,.{_DIGITS}g}"

    def _time(self, value: datetime) -> str:
        local = value.astimezone(self.zone) if value.tzinfo else value
        text = local.isoformat(" ", "minutes")
        return text[:_DAY] if local.hour == local.minute == 0 else text[: _DAY + len(" 06:00")]

    def _column(self, name: str, first: int | None = None) -> list[Any]:
        values: list[Any] = self.table[name].slice(0, first).to_pylist()
        return values

    def _counted(self) -> str:
        """Return how many rows there are, by what they are where all are entities of one type."""
        rows = f"{self.table.num_rows:,} rows"
        if not {"entity", "type"} <= self.names:
            return rows
        types = self.table["type"].unique().to_pylist()
        return f"{rows} of {types[0]}" if len(types) == 1 else rows

    def _one_row(self) -> str:
        row = self.table.to_pylist()[0]
        head, known = "", {n: v for n, v in row.items() if v is not None and not isinstance(v, list | dict)}
        if "entity" in known:
            head = f"{known.pop('entity')}: "
            for name in ("type", "key"):
                known.pop(name, None)
        return f"{head}{', '.join(f'{name} {self.value(v, name)}' for name, v in known.items())}."

    def _rows(self) -> str:
        label, figure = self._label_and_figure()
        end = " …" if self.table.num_rows > _NAMED else "."
        if label is None:
            return f"{self._counted()}."
        first = [self.value(v, label) for v in self._column(label, _NAMED)]
        if figure is None:
            return f"{self._counted()}: {', '.join(first)}{end}"
        if figure == self._ordered_by():
            figures = [self.value(v, figure) for v in self._column(figure, _NAMED)]
            pairs = ", ".join(f"{n} ({v})" for n, v in zip(first, figures, strict=True))
            said = f"{self._counted()}, in the order of {figure}: {pairs}{end}"
        else:
            said = f"{self._counted()}{self._extremes(label, figure)}."
        if "why" in self.names and (why := self._column("why", 1)[0]):
            said += f" {first[0]}: {why}"
        return said

    def _ordered_by(self) -> str | None:
        if isinstance(self.step, Top):
            return self.step.by
        return self.step.by[0].field if isinstance(self.step, Sort) else None

    def _extremes(self, label: str, figure: str) -> str:
        """Return the largest and the smallest value of a column, each with its row's name."""
        pairs = zip(self._column(figure), self._column(label), strict=True)
        known = [(v, n) for v, n in pairs if v is not None and not (isinstance(v, float) and math.isnan(v))]
        if not known:
            return f", all without {figure}"
        largest, smallest = max(known, key=lambda pair: pair[0]), min(known, key=lambda pair: pair[0])
        if largest[0] == smallest[0]:
            return f", {figure} {self.value(largest[0], figure)} in all of them"
        ends = [f"{self.value(v, figure)} ({self.value(n, label)})" for v, n in (largest, smallest)]
        return f"; the largest {figure} is {ends[0]}, the smallest {ends[1]}"

    def _label_and_figure(self) -> tuple[str | None, str | None]:
        """Return the column that names the rows, and the one that they are told apart by."""
        fields = [f for f in self.table.schema if not pt.is_nested(f.type)]
        numbers = [f.name for f in fields if pt.is_integer(f.type) or pt.is_floating(f.type)]
        named = [f.name for f in fields if f.name not in numbers]
        if isinstance(self.step, Aggregate):
            groups = [group.column for group in self.step.by]
            measure = self.step.measures[0].name
            return (groups[0] if groups else None), (measure if measure in numbers else None)
        label = next(iter(named), None)
        if "label" in named and not self.table["label"].null_count:
            label = "label"
        by = self._ordered_by()
        preferred = [by, *_FIGURES] if by in numbers else list(_FIGURES)
        single = numbers[0] if len(numbers) == 1 else None
        return label, next((name for name in preferred if name in numbers), single)

    def _over_time(self) -> str:
        step = self.step
        if not isinstance(step, Timeline):
            raise TypeError(step)
        times, name = self._column("time"), step.measures[0].name
        first, last = self._time(times[0]), self._time(times[-1])
        head = f"{self.table.num_rows:,} rows, by {step.bucket} from {first} to {last}"
        known = [(v, t) for v, t in zip(self._column(name), times, strict=True) if v is not None]
        if not known:
            return f"{head}, all without a value."
        low, high = min(known, key=lambda pair: pair[0]), max(known, key=lambda pair: pair[0])
        ends = [f"{self.value(v, name)} ({self._time(t)})" for v, t in (low, high)]
        return f"{head}; {name} between {ends[0]} and {ends[1]}."

    def _paths(self) -> str:
        """Return the first path in words, each edge with its direction."""
        rows = [row for row in self.table.to_pylist() if row["path"] == 1]
        here = rows[0]["source"]
        if len(rows) > 1 and here in (rows[1]["source"], rows[1]["target"]):
            here = rows[0]["target"]
        said = here
        for row in rows:
            out = row["source"] == here
            here = row["target"] if out else row["source"]
            said += f" -{row['edge']}→ {here}" if out else f" ←{row['edge']}- {here}"
        paths = max(self._column("path"))
        head = "A path" if paths == 1 else f"{paths:,} paths, the first"
        return f"{head} of {f'{len(rows):,} edges' if len(rows) > 1 else '1 edge'}: {said}."

    def _facts(self) -> str:
        rows = self.table.to_pylist()
        first = rows[0]["entity"]
        facts = [f"{row['fact']} {row['value']}" for row in rows if row["entity"] == first][:_FACTS]
        return f"{first}: {'; '.join(facts)}."

    def _episodes(self) -> str:
        """Return the first episodes of trends: when, what, how far from what was expected."""
        said = []
        for row in self.table.slice(0, _NAMED).to_pylist():
            value = f" of {row['value']}" if row.get("value") else ""
            seen, usual = (self.value(row[name], name) for name in ("observed", "expected"))
            when = f"{self._time(row['since'])} to {self._time(row['until'])}"
            said.append(
                f"{row['metric']}{value} {row['direction']} from {when}, {seen} where {usual} was expected"
                f" ({row['severity']})"
            )
        end = " …" if self.table.num_rows > _NAMED else "."
        rows = "1 episode" if self.table.num_rows == 1 else f"{self.table.num_rows:,} episodes"
        return f"{rows}: {'; '.join(said)}{end}"
