"""Bit flips: whatever single bit of whatever file is wrong, the answer is right or an error names a file.

Invariants, for files of every kind, flipped or cut:

- no reading gives anything but the whole answer, or an error that names the damaged file;
- FORMAT, CURRENT, a manifest: the workspace opens with exactly what it held, or an error names what is wrong;
- the write-ahead log: all that was acknowledged is recovered, or it is said that events are lost;
- ``repair --apply`` brings a workspace back of which ``verify --full`` is clean, and documents, partials and
  reference tables are byte by byte those that were published.

``make faults`` takes 300 flips of each kind through every way of reading, ``make test`` 300 of each kind
through the check that stands before every reader, and a dozen through the readers.
"""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from faulty_disk import FULL

from workbench.engine import Engine
from workbench.errors import CorruptFileError, StorageError
from workbench.graph import window_of
from workbench.knowledge.store import _tables
from workbench.opening import repair
from workbench.partials.shapes import KINDS
from workbench.storage import SegmentStore, Snapshot
from workbench.storage.derived import FOLDER
from workbench.storage.files import Verifier
from workbench.storage.wal import Log
from workbench.vectors import IndexKind, VectorCache, connect
from workbench.vectors.queue import Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Count

    from workbench.storage import FileEntry

FLIPS = 300
READ = FLIPS if FULL else 12
REPAIRED = 40 if FULL else 1
MADE = ("vectors", "index")
DATA = (*KINDS, *MADE, "events", "reference", "knowledge", "keys", "quarantine")
HEAD = ("FORMAT", "CURRENT", "manifests/*")
LOGGED = [f'{{"time":"2025-01-02T20:{n:02d}:00Z","user":"u{n}","page":"p1","title":"T"}}' for n in range(9)]


