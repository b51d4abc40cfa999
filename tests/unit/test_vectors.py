"""Search by vectors over a small window, and entities that are alike; brute force is the gold."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.embedders import embedders
from workbench.engine import Engine
from workbench.errors import StorageError, UnknownNameError, UsageError
from workbench.vectors.cache import VectorCache
from workbench.vectors.corpus import read_corpus

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: visits}
spec:
  timezone: Europe/Berlin
  fields: {test_account: isTest}
  entities:
    client: {who: true, label: name}
    page: {attribute: true}
  events:
    Visit:
      entities: {client: {fields: client, properties: [name]}, page: page}
      text: "visited the page {page} with {device}"
    Failure:
      entities: {client: client}
      text: "failure: {message}"
    Beat:
      entities: {client: client}
      text: "a beat"
"""
STATIC = embedders.create("static")
START = datetime(2025, 3, 1, tzinfo=UTC)
PAGES = ("garden tools", "winter coats", "running shoes", "coffee machines", "garden chairs")
# client 0 and 1 like the garden, 2 and 3 what is worn, 4 everything
TASTES = ((0, 4), (0, 4, 4), (1, 2), (2, 1, 1), (0, 1, 2, 3, 4))


def visits(days: int = 6) -> pl.DataFrame:
    rows = [
        {
            "time": START + timedelta(days=day, hours=client, minutes=n),
            "client": f"c{client}",
            "name": f"Client {client}",
            "page": PAGES[taste],
            "device": "a phone" if n % 2 else "a desk computer",
            "isTest": "false",
            "delay": n,
        }
        for day in range(days)
        for client, tastes in enumerate(TASTES)
        for n, taste in enumerate(tastes)
    ]
    return pl.DataFrame(rows)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    root = tmp_path_factory.mktemp("visits")
    (root / "visits.yaml").write_text(SCHEMA)
    engine = Engine.create(root / "w", schema=root / "visits.yaml")
    engine.ingest(visits(), type="Visit")
    beats = pl.DataFrame(
        {"time": [START + timedelta(hours=n) for n in range(48)], "client": ["c8", "c9"] * 24}
    )
    engine.ingest(beats, type="Beat")
    failures = {
        "time": [START, START + timedelta(days=2), START + timedelta(days=2)],
        "client": ["c0", "c1", "t"],
        "message": ["connection refused", "payment declined", "payment declined"],
        "isTest": ["false", "false", "true"],
    }
    engine.ingest(pl.DataFrame(failures), type="Failure")
    return engine


def test_the_nearest_texts_come_first_each_by_its_latest_event(db: Engine) -> None:
    found = db.vectors.search("chairs for the garden", k=4)
    rows = found.to_polars()
    assert found.columns == ["address", "event_type", "time", "text", "score", "events"]
    assert set(rows["text"].head(2)) == {
        "visited the page garden chairs with a phone",
        "visited the page garden chairs with a desk computer",
    }
    assert rows["text"].n_unique() == 4
    assert rows["score"].is_sorted(descending=True)
    top = rows.row(0, named=True)
    document = db.get(top["address"])
    assert (document.event_type, document.time) == (top["event_type"], top["time"])
    says = db.sql(
        'SELECT device, count(*) AS n, max(_ts) AS last FROM "Visit" '
        "WHERE page = 'garden chairs' GROUP BY device"
    ).to_polars()
    assert (document.fields["device"], top["events"], document.time) in says.rows()


def test_every_event_of_a_text_comes_back_where_that_is_asked(db: Engine) -> None:
    rows = db.vectors.search("payment declined", k=5, distinct=False).to_polars()
    assert rows["text"][0] == "failure: payment declined"
    assert rows["score"].is_sorted(descending=True)
    assert rows["address"].is_unique().all()
    # the test account's event is left out
    assert rows.filter(pl.col("event_type") == "Failure")["events"].to_list() == [1, 1]


