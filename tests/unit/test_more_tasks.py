"""Tasks by hand: what goes together, lasting numbers, ranks that move, the graph, what events say."""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from schemas import USES
from scipy.stats import chi2, chi2_contingency

from workbench.analysis.cooccurrence import cooccurring
from workbench.analysis.insights import TELLERS
from workbench.analysis.stable import lasting
from workbench.engine import Engine
from workbench.errors import UnknownNameError
from workbench.knowledge import Knowledge, Run

if TYPE_CHECKING:
    from pathlib import Path


def play(day: int, member: str, game: str, platform: str = "web", hour: int = 8) -> dict[str, str]:
    time = f"2025-06-{day:02}T{hour:02}:00:00Z"
    return {"time": time, "member": member, "game": game, "platform": platform}


def workspace(folder: Path, *plays: dict[str, str]) -> Engine:
    (folder / "tiny.yaml").write_text(USES)
    engine = Engine.create(folder / "w", schema=folder / "tiny.yaml")
    engine.ingest(pa.Table.from_pylist(list(plays)), type="Play")
    return engine


def rows(result: Any, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[n] for n in names) for row in result.to_arrow().to_pylist()]


class TestCooccurrence:
    def test_figures_are_those_of_the_table_of_two_by_two(self) -> None:
        # of 20 actors 6 have x, 8 have u, 5 have both; all have something of each kind
        one = pl.DataFrame({"actor": range(20), "name": ["x"] * 6 + ["y"] * 14})
        other = pl.DataFrame({"actor": range(20), "name": ["v"] + ["u"] * 8 + ["v"] * 11})
        (row,) = [r for r in cooccurring(one, other, 1).to_dicts() if (r["first"], r["second"]) == ("x", "u")]
        table = [[5, 1], [3, 11]]
        g, p, _, _ = chi2_contingency(table, correction=False, lambda_="log-likelihood")
        assert (row["together"], row["first_actors"], row["second_actors"], row["actors"]) == (5, 6, 8, 20)
        assert row["lift"] == pytest.approx(5 * 20 / (6 * 8))
        assert row["pmi"] == pytest.approx(math.log2(5 * 20 / (6 * 8)))
        assert row["npmi"] == pytest.approx(row["pmi"] / -math.log2(5 / 20))
        assert (row["g"], row["p"]) == (pytest.approx(g), pytest.approx(p))
        assert row["p"] == pytest.approx(chi2.sf(row["g"], 1))

    def test_support_decides_and_a_kind_is_not_paired_with_itself(self) -> None:
        had = pl.DataFrame({"actor": [1, 1, 2, 2, 3, 3], "name": ["a", "b", "a", "b", "a", "c"]})
        found = cooccurring(had, had, 1, same=True)
        assert set(found.select("first", "second").rows()) == {("a", "b"), ("a", "c")}
        assert cooccurring(had, had, 2, same=True).select("first", "second").rows() == [("a", "b")]
        assert found["npmi"].is_between(-1, 1).all()

    def test_what_nobody_has_is_no_pair(self) -> None:
        none = pl.DataFrame(schema={"actor": pl.Int64, "name": pl.String})
        assert cooccurring(none, none, 1).height == 0

    def test_the_task_pairs_what_actors_have(self, tmp_path: Path) -> None:
        slots = [play(10, f"s{n}", "slots", "phone") for n in range(10)]
        tables = [play(10, f"t{n}", "table", "desk") for n in range(10)]
        with workspace(tmp_path, *slots, *tables) as db:
            found = db.compute("cooccurrence")
            assert set(rows(found, "first_type", "first", "second", "together")) == {
                ("game", "game:slots", "platform:phone", 10),
                ("game", "game:table", "platform:desk", 10),
            }
            (db.path / "schema" / "features.yaml").write_text(
                "apiVersion: workbench/v1\nkind: FeatureConfig\nmetadata: {id: f}\n"
                "spec: {pairs: [[platform, gaem]]}\n"
            )
        with Engine(tmp_path / "w") as db, pytest.raises(UnknownNameError, match="gaem"):
            db.compute("cooccurrence")


