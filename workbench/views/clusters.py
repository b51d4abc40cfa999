"""Groups of entities that behave alike: a map, a card each, what sets them apart."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from workbench.errors import DriverUnavailableError, UsageError
from workbench.tabular import html_table
from workbench.views._look import dark, fragment
from workbench.views._page import pickable
from workbench.views._stored import Stored, about, computing, newest, select_entities
from workbench.views.base import View
from workbench.views.charts import preload
from workbench.views.charts.figure import number_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from workbench.analysis.projection import Projection
    from workbench.knowledge import Knowledge
    from workbench.views.base import Job
    from workbench.views.selection import Selection

__all__ = ["ClustersView"]

_CARDS = 20
_FEATURES = 4
_TYPICAL = 5
_SELECTED = "selected"
_COLUMNS = "<th>feature</th><th></th><th class='number'>mean</th><th class='number'>of all</th>"


@dataclass(frozen=True)
class _Data:
    knowledge: Knowledge | None
    rows: pl.DataFrame
    profile: pl.DataFrame
    compared: pl.DataFrame
    chosen: tuple[str, ...] = ()
    note: str = ""
    plane: Projection | None = None
    no_umap: str = ""

    @property
    def placed(self) -> pl.DataFrame:
        """Return the rows of the entities that are on the map, where it puts them."""
        if self.plane is None:
            return self.rows
        places = pl.DataFrame(self.plane.table)
        return self.rows.drop("x", "y").join(places, on="entity", maintain_order="left")


class ClustersView(View):
    """The clusters as a map with a card each; a lasso on the map selects, and so does a click on a card.

    State: ``left`` and ``right``, the two groups compared: a cluster's number, or ``selected``;
    ``projection``, what puts entities on the map: ``pca`` or ``umap``.
    """

    title: ClassVar[str] = "Clusters"
    defaults: ClassVar[Mapping[str, Any]] = {"left": "0", "right": "1", "projection": "pca"}
    may: ClassVar[Mapping[str, Any]] = {"projection": ("pca", "umap")}

    def __init__(self, world: Any, selection: Selection | None = None, **state: Any) -> None:
        super().__init__(world, selection, **state)
        self._profiled: tuple[str, pl.DataFrame, str] = ("", pl.DataFrame(), "")
        self._on_map: tuple[Any, ...] = ()
        self._placed: tuple[str, Projection | None] = ("", None)

    def read(self, job: Job) -> _Data:
        """Return the clusters' entities, what sets clusters apart, and the comparison."""
        preload()
        knowledge = newest(self.world, "clusters")
        if knowledge is None:
            return _Data(None, pl.DataFrame(), pl.DataFrame(), pl.DataFrame())
        rows = knowledge.to_polars()
        profile, note = self._profile(knowledge)
        job.check()
        known = rows.filter(pl.col("entity").is_in(list(self.selection.entities)))
        compared = self._compare(rows, profile) if profile.height else pl.DataFrame()
        plane, no_umap = self._umap(job, knowledge) if self["projection"] == "umap" else (None, "")
        return _Data(knowledge, rows, profile, compared, tuple(known["entity"]), note, plane, no_umap)

    def controls(self) -> Mapping[str, Any]:
        """Return the choice of what puts entities on the map."""
        import panel as pn  # noqa: PLC0415  (heavy)

        options = {"principal components": "pca", "UMAP": "umap"}
        return {"projection": pn.widgets.Select(label="Map by", options=options, width=190)}

    def table(self, data: _Data) -> pa.Table:
        """Return the knowledge ``clusters``; of the selected entities alone where some of them are in it."""
        import pyarrow as pa  # noqa: PLC0415

        if data.knowledge is None:
            return pa.table({})
        if not data.chosen:
            return data.knowledge.to_arrow()
        chosen = data.rows.filter(pl.col("entity").is_in(list(data.chosen)))
        return chosen.to_arrow(compat_level=pl.CompatLevel.oldest())

    def actions(self, data: _Data) -> Mapping[str, Callable[[Job], Any]]:
        """Return that clusters can be computed."""
        return computing(self.world, "clusters", data.knowledge)

    def empty(self, data: _Data) -> str:
        """Return that nothing was computed yet."""
        return "" if data.knowledge else "No clusters have been computed yet."

    def draw(self, data: _Data, shown: Any) -> Any:
        """Return the map beside the cards, and below it the profile and the comparison."""
        import panel as pn  # noqa: PLC0415  (heavy)

        if shown is None:
            html: Any = pn.pane.HTML
            wide = {"sizing_mode": "stretch_width"}
            left, right = (pn.widgets.Select(label=name, width=160) for name in ("Compare", "with"))
            left.param.watch(lambda event: self.update(left=event.new), "value")
            right.param.watch(lambda event: self.update(right=event.new), "value")
            shown = pn.Column(
                html("", **wide),
                pn.Row(
                    pn.pane.HoloViews(linked_axes=False, min_width=420, **wide),
                    pickable(picked=self._pick, width=430, sizing_mode="fixed"),
                    **wide,
                ),
                pn.pane.HoloViews(linked_axes=False, **wide),
                pn.Row(left, right),
                html("", **wide),
                **wide,
            )
        line, (chart, cards), heat, (left, right), comparison = shown
        assert data.knowledge is not None  # noqa: S101  (not empty)
        line.object = fragment(self._line(data))
        self._draw_map(chart, data)
        cards.markup = fragment(cluster_cards(data.rows, data.profile, data.chosen))
        heat.visible = comparison.visible = left.visible = right.visible = bool(data.profile.height)
        if data.profile.height:
            heat.object = self._heat(data)
            groups = {f"cluster {n}": str(n) for n in sorted(data.rows["cluster"].unique())}
            for select, name in ((left, "left"), (right, "right")):
                select.param.update(options={**groups, "the selection": _SELECTED}, value=str(self[name]))
            comparison.object = fragment(self._comparison(data))
        return shown

    def html(self, data: _Data) -> str:
        """Return the map as a picture, the cards and the comparison."""
        return self._line(data) + self._picture(data) + cluster_cards(data.rows, data.profile, data.chosen)

    def downloads(self) -> Mapping[str, Callable[[], bytes]]:
        """Return the clusters as a table, and the map as a picture."""
        return {**super().downloads(), "clusters.svg": lambda: self._picture(self.data()).encode()}

    def _picture(self, data: _Data) -> str:
        from workbench.plans.model import Render  # noqa: PLC0415
        from workbench.views.charts import svg  # noqa: PLC0415

        if not data.rows.height:
            return ""
        points = data.placed.select("x", "y", pl.col("cluster").cast(pl.String), "entity")
        render = Render(kind="scatter", source="clusters", x="x", y=("y",), color="cluster")
        table = points.to_arrow(compat_level=pl.CompatLevel.oldest())
        return svg(render, table, timezone=self.timezone)

    def to_python(self) -> str:
        """Return Python that gives the clusters, or the selected entities' rows."""
        chosen = self.data().chosen
        lines = ["clusters = db.knowledge.read('clusters').to_polars()"]
        if chosen:
            lines += [f"entities = {list(chosen)!r}", "clusters.filter(clusters['entity'].is_in(entities))"]
        if self.data().plane is not None:
            lines.append("db.clusters.projection('umap')")
        return "\n".join([*lines, "db.clusters.profile()"])

    def select_cluster(self, cluster: int) -> None:
        """Select all entities of a cluster."""
        members = self.data().rows.filter(pl.col("cluster") == cluster)["entity"].to_list()
        self._select(members)

    def _select(self, entities: list[str]) -> None:
        select_entities(self.selection, entities)

    def _brush(self, entities: list[str]) -> None:
        """Take over what was marked on the map, which shows it already."""
        data: _Data = self.data()
        if set(entities) != set(data.chosen):
            assert data.knowledge is not None  # noqa: S101  (it was drawn)
            self._on_map = (data.knowledge.run.id, frozenset(entities), dark(), data.plane is None)
            self._select(entities)

    def _pick(self, what: str) -> None:
        kind, _, value = what.partition("=")
        if kind == "cluster":
            self.select_cluster(int(value))
        elif kind == "entity":
            self._select([value])
        else:
            self._select([])

    def _line(self, data: _Data) -> str:
        assert data.knowledge is not None  # noqa: S101  (not empty)
        metrics = data.knowledge.run.metrics
        facts = [f"{data.rows.height:,} entities in {data.rows['cluster'].n_unique()} clusters"]
        if "silhouette" in metrics:
            facts.append(f"silhouette {metrics['silhouette']:.2f} of 1 (how well they part)")
        if data.chosen:
            facts.append(f"{len(data.chosen):,} of them selected")
        notes = [data.note]
        if data.plane is not None:
            notes.append(f"On the map: {data.plane.facts}; only what is near means something.")
        if data.no_umap:
            notes.append(f"UMAP cannot be had: {data.no_umap}. The map shows principal components.")
        told = "".join(f"<p class='soft'>{escape(note)}</p>" for note in notes if note)
        return about(data.knowledge, *facts) + told

    def _draw_map(self, chart: Any, data: _Data) -> None:
        from workbench.views.charts.projection import projection  # noqa: PLC0415  (holoviews is heavy)

        assert data.knowledge is not None  # noqa: S101  (not empty)
        drawn = (data.knowledge.run.id, frozenset(data.chosen), dark(), data.plane is None)
        if chart.object is not None and drawn == self._on_map:
            return
        self._on_map = drawn
        explained = data.knowledge.run.metrics.get("explained")
        share = f" ({explained:.0%} of the variance in both)" if explained else ""
        axes = ("first principal component", f"second{share}") if data.plane is None else ("UMAP 1", "UMAP 2")
        chart.object = projection(
            data.placed.select("entity", "label", "cluster", "size", "distance", "x", "y"),
            title="Entities by how they behave",
            axes=axes,
            chosen=data.chosen,
            dark=dark(),
            brushed=self._brush,
        )

    def _heat(self, data: _Data) -> Any:
        from workbench.plans.model import Render  # noqa: PLC0415
        from workbench.views.charts import draw  # noqa: PLC0415  (holoviews is heavy)

        table = data.profile.select(
            pl.format("cluster {}", "cluster").alias("cluster"),
            "feature",
            "z",
            "mean",
            "population_mean",
            "size",
        )
        render = Render(
            kind="heatmap",
            source="profile",
            title="What sets clusters apart: standard deviations from the mean of all",
            x="feature",
            y=("cluster",),
            color="z",
        )
        arrow = table.to_arrow(compat_level=pl.CompatLevel.oldest())
        return draw(render, arrow, timezone=self.timezone, dark=dark())

    def _profile(self, knowledge: Knowledge) -> tuple[pl.DataFrame, str]:
        """Return the profile of a run, read once; empty with the reason where the window no longer has it."""
        from workbench.analysis.clusters import Clusters  # noqa: PLC0415  (numpy and polars)

        if self._profiled[0] != knowledge.run.id:
            try:
                self._profiled = (knowledge.run.id, Clusters(Stored(self.world)).profile(), "")
            except UsageError as error:
                self._profiled = (knowledge.run.id, pl.DataFrame(), str(error))
        return self._profiled[1:]

    def _umap(self, job: Job, knowledge: Knowledge) -> tuple[Projection | None, str]:
        """Return where UMAP puts a run's entities, computed once, or why it cannot."""
        from workbench.analysis.clusters import Clusters  # noqa: PLC0415  (numpy and polars)
        from workbench.analysis.projection import MOST, cannot, umap  # noqa: PLC0415  (the same)

        device = self.world.settings.device
        if self._placed[0] != knowledge.run.id:
            if reason := cannot(device):
                return None, reason
            try:
                entities, points = Clusters(Stored(self.world)).sample(MOST)
            except UsageError as error:
                return None, str(error).removesuffix(".")
            job.check()
            total, seed = knowledge.table.num_rows, knowledge.run.seed
            try:
                with self.world.lock.lent():  # it takes a while
                    placed = umap(entities, points, of=total, device=device, seed=seed)
            except DriverUnavailableError as error:
                return None, error.message.removesuffix(".")
            self._placed = (knowledge.run.id, placed)
        return self._placed[1], ""

    def _compare(self, rows: pl.DataFrame, profile: pl.DataFrame) -> pl.DataFrame:
        """Return ``feature``, ``left``, ``right`` and ``difference``, largest first."""
        sides = []
        for name in ("left", "right"):
            if str(self[name]) == _SELECTED:
                sides.append(self._profile_of_selection(rows))
            else:
                sides.append(profile.filter(pl.col("cluster").cast(pl.String) == str(self[name])))
        left, right = (side.select("feature", "mean", "z") for side in sides)
        return (
            left.join(right, on="feature", suffix="_right")
            .select(
                "feature",
                pl.col("mean").alias("left"),
                pl.col("mean_right").alias("right"),
                (pl.col("z") - pl.col("z_right")).alias("difference"),
            )
            .sort(pl.col("difference").abs(), "feature", descending=[True, False], nulls_last=True)
        )

    def _profile_of_selection(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the profile of the selected entities, against all."""
        from workbench.analysis.profile import cluster_profile  # noqa: PLC0415  (numpy and polars)

        chosen = rows.filter(pl.col("entity").is_in(list(self.selection.entities)))
        if not chosen.height:
            return pl.DataFrame(schema={"feature": pl.String, "mean": pl.Float64, "z": pl.Float64})
        matrix = self.world.features(rows["type"][0])
        inside = pl.Series(matrix.entities).is_in(chosen["entity"].implode()).to_numpy()
        found = cluster_profile(matrix, (~inside).astype("int64"))
        return found.filter(pl.col("cluster") == 0)

    def _comparison(self, data: _Data) -> str:
        names = ["the selection" if self[n] == _SELECTED else f"cluster {self[n]}" for n in ("left", "right")]
        head = f"{names[0]} against {names[1]}"
        if not data.compared.height:
            why = "Select some entities first: with the lasso on the map, or in another view."
            return f"<h3>{escape(head)}</h3><p class='soft'>{why}</p>"
        table = data.compared.rename({"left": f"mean of {names[0]}", "right": f"mean of {names[1]} "})
        arrow = table.to_arrow(compat_level=pl.CompatLevel.oldest())
        note = "<small>difference in standard deviations of all, largest first</small>"
        return f"<h3>{escape(head)} {note}</h3>{html_table(arrow, '', self.timezone)}"


def cluster_cards(rows: pl.DataFrame, profile: pl.DataFrame, chosen: tuple[str, ...] = ()) -> str:
    """Return a card for each cluster: size, label, what sets it apart, the most typical entities."""
    from workbench.views.charts.projection import group_color  # noqa: PLC0415

    sizes = rows.group_by("cluster", "size", "label").agg().sort("cluster")
    inside = dict(
        rows.filter(pl.col("entity").is_in(list(chosen))).group_by("cluster").len().iter_rows()
        if chosen
        else ()
    )
    cards = []
    for cluster, size, label in sizes.head(_CARDS).iter_rows():
        share = size / rows.height
        features = "".join(
            f"<tr><td>{escape(feature)}</td><td class='whole'>{_deviation(z)}</td>"
            f"<td class='number'>{escape(number_text(mean))}</td>"
            f"<td class='number soft'>{escape(number_text(overall))}</td></tr>"
            for feature, z, mean, overall in _apart(profile, cluster).iter_rows()
        )
        typical = rows.filter(pl.col("cluster") == cluster).sort("distance", "entity").head(_TYPICAL)
        names = "".join(
            f"<span class='chip' data-pick='{escape('entity=' + entity, quote=True)}'>{escape(key)}</span>"
            for entity, key in typical.select("entity", "key").iter_rows()
        )
        table = (
            f"<table><thead><tr>{_COLUMNS}</tr></thead><tbody>{features}</tbody></table>" if features else ""
        )
        here = f" · {inside[cluster]:,} selected" if cluster in inside else ""
        cards.append(
            f"<section class='card'><header><i class='swatch' style='background:{group_color(cluster)}'></i>"
            f"<b>{cluster}</b> <span>{escape(label)}</span></header>"
            f"<p class='soft'>{size:,} entities, {share:.0%}{here} · "
            f"<a data-pick='cluster={cluster}'>select them</a></p>"
            f"{table}<p><span class='soft'>most typical</span> {names}</p></section>"
        )
    left = sizes.height - len(cards)
    more = f"<p class='soft'>and {left:,} smaller clusters; all are in the table</p>" if left > 0 else ""
    clear = "<p><a data-pick='none'>Select none</a></p>" if chosen else ""
    return f"<div class='cards'>{''.join(cards)}</div>{more}{clear}"


def _apart(profile: pl.DataFrame, cluster: int) -> pl.DataFrame:
    if not profile.height:
        return profile
    return (
        profile.filter(pl.col("cluster") == cluster)
        .select("feature", "z", "mean", "population_mean")
        .head(_FEATURES)
    )


def _deviation(z: float) -> str:
    """Return a bar to the left or to the right of the middle, with its figure."""
    width = min(50.0, 50 * abs(z) / 3)
    start = 50 - width if z < 0 else 50
    side = "low" if z < 0 else "high"
    bar = f"<i class='{side}' style='left:{start:.0f}%;width:{width:.0f}%'></i>"
    return f"<span class='lean'>{bar}</span>{z:+.1f}"
