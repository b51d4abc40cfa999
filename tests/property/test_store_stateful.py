"""The whole store against a model: any sequence of steps leaves what a rebuild from scratch would give.

The model is the list of events that live: what was ingested or streamed, less what was evicted or forgotten.
Steps are: a batch of files, the same files again, late events, streamed events with duplicates and out of
order, a checkpoint, compaction, eviction of days, an edit of the entity schema, forgetting an entity, a kill
at any operation of the disk followed by a new opening, and a reader that holds an old generation.

After each step it is asserted that

1. **documents** are the model's, each with the fields and the event type that it came with;
2. **addresses** are stable: an event that lives has the ``segment/_id`` that it was first seen at, and no
   two have the same;
3. **partials** (entities, edges, sightings, properties, counts, profiles, texts) of every segment are, byte
   by byte, those of a fresh workspace into which the model's events were ingested at once; where a stream has
   not derived them yet, the segment is reported as stale;
4. **the window's results** (entities, edges with their weights, features) are those of that workspace;
5. **the manifest** names only files that are there and whole, and its segments are the model's days;
6. **a reader** of an old generation still reads what it read at first;
7. **exactly once**: what was taken is not taken again, what was refused by a killed step is taken when it is
   repeated, and what was acknowledged is there after the kill.
"""

from __future__ import annotations

import gc
import json
import shutil
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faults.faulty_disk import FULL, BreakingDisk, KilledError, LazyDisk
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from workbench.engine import Engine
from workbench.partials.shapes import KINDS
from workbench.storage import SegmentStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from workbench.ingest.stream import Stream

START = datetime(2025, 6, 1, tzinfo=UTC)
SCHEMAS = [
    """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: shop}
spec:
  entities: {user: {who: true}, page: {}}
  edges: {Visited: {from: user, to: page}}
  events:
    click:
      entities: {user: {fields: user, properties: [code]}, page: page}
      edges: [{type: Visited, from: user, to: page}]
      text: "{user} saw {page}"
    login: {entities: {user: user}}
""",
    """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: shop}
spec:
  entities: {user: {who: true}, page: {}}
  edges: {Visited: {from: user, to: page}}
  events:
    click:
      entities: {user: user, page: {fields: page, properties: [code]}}
      edges: [{type: Visited, from: user, to: page}]
      text: "{page} was seen"
    login: {entities: {user: user, page: page}, edges: [{type: Visited, from: user, to: page}]}
""",
]
USERS = ("anna", "boris", "carla")

Event = tuple[str, int, int, str, str]  # event type, day, second of it, user, code

events = st.lists(
    st.tuples(
        st.sampled_from(["click", "click", "login"]),
        st.integers(0, 3),
        st.integers(0, 40),
        st.sampled_from(USERS),
        st.sampled_from(["1", "2", "3.5", "007"]),
    ),
    min_size=1,
    max_size=6,
)


def record(event: Event) -> dict[str, str]:
    """An event as sources spell it: all text, so that its identifier does not depend on its batch."""
    _, day, second, user, code = event
    time = (START + timedelta(days=day, minutes=second)).isoformat()
    return {"time": time, "user": user, "page": f"/{second % 4}", "code": code}


def day_of(event: Event) -> str:
    return (START + timedelta(days=event[1])).date().isoformat()


def lines(chosen: Iterable[Event]) -> str:
    return "\n".join(json.dumps(record(e)) for e in chosen)


