"""What a query of the graph found, as a view of the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import UsageError
from workbench.partials.micros import from_us
from workbench.views.graph import GraphView
from workbench.views.selection import Selection

if TYPE_CHECKING:
    from workbench.graph import Subgraph
    from workbench.graph.times import Times

__all__ = ["show_found"]


def show_found(world: Any, found: Subgraph, times: Times | None = None, *, exact: bool = False) -> GraphView:
    """Return the view of what was found, in the graph of some time, which views know by whole days.

    Args:
        world: The workspace.
        found: What was found.
        times: The graph's time; None for the whole window.
        exact: Whether the graph is of exact times.

    Raises:
        UsageError: If it is, or nothing was found.
    """
    if exact:
        raise UsageError("a graph of exact times has no view.", fix="Leave out exact=True.")
    if times is None:
        return GraphView.of(world, world.selection, found)
    bounds = (None if at is None else from_us(at) for at in (times.since, times.until))
    selection = Selection()
    selection.select(**dict(zip(("since", "until"), bounds, strict=True)))
    return GraphView.of(world, selection, found)
