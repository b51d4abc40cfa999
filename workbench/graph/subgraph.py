"""What graph queries return: nodes and edges as Arrow tables, with the exports of the field."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.errors import UsageError
from workbench.graph import export
from workbench.tabular import Tabular, html_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

__all__ = ["Neighbourhood", "Path", "Subgraph"]


@dataclass(frozen=True, eq=False, repr=False)
class Subgraph(Tabular, export.Exports):
    """Some entities and edges between them; as a table it is its nodes.

    Attributes:
        nodes: ``entity`` (as ``type:key``), ``type``, ``key``, ``label``, ``sightings``,
            ``first_seen``, ``last_seen``; one row an entity.
        edges: ``source`` and ``target`` (as ``type:key``), ``type``, ``weight``, ``first_seen``,
            ``last_seen``; one row an edge.
        timezone: IANA zone in which times are shown; Arrow data stay in UTC.
        viewer: What shows it; the workspace that it comes from sets this.
    """

    nodes: pa.Table
    edges: pa.Table
    timezone: str = "UTC"
    viewer: Callable[[Subgraph], Any] | None = None

    def __repr__(self) -> str:
        """Return the number of nodes and edges."""
        return f"{type(self).__name__}: {self._counts()}"

    def _counts(self) -> str:
        return f"{len(self):,} nodes, {self.edges.num_rows:,} edges"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        parts = (("nodes", self.nodes), ("edges", self.edges))
        tables = "".join(html_table(table, name, self.timezone) for name, table in parts if table.num_rows)
        return {"text/plain": repr(self), "text/html": f"<div><p>{html.escape(repr(self))}</p>{tables}</div>"}

    def to_arrow(self) -> pa.Table:
        """Return the nodes; the edges are in :attr:`edges`."""
        return self.nodes

    def view(self) -> Any:
        """Return an interactive view of it: click to select, double-click to expand.

        Raises:
            UsageError: If it comes from no open workspace.
        """
        if self.viewer is None:
            raise UsageError(
                "a graph that comes from no open workspace has no view.", fix="Ask db.graph for it."
            )
        return self.viewer(self)

    def _exported(self) -> tuple[pa.Table, pa.Table]:
        return self.nodes, self.edges


@dataclass(frozen=True, eq=False, repr=False)
class Neighbourhood(Subgraph):
    """What a walk from some entities reached.

    Attributes:
        nodes: As for :class:`Subgraph`, with ``hops``, the distance from the nearest start.
        starts: The entities that it started from.
        hidden: For each hop, how many more nodes there were than the limit let through.
        ends: Of each attribute type, at how many nodes the walk ended that would have gone on elsewhere.
        walk: What :meth:`Graph.around` was asked for, by the names of its arguments; empty for other walks.
    """

    starts: tuple[str, ...] = ()
    hidden: tuple[int, ...] = ()
    ends: Mapping[str, int] = field(default_factory=dict)
    walk: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return the starts, the number of nodes and edges, what was left out and where the walk ended."""
        first = ", ".join(self.starts[:1])
        more = f" and {len(self.starts) - 1:,} more" if len(self.starts) > 1 else ""
        hidden = f"; +{sum(self.hidden):,} hidden by the limit" if any(self.hidden) else ""
        ended = ", ".join(f"{count:,} {name}" for name, count in self.ends.items())
        ends = f"; not through {ended}" if ended else ""
        return f"Neighbourhood of {first}{more}: {self._counts()}{hidden}{ends}"


@dataclass(frozen=True, eq=False, repr=False)
class Path(Subgraph):
    """A path: nodes and edges in order; empty, and so false, where there is none.

    Attributes:
        length: The sum of 1/weight over the edges, or their number; infinite where there is no path.
    """

    length: float = float("inf")

    def __repr__(self) -> str:
        """Return the ends and the length."""
        if not len(self):
            return "Path: there is none"
        first, last = self.nodes["entity"][0], self.nodes["entity"][-1]
        return f"Path from {first} to {last}: {self.edges.num_rows:,} edges, length {self.length:.6g}"
