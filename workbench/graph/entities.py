"""Entities by type and key, and what is known of each: ``db.entities[type][key]``."""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl
import pyarrow.compute as pc

from workbench.errors import UnknownNameError, UsageError
from workbench.graph.keys import format_entity, parse_entity
from workbench.graph.sighted import counted, sighted
from workbench.partials.lookup import find_documents
from workbench.tabular import html_table, text_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    import pyarrow as pa

    from workbench.graph.graph import Graph
    from workbench.knowledge import KnowledgeStore
    from workbench.partials.types import FieldType
    from workbench.storage import Snapshot

__all__ = ["Entities", "Entity", "EntityType"]


class _World(Protocol):
    """What an entity is looked up in: one generation of a workspace."""

    timezone: str

    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def graph(self) -> Graph: ...
    @property
    def knowledge(self) -> KnowledgeStore: ...
    @property
    def fields(self) -> Mapping[str, Mapping[str, FieldType]]: ...


class Entities:
    """All entity types of a workspace, as a mapping with tab completion."""

    def __init__(self, world: _World) -> None:
        self._world = world

    def __getitem__(self, name: str) -> EntityType:
        """Return the entity type ``name``; raises UnknownNameError with a suggestion."""
        known = list(self)
        if name not in known:
            raise UnknownNameError("entity type", name, known)
        return EntityType(self._world, name)

    def named(self, name: str) -> Entity:
        """Return the entity ``type:key``.

        Raises:
            UnknownNameError: If there is none; near misses are suggested.
        """
        type_, key = parse_entity(name)
        return self[type_][key]

    def __iter__(self) -> Iterator[str]:
        """Return the names of the entity types that the window holds."""
        return iter(self._world.graph.types)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __repr__(self) -> str:
        """Return the number of entities of each type."""
        types = self._world.graph.window.entities["type"].value_counts().to_pylist()
        counted = {row["values"]: row["counts"] for row in types}
        return "entities: " + ", ".join(f"{name} {counted[name]:,}" for name in self)


class EntityType:
    """The entities of one type, by key."""

    def __init__(self, world: _World, name: str) -> None:
        self._world = world
        self.name = name

    def __getitem__(self, key: str) -> Entity:
        """Return the entity with this key; raises UnknownNameError with a suggestion."""
        return find_entity(self._world, self.name, key)

    def __iter__(self) -> Iterator[str]:
        """Return the keys."""
        return iter(self._ipython_key_completions_())

    def __contains__(self, key: object) -> bool:
        """Return whether the window has an entity with this key."""
        try:
            return isinstance(key, str) and self[key] is not None
        except UsageError:
            return False

    def __len__(self) -> int:
        """Return how many there are in the window."""
        return int(pc.sum(pc.equal(self._world.graph.window.entities["type"], self.name)).as_py() or 0)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._world.graph.nodes(self.name)["key"].to_pylist())

    def __repr__(self) -> str:
        """Return the type and the number of its entities."""
        return f"{self.name}: {len(self):,} entities"


def find_entity(world: _World, type_: str, key: str) -> Entity:
    """Return one entity; raises UnknownNameError where the window has none such."""
    if not isinstance(key, str):
        raise UsageError(
            f"{key!r} is not a key: keys are texts.", fix=f"list(db.entities[{type_!r}]) gives all of them."
        )
    name = format_entity(type_, key)
    return Entity(world, name, world.graph.node(name))


