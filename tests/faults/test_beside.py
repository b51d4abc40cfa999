"""What lies beside the generations, under failpoints and loss of power: mirrors and tables kept to save time.

A workspace is mirrored to a directory, grows, and is mirrored again; its window graph is kept, and brought up
to date. At each operation the disk refuses or the process dies, or the power fails after it. Then

* a mirror opens at a generation that it held before or was about to hold, never at one older than the last
  whose mirroring returned, and ``verify --full`` is clean; or, if none had returned, it is none;
* an error of the kernel comes out of a mirroring as a ``RemoteError``; the next one ends it, and what the
  failed one left is deleted by the next that prunes;
* a window graph read through what is kept equals the merge of its partials, whatever is kept; nothing that
  keeping it meets is an error, and what it left is collected.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from faulty_disk import MOST, BreakingDisk, KilledError, LazyDisk, Machine, RecordingDisk, points, some
from steps import outcome
from test_power_loss import Recording

from workbench.engine import Engine
from workbench.errors import RemoteError, WorkspaceError
from workbench.graph import window_of
from workbench.storage import SegmentStore
from workbench.storage.derived import FOLDER
from workbench.storage.mirror import mirror
from workbench.storage.places import Directory

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Count, Place

    from workbench.graph import Window
    from workbench.storage.disk import Disk

QUICK = 12


@pytest.fixture(scope="module")
def grown(two_days: Path, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with its third day, late events and an evicted one; it has several generations more."""
    root = tmp_path_factory.mktemp("grown") / "w"
    shutil.copytree(two_days, root)
    with Engine(root) as engine:
        engine.ingest(logs / "click-3.csv", type="click")
        engine.ingest(logs / "late.csv", type="click")
        engine.evict("2025-01-01")
    return root


# mirrors


def copied(root: Path, target: Path, disk: Disk) -> int:
    """Mirror a workspace, prune, and return the generation."""
    return mirror(SegmentStore(root), Directory(target, disk), prune=True, grace=-1).generation


def held(target: Path) -> int:
    """Return the generation that a mirror holds, which is whole; -1 where there is none."""
    try:
        engine = Engine(target)
    except WorkspaceError:
        return -1
    assert engine.verify(full=True) == []
    return engine.snapshot.generation


def check_mirror(target: Path, grown: Path, generation: int) -> None:
    """Assert that the next mirroring ends what was begun, and leaves nothing else."""
    assert copied(grown, target, LazyDisk()) == held(target) == generation
    there = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
    named = {f.path for f in SegmentStore(grown).snapshot().manifest.files}
    folders = ("segments/", "references/", "knowledge/", "quarantine/", "tmp/")
    former = {f.path for f in SegmentStore(target).snapshot().manifest.files} - named
    assert not former
    assert named <= there
    assert {p for p in there if p.startswith("tmp/")} == set(), there
    assert all(p in there for p in named if p.startswith(folders))


@pytest.fixture(params=["the first", "a later"])
def mirrored(request: pytest.FixtureRequest, two_days: Path, tmp_path: Path) -> Path:
    """Where a mirror is to be, or is of the first two days."""
    target = tmp_path / "origin" / "m"
    target.parent.mkdir()
    if request.param == "a later":
        copied(two_days, target, LazyDisk())
    return target


def laid(origin: Path, tmp_path: Path) -> Path:
    target = tmp_path / "copy" / "m"
    shutil.rmtree(target.parent, ignore_errors=True)
    shutil.copytree(origin.parent, target.parent)
    return target


def test_a_mirror_is_what_it_was_or_what_it_shall_be(
    mirrored: Path, grown: Path, tmp_path: Path, count: Count
) -> None:
    before = held(mirrored)
    whole = BreakingDisk()
    after = copied(grown, laid(mirrored, tmp_path), whole)
    everywhere = points(whole.kinds)
    for at, how in (chosen := some(everywhere, QUICK, "mirror")):
        target = laid(mirrored, tmp_path)
        disk = BreakingDisk(at, how)
        error = outcome(lambda: copied(grown, target, disk), (RemoteError, KilledError))  # noqa: B023
        assert (how in ("before", "after")) == isinstance(error, KilledError), (at, how, error)
        assert (how == "short") == (error is None), (at, how, error)
        assert held(target) in (before, after), (at, how)
        check_mirror(target, grown, after)
    way = "a first mirror" if before < 0 else "a later mirror"
    count(f"failpoints of {way}, of {len(everywhere):,} at {len(whole.kinds):,} operations", len(chosen))


