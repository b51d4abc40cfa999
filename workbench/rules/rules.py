"""The rules of a workspace: ``db.rules``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.config.anomaly_rule import AnomalyRule, load_rule
from workbench.progress import silent
from workbench.rules.backtest import backtest
from workbench.rules.book import Book, Problem
from workbench.rules.enrich import checked
from workbench.rules.evaluation import Evaluation
from workbench.rules.firing import Firing
from workbench.rules.journal import Journal
from workbench.rules.log import log_of
from workbench.rules.notify.channels import Channels
from workbench.rules.notify.deliver import deliver
from workbench.tabular import Tabular

if TYPE_CHECKING:
    import builtins
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    import pyarrow as pa

    from workbench.progress import Progress
    from workbench.rules.backtest import Backtest
    from workbench.rules.log import Log
    from workbench.rules.scene import World

__all__ = ["Rules"]

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
            record
            for record in reversed(self._journal.log())
            if record["kind"] != "delivery" and (rule is None or record["rule"] == rule)
        ]
        return log_of(records[:limit], self.timezone)

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
            evaluation = Evaluation(self._world, self._journal, state, now)
            due = [r for r in rules.values() if (r.id in wanted if wanted else evaluation.is_due(r))]
            fired = evaluation.run(due) if self._world.now is not None else []
            fired += evaluation.let_go(rules.values()) if not wanted else []
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

    def _wrong(self, rule: AnomalyRule) -> builtins.list[str]:
        """Return what is wrong with a rule in this workspace."""
        from workbench.rules.check import findings  # noqa: PLC0415

        return [*findings(self._world, rule), *checked(self._world, rule)]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
