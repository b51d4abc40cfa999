"""Marks and notes: kept with author and time, precision, weights that are shown before they are applied."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from schemas import VIEWS

from workbench.analysis.tails import probability, score
from workbench.analysis.triage import FILE, Triage
from workbench.engine import Engine
from workbench.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

USERS, DAYS = 60, 15


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty users with a few views a day; two have very many on the last."""
    root = tmp_path_factory.mktemp("triage")
    (root / "small.yaml").write_text(VIEWS)
    draw = np.random.default_rng(5)
    number = draw.poisson(2, (USERS, DAYS))
    number[7:9, -1] += 80
    user, day = (np.repeat(axis, number.ravel()) for axis in np.indices(number.shape).reshape(2, -1))
    second = day * 86_400 + draw.integers(0, 86_400, len(user))
    times = np.datetime64("2025-06-01T00:00:00", "us") + second * np.timedelta64(1_000_000, "us")
    table = pa.table(
        {
            "time": pa.array(times).cast(pa.timestamp("us", "UTC")),
            "user": [f"u{n:02}" for n in user],
            "item": [f"i{n}" for n in draw.integers(0, 20, len(user))],
        }
    )
    with Engine.create(root / "w", schema=root / "small.yaml") as engine:
        engine.ingest(table, type="View")
        engine.compute("anomalies")
    return root / "w"


@pytest.fixture
def db(made: Path, tmp_path: Path) -> Engine:
    import shutil

    return Engine(shutil.copytree(made, tmp_path / "w"))


def test_a_mark_is_kept_with_author_and_time_and_seen_by_others(db: Engine) -> None:
    db.anomalies.mark("user:u07", "benign", note="a test drive", author="ann")
    db.anomalies.mark("user:u07", "confirmed", author="bob")
    marks = Engine(db.path).anomalies.marks()
    row = marks.row(0, named=True)
    assert marks.height == 1
    assert (row["entity"], row["mark"], row["author"]) == ("user:u07", "confirmed", "bob")
    assert row["run"] == db.anomalies.knowledge.run.id
    assert row["score"] == pytest.approx(db.anomalies.of("user:u07")["score"])
    log = db.triage.log("user:u07")
    assert log["note"].to_list() == ["a test drive", ""]
    assert log["at"].is_sorted()
    assert "ann: benign, a test drive" in db.anomalies.explain("user:u07")


def test_notes_are_on_any_entity(db: Engine) -> None:
    db.triage.note("item:i3", "sold out since May", author="ann")
    (row,) = db.triage.log("item:i3").to_dicts()
    assert (row["mark"], row["note"]) == ("", "sold out since May")
    assert db.triage.marks().is_empty()
    with pytest.raises(UsageError, match="without a text"):
        db.triage.note("item:i3", "  ")


def test_what_cannot_be_marked_is_refused_and_nothing_is_kept(db: Engine) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'confirmed'"):
        db.anomalies.mark("user:u07", "confirmd")
    with pytest.raises(UnknownNameError, match="user:u07"):
        db.anomalies.mark("user:u077", "benign")
    with pytest.raises(UsageError, match="characters"):
        db.triage.note("user:u07", "x" * 5_000)
    assert not (db.path / FILE).exists()


def test_without_a_name_the_author_is_the_user_of_the_process(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "cleo")
    assert db.triage.note("user:u01", "hello")["author"] == "cleo"


def test_a_damaged_line_is_left_out_and_the_next_write_keeps_the_others(db: Engine) -> None:
    db.triage.note("user:u01", "first")
    db.triage.note("user:u02", "second")
    path = db.path / FILE
    path.write_bytes(path.read_bytes().replace(b"first", b"fjrst"))
    (db.path / f"{FILE}.12").write_bytes(b"of a process that died")
    db.triage.note("user:u03", "third")
    assert db.triage.log()["note"].to_list() == ["second", "third"]
    assert not (db.path / f"{FILE}.12").exists()


def test_to_forget_an_entity_takes_its_marks(db: Engine) -> None:
    db.triage.note("user:u01", "one")
    db.triage.note("user:u02", "two")
    db.forget("user:u01", apply=True)
    assert db.triage.log()["note"].to_list() == ["two"]


def marked(db: Engine, *rows: tuple[str, str, dict[str, float]]) -> None:
    for entity, mark, signals in rows:
        of = {"score": 0.6, **{f"signal_{name}": value for name, value in signals.items()}}
        db.triage.mark(entity, mark, of=of, run="r")


