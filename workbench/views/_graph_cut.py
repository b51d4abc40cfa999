"""Which part of the window graph a picture shows: a neighbourhood, paths, what is shared, or an overview."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.errors import UsageError
from workbench.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from workbench.views.base import Job

__all__ = ["MOST", "Cut", "exactly", "neighbourhood", "overview", "paths", "route", "shared"]

MOST = 400
"""The most nodes that a picture is asked to show at once."""

_PATHS = 3
_COMMUNITIES = 24


@dataclass(frozen=True)
class Cut:
    """Some nodes and edges, as tables, and what is left out.

    Attributes:
        nodes: The columns of :meth:`Graph.nodes`, with ``edges`` (how many touch the node in the window).
        edges: The columns of :meth:`Graph.edges`.
        starts: Which nodes were asked for.
        hidden: How many more nodes there are.
        what: What it is, in a few words.
        ends: Attribute types at whose nodes the walk ended that would have gone on elsewhere.
    """

    nodes: pl.DataFrame
    edges: pl.DataFrame
    starts: tuple[str, ...] = ()
    hidden: int = 0
    what: str = ""
    ends: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Wanted:
    """What a walk keeps: types of nodes and edges, and the least weight; empty means all."""

    entity_types: Sequence[str]
    edge_types: Sequence[str]
    min_weight: int

    def edges(self, edges: pl.DataFrame) -> pl.DataFrame:
        # what was computed weighs 1 at most
        known = pl.col("computed").is_not_null() if "computed" in edges.columns else pl.lit(value=False)
        kept = edges.filter((pl.col("weight") >= self.min_weight) | known)
        return kept.filter(pl.col("type").is_in(list(self.edge_types))) if self.edge_types else kept

    def nodes(self, nodes: pl.DataFrame) -> pl.DataFrame:
        return nodes.filter(pl.col("type").is_in(list(self.entity_types))) if self.entity_types else nodes


def _filtered(graph: Graph, state: Mapping[str, Any], ends: Sequence[str]) -> Graph:
    """Return the graph with the edges alone that weigh enough and join wanted types, or ``ends``."""
    keep = _wanted(state)
    if not keep.entity_types and keep.min_weight <= 1:
        return graph
    nodes = _text(graph.nodes()).select("entity", "type")
    wanted = (
        nodes["type"].is_in(list(keep.entity_types)) if keep.entity_types else nodes["type"].is_not_null()
    )
    wanted |= nodes["entity"].is_in(list(ends))
    edges = pl.DataFrame(graph.window.edges.select(["source", "target", "weight"]))
    kept = (
        (edges["weight"] >= keep.min_weight) & wanted.gather(edges["source"]) & wanted.gather(edges["target"])
    )
    window = replace(graph.window, edges=graph.window.edges.filter(kept.to_arrow()))
    return Graph(window, graph.schema, graph.timezone)


def _wanted(state: Mapping[str, Any]) -> _Wanted:
    """Return the filters of a view's state."""
    return _Wanted(state["entity_types"], state["edge_types"], state["min_weight"])


class _Growth:
    """Names that a picture grows by, hop by hop, and those that a hop left out."""

    def __init__(self, graph: Graph, state: Mapping[str, Any], names: Sequence[str]) -> None:
        self._graph = graph
        self._state = state
        self._keep = _wanted(state)
        self._ends = graph.schema.attributes - set(state["through"])
        self.names = dict.fromkeys(names)
        self._left_out: set[str] = set()
        self._met: set[str] = set()
        self._ended: set[str] = set()

    def step(self, frontier: Sequence[str], job: Job) -> list[str]:
        """Add the neighbours of ``frontier`` that weigh most, and return those that a walk may go on from."""
        job.check()
        if not frontier:
            return []
        state = self._state
        found = self._graph.around(
            list(frontier),
            1,
            edge_types=state["edge_types"] or None,
            direction=state["direction"],
            through=state["through"],
        )
        edges = self._keep.edges(_text(found.edges))
        near, far = pl.col("source").is_in(frontier), pl.col("target").is_in(frontier)
        weights = (
            edges.filter(near != far)
            .group_by(pl.when(near).then("target").otherwise("source").alias("entity"))
            .agg(pl.col("weight").sum())
        )
        fresh = self._keep.nodes(_text(found.nodes)).filter(~pl.col("entity").is_in(list(self.names)))
        ranked = fresh.join(weights, on="entity").sort("weight", "entity", descending=[True, False])
        added = ranked.head(state["limit"])
        self.names.update(dict.fromkeys(added["entity"].to_list()))
        self._left_out.update(ranked["entity"][added.height :].to_list())
        ends = added["type"].is_in(list(self._ends))
        self._met |= {*added["type"].filter(ends)}
        return added.filter(~ends)["entity"].to_list()

    def walk(self, starts: Sequence[str], hops: int, job: Job) -> None:
        """Add what lies within some hops."""
        frontier = list(starts)
        for _ in range(hops):
            self._ended |= self._met
            frontier = self.step(frontier, job)

    def expand(self, job: Job) -> None:
        """Add the neighbours of each expanded entity that is in the picture."""
        for entity in self._state["expanded"]:
            if entity in self.names:
                self.step([entity], job)

    def cut(self, starts: Sequence[str], hidden: int = 0) -> Cut:
        """Return the picture so far."""
        more = len(self._left_out - self.names.keys())
        found = _cut(self._graph, list(self.names), self._keep, tuple(starts), hidden + more)
        return replace(found, ends=tuple(sorted(self._ended)))


