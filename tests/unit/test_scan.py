"""``db.scan``: which documents come, in which types, and what is not read for them."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from workbench.engine import Engine
from workbench.errors import CorruptFileError, UnknownNameError, UsageError
from workbench.partials.scan import Wanted, scan_documents
from workbench.partials.stored import to_arrow
from workbench.storage import SegmentStore, Snapshot
from workbench.storage.files import Verifier, hash_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workbench.partials.types import FieldType

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: tiny}
spec:
  timezone: America/New_York
  entities: {member: {who: true}, page: {}}
  events:
    Click: {aliases: [Tap], entities: {member: member, page: page}}
    Login: {entities: {member: member}}
"""
DAYS = ("2025-06-10", "2025-06-11", "2025-06-12")
IDENTITY = ["_segment", "_id", "_ts", "_type"]


def clicks(day: str, rows: int = 48) -> pa.Table:
    numbers = range(rows)
    return pa.table(
        {
            "time": [f"{day}T{n // 2:02d}:{n % 2 * 30:02d}:00Z" for n in numbers],
            "member": [f"m{n % 5}" for n in numbers],
            "page": [f"p{n % 7}" for n in numbers],
            "delay": [str(n) for n in numbers],
            "price": [f"{n % 3}.50" for n in numbers],
        }
    )


def logins(day: str) -> pa.Table:
    return pa.table({"time": [f"{day}T0{n}:00:00Z" for n in range(9)], "member": ["m0"] * 9, "ok": [1] * 9})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scan")
    (root / "tiny.yaml").write_text(SCHEMA)
    with Engine.create(root / "w", schema=root / "tiny.yaml") as db:
        for day in DAYS:
            db.ingest(clicks(day), type="Click")
            db.ingest(logins(day), type="Login")
    return root / "w"


@pytest.fixture
def db(made: Path) -> Iterator[Engine]:
    with Engine(made) as engine:
        yield engine


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Engine:
    """The workspace in a copy that a test may damage."""
    return Engine(shutil.copytree(made, tmp_path / "own"))


def damage(db: Engine, *segments: str, name: str | None = None) -> None:
    for entry in db.snapshot.files("events", segments=segments, name=name):
        (db.path / entry.path).write_bytes(b"x" * entry.bytes)


