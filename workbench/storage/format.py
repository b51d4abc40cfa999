"""The format of a workspace: what FORMAT says, how a new one is laid out, how an older one is migrated."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workbench.errors import CorruptFileError, WorkspaceError
from workbench.storage.disk import LOCAL
from workbench.storage.files import make_directories, publish
from workbench.storage.manifest import CURRENT, Manifest, commit, manifest_name, seal_problem, sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from workbench.storage.disk import Disk

__all__ = ["FOLDERS", "FORMAT", "Format", "is_vacant", "lay_out", "migrate", "read_format", "write_format"]

FORMAT = 2
_FIX = "'workbench repair' writes it anew."
FOLDERS = ("manifests", "segments", "references", "knowledge", "quarantine", "readers", "tmp")


class Format(NamedTuple):
    """What FORMAT says.

    Attributes:
        version: Of the layout.
        workspace: The identity of the workspace.
    """

    version: int
    workspace: str


def read_format(root: Path) -> Format:
    """Return what a workspace says about itself.

    Raises:
        WorkspaceError: If there is no workspace in ``root``, or one that this version cannot read.
        CorruptFileError: If FORMAT is damaged.
    """
    path = root / "FORMAT"
    try:
        data = path.read_bytes()
        found = json.loads(data)
    except NotADirectoryError:
        raise WorkspaceError(
            "this is no directory.", where=str(root), fix="A workspace is a directory: name that."
        ) from None
    except FileNotFoundError:
        what = "is not a workspace" if root.exists() else "does not exist"
        raise WorkspaceError(
            f"the directory {what}.", where=str(root), fix=f"Make one with 'workbench init {root}'."
        ) from None
    except ValueError as error:
        raise CorruptFileError(f"not readable: {error}.", where=str(path), fix=_FIX) from error
    numbers = ("format", "least_reader")
    if not isinstance(found, dict) or not all(isinstance(found.get(name), int) for name in numbers):
        raise CorruptFileError("does not say which format the workspace has.", where=str(path), fix=_FIX)
    if problem := seal_problem(data):
        raise CorruptFileError(f"{problem}.", where=str(path), fix=_FIX)
    if found["least_reader"] > FORMAT:
        raise WorkspaceError(
            f"the workspace has format {found['format']}, this version reads up to {FORMAT}.",
            where=str(root),
            fix="Install a newer workbench.",
        )
    return Format(found["format"], str(found.get("workspace", "")))


def migrate(root: Path, found: Format, disk: Disk = LOCAL) -> None:
    """Bring a workspace of an older format to the present one, step by step, each durable before the next.

    Only the writer may: readers read every older format as it is. A step that was interrupted is taken
    again from its start.

    Raises:
        WorkspaceError: If the workspace has a newer format, which this version may read but not write.
    """
    if found.version > FORMAT:
        raise WorkspaceError(
            f"the workspace has format {found.version}, this version writes format {FORMAT}.",
            where=str(root),
            fix="Install a newer workbench; reading works with this one.",
        )
    for version in range(found.version, FORMAT):
        _STEPS[version](root, disk)
        write_format(root, version + 1, found.workspace, disk)


def _to_2(root: Path, disk: Disk) -> None:
    """Add the readers' leases; manifests say from now on which epoch's writer committed them."""
    make_directories(root / "readers", disk)


_STEPS: dict[int, Callable[[Path, Disk], None]] = {1: _to_2}


def is_vacant(root: Path, files: Iterable[str]) -> bool:
    """Return whether nothing is in ``root`` but what a killed creation leaves, which writes FORMAT last."""
    folders = {*FOLDERS, CURRENT, *(Path(name).parts[0] for name in files)}
    if not root.is_dir() or any(p.name not in folders for p in root.iterdir()):
        return False
    ours = {root / CURRENT, root / "manifests" / manifest_name(0), *(root / name for name in files)}
    found = (p for p in root.rglob("*") if not p.is_dir())
    return all(path in ours or path.parent == root / "tmp" for path in found)


def lay_out(root: Path, files: Mapping[str, bytes], created: str, disk: Disk = LOCAL) -> None:
    """Write an empty workspace, FORMAT last."""
    for folder in (root / name for name in FOLDERS):
        make_directories(folder, disk)
    for name, data in files.items():
        make_directories((root / name).parent, disk)
        publish(root / name, data, root / "tmp", disk)
    commit(root, Manifest(0, created, ""), disk)
    write_format(root, FORMAT, uuid.uuid4().hex, disk)


def write_format(root: Path, version: int, workspace: str, disk: Disk = LOCAL) -> None:
    """Say which format a workspace has."""
    text = json.dumps({"format": version, "least_reader": version, "workspace": workspace})
    publish(root / "FORMAT", sealed(text.encode()), root / "tmp", disk)
