"""What signals share that look at neighbours: pairs, firsts, company, and where each of them ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier, BrokenBarrierError, RLock
from typing import Any

import numpy as np
import polars as pl
import pytest

from workbench.analysis.activity import Activity, EdgeEnd
from workbench.analysis.signals import Scope
from workbench.analysis.signals._alike import in_company
from workbench.analysis.signals._pairs import Pairs, smallest_of_each
from workbench.analysis.signals.base import evidence, once
from workbench.analysis.signals.concentration import _most_seen
from workbench.analysis.signals.crowd import _company
from workbench.analysis.signals.fresh import _brought
from workbench.analysis.signals.gathering import _company as _gathered
from workbench.analysis.signals.synchrony import _repeated, _visitors
from workbench.analysis.signals.taste import _Shared
from workbench.partials.documents import DAY_US

MINUTE, HOUR = 60_000_000, 3_600_000_000
NAMES = [f"n{i:03}" for i in range(300)]  # more than a byte tells apart


def edges(
    *rows: tuple[int, str, int], weight: int = 1, edge: str = "Met", outgoing: bool = True
) -> pl.DataFrame:
    """Return edges of actor, neighbour and time."""
    actor, neighbour, first = zip(*rows, strict=True) if rows else ((), (), ())
    return pl.DataFrame(
        {
            "actor": pl.Series(actor, dtype=pl.Int32),
            "edge": pl.Series([edge] * len(rows), dtype=pl.Enum(["Met", "Saw"])),
            "outgoing": pl.Series([outgoing] * len(rows), dtype=pl.Boolean),
            "neighbour": pl.Series(neighbour, dtype=pl.Enum(NAMES)),
            "weight": pl.Series([weight] * len(rows), dtype=pl.Int64),
            "first": pl.Series(first, dtype=pl.Int64),
            "last": pl.Series(first, dtype=pl.Int64),
            "day": pl.Series([at // DAY_US for at in first], dtype=pl.Int32),
        }
    )


def scope(table: pl.DataFrame, *ends: EdgeEnd, since: int = 0, until: int = 100 * DAY_US) -> Scope:
    made = Scope(None, "user", since, until, 0)  # type: ignore[arg-type]
    nothing = pl.DataFrame()
    keys = pl.Series([f"u{i}" for i in range(9)])
    vars(made).update(activity=Activity("user", keys, nothing, table, nothing, 0, until), new_edges=ends)
    return made


MET, SEEN, BACK, NEVER = (
    EdgeEnd("Met", True, "user", ()),
    EdgeEnd("Saw", True, "user", ()),
    EdgeEnd("Saw", False, "user", ()),
    EdgeEnd("Met", False, "user", ()),
)


@pytest.mark.parametrize("names", [3, 300])
def test_pairs_are_what_grouping_finds(names: int) -> None:
    draw = np.random.default_rng(names)
    rows = zip(draw.integers(0, 9, 500), draw.integers(0, names, 500), draw.integers(0, 99, 500), strict=True)
    table = edges(*((int(a), NAMES[n], int(t)) for a, n, t in rows))
    pairs = Pairs.of(table)
    grouped = table.group_by("actor", "neighbour").agg(pl.col("first").min(), pl.len())
    expected = grouped.sort("actor", "neighbour")
    assert len(pairs) == expected.height
    assert pairs.actor.tolist() == expected["actor"].to_list()
    assert pairs.neighbour.tolist() == expected["neighbour"].to_physical().to_list()
    first = table["first"].to_numpy()
    assert pairs.over(np.minimum, first).tolist() == expected["first"].to_list()
    assert pairs.over(np.add, np.ones(500)).tolist() == expected["len"].to_list()


def test_nobody_met_nobody() -> None:
    table = edges()
    pairs = Pairs.of(table)
    assert len(pairs) == 0
    assert not pairs.over(np.minimum, table["first"].to_numpy()).size
    assert not smallest_of_each(pairs.actor, np.zeros(0, np.int64)).size
    assert in_company(table, HOUR).height == 0
    assert _repeated(table, 0).height == 0


def test_of_equal_figures_the_first_is_the_smallest() -> None:
    group = np.array([7, 0, 7, 7, 0, 2])
    assert smallest_of_each(group, np.array([4, 9, 3, 3, 9, -5])).tolist() == [1, 5, 2]


def test_edges_are_those_of_a_type_and_direction() -> None:
    table = pl.concat(
        [
            edges((0, "n001", 1)),
            edges((0, "n002", 2), edge="Saw"),
            edges((1, "n003", 3), (1, "n004", 4), edge="Saw", outgoing=False),
        ]
    )
    met = scope(table, MET, SEEN, BACK, NEVER).met
    assert {end: part["first"].to_list() for end, part in met.items()} == {MET: [1], SEEN: [2], BACK: [3, 4]}


def test_neighbours_are_an_actor_s_own_where_most_have_one_and_are_one_s() -> None:
    alone = edges(*((i, NAMES[i], 0) for i in range(9)), (9, NAMES[8], 0))
    shared = edges(*((i, NAMES[i // 2], 0) for i in range(10)), edge="Saw")
    assert scope(pl.concat([alone, shared]), MET, SEEN).own == {MET}


def test_who_comes_alone_is_in_no_company() -> None:
    """The same turn and the next count, the one after that does not, and a neighbour is no other one."""
    table = edges(
        (0, "n000", 5 * HOUR),  # two in one turn
        (1, "n000", 6 * HOUR - 1),
        (2, "n001", 5 * HOUR),  # two in turns that follow one another
        (3, "n001", 7 * HOUR - 1),
        (4, "n002", 5 * HOUR),  # a turn lies between these
        (5, "n002", 7 * HOUR),
        (6, "n003", 9 * HOUR),  # the last turn of one, the first of all at the next
        (7, "n004", 5 * HOUR),
    )
    assert in_company(table, HOUR)["actor"].to_list() == [0, 1, 2, 3]


def test_the_first_of_all_brings_a_neighbour_except_its_own_first() -> None:
    table = edges(
        (3, "n000", 1),  # 3's own first: of two at once the first by key
        (3, "n001", 1),
        (2, "n002", 2),  # 2's own first, and the first at n002
        (4, "n002", 3),
        (5, "n003", 4),
        (4, "n004", 5),  # two at once: the first by key
        (2, "n004", 5),
        (2, "n005", 7),
        (2, "n005", 6),  # an earlier time of the same two
    )
    actor, first = _brought(Pairs.of(table), table)
    assert sorted(zip(actor.tolist(), first.tolist(), strict=True)) == [(2, 5), (2, 6), (3, 1)]


def test_the_most_seen_neighbour_is_the_first_by_key_of_several() -> None:
    table = pl.concat(
        [
            edges((0, "n009", 1), (0, "n002", 2), (1, "n005", 3), (2, "n001", 4), weight=2),
            edges((1, "n007", 5), (2, "n001", 6), weight=1),
            edges((3, "n006", 7), (3, "n004", 8), (3, "n006", 9), weight=3),
        ]
    )
    actors, every, most, neighbour = _most_seen(table)  # 1 and 2 have three sightings: too few
    assert actors.tolist() == [0, 3]
    assert every.tolist() == [4, 9]
    assert most.tolist() == [2, 6]
    assert neighbour.to_list() == ["n002", "n006"]


def test_a_crowd_is_measured_by_what_came_before_the_period() -> None:
    since = 50 * DAY_US
    table = edges(
        (0, "n000", since - 1),  # two in the past
        (1, "n000", since - 1),
        *((actor, "n000", since + 20 * HOUR) for actor in range(4)),  # four now
        (7, "n001", since),  # two where nobody was: the start belongs to the period
        (8, "n001", since),
        (9, "n002", since),
        (10, "n003", since + 20 * HOUR),  # just within two halves of the hour that follow one another
        (11, "n003", since + 21 * HOUR - 1),
    )
    met = _company(scope(table, since=since), table, HOUR)
    assert met["actor"].to_list() == [0, 1, 2, 3, 7, 8, 10, 11]
    assert met["came"].to_list() == [3] * 4 + [1] * 4
    assert met["usual"].to_list() == [1] * 4 + [0] * 4
    assert met["others"].to_list() == [2] * 4 + [1] * 4


def test_a_gathering_is_at_a_neighbour_that_is_young() -> None:
    since, before = 50 * DAY_US, 7
    table = edges(
        (0, "n000", since - before * DAY_US),  # as old as the young are
        (0, "n000", since),  # and here again
        (9, "n000", since),
        (2, "n001", since - before * DAY_US - 1),
        (3, "n001", since),
        (4, "n004", since),  # nobody else
        (1, "n002", since - 1),  # who is not here any more counts, too
        (1, "n003", since + 1),  # more others here
        (5, "n003", since + 1),
        (6, "n003", since + 1),
    )
    met = _gathered(scope(table, since=since), table, Pairs.of(table), before)
    assert met.select("actor", "others", pl.col("neighbour").cast(pl.String)).rows() == [
        (0, 1, "n000"),
        (1, 2, "n003"),
        (5, 2, "n003"),
        (6, 2, "n003"),
        (9, 1, "n000"),
    ]


def test_visitors_are_counted_by_day_in_whatever_order_edges_stand() -> None:
    table = edges(
        (0, "n000", DAY_US), (1, "n000", 0), (2, "n000", DAY_US + 1), (3, "n299", 1), (4, "n299", DAY_US)
    )
    assert _visitors(table).tolist() == [2, 1, 2, 1, 1]


def test_meetings_count_from_the_second_on_and_within_five_minutes() -> None:
    table = edges(
        *((actor, "n000", day * DAY_US + 8 * HOUR) for day in (1, 2) for actor in (0, 1)),
        *((2, "n000", day * DAY_US + 8 * HOUR + 5 * MINUTE) for day in (1, 2)),  # five minutes after them
        *((actor, "n001", 3 * DAY_US) for actor in (3, 4)),  # once
        *((5, "n002", day * DAY_US + 5 * MINUTE - 1) for day in (4, 5)),  # in the turn before
        *((6, "n002", day * DAY_US + 5 * MINUTE + 1) for day in (4, 5)),
        *((7, "n003", day * DAY_US + 2 * MINUTE) for day in (4, 5)),
        *((8, "n003", day * DAY_US + 7 * MINUTE - 1) for day in (4, 5)),  # nearly five after it
    )
    met = _repeated(table, 2 * DAY_US).sort("actor")
    assert met["actor"].to_list() == [0, 1, 5, 6, 7, 8]
    assert met["days"].to_list() == [2] * 6
    # three come to the first place on a day and two to the second, in ten of a day's minutes, twice as busy
    expected = [-np.log(visitors * 20 / 1440) for visitors in (3, 3, 2, 2, 2, 2)]
    np.testing.assert_allclose(met["surprise"].to_numpy(), expected, rtol=1e-12)
    assert _repeated(table, 2 * DAY_US + 9 * HOUR)["actor"].to_list() == [5, 6, 7, 8]  # again since then


def test_tastes_are_the_days_with_what_several_share_on_either_side_of_a_time() -> None:
    since, shared = 50 * DAY_US, NAMES[:30]
    table = edges(
        *((actor, name, 0) for actor in (0, 1, 2) for name in shared),
        *((3, name, since) for name in shared[1:]),  # the first of them is the least shared
        *((1, shared[1], at * DAY_US) for at in (1, 2)),
        (1, shared[1], since),
        (1, shared[1], since - 1),
        *((actor, "n200", 0) for actor in (0, 1)),  # two are not several
    )
    found = _Shared.of(scope(table), table, Pairs.of(table))
    assert found is not None
    past, now = found.met(before=since).toarray() ** 2, found.met(since).toarray() ** 2
    expected = np.zeros((9, 30))  # the most shared first, of equally shared ones the first by key
    expected[:3] = 1
    expected[1, 0] = 4
    np.testing.assert_allclose(past, expected)
    expected = np.zeros((9, 30))
    expected[3, :29] = expected[1, 0] = 1
    np.testing.assert_allclose(now, expected)
    few = table.filter(pl.col("neighbour") > "n000")
    assert _Shared.of(scope(few), few, Pairs.of(few)) is None


def test_evidence_is_what_is_worth_naming() -> None:
    z = np.array([1.99, 2.0, -2.5, np.nan, -1.0])
    other = pl.Series(["a", "b", "c", "d", "e"], dtype=pl.Enum(["a", "b", "c", "d", "e"]))
    found = evidence(np.arange(5), kind="peers", value=z * 2, z=z, other=other)
    assert found["actor"].to_list() == [1, 2, 3]
    assert found["other"].to_list() == ["b", "c", "d"]
    assert found["kind"].to_list() == ["peers"] * 3
    assert found["value"].to_list()[:2] == [4.0, -5.0]
    assert found["since"].is_null().all()


def test_two_threads_find_a_thing_once() -> None:
    both = Barrier(2)

    @dataclass
    class Once:
        lock: Any = field(default_factory=RLock)
        times: int = 0

        @once
        def found(self) -> int:
            self.times += 1
            try:
                both.wait(0.2)  # another that finds it at the same time would come here
            except BrokenBarrierError:
                return self.times
            return -1

    one = Once()
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: one.found, range(2))) == [1, 1]
    assert one.times == 1
    assert isinstance(Once.found, once)
