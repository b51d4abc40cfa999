"""Files of sealed lines: whole or as they were, a damaged line named, one process after the other."""

from __future__ import annotations

import errno
import threading
from typing import TYPE_CHECKING

import pytest

from workbench.errors import DiskFullError, StorageError
from workbench.storage.disk import Disk
from workbench.storage.sealed import add_lines, in_turn, read_lines, write_lines

if TYPE_CHECKING:
    from pathlib import Path


class Full(Disk):
    """A disk on which nothing can be written any more."""

    def write(self, descriptor: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_what_was_written_is_read_again_and_more_comes_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    assert list(read_lines(path)) == []
    add_lines(path, [{"n": 1, "text": "ä\n"}])
    add_lines(path, [{"n": 2}, {"n": 3}])
    assert list(read_lines(path)) == [{"n": 1, "text": "ä\n"}, {"n": 2}, {"n": 3}]
    write_lines(path, [{"n": 4}])
    assert list(read_lines(path)) == [{"n": 4}]
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_line_is_left_out_and_named_and_stays_where_more_is_added(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write_lines(path, [{"n": 1}, {"n": 2}])
    path.write_bytes(path.read_bytes().replace(b'"n":2', b'"n":7') + b'{"n":3}\n{"n":4,"xx')
    add_lines(path, [{"n": 5}])
    problems: list[str] = []
    assert list(read_lines(path, problems)) == [{"n": 1}]
    named = "the line is damaged and left out"
    assert problems == [f"log.jsonl:{line}: {named}" for line in (2, 3, 4)]
    assert list(read_lines(path)) == [{"n": 1}]
    assert b'"n":7' in path.read_bytes()


def test_where_the_disk_refuses_a_file_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write_lines(path, [{"n": 1}])
    for write in (write_lines, add_lines):
        with pytest.raises(DiskFullError, match="No space left"):
            write(path, [{"n": 2}], Full())
    assert list(read_lines(path)) == [{"n": 1}]


def test_a_number_that_json_lacks_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_lines(tmp_path / "log.jsonl", [{"n": float("nan")}])
    assert not (tmp_path / "log.jsonl").exists()


def test_writers_come_one_after_the_other_and_clear_what_a_killed_one_left(tmp_path: Path) -> None:
    folder = tmp_path / "kept" / "here"
    said: list[str] = []
    inside = threading.Event()

    def second() -> None:
        inside.wait()
        with in_turn(folder / "LOCK", "*.jsonl.*"):
            said.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with in_turn(folder / "LOCK", "*.jsonl.*"):
        (folder / "log.jsonl.12").write_bytes(b"half")
        (folder / "other.12").write_bytes(b"another's")
        inside.set()
        said.append("first")
    thread.join()
    assert said == ["first", "second"]
    assert sorted(path.name for path in folder.iterdir()) == ["LOCK", "other.12"]


def test_a_lock_that_cannot_be_had_says_so(tmp_path: Path) -> None:
    (tmp_path / "LOCK").mkdir()
    with pytest.raises(StorageError, match="Is a directory"), in_turn(tmp_path / "LOCK", "*.jsonl.*"):
        raise AssertionError


def test_an_error_of_who_holds_it_is_its_own_and_gives_the_lock_back(tmp_path: Path) -> None:
    lock = tmp_path / "LOCK"
    with pytest.raises(FileNotFoundError), in_turn(lock, "*.jsonl.*"):
        raise FileNotFoundError
    with in_turn(lock, "*.jsonl.*"):
        pass
