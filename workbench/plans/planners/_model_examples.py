"""Questions with their queries, to learn from: what was accepted here, and a few made of the live names."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.plans.model import Plan
from workbench.plans.planners._model_contract import contract

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workbench.plans.grammar.lexicon import Lexicon
    from workbench.plans.world import World

__all__ = ["Example", "accept", "accepted", "nearest", "shipped"]

FILE = "examples.jsonl"
_MOST_BYTES = 4 << 20
_WITH_VALUES = ("where", "start", "entity", "from", "of")  # the parts of a query that hold values of the data


@dataclass(frozen=True)
class Example:
    """A question and the query that it means."""

    question: str
    query: dict[str, Any]


def accept(world: World, question: str, plan: Plan) -> None:
    """Keep a question with the plan that answered it well, as an example for later ones.

    It is a line of ``examples.jsonl`` in the workspace; a question that is there already is replaced.
    """
    kept = {q: p for q, p in _read(world) if q != question}
    kept[question] = plan.to_json()
    lines = [json.dumps({"question": q, "plan": p}, ensure_ascii=False) for q, p in kept.items()]
    written = world.path / f"{FILE}.{os.getpid()}"
    written.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    written.replace(world.path / FILE)


def accepted(world: World, *, values: bool = True) -> list[Example]:
    """Return what was accepted in this workspace, as far as the form can say it.

    Args:
        world: The workspace.
        values: Also what has values of the data in it.
    """
    terms = {name: term.events for name, term in world.schema.terms.items()}
    found = ((q, contract(Plan.model_validate(p), terms)) for q, p in _read(world))
    known = {*world.fields, *terms}
    fit = [Example(q, query) for q, query in found if query and known.issuperset(_events(query))]
    return [e for e in fit if values or not any(part in e.query for part in _WITH_VALUES)]


def _events(query: dict[str, Any]) -> Iterator[str]:
    if "events" in query:
        yield query["events"]


def _read(world: World) -> list[tuple[str, dict[str, Any]]]:
    file = world.path / FILE
    if not file.exists() or file.stat().st_size > _MOST_BYTES:
        return []
    entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]
    return [(entry["question"], entry["plan"]) for entry in entries]


def nearest(question: str, examples: Sequence[Example], most: int) -> list[Example]:
    """Return the examples whose questions are most alike, the best last, where a model heeds it most."""
    from rapidfuzz import fuzz, process, utils  # noqa: PLC0415  (native code that only a planner needs)

    found = process.extract(
        question,
        [example.question for example in examples],
        scorer=fuzz.token_set_ratio,
        processor=utils.default_process,
        limit=most,
    )
    return [examples[number] for _, _, number in reversed(found)]


def shipped(lexicon: Lexicon) -> list[Example]:
    """Return examples of each kind of query, made of names of the live workspace."""
    return [*_of_events(lexicon), *_of_entities(lexicon), *_of_others()]


def _of_events(lexicon: Lexicon) -> Iterator[Example]:
    events = sorted(lexicon.events.values(), key=lambda event: -event.documents)
    head = {"order": "largest first", "limit": 0}
    for event in events[:2]:
        name = event.name
        keys = [f.name for f in event.fields.values() if f.entities and f.type == "string"]
        about = lexicon.schema.about
        numbers = [
            f.name
            for f in event.fields.values()
            if f.type in ("int64", "float64")
            and not f.entities
            and (f.name not in about or about[f.name].measure)
        ]
        figures = {"do": "figures", "events": name}
        yield Example(f"How many {name} were there?", {**figures, "figure": "count", "by": [], **head})
        day = {"do": "timeline", "events": name, "figure": "count", "bucket": "day", "split": ""}
        yield Example(f"{name} per day", day)
        if keys:
            count = {**figures, "figure": "count", "by": [keys[0]]}
            yield Example(f"{name} per {keys[0]}", {**count, **head})
            yield Example(f"top 5 {keys[0]} by {name}", {**count, "order": "largest first", "limit": 5})
        if keys and numbers:
            mean = {**figures, "figure": f"mean {numbers[0]}", "by": [keys[0]]}
            yield Example(
                f"average {numbers[0]} by {keys[0]}, lowest first",
                {**mean, "order": "smallest first", "limit": 0},
            )
    for name, term in lexicon.schema.terms.items():
        for outcome in term.outcomes:
            keys = (
                [f for f in lexicon.events[outcome].fields if f in lexicon.key_fields]
                if outcome in lexicon.events
                else []
            )
            query = {"do": "figures", "events": name, "figure": f"share of {outcome}", "by": keys[:1], **head}
            yield Example(f"share of {outcome} in {name}{f' by {keys[0]}' if keys else ''}", query)


def _of_entities(lexicon: Lexicon) -> Iterator[Example]:
    # the keys are made up: those of the data are strangers' words
    edges = sorted(lexicon.edges.values(), key=lambda edge: -edge.count)
    for edge in edges[:1]:
        one, other = f"{edge.source}:X1", f"{edge.source}:X2"
        connected = {"do": "connected", "start": [one], "to": f"{edge.target} by {edge.name}", "of": "each"}
        yield Example(f"which {edge.target} is {one} connected to?", connected)
        together = {"do": "connected", "start": [one, other], "to": edge.target, "of": "all together"}
        yield Example(f"which {edge.target} have both {one} and {other}?", together)
        yield Example(f"what do you know about {one}?", {"do": "describe", "entity": one})
        yield Example(f"what is similar to {one}?", {"do": "similar", "entity": one, "k": 10})
        yield Example(f"how are {one} and {other} connected?", {"do": "path", "from": one, "to": other})
        for kind in lexicon.knowledge[:1]:
            yield Example(f"the {kind} of {one}", {"do": "knowledge", "kind": kind, "of": one})


def _of_others() -> Iterator[Example]:
    yield Example("what data is there?", {"do": "catalog", "section": "event_types"})
    yield Example("show me the best one", {"do": "ask back", "text": "The best by which figure?"})
    yield Example(
        "what is the favourite colour of the boss?", {"do": "decline", "text": "The data does not say."}
    )
