"""Durable files, the check before anybody opens one, and the lock of the one writer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import xxhash

from workbench.errors import CorruptFileError, WriterLockedError
from workbench.storage.files import Verifier, hash_bytes, hash_file, publish, stage, sync_directories
from workbench.storage.lock import WriterLock

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_has_the_hash_of_its_bytes_over_several_blocks(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000  # 1.28 MB: two blocks
    (tmp_path / "x").write_bytes(data)

    assert hash_file(tmp_path / "x") == hash_bytes(data) == xxhash.xxh3_128(data).hexdigest()
    assert hash_bytes(memoryview(data)[1:]) != hash_bytes(data)


def test_staging_never_writes_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")

    with pytest.raises(FileExistsError):
        stage(tmp_path / "x", b"new")

    assert (tmp_path / "x").read_bytes() == b"old"


def test_publishing_replaces_a_file_and_leaves_nothing_aside(tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    aside.mkdir()
    (tmp_path / "x").write_bytes(b"old")
    (aside / f"x.{os.getpid()}").write_bytes(b"left by a killed process of the same number")

    publish(tmp_path / "x", b"new", aside)

    assert (tmp_path / "x").read_bytes() == b"new"
    assert list(aside.iterdir()) == []


def test_syncing_what_is_no_directory_fails(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")

    with pytest.raises(NotADirectoryError):
        sync_directories([tmp_path, tmp_path / "x"])


class TestVerifier:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "x"
        path.write_bytes(b"0123456789")
        return path

    def check(self, verifier: Verifier, path: Path, *, full: bool = False) -> None:
        verifier.check(path, hash_bytes(b"0123456789"), 10, full=full)

    @staticmethod
    def change_unseen(path: Path) -> None:
        """Change a byte and keep inode, size and time: what bit rot looks like."""
        before = path.stat()
        with path.open("r+b") as file:
            file.write(b"X")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def test_a_file_has_its_length_and_a_missing_one_none(self, file: Path) -> None:
        checker = Verifier()
        assert checker.size(file.parent, file.name) == 10
        assert checker.size(file.parent, "missing") is None

    def test_accepts_what_was_published(self, file: Path) -> None:
        self.check(Verifier(), file)

    def test_sees_a_changed_byte(self, file: Path) -> None:
        file.write_bytes(b"X123456789")
        with pytest.raises(CorruptFileError, match="not those that were published"):
            self.check(Verifier(), file)

    def test_sees_another_length_and_says_both(self, file: Path) -> None:
        file.write_bytes(b"012345678")
        with pytest.raises(CorruptFileError, match="has 9 bytes, the manifest says 10") as caught:
            self.check(Verifier(), file)
        assert caught.value.where == str(file)

    def test_sees_that_a_file_is_missing(self, file: Path) -> None:
        with pytest.raises(CorruptFileError, match="missing"):
            self.check(Verifier(), file.with_name("y"))
        with pytest.raises(CorruptFileError, match="missing"):
            self.check(Verifier(), file / "below-a-file")

    def test_does_not_take_a_directory_for_a_file(self, tmp_path: Path) -> None:
        with pytest.raises(CorruptFileError):
            self.check(Verifier(), tmp_path)

    def test_reads_a_file_once_while_it_is_not_touched(self, file: Path) -> None:
        verifier = Verifier()
        self.check(verifier, file)
        self.change_unseen(file)
        self.check(verifier, file)  # that it passes shows that it was not read
        with pytest.raises(CorruptFileError):
            self.check(verifier, file, full=True)

    def test_does_not_trust_a_file_again_that_was_found_damaged(self, file: Path) -> None:
        verifier = Verifier()
        self.check(verifier, file)
        self.change_unseen(file)
        with pytest.raises(CorruptFileError):
            self.check(verifier, file, full=True)
        with pytest.raises(CorruptFileError):
            self.check(verifier, file)

    def test_reads_again_what_has_another_time(self, file: Path) -> None:
        verifier = Verifier()
        self.check(verifier, file)
        file.write_bytes(b"X123456789")
        os.utime(file, ns=(0, 1))
        with pytest.raises(CorruptFileError):
            self.check(verifier, file)

    def test_reads_again_what_another_file_took_the_place_of(self, file: Path) -> None:
        verifier = Verifier()
        self.check(verifier, file)
        times = file.stat()
        other = file.with_name("y")
        other.write_bytes(b"X123456789")
        os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
        other.replace(file)
        with pytest.raises(CorruptFileError):
            self.check(verifier, file)

    def test_a_pass_for_one_hash_is_no_pass_for_another(self, file: Path) -> None:
        verifier = Verifier()
        self.check(verifier, file)
        with pytest.raises(CorruptFileError):
            verifier.check(file, hash_bytes(b"9876543210"), 10)


HOLD = """
import sys, time
from pathlib import Path
from workbench.storage.lock import WriterLock
with WriterLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


class TestLock:
    def test_names_its_holder_for_people(self, tmp_path: Path) -> None:
        with WriterLock(tmp_path / "LOCK"):
            note = json.loads((tmp_path / "LOCK").read_text())
        assert note["pid"] == os.getpid()
        assert {"host", "since"} < set(note)

    def test_a_second_writer_in_the_same_process_is_refused(self, tmp_path: Path) -> None:
        with WriterLock(tmp_path / "LOCK"):
            with (
                pytest.raises(WriterLockedError, match=f'"pid": {os.getpid()}'),
                WriterLock(tmp_path / "LOCK"),
            ):
                pass
            with pytest.raises(WriterLockedError) as caught, WriterLock(tmp_path / "LOCK"):
                pass
        assert caught.value.where == str(tmp_path)
        with WriterLock(tmp_path / "LOCK"):
            pass

    def test_an_error_inside_gives_the_lock_back(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError), WriterLock(tmp_path / "LOCK"):
            _ = 1 // 0
        with WriterLock(tmp_path / "LOCK"):
            pass

    def test_a_writer_in_another_process_is_named_and_its_end_is_noticed(self, tmp_path: Path) -> None:
        command = [sys.executable, "-c", HOLD, str(tmp_path / "LOCK")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdin is not None
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            with pytest.raises(WriterLockedError, match=f'"pid": {other.pid}'), WriterLock(tmp_path / "LOCK"):
                pass
            other.stdin.close()
            assert other.wait(30) == 0
        with WriterLock(tmp_path / "LOCK"):
            pass

    def test_what_an_earlier_holder_wrote_decides_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "LOCK").write_text('{"pid": 1, "host": "elsewhere", "since": "1970-01-01"}' * 100)
        with WriterLock(tmp_path / "LOCK"):
            assert json.loads((tmp_path / "LOCK").read_text())["pid"] == os.getpid()

    def test_descriptors_are_closed(self, tmp_path: Path) -> None:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  (counting, not walking)
        with WriterLock(tmp_path / "LOCK"), pytest.raises(WriterLockedError), WriterLock(tmp_path / "LOCK"):
            pass
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
