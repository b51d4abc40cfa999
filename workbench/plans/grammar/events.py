"""Questions about events: counts, shares, figures of fields, groups, timelines, the most and the least."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from workbench.plans.grammar.context import Context, Draft, listed
from workbench.plans.grammar.roles import (
    edge_roles,
    entity_role,
    kind_role,
    role_fields,
    role_filter,
)
from workbench.plans.grammar.senses import (
    Ask,
    Condition,
    Count,
    Decline,
    Entities,
    EntityFilter,
    EventRef,
    FieldRef,
    KindRef,
    MeasureRef,
    Order,
    Part,
    PropertyRef,
    RoleRef,
    Share,
    Superlative,
)
from workbench.plans.grammar.times import Bucket, Hours, Weekdays
from workbench.plans.grammar.tokens import split_name
from workbench.plans.model import (
    Aggregate,
    Filter,
    FilterRows,
    Group,
    Measure,
    Render,
    Scan,
    SetOperation,
    Sort,
    SortKey,
    Timeline,
    Top,
)

if TYPE_CHECKING:
    from workbench.plans.grammar.lexicon import Event
    from workbench.plans.grammar.times import Period
    from workbench.plans.model import Step

__all__ = ["event_draft"]

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_CALENDAR = get_args(Literal["minute", "hour", "day", "week", "month", "quarter", "year"])
_NUMERIC = ("int64", "float64")
_LONG_HOURS = 3  # days from which "by hour" means the hour of the day


@dataclass
class _Dim:
    """A thing to group by: its groups, what it is called, and the bucket of a calendar."""

    groups: tuple[Group, ...]
    noun: str
    bucket: str = ""
    subject: bool = False
    part: Part | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(g.column for g in self.groups)


@dataclass
class _Figure:
    """A measure, what it is called, and which end of it is bad."""

    measure: Measure
    noun: str
    worse: str = ""
    whole: bool = False


@dataclass
class _Frame:
    """What an event question asks, as it becomes clear."""

    events: list[Event] = field(default_factory=list)
    name: str = ""
    filters: list[Filter] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    dims: list[_Dim] = field(default_factory=list)
    figures: list[_Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def event_draft(ctx: Context) -> Draft:
    """Return the plan of a question about events.

    Raises:
        Ask: If the question has several meanings.
        Decline: If the events cannot answer it.
    """
    return _Reader(ctx).draft()


class _Reader:
    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.lexicon = ctx.lexicon
        self.frame = _Frame()
        self.mentions: list[tuple[EventRef, Part]] = []
        self.wanted: list[tuple[MeasureRef, Part]] = []
        self.count: tuple[Count, Part] | None = None
        self.share: tuple[Share, Part] | None = None
        self.superlative: tuple[Superlative, Part] | None = None
        self.order: tuple[Order, Part] | None = None
        self.subjects: list[tuple[Any, Part]] = []
        self.groups: list[tuple[Any, Part]] = []
        self.filters: list[tuple[EntityFilter, Part]] = []
        self.conditions: list[tuple[Condition, Part]] = []
        self.clocks: list[Weekdays | Hours] = []
        self.n: int | None = None
        self.twice: tuple[str, ...] = ()

    def draft(self) -> Draft:
        self._gather()
        self.periods, self.compared = self.ctx.periods()
        self._choose_events()
        self._share_base()
        self._filter()
        self._group()
        self._measure()
        left = self.ctx.left
        if left:
            words = listed([repr(self.ctx.text(p)) for p in left])
            raise Decline(f"It is not clear what {words} means in this question.")
        return self._built()

    # what is there

    def _gather(self) -> None:
        ctx = self.ctx
        for part in ctx.take("EVENT"):
            self.mentions.append((part.value, part))
        for part in ctx.take("count"):
            if self.count is not None:
                raise Decline("The question counts two things at once.")
            self.count = (part.value, part)
            if isinstance(part.value.what, EventRef):
                self.mentions.append((part.value.what, part))
            elif part.value.what is not None:
                self.subjects.append((part.value.what, part))
        for part in ctx.take("share"):
            if self.share is not None and (self.share[0].what or not part.value.what):
                continue
            self.share = (part.value, part)
            if part.value.what is not None:
                self.mentions.append((part.value.what, part))
        aggregates: tuple[str, ...] = ()
        for part in ctx.take("agg"):
            aggregates += part.value
        for part in ctx.take("measure"):
            self.wanted.append((part.value, part))
        for part in ctx.take("superlative", "top"):
            self._superlative(part)
        for part in ctx.take("order"):
            self._order(part)
        if aggregates:
            bare = [n for n, (m, _) in enumerate(self.wanted) if not m.ops]
            if len(bare) == 1:
                measure, part = self.wanted[bare[0]]
                self.wanted[bare[0]] = (replace(measure, ops=aggregates), part)
            elif aggregates == ("sum",) and self.mentions:
                pass  # the total of events is their number
            elif self.mentions and not self.wanted and not self.share and not self.superlative:
                self.twice = aggregates
            else:
                raise Ask(f"The {listed(list(aggregates))} of what?")
        for part in ctx.take("KIND", "ROLE", "BUCKET"):
            self.subjects.append((part.value, part))
        if self.count is not None and self.count[0].what is None and not self.superlative and not self.order:
            kinds = [(v, p) for v, p in self.subjects if isinstance(v, KindRef | RoleRef)]
            if len(kinds) == 1 and not isinstance(kinds[0][0], Bucket):  # how many JetBlue planes
                self.count = (replace(self.count[0], what=kinds[0][0]), kinds[0][1])
        for part in ctx.take("numbered"):
            self.subjects.append((part.value[1], part))
            self.n = part.value[0]
        for part in ctx.take("group"):
            self.groups += [(dim, part) for dim in part.value]
        ctx.expected = self._edge_ends()
        for part in ctx.take("filter"):
            self.filters.append((part.value, part))
        for part in ctx.take("rel"):
            self._relation(part)
        for part in ctx.take("EDGE"):
            self._bare_edge(part)
        for part in ctx.take("cond"):
            self.conditions.append((self._with_field(part.value, part), part))
        self.having: list[tuple[str, float, Any, Part]] = []
        for part in ctx.take("having"):
            op, number, what = part.value
            self.having.append((op, number, what, part))
            if isinstance(what, EventRef):
                self.mentions.append((what, part))
        for part in ctx.take("DAYHOUR"):
            self.clocks.append(part.value)
        self.distinct = bool(ctx.take("w:distinct")) or (self.count is not None and self.count[0].distinct)
        bare = [p for m, p in self.wanted if not m.ops]
        if (
            self.count is not None
            and not isinstance(self.count[0].what, KindRef | RoleRef)
            and bare
            and not self.superlative
            and not self.order
        ):
            i, j = bare[0].i, bare[0].j
            words = self._words(i, j)
            names = getattr(self.wanted[0][0].what, "names", ("",))
            noun = (
                self.ctx.field_noun(str(names[0])) if isinstance(self.wanted[0][0].what, FieldRef) else words
            )
            raise Ask(f"{words.capitalize()} by how much? Say, for example, {noun} over 15.")
        self.timeline = bool(ctx.take("w:timeline")) or bool(ctx.take("w:trends"))
        self.versus = bool(ctx.take("w:versus"))
        ctx.take("w:compare", "w:events")

    def _with_field(self, condition: Condition, part: Part) -> Condition:
        """Return a condition that names a unit only with the fields that are counted in it."""
        if not isinstance(condition.what, FieldRef) or condition.what.names:
            return condition
        language = self.lexicon.language
        seconds = {language.stem(w): s for w, s in language.times["seconds"].items()}
        fields = tuple(
            name
            for name, about in self.lexicon.schema.about.items()
            if name in self.lexicon.fields
            and about.measure
            and about.unit
            and (
                language.stem(about.unit) == condition.unit
                or (condition.unit in seconds and about.unit in _SECONDS)
            )
        )
        spoken = [
            n for m, _ in self.wanted if isinstance(m.what, FieldRef) and not m.ops for n in m.what.names
        ]
        named = tuple(n for n in fields if n in spoken)
        if named:
            self.wanted = [
                (m, p)
                for m, p in self.wanted
                if m.ops or not isinstance(m.what, FieldRef) or not set(m.what.names) & set(named)
            ]
            return replace(condition, what=FieldRef(named))
        if not fields:
            raise Decline(f"It is not clear which field {self.ctx.text(part)!r} is about.")
        return replace(condition, what=FieldRef(fields))

    def _superlative(self, part: Part) -> None:
        value: Superlative = part.value
        if self.superlative is not None:
            before = self.superlative[0]
            if before.what is None or value.what is None:
                value = Superlative(
                    before.degree if before.what or value.n else value.degree,
                    before.what or value.what,
                    before.n or value.n,
                )
            else:
                raise Decline("The question asks for two extremes at once.")
        if isinstance(value.what, EventRef) and value.what not in [m for m, _ in self.mentions]:
            self.mentions.append((value.what, part))
        elif isinstance(value.what, MeasureRef) and value.what not in [m for m, _ in self.wanted]:
            self.wanted.append((value.what, part))
        elif isinstance(value.what, Share):
            self.share = (value.what, part)
            if value.what.what:
                self.mentions.append((value.what.what, part))
        self.superlative = (value, part)

    def _order(self, part: Part) -> None:
        value: Order = part.value
        if self.order is not None:
            before = self.order[0]
            value = Order(value.direction or before.direction, value.by or before.by)
        if isinstance(value.by, EventRef):
            self.mentions.append((value.by, part))
        elif isinstance(value.by, MeasureRef):
            self.wanted.append((value.by, part))
        elif isinstance(value.by, Share):
            self.share = (value.by, part)
            if value.by.what:
                self.mentions.append((value.by.what, part))
        self.order = (value, part)

    def _relation(self, part: Part) -> None:
        relation = part.value
        preposition = {"from": "from", "to": "to", "at": "at"}.get(
            self.ctx.tokens[part.i : part.j][-1].word, ""
        )
        for word in self.ctx.tokens[part.i : part.j]:
            if word.word in ("from", "to", "at"):
                preposition = word.word
        self.filters.append((EntityFilter(relation.entities, preposition, negated=relation.negated), part))
        self._edge_events(relation.edge.names, part)

    def _edge_ends(self) -> frozenset[str]:
        """Return the entity types that the question's verb joins with what is asked for."""
        names = [n for p in self.ctx.of("EDGE") for n in p.value.names]
        kinds = {d.type for d, _ in self.subjects if isinstance(d, KindRef | RoleRef)}
        edges = [self.lexicon.edges[n] for n in names]
        ends = {t for e in edges for t in (e.source, e.target) if kinds & {e.source, e.target}}
        return frozenset(ends - kinds)

    def _bare_edge(self, part: Part) -> None:
        self._edge_events(part.value.names, part)

    def _edge_events(self, edges: tuple[str, ...], part: Part) -> None:
        """Let an edge's verb name the events that give it: of edges called alike those of what is asked for."""
        kinds = {d.type for d, _ in self.subjects if isinstance(d, KindRef | RoleRef)}
        known = [self.lexicon.edges[e] for e in edges]
        fitting = tuple(e.name for e in known if kinds & {e.source, e.target})
        edges = fitting or edges
        types = tuple(dict.fromkeys(e for edge in edges for e, _, _ in edge_roles(self.lexicon, edge)))
        if not types:
            raise Decline(f"No event says {self.ctx.text(part)!r}.")
        self.verb = getattr(self, "verb", ())
        self.verb = (*self.verb, types)

    # which events

    def _choose_events(self) -> None:
        ctx, events = self.ctx, self.lexicon.events
        terms = [m for m, _ in self.mentions if m.term]
        plain = list(dict.fromkeys(t for m, _ in self.mentions if not m.term for t in m.types))
        in_terms = list(dict.fromkeys(t for m in terms for t in m.types))
        mentioned = plain or in_terms
        for types in getattr(self, "verb", ()):
            both = [t for t in mentioned if t in types]
            able_types = [t for t in types if not self._lacks(events[t])]
            mentioned = both or (
                mentioned if plain else [self._nearest(able_types)] if able_types else list(types[:1])
            )
        self.base = in_terms
        self.numerator = plain if terms and plain and set(plain) < set(in_terms) else []
        able = {name: self._lacks(event) for name, event in events.items()}
        eligible = [name for name in mentioned if not able[name]]
        if self.share and not plain and in_terms:
            eligible = [name for name in in_terms if not able[name]]
        if mentioned and not eligible:
            if not plain or self._only_measure_lacks(plain):
                others = [name for name in events if not able[name]]
                if others and terms and not plain:
                    eligible = [self._nearest(others)]
                    self.frame.notes.append(f"only {eligible[0]} events have what is asked for")
                    ctx.used.update()
            if not eligible:
                raise Decline(able[mentioned[0]] or f"{mentioned[0]} events cannot answer that.")
        elif mentioned and len(eligible) < len(mentioned):
            dropped = [n for n in mentioned if n not in eligible]
            self.frame.notes.append(f"{listed(dropped)} events are left out: {able[dropped[0]]}")
        if not mentioned:
            possible = [name for name in events if not able[name]]
            if not possible:
                reasons = [r for r in able.values() if r]
                raise Decline(reasons[0] if reasons else "There are no events.")
            joined = self._joined(possible)
            if self.wanted or self.conditions or any(isinstance(d, FieldRef) for d, _ in self.groups):
                eligible = [self._nearest(possible)]
            elif joined and (self.superlative is None or self.superlative[0].what is None):
                eligible = [joined]
            elif ctx.parts and any(p.kind == "w:events" for p in ctx.parts):
                eligible = possible
            else:
                self._ask_events(possible)
        self.frame.events = [events[name] for name in eligible]
        whole = [m for m in terms if set(m.types) == set(eligible)]
        self.frame.name = ctx.event_noun(EventRef(tuple(eligible), whole[0].term if whole else ""))

    def _joined(self, possible: list[str]) -> str:
        """Return the event type that joins the entity types of the question by an edge, if there is one."""
        dims = [d for d, _ in (*self.subjects, *self.groups)] + [w for _, _, w, _ in self.having]
        kinds = {d.type for d in dims if isinstance(d, KindRef | RoleRef)}
        if len(kinds) == 1:
            named = {n.partition(":")[0] for f, _ in self.filters for e in f.entities.items for n in e.names}
            kinds |= named if len(named) == 1 else set()
        if len(kinds) != 2:
            return ""
        edges = [e.name for e in self.lexicon.edges.values() if {e.source, e.target} == kinds]
        events = {event for edge in edges for event, _, _ in edge_roles(self.lexicon, edge)}
        found = [name for name in possible if name in events]
        return found[0] if len(found) == 1 else ""

    def _only_measure_lacks(self, plain: list[str]) -> bool:
        return not plain

    def _ask_events(self, possible: list[str]) -> None:
        who = set(self.lexicon.schema.who)
        events = self.lexicon.events
        acting = [n for n in possible if who & {events[n].type_of(r) for r in events[n].roles}]
        possible = acting or possible
        nouns = [" ".join(split_name(n)) for n in possible]
        if self.superlative is not None:
            part = self.superlative[1]
            text = self.ctx.text(part)
            several = [self.ctx.plural_of(n) for n in nouns]
            options = tuple((len(self.ctx.tokens), 0, f"by {noun}") for noun in several[:4])
            raise Ask(f"{text.capitalize()} by what: {listed(several, 'or')}?", options)
        raise Ask(f"What is asked about: {listed([self.ctx.plural_of(n) for n in nouns], 'or')}?")

    def _lacks(self, event: Event) -> str:
        """Return what a question about these events would need and they do not have; empty if nothing."""
        for measure, _ in self.wanted:
            if isinstance(measure.what, PropertyRef):
                return f"{event.name} events have no {measure.what.names[0][1]}."
            if isinstance(measure.what, FieldRef) and not set(measure.what.names) & set(event.fields):
                return f"{event.name} events have no field {measure.what.names[0]}."
        for condition, _ in self.conditions:
            if isinstance(condition.what, PropertyRef):
                return f"{event.name} events have no field {condition.what.names[0][1]}."
            if not set(condition.what.names) & set(event.fields):
                return f"{event.name} events have no field {condition.what.names[0]}."
        counted = [(what, part) for _, _, what, part in self.having if not isinstance(what, EventRef)]
        for dim, _ in (*self.subjects, *self.groups, *counted):
            if isinstance(dim, KindRef) and not event.roles_of(dim.type):
                return f"{event.name} events do not say which {dim.type} they belong to."
            if isinstance(dim, RoleRef) and dim.role not in event.roles:
                return f"{event.name} events do not say the {self.ctx.role_noun(dim)}."
            if isinstance(dim, FieldRef) and not set(dim.names) & set(event.fields):
                return f"{event.name} events have no field {dim.names[0]}."
            if isinstance(dim, PropertyRef):
                return f"{event.name} events have no field {dim.names[0][1]}."
        types = {event.type_of(role) for role in event.roles}
        for wanted, _ in self.filters:
            for item in (*wanted.entities.items, *wanted.entities.without):
                if not {n.partition(":")[0] for n in item.names} & types:
                    return f"{event.name} events do not say which {item.names[0].partition(':')[0]} they belong to."
        return ""

    def _nearest(self, names: list[str]) -> str:
        """Return the event type whose own fields are asked for: arr_delay is Arrival's; then the one with most."""
        asked = [
            name
            for ref in (
                *(m.what for m, _ in self.wanted),
                *(c.what for c, _ in self.conditions),
                *(d for d, _ in self.groups),
            )
            if isinstance(ref, FieldRef)
            for name in ref.names
        ]
        return max(
            names, key=lambda n: (sum(_belongs(f, n) for f in asked), self.lexicon.events[n].documents, n)
        )

    # shares

    def _share_base(self) -> None:
        """Decide of what whole a share is taken, and which events are the part."""
        self.part_filters: list[Filter] = []
        self.part_noun = ""
        if self.share is None:
            if self.numerator:
                return
            return
        events = self.lexicon.events
        share = self.share[0]
        plain = list(dict.fromkeys(t for m, _ in self.mentions if not m.term for t in m.types))
        base: list[str] = []
        if self.base and set(plain) < set(self.base):
            base = self.base
        elif not self.base and len(plain) == 2:
            raise Ask(f"The share of {plain[0]} in what, and of {plain[1]} in what?")
        elif len(plain) == 1 and not self.conditions:
            wholes = [term for term in self.lexicon.schema.terms.values() if plain[0] in term.outcomes]
            if wholes:
                base = [t for t in wholes[0].events if t in events]
            elif share.rate:
                others = [n for n in events if n != plain[0] and not self._lacks(events[n])]
                questions = tuple(
                    f"What is the number of {plain[0]} and {n} events{self._by_words()}?" for n in others[:2]
                )
                raise Ask(f"The rate of {plain[0]} events among which events?", questions=questions)
        if base and plain:
            able = [n for n in base if not self._lacks(events[n])]
            if set(plain) <= set(able) and len(able) > len(plain):
                self.frame.events = [events[n] for n in able]
                self.part_filters = [
                    Filter(field="_type", value=plain[0])
                    if len(plain) == 1
                    else Filter(field="_type", op="in", value=tuple(plain))
                ]
                self.part_noun = f"{listed(plain)} events"
                terms = [n for n, t in self.lexicon.schema.terms.items() if set(able) == set(t.events)]
                self.frame.name = self.ctx.event_noun(EventRef(tuple(able), terms[0] if terms else ""))

    def _by_words(self) -> str:
        return "".join(f" {self.ctx.text(part)}" for _, part in self.groups)

    # filters

    def _filter(self) -> None:
        for condition, part in self.conditions:
            tests, told = self._condition(condition, part)
            if self.share is not None and not self.part_filters:
                self.share_conditions = getattr(self, "share_conditions", [])
                self.share_conditions += [(tests, told)]
            else:
                self.frame.filters += tests
                self.frame.told.append(told)
        self.fixed: set[str] = set()
        self.sets: tuple[str, list[str], list[str]] | None = None
        self.grouped_by_list: list[tuple[str, Entities, Part]] = []
        for wanted, part in self.filters:
            self._entity_filter(wanted, part)

    def _entity_filter(self, wanted: EntityFilter, part: Part) -> None:
        entities = wanted.entities
        found = [entity_role(self.ctx, wanted, ref, self.frame.events, part) for ref in entities.items]
        roles = {role for role, _ in found}
        if len(roles) > 1:
            if entities.mode in ("and", "both", "versus"):
                raise Decline(
                    f"{self.ctx.text(part)!r} speaks of {listed(sorted(roles))}: ask about one of them."
                )
            raise Ask(f"{self.ctx.text(part)!r} can be {listed(sorted(roles), 'or')}. Which one?")
        role = roles.pop()
        names = [entity for _, entity in found]
        event = self.frame.events[0]
        if self._of_sets() and not wanted.negated and (entities.without or entities.mode in ("and", "both")):
            self._set_of(wanted, role, names, part)
            return
        if not wanted.negated:
            if role in self.fixed or (entities.mode == "both" and self.subjects):
                raise Decline(
                    f"No single event has two of its {self.ctx.role_noun(RoleRef(role, event.type_of(role)))}."
                )
            self.fixed.add(role)
        tests = role_filter(self.ctx, role, names, event, negated=wanted.negated)
        if (
            self.share is not None
            and not self.part_filters
            and not getattr(self, "share_conditions", [])
            and not self.groups
            and not self.subjects
        ):
            self.share_entities = getattr(self, "share_entities", [])
            self.share_entities.append((tests, listed([self.ctx.lexicon.label(n) for n in names])))
            return
        self.frame.filters += tests
        verb = "not " if wanted.negated else ""
        type_ = event.type_of(role)
        noun = self.ctx.role_noun(RoleRef(role, type_))
        labels = [self.lexicon.label(n).removeprefix(f"{type_} ") for n in names]
        self.frame.told.append(f"{noun} {verb}{listed(labels, 'or')}")
        if entities.without:
            without = [
                entity_role(self.ctx, replace(wanted, role=role), ref, self.frame.events, part)[1]
                for ref in entities.without
            ]
            self.frame.filters += role_filter(self.ctx, role, without, event, negated=True)
            self.frame.told.append(f"{noun} not {listed([self.lexicon.label(n) for n in without], 'or')}")
        if (len(names) > 1 and not wanted.negated and entities.mode in ("and", "both", "versus")) or (self.versus and len(names) == 1):
            self.grouped_by_list.append((role, entities, part))

    def _of_sets(self) -> bool:
        """Return whether entities are asked for that have events of each of several kinds."""
        kinds = [d for d, _ in self.subjects if isinstance(d, KindRef | RoleRef)]
        figures = self.wanted or self.superlative or self.share or self.having or self.groups or self.order
        return len(kinds) == 1 == len(self.subjects) and not figures and not self.timeline

    def _set_of(self, wanted: EntityFilter, role: str, names: list[str], part: Part) -> None:
        """Remember that what is asked for has events with each of some entities, and none with others."""
        if self.sets is not None:
            raise Decline("Two such sets in one question are not possible yet.")
        without = [
            entity_role(self.ctx, replace(wanted, role=role), ref, self.frame.events, part)[1]
            for ref in wanted.entities.without
        ]
        self.sets = (role, names, without)
        self.fixed.add(role)

    def _condition(self, condition: Condition, part: Part) -> tuple[list[Filter], str]:
        if not isinstance(condition.what, FieldRef):
            raise Decline(f"{self.frame.events[0].name} events have no field {condition.what.names[0][1]}.")
        name = self._field(condition.what, part)
        values = [
            self._scaled(name, v, condition.unit) if isinstance(v, float) else v for v in condition.values
        ]
        kind = self.frame.events[0].fields[name].type
        if values and isinstance(values[0], float) and kind not in _NUMERIC:
            raise Decline(f"{name} is not a number.")
        value: Any = (
            tuple(_plain(v) for v in values)
            if condition.op == "between"
            else _plain(values[0])
            if values
            else None
        )
        told = f"{self.ctx.field_noun(name)} {condition.op} "
        told += " and ".join(str(_plain(v)) for v in values)
        unit = self.ctx.unit(name) if values and isinstance(values[0], float) else ""
        return [Filter(field=name, op=condition.op, value=value)], f"{told.strip()} {unit}".strip()

    def _scaled(self, name: str, value: float, unit: str) -> float:
        about = self.lexicon.schema.about.get(name)
        own = about.unit if about else ""
        language = self.lexicon.language
        spoken = {language.stem(w): s for w, s in language.times["seconds"].items()}
        if not unit or language.stem(own) == unit:
            return value
        seconds = {language.stem(w): s for w, s in _SECONDS.items()}
        if unit in spoken and language.stem(own) in seconds:
            return value * spoken[unit] / seconds[language.stem(own)]
        if own:
            raise Decline(f"{name} is in {self.ctx.unit(name)}, not in {unit}s.")
        self.frame.notes.append(f"the unit of {name} is not known; {value:g} is taken as it stands")
        return value

    # fields

    def _field(self, ref: FieldRef, part: Part) -> str:
        """Return the one field of the chosen events that is meant.

        Raises:
            Ask: If it may be several.
        """
        names = [n for n in ref.names if all(n in e.fields for e in self.frame.events)]
        if not names:
            raise Decline(f"{self.frame.events[0].name} events have no field {ref.names[0]}.")
        if len(names) > 1:
            spoken = [t for m, _ in self.mentions if not m.term for t in m.types]
            own = [n for n in names if any(_belongs(n, t) for t in spoken)]
            if len(own) == 1:
                return own[0]
            i, j = self.ctx.field_span(ref, part)
            nouns = [self.ctx.field_noun(n) for n in names]
            options = tuple((i, j, noun) for noun in nouns)
            raise Ask(f"Which {self._words(i, j)} do you mean: {listed(nouns, 'or')}?", options)
        if len(ref.names) > 1 and not [m for m, _ in self.mentions if not m.term]:
            every = [n for n in ref.names if n in self.lexicon.fields]
            if len(every) > 1:
                i, j = self.ctx.field_span(ref, part)
                nouns = [self.ctx.field_noun(n) for n in every]
                raise Ask(
                    f"Which {self._words(i, j)} do you mean: {listed(nouns, 'or')}?",
                    tuple((i, j, noun) for noun in nouns),
                )
        return names[0]

    def _words(self, i: int, j: int) -> str:
        return " ".join(t.word for t in self.ctx.tokens[i:j])

    # groups

    def _group(self) -> None:
        counted = self.count[0].what if self.count else None
        for dim, part in self.groups:
            self.frame.dims.append(self._dim(dim, part))
        for dim, part in self.subjects:
            if dim is counted and not self.superlative:
                continue
            if self._said_by_filter(dim):
                continue
            made = self._dim(dim, part)
            made.subject = True
            if isinstance(dim, KindRef | RoleRef):
                self._named_only(made)
            if all(made.columns != d.columns for d in self.frame.dims):
                self.frame.dims.append(made)
        for role, _, _ in self.grouped_by_list:
            columns = role_fields(self.frame.events[0], role)
            if not self._grouped(columns) and not self.share:
                noun = self.ctx.role_noun(RoleRef(role, self.frame.events[0].type_of(role)))
                self.frame.dims.append(_Dim(tuple(Group(field=c) for c in columns), noun))
        if self.timeline and not any(d.bucket for d in self.frame.dims):
            self.frame.dims.append(self._bucket(self._usual_bucket(), None))
        if sum(bool(d.bucket in _CALENDAR) for d in self.frame.dims if d.bucket) > 1:
            raise Decline("A timeline has one length of time; the question names two.")

    def _named_only(self, dim: _Dim) -> None:
        """Leave out events that do not name what is asked for."""
        for group in dim.groups:
            if any(e.fields[group.field].nulls for e in self.frame.events if group.field in e.fields):
                self.frame.filters.append(Filter(field=group.field, op="is not null"))

    def _said_by_filter(self, dim: Any) -> bool:
        return False if not isinstance(dim, KindRef) else False

    def _grouped(self, columns: tuple[str, ...]) -> bool:
        return any(set(columns) <= {g.field for g in d.groups} for d in self.frame.dims)

    def _dim(self, dim: Any, part: Part) -> _Dim:
        events = self.frame.events
        if isinstance(dim, Bucket):
            return self._bucket(dim.unit, part)
        if isinstance(dim, FieldRef):
            name = self._field(dim, part)
            return _Dim((Group(field=name),), self.ctx.field_noun(name), part=part)
        if isinstance(dim, PropertyRef):
            raise Decline(f"{events[0].name} events have no field {dim.names[0][1]}.")
        role = self._free_role(dim, part)
        fields = role_fields(events[0], role)
        noun = self.ctx.kind_noun(dim)
        return _Dim(tuple(Group(field=f) for f in fields), noun, part=part)

    def _free_role(self, dim: KindRef | RoleRef, part: Part) -> str:
        """Return the role of a group; one that a filter has fixed already is not meant."""
        if isinstance(dim, KindRef):
            roles = [
                r
                for r in self.frame.events[0].roles_of(dim.type)
                if all(r in e.roles for e in self.frame.events)
            ]
            fixed = {f.field for f in self.frame.filters}
            free = [r for r in roles if not fixed & set(role_fields(self.frame.events[0], r))]
            if len(roles) > 1 and len(free) == 1:
                return free[0]
        return kind_role(self.ctx, dim, self.frame.events, part)

    def _bucket(self, unit: str, part: Part | None) -> _Dim:
        if unit == "hour" and not self.timeline and self._days() > _LONG_HOURS:
            unit = "hour of day"
            self.frame.notes.append("hours are hours of the day")
        return _Dim((Group(field="_ts", bucket=unit),), unit, unit, part=part)  # type: ignore[arg-type]

    def _days(self) -> float:
        from datetime import datetime  # noqa: PLC0415

        window = self.lexicon.window
        if window is None:
            return 0.0
        first, last = (t.replace(tzinfo=None) for t in window)
        for period in self.periods:
            if period.since and period.since[:1].isdigit():
                first = max(first, datetime.fromisoformat(period.since))
            if period.until and period.until[:1].isdigit():
                last = min(last, datetime.fromisoformat(period.until))
            if period.since and not period.since[:1].isdigit():
                return 7.0
        return (last - first).total_seconds() / 86_400

    def _usual_bucket(self) -> str:
        days = self._days()
        return "hour" if days <= _LONG_HOURS else "day" if days <= 120 else "week" if days <= 200 else "month"

    # figures

    def _measure(self) -> None:
        figures = self.frame.figures
        if self.share is not None:
            figures.append(self._share_figure())
        for measure, part in self.wanted:
            figures += self._field_figures(measure, part)
        for _, _, what, part in self.having:
            if isinstance(what, KindRef | RoleRef):
                figures.append(self._distinct_figure(what, part))
        if not figures or self._counts_too() or any(isinstance(w, EventRef) for _, _, w, _ in self.having):
            counted = self.count[0].what if self.count else None
            if isinstance(counted, KindRef | RoleRef) and not self.superlative:
                figures.insert(0, self._distinct_figure(counted, self.count[1]))  # type: ignore[index]
            else:
                figures += self._count_figures()

    def _counts_too(self) -> bool:
        if self.share is not None:
            return False
        ordered = self.order is not None and isinstance(self.order[0].by, EventRef)
        best = self.superlative is not None and isinstance(self.superlative[0].what, EventRef)
        return (self.count is not None and bool(self.wanted)) or ordered or best

    def _count_figures(self) -> list[_Figure]:
        events = self.frame.events
        spoken = {t for m, _ in self.mentions for t in m.types if not m.term}
        if len(events) > 1 and {e.name for e in events} == spoken and not self.frame.name.startswith("all"):
            return [
                _Figure(
                    Measure(name=_column(e.name), where=(Filter(field="_type", value=e.name),)),
                    f"number of {e.name} events",
                )
                for e in events
            ]
        worse = "higher" if len(events) == 1 and self._is_outcome(events[0].name) else ""
        return [_Figure(Measure(name="count"), "number", worse)]

    def _is_outcome(self, name: str) -> bool:
        return any(name in term.outcomes for term in self.lexicon.schema.terms.values())

    def _distinct_figure(self, what: KindRef | RoleRef, part: Part) -> _Figure:
        role = self._free_role(what, part)
        fields = role_fields(self.frame.events[0], role)
        noun = self.ctx.kind_noun(what)
        if len(fields) > 1:
            raise Decline(
                f"Different {noun} entities cannot be counted here: {listed(list(fields))} together name one."
            )
        return _Figure(
            Measure(name=f"distinct_{fields[0]}", op="distinct", field=fields[0]),
            f"number of different {noun}",
        )

    def _share_figure(self) -> _Figure:
        worse = "higher" if self.part_filters and self._is_outcome(str(self.part_filters[0].value)) else ""
        if self.part_filters:
            return _Figure(
                Measure(name="share", op="share", where=tuple(self.part_filters)),
                f"share of {self.part_noun}",
                worse,
            )
        conditions = getattr(self, "share_conditions", [])
        entities = getattr(self, "share_entities", [])
        if conditions or entities:
            tests = [t for found, _ in (*conditions, *entities) for t in found]
            told = listed([told for _, told in (*conditions, *entities)])
            return _Figure(Measure(name="share", op="share", where=tuple(tests)), f"share with {told}")
        if self.frame.dims:
            return _Figure(Measure(name="part", op="part"), "part of all of them", whole=True)
        raise Ask("The share of what?")

    def _field_figures(self, measure: MeasureRef, part: Part) -> list[_Figure]:
        if measure.what is None or isinstance(measure.what, PropertyRef):
            raise Ask("Which figure is meant?")
        name = self._field(measure.what, part)
        about = self.lexicon.schema.about.get(name)
        noun = self.ctx.field_noun(name)
        kind = self.frame.events[0].fields[name].type
        ops = measure.ops
        if kind not in _NUMERIC and kind != "bool":
            if self.count is not None or self.distinct:
                return [
                    _Figure(
                        Measure(name=f"distinct_{name}", op="distinct", field=name),
                        f"number of different {noun}",
                    )
                ]
            if ops:
                raise Decline(f"{noun} is not a number: it has no {listed(list(ops))}.")
            self.frame.dims.append(_Dim((Group(field=name),), noun, subject=True, part=part))
            return [] if self.wanted[0][0] is not measure else self._count_figures()
        if about is not None and not about.measure:
            raise Decline(f"{noun} is a code or a clock time: averages and sums of it mean nothing.")
        worse = about.worse if about else ""
        unit = self.ctx.unit(name)
        in_unit = f" in {unit}" if unit else ""
        if not ops:
            ops = self._usual_ops(name, noun, part)
        words = self.lexicon.language.data["speech"]["means"]
        return [
            _Figure(Measure(name=f"{op}_{name}", op=op, field=name), f"{words[op]} {noun}{in_unit}", worse)  # type: ignore[arg-type]
            for op in ops
        ]

    def _usual_ops(self, name: str, noun: str, part: Part) -> tuple[str, ...]:
        """Return what a bare "delay" means: averages where groups are compared; with "highest" it must be said."""
        if self.superlative is not None and isinstance(self.superlative[0].what, MeasureRef):
            degree = self.superlative[0].degree
            if self.frame.dims or self.subjects:
                low = degree in ("lowest", "fewest") or (degree == "best")
                i, j = self.ctx.field_span(self.superlative[0].what.what, part)  # type: ignore[arg-type]
                nouns = (f"average {noun}", f"{'minimum' if low else 'maximum'} {noun}", f"total {noun}")
                raise Ask(
                    f"The {degree} {noun}: on average, as a single value, or in total?",
                    tuple((i, j, n) for n in nouns),
                )
            about = self.lexicon.schema.about.get(name)
            worse = about.worse if about else ""
            if degree in ("worst", "best"):
                if not worse:
                    raise Ask(f"Is a high or a low {noun} the {degree} one?")
                return ("max",) if (degree == "worst") == (worse == "higher") else ("min",)
            return ("max",) if degree in ("highest", "most") else ("min",)
        return ("mean", "median", "max") if not any(d.bucket for d in self.frame.dims) else ("mean",)

    # the plan

    def _built(self) -> Draft:
        frame = self.frame
        since, until, times = self._times()
        names = tuple(e.name for e in frame.events)
        if self.sets is not None:
            return self._set_draft(since, until, times)
        documents = self._documents()
        scan = Scan(
            id="events", title=frame.name, types=names, since=since, until=until, where=tuple(frame.filters)
        )
        steps: list[Step] = [scan]
        about = frame.name + (f" with {listed(frame.told)}" if frame.told else "")
        if documents:
            return self._document_draft(steps, about, times)
        if self.compared and any(f.measure.op == "share" for f in frame.figures):
            return self._monthly_share(steps, about, times)
        measures = self._compared_measures() if self.compared else [f.measure for f in frame.figures]
        source = self._clocked(steps, measures) if self.clocks else None
        main, columns = source or self._tabled(steps, measures)
        if frame.figures[0].whole and self.clocks:
            raise Decline("Parts of a whole cannot be taken of some days or hours only.")
        if self.having:
            main = self._having(steps, main, measures)
        if self.twice:
            return self._over_groups(steps, main, measures, about, times)
        order = self._ordered(steps, main, measures, columns)
        steps = order[0]
        reading = self._told(about, times, order[1])
        renders = self._renders(steps, measures)
        draft = Draft(steps, renders, reading, list(frame.notes))
        draft.suggestions = self._next()
        return draft

    def _set_draft(self, since: str | None, until: str | None, times: str) -> Draft:
        """Return the plan of a set: who has events with each of some entities, and none with others."""
        if self.compared or self.clocks or self.sets is None:
            raise Decline("Sets are of one time.")
        role, names, without = self.sets
        event = self.frame.events[0]
        what, part = self.subjects[0]
        fields = role_fields(event, self._free_role(what, part))
        if len(fields) != 1:
            raise Decline(f"{self.ctx.kind_noun(what)} entities cannot be collected from events.")
        self._named_only(_Dim((Group(field=fields[0]),), ""))
        noun = self.ctx.role_noun(RoleRef(role, event.type_of(role)))
        steps: list[Step] = []

        def collected(number: int, entity: str) -> str:
            where = (*self.frame.filters, *role_filter(self.ctx, role, [entity], event, negated=False))
            types = tuple(e.name for e in self.frame.events)
            steps.append(Scan(id=f"events_{number}", types=types, since=since, until=until, where=where))
            title = f"{noun} {self.lexicon.label(entity)}"
            count = (Measure(name="count"),)
            by = (Group(field=fields[0]),)
            steps.append(
                Aggregate(id=f"with_{number}", title=title, source=f"events_{number}", by=by, measures=count)
            )
            return f"with_{number}"

        wanted = [collected(n, e) for n, e in enumerate(names, 1)]
        unwanted = [collected(n, e) for n, e in enumerate(without, len(names) + 1)]
        main = wanted[0]
        if len(wanted) > 1:
            steps.append(SetOperation(id="both", sources=tuple(wanted), kind="intersection", on=fields[0]))
            main = "both"
        if unwanted:
            steps.append(SetOperation(id="rest", sources=(main, *unwanted), kind="difference", on=fields[0]))
            main = "rest"
        several = self.ctx.plural_of(self.ctx.kind_noun(what))
        told = listed([f"{noun} {self.lexicon.label(n)}" for n in names])
        told += f" but none with {listed([self.lexicon.label(n) for n in without], 'or')}" if without else ""
        others = f" ({listed(self.frame.told)})" if self.frame.told else ""
        reading = f"{several} that have {self.frame.name} with {told}{others}{f', {times}' if times else ''}"
        if self.count is not None:
            steps.append(Aggregate(id="number", source=main, measures=(Measure(name="count"),)))
            render = Render(kind="metric", source="number", y=("count",), title=f"number of {several}")
            return Draft(steps, [render], [f"The number of {reading}"], list(self.frame.notes))
        render = Render(kind="table", source=main, title=several)
        return Draft(steps, [render], [f"{reading[:1].upper()}{reading[1:]}"], list(self.frame.notes))

    def _times(self) -> tuple[str | None, str | None, str]:
        if not self.periods:
            return None, None, ""
        guessed = [p.name for p in self.periods if p.guessed]
        if guessed:
            self.frame.notes.append(f"the year is taken from the data: {listed(guessed)}")
        if self.compared:
            sinces, untils = [p.since for p in self.periods], [p.until for p in self.periods]
            since = None if None in sinces else min(filter(None, sinces))
            until = None if None in untils else max(filter(None, untils))
            return since, until, f"compared over {listed([p.name for p in self.periods])}"
        period: Period = self.periods[0]
        return period.since, period.until, _time_words(period)

    def _compared_measures(self) -> list[Measure]:
        """Return each figure for each time: one column a time."""
        found = []
        for period in self.periods:
            tests = tuple(
                Filter(field="_ts", op=op, value=value)  # type: ignore[arg-type]
                for op, value in ((">=", period.since), ("<", period.until))
                if value is not None
            )
            for figure in self.frame.figures:
                if figure.measure.op in ("share", "part"):
                    raise Decline(
                        "Shares of several times cannot be compared in one table; ask for each, or per month."
                    )
                name = period.name if len(self.frame.figures) == 1 else f"{figure.measure.name} {period.name}"
                found.append(
                    figure.measure.model_copy(update={"name": name, "where": (*figure.measure.where, *tests)})
                )
        return found

    def _tabled(self, steps: list[Step], measures: list[Measure]) -> tuple[str, tuple[str, ...]]:
        """Add the step that counts, and return its id and its columns of groups."""
        dims = self.frame.dims
        buckets = [d for d in dims if d.bucket in _CALENDAR]
        others = [g for d in dims if d not in buckets for g in d.groups]
        if buckets and not any(g.bucket for g in others):
            by = tuple(g.field for g in others)
            step = Timeline(
                id="timeline",
                title=self._title(),
                source="events",
                bucket=buckets[0].bucket,
                by=by,
                measures=tuple(measures),  # type: ignore[arg-type]
            )
            steps.append(step)
            return "timeline", ("time", *by)
        groups = tuple(g for d in dims for g in d.groups)
        steps.append(
            Aggregate(id="figures", title=self._title(), source="events", by=groups, measures=tuple(measures))
        )
        return "figures", tuple(g.column for g in groups)

    def _monthly_share(self, steps: list[Step], about: str, times: str) -> Draft:
        """Return the plan of shares in several months, a row a month; a share's whole is that of its month."""
        months = [
            p.since
            for p in self.periods
            if p.since and p.until and p.since.endswith("-01") and p.until.endswith("-01")
        ]
        lengths = {_months_between(p) for p in self.periods}
        if len(months) != len(self.periods) or lengths != {1} or any(d.bucket for d in self.frame.dims):
            raise Decline("Shares can be compared over whole months; ask for other times one by one.")
        by = tuple(c for d in self.frame.dims for c in d.columns)
        measures = tuple(f.measure for f in self.frame.figures)
        steps.append(Timeline(id="timeline", source="events", bucket="month", by=by, measures=measures))
        tests = (Filter(field="time", op="in", value=tuple(m for m in months if m)),)
        steps.append(FilterRows(id="kept", title=self._title(), source="timeline", where=tests))
        render = Render(
            kind="bar",
            source="kept",
            title=self._title(),
            x="time",
            y=(measures[0].name,),
            color=by[0] if by else None,
        )
        return Draft(steps, [render], self._told(about, times, ""), list(self.frame.notes))

    def _over_groups(
        self, steps: list[Step], main: str, measures: list[Measure], about: str, times: str
    ) -> Draft:
        """Return the plan of a figure over the numbers of groups: the average per day."""
        dims = self.frame.dims
        if not dims or self.having or len(measures) != 1:
            raise Ask(f"The {listed(list(self.twice))} of what, and over which groups?")
        kept = (
            [d for d in dims if d.bucket not in _CALENDAR] if any(d.bucket in _CALENDAR for d in dims) else []
        )
        by = tuple(Group(field=c) for d in kept for c in d.columns)
        name = measures[0].name
        figures = tuple(Measure(name=f"{op}_{name}", op=op, field=name) for op in self.twice)  # type: ignore[arg-type]
        steps.append(Aggregate(id="over_groups", title=self._title(), source=main, by=by, measures=figures))
        reading = self._told(about, times, "")
        names = tuple(f.name for f in figures)
        render = (
            Render(kind="bar", source="over_groups", x=by[0].column, y=names[:1])
            if by
            else Render(kind="metric", source="over_groups", y=names)
        )
        return Draft(steps, [render], reading, list(self.frame.notes))

    def _having(self, steps: list[Step], main: str, measures: list[Measure]) -> str:
        """Add the step that keeps groups whose figures satisfy a condition."""
        if not self.frame.dims:
            raise Ask("Which groups should have that many: by what?")
        if self.compared:
            raise Decline("A condition on figures of several times is not possible yet.")
        tests = []
        for op, number, what, _ in self.having:
            counted = next(
                m
                for m in measures
                if (m.op == "count") == isinstance(what, EventRef) and m.op in ("count", "distinct")
            )
            tests.append(Filter(field=counted.name, op=op, value=_plain(number)))  # type: ignore[arg-type]
        steps.append(FilterRows(id="kept", title=self._title(), source=main, where=tuple(tests)))
        return "kept"

    def _clocked(self, steps: list[Step], measures: list[Measure]) -> tuple[str, tuple[str, ...]]:
        """Add steps that keep some days of the week or hours only: group by them, keep them, add them up."""
        dims = self.frame.dims
        if any(d.bucket in _CALENDAR for d in dims):
            raise Decline(
                "A timeline of some weekdays or hours only is not possible yet; group by day of week instead."
            )
        extra, tests = [], []
        for clock in self.clocks:
            if isinstance(clock, Weekdays):
                extra.append(Group(field="_ts", bucket="day of week", name="day_of_week"))
                tests.append(Filter(field="day_of_week", op="in", value=clock.days))
            else:
                extra.append(Group(field="_ts", bucket="hour of day", name="hour_of_day"))
                tests.append(Filter(field="hour_of_day", op="between", value=(clock.first, clock.end - 1)))
        again = {"count": "sum", "sum": "sum", "min": "min", "max": "max"}
        single = all(isinstance(c, Weekdays) and len(c.days) == 1 for c in self.clocks)
        groups = tuple(g for d in dims for g in d.groups)
        groups_now = (*groups, *(g for g in extra if g.column not in {h.column for h in groups}))
        steps.append(Aggregate(id="by_clock", source="events", by=groups_now, measures=tuple(measures)))
        steps.append(FilterRows(id="kept", title=self._title(), source="by_clock", where=tuple(tests)))
        columns = tuple(g.column for g in groups)
        if single or {g.column for g in extra} <= set(columns):
            return "kept", columns
        if any(m.op not in again for m in measures):
            raise Decline(
                "Averages, medians and shares over several days of the week or hours are not possible yet; ask for counts, or for one weekday."
            )
        summed = tuple(
            Measure(name=m.name, op=again[m.op], field=m.name)  # type: ignore[arg-type]
            for m in measures
        )
        by = tuple(Group(field=c) for c in columns)
        steps.append(Aggregate(id="figures", title=self._title(), source="kept", by=by, measures=summed))
        return "figures", columns

    def _title(self) -> str:
        figures = listed([f.noun for f in self.frame.figures])
        by = listed([d.noun for d in self.frame.dims]) if self.frame.dims else ""
        return f"{figures}{f' by {by}' if by else ''}"[:200]

    def _ordered(
        self, steps: list[Step], main: str, measures: list[Measure], columns: tuple[str, ...]
    ) -> tuple[list[Step], str]:
        """Add the step that orders the rows, and return how it is said."""
        if not columns:
            if self.superlative is not None and self.superlative[0].n:
                raise Ask(f"The {self.superlative[0].n} of what?", questions=())
            if self.superlative is not None and self.superlative[0].what is None:
                raise Ask(f"{self.ctx.text(self.superlative[1]).capitalize()} of what?")
            return steps, ""
        figure, column = self._key(measures)
        if self.superlative is not None:
            return self._topped(steps, main, figure, column)
        if columns[0] == "time" or (self.order is None and any(d.bucket for d in self.frame.dims)):
            if (
                self.order is None
                or (main == "timeline"
                and self.order[0].by is None
                and not self.order[0].direction)
            ):
                if main != "timeline":
                    keys = tuple(SortKey(field=c) for c in columns)
                    steps.append(Sort(id="sorted", title=self._title(), source=main, by=keys))
                return steps, ""
        direction = self.order[0].direction if self.order else ""
        descending = self._descending(direction, figure)
        steps.append(
            Sort(
                id="sorted",
                title=self._title(),
                source=main,
                by=(SortKey(field=column, descending=descending),),
            )
        )
        said = f"ordered by {figure.noun}, {'largest' if descending else 'smallest'} first"
        return steps, said

    def _key(self, measures: list[Measure]) -> tuple[_Figure, str]:
        """Return the figure that decides the order, and its column."""
        figures = self.frame.figures
        chosen = figures[0]
        wanted = None
        if self.superlative is not None and self.superlative[0].what is not None:
            wanted = self.superlative[0].what
        elif self.order is not None and self.order[0].by is not None:
            wanted = self.order[0].by
        if isinstance(wanted, EventRef):
            chosen = next((f for f in figures if f.measure.op == "count"), chosen)
        elif isinstance(wanted, MeasureRef) and isinstance(wanted.what, FieldRef):
            chosen = next((f for f in figures if f.measure.field in wanted.what.names), chosen)
        column = chosen.measure.name if not self.compared else measures[0].name
        return chosen, column

    def _descending(self, direction: str, figure: _Figure) -> bool:
        if direction in ("worst", "best"):
            if not figure.worse:
                part = self.order[1] if self.order else self.superlative[1]  # type: ignore[index]
                raise Ask(
                    f"Is a high or a low {figure.noun} the {direction} one?",
                    ((part.i, part.j, "highest first"), (part.i, part.j, "lowest first")),
                )
            return (direction == "worst") == (figure.worse == "higher")
        return direction != "ascending"

    def _topped(self, steps: list[Step], main: str, figure: _Figure, column: str) -> tuple[list[Step], str]:
        superlative, part = self.superlative  # type: ignore[misc]
        degree = superlative.degree
        if degree in ("worst", "best"):
            descending = self._descending(degree, figure)
        else:
            descending = degree in ("most", "highest")
            if self.order is not None and self.order[0].direction == "ascending":
                descending = False
            if self.order is not None and self.order[0].direction in ("worst", "best"):
                descending = self._descending(self.order[0].direction, figure)
        n = superlative.n or self.n
        if n is None:
            subjects = [d for d in self.frame.dims if d.subject and d.part is not None]
            several = any(self.ctx.several(d.part) for d in subjects if d.part) or not subjects
            n = 10 if several else 1
        kept = [d for d in self.frame.dims if not d.subject]
        if kept and any(d.subject for d in self.frame.dims):
            raise Decline(
                f"The {'most' if descending else 'fewest'} in each {listed([d.noun for d in kept])} is not possible yet: "
                "leave one of the two groups out."
            )
        steps.append(
            Top(id="top", title=self._title(), source=main, by=column, n=n, ascending=not descending)
        )
        return steps, f"the {n} with the {'highest' if descending else 'lowest'} {figure.noun}"

    def _documents(self) -> bool:
        """Return whether the events themselves are wanted, not figures of them.

        A noun in the singular that is no verb ("weather on 8 February") asks for them too.
        """
        if (
            self.having
            or self.count
            or self.share
            or self.wanted
            or self.frame.dims
            or self.superlative
            or self.compared
            or self.clocks
        ):
            return False
        self._ask_who()
        nouns = [
            self.ctx.tokens[p.j - 1]
            for m, p in self.mentions
            if not m.term and p.j - p.i == len(split_name(m.types[0]))
        ]
        single = bool(nouns) and all(
            not t.plural and t.word == "".join(split_name(m.types[0]))
            for t, (m, _) in zip(nouns, self.mentions, strict=False)
        )
        return single or self.ctx.asked_which()

    def _ask_who(self) -> None:
        """Ask back what "who" or "where" stands for.

        Raises:
            Ask: If the question says one of them.
        """
        asks = self.lexicon.language.data["speech"]["asks"]
        place = next(
            (n for n, t in enumerate(self.ctx.tokens) if t.word in (*asks["who"], *asks["where"])), None
        )
        if place is None:
            return
        somewhere = self.ctx.tokens[place].word in asks["where"]
        event = self.frame.events[0]
        fixed = {f.field for f in self.frame.filters}
        nouns = [
            self.ctx.role_noun(RoleRef(r, event.type_of(r)))
            for r in event.roles
            if len(role_fields(event, r)) == 1
            and not fixed & set(role_fields(event, r))
            and (event.type_of(r) in self.lexicon.places) == somewhere
        ]
        options = tuple((place, place + 1, f"which {self.ctx.plural_of(noun)}") for noun in nouns[:3])
        raise Ask(f"{self.ctx.tokens[place].text.capitalize()}: which {listed(nouns, 'or')}?", options)

    def _document_draft(self, steps: list[Step], about: str, times: str) -> Draft:
        key = self.order[0] if self.order else None
        if key is not None and key.by is not None:
            raise Decline(
                "Single events are listed in order of time; ask for a figure by group to order by it."
            )
        steps.append(Sort(id="listed", title=about, source="events", by=(SortKey(field="_ts"),)))
        reading = [f"Lists the {about}{f' {times}' if times else ''}, in order of time"]
        return Draft(
            steps, [Render(kind="table", source="listed", title=about)], reading, list(self.frame.notes)
        )

    def _told(self, about: str, times: str, order: str) -> list[str]:
        figures = listed([f.noun for f in self.frame.figures])
        by = f" for each {listed([d.noun for d in self.frame.dims])}" if self.frame.dims else ""
        if len(self.frame.figures) > 1 and all(f.measure.where for f in self.frame.figures):
            about = f"with {listed(self.frame.told)}" if self.frame.told else ""
        else:
            about = f"of {about}"
        reading = [
            f"{figures[:1].upper()}{figures[1:]}{f' {about}' if about else ''}{by}{f', {times}' if times else ''}"
        ]
        if self.twice:
            words = self.lexicon.language.data["speech"]["means"]
            reading = [
                f"The {listed([words[o] for o in self.twice])} over all of: {reading[0][:1].lower()}{reading[0][1:]}"
            ]
        for op, number, what, _ in self.having:
            noun = (
                "their number"
                if isinstance(what, EventRef)
                else f"the number of different {self.ctx.kind_noun(what)}"
            )
            reading.append(f"only where {noun} is {op} {_plain(number):,}")
        if self.clocks:
            reading.append(f"only {listed([c.name for c in self.clocks])}")
        if order:
            reading.append(order)
        return reading

    def _renders(self, steps: list[Step], measures: list[Measure]) -> list[Render]:
        main = steps[-1]
        title = self._title()
        dims = self.frame.dims
        names = tuple(m.name for m in measures)
        if not dims:
            return [Render(kind="metric", source=main.id, title=title, y=names)]
        if any(s.op == "timeline" for s in steps):
            others = [c for d in dims if d.bucket not in _CALENDAR for c in d.columns]
            kind: Any = "line"
            if main.op == "top":
                return [Render(kind="bar", source=main.id, title=title, x="time", y=names[:1])]
            return [
                Render(
                    kind=kind,
                    source=main.id,
                    title=title,
                    x="time",
                    y=names if not others else names[:1],
                    color=others[0] if others else None,
                )
            ]
        columns = [c for d in dims for c in d.columns]
        if len(columns) == 2 and len(names) == 1:
            return [
                Render(
                    kind="heatmap", source=main.id, title=title, x=columns[1], y=(columns[0],), color=names[0]
                )
            ]
        y = names if self.compared else names[:1]
        return [Render(kind="bar", source=main.id, title=title, x=columns[0], y=y)]

    def _next(self) -> list[str]:
        """Return questions that go on from here."""
        event = self.frame.events[0]
        words = " ".join(split_name(event.name))
        noun = self.ctx.plural_of(words)
        named = [
            t
            for t, term in self.lexicon.schema.terms.items()
            if set(term.events) == {e.name for e in self.frame.events}
        ]
        if named:
            noun = self.ctx.plural_of(named[0])
        found = []
        grouped = {c for d in self.frame.dims for c in d.columns}
        for role in event.roles:
            fields = role_fields(event, role)
            if (
                len(fields) == 1
                and fields[0] not in grouped
                and fields[0] not in {f.field for f in self.frame.filters}
            ):
                found.append(
                    f"{noun} by {self.ctx.role_noun(RoleRef(role, event.type_of(role)))}".capitalize()
                )
        if not any(d.bucket for d in self.frame.dims):
            found.append(f"{noun} per month as a timeline".capitalize())
        return found[:3]


def _column(name: str) -> str:
    return "_".join(split_name(name))


def _months_between(period: Period) -> int:
    """Return how many calendar months a time spans from the start of one to the start of another."""
    since, until = (str(t).split("-") for t in (period.since, period.until))
    return 12 * (int(until[0]) - int(since[0])) + int(until[1]) - int(since[1])


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _belongs(field_name: str, event: str) -> bool:
    """Return whether a field's name begins with the event's, shortened: arr_delay is Arrival's."""
    first, name = split_name(field_name)[0], "".join(split_name(event))
    return len(first) >= 3 and name.startswith(first) and len(split_name(field_name)) > 1


def _time_words(period: Period) -> str:
    from workbench.plans.grammar.context import day_before  # noqa: PLC0415

    if period.since is None and period.until is None:
        return "over the whole window"
    if period.since and period.until and period.since[:1].isdigit():
        if day_before(period.until) == period.since:
            return f"on {period.name}"
        if "(" in period.name or "to" in period.name.split():
            return f"in {period.name}"
        return f"in {period.name} ({period.since} to {day_before(period.until)})"
    return period.name
