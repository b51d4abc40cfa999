"""What a report is about: one generation of an open workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.storage import SegmentStore, Snapshot

__all__ = ["Live", "World"]


class World(Protocol):
    """An open workspace, as far as a report names it."""

    @property
    def path(self) -> Path:
        """Return where it lies."""

    @property
    def timezone(self) -> str:
        """Return the zone in which times are shown."""

    @property
    def snapshot(self) -> Snapshot:
        """Return the generation that is being read."""


class Live(World, Protocol):
    """An open workspace whose generation may be followed by another."""

    @property
    def store(self) -> SegmentStore:
        """Return its files."""
