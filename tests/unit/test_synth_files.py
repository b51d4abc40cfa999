"""The generated log's files: their form, their dirt, and that they depend on the arguments alone."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import workbench as wb
from workbench.cli.app import app
from workbench.errors import UsageError
from workbench.samples.gaming.dirt import nothing
from workbench.samples.gaming.names import Names, Sizes

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.progress import Update

ARGUMENTS: dict[str, Any] = {"days": 2, "events_per_day": 3_000, "seed": 3}
COLUMNS = {"Login": 72, "GameOpened": 80, "API Error": 155, "PopupModule": 60}
MOVED = {"v2/GridClick": "GameOpened", "v2/PopUpModule": "PopupModule"}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wb.synth(tmp_path_factory.mktemp("dirty") / "log", **ARGUMENTS, threads=2).path


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wb.synth(tmp_path_factory.mktemp("clean") / "log", **ARGUMENTS, clean=True).path


def content(directory: Path) -> dict[str, bytes]:
    """Return the bytes of all files by relative path."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def logs(directory: Path) -> list[Path]:
    return [
        p
        for p in sorted(directory.rglob("*.parquet"))
        if not p.relative_to(directory).parts[0].startswith("_")
    ]


def tables(directory: Path, *folders: str) -> list[pa.Table]:
    return [pq.read_table(p) for folder in folders for p in sorted((directory / folder).glob("*.parquet"))]


def values(directory: Path, column: str, *folders: str) -> set[str | None]:
    found = [t[column] for t in tables(directory, *folders) if column in t.column_names]
    return {value for chunks in found for value in chunks.unique().to_pylist()}


def test_there_is_a_file_a_day_in_each_directory_and_late_days_have_two_generations(log: Path) -> None:
    days = {folder: sorted(p.stem for p in (log / folder).glob("*.parquet")) for folder in (*COLUMNS, *MOVED)}
    assert days == {f: ["2025-06-01", "2025-06-02"] for f in COLUMNS} | {f: ["2025-06-02"] for f in MOVED}


def test_directories_have_their_full_width_and_two_generations_differ(log: Path) -> None:
    width = {folder: {t.num_columns for t in tables(log, folder)} for folder in COLUMNS}
    assert width == {folder: {number} for folder, number in COLUMNS.items()}
    for new, old in MOVED.items():
        ours, theirs = (set(tables(log, folder)[-1].column_names) for folder in (new, old))
        assert ours - theirs
        assert theirs - ours
        assert len(ours & theirs) > 40


def test_every_reader_sees_strings(log: Path) -> None:
    for path in logs(log):
        assert set(pq.read_schema(path).types) == {pa.string()}
        assert set(pl.read_parquet_schema(path).values()) == {pl.String}
        described = duckdb.sql(f"describe select * from read_parquet('{path}')").fetchall()  # noqa: S608
        assert {row[1] for row in described} == {"VARCHAR"}
        assert (
            duckdb.sql(f"from read_parquet('{path}')").arrow().read_all().num_rows
            == pl.read_parquet(path).height
        )


def test_text_is_whole(log: Path) -> None:
    for table in (pq.read_table(path) for path in logs(log)):
        table.validate(full=True)  # UTF-8, too
        assert not any(pc.any(pc.match_substring(column, "\0")).as_py() for column in table.columns)


def test_sparse_columns_are_sparse(log: Path) -> None:
    (table, *_) = tables(log, "API Error")
    filled = sorted(1 - column.null_count / table.num_rows for column in table.columns)
    assert sum(share < 0.05 for share in filled) >= 30
    assert sum(share > 0.9 for share in filled) >= 15


@pytest.mark.parametrize("threads", [1, 3])
def test_files_do_not_depend_on_the_threads(log: Path, tmp_path: Path, threads: int) -> None:
    assert content(wb.synth(tmp_path / "log", **ARGUMENTS, threads=threads).path) == content(log)


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"members": 900}, {"events_per_day": 2_999}, {"start": date(2025, 7, 1)}]
)
def test_other_arguments_are_refused_where_a_log_is(log: Path, change: dict[str, Any]) -> None:
    before = content(log)
    with pytest.raises(UsageError, match=f"{next(iter(change))} is .*, not "):
        wb.synth(log, **(ARGUMENTS | change))
    assert content(log) == before


def test_a_directory_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="something else"):
        wb.synth(tmp_path, **ARGUMENTS)
    assert content(tmp_path) == {"notes.txt": b"mine"}


@pytest.mark.parametrize("name", ["days", "events_per_day", "members", "threads"])
def test_a_number_below_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is 0"):
        wb.synth(tmp_path / "log", **(ARGUMENTS | {name: 0}))
    assert not (tmp_path / "log").exists()


