"""What plans are made from, checked against and run on: one generation of an open workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from workbench.catalog.world import World as CatalogWorld

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    import pyarrow as pa

    from workbench.catalog import Catalog
    from workbench.knowledge import Knowledge
    from workbench.llm import Client
    from workbench.partials.lookup import Document
    from workbench.sql import Result

__all__ = ["Runtime", "World"]


class World(CatalogWorld, Protocol):
    """An open workspace, as far as planners and the validator read it."""

    @property
    def catalog(self) -> Catalog:
        """Return what exists."""

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
