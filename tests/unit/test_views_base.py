"""What every view does: state there and back, reading once, the table twin, escaping, threads."""

from __future__ import annotations

import asyncio
import io
import threading
from concurrent.futures import CancelledError
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl
import pyarrow as pa
import pytest

from workbench.errors import UnknownNameError, UsageError
from workbench.progress import Update
from workbench.views import Job, Selection, View, views
from workbench.views._frame import Frame
from workbench.views._state import checked

if TYPE_CHECKING:
    from collections.abc import Mapping

EVIL = "<script>alert(1)</script>"


class Snapshot:
    generation = 1


class World:
    """A workspace of one generation; ``refresh`` moves to what ``newest`` says."""

    timezone = "UTC"

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.snapshot = Snapshot()

    def refresh(self) -> None:
        """Stay."""


class Numbers(View):
    """Numbers up to ``n``, and how often they were read."""

    title: ClassVar[str] = "Numbers"
    defaults: ClassVar[Mapping[str, Any]] = {"n": 3, "fail": ""}

    def __init__(self, *arguments: Any, **state: Any) -> None:
        self.read_times = 0
        self.gate = threading.Event()
        self.gate.set()
        super().__init__(*arguments, **state)

    def read(self, job: Job) -> pa.Table:
        self.read_times += 1
        assert self.gate.wait(10)
        job.check()
        if self["fail"]:
            raise UsageError(self["fail"])
        return pa.table({"x": range(self["n"]), "name": [EVIL] * self["n"]})

    def table(self, data: pa.Table) -> pa.Table:
        return data

    def draw(self, data: pa.Table, shown: Any) -> Any:
        import panel as pn

        return pn.pane.HTML(f"{data.num_rows} rows")

    def controls(self) -> Mapping[str, Any]:
        import panel as pn

        return {"n": pn.widgets.IntInput(label="n")}

    def to_python(self) -> str:
        return f"range({self['n']})"


def shown(frame: Frame) -> str:
    """Return the markup of a frame's panes."""
    return " ".join(str(pane.object) for pane in frame.layout.select() if hasattr(pane, "object"))


async def settled(frame: Frame) -> None:
    """Wait, the event loop running, until a frame has read."""
    assert await asyncio.to_thread(frame.settled.wait, 10)


def test_the_views_of_the_package_are_found_and_the_modules_beside_them_are_not() -> None:
    assert {"graph", "entity"} <= set(views.names())
    assert not {"base", "selection", "charts", "_frame"} & set(views.names())
    for name in ("graph", "entity"):
        assert views.load(name).title


def test_state_names_what_differs_from_the_defaults_and_re_creates_the_view() -> None:
    view = Numbers(World(), n=5, entities=["page:home"], since="2026-01-01T00:00:00+01:00")
    assert view.state == {"entities": ["page:home"], "since": "2026-01-01T00:00:00+01:00", "n": 5}
    again = Numbers(World(), **view.state)
    assert again.state == view.state
    assert again.to_arrow().equals(view.to_arrow())
    assert Numbers(World()).state == {}


def test_an_unknown_state_is_refused_with_the_near_miss() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'n'"):
        Numbers(World(), N=3)
    with pytest.raises(UnknownNameError):
        Numbers(World())["m"]


def test_data_are_read_once_for_each_state_selection_and_generation() -> None:
    view = Numbers(World())
    assert [len(view) for _ in range(2)] == [3, 3]
    assert view.read_times == 1
    view.update(n=4)
    assert len(view) == 4
    view.selection.select("page:home")
    view.data()
    view.world.snapshot.generation = 2
    view.data()
    assert view.read_times == 4
    view.update(n=4)
    assert view.is_read


def test_a_view_is_a_table_in_every_form() -> None:
    view = Numbers(World(), n=2)
    assert pl.read_parquet(io.BytesIO(view.downloads()[f"{view.name}.parquet"]()))["x"].to_list() == [0, 1]
    assert pl.read_csv(view.downloads()[f"{view.name}.csv"]())["name"].to_list() == [EVIL] * 2
    assert view.to_polars()["x"].to_list() == [0, 1]


def test_the_static_form_escapes_values_and_says_that_there_is_nothing() -> None:
    html = Numbers(World())._repr_mimebundle_()["text/html"]
    assert EVIL not in html
    assert "&lt;script&gt;" in html
    assert "There is nothing to show." in Numbers(World(), n=0).to_html()
    assert repr(Numbers(World(), n=0)).endswith("n=0)")


def test_without_an_event_loop_a_frame_is_filled_when_it_is_made() -> None:
    view = Numbers(World())
    frame = Frame(view)
    assert frame.settled.is_set()
    assert "3 rows" in shown(frame)
    view.update(n=7)
    assert "7 rows" in shown(frame)
    assert "range(7)" in shown(frame)


def test_a_frame_shows_an_error_and_recovers() -> None:
    view = Numbers(World(), fail=EVIL)
    frame = Frame(view)
    assert 'role="alert"' in shown(frame)
    assert EVIL not in shown(frame)
    view.update(fail="")
    assert 'role="alert"' not in shown(frame)
    assert "3 rows" in shown(frame)


