"""What a question speaks of: the names of the workspace that its words can stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.plans.grammar.language import load_language
from workbench.plans.grammar.lexicon import Lexicon
from workbench.plans.grammar.tokens import tokenize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workbench.plans.grammar.senses import Item
    from workbench.plans.world import World

__all__ = ["Mentions", "mentions"]

_SURE = 0.85  # of a word's score, from which on a name counts as mentioned
_MOST_ENTITIES = 12


@dataclass(frozen=True)
class Mentions:
    """The names that a question mentions, in its order, with what the workspace has besides.

    Attributes:
        lexicon: All names.
        events: Event types, and the schema's nouns for several of them.
        fields: Fields of events.
        types: Entity types.
        entities: Entities, as ``type:key``.
        values: Values of fields.
        edges: Edge types.
        kinds: Kinds of knowledge.
        periods: Times by what they are called: since, until.
        buckets: Lengths of time to group by.
        numbers: Numbers that are no key and no time.
    """

    lexicon: Lexicon
    events: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    values: tuple[tuple[str, Any], ...] = ()
    edges: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    periods: tuple[tuple[str, str | None, str | None], ...] = ()
    buckets: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()


def mentions(question: str, world: World) -> Mentions:
    """Return what a question mentions."""
    language = load_language("english")
    lexicon = Lexicon(world, language)
    items = lexicon.senses(tokenize(question, language))
    kept = _outermost([item for item in items if item.score >= _SURE * (item.j - item.i)])

    def of(*categories: str) -> list[Any]:
        found = [item for item in kept if item.category in categories]
        return [item.value for item in sorted(found, key=lambda item: (item.i, item.i - item.j))]

    return Mentions(
        lexicon,
        events=_distinct(name for ref in of("EVENT") for name in ((ref.term,) if ref.term else ref.types)),
        fields=_distinct(_fields(lexicon, of("FIELD"), of("ROLE", "KIND"))),
        types=_distinct(ref.type for ref in of("KIND", "ROLE")),
        entities=_distinct(_entities(of("KEY", "KEYNUM", "LABEL")))[:_MOST_ENTITIES],
        values=_distinct(pair for ref in of("VAL") for pair in ref.names if "." not in pair[0]),
        edges=_distinct(name for ref in of("EDGE") for name in ref.names),
        kinds=_distinct(ref.kind for ref in of("KNOW")),
        periods=_distinct((p.name, p.since, p.until) for p in of("TIME")),
        buckets=_distinct(b.unit for b in of("BUCKET", "BUCKETADJ")),
        numbers=_distinct(number.value for number in of("NUM")),
    )


def _outermost(items: Sequence[Item]) -> list[Item]:
    """Leave out names of things, numbers and times that are only a part of a longer name."""
    whole = {"KEY", "KEYNUM", "LABEL", "TIME", "VAL"}
    longer = {*whole, "EVENT", "FIELD", "KIND", "KNOW", "ROLE"}
    spans = {(item.i, item.j) for item in items if item.category in longer}

    def inside(item: Item) -> bool:
        return any(i <= item.i and item.j <= j and (i, j) != (item.i, item.j) for i, j in spans)

    taken = {(item.i, item.j) for item in items if item.category == "TIME"}
    return [
        item
        for item in items
        if not (item.category in {*whole, "NUM"} and inside(item))
        and not (item.category in {"KEYNUM", "NUM"} and (item.i, item.j) in taken)
    ]


def _entities(values: Iterable[Any]) -> Iterable[str]:
    for names, _ in values:
        yield from (names,) if isinstance(names, str) else names


def _fields(lexicon: Lexicon, fields: Iterable[Any], roles: Iterable[Any]) -> Iterable[str]:
    for ref in fields:
        yield from ref.names
    wanted = [(getattr(ref, "role", ""), ref.type) for ref in roles]
    for name, ref in lexicon.key_fields.items():
        if any(type_ == ref.type and role in ("", ref.role) for role, type_ in wanted):
            yield name


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))
