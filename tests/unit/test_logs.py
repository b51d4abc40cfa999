"""Log lines: quiet until asked for, on standard error, one JSON object a line where that is set."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from workbench.logs import configure, get_logger
from workbench.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger("workbench")
    before = root.handlers[:], root.level, root.propagate
    yield
    root.handlers[:], root.level, root.propagate = before[0], before[1], before[2]


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)


def test_nothing_is_said_until_it_is_configured() -> None:
    done = run("from workbench.logs import get_logger; get_logger('ingest').info('sealed', rows=1)")
    assert (done.stdout, done.stderr) == ("", "")


def test_json_lines_go_to_standard_error() -> None:
    done = run(
        "from workbench.logs import configure, get_logger\n"
        "from workbench.settings import load_settings\n"
        "configure(load_settings(environ={}, log_json=True, log_level='info'))\n"
        "log = get_logger('ingest')\n"
        "log.info('sealed', segment='2025-06-12', rows=3)\n"
        "log.debug('not shown')\n"
        "log.warning('two\\nlines \\x1b[31m')\n"
    )
    assert done.stdout == ""
    first, second = (json.loads(line) for line in done.stderr.splitlines())
    assert {k: first[k] for k in ("event", "segment", "rows", "level", "logger")} == {
        "event": "sealed",
        "segment": "2025-06-12",
        "rows": 3,
        "level": "info",
        "logger": "workbench.ingest",
    }
    assert first["timestamp"].endswith("Z")
    assert second["event"] == "two\nlines \x1b[31m"


def test_an_exception_is_part_of_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(load_settings(environ={}, log_json=True))
    try:
        _ = 1 // 0
    except ZeroDivisionError:
        get_logger("ingest").exception("failed", source="a.csv")
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert (found["event"], found["level"], found["source"]) == ("failed", "error", "a.csv")
    assert "ZeroDivisionError" in found["exception"]


def test_text_lines_have_their_facts(capsys: pytest.CaptureFixture[str]) -> None:
    configure(load_settings(environ={}, log_level="info"))
    get_logger("ingest").info("sealed", rows=3)
    shown = capsys.readouterr().err
    assert "sealed" in shown
    assert "rows" in shown


def test_configuring_again_does_not_double_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        configure(load_settings(environ={}, log_json=True))
    get_logger("ingest").warning("once")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_level_is_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    configure(load_settings(environ={}, log_json=True, log_level="error"))
    get_logger("ingest").warning("no")
    get_logger("ingest").error("yes")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["yes"]


def test_an_application_decides_by_the_standard_loggers(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="workbench.ingest"):
        get_logger("ingest").info("sealed", rows=3)
        get_logger("compute").info("not asked for")
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("workbench.ingest", "sealed")
    assert record.rows == 3  # type: ignore[attr-defined]
