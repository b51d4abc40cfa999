"""The page of one entity as markup, and as rows of text; every value is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from workbench.catalog import words
from workbench.catalog.markup import bars, chips, heading, table, text
from workbench.tabular import cell_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from workbench.graph.entities import Entity
    from workbench.views.entity import EntityPage

__all__ = ["facts", "page"]

_NEIGHBOURS = 12
_PERIOD = {"1h": "hour", "1d": "day", "1w": "week", "1mo": "month"}
_COLUMNS = 14


def page(data: EntityPage, zone: str) -> str:
    """Return the whole page; an entity in it has ``data-pick``, so that it can be gone to."""
    entity = data.entity
    if entity is None:
        return ""
    sections = (
        _head(entity, zone),
        _computed(data),
        _properties(entity, zone),
        _timeline(data, zone),
        _neighbours(data),
        _similar(data),
        _events(data, zone),
    )
    return "".join(sections)


def facts(data: EntityPage, zone: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield section, name, value and note of everything on the page, unshortened."""
    if data.entity is None:
        return
    yield from _own(data.entity, zone)
    for kind, found in data.knowledge.items():
        yield from ((kind, name, str(value), "") for name, value in found.items())
    yield from ((kind, "", "", "not computed yet") for kind in data.missing)
    for row in data.timeline.to_dicts():
        yield "timeline", row["event_type"], str(row["events"]), str(row["period"])
    for row in data.neighbours.to_dicts():
        yield "neighbour", row["entity"], str(row["weight"]), f"{row['edge']} {row['direction']}"
    for row in () if data.similar is None else data.similar.to_dicts():
        yield "similar", row["entity"], f"{row['score']:.4f}", ""
    for row in data.events.to_dicts():
        yield "event", row["address"], row["_type"], words.clock(row["_ts"], zone)


def _own(entity: Entity, zone: str) -> Iterator[tuple[str, str, str, str]]:
    known = entity.facts
    for name in ("type", "key", "label", "sightings", "segments"):
        yield "entity", name, "" if known[name] is None else str(known[name]), ""
    for name in ("first_seen", "last_seen"):
        yield "entity", name, words.clock(known[name], zone), zone
    for name, value in sorted(known["properties"].items()):
        yield "property", name, str(value["value"]), f"{value['values']} distinct"


def _head(entity: Entity, zone: str) -> str:
    known = entity.facts
    tiles = {
        "type": known["type"],
        "sightings": f"{known['sightings']:,}",
        "segments": f"{known['segments']:,}",
        "first seen": words.clock(known["first_seen"], zone),
        "last seen": words.clock(known["last_seen"], zone),
    }
    drawn = "".join(f"<div><dt>{n}</dt><dd>{text(v)}</dd></div>" for n, v in tiles.items() if v)
    title = known["label"] or known["key"]
    return (
        f"<h2>{text(title)}</h2><p class='soft'>{text(entity.name)}; times in {escape(zone)}</p>"
        f'<dl class="tiles">{drawn}</dl>'
    )


def _computed(data: EntityPage) -> str:
    found = data.knowledge
    lines = []
    if (row := found.get("anomalies")) is not None:
        lines.append(
            f"<div><dt>anomaly</dt><dd>{_bar(row['score'])}{row['score']:.2f}, {text(row['class'])}, "
            f"place {row['place']:,}</dd><dd class='why'>{escape(str(row['why'] or ''))}</dd></div>"
        )
    if (row := found.get("clusters")) is not None:
        label = f": {text(row['label'])}" if row.get("label") else ""
        lines.append(
            f"<div><dt>cluster</dt><dd>{row['cluster']}{label}</dd>"
            f"<dd class='why'>of {row['size']:,}, {row['distance']:.3g} from its centre</dd></div>"
        )
    if (row := found.get("communities")) is not None:
        size = words.quantity(row["size"], "entity")
        lines.append(
            f"<div><dt>community</dt><dd>{row['community']}</dd><dd class='why'>of {size}</dd></div>"
        )
    if (row := found.get("pagerank")) is not None:
        lines.append(
            f"<div><dt>rank</dt><dd>{row['place_in_type']:,} of its type</dd>"
            f"<dd class='why'>{row['place']:,} of all, {row['rank']:.3g}</dd></div>"
        )
    lacking = [(kind, "not computed yet") for kind in data.missing]
    lacking += [(kind, "the newest run does not speak of it") for kind in data.silent]
    lines += [f"<div><dt>{kind}</dt><dd class='soft'>{why}</dd></div>" for kind, why in lacking]
    return f'<dl class="tiles">{"".join(lines)}</dl>' if lines else ""


