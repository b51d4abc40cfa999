"""The lexicon: every name of the live workspace as words, and what a question's words can stand for."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from workbench.plans.grammar.senses import (
    EdgeRef,
    EventRef,
    FieldRef,
    Item,
    KindRef,
    KnowledgeRef,
    Number,
    PropertyRef,
    RoleRef,
    ValueRef,
)
from workbench.plans.grammar.times import Bucket, Period, TimeReader
from workbench.plans.grammar.tokens import Token, joined, split, split_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from workbench.catalog.model import Field
    from workbench.config.entity_schema import EntityRule, EntitySchema
    from workbench.plans.grammar.language import Language
    from workbench.plans.world import World

__all__ = ["Event", "Lexicon"]

_LONGEST = 6  # words of one name
_TOO_COMMON = 12  # entities whose label holds a word: with more, the word names none of them
_MOST_LABELS = 200_000
_MOST_VALUES = 100  # distinct values of a property that are words of their own


@dataclass(frozen=True)
class Event:
    """An event type: its documents, its fields, and which roles its entities play."""

    name: str
    documents: int
    fields: dict[str, Field]
    roles: dict[str, EntityRule]

    def type_of(self, role: str) -> str:
        """Return the entity type that stands in a role."""
        return self.roles[role].type or role

    def roles_of(self, type_: str) -> list[str]:
        """Return the roles in which entities of a type stand."""
        return [role for role in self.roles if self.type_of(role) == type_]


@dataclass
class _Names:
    """Phrases to senses, by stems and by roots."""

    stems: dict[tuple[str, ...], list[tuple[str, Any, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    roots: dict[tuple[str, ...], list[tuple[str, Any, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )


class Lexicon:
    """What the words of a question can stand for in one generation of a workspace.

    Args:
        world: The workspace.
        language: The language of the questions.
    """

    def __init__(self, world: World, language: Language) -> None:
        self.language = language
        self.schema: EntitySchema = world.schema
        self.timezone = world.timezone
        self.catalog = world.catalog
        self.graph = world.graph
        rules = world.schema.events
        self.events = {
            e.name: Event(
                e.name,
                e.documents,
                {f.name: f for f in e.fields},
                dict(rules[e.name].entities) if e.name in rules else {},
            )
            for e in self.catalog.event_types
            if e.documents
        }
        self.types = {t.name: t for t in self.catalog.entity_types}
        self.edges = {e.name: e for e in self.catalog.edge_types}
        self.now: datetime | None = world.now
        self._names = _Names()
        self._collect()

    # what there is

    @cached_property
    def zone(self) -> ZoneInfo:
        """Return the workspace's zone."""
        return ZoneInfo(self.timezone)

    @cached_property
    def window(self) -> tuple[datetime, datetime] | None:
        """Return the first and the last event time in the workspace's zone."""
        times = [t for e in self.catalog.event_types for t in (e.first, e.last) if t is not None]
        return (min(times).astimezone(self.zone), max(times).astimezone(self.zone)) if times else None

    @cached_property
    def times(self) -> TimeReader | None:
        """Return the reader of times; None where there are no events."""
        if self.window is None or self.now is None:
            return None
        now = self.now.astimezone(self.zone).replace(tzinfo=None)
        return TimeReader(self.language, self.window[0].date(), now)

    @cached_property
    def knowledge(self) -> tuple[str, ...]:
        """Return the kinds of knowledge that there are or that can be computed."""
        from workbench.analysis import tasks  # noqa: PLC0415  (only their names)

        return tuple(sorted({*tasks.names(), *(k.kind for k in self.catalog.knowledge)}))

    @cached_property
    def fields(self) -> dict[str, tuple[str, ...]]:
        """Map each field to the event types that have it."""
        found: dict[str, list[str]] = defaultdict(list)
        for event in self.events.values():
            for name in event.fields:
                found[name].append(event.name)
        return {name: tuple(events) for name, events in found.items()}

    @cached_property
    def key_fields(self) -> dict[str, RoleRef]:
        """Map each field that alone is an entity's key to its role."""
        found: dict[str, RoleRef] = {}
        for event in self.events.values():
            for role, rule in event.roles.items():
                if not rule.join and not rule.hash:
                    for name in rule.fields[:1]:  # others stand in for it, and are fields of their own
                        found.setdefault(name, RoleRef(role, event.type_of(role)))
        return found

    @cached_property
    def _other_keys(self) -> frozenset[str]:
        """Return the fields that stand in for a key where its own field is empty."""
        rules = [rule for event in self.events.values() for rule in event.roles.values()]
        return frozenset(name for rule in rules for name in rule.fields[1:]) - set(self.key_fields)

    @cached_property
    def places(self) -> frozenset[str]:
        """Return the entity types that things come from or go to."""
        from workbench.plans.grammar.roles import role_prepositions  # noqa: PLC0415  (roles read the lexicon)

        said = role_prepositions(self)
        return frozenset(
            event.type_of(role)
            for event in self.events.values()
            for role in event.roles
            if said.get(role, set()) & {"from", "to"}
        )

    def label(self, entity: str) -> str:
        """Return what people call an entity: its label with its key, or the key."""
        type_, key = entity.split(":", 1)
        found = self._labels.get(entity)
        return f"{found} ({key})" if found else f"{type_} {key}"

    # phrases

    def _add(self, category: str, value: Any, words: Iterable[str], quality: float = 1.0) -> None:
        parts = [w for w in words if w not in self.language.determiners]
        if not parts:
            return
        if len(parts) > 1 and len(parts[-1]) < 3 and parts[-1].isalpha():  # pop-ups
            self._names.stems[(*map(self.language.stem, parts[:-1]), parts[-1] + "s")].append(
                (category, value, quality)
            )
        stems = tuple(self.language.stem(w) for w in parts)
        roots = tuple(self.language.root(w) for w in parts)
        for table, key, part in (
            (self._names.stems, stems, quality),
            (self._names.roots, roots, 0.85 * quality),
        ):
            if not any(c == category and v == value and q >= part for c, v, q in table[key]):
                table[key].append((category, value, part))
        if len(parts) > 1 and all(p.isalnum() for p in parts):
            self._names.stems["".join(parts),].append((category, value, quality))

    def _collect(self) -> None:
        self._collect_events()
        self._collect_types()
        self._collect_edges()
        for kind in self.knowledge:
            self._add("KNOW", KnowledgeRef(kind), split_name(kind))
        for table in (self._names.stems, self._names.roots):
            for senses in table.values():
                _merge_fields(senses)

    def _collect_events(self) -> None:
        described = {e.name: e for e in self.catalog.event_types}
        for name in self.events:
            sense = EventRef((name,))
            words = split_name(name)
            self._add("EVENT", sense, words)
            if len(words) == 2:  # GameOpened: "opened games"
                self._add("EVENT", sense, words[::-1], 0.9)
            if len(words) > 1 and not self.done(name):  # userLogin: "logins"
                self._add("EVENT", sense, words[-1:], 0.9)
            for synonym in described[name].synonyms:
                self._add("EVENT", sense, split(synonym))
                self._add("EVENT", sense, split_name(synonym))
        for name, term in self.schema.terms.items():
            types = tuple(e for e in term.events if e in self.events)
            if types:
                for text in (name, *term.synonyms):
                    self._add("EVENT", EventRef(types, name), split(text))

        taken = {*self._names.stems, *(self.language.phrase(" ".join(w)) for w in self._kind_nouns())}
        for noun, types in self.nouns.items():
            if noun not in taken:
                self._add("EVENT", EventRef(types), noun, 0.9)

    def _kind_nouns(self) -> Iterator[list[str]]:
        for name, kind in self.types.items():
            yield from (split_name(name), *(split(s) for s in kind.synonyms))

    def done(self, event: str) -> str:
        """Return the verb of an event type that is called by a noun and a participle; empty if it is not.

        OrderPlaced is what is placed.
        """
        words = split_name(event)
        stem = self.language.stem(words[-1])
        return stem if len(words) > 1 and words[-1] != stem and self.language.participle(words[-1]) else ""

    @cached_property
    def nouns(self) -> dict[tuple[str, ...], tuple[str, ...]]:
        """Map what is done something to, as stems, to the event types that say what: ticket: TicketOpened."""
        found: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for name in sorted(self.events):
            if self.done(name):
                found[tuple(self.language.stem(w) for w in split_name(name)[:-1])].append(name)
        return {noun: tuple(types) for noun, types in found.items()}

    def together(self, tokens: Sequence[Token]) -> list[Token]:
        """Return a question with each verb beside the noun that it is about, where both name an event type.

        "how many tickets were opened" speaks of TicketOpened as "tickets opened" does.
        """
        found = list(tokens)
        verbs = {stems[0] for stems, senses in self._names.stems.items() if _is_edge(stems, senses)}
        kinds = {self.language.phrase(" ".join(w)) for w in self._kind_nouns()}
        for noun, types in self.nouns.items():
            spans = [i for i in range(len(found)) if tuple(t.stem for t in found[i : i + len(noun)]) == noun]
            said = {self.done(t) for t in types}
            places = [n for n, t in enumerate(found) if t.stem in said]
            if len(spans) != 1 or len({found[n].stem for n in places}) != 1 or len(places) != 1:
                continue
            place, end = places[0], spans[0] + len(noun)
            if place in (end, spans[0] - 1) or (noun in kinds and found[place].stem in verbs):
                continue
            last = found[end - 1]
            moved = replace(found.pop(place), start=last.end, end=last.end)
            found.insert(end - (place < end), moved)
        return found

    def _collect_types(self) -> None:  # noqa: C901  (types, roles, fields, in this order)
        roles = {r: RoleRef(r, event.type_of(r)) for event in self.events.values() for r in event.roles}
        for name, kind in self.types.items():
            nouns = [split_name(name), *(split(s) for s in kind.synonyms)]
            for noun in nouns:
                self._add("KIND", KindRef(name), noun)
                for role, ref in roles.items():
                    if ref.type == name and role != name:
                        self._add("ROLE", ref, [*split_name(role), *noun])
        for ref in roles.values():
            self._add_role(ref, split_name(ref.role))
        for name, ref in self.key_fields.items():
            self._add_role(ref, split_name(name))
        for name, about in self.schema.about.items():
            for synonym in about.synonyms:
                if name in self.key_fields:
                    self._add_role(self.key_fields[name], split(synonym))
                elif name in self.fields:
                    self._add("FIELD", FieldRef((name,)), split(synonym))

    def _add_role(self, ref: RoleRef, words: Iterable[str]) -> None:
        """Add a name of a role; where it is the type's only one, the type is meant."""
        if ref.role == ref.type:
            self._add("KIND", KindRef(ref.type), words)
        else:
            self._add("ROLE", ref, words)

    def _collect_edges(self) -> None:
        found: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
        prepositions = {w for n in ("from", "to", "at", "for", "of", "by", "in") for w in self._word_list(n)}
        for name, edge in self.edges.items():
            for words in (split_name(name), *(split(s) for s in edge.synonyms)):
                stems = tuple(self.language.stem(w) for w in words if w not in self.language.determiners)
                if not stems or all(s in self.language.closed for s in stems):
                    continue
                found[stems][name] = 1.0
                if len(words) > 1 and words[-1] in prepositions:
                    found[stems[:-1]].setdefault(name, 0.6)
        for stems, names in found.items():
            for quality in sorted(set(names.values()), reverse=True):
                chosen = tuple(sorted(n for n, q in names.items() if q >= quality))
                self._names.stems[stems].append(("EDGE", EdgeRef(chosen), quality))
                roots = tuple(self.language.root(s) for s in stems)
                self._names.roots[roots].append(("EDGE", EdgeRef(chosen), 0.85 * quality))
                break

    def _word_list(self, name: str) -> set[str]:
        words = self.language.data["words"].get(name, ())
        return {str(w) for w in words}

    # what the tokens of a question can be

    def senses(self, tokens: Sequence[Token]) -> list[Item]:
        """Return every sense of every run of tokens."""
        items = [
            *self._words(tokens),
            *self._phrases(tokens),
            *self._numbers(tokens),
            *self._time_items(tokens),
        ]
        items += self._field_items(tokens, items)
        # "departures from" is the noun with a preposition, not the verb "departed from"
        nouns = {it.i for it in items if it.category == "EVENT" and it.j - it.i == 1 and it.score >= 1.0}
        # a noun of the schema for events means these first, an entity type of the same name second
        terms = {(it.i, it.j) for it in items if it.category == "EVENT" and it.score >= it.j - it.i}
        spoken = {
            end for it in items if it.category == "EDGE" for n in it.value.names for end in self._ends(n)
        }
        heads = {
            (it.i, it.j) for it in items if it.category == "EVENT" and it.score == 0.9 and it.j - it.i == 1
        }
        items = [
            replace(it, score=it.score - 0.3) if it.category == "KIND" and (it.i, it.j) in terms else it
            for it in items
        ]
        # "errors" are API Error events first, unless a verb joins errors to others
        items = [
            replace(it, score=it.score - 0.5)
            if (it.i, it.j) in heads
            and (it.category == "FIELD" or (it.category == "KIND" and it.value.type not in spoken))
            else it
            for it in items
        ]
        kinds = min((it.i for it in items if it.category in ("KIND", "ROLE")), default=len(tokens))
        names = {"".join(split_name(e)) for e in self.events}
        spelled = {n for n in nouns if tokens[n].word in names or tokens[n].word.removesuffix("s") in names}
        items = [
            it
            for it in items
            if it.category != "EDGE"
            or it.i not in nouns
            or not (
                it.score < 0.9 * (it.j - it.i) or (it.i in spelled and (kinds > it.i or tokens[it.i].plural))
            )
        ]
        strong = {
            (it.i, it.j)
            for it in items
            if it.score >= 0.8 * (it.j - it.i)
            and it.category in ("EVENT", "KIND", "ROLE", "FIELD", "EDGE", "KNOW")
        }
        items += self._entity_items(tokens, strong)
        items += self._value_items(tokens, strong)
        best: dict[tuple[str, Any, int, int], Item] = {}
        for item in items:
            key = (item.category, item.value, item.i, item.j)
            if key not in best or best[key].score < item.score:
                best[key] = item
        return list(best.values())

    def _ends(self, edge: str) -> tuple[str, str]:
        return self.edges[edge].source, self.edges[edge].target

    def _words(self, tokens: Sequence[Token]) -> Iterator[Item]:
        words = self.language.words
        for i in range(len(tokens)):
            for j in range(i + 1, min(i + 7, len(tokens)) + 1):
                for name in words.get(tuple(t.stem for t in tokens[i:j]), ()):
                    yield Item(f"w:{name}", name, i, j, 0.6 * (j - i))

    def _phrases(self, tokens: Sequence[Token]) -> Iterator[Item]:
        for i in range(len(tokens)):
            for j in range(i + 1, min(i + _LONGEST, len(tokens)) + 1):
                part = tokens[i:j]
                for category, value, quality in self._names.stems.get(tuple(t.stem for t in part), ()):
                    yield Item(category, value, i, j, quality * (j - i))
                if j - i == 2:  # "log in" is a login
                    for category, value, quality in self._names.stems.get((part[0].stem + part[1].word,), ()):
                        if category == "EVENT":
                            yield Item(category, value, i, j, quality * 2)
                if any(t.stem not in self.language.closed for t in part):
                    for category, value, quality in self._names.roots.get(tuple(t.root for t in part), ()):
                        yield Item(category, value, i, j, quality * (j - i))

    def _numbers(self, tokens: Sequence[Token]) -> Iterator[Item]:
        numbers = self.language.times["numbers"]
        seconds = {self.language.stem(w): s for w, s in self.language.times["seconds"].items()}
        for i, token in enumerate(tokens):
            digits = token.word.replace(",", "")
            try:
                value = float(digits) if digits[:1].isdigit() else float(numbers[token.word])
            except (ValueError, KeyError):
                continue
            if i and tokens[i - 1].word == "-" and (i < 2 or not tokens[i - 2].word[:1].isdigit()):
                yield Item("NUM", Number(-value), i - 1, i + 1, 2.0)
            yield Item("NUM", Number(value), i, i + 1, 1.0)
            if i + 1 < len(tokens) and (tokens[i + 1].stem in seconds or tokens[i + 1].stem in self._units):
                yield Item("NUM", Number(value, tokens[i + 1].stem), i, i + 2, 2.0)

    @cached_property
    def _units(self) -> frozenset[str]:
        return frozenset(self.language.stem(a.unit) for a in self.schema.about.values() if a.unit.isalpha())

    def _time_items(self, tokens: Sequence[Token]) -> Iterator[Item]:
        if self.times is None:
            return
        for i, j, value in self.times.find(tokens):
            if isinstance(value, Bucket):
                yield Item("BUCKETADJ" if value.adjective else "BUCKET", value, i, j, 0.9 * (j - i))
            elif isinstance(value, Period):
                yield Item("TIME", value, i, j, 1.0 * (j - i))
            else:
                yield Item("DAYHOUR", value, i, j, 1.0 * (j - i))

    # fields and properties

    def _field_items(self, tokens: Sequence[Token], known: Sequence[Item]) -> Iterator[Item]:
        nouns = {
            (it.i, it.j)
            for it in known
            if it.category in ("KIND", "ROLE", "EVENT") and it.score >= it.j - it.i
        }
        for i in range(len(tokens)):
            for j in range(i + 1, min(i + 4, len(tokens)) + 1):
                part = tokens[i:j]
                if not all(t.word[0].isalpha() or t.word.isalnum() for t in part):
                    break
                if j - i == 1 and part[0].stem in self.language.closed:
                    continue
                found = self._named_like(part)
                if not found:
                    continue
                best = max(found.values())
                keys = [n for n, q in found.items() if q >= best - 0.04]
                roles = [self.key_fields[n] for n in keys if n in self.key_fields]
                for ref in roles:
                    category, value = ("ROLE", ref) if ref.role != ref.type else ("KIND", KindRef(ref.type))
                    yield Item(category, value, i, j, best * (j - i))
                plain = tuple(sorted(n for n in keys if n not in self.key_fields and "." not in n))
                if (i, j) in nouns:
                    plain = tuple(n for n in plain if n not in self._other_keys)
                if plain and not ((i, j) in nouns and best < 1.0):
                    yield Item("FIELD", FieldRef(plain), i, j, (best - 0.05 * ((i, j) in nouns)) * (j - i))
                owned = tuple(sorted((n.split(".", 1)[0], n.split(".", 1)[1]) for n in keys if "." in n))
                if owned and (i, j) not in nouns:
                    yield Item("PROP", PropertyRef(owned), i, j, (best - 0.1) * (j - i))

    @cached_property
    def _spelled(self) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        """Return each field and property (``type.property``) with its words and their stems."""
        names = [(name, split_name(name)) for name in self.fields]
        for kind in self.types.values():
            names += [(f"{kind.name}.{p.name}", split_name(p.name)) for p in kind.properties]
        return [
            (name, tuple(words), tuple(self.language.stem(w) for w in words))
            for name, words in names
            if words
        ]

    def _named_like(self, part: Sequence[Token]) -> dict[str, float]:
        """Return how well tokens spell each field and property."""
        stems = tuple(t.stem for t in part)
        words = [t.word for t in part]
        found: dict[str, float] = {}
        for name, parts, part_stems in self._spelled:
            if part_stems == stems or "".join(parts) == "".join(words):
                found[name] = 1.0
            elif _abbreviates("".join(parts), words):
                found[name] = 0.92
            elif self._shortens(parts, words):
                found[name] = 0.9
            elif len(part_stems) > len(stems) and part_stems[-len(stems) :] == stems:
                found[name] = 0.6
        return found

    def _shortens(self, parts: Sequence[str], words: Sequence[str]) -> bool:
        """Return whether the parts of a name are words shortened: res_time_min is a resolution time."""
        short = self.language.data["short"]
        unit = short["units"].get(parts[-1]) if len(parts) > 1 else None
        if len(words) > 2 and words[-2] == "in":
            return (
                unit is not None
                and self.language.stem(words[-1]) == self.language.stem(unit)
                and self._shortens(parts[:-1], words[:-2])
            )
        if len(parts) == len(words):
            pairs = list(zip(parts, words, strict=True))
            return all(self._short(p, w) for p, w in pairs) and any(p != w for p, w in pairs)
        left_out = len(parts) == len(words) + 1 and (unit is not None or parts[-1] in short["keys"])
        return left_out and all(self._short(p, w) for p, w in zip(parts, words, strict=False))

    def _short(self, part: str, word: str) -> bool:
        if self.language.stem(part) == self.language.stem(word):
            return True
        full = self.language.data["short"]["words"].get(part)
        if full is not None:
            return self.language.stem(full) == self.language.stem(word)
        return len(part) >= 3 and len(word) > len(part) and word.startswith(part)

    # entities and values

    @cached_property
    def _nodes(self) -> pl.DataFrame:
        nodes = pl.DataFrame(self.graph.nodes().select(["entity", "type", "key", "label", "sightings"]))
        spelled = pl.col("key").str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]", "")
        return nodes.with_columns(pl.col("type").cast(pl.String), spelled=spelled)

    @cached_property
    def _labels(self) -> dict[str, str]:
        named = self._nodes.filter(pl.col("label").is_not_null()).head(_MOST_LABELS)
        return dict(zip(named["entity"], named["label"], strict=True))

    @cached_property
    def _label_words(self) -> tuple[dict[str, tuple[str, ...]], dict[str, list[str]]]:
        """Return the words of each label, and the entities of each word."""
        spelled: dict[str, tuple[str, ...]] = {}
        holders: dict[str, list[str]] = defaultdict(list)
        for entity, label in self._labels.items():
            words = tuple(joined(w) for w in split(label) if joined(w))[:40]
            spelled[entity] = words
            for word in dict.fromkeys(words):
                holders[word].append(entity)
        return spelled, holders

    def _entity_items(self, tokens: Sequence[Token], strong: set[tuple[int, int]]) -> Iterator[Item]:
        spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for i in range(len(tokens)):
            for j in range(i + 1, min(i + 5, len(tokens)) + 1):
                spelled = "".join(joined(t.word) for t in tokens[i:j])
                if spelled and tokens[i].word[0].isalnum():
                    spans[spelled].append((i, j))
        for entity, spelled, key in self._keyed(list(spans)):
            for i, j in spans[spelled]:
                quality = self._key_quality(key, tokens[i:j])
                if quality:
                    numeric = spelled.isdecimal()
                    text = " ".join(t.text for t in tokens[i:j])
                    yield Item("KEYNUM" if numeric else "KEY", (entity, text), i, j, quality * (j - i))
        yield from self._labelled(tokens, strong)

    def _keyed(self, spelled: list[str]) -> Iterator[tuple[str, str, str]]:
        hits = (
            self._nodes.filter(pl.col("spelled").is_in(spelled)).select("entity", "spelled", "key").head(500)
        )
        yield from hits.iter_rows()

    def _key_quality(self, key: str, part: Sequence[Token]) -> float:
        """Return how surely tokens are a key: one that is a word of the language must be typed exactly."""
        text = "".join(t.text for t in part)
        exact = joined(text) == joined(key) and text.replace(" ", "") in (
            key,
            key.replace(" ", ""),
            text if text.upper() == text else "",
        )
        wordlike = len(part) == 1 and (
            part[0].stem in self.language.closed or len(key) < 3 or part[0].word in self.language.closed
        )
        if wordlike and any(c.isdecimal() for c in key):
            return 0.9
        if wordlike:
            return 1.0 if exact and any(c.isupper() for c in text) else 0.0
        return 1.0 if exact else 0.95

    def _labelled(self, tokens: Sequence[Token], strong: set[tuple[int, int]]) -> Iterator[Item]:
        spelled, holders = self._label_words
        for i in range(len(tokens)):
            for j in range(i + 1, min(i + 6, len(tokens)) + 1):
                words = tuple(w for t in tokens[i:j] if (w := joined(t.word)))
                if len(words) != j - i or (j - i == 1 and tokens[i].stem in self.language.closed):
                    continue
                candidates = set(holders.get(words[0], ()))
                compact = "".join(words)
                exact, inside = [], []
                for entity in candidates:
                    label = spelled[entity]
                    if label == words:
                        exact.append(entity)
                    elif any(label[k : k + len(words)] == words for k in range(len(label))):
                        inside.append(entity)
                if j - i == 1 and not candidates and len(compact) >= 6:
                    # LaGuardia for "La Guardia"
                    inside = [e for e, label in self._compact.items() if label.startswith(compact)]
                found = exact or inside
                if not found or ((i, j) in strong and not exact):
                    continue
                if len(found) > _TOO_COMMON:
                    continue
                text = " ".join(t.text for t in tokens[i:j])
                yield Item("LABEL", (tuple(sorted(found)), text), i, j, (1.0 if exact else 0.95) * (j - i))

    @cached_property
    def _compact(self) -> dict[str, str]:
        return {entity: "".join(words) for entity, words in self._label_words[0].items()}

    @cached_property
    def _values(self) -> dict[tuple[str, ...], list[tuple[str, Any]]]:
        found: dict[tuple[str, ...], list[tuple[str, Any]]] = defaultdict(list)
        for name, events in self.fields.items():
            if name in self.key_fields:
                continue
            for event in events:
                known = self.events[event].fields[name]
                if known.type != "string":
                    continue
                for value, _ in known.top:
                    words = tuple(joined(w) for w in split(value) if joined(w))
                    if 0 < len(words) <= _LONGEST and (name, value) not in found[words]:
                        found[words].append((name, value))
        for name, value in self._property_values():
            words = tuple(joined(w) for w in split(value) if joined(w))
            if 0 < len(words) <= _LONGEST and (name, value) not in found[words]:
                found[words].append((name, value))
        return found

    def _property_values(self) -> Iterator[tuple[str, str]]:
        for kind in self.types.values():
            for known in kind.properties:
                if known.distinct <= _MOST_VALUES and known.name != kind.label:
                    for value in known.examples:
                        if not value.replace(".", "").replace("-", "").isdecimal():
                            yield f"{kind.name}.{known.name}", value

    def _value_items(self, tokens: Sequence[Token], strong: set[tuple[int, int]]) -> Iterator[Item]:
        for i in range(len(tokens)):
            for j in range(i + 1, min(i + _LONGEST, len(tokens)) + 1):
                words = tuple(w for t in tokens[i:j] if (w := joined(t.word)))
                found = self._values.get(words)
                if not found or len(words) != j - i or (i, j) in strong:
                    continue
                if j - i == 1 and (tokens[i].stem in self.language.closed or tokens[i].word.isdecimal()):
                    text = tokens[i].text
                    found = [(n, v) for n, v in found if v == text and text != text.lower()]
                    if not found:
                        continue
                yield Item("VAL", ValueRef(tuple(found)), i, j, 0.95 * (j - i))

    # typing errors

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Return every single word that means something in this workspace, not the language's own."""
        own = {w for key in self._names.stems for w in key}
        labels = {
            w for w, holders in self._label_words[1].items() if len(holders) <= _TOO_COMMON and len(w) > 4
        }
        plain = {w for _, words, _ in self._spelled for w in words}
        times = self.language.times
        spoken = {w for name in ("months", "weekdays", "seasons", "adjectives") for w in times[name]}
        wanted = (
            "mean",
            "median",
            "max",
            "min",
            "similar",
            "anomalies",
            "trends",
            "connected",
            "describe",
            "share",
        )
        spoken |= {w for name in wanted for w in self._word_list(name)}
        return frozenset(w for w in own | labels | plain | spoken if len(w) >= 5)

    def corrected(self, token: Token) -> Token | None:
        """Return the word that was probably meant by one that means nothing; None where that is not clear."""
        from rapidfuzz.distance import OSA  # noqa: PLC0415  (native code that only a typing error needs)

        length = len(token.stem)
        if length < 5 or not token.word.isalpha():
            return None
        allowed = 1 if length < 9 else 2
        near: dict[str, int] = {}
        for word in self.vocabulary:
            if word and word[0] == token.stem[0] and abs(len(word) - length) <= allowed:
                distance = min(OSA.distance(word, token.stem), OSA.distance(word, token.word))
                if distance <= allowed:
                    near[word] = distance
        if not near:
            return None
        best = min(near.values())
        words = [w for w, d in near.items() if d == best]
        if len(words) != 1:
            return None
        return replace(
            token, word=words[0], stem=self.language.stem(words[0]), root=self.language.root(words[0])
        )


