"""Questions with their queries, to learn from: what was accepted here, and a few made of the live names."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import UsageError, WorkspaceError
from workbench.plans.model import Plan
from workbench.plans.planners._model_contract import contract
from workbench.plans.planners._model_form import BUCKETS, CYCLES, EVERYTHING, ORDERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workbench.plans.answer import Answer
    from workbench.plans.planners._model_form import Form
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


def accept(world: World, answer: Answer) -> None:
    """Keep a question with the plan that answered it well, as an example for later ones.

    It is a line of ``examples.jsonl`` in the workspace; a question that is there already is replaced.

    Raises:
        UsageError: If the answer has no question or no plan.
        ReadOnlyError: If this is a mirror.
        WorkspaceError: If it cannot be written.
    """
    if answer.plan is None or not answer.question:
        raise UsageError("there is nothing to accept.", fix="Accept the answer to a question.")
    world.store.require_writable()
    kept = {q: p for q, p in _read(world) if q != answer.question}
    kept[answer.question] = answer.plan.to_json()
    lines = [json.dumps({"question": q, "plan": p}, ensure_ascii=False) for q, p in kept.items()]
    written = world.path / f"{FILE}.{os.getpid()}"
    try:
        written.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        written.replace(world.path / FILE)
    except OSError as error:
        raise WorkspaceError(
            f"the example cannot be written: {error.strerror}.", where=str(world.path / FILE)
        ) from error


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


def shipped(form: Form) -> list[Example]:
    """Return examples of each kind of query, made of the names that the form offers."""
    return [*_of_events(form), *_of_entities(form), *_of_knowledge(form), *_of_others()]


def _of_events(form: Form) -> Iterator[Example]:
    for name in form.events[:2]:
        keys = [group for group in form.groups(name) if group not in {*BUCKETS, *CYCLES}][:1]
        measures = [figure.partition(" ")[2] for figure in form.figures(name) if figure.startswith("mean ")][
            :1
        ]
        outcomes = [figure for figure in form.figures(name) if figure.startswith("share ")]
        most = next((int(number) for number in form.found.numbers if 0 < number <= 1000), 5)

        def figures(
            figure: str, *by: str, order: int = 0, limit: int = 0, events: str = name
        ) -> dict[str, Any]:
            query = {"do": "figures", "events": events, "figure": figure, "by": list(by)}
            return query | {"order": ORDERS[order], "limit": limit}

        yield Example(f"how many {name} were there?", figures("count"))
        for bucket in ("day", "month"):
            line = {"do": "timeline", "events": name, "figure": "count", "bucket": bucket, "split": ""}
            yield Example(f"timeline of {name} per {bucket}", line)
        yield Example(f"show me {most} {name}", {"do": "list", "events": name, "limit": most})
        for key in keys:
            yield Example(f"number of {name} per {key}", figures("count", key))
            yield Example(f"which {most} {key} had the most {name}", figures("count", key, limit=most))
            yield Example(f"the {key} with the fewest {name}", figures("count", key, order=1, limit=1))
            yield Example(f"how many different {key} had {name}", figures(f"distinct {key}"))
        for measure in measures:
            for word, op in (
                ("average", "mean"),
                ("median", "median"),
                ("longest, highest", "max"),
                ("total", "sum"),
            ):
                yield Example(f"{word} {measure} of {name}", figures(f"{op} {measure}"))
                for key in keys:
                    yield Example(f"{word} {measure} by {key}", figures(f"{op} {measure}", key))
        for outcome in outcomes:
            yield Example(f"{outcome} in {name}", figures(outcome))
            for key in keys:
                yield Example(f"percentage, rate, {outcome} per {key}", figures(outcome, key))


def _of_entities(form: Form) -> Iterator[Example]:
    # the keys are made up: those of the data are strangers' words
    edges = sorted(form.found.lexicon.edges.values(), key=lambda edge: -edge.count)
    types = [*form.starts(), *(edge.source for edge in edges[:1])]
    for type_ in types[:1]:
        one, other = f"{type_}:X1", f"{type_}:X2"
        for way in form.ways(type_)[:2]:
            connected = {"do": "connected", "start": [one], "to": way, "of": "each"}
            yield Example(f"which {way.replace(' by ', ' is by ')} connected to {one}?", connected)
            together = {**connected, "start": [one, other], "of": "all together"}
            yield Example(f"which {way.partition(' ')[0]} have both {one} and {other}?", together)
        yield Example(f"what do you know about {one}? describe it", {"do": "describe", "entity": one})
        yield Example(f"what is similar to {one}, like it?", {"do": "similar", "entity": one, "k": 10})
        yield Example(f"how is {one} connected to {other}?", {"do": "path", "from": one, "to": other})


def _of_knowledge(form: Form) -> Iterator[Example]:
    for kind in (*form.found.kinds, *form.found.lexicon.knowledge)[:1]:
        yield Example(f"show me the {kind}", {"do": "knowledge", "kind": kind, "of": EVERYTHING})
        for type_ in [*form.starts()][:1]:
            of = f"{type_}:X1"
            yield Example(f"the {kind} of {of}", {"do": "knowledge", "kind": kind, "of": of})


def _of_others() -> Iterator[Example]:
    yield Example("what data is there?", {"do": "catalog", "section": "event_types"})
    yield Example("show me the best one", {"do": "ask back", "text": "The best by which figure?"})
    yield Example(
        "what is the favourite colour of the boss?", {"do": "decline", "text": "The data does not say."}
    )
