"""Damage: one flipped bit, a cut or missing file is an error that names the file, never a wrong answer."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
from faulty_disk import FULL
from schemas import PAGES

from workbench.engine import Engine
from workbench.errors import CorruptFileError, StorageError, WorkspaceError
from workbench.storage import SegmentStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FLIPS = 40 if FULL else 5


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a file of every kind, in two segments."""
    root = tmp_path_factory.mktemp("pristine")
    (root / "schema.yaml").write_text(PAGES)
    rows = [
        f"2025-01-0{1 + n % 2}T{n % 24:02d}:00:00Z,u{n * 7 % 23},p{n % 11},Title {n % 11}\n"
        for n in range(500)
    ]
    (root / "click.csv").write_text("time,user,page,title\n" + "".join(rows) + "torn\n")
    (root / "users.csv").write_text("user,name\n" + "".join(f"u{n},Name {n}\n" for n in range(23)))
    with Engine.create(root / "workspace", schema=root / "schema.yaml") as engine:
        engine.ingest(root / "click.csv", root / "users.csv")
        engine.compute("pagerank", device="cpu")
    return root / "workspace"


@pytest.fixture
def workspace(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine, tmp_path / "workspace")
    return tmp_path / "workspace"


@pytest.fixture
def engine(workspace: Path) -> Iterator[Engine]:
    with Engine(workspace) as opened:
        yield opened


def _sql(statement: str) -> Callable[[Engine], Any]:
    return lambda engine: engine.sql(statement).rows


def _first_document(engine: Engine) -> Any:
    return engine.get(f"{engine.snapshot.segments[0]}/1")


READERS: list[tuple[str, str, Callable[[Engine], Any]]] = [
    ("events", "get", _first_document),
    ("events", "scan", lambda engine: engine.scan().read_all()),
    ("events", "a page's events", lambda engine: engine.entity("user:u1").events(500)),
    ("events", "sql", _sql("select * from click")),
    ("events", "sql over all types", _sql("select count(*) from events")),
    ("entities", "the graph", lambda engine: engine.graph.nodes()),
    ("entities", "sql", _sql("select * from entities")),
    ("edges", "the graph", lambda engine: engine.graph.around("user:u1")),
    ("edges", "sql", _sql("select * from edges")),
    ("properties", "an entity", lambda engine: engine.entity("user:u1").properties),
    ("properties", "sql", _sql("select * from properties")),
    ("sightings", "a timeline", lambda engine: engine.entity("user:u1").timeline()),
    ("counts", "sql", _sql("select sum(events) from counts")),
    ("reference", "sql", _sql("select * from reference.users")),
    ("knowledge", "the store", lambda engine: engine.knowledge.read("pagerank")),
    ("knowledge", "sql", _sql("select * from knowledge.pagerank")),
    ("quarantine", "the quarantine", lambda engine: engine.quarantine),
]


