"""What ties communities together: telling edge types, weights beyond chance, entities that join."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from workbench.analysis.ties import gain, joined, telling, tied
from workbench.compute import EdgeList, backends, run

if TYPE_CHECKING:
    from numpy.typing import NDArray

ACTORS, GROUPS, THINGS, HUBS = 600, 6, 60, 8
NODES = ACTORS + THINGS + HUBS


def graph(source: Any, target: Any, weight: Any = None, nodes: int = NODES) -> EdgeList:
    pairs, place = np.unique(np.stack([source, target]), axis=1, return_inverse=True)
    weight = np.ones(len(source)) if weight is None else np.asarray(weight, float)
    ends = {"source": pairs[0].astype(np.int32), "target": pairs[1].astype(np.int32)}
    return EdgeList(pa.table({**ends, "weight": np.bincount(place, weight).astype(float)}), nodes)


def planted(seed: int) -> tuple[dict[str, EdgeList], NDArray[np.int64]]:
    """Return who touched which things, mostly those of the own group, and what everybody meets."""
    draw = np.random.default_rng(seed)
    group = draw.integers(0, GROUPS, ACTORS)
    actor = np.repeat(np.arange(ACTORS), 8)
    own = draw.random(len(actor)) < 0.8
    per = THINGS // GROUPS
    thing = np.where(
        own, group[actor] * per + draw.integers(0, per, len(actor)), draw.integers(0, THINGS, len(actor))
    )
    hubs = ACTORS + THINGS + draw.integers(0, HUBS, 2 * len(actor))
    # one who meets the same thing again and again is no closer to it than others are
    often = draw.integers(1, 50, 2 * len(actor))
    alone = np.arange(ACTORS)
    return {
        "touched": graph(actor, ACTORS + thing),
        "met": graph(np.tile(actor, 2), hubs, often),
        "came_by": graph(alone, ACTORS + alone % THINGS),
    }, group


def agreement(labels: NDArray[Any], truth: NDArray[Any]) -> float:
    from sklearn.metrics import normalized_mutual_info_score  # slow to import

    return float(normalized_mutual_info_score(truth, labels))


def communities(edges: EdgeList) -> NDArray[Any]:
    return run(backends, "cpu", "communities", edges).table["community"].to_numpy()


@pytest.mark.parametrize("seed", [0, 1])
def test_what_everybody_meets_tells_nothing(seed: int) -> None:
    types, group = planted(seed)
    kept, gains = telling(types, "cpu", 0)
    assert kept == ["touched"]
    assert gains["touched"] > 0.2
    assert max(gains["met"], gains["came_by"]) < 0.02
    whole = pa.concat_tables(edges.table for edges in types.values())
    hidden = communities(EdgeList(whole, NODES))[:ACTORS]
    found = communities(tied(types["touched"]))[:ACTORS]
    assert agreement(found, group) > 0.9
    assert agreement(hidden, group) < agreement(found, group) - 0.3


def test_a_sample_of_a_large_type_gains_what_all_of_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    types, _ = planted(2)
    whole = gain(types["touched"], "cpu", 0)
    monkeypatch.setattr("workbench.analysis.ties._SAMPLE", 2_000)
    assert gain(types["touched"], "cpu", 0) == pytest.approx(whole, abs=0.1)
    assert gain(types["met"], "cpu", 0) < 0.02


def test_stars_gain_nothing_and_what_gains_much_is_rewired_once(monkeypatch: pytest.MonkeyPatch) -> None:
    types, _ = planted(4)
    assert gain(types["came_by"], "cpu", 0) == 0.0
    much = gain(types["touched"], "cpu", 0)
    monkeypatch.setattr("workbench.analysis.ties._REWIRED", 1)
    assert gain(types["touched"], "cpu", 0) == much
    # some nodes of each side have one edge, but neither all of this side nor all of that: rewired, they mix
    groups = np.arange(300)
    mixed = graph(
        np.append(groups // 30, 10 + groups), np.append(310 + groups, 610 + groups // 30), nodes=620
    )
    assert gain(mixed, "cpu", 0) > 0.0


def test_where_no_type_tells_all_are_taken() -> None:
    types, _ = planted(3)
    chance = {"met": types["met"], "came_by": types["came_by"]}
    assert telling(chance, "cpu", 0)[0] == ["met", "came_by"]
    assert telling({"met": types["met"]}, "cpu", 0) == (["met"], {})


def test_a_tie_of_two_sides_weighs_what_is_beyond_chance() -> None:
    # two things: one that everybody has, one of two
    source, target = [0, 1, 2, 3, 0, 1], [4, 4, 4, 4, 5, 5]
    table = tied(graph(source, target, nodes=6)).table.to_pydict()
    weight = dict(zip(zip(table["source"], table["target"], strict=True), table["weight"], strict=True))
    assert weight[0, 5] == pytest.approx(np.log(12 / (2 * 2)))
    assert weight[0, 4] == pytest.approx(np.log(12 / (2 * 4)))
    assert weight[2, 4] == pytest.approx(np.log(12 / (1 * 4)))


def test_a_tie_weighs_more_with_each_shared_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(5)
    ends = draw.integers(0, 60, (2, 400))
    ends = np.sort(ends[:, ends[0] != ends[1]], axis=0)
    edges = graph(*ends, nodes=60)
    near: list[set[int]] = [set() for _ in range(60)]
    pairs = list(zip(*(edges.table[c].to_pylist() for c in ("source", "target")), strict=True))
    for a, b in pairs:
        near[a].add(b)
        near[b].add(a)
    expected = [1 + len(near[a] & near[b]) for a, b in pairs] * np.log1p(edges.table["weight"].to_numpy())
    assert tied(edges).table["weight"].to_numpy() == pytest.approx(expected)
    monkeypatch.setattr("workbench.analysis.ties._CHUNK", 7)
    assert tied(edges).table["weight"].to_numpy() == pytest.approx(expected)
    # too many to count: events alone decide
    monkeypatch.setattr("workbench.analysis.ties._MOST_STEPS", 10)
    assert tied(edges).table["weight"].to_numpy() == pytest.approx(np.log1p(edges.table["weight"].to_numpy()))


def test_a_graph_without_edges_has_no_ties() -> None:
    empty = graph([], [], nodes=3)
    assert tied(empty) is empty
    assert joined(np.arange(3, dtype=np.int32), empty, []).tolist() == [0, 1, 2]


def test_half_of_the_events_are_not_enough_to_join() -> None:
    edges = graph([0, 2], [1, 3], nodes=6)
    labels = np.array([0, 0, 2, 2, 4, 5], np.int32)
    half = graph([0, 2], [4, 4], nodes=6).table
    assert joined(labels, edges, [half]).tolist() == labels.tolist()
    more = graph([1, 0, 5], [4, 5, 4], [1, 2, 1], nodes=6).table
    # 4 has two events with one community, of four; 5 has two of three
    assert joined(labels, edges, [half, more]).tolist() == [0, 0, 2, 2, 4, 0]