@pytest.fixture(scope="module")
def pristine(two_days: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a file of every kind, and acknowledged events that no generation has yet."""
    root = tmp_path_factory.mktemp("flips")
    shutil.copytree(two_days, root / "w")
    schema = root / "w" / "schema" / "entity.yaml"
    schema.write_text(
        schema.read_text().replace("    click:\n", '    click:\n      text: "opened {title}"\n')
    )
    (root / "torn.csv").write_text("time,user,page,title\n" + "2025-01-02T21:00:00Z,u1,p1,T\n" * 9 + "torn\n")
    with Engine(root / "w", stream_seconds=3600, embedder="hashing") as engine:
        engine.ingest(root / "torn.csv", type="click")
        with engine.stream() as stream:
            stream.append("click", LOGGED[0], source="web", keys="0")
        engine.compute("pagerank", device="cpu")
        cache = VectorCache(engine.path / "cache" / "vectors", connect(engine.settings))
        Queue(engine.store, cache, IndexKind(above=0)).work(engine.refresh().snapshot)
        window_of(engine.snapshot, engine.store.derived("window"), worth=0)
        stream = engine.stream()
        for number, line in enumerate(LOGGED[1:], 1):
            stream.append("click", line, source="web", keys=str(number))
        # as a process leaves it that dies here
        shutil.copytree(root / "w", root / "copy")
        stream.close()
    return root / "copy"


@pytest.fixture
def workspace(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine, tmp_path / "w")
    return tmp_path / "w"


def damages(data: bytes, number: int, seed: str) -> Iterator[bytes]:
    """Yield the bytes with one bit flipped, and now and then cut."""
    draw = random.Random(seed)  # noqa: S311
    for n in range(number):
        if n % 10 == 9:
            yield data[: draw.randrange(len(data))]
        else:
            changed = bytearray(data)
            changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            yield bytes(changed)


def file_of(root: Path, kind: str) -> FileEntry:
    """Return the largest file of a kind."""
    return max(SegmentStore(root).snapshot().files(kind), key=lambda f: (f.segment > "", f.bytes))


def cold(engine: Engine) -> Engine:
    """Let an engine forget what it has read, but for its SQL worker."""
    _tables.clear()
    for name in ("graph", "catalog", "trends", "vectors"):
        engine.__dict__.pop(name, None)
    for path in engine._scratch.path.glob("*.parquet"):
        path.unlink()
    return engine


def outcome(read: Callable[[], Any]) -> tuple[Any, str]:
    """Return what a reading gave, or the file that its error names."""
    try:
        return read(), ""
    except StorageError as error:
        return None, error.where


def sql(statement: str) -> Callable[[Engine], Any]:
    return lambda engine: sorted(engine.sql(statement).rows, key=repr)


def a_document(engine: Engine) -> Any:
    found = engine.sql("select min(_id) from click where _segment = '2025-01-02'").rows[0][0]
    return engine.get(f"2025-01-02/{found}")


def told(engine: Engine) -> Any:
    """Return the fields that the catalog knows; what it leaves out it has to name."""
    catalog = engine.catalog
    if catalog.problems:
        (problem,) = catalog.problems
        (entry,) = (
            e for e in engine.snapshot.files("profiles") if f"profiles of segment {e.segment}" in problem
        )
        raise CorruptFileError(problem, where=str(engine.path / entry.path))
    return catalog.event_types


def similar(engine: Engine) -> Any:
    return sorted(map(str, engine.vectors.search("Title").to_arrow().to_pylist()))


READINGS: dict[str, dict[str, Callable[[Engine], Any]]] = {
    "events": {
        "sql": sql("select * from click"),
        "sql over all types": sql("select count(*), min(_id), max(_ts) from events"),
        "a page's events": lambda engine: repr(engine.entity("user:u1").events(500)),
        "scan": lambda engine: [batch.to_pylist() for batch in engine.scan("click")],
        "a document": a_document,
    },
    "entities": {
        "sql": sql("select * from entities"),
        "the graph": lambda engine: engine.graph.nodes().to_pylist(),
    },
    "edges": {
        "sql": sql("select * from edges"),
        "the graph": lambda engine: engine.graph.edges().to_pylist(),
    },
    "properties": {
        "sql": sql("select * from properties"),
        "an entity": lambda engine: engine.entity("user:u1").properties,
    },
    "sightings": {"a timeline": lambda engine: engine.entity("user:u1").timeline().rows()},
    "counts": {"sql": sql("select * from counts")},
    "profiles": {"the catalog": told},
    "texts": {"vectors": similar},
    "vectors": {"vectors": similar},
    "index": {"vectors": similar},
    "reference": {"sql": sql("select * from reference.users")},
    "knowledge": {
        "sql": sql("select * from knowledge.pagerank"),
        "the store": lambda engine: engine.knowledge.read("pagerank").table.to_pylist(),
    },
    "keys": {"a stream": lambda engine: engine.stream().close()},
    "quarantine": {"the quarantine": lambda engine: engine.quarantine.to_pylist()},
}


@pytest.mark.parametrize("kind", DATA)
def test_no_flip_passes_the_check_before_a_reader(kind: str, workspace: Path, count: Count) -> None:
    snapshot = SegmentStore(workspace).snapshot()
    entry = file_of(workspace, kind)
    path = workspace / entry.path
    whole = path.read_bytes()
    for number, data in enumerate(damages(whole, FLIPS, kind)):
        path.write_bytes(data)
        with pytest.raises(CorruptFileError) as raised:
            Snapshot(workspace, snapshot.manifest, Verifier()).path(entry)
        assert raised.value.where == str(path), number
    count(f"flips and cuts of {kind}, checked", FLIPS)


@pytest.mark.parametrize(("kind", "way"), [(k, w) for k, ways in READINGS.items() for w in ways])
def test_a_reading_gives_the_whole_answer_or_names_the_file(
    kind: str, way: str, workspace: Path, count: Count
) -> None:
    read = READINGS[kind][way]
    entry = file_of(workspace, kind)
    path = workspace / entry.path
    whole = path.read_bytes()
    refused = 0
    with Engine(workspace, embedder="hashing") as engine:
        expected = read(engine) if kind != "keys" else None
        for number, data in enumerate(damages(whole, READ, f"{kind} {way}")):
            path.write_bytes(data)
            found, named = outcome(lambda: read(cold(engine)))
            assert named == str(path) or found == expected, (number, named)
            refused += bool(named)
        path.write_bytes(whole)
    assert refused == READ or kind in MADE  # of which others are made, if need be
    count(f"flips and cuts of {kind}, read by {way}", READ)


@pytest.mark.parametrize("name", ["*.arrow", "*.json"])
def test_a_kept_window_that_is_damaged_is_passed_over(name: str, workspace: Path, count: Count) -> None:
    store = SegmentStore(workspace)
    expected = window_of(store.snapshot(), store.derived("window"), worth=1 << 40)
    kept = {path: path.read_bytes() for path in sorted((workspace / FOLDER).iterdir())}
    draw = random.Random(name)  # noqa: S311
    for number in range(READ):
        path = draw.choice([path for path in kept if path.match(name)])
        path.write_bytes(next(damages(kept[path], 1, f"{name} {number}")))
        store = SegmentStore(workspace)
        assert window_of(store.snapshot(), store.derived("window"), worth=0).equals(expected), number
        for other in (workspace / FOLDER).iterdir():
            other.unlink()
        for other, data in kept.items():
            other.write_bytes(data)
    count(f"flips and cuts of a kept window's {name}, passed over", READ)


def test_vectors_that_are_damaged_where_they_are_kept_are_made_again(workspace: Path, count: Count) -> None:
    folder = workspace / "cache" / "vectors"
    (path,) = folder.rglob("*.parquet")
    whole = path.read_bytes()
    texts = [f"opened Title {n}" for n in range(3)]
    with Engine(workspace, embedder="hashing") as engine:
        embedder = connect(engine.settings)
    expected = embedder.embed(texts)
    assert (VectorCache(folder, embedder).embed(texts) == expected).all()
    for number, data in enumerate(damages(whole, READ, "cache")):
        path.write_bytes(data)
        assert (VectorCache(folder, embedder).embed(texts) == expected).all(), number
        for other in path.parent.iterdir():
            other.unlink()
    count("flips and cuts of kept vectors, made again", READ)


@pytest.mark.parametrize("name", HEAD)
def test_what_says_what_there_is_opens_whole_or_not_at_all(name: str, workspace: Path, count: Count) -> None:
    path = max(workspace.glob(name))
    whole = path.read_bytes()
    expected = SegmentStore(workspace).snapshot().manifest
    refused = 0
    for number, data in enumerate(damages(whole, FLIPS, name)):
        path.write_bytes(data)
        found, named = outcome(lambda: SegmentStore(workspace).snapshot().manifest)
        assert named.startswith(str(workspace)) or found == expected, (number, named)
        refused += bool(named)
        if number < READ:
            assert outcome(lambda: Engine(workspace).snapshot.manifest) == (found, named), number
    assert refused > FLIPS // 2
    count(f"flips and cuts of {path.name}, {refused} of them refused", FLIPS)


def test_the_log_gives_back_all_that_was_acknowledged_or_says_that_it_is_lost(
    workspace: Path, count: Count
) -> None:
    folder = workspace / "wal"
    (path,) = folder.glob("*.wal")
    whole = path.read_bytes()
    published = SegmentStore(workspace).snapshot().manifest.state["wal"]
    position = (published["sequence"], published["epoch"])

    def payloads() -> list[bytes]:
        with Log(folder, position=lambda: position) as log:
            return [record.payload for record in log.recovered]

    expected = payloads()
    assert len(expected) == len(LOGGED) - 1
    refused = 0
    for number, data in enumerate(damages(whole, FLIPS, "wal")):
        path.write_bytes(data)
        found, named = outcome(payloads)
        # a file that was cut ends early, which looks as a loss of power does
        whole_length = len(data) == len(whole)
        assert named == str(path) or found == (expected if whole_length else expected[: len(found)]), number
        refused += bool(named)
        for cut in folder.glob("*.cut"):
            cut.unlink()
    assert refused
    count(f"flips and cuts of the log, {refused} of them refused", FLIPS)


def held(root: Path) -> set[tuple[str, str, str, str]]:
    files = SegmentStore(root).snapshot().manifest.files
    return {(f.kind, f.segment, f.name, f.hash) for f in files if f.kind in (*KINDS, "events", "reference")}


@pytest.mark.parametrize("kind", [k for k in DATA if k not in ("keys", "quarantine")])
def test_repair_brings_back_what_was_published(kind: str, workspace: Path, logs: Path, count: Count) -> None:
    before = held(workspace)
    entry = file_of(workspace, kind)
    whole = (workspace / entry.path).read_bytes()
    for data in damages(whole, REPAIRED, f"repair {kind}"):
        root = workspace.with_name("damaged")
        shutil.copytree(workspace, root)
        (root / entry.path).write_bytes(data)
        with Engine(root) as engine:
            said = engine.repair()
            assert [f.path for f in said.findings] == [entry.path]
            assert engine.verify(full=True) != []
            report = engine.repair(apply=True)
            assert report.whole, report
            assert engine.verify(full=True) == []
            assert held(root) == before
            assert engine.status()["stale_segments"] == 0
            assert engine.knowledge.read("pagerank").table.num_rows
        shutil.rmtree(root)
    count(f"workspaces with damaged {kind}, repaired", REPAIRED)


def test_repair_brings_back_all_kinds_at_once(workspace: Path, count: Count) -> None:
    before = held(workspace)
    for entry in SegmentStore(workspace).snapshot().manifest.files:
        path = workspace / entry.path
        path.write_bytes(next(damages(path.read_bytes(), 1, entry.path)))
    for name in HEAD[:2]:
        (workspace / name).write_bytes(b"\0" * 40)

    assert not repair(workspace).applied
    assert repair(workspace, apply=True).applied
    with Engine(workspace) as engine:
        lost = {m.entry.kind for m in engine.snapshot.missing}
        assert engine.verify(full=True) == []
        assert held(workspace) >= {f for f in before if f[0] in KINDS and f[1] == "2025-01-01"}
        assert lost == {"events", "keys", "quarantine"}  # a streamed document has no source
        assert engine.status()["stale_segments"] == 0
    count("workspaces of which every file was damaged, repaired", 1)