class Store(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="store-"))
        self.files = 0
        self.sources: dict[Path, list[Event]] = {}
        self.live: Counter[Event] = Counter()
        self.forgotten: set[str] = set()
        self.addresses: dict[str, Event] = {}
        self.stream: Stream | None = None
        self.waiting: list[Event] = []
        self.keys = 0
        self.kept_keys: dict[str, Event] = {}
        self.reader: tuple[Engine, list[Any]] | None = None

    @initialize()
    def create(self) -> None:
        (self.root / "shop.yaml").write_text(SCHEMAS[0])
        self.engine = self.opened(Engine.create(self.root / "w", schema=self.root / "shop.yaml").path)

    def opened(self, path: Path, disk: LazyDisk | BreakingDisk | None = None) -> Engine:
        engine = Engine(path, stream_seconds=3600, stream_share=1)
        engine.store = SegmentStore(path, disk=disk or LazyDisk(), reserve=0)
        return engine

    def teardown(self) -> None:
        if self.stream is not None:
            self.stream.close()
        self.reader = None
        shutil.rmtree(self.root)

    # steps

    def write(self, chosen: Sequence[Event]) -> list[Path]:
        """Write sources, one for each event type."""
        self.files += 1
        paths = []
        for name in sorted({e[0] for e in chosen}):
            path = self.root / f"{name}-part{self.files}.jsonl"
            self.sources[path] = [e for e in chosen if e[0] == name]
            # two sources of the same bytes are one
            path.write_text(" " * self.files + lines(self.sources[path]))
            paths.append(path)
        return paths

    def take(self, chosen: Iterable[Event]) -> None:
        self.live.update(e for e in chosen if e[3] not in self.forgotten)

    @rule(chosen=events)
    def ingest(self, chosen: list[Event]) -> None:
        report = self.engine.ingest(*self.write(chosen))
        assert report.rows.total() + report.forgotten == len(chosen)
        self.take(chosen)

    @rule()
    @precondition(lambda self: self.sources)
    def ingest_again(self) -> None:
        report = self.engine.ingest(*self.sources)
        assert (report.rows.total(), report.known) == (0, len(self.sources))

    @rule(chosen=events, number=st.integers(2, 9))
    def many_late_files(self, chosen: list[Event], number: int) -> None:
        """As many small parts as are merged by themselves."""
        for second in range(number):
            late = [("click", chosen[0][1], 50 + second, chosen[0][3], "1")]
            self.engine.ingest(*self.write(late))
            self.take(late)

    @rule(chosen=events, repeat=st.booleans(), keyed=st.booleans())
    def append(self, chosen: list[Event], repeat: bool, keyed: bool) -> None:
        stream = self.stream = self.stream or self.engine.stream(clock=lambda: START + timedelta(days=9))
        for event in sorted(chosen, key=repr, reverse=True):
            self.keys += 1
            key = str(self.keys) if keyed else None
            assert stream.append(event[0], record(event), keys=[key]).accepted == 1
            self.waiting.append(event)
            if key:
                self.kept_keys[key] = event
        if repeat:
            for key, event in list(self.kept_keys.items())[-3:]:
                assert stream.append(event[0], record(event), keys=[key]).duplicates == 1

    @rule()
    @precondition(lambda self: self.waiting)
    def checkpoint(self) -> None:
        assert self.stream is not None
        self.stream.checkpoint()
        self.published()

    @rule()
    @precondition(lambda self: self.stream)
    def close(self) -> None:
        assert self.stream is not None
        self.stream.close()
        self.stream = None
        self.published()

    def published(self) -> None:
        self.take(self.waiting)
        self.waiting = []

    @rule()
    def compact(self) -> None:
        self.engine.compact()
        assert self.engine.compact().files == 0
        files = Counter((f.segment, f.name) for f in self.engine.snapshot.files("events"))
        assert set(files.values()) <= {1}

    @rule(which=st.integers(0, 3))
    @precondition(lambda self: self.live)
    def evict(self, which: int) -> None:
        days = sorted({day_of(e) for e in self.live})
        day = days[which % len(days)]
        assert self.engine.evict(day) == [day]
        self.live = Counter({e: n for e, n in self.live.items() if day_of(e) != day})
        self.addresses = {a: e for a, e in self.addresses.items() if day_of(e) != day}
        # an evicted day takes its keys along
        self.kept_keys = {k: e for k, e in self.kept_keys.items() if day_of(e) != day or e in self.waiting}
        if self.stream is not None:
            self.close()

    @rule(which=st.integers(0, 1))
    def edit_schema(self, which: int) -> None:
        if self.stream is not None:
            self.close()
        (self.engine.path / "schema" / "entity.yaml").write_text(SCHEMAS[which])
        self.engine = self.opened(self.engine.path)
        self.engine.ingest(*self.write([("login", 2, 39, "boris", "1")]))
        self.take([("login", 2, 39, "boris", "1")])

    @rule(user=st.sampled_from(USERS[:2]))
    def forget(self, user: str) -> None:
        if self.stream is not None:
            self.close()
        report = self.engine.forget(f"user:{user}", apply=True)
        mine = {e for e in self.live if e[3] == user}
        assert report.documents.total() == sum(self.live[e] for e in mine)
        assert report.proved or self.reader is not None
        for event in mine:
            del self.live[event]
        days = {day_of(e) for e in self.live}
        self.forgotten.add(user)
        self.addresses = {a: e for a, e in self.addresses.items() if e[3] != user}
        self.kept_keys = {k: e for k, e in self.kept_keys.items() if day_of(e) in days}

    @rule(
        at=st.integers(0, 120),
        how=st.sampled_from(["before", "after"]),
        step=st.integers(0, 3),
        chosen=events,
    )
    def kill(self, at: int, how: str, step: int, chosen: list[Event]) -> None:
        """Kill a step at one operation of the disk, open again, and take the step again."""
        if self.stream is not None:
            self.close()
        paths = self.write(chosen)
        streamed: list[Event] = []

        def stream_some(engine: Engine) -> None:
            with engine.stream(clock=lambda: START + timedelta(days=9)) as stream:
                for event in chosen:
                    stream.append(event[0], record(event), keys=f"{self.files}-{len(streamed)}")
                    streamed.append(event)

        steps: list[Callable[[Engine], object]] = [
            lambda engine: engine.ingest(*paths),
            lambda engine: engine.compact(),
            stream_some,
            lambda engine: engine.forget("user:anna", apply=True) if "anna" in self.forgotten else None,
        ]
        broken = self.opened(self.engine.path, BreakingDisk(at, how))
        try:
            steps[step](broken)
        except KilledError:
            pass
        finally:
            del broken
            gc.collect()  # a dead process holds no lock
        self.engine = self.opened(self.engine.path)
        if step == 2:
            # what was acknowledged is recovered; what was not may have reached the log all the same
            with self.engine.stream(clock=lambda: START + timedelta(days=9)) as stream:
                for number, event in enumerate(chosen):
                    known = stream.append(event[0], record(event), keys=f"{self.files}-{number}").duplicates
                    assert known or number >= len(streamed)
            self.take(chosen)
            for path in paths:
                del self.sources[path]
        else:
            self.engine.ingest(*paths)
            self.take(chosen)

    @rule()
    def read(self) -> None:
        reader = Engine(self.engine.path)
        self.reader = (reader, documents(reader))

    # what holds after each

    @invariant()
    def it_is_what_a_rebuild_gives(self) -> None:
        engine = self.engine.refresh()
        assert engine.snapshot.segments == sorted({day_of(e) for e in self.live})
        assert engine.verify() == []
        found = documents(engine)
        assert Counter(event for _, event in found) == self.live
        now = dict(found)
        assert len(now) == len(found)
        assert {a: now[a] for a in self.addresses} == self.addresses
        self.addresses = now
        stale = engine.status()["stale_segments"]
        assert not stale or self.stream is not None
        if self.live and not stale:
            self.compare(engine)
        if self.reader is not None:
            assert documents(self.reader[0]) == self.reader[1]

    def compare(self, engine: Engine) -> None:
        fresh = self.opened(
            Engine.create(self.root / "fresh", schema=engine.path / "schema" / "entity.yaml").path
        )
        with fresh.store.writer() as writer:
            # types are a workspace's memory: what widened them may have gone
            transaction = writer.begin()
            transaction.set_state(fields=engine.snapshot.manifest.state["fields"])
            transaction.commit()
        paths = []
        for name in sorted({e[0] for e in self.live}):
            path = self.root / f"{name}.jsonl"
            path.write_text(lines(e for e in self.live.elements() if e[0] == name))
            paths.append(path)
        fresh.ingest(*paths)
        assert results(engine) == results(fresh)
        shutil.rmtree(fresh.path)


