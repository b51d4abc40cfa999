"""What the composers share: the parts of one reading, times, and how things are called."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from workbench.plans.grammar.senses import (
    Ask,
    Decline,
    EntityRef,
    EventRef,
    FieldRef,
    KindRef,
    Part,
    PropertyRef,
    RoleRef,
)
from workbench.plans.grammar.times import Period
from workbench.plans.grammar.tokens import split_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workbench.plans.grammar.lexicon import Lexicon
    from workbench.plans.grammar.tokens import Token
    from workbench.plans.model import Render, Step

__all__ = ["Context", "Draft", "listed"]


@dataclass
class Draft:
    """A plan in the making.

    Attributes:
        steps: Its steps.
        renders: How they are shown.
        reading: What the question was taken to mean, in clauses.
        notes: What was assumed.
        suggestions: Questions to ask next.
        doubt: How much the reading strains the question.
        same: What it is a set of: two drafts that say the same here are one answer by two ways.
    """

    steps: list[Step]
    renders: list[Render]
    reading: list[str]
    notes: list[str] = field(default_factory=list)
    suggestions: list[str] = field(default_factory=list)
    doubt: float = 0.0
    same: tuple[object, ...] = ()


def listed(words: Sequence[str], last: str = "and", most: int = 8) -> str:
    """Return words as a list, with how many were left out.

    >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], "or", 2)
    ('a, b and c', 'a, b or 1 more')
    """
    if len(words) > most:
        words = [*words[:most], f"{len(words) - most:,} more"]
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else list(words))


class Context:
    """One reading of a question: its parts, and which of them have been understood.

    Args:
        lexicon: The words of the workspace.
        tokens: The question.
        parts: The constituents that cover it.
        them: Entities that "those" stands for, where a conversation gave them.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        tokens: Sequence[Token],
        parts: Sequence[Part],
        them: tuple[str, ...] = (),
    ) -> None:
        self.lexicon = lexicon
        self.tokens = tokens
        self.parts = list(parts)
        self.them = them
        self.used: set[int] = set()
        self.expected: frozenset[str] = frozenset()

    # parts

    def of(self, *kinds: str) -> list[Part]:
        """Return the parts of some kinds that are not used yet, in their order."""
        return [p for p in self.parts if p.kind in kinds and id(p) not in self.used]

    def take(self, *kinds: str) -> list[Part]:
        """Return the parts of some kinds and mark them as used."""
        found = self.of(*kinds)
        self.use(*found)
        return found

    def use(self, *parts: Part) -> None:
        """Mark parts as used."""
        self.used.update(id(p) for p in parts)

    def has(self, *kinds: str) -> bool:
        """Return whether a part of these kinds is left."""
        return bool(self.of(*kinds))

    @property
    def left(self) -> list[Part]:
        """Return the parts that nothing has used, without those that say nothing of their own."""
        silent = {
            "w:follow",
            "w:again",
            "w:events",
            "w:which_of",
            "w:as_table",
            "w:as_bar",
            "w:only",
            "w:compare",
        }
        return [p for p in self.parts if id(p) not in self.used and p.kind not in silent]

    def text(self, part: Part) -> str:
        """Return the words of a part as they were typed."""
        return " ".join(t.text for t in self.tokens[part.i : part.j])

    def preposition(self, part: Part) -> str:
        """Return how a verb is joined to its entities: "from", "to", "at" or nothing.

        Raises:
            Decline: If further on in the list of entities it is joined otherwise.
        """
        said = [t.word for t in self.tokens[part.i : part.j] if t.word in ("from", "to", "at")]
        if len(set(said)) > 1:
            raise Decline(f"{self.text(part)!r} says both {listed(list(dict.fromkeys(said)))}.")
        return said[0] if said else ""

    def is_only(self, part: Part) -> bool:
        """Return whether a part says that there is nothing else: "only from", or "only" before it."""
        words = self.lexicon.language.data["words"]["only"]
        return getattr(part.value, "only", False) or (part.i > 0 and self.tokens[part.i - 1].word in words)

    def asked_which(self) -> bool:
        """Return whether the question asks for a list: which, what, show, list."""
        wanted = {"which", "what", "who", "list", "show", "find", "give", "display"}
        return any(t.word in wanted for t in self.tokens)

    # times

    def periods(self) -> tuple[list[Period], bool]:
        """Return the times of the question, and whether they are to be compared."""
        found: list[Period] = []
        compared = False
        for part in self.take("when", "whens"):
            found += list(part.value)
            compared |= part.kind == "whens"
        if len(found) == 2 and not compared:
            merged = _narrowed(found[0], found[1])
            if merged is not None:
                found = [merged]
        if self.of("w:versus") and len(found) > 1:
            self.take("w:versus")
        for period in found:
            self._inside(period)
        return found, len(found) > 1

    def _inside(self, period: Period) -> None:
        window = self.lexicon.window
        if window is None:
            raise Decline("There are no events yet.")
        first, last = window[0].date(), window[1].date()
        since, until = _date(period.since), _date(period.until)
        if (since and since > last) or (until and until <= first):
            raise Decline(
                f"There are no data for {period.name}: the events run from {first} to {last} "
                f"({self.lexicon.timezone}).",
                final=True,
            )

    # names

    def event_noun(self, ref: EventRef) -> str:
        """Return what events are called in a sentence."""
        kinds = listed([f"{t}" for t in ref.types])
        return f"{ref.term} events ({kinds})" if ref.term else f"{kinds} events"

    def events_noun(self, event: str) -> str:
        """Return the plural that events of a type go by: tickets opened, logins."""
        words = split_name(event)
        if self.lexicon.done(event):
            return f"{self.plural_of(' '.join(words[:-1]))} {words[-1]}"
        return self.plural_of(" ".join(words))

    def field_noun(self, name: str) -> str:
        """Return what a field is called, such that the lexicon reads it again."""
        about = self.lexicon.schema.about.get(name)
        return about.synonyms[0] if about and about.synonyms else " ".join(split_name(name))

    def role_noun(self, ref: RoleRef) -> str:
        """Return what a role is called, such that the lexicon reads it again."""
        for name, known in self.lexicon.key_fields.items():
            if known.role == ref.role:
                about = self.lexicon.schema.about.get(name)
                if about and about.synonyms:
                    return about.synonyms[0]
        words = " ".join(split_name(ref.role))
        return words if ref.role == ref.type else f"{words} {' '.join(split_name(ref.type))}"

    def unit(self, name: str) -> str:
        """Return the unit of a field, in the plural."""
        about = self.lexicon.schema.about.get(name)
        if not about or not about.unit:
            return ""
        unit = about.unit
        plural = unit.isalpha() and unit.islower() and len(unit) > 3
        return {"inch": "inches"}.get(unit, unit + "s") if plural else unit

    def entity_text(self, entity: str) -> str:
        """Return what an entity is called, such that the lexicon reads it again."""
        type_, key = entity.split(":", 1)
        label = self.lexicon._labels.get(entity)  # noqa: SLF001  (the lexicon's own index of labels)
        return label or f"{' '.join(split_name(type_))} {key}"

    # what is ambiguous

    def one_entity(self, ref: EntityRef, types: Iterable[str], part: Part) -> str:
        """Return the entity that a name stands for among some types.

        Raises:
            Ask: If it is the name of several.
        """
        wanted = set(types)
        found = [n for n in ref.names if not wanted or n.partition(":")[0] in wanted]
        if len(found) > 1:
            found = self._narrowed(found, part)
        if len(found) == 1:
            return found[0]
        if not found:
            kinds = sorted({n.partition(":")[0] for n in ref.names})
            raise Decline(f"{ref.text!r} is {listed(kinds, 'or')}, which does not fit here.")
        i, j = self._span(ref, part)
        options = tuple((i, j, self.entity_text(name)) for name in found[:6])
        names = [self.lexicon.label(name) for name in found[:6]]
        more = f" and {len(found) - 6} more" if len(found) > 6 else ""
        raise Ask(f"{ref.text!r} is the name of {listed(names)}{more}. Which one do you mean?", options)

    def _narrowed(self, names: list[str], part: Part) -> list[str]:
        """Return the entities that fit the rest of a list, and the preposition before it.

        Whoever has no place in an event (no role "from" or "to") is what "of" and "by" speak of.
        """
        value = part.value
        entities = getattr(value, "entities", None)
        mates = [*entities.items, *entities.without] if entities else []
        sure = {
            r.names[0].partition(":")[0] for r in mates if len({n.partition(":")[0] for n in r.names}) == 1
        }
        if len(sure) == 1:
            kept = [n for n in names if n.partition(":")[0] in sure]
            names = kept or names
        kept = [n for n in names if n.partition(":")[0] in self.expected]
        names = kept or names
        preposition = getattr(value, "preposition", "")
        places = self.lexicon.places
        types = {n.partition(":")[0] for n in names}
        if preposition and len(types) > 1 and types & places and types - places:
            wants_place = preposition in ("from", "to", "at")
            names = [n for n in names if (n.partition(":")[0] in places) == wants_place]
        return names

    def _span(self, ref: EntityRef, part: Part) -> tuple[int, int]:
        """Return the tokens at which an entity is named within a part."""
        words = ref.text.split()
        for i in range(part.i, part.j - len(words) + 1):
            if [t.text for t in self.tokens[i : i + len(words)]] == words:
                return i, i + len(words)
        return part.i, part.j

    def kind_noun(self, kind: KindRef | RoleRef) -> str:
        """Return what an entity type or role is called."""
        return self.role_noun(kind) if isinstance(kind, RoleRef) else " ".join(split_name(kind.type))

    def kinds_noun(self, type_: str) -> str:
        """Return what entities of a type are called; of no type, entities."""
        return self.plural_of(" ".join(split_name(type_))) if type_ else "entities"

    def plural(self, part: Part) -> bool:
        """Return whether the noun of a part stands in the plural."""
        return any(t.plural for t in self.tokens[part.i : part.j])

    def several(self, part: Part) -> bool:
        """Return whether more than one is asked for; a noun without a plural leaves it to the verb."""
        if self.plural(part):
            return True
        tokens = self.tokens[part.i : part.j]
        invariant = self.lexicon.language.data["stems"]["irregular"]
        if not any(invariant.get(t.word) == t.word for t in tokens):
            return False
        words = {t.word for t in self.tokens}
        speech = self.lexicon.language.data["speech"]
        return not words & set(speech["which"]) or bool(words & set(speech["plural_verbs"]))

    def plural_of(self, noun: str) -> str:
        """Return the plural of a noun."""
        return self.lexicon.language.plural(noun)

    def field_span(self, ref: FieldRef | PropertyRef, part: Part) -> tuple[int, int]:
        """Return the tokens of a part at which a field is named: the longest run that is it."""
        best = (part.i, part.j)
        for item in self.items_of(ref):
            if part.i <= item[0] and item[1] <= part.j:
                best = item
        return best

    def items_of(self, value: Any) -> list[tuple[int, int]]:
        """Return where the lexicon found a sense."""
        return [(it.i, it.j) for it in self.lexicon.senses(self.tokens) if it.value == value]


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text[:10]) if text else None
    except ValueError:
        return None


def _narrowed(one: Period, other: Period) -> Period | None:
    """Return what two times have in common; None where they stand apart and are two times."""
    if None not in (one.since, one.until, other.since, other.until):
        a, b = (one, other) if (one.since or "") >= (other.since or "") else (other, one)
        inside = (a.since or "") >= (b.since or "") and (a.until or "") <= (b.until or "")
        return a if inside else None
    since = max(filter(None, (one.since, other.since)), default=None)
    until = min(filter(None, (one.until, other.until)), default=None)
    if since and until and since >= until:
        return None
    return Period(since, until, f"{one.name} and {other.name}", one.guessed or other.guessed)


def day_before(text: str) -> str:
    """Return the last day of a time that ends before a day.

    >>> day_before("2013-04-01")
    '2013-03-31'
    """
    return str(date.fromisoformat(text[:10]) - timedelta(days=1))
