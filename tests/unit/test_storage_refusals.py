"""What happens when the kernel refuses a write, a rename or an fsync: nothing is published by half."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from workbench.errors import CorruptFileError, StorageError, WriterLockedError
from workbench.storage import SegmentStore
from workbench.storage.files import Verifier, hash_bytes, publish
from workbench.storage.lock import WriterLock
from workbench.storage.manifest import manifest_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from workbench.storage import FileEntry, Transaction

DAY = "2025-06-12"


@pytest.fixture
def store(tmp_path: Path) -> SegmentStore:
    return SegmentStore.create(tmp_path / "w")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the kernel refuse to write files beyond ``size`` bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def permissions_hold() -> Iterator[None]:
    """Take from this thread the right to pass over file permissions, which root has."""

    class Header(ctypes.Structure):
        _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))

    class Rights(ctypes.Structure):
        _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("rest", ctypes.c_uint32))

    libc = ctypes.CDLL(None)
    header, rights = Header(0x20080522, 0), (Rights * 2)()
    assert libc.capget(ctypes.byref(header), rights) == 0
    before = rights[0].effective
    rights[0].effective &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(ctypes.byref(header), rights) == 0
    try:
        yield
    finally:
        rights[0].effective = before
        assert libc.capset(ctypes.byref(header), rights) == 0


FSYNC = {"x86_64": 74, "aarch64": 82}


def without_fsync(work: Callable[[], None]) -> None:
    """Run ``work`` in a thread whose every fsync the kernel answers with EIO (seccomp)."""

    class Step(ctypes.Structure):
        _fields_ = (
            ("code", ctypes.c_ushort),
            ("yes", ctypes.c_ubyte),
            ("no", ctypes.c_ubyte),
            ("value", ctypes.c_uint),
        )

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.POINTER(Step)))

    load, equal, answer = 0x20, 0x15, 0x06
    fail, allow = 0x00050000 | errno.EIO, 0x7FFF0000
    failures: list[BaseException] = []

    def run() -> None:
        steps = (Step * 4)(
            Step(load, 0, 0, 0),
            Step(equal, 0, 1, FSYNC[platform.machine()]),
            Step(answer, 0, 0, fail),
            Step(answer, 0, 0, allow),
        )
        libc = ctypes.CDLL(None)
        try:
            assert libc.prctl(38, 1, 0, 0, 0) == 0  # no new privileges
            assert libc.prctl(22, 2, ctypes.byref(Program(4, steps)), 0, 0) == 0
            work()
        except BaseException as error:  # noqa: BLE001  (handed to the test's own thread)
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    for failure in failures:
        raise failure


needs_seccomp = pytest.mark.skipif(
    platform.machine() not in FSYNC, reason="the number of fsync is not known for this processor"
)


def add(transaction: Transaction) -> FileEntry:
    return transaction.add("events", pa.table({"x": [1]}), segment=DAY)


def refused(step: Callable[[], object]) -> StorageError:
    with pytest.raises(StorageError) as caught:
        step()
    assert isinstance(caught.value.__cause__, OSError)
    return caught.value


def assert_stopped(store: SegmentStore, transaction: Transaction, generation: int) -> None:
    """The writer refuses everything from now on; a new one goes on where the last generation ended."""
    writer = transaction._writer
    for step in (writer.begin, transaction.commit):
        with pytest.raises(StorageError, match="this writer has stopped"):
            step()
    assert store.snapshot().generation == generation
    assert [problem for _, problem in store.snapshot().verify(full=True) if problem] == []


def test_a_publication_that_the_disk_refuses_leaves_the_old_file(tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    aside.mkdir()
    (tmp_path / "x").write_bytes(b"old")

    with largest_file(100), pytest.raises(OSError, match="too large"):
        publish(tmp_path / "x", b"n" * 200, aside)

    assert (tmp_path / "x").read_bytes() == b"old"
    publish(tmp_path / "x", b"n" * 200, aside)
    assert (tmp_path / "x").read_bytes() == b"n" * 200


def test_a_disk_that_takes_no_note_gives_the_lock_all_the_same(tmp_path: Path) -> None:
    with largest_file(0), WriterLock(tmp_path / "LOCK"):
        assert (tmp_path / "LOCK").read_bytes() == b""
        with pytest.raises(WriterLockedError, match="an unknown process"), WriterLock(tmp_path / "LOCK"):
            pass


class TestTransactions:
    def test_a_full_disk_stops_the_writer(self, store: SegmentStore) -> None:
        with store.writer() as writer:
            transaction = writer.begin()
            with largest_file(10):
                assert "too large" in refused(lambda: add(transaction)).message
            assert_stopped(store, transaction, 0)

    def test_a_manifest_that_does_not_fit_publishes_nothing(self, store: SegmentStore) -> None:
        with store.writer() as writer:
            transaction = writer.begin()
            entry = add(transaction)
            with largest_file(10):
                refused(transaction.commit)
            assert_stopped(store, transaction, 0)
            assert (store.root / entry.path).exists()  # moved, named by no manifest
        with store.writer() as writer:
            writer.collect(grace=-1)
        assert not (store.root / entry.path).exists()

    def test_a_file_in_the_place_of_a_directory_publishes_nothing(self, store: SegmentStore) -> None:
        (store.root / "segments" / f"dt={DAY}").write_text("")
        with store.writer() as writer:
            transaction = writer.begin()
            add(transaction)
            refused(transaction.commit)
            assert_stopped(store, transaction, 0)

    def test_a_directory_that_may_not_be_written_to_publishes_nothing(self, store: SegmentStore) -> None:
        folder = store.root / "segments" / f"dt={DAY}"
        folder.mkdir()
        folder.chmod(0o500)
        with store.writer() as writer, permissions_hold():
            transaction = writer.begin()
            add(transaction)
            refused(transaction.commit)
        folder.chmod(0o700)
        assert_stopped(store, transaction, 0)

    @pytest.mark.parametrize("place", [f"segments/dt={DAY}", "segments"])
    def test_a_directory_that_cannot_be_synced_publishes_nothing(
        self, store: SegmentStore, place: str
    ) -> None:
        """A directory that can be written to but not opened takes the file, and its sync fails."""
        (store.root / "segments" / f"dt={DAY}").mkdir()
        (store.root / place).chmod(0o300)
        with store.writer() as writer, permissions_hold():
            transaction = writer.begin()
            entry = add(transaction)
            refused(transaction.commit)
        assert (store.root / entry.path).exists()
        assert_stopped(store, transaction, 0)

    def test_a_current_file_that_cannot_be_written_leaves_the_generation_before(
        self, store: SegmentStore
    ) -> None:
        (store.root / "tmp" / f"CURRENT.{os.getpid()}").mkdir()
        with store.writer() as writer:
            transaction = writer.begin()
            add(transaction)
            refused(transaction.commit)
            assert (store.root / "manifests" / manifest_name(1)).exists()
            assert_stopped(store, transaction, 0)
        (store.root / "tmp" / f"CURRENT.{os.getpid()}").rmdir()
        with store.writer() as writer:
            transaction = writer.begin()
            transaction.add("events", pa.table({"x": [1, 2]}), segment=DAY)
            snapshot = transaction.commit()
        assert (snapshot.generation, [f.rows for f in snapshot.files("events")]) == (1, [2])

    @needs_seccomp
    @pytest.mark.parametrize("step", ["add", "commit"])
    def test_a_failing_fsync_stops_the_writer(self, store: SegmentStore, step: str) -> None:
        with store.writer() as writer:
            transaction = writer.begin()
            add(transaction)

            def work() -> None:
                steps = {"add": lambda: add(transaction), "commit": transaction.commit}
                assert "Input/output error" in refused(steps[step]).message

            without_fsync(work)
            assert_stopped(store, transaction, 0)

    def test_a_failure_after_the_last_rename_leaves_a_whole_generation(self, store: SegmentStore) -> None:
        """The root can be written to but not opened, so that only its own sync, the very last step, fails."""
        store.root.chmod(0o300)
        with store.writer() as writer:
            transaction = writer.begin()
            add(transaction)
            with permissions_hold():
                error = refused(transaction.commit)
            assert "as a whole or not at all" in error.fix
            assert_stopped(store, transaction, 1)


@needs_seccomp
def test_a_creation_whose_fsync_fails_makes_no_workspace(tmp_path: Path) -> None:
    def work() -> None:
        with pytest.raises(StorageError, match="cannot make a workspace here: Input/output error"):
            SegmentStore.create(tmp_path / "w")

    without_fsync(work)
    assert not SegmentStore.is_workspace(tmp_path / "w")
    assert SegmentStore.create(tmp_path / "w").snapshot().generation == 0


def test_a_file_that_may_not_be_read_is_reported_and_not_only_by_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    (tmp_path / "x").chmod(0o200)
    with permissions_hold(), pytest.raises(CorruptFileError, match="cannot be read: Permission denied"):
        Verifier().check(tmp_path / "x", hash_bytes(b"1"), 1)
