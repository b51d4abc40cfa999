"""Settings: which layer wins, where each value came from, and what is refused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from workbench.errors import ConfigError
from workbench.settings import Settings, load_settings, origins

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, text: str) -> Path:
    (folder / "workbench.toml").write_text(text, encoding="utf-8")
    return folder


def test_each_layer_wins_over_the_one_below(tmp_path: Path) -> None:
    write(tmp_path, 'batch_mb = 2\nthreads = 2\ndevice = "cpu"\n')
    environ = {"WORKBENCH_BATCH_MB": "3", "WORKBENCH_THREADS": "3", "OTHER": "x"}
    found = load_settings(tmp_path, environ=environ, batch_mb=4, device=None)
    assert (found.batch_mb, found.threads, found.device, found.max_columns) == (4, 3, "cpu", 500)


def test_the_origin_of_each_value_is_known(tmp_path: Path) -> None:
    write(tmp_path, "threads = 2\nmax_columns = 7\n")
    found = {s.name: s for s in origins(tmp_path, environ={"WORKBENCH_THREADS": "3"}, batch_mb=4)}
    assert list(found) == list(Settings.model_fields)
    assert {n: (s.value, s.origin) for n, s in found.items() if s.origin != "default"} == {
        "threads": (3, "environment"),
        "max_columns": (7, "workbench.toml"),
        "batch_mb": (4, "argument"),
    }
    assert all(s.description for s in found.values())


def test_the_processs_own_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_BATCH_MB", "9")
    assert load_settings().batch_mb == 9
    assert {s.name: s.origin for s in origins()}["batch_mb"] == "environment"


def test_defaults_need_no_file(tmp_path: Path) -> None:
    assert load_settings(tmp_path, environ={}) == load_settings(environ={}) == Settings()


def test_settings_do_not_change(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings(environ={}).batch_mb = 1  # type: ignore[misc]


@pytest.mark.parametrize("layer", ["file", "environment", "argument"])
def test_an_unknown_key_is_refused_where_it_stands_with_a_suggestion(tmp_path: Path, layer: str) -> None:
    environ: dict[str, str] = {}
    arguments: dict[str, Any] = {}
    if layer == "file":
        write(tmp_path, "batch_bm = 1\n")
    elif layer == "environment":
        environ["WORKBENCH_BATCH_BM"] = "1"
    else:
        arguments["batch_bm"] = 1
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path, environ=environ, **arguments)
    shown = "'WORKBENCH_BATCH_BM'" if layer == "environment" else "'batch_bm'"
    assert caught.value.message == f"unknown setting {shown}."
    assert caught.value.fix == "Did you mean 'batch_mb'?"
    assert caught.value.where == (str(tmp_path / "workbench.toml") if layer == "file" else layer)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("batch_mb", "many", "valid integer"),
        ("batch_mb", "0", "greater than or equal to 1"),
        ("max_bad_share", "1.5", "less than or equal to 1"),
        ("window", "0", "at least 1 day"),
        ("window", "-3", "at least 1 day"),
        ("window", "some", "'all'"),
        ("device", "tpu", "'auto', 'cpu' or 'gpu'"),
        ("timezone", "Mars/Olympus", "no time zone 'Mars/Olympus'"),
        ("timezone", "../etc/passwd", "no time zone"),
        ("sql_memory", "lots", "match pattern"),
        ("sql_timeout", "0", "greater than 0"),
        ("log_level", "loud", "'debug'"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_origin(name: str, value: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ={f"WORKBENCH_{name.upper()}": value})
    assert caught.value.message.startswith(f"{name} is {value!r}: ")
    assert reason in caught.value.message
    assert caught.value.where == "environment"


@pytest.mark.parametrize(("text", "expected"), [("30", 30), ("all", "all"), ("1", 1)])
def test_the_window_is_all_or_a_number_of_days(text: str, expected: int | str) -> None:
    assert load_settings(environ={"WORKBENCH_WINDOW": text}).window == expected


def test_a_known_time_zone_is_taken_and_an_empty_one_means_the_schemas() -> None:
    assert load_settings(environ={"WORKBENCH_TIMEZONE": "Europe/Berlin"}).timezone == "Europe/Berlin"
    assert load_settings(environ={"WORKBENCH_TIMEZONE": ""}).timezone == ""


@pytest.mark.parametrize("content", [b"batch_mb = ", b"\xff\xfe", b"batch_mb = 1\nbatch_mb = 2"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "workbench.toml").write_bytes(content)
    with pytest.raises(ConfigError, match="not valid TOML") as caught:
        load_settings(tmp_path, environ={})
    assert caught.value.where == str(tmp_path / "workbench.toml")


def test_worker_threads_are_the_cores_unless_they_are_set() -> None:
    assert load_settings(environ={}, threads=3).worker_threads == 3
    assert load_settings(environ={}, threads=0).worker_threads == os.cpu_count()
