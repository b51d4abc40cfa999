"""The command line over a year of flights: the demo, its figures, and what it tells the user to type."""

from __future__ import annotations

import json
import logging
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from workbench.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOCUMENTS = {"Arrival": 328_063, "Cancellation": 8_255, "Departure": 328_521, "Weather": 26_115}


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """A command sends the log to its own standard error: put back what was there."""
    log = logging.getLogger("workbench")
    handlers, level, propagate = log.handlers[:], log.level, log.propagate
    yield
    log.handlers[:], log.level, log.propagate = handlers, level, propagate


@pytest.fixture(scope="module")
def workspace(place_demo: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return place_demo(tmp_path_factory.mktemp("demo")) / "flights"


@pytest.fixture(scope="module")
def first_screen(demo: Path) -> str:
    return demo.with_name("screen.txt").read_text(encoding="utf-8")


def document(*arguments: object) -> Any:
    """Return the one JSON document on standard output; nothing else may be said anywhere."""
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"], prog_name="workbench")
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    return json.loads(done.stdout)


def test_the_demo_shows_what_is_in_it(first_screen: str) -> None:
    lines = dict(
        re.findall(r"^(documents|segments|entities|edges|time zone) +(.+)$", first_screen, re.MULTILINE)
    )
    assert lines["documents"] == (
        "690,954: Departure 328,521, Arrival 328,063, Weather 26,115, Cancellation 8,255"
    )
    assert lines["segments"] == "366 days (UTC), 2013-01-01 to 2014-01-01"
    assert lines["entities"].startswith("10,053: flight 5,725, aircraft 4,043, ")
    assert lines["edges"].startswith("81,597: ")
    assert lines["time zone"].startswith("America/New_York")
    assert re.search(r"pagerank: .*converged 1", first_screen)
    assert re.search(r"^ +1  airport:EWR +Newark Liberty Intl +0\.09", first_screen, re.MULTILINE)
    assert re.search(r": made in \d+\.\d s \(.*compute \d+\.\d s\)", first_screen)


def test_the_commands_that_the_demo_tells_can_be_typed(
    workspace: Path, first_screen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace.parents[1])
    told = re.findall(r"^  workbench (.+)$", first_screen.split("\nNext:\n")[1], re.MULTILINE)
    assert [line.split()[0] for line in told] == ["catalog", "entity", "graph", "sql", "ask", "serve"]
    for line in told[:-1]:  # serve goes on until it is stopped
        assert "-w workbench-demo/flights" in line
        done = CliRunner().invoke(app, shlex.split(line), prog_name="workbench")
        notes = "--explain shows the plan.\n" if line.startswith("ask") else ""
        assert (done.exit_code, done.stderr) == (0, notes), done.output
        assert done.stdout
    (python,) = re.findall(r"^  import workbench as wb; db = (wb\.open.+)$", first_screen, re.MULTILINE)
    assert python == "wb.open('workbench-demo/flights')"


def test_the_second_demo_is_there_already(workspace: Path) -> None:
    report = workspace.with_name("again.html")
    facts = document("demo", "--path", workspace.parent, "--report", report)
    assert facts["answer"]["status"] == "answered"
    assert Path(facts["report"]).stat().st_size > 100_000
    assert facts["made"] is False
    assert facts["event_types"] == DOCUMENTS
    assert [row["entity"] for row in facts["top"]][:3] == ["airport:EWR", "airport:LGA", "airport:JFK"]
    again = CliRunner().invoke(
        app, ["demo", "--path", str(workspace.parent), "--report", str(report), "--quiet"]
    )
    assert (again.exit_code, again.stderr) == (0, "")
    assert again.stdout.startswith(f"{workspace}: was there already, opened in ")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("select count(*) from Departure", 328_521),
        ("select count(*) from Cancellation", 8_255),
        # a local month: 4,923 by UTC date
        ("select count(*) from Departure where carrier = 'UA' and month(_ts) = 3", 4_926),
        (
            """
            select count(*) from (
                from Departure select carrier union all from Cancellation select carrier
            ) where carrier = 'UA'
            """,
            58_665,
        ),
    ],
)
def test_sql_counts_what_is_known(workspace: Path, statement: str, expected: int) -> None:
    data = document("sql", statement, "-w", workspace)
    assert (data["rows"], data["timezone"]) == ([[expected]], "America/New_York")


def test_sql_json_has_every_row(workspace: Path) -> None:
    rows = document("sql", "select carrier from Departure", "-w", workspace)["rows"]
    assert len(rows) == 328_521
    assert sum(row == ["UA"] for row in rows) == 57_979


def test_the_graph_knows_who_was_at_both_ends(workspace: Path) -> None:
    command = ("graph", "shared", "airport:DEN", "airport:MIA", "--edge-type", "ArrivedAt", "-w", workspace)
    assert len(document(*command)["rows"]) == 621
    served = document("graph", "around", "airport:HNL", "--edge-type", "Serves", "-w", workspace)["nodes"]
    entity = served["columns"].index("entity")
    assert {row[entity] for row in served["rows"]} == {"airport:HNL", "carrier:HA", "carrier:UA"}


def test_nothing_of_the_year_is_damaged(workspace: Path) -> None:
    checked = document("verify", "--full", "-w", workspace)
    assert checked["damaged"] == []
    # the 366 segments and, under no segment, the reference tables
    assert len(checked["partials"]) == 367
    assert document("status", "-w", workspace)["event_types"] == DOCUMENTS
