"""The write-ahead log: order, groups, rotation, release and what opening finds again."""

from __future__ import annotations

import errno
import os
import struct
import threading
from typing import TYPE_CHECKING

import google_crc32c
import pytest

from workbench.errors import CorruptFileError, StorageError, WorkspaceError, WriterLockedError
from workbench.storage.disk import Disk
from workbench.storage.wal import WAL_FORMAT, Log

if TYPE_CHECKING:
    from pathlib import Path


def payloads(log: Log) -> list[bytes]:
    return [record.payload for record in log.recovered]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.wal*"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "wal"


def test_records_come_back_in_order_with_number_and_kind(folder: Path) -> None:
    with Log(folder) as log:
        assert [log.append(kind, b"x" * kind) for kind in (1, 2, 255)] == [1, 2, 3]
        assert log.synced == 3

    with Log(folder) as log:
        assert [(r.sequence, r.kind, len(r.payload)) for r in log.recovered] == [
            (1, 1, 1),
            (2, 2, 2),
            (3, 255, 255),
        ]
        assert (log.cut, log.synced, log.epoch) == (0, 3, 2)


def test_the_bytes_are_those_of_the_format(folder: Path) -> None:
    with Log(folder) as log:
        log.append(7, b"abc")

    (path,) = folder.glob("*.wal")
    assert path.name == "00000001-0000000000000001.wal"
    data = path.read_bytes()
    facts = struct.pack("<8sIIQ", b"workWAL\n", 1, 1, 1)
    body = struct.pack("<IB3xIQQ", 3, 7, 1, 1, 0) + b"abc"
    mark = struct.pack("<IB3xIQQ", 0, 0, 1, 1, 1)
    expected = facts + struct.pack("<I", google_crc32c.value(facts))
    for part in (body, mark):
        expected += b"\xa7rec" + part[:4] + struct.pack("<I", google_crc32c.value(part)) + part[4:]
    assert data == expected


def test_an_empty_log_has_no_files_and_goes_on_from_what_is_published(folder: Path) -> None:
    with Log(folder, position=lambda: (41, 6)) as log:
        assert (log.recovered, names(folder)) == ([], [])
        assert log.append(1, b"") == 42
        assert names(folder) == ["00000007-0000000000000042.wal"]


def test_what_is_published_is_not_recovered(folder: Path) -> None:
    with Log(folder) as log:
        for text in (b"a", b"b", b"c"):
            log.append(1, text)

    with Log(folder, position=lambda: (2, 1)) as log:
        assert payloads(log) == [b"c"]
        assert log.append(1, b"d") == 4
    with Log(folder, position=lambda: (9, 1)) as log:
        assert (log.recovered, log.append(1, b"later")) == ([], 10)


def test_files_rotate_by_size_and_are_read_as_one(folder: Path) -> None:
    with Log(folder, rotate_bytes=100) as log:
        for number in range(10):
            log.append(1, b"%d" % number * 40)
        assert len(names(folder)) == 10

    with Log(folder) as log:
        assert payloads(log) == [b"%d" % number * 40 for number in range(10)]


def test_release_deletes_files_of_published_records_alone(folder: Path) -> None:
    with Log(folder, rotate_bytes=100) as log:
        for number in range(3):
            log.append(1, b"%d" % number * 80)
        log.release(2)
        assert names(folder) == ["00000001-0000000000000003.wal"]
        log.append(1, b"3")
        assert names(folder)[1] == "00000001-0000000000000004.wal"
        log.release(4)
        assert names(folder) == []
        log.append(1, b"4")

    with Log(folder, position=lambda: (4, 1)) as log:
        assert payloads(log) == [b"4"]


def test_release_of_a_part_of_a_file_starts_a_new_one(folder: Path) -> None:
    with Log(folder) as log:
        log.append(1, b"a")
        log.append(1, b"b")
        log.release(1)
        log.append(1, b"c")
        log.release(2)
        assert names(folder) == ["00000001-0000000000000003.wal"]


def test_recovery_is_repeatable(folder: Path) -> None:
    with Log(folder) as log:
        log.append(1, b"a")

    for epoch in (2, 2, 2):  # an opening that writes nothing leaves nothing
        with Log(folder) as log:
            assert (payloads(log), log.epoch) == ([b"a"], epoch)
    with Log(folder) as log:
        log.append(1, b"b")
    with Log(folder) as log:
        assert (payloads(log), log.epoch) == ([b"a", b"b"], 3)