def test_a_stopped_run_leaves_whole_files_and_is_taken_up(log: Path, tmp_path: Path) -> None:
    def stop(update: Update) -> None:
        if update.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wb.synth(tmp_path / "log", **ARGUMENTS, threads=1, progress=stop)
    left = content(tmp_path / "log")
    whole = content(log)
    assert len([name for name in left if name.endswith(".parquet")]) >= 3
    assert all(left[name] == whole[name] for name in left if name.endswith(".parquet"))
    assert not [name for name in left if name.endswith(".tmp")]
    assert not json.loads(left["_manifest.json"])["complete"]
    report = wb.synth(tmp_path / "log", **ARGUMENTS)
    assert report.kept >= 3
    assert content(tmp_path / "log") == whole


def test_a_changed_or_lost_file_is_written_again(log: Path, tmp_path: Path) -> None:
    wb.synth(tmp_path / "log", **ARGUMENTS)
    (tmp_path / "log/Login/2025-06-01.parquet").unlink()
    (tmp_path / "log/API Error/2025-06-02.parquet").write_bytes(b"PAR1")
    report = wb.synth(tmp_path / "log", **ARGUMENTS)
    assert (report.files, report.kept) == (10, 8)
    assert content(tmp_path / "log") == content(log)


def test_the_manifest_says_what_there_is(log: Path) -> None:
    manifest = json.loads((log / "_manifest.json").read_text())
    assert manifest["complete"]
    assert manifest["parameters"] == ARGUMENTS | {
        "members": None,
        "start": "2025-06-01",
        "clean": False,
        "anomalies": True,
    }
    files = {p.relative_to(log).as_posix(): pq.read_metadata(p) for p in logs(log)}
    assert {n: (e["rows"], e["columns"], e["bytes"]) for n, e in manifest["files"].items()} == {
        n: (m.num_rows, m.num_columns, (log / n).stat().st_size) for n, m in files.items()
    }
    for day, distinct in manifest["distinct"].items():
        every = [t.filter(pc.starts_with(t["@timestamp"], day)) for t in map(pq.read_table, logs(log))]
        members = {m.strip() for t in every for m in t["memberCode"].drop_null().to_pylist()}
        assert distinct["members"] == len(members - set(nothing(numeric=False)))


def test_nothing_is_written_in_several_ways(log: Path) -> None:
    found = values(log, "region", *COLUMNS)
    assert set(nothing(numeric=False)) | {None} < found
    assert "NaN" in values(log, "clockSkewMs", *COLUMNS)


def test_values_have_blanks_around_them(log: Path) -> None:
    for column in ("memberCode", "currency", "platform"):
        found = {value for value in values(log, column, *COLUMNS) if value}
        assert {value for value in found if value != value.strip()}
        assert {value.strip() for value in found} >= {value for value in found if value == value.strip()} - {
            ""
        }


def test_one_field_has_three_spellings(log: Path) -> None:
    spellings = {
        folder: {c for t in tables(log, folder) for c in t.column_names if c.lower() == "affiliateid"}
        for folder in (*COLUMNS, *MOVED)
    }
    assert spellings["Login"] == {"affiliateId", "affiliateid", "affiliateID"}
    assert len({frozenset(found) for found in spellings.values()}) > 3
    for table in tables(log, "Login"):
        filled = [table[name].is_valid().to_numpy() for name in sorted(spellings["Login"])]
        assert sum(filled).max() == 1  # type: ignore[union-attr]


def test_booleans_are_spelled_in_several_ways(log: Path) -> None:
    assert values(log, "isTestAccount", *COLUMNS) >= {"false", "False", "0", "no"}


def test_names_of_columns_hold_markup(log: Path) -> None:
    odd = {c for path in logs(log) for c in pq.read_schema(path).names if "<" in c}
    assert len(odd) >= 5
    assert any(len(c) > 128 for c in odd)
    assert [c for c in odd if values(log, c, *COLUMNS, *MOVED) - {None}]


def test_a_clean_log_has_none_of_it(clean: Path) -> None:
    for path in logs(clean):
        table = pq.read_table(path)
        assert not [c for c in table.column_names if "<" in c]
        assert [c for c in table.column_names if c.lower() == "affiliateid"] == ["affiliateId"]
        assert set(table["isTestAccount"].unique().to_pylist()) <= {"true", "false"}
        for column in table.columns:
            assert not pc.any(pc.is_in(column, pa.array([*nothing(numeric=True), "undefined"]))).as_py()
            assert pc.all(pc.equal(pc.utf8_trim_whitespace(column), column)).as_py() is not False


