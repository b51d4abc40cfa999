"""Backtests: a rule replayed over the window, tick by tick, before it is enabled."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from workbench.analysis.activity import from_us, moment, to_us
from workbench.config.schedule import span_text
from workbench.errors import UsageError
from workbench.progress import Update
from workbench.rules.changes import changes
from workbench.rules.enrich import agreed
from workbench.rules.judge import Judge
from workbench.rules.marks import marks
from workbench.rules.memory import Memory
from workbench.rules.scene import window_start
from workbench.tabular import Tabular, html_table, text_table

if TYPE_CHECKING:
    from datetime import date

    import pyarrow as pa

    from workbench.config.anomaly_rule import AnomalyRule
    from workbench.progress import Progress
    from workbench.rules.scene import World

__all__ = ["Backtest", "backtest"]

_SHOWN = ("triggered", "resolved", "subject", "value", "limit", "reason")


@dataclass(frozen=True, repr=False)
class Backtest(Tabular):
    """When and for whom a rule would have fired, a row each time, in order of time.

    Attributes:
        rule: The rule.
        table: ``triggered``, ``resolved`` (null: not by the end), ``subject``, ``value``, ``limit``,
            ``reason``, ``addresses`` and ``mark`` (of triage; null: none).
        since: First tick that was replayed.
        until: Last one.
        replayed: Ticks that were replayed.
        ticks: Ticks that the schedule has.
        seconds: What it took.
        timezone: Zone of all times.
    """

    rule: AnomalyRule
    table: pa.Table
    since: datetime
    until: datetime
    replayed: int
    ticks: int
    seconds: float
    timezone: str = "UTC"

    def to_arrow(self) -> pa.Table:
        """Return the rows."""
        return self.table

    @property
    def fired(self) -> int:
        """Return how often it would have fired."""
        return int(self.table.num_rows)

    @property
    def subjects(self) -> int:
        """Return for how many subjects."""
        return int(self.to_polars()["subject"].n_unique())

    @property
    def confirmed(self) -> int:
        """Return for how many of the subjects triage says that something was wrong."""
        return self._marked("confirmed")

    @property
    def benign(self) -> int:
        """Return for how many of the subjects triage says that nothing was."""
        return self._marked("benign")

    @property
    def precision(self) -> float | None:
        """Return the confirmed part of the subjects that triage has judged; None where it judged none."""
        judged = self.confirmed + self.benign
        return self.confirmed / judged if judged else None

    def by_day(self) -> pl.DataFrame:
        """Return how often it would have fired on each day, days without included."""
        local = pl.col("triggered").dt.convert_time_zone(self.timezone).dt.date().alias("day")
        found = self.to_polars().group_by(local).agg(pl.len().alias("fired"))
        zone = pl.Series([self.since, self.until]).dt.convert_time_zone(self.timezone).dt.date()
        days = pl.DataFrame({"day": pl.date_range(zone[0], zone[1], eager=True)})
        return days.join(found, on="day", how="left", maintain_order="left").fill_null(0)

    def summary(self) -> dict[str, Any]:
        """Return the figures as JSON data."""
        return {
            "rule": self.rule.id,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "ticks": self.ticks,
            "replayed": self.replayed,
            "fired": self.fired,
            "subjects": self.subjects,
            "confirmed": self.confirmed,
            "benign": self.benign,
            "precision": self.precision,
            "seconds": round(self.seconds, 2),
        }

    def _marked(self, mark: str) -> int:
        chosen = self.to_polars().filter(pl.col("mark") == mark)
        return int(chosen["subject"].n_unique())

    def _title(self) -> str:
        thinned = "" if self.replayed == self.ticks else f" of {self.ticks:,}"
        judged = self.confirmed + self.benign
        said = (
            f"; precision {self.precision:.2f} by {judged:,} marks"
            if self.precision is not None
            else "; no marks of triage to judge it by"
        )
        zone = ZoneInfo(self.timezone)
        since, until = (f"{t.astimezone(zone):%Y-%m-%d %H:%M}" for t in (self.since, self.until))
        return (
            f"{self.rule.id}: {self.replayed:,}{thinned} ticks from {since} until {until} {self.timezone}, "
            f"{self.fired:,} times for {self.subjects:,} subjects{said}"
        )

    def __repr__(self) -> str:
        """Return the figures and the first rows as text."""
        return text_table(self.table.select(_SHOWN), self._title(), self.timezone)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        shown = self.table.select(_SHOWN)
        return {"text/plain": repr(self), "text/html": html_table(shown, self._title(), self.timezone)}


def backtest(  # noqa: PLR0913  (what, over which time, how finely)
    world: World,
    rule: AnomalyRule,
    *,
    since: str | date | None,
    until: str | date | None,
    most_ticks: int,
    progress: Progress,
) -> Backtest:
    """Replay a rule over the window.

    Args:
        world: The workspace.
        rule: The rule; whether it is enabled makes no difference.
        since: A day or time; by default the window's start.
        until: The end; by default the workspace's clock.
        most_ticks: The most ticks that are replayed.
        progress: Told after each tick.

    Raises:
        UnknownNameError: If it names what there is not.
        UsageError: If its schedule has no tick in that time, or there is no data.
    """
    begin = time.perf_counter()
    ticks, total = _ticks(world, rule, since, until, most_ticks)
    judge = Judge(world, Memory(world, to_us(ticks[-1])))
    active: dict[str, dict[str, Any]] = {}
    fired: dict[str, datetime] = {}
    rows: list[dict[str, Any]] = []
    for done, tick in enumerate(ticks, 1):
        at = to_us(tick)
        found = {r["subject"]: r for r in agreed(world, rule, judge.find(rule, at), at).iter_rows(named=True)}
        new, over = changes(rule, found, active, fired, tick)
        for subject in over:
            active.pop(subject)["resolved"] = tick
        for subject in new:
            fired[subject] = tick
            active[subject] = {**found[subject], "triggered": tick, "resolved": None}
            rows.append(active[subject])
        progress(Update("backtest", done, len(ticks), "ticks"))
    table = pl.DataFrame(rows, schema=_COLUMNS)
    marked = table.join(marks(world), on="subject", how="left", maintain_order="left")
    return Backtest(
        rule,
        marked.to_arrow(compat_level=pl.CompatLevel.oldest()),
        ticks[0],
        ticks[-1],
        len(ticks),
        total,
        time.perf_counter() - begin,
        world.timezone,
    )


_COLUMNS = {
    "triggered": pl.Datetime("us", "UTC"),
    "resolved": pl.Datetime("us", "UTC"),
    "subject": pl.String(),
    "value": pl.Float64(),
    "limit": pl.Float64(),
    "reason": pl.String(),
    "addresses": pl.List(pl.String()),
}


def _ticks(
    world: World, rule: AnomalyRule, since: str | date | None, until: str | date | None, most: int
) -> tuple[list[datetime], int]:
    """Return the ticks to replay, and how many there are."""
    if most < 1:
        raise UsageError(f"most_ticks is {most}, must be at least 1.")
    clock = world.now
    if clock is None:
        raise UsageError("there are no events to replay the rule over.")
    start = from_us(window_start(world.snapshot) if since is None else moment(since, world.timezone))
    end = clock if until is None else min(from_us(moment(until, world.timezone)), clock)
    # an evaluation sees what was before it: at the very start there is nothing
    found = list(rule.schedule.between(max(start, _first(world)), end, world.timezone))
    if not found:
        raise UsageError(
            f"the schedule {rule.schedule.cron!r} has no tick from {start} until {end}.",
            fix=f"The window is {span_text(max(end - start, timedelta()))} long.",
        )
    places = np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int))
    return [found[place] for place in places], len(found)


def _first(world: World) -> datetime:
    return from_us(window_start(world.snapshot))
