"""One generation of a workspace, held fast: what writers do meanwhile changes nothing in it."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import StorageError
from workbench.storage import SegmentStore
from workbench.storage.manifest import CURRENT, read_pointer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.reports.world import Live
    from workbench.storage import Snapshot

__all__ = ["Pinned", "pinned"]

# Data lie under these names, and the generation says which; everything else is small and copied.
_DATA = {"segments", "knowledge", "references", "quarantine", "manifests", "readers", "tmp", "LOCK"}
_TRIES = 3


@dataclass(frozen=True)
class Pinned:
    """A workspace of one generation.

    Attributes:
        path: Where it lies while the context lasts.
        timezone: As in the workspace.
        snapshot: The generation.
    """

    path: Path
    timezone: str
    snapshot: Snapshot


@contextmanager
def pinned(world: Live) -> Iterator[Pinned]:
    """Give a workspace that holds the newest generation of another and never moves on.

    Its files are hard links, symbolic ones where the file systems differ: next to nothing is copied. What is
    written into it stays in it, and goes with it.

    Raises:
        StorageError: If writers remove files faster than they can be linked.
    """
    with tempfile.TemporaryDirectory(prefix="workbench-report-") as folder:
        for _ in range(_TRIES):
            target = Path(folder) / world.path.name
            shutil.rmtree(target, ignore_errors=True)
            newest = world.store.snapshot()
            if newest.lazy:
                newest.paths(newest.manifest.files)
            try:
                _link(world.path, target)
            except FileNotFoundError:
                continue  # a file was collected meanwhile: the next generation has others
            yield Pinned(target, world.timezone, SegmentStore(target).snapshot())
            return
        raise StorageError(
            "the workspace changes too fast to be held.", where=str(world.path), fix="Try again later."
        )


def _link(source: Path, target: Path) -> None:
    target.mkdir()
    for entry in source.iterdir():
        if entry.name in _DATA:
            continue
        if entry.is_dir():
            shutil.copytree(entry, target / entry.name)
        else:
            shutil.copy2(entry, target / entry.name)
    (target / "tmp").mkdir()
    (target / "LOCK").touch()
    shutil.copytree(source / "manifests", target / "manifests")
    # also the copy of a mirror is a workspace of its own
    (target / CURRENT).write_bytes(read_pointer(target).encode())
    for file in SegmentStore(target).snapshot().manifest.files:
        place = target / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        original = source / file.path
        try:
            place.hardlink_to(original)
        except FileNotFoundError:
            raise
        except OSError:
            original.stat()  # a link to nothing would be noticed too late
            place.symlink_to(original.absolute())
