"""Which field of an event an entity or an entity type is meant by: its role there."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from workbench.plans.grammar.senses import Ask, Decline, EntityFilter, EntityRef, KindRef, Part, RoleRef
from workbench.plans.grammar.tokens import split, split_name
from workbench.plans.model import Filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.plans.grammar.context import Context
    from workbench.plans.grammar.lexicon import Event, Lexicon

__all__ = ["edge_roles", "entity_role", "kind_role", "role_fields", "role_filter", "role_prepositions"]

_CLEARLY = 10  # times as many events in one role: the other one is not meant


def edge_roles(lexicon: Lexicon, edge: str) -> list[tuple[str, str, str]]:
    """Return the event types that give an edge type, each with the roles of its ends."""
    return [
        (name, rule.source, rule.target)
        for name, event in lexicon.schema.events.items()
        if name in lexicon.events
        for rule in event.edges
        if rule.type == edge
    ]


def role_prepositions(  # noqa: C901  (by name, then by edge)
    lexicon: Lexicon,
) -> dict[str, set[str]]:
    """Map each role to the prepositions that speak of it, by its name and by the edges that end in it."""
    words = lexicon.language.data["role_words"]
    found: dict[str, set[str]] = defaultdict(set)
    for event in lexicon.events.values():
        for role, rule in event.roles.items():
            names = {w for text in (role, *rule.fields) for w in split_name(text)}
            for preposition, marks in words.items():
                if names & set(marks):
                    found[role].add(preposition)
    for name, edge in lexicon.edges.items():
        ends = defaultdict(set)
        for event_name, _, target in edge_roles(lexicon, name):
            ends[event_name].add(target)
        if any(len(targets) > 1 for targets in ends.values()):
            continue
        last = {w[-1] for w in (split_name(name), *(split(s) for s in edge.synonyms)) if w}
        for targets in ends.values():
            for preposition in last & {"from", "to", "at"}:
                for role in targets:
                    if not found[role] or preposition == "at":
                        found[role].add(preposition)
    return dict(found)


def role_fields(event: Event, role: str) -> tuple[str, ...]:
    """Return the fields that hold a role's key: the first of its own, or all that are joined."""
    rule = event.roles[role]
    return rule.join or rule.fields[:1]


def kind_role(ctx: Context, kind: KindRef | RoleRef, events: Sequence[Event], part: Part | None) -> str:
    """Return the role that an entity type stands in for all of some events.

    Raises:
        Ask: If there are several.
        Decline: If there is none.
    """
    if isinstance(kind, RoleRef):
        if all(kind.role in e.roles for e in events):
            return kind.role
        raise Decline(f"{events[0].name} events do not say the {ctx.role_noun(kind)}.")
    roles = [r for r in events[0].roles_of(kind.type) if all(r in e.roles_of(kind.type) for e in events)]
    if not roles:
        raise Decline(f"{events[0].name} events do not say which {ctx.kind_noun(kind)} they belong to.")
    if len(roles) > 1:
        nouns = [ctx.role_noun(RoleRef(r, kind.type)) for r in roles]
        options = tuple((part.i, part.j, noun) for noun in nouns) if part else ()
        spans = ctx.items_of(kind)
        if part and spans:
            inside = [s for s in spans if part.i <= s[0] and s[1] <= part.j]
            if inside:
                options = tuple((*inside[-1], noun) for noun in nouns)
        raise Ask(
            f"{ctx.kind_noun(kind).capitalize()} can be the {' or the '.join(nouns)}. Which one do you mean?",
            options,
        )
    return roles[0]


def entity_role(
    ctx: Context, wanted: EntityFilter, ref: EntityRef, events: Sequence[Event], part: Part
) -> tuple[str, str]:
    """Return the role and the entity that a name in a filter stands for.

    Raises:
        Ask: If it may be several.
        Decline: If the events do not speak of it.
    """
    types = {t for e in events for t in (e.type_of(r) for r in e.roles)}
    entity = ctx.one_entity(ref, types if any(n.partition(":")[0] in types for n in ref.names) else (), part)
    type_ = entity.partition(":")[0]
    roles = [r for r in events[0].roles_of(type_) if all(r in e.roles_of(type_) for e in events)]
    if wanted.role:
        roles = [r for r in roles if r == wanted.role]
    if not roles:
        raise Decline(f"{events[0].name} events do not say which {type_} they belong to.")
    if len(roles) > 1 and wanted.preposition in ("from", "to"):
        said = role_prepositions(ctx.lexicon)
        chosen = [r for r in roles if wanted.preposition in said.get(r, ())]
        if len(chosen) == 1:
            return chosen[0], entity
    if len(roles) > 1:
        roles = _by_edges(ctx, wanted, roles, events) or _by_counts(entity, roles, events) or roles
    if len(roles) > 1:
        nouns = [ctx.role_noun(RoleRef(r, type_)) for r in roles]
        i, j = part.i, part.j
        options = tuple((i, j, f"with {noun} {ctx.entity_text(entity)}") for noun in nouns)
        raise Ask(f"Is {ctx.lexicon.label(entity)} the {' or the '.join(nouns)}?", options)
    return roles[0], entity


