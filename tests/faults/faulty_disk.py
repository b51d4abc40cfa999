"""Disks for tests of faults: one that keeps a log, one that breaks, one that forgets when the power fails."""

from __future__ import annotations

import errno
import functools
import os
import random
import threading
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from workbench.storage.disk import Disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = [
    "ERRORS",
    "FULL",
    "MOST",
    "BreakingDisk",
    "KilledError",
    "LazyDisk",
    "Machine",
    "Operation",
    "RecordingDisk",
    "State",
    "points",
    "some",
]

T = TypeVar("T")

FULL = os.environ.get("FAULTS") == "full"
ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EACCES": errno.EACCES}
# States after a loss of power that the full form takes of one recording, at most.
MOST = 1_000
# Errors of the kernel, a short write, a kill before the operation or after it.
WAYS = (*ERRORS, "short", "before", "after")
DIRECTORY = -1
# Unsynced changes of names of which every subset is a state of its own.
EXHAUSTED = 5


def some(items: Sequence[T], number: int, seed: str, most: int | None = None) -> list[T]:
    """Return a few items in their order; in the full form (FAULTS=full) all, or at most so many."""
    if FULL:
        number = len(items) if most is None else most
    if len(items) <= number:
        return list(items)
    chosen = random.Random(seed).sample(range(len(items)), number)  # noqa: S311
    return [items[i] for i in sorted(chosen)]


def points(kinds: Sequence[str]) -> list[tuple[int, str]]:
    """Return all ways in which each of some operations can go wrong."""
    return [(at, how) for at, kind in enumerate(kinds) for how in WAYS if how != "short" or kind == "write"]


@dataclass(frozen=True)
class Operation:
    """One operation of a disk, its paths relative to the recorder's root."""

    kind: str
    path: str
    target: str = ""
    data: bytes = b""


class LazyDisk(Disk):
    """A disk that syncs nothing: the tests' machine does not lose power, and they are many."""

    def sync(self, descriptor: int) -> None:
        pass

    def sync_directory(self, path: Path) -> None:
        pass


