"""The command line: what it prints where, its exit codes, and that strangers' data can do nothing."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import json
import logging
import os
import pty
import re
import select
import signal
import subprocess
import sys
import urllib.request
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner, Result

import workbench
from workbench.cli.app import app
from workbench.cli.errors import Group
from workbench.cli.options import pairs
from workbench.cli.screen import printable
from workbench.engine import Engine
from workbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: clicks, name: Clicks, version: 1}
spec:
  timezone: Europe/Berlin
  timestamp: {fields: [time], timezone: UTC}
  entities:
    user: {who: true}
    page: {}
    country: {attribute: true}
  edges:
    Visited: {from: user, to: page}
    LivesIn: {from: user, to: country}
  events:
    Click:
      entities: {user: user, page: page, country: country}
      edges:
        - {type: Visited, from: user, to: page}
        - {type: LivesIn, from: user, to: country}
"""
HOSTILE = "\x1b[31mred\u202e\x9b2J [bold]x[/bold] :smile:"
CLICKS = [
    ("2025-06-12T22:30:00Z", "anna", "/start", "de"),
    ("2025-06-12T23:00:00Z", "anna", "/shop", "de"),
    ("2025-06-13T08:00:00Z", "anna", "/start", "de"),
    ("2025-06-13T09:00:00Z", "boris", "/shop", "fr"),
    ("2025-06-14T09:00:00Z", "carla", "/other", "de"),
    *((f"2025-06-14T10:{n:02}:00Z", "many", f"/page-{n:02}", "us") for n in range(50)),
    ("2025-06-14T11:00:00Z", "many", HOSTILE, "us"),
]
COMMANDS = [
    *(
        "demo",
        "init",
        "synth",
        "ingest",
        "watch",
        "lab",
        "catalog",
        "sql",
        "entity",
        "knowledge",
        "ask",
        "plan",
    ),
    *(
        "plan-schema",
        "compute",
        "serve",
        "password",
        "run",
        "status",
        "verify",
        "repair",
        "evict",
        "mirror",
        "restore",
        "compact",
        "index",
        "forget",
        "config",
        "drivers",
        "schema",
        "bench",
    ),
]
GRAPH_COMMANDS = ["around", "path", "shared", "stats"]
QUARANTINE_COMMANDS = ["list", "show", "retry"]
RULES_COMMANDS = ["list", "check", "add", "backtest", "enable", "disable", "evaluate", "log"]
TRIAGE_COMMANDS = ["mark", "note", "list", "precision"]


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """A command sends the log to its own standard error: put back what was there."""
    log = logging.getLogger("workbench")
    handlers, level, propagate = log.handlers[:], log.level, log.propagate
    yield
    log.handlers[:], log.level, log.propagate = handlers, level, propagate


def run(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], input=stdin, prog_name="workbench")


def fine(*arguments: object, stdin: str | None = None) -> str:
    done = run(*arguments, stdin=stdin)
    assert done.exit_code == 0, done.output
    return done.stdout


def document(*arguments: object) -> Any:
    """Return the one JSON document on standard output; nothing else may be said anywhere."""
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    return json.loads(done.stdout)


def mistake(*arguments: object) -> str:
    """Return the paragraph that a user's mistake gives."""
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("workbench")
    assert "\n\n" not in done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workbench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)