class TestLastingNumbers:
    def test_a_group_keeps_the_number_of_what_it_grew_out_of(self) -> None:
        earlier = pl.DataFrame({"entity": list("abcdef"), "group": [0, 0, 0, 1, 1, 7]})
        now = pl.DataFrame({"entity": list("deabcxy"), "group": [0, 0, 1, 1, 1, 2, 2]})
        kept = lasting(now, earlier, 8)
        assert kept.numbers.rows() == [(0, 1), (1, 0), (2, 8)]
        assert kept.metrics == {"next_number": 9, "kept": 2, "new": 1, "gone": 1, "moved": 0}

    def test_of_a_group_that_splits_the_larger_part_keeps_the_number(self) -> None:
        earlier = pl.DataFrame({"entity": list("abcde"), "group": [3] * 5})
        now = pl.DataFrame({"entity": list("abcde"), "group": [0, 0, 0, 1, 1]})
        kept = lasting(now, earlier, 4)
        assert kept.numbers.rows() == [(0, 3), (1, 4)]
        assert kept.metrics["moved"] == pytest.approx(2 / 5)

    def test_nothing_is_lasting_too(self) -> None:
        none = pl.DataFrame(schema={"entity": pl.String, "group": pl.Int32})
        assert lasting(none, None).metrics == {"next_number": 0}
        assert lasting(none, none, 3).metrics["next_number"] == 3

    def test_communities_keep_their_numbers_from_run_to_run(self, tmp_path: Path) -> None:
        first = [play(10, m, "x") for m in "abc"] + [play(10, m, "y") for m in "de"]
        with workspace(tmp_path, *first) as db:
            before = dict(rows(db.compute("communities"), "entity", "community"))
            assert (before["game:x"], before["game:y"]) == (0, 1)
            # y's circle is the larger one now, and there is a third
            later = [play(11, m, "y") for m in "fghij"] + [play(11, m, "z") for m in "kl"]
            db.ingest(pa.Table.from_pylist(later), type="Play")
            found = db.compute("communities")
            after = dict(rows(found, "entity", "community"))
        assert (after["game:x"], after["game:y"], after["game:z"]) == (0, 1, 2)
        assert found.to_polars()["community"][0] == 1  # the largest comes first
        assert found.run.metrics["moved"] == 0

    @pytest.mark.parametrize("method", ["leiden", "louvain", "label_propagation"])
    def test_communities_by_each_method(self, tmp_path: Path, method: str) -> None:
        plays = [play(10, m, "x") for m in "abc"] + [play(10, m, "y") for m in "de"]
        with workspace(tmp_path, *plays) as db:
            found = db.compute("communities", method=method)
        assert found.run.algorithm == method
        assert dict(rows(found, "entity", "size"))["game:x"] == 4


def test_ranks_that_move(tmp_path: Path) -> None:
    with workspace(tmp_path, *(play(10, m, "x") for m in "abc"), play(10, "d", "y")) as db:
        first = db.compute("pagerank")
        assert set(rows(db.compute("rank_shifts"), "change")) == {("new",)}
        db.ingest(pa.Table.from_pylist([play(11, m, "y") for m in "efghi"]), type="Play")
        db.compute("pagerank")
        found = {r["entity"]: r for r in db.compute("rank_shifts").to_arrow().to_pylist()}
        few = db.compute("rank_shifts", most_places=1)
    assert (found["game:y"]["place_before"], found["game:y"]["place"], found["game:y"]["shift"]) == (2, 1, 1)
    assert (found["game:y"]["change"], found["game:x"]["change"]) == ("rose", "fell")
    assert found["member:e"]["change"] == "new"
    assert found["game:x"]["rank_before"] == dict(rows(first, "entity", "rank"))["game:x"]
    assert {entity for (entity,) in rows(few, "entity")} >= {"game:x", "game:y"}
    assert "member:i" not in {entity for (entity,) in rows(few, "entity")}


