"""The write-ahead log under damage.

Invariants, whatever happens to its bytes:

- every record that was acknowledged is recovered, or opening says that acknowledged events are lost;
- nothing is recovered that was not appended, and nothing twice or out of order;
- a group that was never acknowledged is never taken for corruption, whichever part of it is on disk;
- what is cut is kept, and a second opening finds what the first one found.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import CorruptFileError
from workbench.storage.wal import Log

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Count

HEADER = 28
RECORD = 36


def write_log(folder: Path, groups: list[list[bytes]], **options: int) -> list[bytes]:
    """Append groups, each made durable by one sync, and return all payloads."""
    with Log(folder, **options) as log:
        for group in groups:
            numbers = [log.enqueue(1, payload) for payload in group]
            log.wait(numbers[-1])
    return [payload for group in groups for payload in group]


def recovered(folder: Path) -> list[bytes]:
    with Log(folder) as log:
        return [record.payload for record in log.recovered]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "wal"


def test_a_log_cut_at_every_byte_of_its_last_group_gives_what_is_whole(folder: Path, count: Count) -> None:
    groups = [[b"first"], [b"one", b"\xa7rec two", b"three" * 9]]
    written = write_log(folder, groups)
    (path,) = folder.glob("*.wal")
    data = path.read_bytes()
    ends = [HEADER]
    for payload, mark in ((written[0], RECORD), (written[1], 0), (written[2], 0), (written[3], RECORD)):
        ends.append(ends[-1] + RECORD + len(payload) + mark)
    whole = [HEADER, *(end - (RECORD if n in {1, 4} else 0) for n, end in enumerate(ends) if n)]

    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        expected = written[: max(0, sum(end <= length for end in whole) - 1)]
        assert recovered(folder) == expected, length
        cuts = list(folder.glob("*.cut"))
        assert path.read_bytes() + b"".join(cut.read_bytes() for cut in cuts) == data[:length]
        assert recovered(folder) == expected, length
        with Log(folder) as log:
            log.append(1, b"goes on")
        assert recovered(folder) == [*expected, b"goes on"]
        for extra in {*folder.glob("*.wal"), *cuts} - {path}:
            extra.unlink()
    count("cuts of the log, at every byte", len(data) + 1)


@pytest.mark.parametrize("rotate_bytes", [1 << 20, 1])
def test_a_flipped_bit_anywhere_loses_nothing_in_silence(
    folder: Path, rotate_bytes: int, count: Count
) -> None:
    written = write_log(folder, [[b"a", b"bb"], [b"ccc"], [b"dddd", b"eeeee"]], rotate_bytes=rotate_bytes)
    originals = {path: path.read_bytes() for path in folder.glob("*.wal")}
    refused = flips = 0
    for path, data in originals.items():
        for bit in range(len(data) * 8):
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            flips += 1
            try:
                found = recovered(folder)
            except CorruptFileError:
                refused += 1
                found = written if path.read_bytes() == damaged else []  # a refusal changes nothing
            assert found == written, (path.name, bit)
            for other in folder.glob("*.cut"):
                other.unlink()
            path.write_bytes(data)
    assert flips > 2_000
    assert refused > flips / 3
    count(f"flips of the log in {len(originals)} files, every bit, {refused:,} of them refused", flips)


def test_random_damage_never_gives_what_was_not_written(folder: Path) -> None:
    draw = random.Random(5)  # noqa: S311
    written = write_log(folder, [[b"%d" % n * n, b"x"] for n in range(12)])
    (path,) = folder.glob("*.wal")
    data = path.read_bytes()
    for _ in range(300):
        damaged = bytearray(data)
        start = draw.randrange(len(data))
        end = min(len(data), start + draw.choice((1, 8, 64, 512)))
        damaged[start:end] = draw.choice((bytes(end - start), draw.randbytes(end - start), b""))
        path.write_bytes(damaged)
        try:
            found = recovered(folder)
        except CorruptFileError:
            continue
        finally:
            for cut in folder.glob("*.cut"):
                cut.unlink()
        assert found == written[: len(found)]


@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    kept=st.lists(st.booleans(), min_size=40, max_size=40),
    length=st.integers(0, 2_000),
)
def test_any_part_of_a_group_that_was_not_acknowledged_is_cut(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], kept: list[bool], length: int
) -> None:
    """A loss of power keeps any blocks of a write (16 bytes here) and any length of it; others are zero."""
    folder = tmp_path_factory.mktemp("power") / "wal"
    acknowledged = write_log(folder, [[b"safe"], [b"safe too"]])
    (path,) = folder.glob("*.wal")
    before = path.read_bytes()
    group = [bytes([65 + n]) * size for n, size in enumerate(sizes)]
    path.unlink()
    write_log(folder, [[b"safe"], [b"safe too"], group])
    (path,) = folder.glob("*.wal")
    tail = path.read_bytes()[len(before) : -RECORD]  # the mark was never written
    blocks = [
        tail[at : at + 16] if kept[at // 16 % 40] else bytes(len(tail[at : at + 16]))
        for at in range(0, len(tail), 16)
    ]
    path.write_bytes(before + b"".join(blocks)[:length])

    found = recovered(folder)
    assert found[:2] == acknowledged
    assert found[2:] == group[: len(found) - 2]
    assert recovered(folder) == found


def test_damage_to_what_is_published_is_no_loss(folder: Path) -> None:
    write_log(folder, [[b"a"], [b"b"], [b"c"]])
    (path,) = folder.glob("*.wal")
    data = bytearray(path.read_bytes())
    data[HEADER + RECORD] ^= 1
    path.write_bytes(data)

    with pytest.raises(CorruptFileError, match="record 1 is damaged"):
        recovered(folder)
    with Log(folder, position=lambda: (1, 1)) as log:
        assert [record.payload for record in log.recovered] == [b"b", b"c"]
