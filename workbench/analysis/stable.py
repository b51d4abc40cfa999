"""Numbers of groups that last from run to run: a group keeps the number of the one it grew out of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from workbench.analysis.tasks.base import Context
    from workbench.knowledge import Knowledge

__all__ = ["Kept", "at_the_end", "before", "lasting", "renumbered"]


@dataclass(frozen=True)
class Kept:
    """Groups with lasting numbers.

    Attributes:
        numbers: ``old`` (the number within this run) and ``new`` (the lasting one).
        metrics: ``next_number``, which no group has had yet; and, where there was a run before,
            ``kept`` (groups that were there), ``new`` and ``gone`` (groups), ``moved`` (the share of the
            entities of both runs that are in another group).
    """

    numbers: pl.DataFrame
    metrics: dict[str, float]


def before(context: Context, kind: str) -> Knowledge | None:
    """Return the newest run of a kind with an earlier end and the same parameters, or None."""
    for run in reversed(context.knowledge.runs(kind)):
        if run.parameters == context.parameters and datetime.fromisoformat(run.asof) < context.asof:
            return context.knowledge.read(kind, run=run.id)
    return None


def at_the_end(context: Context, kind: str) -> Knowledge | None:
    """Return the run of a kind that saw what the context sees, with the same parameters, or None."""
    for run in reversed(context.knowledge.runs(kind)):
        if run.parameters == context.parameters and datetime.fromisoformat(run.asof) == context.asof:
            return context.knowledge.read(kind, run=run.id)
    return None


def lasting(now: pl.DataFrame, earlier: pl.DataFrame | None, next_number: int = 0) -> Kept:
    """Return a lasting number for each group: that of the earlier group with which it shares most entities.

    Each earlier number is given once, to the group with the largest overlap; a group without an overlap
    gets a number that nobody has had.

    Args:
        now: ``entity`` and ``group``, numbered by size.
        earlier: The same of the run before, with lasting numbers; None: the groups keep their numbers.
        next_number: The first number that no earlier run has given.

    >>> now = pl.DataFrame({"entity": ["a", "b", "c", "d"], "group": [0, 0, 0, 1]})
    >>> earlier = pl.DataFrame({"entity": ["a", "b", "d", "e"], "group": [5, 5, 2, 2]})
    >>> lasting(now, earlier, 6).numbers.rows()
    [(0, 5), (1, 2)]
    """
    groups = now["group"].unique().sort()
    if earlier is None:
        last = _greatest(groups) + 1
        same = pl.DataFrame({"old": groups, "new": groups}).cast(pl.Int32)
        return Kept(same, {"next_number": float(max(last, next_number))})
    both = now.join(earlier.select("entity", before="group"), on="entity")
    given = _matched(both.group_by("group", "before").len())
    fresh = [int(group) for group in groups if int(group) not in given]
    numbers = {**given, **{group: next_number + place for place, group in enumerate(fresh)}}
    frame = pl.DataFrame(
        {"old": sorted(numbers), "new": [numbers[group] for group in sorted(numbers)]},
        schema={"old": pl.Int32, "new": pl.Int32},
    )
    stayed = both.select(pl.col("group").cast(pl.Int32), "before").join(
        frame, left_on="group", right_on="old"
    )
    moved = 1.0 - float((stayed["new"] == stayed["before"]).mean() or 0.0) if stayed.height else 0.0  # type: ignore[arg-type]
    return Kept(
        frame,
        {
            "next_number": float(next_number + len(fresh)),
            "kept": float(len(given)),
            "new": float(len(fresh)),
            "gone": float(earlier["group"].n_unique() - len(given)),
            "moved": moved,
        },
    )


def renumbered(
    context: Context, kind: str, table: pl.DataFrame, column: str
) -> tuple[pl.DataFrame, dict[str, float]]:
    """Return a result with lasting numbers in ``column``, and what is to be said of them.

    Args:
        context: What the task works on.
        kind: Its name.
        table: A row an entity, by group: numbered by size.
        column: Which has the group.
    """
    earlier = before(context, kind)
    groups = None if earlier is None else earlier.to_polars().select("entity", group=column)
    first = 0 if earlier is None else int(earlier.run.metrics.get("next_number", 0))
    if groups is not None and groups.height:
        first = max(first, _greatest(groups["group"]) + 1)
    kept = lasting(table.select("entity", group=column), groups, first)
    numbers = kept.numbers.rename({"old": column, "new": "lasting"})
    renamed = table.join(numbers, on=column, how="left", maintain_order="left")
    return renamed.with_columns(pl.col("lasting").alias(column)).drop("lasting"), kept.metrics


def _matched(overlaps: pl.DataFrame) -> dict[int, int]:
    """Return group to earlier number, the largest overlaps first, each of both once."""
    given: dict[int, int] = {}
    taken: set[int] = set()
    order = overlaps.sort("len", "before", "group", descending=[True, False, False])
    for group, number in order.select("group", "before").iter_rows():
        if group not in given and number not in taken:
            given[int(group)] = int(number)
            taken.add(number)
    return given


def _greatest(numbers: pl.Series) -> int:
    """Return the greatest of whole numbers; -1 of none."""
    return int(numbers.to_numpy().max(initial=-1))
