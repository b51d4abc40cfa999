"""What a log's manifest says: how it was made, which files it has, and what is in them."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from workbench.errors import UsageError
from workbench.samples.files import replacing

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MANIFEST", "file_entry", "find_manifest", "new_manifest", "write_manifest"]

MANIFEST = "_manifest.json"
_FORMAT = 1
_LIBRARIES = ("numpy", "pyarrow")


def new_manifest(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of a log that has no file yet."""
    versions = {library: version(library) for library in _LIBRARIES}
    return {
        "format": _FORMAT,
        "complete": False,
        "parameters": parameters,
        "versions": {"python": platform.python_version(), **versions},
        "rows": {},
        "distinct": {},
        "files": {},
    }


def find_manifest(directory: Path, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of the log in ``directory``, or a new one if there is nothing yet.

    Raises:
        UsageError: If something else is there, or a log of other parameters.
    """
    new = new_manifest(parameters)
    try:
        found = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise UsageError(
                "there is something else already.",
                where=str(directory),
                fix="Name an empty or a new directory.",
            ) from None
        return new
    except ValueError as error:
        raise UsageError(
            f"the manifest cannot be read: {error}.",
            where=str(directory / MANIFEST),
            fix="Remove the directory.",
        ) from error
    for part in ("format", "parameters", "versions"):
        if found.get(part) != new[part]:
            raise UsageError(
                f"a log with other {part} is there already: {_difference(found.get(part), new[part])}.",
                where=str(directory),
                fix="Name another directory, or remove this one.",
            )
    return dict(found)


def _difference(found: Any, asked: Any) -> str:
    if not isinstance(found, dict) or not isinstance(asked, dict):
        return f"{found}, not {asked}"
    differing = [name for name in {**found, **asked} if found.get(name) != asked.get(name)]
    return ", ".join(f"{name} is {found.get(name)}, not {asked.get(name)}" for name in differing)


def write_manifest(directory: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest, its entries in order of their names."""
    ordered = {name: _sorted(part) if name != "parameters" else part for name, part in manifest.items()}
    with replacing(directory / MANIFEST) as file:
        file.write(json.dumps(ordered, indent=1).encode() + b"\n")


def _sorted(part: Any) -> Any:
    return dict(sorted(part.items())) if isinstance(part, dict) else part


def file_entry(path: Path, rows: int, columns: int) -> dict[str, Any]:
    """Return what the manifest says of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"rows": rows, "columns": columns, "bytes": path.stat().st_size, "sha256": digest}
