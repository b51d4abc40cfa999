"""Progress of long work, as a plain callback, so that no stage knows who is watching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Progress", "Update", "silent"]


@dataclass(frozen=True)
class Update:
    """One report of a running task.

    Attributes:
        task: What is being done, in the user's words ("ingest", "partials", …).
        done: Units finished.
        total: Units in all, or 0 where that is not known.
        unit: What is counted ("files", "segments", …).
        rows: Rows handled so far, or 0.
    """

    task: str
    done: int
    total: int
    unit: str
    rows: int = 0


class Progress(Protocol):
    """Anything that takes an :class:`Update`; called from the working thread, must return quickly."""

    def __call__(self, update: Update, /) -> None:
        """Take one report."""


def silent(update: Update, /) -> None:
    """Take no notice of a report."""
