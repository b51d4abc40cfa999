"""The catalog for a language model: within a budget of tokens, what matters for the question first."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.catalog import words
from workbench.errors import UsageError
from workbench.given import whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from workbench.catalog.catalog import Catalog
    from workbench.catalog.model import EdgeType, EntityType, EventType, Field, KnowledgeKind

__all__ = ["DATA_END", "DATA_START", "prompt", "tokens"]

DATA_START, DATA_END = "<data>", "</data>"
_PIECES = re.compile(r"[^\W\d_]{1,4}|\d|_|[^\w\s]|\s(?=\s)|\n")
_VALUES = 4  # samples of a field
_LONGEST_VALUE = 40
_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")
_RESERVE = 40  # tokens of the line that says what was left out
_LEAST = 100
# How much each kind of line matters where the question says nothing.
_EVENT, _ENTITY, _EDGE, _KNOWLEDGE, _KEY_FIELD, _FIELD, _SAMPLE = 90.0, 80.0, 60.0, 55.0, 50.0, 40.0, 10.0
_MENTIONED = 100.0
_PLURALS = {"kind of knowledge": "kinds of knowledge", "list of values": "lists of values"}


def tokens(text: str) -> int:
    """Return about how many tokens a text has, rather too many: a word is a token for each four letters.

    >>> tokens("carrier: string")
    5
    """
    return len(_PIECES.findall(text))


@dataclass(frozen=True)
class _Line:
    """A line of the prompt.

    Attributes:
        text: The line.
        worth: How much it matters.
        section: What it stands under.
        parent: Number of the line without which it means nothing; -1 for none.
        data: Whether it holds values of the data.
    """

    text: str
    worth: float
    section: str
    parent: int = -1
    data: bool = False


def prompt(
    catalog: Catalog,
    budget: int = 2000,
    question: str = "",
    *,
    values: bool = True,
    hidden: Collection[str] = (),
) -> str:
    """Return what there is, as text for a model; the same for the same catalog and question.

    Names, types and counts come from the schema and from aggregates. Values of the data are strangers':
    they stand between :data:`DATA_START` and :data:`DATA_END` as JSON, which cannot end the section, and
    only where they are allowed.

    Args:
        catalog: What there is.
        budget: The most tokens, counted by :func:`tokens`.
        question: What is asked; what it mentions comes first where not all fits.
        values: Whether frequent values of fields are shown.
        hidden: Fields whose values are not shown in any case.

    Raises:
        UsageError: If the budget is below 100 tokens: nothing useful fits.
    """
    if whole(budget, "budget") < _LEAST:
        raise UsageError(f"{budget} tokens are too few for a catalog.", fix=f"Give at least {_LEAST}.")
    head = _head(catalog)
    lines = _lines(catalog, {w.casefold() for w in _WORD.findall(question)}, values=values, hidden=hidden)
    spent = tokens(head) + 1 + _RESERVE + tokens(f"{DATA_START}\n{DATA_END}\n")
    kept: set[int] = set()
    # a line needs its parent's; among equals the earlier one comes first
    for number in sorted(range(len(lines)), key=lambda n: (-lines[n].worth, n)):
        line = lines[number]
        missing = [n for n in (line.parent, number) if n >= 0 and n not in kept]
        cost = sum(tokens(lines[n].text) + 1 for n in missing)
        if spent + cost <= budget:
            spent += cost
            kept.update(missing)
    facts = [line.text for n, line in enumerate(lines) if n in kept and not line.data]
    samples = [line.text for n, line in enumerate(lines) if n in kept and line.data]
    block = [DATA_START, *samples, DATA_END] if samples else []
    left = _left_out([line for n, line in enumerate(lines) if n not in kept])
    return "\n".join([head, *facts, *block, *([left] if left else [])])


def _head(catalog: Catalog) -> str:
    facts = catalog.workspace
    if facts.first is None or facts.now is None:
        return "The workspace is empty."
    first, now = (words.clock(time, catalog.timezone) for time in (facts.first, facts.now))
    return f"Events from {first} to {now} (now), times in {catalog.timezone}."


def _lines(catalog: Catalog, asked: set[str], *, values: bool, hidden: Collection[str]) -> list[_Line]:
    lines: list[_Line] = []
    samples: list[_Line] = []
    for event in sorted(catalog.event_types, key=lambda e: (-e.documents, e.name)):
        named = _mentioned(asked, event.name, *event.synonyms)
        own = len(lines)
        lines.append(_Line(_event(event), _EVENT + named, "event type"))
        for field in sorted(event.fields, key=lambda f: (not f.entities, f.null_share, f.name)):
            worth = (_KEY_FIELD if field.entities else _FIELD) + named / 2 + _mentioned(asked, field.name)
            lines.append(_Line(f"  {_field(field)}", worth, "field", own))
            if values and field.name not in hidden and field.type == "string" and field.top:
                shown = _values(field)
                hit = _mentioned(asked, *(value for value, _ in field.top))
                text = f"{event.name}.{field.name}: {shown}"
                samples.append(_Line(text, _SAMPLE + (worth + hit) / 4, "list of values", own, data=True))
    lines += [*_of_graph(catalog, asked), *_of_knowledge(catalog, asked)]
    return [*lines, *samples]


def _of_graph(catalog: Catalog, asked: set[str]) -> Iterator[_Line]:
    for entity in catalog.entity_types:
        worth = _ENTITY + _mentioned(asked, entity.name, *entity.synonyms)
        yield _Line(_entity(entity), worth, "entity type")
    for edge in catalog.edge_types:
        worth = _EDGE + _mentioned(asked, edge.name, edge.source, edge.target, *edge.synonyms)
        yield _Line(_edge(edge), worth, "edge type")


def _of_knowledge(catalog: Catalog, asked: set[str]) -> Iterator[_Line]:
    for kind in catalog.knowledge:
        worth = _KNOWLEDGE + _mentioned(asked, kind.kind)
        yield _Line(_knowledge(kind, catalog.timezone), worth, "kind of knowledge")


def _mentioned(asked: set[str], *names: str) -> float:
    """Return how much a question speaks of one of some names: by the share of a name's words in it."""
    best = 0.0
    for name in names:
        parts = [part.casefold() for word in _WORD.findall(name) for part in _HUMP.split(word) if part]
        if parts:
            hits = sum(any(_alike(part, word) for word in asked) for part in parts)
            best = max(best, hits / len(parts))
    return _MENTIONED * best