class TestGraph:
    # a star of three around x, and d alone with y
    def test_centrality_of_a_star(self, tmp_path: Path) -> None:
        plays = [play(10, m, "x") for m in "abc"] + [play(10, "d", "y"), play(10, "d", "y", hour=9)]
        with workspace(tmp_path, *plays) as db:
            found = db.compute("centrality")
        by = {r["entity"]: r for r in found.to_arrow().to_pylist()}
        assert (by["game:x"]["degree"], by["game:x"]["core"], by["game:y"]["strength"]) == (3, 1, 2.0)
        # 3 pairs of leaves pass x, of (6 - 1)(6 - 2) / 2 pairs that could
        assert by["game:x"]["betweenness"] == pytest.approx(3 / 10)
        assert by["member:a"]["betweenness"] == 0
        assert found.run.metrics["error"] == 0
        assert rows(found, "entity")[0] == ("game:x",)

    def test_sampled_centrality_states_its_error(self, tmp_path: Path) -> None:
        with workspace(tmp_path, *(play(10, f"m{n}", "x") for n in range(40))) as db:
            sampled = db.compute("centrality", samples=20)
            forced = db.compute("centrality", exact_nodes=1)
        assert 0 < sampled.run.metrics["error"] < 1
        assert sampled.run.metrics["sources"] == 20
        assert forced.run.metrics["sources"] == 41  # more sources than nodes are all of them

    def test_figures_of_the_whole_graph(self, tmp_path: Path) -> None:
        plays = [play(10, m, "x") for m in "abc"] + [play(10, "d", "y")]
        with workspace(tmp_path, *plays) as db:
            found = {
                (r["metric"], r["type"]): (r["value"], r["error"])
                for r in db.compute("graph_statistics").to_arrow().to_pylist()
            }
            few = (
                db.compute("graph_statistics", sources=2).to_polars().filter(pl.col("metric") == "mean_hops")
            )
        assert found["nodes", "member"] == (4, 0)
        assert found["edges", "Played"] == (4, 0)
        assert found["components", None] == (2, 0)
        assert found["degree_max", "platform"] == (4, 0)
        # from x 1, 1, 1; from a leaf 1, 2, 2; from d and y 1
        assert found["mean_hops", None] == (pytest.approx((1 + 3 * 5 / 3 + 1 + 1) / 6), 0)
        assert few["error"][0] >= 0