@pytest.mark.parametrize(("kind", "way", "read"), READERS, ids=[f"{k} by {w}" for k, w, _ in READERS])
def test_one_flipped_bit_is_never_read(
    kind: str, way: str, read: Callable[[Engine], Any], workspace: Path
) -> None:
    entry = Engine(workspace).snapshot.files(kind)[0]
    path = workspace / entry.path
    whole = path.read_bytes()
    draw = random.Random(f"{kind} {way}")  # noqa: S311
    # statements cost a process each, and the check of their files is the same
    for _ in range(FLIPS // 5 if "sql" in way else FLIPS):
        place, bit = draw.randrange(len(whole)), draw.randrange(8)
        data = bytearray(whole)
        data[place] ^= 1 << bit
        path.write_bytes(data)
        with Engine(workspace) as engine:
            with pytest.raises(CorruptFileError) as raised:
                read(engine)
            assert raised.value.where == str(path), (place, bit)


@pytest.mark.parametrize(("kind", "way", "read"), READERS, ids=[f"{k} by {w}" for k, w, _ in READERS])
def test_a_cut_or_missing_file_is_never_read(
    kind: str, way: str, read: Callable[[Engine], Any], workspace: Path
) -> None:
    entry = Engine(workspace).snapshot.files(kind)[0]
    path = workspace / entry.path
    path.write_bytes(path.read_bytes()[:-1])
    with Engine(workspace) as engine, pytest.raises(CorruptFileError, match="the manifest says") as cut:
        read(engine)
    path.unlink()
    with Engine(workspace) as engine, pytest.raises(CorruptFileError, match="is missing") as missing:
        read(engine)

    assert cut.value.where == missing.value.where == str(path)


@pytest.mark.parametrize("statement", ["select sum(events) from counts", "select count(*) from click"])
def test_damage_after_a_first_reading_is_noticed(engine: Engine, statement: str) -> None:
    engine.sql(statement)
    kind = "counts" if "counts" in statement else "events"
    path = engine.path / engine.snapshot.files(kind)[0].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    with pytest.raises(CorruptFileError) as raised:
        engine.sql(statement)
    assert raised.value.where == str(path)


def test_the_catalog_names_the_damaged_profiles(engine: Engine) -> None:
    (engine.path / engine.snapshot.files("profiles", segments=["2025-01-02"])[0].path).write_bytes(b"")

    (problem,) = engine.catalog.problems
    assert problem.startswith("figures leave out the profiles of segment 2025-01-02: ")
    assert problem in engine.catalog.to_text()


@pytest.mark.parametrize("seed", range(5))
def test_verify_names_exactly_the_damaged_files(engine: Engine, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    assert engine.verify() == []
    paths = [entry.path for entry in engine.snapshot.manifest.files]
    doomed = draw.sample(paths, 3)
    for number, name in enumerate(doomed):
        path = engine.path / name
        data = bytearray(path.read_bytes())
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        match number:
            case 0:
                path.write_bytes(data)
            case 1:
                path.write_bytes(data[:-1])
            case _:
                path.unlink()

    assert sorted(name for name, _ in engine.verify(full=True)) == sorted(doomed)
    assert sorted(name for name, _ in Engine(engine.path).verify()) == sorted(doomed)


def test_a_damaged_workspace_serves_what_is_whole(engine: Engine) -> None:
    entry = engine.snapshot.files("events", segments=["2025-01-01"])[0]
    (engine.path / entry.path).unlink()

    assert engine.entity("user:u1").timeline()["events"].sum() == 22
    assert engine.sql("select sum(events) from counts").rows == [(500,)]
    assert engine.sql("select count(*) from entities").rows == [(23 + 11,)]


# what says what there is


def test_a_flipped_bit_in_any_byte_of_current_is_noticed(workspace: Path) -> None:
    current = workspace / "CURRENT"
    whole = current.read_bytes()
    for place in range(len(whole)):
        for bit in (0, 3, 6) if FULL else (place % 7,):
            data = bytearray(whole)
            data[place] ^= 1 << bit
            current.write_bytes(data)
            with pytest.raises(CorruptFileError) as raised:
                SegmentStore(workspace).snapshot()
            assert str(workspace) in raised.value.where
    current.write_bytes(whole)
    assert Engine(workspace).verify() == []


def test_a_damaged_manifest_is_noticed_by_readers_and_by_the_writer(workspace: Path) -> None:
    name = json.loads((workspace / "CURRENT").read_text())["manifest"]
    path = workspace / "manifests" / name
    whole = path.read_bytes()
    opened = Engine(workspace)
    draw = random.Random(1)  # noqa: S311
    for _ in range(FLIPS):
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        with pytest.raises(CorruptFileError) as raised:
            Engine(workspace)
        assert raised.value.where == str(path)
    files = {p for p in workspace.rglob("*") if p.is_file()}
    old = time.time() - 86_400
    for file in files - {path}:
        os.utime(file, (old, old))
    with pytest.raises(CorruptFileError):
        opened.evict("2025-01-01")
    assert {p for p in workspace.rglob("*") if p.is_file()} == files
    path.unlink()
    with pytest.raises(CorruptFileError, match="the manifest is missing"):
        Engine(workspace)


def test_a_newer_format_is_refused_with_a_sentence(workspace: Path) -> None:
    path = workspace / "FORMAT"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"format": 7, "least_reader": 7}))

    with pytest.raises(WorkspaceError) as raised:
        Engine(workspace)
    assert re.fullmatch(
        r"\S+: the workspace has format 7, this version reads up to 2\. Install a newer workbench\.",
        str(raised.value),
    )
    path.write_text(json.dumps(facts | {"format": 3}))
    assert Engine(workspace).snapshot.segments == ["2025-01-01", "2025-01-02"]


def test_a_flipped_bit_of_format_is_an_error_of_ours_or_harmless(workspace: Path) -> None:
    path = workspace / "FORMAT"
    whole = path.read_bytes()
    refused = 0
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 1 << (place % 8)
        path.write_bytes(data)
        try:
            engine = Engine(workspace)
        except StorageError:
            refused += 1
        else:
            assert engine.verify() == []
    assert refused > len(whole) // 4
