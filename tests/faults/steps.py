"""What the store does, step by step, for tests that disturb it, here or in a process that is killed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from faulty_disk import KilledError

from workbench.engine import Engine
from workbench.errors import StorageError
from workbench.partials.shapes import KINDS
from workbench.storage import SegmentStore
from workbench.vectors import IndexKind, Vectors
from workbench.vectors.files import KINDS as VECTORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from workbench.ingest.stream import Stream
    from workbench.storage import Snapshot
    from workbench.storage.disk import Disk

__all__ = ["SENT", "STEPS", "Step", "facts", "opened", "outcome", "send", "sitting"]

NOW = datetime(2025, 1, 3, 12, tzinfo=UTC)
SENT = 6


@dataclass(frozen=True)
class Step:
    """One thing that the store does.

    Attributes:
        run: Does it; done again, it changes nothing more.
        prepare: What has to be there before.
        commits: Generations that it makes. Where it goes on in the middle, documents are published in other
            parts.
    """

    run: Callable[[Engine, Path], object]
    prepare: Callable[[Engine, Path], object] = lambda engine, logs: None
    commits: int = 1


def opened(root: Path, disk: Disk) -> Engine:
    """Return an engine whose store writes by a disk."""
    engine = Engine(root, stream_seconds=3600)
    engine.store = SegmentStore(root, disk=disk)
    return engine


def sitting(stream: Stream) -> None:
    """Do what a stream's own thread does where it never publishes by itself."""
    with stream._lock:
        stream._wake.wait_for(lambda: stream._ended)


def send(engine: Engine, said: Callable[[int], object] = lambda number: None) -> None:
    """Stream some events, of which each is acknowledged, with a checkpoint on the way."""
    with engine.stream(clock=lambda: NOW) as stream:
        for number in range(SENT):
            event = {"time": f"2025-01-03T0{number}:00:00Z", "user": f"u{number}", "page": "p1", "title": "T"}
            stream.append("click", event, source="web", keys=str(number))
            said(number)
            if number == SENT // 2:
                stream.checkpoint()


def _evict(engine: Engine, logs: Path) -> object:
    return engine.evict("2025-01-01") if "2025-01-01" in engine.store.snapshot().segments else None


def _late(engine: Engine, logs: Path) -> object:
    return engine.ingest(logs / "late.csv", type="click")


def _say(engine: Engine, logs: Path) -> None:
    """Have events say something, and derive their texts."""
    schema = engine.path / "schema" / "entity.yaml"
    text = '    click:\n      text: "opened {title}"\n'
    schema.write_text(schema.read_text().replace("    click:\n", text))
    with Engine(engine.path) as again:
        again.ingest(logs / "click-1.csv", type="click")


def _index(engine: Engine, logs: Path) -> object:
    kind = IndexKind(above=0)
    return Vectors(engine.refresh(), "hashing", kind, lambda _: engine.refresh()).index()


STEPS: dict[str, Step] = {
    "ingest": Step(lambda engine, logs: engine.ingest(logs / "click-3.csv", type="click")),
    "late events": Step(_late),
    "evict": Step(_evict),
    "compact": Step(lambda engine, logs: engine.compact(), _late),
    "forget": Step(lambda engine, logs: engine.forget("user:u1", apply=True)),
    "compute": Step(lambda engine, logs: engine.compute("components", device="cpu")),
    "index": Step(_index, _say),
    "stream": Step(lambda engine, logs: send(engine), commits=2),
}


def facts(snapshot: Snapshot, step: Step) -> tuple[Any, ...]:
    """Return what a step makes of a generation: derived files, parts of documents, results, sources."""
    partials = {(f.kind, f.segment): f.hash for kind in (*KINDS, *VECTORS) for f in snapshot.files(kind)}
    parts = snapshot.files("events")
    return (
        partials,
        sorted((f.segment, f.name, f.rows) for f in parts)
        if step.commits == 1
        else sum(f.rows for f in parts),
        sorted({f.name for f in snapshot.files("knowledge")}),
        sorted(snapshot.manifest.ledger),
    )


def outcome(
    step: Callable[[], object], expected: Iterable[type[BaseException]] = (StorageError, KilledError)
) -> BaseException | None:
    """Return how a step failed; what is neither our error nor the kill is a failure of the test."""
    try:
        step()
    except tuple(expected) as error:
        return error
    return None