class TestTexts:
    def test_events_that_say_alike_things(self, tmp_path: Path) -> None:
        plays = [play(10, f"m{n}", "red fruit slot machine") for n in range(6)]
        plays += [play(10, f"t{n}", "poker card table room") for n in range(6)]
        plays += [play(9, "old", "red fruit slot machine")]
        with workspace(tmp_path, *plays) as db:
            found = db.compute("event_clusters")
            dense = db.compute("event_clusters", method="hdbscan")
            few = db.compute("event_clusters", most_texts=1)
            with pytest.raises(UnknownNameError, match="method"):
                db.compute("event_clusters", method="kmeans")
        table = found.to_polars()
        assert table["events"].to_list() == [6, 6]  # the old one is a day and a moment old
        assert (table["cluster"] >= 0).all()
        assert set(dense.to_polars()["cluster"]) == {-1}  # two texts are no crowd
        assert few.run.metrics["left_out"] == 1
        assert few.to_polars()["share"].sum() < 1

    def test_actors_that_are_alike(self, tmp_path: Path) -> None:
        plays = [play(10, f"s{n}", "red fruit slot machine") for n in range(3)]
        plays += [play(10, f"t{n}", "poker card table room") for n in range(3)]
        with workspace(tmp_path, *plays) as db:
            found = db.compute("similarity", k=2).to_polars()
            many = db.compute("similarity", k=2, most_exact=4)
        assert set(found["edge"]) == {"SimilarTo"}
        assert found.height == 6 * 2
        near = found.filter(pl.col("source") == "member:s0")
        assert set(near["target"]) == {"member:s1", "member:s2"}
        assert near["similarity"].to_list() == pytest.approx([1.0, 1.0], abs=1e-5)
        assert many.run.metrics == {"k": 2, "recall": 1, "left_out": 0}
        assert set(many.to_polars()["source"]) == set(found["source"])

    def test_of_many_actors_the_alike_are_found_without_comparing_all(self, tmp_path: Path) -> None:
        pytest.importorskip("faiss")
        draw = np.random.default_rng(5)
        words = [
            "red",
            "fruit",
            "poker",
            "card",
            "sea",
            "moon",
            "gold",
            "tiger",
            "wheel",
            "dice",
            "jungle",
            "star",
        ]
        plays = [play(10, f"m{n}", " ".join(draw.choice(words, 4))) for n in range(2_400)]
        plays += [play(10, f"twin{n}", "wild pirate treasure") for n in range(30)]
        with workspace(tmp_path, *plays) as db:
            exact = db.compute("similarity", k=3)
            first, again = (db.compute("similarity", k=3, most_exact=most, seed=2) for most in (1_000, 1_001))
        figures = first.run.metrics
        assert figures["recall"] >= 0.95
        assert figures["left_out"] == 0
        every, found = exact.to_polars(), first.to_polars()
        assert found.height == every.height == 2_430 * 3
        assert found.equals(again.to_polars())
        # place by place they are as alike as those of all comparisons, but for a few
        less = every["similarity"].to_numpy() - found["similarity"].to_numpy()
        assert (less <= 1e-5).mean() >= 0.95
        twins = found.filter(pl.col("source").str.starts_with("member:twin"))
        assert twins["target"].str.starts_with("member:twin").all()

    def test_a_sample_is_compared_where_no_device_can_do_more(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plays = [play(10, f"s{n}", "red fruit slot machine") for n in range(3)]
        plays += [play(10, f"t{n}", "poker card table room") for n in range(3)]
        monkeypatch.setitem(sys.modules, "faiss", None)
        with workspace(tmp_path, *plays) as db:
            run = db.compute("similarity", most_exact=4, device="cpu").run
        assert run.metrics == {"k": 3, "recall": 1, "left_out": 2}
        assert "needs faiss-cpu, not installed; it comes with the extra 'vectors'" in run.fallback


class TestStreamingClusters:
    def test_centres_follow_what_comes(self, tmp_path: Path) -> None:
        quiet = [play(10, f"q{n}", "x") for n in range(20)]
        loud = [play(10, f"l{n}", f"g{g}", hour=g % 24) for n in range(20) for g in range(20)]
        with workspace(tmp_path, *quiet, *loud) as db:
            db.compute("clusters")
            k = int(db.knowledge.read("clusters").run.metrics["k"])
            first = db.compute("streaming_clusters")
            assert first.run.metrics["k"] == k
            db.ingest(pa.Table.from_pylist([play(11, f"q{n}", "x") for n in range(20)]), type="Play")
            second = db.compute("streaming_clusters")
            assert second.run.metrics == {"k": k, "actors": 20}
            weights = [
                f.to_polars().group_by("cluster").agg(pl.col("weight").first()) for f in (first, second)
            ]
        assert weights[0]["weight"].sum() == 40
        # 40 that are a day old count half or a little more, and 20 are new
        assert 40 < weights[1]["weight"].sum() < 60
        assert set(second.to_polars()["cluster"]) == set(first.to_polars()["cluster"])

    def test_there_are_ten_before_a_full_run_and_one_of_one_actor(self, tmp_path: Path) -> None:
        with workspace(tmp_path, play(10, "a", "x")) as db:
            assert db.compute("streaming_clusters").run.metrics == {"k": 1, "actors": 1}
            many = [play(11, f"m{n}", f"g{g}", hour=g % 24) for n in range(30) for g in range(n)]
            db.ingest(pa.Table.from_pylist(many), type="Play")
            assert db.compute("streaming_clusters").run.metrics["k"] == 10


class TestInsights:
    def test_a_class_is_told_when_it_is_entered_and_when_it_is_left(self) -> None:
        told = list(TELLERS["anomalies"](None, anomalies(("a", "anomalous", 0.6), ("b", "mild", 0.4))))
        assert [(r["subject"], r["severity"], r["before"], r["after"]) for r in told] == [
            ("a", "significant", "normal", "anomalous")
        ]
        old = anomalies(("a", "anomalous", 0.6), ("b", "mild", 0.4), ("c", "highly anomalous", 0.9))
        new = anomalies(("a", "anomalous", 0.65), ("b", "highly anomalous", 0.8), ("c", "normal", 0.1))
        told = list(TELLERS["anomalies"](old, new))
        assert [(r["subject"], r["severity"], r["before"], r["after"]) for r in told] == [
            ("b", "critical", "mild", "highly anomalous"),
            ("c", "info", "highly anomalous", "normal"),
        ]
        assert told[0]["text"] == "because"
        gone = list(TELLERS["anomalies"](old, anomalies(("a", "anomalous", 0.6))))
        assert [(r["subject"], r["after"]) for r in gone] == [("c", "normal")]

    def test_groups_that_come_go_and_change(self) -> None:
        tell = TELLERS["communities"]
        old = groups({0: 40, 1: 20, 2: 12, 3: 4})
        new = groups({0: 44, 1: 8, 3: 2, 4: 15}, moved=0.3)
        assert list(tell(None, new)) == []
        assert [(r["title"], r["before"], r["after"]) for r in tell(old, new)] == [
            ("Community 1 shrank", "20", "8"),
            ("Community 4 is new", "0", "15"),
            ("Community 2 is gone", "12", "0"),
            ("30% moved to another community", "", "0.300"),
        ]

    def test_each_is_told_once_and_labels_say_what_groups_are(self, tmp_path: Path) -> None:
        plays = [play(10, f"m{n}", "x") for n in range(12)] + [play(10, f"n{n}", "y") for n in range(4)]
        with workspace(tmp_path, *plays) as db:
            for task in ("communities", "pagerank", "rank_shifts"):
                db.compute(task)
            assert db.compute("insights").run.metrics["insights"] == 0  # there is nothing to compare with yet
            labels = rows(db.compute("labels"), "kind", "group", "size", "label", "source")
            assert labels[0] == (
                "communities",
                0,
                13,
                "around game:x and member:m0: 12 member, 1 game",
                "template",
            )
            db.ingest(pa.Table.from_pylist([play(11, f"n{n}", "y") for n in range(40)]), type="Play")
            for task in ("communities", "pagerank", "rank_shifts"):
                db.compute(task)
            found = db.compute("insights").to_polars()
            assert ("Community 1 grew", "template") in found.select("title", "source").rows()
            db.ingest(pa.Table.from_pylist([play(12, "z", "z")]), type="Play")
            assert db.compute("insights").to_polars().height == 0

    def test_trends_sequences_and_ranks(self) -> None:
        now = datetime(2025, 6, 10, tzinfo=UTC)
        episode = {
            "metric": "events",
            "dimension": None,
            "value": None,
            "resolution": "hour",
            "since": now,
            "until": now,
            "observed": 90.0,
            "expected": 30.0,
            "excess": 60.0,
        }
        old = result("trends", pl.DataFrame([{**episode, "severity": "significant"}]))
        new = result("trends", pl.DataFrame([{**episode, "severity": "critical"}]))
        (told,) = TELLERS["trends"](old, new)
        assert (told["title"], told["severity"], told["before"]) == (
            "More events than usual",
            "critical",
            "significant",
        )
        assert list(TELLERS["trends"](new, new)) == []
        assert len(list(TELLERS["trends"](None, new))) == 1
        pattern = {"pattern": "L → E", "length": 2, "class": "other", "support": 0, "support_before": 9}
        (told,) = TELLERS["sequences"](
            None, result("sequences", pl.DataFrame([{**pattern, "change": "vanished"}]))
        )
        assert told["title"] == "L → E is no longer frequent"
        rank = pl.DataFrame(
            {"entity": ["a", "b", "c"], "place": [3, 30, None], "place_before": [30, 3, 4]},
            schema={"entity": pl.String, "place": pl.Int64, "place_before": pl.Int64},
        )
        assert [r["title"] for r in TELLERS["rank_shifts"](None, result("rank_shifts", rank))] == [
            "a came into the first 10",
            "b left the first 10",
            "c left the first 10",
        ]


def result(kind: str, table: pl.DataFrame, **metrics: float) -> Knowledge:
    run = Run(
        *("r", kind, "", {}, 0, "cpu", "", {}, ("2025-06-10", "2025-06-10", 1), "", "2025-06-10", "", 0.0),
        metrics,
    )
    return Knowledge(run, table.to_arrow())


def anomalies(*actors: tuple[str, str, float]) -> Knowledge:
    table = [{"entity": e, "class": c, "score": s, "why": "because"} for e, c, s in actors]
    return result("anomalies", pl.DataFrame(table))


def groups(sizes: dict[int, int], **metrics: float) -> Knowledge:
    table = pl.DataFrame({"community": list(sizes), "size": list(sizes.values())})
    return result("communities", table, **metrics)
