"""Which events a question is about: those it names, or those that have what it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.plans.grammar.asked import Asked
from workbench.plans.grammar.context import listed
from workbench.plans.grammar.roles import edge_roles
from workbench.plans.grammar.senses import Ask, Decline, EventRef, FieldRef, KindRef, PropertyRef, RoleRef
from workbench.plans.grammar.tokens import split_name
from workbench.plans.model import Filter

if TYPE_CHECKING:
    from workbench.plans.grammar.lexicon import Event

__all__ = ["Chosen", "belongs"]


class Chosen(Asked):
    """The event types that a question is about, and the whole that a share is taken of."""

    def _choose_events(self) -> None:  # noqa: C901, PLR0912  (each way in which events can be meant)
        ctx, events = self.ctx, self.lexicon.events
        self._one_of_several()
        terms = [m for m, _ in self.mentions if m.term]
        plain = list(dict.fromkeys(t for m, _ in self.mentions if not m.term for t in m.types))
        in_terms = list(dict.fromkeys(t for m in terms for t in m.types))
        mentioned = plain or in_terms
        for types, part in self.bare:  # a verb without an object says nothing of other events
            if plain and not set(plain) & set(types):
                raise Decline(f"{listed(plain)} events do not say {ctx.text(part)!r}.")
        for types in self.verbs:
            both = [t for t in mentioned if t in types]
            able_types = [t for t in types if not self._lacks(events[t])]
            mentioned = both or (
                mentioned if plain else [self._nearest(able_types)] if able_types else list(types[:1])
            )
        self.base = in_terms
        able = {name: self._lacks(event) for name, event in events.items()}
        eligible = [name for name in mentioned if not able[name]]
        if self.share and not plain and in_terms:
            eligible = [name for name in in_terms if not able[name]]
        if mentioned and not eligible:
            if not plain:
                others = [name for name in events if not able[name]]
                if others and terms and not plain:
                    eligible = [self._nearest(others)]
                    self.frame.notes.append(f"only {eligible[0]} events have what is asked for")
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
            elif len(possible) == 1 or any(p.kind == "w:events" for p in ctx.parts):
                eligible = possible
            else:
                self._ask_events(possible)
        self.frame.events = [events[name] for name in eligible]
        whole = [m for m in terms if set(m.types) == set(eligible)]
        self.frame.name = ctx.event_noun(EventRef(tuple(eligible), whole[0].term if whole else ""))

    def _one_of_several(self) -> None:
        """Decide which of the event types is meant that have a noun in common.

        Raises:
            Ask: If several can be: what was done to it was not said.
        """
        for n, (ref, part) in enumerate(self.mentions):
            if ref.term or len(ref.types) == 1:
                continue
            able = [t for t in ref.types if not self._lacks(self.lexicon.events[t])]
            if len(able) > 1 or not able:
                nouns = [" ".join(split_name(t)) for t in able or ref.types]
                words = [f"{' '.join(split_name(t)[:-1])} {split_name(t)[-1]}" for t in able or ref.types]
                i, j = next(
                    (s for s in self.ctx.items_of(ref) if part.i <= s[0] and s[1] <= part.j), (part.i, part.j)
                )
                several = self.ctx.tokens[j - 1].text
                options = tuple((j - 1, j, f"{several} {w.rsplit(maxsplit=1)[-1]}") for w in words)
                raise Ask(f"Which {self._words(i, j)} are meant: {listed(nouns, 'or')}?", options)
            self.mentions[n] = (EventRef((able[0],)), part)
            self.frame.notes.append(f"only {able[0]} events have what is asked for")

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

    def _ask_events(self, possible: list[str]) -> None:
        who = set(self.lexicon.schema.who)
        events = self.lexicon.events
        acting = [n for n in possible if who & {events[n].type_of(r) for r in events[n].roles}]
        possible = acting or possible
        if self.superlative is not None:
            part = self.superlative[1]
            text = self.ctx.text(part)
            several = [self.ctx.events_noun(n) for n in possible]
            options = tuple((len(self.ctx.tokens), 0, f"by {noun}") for noun in several[:4])
            raise Ask(f"{text.capitalize()} by what: {listed(several, 'or')}?", options)
        raise Ask(f"What is asked about: {listed([self.ctx.events_noun(n) for n in possible], 'or')}?")

    def _lacks(self, event: Event) -> str:  # noqa: C901, PLR0911, PLR0912  (one reason each)
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
                    type_ = item.names[0].partition(":")[0]
                    return f"{event.name} events do not say which {type_} they belong to."
        return ""

    def _nearest(self, names: list[str]) -> str:
        """Return the event type whose own fields are asked for (arr_delay is Arrival's), or the largest."""
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
            names, key=lambda n: (sum(belongs(f, n) for f in asked), self.lexicon.events[n].documents, n)
        )

    # shares

    def _share_base(self) -> None:
        """Decide of what whole a share is taken, and which events are the part."""
        if self.share is None:
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


def belongs(field_name: str, event: str) -> bool:
    """Return whether a field's name begins with the event's, shortened: arr_delay is Arrival's."""
    first, name = split_name(field_name)[0], "".join(split_name(event))
    return len(first) >= 3 and name.startswith(first) and len(split_name(field_name)) > 1
