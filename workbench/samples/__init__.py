"""Samples: real and generated event logs, written as source files that ingest reads like any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from workbench.samples.flights import write_sources as flights

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.progress import Progress

__all__ = ["Sample", "samples"]


class _Writer(Protocol):
    """Writes a sample's source files into a directory, once, and returns it."""

    def __call__(self, directory: Path, *, progress: Progress) -> Path: ...


def _gaming(directory: Path, *, progress: Progress) -> Path:
    from workbench.samples.gaming import synth  # noqa: PLC0415  (flights are read without a generator)

    return synth(directory, days=21, events_per_day=12_000, seed=1, progress=progress).path


@dataclass(frozen=True)
class Sample:
    """A log to begin with.

    Attributes:
        title: What it is, for the head of a report.
        write: Writes its source files.
        questions: What one may ask of it; the first is the one that the demo answers on the screen.
    """

    title: str
    write: _Writer
    questions: tuple[str, ...]


samples: dict[str, Sample] = {
    "flights": Sample(
        "The flights of 2013",
        flights,
        (
            "aircraft that flew to both Denver and Miami in March",
            "share of cancelled flights by origin",
            "average arrival delay by carrier, worst first",
            "cancellations per day from 1 to 28 February as a timeline",
        ),
    ),
    "gaming": Sample(
        "A gaming platform's log",
        _gaming,
        (
            "logins by platform",
            "errors by stage",
            "logins per day as a timeline",
            "which member had the most errors",
        ),
    ),
}
