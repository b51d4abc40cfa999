"""The generated world: days that hang on nothing but the seed, and each anomaly as the truth says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from workbench.samples.gaming.anomalies import KINDS
from workbench.samples.gaming.batch import TYPES
from workbench.samples.gaming.days import day
from workbench.samples.gaming.population import HUB, ZONES
from workbench.samples.gaming.truth import truth
from workbench.samples.gaming.visits import DAY
from workbench.samples.gaming.world import build

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.samples.gaming.world import World

DAYS, EVENTS = 21, 20_000
LOGIN, GAME, ERROR, POPUP = TYPES


def made(*, anomalies: bool, seed: int = 17) -> World:
    return build(
        seed, days=DAYS, events_per_day=EVENTS, members=None, start=date(2025, 6, 2), anomalies=anomalies
    )


@dataclass(frozen=True)
class Log:
    """A world with all its events, times counted from the log's first midnight."""

    world: World
    events: pl.DataFrame

    @classmethod
    def of(cls, world: World) -> Log:
        epoch = int(np.datetime64(world.start, "us").astype(np.int64))
        parts = []
        for number in range(world.days):
            for name, batch in day(world, number).items():
                columns: dict[str, Any] = {
                    column: getattr(batch, column) for column in ("member", "device", "visit", "subject")
                }
                frame = pl.DataFrame({"ts": batch.ts - epoch, **columns}).with_columns(
                    pl.lit(name).alias("type"), pl.lit(number).alias("day")
                )
                success = batch.detail.get("success")
                frame = frame.with_columns(
                    pl.Series("success", success) if success is not None else pl.lit(None).alias("success")
                )
                parts.append(frame.cast({"success": pl.Boolean}))
        return cls(world, pl.concat(parts))

    def of_act(self, act: Any) -> pl.DataFrame:
        """Return the events of an anomaly's member within its span, and of visits that reach beyond it."""
        visits = self.events.filter(
            (pl.col("member") == int(act["member"]))
            & (pl.col("ts") >= int(act["start"]))
            & (pl.col("ts") < int(act["end"]))
        )
        return visits.sort("ts", maintain_order=True)


@pytest.fixture(scope="module")
def odd() -> Log:
    return Log.of(made(anomalies=True))


@pytest.fixture(scope="module")
def plain() -> Log:
    return Log.of(made(anomalies=False))


def acts(log: Log, kind: str) -> NDArray[Any]:
    code = [k.name for k in KINDS].index(kind)
    found: NDArray[Any] = log.world.acts[log.world.acts["kind"] == code]
    assert len(found)
    return found


def test_a_day_is_the_same_whenever_it_is_asked_for() -> None:
    first, second = made(anomalies=True), made(anomalies=True)
    later = {n: day(first, n) for n in (9, 3)}
    for number in (3, 9):
        for name, batch in day(second, number).items():
            other = later[number][name]
            for column in ("ts", "member", "device", "visit", "subject"):
                assert np.array_equal(getattr(batch, column), getattr(other, column))
            assert batch.detail.keys() == other.detail.keys()
            assert all(np.array_equal(batch.detail[k], other.detail[k]) for k in batch.detail)


def test_another_seed_is_another_log(odd: Log) -> None:
    other = day(made(anomalies=True, seed=18), 4)[GAME]
    assert not np.array_equal(other.member, day(odd.world, 4)[GAME].member)


def test_times_do_not_fall_and_stay_within_their_day(odd: Log) -> None:
    for number in (0, 11, DAYS - 1):
        epoch = int(np.datetime64(odd.world.start, "us").astype(np.int64))
        for batch in day(odd.world, number).values():
            assert (np.diff(batch.ts) >= 0).all()
            assert batch.ts.min() >= epoch + number * DAY
            assert batch.ts.max() < epoch + (number + 1) * DAY