class TestDocuments:
    def test_all_of_a_type_with_every_field_in_its_type(self, db: Engine) -> None:
        found = db.scan("Click").read_all()
        assert found.schema == pa.schema(
            {
                "_segment": pa.string(),
                "_id": pa.int64(),
                "_ts": pa.timestamp("us", "UTC"),
                "_type": pa.string(),
                "delay": pa.int64(),
                "member": pa.string(),
                "page": pa.string(),
                "price": pa.float64(),
            }
        )
        assert found.num_rows == 3 * 48
        assert found.slice(49, 1).to_pylist() == [
            {
                "_segment": "2025-06-11",
                "_id": found["_id"][49].as_py(),
                "_ts": datetime(2025, 6, 11, 0, 30, tzinfo=UTC),
                "_type": "Click",
                "delay": 1,
                "member": "m1",
                "page": "p1",
                "price": 1.5,
            }
        ]

    def test_an_address_is_there_for_get(self, db: Engine) -> None:
        row = db.scan("Click", columns=["_segment", "_id", "page"], limit=1).read_all().to_pylist()[0]
        assert db.get(f"{row['_segment']}/{row['_id']}").fields["page"] == row["page"]

    def test_all_types_have_the_columns_of_all(self, db: Engine) -> None:
        found = pl.DataFrame(db.scan().read_all())
        assert found.columns == [*IDENTITY, "delay", "member", "ok", "page", "price"]
        counted = found.group_by("_segment", "_type").len().sort("_segment", "_type").rows()
        assert counted == [(day, name, n) for day in DAYS for name, n in (("Click", 48), ("Login", 9))]
        assert found.filter(_type="Login")["page"].null_count() == 27

    def test_an_alias_and_several_types(self, db: Engine) -> None:
        assert db.scan("Tap").read_all().num_rows == 144
        assert db.scan(["Tap", "Login"]).read_all().num_rows == 171
        assert db.scan([]).read_all().num_rows == 0

    def test_columns_come_in_the_order_asked_for(self, db: Engine) -> None:
        found = db.scan("Click", columns=["page", "_segment", "delay"], where=pc.field("price") < 1)
        assert found.schema.names == ["page", "_segment", "delay"]
        assert found.read_all()["delay"].to_pylist()[:3] == [0, 3, 6]

    def test_identity_alone(self, db: Engine) -> None:
        assert db.scan(columns=["_type"]).read_all()["_type"].value_counts().to_pylist() == [
            {"values": "Click", "counts": 144},
            {"values": "Login", "counts": 27},
        ]
        assert db.scan(columns=["_segment"], where=pc.scalar(value=True)).read_all().num_rows == 171

    @pytest.mark.parametrize(
        ("since", "until", "expected"),
        [
            ("2025-06-11", None, 48 - 8 + 48),  # midnight in New York is 4:00 in UTC
            (date(2025, 6, 11), date(2025, 6, 12), 48),
            ("2025-06-11T00:00:00Z", "2025-06-11T00:30:00Z", 1),
            (datetime(2025, 6, 12, 23, 30, tzinfo=UTC), None, 1),
            (None, "2025-06-10T20:00", 48),
            ("2025-06-11T00:00:00Z", "2025-06-12T00:00:00Z", 48),
            ("2026-01-01", None, 0),
            (None, "2020-01-01", 0),
        ],
    )
    def test_times_are_days_and_moments_of_the_workspaces_zone(
        self, db: Engine, since: Any, until: Any, expected: int
    ) -> None:
        assert db.scan("Click", since=since, until=until).read_all().num_rows == expected

    def test_conditions_as_expression_and_as_filters(self, db: Engine) -> None:
        by_expression = db.scan("Click", where=(pc.field("delay") > 40) & (pc.field("page") == "p0"))
        by_filters = db.scan("Click", where=[("delay", ">", 40), ("page", "==", "p0")])
        assert by_expression.read_all().equals(by_filters.read_all())
        either = db.scan("Click", where=[[("delay", "=", 3)], [("page", "in", ["p6"])]], columns=["delay"])
        assert sorted({*either.read_all()["delay"].to_pylist()}) == [3, 6, 13, 20, 27, 34, 41]
        assert db.scan(where=pc.field("page").is_null()).read_all().num_rows == 27
        assert db.scan(where=[("_segment", "=", DAYS[1]), ("_type", "=", "Login")]).read_all().num_rows == 9

    @pytest.mark.parametrize("limit", [0, 1, 47, 48, 49, 144, 1000])
    def test_a_limit(self, db: Engine, limit: int) -> None:
        assert db.scan("Click", limit=limit).read_all().num_rows == min(limit, 144)
        half = db.scan("Click", limit=limit, where=[("delay", "<", 24)]).read_all()
        assert half.num_rows == min(limit, 72)

    def test_an_empty_workspace_and_an_empty_result_have_a_schema(self, tmp_path: Path, db: Engine) -> None:
        found = Engine.create(tmp_path / "w").scan()
        assert (found.schema.names, found.read_all().num_rows) == (IDENTITY, 0)
        none = db.scan("Click", where=pc.field("delay") > 1000)
        assert none.schema.names == [*IDENTITY, "delay", "member", "page", "price"]
        assert none.read_all().num_rows == 0

    def test_other_libraries_take_it_as_it_is(self, db: Engine) -> None:
        assert pl.DataFrame(db.scan("Click", columns=["page"]))["page"].n_unique() == 7


