"""A chart parser over typed constituents, and the best ways to cover a question with them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from workbench.plans.grammar.senses import Item, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["Cover", "Rule", "covers", "parse"]

_KEPT = 6  # readings of one category for one run of tokens
_RULE_BONUS = 0.15
_PART_COST = 0.3
_FILLER = 0.25
_UNKNOWN = -4.0


@dataclass(frozen=True)
class Rule:
    """A category from others: ``build`` makes its value of theirs, or None where types do not fit."""

    category: str
    parts: tuple[str, ...]
    build: Callable[..., Any]
    bonus: float = _RULE_BONUS


@dataclass(frozen=True)
class Cover:
    """Parts that cover a question, how well, and which tokens mean nothing."""

    parts: tuple[Part, ...]
    unknown: tuple[int, ...]
    score: float


def parse(items: Iterable[Item], rules: Sequence[Rule], length: int) -> list[Item]:
    """Return all constituents that the rules build over the items, the items included.

    Bottom up by end position: a constituent is joined with those that end where it begins, so that each rule
    is tried once for each way in which its parts stand side by side.
    """
    by_last: Mapping[str, list[Rule]] = _indexed(rules)
    ending: list[dict[str, list[Item]]] = [defaultdict(list) for _ in range(length + 1)]
    waiting: list[list[Item]] = [[] for _ in range(length + 1)]
    for item in items:
        waiting[item.j].append(item)
    found = []
    for end in range(length + 1):
        agenda = sorted(waiting[end], key=lambda it: (it.j - it.i, it.score))
        while agenda:
            item = agenda.pop(0)
            if not _admit(ending[end][item.category], item):
                continue
            found.append(item)
            for rule in by_last.get(item.category, ()):
                for before in _sequences(rule.parts[:-1], item.i, ending):
                    value = rule.build(*(b.value for b in before), item.value)
                    if value is not None:
                        score = sum(b.score for b in before) + item.score + rule.bonus
                        start = before[0].i if before else item.i
                        agenda.append(Item(rule.category, value, start, end, score))
    return found


def _indexed(rules: Sequence[Rule]) -> dict[str, list[Rule]]:
    found: dict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        found[rule.parts[-1]].append(rule)
    return found


def _admit(known: list[Item], item: Item) -> bool:
    """Keep an item among those of its category and end if it is new, or better than what is there."""
    same = [k for k in known if k.i == item.i]
    for k in same:
        if k.value == item.value:
            if k.score >= item.score:
                return False
            known.remove(k)
            known.append(item)
            return True
    if len(same) >= _KEPT:
        worst = min(same, key=lambda k: k.score)
        if worst.score >= item.score:
            return False
        known.remove(worst)
    known.append(item)
    return True


def _sequences(
    parts: tuple[str, ...], end: int, ending: Sequence[Mapping[str, list[Item]]]
) -> Iterable[tuple[Item, ...]]:
    if not parts:
        yield ()
        return
    for last in list(ending[end].get(parts[-1], ())):
        for before in _sequences(parts[:-1], last.i, ending):
            yield (*before, last)


def covers(
    items: Sequence[Item], kinds: Mapping[str, float], fillers: set[int], length: int, most: int
) -> list[Cover]:
    """Return the ``most`` best ways to cover all tokens with constituents of the given kinds, best first.

    Args:
        items: The constituents.
        kinds: Categories that may stand on their own, each with what it adds to the score.
        fillers: Tokens that may be left out.
        length: How many tokens there are.
        most: How many ways to return.
    """
    starting: dict[int, list[Item]] = defaultdict(list)
    for item in items:
        if item.category in kinds:
            starting[item.j].append(item)
    best: list[list[Cover]] = [[] for _ in range(length + 1)]
    best[0] = [Cover((), (), 0.0)]
    for end in range(1, length + 1):
        found: list[Cover] = []
        place = end - 1
        for before in best[end - 1]:
            if place in fillers:
                found.append(Cover(before.parts, before.unknown, before.score + _FILLER))
            else:
                found.append(Cover(before.parts, (*before.unknown, place), before.score + _UNKNOWN))
        for item in starting[end]:
            gain = item.score + kinds[item.category] - _PART_COST
            part = Part(item.category, item.value, item.i, item.j, item.score)
            found.extend(Cover((*b.parts, part), b.unknown, b.score + gain) for b in best[item.i])
        seen: set[tuple[Any, ...]] = set()
        best[end] = []
        for cover in nlargest(4 * most, found, key=lambda c: c.score):
            key = tuple((p.kind, p.value) for p in cover.parts)
            if key not in seen:
                seen.add(key)
                best[end].append(cover)
            if len(best[end]) == most:
                break
    return best[length]
