"""Catalog, Clusters, Anomalies and Trends over one small workspace: facts, states, selection, escaping."""

from __future__ import annotations

import html
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from schemas import VIEWS

import workbench.compute
from workbench.compute import backends
from workbench.engine import Engine
from workbench.errors import DriverUnavailableError, UnknownNameError, UsageError
from workbench.graph.keys import format_entity
from workbench.views import Job, Selection, views

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("panel", reason="views are drawn with panel")

START = datetime(2025, 3, 3, tzinfo=UTC)
DAYS = 42
STORM = 30
EVIL = "<img src=x onerror=alert(1)>"
NAME = format_entity("user", EVIL)
KINDS = ("clusters", "anomalies", "trends")
SCHEMA = VIEWS.replace("UTC", "Europe/Berlin")


def log(seed: int = 1) -> tuple[pa.Table, pa.Table]:
    """Forty calm users, twenty busy ones, one who runs wild at the end; failures storm on one day."""
    draw = np.random.default_rng(seed)
    views: list[tuple[datetime, str, str]] = []
    fails: list[tuple[datetime, str]] = []
    for number in range(60):
        name, most = (f"calm{number}", 2) if number < 40 else (f"busy{number}", 12)
        for day in range(DAYS):
            for _ in range(int(draw.poisson(most))):
                time = START + timedelta(days=day, hours=8 + float(draw.random()) * 10)
                views.append((time, name, f"i{draw.integers(0, 30)}"))
            if draw.random() < (0.9 if day == STORM else 0.02):
                fails.append((START + timedelta(days=day, hours=9 + float(draw.random())), name))
    views += [(START + timedelta(days=DAYS - 2, minutes=n), EVIL, f"new{n}") for n in range(60)]
    views += [(START + timedelta(days=day, hours=12), EVIL, "i1") for day in range(0, DAYS - 7, 3)]
    return (
        pa.table({n: [row[k] for row in views] for k, n in enumerate(("time", "user", "item"))}),
        pa.table({n: [row[k] for row in fails] for k, n in enumerate(("time", "user"))}),
    )


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documents without any knowledge."""
    root = tmp_path_factory.mktemp("visits")
    (root / "visits.yaml").write_text(SCHEMA)
    with Engine.create(root / "w", schema=root / "visits.yaml") as engine:
        views, fails = log()
        engine.ingest(views, type="View")
        engine.ingest(fails, type="Fail")
    return root / "w"


@pytest.fixture(scope="module")
def db(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    import shutil

    path = tmp_path_factory.mktemp("computed") / "w"
    shutil.copytree(bare, path)
    engine = Engine(path)
    for kind in KINDS:
        engine.compute(kind)
    return engine


def drawn(view: Any) -> Any:
    """Return the view's Panel object, as it is in a script: read and drawn at once."""
    import panel as pn

    layout = pn.panel(view)
    assert not [t for t in texts(layout) if "role='alert'" in t or 'role="alert"' in t]
    return layout


def texts(layout: Any) -> list[str]:
    """Return all markup on the screen."""
    found = []
    for part in layout.select():
        for name in ("object", "markup"):
            value = getattr(part, name, None)
            if isinstance(value, str):
                found.append(value)
    return found


def named(layout: Any, kind: str) -> list[Any]:
    """Return the components of a class that is made on first use."""
    return [part for part in layout.select() if type(part).__name__ == kind]


def pages(layout: Any) -> list[Any]:
    return named(layout, "Page")


def charts(layout: Any) -> list[Any]:
    import panel as pn

    return [pane.object for pane in layout.select(pn.pane.HoloViews) if pane.object is not None]


@pytest.mark.parametrize("name", ["catalog", *KINDS])
def test_the_table_twin_is_the_knowledge(db: Engine, name: str) -> None:
    view = db.view(name)
    view.selection.clear()
    table = view.to_arrow()
    if name == "catalog":
        facts = [(event.name, event.documents) for event in db.catalog.event_types]
        assert list(zip(table["type"].to_pylist(), table["documents"].to_pylist(), strict=True)) == facts
    elif name == "clusters":
        assert table.equals(db.knowledge.read("clusters").to_arrow())
    elif name == "anomalies":
        rows = db.knowledge.read("anomalies").to_polars().filter(pl.col("score") >= 0.3)
        assert pl.DataFrame(table).equals(rows)
    else:
        rows = db.knowledge.read("trends").to_polars()
        wanted = rows.filter(pl.col("severity").is_in(["significant", "critical"]))
        assert pl.DataFrame(table).equals(wanted)


