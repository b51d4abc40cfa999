"""Questions about events: counts, shares, figures of fields, groups, timelines, the most and the least."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.plans.grammar.asked import Dim, Figure
from workbench.plans.grammar.context import Context, Draft, day_before, listed
from workbench.plans.grammar.figured import Figured
from workbench.plans.grammar.narrowed import plain
from workbench.plans.grammar.roles import role_fields, role_filter
from workbench.plans.grammar.senses import Ask, Decline, EventRef, FieldRef, MeasureRef, RoleRef
from workbench.plans.grammar.times import Period, Weekdays
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
    from workbench.plans.model import Step

__all__ = ["event_draft"]

_CALENDAR = ("minute", "hour", "day", "week", "month", "quarter", "year")


def event_draft(ctx: Context) -> Draft:
    """Return the plan of a question about events.

    Raises:
        Ask: If the question has several meanings.
        Decline: If the events cannot answer it.
    """
    return _Reader(ctx).draft()


class _Reader(Figured):
    """The plan of what a question asks of events."""

    def draft(self) -> Draft:
        self._gather()
        self.periods, self.compared = self.ctx.periods()
        if self.changed and not self.compared and len(self.periods) == 1 and self.periods[0].spans:
            raise Decline("Two times are compared beside one another, not as one.")
        self.timeline |= self.how_changed and not self.compared
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
            several = self.ctx.plural_of(self.ctx.kind_noun(what)).capitalize()
            raise Decline(f"{several} cannot be collected from events.")
        self._named_only(Dim((Group(field=fields[0]),), ""))
        noun = self.ctx.role_noun(RoleRef(role, event.type_of(role)))
        steps: list[Step] = []

        labels = {
            n: self.lexicon.label(n).removeprefix(f"{event.type_of(role)} ") for n in (*names, *without)
        }

        def collected(number: int, entity: str | None, *, others: bool = False) -> str:
            meant = names if others else [entity] if entity else []
            tests = role_filter(self.ctx, role, meant, event, negated=others) if meant else ()
            where = (*self.frame.filters, *tests)
            types = tuple(e.name for e in self.frame.events)
            steps.append(Scan(id=f"events_{number}", types=types, since=since, until=until, where=where))
            title = f"{noun} {labels[entity]}" if entity else f"any {noun}"
            count = (Measure(name="count"),)
            by = (Group(field=fields[0]),)
            steps.append(
                Aggregate(id=f"with_{number}", title=title, source=f"events_{number}", by=by, measures=count)
            )
            return f"with_{number}"

        wanted = [collected(n, e) for n, e in enumerate(names or (None,), 1)]
        unwanted = [collected(n, e) for n, e in enumerate(without, len(wanted) + 1)]
        if self.only:
            unwanted.append(collected(len(wanted) + len(unwanted) + 1, None, others=True))
        main = wanted[0]
        if len(wanted) > 1:
            steps.append(SetOperation(id="both", sources=tuple(wanted), kind="intersection", on=fields[0]))
            main = "both"
        if unwanted:
            steps.append(SetOperation(id="rest", sources=(main, *unwanted), kind="difference", on=fields[0]))
            main = "rest"
        several = self.ctx.plural_of(self.ctx.kind_noun(what))
        told = f" with {listed([f'{noun} {labels[n]}' for n in names])}" if names else ""
        none = f"{'' if names else f'{noun} '}{listed([labels[n] for n in without], 'or')}"
        told += f" but none with {none}" if without else ""
        told += f" and none with any other {noun}" if self.only else ""
        others = f" ({listed(self.frame.told)})" if self.frame.told else ""
        reading = f"{several} that have {self.frame.name}{told}{others}{f', {times}' if times else ''}"
        same = (
            what.type,
            self.count is not None,
            self.only,
            tuple(sorted(names)),
            tuple(sorted(without)),
            since,
            until,
        )
        if self.count is not None:
            steps.append(Aggregate(id="number", source=main, measures=(Measure(name="count"),)))
            render = Render(kind="metric", source="number", y=("count",), title=f"number of {several}")
            return Draft(steps, [render], [f"The number of {reading}"], list(self.frame.notes), same=same)
        render = Render(kind="table", source=main, title=several)
        sentence = f"{reading[:1].upper()}{reading[1:]}"
        return Draft(steps, [render], [sentence], list(self.frame.notes), same=same)

    def _times(self) -> tuple[str | None, str | None, str]:
        if not self.periods:
            return None, None, ""
        guessed = [p.name for p in self.periods if p.guessed]
        if guessed:
            self.frame.notes.append(f"the year is taken from the data: {listed(guessed)}")
        if self.compared:
            starts, ends = [p.since for p in self.periods], [p.until for p in self.periods]
            since = None if None in starts else min(filter(None, starts))
            until = None if None in ends else max(filter(None, ends))
            told = f"compared over {listed([p.name for p in self.periods])}"
            if len(self.periods) == 2 and not (self.clocks or self.having or self.superlative):
                first, last = self._in_order()
                told += f", the difference being {self.periods[last].name} less {self.periods[first].name}"
            return since, until, told
        period: Period = self.periods[0]
        return period.since, period.until, _time_words(period)

    def _in_order(self) -> tuple[int, int]:
        """Return the places of the earlier and the later of two times: a difference is what changed since."""
        starts = [p.since or "" for p in self.periods]
        if all(s[:1].isdigit() for s in starts) and starts[1] < starts[0]:
            return 1, 0
        return 0, 1

    def _compared_measures(self) -> list[Measure]:
        """Return each figure for each time: one column a time."""
        found, times = [], []
        for period in self.periods:
            tests = tuple(
                Filter(field="_ts", op=op, value=value)
                for op, value in ((">=", period.since), ("<", period.until))
                if value is not None
            )
            times.append(tests)
            for figure in self.frame.figures:
                if figure.measure.op in ("share", "part"):
                    raise Decline(
                        "Shares of several times cannot be compared in one table; ask for each, or per month."
                    )
                name = period.name if len(self.frame.figures) == 1 else f"{figure.measure.name} {period.name}"
                found.append(
                    figure.measure.model_copy(update={"name": name, "where": (*figure.measure.where, *tests)})
                )
        if len(times) == 2 and not (self.clocks or self.having or self.superlative):
            first, last = self._in_order()
            for figure in self.frame.figures:
                kept = figure.measure.where
                name = "difference" if len(self.frame.figures) == 1 else f"{figure.measure.name} difference"
                change = {"name": name, "where": (*kept, *times[last]), "minus": (*kept, *times[first])}
                found.append(figure.measure.model_copy(update=change))
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
                measures=tuple(measures),
            )
            steps.append(step)
            return "timeline", ("time", *by)
        groups = tuple(g for d in dims for g in d.groups)
        steps.append(
            Aggregate(id="figures", title=self._title(), source="events", by=groups, measures=tuple(measures))
        )
        return "figures", tuple(g.column for g in groups)

    def _monthly_share(self, steps: list[Step], about: str, times: str) -> Draft:
        """Return the plan of shares in several months, a row a month."""
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
        figures = tuple(Measure(name=f"{op}_{name}", op=op, field=name) for op in self.twice)
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
            tests.append(Filter(field=counted.name, op=op, value=plain(number)))
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
                "Averages, medians and shares over several weekdays or hours are not possible yet; "
                "ask for counts, or for one weekday."
            )
        summed = tuple(Measure(name=m.name, op=again[m.op], field=m.name) for m in measures)
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
            if self.superlative is not None and isinstance(self.superlative[0].what, EventRef):
                self._ask_who()
                text = self.ctx.text(self.superlative[1])
                raise Ask(f"{text[:1].upper()}{text[1:]} of what: who or what has them, or on which day?")
            if self.superlative is not None and self.superlative[0].what is None:
                raise Ask(f"{self.ctx.text(self.superlative[1]).capitalize()} of what?")
            return steps, ""
        figure, column = self._key(measures)
        if self.superlative is not None:
            return self._topped(steps, main, figure, column)
        buckets = columns[0] == "time" or any(d.bucket for d in self.frame.dims)
        if buckets and (
            self.order is None or (main == "timeline" and not any(self.order[0].__dict__.values()))
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

    def _key(self, measures: list[Measure]) -> tuple[Figure, str]:
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

    def _descending(self, direction: str, figure: Figure) -> bool:
        if direction in ("worst", "best"):
            if not figure.worse:
                part = self.order[1] if self.order else self.superlative[1]  # type: ignore[index]
                raise Ask(
                    f"Is a high or a low {figure.noun} the {direction} one?",
                    ((part.i, part.j, "highest first"), (part.i, part.j, "lowest first")),
                )
            return (direction == "worst") == (figure.worse == "higher")
        return direction != "ascending"

    def _topped(self, steps: list[Step], main: str, figure: Figure, column: str) -> tuple[list[Step], str]:
        superlative, _ = self.superlative  # type: ignore[misc]
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
                f"The {'most' if descending else 'fewest'} in each {listed([d.noun for d in kept])}: "
                "not possible yet; leave one group out."
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
        tokens, closed = self.ctx.tokens, self.lexicon.language.closed
        place = next(  # "where" behind a noun asks nothing
            (
                n
                for n, t in enumerate(tokens)
                if t.word in (*asks["who"], *asks["where"]) and all(b.stem in closed for b in tokens[:n])
            ),
            None,
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
        told = f"{figures[:1].upper()}{figures[1:]}{f' {about}' if about else ''}{by}"
        reading = [f"{told}{f', {times}' if times else ''}"]
        if self.twice:
            words = self.lexicon.language.data["speech"]["means"]
            first = listed([words[op] for op in self.twice])
            reading = [f"The {first} over all of: {reading[0][:1].lower()}{reading[0][1:]}"]
        for op, number, what, _ in self.having:
            noun = (
                "their number"
                if isinstance(what, EventRef)
                else f"the number of different {self.ctx.plural_of(self.ctx.kind_noun(what))}"
            )
            reading.append(f"only where {noun} is {op} {plain(number):,}")
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
        noun = self.ctx.events_noun(event.name)
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


def _months_between(period: Period) -> int:
    """Return how many calendar months a time spans from the start of one to the start of another."""
    since, until = (str(t).split("-") for t in (period.since, period.until))
    return 12 * (int(until[0]) - int(since[0])) + int(until[1]) - int(since[1])


def _time_words(period: Period) -> str:
    if period.since is None and period.until is None:
        return "over the whole window"
    if period.since and period.until and period.since[:1].isdigit():
        if "(" in period.told or period.spans or period.told.startswith("on "):
            return period.told
        return f"{period.told} ({period.since} to {day_before(period.until)})"
    return period.name