def _alike(part: str, word: str) -> bool:
    """Return whether two words have a beginning in common that is most of both.

    >>> _alike("departure", "departures"), _alike("cancellation", "cancelled"), _alike("arr", "are")
    (True, True, False)
    """
    same = next(
        (n for n, (a, b) in enumerate(zip(part, word, strict=False)) if a != b), min(len(part), len(word))
    )
    return part == word or (same >= 3 and same >= 0.5 * max(len(part), len(word)))


def _event(event: EventType) -> str:
    also = f" (also: {', '.join(event.synonyms)})" if event.synonyms else ""
    about = f": {event.description}" if event.description else ""
    return f"event {event.name}{also}, {event.documents:,} documents{about}"


def _field(field: Field) -> str:
    key = f" = key of {', '.join(field.entities)}" if field.entities else ""
    nulls = f", {words.share(field.null_share)} null" if field.nulls else ""
    span = ""
    if field.type in ("int64", "float64") and not field.entities and field.minimum is not None:
        span = f", {field.minimum} to {field.maximum}"
    return f"{field.name}: {field.type}{key}, {words.distinct(field)} distinct{span}{nulls}"


def _values(field: Field) -> str:
    shown = [
        value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}…"
        for value, _ in field.top[:_VALUES]
    ]
    # JSON keeps each value on its line, within its quotes; "<" is escaped so that no value ends the section
    return json.dumps(shown, ensure_ascii=False).replace("<", "\\u003c")


def _entity(entity: EntityType) -> str:
    also = f" (also: {', '.join(entity.synonyms)})" if entity.synonyms else ""
    known = f", properties {', '.join(p.name for p in entity.properties)}" if entity.properties else ""
    return f"entity {entity.name}{also}, {entity.count:,}{known}"


def _edge(edge: EdgeType) -> str:
    also = f" (also: {', '.join(edge.synonyms)})" if edge.synonyms else ""
    return f"edge {edge.name}{also}: {edge.source} to {edge.target}, {edge.count:,}"


def _knowledge(kind: KnowledgeKind, timezone: str) -> str:
    asof = words.clock(kind.asof, timezone)
    return f"knowledge {kind.kind}: {kind.algorithm}, {kind.rows:,} rows, as of {asof}"


def _left_out(lines: Sequence[_Line]) -> str:
    """Return a sentence that counts the lines by section, or nothing."""
    counts = Counter(line.section for line in lines)
    said = [
        words.quantity(count, name).replace(f"{name}s", _PLURALS.get(name, f"{name}s"))
        for name, count in counts.items()
    ]
    return f"Left out: {', '.join(said)}." if said else ""