def neighbourhood(graph: Graph, state: Mapping[str, Any], job: Job) -> Cut:
    """Return what lies within ``hops`` of ``around`` and within one of ``expanded``, collapsed again.

    Of each hop the ``limit`` nodes whose edges weigh most are kept; the others are counted.
    """
    starts = tuple(state["around"])
    growth = _Growth(graph, state, starts)
    growth.walk(starts, state["hops"], job)
    growth.expand(job)
    hops = "1 hop" if state["hops"] == 1 else f"{state['hops']} hops"
    cut = _collapsed(graph, growth.cut(starts), starts, state)
    return replace(cut, what=f"{hops} around {_listed(starts)}")


def paths(graph: Graph, state: Mapping[str, Any], job: Job) -> Cut:
    """Return the shortest paths, up to three, between each two neighbours in the list ``around``.

    They go along edges and through types alone that the filters keep.
    """
    ends = tuple(state["around"])
    if len(ends) < 2:
        raise UsageError("a path needs two entities.", fix="Give two, or select two with Shift and a click.")
    found = []
    walked = _filtered(graph, state, ends)
    for a, b in pairwise(ends):
        job.check()
        found += walked.paths(
            *(a, b, _PATHS),
            edge_types=state["edge_types"] or None,
            direction=state["direction"],
            through=state["through"],
        )
    if not found:
        raise UsageError(
            f"no path joins {' and '.join(ends)}.",
            fix="Allow more types and lighter edges, or a longer time.",
        )
    nodes = pl.concat([_text(p.nodes) for p in found]).unique("entity", maintain_order=True)
    edges = pl.concat([_text(p.edges) for p in found]).unique(maintain_order=True)
    lengths = ", ".join(str(p.edges.num_rows) for p in found)
    what = f"the {len(found)} shortest paths between {_listed(ends)}, of {lengths} edges"
    return _with_degrees(graph, Cut(nodes, edges, ends, 0, what))


def shared(graph: Graph, state: Mapping[str, Any], job: Job) -> Cut:
    """Return what two or more of ``around`` are joined to, most shared first, ``limit`` of it."""
    keys = tuple(state["around"])
    if len(keys) < 2:
        raise UsageError("sharing needs two entities or more.", fix="Select some with Shift and a click.")
    job.check()
    keep = _wanted(state)
    table = _filtered(graph, state, keys).shared(
        keys, edge_types=state["edge_types"] or None, through=state["through"]
    )
    found = keep.nodes(_text(table))
    most = found.head(state["limit"])["entity"].to_list()
    cut = _cut(graph, list(dict.fromkeys([*keys, *most])), keep, keys, found.height - len(most))
    across = pl.col("source").is_in(keys) != pl.col("target").is_in(keys)
    what = f"what {_listed(keys)} share"
    return replace(cut, edges=cut.edges.filter(across), what=what)


def exactly(graph: Graph, state: Mapping[str, Any], job: Job) -> Cut:
    """Return the entities ``around`` with the edges between them, and what was expanded.

    At most 400 of them, the first, are shown; the others are counted.
    """
    most = state["around"][:MOST]
    growth = _Growth(graph, state, most)
    growth.expand(job)
    cut = growth.cut((), len(state["around"]) - len(most))
    return replace(_collapsed(graph, cut, most, state), what="the given entities")


def route(graph: Graph, state: Mapping[str, Any], job: Job) -> Cut:
    """Return the entities ``around`` as a path: of the edges among them, the heaviest of each step."""
    walked = state["around"]
    growth = _Growth(graph, state, walked)
    growth.expand(job)
    cut = growth.cut((walked[0], walked[-1]))
    place = pl.DataFrame({"entity": walked, "place": range(len(walked))})
    edges = (
        cut.edges.join(place.rename({"entity": "source", "place": "a"}), on="source", how="left")
        .join(place.rename({"entity": "target", "place": "b"}), on="target", how="left")
        .with_columns(step=pl.min_horizontal("a", "b"), far=(pl.col("a") - pl.col("b")).abs())
    )
    along = edges.filter(pl.col("far") == 1).sort("weight", descending=True, maintain_order=True)
    off = edges.filter(pl.col("far").is_null())
    kept = pl.concat([along.unique("step", keep="first", maintain_order=True), off]).select(cut.edges.columns)
    return replace(cut, edges=kept, what=f"a path from {walked[0]} to {walked[-1]}")


