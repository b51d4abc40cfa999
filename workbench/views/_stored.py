"""Knowledge as it is stored: views show what there is and compute only when they are asked to."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from workbench.catalog.words import memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from workbench.knowledge import Knowledge
    from workbench.views.base import Job

__all__ = ["Stored", "about", "computing", "newest", "select_entities"]


class Stored:
    """An open workspace in which a task's result is the newest that is stored.

    Args:
        world: The workspace.
    """

    def __init__(self, world: Any) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        """Return what the workspace has."""
        return getattr(self._world, name)

    def compute(self, task: str) -> Knowledge:
        """Return the newest result; raises UnknownNameError where there is none."""
        found: Knowledge = self._world.knowledge.read(task)
        return found


def newest(world: Any, kind: str) -> Knowledge | None:
    """Return the newest result of a kind, or None where there is none."""
    if kind not in world.knowledge.kinds():
        return None
    found: Knowledge = world.knowledge.read(kind)
    return found


def computing(
    world: Any, kind: str, knowledge: Knowledge | None, **parameters: Any
) -> Mapping[str, Callable[[Job], Any]]:
    """Return the action that computes a kind of knowledge, where there is none or newer days have come."""
    if knowledge is not None and knowledge.run.day == world.snapshot.segments[-1]:
        return {}

    def work(job: Job) -> None:
        job.check()
        with world.lock:
            world.compute(kind, **parameters)

    return {
        f"Compute {kind}"
        if knowledge is None
        else f"Compute {kind} up to {world.snapshot.segments[-1]}": work
    }


def about(knowledge: Knowledge, *facts: str) -> str:
    """Return a line of markup about a result: as of when, by what method, on which device."""
    run = knowledge.run
    zone = ZoneInfo(knowledge.timezone)
    asof = datetime.fromisoformat(run.asof).astimezone(zone)
    why = f" ({run.fallback})" if run.fallback else ""
    took = f", {memory(run.memory)}" if run.memory else ""
    parts = [
        *facts,
        f"as of {asof:%Y-%m-%d %H:%M} {knowledge.timezone}",
        f"{run.algorithm} on {run.device}{why}, {run.seconds:.2g} s{took}",
        f"segments {run.segments[0]} to {run.segments[1]}",
        f"seed {run.seed}",
    ]
    return f"<p class='soft'>{escape(' · '.join(parts))}</p>"


def select_entities(selection: Any, entities: Iterable[str]) -> None:
    """Select entities and leave the selected time as it is."""
    selection.select(entities, since=selection.since, until=selection.until)
