"""The graph as a view: a neighbourhood that grows and shrinks, paths, what is shared, an overview."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import polars as pl

from workbench.errors import UsageError
from workbench.graph import Neighbourhood, Subgraph
from workbench.graph import Path as GraphPath
from workbench.knowledge.edges import TASKS
from workbench.views import _graph_cut as cuts
from workbench.views._graph_layout import place
from workbench.views._graph_picture import Node, Picture, drawn_edges, sizes
from workbench.views.base import View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pyarrow as pa

    from workbench.views._graph_cut import Cut
    from workbench.views.base import Job
    from workbench.views.selection import Selection

__all__ = ["GraphView"]

_SHOW: Mapping[str, Callable[..., Any]] = {
    "neighbourhood": cuts.neighbourhood,
    "paths": cuts.paths,
    "shared": cuts.shared,
    "exactly": cuts.exactly,
    "route": cuts.route,
}
_COLORS = ("type", "community")
_SIZES = ("rank", "edges", "sightings")
_KEPT = 0.3  # share of nodes whose places must be known for the picture to grow instead of starting anew
_RANKS, _COMMUNITIES = "pagerank", "communities"


class _Data(NamedTuple):
    cut: Cut
    nodes: pl.DataFrame
    picture: Picture
    missing: tuple[str, ...]
    overview: bool


class GraphView(View):
    """Entities and edges: click to select, double-click to expand, right-click to collapse.

    State: ``around`` (entities; none gives the overview), ``show`` ("neighbourhood", "paths" between them,
    "shared" by them, "exactly" them, a "route" along them), ``hops``, ``limit`` (new nodes a hop),
    ``entity_types``, ``edge_types`` (none means all), ``min_weight``, ``direction``, ``through``,
    ``expanded``, ``collapsed``, ``color`` ("type", "community") and ``size`` ("rank", "edges", "sightings").
    A selection made elsewhere moves the picture to it; a range of time cuts the graph to the UTC days that
    it touches.
    """

    title: ClassVar[str] = "Graph"
    defaults: ClassVar[Mapping[str, Any]] = {
        "around": [],
        "show": "neighbourhood",
        "hops": 1,
        "limit": 40,
        "entity_types": [],
        "edge_types": [],
        "min_weight": 1,
        "direction": "both",
        "through": [],
        "expanded": [],
        "collapsed": [],
        "color": "type",
        "size": "rank",
    }
    may: ClassVar[Mapping[str, Any]] = {
        "show": tuple(_SHOW),
        "hops": (0, math.inf),
        "limit": (0, math.inf),
        "min_weight": (0, math.inf),
        "direction": ("both", "out", "in"),
        "color": _COLORS,
        "size": _SIZES,
    }

    def __init__(self, world: Any, selection: Selection | None = None, **state: Any) -> None:
        self._spots: dict[str, tuple[float, float]] = {}
        self._legends: tuple[list[str], list[str]] = ([], [])
        self._followed: tuple[str, ...] | None = None
        super().__init__(world, selection, **state)

    @classmethod
    def of(cls, world: Any, selection: Selection | None, found: Subgraph) -> GraphView:
        """Return the view of what a query of the graph found."""
        names = found.nodes["entity"].to_pylist()
        if not names:
            raise UsageError(f"{found!r}: there is nothing to show.")
        if isinstance(found, GraphPath):
            return cls(world, selection, around=names, show="route")
        if isinstance(found, Neighbourhood) and found.walk:
            walk = {name: value for name, value in found.walk.items() if value is not None}
            return cls(world, selection, around=list(found.starts), **walk)
        return cls(world, selection, around=names, show="exactly")

    # what is read

    def _key(self) -> tuple[Any, ...]:
        """Follow a selection that was made elsewhere; then as every view."""
        chosen = self.selection.entities
        if chosen != self._followed:
            new = set(chosen) - self._spots.keys()
            if chosen and (new if self._followed is not None else not self["around"]):
                self._state.update(around=list(chosen), show="neighbourhood", expanded=[], collapsed=[])
            self._followed = chosen
        return super()._key()

    def selected(self) -> dict[str, Any]:
        """Return the range of time: which entities are selected changes marks, not what is read."""
        return {k: v for k, v in self.selection.state.items() if k != "entities"}

    def read(self, job: Job) -> _Data:
        """Return the part of the graph with its picture."""
        graph = self.world.graph
        if self.selection.since or self.selection.until:
            graph = self.world.graph_between(self.selection.since, self.selection.until)
        if not self["around"]:
            return self._overview(graph, job)
        cut = _SHOW[self["show"]](graph, self._state, job)
        nodes = cut.nodes
        wanted = [kind for kind, used in ((_RANKS, self["size"] == "rank"), (_COMMUNITIES, True)) if used]
        for kind, columns in ((_RANKS, ["rank", "place_in_type"]), (_COMMUNITIES, ["community"])):
            known = self._known(kind)
            if known is not None:
                nodes = nodes.join(known.select("entity", *columns), on="entity", how="left")
        missing = tuple(kind for kind in wanted if kind not in self.world.knowledge.kinds())
        if self["color"] != "community":
            missing = tuple(kind for kind in missing if kind != _COMMUNITIES)
        job.check()
        return _Data(cut, nodes, self._picture(cut, nodes, missing), missing, overview=False)

    def _overview(self, graph: Any, job: Job) -> _Data:
        cut = cuts.overview(graph, self._known(_COMMUNITIES), self._known(_RANKS))
        job.check()
        missing = () if _COMMUNITIES in self.world.knowledge.kinds() else (_COMMUNITIES,)
        spots = self._placed(cut.nodes["group"].to_list(), cut.edges)
        radii = sizes(cut.nodes["size"].to_numpy().astype(float), 30.0)
        nodes = tuple(
            Node(
                id=row["group"],
                label=row["group"] if missing else f"{row['leading'][0]} +{row['size'] - 1:,}",
                kind=row["mostly"] if missing else f"mostly {row['mostly']}",
                x=spots[row["group"]][0],
                y=spots[row["group"]][1],
                size=radius,
                facts=(
                    ("", row["group"]),
                    ("entities", f"{row['size']:,}"),
                    ("sightings", f"{row['sightings']:,}"),
                    ("first", ", ".join(row["leading"])),
                ),
            )
            for row, radius in zip(cut.nodes.to_dicts(), radii, strict=True)
        )
        summary, note = self._summary(cut), self._note(cut, missing)
        picture = self._coloured(Picture(nodes, drawn_edges(cut.edges), summary, note, directed=False))
        return _Data(
            cut, cut.nodes.with_columns(pl.col("leading").list.join(", ")), picture, missing, overview=True
        )

    def _known(self, kind: str) -> pl.DataFrame | None:
        if kind not in self.world.knowledge.kinds():
            return None
        return pl.DataFrame(self.world.knowledge.read(kind).to_arrow()).with_columns(
            pl.col("entity").cast(pl.String)
        )

    # how it is drawn

    def _picture(self, cut: Cut, nodes: pl.DataFrame, missing: tuple[str, ...]) -> Picture:
        spots = self._placed(nodes["entity"].to_list(), cut.edges)
        by = {"rank": "rank" if "rank" in nodes.columns else "edges"}.get(self["size"], self["size"])
        radii = sizes(nodes[by].fill_null(0).to_numpy().astype(float))
        starts = set(cut.starts)
        drawn = tuple(
            Node(
                id=row["entity"],
                label=row["label"] or row["key"],
                kind=self._kind(row),
                x=spots[row["entity"]][0],
                y=spots[row["entity"]][1],
                size=radius,
                start=row["entity"] in starts,
                facts=tuple(self._facts(row)),
            )
            for row, radius in zip(nodes.to_dicts(), radii, strict=True)
        )
        return self._coloured(
            Picture(drawn, drawn_edges(cut.edges), self._summary(cut), self._note(cut, missing))
        )

    def _coloured(self, picture: Picture) -> Picture:
        """Return a picture in which what has a colour on the screen keeps it."""
        picture = replace(picture, before=self._legends)
        self._legends = picture.names
        return picture

    def _kind(self, row: Mapping[str, Any]) -> str:
        if self["color"] != "community" or "community" not in row:
            return str(row["type"])
        community = row["community"]
        return "in no community" if community is None else f"community {community}"

    def _facts(self, row: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        from workbench.catalog import words  # noqa: PLC0415  (a higher stage's words for figures)

        yield "", row["entity"]
        yield "sightings", f"{row['sightings']:,}"
        yield "edges", f"{row['edges'] or 0:,}"
        if row.get("place_in_type"):
            yield "rank", f"{row['place_in_type']:,} of its type"
        if row.get("community") is not None:
            yield "community", str(row["community"])
        if row["first_seen"]:
            yield "seen", f"{words.clock(row['first_seen'], self.timezone)} to"
            yield "", words.clock(row["last_seen"], self.timezone)

    def _placed(self, names: list[str], edges: pl.DataFrame) -> dict[str, tuple[float, float]]:
        """Return a place for each node; those that are on the screen stay where they are."""
        numbers = {name: number for number, name in enumerate(names)}
        known = [self._spots.get(name) for name in names]
        if sum(spot is not None for spot in known) < _KEPT * len(names):
            known = [None] * len(names)
            self._legends = ([], [])
        nothing = (np.nan, np.nan)
        ends = edges.select(
            pl.col("source", "target").replace_strict(numbers, return_dtype=pl.Int64)
        ).to_numpy()
        spots = place(ends, np.array([spot or nothing for spot in known], dtype=float).reshape(-1, 2))
        self._spots = {name: (float(x), float(y)) for name, (x, y) in zip(names, spots, strict=True)}
        return self._spots

    def _summary(self, cut: Cut) -> str:
        return f"Graph of {cut.what}: {cut.nodes.height:,} nodes, {cut.edges.height:,} edges."

    def _note(self, cut: Cut, missing: tuple[str, ...]) -> str:
        parts = [f"+{cut.hidden:,} hidden"] if cut.hidden else []
        if cut.ends:
            parts.append(f"not through {', '.join(cut.ends)}")
        if self.selection.since or self.selection.until:
            bounds = self.selection.state
            since, until = bounds.get("since", "the beginning"), bounds.get("until", "now")
            parts.append(f"only the UTC days from {since} to {until}")
        if _RANKS in missing:
            parts.append("sized by edges: ranks are not computed yet")
        if _COMMUNITIES in missing:
            parts.append("communities are not computed yet")
        return "; ".join(parts)

    def draw(self, data: _Data, shown: Any) -> Any:
        """Return the graph widget; a new picture moves into the one that is there."""
        import panel as pn  # noqa: PLC0415  (heavy)

        from workbench.views._graph_widget import panel_graph  # noqa: PLC0415  (a module is read)

        marked = [name for name in self.selection.entities if name in self._spots]
        if shown is not None:
            shown.param.update(graph=data.picture.to_json(), selected=marked)
            return shown
        theme = "dark" if pn.config.theme == "dark" else "auto"
        graph = panel_graph(data.picture, selected=marked, theme=theme)
        graph.param.watch(lambda event: self._choose(event.new), "selected")
        graph.param.watch(lambda event: self._ask(event.new), "event")
        return graph

    def widget(self) -> Any:
        """Return the picture as a widget of its own for a notebook; its ``selected`` is the kernel's to read.

        Raises:
            WorkbenchError: If the workspace cannot be read.
        """
        from workbench.views._graph_widget import widget  # noqa: PLC0415  (anywidget is heavy)

        marked = [name for name in self.selection.entities if name in self._spots]
        graph = widget(self.data().picture, selected=marked)

        def ask(change: Any) -> None:
            self._ask(change.new)
            graph.graph = self.data().picture.to_json()

        graph.observe(lambda change: self._choose(change.new), "selected")
        graph.observe(ask, "event")
        return graph

    # what the reader does

    def _choose(self, names: Iterable[str]) -> None:
        """Select what was clicked; in an overview nothing is, since a node there is no entity."""
        if not self.data().overview:
            self._followed = tuple(names)
            self.update(entities=list(names))

    def _ask(self, event: Mapping[str, Any]) -> None:
        """Expand or collapse a node; in an overview, open what it stands for."""
        if not event:
            return
        node, kind = str(event["node"]), event["kind"]
        if self.data().overview:
            if kind == "expand":
                self.update(around=self._members(node), show="exactly")
            return
        grown, shrunk = list(self["expanded"]), list(self["collapsed"])
        taken, given = (shrunk, grown) if kind == "expand" else (grown, shrunk)
        if node in taken:
            taken.remove(node)
        elif node not in given:
            given.append(node)
        self.update(expanded=grown, collapsed=shrunk)

    def _members(self, group: str) -> list[str]:
        """Return the entities that a node of the overview stands for, the foremost of them."""
        with self.world.lock:
            nodes = pl.DataFrame(self.world.graph.nodes()).select("entity", "type", "sightings")
            known = self._known(_COMMUNITIES)
            if known is None:
                inside = nodes.filter(pl.col("type").cast(pl.String) == group)
            else:
                number = int(group.rpartition(" ")[2])
                inside = nodes.join(known.filter(pl.col("community") == number).select("entity"), on="entity")
            most: list[str] = inside.sort("sightings", "entity", descending=[True, False])["entity"].to_list()
            return most[: 2 * self["limit"]]

    def controls(self) -> Mapping[str, Any]:
        """Return widgets for the centre, the filters and the colours."""
        import panel as pn  # noqa: PLC0415  (heavy)

        # of the schema: the graph may still have to be merged
        entities = sorted(self.world.schema.entities)
        kinds = self.world.knowledge.kinds()
        computed = (name for name, task in TASKS.items() if task in kinds)
        edges = sorted({*self.world.schema.edges, *computed})
        wide: dict[str, Any] = {"width": 190}
        return {
            "around": pn.widgets.TextInput(
                label="Around", placeholder="type:key, type:key; empty for all", width=300
            ),
            "show": pn.widgets.Select(label="Show", options=list(_SHOW), width=140),
            "hops": pn.widgets.IntInput(label="Hops", start=0, end=4, width=70),
            "limit": pn.widgets.IntInput(label="New nodes a hop", start=1, end=200, step=10, width=110),
            "min_weight": pn.widgets.IntInput(label="Least weight", start=1, width=100),
            "entity_types": pn.widgets.MultiChoice(label="Entity types", options=entities, **wide),
            "edge_types": pn.widgets.MultiChoice(label="Edge types", options=edges, **wide),
            "color": pn.widgets.Select(label="Color", options=list(_COLORS), width=120),
            "size": pn.widgets.Select(label="Size", options=list(_SIZES), width=110),
        }

    def to_widget(self, name: str, value: Any) -> Any:
        """Return the centre as text."""
        return ", ".join(value) if name == "around" else value

    def from_widget(self, name: str, value: Any) -> Any:
        """Return the centre as entities; others as they are."""
        return [part.strip() for part in value.split(",") if part.strip()] if name == "around" else value

    def actions(self, data: _Data) -> Mapping[str, Callable[[Job], Any]]:
        """Return what computes the knowledge that the picture lacks."""
        labels = {_RANKS: "Compute ranks", _COMMUNITIES: "Compute communities"}
        return {labels[kind]: partial(self._compute, kind) for kind in data.missing}

    def _compute(self, kind: str, job: Job) -> None:
        job.check()
        with self.world.lock:
            self.world.compute(kind)

    # the other forms

    def table(self, data: _Data) -> pa.Table:
        """Return the nodes of the picture."""
        return data.nodes.to_arrow(compat_level=pl.CompatLevel.oldest())

    def edges(self) -> pa.Table:
        """Return the edges of the picture: ``source``, ``target``, ``type``, ``weight`` and more."""
        table: pa.Table = self.data().cut.edges.to_arrow(compat_level=pl.CompatLevel.oldest())
        return table

    def empty(self, data: _Data) -> str:
        """Return what to do about a graph without nodes."""
        return "" if data.nodes.height else "The graph is empty: ingest() brings entities and edges in."

    def html(self, data: _Data) -> str:
        """Return the picture as SVG with its legend."""
        return data.picture.to_html()

    def downloads(self) -> Mapping[str, Callable[[], bytes]]:
        """Return the table's files, the graph as GraphML and the picture as SVG."""
        more = {"graph.graphml": self._graphml, "graph.svg": lambda: self.data().picture.to_svg().encode()}
        return {**super().downloads(), **more}

    def _graphml(self) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "graph.graphml"
            self.subgraph().to_graphml(path)
            return path.read_bytes()

    def subgraph(self) -> Subgraph:
        """Return what is shown as a part of the graph; in an overview its nodes are groups."""
        data = self.data()
        nodes = data.nodes.rename({"group": "entity"}) if data.overview else data.nodes
        return Subgraph(nodes.to_arrow(compat_level=pl.CompatLevel.oldest()), self.edges(), self.timezone)

    def to_python(self) -> str:
        """Return Python that gives what is shown, whatever is filtered, expanded and collapsed in it."""
        state = {name: value for name, value in self.state.items() if name != "entities"}
        if not self["around"]:
            state["entities"] = []  # or what is selected there would be the centre
        words = "".join(f", {name}={value!r}" for name, value in state.items())
        return f"db.view({self.name!r}{words}).subgraph()"
