"""Who is not as they were, or not as the others are: ranked, with the reasons and the events."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

import polars as pl

from workbench.analysis.triage import MARKS
from workbench.tabular import cell_text
from workbench.views import _anomalies_page as page
from workbench.views._look import dark, fragment
from workbench.views._page import pickable
from workbench.views._stored import about, computing, newest, select_entities
from workbench.views.base import View
from workbench.views.charts import preload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from workbench.knowledge import Knowledge
    from workbench.views.base import Job
    from workbench.views.selection import Selection

__all__ = ["AnomaliesView"]

_NEIGHBOURS = 10
_PROFILES = ("ensemble", "classic")
_DRAWN_DAYS = 120


@dataclass(frozen=True)
class _Actor:
    """What is known of the actor that is looked at."""

    row: dict[str, Any]
    timeline: pa.Table
    neighbours: pa.Table
    events: pa.Table


@dataclass(frozen=True)
class _Data:
    knowledge: Knowledge | None
    rows: pl.DataFrame = field(default_factory=pl.DataFrame)
    total: int = 0
    actor: _Actor | None = None
    alerts: pl.DataFrame | None = None
    marks: Mapping[str, str] = field(default_factory=dict)
    precision: float | None = None
    since: datetime | None = None
    until: datetime | None = None


class AnomaliesView(View):
    """The anomalies of a run, ranked; a click on one shows why and selects it.

    State: ``profile`` (``ensemble`` or ``classic``), ``threshold`` (the least score), ``actor`` (``type:key``
    of the one that is looked at). Where several of the selected entities are known to the run, only these
    are listed.
    """

    title: ClassVar[str] = "Anomalies"
    defaults: ClassVar[Mapping[str, Any]] = {"profile": "ensemble", "threshold": 0.3, "actor": ""}
    may: ClassVar[Mapping[str, Any]] = {"profile": _PROFILES, "threshold": (0, 1)}

    def __init__(self, world: Any, selection: Selection | None = None, **state: Any) -> None:
        super().__init__(world, selection, **state)
        self._drawn = _Data(None)
        self._looked_at: tuple[tuple[Any, ...], _Actor] | None = None

    def read(self, job: Job) -> _Data:
        """Return the anomalies from the threshold on, the actor that is looked at, and the trends' alerts."""
        preload()
        knowledge = self._knowledge()
        if knowledge is None:
            return _Data(None)
        every = knowledge.to_polars()
        rows = every.filter(pl.col("score") >= self["threshold"])
        chosen = every.filter(pl.col("entity").is_in(list(self.selection.entities)))["entity"]
        if len(chosen) > 1:
            rows = rows.filter(pl.col("entity").is_in(chosen.implode()))
        actor = self["actor"] or (chosen[0] if len(chosen) == 1 else "")
        known = every.filter(pl.col("entity") == actor)
        until = datetime.fromisoformat(knowledge.run.asof)
        since = until - timedelta(days=knowledge.run.parameters["lookback_days"])
        looked_at = self._actor(job, knowledge, known.row(0, named=True)) if known.height else None
        marks = dict(self.world.triage.marks().select("entity", "mark").iter_rows())
        right = self.world.triage.precision()["precision"][0]
        return _Data(knowledge, rows, every.height, looked_at, self._alerts(), marks, right, since, until)

    def table(self, data: _Data) -> pa.Table:
        """Return the knowledge ``anomalies`` from the threshold on, the most anomalous first."""
        import pyarrow as pa  # noqa: PLC0415

        if data.knowledge is None:
            return pa.table({})
        return data.rows.to_arrow(compat_level=pl.CompatLevel.oldest())

    def controls(self) -> Mapping[str, Any]:
        """Return the choice of the profile and the threshold."""
        import panel as pn  # noqa: PLC0415  (heavy)

        return {
            "profile": pn.widgets.Select(label="Profile", options=list(_PROFILES), width=140),
            "threshold": pn.widgets.FloatSlider(label="Score from", start=0.0, end=1.0, step=0.05, width=260),
        }

    def actions(self, data: _Data) -> Mapping[str, Callable[[Job], Any]]:
        """Return that anomalies of the chosen profile can be computed, and the one looked at be marked."""
        offered = dict(computing(self.world, "anomalies", data.knowledge, profile=self["profile"]))
        if data.actor is not None and data.knowledge is not None:
            row, run = data.actor.row, data.knowledge.run.id
            for mark in MARKS:
                offered[f"{row['entity']} is {mark}"] = partial(self._mark, row, run, mark)
        return offered

    def _mark(self, row: Mapping[str, Any], run: str, mark: str, job: Job) -> None:
        job.check()
        self.world.triage.mark(row["entity"], mark, author=self.reader, of=row, run=run)

    def _key(self) -> tuple[Any, ...]:
        return (*super()._key(), self.world.triage.stamp)

    def empty(self, data: _Data) -> str:
        """Return that nothing was computed yet."""
        return (
            "" if data.knowledge else f"No anomalies of the profile {self['profile']} have been computed yet."
        )

    def draw(self, data: _Data, shown: Any) -> Any:
        """Return the ranked list beside the trends' alerts, and below it the actor that is looked at."""
        import panel as pn  # noqa: PLC0415  (heavy)

        self._drawn = data
        if shown is None:
            html: Any = pn.pane.HTML
            wide = {"sizing_mode": "stretch_width"}
            shown = pn.Column(
                html("", **wide),
                pn.Row(
                    pickable(picked=self._pick),
                    pickable(picked=self._pick, width=330, sizing_mode="fixed"),
                    **wide,
                ),
                pn.Column(
                    html("", **wide),
                    pn.pane.HoloViews(linked_axes=False, **wide),
                    pickable(picked=self._pick),
                    visible=False,
                    **wide,
                ),
                **wide,
            )
        line, (ranking, system), looked_at = shown
        line.object = fragment(self._line(data))
        current = data.actor.row["entity"] if data.actor else ""
        ranking.markup = fragment(f"<div class='tall'>{page.ranked(data.rows, current, data.marks)}</div>")
        system.markup = fragment(self._system(data))
        looked_at.visible = data.actor is not None
        if data.actor is not None:
            head, chart, facts = looked_at
            head.object = fragment(self._head(data.actor))
            chart.object = self._timeline(data)
            facts.markup = fragment(self._facts(data.actor))
        return shown

    def html(self, data: _Data) -> str:
        """Return the ranked list, the alerts, and the actor that is looked at."""
        actor = self._head(data.actor) + self._facts(data.actor) if data.actor else ""
        current = data.actor.row["entity"] if data.actor else ""
        return self._line(data) + page.ranked(data.rows, current, data.marks) + actor + self._system(data)

    def to_python(self) -> str:
        """Return Python that gives the listed rows, and the actor that is looked at."""
        data = self.data()
        assert data.knowledge is not None  # noqa: S101  (there is code once there is something)
        lines = [
            f"anomalies = db.knowledge.read('anomalies', run={data.knowledge.run.id!r}).to_polars()",
            f"anomalies.filter(anomalies['score'] >= {self['threshold']!r})",
        ]
        if data.actor:
            name = data.actor.row["entity"]
            lines += [f"db.entity({name!r})", f"[db.get(a) for a in {data.actor.row['addresses']!r}]"]
        return "\n".join(lines)

    def look_at(self, entity: str) -> None:
        """Show why an actor is where it is, and select it."""
        self.update(actor=entity)
        select_entities(self.selection, [entity])

    def _pick(self, what: str) -> None:
        kind, _, value = what.partition("=")
        if kind == "actor":
            self.look_at(value)
        elif kind == "entity":
            select_entities(self.selection, [value])
        elif kind == "alert":
            alerts = self._drawn.alerts
            assert alerts is not None  # noqa: S101  (it was drawn)
            alert = alerts.row(int(value), named=True)
            self.selection.select(self.selection.entities, since=alert["since"], until=alert["until"])
        else:
            select_entities(self.selection, [])

    def _knowledge(self) -> Knowledge | None:
        runs = [
            run
            for run in self.world.knowledge.runs("anomalies")
            if run.parameters.get("profile") == self["profile"]
        ]
        return self.world.knowledge.read("anomalies", run=runs[-1].id) if runs else None

    def _alerts(self) -> pl.DataFrame | None:
        """Return the alerts of trends that are significant or worse; None where there are none yet."""
        trends = newest(self.world, "trends")
        if trends is None:
            return None
        return trends.to_polars().filter(pl.col("severity").is_in(["significant", "critical"]))

    def _actor(self, job: Job, knowledge: Knowledge, row: dict[str, Any]) -> _Actor:
        """Return what is known of an actor, read once as long as one looks at it."""
        key = (knowledge.run.id, self.world.snapshot.generation, row["entity"])
        if self._looked_at is None or self._looked_at[0] != key:
            entity = self.world.entity(row["entity"])
            job.check()
            timeline = entity.timeline("1d")
            job.check()
            old = pl.CompatLevel.oldest()
            zone = ZoneInfo(self.timezone)
            documents = [self.world.get(address) for address in row["addresses"]]
            events = pl.DataFrame(
                {
                    "address": [d.address for d in documents],
                    "event type": [d.event_type for d in documents],
                    "time": pl.Series([d.time for d in documents], dtype=pl.Datetime("us", self.timezone)),
                    "fields": [
                        [{"name": n, "value": cell_text(v, zone)} for n, v in d.fields.items()]
                        for d in documents
                    ],
                },
                schema_overrides={"fields": pl.List(pl.Struct({"name": pl.String, "value": pl.String}))},
            )
            self._looked_at = (
                key,
                _Actor(
                    row,
                    timeline.to_arrow(compat_level=old),
                    entity.neighbours(_NEIGHBOURS),
                    events.to_arrow(compat_level=old),
                ),
            )
        return self._looked_at[1]

    def _line(self, data: _Data) -> str:
        assert data.knowledge is not None  # noqa: S101  (not empty)
        days = data.knowledge.run.parameters["lookback_days"]
        return about(
            data.knowledge,
            f"{data.rows.height:,} of {data.total:,} actors score {self['threshold']:g} or more",
            f"the last {days} days are judged",
            *([] if data.precision is None else [f"precision by the marks so far {data.precision:.2f}"]),
        )

    def _head(self, actor: _Actor) -> str:
        return page.heading_of(actor.row, self.world.triage.log(actor.row["entity"]), self.timezone)

    def _facts(self, actor: _Actor) -> str:
        return page.facts_of(actor.row, actor.neighbours, actor.events, self.timezone)

    def _system(self, data: _Data) -> str:
        return page.alerts_of(data.alerts, data.since, data.until, self.timezone)

    def _timeline(self, data: _Data) -> Any:
        from workbench.plans.model import Render  # noqa: PLC0415
        from workbench.views.charts import draw  # noqa: PLC0415  (holoviews is heavy)

        assert data.actor is not None  # noqa: S101  (asked for only then)
        assert data.until is not None  # noqa: S101
        frame = pl.DataFrame(data.actor.timeline)
        first = (data.until - timedelta(days=_DRAWN_DAYS)).astimezone(ZoneInfo(self.timezone))
        days = frame.filter(pl.col("period") >= first)
        render = Render(
            kind="timeline",
            source="timeline",
            title=f"Events of {data.actor.row['entity']} by day, the last {_DRAWN_DAYS} days",
            x="period",
            y=("events",),
            color="event_type",
        )
        filled = _with_empty_days(days)
        return draw(
            render, filled.to_arrow(compat_level=pl.CompatLevel.oldest()), timezone=self.timezone, dark=dark()
        )


def _with_empty_days(days: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with a zero for each day on which an event type was not seen."""
    if not days.height:
        return days
    span = days.select(
        pl.datetime_range(pl.col("period").min(), pl.col("period").max(), "1d", time_unit="us")
    ).to_series()
    grid = pl.DataFrame({"period": span}).join(
        days.select("event_type").unique().sort("event_type"), how="cross"
    )
    return grid.join(days, on=["period", "event_type"], how="left").with_columns(
        pl.col("events").cast(pl.Int64).fill_null(0)
    )
