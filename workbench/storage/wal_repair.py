"""Repair of a write-ahead log: what is good stays, marks stand for what is lost, the bytes are kept."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from workbench.errors import CorruptFileError
from workbench.storage.disk import LOCAL
from workbench.storage.files import publish
from workbench.storage.lock import WriterLock
from workbench.storage.repair import keep
from workbench.storage.wal import SYNCED, File, encoded, header, named, scan
from workbench.storage.writer import refused

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.storage.disk import Disk
    from workbench.storage.wal import Record

__all__ = ["LogDamage", "examine_log", "mend_log"]


class LogDamage(NamedTuple):
    """What is wrong with a write-ahead log.

    Attributes:
        lost: Numbers of acknowledged records that are damaged or missing: first and last of each range.
        kept: How many records are good that no generation has yet.
        files: Names of the files that are written anew.
        odd: Names of files that are none of the log's.
    """

    lost: tuple[tuple[int, int], ...]
    kept: int
    files: tuple[str, ...]
    odd: tuple[str, ...]

    @property
    def records(self) -> int:
        """Return how many acknowledged records are lost."""
        return sum(last - first + 1 for first, last in self.lost)


@dataclass
class _Found:
    """What can be read of a log: its files, the good records of each, and how far it was synced."""

    files: list[File]
    records: list[list[Record]]
    odd: list[str]
    lost: list[int]
    published: int


def examine_log(folder: Path, published: int) -> LogDamage | None:
    """Return what is wrong with a log that cannot be opened; None if nothing is.

    Args:
        folder: Where its files are.
        published: The number of the last record that a generation holds.
    """
    found = _read(folder, published)
    if not found.lost and not found.odd:
        return None
    kept = {r.sequence for records in found.records for r in records if r.kind != SYNCED}
    names = sorted(path.name for path in _mended(found))
    return LogDamage(
        tuple(_ranges(found.lost)),
        sum(sequence > published for sequence in kept),
        tuple(names),
        tuple(found.odd),
    )


def mend_log(root: Path, folder: Path, published: int, disk: Disk = LOCAL) -> None:
    """Put marks in the place of what is lost, so that the log opens with all that is good.

    The damaged files are kept first. Each file changes at once, and one that was not reached is mended by the
    next repair.

    Args:
        root: The workspace.
        folder: The log's.
        published: The number of the last record that a generation holds.
        disk: What writes.

    Raises:
        WriterLockedError: If another process has the log open.
        StorageError: If the disk refuses.
    """
    with WriterLock(folder / "LOCK"):
        found = _read(folder, published)
        mended = _mended(found)
        try:
            for path in (*mended, *(folder / name for name in found.odd)):
                keep(root, path.relative_to(root).as_posix(), disk)
            for path, data in sorted(mended.items()):
                publish(path, data, folder, disk)
            for name in found.odd:
                disk.unlink(folder / name)
            if found.odd:
                disk.sync_directory(folder)
        except OSError as error:
            raise refused(error, folder) from error


def _read(folder: Path, published: int) -> _Found:
    files, records, odd = [], [], []
    for path in sorted(folder.glob("*.wal")):
        try:
            file = named(path)
        except CorruptFileError:
            odd.append(path.name)
            continue
        files.append(file)
        records.append([record for record, _ in scan(path.read_bytes(), file.epoch)])
    good = {r.sequence for found in records for r in found if r.kind != SYNCED or r.synced < r.sequence}
    proofs = [r.synced for found in records for r in found]
    durable = max([published, *(file.first - 1 for file in files), *proofs])
    lost = [number for number in range(published + 1, durable + 1) if number not in good]
    return _Found(files, records, odd, lost, published)


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _mended(found: _Found) -> dict[Path, bytes]:
    """Return the files that hold a lost record, or should, with the bytes that they get."""
    order = sorted(range(len(found.files)), key=lambda n: found.files[n].first)
    firsts = [found.files[n].first for n in order]
    fillers: dict[int, list[int]] = {}
    for number in found.lost:
        fillers.setdefault(bisect_right(firsts, number) - 1, []).append(number)
    mended = {}
    for place, numbers in fillers.items():
        if place < 0:
            # no file is left that could hold them: one of the epoch that follows
            after = found.files[order[0]]
            path = after.path.with_name(f"{after.epoch:08d}-{numbers[0]:016d}.wal")
            mended[path] = _encoded_file(after.epoch, numbers[0], [], numbers)
        else:
            file, records = found.files[order[place]], found.records[order[place]]
            mended[file.path] = _encoded_file(file.epoch, file.first, records, numbers)
    return mended


def _encoded_file(epoch: int, first: int, records: list[Record], lost: list[int]) -> bytes:
    """Return a file of what is good, in order, with a mark for each record that is lost."""
    parts = [
        *((r.sequence, r.kind == SYNCED, (r.sequence, r.kind, r.payload, epoch, r.synced)) for r in records),
        *((number, False, (number, SYNCED, b"", epoch, number - 1)) for number in lost),
    ]
    parts.sort(key=lambda part: part[:2])
    data = [bytes(piece) for _, _, part in parts for piece in encoded(*part)]
    return header(epoch, first) + b"".join(data)
