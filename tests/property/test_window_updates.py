"""Days added to a window and taken out of it, against the merge of what is left from scratch."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.graph import merge_window, sums
from workbench.graph.stack import sum_of
from workbench.graph.subtract import Day, MismatchError, minus
from workbench.graph.sums import plus
from workbench.graph.window import complete, sum_within
from workbench.partials.shapes import EDGES, ENTITIES, PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.graph.sums import Sum

DAY = 86_400_000_000
SHAPES = {"entities": ENTITIES, "edges": EDGES, "properties": PROPERTIES}

Entity = tuple[str, str]
Edge = tuple[Entity, Entity, str, int, bool, int]
Fact = tuple[Entity, str, str, int]
Content = tuple[list[Edge], list[Fact]]
Parts = dict[int, dict[str, pa.Table]]
# what happens: partials of days come, or come again, and others leave
Step = dict[int, Content | None]

entity = st.tuples(st.sampled_from(["a", "b", "hub"]), st.sampled_from(["0", "1", "2", "é /"]))
edge = st.tuples(
    entity, entity, st.sampled_from(["E", "F"]), st.integers(1, 4), st.booleans(), st.integers(0, 3)
)
fact = st.tuples(entity, st.sampled_from(["p", "q"]), st.sampled_from(["x", "y", "z"]), st.integers(0, 3))
content = st.tuples(st.lists(edge, max_size=9), st.lists(fact, max_size=6))
step = st.dictionaries(st.integers(1, 5), st.one_of(content, st.none()), min_size=1, max_size=3)


def tables(day: int, content: Content) -> dict[str, pa.Table]:
    """Partials of a day (0: a reference table); ends of an edge are seen when and as often as it is."""
    edges, facts = content
    seen: dict[tuple[str, str, bool], list[int]] = defaultdict(list)
    joined: dict[tuple[str, tuple[str, str, bool], tuple[str, str, bool]], list[int]] = defaultdict(list)
    for source, target, kind, weight, test, hour in edges:
        for end in (source, target):
            seen[*end, test and day > 0] += [hour] * weight
        joined[kind, (*source, test and day > 0), (*target, test and day > 0)] += [hour] * weight
    for owner, _, _, hour in facts:
        seen[*owner, False].append(hour)
    nodes = sorted(seen)
    place = {node: row for row, node in enumerate(nodes)}
    values = defaultdict(list)
    for owner, name, value, hour in facts:
        values[place[*owner, False], name, value].append(hour)
    rows: dict[str, list[tuple[object, ...]]] = {
        "entities": [(*node, *counted(day, seen[node], 0)) for node in nodes],
        "edges": sorted(
            (kind, place[source], place[target], *counted(day, hours, 1))
            for (kind, source, target), hours in joined.items()
        ),
        "properties": [(*key, *counted(day, hours, 0)[::2]) for key, hours in sorted(values.items())],
    }
    return {
        kind: pa.Table.from_pylist([dict(zip(shape.names, row, strict=True)) for row in rows[kind]], shape)
        for kind, shape in SHAPES.items()
    }


def counted(day: int, hours: list[int], reference: int) -> tuple[int, int | None, int | None]:
    """Return count, first and last moment."""
    if not day:
        return reference, None, None
    return len(hours), day * DAY + min(hours), day * DAY + max(hours)


def name_of(day: int) -> str:
    return f"2013-01-{day:02d}" if day else ""


def follow(events: Sum, parts: Parts, found: Step) -> Sum:
    """Change a sum, and the parts that it is of, by one step."""
    removed = {day: parts.pop(day) for day in found if day in parts}
    added = {day: tables(day, new) for day, new in found.items() if new is not None}
    parts |= added
    events = plus(events, sum_of((name_of(day), part) for day, part in added.items()))
    if not removed:
        return events

    def days(backwards: bool) -> Iterator[Day]:
        for day in sorted(parts, reverse=backwards):
            if day <= max(removed) if backwards else day >= min(removed):
                part = parts[day]
                pair = part["entities"], part["edges"]
                yield Day.of(name_of(day), pair, lambda: part["properties"], backwards=backwards)  # noqa: B023

    gone = sum_of((name_of(day), part) for day, part in removed.items())
    return minus(events, gone, days, {name_of(day) for day in removed if day not in added})


@settings(max_examples=40)
@given(
    steps=st.lists(step, min_size=1, max_size=6),
    reference=st.one_of(st.none(), content),
    block=st.sampled_from([2, 1_000]),
)
def test_adding_and_taking_out_days_equals_a_merge_from_scratch(
    steps: list[Step], reference: Content | None, block: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sums, "_BLOCK", block)
        equals_a_merge(steps, reference)


def equals_a_merge(steps: list[Step], reference: Content | None) -> None:
    parts: Parts = {}
    references = [] if reference is None else [tables(0, reference)]
    events = sum_of([])
    for found in steps:
        events = follow(events, parts, found)
        live = [(name_of(day), part) for day, part in parts.items()]
        whole = complete(events, references)
        expected = merge_window([*live, *(("", part) for part in references)])
        assert whole.edges.to_pylist() == expected.edges.to_pylist()
        assert whole.equals(expected)
        assert whole.segments == expected.segments
        # what a window alone tells of its sum is enough to go on from
        events = sum_within(whole, events.names, events.values, events.places)


@settings(max_examples=40)
@given(first=content, second=content)
def test_what_was_never_added_cannot_be_taken_out(first: Content, second: Content) -> None:
    one, other = sum_of([("a", tables(1, first))]), sum_of([("b", tables(2, second))])
    keys = {(t, k) for t, k in zip(one.type.tolist(), one.key, strict=True)}
    names = {(one.types[t], k) for t, k in keys}
    if {(other.types[t], k) for t, k in zip(other.type.tolist(), other.key, strict=True)} <= names:
        return
    with pytest.raises(MismatchError):
        minus(one, other, lambda _: iter(()))