@dataclass(frozen=True, repr=False)
class Entity:
    """One entity of the window.

    Attributes:
        name: ``type:key``.
        facts: Its row of the window graph: type, key, label, sightings, first and last seen, the
            number of segments, and properties with value, time and number of values.
    """

    _world: _World
    name: str
    facts: dict[str, Any]

    @property
    def properties(self) -> dict[str, str]:
        """Return the latest value of each property."""
        return {name: p["value"] for name, p in sorted(self.facts["properties"].items())}

    @cached_property
    def sightings(self) -> pl.DataFrame:
        """Return every event that names the entity, in order of time.

        Columns are ``segment``, ``_id``, ``event_type`` and ``_ts``.

        Read from the partials alone: no document is opened.
        """
        return self._seen.cast({"segment": pl.String, "event_type": pl.String})

    @cached_property
    def _seen(self) -> pl.DataFrame:
        return sighted(self._world.snapshot, self._world.graph.rows(self.name))

    def seen(self, since: datetime | None, until: datetime | None) -> pl.DataFrame:
        """Return the :attr:`sightings`, their texts coded, from ``since`` on and before ``until``.

        Args:
            since: The first moment; None for no bound.
            until: The first moment after the range; None for no bound.
        """
        bounds = [*([pl.col("_ts") >= since] if since else []), *([pl.col("_ts") < until] if until else [])]
        return self._seen.filter(*bounds) if bounds else self._seen

    def timeline(self, every: str = "1d") -> pl.DataFrame:
        """Return ``period``, ``event_type`` and ``events``: counts in periods of the workspace's zone.

        Args:
            every: Length of a period as polars writes it: ``1h``, ``1d``, ``1w``, ``1mo``.
        """
        return counted(self._seen, every, self._world.timezone)

    def events(
        self, limit: int = 20, *, since: datetime | None = None, until: datetime | None = None
    ) -> pl.DataFrame:
        """Return the newest ``limit`` documents that name the entity, newest first, with their address.

        Args:
            limit: The most documents.
            since: The first moment; None for no bound.
            until: The first moment after the range; None for no bound.
        """
        newest = self.seen(since, until).tail(limit).cast({"segment": pl.String, "event_type": pl.String})
        documents = find_documents(self._world.snapshot, newest, self._world.fields)
        found = [
            frame.with_columns(
                pl.lit(name).alias("_type"),
                pl.concat_str("_segment", pl.lit("/"), pl.col("_id").cast(pl.String)).alias("address"),
            )
            for name, frame in documents.items()
        ]
        if not found:
            return pl.DataFrame(
                schema={"address": pl.String(), "_type": pl.String(), "_ts": pl.Datetime("us", "UTC")}
            )
        rows = pl.concat(found, how="diagonal_relaxed").sort("_ts", "_id", descending=True)
        first = ["address", "_type", "_ts"]
        rows = rows.select(*first, pl.exclude(*first, "_segment", "_id", "_original", "_extra"))
        return rows.select(c for c in rows.columns if rows[c].null_count() < rows.height)

    def neighbours(self, limit: int = 20) -> pa.Table:
        """Return the edges that touch the entity, heaviest first, each with its other end."""
        return self._world.graph.touching(self.name).heaviest(limit)

    @property
    def knowledge(self) -> dict[str, dict[str, Any]]:
        """Return the entity's row in the newest knowledge of each kind that speaks of it."""
        found = {}
        for kind in self._world.knowledge.kinds():
            table = self._world.knowledge.read(kind).to_arrow()
            if "entity" in table.column_names:
                rows = table.filter(pc.equal(table["entity"], self.name)).drop_columns(
                    ["entity", "type", "key"]
                )
                if rows.num_rows:
                    found[kind] = rows.to_pylist()[0]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return everything on the entity's page as plain data."""
        return {
            "entity": self.name,
            **{k: v for k, v in self.facts.items() if k not in ("entity", "properties")},
            "properties": self.facts["properties"],
            "neighbours": self.neighbours().to_pylist(),
            "knowledge": self.knowledge,
        }

    def _head(self) -> str:
        facts, label = self.facts, self.facts["label"]
        seen = f"{facts['sightings']:,} sightings in {facts['segments']:,} segments"
        return f"{self.name}{f' ({label})' if label else ''}: {seen}"

    def __repr__(self) -> str:
        """Return the page as text."""
        lines = [self._head(), *(f"  {name}: {value}" for name, value in self.properties.items())]
        for kind, row in self.knowledge.items():
            known = {name: value for name, value in row.items() if value not in (None, [])}
            lines.append(f"  {kind}: {known}")
        return "\n".join([*lines, text_table(self.neighbours(), "neighbours", self._world.timezone)])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        rows = "".join(
            f"<tr><th>{html.escape(n)}</th><td>{html.escape(v)}</td></tr>" for n, v in self.properties.items()
        )
        table = html_table(self.neighbours(), "neighbours", self._world.timezone)
        head = f"<div><p><strong>{html.escape(self._head())}</strong></p><table>{rows}</table>{table}</div>"
        return {"text/plain": repr(self), "text/html": head}
