"""Makes the plug-in's distribution visible to a Python process without installing it anywhere."""

from __future__ import annotations

import sys
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parent


def write_metadata(directory: Path) -> None:
    """Write what an installer would write about the distribution: its name and its entry points."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = directory / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def search_path(directory: Path) -> list[str]:
    """Return the entries of ``sys.path`` that make the plug-in look installed."""
    return [str(PROJECT / "src"), str(directory)]


@contextmanager
def visible(directory: Path) -> Iterator[None]:
    """Make the plug-in look installed while the block runs; ``directory`` holds its metadata."""
    added = search_path(directory)
    sys.path[:0] = added
    try:
        yield
    finally:
        for entry in added:
            sys.path.remove(entry)
        for module in [name for name in sys.modules if name.partition(".")[0] == "workbench_logfmt"]:
            del sys.modules[module]