class TestRefusals:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"type": "Clik"}, "Did you mean 'Click'"),
            ({"columns": ["_ts", "delai"]}, "Did you mean 'delay'"),
            ({"where": pc.field("delai") > 3}, "Did you mean 'delay'"),
            ({"where": [("delai", ">", 3)]}, "Did you mean 'delay'"),
            ({"where": pc.field("_original").is_valid()}, "no column"),
        ],
    )
    def test_an_unknown_name_is_told_with_the_nearest(
        self, db: Engine, given: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(UnknownNameError) as caught:
            db.scan(**given)
        assert said in str(caught.value)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"where": "delay > 3"}, "db.sql"),
            ({"where": pc.field("delay") > "x"}, "cannot be applied"),
            ({"where": pc.field("delay")}, "must evaluate to bool"),
            ({"where": [("delay", "~", 3)]}, "cannot be applied"),
            ({"where": 3}, "cannot be applied"),
            ({"columns": []}, "at least one"),
            ({"columns": ["page", "page"]}, "each once"),
            ({"limit": -1}, "limit is -1"),
            ({"since": "soon"}, "is not a time"),
        ],
    )
    def test_what_cannot_be_meant_is_an_error_at_once(
        self, db: Engine, given: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(UsageError, match=said):
            db.scan("Click", **given)


class TestPruning:
    """Files that are not needed are damaged first: who opened one would say so."""

    @pytest.mark.parametrize(
        "given",
        [
            {"since": "2025-06-11T00:00Z", "until": "2025-06-12T00:00Z"},
            {"where": pc.field("_segment") == DAYS[1]},
            {"where": [("_segment", "in", [DAYS[1], "2030-01-01"])]},
            {"where": pc.field("_ts") == pa.scalar(datetime(2025, 6, 11, 7, tzinfo=UTC))},
        ],
        ids=str,
    )
    def test_other_days_are_not_opened(self, own: Engine, given: dict[str, Any]) -> None:
        damage(own, DAYS[0], DAYS[2])
        found = own.scan(columns=["_segment"], **given).read_all()
        assert set(found["_segment"].to_pylist()) == {DAYS[1]}

    @pytest.mark.parametrize("given", [{"type": "Login"}, {"where": pc.field("_type") == "Login"}], ids=str)
    def test_other_types_are_not_opened(self, own: Engine, given: dict[str, Any]) -> None:
        damage(own, *DAYS, name="Click")
        assert own.scan(**given).read_all().num_rows == 27

    def test_what_a_limit_cuts_off_is_not_opened(self, own: Engine) -> None:
        damage(own, DAYS[2])
        assert own.scan("Click", limit=96).read_all().num_rows == 96
        with pytest.raises(CorruptFileError):
            own.scan("Click", limit=97).read_all()

    @pytest.mark.parametrize("n", range(10))
    def test_row_groups_and_columns_that_are_not_needed_are_not_read(self, tmp_path: Path, n: int) -> None:
        """Pages of one column in one row group are damaged, and the manifest believes them."""
        snapshot, group = groups(tmp_path, spoilt=("text", n))
        fields: dict[str, dict[str, FieldType]] = {
            "Click": {"n": "int64", "text": "string", "half": "float64"}
        }

        def read(where: pc.Expression | None, *columns: str) -> list[Any]:
            reader = scan_documents(snapshot, fields, Wanted(where=where, columns=columns))
            values: list[Any] = reader.read_all()[columns[0]].to_pylist()
            return values

        number = pc.field("n")
        assert read(None, "n") == list(range(100))
        assert read(number >= 10 * n + 10, "n", "text") == list(range(10 * n + 10, 100))
        assert read(number < 10 * n, "text") == [f"t{i:02d}" for i in range(10 * n)]
        # no statistics tell it, but the condition's column is read first
        assert read((pc.field("half") == 10 * n / 2 + 0.25), "text") == []
        for needs in (number == 10 * n, pc.field("text") == f"t{10 * n:02d}", None):
            with pytest.raises(CorruptFileError, match="cannot be read any more") as caught:
                read(needs, "text")
            assert caught.value.where == str(snapshot.root / snapshot.files("events")[0].path)
        assert group == n

    def test_text_prunes_and_nulls_are_found(self, tmp_path: Path) -> None:
        snapshot, _ = groups(tmp_path, spoilt=("n", 0))
        fields: dict[str, dict[str, FieldType]] = {"Click": {"n": "int64", "text": "string", "gap": "int64"}}
        where = pc.field("text") > "t95"
        found = scan_documents(snapshot, fields, Wanted(where=where, columns=["n"])).read_all()
        assert found["n"].to_pylist() == [96, 97, 98, 99]
        # 5 is null in the first row group, all are in the second
        for condition, expected in (
            (pc.field("gap").is_null(), [5, *range(10, 20)]),
            (pc.field("gap") > 97, [98, 99]),
        ):
            wanted = Wanted(where=condition, columns=["text"])
            texts = scan_documents(snapshot, fields, wanted).read_all()["text"].to_pylist()
            assert texts == [f"t{i:02d}" for i in expected]


def groups(root: Path, spoilt: tuple[str, int]) -> tuple[Snapshot, int]:
    """Return a file of ten row groups of ten rows, with one column of one group spoilt after hashing."""
    numbers = list(range(100))
    times = [datetime(2025, 6, 10, tzinfo=UTC) + timedelta(seconds=n) for n in numbers]
    frame = pl.DataFrame(
        {
            "_id": numbers,
            "_ts": pl.Series(times, dtype=pl.Datetime("us", "UTC")),
            "n": numbers,
            "text": [f"t{n:02d}" for n in numbers],
            "half": [n / 2 for n in numbers],
            "gap": [None if n == 5 or 10 <= n < 20 else n for n in numbers],
        }
    )
    store = SegmentStore.create(root / "w")
    with store.writer() as writer:
        transaction = writer.begin()
        table = to_arrow(frame, "Click")
        transaction.add("events", table, segment=DAYS[0], name="Click", row_group=10)
        snapshot = transaction.commit()
    (entry,) = snapshot.files("events")
    name, number = spoilt
    with snapshot.open(entry) as file:
        footer = file.metadata.row_group(number)
        columns = [footer.column(place) for place in range(footer.num_columns)]
        (column,) = (c for c in columns if c.path_in_schema == name)
        place = column.data_page_offset + column.total_compressed_size - 1
    data = bytearray((snapshot.root / entry.path).read_bytes())
    data[place] ^= 255
    (snapshot.root / entry.path).write_bytes(data)
    manifest = replace(snapshot.manifest, files=(replace(entry, hash=hash_bytes(bytes(data))),))
    return Snapshot(snapshot.root, manifest, Verifier()), number


class TestDrift:
    """Files that were stored before a type widened, read under the types of today."""

    def scanned(self, root: Path, fields: dict[str, FieldType], *frames: pl.DataFrame, **wanted: Any) -> Any:
        store = SegmentStore.create(root / "w")
        with store.writer() as writer:
            transaction = writer.begin()
            for day, columns in zip(DAYS, frames, strict=False):
                times = pl.Series(
                    [datetime(2025, 6, 10, tzinfo=UTC)] * columns.height, dtype=pl.Datetime("us", "UTC")
                )
                frame = columns.with_columns(_id=pl.int_range(columns.height, dtype=pl.Int64), _ts=times)
                transaction.add("events", to_arrow(frame, "Click"), segment=day, name="Click")
            snapshot = transaction.commit()
        found = scan_documents(snapshot, {"Click": fields}, Wanted(**wanted)).read_all()
        return found.select([*fields])

    def test_numbers_widen_and_text_is_what_the_source_spelled(self, tmp_path: Path) -> None:
        old = pl.DataFrame(
            {"n": [1, 20], "x": [1.5, 2.0], "b": [True, None], "_original": [{"x": "1.50"}, {"x": None}]},
        )
        new = pl.DataFrame({"n": [0.5, None], "x": ["x", "y"], "b": ["yes", "no"], "c": ["c", "d"]})
        fields: dict[str, FieldType] = {
            "n": "float64",
            "x": "string",
            "b": "string",
            "c": "string",
            "z": "null",
        }
        found = self.scanned(tmp_path, fields, old, new)
        assert found.schema.types == [pa.float64(), *[pa.string()] * 4]
        assert found.to_pydict() == {
            "n": [1.0, 20.0, 0.5, None],
            "x": ["1.50", "2", "x", "y"],
            "b": ["true", None, "yes", "no"],
            "c": [None, None, "c", "d"],
            "z": [None] * 4,
        }

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            (pc.field("x") == "1.50", ["1.50"]),
            (pc.field("x") < "9", ["1.50", "10"]),
            (pc.field("x") >= "2", ["9"]),
            (pc.field("x") != "9", ["1.50", "10"]),
        ],
        ids=str,
    )
    def test_conditions_and_pruning_go_by_the_type_of_today(
        self, tmp_path: Path, where: pc.Expression, expected: list[str]
    ) -> None:
        old = pl.DataFrame({"x": [1.5, 10.0, 9.0], "_original": [{"x": "1.50"}, {"x": None}, {"x": None}]})
        assert self.scanned(tmp_path, {"x": "string"}, old, where=where)["x"].to_pylist() == expected

    def test_a_number_that_is_none_is_not_pruned_away(self, tmp_path: Path) -> None:
        frame = pl.DataFrame({"x": [1.0, float("nan"), 1.0]})
        found = self.scanned(tmp_path, {"x": "float64"}, frame, where=pc.field("x") != 1.0)
        assert found.num_rows == 1

    def test_a_field_that_is_a_number_here_and_text_there_is_text_over_both(self, tmp_path: Path) -> None:
        with Engine.create(tmp_path / "w") as db:
            db.ingest(pa.table({"time": [f"{DAYS[0]}T00:00:00Z"], "v": ["2.50"]}), type="A")
            db.ingest(pa.table({"time": [f"{DAYS[0]}T00:00:00Z"], "v": ["x"]}), type="B")
            assert db.scan("A", columns=["v"]).read_all()["v"].to_pylist() == [2.5]
            assert db.scan(columns=["v"]).read_all()["v"].to_pylist() == ["2.50", "x"]