class RecordingDisk(LazyDisk):
    """A disk that keeps a log of what it did under ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log: list[Operation] = []
        self._paths: dict[int, str] = {}
        self._lock = threading.Lock()

    def _note(self, kind: str, path: str, *, target: str = "", data: bytes = b"") -> None:
        self.log.append(Operation(kind, path, target, data))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def create(self, path: Path) -> int:
        with self._lock:
            descriptor = super().create(path)
            self._paths[descriptor] = self._name(path)
            self._note("create", self._name(path))
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> int:
        with self._lock:
            number = super().write(descriptor, data)
            self._note("write", self._paths[descriptor], data=bytes(data[:number]))
        return number

    def sync(self, descriptor: int) -> None:
        with self._lock:
            self._note("sync", self._paths[descriptor])

    def rename(self, source: Path, target: Path) -> None:
        with self._lock:
            super().rename(source, target)
            self._note("rename", self._name(source), target=self._name(target))

    def unlink(self, path: Path) -> None:
        with self._lock:
            super().unlink(path)
            self._note("unlink", self._name(path))

    def make_directory(self, path: Path) -> None:
        with self._lock:
            super().make_directory(path)
            self._note("mkdir", self._name(path))

    def sync_directory(self, path: Path) -> None:
        with self._lock:
            self._note("syncdir", self._name(path))


@dataclass(frozen=True)
class State:
    """What a file system holds after a loss of power: its directories, and its files with their bytes."""

    directories: frozenset[str]
    files: tuple[tuple[str, bytes], ...]
    how: str

    @property
    def key(self) -> tuple[object, ...]:
        """What two equal states have in common."""
        return self.directories, self.files

    def write(self, root: Path) -> None:
        """Lay the state out in an empty directory."""
        for name in sorted(self.directories):
            (root / name).mkdir(parents=True, exist_ok=True)
        for name, data in self.files:
            (root / name).write_bytes(data)


class _Inode:
    """A file's bytes as they are read, and those of them that are on the disk: the store only appends."""

    def __init__(self, durable: bytes = b"") -> None:
        self.durable = self.current = durable
        self._contents: list[bytes] = [durable]

    def write(self, data: bytes) -> None:
        self.current += data
        rest = self.current[len(self.durable) :]
        kept = [b"", rest[: len(rest) // 2], bytes(len(rest)), rest]
        self._contents = [self.durable + more for more in dict.fromkeys(kept)]

    def sync(self) -> None:
        self.durable = self.current
        self._contents = [self.current]

    def contents(self) -> list[bytes]:
        """Return what may be in the file after a loss of power."""
        return self._contents


@dataclass
class Machine:
    """A file system that forgets what was not synced.

    Bytes of a file survive once the file is synced, names once their directory is. Until then each change
    of a name (a new file, a rename's two ends, a removal, a new directory) may have reached the disk or
    not, in any combination, and the bytes may be missing, cut, zeros, or there.
    """

    inodes: list[_Inode] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    durable: dict[str, int] = field(default_factory=dict)
    pending: list[tuple[str, int | None]] = field(default_factory=list)

    @classmethod
    def of(cls, root: Path, *, skip: Iterable[str] = ("LOCK",)) -> Machine:
        """Return a machine on whose disk everything under ``root`` is durable."""
        machine = cls()
        for path in sorted(root.rglob("*")):
            if path.is_dir():
                machine.names[path.relative_to(root).as_posix()] = DIRECTORY
            elif path.name not in skip and path.parent.name != "readers":
                machine.inodes.append(_Inode(path.read_bytes()))
                machine.names[path.relative_to(root).as_posix()] = len(machine.inodes) - 1
        machine.durable = dict(machine.names)
        return machine

    def apply(self, operation: Operation) -> None:
        """Do one operation of the log."""
        path = operation.path
        match operation.kind:
            case "create":
                self.inodes.append(_Inode())
                self._name(path, len(self.inodes) - 1)
            case "write":
                self.inodes[self.names[path]].write(operation.data)
            case "sync":
                self.inodes[self.names[path]].sync()
            case "rename":
                number = self.names[path]
                self._name(operation.target, number)
                self._name(path, None)
            case "unlink":
                self._name(path, None)
            case "mkdir":
                self._name(path, DIRECTORY)
            case _:
                mine = [c for c in self.pending if _parent(c[0]) == path]
                self.pending = [c for c in self.pending if _parent(c[0]) != path]
                _change(self.durable, mine)

    def _name(self, path: str, inode: int | None) -> None:
        self.pending.append((path, inode))
        _change(self.names, [(path, inode)])

    def states(self, draw: random.Random) -> Iterator[State]:
        """Yield what may be on the disk if the power fails now."""
        aside = [n for n, (path, _) in enumerate(self.pending) if PurePosixPath(path).parent.name == "tmp"]
        others = [n for n in range(len(self.pending)) if n not in set(aside)]
        # What lies aside is nobody's: it is there whole, not at all, or somehow.
        beside = [[], aside, [n for n in aside if draw.randrange(2)]]
        for how, chosen in _subsets(others, draw):
            for names in {tuple(sorted(chosen + more)): None for more in beside}:
                yield from self._states(names, how, draw)

    def _states(self, chosen: tuple[int, ...], how: str, draw: random.Random) -> Iterator[State]:
        """Yield what may be in the files if just these changes of names reached the disk."""
        names = dict(self.durable)
        _change(names, [self.pending[n] for n in chosen])
        directories = {n for n, inode in names.items() if inode == DIRECTORY}
        found = frozenset(n for n in directories if directories.issuperset(_parents(n)))
        contents = [
            (name, self.inodes[inode].contents())
            for name, inode in sorted(names.items())
            if inode != DIRECTORY and directories.issuperset(_parents(name))
        ]
        for variant in range(max((len(c) for _, c in contents), default=1)):
            files = tuple((name, c[min(variant, len(c) - 1)]) for name, c in contents)
            yield State(found, files, how)
        if sum(len(c) > 1 for _, c in contents) > 1:
            files = tuple((name, draw.choice(c)) for name, c in contents)
            yield State(found, files, how)


def _subsets(changes: list[int], draw: random.Random) -> list[tuple[str, list[int]]]:
    """Return which changes may have reached the disk: all ways of choosing where they are few."""
    number = len(changes)
    if number <= EXHAUSTED:
        ways = range(1 << number)
        return [
            (f"changes {way:b} of {number}", [c for n, c in enumerate(changes) if way >> n & 1])
            for way in ways
        ]
    return [
        ("nothing that was not synced", []),
        *((f"the first {n} changes of names", changes[:n]) for n in range(1, number + 1)),
        *((f"change {n} alone", [changes[n]]) for n in range(number)),
        *((f"all changes but {n}", changes[:n] + changes[n + 1 :]) for n in range(number)),
        *(
            ("some changes", sorted(draw.sample(changes, draw.randrange(1, number))))
            for _ in range(1 << EXHAUSTED)
        ),
    ]


@functools.cache
def _parents(path: str) -> tuple[str, ...]:
    return tuple(str(p) for p in PurePosixPath(path).parents if p.name)


def _parent(path: str) -> str:
    return str(PurePosixPath(path).parent)


def _change(names: dict[str, int], changes: Iterable[tuple[str, int | None]]) -> None:
    for path, inode in changes:
        if inode is None:
            names.pop(path, None)
        else:
            names[path] = inode


class KilledError(BaseException):
    """The process was killed: nothing that it would do afterwards reaches the disk."""


class BreakingDisk(Disk):
    """A disk whose ``at``-th operation goes wrong.

    Args:
        at: Which one, from 0; -1 for none.
        how: A name in ``ERRORS``: that is the kernel's answer. ``short``: half of a write is written.
            ``before``, ``after``: the process is killed there, and nothing that it still tries is done.
    """

    def __init__(self, at: int = -1, how: str = "", disk: Disk | None = None) -> None:
        self.at, self.how = at, how
        self.disk = disk or LazyDisk()
        self.kinds: list[str] = []
        self.dead = False
        self._lock = threading.Lock()

    def _do(self, kind: str, work: Callable[[], T]) -> T:
        with self._lock:
            if self.dead:
                raise KilledError
            place = len(self.kinds)
            self.kinds.append(kind)
            if place != self.at or self.how == "short":
                return work()
            if self.how in ERRORS:
                raise OSError(ERRORS[self.how], os.strerror(ERRORS[self.how]))
            self.dead = True
            if self.how == "after":
                work()
            raise KilledError

    def create(self, path: Path) -> int:
        return self._do("create", lambda: self.disk.create(path))

    def write(self, descriptor: int, data: memoryview) -> int:
        if self.how == "short" and len(self.kinds) == self.at:
            data = data[: len(data) // 2 or 1]
        return self._do("write", lambda: self.disk.write(descriptor, data))

    def sync(self, descriptor: int) -> None:
        self._do("sync", lambda: self.disk.sync(descriptor))

    def rename(self, source: Path, target: Path) -> None:
        self._do("rename", lambda: self.disk.rename(source, target))

    def unlink(self, path: Path) -> None:
        self._do("unlink", lambda: self.disk.unlink(path))

    def make_directory(self, path: Path) -> None:
        self._do("mkdir", lambda: self.disk.make_directory(path))

    def sync_directory(self, path: Path) -> None:
        self._do("syncdir", lambda: self.disk.sync_directory(path))