@pytest.mark.parametrize("k", [1, 7, 30, 1000])
@pytest.mark.parametrize("distinct", [True, False])
@pytest.mark.parametrize(
    ("conditions", "gold"),
    [
        ({}, "true"),
        ({"type": "Visit"}, "_type = 'Visit'"),
        ({"type": ["Beat", "Failure"]}, "_type IN ('Beat', 'Failure')"),
        (
            {"since": "2025-03-02", "until": "2025-03-03T12:00"},
            "_ts >= '2025-03-02' AND _ts < '2025-03-03 12:00'",
        ),
        ({"type": "Visit", "where": "delay > 1 -- or so"}, "_type = 'Visit' AND delay > 1"),
        ({"where": "client = 'c1'", "until": "2025-03-04"}, "client = 'c1' AND _ts < '2025-03-04'"),
        ({"type": "Beat", "where": "client = 'nobody'"}, "false"),
    ],
)
def test_k_rows_that_fulfil_the_conditions_come_back_where_k_exist(
    db: Engine, conditions: dict[str, Any], gold: str, k: int, distinct: bool
) -> None:
    every = "SELECT concat(_segment, '/', _id) AS address FROM events WHERE isTest IS DISTINCT FROM true AND "
    allowed = db.sql(f"{every} ({gold})").to_polars()["address"]
    rows = db.vectors.search("a garden failure", k=k, distinct=distinct, **conditions).to_polars()
    assert rows.height == min(k, len(allowed))
    assert rows["address"].is_unique().all()
    assert set(rows["address"]) <= set(allowed)


@given(st.text(alphabet="garden shoes coffee phone beat", min_size=1, max_size=30), st.integers(1, 80))
def test_search_equals_brute_force_over_all_events(db: Engine, query: str, k: int) -> None:
    vector = STATIC.embed([query])[0]
    if not vector.any():
        return
    corpus = read_corpus(db.snapshot, db.snapshot.segments)
    stored = STATIC.embed(corpus.texts["text"].to_list()).astype(np.float16)
    scores = stored.astype(np.float32) @ vector
    every = np.sort(scores[corpus.text_of])[::-1][:k]
    rows = db.vectors.search(query, k=k, distinct=False).to_polars()
    assert rows["score"].to_numpy() == pytest.approx(every, abs=1e-5)


def test_an_event_finds_others_and_not_itself(db: Engine) -> None:
    address = db.vectors.search("connection refused", k=1).to_polars()["address"][0]
    rows = db.vectors.search(address=address, k=500, distinct=False).to_polars()
    assert address not in rows["address"]
    assert rows["text"][0] == "failure: payment declined"


def test_an_entity_and_a_vector_can_be_asked_with(db: Engine) -> None:
    liked = db.vectors.search(entity="client:c0", k=2, type="Visit").to_polars()
    assert all("garden" in text for text in liked["text"])
    vector = STATIC.embed(["running shoes"])[0] * 3
    by_vector = db.vectors.search(vector=vector, k=3).to_polars()
    by_text = db.vectors.search("running shoes", k=3).to_polars()
    assert by_vector.drop("score").equals(by_text.drop("score"))
    assert by_vector["score"].to_numpy() == pytest.approx(by_text["score"].to_numpy(), abs=1e-6)


def test_entities_that_do_the_same_are_similar(db: Engine) -> None:
    found = db.vectors.similar("client:c0", k=3)
    rows = found.to_polars()
    assert found.columns == ["entity", "type", "key", "label", "score"]
    assert rows.row(0)[:4] == ("client:c1", "client", "c1", "Client 1")
    assert "client:c0" not in rows["entity"]
    assert rows["score"].is_sorted(descending=True)
    assert db.vectors.similar("client:c2", k=1).to_polars()["key"].to_list() == ["c3"]
    assert db.vectors.similar("client:c0", k=50).to_arrow().num_rows == 6


