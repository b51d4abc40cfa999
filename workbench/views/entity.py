"""One entity as a view: what it is, when it was seen, whom it is joined to, and what was computed of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from workbench.errors import WorkbenchError
from workbench.graph.keys import format_entity, parse_entity
from workbench.graph.sighted import counted
from workbench.views.base import View

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from workbench.graph.entities import Entity
    from workbench.views.base import Job
    from workbench.views.selection import Selection

__all__ = ["EntityPage", "EntityView"]

_EVENTS = 20
_SIMILAR = 10
_NEIGHBOURS = 1_000
_WHO = ("clusters", "anomalies")
_ALL = ("pagerank", "communities")
_PERIODS = ((3, "1h"), (130, "1d"), (900, "1w"))


@dataclass(frozen=True)
class EntityPage:
    """Everything on the page of one entity.

    Attributes:
        entity: The entity; None where none is chosen.
        knowledge: Its row in the newest knowledge of each kind that speaks of it.
        missing: Kinds of knowledge that would speak of it and are not computed.
        silent: Kinds that are computed and that do not speak of it, though it is of their kind.
        every: Length of a period of the timeline, as polars writes it.
        timeline: ``period``, ``event_type`` and ``events``, in the time that is selected.
        neighbours: Of each edge type and direction the heaviest edges that touch it: ``entity``, ``edge``,
            ``direction``, ``weight``, times, and of all of that type and direction ``edges`` and ``total``.
        others: How many entities edges join it to.
        events: The newest documents that name it, in the time that is selected.
        similar: Entities that are like it; None where nobody asked.
        unlike: Why there are no similar ones.
    """

    entity: Entity | None
    knowledge: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    every: str = "1d"
    timeline: pl.DataFrame = field(default_factory=pl.DataFrame)
    neighbours: pl.DataFrame = field(default_factory=pl.DataFrame)
    others: int = 0
    events: pl.DataFrame = field(default_factory=pl.DataFrame)
    similar: pl.DataFrame | None = None
    unlike: str = ""


class EntityView(View):
    """All that is known of one entity; a click on another one goes there.

    State: ``entity`` (``type:key``; by default the one selected first) and ``similar``, whether similar ones
    are looked for, which embeds the events' texts the first time. The range of time that is selected bounds
    the timeline and the events.
    """

    title: ClassVar[str] = "Entity"
    defaults: ClassVar[Mapping[str, Any]] = {"entity": "", "similar": False}

    def __init__(self, world: Any, selection: Selection | None = None, **state: Any) -> None:
        self._followed: tuple[str, ...] | None = None
        super().__init__(world, selection, **state)

    def _key(self) -> tuple[Any, ...]:
        """Go where a selection made elsewhere leads; then as every view."""
        chosen = self.selection.entities
        if chosen != self._followed:
            if chosen and (self._followed is not None or not self["entity"]):
                self._state["entity"] = chosen[0]
            self._followed = chosen
        return super()._key()

    def read(self, job: Job) -> EntityPage:
        """Return everything about the entity."""
        if not self["entity"]:
            return EntityPage(None)
        since: Any = self.selection.since
        until: Any = self.selection.until
        entity: Entity = self.world.entity(self["entity"])
        seen = entity.seen(since, until)
        job.check()
        events = entity.events(_EVENTS, since=since, until=until)
        job.check()
        kind = self.world.schema.entities.get(entity.facts["type"])
        who = _WHO if kind is not None and kind.who else ()
        ranked = () if kind is not None and kind.attribute else _ALL
        wanted, known, told = (*who, *ranked), self.world.knowledge.kinds(), entity.knowledge
        similar, unlike = self._similar(entity)
        every = _every(seen)
        touching = self.world.graph.touching(entity.name)
        return EntityPage(
            entity,
            told,
            tuple(kind for kind in wanted if kind not in known),
            tuple(kind for kind in wanted if kind in known and kind not in told),
            every,
            counted(seen, every, self.timezone),
            pl.DataFrame(touching.by_type(_NEIGHBOURS)),
            touching.entities,
            events,
            similar,
            unlike,
        )

    def _similar(self, entity: Entity) -> tuple[pl.DataFrame | None, str]:
        if not self["similar"]:
            return None, ""
        try:
            return pl.DataFrame(self.world.vectors.similar(entity.name, k=_SIMILAR).to_arrow()), ""
        except WorkbenchError as error:
            return None, str(error)

    def controls(self) -> Mapping[str, Any]:
        """Return the field that says which entity, and whether similar ones are looked for."""
        import panel as pn  # noqa: PLC0415  (heavy)

        return {
            "entity": pn.widgets.TextInput(label="Entity", placeholder="type:key", width=300),
            "similar": pn.widgets.Checkbox(label="Look for similar ones", align="end"),
        }

    def from_widget(self, name: str, value: Any) -> Any:
        """Return the entity as it is written; raises UsageError where it is none."""
        return format_entity(*parse_entity(value.strip())) if name == "entity" and value.strip() else value

    def actions(self, data: EntityPage) -> Mapping[str, Callable[[Job], Any]]:
        """Return what computes the pieces that are missing."""
        if data.entity is None:
            return {}
        return {f"Compute {kind}": partial(self._compute, kind) for kind in data.missing}

    def _compute(self, kind: str, job: Job) -> None:
        job.check()
        with self.world.lock:
            self.world.compute(kind)

    def draw(self, data: EntityPage, shown: Any) -> Any:
        """Return the page; entities in it can be picked."""
        from workbench.views._look import fragment  # noqa: PLC0415  (a style sheet is read)
        from workbench.views._page import pickable  # noqa: PLC0415

        markup = fragment(self.html(data))
        if shown is None:
            return pickable(markup, self._go)
        shown.markup = markup
        return shown

    def _go(self, name: str) -> None:
        self.update(entities=[name])

    def empty(self, data: EntityPage) -> str:
        """Return how to choose an entity, where none is chosen."""
        return "" if data.entity is not None else "No entity is selected: name one, or click one in a view."

    def html(self, data: EntityPage) -> str:
        """Return the page as markup."""
        from workbench.views._entity_page import page  # noqa: PLC0415  (it needs the catalog's markup)

        return page(data, self.timezone)

    def table(self, data: EntityPage) -> pa.Table:
        """Return the page as rows: ``section``, ``name``, ``value`` and ``note``, all of them text."""
        from workbench.views._entity_page import facts  # noqa: PLC0415  (it needs the catalog's markup)

        rows = list(facts(data, self.timezone))
        schema = dict.fromkeys(("section", "name", "value", "note"), pl.String)
        return pl.DataFrame(rows, schema=schema, orient="row").to_arrow(compat_level=pl.CompatLevel.oldest())

    def to_python(self) -> str:
        """Return how to get the entity, its events and its neighbours."""
        name = self["entity"]
        if not name:
            return "db.entities"
        type_, key = parse_entity(name)
        similar = f"\ndb.vectors.similar({name!r}, k={_SIMILAR})" if self["similar"] else ""
        return (
            f"entity = db.entities[{type_!r}][{key!r}]\nentity.timeline()\nentity.neighbours()\n"
            f"entity.events({_EVENTS})\nentity.knowledge{similar}"
        )


def _every(seen: pl.DataFrame) -> str:
    """Return the length of period that gives a timeline of about a hundred bars."""
    if seen.is_empty():
        return "1d"
    days = (seen["_ts"][-1] - seen["_ts"][0]).total_seconds() / 86_400
    return next((every for most, every in _PERIODS if days <= most), "1mo")
