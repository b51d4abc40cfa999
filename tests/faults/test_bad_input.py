"""Bad input: each kind has its finding, nothing else is lost, and no source is ever touched."""

from __future__ import annotations

import gzip
import hashlib
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.engine import Engine
from workbench.errors import ConfigError, SourceError, UsageError, WorkspaceError
from workbench.opening import open as open_source
from workbench.partials.stored import read_documents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workbench.ingest import IngestReport

HEAD = "apiVersion: workbench/v1\nkind: EntitySchema\nmetadata: {id: test}\nspec:\n"
USERS = "  entities: {user: {}}\n  events: {click: {entities: {user: id}}}\n"
DAY = "2025-01-01T00:00:00Z"
LARGE = 40_000  # rows of which a batch of 1 MB holds about a third
GOOD = "time,n,pad\n" + "".join(f"{DAY},{n},{'p' * 60}\n" for n in range(LARGE))


class Log:
    """A directory of sources and a workspace that takes them in without leaving a trace in them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "log"
        self.folder.mkdir()
        self.engine: Engine | None = None

    def workspace(self, spec: str = "", **settings: Any) -> Engine:
        schema = None
        if spec:
            schema = self.root / "schema.yaml"
            schema.write_text(HEAD + spec)
        self.engine = Engine.create(self.root / "workspace", schema=schema, **settings)
        return self.engine

    def write(self, name: str, content: str | bytes | dict[str, Any]) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        if isinstance(content, dict):
            pq.write_table(pa.table(content), path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def ingest(self, *paths: Path, **settings: Any) -> IngestReport:
        engine = self.engine or self.workspace()
        if settings:
            engine = Engine(engine.path, **settings)
        before = self._tree()
        report = engine.ingest(*(paths or [self.folder]))
        assert self._tree() == before
        engine.refresh()
        if self.engine:
            self.engine.refresh()
        assert engine.verify() == []
        return report

    def _tree(self) -> dict[str, tuple[int, int, int, str]]:
        found = {}
        for path in sorted(self.folder.rglob("*")):
            facts = path.lstat()
            digest = ""
            if path.is_file() and not path.is_symlink():
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path)] = (facts.st_mode, facts.st_size, facts.st_mtime_ns, digest)
        return found


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path)
    yield made
    if made.engine:
        made.engine.close()


def _sql(log: Log, statement: str) -> list[tuple[Any, ...]]:
    assert log.engine is not None
    return log.engine.sql(statement).rows


def _keys(log: Log, kind: str = "user") -> list[str]:
    assert log.engine is not None
    return sorted(log.engine.graph.nodes(kind)["key"].to_pylist())


def _originals(log: Log, field: str, where: str = "true") -> list[tuple[Any, str]]:
    """Return value and original text of a field, read through the documents' addresses, in order of time."""
    assert log.engine is not None
    found = _sql(log, f"select _segment, _id from events where {where} order by all")  # noqa: S608
    documents = [log.engine.get(f"{segment}/{number}") for segment, number in found]
    return [(d.fields.get(field), d.original[field]) for d in documents if field in d.original]


def _clicks(*rows: str, columns: str = "n") -> str:
    return f"time,{columns}\n" + "".join(f"{DAY},{row}\n" for row in rows)


# files that are torn, cut or no logs at all


def test_torn_lines_are_kept_in_quarantine_with_bytes_place_and_reason(log: Log) -> None:
    good = [f"{DAY},{n}\n" for n in range(20)]
    lines = [*good[:7], "torn\n", *good[7:15], '2025-01-01T00:00:00Z,"un\n', *good[15:], f"{DAY},1,2\n"]
    path = log.write("click.csv", "time,n\n" + "".join(lines))

    report = log.ingest()

    rows = log.engine.quarantine.to_pylist()
    assert [(r["offset"], r["original"], r["reason"]) for r in rows] == [
        (7, b"torn", "1 fields, not 2"),
        (16, b'2025-01-01T00:00:00Z,"un', "unclosed quote"),
        (22, b"2025-01-01T00:00:00Z,1,2", "3 fields, not 2"),
    ]
    assert {r["source"] for r in rows} == {str(path)}
    assert _sql(log, "select n from click order by n") == [(n,) for n in range(20)]
    (entry,) = log.engine.snapshot.manifest.ledger.values()
    assert (entry.position, entry.rows, entry.rejected, entry.status) == (23, 20, 3, "done")
    assert sum(report.quarantined.values()) == 3


