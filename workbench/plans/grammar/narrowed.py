"""Which of the events are meant: conditions on entities and fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workbench.plans.grammar.chosen import Chosen, belongs
from workbench.plans.grammar.context import listed
from workbench.plans.grammar.roles import entity_role, role_filter
from workbench.plans.grammar.senses import (
    Ask,
    Condition,
    Decline,
    EntityFilter,
    FieldRef,
    KindRef,
    Part,
    RoleRef,
)
from workbench.plans.model import Filter

__all__ = ["Narrowed", "plain"]

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_NUMERIC = ("int64", "float64")


class Narrowed(Chosen):
    """The conditions on the events: entities in their roles, values, numbers with units."""

    def _filter(self) -> None:
        said: dict[str, set[str]] = {}
        for condition, part in self.conditions:
            tests, told = self._condition(condition, part)
            if self.share is not None and not self.part_filters:
                self.share_tests.append((tests, told))
            else:
                for test in tests:
                    if test.op in ("=", "!=") and said.get(test.field, set()) & {"=", "in"}:
                        noun = self.ctx.field_noun(test.field)
                        raise Decline(f"No single event has two values of {noun}.")
                    said.setdefault(test.field, set()).add(test.op)
                self.frame.filters += tests
                self.frame.told.append(told)
        for wanted, part in sorted(self.filters, key=lambda f: f[0].negated):
            self._entity_filter(wanted, part)

    def _entity_filter(self, wanted: EntityFilter, part: Part) -> None:  # noqa: C901  (each way to be selected)
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
        if self._of_sets() and not wanted.negated and self.ctx.is_only(part):
            self._set_of(wanted, role, names, part)
            self.only = True
            return
        if self._of_sets() and not wanted.negated and (entities.without or entities.mode in ("and", "both")):
            self._set_of(wanted, role, names, part)
            return
        if wanted.negated and role in self.kept and self._of_sets():
            kept, tests, told = self.kept.pop(role)
            self.frame.filters = [f for f in self.frame.filters if f not in tests]
            self.frame.told.remove(told)
            self.sets = (role, kept, names)
            return
        if wanted.negated and self._of_all_but(role):
            self.sets = (role, [], [*(self.sets[2] if self.sets else ()), *names])
            return
        if not wanted.negated:
            if role in self.fixed or (entities.mode == "both" and self.subjects):
                noun = self.ctx.role_noun(RoleRef(role, event.type_of(role)))
                raise Decline(f"No single event has two of its {noun}.")
            self.fixed.add(role)
        tests = role_filter(self.ctx, role, names, event, negated=wanted.negated)
        if (
            self.share is not None
            and not self.part_filters
            and not self.share_tests
            and not self.groups
            and not self.subjects
            and not self._of_the_whole(part)
        ):
            self.share_names.append((tests, listed([self.ctx.lexicon.label(n) for n in names])))
            return
        self.frame.filters += tests
        verb = "not " if wanted.negated else ""
        type_ = event.type_of(role)
        noun = self.ctx.role_noun(RoleRef(role, type_))
        labels = [self.lexicon.label(n).removeprefix(f"{type_} ") for n in names]
        self.frame.told.append(f"{noun} {verb}{listed(labels, 'or')}")
        if not wanted.negated and len(names) == 1 and self.sets is None:
            self.kept[role] = (names, tests, self.frame.told[-1])
        if entities.without:
            without = [
                entity_role(self.ctx, replace(wanted, role=role), ref, self.frame.events, part)[1]
                for ref in entities.without
            ]
            self.frame.filters += role_filter(self.ctx, role, without, event, negated=True)
            self.frame.told.append(f"{noun} not {listed([self.lexicon.label(n) for n in without], 'or')}")
        several = len(names) > 1 and not wanted.negated and entities.mode in ("and", "both", "versus")
        if several or (self.versus and len(names) == 1):
            self.grouped_by_list.append(role)

    def _of_the_whole(self, part: Part) -> bool:
        """Return whether a filter says what a share is taken of: it stands right behind the events' noun."""
        others = len(self.filters) + len(self.conditions) > 1
        return others and part.i in {p.j for _, p in self.mentions}

    def _of_sets(self) -> bool:
        """Return whether entities are asked for that have events of each of several kinds."""
        kinds = [d for d, _ in self.subjects if isinstance(d, KindRef | RoleRef)]
        figures = self.wanted or self.superlative or self.share or self.having or self.groups or self.order
        return len(kinds) == 1 == len(self.subjects) and not figures and not self.timeline

    def _of_all_but(self, role: str) -> bool:
        """Return whether entities are asked for that have no event at all with some others.

        Where events are named, or what is asked for is of the others' own type, single events are meant.
        """
        if self.mentions or not self._of_sets() or role in self.fixed:
            return False
        if self.sets is not None and (self.sets[0] != role or self.sets[1]):
            return False
        return self.frame.events[0].type_of(role) not in {d.type for d, _ in self.subjects} or any(
            isinstance(d, RoleRef) and d.role != role for d, _ in self.subjects
        )

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
            tuple(plain(v) for v in values)
            if condition.op in ("between", "in", "not in")
            else plain(values[0])
            if values
            else None
        )
        told = f"{self.ctx.field_noun(name)} {condition.op} "
        told += (" or " if condition.op in ("in", "not in") else " and ").join(str(plain(v)) for v in values)
        unit = self.ctx.unit(name) if values and isinstance(values[0], float) else ""
        return [Filter(field=name, op=condition.op, value=value)], f"{told.strip()} {unit}".strip()

    def _scaled(self, name: str, value: float, unit: str) -> float:
        """Return a number in the unit of a field; raises Decline where the units do not fit."""
        about = self.lexicon.schema.about.get(name)
        own = about.unit if about else ""
        if unit and not own and about is not None and not about.measure:
            raise Decline(
                f"{self.ctx.field_noun(name)} is a code or a clock time: it is not counted in {unit}s."
            )
        language = self.lexicon.language
        spoken: dict[str, float] = {language.stem(w): s for w, s in language.times["seconds"].items()}
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
            own = [n for n in names if any(belongs(n, t) for t in spoken)]
            if len(own) == 1:
                return own[0]
            raise self._which(ref, part, names)
        if len(ref.names) > 1 and not [m for m, _ in self.mentions if not m.term]:
            roles = set(self.frame.events[0].roles) if self.mentions else set()
            alike = [e for e in self.lexicon.events.values() if roles <= set(e.roles)]
            every = [n for n in ref.names if any(n in e.fields for e in alike)]
            if len(every) > 1:
                raise self._which(ref, part, every)
        return names[0]

    def _which(self, ref: FieldRef, part: Part, names: list[str]) -> Ask:
        """Return the question back which of several fields is meant."""
        i, j = self.ctx.field_span(ref, part)
        nouns = [self.ctx.field_noun(n) for n in names]
        said = self._words(i, j)
        if part.kind == "cond" and (i, j) == (part.i, part.j):  # a number with a unit, and no field
            said = said.removeprefix("with ")
            options = tuple((i, j, f"with {noun} {said}") for noun in nouns)
            return Ask(f"What is {said}: {listed(nouns, 'or')}?", options)
        return Ask(f"Which {said} do you mean: {listed(nouns, 'or')}?", tuple((i, j, noun) for noun in nouns))


def plain(value: Any) -> Any:
    """Return a whole number as an integer.

    >>> plain(2.0), plain(2.5)
    (2, 2.5)
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value
