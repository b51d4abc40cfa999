"""What plans are made from, checked against and run on: one generation of an open workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from workbench.catalog import Catalog
    from workbench.config import EntitySchema
    from workbench.graph import Graph
    from workbench.knowledge import Knowledge, KnowledgeStore
    from workbench.llm import Client
    from workbench.partials.stored import Document
    from workbench.partials.types import FieldType
    from workbench.settings import Settings
    from workbench.sql import Result
    from workbench.storage import Snapshot

__all__ = ["Runtime", "World"]


class World(Protocol):
    """An open workspace, as far as planners and the validator read it."""

    path: Path
    settings: Settings
    schema: EntitySchema
    timezone: str

    @property
    def snapshot(self) -> Snapshot:
        """Return the generation that is being read."""

    @property
    def fields(self) -> Mapping[str, Mapping[str, FieldType]]:
        """Return the type of each field, by event type."""

    @property
    def now(self) -> datetime | None:
        """Return the clock of the workspace; None while it is empty."""

    @property
    def catalog(self) -> Catalog:
        """Return what exists."""

    @property
    def graph(self) -> Graph:
        """Return the property graph of the window."""

    @property
    def knowledge(self) -> KnowledgeStore:
        """Return the results of compute."""

    def llm(self, provider: str | None = None) -> Client | None:
        """Return the language model that answers here, or None where none is set."""


class Runtime(World, Protocol):
    """An open workspace, as far as the executor runs steps on it."""

    def sql(
        self,
        statement: str,
        *,
        timeout: float | None = None,
        tables: Mapping[str, pa.Table] | None = None,
        stop: threading.Event | None = None,
    ) -> Result:
        """Run one SELECT; ``tables`` can be named in it, and it ends once ``stop`` is set."""

    def get(self, address: str) -> Document:
        """Return the document at ``segment/_id``."""

    def entity(self, name: str) -> Any:
        """Return one entity by ``type:key``."""

    def compute(
        self,
        task: str,
        *,
        asof: Any = None,
        keep: Literal["always", "if possible"] = "always",
        **parameters: Any,
    ) -> Knowledge:
        """Run a task over the window and keep its result as knowledge, or fail unless ``if possible``."""

    def features(self, type_: str | None = None, *, since: Any = None, until: Any = None) -> Any:
        """Return the feature matrix of an entity type."""

    @property
    def vectors(self) -> Any:
        """Return the search by meaning and the similarity of entities."""
