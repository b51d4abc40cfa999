"""What a task is: the window in, one table of knowledge out."""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from workbench.compute import KernelRun
from workbench.config.tasks import PatternConfig
from workbench.errors import UnknownNameError, UsageError
from workbench.registry import Driver

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from workbench.compute.base import Device
    from workbench.config.entity_schema import EntitySchema
    from workbench.config.features import FeatureConfig
    from workbench.graph import Graph
    from workbench.knowledge import KnowledgeStore
    from workbench.storage import Snapshot
    from workbench.storage.by_segment import BySegment

__all__ = ["Context", "Outcome", "Task", "labelled", "measured", "numbered"]


@dataclass(frozen=True)
class Context:
    """What a task works on.

    Attributes:
        load_graph: Returns the window graph; called by the tasks that need it.
        device: Where kernels run.
        seed: Seed of all randomness.
        parameters: The task's parameters, complete.
        snapshot: The generation that partials are read from.
        segments: The window, oldest first; its last day is the result's.
        asof: The window's end, the latest event time in it.
        schema: What the events give.
        features: What is measured of an actor beyond the defaults.
        timezone: Zone of local days and hours.
        knowledge: Results of earlier runs.
        patterns: How sequences of events are looked for.
        embed: Returns the vector of each text; raises DriverUnavailableError where no embedder can run.
        by_segment: What finds, and keeps, what single segments tell.
    """

    load_graph: Callable[[], Graph]
    device: Device
    seed: int
    parameters: dict[str, Any]
    snapshot: Snapshot
    segments: tuple[str, ...]
    asof: datetime
    schema: EntitySchema
    features: FeatureConfig
    timezone: str
    knowledge: KnowledgeStore
    embed: Callable[[list[str]], NDArray[np.float32]]
    by_segment: BySegment
    patterns: PatternConfig = field(default_factory=PatternConfig)

    @cached_property
    def graph(self) -> Graph:
        """Return the window graph."""
        return self.load_graph()

    def with_parameters(self, parameters: dict[str, Any]) -> Context:
        """Return the same with the parameters of another task."""
        return replace(self, parameters=parameters, load_graph=lambda: self.graph)


@dataclass(frozen=True)
class Outcome:
    """A task's result: its rows, the method's name and source, and the kernel's record."""

    table: pa.Table
    algorithm: str
    kernel: KernelRun


class Task(Driver):
    """Makes one kind of knowledge, named by the file's stem.

    Attributes:
        priority: ``P0`` part of ingest, ``P1`` may always run, ``P2`` and ``P3`` yield.
        inputs: The partials that its result depends on.
        facts: What else decides about it: ``attributes`` (the schema's attribute types), ``who`` (its
            actors with what events give), ``features`` (the feature configuration), ``patterns`` (the
            pattern configuration), ``timezone``, ``weights`` (of signals, by triage).
        knowledge: Kinds of which it reads the newest result as of each day, where there are enough of them
            (:data:`~workbench.knowledge.ENOUGH`): it depends on these, too, but waits for none of them.
        defaults: Its parameters with their default values.
        period: Seconds between two runs in the background, at least.
        after: Tasks whose results it reads: in the background it runs after them.
        version: Of the method. With another one, results that are there are not given again.
    """

    priority: ClassVar[str] = "P2"
    period: ClassVar[float] = 3600.0
    after: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[int] = 1
    inputs: ClassVar[tuple[str, ...]] = ("entities", "edges")
    facts: ClassVar[tuple[str, ...]] = ("attributes",)
    knowledge: ClassVar[tuple[str, ...]] = ()
    defaults: ClassVar[dict[str, Any]] = {}

    @abstractmethod
    def run(self, context: Context) -> Outcome:
        """Return the task's result for the context's window."""

    @classmethod
    def lacks(cls, schema: EntitySchema) -> str:
        """Return what a schema lacks for it to have a result; nothing if it has all."""
        return "" if "who" not in cls.facts or schema.who else "the entity schema marks no entity type as who"

    @classmethod
    def complete(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return ``parameters`` with the defaults filled in.

        Raises:
            UnknownNameError: If there is no such parameter.
            UsageError: If a value is not of the default's kind; a whole number may stand for a fraction.
        """
        for name, value in parameters.items():
            if name not in cls.defaults:
                raise UnknownNameError("parameter", name, cls.defaults)
            kind = type(cls.defaults[name])
            if not isinstance(value, (int, float) if kind is float else kind) or isinstance(value, bool):
                raise UsageError(f"parameter {name} is {value!r}, expected {kind.__name__}.")
        return {**cls.defaults, **parameters}


def measured(
    table: pl.DataFrame, algorithm: str, begin: float, metrics: dict[str, float], *libraries: str
) -> Outcome:
    """Return the outcome of a task that ran no kernel.

    Args:
        table: Its rows.
        algorithm: The method.
        begin: When it began, by :func:`time.perf_counter`.
        metrics: Figures about the result.
        libraries: What did the work.
    """
    arrow = table.to_arrow(compat_level=pl.CompatLevel.oldest())
    versions = {name: version(name) for name in libraries}
    kernel = KernelRun(arrow, "cpu", "", time.perf_counter() - begin, metrics, versions)
    return Outcome(arrow, algorithm, kernel)


def labelled(graph: Graph, ids: NDArray[np.int32], result: pa.Table) -> pl.DataFrame:
    """Return a kernel's result with ``entity``, ``type`` and ``key`` in place of its node numbers.

    Args:
        graph: The window graph.
        ids: The window id of each node of the kernel's edge list.
        result: One row a node, sorted by ``node``.
    """
    entities = pl.DataFrame(graph.window.entities.select(["type", "key"]).take(ids))
    return entities.select(
        pl.Series("entity", graph.entities_of(ids)),
        pl.col("type").cast(pl.String),
        "key",
        *pl.DataFrame(result).drop("node").get_columns(),
    )


def numbered(frame: pl.DataFrame, label: str) -> pl.DataFrame:
    """Number the groups in ``label`` by size, largest first (ties: first entity), and add ``size``."""
    # strings are compared once at most: of entities by their ids they are in order already
    if not frame["entity"].is_sorted():
        frame = frame.sort("entity")
    rows = frame.select(label).with_row_index("row")
    sizes = rows.group_by(label).agg(pl.len().alias("size"), pl.col("row").min().alias("first"))
    order = sizes.sort("size", "first", descending=[True, False]).with_row_index("number")
    return (
        frame.join(order, on=label, maintain_order="left")
        .with_columns(pl.col("number").cast(pl.Int32).alias(label), pl.col("size").cast(pl.Int64))
        .drop("number", "first")
        .sort(label, maintain_order=True)
    )
