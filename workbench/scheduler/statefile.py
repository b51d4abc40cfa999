"""What a scheduler is doing, written down for other processes to read."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.scheduler.scheduler import Status

__all__ = ["read_status", "write_status"]


def write_status(path: Path, status: Status) -> str:
    """Write a status, and return why the disk refuses it; a reader sees it whole or the one before."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    document = {**asdict(status), "pid": os.getpid()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(document), encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # it is tried again every second
            aside.unlink(missing_ok=True)
        return str(error)
    return ""


def read_status(path: Path) -> dict[str, Any] | None:
    """Return what was written last, with ``alive``: whether the process that wrote it is there and works.

    Nothing where nobody has written, or what is there cannot be read.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        alive = bool(document["running"]) and _is_alive(int(document["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {**document, "alive": alive}


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it is there, and somebody else's
    return True