def test_a_clean_log_tells_the_same_events(log: Path, clean: Path) -> None:
    for folder in (*COLUMNS, *MOVED):
        for one, other in zip(tables(log, folder), tables(clean, folder), strict=True):
            assert one["@timestamp"] == other["@timestamp"]
            assert one["eventId"] == other["eventId"]


def test_only_errors_lack_their_member(clean: Path) -> None:
    lacking = {f: sum(t["memberCode"].null_count for t in tables(clean, f)) for f in (*COLUMNS, *MOVED)}
    assert lacking.pop("API Error") > 0
    assert set(lacking.values()) == {0}


def test_columns_agree_with_one_another(clean: Path) -> None:
    every = pl.concat([pl.read_parquet(p) for p in logs(clean)], how="diagonal")
    device = every.filter(pl.col("fingerprint").is_not_null()).group_by("fingerprint")
    assert device.agg(pl.col("browser", "os", "deviceModel").n_unique()).drop("fingerprint").max().row(0) == (
        1,
        1,
        1,
    )
    games = every.filter(pl.col("gameTrackingProvider").is_not_null())
    assert games.group_by("game").agg(pl.col("url", "gameTrackingProvider").n_unique()).max().row(0)[1:] == (
        1,
        1,
    )
    errors = every.filter(pl.col("error").is_not_null())
    assert errors.group_by("error").agg(pl.col("url", "httpStatus", "stage").n_unique()).max().row(0)[1:] == (
        1,
        1,
        1,
    )
    assert errors.filter(pl.col("error").str.contains(pl.col("url"), literal=True)).height == errors.height


def test_without_a_fingerprint_or_a_uid_another_field_identifies(clean: Path) -> None:
    every = pl.concat([pl.read_parquet(p) for p in logs(clean)], how="diagonal")
    fallback = every.filter(pl.col("fingerprint").is_null() & pl.col("deviceId").is_not_null())
    assert 0 < fallback.height < every.height / 5
    assert every.filter(
        pl.col("game").is_not_null() & pl.col("gameUid").is_null() & pl.col("error").is_null()
    ).height
    popups = every.filter(pl.col("popupType").is_not_null())
    assert 0 < popups["componentId"].null_count() < popups.height / 3
    assert popups["trackingId"].null_count() == 0


def test_the_truth_has_the_keys_of_the_log(log: Path, clean: Path) -> None:
    truth = {path.stem: pq.read_table(path) for path in (log / "_truth").glob("*.parquet")}
    planted = {"anomalies", "benign", "sequences"}
    assert set(truth) == {"members", "devices", "games", "errors", "vip_moves"} | planted
    kinds = truth["anomalies"].filter(pc.equal(truth["anomalies"]["entity_type"], "member"))
    assert set(kinds["entity"].to_pylist()) <= set(truth["members"]["member"].to_pylist())
    assert all(truth[name]["entity"].null_count == 0 for name in ("anomalies", "benign"))
    every = pl.concat([pl.read_parquet(p) for p in logs(clean)], how="diagonal")
    members = pl.DataFrame(truth["members"])
    seen = every.filter(pl.col("memberCode").is_not_null())
    joined = seen.join(members, left_on="memberCode", right_on="member", how="left", suffix="_true")
    assert joined["community"].null_count() == 0
    assert (joined["clientTimezone"].is_null() | (joined["clientTimezone"] == joined["timezone"])).all()
    devices = every.select(pl.coalesce("fingerprint", "deviceId").alias("device")).drop_nulls().unique()
    assert devices.join(pl.DataFrame(truth["devices"]), on="device", how="anti").is_empty()


def test_names_are_never_given_twice() -> None:
    names = Names(
        Sizes(
            members=300_000,
            devices=100_000,
            games=3_000,
            providers=30,
            popups=900,
            errors=1_000,
            affiliates=900,
        )
    )
    for kind in ("members", "devices", "games", "popups", "errors", "affiliates", "providers"):
        found = getattr(names, kind)
        assert len(found.unique()) == len(found), kind


def test_the_command_reports_as_json(tmp_path: Path) -> None:
    arguments = ["synth", str(tmp_path / "log"), "--days", "1", "--events-per-day", "400", "--json"]
    done = CliRunner().invoke(app, [*arguments, "--start", "2024-02-29", "--no-anomalies", "--clean"])
    report = json.loads(done.stdout)
    assert report["files"] == 6
    assert report["events"] == sum(report["rows"].values())
    assert (tmp_path / "log/Login/2024-02-29.parquet").is_file()
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2