def test_appenders_share_syncs_and_nothing_is_lost_among_threads(folder: Path) -> None:
    class Counted(Disk):
        syncs = 0

        def sync(self, descriptor: int) -> None:
            self.syncs += 1
            slow.wait(0.02)
            super().sync(descriptor)

    disk, slow = Counted(), threading.Event()
    with Log(folder, disk=disk) as log:
        seen: dict[int, bytes] = {}

        def work(name: int) -> None:
            for number in range(10):
                text = b"%d.%d" % (name, number)
                seen[log.append(1, text)] = text

        threads = [threading.Thread(target=work, args=(name,)) for name in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert disk.syncs < 160

    assert sorted(seen) == list(range(1, 161))
    with Log(folder) as log:
        assert payloads(log) == [seen[number] for number in range(1, 161)]


def test_a_second_opener_is_told_who_holds_the_log(folder: Path) -> None:
    with Log(folder), pytest.raises(WriterLockedError, match=f'"pid": {os.getpid()}'):
        Log(folder)
    Log(folder).close()


def test_a_closed_log_takes_nothing(folder: Path) -> None:
    log = Log(folder)
    queued = log.enqueue(1, b"never written")
    log.close()
    log.close()
    for call in (lambda: log.append(1, b""), lambda: log.wait(queued)):
        with pytest.raises(StorageError, match="it was closed"):
            call()
    assert (log.stopped, log.last, log.synced) == ("it was closed", 1, 0)


def test_a_log_that_has_stopped_keeps_its_files(folder: Path) -> None:
    log = Log(folder)
    log.append(1, b"a")
    log.close()
    log.release(1)
    assert len(names(folder)) == 1


class Failing(Disk):
    """Fails once at the nth call of one operation."""

    def __init__(self, operation: str, count: int, code: int = errno.ENOSPC) -> None:
        self.operation, self.left, self.code = operation, count, code

    def _count(self, operation: str) -> None:
        if operation == self.operation:
            self.left -= 1
            if self.left == 0:
                raise OSError(self.code, os.strerror(self.code))

    def create(self, path: Path) -> int:
        self._count("create")
        return super().create(path)

    def write(self, descriptor: int, data: memoryview) -> int:
        if self.operation == "write" and self.left == 1 and len(data) > 1:
            super().write(descriptor, data[: len(data) // 2])
        self._count("write")
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._count("sync")
        super().sync(descriptor)

    def sync_directory(self, path: Path) -> None:
        self._count("sync_directory")
        super().sync_directory(path)

    def unlink(self, path: Path) -> None:
        self._count("unlink")
        super().unlink(path)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize(
    ("operation", "count"),
    [("create", 1), ("write", 1), ("write", 2), ("write", 3), ("sync", 1), ("sync_directory", 2)],
)
def test_after_a_failed_write_the_log_stops_and_reopens_with_what_was_acknowledged(
    folder: Path, operation: str, count: int, code: int
) -> None:
    with Log(folder, disk=Failing(operation, count, code)) as log:
        with pytest.raises(StorageError, match=os.strerror(code)):
            log.append(1, b"refused")
        with pytest.raises(StorageError, match="takes no more records"):
            log.append(1, b"after it")

    with Log(folder) as log:
        assert payloads(log) in ([], [b"refused"])
        log.append(1, b"good")
    with Log(folder) as log:
        assert payloads(log)[-1] == b"good"


def test_short_writes_are_continued(folder: Path) -> None:
    class Short(Disk):
        def write(self, descriptor: int, data: memoryview) -> int:
            return super().write(descriptor, data[:7])

    with Log(folder, disk=Short()) as log:
        log.append(1, b"a" * 100)
    with Log(folder) as log:
        assert payloads(log) == [b"a" * 100]


def test_an_interrupted_write_stops_the_log(folder: Path) -> None:
    class Interrupted(Disk):
        def sync(self, descriptor: int) -> None:
            raise KeyboardInterrupt

    with Log(folder, disk=Interrupted()) as log:
        with pytest.raises(KeyboardInterrupt):
            log.append(1, b"a")
        with pytest.raises(StorageError, match="interrupted"):
            log.append(1, b"b")


def test_a_log_whose_lock_file_was_replaced_acknowledges_nothing(folder: Path) -> None:
    with Log(folder) as log:
        (folder / "LOCK").unlink()
        with pytest.raises(StorageError, match="no longer holds"):
            log.append(1, b"a")


def test_what_waits_while_a_write_fails_is_refused_too(folder: Path) -> None:
    class Held(Disk):
        def sync(self, descriptor: int) -> None:
            begun.set()
            go_on.wait(60)
            raise OSError(errno.EIO, "torn cable")

    begun, go_on = threading.Event(), threading.Event()
    problems: list[str] = []

    def work(text: bytes) -> None:
        with pytest.raises(StorageError) as raised:
            log.append(1, text)
        problems.append(str(raised.value))

    with Log(folder, disk=Held()) as log:
        first = threading.Thread(target=work, args=(b"a",))
        first.start()
        begun.wait(60)
        second = threading.Thread(target=work, args=(b"b",))
        second.start()
        go_on.set()
        first.join()
        second.join()
    assert len(problems) == 2
    assert all("torn cable" in problem for problem in problems)


def test_a_file_that_cannot_be_deleted_is_an_error_and_released_later(folder: Path) -> None:
    with Log(folder, disk=Failing("unlink", 1)) as log:
        log.append(1, b"a")
        with pytest.raises(StorageError, match="cannot be deleted"):
            log.release(1)
        log.append(1, b"b")
        log.release(1)
        assert names(folder) == ["00000001-0000000000000002.wal"]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be opened"):
        Log(tmp_path / "file" / "wal")


def test_a_newer_format_is_refused(folder: Path) -> None:
    with Log(folder) as log:
        log.append(1, b"a")
    (path,) = folder.glob("*.wal")
    facts = struct.pack("<8sIIQ", b"workWAL\n", WAL_FORMAT + 1, 1, 1)
    path.write_bytes(facts + struct.pack("<I", google_crc32c.value(facts)) + b"unheard of")

    with pytest.raises(WorkspaceError, match=f"format {WAL_FORMAT + 1}"):
        Log(folder)
    assert path.read_bytes().endswith(b"unheard of")


def test_a_strange_file_is_named(folder: Path) -> None:
    folder.mkdir()
    (folder / "notes.wal").touch()
    with pytest.raises(CorruptFileError, match="not that of a file of the log"):
        Log(folder)
    (folder / "notes.wal").unlink()
    Log(folder).close()  # the lock was given back


def test_a_missing_file_is_corruption(folder: Path) -> None:
    with Log(folder, rotate_bytes=1) as log:
        for text in (b"a", b"b", b"c"):
            log.append(1, text)
    before = names(folder)
    (folder / before[1]).unlink()

    with pytest.raises(CorruptFileError, match="record 2 is damaged or missing") as raised:
        Log(folder)
    assert raised.value.where.endswith(before[2])
    assert names(folder) == [before[0], before[2]]
    (folder / before[0]).unlink()
    with pytest.raises(CorruptFileError, match="records 1 to 2 are damaged or missing"):
        Log(folder)
    with Log(folder, position=lambda: (2, 1)) as log:
        assert payloads(log) == [b"c"]


def test_a_bad_record_before_a_good_one_is_corruption_only_if_it_was_acknowledged(folder: Path) -> None:
    with Log(folder) as log:
        log.wait([log.enqueue(1, payload) for payload in (b"one", b"two")][-1])
    (path,) = folder.glob("*.wal")
    data = path.read_bytes()
    damaged = data.replace(b"one", b"onE")
    path.write_bytes(damaged)
    with pytest.raises(CorruptFileError, match="records 1 to 2 are damaged or missing"):
        Log(folder)
    # the mark that says that the group was synced, and behind it the start of a record that was not written
    rest = b"\xa7rec" + bytes(40) + b"\xa7rec"
    path.write_bytes(damaged[:-36] + rest)
    with Log(folder) as log:
        assert log.recovered == []
        assert log.cut == len(damaged) - 36 + len(rest) - 28