def test_a_control_sets_the_state_and_the_state_sets_the_control() -> None:
    view = Numbers(World())
    frame = Frame(view)
    (control,) = [pane for pane in frame.layout.select() if getattr(pane, "label", "") == "n"]
    control.value = 6
    assert view["n"] == 6
    view.update(n=2)
    assert control.value == 2


def test_with_an_event_loop_reading_does_not_block_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.views._frame._PATIENCE", 0.0)

    async def show() -> tuple[str, str]:
        view = Numbers(World())
        view.gate.clear()
        frame = Frame(view)
        early = shown(frame)
        view.gate.set()
        await settled(frame)
        return early, shown(frame)

    early, late = asyncio.run(show())
    assert "Reading the workspace" in early
    assert "3 rows" in late


def test_a_newer_state_gives_up_what_is_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.views._frame._PATIENCE", 0.0)

    async def show() -> str:
        view = Numbers(World())
        view.gate.clear()
        frame = Frame(view)
        view.update(n=9)
        await asyncio.sleep(0.05)
        view.gate.set()
        await settled(frame)
        return shown(frame)

    assert "9 rows" in asyncio.run(show())


def test_a_job_passes_progress_on_until_it_is_cancelled() -> None:
    told: list[int] = []
    job = Job(lambda update: told.append(update.done))
    job(Update("read", 1, 2, "files"))
    job.cancel()
    with pytest.raises(CancelledError):
        job(Update("read", 2, 2, "files"))
    assert told == [1]
    assert job.cancelled


def test_a_selection_tells_of_a_change_once() -> None:
    selection = Selection()
    changes: list[tuple[str, ...]] = []
    selection.param.watch(
        lambda *events: changes.append(tuple(e.name for e in events)), ["entities", "since"]
    )
    selection.select(["page:a", "page:b"], "page:a", since=datetime(2026, 1, 1, tzinfo=UTC))
    assert changes == [("entities", "since")]
    assert selection.entities == ("page:a", "page:b")


@pytest.mark.parametrize(
    ("arguments", "times"),
    [(("home",), {}), ((), {"until": "soon"})],
)
def test_a_selection_refuses_what_it_cannot_mean(arguments: tuple[str, ...], times: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Selection().select(*arguments, **times)


def test_a_text_is_a_list_of_one_and_a_number_a_text() -> None:
    assert checked("a:b", [], "view graph", "around", {}) == ["a:b"]
    assert checked("", [], "view graph", "around", {}) == []
    assert checked(2, "0", "view clusters", "left", {}) == "2"
    assert checked(None, 40, "view graph", "limit", {}) == 40
    assert checked(3.0, 1, "view graph", "hops", {}) == 3


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("graph", {"hops": "x"}, "hops is 'x'. Give a whole number, such as 1"),
        ("graph", {"hops": 1.5}, "hops is 1.5"),
        ("graph", {"limit": -4}, "limit is -4. Give a number, 0 or more"),
        ("graph", {"around": 5}, "around is 5. Give a list of texts"),
        ("graph", {"around": [5]}, r"around is \[5\]"),
        ("graph", {"color": "red"}, "there is no color 'red'. There are: community, type"),
        ("graph", {"show": "neighborhood"}, "Did you mean 'neighbourhood'"),
        ("clusters", {"projection": "tsne"}, "There are: pca, umap"),
        ("anomalies", {"threshold": "x"}, "threshold is 'x'. Give a number"),
        ("anomalies", {"threshold": 2}, "Give a number, between 0 and 1"),
        ("anomalies", {"profile": "clasic"}, "Did you mean 'classic'"),
        ("trends", {"resolution": "week"}, "There are: day, hour"),
        ("entity", {"similar": "yes"}, "Give True or False"),
    ],
)
def test_a_state_of_another_kind_is_refused_with_what_it_may_be(
    name: str, value: dict[str, Any], said: str
) -> None:
    kind: Any = views.load(name)
    with pytest.raises((UnknownNameError, UsageError), match=said):
        kind(World(), Selection(), **value)


def test_a_selected_day_is_the_workspaces_own() -> None:
    selection = Selection("America/New_York")
    selection.select(since="2025-06-10", until=date(2025, 6, 12))
    assert selection.state == {"since": "2025-06-10T00:00:00-04:00", "until": "2025-06-12T00:00:00-04:00"}
    selection.select(**selection.state)
    assert selection.state["since"] == "2025-06-10T00:00:00-04:00"


@pytest.mark.parametrize(
    "wrong",
    [
        {"since": 5},
        {"since": "2025-13-01"},
        {"since": "2025-06-10", "until": "2025-06-10"},
        {"entities": [None]},
        {"entities": 5},
        {"entities": ["ann"]},
    ],
    ids=str,
)
def test_what_cannot_be_selected_is_a_usage_error(wrong: dict[str, Any]) -> None:
    selection = Selection()
    selection.select("page:home")
    with pytest.raises(UsageError):
        selection.select(wrong.pop("entities", ()), **wrong)
    assert selection.entities == ("page:home",)