def _properties(entity: Entity, zone: str) -> str:
    known = entity.facts["properties"]
    if not known:
        return ""
    rows = [
        [
            (text(name), "name"),
            (text(value["value"]), ""),
            (f"{value['values'] - 1:,} others before" if value["values"] > 1 else "", "soft"),
            (words.clock(value["at"], zone) or "from a reference table", "soft"),
        ]
        for name, value in sorted(known.items())
    ]
    return heading("Properties") + table(("name", "latest value", "", "last seen"), rows)


def _timeline(data: EntityPage, zone: str) -> str:
    if data.timeline.is_empty():
        return heading("Timeline") + "<p class='soft'>No event names it in the time that is selected.</p>"
    first: datetime = data.timeline["period"].min()  # type: ignore[assignment]
    last: datetime = data.timeline["period"].max()  # type: ignore[assignment]
    periods = pl.datetime_range(first, last, data.every, time_zone=zone, eager=True)
    counts = data.timeline.pivot("event_type", index="period", values="events")
    filled = pl.DataFrame({"period": periods}).join(counts, on="period", how="left").fill_null(0)
    period = _PERIOD[data.every]
    rows = []
    for name in sorted(set(filled.columns) - {"period"}, key=lambda n: -filled[n].sum()):
        heights = filled[name].to_list()
        titles = [
            f"{start:%Y-%m-%d %H:%M}: {words.quantity(count, 'event')}"
            for start, count in zip(periods.to_list(), heights, strict=True)
        ]
        label = f"{name}: events by {period}, {words.spark(heights)}"
        strip = bars(heights, titles, [""] * len(heights), label, "strip")
        rows.append([(text(name), "name"), (f"{sum(heights):,}", "number"), (strip, "fill")])
    ends = f'<div class="ends"><span>{first:%Y-%m-%d}</span><span>{last:%Y-%m-%d}</span></div>'
    rows.append([("", ""), ("", ""), (ends, "fill")])
    note = f"events by {period}, each type on its own scale; times in {zone}"
    return heading("Timeline", note) + table(("event type", "events", ""), rows)


def _neighbours(data: EntityPage) -> str:
    edges = data.neighbours
    if edges.is_empty():
        return heading("Neighbours") + "<p class='soft'>No edge touches it.</p>"
    rows = []
    groups = edges.group_by("edge", "direction", maintain_order=True)
    for (edge, direction), group in groups:
        shown = group.head(_NEIGHBOURS)
        first = group.row(0, named=True)
        edges_of, weight = first["edges"], first["total"]
        more = edges_of - shown.height
        rest = f"<span class='soft'>and {more:,} more</span>" if more else ""
        rows.append(
            [
                (text(edge), "name"),
                ("→" if direction == "out" else "←", ""),
                (f"{edges_of:,}", "number"),
                (f"{weight:,}", "number"),
                ("".join(_link(r["entity"], f"{r['weight']:,}") for r in shown.to_dicts()) + rest, ""),
            ]
        )
    head = ("edge type", "", "edges", "weight", "heaviest first")
    return heading("Neighbours", f"{data.others:,} entities") + table(head, rows)


def _similar(data: EntityPage) -> str:
    title = heading("Similar ones", "by what their events' texts say")
    if data.unlike:
        return f"{title}<p class='soft'>{escape(data.unlike)}</p>"
    if data.similar is None:
        return f"{title}<p class='soft'>Not looked for yet: the button above does it.</p>"
    links = "".join(
        _link(row["entity"], f"{row['score']:.2f}", row["label"] or "") for row in data.similar.to_dicts()
    )
    return f"{title}<p>{links or 'There are none.'}</p>"


def _events(data: EntityPage, zone: str) -> str:
    events = data.events
    if events.is_empty():
        return heading("Events") + "<p class='soft'>No event names it in the time that is selected.</p>"
    kept = [c for c in events.columns if not c.startswith("_") and c != "address"][:_COLUMNS]
    left_out = len(events.columns) - len(kept) - 3
    where = ZoneInfo(zone)
    rows = [
        [
            (words.clock(row["_ts"], zone), "whole"),
            (text(row["_type"]), "name"),
            *((escape(cell_text(row[c], where)), "number" if _is_number(row[c]) else "whole") for c in kept),
            (text(row["address"]), "whole soft"),
        ]
        for row in events.to_dicts()
    ]
    more = f"; {words.quantity(left_out, 'more column')} in entity.events()" if left_out > 0 else ""
    title = heading("Events", f"the newest {events.height:,}{more}")
    return title + table(("time", "type", *kept, "address"), rows)


def _bar(score: float) -> str:
    return f'<span class="meter"><i style="width:{100 * min(1.0, score):.0f}%"></i></span>'


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _link(entity: str, note: str, label: str = "") -> str:
    """Return an entity that can be picked."""
    shown = f"{entity} {label}".strip()
    return f"<span class='go' data-pick=\"{escape(entity)}\">{chips([(shown, note)])}</span>"
