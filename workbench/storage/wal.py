"""The write-ahead log: records that are durable once :meth:`Log.wait` returns, until they are published.

A log is a folder of files ``<epoch>-<sequence>.wal``: an epoch is one opening of the log, the sequence that
of the file's first record. A file is a header (mark, format version, epoch, first sequence, CRC32C) and
records, all little endian::

    mark  length  CRC32C  kind  epoch  sequence  synced  payload
    4     4       4       1+3   4      8         8       length bytes

Records are numbered without a gap over all files. What queues while one group is written and synced is the
next group, one write of several records. ``synced`` is the last record that was durable when this one was
written, and a *mark* (kind 0, no payload, its sequence that of the last durable record) follows every group
once it is synced. So damage explains itself:

- A record is missing or broken, and a later one says that it was synced: acknowledged events are lost. That
  is corruption; nothing is changed.
- No later one says so: the group was never acknowledged, and a kill or a loss of power kept a part of it,
  which may be any part. It is cut from there, and the bytes are kept beside the log.
"""

from __future__ import annotations

import contextlib
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias

import google_crc32c

from workbench.errors import CorruptFileError, StorageError, WorkspaceError, WriterLockedError
from workbench.storage.disk import LOCAL, refusal
from workbench.storage.files import make_directories, publish
from workbench.storage.lock import WriterLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from workbench.storage.disk import Disk

__all__ = ["WAL_FORMAT", "Log", "Record"]

WAL_FORMAT = 1
_ROTATE_BYTES = 64 << 20
_FILE_MARK = b"workWAL\n"
SYNCED = 0
_FILE = struct.Struct("<8sIIQI")
_MARK = b"\xa7rec"
_HEAD = struct.Struct("<4sII")
_FACTS = struct.Struct("<B3xIQQ")
_RECORD_BYTES = _HEAD.size + _FACTS.size

Payload: TypeAlias = bytes | memoryview


class Record(NamedTuple):
    """One record: its number, what kind of payload it has, the payload, and what was durable before it."""

    sequence: int
    kind: int
    payload: bytes
    synced: int


@dataclass
class File:
    """A file of the log: its epoch, its first record and its last."""

    path: Path
    epoch: int
    first: int
    last: int


