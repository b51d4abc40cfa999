"""What db.sql runs and refuses, what it may open, and the forms of its result."""

from __future__ import annotations

import datetime as dt
import json
import math
import subprocess
import sys
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.engine import Engine
from workbench.errors import CorruptFileError, SqlError, SqlRefusedError, UsageError
from workbench.sql import Result, SqlSession, View

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ZONE = "America/New_York"


class Tables:
    """A small set of tables that notes which of them are asked for."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[tuple[str, str]] = []
        self.folder = folder
        early = pa.table(
            {
                "carrier": ["UA", "B6", "UA"],
                "delay": [10, -5, 20],
                "_ts": pa.array(
                    [dt.datetime(2013, 3, d, h, tzinfo=dt.UTC) for d, h in ((9, 12), (10, 12), (11, 3))],
                    pa.timestamp("us", "UTC"),
                ),
            }
        )
        late = early.slice(0, 1).append_column("gate", [["A1"]])
        self.departures = tuple(
            self.write(f"{name}'s.parquet", table) for name, table in (("early", early), ("late", late))
        )
        errors = self.write("errors.parquet", pa.table({"error": ["<b>boom</b>"], "code": [7]}))
        self.views = {
            ("main", "Departure"): self.view("Departure", *self.departures),
            ("main", "API Error"): self.view("API Error", errors),
            ("knowledge", "pagerank"): View("pagerank", "SELECT 0.5::DOUBLE AS rank", schema="knowledge"),
            ("knowledge", "odd name"): View("odd name", "SELECT 1 AS n", schema="knowledge"),
        }

    def write(self, name: str, table: pa.Table) -> Path:
        path = self.folder / name
        pq.write_table(table, path)
        return path

    def view(self, name: str, *files: Path) -> View:
        listed = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
        return View(name, f"SELECT * FROM read_parquet([{listed}], union_by_name = true)", files)  # noqa: S608

    def resolve(self, schema: str, name: str) -> View | None:
        self.asked.append((schema, name))
        return self.views[schema, name]

    def names(self) -> list[tuple[str, str]]:
        return list(self.views)


def open_session(tables: Tables, **changed: object) -> SqlSession:
    limits = {"timezone": ZONE, "memory": "256MB", "threads": 2, "timeout": 120.0} | changed
    return SqlSession(tables.resolve, tables.names, **limits)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SqlSession, Tables]]:
    tables = Tables(tmp_path_factory.mktemp("tables"))
    with open_session(tables) as session:
        yield session, tables


@pytest.fixture
def tables(everything: tuple[SqlSession, Tables]) -> Tables:
    everything[1].asked.clear()
    return everything[1]


@pytest.fixture
def session(everything: tuple[SqlSession, Tables], tables: Tables) -> SqlSession:
    return everything[0]


def test_files_of_different_columns_are_one_table(session: SqlSession) -> None:
    result = session.query(
        "select carrier, count(*), sum(delay), max(gate) from Departure group by all order by 1"
    )
    assert result.rows == [("B6", 1, -5, None), ("UA", 3, 40, "A1")]


@pytest.mark.parametrize(
    ("statement", "asked"),
    [
        ("select count(*) from departure", {("main", "Departure")}),
        ('from "api error"', {("main", "API Error")}),
        ("from main.Departure d, knowledge.PageRank", {("main", "Departure"), ("knowledge", "pagerank")}),
        ("from memory.main.Departure", {("main", "Departure")}),
        ("from pagerank", {("knowledge", "pagerank")}),
        ('from knowledge."odd name"', {("knowledge", "odd name")}),
        ("with a as (from Departure) select (select max(rank) from pagerank) from a",
         {("main", "Departure"), ("knowledge", "pagerank")}),
        ('select 1 where exists (from "API Error" join Departure on code = delay)',
         {("main", "API Error"), ("main", "Departure")}),
        ("select 1 union all select delay from Departure", {("main", "Departure")}),
        ("select 'API Error', 1 as pagerank", set()),
        ("describe Departure", {("main", "Departure")}),
        ("show Departure", {("main", "Departure")}),
        ("summarize Departure", {("main", "Departure")}),
        ("explain analyze select * from Departure", {("main", "Departure")}),
        ("explain (format json) /* x */ (from Departure)", {("main", "Departure")}),
        ("-- first\nexplain from Departure", {("main", "Departure")}),
        ("pivot Departure on carrier using sum(delay)", {("main", "Departure")}),
        ("from (pivot knowledge.pagerank on rank using count(*))", {("knowledge", "pagerank")}),
        ("pivot Departure on carrier in ('UA') using sum(delay)", {("main", "Departure")}),
        ("unpivot (select delay from Departure) on delay", {("main", "Departure")}),
        ("from query_table('Departure')", {("main", "Departure")}),
        ("from query('from \"API Error\"')", {("main", "API Error")}),
        ("show tables", set()),
        ("select * from information_schema.tables", set()),
        ("show all tables", "all"),
        ("select * from information_schema.columns", "all"),
        ("select * from duckdb_columns()", "all"),
        ("from duckdb_views", "all"),
    ],
)  # fmt: skip
def test_only_the_named_tables_are_resolved(
    session: SqlSession, tables: Tables, statement: str, asked: set[tuple[str, str]] | str
) -> None:
    session.query(statement)
    assert set(tables.asked) == (set(tables.views) if asked == "all" else asked)
    assert len(tables.asked) == len(set(tables.asked))


def test_the_catalog_lists_every_table(session: SqlSession) -> None:
    names = {"Departure", "API Error", "pagerank", "odd name"}
    assert {name for (name,) in session.query("show tables").rows} == names
    assert {row[0] for row in session.query("select table_name from information_schema.tables").rows} == names
    assert session.query("show tables from knowledge").rows == [("odd name",), ("pagerank",)]
    columns = session.query(
        "select table_name, column_name from information_schema.columns where table_schema = 'main'"
    )
    assert set(columns.rows) == {
        *(("Departure", column) for column in ("carrier", "delay", "_ts", "gate")),
        *(("API Error", column) for column in ("error", "code")),
    }
    described = session.query("describe Departure")
    assert ("_ts", "TIMESTAMP WITH TIME ZONE") in [row[:2] for row in described.rows]


def test_pivot_gives_a_column_per_value_and_leaves_nothing_behind(session: SqlSession) -> None:
    for _ in range(2):
        result = session.query("pivot (select carrier, delay from Departure) on carrier using sum(delay)")
        assert result.columns == ["B6", "UA"]
        assert result.rows == [(-5, 40)]


def test_dates_are_those_of_the_time_zone(session: SqlSession) -> None:
    # 03:00 UTC on the 11th is the evening of the 10th in New York, whose clocks changed on that day.
    result = session.query("select _ts::date as d, hour(_ts), _ts from Departure order by _ts desc limit 1")
    assert result.rows[0][:2] == (dt.date(2013, 3, 10), 23)
    assert result.to_arrow().schema.field("_ts").type == pa.timestamp("us", ZONE)
    assert result.to_json()["rows"] == [["2013-03-10", 23, "2013-03-10T23:00:00-04:00"]]
    assert session.query("select _ts from Departure order by 1 limit 1").to_json()["rows"] == [
        ["2013-03-09T07:00:00-05:00"]
    ]


@pytest.mark.parametrize(
    ("statement", "named", "advice"),
    [
        ("copy (select 1) to '/tmp/x.csv'", "COPY", "write_parquet"),
        ("explain copy (select 1) to '/tmp/x.csv'", "COPY", "write_parquet"),
        ("explain analyze create table t (a int)", "CREATE", "WITH"),
        ("create table t as select 1", "CREATE", "WITH"),
        ("create table t as pivot Departure on carrier using sum(delay)", "CREATE", "SQL"),
        ("copy (pivot Departure on carrier using sum(delay)) to 'x'", "COPY", "SQL"),
        ("insert into Departure values (1)", "INSERT", "ingest"),
        ("delete from Departure", "DELETE", "forget"),
        ("update Departure set delay = 0", "UPDATE", "SQL"),
        ("with x as (insert into Departure values (1) returning *) from x", "INSERT", "SQL"),
        ("with x as (delete from Departure returning *) from x", "DELETE", "SQL"),
        ("attach '/tmp/x.db'", "ATTACH", "ingest"),
        ("install httpfs", "LOAD", "Extensions"),
        ("load httpfs", "LOAD", "Extensions"),
        ("set threads = 1", "SET", "workbench.toml"),
        ("set enable_external_access = true", "SET", "workbench.toml"),
        ("pragma table_info('Departure')", "PRAGMA", "DESCRIBE"),
        ("call duckdb_tables()", "CALL", "SELECT"),
        ("export database '/tmp/x'", "EXPORT", "write_parquet"),
        ("begin", "TRANSACTION", "SQL"),
        ("update extensions", "UPDATE", "SQL"),
        ("select 1; select 2", "2 statements", "Call"),
        ("", "empty", "SELECT"),
        ("-- nothing", "empty", "SELECT"),
    ],
)
def test_everything_but_one_read_is_refused_by_name(
    session: SqlSession, tables: Tables, statement: str, named: str, advice: str
) -> None:
    with pytest.raises(SqlRefusedError) as refused:
        session.query(statement)
    assert named in refused.value.message
    assert advice in str(refused.value)
    assert tables.asked == []


@pytest.mark.parametrize(
    "source",
    [
        "read_text('/etc/passwd')",
        "read_blob('/etc/passwd')",
        "read_csv('/etc/passwd')",
        "read_json('/etc/passwd')",
        "sniff_csv('/etc/passwd')",
        "glob('/etc/*')",
        "'/etc/passwd'",
        "read_parquet('{folder}/secret.parquet')",
        "read_parquet('{folder}/*.parquet')",
        "read_parquet('{folder}/../{name}/secret.parquet')",
        "parquet_metadata('{folder}/secret.parquet')",
        "read_parquet('http://127.0.0.1:9/x.parquet')",
        "read_parquet('s3://bucket/x.parquet')",
        "read_parquet('/proc/self/environ')",
        "read_duckdb('{folder}/x.db')",
        "duckdb_extensions()",
        "enable_logging(storage='file', storage_path='{folder}/log')",
        "enable_profiling(save_location='{folder}/profile')",
        "query('copy (select 1) to ''{folder}/out''')",
        "read_text('{errors}')",  # the file of a table that the statement does not name
        "df",  # a variable of the caller or the worker
        "(select getenv('HOME'))",
    ],
)
def test_no_file_secret_or_variable_can_be_reached(session: SqlSession, tables: Tables, source: str) -> None:
    df = tables.write("secret.parquet", pa.table({"secret": [1]}))
    before = sorted(tables.folder.iterdir())
    source = source.format(
        folder=tables.folder, name=tables.folder.name, errors=tables.folder / "errors.parquet"
    )
    session.query('from "API Error"')
    for tables_of_it in ("", "Departure, "):
        with pytest.raises(SqlError):
            session.query(f"select * from {tables_of_it}{source}")  # noqa: S608
    assert sorted(tables.folder.iterdir()) == before
    assert df.exists()


def test_the_configuration_is_locked_and_the_environment_empty(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "do-not-pass-on")
    with open_session(tables, memory="300MB", threads=1) as session:
        settings = dict(session.query("select name, value from duckdb_settings()").rows)
        environment = f"/proc/{session.worker_pid}/environ"
        with open(environment, "rb") as file:  # noqa: PTH123  (a pseudo-file of the system)
            assert b"do-not-pass-on" not in file.read()
    assert settings["lock_configuration"] == "true"
    assert settings["enable_external_access"] == "false"
    assert settings["autoload_known_extensions"] == "false"
    assert settings["autoinstall_known_extensions"] == "false"
    assert settings["python_enable_replacements"] == "false"
    assert settings["threads"] == "1"
    assert settings["TimeZone"] == ZONE
    assert settings["memory_limit"] == "286.1 MiB"  # 300 MB
    assert settings["allowed_paths"] == "[]"


def test_a_worker_can_be_started_before_the_first_statement(tables: Tables) -> None:
    with open_session(tables) as session:
        pids = [session.worker_pid]
        session.start()
        pids.append(session.worker_pid)
        assert session.query("select 2 as two").rows == [(2,)]
        pids.append(session.worker_pid)
    session.start()
    pids.append(session.worker_pid)
    assert pids[1]
    assert pids == [None, pids[1], pids[1], None]


def test_no_secret_is_known(session: SqlSession) -> None:
    assert session.query("from duckdb_secrets()").rows == []


def test_an_allowed_file_is_read_through_its_table(session: SqlSession, tables: Tables) -> None:
    path = str(tables.departures[0]).replace("'", "''")
    joined = session.query(
        f"select count(*) from (select 1 from Departure limit 1), read_parquet('{path}')"  # noqa: S608
    )
    assert joined.rows == [(3,)]


def test_relative_paths_of_a_view_are_those_of_the_caller(
    tables: Tables, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table({"a": [1]}), "here.parquet")
    from pathlib import Path as RelativePath

    view = View("here", "SELECT * FROM read_parquet(['here.parquet'])", (RelativePath("here.parquet"),))
    limits = {"timezone": "UTC", "memory": "256MB", "threads": 1, "timeout": 60.0}
    with SqlSession(lambda _s, _n: view, lambda: [("main", "here")], **limits) as session:  # type: ignore[arg-type]
        assert session.query("from here").rows == [(1,)]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("from Departur", "Did you mean 'Departure'?"),
        ("from knowledge.page_rank", "Did you mean 'pagerank'?"),
        ("from knowledge.Departure", "Did you mean 'Departure'?"),
        ("select carier from Departure", '"carrier"'),
        ("select\n  1 +\nfrom", "line 3: Parser Error"),
        ("selec 1", 'syntax error at or near "selec"'),
        ("select foo(1)", "foo does not exist"),
        ("select 'x'::int", "Could not convert string 'x'"),
        ("select $1", "parameters"),
        ("select 1::uhugeint as big", "'big' of the result is of type UHUGEINT"),
        ("select " + "(" * 3000 + "1" + ")" * 3000, ""),
    ],
)
def test_errors_say_what_duckdb_says_and_suggest(session: SqlSession, statement: str, said: str) -> None:
    with pytest.raises(SqlError) as failed:
        session.query(statement)
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)
    assert session.query("select 1").rows == [(1,)]


def test_an_error_in_the_middle_of_the_rows_is_an_error(session: SqlSession) -> None:
    late = "select if(range = 3000000, error('late'), range) from range(3000001)"
    with pytest.raises(SqlError, match="late"):
        session.query(late)
    assert session.query("select 1").rows == [(1,)]


def test_a_large_result_is_whole(session: SqlSession) -> None:
    result = session.query("select range as i, range % 7 as r from range(2500000)")
    assert len(result) == 2_500_000
    frame = result.to_polars()
    assert frame["i"].sum() == 2_500_000 * 2_499_999 // 2
    assert frame["i"].is_sorted()


def test_names_that_differ_in_case_only_must_be_spelt(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    tables.views = {("main", name): View(name, f"SELECT '{name}' AS name") for name in ("login", "Login")}
    with open_session(tables) as session:
        assert session.query("from login").rows == [("login",)]
        assert session.query("from Login").rows == [("Login",)]
        with pytest.raises(SqlError, match="differ in case only"):
            session.query("from LOGIN")


def test_a_changed_view_is_seen(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    with open_session(tables) as session:
        assert session.query("select count(*) from Departure").rows == [(4,)]
        tables.views["main", "Departure"] = tables.view("Departure", tables.departures[0])
        assert session.query("select count(*) from Departure").rows == [(3,)]
        del tables.views["main", "Departure"]
        with pytest.raises(SqlError, match="Departure does not exist"):
            session.query("select count(*) from Departure")


def test_a_view_that_is_wrong_names_its_table(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    tables.views["knowledge", "pagerank"] = View("pagerank", "SELECT nothing", schema="knowledge")
    with open_session(tables) as session:
        with pytest.raises(SqlError, match=r"knowledge.pagerank: the table cannot be opened: .*nothing"):
            session.query("from pagerank")
        assert session.query("select 1").rows == [(1,)]


def test_corruption_found_by_the_resolver_is_raised(tmp_path: Path) -> None:
    tables = Tables(tmp_path)

    def resolve(schema: str, name: str) -> View | None:
        if name == "API Error":
            raise CorruptFileError("the hash differs.", where="errors.parquet")
        return tables.resolve(schema, name)

    limits = {"timezone": "UTC", "memory": "256MB", "threads": 1, "timeout": 60.0}
    with SqlSession(resolve, tables.names, **limits) as session:  # type: ignore[arg-type]
        with pytest.raises(CorruptFileError, match="the hash differs"):
            session.query('from "API Error"')
        assert session.query("select count(*) from Departure").rows == [(4,)]


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    tables.departures[1].unlink()
    with open_session(tables) as session, pytest.raises(CorruptFileError, match=r"late's\.parquet"):
        session.query("from Departure")


@pytest.mark.parametrize("timeout", [0, -1, math.nan, math.inf])
def test_a_timeout_must_be_positive(session: SqlSession, timeout: float) -> None:
    with pytest.raises(UsageError, match="timeout"):
        session.query("select 1", timeout=timeout)


def test_a_closed_session_says_so(tables: Tables) -> None:
    session = open_session(tables)
    session.close()
    session.close()
    with pytest.raises(UsageError, match="closed"):
        session.query("select 1")


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, workbench.sql, workbench.sql.session;"
        "assert not {'duckdb', 'pandas', 'polars'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ------------------------------------------------------------------------------------------ results


@pytest.fixture(scope="module")
def typed(everything: tuple[SqlSession, Tables]) -> Result:
    return everything[0].query(
        """
        select 1::tinyint as i, sum(2::bigint) as s, 170141183460469231731687303715884105727::hugeint as h,
            1.25::decimal(10,2) as d, 3::decimal(10,2) as whole, 12345678901234567.25::decimal(38,2) as wide,
            'nan'::double as nan, '-inf'::double as inf, 0.1 + 0.2e0 as f,
            true as b, 'x' as t, 'ab'::blob as bytes, date '2013-03-10' as day, time '01:02:03' as clock,
            timestamp '2013-03-10 01:00:00' as naive, timestamptz '2013-03-10 12:00:00+00' as zoned,
            [timestamptz '2013-01-10 12:00:00+00', null] as times,
            {'a': 1.5::double, 'b': [1.0::decimal(3,1)]} as nested,
            map {'k': date '2013-01-01'} as m, interval '1 month 2 days 3.5 seconds' as gap, null as n,
            '{"j": 1}'::json as j, 'red'::enum('red', 'green') as e,
            uuid '00000000-0000-0000-0000-000000000001' as u
        """
    )


def test_json_keeps_every_value(typed: Result) -> None:
    out = typed.to_json()
    assert dict(zip(out["columns"], out["rows"][0], strict=True)) == {
        "i": 1,
        "s": 2,
        "h": 170141183460469231731687303715884105727,
        "d": 1.25,
        "whole": 3,
        "wide": "12345678901234567.25",
        "nan": None,
        "inf": "-Infinity",
        "f": 0.1 + 0.2,
        "b": True,
        "t": "x",
        "bytes": "YWI=",
        "day": "2013-03-10",
        "clock": "01:02:03",
        "naive": "2013-03-10T01:00:00",
        "zoned": "2013-03-10T08:00:00-04:00",
        "times": ["2013-01-10T07:00:00-05:00", None],
        "nested": {"a": 1.5, "b": [1]},
        "m": [["k", "2013-01-01"]],
        "gap": "P1M2DT3.5S",
        "n": None,
        "j": '{"j": 1}',
        "e": "red",
        "u": "00000000-0000-0000-0000-000000000001",
    }
    assert json.loads(json.dumps(out, allow_nan=False)) == out


def test_sums_are_integers_where_they_fit(session: SqlSession, typed: Result) -> None:
    schema = typed.to_arrow().schema
    assert schema.field("s").type == pa.int64()
    assert schema.field("h").type == pa.decimal128(38, 0)
    summed = session.query("select sum(delay) as total, sum(null::int) as none from Departure")
    assert summed.to_arrow().schema.types == [pa.int64(), pa.int64()]
    assert summed.rows == [(35, None)]


def test_data_frames_hold_the_same_rows(session: SqlSession, typed: Result) -> None:
    result = session.query("select carrier, delay, _ts, gate from Departure order by _ts, gate")
    assert result.to_polars().rows() == result.rows
    assert [tuple(row) for row in result.to_pandas()[["carrier", "delay"]].to_numpy()] == [
        row[:2] for row in result.rows
    ]
    assert pl.DataFrame(result).equals(result.to_polars())
    assert pa.table(result).equals(result.to_arrow())
    assert typed.to_polars()["gap"].to_list() == [{"months": 1, "days": 2, "nanoseconds": 3_500_000_000}]
    assert len(typed.to_pandas()) == 1


def test_columns_of_one_name_are_told_apart(session: SqlSession) -> None:
    result = session.query("select 1 as a, 2 as a, 3 as a_1, 4 as a")
    assert result.columns == ["a", "a_2", "a_1", "a_3"]
    assert result.to_polars().row(0) == (1, 2, 3, 4)


def test_a_date_that_python_does_not_have_is_text(session: SqlSession) -> None:
    result = session.query("from (values (date 'infinity'), (date '2013-01-01')) t(d)")
    assert result.rows[1] == (dt.date(2013, 1, 1),)
    assert isinstance(result.rows[0][0], str)
    assert "2013-01-01" in repr(result)


def test_the_screen_is_bounded_and_says_what_is_missing(session: SqlSession) -> None:
    bundle = session.query("select range as n, repeat('long', 100) as t from range(1000)")._repr_mimebundle_()
    assert "… 1,000 rows in all" in bundle["text/plain"]
    assert "… 1,000 rows in all" in bundle["text/html"]
    assert bundle["text/html"].count("<tr>") == 21
    assert len(bundle["text/plain"].splitlines()) == 23
    assert "longlo…" not in bundle["text/plain"]
    assert "long…" in bundle["text/plain"]
    wide = session.query("select " + ", ".join(f"{i} as c{i}" for i in range(155)))
    assert "1 row in all, the first 30 of 155 columns" in repr(wide)
    assert len(wide.rows[0]) == 155


def test_the_screen_names_the_time_zone_where_there_is_time(session: SqlSession) -> None:
    shown = session.query("select _ts from Departure order by 1 limit 1")._repr_mimebundle_()
    for text in shown.values():
        assert "2013-03-09 07:00:00-05:00" in text
        assert f"time zone {ZONE}" in text
    assert "time zone" in repr(session.query("select {'a': [_ts]} as nested from Departure"))
    assert "time zone" not in repr(session.query("select delay from Departure"))


def test_values_of_strangers_are_escaped(session: SqlSession) -> None:
    result = session.query("""select error, '\x1b[31m' || chr(8238) as red, 1 as "<i>" from "API Error" """)
    bundle = result._repr_mimebundle_()
    assert "&lt;b&gt;boom&lt;/b&gt;" in bundle["text/html"]
    assert "&lt;i&gt;" in bundle["text/html"]
    assert "<b>" not in bundle["text/html"]
    for text in bundle.values():
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert result.rows[0][1] == "\x1b[31m\u202e"


def test_a_plan_is_shown_line_by_line(session: SqlSession) -> None:
    bundle = session.query(
        "explain select '<x>' || carrier, count(*) from Departure group by all"
    )._repr_mimebundle_()
    assert len(bundle["text/plain"].splitlines()) > 3
    assert bundle["text/html"].startswith("<pre>")
    assert "<x>" not in bundle["text/html"]


def test_an_empty_result_keeps_its_columns(session: SqlSession) -> None:
    result = session.query("select carrier, delay from Departure where false")
    assert (len(result), result.rows, result.columns) == (0, [], ["carrier", "delay"])
    assert "0 rows in all" in repr(result)
    assert result.to_polars().schema == {"carrier": pl.String, "delay": pl.Int64}


def test_a_result_remembers_its_statement_and_cannot_be_changed(session: SqlSession) -> None:
    result = session.query("select 1 as a")
    assert (result.statement, result.timezone) == ("select 1 as a", ZONE)
    assert 0 < result.seconds < 60
    with pytest.raises(AttributeError):
        result.statement = "select 2"  # type: ignore[misc]


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Three days of two event types, one of which has a field that DuckDB has a meaning for."""
    with Engine.create(tmp_path_factory.mktemp("days") / "w", timezone=ZONE) as db:
        times = [f"2013-03-{day:02d}T{hour:02d}:00:00Z" for day in (9, 10, 11) for hour in (1, 23)]
        db.ingest(pa.table({"time": times, "n": range(6)}), type="Click")
        db.ingest(pa.table({"time": times, "Filename": ["a", "b", "c", "d", "e", "f"]}), type="Load")
        yield db


@pytest.mark.parametrize("table", ["Click", "Load", "events"])
def test_a_segment_is_the_day_in_utc_of_its_documents(days: Engine, table: str) -> None:
    statement = f"select _segment, count(*) from {table} where _segment > '2013-03-09' group by 1 order by 1"  # noqa: S608
    each = 2 if table != "events" else 4
    assert days.sql(statement).rows == [("2013-03-10", each), ("2013-03-11", each)]
    wrong = f"select 1 from {table} where _segment <> strftime(timezone('UTC', _ts), '%Y-%m-%d')"  # noqa: S608
    assert days.sql(wrong).rows == []


def test_files_of_other_segments_are_not_read(days: Engine) -> None:
    plan = repr(days.sql("explain analyze select sum(n) from Click where _segment = '2013-03-10'"))
    assert "RowGroupsScanned:1/" in "".join(plan.split())
    plan = repr(days.sql("explain analyze select sum(n) from Click where _segment > '2013'"))
    assert "RowGroupsScanned:3/" in "".join(plan.split())
