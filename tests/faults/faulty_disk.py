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
    "BreakingDisk",
    "KilledError",
    "LazyDisk",
    "Machine",
    "Operation",
    "RecordingDisk",
    "State",
    "some",
]

T = TypeVar("T")

FULL = os.environ.get("FAULTS") == "full"
ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EACCES": errno.EACCES}
DIRECTORY = -1


def some(items: Sequence[T], number: int, seed: str) -> list[T]:
    """Return all items in the full form (FAULTS=full), else a drawing of them, in their order."""
    if FULL or len(items) <= number:
        return list(items)
    chosen = random.Random(seed).sample(range(len(items)), number)  # noqa: S311
    return [items[i] for i in sorted(chosen)]


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
    key: tuple[object, ...]

    def write(self, root: Path) -> None:
        """Lay the state out in an empty directory."""
        for name in sorted(self.directories):
            (root / name).mkdir(parents=True, exist_ok=True)
        for name, data in self.files:
            (root / name).write_bytes(data)


@dataclass
class _Inode:
    durable: bytes = b""
    current: bytes = b""

    def contents(self) -> list[bytes]:
        """Return what may be in the file after a loss of power."""
        if self.durable == self.current:
            return [self.current]
        half = len(self.current) // 2
        return [self.durable, self.current[:half], bytes(len(self.current)), self.current]


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
                data = path.read_bytes()
                machine.inodes.append(_Inode(data, data))
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
                self.inodes[self.names[path]].current += operation.data
            case "sync":
                inode = self.inodes[self.names[path]]
                inode.durable = inode.current
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
        number = len(self.pending)
        everything = range(number)
        subsets = [
            ("nothing that was not synced", []),
            *((f"the first {n} changes of names", list(range(n))) for n in range(1, number + 1)),
            *((f"change {n} alone", [n]) for n in everything),
            *((f"all changes but {n}", [m for m in everything if m != n]) for n in everything),
            *(
                ("some changes", sorted(draw.sample(everything, draw.randrange(1, number))))
                for _ in range(2 * (number > 2))
            ),
        ]
        for how, chosen in subsets:
            for content in range(4):
                yield self._state(chosen, content, how)

    def _state(self, chosen: list[int], content: int, how: str) -> State:
        names = dict(self.durable)
        _change(names, [self.pending[n] for n in chosen])
        directories = {n for n, inode in names.items() if inode == DIRECTORY}
        whole = {n for n in names if all(p in directories for p in _parents(n))}
        files, key = [], []
        for name in sorted(whole - directories):
            contents = self.inodes[names[name]].contents()
            variant = min(content, len(contents) - 1)
            files.append((name, contents[variant]))
            key.append((name, names[name], len(contents), variant, len(contents[variant])))
        found = frozenset(directories & whole)
        return State(found, tuple(files), how, (found, tuple(key)))


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