def _by_edges(ctx: Context, wanted: EntityFilter, roles: Sequence[str], events: Sequence[Event]) -> list[str]:
    """Return the role at the end of the edge that is called like the events, for "at": "departures at"."""
    if wanted.preposition != "at":
        return []
    language = ctx.lexicon.language
    names = {language.root(w) for e in events for w in split_name(e.name)}
    found = set()
    for name in ctx.lexicon.edges:
        if {language.root(w) for w in split_name(name)} & names:
            for event, _, target in edge_roles(ctx.lexicon, name):
                if target in roles and any(e.name == event for e in events):
                    found.add(target)
    return list(found) if len(found) == 1 else []


def _by_counts(entity: str, roles: Sequence[str], events: Sequence[Event]) -> list[str]:
    """Return the role in which the entity is by far more often, as the fields' frequent values tell."""
    from workbench.graph.keys import parse_entity  # noqa: PLC0415  (the key as the fields hold it)

    key = parse_entity(entity)[1]
    least: dict[str, int] = {}
    most: dict[str, int] = {}
    for role in roles:
        least[role] = most[role] = 0
        for event in events:
            fields = role_fields(event, role)
            if len(fields) != 1 or fields[0] not in event.fields:
                return []
            known = event.fields[fields[0]]
            counts = dict(known.top)
            least[role] += counts.get(key, 0)
            complete = not known.estimated and len(counts) >= known.distinct
            most[role] += counts[key] if key in counts else 0 if complete else min(counts.values(), default=0)
    for role in roles:
        others = max(most[r] for r in roles if r != role)
        if least[role] and least[role] >= _CLEARLY * others:
            return [role]
    possible = [r for r in roles if most[r]]
    return possible if len(possible) == 1 else []


def role_filter(
    ctx: Context, role: str, entities: Sequence[str], event: Event, *, negated: bool
) -> list[Filter]:
    """Return the conditions under which an event names one of the entities in a role.

    Raises:
        Decline: If a condition on fields cannot say it.
    """
    from workbench.graph.keys import parse_entity  # noqa: PLC0415

    rule = event.roles[role]
    keys = [parse_entity(entity)[1] for entity in entities]
    fields = role_fields(event, role)
    if rule.hash:
        labels = [ctx.entity_text(e) for e in entities]
        keys = labels if len(fields) == 1 else [label.rpartition(rule.separator)[0] for label in labels]
        fields = fields[:1]
    if len(fields) == 1:
        if len(keys) == 1:
            return [Filter(field=fields[0], op="!=" if negated else "=", value=keys[0])]
        return [Filter(field=fields[0], op="not in" if negated else "in", value=tuple(keys))]
    if len(keys) > 1 or negated:
        raise Decline(f"Events cannot be selected by several {event.type_of(role)} entities at once.")
    values = _taken_apart(keys[0], rule.separator, fields, event)
    if values is None:
        raise Decline(f"It is not clear how {keys[0]!r} is made of {' and '.join(fields)}.")
    return [Filter(field=f, value=v) for f, v in zip(fields, values, strict=True)]


def _taken_apart(key: str, separator: str, fields: Sequence[str], event: Event) -> tuple[str, ...] | None:
    """Return the fields' values in a joined key; without a separator the first field's known values tell."""
    if separator:
        parts = tuple(key.split(separator))
        return parts if len(parts) == len(fields) else None
    if len(fields) != 2 or fields[0] not in event.fields:
        return None
    known = [v for v, _ in event.fields[fields[0]].top if key.startswith(v) and len(v) < len(key)]
    return (known[0], key[len(known[0]) :]) if len(known) == 1 else None
