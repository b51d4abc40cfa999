"""Frequent subsequences of many sequences of codes, found for all sequences at once."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Mined", "Sequences", "frequent"]


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
class Mined:
    """Patterns that enough sequences have.

    Attributes:
        patterns: Codes, in order; the most supported first, of equal ones the shorter and then the smaller.
        support: How many sequences have each.
        first: For each pattern the place of its first code in every sequence that has it.
        last: The place of its last code there: both of the earliest match.
        least: The support that a pattern had to have.
    """

    patterns: list[tuple[int, ...]]
    support: NDArray[np.int64]
    first: list[NDArray[np.int32]]
    last: list[NDArray[np.int32]]
    least: int


@dataclass(frozen=True)
class _Level:
    """Patterns of one length with where they match: a row for each pattern and sequence, by pattern.

    ``after`` is the place behind the last code of the earliest match, or -1 where the sequence ends there.
    """

    patterns: list[tuple[int, ...]]
    pattern: NDArray[np.int32]
    first: NDArray[np.int32]
    last: NDArray[np.int32]
    after: NDArray[np.int32]

    def support(self) -> NDArray[np.int64]:
        return np.bincount(self.pattern, minlength=len(self.patterns))

    def keep(self, wanted: NDArray[np.bool_]) -> _Level:
        """Return the level with only some of its patterns."""
        rows = wanted[self.pattern]
        numbers = (np.cumsum(wanted) - 1).astype(np.int32)
        return _Level(
            [pattern for pattern, kept in zip(self.patterns, wanted, strict=True) if kept],
            numbers[self.pattern[rows]],
            self.first[rows],
            self.last[rows],
            self.after[rows],
        )


def frequent(sequences: Sequences, least: int, longest: int, most: int) -> Mined:
    """Return the subsequences, with gaps, that at least ``least`` sequences have.

    Where there would be more than ``most``, ``least`` is raised to the number at which there are not.

    Args:
        sequences: The sequences.
        least: How many sequences have to have a pattern.
        longest: Codes of the longest pattern.
        most: How many patterns are returned at most.

    Source: Pei et al. 2001 (PrefixSpan), with the projections of all prefixes of a length as arrays;
    candidates as in Srikant and Agrawal 1996 (GSP).

    >>> codes = np.array([0, 1, 0, 1, 1, 0], np.int32)
    >>> found = frequent(Sequences(codes, np.array([0, 2, 4, 6]), 2), 2, 3, 100)
    >>> dict(zip(found.patterns, found.support.tolist()))
    {(0,): 3, (1,): 3, (0, 1): 2}
    """
    ends = np.zeros(len(sequences.codes) + 1, bool)
    ends[sequences.starts[1:]] = True  # the place behind a sequence's last is another one's first, or none
    starts = sequences.starts[:-1][np.diff(sequences.starts) > 0].astype(np.int32)
    following = {code: sequences.next_places(code) for code in range(sequences.kinds)}
    level = _Level([()], np.zeros(len(starts), np.int32), starts, starts, starts)
    best = _Best(most, least)
    found: list[_Level] = []
    for _ in range(longest):
        level = _extended(level, following, ends, best)
        found = [one.keep(one.support() >= best.least) for one in (*found, level)]
        level = found[-1]
        if not level.patterns:
            break
        following = {code: places for code, places in following.items() if (code,) in found[0].patterns}
    return _ordered(found, best.least)


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
    level: _Level, following: dict[int, NDArray[np.int32]], ends: NDArray[np.bool_], best: _Best
) -> _Level:
    """Return the patterns that are one code longer and that enough sequences have.

    Of a longer pattern the part without its first code has to be a pattern, too.
    """
    known = set(level.patterns)
    patterns: list[tuple[int, ...]] = []
    rows: list[tuple[NDArray[np.int32], ...]] = []
    open_ = level.after >= 0
    pattern, first, after = level.pattern[open_], level.first[open_], level.after[open_]
    bounds = np.searchsorted(pattern, np.arange(len(level.patterns) + 1))
    for number in np.argsort(-np.diff(bounds), kind="stable"):  # the best first: they say what is enough
        prefix, begin, end = level.patterns[number], int(bounds[number]), int(bounds[number + 1])
        if end - begin < best.least:
            break
        for code, places in following.items():
            if prefix and (*prefix[1:], code) not in known:
                continue
            place = places[after[begin:end]]
            there = place >= 0
            support = int(np.count_nonzero(there))
            if support < best.least:
                continue
            best.add(support)
            matched = place[there]
            begun = first[begin:end][there] if prefix else matched
            behind = np.where(ends[matched + 1], -1, matched + 1).astype(np.int32)
            rows.append((np.full(len(matched), len(patterns), np.int32), begun, matched, behind))
            patterns.append((*prefix, code))
    joined = [np.concatenate([row[i] for row in rows]) if rows else np.empty(0, np.int32) for i in range(4)]
    return _Level(patterns, *joined)


def _ordered(levels: list[_Level], least: int) -> Mined:
    patterns: list[tuple[int, ...]] = []
    first: list[NDArray[np.int32]] = []
    last: list[NDArray[np.int32]] = []
    for level in levels:
        cuts = np.cumsum(np.bincount(level.pattern, minlength=len(level.patterns)))[:-1]
        patterns += level.patterns
        first += np.split(level.first, cuts)
        last += np.split(level.last, cuts)
    order = sorted(range(len(patterns)), key=lambda i: (-len(first[i]), len(patterns[i]), patterns[i]))
    return Mined(
        [patterns[i] for i in order],
        np.array([len(first[i]) for i in order], np.int64),
        [first[i] for i in order],
        [last[i] for i in order],
        least,
    )
