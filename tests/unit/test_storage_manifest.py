"""Manifests: what a generation consists of, written as bytes and back, chained by hash."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import CorruptFileError, WorkspaceError
from workbench.storage.files import hash_bytes
from workbench.storage.manifest import (
    FileEntry,
    LedgerEntry,
    Manifest,
    commit,
    manifest_name,
    read_current,
    read_manifest,
    recent_manifests,
)

if TYPE_CHECKING:
    from pathlib import Path

texts = st.text(max_size=20)
numbers = st.integers(min_value=0, max_value=2**63 - 1)
moments = st.none() | st.integers(min_value=-(2**62), max_value=2**62)
facts = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)
files = st.builds(
    FileEntry, texts, texts, texts, texts, numbers, numbers, texts, moments, moments, texts, facts
)
ledgers = st.lists(
    st.builds(LedgerEntry, texts, texts, texts, numbers, numbers, numbers, numbers, texts),
    max_size=4,
    unique_by=lambda entry: entry.key,
).map(lambda entries: {entry.key: entry for entry in entries})
manifests = st.builds(Manifest, numbers, texts, texts, st.lists(files, max_size=4).map(tuple), ledgers, facts)


@given(manifests)
def test_reading_gives_back_what_was_written(manifest: Manifest) -> None:
    assert Manifest.decode(manifest.encode()) == manifest


@given(manifests)
def test_equal_manifests_are_equal_bytes(manifest: Manifest) -> None:
    turned = dataclasses.replace(manifest, state=dict(reversed(manifest.state.items())))
    assert turned.encode() == manifest.encode()
    assert Manifest.decode(manifest.encode()).encode() == manifest.encode()


@given(manifests, texts)
def test_the_next_one_names_the_bytes_of_the_one_before(manifest: Manifest, created: str) -> None:
    following = manifest.next(created, files=())
    assert following.number == manifest.number + 1
    assert following.created == created
    assert following.previous == hash_bytes(manifest.encode())
    assert following.files == ()
    assert (following.ledger, following.state) == (manifest.ledger, manifest.state)


def test_what_is_no_json_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        Manifest(1, "", "", state={"share": float("nan")}).encode()


def test_a_source_is_the_same_by_bytes_and_by_what_it_was_read_as() -> None:
    first = LedgerEntry("a.csv", "Login", "ff", 10, 3, 2, 1, "done")
    moved = dataclasses.replace(first, source="b.csv", position=0, rows=0, rejected=0, status="partial")
    assert first.key == moved.key
    assert (
        len(
            {
                first.key,
                dataclasses.replace(first, name="Click").key,
                dataclasses.replace(first, hash="fe").key,
                dataclasses.replace(first, bytes=11).key,
            }
        )
        == 4
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("manifests", "tmp"):
        (tmp_path / folder).mkdir()
    return tmp_path


def generations(root: Path, count: int) -> list[Manifest]:
    made = [Manifest(0, "2025-06-12T00:00:00", "")]
    while len(made) < count:
        made.append(made[-1].next("2025-06-12T00:00:01", state={"step": len(made)}))
    for manifest in made:
        commit(root, manifest)
    return made


def test_names_sort_by_number() -> None:
    numbers = [0, 9, 10, 99, 100, 2_000_000_000]
    assert sorted(map(manifest_name, numbers)) == [manifest_name(n) for n in numbers]


def test_the_committed_one_is_current_and_the_older_stay(root: Path) -> None:
    made = generations(root, 4)
    assert read_current(root) == made[-1]
    assert [p.name for p in sorted((root / "manifests").iterdir())] == [manifest_name(n) for n in range(4)]
    assert list((root / "tmp").iterdir()) == []


def test_recent_ones_come_newest_first_down_to_the_first(root: Path) -> None:
    made = generations(root, 4)
    assert recent_manifests(root, 3) == made[:0:-1]
    assert recent_manifests(root, 100) == made[::-1]


def test_a_changed_one_in_the_chain_is_noticed(root: Path) -> None:
    generations(root, 3)
    path = root / "manifests" / manifest_name(1)
    path.write_bytes(path.read_bytes().replace(b'"step":1', b'"step":7'))
    with pytest.raises(CorruptFileError, match="not those committed") as caught:
        recent_manifests(root, 3)
    assert caught.value.where == str(path)
    assert len(recent_manifests(root, 1)) == 1


def test_a_missing_one_is_noticed(root: Path) -> None:
    made = generations(root, 2)
    path = root / "manifests" / manifest_name(1)
    path.unlink()
    with pytest.raises(CorruptFileError, match="missing"):
        read_current(root)
    with pytest.raises(CorruptFileError, match="missing"):
        read_manifest(path, hash_bytes(made[1].encode()))


def test_a_directory_without_current_is_no_workspace(root: Path) -> None:
    with pytest.raises(WorkspaceError, match="no CURRENT"):
        read_current(root)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"null",
        b"[]",
        b"7",
        b"{}",
        b'{"manifest": "0000000000.json"}',
        b'{"manifest": 7, "hash": ""}',
        b'{"manifest": "0.json", "hash": "99aa06d3014798d86001c324468d497f"}',
        b'{"manifest": "0000000000.json", "hash": "99aa"}',
    ],
)
def test_a_current_file_that_says_something_else_is_named(root: Path, content: bytes) -> None:
    generations(root, 1)
    (root / "CURRENT").write_bytes(content)
    with pytest.raises(CorruptFileError) as caught:
        read_current(root)
    assert caught.value.where == str(root / "CURRENT")


def test_current_names_the_manifest_by_the_hash_of_its_bytes(root: Path) -> None:
    generations(root, 2)
    pointer = json.loads((root / "CURRENT").read_bytes())
    assert pointer == {
        "manifest": manifest_name(1),
        "hash": hash_bytes((root / "manifests" / manifest_name(1)).read_bytes()),
    }
