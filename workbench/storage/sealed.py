"""Files of sealed lines, beside the generations: JSON, each line with its hash, so that a damaged one tells.

A file is replaced as a whole, by way of another in its directory: it is torn nowhere, and what a killed
process left on its way is removed by the next that writes. Lines stand for themselves: one can be forgotten.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from typing import TYPE_CHECKING, Any

from workbench.storage.disk import LOCAL
from workbench.storage.files import make_directories, publish
from workbench.storage.manifest import seal_problem, sealed
from workbench.storage.writer import refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from workbench.storage.disk import Disk

__all__ = ["Record", "add_lines", "in_turn", "read_lines", "write_lines"]

Record = dict[str, Any]


def read_lines(path: Path, problems: list[str] | None = None) -> Iterator[Record]:
    """Yield the records of a file, none where there is no file; what is damaged is left out.

    Args:
        path: The file.
        problems: Gets a sentence for each line that is damaged.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    for number, line in enumerate(data.splitlines(), 1):
        if seal_problem(line) == "":
            record = json.loads(line)
            del record["xxh3"]
            yield record
        elif problems is not None:
            problems.append(f"{path.name}:{number}: the line is damaged and left out")


def write_lines(path: Path, records: Iterable[Record], disk: Disk = LOCAL) -> None:
    """Replace a file by records, or make it, durably.

    Raises:
        StorageError: If the disk refuses; the file is as it was then.
    """
    _replace(path, b"".join(map(_line, records)), disk)


def add_lines(path: Path, records: Iterable[Record], disk: Disk = LOCAL) -> None:
    """Put records behind what a file holds, damaged lines too, or make it, durably.

    Raises:
        StorageError: If the disk refuses; the file is as it was then.
    """
    before = path.read_bytes() if path.exists() else b""
    _replace(path, before + b"".join(map(_line, records)), disk)


@contextlib.contextmanager
def in_turn(lock: Path, left: str, disk: Disk = LOCAL) -> Iterator[None]:
    """Keep others from writing at the same time; waits for one that does.

    Args:
        lock: A file in the directory of the others; both are made where they are missing.
        left: Pattern of what a killed process leaves there on its way.
        disk: What writes.

    Raises:
        StorageError: If the disk refuses.
    """
    with _refusals(lock):
        make_directories(lock.parent, disk)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        with _refusals(lock):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            for path in lock.parent.glob(left):
                disk.unlink(path)
        yield
    finally:
        os.close(descriptor)


def _line(record: Record) -> bytes:
    text = json.dumps(record, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return sealed(text.encode()) + b"\n"


def _replace(path: Path, data: bytes, disk: Disk) -> None:
    with _refusals(path):
        publish(path, data, path.parent, disk)


@contextlib.contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise refused(error, path.parent) from error
