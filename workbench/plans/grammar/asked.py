"""What a question about events says: mentions, figures, groups, conditions, order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from workbench.plans.grammar.context import Context, listed
from workbench.plans.grammar.roles import edge_roles
from workbench.plans.grammar.senses import (
    Ask,
    Condition,
    Count,
    Decline,
    EntityFilter,
    EventRef,
    FieldRef,
    KindRef,
    MeasureRef,
    Order,
    Part,
    RoleRef,
    Share,
    Superlative,
)

if TYPE_CHECKING:
    from workbench.plans.grammar.lexicon import Event
    from workbench.plans.grammar.times import Hours, Period, Weekdays
    from workbench.plans.model import Filter, Group, Measure

__all__ = ["Asked", "Dim", "Figure", "Frame"]

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}


@dataclass
class Dim:
    """A thing to group by: its groups, what it is called, and the bucket of a calendar."""

    groups: tuple[Group, ...]
    noun: str
    bucket: str = ""
    subject: bool = False
    part: Part | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that it becomes."""
        return tuple(g.column for g in self.groups)


@dataclass
class Figure:
    """A measure, what it is called, and which end of it is bad."""

    measure: Measure
    noun: str
    worse: str = ""
    whole: bool = False


@dataclass
class Frame:
    """What an event question asks, as it becomes clear."""

    events: list[Event] = field(default_factory=list)
    name: str = ""
    filters: list[Filter] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    dims: list[Dim] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Asked:
    """The parts of a question by what they say, before events are chosen.

    Args:
        ctx: The reading.
    """

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.lexicon = ctx.lexicon
        self.frame = Frame()
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
        self.having: list[tuple[str, float, Any, Part]] = []
        self.verbs: list[tuple[str, ...]] = []
        self.bare: list[tuple[tuple[str, ...], Part]] = []
        self.base: list[str] = []
        self.periods: list[Period] = []
        self.compared = self.timeline = self.versus = self.changed = self.how_changed = False
        self.share_tests: list[tuple[list[Filter], str]] = []
        self.share_names: list[tuple[list[Filter], str]] = []
        self.part_filters: list[Filter] = []
        self.part_noun = ""
        self.fixed: set[str] = set()
        self.sets: tuple[str, list[str], list[str]] | None = None
        self.only = False
        self.kept: dict[str, tuple[list[str], list[Filter], str]] = {}
        self.grouped_by_list: list[str] = []
        self.n: int | None = None
        self.twice: tuple[str, ...] = ()

    def _gather(self) -> None:
        ctx = self.ctx
        self.mentions += [(part.value, part) for part in ctx.take("EVENT")]
        self._gather_counts()
        self._gather_figures()
        self.subjects += [(part.value, part) for part in ctx.take("KIND", "ROLE", "BUCKET")]
        if self.count is not None and self.count[0].what is None and not self.superlative and not self.order:
            kinds = [(v, p) for v, p in self.subjects if isinstance(v, KindRef | RoleRef)]
            if len(kinds) == 1:  # how many, and the noun further on
                self.count = (replace(self.count[0], what=kinds[0][0]), kinds[0][1])
        for part in ctx.take("numbered"):
            self.subjects.append((part.value[1], part))
            self.n = part.value[0]
        self.groups += [(dim, part) for part in ctx.take("group") for dim in part.value]
        self._gather_conditions()
        self.distinct = bool(ctx.take("w:distinct")) or (self.count is not None and self.count[0].distinct)
        self._how_much()
        trends = bool(ctx.take("w:trends"))
        self.timeline = bool(ctx.take("w:timeline"))
        self.versus = bool(ctx.take("w:versus"))
        how = {t.word for t in ctx.tokens} & set(self.lexicon.language.data["speech"]["manner"])
        change = bool(ctx.take("w:change"))
        self.how_changed = bool(how) and (trends or change)
        self.timeline |= trends and not how
        self.changed = bool(ctx.take("w:compare")) or change or self.how_changed
        ctx.take("w:events")

    def _gather_counts(self) -> None:
        for part in self.ctx.take("count"):
            if self.count is not None:
                raise Decline("The question counts two things at once.")
            self.count = (part.value, part)
            if isinstance(part.value.what, EventRef):
                self.mentions.append((part.value.what, part))
            elif part.value.what is not None:
                self.subjects.append((part.value.what, part))
        for part in self.ctx.take("share"):
            speech, tokens = self.lexicon.language.data["speech"], self.ctx.tokens
            verb = part.i > 0 and tokens[part.i - 1].word in speech["sharing"]  # "those who share"
            if verb or tokens[part.i].word in speech["shared"]:
                raise Decline(f"{self.ctx.text(part)!r} speaks of what several have, not of a part.")
            if self.share is not None and (self.share[0].what or not part.value.what):
                continue
            self.share = (part.value, part)
            if part.value.what is not None:
                self.mentions.append((part.value.what, part))

    def _gather_figures(self) -> None:
        ctx = self.ctx
        aggregates = tuple(op for part in ctx.take("agg") for op in part.value)
        self.wanted += [(part.value, part) for part in ctx.take("measure")]
        for part in ctx.take("superlative", "top"):
            self._superlative(part)
        for part in ctx.take("order"):
            self._order(part)
        bare = [n for n, (measure, _) in enumerate(self.wanted) if not measure.ops]
        if aggregates and len(bare) == 1:
            measure, part = self.wanted[bare[0]]
            self.wanted[bare[0]] = (replace(measure, ops=aggregates), part)
        elif aggregates == ("sum",) and self.mentions:
            return  # the total of events is their number
        elif aggregates and self.mentions and not (self.wanted or self.share or self.superlative):
            self.twice = aggregates
        elif aggregates:
            raise Ask(f"The {listed(list(aggregates))} of what?")

    def _gather_conditions(self) -> None:
        ctx = self.ctx
        ctx.expected = self._edge_ends()
        self.filters += [(part.value, part) for part in ctx.take("filter")]
        for part in ctx.take("rel"):
            self._relation(part)
        for part in ctx.take("EDGE"):
            self._bare_edge(part)
        self.conditions += [(self._with_field(part.value, part), part) for part in ctx.take("cond")]
        for part in ctx.take("having"):
            op, number, what = part.value
            self.having.append((op, number, what, part))
            if isinstance(what, EventRef):
                self.mentions.append((what, part))
        self.clocks += [part.value for part in ctx.take("DAYHOUR")]

    def _how_much(self) -> None:
        """Ask back what counts as "delayed" where events with a field and no threshold count."""
        bare = [p for m, p in self.wanted if not m.ops]
        counted = self.count is not None and not isinstance(self.count[0].what, KindRef | RoleRef)
        if not (counted or self.share is not None) or not bare or self.superlative or self.order:
            return
        words = self._words(bare[0].i, bare[0].j)
        what = self.wanted[0][0].what
        noun = self.ctx.field_noun(what.names[0]) if isinstance(what, FieldRef) else words
        raise Ask(f"{words.capitalize()} by how much? Say, for example, {noun} over 15.")

    def _with_field(self, condition: Condition, part: Part) -> Condition:
        """Return a condition that names a unit only with the fields that are counted in it."""
        if not isinstance(condition.what, FieldRef) or condition.what.names:
            return condition
        if any(m.ops and p.j == part.i for m, p in self.wanted):
            raise Decline(
                f"A condition on a figure of groups ({self.ctx.text(part)!r}) is not possible yet; "
                "ask for the figure by group, in order.",
                final=True,
            )
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
        said = set(self.ctx.text(part).casefold().split())
        alone = isinstance(value.what, EventRef) or (value.what is None and self.mentions and not self.wanted)
        if alone and said & set(self.lexicon.language.data["speech"]["single"]):
            raise Decline(
                f"{self.ctx.text(part).capitalize()}: single events are not put in order. "
                "Ask for the highest or lowest of a field, for example by a group."
            )
        if isinstance(value.what, EventRef) and value.what not in [m for m, _ in self.mentions]:
            self.mentions.append((value.what, part))
        elif isinstance(value.what, MeasureRef) and value.what not in [m for m, _ in self.wanted]:
            self.wanted.append((value.what, part))
        elif isinstance(value.what, Share):
            self.share = (value.what, part)
            if value.what.what:
                self.mentions.append((value.what.what, part))
        elif isinstance(value.what, KindRef | RoleRef):
            raise Decline(f"The {value.degree} {self.ctx.kinds_noun(value.what.type)} of what is not clear.")
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
        elif isinstance(value.by, KindRef | RoleRef):
            raise Decline(f"An order by {self.ctx.kinds_noun(value.by.type)} is not clear.")
        self.order = (value, part)

    def _relation(self, part: Part) -> None:
        relation = part.value
        preposition = self.ctx.preposition(part)
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
        self.bare.append((self.verbs[-1], part))

    def _edge_events(self, edges: tuple[str, ...], part: Part) -> None:
        """Let a verb name the events that give its edge: of edges called alike those of what is asked for."""
        kinds = {d.type for d, _ in self.subjects if isinstance(d, KindRef | RoleRef)}
        known = [self.lexicon.edges[e] for e in edges]
        fitting = tuple(e.name for e in known if kinds & {e.source, e.target})
        edges = fitting or edges
        types = tuple(dict.fromkeys(e for edge in edges for e, _, _ in edge_roles(self.lexicon, edge)))
        if not types:
            raise Decline(f"No event says {self.ctx.text(part)!r}.")
        self.verbs.append(types)

    def _words(self, i: int, j: int) -> str:
        return " ".join(t.word for t in self.ctx.tokens[i:j])
