"""Follow-ups: what a question takes over from the one before, and what it puts in its place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.plans.grammar.senses import Entities, EntityFilter, EntityRef, KindRef, MeasureRef, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.plans.grammar.tokens import Token

__all__ = ["merge"]

_SILENT = {"w:follow", "w:again", "w:only", "w:as_table", "w:as_bar", "w:which_of"}
# What a new part takes the place of.
_REPLACES = {
    "when": {"when", "whens"},
    "whens": {"when", "whens"},
    "group": {"group", "BUCKET"},
    "order": {"order"},
    "top": {"top", "superlative"},
    "DAYHOUR": {"DAYHOUR"},
    "w:timeline": {"w:timeline", "group", "superlative", "top", "order", "w:as_table", "w:as_bar"},
    "EVENT": {"EVENT", "measure", "share"},
    "measure": {"measure", "EVENT", "share", "agg", "count"},
    "share": {"share", "EVENT", "measure", "count"},
    "KIND": {"KIND"},
    "cond": set(),
    "filter": set(),
    "rel": set(),
    "agg": {"agg"},
    "superlative": {"superlative", "top", "order"},
    "count": set(),
    "w:not": set(),
    "EDGE": set(),
    "knownof": {"knownof"},
}


def merge(
    old_tokens: Sequence[Token],
    old: Sequence[Part],
    new_tokens: Sequence[Token],
    new: Sequence[Part],
    them: tuple[str, ...],
) -> tuple[list[Token], tuple[Part, ...]] | None:
    """Return the tokens and parts of both questions, the new ones in the place of what they replace.

    None where the new question cannot go on from the old one. With ``them``, "of those" selects these.
    """
    said = [p for p in new if p.kind not in _SILENT]
    ops = next((p.value.ops for p in old if p.kind == "measure" and p.value.ops), ())
    said = [
        replace(p, value=MeasureRef(p.value.what, ops))
        if p.kind == "measure" and not p.value.ops and ops
        else p
        for p in said
    ]
    pointing = any(p.kind == "w:which_of" for p in new)
    shift = len(old_tokens)
    tokens = [*old_tokens, *new_tokens]
    moved = [replace(p, i=p.i + shift, j=p.j + shift) for p in said]
    if pointing and them and not any(p.kind == "w:timeline" for p in said):
        types = {e.partition(":")[0] for e in them}
        if (
            len(types) == 1
            and len(them) <= 5000
            and any(
                p.kind in ("rel", "EVENT", "measure", "cond", "KIND", "filter", "count", "superlative")
                for p in said
            )
        ):
            chosen = EntityFilter(Entities(tuple(EntityRef((e,), e) for e in them), "or"))
            where = Part("filter", chosen, shift, shift)
            kind = (
                ()
                if any(p.kind == "KIND" for p in said)
                else (Part("KIND", KindRef(types.pop()), shift, shift),)
            )
            return tokens, (*moved, *kind, where)
    if any(p.kind not in _REPLACES for p in said):
        return None
    if not said:
        return None
    gone: set[str] = set()
    for part in said:
        gone |= _REPLACES[part.kind]
    kept = [p for p in old if p.kind not in gone]
    filters = [p for p in said if p.kind == "filter"]
    if filters:
        kept = [
            p for p in kept if not (p.kind == "filter" and any(_same_type(p.value, f.value) for f in filters))
        ]
    if any(p.kind == "w:timeline" for p in said):
        kept = [p for p in kept if p.kind not in ("KIND", "ROLE", "BUCKET")]
    return tokens, (*kept, *moved)


def _same_type(one: EntityFilter, other: EntityFilter) -> bool:
    """Return whether two filters are about entities of the same type in the same way."""
    if other.negated:
        return False
    types = [{n.partition(":")[0] for item in f.entities.items for n in item.names} for f in (one, other)]
    return bool(types[0] & types[1]) and (
        not other.preposition or not one.preposition or one.preposition == other.preposition
    )
