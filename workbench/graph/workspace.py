"""The property graph of an open workspace: the window's, with its times and with what was computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from workbench.graph.graph import Graph
from workbench.graph.kept import window_of
from workbench.graph.times import Times
from workbench.knowledge.edges import World as Computing
from workbench.knowledge.edges import computed_edges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from workbench.executors.base import Executor
    from workbench.partials.types import FieldType
    from workbench.storage import SegmentStore

__all__ = ["World", "graph_of"]


class World(Computing, Protocol):
    """What the graph is made of: one generation of a workspace."""

    store: SegmentStore
    timezone: str
    executor: Executor

    @property
    def fields(self) -> Mapping[str, Mapping[str, FieldType]]:
        """Return the type of each field, by event type."""


def graph_of(world: World, segments: Iterable[str] | None, viewer: Callable[..., Any]) -> Graph:
    """Return the graph of some segments, or of all.

    Args:
        world: The workspace.
        segments: Days; None for all.
        viewer: What shows a result of it.
    """
    kept = world.store.derived("window")
    return Graph(
        window_of(world.snapshot, kept, segments, executor=world.executor),
        world.schema,
        world.timezone,
        viewer,
        times=Times(world.snapshot, kept, world.schema, world.fields),
        computed=computed_edges(world),
    )
