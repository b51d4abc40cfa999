"""When more or less happened than usual: series with their baseline, and the alerts."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from workbench.tabular import cell_text
from workbench.views._look import dark, fragment
from workbench.views._page import pickable
from workbench.views._stored import Stored, about, computing, newest
from workbench.views.base import View
from workbench.views.charts import preload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import pyarrow as pa

    from workbench.analysis.series import Resolution
    from workbench.analysis.trends import Trends
    from workbench.knowledge import Knowledge
    from workbench.views.base import Job
    from workbench.views.selection import Selection

__all__ = ["TrendsView"]

_LISTED = 60
_SEVERITIES = ("notable", "significant", "critical")


@dataclass(frozen=True)
class _Data:
    knowledge: Knowledge | None
    alerts: pl.DataFrame
    metrics: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    metric: str = ""
    part: str = ""
    resolution: str = "day"
    series: pa.Table | None = None
    note: str = ""
    all_alerts: int = 0


class TrendsView(View):
    """Series over time in the band of what was expected, with the alerts; a click on one selects its time.

    State: ``metric`` (by default that of the worst alert), ``part`` (``type:key`` of a dimension's value, or
    nothing for the whole), ``resolution`` (``day`` or ``hour``), ``severity`` (the least of the alerts).
    """

    title: ClassVar[str] = "Trends"
    defaults: ClassVar[Mapping[str, Any]] = {
        "metric": "",
        "part": "",
        "resolution": "day",
        "severity": "significant",
    }
    may: ClassVar[Mapping[str, Any]] = {"resolution": ("day", "hour"), "severity": _SEVERITIES}

    def __init__(self, world: Any, selection: Selection | None = None, **state: Any) -> None:
        super().__init__(world, selection, **state)
        self._drawn = _Data(None, pl.DataFrame())
        self._measured: tuple[tuple[int, str], Trends] | None = None

    def _trends(self, run: str) -> Trends:
        """Return the trends of this generation: their baselines serve every metric that is looked at."""
        from workbench.analysis.trends import Trends  # noqa: PLC0415  (numpy and polars)

        seen = (self.world.snapshot.generation, run)
        if self._measured is None or self._measured[0] != seen:
            self._measured = (seen, Trends(Stored(self.world)))
        return self._measured[1]

    def read(self, job: Job) -> _Data:
        """Return the alerts and the chosen series."""
        from workbench.errors import UnknownNameError  # noqa: PLC0415

        preload()
        knowledge = newest(self.world, "trends")
        if knowledge is None:
            return _Data(None, pl.DataFrame())
        job.check()
        trends = self._trends(knowledge.run.id)
        every = pl.DataFrame(trends.alerts(self["severity"]).to_arrow())
        alerts = self._within(every)
        worst = alerts.row(0, named=True) if alerts.height else {}
        metric = self["metric"] or worst.get("metric") or next(iter(trends.metrics), "")
        if metric not in trends.metrics:
            raise UnknownNameError("metric", metric, trends.metrics, where="view trends")
        known = pl.DataFrame(trends.to_arrow()).filter(
            pl.col("metric") == metric, pl.col("dimension").is_not_null()
        )
        parts = known.select(pl.concat_str("dimension", pl.lit(":"), "value").unique(maintain_order=True))
        part = self["part"]
        if not self["metric"] and not part and worst.get("dimension"):
            part = f"{worst['dimension']}:{worst['value']}"
        job.check()
        dimension, _, value = part.partition(":")
        choice = (metric, dimension or None, value if dimension else None)
        resolution: Resolution = self["resolution"]
        note = ""
        try:
            series = trends.series(*choice, resolution=resolution).to_arrow()
        except UnknownNameError:
            if resolution == "day":
                raise
            resolution, note = "day", "Of this there are days only."
            series = trends.series(*choice, resolution=resolution).to_arrow()
        return _Data(
            knowledge,
            alerts,
            tuple(trends.metrics),
            tuple(parts.to_series()),
            metric,
            part,
            resolution,
            series,
            note,
            every.height,
        )

    def table(self, data: _Data) -> pa.Table:
        """Return the alerts of at least the chosen severity, worst first."""
        import pyarrow as pa  # noqa: PLC0415

        if data.knowledge is None:
            return pa.table({})
        return data.alerts.to_arrow(compat_level=pl.CompatLevel.oldest())

    def series(self) -> pa.Table:
        """Return the drawn series: ``time``, ``observed``, ``expected``, ``lower``, ``upper`` and ``z``."""
        import pyarrow as pa  # noqa: PLC0415

        series = self.data().series
        return pa.table({}) if series is None else series

    def controls(self) -> Mapping[str, Any]:
        """Return the choice of severity and of the buckets' length."""
        import panel as pn  # noqa: PLC0415  (heavy)

        return {
            "severity": pn.widgets.Select(label="Alerts from", options=list(_SEVERITIES), width=140),
            "resolution": pn.widgets.Select(label="By", options=["day", "hour"], width=100),
        }

    def actions(self, data: _Data) -> Mapping[str, Callable[[Job], Any]]:
        """Return that trends can be computed."""
        return computing(self.world, "trends", data.knowledge)

    def empty(self, data: _Data) -> str:
        """Return that nothing was computed yet."""
        return "" if data.knowledge else "No trends have been computed yet."

    def draw(self, data: _Data, shown: Any) -> Any:
        """Return the chart of the chosen series above the list of alerts."""
        import panel as pn  # noqa: PLC0415  (heavy)

        from workbench.views.charts.series import band  # noqa: PLC0415

        self._drawn = data
        if shown is None:
            html: Any = pn.pane.HTML
            metric, part = (pn.widgets.Select(label=name, width=320) for name in ("Metric", "Of"))
            metric.param.watch(lambda event: self._choose(event.new, ""), "value")
            part.param.watch(lambda event: self._choose(self._drawn.metric, event.new), "value")
            shown = pn.Column(
                pn.Row(metric, part),
                pn.pane.HoloViews(sizing_mode="stretch_width", linked_axes=False),
                html("", sizing_mode="stretch_width"),
                pickable(picked=self._pick),
                sizing_mode="stretch_width",
            )
        (metric, part), chart, line, alerts = shown
        metric.param.update(options=list(data.metrics), value=data.metric)
        parts = {"all": "", **{name: name for name in data.parts}}
        part.param.update(options=parts, value=data.part, visible=bool(data.parts))
        assert data.knowledge is not None  # noqa: S101  (not empty)
        assert data.series is not None  # noqa: S101
        chart.object = band(
            data.series,
            of_series(data).select("severity", "since", "until", "observed", "expected", "z").to_arrow(),
            title=_name(data),
            timezone=self.timezone,
            dark=dark(),
            chosen=self._chosen(),
            tapped=self.select_moment,
            brushed=lambda since, until: self.selection.select(
                self.selection.entities, since=since, until=until
            ),
        )
        critical = int(data.knowledge.run.metrics.get("critical_days", 0))
        facts = (data.note, f"{critical:,} days with critical alerts")
        line.object = fragment(about(data.knowledge, *filter(None, facts)))
        alerts.markup = fragment(
            alert_list(
                data.alerts, self.timezone, (data.metric, data.part, *self._chosen()), all_=data.all_alerts
            )
        )
        return shown

    def html(self, data: _Data) -> str:
        """Return the picture of the series and the list of alerts."""
        assert data.knowledge is not None  # noqa: S101  (not empty)
        return self._picture(data) + about(data.knowledge) + alert_list(data.alerts, self.timezone)

    def to_python(self) -> str:
        """Return Python that gives the alerts and the series."""
        data = self.data()
        dimension, _, value = data.part.partition(":")
        part = f", {dimension!r}, {value!r}" if dimension else ""
        return (
            f"db.trends.alerts({self['severity']!r}).to_polars()\n"
            f"db.trends.series({data.metric!r}{part}, resolution={data.resolution!r}).to_polars()"
        )

    def downloads(self) -> Mapping[str, Callable[[], bytes]]:
        """Return the alerts as a table, the drawn series as a table and as a picture."""
        return {
            **super().downloads(),
            "series.csv": lambda: pl.DataFrame(self.series()).write_csv().encode(),
            "series.svg": lambda: self._picture(self.data()).encode(),
        }

    def _picture(self, data: _Data) -> str:
        from workbench.plans.model import Render  # noqa: PLC0415
        from workbench.views.charts import svg  # noqa: PLC0415

        if data.series is None:
            return ""
        render = Render(kind="line", source="series", title=_name(data), x="time", y=("observed", "expected"))
        return svg(render, data.series, timezone=self.timezone)

    def select_episode(self, alert: Mapping[str, Any]) -> None:
        """Show an alert's series and select its time, and the entity that it is about."""
        part = f"{alert['dimension']}:{alert['value']}" if alert["dimension"] else ""
        entities = (part,) if part else self.selection.entities
        self.selection.select(entities, since=alert["since"], until=alert["until"])
        self.update(metric=alert["metric"], part=part)

    def select_moment(self, moment: datetime) -> None:
        """Select the time of the alert of the drawn series that a moment falls in, the worst of several."""
        data = self.data()
        found = of_series(data).filter(pl.col("since") <= moment, pl.col("until") > moment)
        if found.height:
            self.select_episode(found.row(0, named=True))

    def _choose(self, metric: str, part: str | None) -> None:
        if (metric, part or "") != (self._drawn.metric, self._drawn.part):
            self.update(metric=metric, part=part or "")

    def _pick(self, number: str) -> None:
        if number == "all":
            self.selection.select(self.selection.entities)
        else:
            self.select_episode(self._drawn.alerts.row(int(number), named=True))

    def _chosen(self) -> tuple[Any, Any]:
        return self.selection.since, self.selection.until

    def _within(self, alerts: pl.DataFrame) -> pl.DataFrame:
        """Return the alerts that touch the selected time; all of them where that is the time of one."""
        since, until = self._chosen()
        if since is None and until is None:
            return alerts
        if since and until and alerts.filter(pl.col("since") == since, pl.col("until") == until).height:
            return alerts
        if since is not None:
            alerts = alerts.filter(pl.col("until") > since)
        return alerts if until is None else alerts.filter(pl.col("since") < until)


