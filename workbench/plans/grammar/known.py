"""Questions about the catalog, single entities, paths, likeness and what was computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workbench.plans.grammar.context import Context, Draft, listed
from workbench.plans.grammar.named import asked_kind, named, named_entities
from workbench.plans.grammar.senses import (
    Ask,
    Decline,
    KindRef,
    KnowledgeRef,
    Part,
    PropertyRef,
    RoleRef,
)
from workbench.plans.grammar.tokens import split_name
from workbench.plans.grammar.unusual import anomalies_draft, happened_draft, trends_draft
from workbench.plans.model import (
    Aggregate,
    CatalogStep,
    Describe,
    Filter,
    FilterRows,
    Group,
    Join,
    Measure,
    Neighbourhood,
    Nodes,
    PathStep,
    Read,
    Render,
    Shared,
    Similar,
    Top,
    Traverse,
)

if TYPE_CHECKING:
    from workbench.plans.model import Step

__all__ = ["known_draft"]

_CATALOG: dict[str, Literal["event_types", "fields", "entity_types", "edge_types", "knowledge"]] = {
    "w:event_types": "event_types",
    "w:entity_types": "entity_types",
    "w:edge_types": "edge_types",
    "w:fields": "fields",
    "w:knowledge": "knowledge",
}
# The columns of shipped knowledge that say which group an entity is in, and how high it stands.
_GROUPS = {"clusters": "cluster", "communities": "community", "components": "component"}
_SCORES = {"pagerank": "rank", "anomalies": "score"}


def known_draft(ctx: Context) -> Draft | None:
    """Return the plan of a question that one of the special intents answers, or None.

    Raises:
        Ask: If the question has several meanings.
        Decline: If there is nothing to answer it with.
    """
    for reader in (
        _catalog,
        _sharing,
        _same_group,
        _group_of,
        _similar,
        happened_draft,
        anomalies_draft,
        _ranks,
        _path,
        _shared,
        trends_draft,
        _knowledge,
        _property,
        _describe,
    ):
        draft = reader(ctx)
        if draft is not None:
            if ctx.left:
                words = listed([repr(ctx.text(p)) for p in ctx.left])
                raise Decline(f"It is not clear what {words} means in this question.")
            return draft
    return None


def _busy(ctx: Context) -> bool:
    """Return whether the question is about events or figures."""
    return ctx.has(
        "EVENT", "measure", "agg", "share", "superlative", "top", "count", "group", "order", "rel", "cond"
    )


# the catalog


def _catalog(ctx: Context) -> Draft | None:
    words = ctx.of(*_CATALOG)
    whole = ctx.of("w:catalog")
    if (not words and not whole) or (
        ctx.has(
            "measure", "agg", "share", "superlative", "top", "group", "filter", "rel", "w:describe", "cond"
        )
        and not whole
    ):
        return None
    if whole and (ctx.has("measure", "agg", "share", "group", "rel", "count") or named_entities(ctx)):
        return None
    events = ctx.of("EVENT")
    if words:
        section = _CATALOG[words[0].kind]
        ctx.take(*_CATALOG, "w:catalog", "count", "w:events")
        steps: list[Step] = [CatalogStep(id="catalog", title=section.replace("_", " "), section=section)]
        told = section.replace("_", " ")
        if section == "fields" and events:
            names = tuple(dict.fromkeys(t for p in events for t in p.value.types))
            ctx.take("EVENT")
            steps.append(
                FilterRows(
                    id="fields", source="catalog", where=(Filter(field="event_type", op="in", value=names),)
                )
            )
            told = f"fields of {listed(list(names))}"
        return Draft(
            steps, [Render(kind="table", source=steps[-1].id, title=told)], [f"The {told} in the catalog"]
        )
    if events or ctx.has("KIND", "ROLE"):
        return None
    ctx.take("w:catalog", "w:events", "KNOW")
    sections: tuple[Literal["entity_types", "edge_types", "event_types"], ...] = (
        "entity_types",
        "edge_types",
        "event_types",
    )
    steps = [CatalogStep(id=s, title=s.replace("_", " "), section=s) for s in sections]
    renders = [Render(kind="table", source=s, title=s.replace("_", " ")) for s in reversed(sections)]
    return Draft(
        steps, renders, ["What there is: event types, entity types and edge types, from the catalog"]
    )


# groups that were computed


def _group_column(kind: str) -> str:
    if kind not in _GROUPS:
        raise Decline(f"{kind} does not put entities into groups.")
    return _GROUPS[kind]


def _sharing(ctx: Context) -> Draft | None:
    """Who has an entity of some type in common with another: the same device."""
    found = ctx.of("sharing")
    if not found:
        return None
    if ctx.has("measure", "agg", "share", "group", "when", "whens", "cond", "having", "filter"):
        raise Decline("Only all who have something in common with another can be found, without conditions.")
    between, entities = found[0].value
    entity = ctx.one_entity(entities.items[0], (), found[0])
    own = entity.partition(":")[0]
    verbs = {n for p in ctx.of("EDGE") for n in p.value.names}
    edges = ctx.lexicon.edges
    joined = [n for n, e in edges.items() if {e.source, e.target} == {own, between.type}]
    if not joined or (verbs and not verbs & set(joined)) or own == between.type:
        raise Decline(f"Nothing joins {ctx.plural_of(own)} to {ctx.plural_of(between.type)} so.")
    kept = tuple(n for n in joined if not verbs or n in verbs)
    ctx.take("sharing", "EDGE", "w:same", "w:which_of")
    kind = asked_kind(ctx)
    if kind and kind != own:
        raise Decline(f"{ctx.lexicon.label(entity)} is no {kind}.")
    counted = ctx.take("count")
    noun, several = " ".join(split_name(between.type)), ctx.plural_of(" ".join(split_name(own)))
    title = f"{several} that share a {noun} with {ctx.lexicon.label(entity)}"
    steps: list[Step] = [
        Traverse(id="shared", start=(entity,), edge_types=kept, types=(between.type,)),
        Traverse(id="all", start="shared", edge_types=kept, types=(own,)),
        FilterRows(
            id="others", title=title, source="all", where=(Filter(field="entity", op="!=", value=entity),)
        ),
    ]
    reading = f"{title}, by {listed(list(kept), 'or')}"
    if counted:
        steps.append(Aggregate(id="number", source="others", measures=(Measure(name="count"),)))
        return Draft(
            steps, [Render(kind="metric", source="number", y=("count",))], [f"The number of {reading}"]
        )
    return Draft(
        steps,
        [Render(kind="table", source="others", title=title)],
        [f"{reading[:1].upper()}{reading[1:]}"],
    )


def _same_group(ctx: Context) -> Draft | None:
    found = ctx.of("samegroup")
    if not found:
        return None
    ctx.take("samegroup", "w:same", "w:which_of")
    know, entities = found[0].value
    column = _group_column(know.kind)
    entity = ctx.one_entity(entities.items[0], (), found[0])
    kind = asked_kind(ctx)
    label = ctx.lexicon.label(entity)
    steps: list[Step] = [
        Read(id="own", title=f"the {column} of {label}", kind=know.kind, start=(entity,)),
        Read(
            id="all",
            title=know.kind,
            kind=know.kind,
            where=(Filter(field="type", value=kind),) if kind else (),
        ),
        Join(
            id="same",
            title=f"in the same {column} as {label}",
            left="all",
            right="own",
            on=(column,),
            how="semi",
        ),
    ]
    counted = ctx.take("count")
    title = f"{kind or 'entities'} in the same {column} as {label}"
    if counted:
        steps.append(Aggregate(id="number", source="same", measures=(Measure(name="count"),)))
        return Draft(
            steps,
            [Render(kind="metric", source="number", y=("count",), title=title)],
            [f"The number of {title}, itself included"],
        )
    steps.append(
        FilterRows(
            id="others", title=title, source="same", where=(Filter(field="entity", op="!=", value=entity),)
        )
    )
    return Draft(steps, [Render(kind="table", source="others", title=title)], [f"The {title}"])


def _group_of(ctx: Context) -> Draft | None:
    """The cluster of an entity, or those in a cluster that is named by its number."""
    numbered = ctx.of("knownnum")
    if (
        numbered
        and numbered[0].value[0].kind in _GROUPS
        and not ctx.has("EVENT", "measure", "agg", "share", "filter")
    ):
        return _numbered_group(ctx, numbered[0])
    known = ctx.of("KNOW", "knownof")
    if not known or ctx.has("EVENT", "measure", "agg", "share", "w:anomalies", "w:similar"):
        return None
    part = known[0]
    ref: KnowledgeRef = part.value[0] if part.kind == "knownof" else part.value
    if ref.kind not in _GROUPS:
        return None
    refs = [(e, part) for e in part.value[1].items] if part.kind == "knownof" else named_entities(ctx)
    if not refs:
        return None
    column = _GROUPS[ref.kind]
    entities = tuple(ctx.one_entity(e, (), p) for e, p in refs)
    ctx.take("KNOW", "knownof", "filter", "w:same")
    asked_kind(ctx)
    labels = listed([ctx.lexicon.label(e) for e in entities])
    step = Read(id="groups", title=f"{column} of {labels}"[:200], kind=ref.kind, start=entities)
    return Draft(
        [step],
        [Render(kind="table", source="groups", title=step.title)],
        [f"The {column} of {labels}, from the newest {ref.kind}"],
        suggestions=[f"{_several(ctx, entities[0])} in the same {column} as {ctx.entity_text(entities[0])}"],
    )


def _several(ctx: Context, entity: str) -> str:
    return ctx.plural_of(" ".join(split_name(entity.partition(":")[0]))).capitalize()


def _numbered_group(ctx: Context, part: Part) -> Draft:
    kind, number = part.value[0].kind, part.value[1]
    column = _GROUPS[kind]
    ctx.take("knownnum", "w:describe")
    type_ = asked_kind(ctx)
    where = [Filter(field=column, value=number)]
    if type_:
        where.append(Filter(field="type", value=type_))
    title = f"{type_ or 'entities'} in {column} {number}"
    steps: list[Step] = [Read(id="group", title=title, kind=kind, where=tuple(where))]
    if ctx.take("count"):
        steps.append(
            Aggregate(
                id="number", title=f"number of {title}", source="group", measures=(Measure(name="count"),)
            )
        )
        return Draft(
            steps, [Render(kind="metric", source="number", y=("count",))], [f"The number of {title}"]
        )
    return Draft(steps, [Render(kind="table", source="group", title=title)], [f"The {title}"])


def _knowledge(ctx: Context) -> Draft | None:
    """All rows of a kind of knowledge, or how many groups it has."""
    known = ctx.of("KNOW")
    if not known or ctx.has("EVENT", "measure", "agg", "share", "filter", "rel"):
        return None
    kind = known[0].value.kind
    ctx.take("KNOW", "w:knowledge", "w:describe")
    periods, compared = ctx.periods()
    if compared:
        raise Decline("Knowledge of two times cannot be compared yet.")
    type_ = asked_kind(ctx)
    where = (Filter(field="type", value=type_),) if type_ else ()
    since, until = (periods[0].since, periods[0].until) if periods else (None, None)
    read = Read(id="known", title=kind, kind=kind, where=where, since=since, until=until)
    counted = ctx.take("count")
    tops = ctx.take("superlative", "top")
    groups = ctx.take("group")
    if kind in _GROUPS:
        column = _GROUPS[kind]
        if groups:
            raise Decline(f"{kind} cannot be grouped further yet.")
        if counted:
            steps: list[Step] = [
                read,
                Aggregate(
                    id="number",
                    source="known",
                    measures=(Measure(name="count", op="distinct", field=column),),
                ),
            ]
            return Draft(
                steps,
                [Render(kind="metric", source="number", y=("count",))],
                [f"The number of different {column} values in the newest {kind}"],
            )
        sizes = Aggregate(
            id="sizes",
            title=f"{kind} by size",
            source="known",
            by=(Group(field=column),),
            measures=(Measure(name="count"),),
        )
        one = bool(tops) and not ctx.plural(known[0])
        n = next((p.value.n for p in tops if p.value.n), None) or (1 if one else 1000)
        small = any(p.value.degree in ("fewest", "lowest") for p in tops)
        top = Top(id="top", title=f"{kind} by size", source="sizes", by="count", n=n, ascending=small)
        return Draft(
            [read, sizes, top],
            [Render(kind="bar", source="top", x=column, y=("count",), title=f"{kind} by size")],
            [f"The {kind}, each with its number of entities"],
        )
    if counted or groups:
        return None
    steps = [read]
    if kind in _SCORES:
        n = next((p.value.n for p in tops if p.value.n), None) or 20
        steps.append(Top(id="top", title=kind, source="known", by=_SCORES[kind], n=n))
    when = f", {periods[0].name}" if periods else ""
    return Draft(steps, [Render(kind="table", source=steps[-1].id, title=kind)], [f"The newest {kind}{when}"])


# likeness


def _similar(ctx: Context) -> Draft | None:
    words = ctx.of("w:similar")
    if not words:
        return None
    entities = named_entities(ctx)
    if not entities:
        if ctx.has("EVENT", "measure"):
            return None
        raise Ask("Similar to which one?")
    if ctx.has("EVENT", "measure", "agg", "share", "rel"):
        return None
    if len(entities) > 1:
        raise Decline("Likeness is to one entity; ask for each.")
    ref, part = entities[0]
    kind = asked_kind(ctx)
    own = {n.partition(":")[0] for n in ref.names}
    entity = ctx.one_entity(ref, (kind,) if kind in own else (), part)
    if kind and entity.partition(":")[0] != kind:
        raise Decline(f"{ctx.lexicon.label(entity)} is no {kind}; only entities of one type are alike.")
    ctx.take("w:similar", "filter", "w:which_of")
    k = 10
    for sup in ctx.take("superlative", "top", "count"):
        k = getattr(sup.value, "n", None) or k
    label = ctx.lexicon.label(entity)
    type_ = entity.partition(":")[0]
    step = Similar(id="similar", title=f"{type_} entities most like {label}", entity=entity, k=k)
    return Draft(
        [step],
        [Render(kind="bar", source="similar", x="key", y=("score",), title=step.title)],
        [f"The {k} {type_} entities whose events read most like those of {label}"],
        suggestions=[
            f"Describe {ctx.entity_text(entity)}",
            f"Which cluster is {ctx.entity_text(entity)} in?",
        ],
    )


# ranks


def _ranks(ctx: Context) -> Draft | None:
    if not ctx.of("w:important") and not any(p.value.kind == "pagerank" for p in ctx.of("KNOW")):
        return None
    if ctx.has("EVENT", "measure", "agg", "share", "filter", "rel", "cond", "group"):
        return None
    ctx.take("w:important", "KNOW")
    plural = any(ctx.plural(p) for p in ctx.of("KIND", "ROLE"))
    kind = asked_kind(ctx)
    n = next((p.value.n for p in ctx.take("superlative", "top") if p.value.n), None) or (
        10 if plural or not kind else 1
    )
    where = (Filter(field="type", value=kind),) if kind else ()
    title = f"{n} most important {kind or 'entities'}"
    steps: list[Step] = [
        Read(id="ranks", title="pagerank", kind="pagerank", where=where),
        Top(id="top", title=title, source="ranks", by="rank", n=n),
    ]
    return Draft(
        steps,
        [Render(kind="bar", source="top", x="entity", y=("rank",), title=title)],
        [
            f"The {title} entities by PageRank in the graph"
            if kind
            else f"The {title} by PageRank in the graph"
        ],
    )


# paths and what is shared


def _path(ctx: Context) -> Draft | None:
    words = ctx.of("w:path", "w:connected")
    if not words or ctx.has(
        "EVENT", "measure", "agg", "share", "KIND", "ROLE", "rel", "count", "group", "superlative"
    ):
        return None
    entities = named_entities(ctx)
    if len(entities) != 2:
        if ctx.of("w:path"):
            raise Ask("The path between which two?")
        if len(entities) == 1:
            return _around(ctx)
        return None
    one, other = (ctx.one_entity(ref, (), part) for ref, part in entities)
    ctx.take("w:path", "w:connected", "filter", "w:versus")
    k = next((p.value.n for p in ctx.take("top") if p.value.n), 1) or 1
    labels = [ctx.lexicon.label(e) for e in (one, other)]
    step = PathStep(id="path", title=f"path from {labels[0]} to {labels[1]}", start=(one, other), k=k)
    return Draft(
        [step],
        [Render(kind="graph", source="path", title=step.title)],
        [f"The shortest path in the graph between {labels[0]} and {labels[1]}"],
        suggestions=[f"What do {ctx.entity_text(one)} and {ctx.entity_text(other)} have in common?"],
    )


def _around(ctx: Context) -> Draft:
    (entity,) = named(ctx)
    ctx.take("w:connected")
    label = ctx.lexicon.label(entity)
    step = Neighbourhood(id="around", title=f"around {label}", start=(entity,))
    return Draft(
        [step],
        [Render(kind="graph", source="around", title=step.title)],
        [f"Everything that is joined to {label} directly"],
    )


def _shared(ctx: Context) -> Draft | None:
    if not ctx.of("w:common") or ctx.has("EVENT", "measure", "agg", "share", "rel", "group"):
        return None
    entities = [ctx.one_entity(ref, (), part) for ref, part in named_entities(ctx)]
    if len(entities) < 2:
        return None
    ctx.take("w:common", "filter", "w:connected", "w:describe")
    counted = ctx.take("count")
    kinds = [c.value.what.type for c in counted if isinstance(c.value.what, KindRef | RoleRef)]
    kind = asked_kind(ctx) or (kinds[0] if kinds else "")
    labels = listed([ctx.lexicon.label(e) for e in entities])
    step = Shared(
        id="shared",
        title=f"what {labels} have in common"[:200],
        start=tuple(entities),
        types=(kind,) if kind else (),
    )
    what = f"{kind} entities" if kind else "entities"
    if counted:
        steps: list[Step] = [step, Aggregate(id="number", source="shared", measures=(Measure(name="count"),))]
        return Draft(
            steps,
            [Render(kind="metric", source="number", y=("count",))],
            [f"The number of {what} that {labels} have in common"],
        )
    return Draft(
        [step],
        [Render(kind="table", source="shared", title=step.title)],
        [f"The {what} that {labels} are both joined to"],
    )


# one entity


def _property(ctx: Context) -> Draft | None:
    """A property of an entity: how many seats has it."""
    parts = [
        p
        for p in ctx.of("PROP", "measure")
        if isinstance(p.value, PropertyRef) or (isinstance(p.value.what, PropertyRef) and not p.value.ops)
    ]
    entities = named_entities(ctx)
    if (
        not parts
        or not entities
        or ctx.has("EVENT", "agg", "share", "rel", "group", "cond", "KIND", "superlative")
    ):
        return None
    refs = [p.value if isinstance(p.value, PropertyRef) else p.value.what for p in parts]
    types = {t for ref in refs for t, _ in ref.names}
    if not all({n.partition(":")[0] for n in e.names} & types for e, _ in entities):
        return None
    names = [ctx.one_entity(ref, types, part) for ref, part in entities]
    type_ = names[0].partition(":")[0]
    wanted = tuple(dict.fromkeys(n for ref in refs for t, n in ref.names if t == type_))
    ctx.take("PROP", "measure", "filter", "count", "w:describe")
    step = Nodes(
        id="entities",
        title=f"{listed(list(wanted))} of {listed([ctx.lexicon.label(n) for n in names])}"[:200],
        type=type_,
        where=(Filter(field="entity", op="in", value=tuple(names)),),
        properties=wanted,
    )
    return Draft([step], [Render(kind="table", source="entities", title=step.title)], [f"The {step.title}"])


def _describe(ctx: Context) -> Draft | None:
    if _busy(ctx) or ctx.has(
        "KIND", "ROLE", "KNOW", "w:similar", "w:trends", "when", "whens", "DAYHOUR", "BUCKET", "EDGE", "PROP"
    ):
        return None
    if any(
        p.value.preposition not in ("", "for") or p.value.only or p.value.negated for p in ctx.of("filter")
    ):
        return None
    entities = tuple(named(ctx))
    if not entities:
        if ctx.of("w:describe"):
            raise Ask("Describe what? Name an entity.")
        return None
    ctx.take("w:describe")
    labels = listed([ctx.lexicon.label(e) for e in entities[:5]])
    steps: list[Step] = [
        Neighbourhood(id="around", title=f"around {labels}"[:200], start=entities[:5], limit=50),
        Describe(id="facts", title=f"facts about {labels}"[:200], start=entities[:20]),
    ]
    renders = [
        Render(kind="table", source="facts", title=steps[1].title),
        Render(kind="graph", source="around", title=steps[0].title),
    ]
    text = ctx.entity_text(entities[0])
    return Draft(
        steps,
        renders,
        [f"All that is known of {labels}"],
        suggestions=[f"What is similar to {text}?", f"What is connected to {text}?"],
    )