def write_clicks(path: Path, rows: list[tuple[str, ...]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("time", "user", "page", "country"), *rows])
    return path


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "clicks.yaml"
    path.write_text(SCHEMA, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def clicks(schema: Path) -> Path:
    return write_clicks(schema.parent / "Click" / "clicks.csv", CLICKS)


def filled(root: Path, schema: Path, clicks: Path) -> Path:
    with Engine.create(root, schema=schema) as engine:
        engine.ingest(clicks)
    return root


@pytest.fixture(scope="module")
def shop(schema: Path, clicks: Path) -> Path:
    """A workspace that tests only read, or add knowledge to."""
    return filled(schema.parent / "shop", schema, clicks)


@pytest.fixture
def own(tmp_path: Path, schema: Path, clicks: Path) -> Path:
    """A workspace that a test may change."""
    return filled(tmp_path / "own", schema, clicks)


# help, start-up, completion


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import json, sys\n"
        "from workbench.cli import main\n"
        "sys.argv = ['workbench', '--help']\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    heavy = {"duckdb", "numpy", "polars", "pyarrow", "pydantic", "structlog", "workbench.engine"}
    assert loaded & heavy == set()
    assert "workbench.cli.app" in loaded


def test_help_shows_every_command_in_its_panel() -> None:
    shown = fine("--help")
    assert [name for name in ("Start", "Look", "Compute", "Operate") if f" {name} ─" in shown] == [
        *("Start", "Look", "Compute", "Operate")
    ]
    names = {*COMMANDS, "graph", "quarantine", "rules"}
    assert {name for name in names if re.search(rf"^│ {name} ", shown, re.MULTILINE)} == names
    assert fine() == shown


@pytest.mark.parametrize(
    "command",
    [
        *([name] for name in COMMANDS),
        *(["graph", name] for name in GRAPH_COMMANDS),
        *(["quarantine", name] for name in QUARANTINE_COMMANDS),
        *(["rules", name] for name in RULES_COMMANDS),
        *(["triage", name] for name in TRIAGE_COMMANDS),
    ],
)
def test_the_help_of_a_command_says_what_it_does_and_has_examples(command: list[str]) -> None:
    shown = fine(*command, "--help")
    purpose = shown.split("\n\n" if "\n\n" in shown else "\n")
    assert purpose
    assert re.search(r"^ [A-Z][^│]+[.:]\s*$", shown, re.MULTILINE)
    examples = shown.split(" Examples")[1]
    assert f" workbench {' '.join(command)}" in examples


def test_there_is_no_command_without_a_test_of_its_help() -> None:
    assert {command.name for command in app.registered_commands} == set(COMMANDS)


@pytest.mark.parametrize("group", ["graph", "quarantine", "rules"])
def test_a_group_alone_shows_its_help(group: str) -> None:
    assert fine(group) == fine(group, "--help")


def test_the_version_is_shown() -> None:
    assert fine("--version") == f"workbench {workbench.__version__}\n"


def test_the_module_is_the_command() -> None:
    done = process("--version")
    assert (done.returncode, done.stdout) == (0, f"workbench {workbench.__version__}\n")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("workbench compute pag", ["pagerank"]),
        ("workbench knowledge comp", ["components"]),
        ("workbench init shop --schema fl", ["flights"]),
        ("workbench ingest --connector pa", ["parquet"]),
        ("workbench demo fl", ["flights"]),
        ("workbench graph sh", ["shared"]),
    ],
)
def test_names_are_completed_by_the_shell(line: str, expected: list[str]) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    done = process(env={**os.environ, "_WORKBENCH_COMPLETE": "complete_bash", **words})
    assert done.stdout.split() == expected


# mistakes


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["sqll"], "No such command 'sqll'. Did you mean 'sql'?"),
        (["sql"], "workbench sql: Missing argument 'STATEMENT'"),
        (["catalog", "--format", "xml"], "'xml' is not one of 'text', 'html', 'json'"),
        (["graph", "arund"], "workbench graph: No such command 'arund'. Did you mean 'around'?"),
        (["status", "-w", "nowhere"], "the directory does not exist. Make one with 'workbench init"),
        (["compute", "pagerank", "communities", "-p", "a=1"], "parameters belong to one task"),
        (["compute", "pagerank", "-p", "damping"], "'damping' has no value. Write it name=value."),
        (["compute", "pagerank", "-p", "seed=3"], "'seed' is no parameter of a task"),
        (["ingest", "x", "--option", "type=Click"], "'type' is no option of a connector"),
        (["sql", "x", "--json", "--format", "csv"], "exclude each other"),
        (["sql", "x", "--format", "parquet"], "Name a file with --output."),
        (["graph", "path", "a:a", "b:b", "-k", "2", "-o", "x.graphml"], "a file holds one path"),
    ],
)
def test_a_mistake_is_told_in_one_paragraph(arguments: list[str], expected: str) -> None:
    assert expected in mistake(*arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["sql", "delete from Click"], "SELECT"),
        (["sql", "select * from Clik"], "Click"),
        (["entity", "user:ana"], "Did you mean 'user:anna'"),
        (["entity", "usr:anna"], "Did you mean 'user'?"),
        (["entity", "anna"], "Write it type:key."),
        (["graph", "around", "user:anna", "--through", "contry"], "Did you mean 'country'?"),
        (["graph", "around", "user:anna", "--edge-type", "Visit"], "Did you mean 'Visited'?"),
        (["compute", "pagrank"], "Did you mean 'pagerank'?"),
        (["compute", "pagerank", "--asof", "yesterday"], "is not a time"),
        (["compute", "pagerank", "-p", "dampin=0.5"], "Did you mean 'damping'?"),
        (["knowledge", "pagerank", "--runs", "--asof", "2025-06-13"], "--asof goes with the rows"),
        (["evict", "--before", "soon", "--yes"], "'soon' is not a time"),
        (["evict", "2025-06-11", "--yes"], "there is no segment '2025-06-11'"),
        (["evict"], "the window of this workspace holds everything"),
        (["catalog", "-o", "no/such/folder/x.txt"], "cannot be written"),
        (["sql", "select 1", "--format", "csv", "-o", "no/such/folder/x.csv"], "cannot be written"),
        (["graph", "around", "user:anna", "-o", "no/such/folder/x.graphml"], "cannot be written"),
        (["ingest", "no-such-file.csv"], "there is no such file"),
    ],
)
def test_a_mistake_about_the_workspace_suggests_what_is_meant(
    shop: Path, arguments: list[str], expected: str
) -> None:
    # progress is no part of the paragraph
    quiet = ["--quiet"] if arguments[0] in {"compute", "ingest"} else []
    assert expected in mistake(*arguments, *quiet, "-w", shop)


