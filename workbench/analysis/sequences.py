"""Frequent subsequences of many sequences of codes, found for all sequences at once."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["Mined", "Pattern", "Sequences", "frequent"]


@dataclass(frozen=True)
class Sequences:
    """Sequences one after the other.

    Attributes:
        codes: The code at each place, from 0 on.
        starts: Where each sequence starts, and at last the number of places.
        kinds: How many codes there are.
    """

    codes: NDArray[np.int32]
    starts: NDArray[np.int64]
    kinds: int

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.starts) - 1

    def support(self) -> NDArray[np.int64]:
        """Return how many sequences have each code.

        >>> Sequences(np.array([0, 0, 1, 0], np.int32), np.array([0, 3, 4]), 3).support().tolist()
        [2, 1, 0]
        """
        pairs = np.repeat(np.arange(len(self)), np.diff(self.starts)) * self.kinds + self.codes
        pairs.sort()
        return np.bincount(pairs[np.diff(pairs, prepend=-1) > 0] % self.kinds, minlength=self.kinds)

    def next_places(self, code: int) -> NDArray[np.int32]:
        """Return for each place the first place from it on, in its sequence, with ``code``; -1: none.

        There is one more place behind the last, where nothing follows.
        """
        total = len(self.codes)
        places = np.where(self.codes == code, np.arange(total, dtype=np.int64), total)
        following = np.minimum.accumulate(places[::-1])[::-1]
        ends = np.repeat(self.starts[1:], np.diff(self.starts))
        return np.append(np.where(following < ends, following, -1), -1).astype(np.int32)


@dataclass(frozen=True)
class Pattern:
    """Codes, in order, that enough sequences have.

    Attributes:
        codes: The codes.
        support: How many sequences have them.
        told: What was told of its earliest matches.
    """

    codes: tuple[int, ...]
    support: int
    told: float


@dataclass(frozen=True)
class Mined:
    """What enough sequences have.

    Attributes:
        patterns: The most supported first, of equal ones the shorter and then the smaller.
        least: The support that a pattern had to have.
    """

    patterns: list[Pattern]
    least: int


@dataclass(frozen=True)
class _Level:
    """Patterns of one length with the sequences that go on: a row for each pattern and sequence, by pattern.

    ``first`` is the place of the first code of the earliest match, ``after`` the place behind its last one.
    """

    patterns: list[tuple[int, ...]]
    bounds: NDArray[np.int64]
    first: NDArray[np.int32]
    after: NDArray[np.int32]


def frequent(
    sequences: Sequences,
    least: int,
    longest: int,
    most: int,
    tell: Callable[[NDArray[np.int32], NDArray[np.int32]], float],
) -> Mined:
    """Return the subsequences, with gaps, that at least ``least`` sequences have.

    Where there would be more than ``most``, ``least`` is raised to the number at which there are not.

    Args:
        sequences: The sequences.
        least: How many sequences have to have a pattern.
        longest: Codes of the longest pattern.
        most: How many patterns are returned at most.
        tell: Returns a figure of a pattern's earliest matches, of which it gets the places of the first and
            of the last code: to keep these of all patterns would take more memory than all else.

    Source: Pei et al. 2001 (PrefixSpan), with the projections of all prefixes of a length as arrays;
    candidates as in Srikant and Agrawal 1996 (GSP).

    >>> codes = np.array([0, 1, 0, 1, 1, 0], np.int32)
    >>> sequences = Sequences(codes, np.array([0, 2, 4, 6]), 2)
    >>> found = frequent(sequences, 2, 3, 100, lambda first, last: float(np.mean(last - first)))
    >>> [(one.codes, one.support, one.told) for one in found.patterns]
    [((0,), 3, 0.0), ((1,), 3, 0.0), ((0, 1), 2, 1.0)]
    """
    ends = np.zeros(len(sequences.codes) + 1, bool)
    ends[sequences.starts[1:]] = True  # the place behind a sequence's last is another one's first, or none
    starts = sequences.starts[:-1][np.diff(sequences.starts) > 0].astype(np.int32)
    # of all codes there would be as many arrays, each as long as the sequences
    often = np.flatnonzero(sequences.support() >= least).tolist()
    following = {code: sequences.next_places(code) for code in often}
    level = _Level([()], np.array([0, len(starts)]), starts, starts)
    best = _Best(most, least)
    found: list[Pattern] = []
    for _ in range(longest):
        level, longer = _extended(level, following, ends, best, tell)
        found = [one for one in (*found, *longer) if one.support >= best.least]
        if not longer:
            break
        alone = {one.codes[0] for one in found if len(one.codes) == 1}
        following = {code: places for code, places in following.items() if code in alone}
    found.sort(key=lambda one: (-one.support, len(one.codes), one.codes))
    return Mined(found, best.least)


@dataclass
class _Best:
    """The supports of the best patterns so far, and what a pattern must have to be among them."""

    most: int
    least: int
    supports: list[int] = field(default_factory=list)

    def add(self, support: int) -> None:
        heapq.heappush(self.supports, support)
        if len(self.supports) > self.most:
            self.least = max(self.least, heapq.heappop(self.supports) + 1)


def _extended(
    level: _Level,
    following: dict[int, NDArray[np.int32]],
    ends: NDArray[np.bool_],
    best: _Best,
    tell: Callable[[NDArray[np.int32], NDArray[np.int32]], float],
) -> tuple[_Level, list[Pattern]]:
    """Return the patterns that are one code longer and that enough sequences have.

    Of a longer pattern the part without its first code has to be a pattern, too.
    """
    known = set(level.patterns)
    rows: dict[tuple[int, ...], tuple[NDArray[np.int32], NDArray[np.int32]]] = {}
    for number in np.argsort(
        -np.diff(level.bounds), kind="stable"
    ):  # the best first: they say what is enough
        prefix, part = level.patterns[number], slice(*level.bounds[number : number + 2])
        after, first = level.after[part], level.first[part]
        if len(after) < best.least:
            break
        for code, places in following.items():
            if prefix and (*prefix[1:], code) not in known:
                continue
            place = places[after]
            there = place >= 0
            support = int(np.count_nonzero(there))
            if support < best.least:
                continue
            best.add(support)
            last = place[there]
            rows[*prefix, code] = (first[there] if prefix else last), last
    kept = {codes: row for codes, row in rows.items() if len(row[1]) >= best.least}
    rows.clear()
    found = [Pattern(codes, len(last), tell(first, last)) for codes, (first, last) in kept.items()]
    goes_on = [~ends[last + 1] for _, last in kept.values()]
    bounds = np.cumsum([0, *(int(np.count_nonzero(one)) for one in goes_on)])
    firsts, afters = np.empty(bounds[-1], np.int32), np.empty(bounds[-1], np.int32)
    for (first, last), one, begin, end in zip(kept.values(), goes_on, bounds[:-1], bounds[1:], strict=True):
        firsts[begin:end] = first[one]
        afters[begin:end] = last[one] + 1
    return _Level(list(kept), bounds, firsts, afters), found
