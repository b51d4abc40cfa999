"""What rules have done, durably: a log that only grows, and the state that follows from it.

Both lie in the workspace's ``alerts/``, beside the generations: lines of JSON, each sealed with its hash. A
file of the log appears whole or not at all, before the state that follows from it; where a loss of power
falls between the two, the state is told from the log again. What triggered is a line a subject, so that one
can be forgotten alone; a delivery that names it goes with it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from workbench.storage.sealed import Record, in_turn, read_lines, write_lines
from workbench.storage.writer import refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from workbench.storage import SegmentStore

__all__ = ["FOLDER", "Active", "Journal", "Record", "State"]

FOLDER = "alerts"
_STATE = "state.jsonl"
_MOST_FILES = 256
_REMEMBERED = timedelta(days=1)


@dataclass
class Active:
    """A subject for which a rule has triggered and is not resolved: since when, and what was measured."""

    since: str
    value: float
    reason: str


@dataclass
class State:
    """What follows from the log.

    Attributes:
        next: Number of the next record.
        evaluated: Rule to the time of its last evaluation.
        active: Rule to subject to what is triggered.
        fired: Rule to subject to the time at which it triggered last.
        pending: Deliveries without a final outcome, by id: the record, with ``attempts`` and ``tried``.
        sent: Deliveries with one, by id, with its time: for a day.
        good: File name to the last good document in it.
        errors: Rule to why its last evaluation failed.
    """

    next: int = 1
    evaluated: dict[str, str] = field(default_factory=dict)
    active: dict[str, dict[str, Active]] = field(default_factory=dict)
    fired: dict[str, dict[str, str]] = field(default_factory=dict)
    pending: dict[str, Record] = field(default_factory=dict)
    sent: dict[str, str] = field(default_factory=dict)
    good: dict[str, Record] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def follow(self, record: Record) -> None:
        """Take in one record of the log."""
        self.next = max(self.next, record["n"] + 1)
        rule, subject = record.get("rule", ""), record.get("subject", "")
        match record["kind"]:
            case "triggered":
                new = Active(record["at"], record["value"], record["reason"])
                self.active.setdefault(rule, {})[subject] = new
                self.fired.setdefault(rule, {})[subject] = record["at"]
            case "resolved":
                self.active.get(rule, {}).pop(subject, None)
            case "delivery":
                self.pending[record["id"]] = {**record, "attempts": 0, "tried": ""}
            case "outcome":
                if record["final"]:
                    self.pending.pop(record["id"], None)
                    self.sent[record["id"]] = record["at"]
                elif record["id"] in self.pending:
                    self.pending[record["id"]] |= {"attempts": record["attempts"], "tried": record["at"]}

    def forget_old(self, now: datetime, cooldowns: Mapping[str, timedelta]) -> None:
        """Let go of what no longer decides anything."""
        self.sent = {key: at for key, at in self.sent.items() if _age(at, now) < _REMEMBERED}
        self.fired = {
            rule: {s: at for s, at in subjects.items() if _age(at, now) < cooldowns.get(rule, timedelta())}
            for rule, subjects in self.fired.items()
        }

    def lines(self) -> Iterator[Record]:
        """Yield the state as lines."""
        yield {"kind": "state", "next": self.next}
        for rule, at in sorted(self.evaluated.items()):
            yield {"kind": "rule", "rule": rule, "evaluated": at, "error": self.errors.get(rule, "")}
        for rule, subjects in sorted(self.active.items()):
            for subject, found in sorted(subjects.items()):
                yield {"kind": "active", "rule": rule, "subject": subject, **vars(found)}
        for rule, fired in sorted(self.fired.items()):
            for subject, at in sorted(fired.items()):
                yield {"kind": "fired", "rule": rule, "subject": subject, "at": at}
        yield from (record | {"kind": "pending"} for record in self.pending.values())
        yield from ({"kind": "sent", "id": key, "at": at} for key, at in self.sent.items())
        yield from ({"kind": "good", "file": name, "document": d} for name, d in sorted(self.good.items()))

    def read(self, line: Record) -> None:
        """Take in one line of a state that was written."""
        match line["kind"]:
            case "state":
                self.next = line["next"]
            case "rule":
                self.evaluated[line["rule"]] = line["evaluated"]
                if line["error"]:
                    self.errors[line["rule"]] = line["error"]
            case "active":
                found = Active(line["since"], line["value"], line["reason"])
                self.active.setdefault(line["rule"], {})[line["subject"]] = found
            case "fired":
                self.fired.setdefault(line["rule"], {})[line["subject"]] = line["at"]
            case "pending":
                self.pending[line["id"]] = {**line, "kind": "delivery"}
            case "sent":
                self.sent[line["id"]] = line["at"]
            case "good":
                self.good[line["file"]] = line["document"]


class Journal:
    """The log and the state of a workspace's rules.

    Args:
        store: The workspace's files.
    """

    def __init__(self, store: SegmentStore) -> None:
        self._store = store
        self._folder = store.root / FOLDER
        self.problems: list[str] = []

    @property
    def exists(self) -> bool:
        """Return whether any rule was ever evaluated here."""
        return self._folder.is_dir()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from evaluating; waits for one that does.

        Raises:
            ReadOnlyError: If this is a mirror.
            StorageError: If the folder cannot be made.
        """
        self._store.require_writable()
        with in_turn(self._folder / "LOCK", "*.jsonl.*", self._store.disk):
            yield

    def state(self) -> State:
        """Return the state, told from the log as far as it was not written down."""
        self.problems = []
        state = State()
        for line in self._lines(self._folder / _STATE):
            state.read(line)
        start = state.next
        files = self._files()
        # a file is named by its first record: of those that begin before, the last may reach beyond
        older = [file for file in files if _first(file) <= start]
        for file in files[max(len(older) - 1, 0) :]:
            for record in self._lines(file):
                if record["n"] >= start:
                    state.follow(record)
        return state

    def append(self, state: State, records: Iterable[Record]) -> list[Record]:
        """Write records to the log as one file, number them, and take them into the state.

        Raises:
            StorageError: If the disk refuses; nothing is written then.
        """
        numbered = [{"n": state.next + i, **record} for i, record in enumerate(records)]
        if numbered:
            self._write(self._folder / f"log-{state.next:010d}.jsonl", numbered)
            for record in numbered:
                state.follow(record)
        return numbered

    def save(self, state: State) -> None:
        """Write the state down, and merge the files of the log where they have become many.

        Raises:
            StorageError: If the disk refuses.
        """
        self._write(self._folder / _STATE, state.lines())
        files = self._files()
        if len(files) > _MOST_FILES:
            self._merge(files)

    def log(self) -> list[Record]:
        """Return all records, oldest first; damaged lines are left out and named in :attr:`problems`."""
        self.problems = []
        found = {record["n"]: record for file in self._files() for record in self._lines(file)}
        return [found[number] for number in sorted(found)]

    def _merge(self, files: list[Path]) -> None:
        """Put the files of the log into the first; a record that is seen twice meanwhile counts once."""
        self._write(files[0], self.log())
        try:
            for file in files[1:]:
                self._store.disk.unlink(file)
            self._store.disk.sync_directory(self._folder)
        except OSError as error:
            raise refused(error, self._folder) from error

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("log-*.jsonl"))

    def _lines(self, path: Path) -> Iterator[Record]:
        return read_lines(path, self.problems)

    def _write(self, path: Path, records: Iterable[Record]) -> None:
        write_lines(path, records, self._store.disk)


def _first(file: Path) -> int:
    return int(file.stem.removeprefix("log-"))


def _age(at: str, now: datetime) -> timedelta:
    return now - datetime.fromisoformat(at)