def test_volumes_are_near_the_rate_and_shares_near_those_of_the_platform(plain: Log) -> None:
    share = plain.events["type"].value_counts(normalize=True)
    found = dict(share.iter_rows())
    for name, wanted in ((LOGIN, 57), (GAME, 308), (ERROR, 421), (POPUP, 172)):
        assert found[name] == pytest.approx(wanted / 958, rel=0.25)
    assert plain.events.height / DAYS == pytest.approx(EVENTS, rel=0.1)
    daily = plain.events.filter(pl.col("member") >= 0).group_by("day").agg(pl.col("member").n_unique())
    assert daily["member"].mean() == pytest.approx(EVENTS * 50 / 958, rel=0.2)


def test_a_visit_is_one_members_and_pauses_for_at_most_half_an_hour(odd: Log) -> None:
    visits = odd.events.sort("visit", "ts").group_by("visit", maintain_order=True)
    found = visits.agg(
        pl.col("member").filter(pl.col("member") >= 0).n_unique().alias("members"),
        pl.col("device").n_unique().alias("devices"),
        pl.col("ts").diff().max().alias("pause"),
    )
    assert found["members"].max() == 1
    assert found["devices"].max() == 1
    assert 60_000_000 < found["pause"].max() <= 30 * 60_000_000  # type: ignore[operator]


def test_some_visits_cross_midnight_in_one_piece(plain: Log) -> None:
    crossing = plain.events.group_by("visit").agg(pl.col("day").n_unique().alias("days"), pl.len())
    assert set(crossing["days"]) == {1, 2}


