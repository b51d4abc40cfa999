"""What is shown of the events: groups, lengths of time, figures."""

from __future__ import annotations

from typing import Any

from workbench.plans.grammar.asked import Dim, Figure
from workbench.plans.grammar.context import listed
from workbench.plans.grammar.narrowed import Narrowed
from workbench.plans.grammar.roles import kind_role, role_fields
from workbench.plans.grammar.senses import (
    Ask,
    Decline,
    EventRef,
    FieldRef,
    KindRef,
    MeasureRef,
    Part,
    PropertyRef,
    RoleRef,
)
from workbench.plans.grammar.times import Bucket
from workbench.plans.grammar.tokens import split_name
from workbench.plans.model import Filter, Group, Measure

__all__ = ["Figured"]

_CALENDAR = ("minute", "hour", "day", "week", "month", "quarter", "year")
_NUMERIC = ("int64", "float64")
_LONG_HOURS = 3  # days from which "by hour" means the hour of the day


class Figured(Narrowed):
    """The groups and the figures that are asked for."""

    def _group(self) -> None:
        counted = self.count[0].what if self.count else None
        self._roles_of_subjects()
        for dim, part in self.groups:
            self.frame.dims.append(self._dim(dim, part))
        for dim, part in self.subjects:
            if dim is counted and (not self.superlative or self._counts_different()):
                continue
            made = self._dim(dim, part)
            made.subject = True
            if isinstance(dim, KindRef | RoleRef):
                self._named_only(made)
            if all(made.columns != d.columns for d in self.frame.dims):
                self.frame.dims.append(made)
        for role in self.grouped_by_list:
            columns = role_fields(self.frame.events[0], role)
            if not self._grouped(columns) and not self.share:
                noun = self.ctx.role_noun(RoleRef(role, self.frame.events[0].type_of(role)))
                self.frame.dims.append(Dim(tuple(Group(field=c) for c in columns), noun))
        if self.timeline and not any(d.bucket for d in self.frame.dims):
            self.frame.dims.append(self._bucket(self._usual_bucket(), None))
        if sum(bool(d.bucket in _CALENDAR) for d in self.frame.dims if d.bucket) > 1:
            raise Decline("A timeline has one length of time; the question names two.")

    def _roles_of_subjects(self) -> None:
        """Let "by origin" say in which role "which airport" is meant."""
        for n, (dim, part) in enumerate(self.subjects):
            roles = [g for g, _ in self.groups if isinstance(g, RoleRef) and isinstance(dim, KindRef)]
            same = [r for r in roles if r.type == dim.type]
            if len(same) == 1:
                self.subjects[n] = (same[0], part)
                self.groups = [(g, p) for g, p in self.groups if g is not same[0]]

    def _named_only(self, dim: Dim) -> None:
        """Leave out events that do not name what is asked for, and say so."""
        for group in dim.groups:
            if any(e.fields[group.field].nulls for e in self.frame.events if group.field in e.fields):
                self.frame.filters.append(Filter(field=group.field, op="is not null"))
                note = f"events that name no {dim.noun} are left out"
                if dim.noun and note not in self.frame.notes:
                    self.frame.notes.append(note)

    def _grouped(self, columns: tuple[str, ...]) -> bool:
        return any(set(columns) <= {g.field for g in d.groups} for d in self.frame.dims)

    def _dim(self, dim: Any, part: Part) -> Dim:
        events = self.frame.events
        if isinstance(dim, Bucket):
            return self._bucket(dim.unit, part)
        if isinstance(dim, FieldRef):
            name = self._field(dim, part)
            return Dim((Group(field=name),), self.ctx.field_noun(name), part=part)
        if isinstance(dim, PropertyRef):
            raise Decline(f"{events[0].name} events have no field {dim.names[0][1]}.")
        role = self._free_role(dim, part)
        fields = role_fields(events[0], role)
        noun = self.ctx.kind_noun(dim)
        return Dim(tuple(Group(field=f) for f in fields), noun, part=part)

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

    def _bucket(self, unit: str, part: Part | None) -> Dim:
        if unit == "hour" and not self.timeline and self._days() > _LONG_HOURS:
            unit = "hour of day"
            self.frame.notes.append("hours are hours of the day")
        return Dim((Group(field="_ts", bucket=unit),), unit, unit, part=part)

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
            if isinstance(counted, KindRef | RoleRef) and (not self.superlative or self._counts_different()):
                figures.insert(0, self._distinct_figure(counted, self.count[1]))  # type: ignore[index]
            else:
                figures += self._count_figures()

    def _counts_different(self) -> bool:
        return self.count is not None and self.count[0].distinct

    def _counts_too(self) -> bool:
        if self.share is not None:
            return False
        ordered = self.order is not None and isinstance(self.order[0].by, EventRef)
        best = self.superlative is not None and isinstance(self.superlative[0].what, EventRef)
        return (self.count is not None and bool(self.wanted)) or ordered or best

    def _count_figures(self) -> list[Figure]:
        events = self.frame.events
        spoken = {t for m, _ in self.mentions for t in m.types if not m.term}
        if len(events) > 1 and {e.name for e in events} == spoken and not self.frame.name.startswith("all"):
            return [
                Figure(
                    Measure(name=_column(e.name), where=(Filter(field="_type", value=e.name),)),
                    f"number of {e.name} events",
                )
                for e in events
            ]
        worse = "higher" if len(events) == 1 and self._is_outcome(events[0].name) else ""
        return [Figure(Measure(name="count"), "number", worse)]

    def _is_outcome(self, name: str) -> bool:
        return any(name in term.outcomes for term in self.lexicon.schema.terms.values())

    def _distinct_figure(self, what: KindRef | RoleRef, part: Part) -> Figure:
        role = self._free_role(what, part)
        fields = role_fields(self.frame.events[0], role)
        noun = self.ctx.kind_noun(what)
        if len(fields) > 1:
            raise Decline(
                f"Different {self.ctx.plural_of(noun)} cannot be counted here: "
                f"{listed(list(fields))} together name one."
            )
        return Figure(
            Measure(name=f"distinct_{fields[0]}", op="distinct", field=fields[0]),
            f"number of different {self.ctx.plural_of(noun)}",
        )

    def _share_figure(self) -> Figure:
        worse = "higher" if self.part_filters and self._is_outcome(str(self.part_filters[0].value)) else ""
        if self.part_filters:
            return Figure(
                Measure(name="share", op="share", where=tuple(self.part_filters)),
                f"share of {self.part_noun}",
                worse,
            )
        conditions = self.share_tests
        entities = self.share_names
        if conditions or entities:
            tests = [t for found, _ in (*conditions, *entities) for t in found]
            told = listed([told for _, told in (*conditions, *entities)])
            return Figure(Measure(name="share", op="share", where=tuple(tests)), f"share with {told}")
        if self.frame.dims:
            return Figure(Measure(name="part", op="part"), "part of all of them", whole=True)
        raise Ask("The share of what?")

    def _field_figures(self, measure: MeasureRef, part: Part) -> list[Figure]:
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
                    Figure(
                        Measure(name=f"distinct_{name}", op="distinct", field=name),
                        f"number of different {self.ctx.plural_of(noun)}",
                    )
                ]
            if ops:
                raise Decline(f"{noun} is not a number: it has no {listed(list(ops))}.")
            self.frame.dims.append(Dim((Group(field=name),), noun, subject=True, part=part))
            return [] if self.wanted[0][0] is not measure else self._count_figures()
        if about is not None and not about.measure:
            raise Decline(f"{noun} is a code or a clock time: averages and sums of it mean nothing.")
        worse = about.worse if about and about.worse else self._commonly_worse(name)
        unit = self.ctx.unit(name)
        in_unit = f" in {unit}" if unit else ""
        if not ops:
            ops = self._usual_ops(name, noun, part)
        words = self.lexicon.language.data["speech"]["means"]
        return [
            Figure(Measure(name=f"{op}_{name}", op=op, field=name), f"{words[op]} {noun}{in_unit}", worse)
            for op in ops
        ]

    def _commonly_worse(self, name: str) -> str:
        """Return which end of a field is bad by its name, where the language knows."""
        words = {self.lexicon.language.stem(w) for w in split_name(name)}
        for good, bad in (("higher", "lower"), ("lower", "higher")):
            if words & {self.lexicon.language.stem(w) for w in self.lexicon.language.data["better"][good]}:
                return bad
        return ""

    def _usual_ops(self, name: str, noun: str, part: Part) -> tuple[str, ...]:
        """Return what a bare "delay" means: averages; with "highest" in groups it must be said."""
        if self.superlative is not None and isinstance(self.superlative[0].what, MeasureRef):
            degree = self.superlative[0].degree
            if self.frame.dims or self.subjects:
                said = self.ctx.text(self.superlative[1]).split()
                if set(said) & set(self.lexicon.language.data["speech"]["averaged"]):
                    self.frame.notes.append(f"the {degree} {noun} is taken on average")
                    return ("mean",)
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


def _column(name: str) -> str:
    return "_".join(split_name(name))