class Log:
    """A write-ahead log, open for appending by this process alone.

    Opening it recovers: :attr:`recovered` holds what was durable and is not published yet. Closing keeps
    that. All methods may be called from any thread.

    Args:
        folder: Where its files are; made if it is not there.
        position: Gives the number of the last record that needs no recovery and the epoch that wrote it;
            asked once the log is held, for whoever held it before may have gone on.
        rotate_bytes: Size above which a file is followed by a new one.
        disk: How files are changed.

    Attributes:
        epoch: The number of this opening.
        recovered: What :meth:`release` has not been told of, in order.
        cut: Bytes of an unfinished group that were cut at the end and put aside.

    Raises:
        WriterLockedError: If another process has it open.
        CorruptFileError: If acknowledged records are damaged or missing.
        WorkspaceError: If a newer version wrote it.
        StorageError: If the disk refuses.
    """

    def __init__(
        self,
        folder: Path,
        *,
        position: Callable[[], tuple[int, int]] = lambda: (0, 0),
        rotate_bytes: int = _ROTATE_BYTES,
        disk: Disk = LOCAL,
    ) -> None:
        self.folder = folder
        self._disk = disk
        self._rotate_bytes = rotate_bytes
        self._turn = threading.Condition()
        self._writing = False
        self._stopped = ""
        self._refusal = StorageError
        self._queue: list[tuple[int, int, Payload]] = []
        self._descriptor = -1
        self._size = 0
        self._must_rotate = False
        with contextlib.ExitStack() as held:
            try:
                make_directories(folder, disk)
                self._lock = held.enter_context(WriterLock(folder / "LOCK"))
                published, epoch = position()
                self.recovered, self.cut, self._files = _recover(folder, published, disk)
            except OSError as error:
                raise refusal(error)(f"the log cannot be opened: {error}.", where=str(folder)) from error
            self._held = held.pop_all()
        self.epoch = max([epoch, *(file.epoch for file in self._files)]) + 1
        self._synced = self._last = max([published, *(file.last for file in self._files)])

    @property
    def synced(self) -> int:
        """Return the number of the last durable record."""
        return self._synced

    @property
    def last(self) -> int:
        """Return the number of the last record, which may still wait in line."""
        return self._last

    @property
    def stopped(self) -> str:
        """Return why the log takes no more records, or nothing."""
        return self._stopped

    def enqueue(self, kind: int, payload: Payload) -> int:
        """Put a record in line and return its number; it is durable once :meth:`wait` for it returns.

        Args:
            kind: What the payload is, 1 to 255.
            payload: Less than 4 GB.

        Raises:
            StorageError: If the log has stopped.
        """
        with self._turn:
            self._require_whole()
            self._last += 1
            self._queue.append((self._last, kind, payload))
            return self._last

    def wait(self, sequence: int) -> None:
        """Return once the record and all before it are durable.

        The first thread to wait writes and syncs all that is queued; the others wait for it.

        Raises:
            StorageError: If they could not be written; the log has stopped for good then.
        """
        while True:
            with self._turn:
                self._turn.wait_for(lambda: not self._writing or self._synced >= sequence)
                if self._synced >= sequence:
                    return
                self._require_whole()
                self._writing = True
                group, self._queue = self._queue, []
            self._write(group)

    def append(self, kind: int, payload: Payload) -> int:
        """Make a record durable and return its number."""
        sequence = self.enqueue(kind, payload)
        self.wait(sequence)
        return sequence

    def release(self, sequence: int) -> None:
        """Forget the records up to ``sequence``, durable elsewhere by now: files of them alone are deleted.

        What is appended from now on goes to a new file. A log that has stopped keeps its files.

        Raises:
            StorageError: If the disk refuses.
        """
        with self._turn:
            self._turn.wait_for(lambda: not self._writing)
            if self._stopped:
                return
            done = [file for file in self._files if file.last <= sequence]
            self._must_rotate = True
            try:
                for file in done:
                    self._disk.unlink(file.path)
                    self._files.remove(file)
            except OSError as error:
                raise refusal(error)(f"a file cannot be deleted: {error}.", where=str(self.folder)) from error

    def close(self) -> None:
        """Give the log back; what is queued and not durable is not written."""
        with self._turn:
            self._turn.wait_for(lambda: not self._writing)
            self._stopped = self._stopped or "it was closed"
            self._close_file()
            self._held.close()

    def __enter__(self) -> Self:
        """Return the log itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the log."""
        self.close()

    def _require_whole(self) -> None:
        if self._stopped:
            raise self._refusal(
                f"the log takes no more records: {self._stopped}.",
                where=str(self.folder),
                fix="Mend the cause, then open it again: what was acknowledged is recovered.",
            )

    def _write(self, group: list[tuple[int, int, Payload]]) -> None:
        """Write and sync a group; whatever goes wrong, nobody writes after it."""
        outcome = "a write was interrupted"
        first, last, size = group[0][0], group[-1][0], 0
        try:
            self._open_file(first)
            data = b"".join(
                part
                for sequence, kind, payload in group
                for part in encoded(sequence, kind, payload, self.epoch, self._synced)
            )
            mark = b"".join(encoded(last, SYNCED, b"", self.epoch, last))
            self._put(data)
            self._disk.sync(self._descriptor)
            self._lock.require_held()
            if not self._size:
                self._disk.sync_directory(self.folder)
            self._put(mark)
            size = len(data) + len(mark)
            outcome = ""
        except (OSError, WriterLockedError) as error:
            outcome = f"a write failed ({error})"
            self._refusal = refusal(error) if isinstance(error, OSError) else StorageError
        finally:
            with self._turn:
                self._writing = False
                self._stopped = outcome
                self._size += size
                if not outcome:
                    self._synced = self._files[-1].last = last
                self._turn.notify_all()

    def _open_file(self, first: int) -> None:
        """Go on in the newest file, or in a new one."""
        if self._descriptor >= 0 and self._size < self._rotate_bytes and not self._must_rotate:
            return
        self._close_file()
        path = self.folder / f"{self.epoch:08d}-{first:016d}.wal"
        self._descriptor = self._disk.create(path)
        self._files.append(File(path, self.epoch, first, first - 1))
        self._must_rotate = False
        self._put(header(self.epoch, first))

    def _close_file(self) -> None:
        descriptor, self._descriptor, self._size = self._descriptor, -1, 0
        if descriptor >= 0:
            self._disk.close(descriptor)

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._disk.write(self._descriptor, rest) :]


