"""Which entities are meant: those of a type that edges join to others, and that have properties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.plans.grammar.context import Context, listed
from workbench.plans.grammar.senses import (
    Ask,
    Condition,
    Count,
    Decline,
    EdgeRef,
    EntityFilter,
    EntityRef,
    KindRef,
    Part,
    PropertyRef,
    Relation,
    RoleRef,
)
from workbench.plans.grammar.tokens import split_name
from workbench.plans.model import Filter, Join, Nodes, SetOperation, Traverse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.plans.model import Direction, Step

__all__ = ["EntitySet"]


@dataclass(frozen=True)
class _Reached:
    """One set: all that some entities reach along edges."""

    start: tuple[str, ...]
    edges: tuple[str, ...]
    direction: Direction
    told: str
    left_out: bool = False


class EntitySet:
    """The entities of one type that a question is about.

    Args:
        ctx: The reading.
    """

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.lexicon = ctx.lexicon
        self.reached: list[_Reached] = []
        self.tests: list[Filter] = []
        self.told: list[str] = []
        self.notes: list[str] = []

    def _conditions(self) -> None:
        """Take what the question says of the entities."""
        ctx = self.ctx
        edges = ctx.take("EDGE")
        connected = ctx.take("w:connected")
        ctx.take("w:common")
        for part in ctx.take("rel"):
            self._relation(part.value, part)
        for part in ctx.take("filter"):
            self._filtered(part.value, part, edges, any_edge=bool(connected))
        for part in ctx.take("cond"):
            self._condition(part.value)
        if edges and not self.reached:
            raise Ask(f"{ctx.text(edges[0]).capitalize()}: whom or what?")

    @property
    def _several(self) -> str:
        """The plural of the entity type that is asked for, as a sentence begins with it."""
        return self.ctx.plural_of(self.noun).capitalize()

    def _what(self, when: str) -> str:
        """Return the entities in words."""
        kept = [*(m.told for m in self.reached if not m.left_out), *self.told]
        out = [m.told for m in self.reached if m.left_out]
        told = f" {listed(kept)}" if kept else ""
        without = f"{' but' if kept else ''} not {listed(out, 'or')}" if out else ""
        return f"{self.ctx.plural_of(self.noun)}{told}{without}{when}"

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
        self.ctx.preposition(part)
        fitting = self._fitting(relation.edge.names, relation.entities.items)
        if not fitting:
            nouns = listed([e.text for e in relation.entities.items])
            raise Decline(
                f"{self.ctx.text(part)!r} joins no {self.noun} to {nouns}: "
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

        def member(names: tuple[str, ...], *, left_out: bool) -> _Reached:
            who = listed([self.lexicon.label(n) for n in names], "or")
            return _Reached(names, edges, direction, f"joined by {verb} to {who}", left_out)

        found = tuple(self.ctx.one_entity(ref, types, part) for ref in entities.items)
        if relation.negated:
            self.reached += [member((n,), left_out=True) for n in found]
        elif entities.mode == "or":
            self.reached.append(member(found, left_out=False))
        else:
            self.reached += [member((n,), left_out=False) for n in found]
        for ref in entities.without:
            self.reached.append(member((self.ctx.one_entity(ref, types, part),), left_out=True))

    def _filtered(self, wanted: EntityFilter, part: Part, edges: list[Part], *, any_edge: bool) -> None:
        entities = wanted.entities
        own = [e.of(self.kind.type) for e in entities.items]
        if not edges and not any_edge and all(own) and not wanted.preposition:
            names = tuple(self.ctx.one_entity(e, (self.kind.type,), part) for e in own if e)
            self.tests.append(Filter(field="entity", op="not in" if wanted.negated else "in", value=names))
            self.told.append(
                ("except " if wanted.negated else "") + listed([self.lexicon.label(n) for n in names])
            )
            return
        if edges:
            names_ = edges[0].value.names
            fitting = self._fitting(names_, entities.items)
            if fitting:
                self._members(Relation(edges[0].value, entities, negated=wanted.negated), fitting, part)
                return
            if len(edges) == len(self.ctx.parts):
                other = part.value.entities.items[0].text
                raise Decline(f"{self.ctx.text(edges[0])!r} joins no {self.noun} to {other}.")
        fitting = self._fitting(tuple(self.lexicon.edges), entities.items)
        if any_edge or not fitting:
            types = {n.partition(":")[0] for e in entities.items for n in e.names}
            if not any_edge:
                others = listed([self.ctx.kinds_noun(t) for t in sorted(types)], "or")
                raise Decline(f"Nothing joins {self.ctx.plural_of(self.noun)} to {others} directly.")
            self._any_edges(wanted, part)
            return
        chosen = self._by_preposition(fitting, wanted.preposition) or fitting
        if len(chosen) > 1:
            self.notes.append(f"joined by any of {listed([f[0] for f in chosen], 'or')}")
        self._members(
            Relation(_edge_ref([c[0] for c in chosen]), entities, negated=wanted.negated), chosen, part
        )

    def _any_edges(self, wanted: EntityFilter, part: Part) -> None:
        for ref in wanted.entities.items:
            name = self.ctx.one_entity(ref, (), part)
            self.reached.append(
                _Reached((name,), (), "both", f"connected to {self.lexicon.label(name)}", wanted.negated)
            )
        for ref in wanted.entities.without:
            name = self.ctx.one_entity(ref, (), part)
            self.reached.append(
                _Reached((name,), (), "both", f"connected to {self.lexicon.label(name)}", True)
            )

    def _by_preposition(self, fitting: list[Any], preposition: str) -> list[Any]:
        if preposition not in ("from", "to", "at"):
            return []
        return [f for f in fitting if preposition in split_name(f[0])]

    def _condition(self, condition: Condition) -> None:
        if not isinstance(condition.what, PropertyRef):
            raise Decline(f"{self._several} have no {self.ctx.field_noun(condition.what.names[0])}.")
        own = [n for t, n in condition.what.names if t == self.kind.type]
        if not own:
            raise Decline(f"{self._several} have no {self.ctx.field_noun(condition.what.names[0][1])}.")
        values = tuple(int(v) if isinstance(v, float) and v.is_integer() else v for v in condition.values)
        value: Any = values if condition.op in ("between", "in", "not in") else values[0]
        self.tests.append(Filter(field=own[0], op=condition.op, value=value))
        link = " or " if condition.op in ("in", "not in") else " and "
        noun = self.ctx.field_noun(own[0])
        self.told.append(f"with {noun} {condition.op} {link.join(str(v) for v in values)}")

    # the plan

    def _steps(self, since: str | None, until: str | None) -> tuple[list[Step], str]:
        kept = [m for m in self.reached if not m.left_out]
        out = [m for m in self.reached if m.left_out]
        steps: list[Step] = []

        def traverse(id_: str, member: _Reached) -> str:
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

    def _with_properties(self, steps: list[Step], main: str, names: Sequence[str]) -> str:
        """Let the rows of the set have properties, and return the step that they are the rows of."""
        wanted = tuple(dict.fromkeys(names))
        if isinstance(steps[-1], Nodes):
            known = tuple(dict.fromkeys([*steps[-1].properties, *wanted]))
            steps[-1] = steps[-1].model_copy(update={"properties": known})
            return main
        steps += [
            Nodes(id="all", type=self.kind.type, properties=wanted),
            Join(id="rows", title=self.noun, left="all", right=main, on=("entity",), how="semi"),
        ]
        return "rows"

    def _own_property(self, dim: object) -> str:
        """Return the property of the asked type that a group is; raises Decline where it has none."""
        own = [n for t, n in dim.names if t == self.kind.type] if isinstance(dim, PropertyRef) else []
        if isinstance(dim, KindRef | RoleRef):
            own = [p.name for p in self.lexicon.types[self.kind.type].properties if p.name == dim.type]
        if not own:
            raise Decline(f"{self._several} cannot be grouped so.")
        return own[0]


def _edge_ref(names: Sequence[str]) -> EdgeRef:
    return EdgeRef(tuple(names))
