"""Watching directories: files that are complete are ingested, once, as long as it goes on.

What counts is what lies there: a directory is looked through at the start, when the kernel tells of a
change, and now and then. A file is complete when two looks, some seconds apart, find it the same: size,
times and inode. The ledger knows what was taken, so a watch that is started again takes only what is new.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from workbench.errors import ClockJumpError, DiskFullError, SourceError, StorageError, WriterLockedError
from workbench.ingest.sources import files_below
from workbench.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from workbench.ingest.report import IngestReport, Outcome

__all__ = ["Told", "Watch", "is_temporary", "require_directories"]

_TEMPORARY = (
    *("~", ".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".download"),
    *(".inprogress", ".writing", ".swp", ".lock"),
)
_IDLE_SECONDS = 30.0  # between looks where nothing is told: the kernel says nothing of other machines' files
_LOCK_SECONDS = 1.0
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0

Identity = tuple[int, int, int, int]


def is_temporary(name: str) -> bool:
    """Return whether a file's name says that its writer has not finished, or that it is not for others.

    >>> is_temporary("orders.csv"), is_temporary("orders.csv.part"), is_temporary(".orders.csv")
    (False, True, True)
    """
    return name.startswith((".", "_", "#")) or name.lower().endswith(_TEMPORARY)


def require_directories(directories: Iterable[Path]) -> None:
    """Check that directories are there.

    Raises:
        SourceError: If one is not.
    """
    for directory in directories:
        if not directory.expanduser().is_dir():
            raise SourceError("there is no such directory.", where=str(directory))


@dataclass(frozen=True)
class Told:
    """One thing that a watch says.

    Attributes:
        what: "stored", "quarantined", "unreadable" or "skipped" of a file; "known" of several files;
            "evicted" of days; "waiting" where something has to change first; "note".
        text: It, for people.
        source: The file, where it is about one.
        rows: Documents stored from it.
        rejected: Its records in quarantine.
    """

    what: Literal["stored", "quarantined", "unreadable", "skipped", "known", "evicted", "waiting", "note"]
    text: str
    source: str = ""
    rows: int = 0
    rejected: int = 0

    def __str__(self) -> str:
        """Return the text."""
        return self.text


class Taking(Protocol):
    """What takes files: an ingest that tells of each source and can be stopped."""

    def __call__(
        self, paths: Sequence[Path], *, told: Callable[[Outcome], object], stop: threading.Event
    ) -> IngestReport:
        """Ingest some files."""


@dataclass
class Watch:
    """A watch over directories.

    Args:
        directories: What is watched, with everything below.
        take: Ingests files.
        evict: Drops what the window no longer holds, some days at a time, and returns them.
        say: Told of everything that happens.
        seconds: How far two looks at a file lie apart.
    """

    directories: Sequence[Path]
    take: Taking
    evict: Callable[[], list[str]]
    say: Callable[[Told], object]
    seconds: float = 2.0
    _seen: dict[Path, tuple[Identity, float]] = field(default_factory=dict)
    _taken: dict[Path, Identity] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)
    _looked: float = 0.0
    _problem: str = ""

    def __post_init__(self) -> None:
        """Check that the directories are there."""
        self.directories = [Path(os.path.abspath(d)) for d in self.directories]  # noqa: PTH100
        require_directories(self.directories)

    def once(self, stop: threading.Event | None = None) -> None:
        """Take what is complete now, and return.

        Raises:
            WriterLockedError: If another process writes to the workspace.
            StorageError: If the disk refuses.
        """
        stop = stop or threading.Event()
        self._look()
        stop.wait(self.seconds)
        ready = self._look()
        if ready and not stop.is_set():
            self._take(ready, stop)
        self._evict()
        for path in sorted(self._seen.keys() - self._taken.keys()):
            self.say(Told("note", f"{path}: still being written, left for the next time", str(path)))

    def run(self, stop: threading.Event) -> None:
        """Take what is complete, and what will be, until ``stop`` is set."""
        self.turn(stop)
        for told in self._changes(stop):
            if told or self._pending() or time.monotonic() - self._looked >= _IDLE_SECONDS:
                self.turn(stop)

    def _changes(self, stop: threading.Event) -> Iterator[bool]:
        """Yield at least every few seconds, until ``stop`` is set; true where something has changed."""
        from watchfiles import watch  # noqa: PLC0415  (only where it is needed)

        try:
            for changed in watch(
                *self.directories,
                watch_filter=None,
                stop_event=stop,
                rust_timeout=max(1, int(self.seconds * 1000)),
                yield_on_timeout=True,
                raise_interrupt=True,
                ignore_permission_denied=True,
            ):
                yield bool(changed)
        except (OSError, RuntimeError) as error:
            self._tell_once("note", f"the kernel tells of no changes ({error}): looking now and then")
        while not stop.wait(self.seconds):
            yield True

    def turn(self, stop: threading.Event) -> None:
        """Look once and take what is complete; what cannot be taken yet is waited for."""
        ready = self._look()
        if ready and not stop.is_set():
            self._persist(ready, stop)
        if not stop.is_set():
            self._evict_or_tell()

    def _pending(self) -> bool:
        return any(self._taken.get(path) != identity for path, (identity, _) in self._seen.items())

    def _look(self) -> list[Path]:
        """Return the files that are complete and were not taken as they are, in order of their names."""
        self._looked = now = time.monotonic()
        found: dict[Path, tuple[Identity, float]] = {}
        for path, identity in self._files():
            before = self._seen.get(path)
            since = before[1] if before and before[0] == identity else now
            found[path] = (identity, since)
        self._seen = found
        self._taken = {path: identity for path, identity in self._taken.items() if path in found}
        return sorted(
            path
            for path, (identity, since) in found.items()
            if now - since >= self.seconds and self._taken.get(path) != identity
        )

    def _files(self) -> Iterator[tuple[Path, Identity]]:
        for directory in self.directories:
            if not directory.is_dir():
                self._tell_once("waiting", f"{directory}: the directory is gone; waiting for it")
            for path in files_below(directory):
                identity = None if is_temporary(path.name) else _identity(path)
                if identity is not None:
                    yield path, identity

    def _persist(self, ready: list[Path], stop: threading.Event) -> None:
        """Take files, over and over until it can be done."""
        wait = _FIRST_WAIT
        while ready and not stop.is_set():
            try:
                self._take(ready, stop)
            except WriterLockedError as error:
                self._wait_for(error, stop, _LOCK_SECONDS)
            except (StorageError, OSError) as error:
                if isinstance(error, DiskFullError):
                    self._evict_or_tell()
                self._wait_for(error, stop, wait)
                wait = min(2 * wait, _LONGEST_WAIT)
            else:
                if self._problem:
                    self.say(Told("note", "it goes on"))
                self._problem = ""
                return
            ready = [path for path in ready if self._taken.get(path) != self._seen[path][0]]

    def _wait_for(self, error: Exception, stop: threading.Event, seconds: float) -> None:
        text = str(error)
        if text != self._problem:
            self._problem = text
            self.say(Told("waiting", f"{text} Trying again until it works."))
            get_logger("watch").warning("waiting", reason=text)
        stop.wait(seconds)

    def _take(self, ready: Sequence[Path], stop: threading.Event) -> None:
        known = 0
        by_name = {str(path): path for path in ready}

        def told(outcome: Outcome) -> None:
            nonlocal known
            path = by_name[outcome.source]
            self._taken[path] = self._seen[path][0]
            known += outcome.status == "known"
            if outcome.status != "known":
                self.say(_said(outcome))
                if outcome.status != "stored":
                    get_logger("watch").error("not taken", source=outcome.source, reason=outcome.reason)

        try:
            # what went away since it was looked at is seen, or not, by the next look
            there = [path for path in ready if _identity(path) == self._seen[path][0]]
            if not there:
                return
            report = self.take(there, told=told, stop=stop)
        except (SourceError, FileNotFoundError) as error:
            self._tell_once("note", str(error))
            return
        for name in report.skipped:
            self._taken[by_name[name]] = self._seen[by_name[name]][0]
            self._tell_once("skipped", f"{name}: no connector reads it", name)
        if report.evicted:
            self.say(Told("evicted", f"evicted, for the disk is full: {', '.join(report.evicted)}"))
        if known:
            self.say(Told("known", f"{known:,} files had been taken before"))
        if report.refused:
            self.say(Told("note", f"{report.refused:,} documents refused, older than the window"))

    def _evict(self) -> None:
        while days := self.evict():
            self.say(Told("evicted", f"evicted: {', '.join(days)}"))

    def _evict_or_tell(self) -> None:
        try:
            self._evict()
        except ClockJumpError as error:
            self._tell_once("waiting", str(error))
        except (StorageError, OSError) as error:
            self._tell_once("note", f"not evicted: {error}")

    def _tell_once(self, what: Literal["waiting", "skipped", "note"], text: str, source: str = "") -> None:
        if text not in self._said:
            self._said.add(text)
            self.say(Told(what, text, source))


def _identity(path: Path) -> Identity | None:
    """Return what changes when a file does, or None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _said(outcome: Outcome) -> Told:
    if outcome.status == "stored":
        begun = f" from record {outcome.begun:,} on" if outcome.begun else ""
        bad = f", {outcome.rejected:,} in quarantine" if outcome.rejected else ""
        text = f"{outcome.source}: {outcome.rows:,} {outcome.name}{begun}{bad}"
        return Told("stored", text, outcome.source, outcome.rows, outcome.rejected)
    reason = outcome.reason.removeprefix(f"{outcome.source}: ")
    verb = "quarantined" if outcome.status == "quarantined" else "not read"
    what: Literal["quarantined", "unreadable"] = (
        "quarantined" if outcome.status == "quarantined" else "unreadable"
    )
    return Told(what, f"{outcome.source}: {verb}: {reason}", outcome.source, outcome.rows)