def test_an_entity_of_which_only_what_is_said_of_all_is_known_is_told(db: Engine, tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text(SCHEMA)
    engine = Engine.create(tmp_path / "w", schema=tmp_path / "v.yaml")
    beats = {"time": [START + timedelta(hours=n) for n in range(30)], "client": ["a", "b", "c"] * 10}
    engine.ingest(pl.DataFrame(beats), type="Beat")
    with pytest.raises(UsageError, match="all have the same texts"):
        engine.vectors.similar("client:a")
    with pytest.raises(UsageError, match="they say nothing"):
        engine.vectors.search(entity="client:a")


def test_more_that_are_equally_alike_are_told(tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text(SCHEMA)
    engine = Engine.create(tmp_path / "w", schema=tmp_path / "v.yaml")
    rows = [
        {
            "time": START + timedelta(minutes=n),
            "client": f"c{n:02}",
            "page": PAGES[n % 2],
            "device": "a phone",
        }
        for n in range(40)
    ]
    engine.ingest(pl.DataFrame(rows), type="Visit")
    assert "19 are at least as alike" in repr(engine.vectors.similar("client:c00", k=5))


def test_recall_is_that_of_exact_search(db: Engine) -> None:
    (row,) = db.vectors.recall(sample=500).to_polars().rows(named=True)
    assert (row["index"], row["recall"], row["k"]) == ("exact", 1.0, 10)
    assert row["vectors"] == row["queries"] == len(db.vectors.window)


def test_what_cannot_be_meant_is_told(db: Engine, tmp_path: Path) -> None:
    vectors = db.vectors
    with pytest.raises(UsageError, match="given: none"):
        vectors.search()
    with pytest.raises(UsageError, match="given: text, entity"):
        vectors.search("a", entity="client:c0")
    with pytest.raises(UsageError, match="k is 0"):
        vectors.search("a", k=0)
    with pytest.raises(UsageError, match="no word"):
        vectors.search("")
    with pytest.raises(UsageError, match="256 numbers"):
        vectors.search(vector=[1.0, 2.0])
    with pytest.raises(UsageError, match="not an address"):
        vectors.search(address="x")
    with pytest.raises(UnknownNameError, match="2025-03-01/1"):
        vectors.search(address="2025-03-01/1")
    with pytest.raises(UnknownNameError, match="Did you mean 'Visit'"):
        vectors.search("a", type="Visits")
    with pytest.raises(UsageError, match="not a time"):
        vectors.search("a", since="soon")
    with pytest.raises(UnknownNameError, match="Did you mean 'client'"):
        vectors.similar("clint:c0")
    with pytest.raises(UnknownNameError, match="client:nobody"):
        vectors.similar("client:nobody")
    wrong: list[Callable[[], object]] = [
        lambda: vectors.search(5),  # type: ignore[arg-type]
        lambda: vectors.search("a", k="a"),  # type: ignore[arg-type]
        lambda: vectors.search("a", where=5),  # type: ignore[arg-type]
        lambda: vectors.search(vector=["a"] * 256),  # type: ignore[list-item]
        lambda: vectors.similar(None),  # type: ignore[arg-type]
        lambda: vectors.similar("client:c0", k=1.5),  # type: ignore[arg-type]
        lambda: vectors.batch_knn("client", k=0),
        lambda: vectors.recall(sample=0),
        lambda: vectors.recall(sample=-3),
    ]
    for call in wrong:
        with pytest.raises(UsageError):
            call()
    empty = Engine.create(tmp_path / "empty")
    empty.ingest(pl.DataFrame({"time": [START]}), type="Visit")
    with pytest.raises(UsageError, match="text template"):
        empty.vectors.search("a")


def test_segments_whose_texts_were_never_derived_are_told(tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text(SCHEMA)
    engine = Engine.create(tmp_path / "w", schema=tmp_path / "v.yaml")
    engine.ingest(visits(2), type="Visit")
    with engine.store.writer() as writer:
        transaction = writer.begin()
        transaction.remove(engine.snapshot.files("texts", segments=["2025-03-02"]))
        transaction.commit()
    engine.refresh()
    with pytest.raises(StorageError, match="2025-03-02"):
        engine.vectors.search("garden")
    engine.ingest(visits(2), type="Visit")
    assert engine.vectors.search("garden", k=1).to_arrow().num_rows == 1


def test_texts_of_the_window_are_those_of_a_rebuild(tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text(SCHEMA)
    rows = visits(3)
    found = []
    for name, frames in (("batches", [rows[1::3], rows[::3], rows[2::3]]), ("once", [rows])):
        engine = Engine.create(tmp_path / name, schema=tmp_path / "v.yaml")
        for frame in frames:
            engine.ingest(frame, type="Visit")
        corpus = read_corpus(engine.snapshot, engine.snapshot.segments)
        found.append((corpus.texts, corpus.postings))
    assert found[0][0].equals(found[1][0])
    assert found[0][1].equals(found[1][1])


def test_the_nearest_others_of_all_at_once(db: Engine) -> None:
    pairs = db.vectors.batch_knn("client", k=2).to_polars()
    assert pairs.columns == ["edge", "source", "target", "place", "similarity"]
    assert (pairs["source"] != pairs["target"]).all()
    for key in ("c0", "c2"):
        one = db.vectors.similar(f"client:{key}", k=2).to_polars()
        mine = pairs.filter(pl.col("source") == f"client:{key}")
        assert mine["similarity"].to_numpy() == pytest.approx(one["score"].to_numpy(), abs=1e-5)
        assert mine["place"].to_list() == [1, 2]
    texts = db.vectors.batch_knn(k=3).to_polars()
    assert texts["source"].n_unique() == len(db.vectors.window)
    assert (texts["source"] != texts["target"]).all()
    assert texts.height == 3 * len(db.vectors.window)
    with pytest.raises(UnknownNameError, match="Did you mean 'client'"):
        db.vectors.batch_knn("clint")


# the cache


class Counting(embedders.load("hashing")):  # type: ignore[misc]
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Any) -> Any:
        self.asked += texts
        return super().encode(texts)


def test_a_text_is_embedded_once_for_good(tmp_path: Path) -> None:
    first = Counting()
    cache = VectorCache(tmp_path, first)
    vectors = cache.embed(["a b", "c", "a b"])
    assert first.asked == ["a b", "c"]
    assert np.array_equal(vectors, embedders.create("hashing").embed(["a b", "c", "a b"]))
    second = Counting()
    again = VectorCache(tmp_path, second).embed(["c", "d", "a b"])
    assert second.asked == ["d"]
    assert np.array_equal(again, embedders.create("hashing").embed(["c", "d", "a b"]))
    # many small files become one
    for number in range(20):
        VectorCache(tmp_path, second).embed([f"text {number}"])
    assert len(list(tmp_path.rglob("*.parquet"))) <= 8
    assert not list(tmp_path.rglob("*.tmp"))
    third = Counting()
    VectorCache(tmp_path, third).embed([f"text {number}" for number in range(20)])
    assert third.asked == []


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    VectorCache(tmp_path, Counting()).embed(["a"])
    (path,) = tmp_path.rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-30])
    again = Counting()
    assert np.array_equal(VectorCache(tmp_path, again).embed(["a"]), embedders.create("hashing").embed(["a"]))
    assert again.asked == ["a"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_where_nothing_can_be_written_vectors_are_made_each_time(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    assert VectorCache(tmp_path / "x", Counting()).embed(["a"]).shape == (1, 256)


def test_where_the_folder_cannot_be_made_vectors_are_made_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for _ in range(2):
        embedder = Counting()
        assert VectorCache(tmp_path / "file", embedder).embed(["a"]).shape == (1, 256)
        assert embedder.asked == ["a"]