def header(epoch: int, first: int) -> bytes:
    """Return the header of a file whose first record is ``first``."""
    facts = _FILE.pack(_FILE_MARK, WAL_FORMAT, epoch, first, 0)[:-4]
    return facts + int(google_crc32c.value(facts)).to_bytes(4, "little")


def encoded(
    sequence: int, kind: int, payload: Payload, epoch: int, synced: int
) -> tuple[bytes, bytes, Payload]:
    """Return the parts of a record."""
    facts = _FACTS.pack(kind, epoch, sequence, synced)
    return _HEAD.pack(_MARK, len(payload), _checksum(facts, payload)), facts, payload


def _checksum(facts: bytes, payload: Payload) -> int:
    start = google_crc32c.value(len(payload).to_bytes(4, "little") + facts)
    return int(google_crc32c.extend(start, bytes(payload)))


def _recover(folder: Path, published: int, disk: Disk) -> tuple[list[Record], int, list[File]]:
    """Return the records after ``published``, the number of bytes that were cut, and the files."""
    files = [named(path) for path in sorted(folder.glob("*.wal"))]
    records: list[Record] = []
    expected = published + 1
    cut = 0
    for file in files:
        if file.first > expected:
            raise _lost(file.path, expected, file.first)
        data = file.path.read_bytes()
        _check_format(file.path, data)
        good = min(len(data), _FILE.size)
        whole = True
        for record, end in scan(data, file.epoch):
            if record.synced >= expected:
                raise _lost(file.path, expected, record.synced + 1)
            whole = whole and record.sequence <= expected
            if not whole:
                continue
            if record.sequence == expected:
                records.append(record)
                expected += 1
            file.last, good = record.sequence, end
        if file is not files[-1]:
            continue
        cut = len(data) - good
        if cut:  # first the bytes are safe aside, then they leave the file
            publish(file.path.with_name(f"{file.path.name}.{good}.cut"), data[good:], folder, disk)
        if cut or records:  # of what a kill left nobody knows that it was synced
            publish(file.path, data[:good], folder, disk)
    # where a mark stands for a record, repair put it in the place of a lost one
    return [record for record in records if record.kind != SYNCED], cut, files


def named(path: Path) -> File:
    """Return what the name of a file says.

    Raises:
        CorruptFileError: If it is not that of a file of the log.
    """
    try:
        epoch, first = (int(part) for part in path.stem.split("-"))
    except ValueError:
        raise CorruptFileError(
            "its name is not that of a file of the log.", where=str(path), fix="'workbench repair' moves it."
        ) from None
    return File(path, epoch, first, first - 1)


def _check_format(path: Path, data: bytes) -> None:
    """Refuse a newer format; of a damaged header nothing is needed that the records do not say."""
    if len(data) < _FILE.size:
        return
    mark, version, *_, checksum = _FILE.unpack_from(data)
    if (
        mark == _FILE_MARK
        and checksum == google_crc32c.value(data[: _FILE.size - 4])
        and version > WAL_FORMAT
    ):
        raise WorkspaceError(
            f"the log has format {version}, this version reads up to {WAL_FORMAT}.",
            where=str(path),
            fix="Install a newer workbench.",
        )


def scan(data: bytes, epoch: int) -> Iterator[tuple[Record, int]]:
    """Yield every good record with where it ends, also those behind damage."""
    at = data.find(_MARK, _FILE.size)
    while at >= 0:
        start = at + _RECORD_BYTES
        if start <= len(data):
            _, length, checksum = _HEAD.unpack_from(data, at)
            facts = data[at + _HEAD.size : start]
            kind, written, sequence, synced = _FACTS.unpack(facts)
            end = start + length
            if written == epoch and end <= len(data):
                payload = data[start:end]
                if _checksum(facts, payload) == checksum:
                    yield Record(sequence, kind, payload, synced), end
                    at = data.find(_MARK, end)
                    continue
        at = data.find(_MARK, at + 1)


def _lost(path: Path, first: int, after: int) -> CorruptFileError:
    span = f"record {first:,} is" if after == first + 1 else f"records {first:,} to {after - 1:,} are"
    return CorruptFileError(
        f"{span} damaged or missing before a good one: acknowledged events are lost.",
        where=str(path),
        fix="Nothing was changed and reading goes on. Restore the folder 'wal' from a copy; or 'workbench "
        "repair' keeps the good records, and sources send again what they sent since the last checkpoint.",
    )
