"""What a workspace has done in the background: its tasks, its window, its rules, as jobs of a scheduler."""

from __future__ import annotations

import hashlib
import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self

from workbench.errors import ProviderError
from workbench.ingest.overdue import Overdue
from workbench.scheduler import Job, Scheduler, read_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from workbench.config.entity_schema import EntitySchema
    from workbench.ingest.stream import Stream
    from workbench.knowledge import Knowledge, KnowledgeStore
    from workbench.rules import Rules
    from workbench.settings import Settings
    from workbench.storage import Snapshot
    from workbench.vectors import Vectors

__all__ = ["STATUS_FILE", "jobs_of", "scheduler_of", "status_of"]

STATUS_FILE = "cache/scheduler.json"
_RULES_SECONDS = 30.0
_WINDOW_SECONDS = 60.0
_THIN_SECONDS = 3600.0
_VECTORS_SECONDS = 300.0
_MOMENT = 1.0


class World(Protocol):
    """A workspace whose knowledge is kept current."""

    path: Path
    schema: EntitySchema
    settings: Settings

    @property
    def is_asked(self) -> bool:
        """Return whether somebody waits for an answer."""

    @property
    def streams(self) -> Iterable[Stream]:
        """Return the open streams."""

    def beside(self) -> Self:
        """Return the same workspace for another thread."""

    def refresh(self) -> object:
        """Read the newest generation from now on."""

    def inputs_of(self, task: str) -> str:
        """Return a hash of what a task would read."""

    @property
    def snapshot(self) -> Snapshot:
        """Return the generation that is being read."""

    @property
    def knowledge(self) -> KnowledgeStore:
        """Return the results of compute."""

    def compute(self, task: str, *, asof: str | None = None, seed: int = 0) -> Knowledge:
        """Run a task and keep its result."""

    def thin(self) -> int:
        """Remove results that are superfluous."""

    @property
    def rules(self) -> Rules:
        """Return what fires when, and who is told."""

    @property
    def vectors(self) -> Vectors:
        """Return the vectors of what events say."""

    def evict(self) -> list[str]:
        """Drop what the window no longer holds."""

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(self, *_: object) -> None:
        """Let go of everything."""


def jobs_of(world: World) -> list[Job]:
    """Return the jobs of a workspace: the tasks that its schema has something for, and its upkeep."""
    from workbench.analysis import tasks  # noqa: PLC0415  (kept out of start-up)

    looking = _Looking(world)
    classes = {name: tasks.load(name) for name in tasks.names()}
    able = {
        name: task
        for name, task in classes.items()
        if task.can_run() is True and not task.lacks(world.schema)
    }
    jobs = [
        Job(
            name,
            _computing(world, name),
            task.priority,
            task.period,
            _inputs(looking, name),
            tuple(other for other in task.after if other in able),
        )
        for name, task in able.items()
    ]
    jobs.append(Job("rules", _beside(world, lambda engine: engine.rules.evaluate()), "P1", _RULES_SECONDS))
    jobs.append(Job("thinning", _beside(world, lambda engine: engine.thin()), "P3", _THIN_SECONDS))
    jobs += _vectors(world, looking)
    if world.settings.history_days:
        names = sorted(name for name, task in able.items() if task.priority != "P0")
        jobs.append(Job("history", _beside(world, lambda engine: _history(engine, names)), "P3"))
    if world.settings.window != "all":
        jobs.append(Job("window", _beside(world, lambda engine: engine.evict()), "P2", _WINDOW_SECONDS))
    return jobs


def status_of(path: Path) -> dict[str, Any] | None:
    """Return what the scheduler of a workspace does or did last, in whatever process; None: never any."""
    return read_status(path / STATUS_FILE)


def scheduler_of(world: World) -> Scheduler:
    """Return what keeps a workspace's knowledge current once it is started."""
    seconds = 2 * world.settings.stream_seconds  # a checkpoint takes its time, too
    return Scheduler(
        jobs_of(world),
        backlog=Overdue(lambda: world.streams, seconds).count,
        busy=lambda: world.is_asked,
        workers=world.settings.worker_threads,
        status_file=world.path / STATUS_FILE,
    )


def _vectors(world: World, looking: _Looking) -> list[Job]:
    """Return what keeps vectors of texts and their indexes current, where events say something."""
    from workbench.vectors import can_run  # noqa: PLC0415  (kept out of start-up)

    if not can_run(world.settings) or not any(rule.text for rule in world.schema.events.values()):
        return []
    return [Job("vectors", _beside(world, _index), "P2", _VECTORS_SECONDS, partial(looking.at, _texts))]


def _index(world: World) -> None:
    """Work off the queue of texts.

    Raises:
        ProviderError: If the embedder's server has left some out: they are asked for again.
    """
    if not _texts(world):
        return
    done = world.vectors.index()
    if done.waiting:
        raise ProviderError(
            f"the texts of {len(done.waiting):,} segments wait, first those of {done.waiting[0]}: "
            f"{done.reason}"
        )


def _texts(world: World) -> str:
    """Return a hash of what vectors are made of: each day's set of texts, and by which embedder."""
    from workbench.vectors import texts_of  # noqa: PLC0415  (kept out of start-up)

    said, settings = texts_of(world.snapshot), world.settings
    how = [settings.embedder, settings.embedder_reduction, settings.vector_index]
    streamed = any(True for _ in world.streams)  # where that ends, the last day gets its index
    return hashlib.sha256(json.dumps([said, how, streamed]).encode()).hexdigest() if said else ""


def _history(world: World, tasks: list[str]) -> None:
    """Compute what was known at the end of a past day, for the oldest that lacks something."""
    for day in world.snapshot.segments[:-1][-world.settings.history_days :]:
        lacking = [name for name in tasks if day not in {run.day for run in world.knowledge.runs(name)}]
        for name in lacking:
            world.compute(name, asof=day)
        if lacking:
            return


class _Looking:
    """What tasks would read, of one generation for all that are asked for within a moment."""

    def __init__(self, world: World) -> None:
        self._engine = world.beside()
        self._read = -_MOMENT

    def at(self, inputs: Callable[[World], str]) -> str:
        now = time.monotonic()
        if now - self._read >= _MOMENT:
            self._engine.refresh()
            self._read = now
        return inputs(self._engine)


def _inputs(looking: _Looking, task: str) -> Callable[[], str]:
    return lambda: looking.at(lambda engine: engine.inputs_of(task))


def _computing(world: World, task: str) -> Callable[[int], None]:
    def run(seed: int) -> None:
        with world.beside() as engine:
            if engine.inputs_of(task):
                engine.compute(task, seed=seed)

    return run


def _beside(world: World, do: Callable[[World], object]) -> Callable[[int], None]:
    """Return what does something with an engine of its own: it holds no generation in between."""

    def run(_: int) -> None:
        with world.beside() as engine:
            do(engine)

    return run
