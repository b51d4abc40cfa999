"""What vectors need of a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from workbench.config.entity_schema import EntitySchema
    from workbench.graph import Graph
    from workbench.storage import SegmentStore, Snapshot
    from workbench.storage.by_segment import BySegment
    from workbench.tabular import Tabular

__all__ = ["World"]


class World(Protocol):
    """An open workspace."""

    path: Path
    store: SegmentStore
    schema: EntitySchema
    timezone: str

    @property
    def snapshot(self) -> Snapshot:
        """Return the generation that is being read."""

    @property
    def by_segment(self) -> BySegment:
        """Return what finds, and keeps, what single segments of the window tell."""

    @property
    def graph(self) -> Graph:
        """Return the window graph."""

    @property
    def streams(self) -> Iterable[object]:
        """Return the open streams."""

    def sql(self, statement: str) -> Tabular:
        """Return the rows of one SELECT."""