def documents(engine: Engine) -> list[tuple[str, Event]]:
    """All documents as events, with their addresses."""
    found: list[tuple[str, Event]] = []
    for entry in engine.snapshot.files("events"):
        table = engine.snapshot.read(entry)
        texts = {
            field: table[field].to_pylist() if field in table.column_names else [None] * table.num_rows
            for field in ("_id", "_ts", "user", "code", "_original")
        }
        for at, time, user, code, original in zip(*texts.values(), strict=True):
            text = (original or {}).get("code") or _plain(code)
            day, rest = divmod(time - START, timedelta(days=1))
            event = (entry.name, day, int(rest / timedelta(minutes=1)), user, text)
            found.append((f"{entry.segment}/{at}", event))
    return sorted(found)


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def results(engine: Engine) -> dict[Any, Any]:
    partials: dict[Any, Any] = {
        (f.kind, f.segment): f.hash for kind in KINDS for f in engine.snapshot.files(kind)
    }
    window = engine.graph.window
    matrix = engine.features("user")
    return {
        **partials,
        "entities": window.entities.to_pylist(),
        "edges": window.edges.to_pylist(),
        "features": matrix.to_arrow().to_pylist(),
    }


StoreTest = Store.TestCase
StoreTest.settings = settings(
    max_examples=200 if FULL else 3,
    stateful_step_count=25 if FULL else 10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=not FULL,
    database=None,
    phases=list(Phase) if FULL else [Phase.generate],  # shrinking takes longer than the test may
)
if not FULL:
    StoreTest = seed(4)(StoreTest)