def test_an_exception_that_nobody_expected_keeps_its_traceback() -> None:
    broken = typer.Typer(cls=Group, pretty_exceptions_enable=False)

    @broken.callback()
    def root() -> None: ...

    @broken.command()
    def fail() -> None:
        raise ZeroDivisionError

    assert isinstance(CliRunner().invoke(broken, ["fail"]).exception, ZeroDivisionError)


def test_a_mistake_of_a_process_ends_with_2(shop: Path) -> None:
    done = process("entity", "user:ana", "-w", shop)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("workbench: ")


def test_a_name_in_an_error_cannot_steer_the_terminal(shop: Path) -> None:
    assert "\x1b" not in mistake("entity", "user:\x1b[31m", "-w", shop)


# which workspace


def test_the_workspace_is_the_working_directory_or_the_demo_in_it(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "there is no workspace here" in mistake("status")
    demo = tmp_path / "workbench-demo" / "flights"
    demo.parent.mkdir()
    own.rename(demo)
    assert document("status")["path"] == str(demo)
    monkeypatch.chdir(demo)
    assert document("status")["documents"] == len(CLICKS)


# what fills it


def test_init_makes_a_workspace_once(tmp_path: Path, schema: Path) -> None:
    assert "schema clicks" in fine("init", tmp_path / "new", "--schema", schema)
    assert document("status", "-w", tmp_path / "new")["schema"] == "clicks"
    assert "there is something already" in mistake("init", tmp_path / "new")
    assert "Did you mean 'flights'?" in mistake("init", tmp_path / "other", "--schema", "flihgts")
    assert not (tmp_path / "other").exists()


def test_ingest_stores_once_and_a_dry_run_never(tmp_path: Path, schema: Path, clicks: Path) -> None:
    fine("init", tmp_path / "new", "--schema", schema)
    dry = document("ingest", clicks, "--dry-run", "-w", tmp_path / "new")
    assert (dry["rows"], dry["dry_run"]) == ({"Click": len(CLICKS)}, True)
    assert document("status", "-w", tmp_path / "new")["documents"] == 0
    stored = document("ingest", clicks, "-w", tmp_path / "new")
    assert stored["days"] == {"2025-06-12": 2, "2025-06-13": 2, "2025-06-14": 52}
    assert document("ingest", clicks, "-w", tmp_path / "new")["known"] == 1
    assert document("status", "-w", tmp_path / "new")["documents"] == len(CLICKS)


def test_ingest_takes_a_type_a_connector_and_its_options(tmp_path: Path, schema: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("time;user;page\n2025-06-12T10:00:00Z;anna;/start\n", encoding="utf-8")
    fine("init", tmp_path / "new", "--schema", schema)
    options = ["--type", "Click", "--connector", "csv", "--option", "delimiter=;"]
    assert document("ingest", log, *options, "-w", tmp_path / "new")["rows"] == {"Click": 1}


def test_progress_is_told_in_lines_and_not_at_all_if_quiet(own: Path, tmp_path: Path) -> None:
    for number, quiet in enumerate(([], ["--quiet"])):
        more = write_clicks(
            tmp_path / "Click" / f"{number}.csv", [(f"2025-06-15T0{number}:00:00Z", "a", "/", "de")]
        )
        done = run("ingest", more, "-w", own, *quiet)
        assert "stored 1 documents" in done.stdout
        assert done.stderr == ("" if quiet else "ingest: 0 of 1 files\ningest: 1 of 1 files, 1 rows\n")


def test_an_ingest_of_which_nothing_could_be_read_ends_with_1(own: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"\x00\x01 junk")
    for _ in range(2):
        done = run("ingest", bad, "-w", own)
        assert done.exit_code == 1
        assert "quarantined whole" in done.stdout
    good = write_clicks(tmp_path / "Click" / "good.csv", [("2025-06-15T00:00:00Z", "a", "/", "de")])
    assert run("ingest", bad, good, "-w", own).exit_code == 0


def test_quarantine_lists_and_shows_what_could_not_be_read(own: Path, tmp_path: Path) -> None:
    rows = [("2025-06-15T00:00:00Z", "a", "/", "de")] * 9 + [("not a time \x1b[2J", "a", "/", "de")]
    log = write_clicks(tmp_path / "Click" / "mixed.csv", rows)
    fine("ingest", log, "-w", own)
    data = document("quarantine", "list", "-w", own)
    (counted,) = [dict(zip(data["columns"], row, strict=True)) for row in data["rows"]]
    assert (counted["source"], counted["records"]) == (str(log), 1)
    assert counted["reason"] == "unreadable time in 'time'"
    assert "unreadable time" in fine("quarantine", "list", "-w", own)

    data = document("quarantine", "show", counted["first_id"], "-w", own)
    (record,) = [dict(zip(data["columns"], row, strict=True)) for row in data["rows"]]
    assert (record["name"], record["offset"]) == ("Click", 9)
    assert json.loads(bytes.fromhex(record["original"]))["time"] == "not a time \x1b[2J"
    shown = fine("quarantine", "show", log, "-w", own)
    assert f"{counted['first_id']}  {log}, record 9: Click" in shown
    assert "not a time" in shown
    assert "\x1b" not in shown
    assert "the first 0 shown" in fine("quarantine", "show", log, "-w", own, "--limit", 0)

    out = tmp_path / "bad"
    assert fine("quarantine", "show", log, "-w", own, "--out", out) == ""
    assert out.read_bytes() == bytes.fromhex(record["original"]) + b"\n"
    assert "cannot be written: File exists" in mistake("quarantine", "show", log, "-w", own, "--out", out)
    assert "there is no record or source in quarantine 'x'" in mistake("quarantine", "show", "x", "-w", own)


def test_quarantine_is_tried_again(own: Path, tmp_path: Path) -> None:
    log = tmp_path / "Click" / "semicolons.csv"
    write_clicks(log, [])
    log.write_text("time,user;page\n2025-06-15T00:00:00Z;a;/\n", encoding="utf-8")
    assert run("ingest", log, "-w", own).exit_code == 1
    assert run("quarantine", "retry", "-w", own, "-q").exit_code == 1
    log.write_text("time;user;page\n2025-06-15T00:00:00Z;a;/\n", encoding="utf-8")
    fine("ingest", log, "-w", own, "--dry-run")
    assert "has other bytes by now" in run("quarantine", "retry", "-w", own, "-q").stdout
    assert "'progress' is no option of a connector" in mistake(
        "quarantine", "retry", "-w", own, "--option", "progress=1"
    )
    log.write_text("time,user;page\n2025-06-15T00:00:00Z;a;/\n", encoding="utf-8")
    option = ["--option", "delimiter=|"]
    assert "stays as a whole" in run("quarantine", "retry", log, *option, "-w", own, "-q", "--dry-run").stdout


# what shows it


def test_status_is_the_engines(shop: Path) -> None:
    with Engine(shop) as engine:
        assert document("status", "-w", shop) == engine.status()
    shown = fine("status", "-w", shop)
    assert re.search(rf"^documents +{len(CLICKS)}$", shown, re.MULTILINE)
    assert re.search(r"^timezone +Europe/Berlin$", shown, re.MULTILINE)


def test_the_catalog_comes_as_text_html_and_json(shop: Path, tmp_path: Path) -> None:
    with Engine(shop) as engine:
        expected, text = engine.catalog.to_dict(), engine.catalog.to_text()
    for found in (
        document("catalog", "-w", shop),
        json.loads(fine("catalog", "--format", "json", "-w", shop)),
    ):
        # how much of the disk is free is another fact at every moment
        assert {**found, "workspace": None} == {**expected, "workspace": None}
        assert found["workspace"]["path"] == str(shop)
    shown = fine("catalog", "-w", shop).splitlines()
    assert [line for line in shown if "disk free" not in line] == [
        line for line in printable(text).splitlines() if "disk free" not in line
    ]
    page = tmp_path / "catalog.html"
    assert fine("catalog", "--format", "html", "-o", page, "-w", shop) == ""
    assert page.read_text(encoding="utf-8").lower().startswith("<!doctype html>")


def test_sql_json_has_all_rows_and_says_the_time_zone(shop: Path) -> None:
    data = document("sql", "select page, _ts from Click order by _ts, page", "-w", shop)
    assert data["columns"] == ["page", "_ts"]
    assert len(data["rows"]) == len(CLICKS)
    assert data["rows"][0] == ["/start", "2025-06-13T00:30:00+02:00"]
    assert data["rows"][-1][0] == HOSTILE
    assert data["timezone"] == "Europe/Berlin"


def test_a_table_says_what_it_does_not_show(shop: Path) -> None:
    shown = fine("sql", "select * from range(1000) t(number)", "-w", shop).splitlines()
    assert shown[:3] == ["number", "     0", "     1"]
    assert len(shown) == 42
    assert shown[-1] == "1,000 rows, the first 40 shown; --json gives everything"
    few = fine("sql", "select * from range(1000) t(number)", "--rows", "2", "-w", shop).splitlines()
    assert few[1:] == ["     0", "     1", "1,000 rows, the first 2 shown; --json gives everything"]


def test_sql_reads_the_statement_from_standard_input(shop: Path) -> None:
    assert fine("sql", "-", "-w", shop, stdin="select 41 + 1 as answer").splitlines()[1].strip() == "42"


def test_sql_writes_csv(shop: Path, tmp_path: Path) -> None:
    statement = "select 1 as a, null as b, 'x,\"y\"' as c, [1, 2] as d, timestamp '2025-06-12 10:00:00' as e"
    rows = [["a", "b", "c", "d", "e"], ["1", "", 'x,"y"', "[1, 2]", "2025-06-12T10:00:00"]]
    assert list(csv.reader(fine("sql", statement, "--format", "csv", "-w", shop).splitlines())) == rows
    file = tmp_path / "rows.csv"
    assert (
        fine("sql", "select page from Click order by page", "--format", "csv", "-o", file, "-w", shop) == ""
    )
    with file.open(newline="", encoding="utf-8") as written:
        assert sorted(row["page"] for row in csv.DictReader(written)) == sorted(row[2] for row in CLICKS)


def test_sql_writes_parquet_and_json_files(shop: Path, tmp_path: Path) -> None:
    statement = "select page, _ts from Click order by _ts"
    file = tmp_path / "rows.parquet"
    fine("sql", statement, "--format", "parquet", "-o", file, "-w", shop)
    with Engine(shop) as engine:
        assert pq.read_table(file).equals(engine.sql(statement).to_arrow())
    assert "cannot hold these rows" in mistake(
        *("sql", "select interval 1 day as i", "--format", "parquet", "-o", file, "-w", shop)
    )
    fine("sql", statement, "--format", "json", "-o", tmp_path / "rows.json", "-w", shop)
    assert json.loads((tmp_path / "rows.json").read_text()) == document("sql", statement, "-w", shop)


def test_a_field_value_cannot_steer_the_terminal(shop: Path) -> None:
    done = run("sql", "select page from Click where page like '%bold%'", "-w", shop)
    assert "[bold]x[/bold] :smile:" in done.stdout
    assert done.stdout.replace("\n", "").isprintable()
    assert printable(HOSTILE) == r"\x1b[31mred\u202e\x9b2J [bold]x[/bold] :smile:"
    raw = run("sql", "select page from Click", "--json", "-w", shop).stdout
    assert raw.isascii()


def test_the_page_of_an_entity_has_all_its_neighbours(shop: Path) -> None:
    page = document("entity", "user:many", "-w", shop)
    assert (page["sightings"], page["segments"], page["timezone"]) == (51, 1, "Europe/Berlin")
    assert len(page["neighbours"]) == 52
    assert page["neighbours"][0]["entity"] == "country:us"
    assert page["first_seen"] == "2025-06-14T12:00:00+02:00"
    shown = fine("entity", "user:many", "--limit", "3", "-w", shop)
    assert "52 rows, the first 3 shown" in shown
    assert "51 in 1 segments" in shown


def test_around_counts_hops_and_hidden_entities(shop: Path) -> None:
    near = document("graph", "around", "user:anna", "--hops", "2", "-w", shop)
    entity, hops = (near["nodes"]["columns"].index(name) for name in ("entity", "hops"))
    # no walk goes on through a country, which is of an attribute type
    assert {row[entity]: row[hops] for row in near["nodes"]["rows"]} == {
        "user:anna": 0,
        "page:/start": 1,
        "page:/shop": 1,
        "country:de": 1,
        "user:boris": 2,
    }
    through = document("graph", "around", "user:anna", "--hops", "2", "--through", "country", "-w", shop)
    assert "user:carla" in {row[entity] for row in through["nodes"]["rows"]}
    few = document("graph", "around", "user:many", "--limit", "10", "-w", shop)
    assert (few["hidden"], len(few["nodes"]["rows"])) == ([42], 11)
    only = document("graph", "around", "user:anna", "--edge-type", "LivesIn", "--direction", "in", "-w", shop)
    assert [row[entity] for row in only["nodes"]["rows"]] == ["user:anna"]
    shown = fine("graph", "around", "user:many", "-w", shop)
    assert "53 rows, the first 40 shown" in shown


def test_around_writes_graphml(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "anna.graphml"
    assert fine("graph", "around", "user:anna", "-o", file, "-w", shop) == ""
    nodes = ET.parse(file).getroot().iter("{http://graphml.graphdrawing.org/xmlns}node")  # noqa: S314
    assert {node.get("id") for node in nodes} == {"user:anna", "page:/start", "page:/shop", "country:de"}


def test_paths_are_found_and_none_is_said_to_be_none(shop: Path) -> None:
    found = document("graph", "path", "user:anna", "user:boris", "--unweighted", "-w", shop)
    (path,) = found["paths"]
    entity = path["nodes"]["columns"].index("entity")
    assert [row[entity] for row in path["nodes"]["rows"]] == ["user:anna", "page:/shop", "user:boris"]
    assert path["length"] == 2
    assert "user:anna - page:/shop - user:boris" in fine(
        "graph", "path", "user:anna", "user:boris", "-w", shop
    )
    assert document("graph", "path", "user:anna", "user:carla", "-w", shop)["paths"] == []
    assert fine("graph", "path", "user:anna", "user:carla", "-w", shop).startswith("there is no path")


def test_what_is_shared_and_the_figures_of_the_graph(shop: Path) -> None:
    data = document("graph", "shared", "user:anna", "user:boris", "-w", shop)
    assert [row[data["columns"].index("entity")] for row in data["rows"]] == ["page:/shop"]
    assert "page:/shop" in fine("graph", "shared", "user:anna", "user:boris", "-w", shop)
    stats = document("graph", "stats", "-w", shop)
    assert stats["nodes"] == {"country": 3, "page": 54, "user": 4}
    assert stats["edges"] == {"LivesIn": 4, "Visited": 55}
    assert re.search(r"^edges +59$", fine("graph", "stats", "-w", shop), re.MULTILINE)


# what computes


def test_compute_lists_its_tasks() -> None:
    tasks = {task["name"]: task["parameters"] for task in document("compute")["tasks"]}
    assert {"communities", "components", "pagerank"} <= set(tasks)
    assert tasks["pagerank"]["damping"] == 0.85
    assert "damping=0.85" in fine("compute")


def test_compute_keeps_knowledge_and_does_not_compute_it_twice(own: Path) -> None:
    command = ["compute", "components", "pagerank", "--device", "cpu", "--seed", "7", "-w", own]
    first, again = document(*command), document(*command)
    assert [result["run"]["kind"] for result in first["results"]] == ["components", "pagerank"]
    assert [result["run"]["id"] for result in first["results"]] == [r["run"]["id"] for r in again["results"]]
    ranks = first["results"][1]
    # entities without the three countries, which are of an attribute type
    assert len(ranks["rows"]) == ranks["total"] == 58
    assert ranks["run"]["seed"] == 7
    assert (ranks["timezone"], ranks["run"]["segments"]) == ("Europe/Berlin", ["2025-06-12", "2025-06-14", 3])


def test_knowledge_shows_kinds_runs_and_rows(own: Path) -> None:
    assert document("knowledge", "-w", own) == {"runs": [], "total": 0}
    assert "no knowledge yet" in fine("knowledge", "-w", own)
    for damping in (0.5, 0.85):
        fine("compute", "pagerank", "-p", f"damping={damping}", "--device", "cpu", "-w", own)
    fine("compute", "pagerank", "--asof", "2025-06-13", "--device", "cpu", "-w", own)
    runs = document("knowledge", "pagerank", "--runs", "-w", own)["runs"]
    assert [(run["parameters"]["damping"], run["segments"][2]) for run in runs] == [
        *((0.85, 2), (0.5, 3), (0.85, 3))
    ]
    newest = document("knowledge", "-w", own)
    assert ([run["id"] for run in newest["runs"]], newest["total"]) == ([runs[-1]["id"]], 3)
    assert document("knowledge", "pagerank", "-w", own)["run"]["id"] == runs[-1]["id"]
    early = document("knowledge", "pagerank", "--asof", "2025-06-13", "--limit", "2", "-w", own)
    assert (early["run"]["id"], len(early["rows"]), early["total"]) == (runs[0]["id"], 2, 4)
    shown = fine("knowledge", "pagerank", "--limit", "5", "-w", own)
    assert "58 rows, the first 5 shown" in shown
    assert "(Europe/Berlin) on cpu" in shown
    assert "3 runs in all" in fine("knowledge", "--runs", "-w", own)


# what keeps it in order


def test_verify_finds_one_flipped_bit_and_ends_with_1(own: Path) -> None:
    assert document("verify", "--full", "-w", own)["damaged"] == []
    victim = next((own / "segments" / "dt=2025-06-13").glob("*.edges.parquet"))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    done = run("verify", "--json", "-w", own)
    assert done.exit_code == 1
    (damaged,) = json.loads(done.stdout)["damaged"]
    assert damaged["path"] == str(victim.relative_to(own))
    shown = run("verify", "-w", own)
    assert shown.exit_code == 1
    assert "1 damaged" in shown.stdout
    assert victim.name in shown.stdout


def test_verify_gives_the_hash_of_every_partial(own: Path, shop: Path) -> None:
    partials = document("verify", "-w", own)["partials"]
    assert list(partials) == ["2025-06-12", "2025-06-13", "2025-06-14"]
    with Engine(own) as engine:
        file = engine.snapshot.files("sightings", segments=["2025-06-13"])[0]
    assert partials["2025-06-13"]["sightings"] == file.hash
    assert {"entities", "edges", "counts", "profiles"} <= set(partials["2025-06-13"])
    # equal documents under an equal schema, ingested by another process at another time
    assert document("verify", "-w", shop)["partials"] == partials


def test_evict_drops_what_is_named_and_nothing_unasked(own: Path) -> None:
    assert "Give --yes" in mistake("evict", "2025-06-12", "-w", own)
    assert document("status", "-w", own)["segments"] == 3
    assert document("evict", "--before", "2025-06-13", "--yes", "-w", own)["dropped"] == ["2025-06-12"]
    assert "2025-06-14" in fine("evict", "2025-06-14", "-y", "-w", own)
    assert document("status", "-w", own)["documents"] == 2


def on_a_terminal(*arguments: object, answer: str | signal.Signals = "") -> tuple[int, str]:
    """Run a command whose streams are a terminal and answer its question; return its code and screen."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "workbench", *map(str, arguments)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as child:
        os.close(theirs)
        shown, asked = b"", False
        while True:
            # a signal that comes just before the child begins to read is heard only by the next one
            ready = select.select([ours], [], [], 1.0)[0]
            if not ready and asked and isinstance(answer, signal.Signals):
                child.send_signal(answer)
            if not ready:
                continue
            try:
                shown += os.read(ours, 4096)
            except OSError:  # what Linux says where the other end is closed
                break
            if not asked and b"[y/N]" in shown:
                asked = True
                if isinstance(answer, str):
                    os.write(ours, answer.encode())
        os.close(ours)
    return child.returncode, shown.decode()


def test_compact_merges_parts_and_says_how_many(own: Path, tmp_path: Path) -> None:
    assert "nothing to compact" in fine("compact", "-w", own)
    fine("ingest", "-w", own, write_clicks(tmp_path / "Click" / "late.csv", [CLICKS[0], CLICKS[2]]))
    done = document("compact", "-w", own)
    assert (done["files"], done["into"], done["segments"]) == (4, 2, ["2025-06-12", "2025-06-13"])
    assert "there is no segment '2025-06-20'" in mistake("compact", "2025-06-20", "-w", own)


def test_forget_says_what_it_would_remove_and_removes_it_when_told_to(own: Path) -> None:
    assert "nothing was changed" in fine("forget", "user:anna", "-w", own)
    (own / "rules").mkdir()
    (own / "rules" / "anna.yaml").write_text("")
    left = run("forget", "user:anna", "-w", own, "--apply")
    assert (left.exit_code, "rules/anna.yaml, name: 1 times" in left.stdout) == (1, True)
    (own / "rules" / "anna.yaml").unlink()
    done = document("forget", "user:anna", "-w", own, "--apply")
    assert (done["proved"], done["documents"]) == (True, {})
    assert document("status", "-w", own)["documents"] == len(CLICKS) - 3
    assert "Did you mean 'user'?" in mistake("forget", "usr:anna", "-w", own)


def test_evict_asks_on_a_terminal(own: Path) -> None:
    code, shown = on_a_terminal("evict", "--before", "2025-06-14", "-w", own, answer="n\n")
    assert code == 0
    assert "Drop the 2 segments before 2025-06-14" in shown
    assert "nothing was dropped" in shown
    code, shown = on_a_terminal("evict", "2025-06-13", "-w", own, answer=signal.SIGINT)
    assert code == 130
    assert document("status", "-w", own)["segments"] == 3
    assert on_a_terminal("evict", "2025-06-13", "-w", own, answer="y\n")[0] == 0
    assert document("status", "-w", own)["segments"] == 2


def test_a_terminal_gets_a_bar_and_tables_of_its_width(own: Path, tmp_path: Path) -> None:
    more = write_clicks(tmp_path / "Click" / "more.csv", [("2025-06-15T00:00:00Z", "a", HOSTILE, "de")])
    code, shown = on_a_terminal("ingest", more, "-w", own)
    assert code == 0
    assert "1/1 files" in shown
    assert re.search(r"1 rows, [\d,]+ rows/s *(\x1b\[[\d;]*m)* *(\x1b\[[\d;]*m)*(\d+:\d\d|--:--)", shown)
    wide = ", ".join(f"{n} as a_column_of_some_width_{n}" for n in range(9))
    _, shown = on_a_terminal("sql", f"select {wide}", "-w", own)
    assert re.search(r"columns not shown: (a_column_of_some_width_\d, )+a_column_of_some_width_8;", shown)
    _, shown = on_a_terminal("sql", "select page from Click", "--format", "csv", "-w", own)
    assert "\x1b[31m" not in shown
    assert r"\x1b[31m" in shown


@pytest.mark.parametrize("command", ["config", "drivers"])
def test_what_is_about_the_machine_needs_no_workspace(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert fine(command)


def test_drivers_of_all_kinds_are_shown() -> None:
    drivers = {(driver["kind"], driver["name"]) for driver in document("drivers")["drivers"]}
    assert {("connector", "csv"), ("task", "pagerank"), ("compute backend", "cpu")} <= drivers


def test_config_says_where_a_value_comes_from(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "workbench.toml").write_text("window = 30\nthreads = 1\n", encoding="utf-8")
    monkeypatch.setenv("WORKBENCH_THREADS", "2")
    data = document("config", "-w", own)
    found = {setting["name"]: (setting["value"], setting["origin"]) for setting in data["settings"]}
    assert found["window"] == (30, "workbench.toml")
    assert found["threads"] == (2, "environment")
    assert found["device"] == ("auto", "default")
    assert re.search(r"^threads +2 +environment ", fine("config", "-w", own), re.MULTILINE)
    monkeypatch.setenv("WORKBENCH_THREDS", "2")
    assert "Did you mean 'threads'?" in mistake("config", "-w", own)


def test_lab_hands_its_arguments_on_and_says_how_to_open_the_workspace(shop: Path, tmp_path: Path) -> None:
    package = tmp_path / "jupyterlab"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("import sys; print(sys.argv[1:])", encoding="utf-8")
    done = process(
        *("lab", "-w", shop, "--", "--no-browser", "--port=9"),
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (0, "['--no-browser', '--port=9']\n")
    assert f"db = wb.open({str(shop)!r})" in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is not None, reason="JupyterLab is installed")
def test_lab_says_what_is_missing(shop: Path) -> None:
    assert "JupyterLab is not installed" in mistake("lab", "-w", shop)


@pytest.mark.skipif(importlib.util.find_spec("panel") is None, reason="Panel is not installed")
def test_serve_answers_on_this_machine_until_it_is_stopped(shop: Path) -> None:
    assert "only this machine may connect" in mistake("serve", "--address", "0.0.0.0", "-w", shop)  # noqa: S104
    command = [sys.executable, "-m", "workbench", "serve", "--port", "0", "-w", str(shop)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        url = server.stderr.readline().split()[0]
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=60) as page:  # noqa: S310
            assert page.status == 200
        server.send_signal(signal.SIGINT)
        assert server.wait(60) in {0, 130}


# Ctrl-C and closed pipes


def interrupt(process: subprocess.Popen[str]) -> None:
    """Press Ctrl-C until it is heard: a native call that ends just then can swallow it."""
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2)


def test_an_interrupted_ingest_ends_with_130_and_can_be_repeated(tmp_path: Path, schema: Path) -> None:
    for number in range(800):
        rows = [
            (f"2025-06-{day:02}T0{number % 10}:00:00Z", f"user-{number}", "/", "de") for day in range(1, 29)
        ]
        write_clicks(tmp_path / "Click" / f"{number}.csv", rows)
    root = tmp_path / "own"
    Engine.create(root, schema=schema).close()
    command = [sys.executable, "-m", "workbench", "ingest", "-w", str(root), str(tmp_path / "Click")]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as ingest:
        assert ingest.stderr is not None
        assert ingest.stderr.readline() == "ingest: 0 of 800 files\n"
        interrupt(ingest)
        said = ingest.stderr.read()
    assert ingest.returncode == 130, said
    assert list(scratch.iterdir()) == []
    assert "The workspace is consistent" in said
    assert "Traceback" not in said
    assert document("verify", "-w", root)["damaged"] == []
    fine("ingest", tmp_path / "Click", "-w", root)
    assert document("status", "-w", root)["documents"] == 800 * 28


def test_a_closed_pipe_ends_the_command_without_a_word(shop: Path) -> None:
    statement = "select * from range(200000)"
    command = f"{sys.executable} -m workbench sql '{statement}' --json -w {shop} | head -c 12"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ('{"columns": ', "")


@pytest.mark.parametrize(
    "how", ["--json > /dev/full", "--format csv > /dev/full", "--format csv -o /dev/full", "> /dev/full"]
)
def test_a_full_disk_costs_a_paragraph_and_an_exit_code(shop: Path, how: str) -> None:
    command = f"{sys.executable} -m workbench sql 'from range(20000)' -w {shop} {how}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("workbench: what was to be written is cut off: No space left on device.")
    assert done.stderr.count("\n") == 1


def test_what_the_system_refuses_about_a_file_is_told_without_a_traceback(own: Path) -> None:
    (own / "workbench.toml").unlink(missing_ok=True)
    (own / "workbench.toml").mkdir()
    assert mistake("status", "-w", own) == f"workbench: {own / 'workbench.toml'}: Is a directory.\n"


def test_what_is_piped_in_has_to_be_text(shop: Path) -> None:
    command = f"printf '\\xff select 1' | {sys.executable} -m workbench sql - -w {shop}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "workbench: what is piped in is no UTF-8 text.\n")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["a=1", "b=x", "c=true", "d=[1]"], {"a": 1, "b": "x", "c": True, "d": [1]}),
        (["delimiter==", "name="], {"delimiter": "=", "name": ""}),
    ],
)
def test_a_value_that_is_json_is_what_json_says(written: list[str], expected: dict[str, Any]) -> None:
    assert pairs(written) == expected


@pytest.mark.parametrize("written", [["a"], ["=1"], ["a=1", "a=2"]])
def test_a_pair_without_a_name_a_value_or_twice_is_a_mistake(written: list[str]) -> None:
    with pytest.raises(UsageError):
        pairs(written)


def test_scorecards_are_listed_and_run_with_their_own_options() -> None:
    listed = fine("bench")
    assert "anomaly" in listed
    assert "Detection of planted anomalies" in listed
    assert "Did you mean 'anomaly'" in mistake("bench", "anomly")
    done = process("bench", "anomaly", "--", "--help")
    assert done.returncode == 0, done.stderr
    assert "--seeds" in done.stdout


def test_marks_and_notes_by_command(own: Path) -> None:
    fine("triage", "note", "page:home", "new since May", "--author", "ann", "-w", own)
    found = document("triage", "list", "page:home", "-w", own)
    row = dict(zip(found["columns"], found["rows"][0], strict=True))
    assert (row["author"], row["note"], row["mark"]) == ("ann", "new since May", "")
    assert "new since May" in fine("triage", "list", "-w", own)
    assert document("triage", "precision", "-w", own)["rows"] == [["any", 0, 0, None]]
    assert "Did you mean" in mistake("triage", "mark", "user:anna", "confirmd", "-w", own)
    marked = document("triage", "mark", "user:anna", "benign", "--note", "known", "-w", own)
    assert (marked["entity"], marked["mark"], marked["note"]) == ("user:anna", "benign", "known")