def test_precision_is_confirmed_over_confirmed_and_benign_by_signal(db: Engine) -> None:
    marked(
        db,
        ("user:a", "confirmed", {"change": 0.8, "rhythm": 0.1}),
        ("user:b", "confirmed", {"change": 0.6, "rhythm": 0.9}),
        ("user:c", "benign", {"change": 0.4, "rhythm": 0.9}),
        ("user:d", "ignored", {"change": 0.9}),
    )
    db.triage.mark("user:e", "benign")  # was in no run
    found = {row["signal"]: row for row in db.triage.precision().to_dicts()}
    assert found["any"] == {"signal": "any", "confirmed": 2, "benign": 1, "precision": pytest.approx(2 / 3)}
    assert found["change"]["precision"] == 1
    assert (found["rhythm"]["confirmed"], found["rhythm"]["benign"]) == (1, 1)


def test_reweighting_is_shown_first_and_applied_on_request(db: Engine) -> None:
    with pytest.raises(UsageError, match="nothing is marked"):
        db.anomalies.reweight()
    wrong = [(f"user:{n}", "benign", {"change": 0.9}) for n in range(8)]
    right = [(f"item:{n}", "confirmed", {"outlying": 0.9}) for n in range(8)]
    marked(db, *wrong, *right)
    before = db.anomalies.knowledge.run.id
    shown = db.anomalies.reweight(first=10)
    assert shown.weights["change"] < shown.before["change"]
    assert shown.weights["outlying"] > shown.before["outlying"]
    assert shown.columns == ["entity", "score", "score_then", "class", "class_then", "place", "place_then"]
    assert f"change {shown.before['change']:.2f} to {shown.weights['change']:.2f}" in repr(shown)
    assert db.anomalies.knowledge.run.id == before
    applied = shown.apply(author="ann")
    assert applied.run.id != before
    assert "weights by triage" in applied.run.algorithm
    then = dict(applied.to_polars().select("entity", "score").iter_rows())
    for row in shown.to_polars().iter_rows(named=True):
        assert then[row["entity"]] == pytest.approx(row["score_then"], abs=1e-6)
    assert db.compute("anomalies").run.id == applied.run.id
    assert json.loads((db.path / FILE).read_bytes().splitlines()[-1])["author"] == "ann"


def test_scores_and_probabilities_are_one_another() -> None:
    chances = np.array([0.9, 0.05, 0.01, 1e-3, 1e-5, 1e-9])
    assert np.allclose(np.log(probability(score(chances))), np.log(chances))


def test_rules_judge_by_the_marks(db: Engine) -> None:
    from workbench.rules.marks import marks

    db.triage.mark("user:a", "benign")
    assert marks(db).to_dicts() == [{"subject": "user:a", "mark": "benign"}]
    assert Triage(db).marks()["entity"].to_list() == ["user:a"]


def test_an_event_whose_fields_never_stand_together_is_listed(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(VIEWS)
    draw = np.random.default_rng(2)
    number = 4_000
    kind = draw.integers(0, 4, number)
    times = np.datetime64("2025-06-01T00:00:00", "us") + np.sort(
        draw.integers(0, 86_000, number)
    ) * np.timedelta64(1_000_000, "us")
    place = [f"p{n}" for n in kind]
    place[1234] = f"p{(kind[1234] + 1) % 4}"  # elsewhere than all others of its kind
    table = pa.table(
        {
            "time": pa.array(times).cast(pa.timestamp("us", "UTC")),
            "user": [f"u{n}" for n in draw.integers(0, 200, number)],
            "item": ["i"] * number,
            "kind": [f"k{n}" for n in kind],
            "place": place,
        }
    )
    with Engine.create(tmp_path / "w", schema=tmp_path / "small.yaml") as engine:
        engine.ingest(table, type="View")
        found = engine.anomalies.events()
        assert found.height == 1
        (row,) = found.to_dicts()
        assert {f["name"]: f["value"] for f in row["fields"]} == {
            "kind": f"k{kind[1234]}",
            "place": place[1234],
        }
        assert (row["event_type"], row["seen"]) == ("View", 1)
        assert row["z"] > 5
        assert engine.get(row["address"]).fields["place"] == place[1234]
