"""One evaluation of rules: which are due, for whom they trigger or are resolved, and that it is logged."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.analysis.activity import from_us, to_us
from workbench.errors import WorkbenchError
from workbench.logs import get_logger
from workbench.rules.changes import changes
from workbench.rules.enrich import agreed
from workbench.rules.judge import Judge
from workbench.rules.notify.deliver import planned
from workbench.storage.whole import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.config.anomaly_rule import AnomalyRule
    from workbench.rules.journal import Journal, State
    from workbench.rules.scene import World
    from workbench.storage.sealed import Record

__all__ = ["Evaluation"]

_log = get_logger("rules")
# What one rule may fail with, and the others go on.
_FAILURES = (WorkbenchError, ValueError, ArithmeticError, pl.exceptions.PolarsError)
_PUT_BACK = timedelta(minutes=1)  # what was done later than that from now was by a clock that was put back


class Evaluation:
    """An evaluation of rules at one time.

    Args:
        world: The workspace.
        journal: Where what happens is logged, held by who evaluates.
        state: What has happened before; it follows.
        now: The time.
    """

    def __init__(self, world: World, journal: Journal, state: State, now: datetime) -> None:
        self._world = world
        self._journal = journal
        self._state = state
        self._now = now
        self._judge: tuple[int, Judge] | None = None

    def is_due(self, rule: AnomalyRule) -> bool:
        """Return whether a rule is enabled and its schedule had a tick since the last evaluation of it."""
        if not rule.metadata.enabled:
            return False
        evaluated = self._state.evaluated.get(rule.id)
        last = datetime.fromisoformat(evaluated) if evaluated else None
        if last is None or last > self._now + _PUT_BACK:  # else it waits until the clock is there again
            return True
        tick = rule.schedule.after(last, self._world.timezone)
        return tick is not None and tick <= self._now

    def run(self, due: Iterable[AnomalyRule]) -> list[Record]:
        """Evaluate rules over the data up to the clock; one that fails is noted, and the others go on."""
        clock = self._world.now
        assert clock is not None  # noqa: S101  (there are events)
        until = min(to_us(clock) + 1, to_us(self._now))
        fired: list[Record] = []
        for rule in due:
            self._state.evaluated[rule.id] = self._now.isoformat()
            self._state.errors.pop(rule.id, None)
            try:
                found = read_whole(self._world, partial(self._found, rule, until))
            except _FAILURES as error:
                self._state.errors[rule.id] = str(error)
                _log.warning("rule failed", rule=rule.id, reason=str(error))
                continue
            facts = {
                "at": self._now.isoformat(),
                "asof": from_us(until - 1).isoformat(),
                "workspace": self._world.path.name,
            }
            fired += self._transitions(rule, found, facts)
        return fired

    def _found(self, rule: AnomalyRule, until: int) -> pl.DataFrame:
        """Return whom a rule is about, at the generation that is read."""
        if self._judge is None or self._judge[0] != self._generation:
            self._judge = self._generation, Judge(self._world)
        return agreed(self._world, rule, self._judge[1].find(rule, until), until)

    def _transitions(self, rule: AnomalyRule, found: pl.DataFrame, facts: dict[str, Any]) -> list[Record]:
        """Log for whom a rule has triggered and is resolved, and what is to be sent about it."""
        active = self._state.active.get(rule.id, {})
        fired = {s: datetime.fromisoformat(at) for s, at in self._state.fired.get(rule.id, {}).items()}
        rows = {row["subject"]: row for row in found.iter_rows(named=True)}
        begun, ended = changes(rule, rows, active, fired, datetime.fromisoformat(facts["at"]))
        new = [{**rows[subject], "since": facts["at"]} for subject in begun]
        over = [
            {
                "subject": subject,
                "value": active[subject].value,
                "limit": 0.0,
                "reason": f"it holds no longer; it was: {active[subject].reason}",
                "since": active[subject].since,
                "addresses": [],
            }
            for subject in ended
        ]
        records = [_record(rule, "triggered", row, facts, self._generation) for row in new]
        records += [_record(rule, "resolved", row, facts, self._generation) for row in over]
        if new:
            records += planned(rule, "triggered", new, facts)
        if over:
            records += planned(rule, "resolved", over, facts)
        written = self._journal.append(self._state, records)
        return [record for record in written if record["kind"] != "delivery"]

    def let_go(self, rules: Iterable[AnomalyRule]) -> list[Record]:
        """Resolve, without telling anybody, what rules triggered that are gone or disabled now."""
        enabled = {rule.id for rule in rules if rule.metadata.enabled}
        records = [
            {
                "kind": "resolved",
                "rule": rule,
                "subject": subject,
                "at": self._now.isoformat(),
                "asof": self._now.isoformat(),
                "since": was.since,
                "value": was.value,
                "limit": 0.0,
                "reason": "the rule is disabled or gone",
                "severity": "info",
                "addresses": [],
                "version": "",
                "generation": self._generation,
            }
            for rule, subjects in self._state.active.items()
            if rule not in enabled
            for subject, was in subjects.items()
        ]
        return self._journal.append(self._state, records)

    @property
    def _generation(self) -> int:
        return self._world.snapshot.generation


def _record(
    rule: AnomalyRule, event: str, row: dict[str, Any], facts: dict[str, Any], generation: int
) -> Record:
    return {
        "kind": event,
        "rule": rule.id,
        "subject": row["subject"],
        "at": facts["at"],
        "asof": facts["asof"],
        "since": row["since"],
        "value": row["value"],
        "limit": row["limit"],
        "reason": row["reason"],
        "severity": rule.severity,
        "addresses": row["addresses"],
        "version": rule.fingerprint,
        "generation": generation,
    }
