"""The markup of anomalies: the ranking, the actor that is looked at, the alerts; every value is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from workbench.tabular import cell_text
from workbench.views.charts.figure import number_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow as pa

__all__ = ["alerts_of", "facts_of", "heading_of", "ranked"]

_LISTED = 100
_SYSTEM = 12


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


def heading_of(row: Mapping[str, Any], said: pl.DataFrame, timezone: str) -> str:
    """Return who is looked at: class, score, reason, and what was said, a row a mark or note.

    Args:
        row: Of the anomalies' result.
        said: Marks and notes of the entity, the oldest first.
        timezone: Zone in which times are shown.
    """
    seen = ""
    if row["first_detected"]:
        first = cell_text(row["first_detected"], ZoneInfo(timezone))[:16]
        seen = f"first detected as of {first} {timezone}, in {row['consecutive']:,} runs in a row"
    return (
        f"<h3>{escape(row['entity'])} {_class_chip(row['class'])} "
        f"<small>score {row['score']:.2f}, place {row['place']:,}; {escape(seen)}</small></h3>"
        f"<p>{escape(row['why'])}</p>{_said(said, timezone)}"
    )


def facts_of(row: Mapping[str, Any], neighbours: pa.Table, events: pa.Table, timezone: str) -> str:
    """Return signals, drivers, neighbours and events of an actor."""
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
        for n in neighbours.to_pylist()
    )
    shown = len(row["addresses"])
    cut = f", {shown} shown" if shown < row["events"] else ""
    nothing = "<p class='soft'>None.</p>"
    return (
        "<div class='columns'><section><h3>Signals <small>0 to 1 each</small></h3>"
        f"{_signals(row)}</section><section><h3>Drivers</h3>{table if drivers else nothing}</section>"
        f"<section><h3>Neighbours <small>the heaviest {neighbours.num_rows}</small></h3>"
        f"{near}</section></div>"
        f"<h3>Events behind it <small>{row['events']:,}{cut}</small></h3>"
        f"{_events(events, timezone) if shown else nothing}"
    )


def alerts_of(
    alerts: pl.DataFrame | None, since: datetime | None, until: datetime | None, timezone: str
) -> str:
    """Return the alerts of trends: those of the judged days first, then the worst of all.

    Args:
        alerts: They; None where no trends have been computed.
        since: Start of the judged days.
        until: Their end.
        timezone: Zone in which times are shown.
    """
    head = "<h3>The system as a whole <small>alerts of trends</small></h3>"
    if alerts is None:
        return f"{head}<p class='soft'>No trends have been computed yet; the view Trends does it.</p>"
    alerts = alerts.with_row_index("number")
    now = alerts.filter(pl.col("until") > since, pl.col("since") < until)
    others = alerts.join(now, on="number", how="anti")
    zone = ZoneInfo(timezone)
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


def _said(said: pl.DataFrame, timezone: str) -> str:
    """Return marks and notes, the newest first."""
    zone = ZoneInfo(timezone)
    lines = [
        f"<li>{escape(cell_text(r['at'], zone)[:16])} {escape(r['author'])}: "
        f"<b>{escape(r['mark'] or 'note')}</b> {escape(r['note'])}</li>"
        for r in reversed(said.to_dicts())
    ]
    return f"<ul class='soft'>{''.join(lines)}</ul>" if lines else ""


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
