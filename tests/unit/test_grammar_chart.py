"""The chart: what rules build, and the best way to cover a question with it."""

from __future__ import annotations

from workbench.plans.grammar.chart import Rule, covers, parse
from workbench.plans.grammar.senses import Item

PAIR = Rule("pair", ("a", "b"), lambda left, right: left + right, 0.5)
RUN = Rule("run", ("run", "a"), lambda left, right: left + right, 0.1)
ONE = Rule("run", ("a",), lambda value: value, 0.0)


def test_parts_that_stand_side_by_side_are_joined() -> None:
    items = [Item("a", "x", 0, 1, 1.0), Item("b", "y", 1, 2, 1.0), Item("b", "z", 2, 3, 1.0)]
    built = [it for it in parse(items, [PAIR], 3) if it.category == "pair"]
    assert [(it.value, it.i, it.j, it.score) for it in built] == [("xy", 0, 2, 2.5)]


def test_a_rule_feeds_itself() -> None:
    items = [Item("a", letter, n, n + 1, 1.0) for n, letter in enumerate("xyz")]
    values = {it.value for it in parse(items, [ONE, RUN], 3) if it.category == "run"}
    assert values == {"x", "y", "z", "xy", "yz", "xyz"}


def test_what_does_not_fit_is_not_built() -> None:
    items = [Item("a", "x", 0, 1, 1.0), Item("b", "y", 1, 2, 1.0)]
    refused = Rule("pair", ("a", "b"), lambda *_: None)
    assert all(it.category != "pair" for it in parse(items, [refused], 2))


def test_the_longer_constituent_covers_better() -> None:
    items = [Item("p", "left", 0, 1, 1.0), Item("p", "right", 1, 2, 1.0), Item("p", "both", 0, 2, 2.0)]
    best, second = covers(items, {"p": 0.0}, set(), 2, 2)
    assert [p.value for p in best.parts] == ["both"]
    assert [p.value for p in second.parts] == ["left", "right"]
    assert best.score > second.score


def test_a_word_without_meaning_is_named() -> None:
    (best,) = covers([Item("p", "known", 0, 1, 1.0)], {"p": 0.0}, {2}, 3, 1)
    assert best.unknown == (1,)
