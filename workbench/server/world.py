"""What is served: an open workspace, as far as the server and its programs read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from workbench.progress import silent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from threading import Event

    from workbench.catalog import Catalog
    from workbench.graph import Graph
    from workbench.ingest.stream import Stream
    from workbench.knowledge import KnowledgeStore
    from workbench.locks import LendableLock
    from workbench.plans.answer import Answer
    from workbench.progress import Progress
    from workbench.settings import Settings
    from workbench.sql import Result
    from workbench.storage import Snapshot

__all__ = ["World"]


class World(Protocol):
    """An open workspace that can move to its newest generation."""

    path: Path
    settings: Settings
    timezone: str

    @property
    def lock(self) -> LendableLock:
        """Return what is held while the workspace is read, not while a language model is waited for."""

    def refresh(self) -> object:
        """Read the newest generation from now on."""

    @property
    def snapshot(self) -> Snapshot:
        """Return the generation that is being read."""

    @property
    def catalog(self) -> Catalog:
        """Return what exists."""

    @property
    def graph(self) -> Graph:
        """Return the property graph of the window."""

    @property
    def knowledge(self) -> KnowledgeStore:
        """Return the results of compute."""

    def status(self) -> Mapping[str, Any]:
        """Return the figures of the workspace."""

    def stream(self) -> Stream:
        """Open a stream of events."""

    def entity(self, name: str) -> Any:
        """Return one entity by ``type:key``."""

    def sql(self, statement: str, *, timeout: float | None = None, stop: Event | None = None) -> Result:
        """Run one SELECT."""

    def ask(  # noqa: PLR0913  (the words of a question)
        self,
        question: str,
        *,
        session: str | None = None,
        planner: str | None = None,
        provider: str | None = None,
        progress: Progress = silent,
        stop: Event | None = None,
    ) -> Answer:
        """Return the answer to a question."""
