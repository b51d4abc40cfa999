"""What a question about entities names: they themselves, or their type."""

from __future__ import annotations

from workbench.plans.grammar.context import Context, listed
from workbench.plans.grammar.senses import Decline, EntityRef, KindRef, Part, RoleRef

__all__ = ["asked_kind", "named", "named_entities"]


def named_entities(ctx: Context) -> list[tuple[EntityRef, Part]]:
    """Return the names of entities that the question says, each with its part."""
    return [
        (ref, part)
        for part in ctx.of("filter")
        if not part.value.negated
        for ref in part.value.entities.items
    ]


def named(ctx: Context) -> list[str]:
    """Return the entities that the question names, or those of the conversation; their parts are used."""
    found = [ctx.one_entity(ref, (), part) for ref, part in named_entities(ctx)]
    ctx.take("filter")
    if not found and ctx.of("w:which_of") and ctx.them:
        return list(ctx.them)
    return found


def asked_kind(ctx: Context) -> str:
    """Return the entity type that is asked for, or nothing; its parts are used."""
    parts = ctx.take("KIND", "ROLE")
    counted = [p.value.what for p in ctx.of("count") if isinstance(p.value.what, KindRef | RoleRef)]
    kinds = [p.value.type for p in parts] + [k.type for k in counted]
    if len(set(kinds)) > 1:
        raise Decline(f"The question asks for two things: {listed(sorted(set(kinds)))}.")
    return kinds[0] if kinds else ""
