"""The rules of a workspace: ``db.rules``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.analysis.activity import from_us, to_us
from workbench.config.anomaly_rule import AnomalyRule, load_rule
from workbench.errors import CorruptFileError, WorkbenchError
from workbench.logs import get_logger
from workbench.progress import silent
from workbench.rules.backtest import backtest
from workbench.rules.book import Book, Problem
from workbench.rules.changes import changes
from workbench.rules.enrich import agreed, checked
from workbench.rules.firing import Firing
from workbench.rules.journal import Journal
from workbench.rules.judge import Judge
from workbench.rules.notify.channels import Channels
from workbench.rules.notify.deliver import deliver, planned
from workbench.tabular import Tabular

if TYPE_CHECKING:
    import builtins
    import threading
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date

    import pyarrow as pa

    from workbench.progress import Progress
    from workbench.rules.backtest import Backtest
    from workbench.rules.journal import Record, State
    from workbench.rules.scene import World

__all__ = ["Rules"]

_log = get_logger("rules")
# What one rule may fail with, and the others go on.
_FAILURES = (WorkbenchError, ValueError, ArithmeticError, pl.exceptions.PolarsError)


@dataclass(frozen=True, repr=False)
class Log(Tabular):
    """Records of the log as a table."""

    table: pa.Table
    timezone: str = "UTC"

    def to_arrow(self) -> pa.Table:
        """Return the records, the newest first."""
        return self.table

    def _title(self) -> str:
        return "what rules have done, the newest first"


class Rules(Tabular):
    """The rules in a workspace's ``rules/``, a row each; files are read again as they change.

    Args:
        world: The workspace.
        wait: Waits some seconds between two attempts to deliver a notification.
    """

    def __init__(self, world: World, *, wait: Callable[[float], object] = time.sleep) -> None:
        self._world = world
        self._wait = wait
        self.timezone = world.timezone
        self._book = Book(world.path / "rules")
        self._journal = Journal(world.store)
        self._book.remember(self._journal.state().good)

    # what there is

    def list(self) -> builtins.list[AnomalyRule]:
        """Return the rules, by id."""
        return [rule for _, rule in sorted(self._book.rules.items())]

    def get(self, rule: str) -> AnomalyRule:
        """Return a rule.

        Raises:
            UnknownNameError: If there is no such rule; near misses are suggested.
        """
        return self._book.get(rule)

    def to_arrow(self) -> pa.Table:
        """Return ``rule``, ``name``, ``kind``, ``severity``, ``enabled``, ``cron``, ``cooldown``,
        ``evaluated``, ``active``, ``notified`` and ``file``.
        """  # noqa: D205  (the columns are what it returns)
        state = self._journal.state()
        rows = [
            {
                "rule": rule.id,
                "name": rule.name,
                "kind": rule.kind,
                "severity": rule.severity,
                "enabled": rule.metadata.enabled,
                "cron": rule.schedule.cron,
                "evaluated": _moment(state.evaluated.get(rule.id)),
                "active": len(state.active.get(rule.id, {})),
                "channels": ", ".join(notification.channel for notification in rule.notifications),
                "file": self._book.file(rule.id).name,
            }
            for rule in self.list()
        ]
        return pl.DataFrame(rows, schema=_COLUMNS).to_arrow(compat_level=pl.CompatLevel.oldest())

    def problems(self) -> builtins.list[Problem]:
        """Return what is wrong: files that are not valid, names that do not exist, failed evaluations."""
        self._book.refresh()
        found = [*self._book.problems]
        for rule in self.list():
            named = self._book.file(rule.id).name
            found += [Problem(named, f"{named}: {text}", False) for text in self._wrong(rule)]
        state = self._journal.state()
        known = {rule.id for rule in self.list() if rule.metadata.enabled}
        found += [
            Problem(rule, f"{rule}: its last evaluation failed: {text}", False)
            for rule, text in sorted(state.errors.items())
            if rule in known
        ]
        return found + [Problem("alerts", text, False) for text in self._journal.problems]

    def active(self) -> dict[str, tuple[str, ...]]:
        """Return for whom each rule has triggered and is not resolved."""
        active = self._journal.state().active
        return {rule: tuple(sorted(subjects)) for rule, subjects in sorted(active.items()) if subjects}

    def log(self, rule: str | None = None, *, limit: int | None = None) -> Log:
        """Return what rules have done, the newest first: triggered, resolved, notified.

        Args:
            rule: Only this one's.
            limit: The most records.
        """
        records = [
            _row(record)
            for record in reversed(self._journal.log())
            if record["kind"] != "delivery" and (rule is None or record["rule"] == rule)
        ]
        table = pl.DataFrame(records[:limit], schema=_LOG).to_arrow(compat_level=pl.CompatLevel.oldest())
        return Log(table, self.timezone)

    def backtest(
        self,
        rule: str | Path | AnomalyRule | Mapping[str, Any],
        *,
        since: str | date | None = None,
        until: str | date | None = None,
        most_ticks: int = 240,
        progress: Progress = silent,
    ) -> Backtest:
        """Replay a rule over the window: when and for whom it would have fired; nothing is kept or sent.

        At each tick of its schedule it sees what was there before, as an evaluation would have.

        Args:
            rule: A rule's id, its file, the rule itself, or its document as data.
            since: A day or time in the workspace's zone; by default the window's start.
            until: The end; by default the workspace's clock.
            most_ticks: Where the schedule has more ticks, only so many, evenly, are replayed; the result
                says so.
            progress: Told after each tick.

        Raises:
            UnknownNameError: If there is no such rule, or it names what there is not.
            ConfigError: If the file or the document is not a valid rule.
            UsageError: If its schedule has no tick in that time.
        """
        return backtest(
            self._world, self._meant(rule), since=since, until=until, most_ticks=most_ticks, progress=progress
        )

    def _meant(self, rule: str | Path | AnomalyRule | Mapping[str, Any]) -> AnomalyRule:
        if isinstance(rule, AnomalyRule):
            return rule
        if isinstance(rule, str) and rule in self._book.rules:
            return self._book.get(rule)
        if isinstance(rule, str | Path):
            return load_rule(Path(rule)) if str(rule).endswith((".yaml", ".yml")) else self.get(str(rule))
        document = dict(rule)
        return AnomalyRule.from_json({"metadata": document.get("metadata"), **document.get("spec", {})})

    # what changes it

    def add(self, example: str) -> Path:
        """Copy one of the rules that come with workbench into the workspace, disabled, and return its file.

        Raises:
            UnknownNameError: If there is no such example.
            UsageError: If there is a rule of its name already.
        """
        self._world.store.require_writable()
        return self._book.add(example)

    def enable(self, rule: str) -> None:
        """Write into a rule's file that it is enabled.

        Raises:
            UnknownNameError: If there is no such rule.
            ConfigError: If its file is not valid now.
        """
        self._world.store.require_writable()
        self._book.enable(rule, enabled=True)

    def disable(self, rule: str) -> None:
        """Write into a rule's file that it is not enabled; what it triggered is resolved.

        Raises:
            UnknownNameError: If there is no such rule.
            ConfigError: If its file is not valid now.
        """
        self._world.store.require_writable()
        self._book.enable(rule, enabled=False)

    def evaluate(self, now: datetime | None = None, *, only: Sequence[str] = ()) -> builtins.list[Firing]:
        """Evaluate the enabled rules that are due, log and notify, and return what triggered or is resolved.

        A rule is due when its schedule had a tick since its last evaluation, and at once where there was none
        yet. It sees the data up to the workspace's clock, and nothing after ``now``. A rule that fails is
        among the problems; the others go on.

        Args:
            now: The time; by default this machine's.
            only: These rules, due or not, enabled or not.

        Raises:
            UnknownNameError: If there is no such rule.
            StorageError: If what happened cannot be written down; nobody is notified then.
        """
        now = now or datetime.now(UTC)
        wanted = {self.get(rule).id for rule in only}
        if not self._book.rules and not self._journal.exists:
            return []
        with self._journal.held():
            self._world.refresh()
            state = self._journal.state()
            before = [*state.lines()]
            self._book.remember(state.good)
            rules = self._book.rules
            due = [r for r in rules.values() if (r.id in wanted if wanted else self._due(r, state, now))]
            fired = self._evaluated(due, state, now) if self._world.now is not None else []
            fired += self._let_go(state, now) if not wanted else []
            state.good = self._book.good
            state.forget_old(now, {rule.id: rule.schedule.cooldown for rule in rules.values()})
            if [*state.lines()] != before:
                self._journal.save(state)
            channels = Channels(self._world.settings, self._world.path)
            if deliver(state, self._journal, channels, now, self._wait):
                self._journal.save(state)
        return [Firing.of(record) for record in fired]

    def watch(self, say: Callable[[str], object], stop: threading.Event) -> None:
        """Read rules again as their files change, and tell what is wrong with them, until it is stopped.

        Args:
            say: Told of each problem, and of each change without one.
            stop: Once it is set, in any thread, the watch ends.
        """
        from watchfiles import watch  # noqa: PLC0415  (only where it is needed)

        self._book.folder.mkdir(exist_ok=True)
        for _ in watch(self._book.folder, stop_event=stop, step=20, yield_on_timeout=True, rust_timeout=500):
            if self._book.refresh():
                said = [str(problem) for problem in self.problems()] or [f"{len(self.list())} rules are good"]
                for line in said:
                    say(line)

    # how it is done

    def _due(self, rule: AnomalyRule, state: State, now: datetime) -> bool:
        if not rule.metadata.enabled:
            return False
        last = state.evaluated.get(rule.id)
        if last is None:
            return True
        tick = rule.schedule.after(datetime.fromisoformat(last), self.timezone)
        return tick is not None and tick <= now

    def _evaluated(self, due: Iterable[AnomalyRule], state: State, now: datetime) -> builtins.list[Record]:
        judge = Judge(self._world)
        clock = self._world.now
        if clock is None:
            raise AssertionError("there are no events")
        until = min(to_us(clock) + 1, to_us(now))
        fired: builtins.list[Record] = []
        for rule in due:
            state.evaluated[rule.id] = now.isoformat()
            state.errors.pop(rule.id, None)
            try:
                found = self._found(judge, rule, until)
            except _FAILURES as error:
                state.errors[rule.id] = str(error)
                _log.warning("rule failed", rule=rule.id, reason=str(error))
                continue
            facts = {
                "at": now.isoformat(),
                "asof": from_us(until - 1).isoformat(),
                "workspace": self._world.path.name,
            }
            fired += self._transitions(rule, found, state, facts)
        return fired

    def _found(self, judge: Judge, rule: AnomalyRule, until: int) -> pl.DataFrame:
        """Return whom a rule is about; again at a newer generation if a writer removed files of this one."""
        try:
            return agreed(self._world, rule, judge.find(rule, until), until)
        except CorruptFileError:
            generation = self._generation
            self._world.refresh()
            if self._generation == generation:
                raise
            return agreed(self._world, rule, Judge(self._world).find(rule, until), until)

    def _transitions(
        self, rule: AnomalyRule, found: pl.DataFrame, state: State, facts: dict[str, Any]
    ) -> builtins.list[Record]:
        """Log for whom a rule has triggered and is resolved, and what is to be sent about it."""
        active = state.active.get(rule.id, {})
        fired = {s: datetime.fromisoformat(at) for s, at in state.fired.get(rule.id, {}).items()}
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
        written = self._journal.append(state, records)
        return [record for record in written if record["kind"] != "delivery"]

    def _let_go(self, state: State, now: datetime) -> builtins.list[Record]:
        """Resolve, without telling anybody, what rules triggered that are gone or disabled now."""
        enabled = {rule.id for rule in self.list() if rule.metadata.enabled}
        records = [
            {
                "kind": "resolved",
                "rule": rule,
                "subject": subject,
                "at": now.isoformat(),
                "asof": now.isoformat(),
                "since": was.since,
                "value": was.value,
                "limit": 0.0,
                "reason": "the rule is disabled or gone",
                "severity": "info",
                "addresses": [],
                "version": "",
                "generation": self._generation,
            }
            for rule, subjects in state.active.items()
            if rule not in enabled
            for subject, was in subjects.items()
        ]
        return self._journal.append(state, records)

    @property
    def _generation(self) -> int:
        return self._world.snapshot.generation

    def _wrong(self, rule: AnomalyRule) -> builtins.list[str]:
        """Return what is wrong with a rule in this workspace."""
        from workbench.rules.check import findings  # noqa: PLC0415

        return [*findings(self._world, rule), *checked(self._world, rule)]


_COLUMNS = {
    "rule": pl.String(),
    "name": pl.String(),
    "kind": pl.String(),
    "severity": pl.String(),
    "enabled": pl.Boolean(),
    "cron": pl.String(),
    "evaluated": pl.Datetime("us", "UTC"),
    "active": pl.Int64(),
    "channels": pl.String(),
    "file": pl.String(),
}
_LOG = {
    "number": pl.Int64(),
    "at": pl.Datetime("us", "UTC"),
    "rule": pl.String(),
    "event": pl.String(),
    "subject": pl.String(),
    "text": pl.String(),
    "value": pl.Float64(),
    "limit": pl.Float64(),
    "asof": pl.Datetime("us", "UTC"),
    "since": pl.Datetime("us", "UTC"),
    "addresses": pl.List(pl.String()),
    "version": pl.String(),
    "generation": pl.Int64(),
}


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


def _row(record: Record) -> dict[str, Any]:
    sent = record["kind"] == "outcome"
    return {
        "number": record["n"],
        "at": _moment(record["at"]),
        "rule": record["rule"],
        "event": record["status"] if sent else record["kind"],
        "subject": record["channel"] if sent else record["subject"],
        "text": record["detail"] if sent else record["reason"],
        "value": record.get("value"),
        "limit": record.get("limit"),
        "asof": _moment(record.get("asof")),
        "since": _moment(record.get("since")),
        "addresses": record.get("addresses", []),
        "version": record.get("version", ""),
        "generation": record.get("generation"),
    }


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
