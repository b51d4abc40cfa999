"""Partials against a slow implementation in plain Python, and against themselves in other orders."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.config.entity_schema import EntitySchema
from workbench.ingest.derive import shaped
from workbench.partials.documents import DAY_US, HASH_BITS, assign_ids, normalise, type_fields
from workbench.partials.extract import counts, extract
from workbench.partials.profiles import merge_profiles, profiles
from workbench.partials.stored import concat_documents

START = datetime(2025, 6, 12, tzinfo=UTC)

# identifiers

moments = st.sampled_from([0, 0, 1, 2, DAY_US - 1])
contents = st.builds(
    lambda low, high: low | high << HASH_BITS,
    st.integers(0, 12) | st.integers(2**26 - 4, 2**26 - 1),
    st.integers(0, 3),
)
wishes = st.lists(st.tuples(moments, contents), max_size=40)


def given_ids(rows: list[tuple[int, int]], taken: set[int]) -> list[int]:
    frame = pl.DataFrame(
        {"_ts": [us for us, _ in rows], "_hash": [h for _, h in rows]},
        schema={"_ts": pl.Int64, "_hash": pl.UInt64},
    ).with_columns(pl.col("_ts").cast(pl.Datetime("us", "UTC")))
    return assign_ids(frame, np.array(sorted(taken, reverse=True), dtype=np.int64)).to_list()


def wish(row: tuple[int, int]) -> int:
    return (row[0] << HASH_BITS) | (row[1] % (1 << HASH_BITS))


def slow_ids(rows: list[tuple[int, int]], taken: set[int]) -> list[int]:
    """One document after the other: the first identifier from its wish on that nobody has."""

    def first_free(wanted: int, used: set[int]) -> int:
        while wanted in used:
            wanted += 1
        return wanted

    order = sorted(range(len(rows)), key=lambda i: (first_free(wish(rows[i]), taken), rows[i][1]))
    used, result = set(taken), [0] * len(rows)
    for i in order:
        result[i] = first_free(wish(rows[i]), used)
        used.add(result[i])
    return result


@given(wishes, st.sets(st.builds(wish, st.tuples(moments, contents)), max_size=30))
def test_identifiers_are_those_of_a_loop(rows: list[tuple[int, int]], taken: set[int]) -> None:
    assert given_ids(rows, taken) == slow_ids(rows, taken)


@given(wishes, st.sets(st.builds(wish, st.tuples(moments, contents)), max_size=30), st.randoms())
def test_identifiers_are_unique_and_do_not_depend_on_the_order_of_arrival(
    rows: list[tuple[int, int]], taken: set[int], random: Any
) -> None:
    ids = given_ids(rows, taken)
    assert len(set(ids)) == len(ids)
    assert not set(ids) & taken
    shuffled = random.sample(rows, len(rows))
    assert sorted(zip(rows, ids, strict=True)) == sorted(
        zip(shuffled, given_ids(shuffled, taken), strict=True)
    )


@given(st.lists(st.tuples(st.integers(-(10**15), 10**15), st.integers(0, 2**64 - 1)), max_size=40))
def test_identifiers_without_clashes_sort_by_the_time_of_day(rows: list[tuple[int, int]]) -> None:
    ids = given_ids(rows, set())
    by_id = [us % DAY_US for _, (us, _) in sorted(zip(ids, rows, strict=True))]
    assert by_id == sorted(by_id)


# extraction

SCHEMA = EntitySchema.model_validate(
    {
        "fields": {"test_account": "test", "booleans": ["test"], "strings": ["who", "a", "b", "p"]},
        "entities": {"who": {}, "thing": {}, "pair": {}, "text": {}},
        "edges": {
            "Had": {"from": "who", "to": "thing"},
            "Gave": {"from": "thing", "to": "thing"},
            "Said": {"from": "who", "to": "text"},
        },
        "events": {
            "One": {
                "entities": {
                    "who": {"fields": ["who", "b"], "properties": {"p": "p", "q": "n"}},
                    "left": {"type": "thing", "fields": "a", "properties": ["p"]},
                    "right": {"type": "thing", "fields": "b"},
                    "pair": {"join": ["a", "n"], "separator": "/", "fields": ["b"]},
                },
                "edges": [
                    {"type": "Had", "from": "who", "to": "left"},
                    {"type": "Had", "from": "who", "to": "right"},
                    {"type": "Gave", "from": "left", "to": "right"},
                ],
            },
            "Two": {
                "entities": {"who": "who", "text": {"fields": "a", "hash": True}},
                "edges": [{"type": "Said", "from": "who", "to": "text"}],
            },
        },
    }
)
short = st.none() | st.sampled_from(["x", "y", "z", "NaN", "ü"])
event = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["One", "Two", "Three"]),
        "hour": st.integers(0, 49),
        "who": short,
        "a": short,
        "b": short,
        "p": short,
        "n": st.none() | st.integers(0, 2).map(str),
        "test": st.none() | st.booleans().map(str),
    }
)
logs = st.lists(event, min_size=1, max_size=25)
FIELDS = ("who", "a", "b", "p", "n", "test")


def documents(log: list[dict[str, Any]]) -> dict[str, pl.DataFrame]:
    """Documents of a log, identified in its order, as ingest makes them."""
    found = {}
    for name in sorted({row["type"] for row in log}):
        chosen = [(i, row) for i, row in enumerate(log) if row["type"] == name]
        table = pa.table(
            {
                "time": [(START + timedelta(hours=row["hour"])).isoformat() for _, row in chosen],
                **{f: pa.array([row[f] for _, row in chosen], pa.string()) for f in FIELDS},
            }
        )
        known = {"n": "int64", "test": "bool"}
        frame = type_fields(normalise(table, name, SCHEMA).frame, known, SCHEMA).frame  # type: ignore[arg-type]
        found[name] = frame.with_columns(
            pl.Series("_id", [i for i, _ in chosen], pl.Int64),
            pl.col("_ts").dt.strftime("%Y-%m-%d").alias("_segment"),
        )
    return found


def derived(frames: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return {**extract(frames, SCHEMA), "counts": counts(frames, SCHEMA)}


def keys_of(row: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """The entities that an event names, by role: the schema above, in plain words."""
    value = {f: None if row[f] in (None, "NaN") else row[f] for f in FIELDS}
    if row["type"] == "One":
        joined = f"{value['a']}/{value['n']}" if value["a"] and value["n"] else value["b"]
        named = {
            "who": ("who", value["who"] or value["b"]),
            "left": ("thing", value["a"]),
            "right": ("thing", value["b"]),
            "pair": ("pair", joined),
        }
    elif row["type"] == "Two":
        digest = xxhash.xxh3_64_hexdigest(value["a"].encode()) if value["a"] else None
        named = {"who": ("who", value["who"]), "text": ("text", digest)}
    else:
        named = {}
    return {role: (kind, key) for role, (kind, key) in named.items() if key}


def slow(log: list[dict[str, Any]]) -> dict[str, Any]:
    """All partials by a loop over events."""
    seen: dict[Any, list[tuple[datetime, int]]] = defaultdict(list)
    edges: dict[Any, list[datetime]] = defaultdict(list)
    values: dict[Any, list[datetime]] = defaultdict(list)
    events: Counter[Any] = Counter()
    rules = {"One": [("Had", "who", "left"), ("Had", "who", "right"), ("Gave", "left", "right")],
             "Two": [("Said", "who", "text")], "Three": []}  # fmt: skip
    kept = {"One": [("who", "p", "p"), ("who", "q", "n"), ("left", "p", "p")], "Two": [("text", "text", "a")]}
    for number, row in enumerate(log):
        time = START + timedelta(hours=row["hour"])
        segment, test = f"{time:%Y-%m-%d}", row["test"] == "True"
        events[segment, row["type"], time, test] += 1
        named = keys_of(row)
        for entity in set(named.values()):
            seen[segment, *entity, test].append((time, number))
        for kind, source, target in rules[row["type"]]:
            if source in named and target in named:
                edges[segment, kind, named[source], named[target], test].append(time)
        for role, name, field in kept.get(row["type"], ()):
            if role in named and row[field] not in (None, "NaN"):
                values[segment, *named[role], test, name, row[field]].append(time)
    return {
        "entities": {k: (len(v), min(v)[0], max(v)[0]) for k, v in seen.items()},
        "sightings": {k: sorted(n for _, n in v) for k, v in seen.items()},
        "edges": {k: (len(v), min(v), max(v)) for k, v in edges.items()},
        "properties": {k: (len(v), max(v)) for k, v in values.items()},
        "counts": dict(events),
    }


def readable(found: dict[str, pl.DataFrame]) -> dict[str, Any]:
    """The partials in the form of :func:`slow`, node numbers replaced by what they stand for."""
    nodes = {(r["segment"], r["node"]): r for r in found["entities"].to_dicts()}
    whole = {at: (r["segment"], r["type"], r["key"], r["is_test"]) for at, r in nodes.items()}
    assert len(set(whole.values())) == len(whole)
    sightings: dict[Any, list[int]] = defaultdict(list)
    for r in found["sightings"].to_dicts():
        sightings[whole[r["segment"], r["node"]]].append(r["_id"])
    edges = {}
    for r in found["edges"].to_dicts():
        source, target = whole[r["segment"], r["source"]], whole[r["segment"], r["target"]]
        assert source[3] == target[3]
        key = (r["segment"], r["type"], source[1:3], target[1:3], source[3])
        assert key not in edges
        edges[key] = (r["weight"], r["first_seen"], r["last_seen"])
    return {
        "entities": {whole[at]: (r["sightings"], r["first_seen"], r["last_seen"]) for at, r in nodes.items()},
        "sightings": dict(sightings),
        "edges": edges,
        "properties": {
            (*whole[r["segment"], r["node"]], r["name"], r["value"]): (r["sightings"], r["last_seen"])
            for r in found["properties"].to_dicts()
        },
        "counts": {
            (r["segment"], r["type"], r["hour"], r["is_test"]): r["events"]
            for r in found["counts"].to_dicts()
        },
    }


@given(logs)
def test_partials_are_those_of_a_loop(log: list[dict[str, Any]]) -> None:
    found = readable(derived(documents(log)))
    for kind, expected in slow(log).items():
        assert found[kind] == expected, kind


def assert_equal(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> None:
    for kind, frame in one.items():
        for segment in {*frame["segment"], *other[kind]["segment"]}:
            mine, its = (shaped(f[kind].filter(segment=segment), kind) for f in (one, other))
            assert mine.equals(its), kind


@settings(max_examples=40)
@given(logs, st.randoms())
def test_partials_do_not_depend_on_the_order_of_documents(log: list[dict[str, Any]], random: Any) -> None:
    frames = documents(log)
    seed = random.randrange(2**32)
    shuffled = {n: frames[n].sample(fraction=1.0, shuffle=True, seed=seed) for n in reversed(frames)}
    assert_equal(derived(frames), derived(shuffled))


@settings(max_examples=40)
@given(logs)
def test_partials_of_segments_are_the_partials_of_each_segment(log: list[dict[str, Any]]) -> None:
    frames = documents(log)
    whole = derived(frames)
    for segment in {s for f in frames.values() for s in f["_segment"]}:
        alone = derived({n: f.filter(_segment=segment) for n, f in frames.items()})
        assert_equal({k: f.filter(segment=segment) for k, f in whole.items()}, alone)


@settings(max_examples=40)
@given(logs, st.integers(0, 25))
def test_documents_in_two_batches_get_the_same_partials(log: list[dict[str, Any]], cut: int) -> None:
    """From the source on: normalised, identified and stacked in two batches, derived as a whole."""

    def identified(batches: list[list[dict[str, Any]]]) -> dict[str, pl.DataFrame]:
        taken: dict[str, list[int]] = defaultdict(list)
        found: dict[str, list[pl.DataFrame]] = defaultdict(list)
        for batch in batches:
            frames = documents(batch)
            rows = pl.concat(
                [
                    f.select(
                        "_segment",
                        "_ts",
                        "_hash",
                        pl.lit(n).alias("name"),
                        pl.int_range(f.height).alias("row"),
                    )
                    for n, f in frames.items()
                ]
            )
            ids = []
            for (segment,), part in rows.partition_by("_segment", as_dict=True).items():
                given = assign_ids(part, np.array(taken[str(segment)], dtype=np.int64))
                taken[str(segment)] += given.to_list()
                ids.append(part.with_columns(given))
            every = pl.concat(ids)
            for name, frame in frames.items():
                mine = every.filter(name=name).sort("row")["_id"]
                found[name].append(frame.with_columns(mine))
        return {name: concat_documents(frames) for name, frames in found.items()}

    at_once = identified([log])
    in_two = identified([part for part in (log[:cut], log[cut:]) if part])
    assert_equal(derived(at_once), derived(in_two))


# profiles


@settings(max_examples=40)
@given(logs)
def test_profiles_of_segments_merge_to_the_profile_of_the_whole(log: list[dict[str, Any]]) -> None:
    frames = documents(log)
    fields = {name: dict.fromkeys(FIELDS, "string") | {"n": "int64", "test": "bool"} for name in frames}
    rows = {name: frame.height for name, frame in frames.items()}
    by_segment = profiles(frames)
    parts = [shaped(part, "profiles") for part in by_segment.partition_by("segment")]
    whole = shaped(
        profiles({n: f.with_columns(_segment=pl.lit("all")) for n, f in frames.items()}), "profiles"
    )
    merged = merge_profiles(parts, fields, rows)  # type: ignore[arg-type]
    assert merged == merge_profiles([whole], fields, rows)  # type: ignore[arg-type]
    for (name, field), profile in merged.items():
        values = [row[field] for row in log if row["type"] == name and row[field] not in (None, "NaN")]
        assert (profile.rows, profile.nulls) == (rows[name], rows[name] - len(values))
        assert profile.distinct == len(set(values))
        assert profile.exact
        if field != "test":
            assert dict(profile.top) == Counter(values)
            assert (profile.minimum, profile.maximum) == (min(values), max(values))
