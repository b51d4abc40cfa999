"""What a report was made from: the generation, its data's fingerprint, versions, parameters, plans."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from workbench.tabular import json_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workbench.reports.world import World
    from workbench.storage import Snapshot

__all__ = ["fingerprint", "manifest"]

_LIBRARIES = ("bokeh", "duckdb", "holoviews", "numpy", "polars", "pyarrow")


def manifest(
    world: World, title: str, parameters: Mapping[str, Any], provenance: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what makes a report traceable, as JSON data.

    Args:
        world: The workspace at the generation that the report speaks of.
        title: The report's.
        parameters: What it was made with.
        provenance: For each part that has it, how it came about: plans with their lineage, statements, runs.
    """
    from workbench import __version__  # noqa: PLC0415  (the package may still be loading)

    zone = ZoneInfo(world.timezone)
    segments = world.snapshot.segments
    return {
        "title": title,
        "created": datetime.now(zone).isoformat(timespec="seconds"),
        "timezone": world.timezone,
        "workspace": world.path.name,
        "generation": world.snapshot.generation,
        "fingerprint": fingerprint(world.snapshot),
        "segments": {
            "first": segments[0] if segments else None,
            "last": segments[-1] if segments else None,
            "count": len(segments),
        },
        "parameters": json_value(dict(parameters), zone),
        "versions": {
            "workbench": __version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _LIBRARIES},
        },
        "parts": [dict(part) for part in provenance],
    }


def fingerprint(snapshot: Snapshot) -> str:
    """Return a hash of the documents: equal for equal data, whatever was computed from them."""
    files = sorted(f"{f.path} {f.hash}" for f in snapshot.files("events"))
    return hashlib.sha256("\n".join(files).encode()).hexdigest()[:16]