def overview(graph: Graph, communities: pl.DataFrame | None, ranks: pl.DataFrame | None) -> Cut:
    """Return the whole window in one picture: its communities, or where they are not known its types.

    Each node stands for many entities, each edge for the weight of all between them, whichever way.
    """
    nodes = _text(graph.nodes()).select("entity", "type", "label", "key", "sightings")
    edges = _text(graph.edges()).select("source", "target", "type", "weight")
    if communities is None:
        groups = nodes.select("entity", pl.col("type").alias("group"))
        link = pl.col("type")
    else:
        groups = communities.select(
            pl.col("entity").cast(pl.String),
            ("community " + pl.col("community").cast(pl.String)).alias("group"),
        )
        link = pl.lit("between communities")
    placed = nodes.join(groups, on="entity")
    if ranks is not None:
        placed = placed.join(ranks.select(pl.col("entity").cast(pl.String), "rank"), on="entity", how="left")
    first = "rank" if ranks is not None else "sightings"
    name = pl.coalesce("label", "key").sort_by(first, descending=True, nulls_last=True)
    summed = placed.group_by("group").agg(
        pl.len().alias("size"),
        pl.col("sightings").sum(),
        name.head(3).alias("leading"),
        pl.col("type").mode().sort().first().alias("mostly"),
    )
    summed = summed.sort("size", "group", descending=[True, False])
    between = (
        edges.join(groups.rename({"entity": "source", "group": "a"}), on="source")
        .join(groups.rename({"entity": "target", "group": "b"}), on="target")
        .filter(pl.col("a") != pl.col("b"))
        .group_by(pl.min_horizontal("a", "b").alias("a"), pl.max_horizontal("a", "b").alias("b"), type=link)
        .agg(pl.col("weight").sum(), pl.len().alias("count"))
        .rename({"a": "source", "b": "target"})
        .sort("source", "target", "type")
    )
    top = summed.head(_COMMUNITIES)
    inside = pl.col("source").is_in(top["group"].to_list()) & pl.col("target").is_in(top["group"].to_list())
    kind = "types" if communities is None else "communities"
    return Cut(
        top,
        between.filter(inside),
        (),
        summed.height - top.height,
        f"the whole window as {summed.height:,} {kind}",
    )


def _cut(graph: Graph, names: list[str], keep: _Wanted, starts: tuple[str, ...], hidden: int) -> Cut:
    found = graph.subgraph(names, edge_types=keep.edge_types or None)
    return _with_degrees(graph, Cut(_text(found.nodes), keep.edges(_text(found.edges)), starts, hidden))


def _with_degrees(graph: Graph, cut: Cut) -> Cut:
    degrees = pl.DataFrame(graph.degree()).select("entity", pl.col("degree").alias("edges"))
    return replace(cut, nodes=cut.nodes.join(degrees, on="entity", how="left", maintain_order="left"))


def _collapsed(graph: Graph, cut: Cut, anchors: Sequence[str], state: Mapping[str, Any]) -> Cut:
    """Return the cut without what is reached through collapsed nodes alone; it counts as hidden.

    What was asked for stays, and as on every walk an attribute node is an end.
    """
    if not state["collapsed"]:
        return cut
    attributes = graph.schema.attributes - set(state["through"])
    ends = {*state["collapsed"], *cut.nodes.filter(pl.col("type").is_in(list(attributes)))["entity"]}
    ends -= set(anchors) - set(state["collapsed"])
    beside: dict[str, set[str]] = {}
    for source, target in cut.edges.select("source", "target").iter_rows():
        beside.setdefault(source, set()).add(target)
        beside.setdefault(target, set()).add(source)
    reached, frontier = set(anchors), [a for a in anchors if a not in ends]
    while frontier:
        fresh = set().union(*(beside.get(name, ()) for name in frontier)) - reached
        reached |= fresh
        frontier = [name for name in fresh if name not in ends]
    kept = list(reached)
    nodes = cut.nodes.filter(pl.col("entity").is_in(kept))
    edges = cut.edges.filter(pl.col("source").is_in(kept) & pl.col("target").is_in(kept))
    return replace(cut, nodes=nodes, edges=edges, hidden=cut.hidden + cut.nodes.height - nodes.height)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _text(table: pa.Table) -> pl.DataFrame:
    """Return a table as a frame with names as plain text instead of dictionaries."""
    return pl.DataFrame(table).with_columns(pl.col(pl.Categorical).cast(pl.String))
