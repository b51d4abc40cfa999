"""The catalog itself: collected section by section on first use, kept for one generation."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from workbench.catalog import entities, events, holdings
from workbench.errors import CorruptFileError
from workbench.tabular import json_value

if TYPE_CHECKING:
    from collections.abc import Collection

    from workbench.catalog.model import (
        EdgeType,
        EntityType,
        EventType,
        KnowledgeKind,
        Quarantine,
        Reference,
        Segment,
        Workspace,
    )
    from workbench.catalog.search import Hits
    from workbench.catalog.world import World

__all__ = ["Catalog"]

_LISTS = ("event_types", "entity_types", "edge_types", "references", "knowledge", "segments")


class Catalog:
    r"""What a generation of a workspace holds; spec 6.1.

    All figures come from the manifest and the segments' partials, none from a scan of documents. What
    a damaged file hides is named in :attr:`problems` and left out; nothing here raises for it.

    Args:
        world: The workspace.

    >>> import tempfile, pathlib, workbench as wb
    >>> log = pathlib.Path(tempfile.mkdtemp()) / "clicks.csv"
    >>> _ = log.write_text("time,page\n2025-06-12T10:00:00Z,home\n2025-06-12T11:00:00Z,help\n")
    >>> catalog = wb.open(log).catalog
    >>> [(event.name, event.documents) for event in catalog.event_types]
    [('clicks', 2)]
    >>> catalog.search("hepl").hits[0].name
    'help'
    """

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def timezone(self) -> str:
        """Return the zone in which times are shown."""
        return self._world.timezone

    @cached_property
    def workspace(self) -> Workspace:
        """Return the facts of the workspace as a whole."""
        return holdings.workspace(self._world, self.event_types, self.segments)

    @property
    def event_types(self) -> tuple[EventType, ...]:
        """Return the event types with their fields, by name."""
        return self._events[0]

    @property
    def entity_types(self) -> tuple[EntityType, ...]:
        """Return the entity types of the window graph, by name."""
        return self._graph[0]

    @property
    def edge_types(self) -> tuple[EdgeType, ...]:
        """Return the edge types of the window graph, by name."""
        return self._graph[1]

    @property
    def references(self) -> tuple[Reference, ...]:
        """Return the reference tables, by name."""
        return self._references[0]

    @cached_property
    def knowledge(self) -> tuple[KnowledgeKind, ...]:
        """Return the newest run of each kind of knowledge, by kind."""
        return holdings.knowledge_kinds(self._world)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Return the live segments, by day."""
        return holdings.segments(self._world)

    @property
    def quarantine(self) -> Quarantine:
        """Return what could not be read."""
        return self._quarantine[0]

    @property
    def problems(self) -> tuple[str, ...]:
        """Return which figures are missing or incomplete because a file is damaged."""
        return (*self._events[1], *self._graph[2], *self._references[1], *self._quarantine[1])

    def search(self, text: str, limit: int = 20) -> Hits:
        """Find event types, fields, values, entities, properties and knowledge by name; typos are forgiven.

        Values are found among each field's most frequent ones, entities by key and by label.

        Args:
            text: What to look for.
            limit: The most hits to return; the result says how many there were.

        Raises:
            UsageError: If ``text`` holds no letter and no digit, or ``limit`` is less than 1.
        """
        from workbench.catalog.search import search  # noqa: PLC0415  (the names are gathered on first use)

        return search(self._names, text, limit, self.timezone)

    def prompt(
        self, budget: int = 2000, question: str = "", *, values: bool = True, hidden: Collection[str] = ()
    ) -> str:
        """Return what there is for a language model, within a budget of tokens; spec 6.1.

        Args:
            budget: The most tokens.
            question: What is asked; what it mentions comes first where not all fits.
            values: Whether frequent values of fields are shown, as data.
            hidden: Fields whose values are not shown in any case.

        Raises:
            UsageError: If the budget is too small for anything useful.
        """
        from workbench.catalog.prompt import prompt  # noqa: PLC0415  (each form is loaded when asked for)

        return prompt(self, budget, question, values=values, hidden=hidden)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON data: times as ISO 8601 in :attr:`timezone`."""
        sections = {
            "workspace": asdict(self.workspace),
            **{name: [asdict(entry) for entry in getattr(self, name)] for name in _LISTS},
            "quarantine": asdict(self.quarantine),
            "problems": list(self.problems),
        }
        data: dict[str, Any] = json_value(sections, ZoneInfo(self.timezone))
        return data

    def to_json(self) -> dict[str, Any]:
        """Return :meth:`to_dict`, under the name that tables have for it."""
        return self.to_dict()

    def to_text(self) -> str:
        """Return what fits on a screen, at most 60 lines; what is left out is counted."""
        from workbench.catalog.text import to_text  # noqa: PLC0415  (each form is loaded when asked for)

        return to_text(self)

    def to_html(self, *, page: bool = False) -> str:
        """Return the catalog as HTML without scripts and outside references; every value is escaped.

        Args:
            page: As a document of its own; by default a fragment for a notebook's cell.
        """
        from workbench.catalog.page import to_fragment, to_page  # noqa: PLC0415

        return to_page(self) if page else to_fragment(self)

    def __repr__(self) -> str:
        """Return the catalog as text."""
        return self.to_text()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": self.to_text(), "text/html": self.to_html()}

    @cached_property
    def _events(self) -> tuple[tuple[EventType, ...], tuple[str, ...]]:
        return events.event_types(self._world)

    @cached_property
    def _graph(self) -> tuple[tuple[EntityType, ...], tuple[EdgeType, ...], tuple[str, ...]]:
        schema = self._world.schema
        try:
            graph = self._world.graph
        except CorruptFileError as error:
            return (), (), (f"no entity and edge types: {error}",)
        return entities.entity_types(graph, schema), entities.edge_types(graph, schema), ()

    @cached_property
    def _references(self) -> tuple[tuple[Reference, ...], tuple[str, ...]]:
        try:
            return holdings.references(self._world), ()
        except CorruptFileError as error:
            return (), (f"no reference tables: {error}",)

    @cached_property
    def _quarantine(self) -> tuple[Quarantine, tuple[str, ...]]:
        try:
            return holdings.quarantined(self._world.snapshot), ()
        except CorruptFileError as error:
            return holdings.NOTHING_QUARANTINED, (f"no figures of the quarantine: {error}",)

    @cached_property
    def _names(self) -> Any:
        from workbench.catalog.search import gather  # noqa: PLC0415

        graph = None if self._graph[2] else self._world.graph
        return gather(self, graph)
