"""Signals about neighbours of one's own: what each finds, what it says, and what it lets pass."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from workbench.analysis.signals._alike import add_company, among_alike, tail_among_alike
from workbench.analysis.signals._several import Several
from workbench.engine import Engine

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: houses}
spec:
  timezone: UTC
  entities: {user: {who: true}, key: {}, room: {}}
  edges: {Held: {from: user, to: key}, Entered: {from: user, to: room}}
  events:
    Entry:
      entities: {user: user, key: key, room: room}
      edges: [{type: Held, from: user, to: key}, {type: Entered, from: user, to: room}]
"""
START = datetime(2025, 3, 3, tzinfo=UTC)
USERS, DAYS, SORTS, ROOMS = 900, 28, 4, 25
HOUR, DAY = 3600.0, 86_400.0
LAST = (DAYS - 7) * DAY


class Log:
    """Entries of users with a key of their own to rooms of a sort of their own."""

    def __init__(self, seed: int) -> None:
        self.draw = draw = np.random.default_rng(seed)
        self.rows: list[tuple[float, int, str, str]] = []
        for user in range(USERS):
            for day in np.flatnonzero(draw.random(DAYS) < draw.beta(2, 4)):
                begin = day * DAY + draw.uniform(6, 20) * HOUR
                for step in range(1 + draw.poisson(3)):
                    self.enter(user, begin + step * draw.exponential(300), self.room(user % SORTS))

    def room(self, sort: int) -> str:
        """Return a room: of the sort mostly, else of any."""
        sort = sort if self.draw.random() < 0.9 else int(self.draw.integers(SORTS))
        return f"r{sort}-{int(self.draw.zipf(1.6)) % ROOMS}"

    def enter(self, user: int, time: float, room: str, key: str = "") -> None:
        self.rows.append((time, user, key or self.key(user, time), room))

    @staticmethod
    def key(user: int, time: float) -> str:
        """Return the key of a user: its own, the reception's, or since the last days one for two."""
        if 300 <= user < 330:
            return "reception"
        return f"two{user // 2}" if 400 <= user < 440 and time > LAST else f"k{user}"

    def table(self) -> pa.Table:
        rows = [row for row in self.rows if row[0] < DAYS * DAY]
        times = np.array([START.timestamp() + row[0] for row in rows])
        return pa.table(
            {
                "time": pa.array((times * 1e6).astype("i8")).cast(pa.timestamp("us", "UTC")),
                "user": [f"u{row[1]:04}" for row in rows],
                "key": [row[2] for row in rows],
                "room": [row[3] for row in rows],
            }
        )


def plant(log: Log) -> None:
    draw = log.draw
    for number in range(6):  # u001 comes with key after key
        for step in range(3):
            log.enter(1, LAST + number * HOUR * 20 + step * 100, log.room(1), f"new{number}")
    for user in range(10, 17):  # seven with one key that nobody had
        log.enter(user, LAST + DAY + (user - 10) * 300, log.room(user % SORTS), "passed round")
    for evening in range(5):  # four meet in a room, evening after evening
        for user in range(20, 24):
            log.enter(user, LAST + evening * DAY + 21 * HOUR + draw.uniform(0, 100), "r3-9")
    log.rows = [row for row in log.rows if row[1] != 30]
    for day in range(DAYS):  # u030 turns to rooms of another sort
        for step in range(6):
            room = f"r{0 if day < 20 else 2}-{int(draw.integers(ROOMS))}"
            log.enter(30, day * DAY + 10 * HOUR + step * draw.exponential(300), room)
    for step in range(40):  # u040 enters one room again and again
        log.enter(40, LAST + DAY + step * 60 * (1 + draw.random()), "r0-7")


def ingest(root: Path, log: Log) -> Engine:
    (root / "houses.yaml").write_text(SCHEMA)
    engine = Engine.create(root / "w", schema=root / "houses.yaml")
    engine.ingest(log.table(), type="Entry")
    return engine


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    log = Log(5)
    plant(log)
    table = ingest(tmp_path_factory.mktemp("planted"), log).compute("anomalies").to_polars()
    return {row["key"]: row for row in table.iter_rows(named=True)}


