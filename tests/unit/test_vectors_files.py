"""Vectors and indexes as files of their segments: written once, found again, gone with their texts."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from workbench.embedders import embedders
from workbench.engine import Engine
from workbench.errors import ProviderConnectionError, ReadOnlyError, UnknownNameError, WriterLockedError
from workbench.vectors import IndexKind, Vectors
from workbench.vectors.files import encoded, hashes_of, mapped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from workbench.storage import FileEntry

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: visits}
spec:
  entities:
    client: {who: true}
    page: {attribute: true}
  events:
    Visit:
      entities: {client: client, page: page}
      text: "visited the page {page}"
    Note:
      entities: {client: client}
      text: "visited the page {page}"
"""
START = datetime(2025, 3, 1, tzinfo=UTC)
WORDS = ("garden", "winter", "coffee", "shoe", "chair", "table", "lamp", "door", "river", "stone")
FEW = IndexKind(above=50)


class Counting(embedders.load("hashing")):  # type: ignore[misc]
    """Notes what it is asked for, and fails where it is told to."""

    def __init__(self, model: str = "counting") -> None:
        self.model = model
        self.asked: list[str] = []
        self.fails = False

    def encode(self, texts: Any) -> Any:
        if self.fails:
            raise ProviderConnectionError("nobody answers.", where="nowhere", transient=True)
        self.asked += texts
        return super().encode(texts)


def visits(days: int, pages: int, *, client: str = "") -> pl.DataFrame:
    """Return a day of as many pages for each day; half of a day's pages are those of the day before."""
    rows = []
    for day in range(days):
        for n in range(pages):
            number = day * pages // 2 + n
            words = f"{WORDS[number % 10]} {WORDS[number // 10 % 10]} {number}"
            rows.append(
                {
                    "time": START + timedelta(days=day, seconds=n),
                    "client": client or f"c{n % 7}",
                    "page": words,
                }
            )
    return pl.DataFrame(rows)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Engine]:
    def made(days: int = 3, pages: int = 80) -> Engine:
        (tmp_path / "v.yaml").write_text(SCHEMA)
        engine = Engine.create(tmp_path / "w", schema=tmp_path / "v.yaml", embedder="hashing")
        engine.ingest(visits(days, pages), type="Visit")
        return engine

    return made


def vectors_of(engine: Engine, embedder: Any = "hashing", kind: IndexKind = FEW) -> Vectors:
    return Vectors(engine, embedder, kind, lambda _: engine.refresh())


def files(engine: Engine, kind: str) -> list[FileEntry]:
    return engine.snapshot.files(kind)


def best(vectors: Vectors, query: str = "a stone by the river", **options: Any) -> pl.DataFrame:
    return vectors.search(query, **options).to_polars()


