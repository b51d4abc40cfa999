"""What was unusual: entities by their score, hours and days by the episodes of trends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.plans.grammar.context import Context, Draft, listed
from workbench.plans.grammar.named import asked_kind, named
from workbench.plans.grammar.senses import Decline, KindRef, RoleRef
from workbench.plans.grammar.tokens import split_name
from workbench.plans.model import Aggregate, Filter, FilterRows, Measure, Read, Render, Top

if TYPE_CHECKING:
    from workbench.plans.grammar.times import Period
    from workbench.plans.model import Step

__all__ = ["anomalies_draft", "happened_draft", "trends_draft"]


def happened_draft(ctx: Context) -> Draft | None:
    """What was unusual at a time: the episodes of trends, and the entities beside them."""
    if not ctx.of("w:happened") or ctx.has("EVENT", "measure", "agg", "share", "group", "rel", "cond"):
        return None
    if ctx.has("filter", "KIND", "ROLE", "count"):
        return None
    if "trends" not in ctx.lexicon.knowledge:
        raise Decline("Trends are not computed in this workspace.")
    ctx.take("w:happened", "w:anomalies", "w:trends")
    periods, compared = ctx.periods()
    if compared:
        raise Decline("What happened at two times cannot be compared yet; ask for each.")
    when = f" {periods[0].told}" if periods else ""
    episodes = _episodes(periods)
    steps: list[Step] = [episodes]
    renders = [Render(kind="table", source=episodes.id, title=episodes.title)]
    if "anomalies" in ctx.lexicon.knowledge:
        since, until = (periods[0].since, periods[0].until) if periods else (None, None)
        read = Read(id="anomalies", kind="anomalies", since=since, until=until)
        top = Top(id="top", title=f"anomalies{when}", source="anomalies", by="score", n=10)
        steps = [read, top, episodes]
        renders.append(Render(kind="table", source="top", title=top.title))
    reading = f"Times{when} at which counts and shares were far from what was expected, worst first"
    notes = [f"the year is taken from the data: {p.name}" for p in periods if p.guessed]
    return Draft(
        steps, renders, [reading, "beside them the entities that are most unusual"][: len(renders)], notes
    )


def _episodes(periods: list[Period]) -> Read:
    since, until = (periods[0].since, periods[0].until) if periods else (None, None)
    title = f"what was unusual{f' {periods[0].told}' if periods else ''}"
    return Read(id="episodes", title=title, kind="trends", since=since, until=until)


def anomalies_draft(ctx: Context) -> Draft | None:  # noqa: C901  (each form of one question)
    """Return the plan of the most unusual entities, with the unusual times beside them."""
    if not ctx.of("w:anomalies") and not any(p.value.kind == "anomalies" for p in ctx.of("KNOW")):
        return None
    if ctx.has("EVENT", "measure", "agg", "share", "group", "rel", "cond"):
        if ctx.has("EVENT") and not ctx.has("measure", "agg", "share", "group", "rel", "cond"):
            raise Decline(
                "Anomalies are about entities, not about single events; trends say which hours were unusual.",
                ("What changed?",),
            )
        return None
    if "anomalies" not in ctx.lexicon.knowledge:
        raise Decline("Anomalies are not computed in this workspace.")
    ctx.take("w:anomalies", "KNOW", "w:why")
    periods, compared = ctx.periods()
    if compared:
        raise Decline("Anomalies of two times cannot be compared yet; ask for each.")
    entities = tuple(named(ctx))
    counted = ctx.take("count")
    if (
        counted
        and counted[0].value.what is not None
        and not isinstance(counted[0].value.what, KindRef | RoleRef)
    ):
        raise Decline("It is not clear what is counted.")
    kinds = [c.value.what.type for c in counted if c.value.what is not None]
    kind = asked_kind(ctx) or (kinds[0] if kinds else "")
    who = ctx.lexicon.schema.who
    if kind and who and kind not in who:
        raise Decline(
            f"Anomalies are computed for {listed(list(who))} entities, not for {kind}.",
            tuple(f"Anomalies of {w}" for w in who),
        )
    since, until = (periods[0].since, periods[0].until) if periods else (None, None)
    where = (Filter(field="type", value=kind),) if kind else ()
    title = "anomalies" + (f" of {kind}" if kind else "") + (f" in {periods[0].name}" if periods else "")
    read = Read(
        id="anomalies",
        title=title,
        kind="anomalies",
        start=entities or None,
        where=where,
        since=since,
        until=until,
    )
    notes = (
        ["; ".join(f"the year is taken from the data: {p.name}" for p in periods if p.guessed)]
        if any(p.guessed for p in periods)
        else []
    )
    if entities:
        labels = listed([ctx.lexicon.label(e) for e in entities])
        return Draft(
            [read],
            [Render(kind="table", source="anomalies", title=title)],
            [f"The anomaly score of {labels}{f', {periods[0].name}' if periods else ''}"],
            notes,
        )
    tops = ctx.take("superlative", "top", "w:describe")
    if counted:
        kept = FilterRows(
            id="kept",
            source="anomalies",
            where=(Filter(field="class", op="in", value=("anomalous", "highly anomalous")),),
        )
        number = Aggregate(id="number", source="kept", measures=(Measure(name="count"),))
        return Draft(
            [read, kept, number],
            [Render(kind="metric", source="number", y=("count",), title=title)],
            [f"The number of {title} of class anomalous or higher"],
            notes,
        )
    n = next((p.value.n for p in tops if getattr(p.value, "n", None)), None) or 20
    top = Top(id="top", title=title, source="anomalies", by="score", n=n)
    what = "entities" if not kind else ctx.plural_of(" ".join(split_name(kind)))
    when = f", looking at {periods[0].name}" if periods else ""
    reading = [f"The {n} {what} with the highest anomaly score{when}"]
    renders = [Render(kind="table", source="top", title=title)]
    steps: list[Step] = [read, top]
    if not kind and "trends" in ctx.lexicon.knowledge:
        episodes = _episodes(periods)
        steps.insert(0, episodes)
        renders.append(Render(kind="table", source=episodes.id, title=episodes.title))
        reading.append("beside them the times at which counts and shares were far from what was expected")
    return Draft(steps, renders, reading, notes)


def trends_draft(ctx: Context) -> Draft | None:
    """Return the plan of the hours and days that were unusual."""
    if not ctx.of("w:trends") and not any(p.value.kind == "trends" for p in ctx.of("KNOW")):
        return None
    if ctx.has("measure", "agg", "share", "group", "rel", "cond", "count") or ctx.has(
        "filter", "KIND", "ROLE"
    ):
        return None
    if "trends" not in ctx.lexicon.knowledge:
        raise Decline("Trends are not computed in this workspace.")
    events = ctx.of("EVENT")
    ctx.take("w:trends", "KNOW", "EVENT")
    tops = ctx.take("superlative", "top", "w:catalog")
    periods, compared = ctx.periods()
    if compared:
        raise Decline("Trends of two times cannot be compared yet; ask for each.")
    how = set(ctx.lexicon.language.data["speech"]["manner"]) & {t.word for t in ctx.tokens}
    if events and how:
        raise Decline("How something changed is said by its figures, not by what was unusual.")
    since, until = (periods[0].since, periods[0].until) if periods else (None, None)
    title = "what changed" + (f" in {periods[0].name}" if periods else "")
    where: tuple[Filter, ...] = ()
    if events:
        names = {t for p in events for t in p.value.types}
        if len(names) != 1:
            return None
        where = (Filter(field="metric", op="contains", value=names.pop()),)
        title += f" in {where[0].value} events"
    steps: list[Step] = [Read(id="trends", title=title, kind="trends", since=since, until=until, where=where)]
    n = next((p.value.n for p in tops if getattr(p.value, "n", None)), None)
    if n:
        return None
    return Draft(
        steps,
        [Render(kind="table", source="trends", title=title)],
        [f"Times at which counts and shares were far from what was expected: {title}"],
    )