STATES: dict[str, dict[str, Any]] = {
    "catalog": {"search": "busy41"},
    "clusters": {"left": "1", "right": "selected", "entities": ["user:busy41"]},
    "anomalies": {"threshold": 0.5, "actor": NAME},
    "trends": {"metric": "Fail", "severity": "critical", "since": "2025-04-01T00:00:00+00:00"},
}


@pytest.mark.parametrize("name", STATES)
def test_a_view_comes_back_from_its_state(db: Engine, name: str) -> None:
    one = views.create(name, db, Selection(), **STATES[name])
    link = json.loads(json.dumps(one.state))
    assert link == STATES[name]
    other = views.create(name, db, Selection(), **link)
    assert other.to_arrow().equals(one.to_arrow())
    assert other.to_python() == one.to_python()


@pytest.mark.parametrize("name", ["catalog", *KINDS])
def test_a_view_draws_and_its_code_runs(db: Engine, name: str) -> None:
    view = views.create(name, db, Selection())
    layout = drawn(view)
    assert charts(layout) or name in ("catalog", "anomalies")
    exec(compile(view.to_python(), name, "exec"), {"db": db})  # noqa: S102  (what it tells users to run)
    more = {"clusters": {"clusters.svg"}, "trends": {"series.csv", "series.svg"}}.get(name, set())
    assert set(view.downloads()) == {f"{name}.csv", f"{name}.parquet", *more}
    for make in view.downloads().values():
        assert make()


@pytest.mark.parametrize("name", STATES)
def test_strangers_markup_stays_text(db: Engine, name: str) -> None:
    view = views.create(name, db, Selection(), **STATES[name])
    markup = "".join([*texts(drawn(view)), view.to_html()])
    assert "<img" not in markup
    if name in ("anomalies", "clusters"):
        assert "&lt;img" in "".join(texts(drawn(views.create(name, db, Selection(), entities=[NAME]))))


@pytest.mark.parametrize("name", KINDS)
def test_what_was_not_computed_is_said_and_can_be_computed(bare: Path, tmp_path: Path, name: str) -> None:
    import shutil

    shutil.copytree(bare, tmp_path / "w")
    with Engine(tmp_path / "w") as engine:
        view = views.create(name, engine, Selection())
        data = view.data()
        assert "computed yet" in view.empty(data)
        assert "computed yet" in view.to_html()
        [(label, work)] = view.actions(data).items()
        assert label == f"Compute {name}"
        work(Job())
        assert engine.knowledge.kinds() == [name]
        assert view.empty(view.data()) == ""
        assert not view.actions(view.data())
        assert view.to_arrow().num_rows


def test_a_cluster_of_calm_and_one_of_busy_users(db: Engine) -> None:
    view = views.create("clusters", db, Selection())
    view.select_cluster(0)
    assert {name.rstrip("0123456789") for name in view.selection.entities} >= {"user:calm"}
    assert view.to_arrow().num_rows == len(view.selection.entities) < 61


def test_what_a_lasso_takes_is_the_selection_of_every_view(db: Engine) -> None:
    selection = Selection()
    clusters = views.create("clusters", db, selection)
    anomalies = views.create("anomalies", db, selection, threshold=0.0)
    drawn(clusters)
    every = anomalies.to_arrow()["entity"].to_pylist()
    assert len(every) > 3
    clusters._brush(every[:3])
    assert selection.entities == tuple(every[:3])
    assert anomalies.to_arrow()["entity"].to_pylist() == every[:3]
    clusters._brush([])
    assert anomalies.to_arrow()["entity"].to_pylist() == every


def test_the_map_marks_what_another_view_selected(db: Engine) -> None:
    selection = Selection()
    view = views.create("clusters", db, selection)
    layout = drawn(view)
    selection.select("user:busy41", "user:calm1")
    import holoviews as hv

    [points] = [c for c in charts(layout) if isinstance(c, hv.Scatter)]
    marked = points.opts.get("plot", backend="bokeh").kwargs["selected"]
    names = points.dimension_values("h0", flat=False) if "h0" in points else None
    assert len(marked) == 2
    assert {names[n] for n in marked} == {"user:busy41", "user:calm1"}


