"""Run a task over a window and record how its result came about."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.analysis.tasks import tasks
from workbench.compute import Growth
from workbench.knowledge import Run, of_days

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from workbench.analysis.tasks import Context
    from workbench.knowledge import KnowledgeStore
    from workbench.storage import Snapshot

__all__ = ["earlier_run", "execute", "input_hash"]


def input_hash(snapshot: Snapshot, segments: Sequence[str], task: str, facts: Mapping[str, Any]) -> str:
    """Return a hash of everything that a task's result depends on but its parameters: its version, too.

    Args:
        snapshot: The generation.
        segments: The window.
        task: The task, which says what partials it reads.
        facts: What else may decide, as JSON data by name; the task says which of it counts.
    """
    wanted = {*segments, ""}
    reads = tasks.load(task)
    files = [(f.kind, f.segment, f.hash) for k in reads.inputs for f in snapshot.files(k, segments=wanted)]
    counted = [reads.version, sorted(files), *(facts[name] for name in reads.facts)]
    # what is computed of the days comes while they stay the same: where it is read, it counts
    known = [
        (kind, entry.meta["asof"], entry.hash)
        for kind in reads.knowledge
        for entry in of_days(snapshot, kind, segments)
    ]
    counted += [known] if known else []
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()[:32]


def earlier_run(
    knowledge: KnowledgeStore, task: str, inputs: str, context: dict[str, Any], device: str
) -> Run | None:
    """Return the newest run of ``task`` that saw the same inputs, parameters and seed on such a device."""
    for run in reversed(knowledge.runs(task)):
        if (
            run.inputs == inputs
            and {"parameters": run.parameters, "seed": run.seed} == context
            and device in ("auto", run.device)
        ):
            return run
    return None


def execute(task: str, context: Context, inputs: str) -> tuple[Run, pa.Table]:
    """Run ``task`` and return its record and its rows.

    Args:
        task: Which one.
        context: What it works on.
        inputs: Hash of what it depends on.

    Raises:
        DriverUnavailableError: If the context's device cannot run it.
    """
    created = datetime.now(UTC)
    with Growth() as grown:
        outcome = tasks.create(task).run(context)
    kernel = outcome.kernel
    run = Run(
        id=f"{task}-{created:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}",
        kind=task,
        algorithm=outcome.algorithm,
        parameters=context.parameters,
        seed=context.seed,
        device=kernel.device,
        fallback=kernel.reason,
        versions=kernel.versions,
        segments=(context.segments[0], context.segments[-1], len(context.segments)),
        inputs=inputs,
        asof=context.asof.isoformat(),
        created=created.isoformat(),
        seconds=round(kernel.seconds, 6),
        metrics=kernel.metrics,
        memory={"process": grown.bytes, **({"device": kernel.memory} if kernel.device != "cpu" else {})},
    )
    return run, outcome.table