def test_members_come_by_the_clock_of_their_zone(plain: Log) -> None:
    zones = plain.world.members.zone
    events = plain.events.filter(pl.col("member") >= 0)
    tokyo = [name for name, _ in ZONES].index("Asia/Tokyo")
    local = events.filter(pl.Series(zones)[events["member"].to_numpy()] == tokyo)
    hour = (local["ts"] // 3_600_000_000 + 9) % 24
    counts = np.bincount(hour.to_numpy(), minlength=24)
    assert counts[19:23].sum() > 3 * counts[3:7].sum()


def test_members_play_their_communitys_games_and_everybodys(plain: Log) -> None:
    games = plain.events.filter(pl.col("type") == GAME)
    of_game = plain.world.games.community[games["subject"].to_numpy()]
    own = of_game == plain.world.members.community[games["member"].to_numpy()]
    communities = len(np.unique(plain.world.games.community)) - 1
    assert own.mean() > 4 / communities
    assert (of_game == HUB).mean() > 0.1


def test_what_is_not_planned_stays_the_same_with_and_without_anomalies(odd: Log, plain: Log) -> None:
    involved = np.flatnonzero(odd.world.involved)
    assert not plain.world.involved.any()
    visits = odd.events.filter(pl.col("member").is_in(involved))["visit"].unique()
    before = plain.events.filter(pl.col("member").is_in(involved))["visit"].unique()
    either = pl.concat([visits, before]).implode()
    order = ["day", "type", "ts", "visit", "subject", "device"]
    left, right = (
        log.events.filter(~pl.col("visit").is_in(either) & ~pl.col("member").is_in(involved)).sort(order)
        for log in (odd, plain)
    )
    assert left.height > 0.9 * plain.events.height
    # of visits in which a member never logged in nobody knows whose they are: those may differ
    known = [
        frame.filter(pl.col("member").max().over("visit") >= 0).select(*order, "member")
        for frame in (left, right)
    ]
    assert known[0].equals(known[1])


def test_a_thief_comes_from_a_device_of_his_own(odd: Log, plain: Log) -> None:
    found = [(odd.of_act(act), plain.of_act(act), act) for act in acts(odd, "account takeover")]
    used = [(with_["device"] == int(act["device"])).sum() for with_, _, act in found]
    assert sum(number > 0 for number in used) > len(used) / 2
    assert all(not (without["device"] == int(act["device"])).any() for _, without, act in found)
    assert any((with_["success"] == False).any() for with_, _, _ in found)  # noqa: E712


def test_a_bot_keeps_an_even_pace_and_plays_one_game(odd: Log, plain: Log) -> None:
    def unevenness(events: pl.DataFrame) -> float:
        gaps = events.select(pl.col("ts").diff().over("visit").alias("gap")).drop_nulls()["gap"]
        return float(gaps.std() / gaps.mean()) if len(gaps) > 5 else float("nan")  # type: ignore[operator]

    strong = [act for act in acts(odd, "bot") if act["strength"] > 0.4]
    pairs = [(unevenness(odd.of_act(act)), unevenness(plain.of_act(act))) for act in strong]
    pairs = [pair for pair in pairs if not np.isnan(pair).any()]
    assert pairs
    assert all(machine < 0.7 * person for machine, person in pairs)
    games = [(odd.of_act(act).filter(pl.col("type") == GAME)["subject"], int(act["game"])) for act in strong]
    assert np.mean([(played == game).mean() for played, game in games if len(played)]) > 0.5


def test_a_farms_accounts_come_from_one_device_and_never_otherwise(odd: Log, plain: Log) -> None:
    farm = acts(odd, "device farm")
    accounts = [int(m) for m in farm["member"]]
    assert plain.events.filter(pl.col("member").is_in(accounts)).is_empty()
    events = odd.events.filter(pl.col("member").is_in(accounts))
    assert set(events["device"]) == set(farm["device"].tolist())
    assert events["member"].n_unique() > 0.8 * len(accounts)


def test_stuffing_fails_to_log_many_members_in_from_few_devices(odd: Log) -> None:
    stuffing = acts(odd, "credential stuffing")
    devices = {
        int(d) + n
        for d, number in zip(stuffing["device"], stuffing["devices"], strict=True)
        for n in range(number)
    }
    logins = odd.events.filter((pl.col("type") == LOGIN) & pl.col("device").is_in(devices))
    assert logins["member"].n_unique() > 4 * 1
    assert logins["success"].mean() < 0.4  # type: ignore[operator]


def test_who_churns_hardly_comes_any_more(odd: Log, plain: Log) -> None:
    churn = acts(odd, "silent churn")
    after = sum(odd.of_act(act).height for act in churn)
    assert after < 0.2 * sum(plain.of_act(act).height for act in churn)


def test_a_spree_is_far_more_than_usual(odd: Log, plain: Log) -> None:
    spree = acts(odd, "spree")
    assert sum(odd.of_act(a).height for a in spree) > 2 * sum(plain.of_act(a).height for a in spree)


@pytest.mark.parametrize(
    ("kind", "type_", "field"),
    [("error storm", ERROR, "error"), ("popup fraud", POPUP, "popup"), ("ring", GAME, "game")],
)
def test_what_it_is_about_comes_again_and_again(
    odd: Log, plain: Log, kind: str, type_: str, field: str
) -> None:
    def times(log: Log) -> int:
        return sum(
            log.of_act(act).filter((pl.col("type") == type_) & (pl.col("subject") == int(act[field]))).height
            for act in acts(odd, kind)
        )

    assert times(odd) > 20
    assert times(odd) > 4 * times(plain)


def test_a_ring_meets(odd: Log) -> None:
    ring = acts(odd, "ring")
    ring = ring[ring["incident"] == ring["incident"][0]]
    played = pl.concat([odd.of_act(act) for act in ring]).filter(
        (pl.col("type") == GAME) & (pl.col("subject") == int(ring["game"][0]))
    )
    together = played.group_by(pl.col("ts") // (30 * 60_000_000)).agg(pl.col("member").n_unique())
    assert together["member"].max() >= len(ring) - 2  # type: ignore[operator]


def test_drift_goes_to_another_communitys_games(odd: Log, plain: Log) -> None:
    def share(log: Log) -> float:
        hits = rows = 0
        for act in acts(odd, "slow drift"):
            late = log.of_act(act).filter(
                (pl.col("type") == GAME) & (pl.col("ts") > int(act["start"] + act["end"]) // 2)
            )
            hits += (log.world.games.community[late["subject"].to_numpy()] == act["community"]).sum()
            rows += late.height
        return float(hits / rows)

    assert share(odd) > 0.2
    assert share(odd) > 2 * share(plain)


def test_a_burst_has_a_new_device_for_each_visit(odd: Log) -> None:
    for act in acts(odd, "new-device burst"):
        new = range(int(act["device"]), int(act["device"] + act["devices"]))
        visits = odd.events.filter(pl.col("device").is_in(list(new)) & (pl.col("member") >= 0))
        assert set(visits["member"]) <= {int(act["member"])}
        assert visits.group_by("device").agg(pl.col("visit").n_unique())["visit"].max() in (None, 1)


def test_a_shift_moves_the_same_visits_by_hours(odd: Log, plain: Log) -> None:
    moved = 0
    for act in acts(odd, "time-zone shift"):
        first = [
            log.events.filter(pl.col("member") == int(act["member"]))
            .group_by("visit")
            .agg(pl.col("ts").min())
            for log in (odd, plain)
        ]
        both = first[0].join(first[1], on="visit", suffix="_plain")
        within = both.filter(
            (pl.col("ts_plain") >= int(act["start"])) & (pl.col("ts_plain") < int(act["end"]))
        )
        hours = (within["ts"] - within["ts_plain"]).to_numpy() / 3_600_000_000 % 24
        moved += int((np.abs(hours - float(act["shift"])) < 0.2).sum())
        assert (np.abs(hours - float(act["shift"])) < 0.2).mean() > 0.8 or not len(hours)
    assert moved > 5


def test_what_only_looks_anomalous_is_there_with_and_without(odd: Log, plain: Log) -> None:
    for log in (odd, plain):
        begin, end = log.world.benign.outage
        during = log.events.filter((pl.col("ts") >= begin) & (pl.col("ts") < end))
        assert (during["type"] == ERROR).mean() > 0.6  # type: ignore[operator]
        begin, end = log.world.benign.campaign
        popups = log.events.filter((pl.col("ts") >= begin) & (pl.col("ts") < end) & (pl.col("type") == POPUP))
        assert (popups["subject"] == log.world.benign.popup).mean() > 0.3  # type: ignore[operator]


def test_sequences_have_at_least_the_support_that_the_truth_says(plain: Log) -> None:
    planted = pl.DataFrame(truth(plain.world)["sequences"])
    ordered = plain.events.sort("visit", "ts")
    for (number,), steps in planted.sort("step").group_by("sequence", maintain_order=True):
        hit = ordered.lazy().with_columns(place=pl.int_range(pl.len()))
        places: list[pl.DataFrame] = [
            hit.filter((pl.col("type") == kind) & (pl.col("subject") == subject))
            .select("visit", "place")
            .collect()
            for kind, subject in steps.select("type", "subject").iter_rows()
        ]
        joined = places[0].with_columns(last="place")
        for after in places[1:]:
            joined = joined.join(after, on="visit", suffix="_next").filter(
                pl.col("place_next") > pl.col("last")
            )
            joined = joined.with_columns(last="place_next").drop("place_next")
        support = joined["visit"].n_unique()
        # a visit that ends beyond the log, or in the outage, has lost a step
        assert support >= 0.9 * steps["visits"][0], number
        assert steps["visits"][0] > 10


def test_the_truth_names_members_devices_and_spans_within_the_log(odd: Log, plain: Log) -> None:
    table = pl.DataFrame(truth(odd.world)["anomalies"])
    assert set(table["kind"]) == {kind.name for kind in KINDS}
    assert (table["from"] < table["to"]).all()
    assert table["first_day"].is_between(0, DAYS - 1).all()
    assert table["last_day"].is_between(0, DAYS - 1).all()
    assert table["strength"].is_between(0, 1).all()
    members = table.filter(pl.col("entity_type") == "member")["entity"]
    assert members.n_unique() == len(members)
    share = len(members) / plain.events["member"].n_unique()
    assert 0.003 < share < 0.02
    assert not truth(plain.world)["anomalies"].num_rows
    assert truth(plain.world)["benign"].equals(truth(odd.world)["benign"])


def test_vip_groups_move_one_step(odd: Log) -> None:
    first, last = odd.world.vip_on(0).astype(int), odd.world.vip_on(DAYS).astype(int)
    assert (first != last).any()
    assert ((last >= 0) & (last < 6)).all()
