"""Questions about entities: who is joined to whom, sets of them, those with a property."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.graph.keys import format_entity
from workbench.plans.grammar.context import Context, Draft, listed
from workbench.plans.grammar.entity_set import EntitySet
from workbench.plans.grammar.senses import Ask, Decline, Part, PropertyRef
from workbench.plans.model import (
    Aggregate,
    Group,
    Measure,
    Nodes,
    Render,
    Sort,
    SortKey,
    Top,
    Traverse,
)

if TYPE_CHECKING:
    from workbench.plans.model import Step

__all__ = ["set_draft"]

_ONE_ROW = 1


def set_draft(ctx: Context) -> Draft:
    """Return the plan of a question about entities of one type.

    Raises:
        Ask: If the question has several meanings.
        Decline: If the graph cannot answer it.
    """
    return _Sets(ctx).draft()


class _Sets(EntitySet):
    """The plan of what a question asks of entities."""

    def draft(self) -> Draft:
        ctx = self.ctx
        self._subject()
        periods, compared = ctx.periods()
        if compared:
            raise Decline("Sets of entities are of one time; ask about each.")
        since, until = (periods[0].since, periods[0].until) if periods else (None, None)
        self._conditions()
        superlative = ctx.take("superlative", "top")
        orders = ctx.take("order")
        aggregates = self._aggregates()
        groups = [d for part in ctx.take("group") for d in part.value]
        if ctx.left:
            words = listed([repr(ctx.text(p)) for p in ctx.left])
            raise Decline(f"It is not clear what {words} means in this question.")
        if (since or until) and not self.reached:
            raise Ask(f"What should the {ctx.plural_of(self.noun)} have done in that time?")
        steps, main = self._steps(since, until)
        what = self._what(f", {periods[0].name}" if periods else "")
        if aggregates:
            return self._figures(steps, main, aggregates, groups, what)
        if groups:
            raise Decline(f"{ctx.plural_of(self.noun).capitalize()} cannot be grouped so.")
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
        whole = "" if self.reached or self.told else "All "
        reading = [f"{whole}{what}" if whole else f"{what[:1].upper()}{what[1:]}"]
        if superlative or orders:
            steps, said = self._topped(steps, main, superlative, orders)
            reading.append(said)
        title = what[:200]
        renders = [Render(kind="table", source=steps[-1].id, title=title)]
        same = () if superlative or orders else self._same(since, until)
        return Draft(steps, renders, reading, self.notes, same=same)

    def _same(self, since: str | None, until: str | None) -> tuple[object, ...]:
        """Return what the set is, the same where a property says what an edge does: built by BOEING."""
        if not (self.tests or self.reached) or any(len(m.start) != 1 for m in self.reached):
            return ()
        if any(t.op != "=" or t.field not in self.lexicon.types for t in self.tests):
            return ()
        kept, out = ([m.start[0] for m in self.reached if m.left_out is left] for left in (False, True))
        kept += [format_entity(t.field, str(t.value)) for t in self.tests]
        return (self.kind.type, self.counted, False, tuple(sorted(kept)), tuple(sorted(out)), since, until)

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
                raise Decline(f"{self._several} have no {self.ctx.field_noun(what.names[0])}.")
            own = [n for t, n in what.names if t == self.kind.type]
            if not own:
                raise Decline(f"{self._several} have no {self.ctx.field_noun(what.names[0][1])}.")
            found.append((own_ops or ops, own[0]))
        return found

    # the plan

    # the plan

    def _topped(
        self, steps: list[Step], main: str, superlatives: list[Part], orders: list[Part]
    ) -> tuple[list[Step], str]:
        column = "weight" if any(isinstance(s, Traverse) and s.id == main for s in steps) else "sightings"
        if not any(isinstance(s, Nodes | Traverse) and s.id == main for s in steps):
            raise Decline("Sets made of several sets have no figure to order by.")
        if orders and any(p.value.by is not None for p in orders):
            raise Decline("Entities can be ordered by their number of events here.")
        if any(p.value.what is not None for p in superlatives):
            raise Decline(f"{self._several} cannot be ordered so.")
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

    def _figures(
        self,
        steps: list[Step],
        main: str,
        aggregates: list[tuple[tuple[str, ...], str]],
        groups: list[object],
        what: str,
    ) -> Draft:
        names = [name for _, name in aggregates]
        by = [self._own_property(dim) for dim in groups]
        main = self._with_properties(steps, main, (*by, *names))
        nouns = {name: self.ctx.field_noun(name) for name in (*names, *by)}
        ops = [(op, name) for given, name in aggregates for op in given]
        if not ops:
            if by:
                raise Ask(f"Which figure of {listed([nouns[n] for n in names])}: the average, the highest?")
            return Draft(
                steps,
                [Render(kind="table", source=main, title=what[:200])],
                [f"{listed([nouns[n] for n in names]).capitalize()} of {what}"],
                self.notes,
            )
        measures = tuple(Measure(name=f"{op}_{name}", op=op, field=name) for op, name in ops)
        steps.append(
            Aggregate(id="figures", source=main, by=tuple(Group(field=b) for b in by), measures=measures)
        )
        words = self.lexicon.language.data["speech"]["means"]
        told = listed([f"{words[op]} {nouns[name]}" for op, name in ops])
        by_words = f" for each {listed([nouns[b] for b in by])}" if by else ""
        render = (
            Render(kind="bar", source="figures", x=by[0], y=(measures[0].name,))
            if by
            else Render(kind="metric", source="figures", y=tuple(m.name for m in measures))
        )
        reading = f"{told[:1].upper()}{told[1:]} of {what}{by_words}"
        return Draft(steps, [render], [reading], self.notes)