def test_the_file_is_parquet_in_which_vectors_lie_as_in_memory(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for count in (0, 1, 9_000):
        vectors = generator.normal(size=(count, 8)).astype(np.float16)
        hashes = np.sort(hashes_of([str(n) for n in range(count)]))
        path = tmp_path / f"{count}.parquet"
        path.write_bytes(encoded(hashes, vectors))
        keys, found = mapped(path, 8)
        assert np.array_equal(keys, hashes)
        assert np.array_equal(found, vectors)
        table = pq.read_table(path, page_checksum_verification=True)
        assert b"".join(table["vector"].to_pylist()) == vectors.tobytes()


def test_vectors_are_made_once_and_lie_with_their_segments(make: Callable[..., Engine]) -> None:
    engine = make()
    before = engine.status()
    assert before["segments_without_vectors"] == 3
    embedder = Counting()
    vectors = vectors_of(engine, embedder)
    assert vectors.waiting == ["2025-03-01", "2025-03-02", "2025-03-03"]
    done = vectors.index()
    assert done.segments == done.indexes == ["2025-03-01", "2025-03-02", "2025-03-03"]
    assert done.texts == 240
    assert len(embedder.asked) == len(set(embedder.asked)) == 160
    assert done.generation == engine.snapshot.generation
    assert vectors.waiting == []
    assert "160 texts" not in str(done)
    assert "240 texts of 3 segments" in str(done)
    assert done.to_dict()["texts"] == 240
    assert engine.status()["segments_without_vectors"] == 0
    for kind, ending in (("vectors", ".vectors.parquet"), ("index", ".index")):
        entries = files(engine, kind)
        assert [e.segment for e in entries] == done.segments
        assert all(
            e.path.startswith(f"segments/dt={e.segment}/") and e.path.endswith(ending) for e in entries
        )
        assert {e.rows for e in entries} == {80}
    assert {(e.name, e.meta["storage"]) for e in files(engine, "index")} == {(FEW.driver, FEW.storage)}
    assert engine.verify(full=True) == []
    # nothing is embedded, and nothing published, twice
    again = vectors_of(engine, other := Counting())
    rows = best(again, k=20)
    assert rows.height == 20
    assert other.asked == ["a stone by the river"]
    assert str(again.index()) == "every segment's texts have their vectors"
    assert engine.store.snapshot().generation == done.generation
    assert "faiss:int8" in repr(again)


def test_the_first_search_publishes_them_too(make: Callable[..., Engine]) -> None:
    engine = make()
    vectors = vectors_of(engine)
    rows = best(vectors)
    assert len(files(engine, "vectors")) == len(files(engine, "index")) == 3
    assert best(vectors_of(engine)).equals(rows)


def test_many_segments_with_indexes_find_what_brute_force_finds(make: Callable[..., Engine]) -> None:
    engine = make(days=5, pages=300)
    vectors = vectors_of(engine, kind=replace(FEW, above=100))
    (row,) = vectors.recall(sample=200).to_polars().rows(named=True)
    assert row["index"] == f"{FEW.driver}:{FEW.storage}"
    assert (row["vectors"], row["queries"]) == (900, 200)
    assert row["recall"] >= 0.95
    exact = vectors_of(engine, kind=replace(FEW, above=10_000))
    for part in exact.window.parts[1:]:
        part.index.exact_below = 10_000
    for conditions in ({}, {"since": "2025-03-03"}, {"until": "2025-03-02T00:02", "where": "client = 'c3'"}):
        found, wanted = (best(v, "river stone 77", k=8, **conditions) for v in (vectors, exact))
        assert found.height == wanted.height == 8
        assert found["score"].to_numpy() == pytest.approx(wanted["score"].to_numpy(), abs=1e-3)
        assert found["address"].is_unique().all()


def test_some_segments_have_an_index_and_others_few_texts(make: Callable[..., Engine]) -> None:
    engine = make(days=2, pages=80)
    engine.ingest(visits(5, 20).filter(pl.col("time") >= START + timedelta(days=2)), type="Note")
    vectors = vectors_of(engine)
    rows = best(vectors, "visited the page", k=500, distinct=False)
    assert rows.height == engine.status()["documents"] == 220
    assert vectors.window.index_name == f"exact and {FEW.driver}:{FEW.storage}"
    assert len(files(engine, "index")) == 2
    assert rows["address"].is_unique().all()
    # of a text that both event types say each shows its own events
    both = best(vectors, "visited the page garden garden 0", k=3)
    assert both["text"].is_unique().all()


@pytest.mark.parametrize("storage", ["usearch:int8", "faiss:int8", "hnswlib", "exact:float16"])
def test_each_driver_can_be_the_index_of_a_segment(make: Callable[..., Engine], storage: str) -> None:
    engine = make()
    kind = replace(IndexKind.parse(storage), above=50)
    rows = best(vectors_of(engine, kind=kind), k=12)
    assert {e.name for e in files(engine, "index")} == {kind.driver}
    # loaded by another: what is in the manifest counts
    engine.refresh()
    assert best(vectors_of(engine, kind=kind), k=12).equals(rows)
    assert best(vectors_of(engine, kind=replace(FEW, above=900)), k=12)["score"].to_numpy() == pytest.approx(
        rows["score"].to_numpy(), abs=1e-5
    )


def test_a_kind_of_index_that_is_not_there_is_told() -> None:
    assert str(IndexKind.parse("faiss:int8")) == "faiss:int8"
    with pytest.raises(UnknownNameError, match="Did you mean 'faiss'"):
        IndexKind.parse("fais")
    with pytest.raises(UnknownNameError, match="float23"):
        IndexKind.parse("usearch:float23")


def test_late_events_without_a_new_text_leave_vectors_alone_and_others_do_not(
    make: Callable[..., Engine],
) -> None:
    engine = make()
    vectors_of(engine).index()
    before = files(engine, "vectors")
    known = visits(1, 80).with_columns(pl.col("time") + pl.duration(hours=5))
    engine.ingest(known, type="Visit")
    assert files(engine, "vectors") == before
    assert vectors_of(engine).waiting == []
    found = best(vectors_of(engine), "visited the page garden garden 0", k=1, until="2025-03-02")
    assert found["events"].to_list() == [2]
    new = visits(1, 1).with_columns(page=pl.lit("something new"))
    engine.ingest(new, type="Visit")
    assert [e.segment for e in files(engine, "vectors")] == ["2025-03-02", "2025-03-03"]
    assert [e.segment for e in files(engine, "index")] == ["2025-03-02", "2025-03-03"]
    embedder = Counting("hashing-256")
    assert vectors_of(engine, embedder).index().segments == ["2025-03-01"]
    assert embedder.asked == ["visited the page something new"]


def test_another_model_takes_the_place_of_the_one_before(make: Callable[..., Engine]) -> None:
    engine = make()
    vectors_of(engine, Counting("one")).index()
    other = vectors_of(engine, Counting("two"))
    assert len(other.waiting) == 3
    other.index()
    assert {e.meta["model"] for e in (*files(engine, "vectors"), *files(engine, "index"))} == {"two"}
    assert len(files(engine, "vectors")) == 3


def test_eviction_leaves_nothing_behind(make: Callable[..., Engine]) -> None:
    engine = make()
    vectors_of(engine).index()
    gone = [engine.path / e.path for e in engine.snapshot.manifest.files if e.segment == "2025-03-01"]
    engine.evict("2025-03-01")
    assert {e.segment for k in ("vectors", "index") for e in files(engine, k)} == {"2025-03-02", "2025-03-03"}
    found = best(vectors_of(engine), "visited the page", k=500, distinct=False)
    assert not found["address"].str.starts_with("2025-03-01").any()
    with engine.store.writer() as writer:
        for _ in range(3):
            writer.begin().commit()
        writer.collect(grace=-1)
    assert not any(path.exists() for path in gone)


def test_forgetting_takes_the_vectors_of_what_was_said(make: Callable[..., Engine]) -> None:
    engine = make()
    secret = visits(1, 1, client="anna-secret").with_columns(page=pl.lit("a secret garden"))
    engine.ingest(secret, type="Note")
    vectors_of(engine).index()
    before = {e.segment: e for e in files(engine, "vectors")}
    report = engine.forget("client:anna-secret", apply=True)
    assert report.proved
    left = {e.segment: e for e in files(engine, "vectors")}
    assert left == {day: entry for day, entry in before.items() if day != "2025-03-01"}
    assert not (engine.path / before["2025-03-01"].path).exists()
    assert best(vectors_of(engine), "secret", k=1)["text"][0] != "visited the page a secret garden"


@pytest.mark.parametrize("kind", ["vectors", "index"])
def test_what_is_damaged_is_made_again(
    make: Callable[..., Engine], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = make()
    vectors = vectors_of(engine)
    rows = best(vectors)
    (entry, *_) = files(engine, kind)
    path = engine.path / entry.path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert best(vectors_of(engine))["score"].to_numpy() == pytest.approx(
            rows["score"].to_numpy(), abs=1e-5
        )
    assert "left alone" in caplog.text
    assert [place for place, _ in engine.verify(full=True)] == [entry.path]
    report = engine.repair(apply=True)
    assert [(f.path, f.action) for f in report.findings] == [(entry.path, "derived again")]
    assert report.whole
    assert vectors_of(engine).index().indexes == [entry.segment]
    assert engine.verify(full=True) == []
    assert best(vectors_of(engine)).equals(rows)


def test_an_index_that_cannot_be_used_is_left_alone(
    make: Callable[..., Engine], caplog: pytest.LogCaptureFixture
) -> None:
    engine = make()
    rows = best(vectors_of(engine))
    with engine.store.writer() as writer:
        transaction = writer.begin()
        for entry in transaction.base.files("index"):
            transaction.remove([entry])
            data = memoryview((engine.path / entry.path).read_bytes())
            transaction.add_file(
                "index",
                data,
                segment=entry.segment,
                name="cagra",
                suffix=".index",
                rows=80,
                inputs="",
                meta=entry.meta,
            )
        transaction.commit()
    engine.refresh()
    vectors = vectors_of(engine, kind=replace(FEW, above=1_000))
    with caplog.at_level(logging.WARNING):
        assert best(vectors)["score"].to_numpy() == pytest.approx(rows["score"].to_numpy(), abs=1e-5)
    assert all("cagra" in vars(record)["reason"] for record in caplog.records)
    assert len(caplog.records) == 3


def test_search_goes_on_while_somebody_else_writes(make: Callable[..., Engine]) -> None:
    engine = make()
    generation = engine.snapshot.generation
    other = Engine(engine.path, embedder="hashing")
    # locks are those of a process: another one is played by the file
    with _Locked(engine):
        vectors = vectors_of(other)
        with pytest.raises(WriterLockedError):
            vectors.index()
        rows = best(vectors)
        assert other.store.snapshot().generation == generation
    assert best(vectors_of(engine)).equals(rows)


class _Locked:
    """The writer lock of a workspace, held by another process."""

    def __init__(self, engine: Engine) -> None:
        self._path = engine.path / "LOCK"

    def __enter__(self) -> None:
        import subprocess
        import sys

        program = (
            "import fcntl, sys\n"
            f"file = open({str(self._path)!r}, 'r+')\n"
            "fcntl.flock(file, fcntl.LOCK_EX)\n"
            "print('held', flush=True)\n"
            "sys.stdin.read()\n"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "held\n"

    def __exit__(self, *_: object) -> None:
        self._process.communicate("")


def test_a_mirror_has_them_and_is_only_read(make: Callable[..., Engine], tmp_path: Path) -> None:
    engine = make()
    rows = best(vectors_of(engine))
    engine.mirror(tmp_path / "mirror")
    mirrored = Engine(tmp_path / "mirror", embedder="hashing")
    vectors = vectors_of(mirrored, embedder := Counting("hashing-256"))
    assert best(vectors).equals(rows)
    assert embedder.asked == ["a stone by the river"]
    with pytest.raises(ReadOnlyError):
        vectors.index()


def test_segments_wait_whose_texts_a_server_has_not_given(make: Callable[..., Engine]) -> None:
    engine = make(days=1)
    embedder = Counting()
    vectors_of(engine, embedder).index()
    engine.ingest(visits(2, 80).tail(80), type="Visit")
    embedder.fails = True
    vectors = vectors_of(engine, embedder)
    done = vectors.index()
    assert (done.segments, done.waiting) == ([], ["2025-03-02"])
    assert "nobody answers" in done.reason
    assert "1 segments wait" in str(done)
    assert vectors.waiting == ["2025-03-02"]
    embedder.fails = False
    vectors._cache.rest = 0.0
    assert vectors_of(engine, embedder).index().segments == ["2025-03-02"]
