"""Who is not as they were, or not as the others are: ranked, with the reasons and the events."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

import polars as pl

from workbench.analysis.triage import MARKS
from workbench.tabular import cell_text
from workbench.views._look import dark, fragment
from workbench.views._page import pickable
from workbench.views._stored import about, computing, newest, select_entities
from workbench.views.base import View
from workbench.views.charts import preload
from workbench.views.charts.figure import number_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from workbench.knowledge import Knowledge
    from workbench.views.base import Job
    from workbench.views.selection import Selection

__all__ = ["AnomaliesView"]

_LISTED = 100
_SYSTEM = 12
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
        ranking.markup = fragment(f"<div class='tall'>{ranked(data.rows, current, data.marks)}</div>")
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
        return self._line(data) + ranked(data.rows, current, data.marks) + actor + self._system(data)

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
        row = actor.row
        seen = ""
        if row["first_detected"]:
            first = cell_text(row["first_detected"], ZoneInfo(self.timezone))[:16]
            seen = f"first detected as of {first} {self.timezone}, in {row['consecutive']:,} runs in a row"
        return (
            f"<h3>{escape(row['entity'])} {_class_chip(row['class'])} "
            f"<small>score {row['score']:.2f}, place {row['place']:,}; {escape(seen)}</small></h3>"
            f"<p>{escape(row['why'])}</p>{self._said(row['entity'])}"
        )

    def _said(self, entity: str) -> str:
        """Return the marks and notes of an entity, the newest first."""
        zone = ZoneInfo(self.timezone)
        lines = [
            f"<li>{escape(cell_text(r['at'], zone)[:16])} {escape(r['author'])}: "
            f"<b>{escape(r['mark'] or 'note')}</b> {escape(r['note'])}</li>"
            for r in reversed(self.world.triage.log(entity).to_dicts())
        ]
        return f"<ul class='soft'>{''.join(lines)}</ul>" if lines else ""

    def _facts(self, actor: _Actor) -> str:
        row = actor.row
        drivers = "".join(
            f"<tr><td class='name'>{escape(d['feature'])}</td>"
            f"<td class='number'>{number_text(d['value'])}</td>"
            f"<td class='number'>{number_text(d['typical'])}</td>"
            f"<td class='number'>{d['z']:+.1f}</td></tr>"
            for d in row["drivers"]
        )
        head = "".join(f"<th class='number'>{name}</th>" for name in ("found", "typical", "z"))
        table = f"<table><thead><tr><th>driver</th>{head}</tr></thead><tbody>{drivers}</tbody></table>"
        near = "".join(
            f"<span class='chip' data-pick='{escape('entity=' + n['entity'], quote=True)}'>"
            f"{escape(n['entity'])}<i>{escape(n['edge'])} {n['weight']:,}</i></span>"
            for n in actor.neighbours.to_pylist()
        )
        shown = len(row["addresses"])
        cut = f", {shown} shown" if shown < row["events"] else ""
        nothing = "<p class='soft'>None.</p>"
        return (
            "<div class='columns'><section><h3>Signals <small>0 to 1 each</small></h3>"
            f"{_signals(row)}</section><section><h3>Drivers</h3>{table if drivers else nothing}</section>"
            f"<section><h3>Neighbours <small>the heaviest {actor.neighbours.num_rows}</small></h3>"
            f"{near}</section></div>"
            f"<h3>Events behind it <small>{row['events']:,}{cut}</small></h3>"
            f"{_events(actor.events, self.timezone) if shown else nothing}"
        )

    def _system(self, data: _Data) -> str:
        """Return the alerts of trends: those of the judged days first, then the worst of all."""
        head = "<h3>The system as a whole <small>alerts of trends</small></h3>"
        if data.alerts is None:
            return f"{head}<p class='soft'>No trends have been computed yet; the view Trends does it.</p>"
        alerts = data.alerts.with_row_index("number")
        now = alerts.filter(pl.col("until") > data.since, pl.col("since") < data.until)
        others = alerts.join(now, on="number", how="anti")
        zone = ZoneInfo(self.timezone)
        parts = [head]
        for title, rows, most in (
            ("in the judged days", now, _SYSTEM),
            ("the worst of the window", others, _SYSTEM - min(now.height, _SYSTEM // 2)),
        ):
            lines = "".join(
                f"<tr data-pick='alert={a['number']}'><td><span class='severity {escape(a['severity'])}'>"
                f"{escape(a['metric'] + (' of ' + a['value'] if a['value'] else ''))}</span></td>"
                f"<td class='whole'>{'▲' if a['direction'] == 'up' else '▼'}</td>"
                f"<td class='whole'>{escape(cell_text(a['since'], zone)[:10])}</td>"
                f"<td class='number'>{a['z']:+.1f}</td></tr>"
                for a in rows.head(most).iter_rows(named=True)
            )
            more = f", {rows.height - most:,} more in Trends" if rows.height > most else ""
            none = "<p class='soft'>None.</p>" if not rows.height else ""
            parts.append(
                f"<p class='soft'>{title}: {rows.height:,}{more}</p>{none}"
                f"<table class='picks'><tbody>{lines}</tbody></table>"
            )
        return "".join(parts)

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


def _events(events: pa.Table, timezone: str) -> str:
    """Return events as a table, all of their fields with them."""
    zone = ZoneInfo(timezone)
    lines = []
    for event in events.to_pylist():
        fields = "".join(
            f"<span class='chip'>{escape(f['name'])}<i>{escape(f['value'])}</i></span>"
            for f in event["fields"]
        )
        lines.append(
            f"<tr><td class='whole'>{escape(cell_text(event['time'], zone))}</td>"
            f"<td class='name'>{escape(event['event type'])}</td><td class='wide'>{fields}</td>"
            f"<td class='whole soft'>{escape(event['address'])}</td></tr>"
        )
    head = f"<th>time ({escape(timezone)})</th><th>event type</th><th>fields</th><th>address</th>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def ranked(rows: pl.DataFrame, current: str = "", marks: Mapping[str, str] | None = None) -> str:
    """Return the first actors as a table whose rows can be picked, a bar for each signal, and their marks."""
    names = [c for c in rows.columns if c.startswith("signal_")]
    lines = []
    for row in rows.head(_LISTED).iter_rows(named=True):
        here = " aria-current='true'" if row["entity"] == current else ""
        pick = escape(f"actor={row['entity']}", quote=True)
        lines.append(
            f"<tr data-pick='{pick}'{here}><td class='number'>{row['place']:,}</td>"
            f"<td class='name'>{escape(row['entity'])}</td><td class='whole'>{_class_chip(row['class'])}"
            f"{_mark_chip((marks or {}).get(row['entity'], ''))}</td>"
            f"<td class='number'>{row['score']:.2f}</td><td class='whole'>{_bars(row, names)}</td>"
            f"<td>{escape(row['why'])}</td></tr>"
        )
    words = escape(", ".join(n.removeprefix("signal_") for n in names))
    head = "<th class='number'>#</th><th>actor</th><th></th><th class='number'>score</th>"
    left = rows.height - len(lines)
    more = (
        f"<p class='soft'>and {left:,} more; all are in the table and the downloads</p>" if left > 0 else ""
    )
    if not lines:
        return "<p class='soft'>Nobody scores so high.</p>"
    return (
        f"<table class='picks'><thead><tr>{head}<th title='{words}'>signals</th><th>why</th></tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>{more}"
    )


def _class_chip(name: str) -> str:
    return f"<span class='class {escape(name.replace(' ', '-'))}'>{escape(name)}</span>"


def _mark_chip(mark: str) -> str:
    return f" <span class='chip'>{escape(mark)}</span>" if mark else ""


def _bars(row: Mapping[str, Any], names: list[str]) -> str:
    """Return the signals as small upright bars; one that has nothing to say is an empty place."""
    parts = []
    for n, name in enumerate(names):
        value = row[name]
        word = f"{name.removeprefix('signal_')} {'nothing to say' if value is None else f'{value:.2f}'}"
        if value is not None:
            height = max(1.0, 18 * value)
            parts.append(
                f"<rect x='{n * 8}' y='{18 - height:.1f}' width='6' height='{height:.1f}'>"
                f"<title>{escape(word)}</title></rect>"
            )
    label = ", ".join(f"{n.removeprefix('signal_')} {row[n]:.2f}" for n in names if row[n] is not None)
    size = f"width='{8 * len(names)}' height='18'"
    return f"<svg class='signals' role='img' aria-label='{escape(label)}' {size}>{''.join(parts)}</svg>"


def _signals(row: Mapping[str, Any]) -> str:
    lines = []
    signals = {n.removeprefix("signal_"): v for n, v in row.items() if n.startswith("signal_")}
    for name, value in sorted(signals.items(), key=lambda item: -(item[1] if item[1] is not None else -1.0)):
        bar = (
            f"<span class='meter wide'><i style='width:{100 * value:.0f}%'></i></span>{value:.2f}"
            if value is not None
            else "<span class='soft'>nothing to say</span>"
        )
        lines.append(f"<tr><td class='name'>{escape(name)}</td><td class='whole'>{bar}</td></tr>")
    return f"<table><tbody>{''.join(lines)}</tbody></table>"