class TestGenerations:
    def test_files_stay_while_a_reader_is_open(self, own: Engine) -> None:
        reader = own.scan("Click", columns=["delay"])
        before = own.snapshot.generation
        own.evict(DAYS[0], DAYS[1])
        own.refresh()
        with own.store.writer() as writer:
            writer.collect(grace=0, manifests=1)
        assert own.snapshot.generation > before
        assert reader.read_all().num_rows == 144
        del reader
        assert own.scan("Click").read_all().num_rows == 48

    def test_who_lost_files_before_the_first_batch_reads_a_newer_generation(self, own: Engine) -> None:
        Engine(own.path).evict(DAYS[0])
        damage(own, DAYS[0])
        assert own.scan("Click").read_all().num_rows == 96

    def test_who_loses_files_half_way_is_told_how_far_it_came(self, own: Engine) -> None:
        reader = own.scan("Click")
        Engine(own.path).evict(DAYS[1])
        for entry in own.snapshot.files("events", segments=[DAYS[1]]):
            (own.path / entry.path).unlink()
        assert reader.read_next_batch().num_rows == 48
        with pytest.raises(CorruptFileError, match="cannot go on after 48 documents") as caught:
            reader.read_next_batch()
        assert "Begin it again" in caught.value.fix
        assert own.refresh().scan("Click").read_all().num_rows == 96

    def test_a_file_that_vanishes_between_check_and_opening_is_named(self, own: Engine) -> None:
        class Trusting(Verifier):
            def check(self, *args: object, **kwargs: object) -> None:
                """Believe in everything."""

        snapshot = Snapshot(own.path, own.snapshot.manifest, Trusting())
        for entry in snapshot.files("events"):
            (own.path / entry.path).unlink()
        with pytest.raises(CorruptFileError, match="cannot be read any more"):
            scan_documents(snapshot, own.fields, Wanted())


def test_batches_are_bounded_and_in_order_of_time(tmp_path: Path) -> None:
    rows = 40_000
    draw = random.Random(0)  # noqa: S311
    numbers = draw.sample(range(rows), rows)
    table = pa.table(
        {
            "time": [
                (datetime(2025, 6, 10, tzinfo=UTC) + timedelta(milliseconds=n)).isoformat() for n in numbers
            ],
            "n": numbers,
        }
    )
    with Engine.create(tmp_path / "w") as db:
        db.ingest(table, type="Click")
        batches = list(db.scan("Click", columns=["n"]))
        assert max(batch.num_rows for batch in batches) <= 1 << 14
        assert pa.Table.from_batches(batches)["n"].to_pylist() == list(range(rows))
