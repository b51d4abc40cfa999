"""The merge of partials into the window graph, with values worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from workbench.errors import UsageError
from workbench.graph import merge_window
from workbench.graph.sums import require_packable
from workbench.graph.window import WINDOW_EDGES, WINDOW_ENTITIES, WINDOW_PROPERTIES
from workbench.partials.shapes import EDGES, ENTITIES, PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.graph import Window


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2013, 1, day, tzinfo=UTC) + timedelta(hours=hour)


def part(
    day: int,
    entities: Sequence[tuple[str, str, int, bool]],
    edges: Sequence[tuple[str, int, int, int]] = (),
    properties: Sequence[tuple[int, str, str, int]] = (),
) -> tuple[str, dict[str, pa.Table]]:
    """A segment's partials; day 0 is a reference table.

    ``entities``: (type, key, sightings, is_test); ``edges``: (type, source row, target row, weight);
    ``properties``: (row, name, value, hour).
    """
    seen = (at(day), at(day, 5)) if day else (None, None)
    columns: dict[str, tuple[pa.Schema, list[tuple[Any, ...]]]] = {
        "entities": (ENTITIES, [(*row[:2], row[3], row[2], *seen) for row in entities]),
        "edges": (EDGES, [(*row, *seen) for row in edges]),
        "properties": (
            PROPERTIES,
            [(*row[:3], 1 if day else 0, at(day, row[3]) if day else None) for row in properties],
        ),
    }
    tables = {
        kind: pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)
        for kind, (schema, rows) in columns.items()
    }
    return (f"2013-01-{day:02d}" if day else ""), tables


def rows(table: pa.Table, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in table.to_pylist()]


def named_edges(window: Window) -> list[tuple[str, str, str, int]]:
    keys = window.entities["key"].to_pylist()
    return [(keys[r["source"]], keys[r["target"]], r["type"], r["weight"]) for r in window.edges.to_pylist()]


def test_sums_over_segments_and_keeps_the_outer_times() -> None:
    first = part(
        1,
        [("member", "a", 2, False), ("object", "x", 2, False)],
        [("Used", 0, 1, 2)],
        [(0, "tier", "low", 1)],
    )
    second = part(
        3,
        [("member", "a", 1, False), ("member", "b", 4, False), ("object", "x", 5, False)],
        [("Used", 0, 2, 1), ("Used", 1, 2, 4)],
        [(0, "tier", "high", 2)],
    )
    window = merge_window([second, first])

    assert rows(window.entities, "type", "key", "sightings", "segments", "first_seen", "last_seen") == [
        ("member", "a", 3, 2, at(1), at(3, 5)),
        ("member", "b", 4, 1, at(3), at(3, 5)),
        ("object", "x", 7, 2, at(1), at(3, 5)),
    ]
    assert rows(window.edges, "source", "target", "type", "weight", "first_seen", "last_seen") == [
        (0, 2, "Used", 3, at(1), at(3, 5)),
        (1, 2, "Used", 4, at(3), at(3, 5)),
    ]
    assert rows(window.properties, "node", "name", "value", "at", "values") == [
        (0, "tier", "high", at(3, 2), 2)
    ]
    assert window.segments == ("2013-01-01", "2013-01-03")


def test_the_latest_value_wins_and_the_largest_among_equally_late_ones() -> None:
    window = merge_window(
        [
            part(1, [("m", "a", 1, False)], (), [(0, "p", "z", 1), (0, "q", "b", 3), (0, "q", "a", 3)]),
            part(2, [("m", "a", 1, False)], (), [(0, "p", "y", 1)]),
        ]
    )
    assert rows(window.properties, "name", "value", "values") == [("p", "y", 2), ("q", "b", 2)]


def test_test_accounts_are_left_out_by_default() -> None:
    parts = [
        part(
            1,
            [("m", "a", 1, False), ("m", "t", 1, True), ("o", "x", 1, False), ("o", "x", 1, True)],
            [("Used", 0, 2, 1), ("Used", 1, 3, 7)],
            [(1, "p", "v", 1)],
        )
    ]
    real, everything = merge_window(parts), merge_window(parts, include_test=True)

    assert rows(real.entities, "key", "sightings", "segments") == [("a", 1, 1), ("x", 1, 1)]
    assert named_edges(real) == [("a", "x", "Used", 1)]
    assert real.properties.num_rows == 0
    assert rows(everything.entities, "key", "sightings", "segments") == [
        ("a", 1, 1),
        ("t", 1, 1),
        ("x", 2, 1),
    ]
    assert named_edges(everything) == [("a", "x", "Used", 1), ("t", "x", "Used", 7)]
    assert rows(everything.properties, "node", "value") == [(1, "v")]


def test_reference_tables_tell_about_what_is_seen_and_bring_in_only_far_ends() -> None:
    reference = part(
        0,
        [
            ("aircraft", "N1", 0, False),
            ("aircraft", "N2", 0, False),
            ("manufacturer", "ACME", 0, False),
            ("manufacturer", "NOBODY", 0, False),
            ("country", "US", 0, False),
        ],
        [("BuiltBy", 0, 2, 1), ("BuiltBy", 1, 3, 1), ("BuiltBy", 1, 2, 1), ("LiesIn", 2, 4, 1)],
        [(0, "year", "1999", 0), (0, "seats", "100", 0), (1, "year", "2001", 0), (2, "name", "Acme", 0)],
    )
    events = part(2, [("aircraft", "N1", 3, False)], (), [(0, "seats", "90", 1)])
    window = merge_window([reference, events])

    assert rows(window.entities, "key", "sightings", "segments", "first_seen") == [
        ("N1", 3, 1, at(2)),
        ("ACME", 0, 0, None),
    ]
    assert named_edges(window) == [("N1", "ACME", "BuiltBy", 1)]
    assert rows(window.properties, "node", "name", "value", "at", "values") == [
        (0, "seats", "90", at(2, 1), 2),
        (0, "year", "1999", None, 1),
        (1, "name", "Acme", None, 1),
    ]


def test_an_edge_that_events_show_weighs_its_events_alone() -> None:
    ends = [("a", "1", 1, False), ("b", "1", 1, False)]
    reference = part(0, [("a", "1", 0, False), ("b", "1", 0, False)], [("R", 0, 1, 1)])
    window = merge_window(
        [reference, part(1, ends, [("R", 0, 1, 4)]), part(2, ends, [("R", 0, 1, 2)]), reference]
    )
    assert rows(window.edges, "weight", "first_seen") == [(6, at(1))]


def test_parts_of_one_segment_count_as_one_segment() -> None:
    window = merge_window([part(1, [("a", "1", 1, False)]), part(1, [("a", "1", 2, False)])])
    assert rows(window.entities, "sightings", "segments") == [(3, 1)]


@pytest.mark.parametrize(
    "parts",
    [[], [part(1, [])], [part(0, [("a", "1", 0, False)], (), [(0, "p", "v", 0)])]],
    ids=["no part", "an empty part", "a reference table alone"],
)
def test_nothing_seen_gives_an_empty_window_with_the_right_schema(
    parts: list[tuple[str, dict[str, pa.Table]]],
) -> None:
    window = merge_window(parts)
    assert window.entities.equals(WINDOW_ENTITIES.empty_table())
    assert window.edges.equals(WINDOW_EDGES.empty_table())
    assert window.properties.equals(WINDOW_PROPERTIES.empty_table())


def test_a_window_whose_pairs_no_integer_can_number_is_refused() -> None:
    with pytest.raises(UsageError, match="2,147,483,647 entities"):
        require_packable(2**31 - 1, 3)