def test_a_file_of_over_a_fifth_torn_lines_is_quarantined_whole_and_others_are_not(log: Log) -> None:
    bad = log.write("a/click.csv", _clicks("1", "2", "3") + "torn\n")
    log.write("b/click.csv", _clicks("10", "20", "30", "40") + "torn\n")

    report = log.ingest()

    assert list(report.quarantined_files) == [str(bad)]
    assert "1 of 4 records are bad, more than 20%" in report.quarantined_files[str(bad)]
    assert _sql(log, "select n from click order by n") == [(10,), (20,), (30,), (40,)]
    assert sorted(r["offset"] for r in log.engine.quarantine.to_pylist()) == [-1, 4]


def test_a_quarantined_file_is_tried_again_but_reported_once(log: Log) -> None:
    log.write("click.csv", _clicks("1", "2", "3") + "torn\n")
    for _ in range(2):
        log.ingest()
    assert log.engine.quarantine.num_rows == 1

    log.ingest(max_bad_share=0.5)
    assert _sql(log, "select count(*) from click") == [(3,)]


def test_a_parquet_file_cut_in_half_harms_no_other(log: Log) -> None:
    whole = log.write("b.parquet", {"time": [DAY] * 500, "n": list(range(500))}).read_bytes()
    cut = log.write("a.parquet", whole[: len(whole) // 2])

    report = log.ingest()

    assert list(report.quarantined_files) == [str(cut)]
    assert "is not a whole Parquet file" in report.quarantined_files[str(cut)]
    assert _sql(log, "select count(*) from b") == [(500,)]


def test_a_file_without_a_time_says_what_was_looked_for(log: Log) -> None:
    path = log.write("abc.csv", "a,b,c\n1,2,3\n")
    log.write("click.csv", _clicks("1"))

    reason = log.ingest().quarantined_files[str(path)]

    assert "looked for _ts, ts, timestamp" in reason
    assert "the columns are a, b, c" in reason
    assert "timestamp.fields" in reason
    assert _sql(log, "select n from click") == [(1,)]


def test_empty_files_are_no_event_types(log: Log) -> None:
    for name in ("a.csv", "b.jsonl", "c.csv.gz"):
        log.write(name, gzip.compress(b"") if name.endswith(".gz") else b"")
    empty = log.write("d.parquet", b"")
    log.write("e.csv", "time,n\n")

    report = log.ingest()

    assert list(report.quarantined_files) == [str(empty)]
    assert not +report.rows
    assert log.engine.snapshot.segments == []


def test_a_directory_without_readable_files_says_so(log: Log) -> None:
    note = log.write("notes.docx", b"PK")

    assert log.ingest().skipped == [str(note)]
    with pytest.raises(WorkspaceError, match="nothing could be read"):
        open_source(log.folder)
    with pytest.raises(SourceError, match="there is no such file or directory"):
        log.ingest(log.folder / "nothing.csv")


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_read(log: Log) -> None:
    # reading a process's memory from its start is an input/output error, for everybody
    (log.folder / "bad.csv").symlink_to("/proc/self/mem")
    log.write("click.csv", _clicks("1"))

    report = log.ingest()

    assert report.quarantined_files == {
        str(log.folder / "bad.csv"): f"{log.folder / 'bad.csv'}: cannot be read: Input/output error."
    }
    assert _sql(log, "select n from click") == [(1,)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_named(log: Log) -> None:
    path = log.write("bad.csv", _clicks("1"))
    path.chmod(0)

    engine = log.workspace()
    assert "Permission denied" in engine.ingest(log.folder).quarantined_files[str(path)]


def test_an_unknown_key_of_the_schema_is_named_with_its_line(log: Log) -> None:
    with pytest.raises(ConfigError) as raised:
        log.workspace("  entities: {user: {}}\n  events:\n    click:\n      entites: {user: id}\n")

    assert raised.value.where == f"{log.root / 'schema.yaml'}:8"
    assert "unknown key 'entites'. Did you mean 'entities'?" in str(raised.value)
    assert not (log.root / "workspace").exists()


def test_a_schema_that_names_an_unknown_entity_type_is_refused(log: Log) -> None:
    with pytest.raises(ConfigError) as raised:
        log.workspace("  entities: {user: {}}\n  events:\n    click:\n      entities:\n        usr: id\n")

    assert raised.value.where == f"{log.root / 'schema.yaml'}:9"
    assert "there is no entity type 'usr'. Did you mean 'user'?" in str(raised.value)


def test_too_many_columns_are_refused_until_they_are_allowed(log: Log) -> None:
    names = [f"c{n}" for n in range(600)]
    path = log.write("wide.csv", f"time,{','.join(names)}\n{DAY},{','.join(str(n) for n in range(600))}\n")

    assert "601 columns, at most 500" in log.ingest().quarantined_files[str(path)]
    log.ingest(max_columns=601)
    assert _sql(log, "select c0, c599 from wide") == [(0, 599)]


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_without_an_end_is_kept_in_part_and_the_others_whole(log: Log, packed: bool) -> None:
    long = b'{"time":"' + b"x" * (40 << 20) + b'"}\n'
    data = b"".join(b'{"time":"%s","n":%d}\n' % (DAY.encode(), n) for n in range(9))
    data += long + data
    log.write("click.jsonl.gz", gzip.compress(data, 1)) if packed else log.write("click.jsonl", data)

    log.ingest()

    (row,) = log.engine.quarantine.to_pylist()
    assert (row["offset"], len(row["original"])) == (9, 16 << 20)
    assert row["reason"].startswith("longer than 1,048,576 bytes; ")
    assert _sql(log, "select count(*) from click") == [(18,)]


def test_nesting_goes_down_to_32_and_no_deeper(log: Log) -> None:
    deep = '{"a":' * 40 + "1" + "}" * 40
    endless = f'{{"time":"{DAY}","n":10,"a":' + "[" * 100_000 + "]" * 100_000 + "}"
    lines = [f'{{"time":"{DAY}","n":{n}}}' for n in range(9)]
    log.write("click.jsonl", "\n".join([*lines, f'{{"time":"{DAY}","n":9,"d":{deep}}}', endless]) + "\n")

    log.ingest()

    assert log.engine.quarantine.num_rows == 0
    assert _sql(log, "select length(a) from click where n = 10") == [(200_000,)]
    (name,) = set(log.engine.fields["click"]) - {"n", "a"}
    assert name.count("_") == 31
    assert _sql(log, f"select {name} from click where n = 9") == [  # noqa: S608
        ('{"a":' * 9 + "1" + "}" * 9,)
    ]


def test_the_dirt_of_the_games_log_comes_in_clean(log: Log) -> None:
    """Markup for names, three spellings, four nothings, no member, two paths of one type: spec 2.1."""
    log.engine = Engine.create(log.root / "workspace", schema="gaming")
    head = "@timestamp,memberCode,fingerprint"
    at = "2025-06-01T10:00:0"
    log.write(
        "API Error/2025-06-01.csv",
        f"{head},error,stage,isTestAccount,<div>oops</div>\n{at}0Z,m1,d1,E1,s,false,\n{at}1Z,,d1,E1,s,,seen\n"
        f"{at}2Z,undefined,d2,NaN,None,yes,null\n",
    )
    log.write("GameOpened/2025-06-01.csv", f"{head},gameUid,affiliateId\n{at}3Z, m1 ,d1,007,a1\n")
    log.write(
        "v2/GridClick/2025-06-01.csv",
        f"{head},gameUid,affiliateid,affiliateID,rGroup\n{at}4Z,m2,d2,8,a2,,v1\n{at}5Z,m3,null,8,,a3,\n",
    )

    report = log.ingest()

    assert report.rows == {"API Error": 3, "GameOpened": 3}
    assert report.findings == ["column name is not a field name, its values are in _extra: '<div>oops</div>'"]
    assert log.engine.quarantine["kind"].to_pylist() == ["column"]
    assert _keys(log, "member") == ["m1", "m2", "m3"]
    assert _keys(log, "game") == ["007", "8"]
    assert _sql(log, "select affiliateId from GameOpened order by all") == [("a1",), ("a2",), ("a3",)]
    assert _sql(log, 'select memberCode, error, isTestAccount from "API Error" order by _ts') == [
        ("m1", "E1", False),
        (None, "E1", None),
        (None, None, True),
    ]
    ((segment, number),) = _sql(log, 'select _segment, _id from "API Error" where second(_ts) = 1')
    assert log.engine.get(f"{segment}/{number}").extra == {"<div>oops</div>": "seen"}


# sources twice, broken late, larger than a batch


def test_the_same_bytes_under_two_paths_are_one_source(log: Log) -> None:
    first = log.write("a/click.csv", _clicks("1", "2"))
    log.write("b/click.csv", _clicks("1", "2"))

    report = log.ingest(log.folder, first, first)

    assert (report.files, report.known) == (1, 3)
    assert _sql(log, "select n from click order by n") == [(1,), (2,)]


@pytest.mark.parametrize("ending", [".gz", ""])
def test_a_source_that_breaks_after_a_batch_was_published_is_taken_once(log: Log, ending: str) -> None:
    log.workspace(batch_mb=1)
    if ending:
        data = gzip.compress(GOOD.encode())
        path = log.write("click.csv.gz", data[: len(data) * 2 // 3])
    else:
        path = log.write("click.csv", GOOD + "torn\n" * LARGE)

    reason = log.ingest(batch_mb=1).quarantined_files[str(path)]
    (entry,) = log.engine.snapshot.manifest.ledger.values()
    stored = _sql(log, "select count(*), count(distinct n), max(n) + 1 from click")
    log.ingest(batch_mb=1)

    assert reason.startswith(f"from record {entry.position:,} on, {entry.rows:,} are stored: ")
    assert (entry.status, entry.rejected) == ("quarantined", 0)
    assert 0 < entry.rows == entry.position
    assert stored == [(entry.rows,) * 3]
    assert _sql(log, "select count(*), count(distinct n), max(n) + 1 from click") == stored
    assert log.engine.quarantine.num_rows == 1


def test_the_share_of_bad_records_is_the_source_s_and_not_a_batch_s(log: Log) -> None:
    log.workspace(batch_mb=1)
    torn = "".join(f"torn {n}\n" for n in range(LARGE // 5))
    log.write("click.csv", GOOD + torn)

    report = log.ingest(batch_mb=1)

    assert report.quarantined_files == {}
    assert report.quarantined.total() == LARGE // 5
    assert _sql(log, "select count(*) from click") == [(LARGE,)]


def test_a_reference_table_larger_than_a_batch_is_whole(log: Log) -> None:
    log.workspace("  entities: {user: {}}\n  references: {users: {entities: {user: id}}}\n")
    rows = "".join(f"u{n},{n if n < LARGE - 1000 else f'x{n}'},{'p' * 60}\n" for n in range(LARGE))
    log.write("users.csv", "id,n,pad\n" + rows)

    log.ingest(batch_mb=1)

    assert _sql(log, "select count(*), count(distinct id), max(n) from reference.users") == [
        (LARGE, LARGE, f"x{LARGE - 1}")
    ]
    (entities,) = log.engine.snapshot.files("entities")
    assert entities.rows == LARGE


def test_reference_files_of_one_name_add_up_and_a_new_table_replaces_them(log: Log) -> None:
    log.workspace("  entities: {user: {}}\n  references: {users: {entities: {user: id}}}\n")
    log.write("users-1.csv", "id\na\n")
    log.ingest()
    log.write("users-2.csv", "id\nb\n")
    log.ingest()
    assert _sql(log, "select id from reference.users order by id") == [("a",), ("b",)]

    log.ingest(log.write("users-3.csv", "id\nc\n"))
    assert _sql(log, "select id from reference.users") == [("c",)]


# names of columns


def test_a_column_name_that_is_markup_is_no_field(log: Log) -> None:
    name = "<script>alert(1)</script>"
    log.write("click.csv", f"time,n,{name}\n{DAY},1,kept\n")

    report = log.ingest()
    log.write("click-2.csv", f"time,n\n{DAY},2\n")
    log.ingest()

    assert report.findings == [f"column name is not a field name, its values are in _extra: {name!r}"]
    ((segment, number),) = _sql(log, "select _segment, _id from click where n = 1")
    assert log.engine.get(f"{segment}/{number}").extra == {name: "kept"}
    assert set(log.engine.fields["click"]) == {"n"}


def test_three_spellings_are_one_field_and_a_contradiction_is_kept(log: Log) -> None:
    log.workspace("  fields: {aliases: {affiliateId: [affiliateid, affiliateID]}}\n")
    log.write(
        "click.csv",
        f"time,affiliateid,affiliateID,affiliateId\n{DAY},1,,\n{DAY},,2,\n{DAY},,,3\n{DAY},5,,4\n",
    )

    log.ingest()

    assert _sql(log, "select affiliateId from click order by all") == [(1,), (2,), (3,), (4,)]
    assert set(log.engine.fields["click"]) == {"affiliateId"}
    ((segment, number),) = _sql(log, "select _segment, _id from click where affiliateId = 4")
    assert log.engine.get(f"{segment}/{number}").extra == {"affiliateid": "5"}


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("segment", "segment"),
        ("node", "node"),
        ("is_test", "is_test"),
        ("_hash", "source_hash"),
        ("_source", "source_source"),
        ("_ts_text", "source_ts_text"),
        ("_Segment", "source_Segment"),
        ("_ID", "source_ID"),
        ("_extra", "source_extra"),
        ("_original", "source_original"),
    ],
)
def test_columns_named_as_the_engine_s_own_are_fields(log: Log, column: str, field: str) -> None:
    log.workspace(f"  entities: {{user: {{}}}}\n  events: {{click: {{entities: {{user: {field}}}}}}}\n")
    log.write("click.csv", _clicks("007", columns=column))

    log.ingest()

    assert _sql(log, f'select _segment, "{field}" from click') == [("2025-01-01", "007")]  # noqa: S608
    assert _keys(log) == ["007"]
    assert log.engine.entity("user:007").events()["address"][0].startswith("2025-01-01/")


# values


def test_four_spellings_of_null_are_null(log: Log) -> None:
    log.write("click.csv", _clicks("None", "null", " undefined ", "NaN", '""', "", "5"))
    log.write("tap.parquet", {"time": [DAY] * 2, "x": [float("nan"), 1.5]})

    log.ingest()

    assert _sql(log, "select count(*), count(n), max(n) from click") == [(7, 1, 5)]
    assert _sql(log, "select count(*), count(x), max(x) from tap") == [(2, 1, 1.5)]
    assert log.engine.fields["click"] == {"n": "int64"}


def test_a_field_that_becomes_text_is_text_everywhere_as_it_was_spelled(log: Log) -> None:
    log.workspace(
        "  fields: {booleans: [b]}\n  entities: {user: {}}\n  events: {click: {entities: {user: id}}}\n"
    )
    log.write("click-1.csv", f"time,id,b,t\n{DAY},1.50,yes,{DAY}\n{DAY},2,no,2025-02-01T00:00\n")
    log.ingest()
    assert log.engine.fields["click"] == {"id": "float64", "b": "bool", "t": "timestamp"}
    log.write("click-2.csv", "time,id,b,t\n2025-01-02T00:00:00Z,abc,maybe,never\n")

    report = log.ingest()

    assert report.changes == [f"click.{field} is now string" for field in ("b", "id", "t")]
    expected = [
        ("1.50", "yes", DAY),
        ("2", "no", "2025-02-01T00:00"),
        ("abc", "maybe", "never"),
    ]
    assert _sql(log, "select id, b, t from click order by all") == expected
    assert _sql(log, "select typeof(id) from click group by all") == [("VARCHAR",)]
    assert _keys(log) == ["1.50", "2", "abc"]
    assert len(log.engine.snapshot.files("events", segments=["2025-01-01"])) == 1


def test_widening_gives_what_one_batch_would_have_given(log: Log) -> None:
    log.workspace(USERS)
    parts = [
        log.write(f"click-{n}.csv", f"time,id\n2025-01-0{n}T00:00:00Z,{value}\n")
        for n, value in ((1, "1"), (2, "2.5"), (3, "x"), (4, "4"))
    ]
    for part in parts:
        log.ingest(part)
    whole = Engine.create(log.root / "whole", schema=log.root / "schema.yaml")
    whole.ingest(log.folder)

    assert whole.fields == log.engine.fields == {"click": {"id": "string"}}
    for kind in ("entities", "sightings", "counts", "profiles"):
        hashes = [[(f.segment, f.hash) for f in e.snapshot.files(kind)] for e in (whole, log.engine)]
        assert hashes[0] == hashes[1]


def test_formats_in_one_batch_agree_as_in_two(log: Log) -> None:
    moment = datetime(2025, 1, 1, tzinfo=UTC)
    log.workspace(USERS)
    parts = [
        log.write("click-1.parquet", {"time": [DAY], "id": [1.0], "t": [moment], "b": [True], "e": [None]}),
        log.write("click-2.csv", f"time,id,t,b,e\n{DAY},2,2025-01-01T00:00:00Z,x,7\n"),
    ]
    log.ingest()
    single = Engine.create(log.root / "single", schema=log.root / "schema.yaml")
    for part in parts:
        single.ingest(part)

    expected = {"id": "float64", "t": "timestamp", "b": "string", "e": "int64"}
    assert log.engine.fields["click"] | {"id": "float64"} == expected
    assert single.fields["click"] == expected
    assert _keys(log) == ["1", "2"] == sorted(single.graph.nodes("user")["key"].to_pylist())
    assert _sql(log, "select t, b from click order by all") == [(moment, "true"), (moment, "x")]


def test_a_few_unreadable_times_are_quarantined_with_their_rows(log: Log) -> None:
    rows = "".join(f"{DAY},{n}\n" for n in range(10))
    log.write("click.csv", f"time,n\n{rows}yesterday,10\n,11\n")

    log.ingest()

    assert [(r["offset"], r["reason"], r["original"]) for r in log.engine.quarantine.to_pylist()] == [
        (10, "unreadable time in 'time': 'yesterday'", b'{"time": "yesterday", "n": "10"}'),
        (11, "no time in 'time'", b'{"time": null, "n": "11"}'),
    ]
    assert _sql(log, "select sum(n) from click") == [(45,)]


def test_times_of_no_year_stop_nothing(log: Log) -> None:
    end = 2**63 - 1
    times = pa.array([end, -end, *[0] * 20], pa.timestamp("us", "UTC"))
    moments = pa.array([end, None, *[0] * 20], pa.timestamp("us"))
    dates = pa.array([2**31 - 1, None, *[0] * 20], pa.date32())
    log.write("click.parquet", {"time": times, "m": moments, "d": dates})
    log.write(
        "tap.parquet", {"time": times[2:], "m": moments[2:].cast(pa.timestamp("ns")), "x": moments[:20]}
    )

    log.ingest()

    assert [r["offset"] for r in log.engine.quarantine.to_pylist()] == [0, 1]
    assert _sql(log, "select count(*) from events") == [(40,)]
    assert _sql(log, "select max(x) from tap") == [(end,)]
    assert log.engine.now == datetime(1970, 1, 1, tzinfo=UTC)


def test_numbers_keep_their_digits(log: Log) -> None:
    large = [2**53, 2**53 + 1, 1_234_567_890_123_456_789, -(2**63) + 1]
    beyond = [10**20 + n for n in range(4)]
    texts = ["007", "+1", "1.50", "1e3"]
    rows = [f"{DAY},{a},{b},{t}" for a, b, t in zip(large, beyond, texts, strict=True)]
    log.workspace("  entities: {user: {}, other: {}}\n  events: {click: {entities: {user: a, other: b}}}\n")
    log.write("click.csv", "time,a,b,t\n" + "\n".join(rows) + "\n")

    log.ingest()

    assert log.engine.fields["click"] == {"a": "int64", "b": "string", "t": "string"}
    assert _sql(log, "select a from click order by a") == [(n,) for n in sorted(large)]
    assert _sql(log, "select b from click order by b") == [(str(n),) for n in beyond]
    assert _sql(log, "select t from click order by t") == [(t,) for t in sorted(texts)]
    assert _keys(log) == sorted(str(n) for n in large)


def test_large_whole_numbers_survive_a_fraction_in_a_later_batch(log: Log) -> None:
    log.workspace(USERS)
    numbers = [2**53, 2**53 + 1, 2**53 + 2]
    log.ingest(log.write("click-1.csv", _clicks(*map(str, numbers), columns="id")))
    log.ingest(log.write("click-2.csv", "time,id\n2025-01-02T00:00:00Z,1.50\n"))

    assert log.engine.fields["click"] == {"id": "float64"}
    assert _keys(log) == sorted(["1.50", *map(str, numbers)])
    events = log.engine.snapshot.files("events", segments=["2025-01-01"])
    documents = read_documents(log.engine.snapshot, events, log.engine.fields)["click"]
    assert set(documents["_original"].struct.field("id")) == set(map(str, numbers))


def test_the_source_s_text_of_a_converted_value_comes_back(log: Log) -> None:
    log.workspace("  fields: {booleans: [b]}\n")
    log.write(
        "click.csv", "time,x,b\n2025-01-01 10:00,1.50,YES\n2025-01-01T11:00:00Z,2,no\n1735732800,1e3,0\n"
    )

    log.ingest()

    assert _originals(log, "x") == [(1.5, "1.50"), (1000.0, "1e3")]
    assert _originals(log, "b") == [(True, "YES"), (False, "no"), (False, "0")]
    assert _originals(log, "_ts") == [(None, "2025-01-01 10:00"), (None, "1735732800")]


def test_a_value_that_does_not_parse_among_thousands_keeps_its_text(log: Log) -> None:
    log.write("click.csv", _clicks(*map(str, range(5000)), "n/a"))

    log.ingest()

    assert log.engine.fields["click"] == {"n": "int64"}
    assert _originals(log, "n", "n is null or n < 5") == [(None, "n/a")]


@pytest.mark.parametrize("digits", [True, False])
def test_booleans_are_what_the_schema_says(log: Log, digits: bool) -> None:
    log.workspace("  fields: {booleans: [b]}\n")
    if digits:
        log.write("click.parquet", {"time": [DAY] * 3, "b": [1, 0, None], "n": [1, 0, 1]})
    else:
        log.write("click.csv", _clicks("true,1", "No,0", ",1", columns="b,n"))

    log.ingest()

    assert log.engine.fields["click"] == {"b": "bool", "n": "int64"}
    assert _sql(log, "select b, n from click order by all") == [(False, 0), (True, 1), (None, 1)]


def test_events_of_test_accounts_are_told_by_any_spelling(log: Log) -> None:
    log.workspace(f"  fields: {{test_account: test}}\n{USERS}")
    log.ingest(log.write("click-1.csv", _clicks("a,1", "b,0", "c,", columns="id,test")))
    log.ingest(log.write("click-2.csv", _clicks("d,Yes", "e,maybe", columns="id,test")))

    tables = [pl.DataFrame(log.engine.snapshot.read(f)) for f in log.engine.snapshot.files("entities")]
    kept_apart = dict(pl.concat(tables).select("key", "is_test").iter_rows())
    assert kept_apart == {"a": True, "b": False, "c": False, "d": True, "e": False}


# times


def test_naive_times_are_in_the_schema_s_zone_also_where_clocks_change(log: Log) -> None:
    log.workspace("  timestamp: {fields: [time], timezone: America/New_York}\n")
    good = "".join(f"2013-07-01 12:00:{n:02d},{n}\n" for n in range(10))
    log.write(
        "click.csv",
        "time,n\n2013-01-01 12:00:00,20\n2013-03-10 02:30:00,21\n2013-11-03 01:30:00,22\n"
        f"2013-11-03T01:30:00-05:00,23\n{good}",
    )

    log.ingest()

    times = dict(_sql(log, "select n, _ts from click"))
    assert times[0] == datetime(2013, 7, 1, 16, tzinfo=UTC)
    assert times[20] == datetime(2013, 1, 1, 17, tzinfo=UTC)
    assert times[22] == datetime(2013, 11, 3, 5, 30, tzinfo=UTC)  # of two the earlier
    assert times[23] == datetime(2013, 11, 3, 6, 30, tzinfo=UTC)
    (row,) = log.engine.quarantine.to_pylist()
    assert (row["offset"], row["reason"]) == (1, "unreadable time in 'time': '2013-03-10 02:30:00'")


@pytest.mark.parametrize("scale", [1, 1_000, 1_000_000, 1_000_000_000])
@pytest.mark.parametrize("typed", [True, False])
def test_epochs_are_told_by_their_size(log: Log, scale: int, typed: bool) -> None:
    moment = datetime(2025, 1, 1, 12, 0, 1, tzinfo=UTC)
    value = int(moment.timestamp()) * scale
    if typed:
        log.write("click.parquet", {"time": np.array([value]), "n": [1]})
    else:
        log.write("click.csv", f"time,n\n{value},1\n")

    log.ingest()

    assert _sql(log, "select _ts from click") == [(moment,)]


# the window


def test_what_is_older_than_the_window_is_refused_whatever_its_type(log: Log) -> None:
    log.workspace(window=3)
    log.write("click.csv", "time,n\n2025-01-01T00:00:00Z,1\n2025-01-29T23:59:59Z,2\n2025-01-30T00:00:00Z,3\n")
    log.write("tap.csv", "time,n\n2025-02-01T00:00:00Z,4\n")

    report = log.ingest(window=3)
    again = log.ingest(log.write("click-old.csv", "time,n\n2025-01-02T00:00:00Z,5\n"), window=3)

    assert (report.refused, again.refused) == (2, 1)
    assert _sql(log, "select n from events order by n") == [(3,), (4,)]
    assert "refused: 1 documents older than the window" in str(again)


# not yet: each of these fails for the reason that is given, and says so when it no longer does


def test_a_column_named_dt_is_a_field(log: Log) -> None:
    log.write("click.csv", _clicks("hello", columns="dt"))

    log.ingest()

    assert _sql(log, "select _segment, dt from click") == [("2025-01-01", "hello")]


def test_evict_before_what_is_no_day_drops_nothing(log: Log) -> None:
    log.write("click.csv", _clicks("1"))
    log.ingest()

    with pytest.raises(UsageError):
        log.engine.evict(before="yesterday")
    assert log.engine.snapshot.segments == ["2025-01-01"]


def test_a_schema_finding_is_in_quarantine(log: Log) -> None:
    log.write("click.csv", f"time,n,<b>\n{DAY},1,x\n")

    log.ingest()

    assert "<b>" in str(log.engine.quarantine.to_pylist())
