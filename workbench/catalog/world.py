"""What a catalog is made of: one generation of an open workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from workbench.config import EntitySchema
    from workbench.graph import Graph
    from workbench.knowledge import KnowledgeStore
    from workbench.partials.types import FieldType
    from workbench.settings import Settings
    from workbench.storage import SegmentStore, Snapshot

__all__ = ["World"]


class World(Protocol):
    """An open workspace, as far as the catalog reads it."""

    path: Path
    settings: Settings
    schema: EntitySchema
    timezone: str
    store: SegmentStore

    @property
    def snapshot(self) -> Snapshot:
        """Return the generation that is being read."""

    @property
    def fields(self) -> Mapping[str, Mapping[str, FieldType]]:
        """Return the type of each field, by event type."""

    @property
    def now(self) -> datetime | None:
        """Return the clock of the workspace."""

    @property
    def graph(self) -> Graph:
        """Return the property graph of the window."""

    @property
    def background(self) -> Mapping[str, Any] | None:
        """Return what runs in the background, or ran last."""

    @property
    def knowledge(self) -> KnowledgeStore:
        """Return the results of compute."""
