"""The catalog as HTML: a fragment for cells, a page of its own for browsers."""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.catalog import words
from workbench.catalog.markup import bars, chips, heading, left_out, meter, picks, series, table, text

if TYPE_CHECKING:
    from workbench.catalog.catalog import Catalog
    from workbench.catalog.markup import Cell
    from workbench.catalog.model import EventType, Field, KnowledgeKind, Segment

__all__ = ["to_fragment", "to_page"]

_TYPES = 40
_FIELDS = 80
_VALUES = 6
_PROPERTIES = 12
_BARS = 122
_DAYS = 14
_LINES = 20
_FINDINGS = 5


@cache
def _style() -> str:
    return Path(__file__).with_name("catalog.css").read_text(encoding="utf-8")


def to_fragment(catalog: Catalog) -> str:
    """Return the catalog as one element with its style; see :meth:`Catalog.to_html`."""
    sections = (
        _workspace(catalog),
        _alerts(catalog),
        _event_types(catalog),
        _entity_types(catalog),
        _edge_types(catalog),
        _references(catalog),
        _knowledge(catalog),
        _segments(catalog),
        _quarantine(catalog),
    )
    return f'<div class="wb-catalog"><style>{_style()}</style>{"".join(sections)}</div>'


def to_page(catalog: Catalog) -> str:
    """Return the catalog as an HTML document that follows the browser's light or dark scheme."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(catalog.workspace.path)} · workbench catalog</title>"
        "<style>:root { color-scheme: light dark } body { margin: 24px }</style></head>"
        f"<body>{to_fragment(catalog)}</body></html>"
    )


def _workspace(catalog: Catalog) -> str:
    facts, zone = catalog.workspace, catalog.timezone
    status = "damaged" if facts.findings else "stale" if facts.stale_segments else "ok"
    sources = ", ".join(f"{count:,} {name}" for name, count in facts.sources.items())
    tiles = {
        "documents": f"{facts.documents:,}",
        "of test accounts": f"{facts.test_documents:,}" if facts.test_documents else "",
        "segments": f"{facts.segments:,}",
        "first": words.clock(facts.first, zone),
        "now": words.clock(facts.now, zone),
        "time zone": zone,
        "window": facts.window,
        "schema": facts.schema,
        "generation": f"{facts.generation:,}",
        "stored": f"{words.size(facts.bytes)} in {words.quantity(facts.files, 'file')}",
        "disk free": words.size(facts.disk_free),
        "sources": sources,
    }
    drawn = "".join(f"<div><dt>{n}</dt><dd>{escape(v)}</dd></div>" for n, v in tiles.items() if v)
    health = f'<span class="pill {status}">●</span> {escape(words.health(facts))}'
    return (
        f"<h2>workbench catalog</h2><p class='soft'>{escape(facts.path)}</p>"
        f'<dl class="tiles">{drawn}</dl><p>{health}</p>'
    )


def _alerts(catalog: Catalog) -> str:
    failing = [f"{name} fails: {error}" for name, error in catalog.workspace.failing.items()]
    found = [*catalog.problems, *catalog.workspace.findings, *failing]
    if not found:
        return ""
    lines = "".join(f"<li>{escape(line)}</li>" for line in found[:_FINDINGS])
    return f'<div class="alert"><ul>{lines}</ul>{left_out(len(found), _FINDINGS, "finding")}</div>'


def _event_types(catalog: Catalog) -> str:
    events = sorted(catalog.event_types, key=lambda event: -event.documents)
    if not events:
        return heading("Event types") + "<p>None yet: ingest() brings documents in.</p>"
    drawn = "".join(_event_type(event, catalog.timezone) for event in events[:_TYPES])
    period = next((f"events by {e.counts.period}, " for e in events if e.counts.events), "")
    note = f"{len(events)}; {period}times in {catalog.timezone}"
    return heading("Event types", note) + drawn + left_out(len(events), _TYPES, "event type")


def _event_type(event: EventType, zone: str) -> str:
    span = (
        f"{words.clock(event.first, zone)} to {words.clock(event.last, zone)}"
        if event.first
        else "no documents"
    )
    tests = (
        f"{words.quantity(event.test_documents, 'document')} of test accounts. "
        if event.test_documents
        else ""
    )
    also = f"Also: {', '.join(event.synonyms)}. " if event.synonyms else ""
    about = " ".join(filter(None, [event.description, also, tests]))
    # keys first, then what is filled best: a sparse log has more columns than anybody reads
    ordered = sorted(event.fields, key=lambda field: (not field.entities, field.null_share, field.name))
    head = ("field", "type", "key of", "null", "distinct", "smallest", "largest", "most frequent", "examples")
    fields = table(head, [_field(field) for field in ordered[:_FIELDS]]) if ordered else ""
    return (
        f'<details><summary class="event"><b>{text(event.name)}</b>'
        f'<span class="number">{event.documents:,}</span><span class="part">{meter(event.share)}</span>'
        f'<span class="when">{escape(span)}</span>{series(event.counts, event.name, zone)}</summary>'
        f'<div class="inside"><p>{escape(about)}</p>{fields}'
        f"{left_out(len(ordered), _FIELDS, 'field')}</div></details>"
    )


def _field(field: Field) -> list[Cell]:
    least = "" if field.top_exact else "≥ "
    top = chips((value, f"{least}{count:,}") for value, count in field.top[:_VALUES])
    rest = field.distinct - min(_VALUES, len(field.top))
    about = "about " if field.estimated else ""
    more = f'<span class="soft">{about}{rest:,} more</span>' if rest > 0 else ""
    return [
        (text(field.name), "name"),
        (text(field.type), "whole"),
        (chips(((entity, "") for entity in field.entities), "key"), ""),
        (meter(field.null_share, lack=True) if field.nulls else "", "whole"),
        (words.distinct(field), "number"),
        (text(field.minimum), ""),
        (text(field.maximum), ""),
        (top + more, ""),
        (chips((value, "") for value in field.examples), ""),
    ]


def _entity_types(catalog: Catalog) -> str:
    types = catalog.entity_types
    if not types:
        return ""
    rows: list[list[Cell]] = [
        [
            (f'<span title="{escape(entity.description)}">{text(entity.name)}</span>', "name"),
            (f"{entity.count:,}", "number"),
            (words.kinds(who=entity.who, attribute=entity.attribute), "whole"),
            (f"{entity.sightings:,}", "number"),
            (
                picks(
                    (s.entity, s.label or s.key, f"{s.sightings:,}" if s.sightings else "")
                    for s in entity.samples
                ),
                "",
            ),
            (
                chips((p.name, words.share(p.coverage)) for p in entity.properties[:_PROPERTIES])
                + left_out(len(entity.properties), _PROPERTIES, "property"),
                "",
            ),
        ]
        for entity in types[:_TYPES]
    ]
    head = ("type", "entities", "", "sightings", "most seen", "properties with coverage")
    note = f"{len(types)}; who: an actor; attribute: traversal does not go through it"
    return heading("Entity types", note) + table(head, rows) + left_out(len(types), _TYPES, "entity type")


def _edge_types(catalog: Catalog) -> str:
    types = catalog.edge_types
    if not types:
        return ""
    rows: list[list[Cell]] = [
        [
            (text(edge.name), "name"),
            (f"{text(edge.source)} → {text(edge.target)}", "whole"),
            (f"{edge.count:,}", "number"),
            (f"{edge.weight:,}", "number"),
            (words.clock(edge.first_seen, catalog.timezone), "whole"),
            (words.clock(edge.last_seen, catalog.timezone), "whole"),
            (escape(edge.description), ""),
        ]
        for edge in types[:_TYPES]
    ]
    head = ("type", "from → to", "edges", "weight", "first seen", "last seen", "")
    note = f"{len(types)}; weight: events that show the edges; times in {catalog.timezone}"
    return heading("Edge types", note) + table(head, rows) + left_out(len(types), _TYPES, "edge type")


def _references(catalog: Catalog) -> str:
    tables = catalog.references
    if not tables:
        return ""
    rows: list[list[Cell]] = [
        [
            (text(reference.name), "name"),
            (f"{reference.rows:,}", "number"),
            (text(reference.description), ""),
            (
                chips((column, "") for column in reference.columns[:_PROPERTIES])
                + left_out(len(reference.columns), _PROPERTIES, "column"),
                "",
            ),
        ]
        for reference in tables[:_LINES]
    ]
    body = table(("table", "rows", "", "columns"), rows)
    return (
        heading("Reference tables", str(len(tables)))
        + body
        + left_out(len(tables), _LINES, "reference table")
    )


def _knowledge(catalog: Catalog) -> str:
    kinds = catalog.knowledge
    if not kinds:
        return ""
    head = ("kind", "rows", "as of", "", "algorithm", "device", "figures", "parameters", "runs", "computed")
    body = table(head, [_kind(kind, catalog.timezone) for kind in kinds[:_TYPES]])
    note = f"{len(kinds)}; the newest run of each; times in {catalog.timezone}"
    return heading("Knowledge", note) + body + left_out(len(kinds), _TYPES, "kind")


def _kind(kind: KnowledgeKind, zone: str) -> list[Cell]:
    parameters = [*kind.parameters.items(), ("seed", kind.seed)]
    why = f'<br><span class="soft">not on {escape(kind.fallback)}</span>' if kind.fallback else ""
    took = f", {words.memory(kind.memory)}" if kind.memory else ""
    return [
        (text(kind.kind), "name"),
        (f"{kind.rows:,}", "number"),
        (words.clock(kind.asof, zone), "whole"),
        (words.age(kind.age), "whole"),
        (text(kind.algorithm), ""),
        (f"{text(kind.device)}, {kind.seconds:.3g} s{took}{why}", ""),
        (chips((name, f"{value:.4g}") for name, value in kind.metrics.items()), ""),
        (chips((name, str(value)) for name, value in parameters), ""),
        (f"{kind.runs:,}", "number"),
        (words.clock(kind.created, zone), "whole"),
    ]


def _segments(catalog: Catalog) -> str:
    days = catalog.segments
    if not days:
        return ""
    step = -(-len(days) // _BARS)
    groups = [days[n : n + step] for n in range(0, len(days), step)]
    each = f", {step} a bar" if step > 1 else ""
    timeline = bars(
        [sum(day.documents for day in group) for group in groups],
        [_group_title(group) for group in groups],
        [_worst(group) for group in groups],
        f"documents of {len(days)} segments from {days[0].day} to {days[-1].day}",
        "days",
    )
    ends = f'<div class="ends"><span>{days[0].day}</span><span>{days[-1].day}</span></div>'
    newest = days[: -_DAYS - 1 : -1]
    rows: list[list[Cell]] = [
        [
            (day.day, "name"),
            (f"{day.documents:,}", "number"),
            (chips((name, f"{rows:,}") for name, rows in day.rows.items()), ""),
            (f"{day.files:,}", "number"),
            (words.size(day.bytes), "number"),
            (f'<span class="{day.status}">{day.status}</span>', ""),
        ]
        for day in newest
    ]
    body = table(("UTC day", "documents", "by event type", "files", "stored", "health"), rows)
    title = f"the newest {len(newest)}" if len(days) > len(newest) else "each of them"
    return (
        f"{heading('Segments', f'{len(days):,}, one a UTC day{each}')}{timeline}{ends}"
        f"<details><summary>{title}</summary>{body}{left_out(len(days), len(newest), 'segment')}</details>"
    )


def _group_title(group: tuple[Segment, ...]) -> str:
    span = group[0].day if len(group) == 1 else f"{group[0].day} to {group[-1].day}"
    findings = [finding for day in group for finding in day.findings]
    stale = (
        f"; {words.quantity(sum(d.stale for d in group), 'stale segment')}"
        if any(d.stale for d in group)
        else ""
    )
    wrong = f"; {words.quantity(len(findings), 'finding')}" if findings else ""
    return f"{span}: {words.quantity(sum(day.documents for day in group), 'document')}{wrong}{stale}"


def _worst(group: tuple[Segment, ...]) -> str:
    found = {day.status for day in group}
    return next(status for status in ("damaged", "stale", "ok") if status in found)


def _quarantine(catalog: Catalog) -> str:
    found = catalog.quarantine
    if not found.records and not found.sources:
        return ""
    note = f"{words.quantity(found.records, 'record')}, {words.quantity(len(found.sources), 'whole source')}"
    reasons = list(found.reasons.items())
    sources = list(found.sources.items())
    parts = [heading("Quarantine", note)]
    if reasons:
        rows: list[list[Cell]] = [
            [(f"{n:,}", "number"), (text(reason), "")] for reason, n in reasons[:_LINES]
        ]
        parts += [table(("records", "reason"), rows), left_out(len(reasons), _LINES, "reason")]
    if sources:
        whole: list[list[Cell]] = [
            [(escape(name), ""), (escape(reason), "")] for name, reason in sources[:_LINES]
        ]
        parts += [table(("source", "reason"), whole), left_out(len(sources), _LINES, "source")]
    return "".join(parts)