@pytest.mark.parametrize(
    ("signal", "user", "said"),
    [
        ("fresh", "u0001", "key neighbours by Held that nobody had before"),
        ("gathering", "u0012", "6 others came to key:passed round by Held too, and nobody had before that"),
        ("crowd", "u0012", "6 others came to key:passed round by Held within"),
        ("synchrony", "u0021", "the same others came by Entered to the same room within 5 minutes"),
        ("taste", "u0030", "Entered leads to other sorts of room than before"),
        ("concentration", "u0040", "Entered room:r0-7"),
    ],
)
def test_a_signal_finds_what_it_is_about(
    found: dict[str, dict[str, Any]], signal: str, user: str, said: str
) -> None:
    row = found[user]
    assert row[f"signal_{signal}"] >= 0.5
    assert row["place"] <= 25
    assert said in row["why"]


def test_one_thing_is_said_once(found: dict[str, dict[str, Any]]) -> None:
    """New keys are many keys, and a crowd within an hour is one within four."""
    assert found["u0001"]["why"].count("by Held") == 1
    assert found["u0012"]["why"].count("within") == 1


def test_the_addresses_are_events_of_the_judged_days(found: dict[str, dict[str, Any]]) -> None:
    for user in ("u0001", "u0012", "u0021", "u0040"):
        assert found[user]["addresses"]
        assert all(address >= "2025-03-24/" for address in found[user]["addresses"])
    assert found["u0001"]["events"] >= 6


def test_an_old_key_that_many_share_says_nothing(found: dict[str, dict[str, Any]]) -> None:
    shared = [row for key, row in found.items() if "u0300" <= key < "u0330"]
    assert max(row["signal_gathering"] for row in shared if row["signal_gathering"] is not None) == 0
    assert sum((row["signal_crowd"] or 0) >= 0.5 for row in shared) <= 1


def test_a_new_room_that_everybody_tries_is_no_anomaly(tmp_path: Path) -> None:
    log = Log(6)
    for user in range(0, USERS, 2):
        log.enter(user, LAST + log.draw.uniform(0, 6) * DAY, "the new room")
    score = ingest(tmp_path, log).compute("anomalies").to_polars()["score"]
    assert (score >= 0.5).sum() <= 0.01 * USERS + 1
    assert (score >= 0.7).sum() <= 1


def test_groups_by_number_have_tails_of_their_own() -> None:
    """All of four is common, all of forty is not."""
    draw = np.random.default_rng(3)
    number = np.repeat([4.0, 40.0], 2000)
    figure = np.append(draw.choice([0.0, 1.0, 3.0], 2000, p=[0.5, 0.4, 0.1]), draw.normal(0, 0.3, 2000))
    figure[-1] = 3.0
    tail = tail_among_alike(figure, number)
    assert tail[-1] < 1e-4
    assert tail[:2000].min() > 0.01
    assert np.isnan(tail_among_alike(figure[:10], number[:10])).all()
    assert np.isnan(among_alike(figure[:10], number[:10])).all()


def test_one_crowd_is_one_crowd_however_many_it_has() -> None:
    """A gathering of thirty does not make gatherings of thirty usual."""

    class Scope:
        matrix = type("Matrix", (), {"events": np.ones(5000)})
        since, until = 0, 1

        def __len__(self) -> int:
            return 5000

    actors = np.arange(130)
    company = pl.DataFrame(
        {
            "actor": actors,
            "neighbour": [f"k{a // 2}" if a < 100 else "crowd" for a in actors],
            "others": np.where(actors < 100, 1, 29),
            "came": np.where(actors < 100, 1, 30),
            "usual": np.where(actors < 100, 0, 1),
        }
    )
    scope: Any = Scope()
    found = Several(scope, "crowd")
    add_company(found, scope, company, "company", "UsesDevice")
    finding = found.smallest("")
    tail = finding.values
    assert tail[120] < 1e-12
    assert tail[0] > 0.01
    assert tail[500] == 1
    told = finding.evidence.row(-1, named=True)
    assert (told["other"], told["value"], told["typical"]) == ("crowd", 30, 1)
