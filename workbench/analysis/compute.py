"""Computing: a task over the window of a workspace, its result kept as knowledge, and looked up again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from workbench.analysis.execute import earlier_run, execute, input_hash
from workbench.analysis.tasks import Context, tasks
from workbench.errors import StorageError, UnknownNameError, UsageError, WorkbenchError
from workbench.knowledge import Knowledge, add, notes_of, parse_asof

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date, datetime
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from workbench.analysis.triage import Triage
    from workbench.compute.base import Device
    from workbench.config.entity_schema import EntitySchema
    from workbench.config.features import FeatureConfig
    from workbench.config.tasks import PatternConfig
    from workbench.graph import Graph
    from workbench.ingest.repair_report import Finding
    from workbench.knowledge import KnowledgeStore
    from workbench.settings import Settings
    from workbench.storage import SegmentStore, Snapshot
    from workbench.storage.by_segment import BySegment

__all__ = ["World", "compute", "compute_again", "context_of", "days_between", "inputs_of"]


class World(Protocol):
    """A workspace as tasks see it: one generation of it, and where results are kept."""

    path: Path
    settings: Settings
    store: SegmentStore
    schema: EntitySchema
    timezone: str

    @property
    def snapshot(self) -> Snapshot:
        """Return the generation that is being read."""

    @property
    def by_segment(self) -> BySegment:
        """Return what finds, and keeps, what single segments tell."""

    @property
    def feature_config(self) -> FeatureConfig:
        """Return what is measured of actors."""

    @property
    def pattern_config(self) -> PatternConfig:
        """Return how sequences of events are looked for."""

    @property
    def knowledge(self) -> KnowledgeStore:
        """Return the results of compute."""

    @property
    def triage(self) -> Triage:
        """Return what analysts said."""

    def configured(self, task: str) -> dict[str, Any]:
        """Return the parameters that a file of the workspace gives a task."""

    def context(
        self, segments: Sequence[str], asof: datetime, parameters: Mapping[str, Any] | None = None
    ) -> Context:
        """Return what tasks work on."""

    def refresh(self) -> object:
        """Read the newest generation from now on."""


def compute(  # noqa: PLR0913  (what a run is of)
    world: World,
    task: str,
    *,
    asof: str | date | None,
    device: Device | None,
    seed: int,
    keep: Literal["always", "if possible"],
    parameters: Mapping[str, Any],
) -> Knowledge:
    """Run a task, unless it has seen the same before, and keep its result: :meth:`Engine.compute`."""
    chosen = device or world.settings.device
    complete = tasks.load(task).complete({**world.configured(task), **parameters})
    segments = _segments_until(world.snapshot, asof)
    inputs = input_hash(world.snapshot, segments, task, _facts(world))
    earlier = earlier_run(world.knowledge, task, inputs, {"parameters": complete, "seed": seed}, chosen)
    if earlier is not None:
        return world.knowledge.read(task, run=earlier.id)
    context = world.context(segments, world.snapshot.latest(segments), complete)
    context = replace(context, device=chosen, seed=seed)
    if keep == "always":
        world.store.require_writable()
    run, table = execute(task, context, inputs)
    try:
        with world.store.writer() as writer:
            transaction = writer.begin()
            add(transaction, run, table)
            transaction.commit()
    except (OSError, StorageError):  # OSError: a lock file that cannot be opened
        if keep == "always":
            raise
    else:
        world.refresh()
    return Knowledge(run, table, world.timezone, notes_of(run, world.snapshot))


def compute_again(world: World, finding: Finding, run: Mapping[str, Any], *, apply: bool) -> None:
    """Compute a damaged result again, if what it saw is still there; say so in the finding.

    Args:
        world: The workspace.
        finding: What a repair found of the result's file.
        run: How the result had come about.
        apply: Whether to do it; else it is only said.
    """
    first, last, number = run["segments"]
    seen = [s for s in world.snapshot.segments if s <= last]
    if (len(seen), seen[:1], seen[-1:]) != (number, [first], [last]):
        finding.detail = f"its window, {first} to {last}, is not there any more"
        return
    if apply:
        try:
            compute(
                world,
                run["kind"],
                asof=last,
                device=None,
                seed=run["seed"],
                keep="always",
                parameters=run["parameters"],
            )
        except WorkbenchError as error:
            finding.detail = f"it cannot be computed again: {error}"
            return
    finding.action, finding.detail = "computed again", f"as of {last}, with seed {run['seed']}"


def inputs_of(world: World, task: str) -> str:
    """Return a hash of all that a task's result depends on but its parameters; empty without documents."""
    segments = world.snapshot.segments
    return input_hash(world.snapshot, segments, task, _facts(world)) if segments else ""


def context_of(
    world: World,
    segments: Sequence[str],
    asof: datetime,
    parameters: Mapping[str, Any],
    load_graph: Callable[[], Graph],
) -> Context:
    """Return what tasks work on over some segments as of a moment, on the device of the settings."""

    def embed(texts: list[str]) -> NDArray[np.float32]:
        from workbench.vectors import VectorCache, connect  # noqa: PLC0415  (only where a task embeds)

        return VectorCache(world.path / "cache" / "vectors", connect(world.settings)).embed(texts)

    return Context(
        load_graph=load_graph,
        device=world.settings.device,
        seed=0,
        parameters=dict(parameters),
        snapshot=world.snapshot,
        segments=tuple(segments),
        asof=asof,
        schema=world.schema,
        features=world.feature_config,
        timezone=world.timezone,
        knowledge=world.knowledge,
        embed=embed,
        by_segment=world.by_segment,
        patterns=world.pattern_config,
    )


def days_between(snapshot: Snapshot, since: str | date, until: str | date | None) -> list[str]:
    """Return the segments of a range of days, both ends included; without an end up to the newest.

    Raises:
        UsageError: If there is none, or an end is no day.
    """
    first, last = parse_asof(since), parse_asof(until) if until is not None else "~"
    days = [day for day in snapshot.segments if first <= day <= last]
    if not days:
        raise UsageError(f"no segment lies between {first} and {last}.", fix="See db.catalog.segments.")
    return days


def _facts(world: World) -> dict[str, Any]:
    """Return what a task's result may depend on beside partials, as JSON data."""
    schema = world.schema
    return {
        "attributes": sorted(schema.attributes),
        "who": [schema.who, schema.fingerprint],
        "features": world.feature_config.fingerprint,
        "patterns": world.pattern_config.model_dump(mode="json"),
        "terms": {name: [term.events, term.outcomes] for name, term in schema.terms.items()},
        "timezone": world.timezone,
        "weights": world.triage.weights("ensemble"),
    }


def _segments_until(snapshot: Snapshot, asof: str | date | None) -> list[str]:
    """Return the window that ends with a day, by default the newest.

    Raises:
        UsageError: If there are no documents, or ``asof`` is no day.
        UnknownNameError: If that day has no segment.
    """
    live = snapshot.segments
    if not live:
        raise UsageError("the workspace holds no documents.", fix="Ingest something first.")
    if asof is None:
        return live
    day = parse_asof(asof)
    if day not in live:
        raise UnknownNameError("segment", day, live, fix=f"Segments live from {live[0]} to {live[-1]}.")
    return [s for s in live if s <= day]