def _is_edge(stems: tuple[str, ...], senses: Sequence[tuple[str, Any, float]]) -> bool:
    return len(stems) == 1 and any(category == "EDGE" for category, _, _ in senses)


def _merge_fields(senses: list[tuple[str, Any, float]]) -> None:
    """Make one sense of the fields that a word stands for equally: it is ambiguous, not the first of them."""
    fields = [s for s in senses if s[0] == "FIELD"]
    if len(fields) > 1:
        best = max(quality for _, _, quality in fields)
        names = tuple(sorted({n for _, ref, quality in fields if quality == best for n in ref.names}))
        senses[:] = [*(s for s in senses if s[0] != "FIELD"), ("FIELD", FieldRef(names), best)]


def _abbreviates(letters: str, words: Sequence[str]) -> bool:
    """Return whether a name is made of the beginnings of words, three letters of each at least.

    >>> _abbreviates("arrdelay", ["arrival", "delay"]), _abbreviates("tailnum", ["tail", "number"])
    (True, True)
    >>> _abbreviates("temp", ["time"])
    False
    """
    if not words:
        return not letters
    word = words[0]
    most = 0
    while most < min(len(word), len(letters)) and word[most] == letters[most]:
        most += 1
    least = min(3, len(word))
    if len(words) == 1:
        return most == len(letters) and most >= least
    return any(_abbreviates(letters[size:], words[1:]) for size in range(most, least - 1, -1))