def of_series(data: _Data) -> pl.DataFrame:
    """Return the alerts of the drawn series."""
    dimension, _, value = data.part.partition(":")
    return data.alerts.filter(
        pl.col("metric") == data.metric,
        pl.col("dimension").eq_missing(pl.lit(dimension or None, pl.String)),
        pl.col("value").eq_missing(pl.lit(value if dimension else None, pl.String)),
    )


def _name(data: _Data) -> str:
    return f"{data.metric} of {data.part}" if data.part else data.metric


def alert_list(
    alerts: pl.DataFrame,
    timezone: str,
    chosen: tuple[Any, ...] = (),
    all_: int = 0,
) -> str:
    """Return the worst alerts as a table whose rows can be picked by their number.

    Args:
        alerts: The alerts, worst first.
        timezone: Zone of the times.
        chosen: Metric, part, since and until of the alert that is marked.
        all_: How many alerts there are at any time.
    """
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    zone = ZoneInfo(timezone)
    lines = []
    for number, a in enumerate(alerts.head(_LISTED).iter_rows(named=True)):
        part = f"{a['dimension']}:{a['value']}" if a["dimension"] else ""
        of = f" of {part}" if part else ""
        drivers = ", ".join(f"{d['value']}" for d in (a.get("drivers") or [])[:3])
        here = " aria-current='true'" if (a["metric"], part, a["since"], a["until"]) == chosen else ""
        lines.append(
            f"<tr data-pick='{number}'{here}><td><span class='severity {escape(a['severity'])}'>"
            f"{escape(a['severity'])}</span></td>"
            f"<td class='name'>{escape(cell_text(a['metric'] + of, zone))}</td>"
            f"<td class='whole'>{'▲' if a['direction'] == 'up' else '▼'} {escape(a['direction'])}</td>"
            f"<td class='whole'>{escape(cell_text(a['since'], zone)[:16])}</td>"
            f"<td class='number'>{a['hours']:,} h</td>"
            f"<td class='number'>{escape(_figure(a['observed']))}</td>"
            f"<td class='number'>{escape(_figure(a['expected']))}</td><td class='number'>{a['z']:+.1f}</td>"
            f"<td>{escape(cell_text(drivers, zone))}</td></tr>"
        )
    head = (
        "",
        "metric",
        "",
        f"since ({escape(timezone)})",
        "length",
        "observed",
        "expected",
        "z",
        "most of it",
    )
    left = alerts.height - len(lines)
    more = (
        f"<p class='soft'>and {left:,} more; all are in the table and the downloads</p>" if left > 0 else ""
    )
    if all_ > alerts.height:
        more += (
            f"<p class='soft'>{all_ - alerts.height:,} are outside the selected time: "
            "<a data-pick='all'>show all times</a></p>"
        )
    nothing = "<p class='soft'>No alert of this severity.</p>" if not alerts.height else ""
    top = "".join(
        f"<th class='number'>{name}</th>"
        if name in ("length", "observed", "expected", "z")
        else f"<th>{name}</th>"
        for name in head
    )
    return (
        f"<h3>Alerts <small>{alerts.height:,}, worst first; z: how far from what was expected</small></h3>"
        f"{nothing}<div class='scroll'><table class='picks'><thead><tr>{top}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>{more}"
    )


def _figure(value: float | None) -> str:
    from workbench.views.charts.figure import number_text  # noqa: PLC0415

    return number_text(value)