@pytest.mark.skipif(backends.load("cpu").gap("umap") == "", reason="umap-learn is installed here")
def test_where_umap_is_lacking_the_map_says_so_and_shows_principal_components(db: Engine) -> None:
    view = views.create("clusters", db, Selection(), projection="umap")
    shown = view.to_html()
    assert "UMAP cannot be had: " in shown
    assert "needs umap-learn, not installed; it comes with the extra &#x27;umap&#x27;" in shown
    assert "The map shows principal components." in shown
    assert view._picture(view.data()) == views.create("clusters", db, Selection())._picture(view.data())
    with pytest.raises(DriverUnavailableError, match="cannot run umap: needs umap-learn"):
        db.clusters.projection("umap", device="cpu")


PLANE = """
from workbench.compute.cpu import CpuBackend

class Plane(CpuBackend):
    '''Puts points where their first columns are.'''
    preference = 5

    @classmethod
    def gap(cls, kernel, method=""):
        return ""

    def versions(self):
        return {"plane": "1.0"}

    def solve_umap(self, points, *, components, **options):
        return points[:, :components]
"""


@pytest.fixture
def plane(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One more backend, which has UMAP."""
    (tmp_path / "plane.py").write_text(PLANE)
    monkeypatch.setattr("workbench.compute.__path__", [*workbench.compute.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "workbench.compute.plane", raising=False)


def test_umap_places_every_actor_and_says_how(db: Engine, plane: None) -> None:
    found = db.clusters.projection("umap", device="plane")
    matrix = db.features("user")
    assert found.to_arrow()["entity"].to_pylist() == matrix.entities.to_pylist()
    first = matrix.standardised[:, 0] - matrix.standardised[:, 0].mean()
    assert np.abs(found.to_arrow()["x"].to_numpy()) == pytest.approx(np.abs(first))
    assert repr(found).startswith("UMAP on plane, ")
    few = db.clusters.projection("umap", device="plane", most=20)
    assert few.to_arrow().num_rows in (20, 21)
    clusters = db.clusters.knowledge.to_polars().filter(
        pl.col("entity").is_in(few.to_arrow()["entity"].to_pylist())
    )
    assert clusters["cluster"].n_unique() == db.clusters.knowledge.to_polars()["cluster"].n_unique()
    assert f"{few.to_arrow().num_rows} of 61 actors" in repr(few)
    with pytest.raises(UnknownNameError, match="Did you mean 'umap'"):
        db.clusters.projection("umpa")


def test_the_map_is_drawn_by_umap_where_it_can_be_had(db: Engine, plane: None) -> None:
    view = views.create("clusters", db, Selection(), projection="umap")
    assert "On the map: UMAP on plane" in view.to_html()
    assert view.data().placed.height == db.clusters.knowledge.table.num_rows
    assert not view.data().placed.select("x", "y").equals(view.data().rows.select("x", "y"))
    assert "projection('umap')" in view.to_python()
    layout = drawn(view)
    first = view.data().plane
    view.update(projection="pca")
    assert view.data().plane is None
    view.update(projection="umap")
    assert view.data().plane is first
    assert charts(layout)


def test_two_clusters_are_compared_by_their_profiles(db: Engine) -> None:
    compared = views.create("clusters", db, Selection()).data().compared
    profile = db.clusters.profile()
    first, second = (profile.filter(pl.col("cluster") == n).select("feature", "z") for n in (0, 1))
    wanted = dict(first.join(second, on="feature").select("feature", pl.col("z") - pl.col("z_right")).rows())
    assert dict(compared.select("feature", "difference").rows()) == pytest.approx(wanted)
    assert compared["difference"].abs().is_sorted(descending=True)


def test_the_selection_can_be_compared_with_a_cluster(db: Engine) -> None:
    busy = [f"user:busy{n}" for n in range(40, 60)]
    view = views.create("clusters", db, Selection(), left="selected", right="0", entities=busy)
    compared = dict(view.data().compared.select("feature", "left").rows())
    counted = db.sql("select count(*) / 20.0 from View where starts_with(\"user\", 'busy')").rows[0][0]
    assert compared["view_count"] == pytest.approx(float(counted))


def test_the_wild_one_is_first_with_its_reasons_and_events(db: Engine) -> None:
    view = views.create("anomalies", db, Selection())
    assert view.to_arrow()["entity"][0].as_py() == NAME
    layout = drawn(view)
    ranking = pages(layout)[0]
    ranking.pick = [f"actor={NAME}", 1]
    assert view.selection.entities == (NAME,)
    actor = view.data().actor
    row = db.anomalies.of(NAME)
    assert actor.row == row
    assert actor.events["address"].to_pylist() == row["addresses"]
    assert actor.events["time"][0].as_py() == db.get(row["addresses"][0]).time
    assert "&lt;img" in "".join(texts(layout))
    assert charts(layout)


def test_who_is_looked_at_can_be_marked_and_all_see_it(db: Engine) -> None:
    first, second = (views.create("anomalies", db, Selection()) for _ in range(2))
    assert not any(label.endswith("benign") for label in first.actions(first.data()))
    first.look_at(NAME)
    first.reader = "ann"
    first.actions(first.data())[f"{NAME} is benign"](Job())
    assert second.data().marks == {NAME: "benign"}
    assert ">benign</span>" in second.html(second.data())
    page = first.html(first.data())
    assert "ann: <b>benign</b>" in page
    assert EVIL not in page
    assert "precision by the marks so far 0.00" in page
    (db.path / "triage.jsonl").unlink()


def test_signals_are_drawn_as_they_are(db: Engine) -> None:
    from workbench.views._anomalies_page import ranked

    rows = db.anomalies.to_polars().head(1)
    row = rows.row(0, named=True)
    markup = ranked(rows)
    for name, value in row.items():
        if name.startswith("signal_") and value is not None:
            assert f"<title>{name.removeprefix('signal_')} {value:.2f}</title>" in markup


def test_the_profile_is_another_run(db: Engine) -> None:
    view = views.create("anomalies", db, Selection(), profile="classic", threshold=0.0)
    assert "classic" in view.empty(view.data())
    [work] = view.actions(view.data()).values()
    work(Job())
    table = view.to_arrow()
    assert "signal_statistical" in table.column_names
    assert views.create("anomalies", db, Selection()).to_arrow().column_names != table.column_names


def test_the_systems_alerts_stand_beside_the_actors(db: Engine) -> None:
    view = views.create("anomalies", db, Selection())
    system = pages(drawn(view))[1]
    assert "Fail" in system.markup
    alerts = view.data().alerts
    system.pick = ["alert=0", 1]
    assert view.selection.since == alerts["since"][0]
    assert view.selection.until == alerts["until"][0]


def test_the_storm_is_the_worst_alert_and_a_click_selects_its_time(db: Engine) -> None:
    selection = Selection()
    view = views.create("trends", db, selection)
    worst = view.data().alerts.row(0, named=True)
    assert worst["metric"] == "Fail"
    assert worst["since"].astimezone(UTC).date() in {
        (START + timedelta(days=STORM - 1)).date(),
        (START + timedelta(days=STORM)).date(),
    }
    alerts = pages(drawn(view))[0]
    alerts.pick = ["0", 1]
    assert (selection.since, selection.until) == (worst["since"], worst["until"])
    assert "aria-current" in alerts.markup
    selection.clear()
    view.select_moment(worst["since"] + timedelta(minutes=5))
    assert selection.since == worst["since"]


def test_alerts_outside_the_selected_time_are_left_out_and_counted(db: Engine) -> None:
    selection = Selection()
    view = views.create("trends", db, selection, severity="notable")
    every = view.to_arrow().num_rows
    selection.select(since=START, until=START + timedelta(days=STORM - 3))
    kept = view.to_arrow().num_rows
    assert kept < every
    assert f"{every - kept:,} are outside the selected time" in pages(drawn(view))[0].markup


def test_the_series_is_that_of_the_trends(db: Engine) -> None:
    view = views.create("trends", db, Selection(), metric="Fail", resolution="hour")
    assert view.series().equals(db.trends.series("Fail", resolution="hour").to_arrow())
    with pytest.raises(UnknownNameError, match="Fial"):
        views.create("trends", db, Selection(), metric="Fial").data()


def test_the_catalog_finds_and_selects(db: Engine) -> None:
    view = views.create("catalog", db, Selection(), search="bussy41")
    found, page = pages(drawn(view))
    assert "user:busy41" in found.markup
    found.pick = ["entity=user:busy41", 1]
    assert view.selection.entities == ("user:busy41",)
    assert "data-pick" in page.markup
    view.update(search="--")
    with pytest.raises(UsageError) as refusal:
        db.catalog.search("--")
    assert html.escape(str(refusal.value)) in pages(drawn(view))[0].markup


def test_the_views_are_found_by_name(db: Engine) -> None:
    assert {"catalog", "chat", *KINDS} <= set(views.names())
    assert not [i for i in views.describe() if i.reason]
    del db
