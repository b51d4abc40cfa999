"""How many entities of one kind there are for each of another: games per provider, clients by country.

A noun of an entity type means the entities, each counted once, never the events that name them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.plans.grammar.context import Context, Draft, listed
from workbench.plans.grammar.entity_set import EntitySet
from workbench.plans.grammar.events import event_draft
from workbench.plans.grammar.narrowed import plain
from workbench.plans.grammar.roles import edge_roles
from workbench.plans.grammar.senses import (
    Ask,
    Count,
    Decline,
    FieldRef,
    KindRef,
    Order,
    Part,
    PropertyRef,
    RoleRef,
    Superlative,
)
from workbench.plans.grammar.times import Bucket
from workbench.plans.grammar.tokens import split, split_name
from workbench.plans.model import (
    Aggregate,
    Filter,
    FilterRows,
    Group,
    Join,
    Measure,
    Pairs,
    Render,
    Sort,
    SortKey,
    Top,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.plans.model import Step

__all__ = ["counted_draft"]

_SEVERAL = 10  # rows where the question asks for the most of several

# What makes a question one about events, or about something else altogether.
_OTHERWISE = (
    "EVENT", "share", "DAYHOUR", "BUCKET", "measure", "KNOW", "knownof", "samegroup", "sharing", "whens",
    "w:timeline", "w:trends", "w:change", "w:compare", "w:versus", "w:similar", "w:path", "w:connected",
    "w:anomalies", "w:important",
)  # fmt: skip


@dataclass(frozen=True)
class _Form:
    """What is counted, for each of what, and which of the rows are wanted.

    Attributes:
        counted: The kind whose entities are counted.
        rows: What there is a row of each for.
        parts: The constituents that say so.
        degree: ``most`` or ``fewest``; empty for all rows.
        n: How many rows.
    """

    counted: KindRef | RoleRef
    rows: tuple[object, ...]
    parts: tuple[Part, ...]
    degree: str = ""
    n: int | None = None
    shared: bool = False  # only rows that several of the counted have


def counted_draft(ctx: Context) -> Draft | None:
    """Return the plan of a question that counts entities of one kind for each of another; None for any other.

    Raises:
        Ask: If the question has several meanings.
        Decline: If nothing joins the two.
    """
    named = ctx.has("w:common") and ctx.has("filter", "rel")  # what some entities have in common
    form = None if named or ctx.has(*_OTHERWISE) else _form(ctx)
    return _Counted(ctx, form).draft() if form else None


def _form(ctx: Context) -> _Form | None:  # noqa: PLR0911  (one for each way to ask)
    counts = ctx.of("count")
    if any(not isinstance(p.value.what, KindRef | RoleRef | None) for p in counts):
        return None
    nouns = [(p.value, p) for p in ctx.of("KIND", "ROLE")]
    nouns += [(p.value.what, p) for p in counts if p.value.what is not None]
    numbered = [p for p in ctx.of("numbered") if isinstance(p.value[1], KindRef | RoleRef)]
    nouns += [(p.value[1], p) for p in numbered]
    groups = [(dim, p) for p in ctx.of("group") for dim in p.value]
    extremes = ctx.of("superlative", "top")
    orders = [p for p in ctx.of("order") if isinstance(p.value.by, KindRef | RoleRef)]
    havings = [p for p in ctx.of("having") if isinstance(p.value[2], KindRef | RoleRef)]
    kinds = [(p.value.what, p) for p in extremes if isinstance(p.value.what, KindRef | RoleRef)]
    kinds += [(p.value.by, p) for p in orders] + [(p.value[2], p) for p in havings]
    degree = next((p.value.degree for p in extremes), "")
    degree = {"highest": "most", "lowest": "fewest"}.get(degree, degree)
    if degree not in ("", "most", "fewest") or len(extremes) > 1:
        return None
    n = next((p.value.n for p in extremes if p.value.n), None)
    n = n or next((p.value[0] for p in numbered), None)
    said = tuple(p for _, p in (*nouns, *groups))  # the others are read as conditions and orders
    if kinds:
        rows = [(d, p) for d, p in nouns if d != kinds[0][0]] or groups
        if len({k for k, _ in kinds}) > 1 or len(rows) != 1 or (groups and rows != groups):
            return None
        n = n or (None if not degree else _SEVERAL if rows == groups or ctx.several(rows[0][1]) else 1)
        return _Form(kinds[0][0], (rows[0][0],), (*said, *extremes), degree, n)
    if ctx.has("w:common") and not extremes:
        return _shared([d for d, _ in (*groups, *nouns)], said)
    if len(nouns) != 1 or not groups:
        return None
    if extremes:  # the top 5 games by members
        dim, part = groups[0]
        if len(groups) > 1 or not isinstance(dim, KindRef | RoleRef) or not ctx.tokens[part.j - 1].plural:
            return None
        n = n or (_SEVERAL if ctx.several(nouns[0][1]) else 1)
        return _Form(dim, (nouns[0][0],), (*said, *extremes), degree, n)
    if n is not None:
        return None
    return _Form(nouns[0][0], tuple(d for d, _ in groups), said)


def _shared(ends: Sequence[object], said: tuple[Part, ...]) -> _Form | None:
    """Return the form of what several have: by whom, and what."""
    if len(ends) != 2 or ends[0] == ends[1] or not all(isinstance(d, KindRef | RoleRef) for d in ends):
        return None
    by, what = ends
    assert isinstance(by, KindRef | RoleRef), by  # noqa: S101  (just looked at)
    return _Form(by, (what,), said, shared=True)


class _Counted(EntitySet):
    def __init__(self, ctx: Context, form: _Form) -> None:
        super().__init__(ctx)
        self.form = form
        self.kind = KindRef(form.counted.type)
        self.noun = " ".join(split_name(form.counted.type))
        self.counted = True
        self.part = form.parts[0]

    def draft(self) -> Draft:
        """Return the plan by the way that fits: events, properties, or edges between the two."""
        rows = self.form.rows
        if self._needs_events():
            return self._of_events()
        if self.ctx.has("filter", "rel") and not self._own_filters():
            try:
                return self._of_events()
            except Decline:
                pass  # the graph may know what no event says
        row = rows[0]
        if len(rows) > 1 or isinstance(row, PropertyRef):
            return self._tabled(self._by_properties())
        edges = self._joining(row)
        if not edges and self._has_property(row):
            return self._tabled(self._by_properties())
        if not edges:
            return self._of_events()
        return self._tabled(self._by_edges(row, edges))

    # which way

    def _needs_events(self) -> bool:
        """Return whether only events know what is asked: a role, a field, a length of time."""
        dims = (self.form.counted, *self.form.rows)
        roles = any(isinstance(d, RoleRef) and d.role != d.type for d in dims)
        fields = any(isinstance(p.value.what, FieldRef) for p in self.ctx.of("cond"))
        return roles or fields or any(isinstance(d, FieldRef | Bucket) for d in dims)

    def _own_filters(self) -> bool:
        """Return whether the question names only entities that are counted or that there is a row of."""
        own = {self.form.counted.type, *(d.type for d in self.form.rows if isinstance(d, KindRef | RoleRef))}
        names = [
            {n.partition(":")[0] for n in item.names}
            for p in self.ctx.of("filter")
            for item in (*p.value.entities.items, *p.value.entities.without)
        ]
        return not self.ctx.has("rel") and all(types & own for types in names)

    def _has_property(self, row: object) -> bool:
        if not isinstance(row, KindRef | RoleRef):
            return False
        return any(p.name == row.type for p in self.lexicon.types[self.kind.type].properties)

    def _of_events(self) -> Draft:
        """Return the plan over the events that name both: different ones of the one for each of the other."""
        form = self.form
        if self.ctx.of("having"):
            return event_draft(Context(self.lexicon, self.ctx.tokens, self.ctx.parts, self.ctx.them))
        first = form.parts[0]
        parts = [p for p in self.ctx.parts if p not in form.parts]
        parts.append(Part("count", Count(form.counted, distinct=True), first.i, first.j))
        group = next((p for p in form.parts if p.kind == "group"), first)
        parts.append(Part("group", form.rows, group.i, group.j))
        if form.degree:
            parts.append(Part("superlative", Superlative(form.degree, None, form.n), first.i, first.j))
        return event_draft(Context(self.lexicon, self.ctx.tokens, parts, self.ctx.them))

    def _joining(self, row: object) -> list[str]:
        """Return the edge types that join the two kinds, of several those that the question's verb names.

        Raises:
            Ask: If there are several.
        """
        if not isinstance(row, KindRef | RoleRef):
            raise Decline(f"{self._several} cannot be grouped so.")
        ends = {self.kind.type, row.type}
        found = [n for n, e in self.lexicon.edges.items() if {e.source, e.target} == ends]
        verbs = {n for p in self.ctx.take("EDGE") for n in p.value.names}
        if verbs:
            found = [n for n in found if n in verbs]
            if not found:
                raise Decline(f"{listed(sorted(verbs), 'or')} does not join {listed(sorted(ends))}.")
        if len(found) > 1:
            verbs_ = [self._verb(n) for n in found]
            rows = " ".join(split_name(row.type))
            several = self.ctx.plural_of(self.noun)
            questions = tuple(f"number of {several} {verb} by {rows}" for verb in verbs_)
            raise Ask(f"{several.capitalize()} and {self.ctx.plural_of(rows)}, joined how: "
                      f"{listed(verbs_, 'or')}?", questions=questions)  # fmt: skip
        return found

    def _verb(self, edge: str) -> str:
        """Return what an edge type is called, such that the lexicon reads it again."""
        synonyms = self.lexicon.edges[edge].synonyms
        return " ".join(split(synonyms[0]) if synonyms else split_name(edge))

    # the rows that are counted

    def _by_properties(self) -> tuple[list[Step], list[Group], str]:
        self._taken()
        self._conditions()
        periods, _ = self.ctx.periods()
        if periods and not self.reached:
            raise Ask(f"What should the {self.ctx.plural_of(self.noun)} have done in that time?")
        since, until = (periods[0].since, periods[0].until) if periods else (None, None)
        steps, main = self._steps(since, until)
        by = [self._own_property(dim) for dim in self.form.rows]
        self._with_properties(steps, main, by)
        what = self._what(f", {periods[0].name}" if periods else "")
        nouns = [self.ctx.field_noun(b) for b in by]
        return steps, [Group(field=b) for b in by], f"number of {what} for each {listed(nouns)}"

    def _by_edges(self, row: object, edges: Sequence[str]) -> tuple[list[Step], list[Group], str]:
        assert isinstance(row, KindRef | RoleRef), row  # noqa: S101  (no other row has edges)
        self._taken()
        tests, told = self._row_tests(row)
        self._conditions()
        periods, _ = self.ctx.periods()
        since, until = (periods[0].since, periods[0].until) if periods else (None, None)
        if periods and not any(edge_roles(self.lexicon, e) for e in edges):
            raise Ask(f"What should the {self.ctx.plural_of(self.noun)} have done in that time?")
        rows = " ".join(split_name(row.type))
        title = f"{self.ctx.plural_of(self.noun)} and {self.ctx.plural_of(rows)}"
        steps: list[Step] = [
            Pairs(id="pairs", title=title, type=self.kind.type, neighbours=row.type, edge_types=tuple(edges),
                  since=since, until=until)
        ]  # fmt: skip
        if tests:
            steps.append(FilterRows(id="named", title=title, source=steps[-1].id, where=tuple(tests)))
        if self.reached or self.tests:
            more, main = self._steps(since, until)
            pairs = steps[-1].id
            steps = [*more, *steps, Join(id="kept", left=pairs, right=main, on=("entity",), how="semi")]
        when = f", {periods[0].name}" if periods else ""
        groups = [Group(field="neighbour_key", name=row.type)]
        if self.lexicon.schema.entities[row.type].label:
            groups.append(Group(field="neighbour_label", name=f"{row.type}_name"))
        only = f" ({told})" if told else ""
        self._not_events()
        what = self._what("")
        return steps, groups, f"number of different {what} for each {rows}{only}, joined by {edges[0]}{when}"

    def _taken(self) -> None:
        """Mark the parts that made the form as used."""
        self.ctx.use(*self.form.parts, *self.ctx.of("w:distinct", "w:common"))
        self.ctx.use(*(p for p in self.ctx.of("count") if p.value.what is None))

    def _row_tests(self, row: KindRef | RoleRef) -> tuple[list[Filter], str]:
        """Return the conditions on the rows by the entities that the question names of their kind."""
        tests, told = [], []
        for part in self.ctx.of("filter"):
            wanted = part.value
            items = [item.of(row.type) for item in wanted.entities.items]
            if not all(items) or wanted.entities.without or row.type == self.kind.type:
                continue
            self.ctx.use(part)
            names = tuple(self.ctx.one_entity(item, (row.type,), part) for item in items if item)
            op = "not in" if wanted.negated else "in"
            tests.append(Filter(field="neighbour", op=op, value=names))
            labels = listed([self.lexicon.label(n) for n in names], "or")
            told.append(f"not {labels}" if wanted.negated else labels)
        return tests, listed(told)

    def _not_events(self) -> None:
        """Say where events are called like what is counted."""
        own = set(split_name(self.kind.type))
        for name in self.lexicon.events:
            if own <= set(split_name(name)):
                several = self.ctx.plural_of(self.noun)
                self.notes.append(f"{several} are counted once each, not as {self.ctx.events_noun(name)}")
                return

    # the plan

    def _tabled(self, made: tuple[list[Step], list[Group], str]) -> Draft:
        steps, groups, told = made
        ctx, form = self.ctx, self.form
        several = ctx.plural_of(self.noun)
        title = f"{several} for each {listed([g.column for g in groups[:1]])}"[:200]
        column = "_".join(split_name(self.kind.type)) + "_count"
        count = Measure(name=column, op="distinct", field="entity")
        steps.append(
            Aggregate(id="figures", title=title, source=steps[-1].id, by=tuple(groups), measures=(count,))
        )
        reading = [f"{told[:1].upper()}{told[1:]}"]
        if form.shared:
            test = Filter(field=column, op=">", value=1)
            steps.append(FilterRows(id="shared", title=title, source=steps[-1].id, where=(test,)))
            reading.append("only where it is > 1")
        twice = tuple(op for part in ctx.take("agg") for op in part.value)
        for part in ctx.take("having"):
            op, number, _ = part.value
            test = Filter(field=column, op=op, value=plain(number))
            steps.append(FilterRows(id="enough", title=title, source=steps[-1].id, where=(test,)))
            reading.append(f"only where it is {op} {plain(number):,}")
        orders = ctx.take("order")
        if ctx.left:
            words = listed([repr(ctx.text(p)) for p in ctx.left])
            raise Decline(f"It is not clear what {words} means in this question.")
        if twice:
            return self._over_rows(steps, twice, column, reading)
        direction = self._direction(orders)
        if form.degree or form.n:
            n = form.n or _SEVERAL
            steps.append(Top(id="top", title=title, source=steps[-1].id, by=column, n=n,
                             ascending=direction == "ascending"))  # fmt: skip
            reading.append(f"the {n} with the {'fewest' if direction == 'ascending' else 'most'}")
        else:
            by = (SortKey(field=column, descending=direction != "ascending"),)
            steps.append(Sort(id="sorted", title=title, source=steps[-1].id, by=by))
            reading.append("smallest first" if direction == "ascending" else "largest first")
        render = Render(kind="bar", source=steps[-1].id, title=title, x=groups[0].column, y=(column,))
        return Draft(steps, [render], reading, self.notes)

    def _direction(self, orders: Sequence[Part]) -> str:
        values: list[Order] = [p.value for p in orders]
        if any(v.direction in ("worst", "best") for v in values):
            raise Ask(f"Are many or few {self.ctx.plural_of(self.noun)} the better?")
        said = next((v.direction for v in values if v.direction), "")
        return said or ("ascending" if self.form.degree == "fewest" else "descending")

    def _over_rows(self, steps: list[Step], ops: tuple[str, ...], column: str, reading: list[str]) -> Draft:
        """Return the plan of a figure over the numbers: the average number of games per provider."""
        words = self.lexicon.language.data["speech"]["means"]
        measures = tuple(Measure(name=f"{op}_{column}", op=op, field=column) for op in ops)
        steps.append(Aggregate(id="over_rows", source=steps[-1].id, measures=measures))
        told = listed([words[op] for op in ops])
        reading = [f"The {told} over all of: {reading[0][:1].lower()}{reading[0][1:]}", *reading[1:]]
        render = Render(kind="metric", source="over_rows", y=tuple(m.name for m in measures))
        return Draft(steps, [render], reading, self.notes)
