"""The catalog as text: what fits on a screen, and how much more there is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from workbench.catalog import words
from workbench.tabular import cell_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workbench.catalog.catalog import Catalog
    from workbench.catalog.model import EventType, Field

__all__ = ["LINES", "WIDTH", "to_text"]

LINES = 60
WIDTH = 120
_EVENTS = 6
_MOST = (8, 5, 3, 2)  # entries of a section: the first number with which there is room for all sections
_NAMED = 6
_MOST_FIELDS = 12
_REST = "  what is left out here is in to_html() and to_json()"
_PLAIN = ZoneInfo("UTC")  # of texts, in which no time is shown


def to_text(catalog: Catalog) -> str:
    """Return at most :data:`LINES` lines of at most :data:`WIDTH` characters.

    Every section shows its first entries and counts the others; the lines that are left go to the
    fields of the event types, the same number to each.
    """
    shown = _by_size(catalog.event_types)[:_EVENTS]
    for most in _MOST:
        head = [*_workspace(catalog, most), *_section("could not be read", catalog.problems, most)]
        tail = [
            *_entity_types(catalog, most),
            *_edge_types(catalog, most),
            *_references(catalog, most),
            *_knowledge(catalog, most),
            *_segments(catalog),
            *_quarantine(catalog, most),
        ]
        # the title, what is left out of the types, and the last line
        left = LINES - len(head) - len(tail) - 3 - len(shown)
        if left >= len(shown):
            break
    fields = min(_MOST_FIELDS, left // max(1, len(shown)) - 1)
    lines = [*head, *_event_types(catalog, shown, fields), *tail]
    cut = [*map(_cut, lines)]
    return "\n".join([*cut, *([_REST] if any("…" in line for line in cut) else [])])


def _cut(line: str) -> str:
    line = "".join(character if character.isprintable() else "·" for character in line)
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def _aligned(rows: Sequence[Sequence[str]], right: frozenset[int]) -> list[str]:
    """Return rows as columns two spaces apart, those in ``right`` flush right."""
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if n in right else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return [f"  {line}".rstrip() for line in lines]


def _section(title: str, lines: Sequence[str], most: int) -> list[str]:
    """Return a title and its first lines, with how many there are beyond; nothing for an empty section."""
    if not lines:
        return []
    more = [f"  … {len(lines) - most:,} more"] if len(lines) > most else []
    return [title, *(line if line.startswith("  ") else f"  {line}" for line in lines[:most]), *more]


def _workspace(catalog: Catalog, most: int) -> list[str]:
    facts = catalog.workspace
    sources = ", ".join(f"{count:,} {status}" for status, count in facts.sources.items())
    tests = f", {facts.test_documents:,} of them of test accounts" if facts.test_documents else ""
    span = ""
    if facts.now:
        first, now = (words.clock(t, catalog.timezone) for t in (facts.first, facts.now))
        span = f", {first} to {now} (now)"
    documents = f"{words.quantity(facts.documents, 'document')}{tests}"
    sources = f"; sources: {sources}" if sources else ""
    disk = f"{words.size(facts.disk_free)} of disk free"
    zone = f"times in {facts.timezone}"
    lines = [
        f"workbench catalog of {facts.path}",
        f"  generation {facts.generation}, schema {facts.schema}, window {facts.window}, {zone}",
        f"  {documents} in {words.quantity(facts.segments, 'segment')}{span}",
        f"  {words.size(facts.bytes)}, {words.health(facts)}; {disk}{sources}",
    ]
    return [*lines, *(f"  {line.strip()}" for line in _section("", facts.findings, most)[1:])]


def _by_size(types: Sequence[EventType]) -> list[EventType]:
    return sorted(types, key=lambda event: -event.documents)


def _event_types(catalog: Catalog, shown: Sequence[EventType], fields: int) -> Iterator[str]:
    if not shown:
        yield "no event types yet"
        return
    period = next((e.counts.period for e in shown if e.counts.events), "")
    yield f"event types ({len(catalog.event_types)})" + (f", events by {period}" if period else "")
    rows = [
        [
            event.name,
            f"{event.documents:,}",
            words.share(event.share),
            f"{words.clock(event.first, catalog.timezone)} to {words.clock(event.last, catalog.timezone)}"
            if event.first
            else "no documents",
            words.spark(event.counts.events),
        ]
        for event in shown
    ]
    for event, line in zip(shown, _aligned(rows, frozenset({1, 2})), strict=True):
        yield line
        yield from _fields(event, fields)
    if len(catalog.event_types) > len(shown):
        rest = _by_size(catalog.event_types)[len(shown) :]
        yield f"  … {len(rest):,} more: {words.listed([e.name for e in rest], _NAMED)}"


def _fields(event: EventType, most: int) -> Iterator[str]:
    # keys first, then what is filled best: a sparse log has more columns than anybody reads
    ordered = sorted(event.fields, key=lambda field: (not field.entities, field.null_share))
    for line in _aligned([_field(field) for field in ordered[:most]], frozenset({2, 3})):
        yield f"    {line}"
    rest = [field.name for field in ordered[most:]]
    if rest:
        more = "more " if most else ""
        yield f"      … {len(rest):,} {more}fields: {words.listed(rest, _NAMED)}"


def _field(field: Field) -> list[str]:
    top = ", ".join(words.top_value(field, value, count) for value, count in field.top[:2])
    span = (
        ""
        if field.minimum is None
        else f"{cell_text(field.minimum, _PLAIN)} to {cell_text(field.maximum, _PLAIN)}"
    )
    nulls = f"{words.share(field.null_share)} null" if field.nulls else ""
    key = f"→ {', '.join(field.entities)}" if field.entities else ""
    return [field.name, field.type, nulls, words.distinct(field), span, "; ".join(filter(None, [key, top]))]


def _entity_types(catalog: Catalog, most: int) -> list[str]:
    rows = [
        [
            entity.name,
            f"{entity.count:,}",
            words.kinds(who=entity.who, attribute=entity.attribute),
            ", ".join(cell_text(sample.label or sample.key, _PLAIN) for sample in entity.samples[:2]),
            words.listed([f"{p.name} {words.share(p.coverage)}" for p in entity.properties], 2),
        ]
        for entity in catalog.entity_types
    ]
    title = f"entity types ({len(rows)}): most seen; properties with coverage"
    return _section(title, _aligned(rows, frozenset({1})), most)


def _edge_types(catalog: Catalog, most: int) -> list[str]:
    rows = [
        [edge.name, f"{edge.source} → {edge.target}", f"{edge.count:,}", f"weight {edge.weight:,}"]
        for edge in catalog.edge_types
    ]
    return _section(f"edge types ({len(rows)})", _aligned(rows, frozenset({2, 3})), most)


def _references(catalog: Catalog, most: int) -> list[str]:
    rows = [[r.name, f"{r.rows:,}", words.listed(r.columns, _NAMED)] for r in catalog.references]
    return _section(f"reference tables ({len(rows)})", _aligned(rows, frozenset({1})), most)


def _knowledge(catalog: Catalog, most: int) -> list[str]:
    shown = catalog.knowledge[:most]
    rows = [
        [
            kind.kind,
            f"{kind.rows:,} rows",
            f"as of {words.clock(kind.asof, catalog.timezone)}, {words.age(kind.age)}",
            f"{kind.algorithm} on {kind.device}",
        ]
        for kind in shown
    ]
    pairs = zip(_aligned(rows, frozenset({1})), shown, strict=True)
    lines = [line for row, kind in pairs for line in (row, f"    {words.run_facts(kind)}")]
    more = len(catalog.knowledge) - len(shown)
    lines += [f"  … {more:,} more"] if more else []
    lines += [f"  not on {why}" for why in dict.fromkeys(kind.fallback for kind in shown if kind.fallback)]
    return _section(f"knowledge ({len(catalog.knowledge)})", lines, len(lines))


def _segments(catalog: Catalog) -> list[str]:
    days = catalog.segments
    if not days:
        return []
    # as many bars as fit: neighbouring days share one where there are more
    step = -(-len(days) // (WIDTH // 2))
    bars = [sum(day.documents for day in days[n : n + step]) for n in range(0, len(days), step)]
    each = f", {step} segments a bar" if step > 1 else ""
    statuses = ", ".join(f"{count:,} {status}" for status, count in Counter(d.status for d in days).items())
    title = f"segments ({len(days):,}: {statuses}), {days[0].day} to {days[-1].day}{each}"
    return [title, f"  {words.spark(bars)}"]


def _quarantine(catalog: Catalog, most: int) -> list[str]:
    found = catalog.quarantine
    lines = [f"{count:,} {reason}" for reason, count in found.reasons.items()]
    lines += [f"whole source {words.path_end(name)}: {reason}" for name, reason in found.sources.items()]
    counted = f"{words.quantity(found.records, 'record')}, {words.quantity(len(found.sources), 'source')}"
    return _section(f"quarantine ({counted})", lines, most)
