"""Questions about entities: who is joined to whom, sets of them, those with a property."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.plans.grammar.context import Context, Draft, listed
from workbench.plans.grammar.senses import (
    Ask,
    Condition,
    Count,
    Decline,
    EntityFilter,
    EntityRef,
    KindRef,
    Part,
    PropertyRef,
    Relation,
    RoleRef,
)
from workbench.plans.grammar.tokens import split_name
from workbench.plans.model import (
    Aggregate,
    Filter,
    Group,
    Measure,
    Nodes,
    Render,
    SetOperation,
    Sort,
    SortKey,
    Top,
    Traverse,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.plans.model import Direction, Step

__all__ = ["set_draft"]

_ONE_ROW = 1


@dataclass(frozen=True)
class _Member:
    """One set: all that some entities reach along edges."""

    start: tuple[str, ...]
    edges: tuple[str, ...]
    direction: Direction
    told: str
    left_out: bool = False


def set_draft(ctx: Context) -> Draft:
    """Return the plan of a question about entities of one type.

    Raises:
        Ask: If the question has several meanings.
        Decline: If the graph cannot answer it.
    """
    return _Sets(ctx).draft()


class _Sets:
    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.lexicon = ctx.lexicon
        self.members: list[_Member] = []
        self.tests: list[Filter] = []
        self.told: list[str] = []
        self.notes: list[str] = []

    def draft(self) -> Draft:  # noqa: C901  (what a set can be of, in this order)
        ctx = self.ctx
        self._subject()
        periods, compared = ctx.periods()
        if compared:
            raise Decline("Sets of entities are of one time; ask about each.")
        since, until = (periods[0].since, periods[0].until) if periods else (None, None)
        edges = ctx.take("EDGE")
        connected = ctx.take("w:connected")
        ctx.take("w:common")
        for part in ctx.take("rel"):
            self._relation(part.value, part)
        for part in ctx.take("filter"):
            self._filtered(part.value, part, edges, any_edge=bool(connected))
        for part in ctx.take("cond"):
            self._condition(part.value)
        superlative = ctx.take("superlative", "top")
        orders = ctx.take("order")
        aggregates = self._aggregates()
        if ctx.left:
            words = listed([repr(ctx.text(p)) for p in ctx.left])
            raise Decline(f"It is not clear what {words} means in this question.")
        if (since or until) and not self.members:
            raise Ask(f"What should the {self.noun} have done in that time?")
        steps, main = self._steps(since, until)
        when = f", {periods[0].name}" if periods else ""
        told = (
            listed([*(m.told for m in self.members if not m.left_out), *self.told])
            if self.members or self.told
            else ""
        )
        without = (
            listed([m.told for m in self.members if m.left_out], "or")
            if any(m.left_out for m in self.members)
            else ""
        )
        but = " but not " if told else " not "
        noun = ctx.plural_of(self.noun)
        what = f"{noun}{f' {told}' if told else ''}{f'{but}{without}' if without else ''}{when}"
        if self.grouped and self.counted:
            return self._counted_by(steps, aggregates, what)
        if aggregates:
            return self._figures(steps, aggregates, what)
        if self.counted:
            steps.append(
                Aggregate(
                    id="number",
                    title=f"number of {what}"[:200],
                    source=main,
                    measures=(Measure(name="count"),),
                )
            )
            return Draft(
                steps,
                [Render(kind="metric", source="number", title=f"number of {what}"[:200], y=("count",))],
                [f"The number of {what}"],
                self.notes,
                same=self._same(since, until),
            )
        whole = "" if told or without else "All "
        reading = [f"{whole}{what}" if whole else f"{what[:1].upper()}{what[1:]}"]
        if superlative or orders:
            steps, said = self._topped(steps, main, superlative, orders)
            reading.append(said)
        title = what[:200]
        renders = [Render(kind="table", source=steps[-1].id, title=title)]
        same = () if superlative or orders else self._same(since, until)
        return Draft(steps, renders, reading, self.notes, same=same)

    def _same(self, since: str | None, until: str | None) -> tuple[object, ...]:
        if self.tests or not self.members or any(len(m.start) != 1 for m in self.members):
            return ()
        kept, out = (
            tuple(sorted(m.start[0] for m in self.members if m.left_out is left)) for left in (False, True)
        )
        return (self.kind.type, self.counted, kept, out, since, until)

    # what the set is of

    def _subject(self) -> None:
        ctx = self.ctx
        self.counted = False
        self.kind: KindRef
        self.properties: list[Part] = []
        for part in ctx.take("count"):
            value: Count = part.value
            self.counted = True
            if isinstance(value.what, KindRef | RoleRef):
                self._set_kind(value.what, part)
        ctx.take("w:distinct")
        for part in ctx.take("KIND", "ROLE"):
            self._set_kind(part.value, part)
        self.n: int | None = None
        for part in ctx.take("numbered"):
            if not isinstance(part.value[1], KindRef | RoleRef):
                raise Decline("Times are not entities.")
            self._set_kind(part.value[1], part)
            self.n = part.value[0]
        if not hasattr(self, "kind"):
            self._infer_kind()
        if not hasattr(self, "kind"):
            self._infer_owner()
        if not hasattr(self, "kind"):
            raise Decline("It is not clear what is asked for.")
        self.noun = " ".join(split_name(self.kind.type))
        self.grouped = ctx.take("group")

    def _set_kind(self, value: KindRef | RoleRef, part: Part) -> None:
        kind = KindRef(value.type)
        if hasattr(self, "kind") and self.kind != kind:
            raise Decline(f"The question asks for two things: {self.kind.type} and {kind.type}.")
        self.kind, self.part, self.role = kind, part, value.role if isinstance(value, RoleRef) else ""

    def _infer_owner(self) -> None:
        """Take the entity type that has the property which is asked about."""
        found = [
            (p.value if isinstance(p.value, PropertyRef) else p.value.what, p)
            for p in self.ctx.of("PROP", "measure")
        ]
        owners = [({t for t, _ in ref.names}, p) for ref, p in found if isinstance(ref, PropertyRef)]
        common = set.intersection(*(o for o, _ in owners)) if owners else set()
        if len(common) == 1:
            self._set_kind(KindRef(common.pop()), owners[0][1])

    def _infer_kind(self) -> None:
        """Take what stands at the other end of the edge that is asked about: "who built it"."""
        edges = [n for p in self.ctx.of("rel") for n in p.value.edge.names]
        edges += [n for p in self.ctx.of("EDGE") for n in p.value.names]
        items = [e for p in self.ctx.of("rel", "filter") for e in p.value.entities.items]
        types = {n.partition(":")[0] for e in items for n in e.names}
        ends = set()
        for name in edges:
            edge = self.lexicon.edges[name]
            ends |= {edge.target} if edge.source in types else set()
            ends |= {edge.source} if edge.target in types else set()
        if len(ends) == 1:
            part = self.ctx.of("rel", "EDGE")[0]
            self._set_kind(KindRef(ends.pop()), part)
            self.whole = True

    # which of them

    def _relation(self, relation: Relation, part: Part) -> None:
        fitting = self._fitting(relation.edge.names, relation.entities.items)
        if not fitting:
            nouns = listed([e.text for e in relation.entities.items])
            raise Decline(
                f"{self.ctx.text(part)!r} joins nothing of type {self.kind.type} to {nouns}: "
                f"it is about {listed(self._ends(relation.edge.names), 'or')}."
            )
        self._members(relation, fitting, part)

    def _ends(self, edges: Sequence[str]) -> list[str]:
        return [f"{self.lexicon.edges[e].source} and {self.lexicon.edges[e].target}" for e in edges]

    def _fitting(self, edges: Sequence[str], items: Sequence[EntityRef]) -> list[tuple[str, Direction, str]]:
        """Return the edges that join the asked type with the entities' type: edge, direction, that type."""
        found: list[tuple[str, Direction, str]] = []
        types = [{n.partition(":")[0] for n in item.names} for item in items]
        for name in edges:
            edge = self.lexicon.edges[name]
            if edge.source == self.kind.type and all(edge.target in t for t in types):
                found.append((name, "in", edge.target))
            elif edge.target == self.kind.type and all(edge.source in t for t in types):
                found.append((name, "out", edge.source))
        return found

    def _members(self, relation: Relation, fitting: list[tuple[str, Direction, str]], part: Part) -> None:
        types = {f[2] for f in fitting}
        directions = {f[1] for f in fitting}
        edges = tuple(f[0] for f in fitting)
        direction: Direction = directions.pop() if len(directions) == 1 else "both"
        edge = self.lexicon.edges[edges[0]]
        if edge.source == edge.target:
            direction = "out" if relation.passive else "in"
        entities = relation.entities
        verb = " or ".join(edges)

        def member(names: tuple[str, ...], *, left_out: bool) -> _Member:
            who = listed([self.lexicon.label(n) for n in names], "or")
            return _Member(names, edges, direction, f"joined by {verb} to {who}", left_out)

        found = tuple(self.ctx.one_entity(ref, types, part) for ref in entities.items)
        if relation.negated:
            self.members += [member((n,), left_out=True) for n in found]
        elif entities.mode == "or":
            self.members.append(member(found, left_out=False))
        else:
            self.members += [member((n,), left_out=False) for n in found]
        for ref in entities.without:
            self.members.append(member((self.ctx.one_entity(ref, types, part),), left_out=True))

    def _filtered(self, wanted: EntityFilter, part: Part, edges: list[Part], *, any_edge: bool) -> None:
        entities = wanted.entities
        own = [e.of(self.kind.type) for e in entities.items]
        if not edges and not any_edge and all(own) and not wanted.preposition:
            names = tuple(self.ctx.one_entity(e, (self.kind.type,), part) for e in own if e)
            keys = tuple(n.split(":", 1)[1] for n in names)
            self.tests.append(Filter(field="entity", op="not in" if wanted.negated else "in", value=names))
            self.told.append(
                ("except " if wanted.negated else "") + listed([self.lexicon.label(n) for n in names])
            )
            del keys
            return
        if edges:
            names_ = edges[0].value.names
            fitting = self._fitting(names_, entities.items)
            if fitting:
                self._members(Relation(edges[0].value, entities, negated=wanted.negated), fitting, part)
                return
            if len(edges) == len(self.ctx.parts):
                other = part.value.entities.items[0].text
                raise Decline(
                    f"{self.ctx.text(edges[0])!r} joins nothing of type {self.kind.type} to {other}."
                )
        fitting = self._fitting(tuple(self.lexicon.edges), entities.items)
        if any_edge or not fitting:
            types = {n.partition(":")[0] for e in entities.items for n in e.names}
            if not any_edge:
                raise Decline(
                    f"Nothing joins {self.kind.type} to {listed(sorted(types), 'or')} entities directly."
                )
            self._any_edges(wanted, part)
            return
        chosen = self._by_preposition(fitting, wanted.preposition) or fitting
        if len(chosen) > 1:
            nouns = [f[0] for f in chosen]
            options = tuple((part.i, part.i, " ".join(split_name(n))) for n in nouns)
            self.notes.append(f"joined by any of {listed(nouns, 'or')}")
            del options
        self._members(
            Relation(_edge_ref([c[0] for c in chosen]), entities, negated=wanted.negated), chosen, part
        )

    def _any_edges(self, wanted: EntityFilter, part: Part) -> None:
        for ref in wanted.entities.items:
            name = self.ctx.one_entity(ref, (), part)
            self.members.append(
                _Member((name,), (), "both", f"connected to {self.lexicon.label(name)}", wanted.negated)
            )
        for ref in wanted.entities.without:
            name = self.ctx.one_entity(ref, (), part)
            self.members.append(
                _Member((name,), (), "both", f"connected to {self.lexicon.label(name)}", True)
            )

    def _by_preposition(self, fitting: list[Any], preposition: str) -> list[Any]:
        if preposition not in ("from", "to", "at"):
            return []
        return [f for f in fitting if preposition in split_name(f[0])]

    def _condition(self, condition: Condition) -> None:
        if not isinstance(condition.what, PropertyRef):
            raise Decline(f"{self.kind.type} entities have no property {condition.what.names[0]}.")
        own = [n for t, n in condition.what.names if t == self.kind.type]
        if not own:
            raise Decline(f"{self.kind.type} entities have no property {condition.what.names[0][1]}.")
        values = tuple(int(v) if isinstance(v, float) and v.is_integer() else v for v in condition.values)
        value: Any = values if condition.op == "between" else values[0]
        self.tests.append(Filter(field=own[0], op=condition.op, value=value))
        self.told.append(f"with {own[0]} {condition.op} {' and '.join(str(v) for v in values)}")

    def _aggregates(self) -> list[tuple[tuple[str, ...], str]]:
        """Return the figures of properties that are asked for."""
        ops: tuple[str, ...] = ()
        for part in self.ctx.take("agg"):
            ops += part.value
        found = []
        for part in self.ctx.take("measure", "PROP"):
            value = part.value
            what = value if isinstance(value, PropertyRef) else value.what
            own_ops = () if isinstance(value, PropertyRef) else value.ops
            if not isinstance(what, PropertyRef):
                raise Decline(f"{self.kind.type} entities have no {what.names[0]}.")
            own = [n for t, n in what.names if t == self.kind.type]
            if not own:
                raise Decline(f"{self.kind.type} entities have no property {what.names[0][1]}.")
            found.append((own_ops or ops, own[0]))
        return found

    # the plan

    def _steps(self, since: str | None, until: str | None) -> tuple[list[Step], str]:
        kept = [m for m in self.members if not m.left_out]
        out = [m for m in self.members if m.left_out]
        steps: list[Step] = []

        def traverse(id_: str, member: _Member) -> str:
            steps.append(
                Traverse(
                    id=id_,
                    title=f"{self.noun} {member.told}"[:200],
                    start=member.start,
                    edge_types=member.edges,
                    direction=member.direction,
                    types=(self.kind.type,),
                    since=since,
                    until=until,
                )
            )
            return id_

        ids = [traverse(f"set_{n}", m) for n, m in enumerate(kept, 1)]
        if self.tests or not ids:
            fields = tuple(dict.fromkeys(f.field for f in self.tests if f.field != "entity"))
            steps.append(
                Nodes(
                    id="entities",
                    title=f"{self.noun} {listed(self.told)}"[:200] if self.told else self.noun,
                    type=self.kind.type,
                    where=tuple(self.tests),
                    properties=fields,
                )
            )
            ids.append("entities")
        main = ids[0]
        if len(ids) > 1:
            steps.append(
                SetOperation(
                    id="both",
                    title=f"{self.noun} in all {len(ids)} sets",
                    sources=tuple(ids),
                    kind="intersection",
                )
            )
            main = "both"
        if out:
            others = tuple(traverse(f"without_{n}", m) for n, m in enumerate(out, 1))
            steps.append(
                SetOperation(
                    id="rest", title=f"{self.noun} that are left", sources=(main, *others), kind="difference"
                )
            )
            main = "rest"
        # the answer is the last step
        if steps[-1].id != main:
            place = next(n for n, s in enumerate(steps) if s.id == main)
            steps.append(steps.pop(place))
        return steps, main

    def _topped(
        self, steps: list[Step], main: str, superlatives: list[Part], orders: list[Part]
    ) -> tuple[list[Step], str]:
        column = "weight" if any(isinstance(s, Traverse) and s.id == main for s in steps) else "sightings"
        if not any(isinstance(s, Nodes | Traverse) and s.id == main for s in steps):
            raise Decline("Sets made of several sets have no figure to order by.")
        if orders and any(p.value.by is not None for p in orders):
            raise Decline("Entities can be ordered by their number of events here.")
        n = next((p.value.n for p in superlatives if p.value.n), None)
        degree = superlatives[0].value.degree if superlatives else "most"
        if degree not in ("most", "fewest"):
            raise Ask(f"{self.ctx.text(superlatives[0]).capitalize()} by which figure?")
        n = n or self.n
        if superlatives:
            several = self.ctx.several(self.part)
            n = n or (10 if several else _ONE_ROW)
            steps.append(
                Top(
                    id="top",
                    title=f"{n} {self.noun}",
                    source=main,
                    by=column,
                    n=n,
                    ascending=degree == "fewest",
                )
            )
            return steps, f"the {n} with the {'most' if degree == 'most' else 'fewest'} events"
        descending = orders[0].value.direction != "ascending"
        steps.append(Sort(id="sorted", source=main, by=(SortKey(field=column, descending=descending),)))
        return steps, f"ordered by number of events, {'most' if descending else 'fewest'} first"

    def _own_property(self, dim: Any) -> str:
        """Return the property of the asked type that a group is; raises Decline where it has none."""
        own = [n for t, n in dim.names if t == self.kind.type] if isinstance(dim, PropertyRef) else []
        if isinstance(dim, KindRef | RoleRef):
            own = [p.name for p in self.lexicon.types[self.kind.type].properties if p.name == dim.type]
        if not own:
            raise Decline(f"{self.ctx.plural_of(self.noun).capitalize()} cannot be grouped so.")
        return own[0]

    def _counted_by(self, steps: list[Step], aggregates: list[Any], what: str) -> Draft:
        """Return the plan of how many entities there are of each value of a property."""
        nodes = steps[0]
        if self.members or len(steps) != 1 or aggregates or not isinstance(nodes, Nodes):
            raise Decline("Only all entities of a type can be counted by a property.")
        by = [self._own_property(d) for part in self.grouped for d in part.value]
        nodes = nodes.model_copy(update={"properties": tuple(dict.fromkeys([*nodes.properties, *by]))})
        groups, count = tuple(Group(field=b) for b in by), (Measure(name="count"),)
        title = f"number of {what} by {listed(by)}"[:200]
        steps = [
            nodes,
            Aggregate(id="figures", title=title, source=nodes.id, by=groups, measures=count),
            Sort(id="sorted", title=title, source="figures", by=(SortKey(field="count", descending=True),)),
        ]
        render = Render(kind="bar", source="sorted", title=title, x=by[0], y=("count",))
        reading = f"The number of {what[:1].lower()}{what[1:]} for each {listed(by)}, largest first"
        return Draft(steps, [render], [reading], self.notes)

    def _figures(self, steps: list[Step], aggregates: list[tuple[tuple[str, ...], str]], what: str) -> Draft:
        if self.members or len(steps) != 1:
            raise Decline("Figures of properties of a set of entities are not possible yet.")
        names = [name for _, name in aggregates]
        groups = [d for part in self.grouped for d in part.value]
        by = [self._own_property(dim) for dim in groups]
        nodes = steps[0].model_copy(update={"properties": tuple(dict.fromkeys([*by, *names]))})
        ops = [(op, name) for given, name in aggregates for op in given]
        if not ops:
            return Draft(
                [nodes],
                [Render(kind="table", source=nodes.id, title=what[:200])],
                [f"{listed(names)} of {what}"],
                self.notes,
            )
        measures = tuple(Measure(name=f"{op}_{name}", op=op, field=name) for op, name in ops)
        figures = Aggregate(
            id="figures", source=nodes.id, by=tuple(Group(field=b) for b in by), measures=measures
        )
        told = listed([f"{op} {name}" for op, name in ops])
        by_words = f" for each {listed(by)}" if by else ""
        render = (
            Render(kind="bar", source="figures", x=by[0], y=(measures[0].name,))
            if by
            else Render(kind="metric", source="figures", y=tuple(m.name for m in measures))
        )
        return Draft(
            [nodes, figures], [render], [f"{told[:1].upper()}{told[1:]} of {what}{by_words}"], self.notes
        )


def _edge_ref(names: Sequence[str]) -> Any:
    from workbench.plans.grammar.senses import EdgeRef  # noqa: PLC0415

    return EdgeRef(tuple(names))
