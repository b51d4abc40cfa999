"""What every scorecard writes down beside its figures: the machine, how busy it was, and the libraries."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def taken_on(*libraries: str) -> dict[str, Any]:
    """Return ``machine``, with its load at the moment, and ``versions`` of libraries."""
    return {
        "machine": {
            "python": platform.python_version(),
            "system": f"{platform.machine()}, {platform.system()}",
            "cpus": os.cpu_count(),
            "load": os.getloadavg()[0],
        },
        "versions": {library: version(library) for library in libraries},
    }


def write(path: Path | None, record: dict[str, Any]) -> None:
    """Write figures as JSON, where a file is named."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