def test_a_mirror_that_the_power_cut_off_is_whole(
    mirrored: Path, grown: Path, tmp_path: Path, count: Count
) -> None:
    before = held(mirrored)
    target = laid(mirrored, tmp_path)
    disk = RecordingDisk(target.parent)
    recording = Recording(Machine.of(disk.root), disk.log, [(0, before)])
    after = copied(grown, target, disk)
    recording.acknowledged.append((len(disk.log), after))
    states = recording.states()
    for number, (state, known) in enumerate(chosen := some(states, QUICK, "mirror", MOST)):
        root = tmp_path / str(number)
        root.mkdir()
        state.write(root)
        assert held(root / "m") in {known, after}, state.how
        check_mirror(root / "m", grown, after)
        shutil.rmtree(root)
    way = "a first mirror" if before < 0 else "a later mirror"
    operations = f"{len(disk.log):,} operations"
    count(f"states after a loss of power in {way}, of {len(states):,}; {operations}", len(chosen))


# kept tables


@pytest.fixture
def kept(two_days: Path, grown: Path, place: Place, tmp_path: Path) -> Path:
    """A workspace that keeps the window of a former generation."""
    former = place("former")
    window(former)
    root = place("kept", grown)
    shutil.copytree(former / "cache", root / "cache")
    return root


def window(root: Path, disk: Disk | None = None) -> Window:
    store = SegmentStore(root, disk=disk or LazyDisk())
    return window_of(store.snapshot(), store.derived("window"), worth=0)


def merged(root: Path) -> Window:
    """Return the window without what is kept."""
    store = SegmentStore(root)
    return window_of(store.snapshot(), store.derived("window"), worth=1 << 40)


def check_kept(root: Path, expected: Window) -> None:
    """Assert that whatever is kept gives the right window, and that what belongs to no set is collected."""
    for _ in range(2):
        assert window(root).equals(expected)
    store = SegmentStore(root)
    with store.writer() as writer:
        writer.collect(grace=-1)
    sets = store.derived("window").sets()
    assert sets[0].generation == store.snapshot().generation
    assert len(sets) <= 2  # who died may have left the former one, or a part of it, which goes with the next
    there = {path.name for path in (root / FOLDER).iterdir()}
    newest, *_ = files = [{made.name, *(name for name, _, _ in made.files.values())} for made in sets]
    assert newest <= there <= set().union(*files)


def test_a_kept_window_is_right_or_not_there(kept: Path, place: Place, count: Count) -> None:
    expected = merged(kept)
    whole = BreakingDisk()
    assert window(place("whole", kept), whole).equals(expected)
    everywhere = points(whole.kinds)
    for at, how in (chosen := some(everywhere, QUICK, "window")):
        root = place("w", kept)
        found: list[Window] = []
        error = outcome(lambda: found.append(window(root, BreakingDisk(at, how))))  # noqa: B023
        assert (how in ("before", "after")) == isinstance(error, KilledError), (at, how, error)
        assert error or found[0].equals(expected), (at, how)
        check_kept(root, expected)
    count(
        f"failpoints of a kept window, of {len(everywhere):,} at {len(whole.kinds):,} operations", len(chosen)
    )


def test_a_kept_window_that_the_power_cut_off_is_right_or_not_there(
    kept: Path, place: Place, tmp_path: Path, count: Count
) -> None:
    expected = merged(kept)
    root = place("recorded", kept)
    disk = RecordingDisk(root.parent)
    recording = Recording(Machine.of(disk.root), disk.log)
    window(root, disk)
    states = recording.states()
    for number, (state, _) in enumerate(chosen := some(states, QUICK, "window", MOST)):
        target = tmp_path / str(number)
        target.mkdir()
        state.write(target)
        check_kept(target / "w", expected)
        shutil.rmtree(target)
    operations = f"{len(disk.log):,} operations"
    count(f"states after a loss of power in keeping a window, of {len(states):,}; {operations}", len(chosen))
