"""Samples: real and generated event logs, written as source files that ingest reads like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from workbench.samples.flights import write_sources as flights

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.progress import Progress

__all__ = ["samples"]


class _Writer(Protocol):
    """Writes a sample's source files into a directory, once, and returns it."""

    def __call__(self, directory: Path, *, progress: Progress) -> Path: ...


samples: dict[str, _Writer] = {"flights": flights}
