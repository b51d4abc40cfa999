"""Whether what an actor turns to is of another sort than what it used to turn to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.analysis.signals._alike import tail_among_alike
from workbench.analysis.signals._several import Several
from workbench.analysis.signals.base import Finding, Scope, Signal
from workbench.analysis.tails import FEWEST
from workbench.partials.documents import DAY_US

if TYPE_CHECKING:
    import polars as pl

    from workbench.analysis.signals._pairs import Pairs

__all__ = ["Taste"]

_EVER = np.iinfo(np.int64).max
_SORTS = 20
_MOST_NEIGHBOURS = 1500
_FEWEST_NEIGHBOURS = 30
_FEWEST_SEEN = 4
_MANY = 0.05  # of the active actors must have that many neighbours
_LEAST_SPREAD = 0.2
_BULK = (0.02, 0.98)  # of the actors, as what lies beyond counts
_NEVER_ONE = 0.999
_STEADY = 0.5  # where the typical actor is less like itself, there is no taste to change


class Taste(Signal):
    """1 - cosine of the neighbours of the period and of the history, by the sorts that actors make of them.

    Neighbours that the same actors turn to are of one sort: the leading eigenvectors of how often two have
    an actor in common, popularity left out. To change between two of one sort is nothing. Compared is with
    actors that have about as many neighbours, of about as many sorts.
    """

    weight = 0.8

    def find(self, scope: Scope) -> Finding:
        """Return the tail probability of each actor's change of taste; none with few neighbours."""
        found = Several(scope, "taste")
        for end, edges in scope.met.items():
            shared = _Shared.of(scope, edges, scope.pairs[end])
            if shared is None:
                continue
            sorted_ = _Sorted.of(scope, shared)
            if sorted_ is None:
                continue
            # what changes slowly has changed within the history already: its first half tells
            for then in (sorted_.past, shared.met(before=scope.start + scope.history // 2 * DAY_US)):
                compared = sorted_.similarity(then)
                if compared is None:
                    continue
                actors, cosine, expected, number = compared
                found.add(
                    tail_among_alike(-np.arctanh(cosine), expected, _LEAST_SPREAD, number),
                    actors,
                    feature=f"sorts of {end.edge} neighbours",
                    source=end.edge,
                    value=cosine,
                    typical=np.tanh(expected),
                )
        return found.smallest("too few shared neighbours to tell sorts by")


@dataclass(frozen=True)
class _Shared:
    """Actors and those of their neighbours that several share, by actor and item.

    Attributes:
        actor: Of each pair.
        item: The number of each one's neighbour, the most shared first.
        pair: Of each edge of theirs.
        first: When each of these edges was seen first.
        size: How many actors and how many neighbours there are.
    """

    actor: np.ndarray
    item: np.ndarray
    pair: np.ndarray
    first: np.ndarray
    size: tuple[int, int]

    @classmethod
    def of(cls, scope: Scope, edges: pl.DataFrame, pairs: Pairs) -> _Shared | None:
        actors = np.bincount(pairs.neighbour)
        shared = np.flatnonzero(actors > 2)
        shared = shared[np.argsort(-actors[shared], kind="stable")][:_MOST_NEIGHBOURS]
        if len(shared) < _FEWEST_NEIGHBOURS:
            return None
        items = np.full(len(actors), -1, np.int32)
        items[shared] = np.arange(len(shared))
        item = items[pairs.neighbour]
        chosen = np.flatnonzero(item >= 0)
        chosen = chosen[np.argsort(pairs.actor[chosen] * np.int64(len(shared)) + item[chosen])]
        place = np.full(len(pairs), -1, np.int32)
        place[chosen] = np.arange(len(chosen))
        pair = np.repeat(place, np.diff(pairs.starts, append=len(pairs.rows)))
        first = edges["first"].to_numpy()[pairs.rows[pair >= 0]]
        return cls(pairs.actor[chosen], item[chosen], pair[pair >= 0], first, (len(scope), len(shared)))

    def met(self, since: int = -_EVER, before: int = _EVER) -> Any:
        """Return actors by neighbours: the root of the number of days on which they met in a range."""
        from scipy.sparse import csr_array  # noqa: PLC0415  (loaded when anomalies are)

        inside = (self.first >= since) & (self.first < before)
        days = np.bincount(self.pair[inside], minlength=len(self.actor))
        some = days > 0
        rows = np.searchsorted(self.actor[some], np.arange(self.size[0] + 1))
        return csr_array((np.sqrt(days[some].astype(np.float64)), self.item[some], rows), shape=self.size)


@dataclass(frozen=True)
class _Sorted:
    """What actors met in the past and meet now, and the place of each neighbour among the sorts."""

    past: Any
    now: Any
    sorts: np.ndarray
    fewest: float

    @classmethod
    def of(cls, scope: Scope, shared: _Shared) -> _Sorted | None:
        fewest = max(FEWEST, _MANY * (scope.matrix.events > 0).sum())
        past = shared.met(before=scope.since)
        if (np.diff(past.indptr) >= _FEWEST_SEEN).sum() < fewest:
            return None
        return cls(past, shared.met(scope.since), _sorts(past), fewest)

    def similarity(self, then: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
        """Return actors, the cosine of then and now, arctanh of the usual one, and the fewer neighbours.

        Nothing of few actors, and where the typical one is not like itself. Who has few neighbours, or some
        of all sorts, is less like itself than who has many of one sort.
        """
        both = (then, self.now)
        seen = np.stack([np.asarray(part.power(2).sum(1)).ravel() for part in both])
        actors = np.flatnonzero(seen.min(0) >= _FEWEST_SEEN)
        if len(actors) < self.fewest:
            return None
        sides = [part[actors] @ self.sorts for part in both]
        lengths = [np.maximum(np.linalg.norm(side, axis=1), 1e-9) for side in sides]
        cosine = np.clip((sides[0] * sides[1]).sum(1) / (lengths[0] * lengths[1]), -_NEVER_ONE, _NEVER_ONE)
        if np.median(cosine) < _STEADY:
            return None
        narrow = [
            length / np.asarray(part.sum(1)).ravel()[actors]
            for length, part in zip(lengths, both, strict=True)
        ]
        usual = _usual(np.arctanh(cosine), [*np.log(seen[:, actors]), *narrow])
        return actors, cosine, usual, seen[:, actors].min(0)


def _usual(figure: np.ndarray, known: list[np.ndarray]) -> np.ndarray:
    """Return what is usual of a figure by what is known: its regression, with all products of two."""
    pairs = [one * other for i, one in enumerate(known) for other in known[:i]]
    terms = np.column_stack([np.ones(len(figure)), *known, *pairs])
    bulk = np.clip(figure, *np.quantile(figure, _BULK))
    factors, *_ = np.linalg.lstsq(terms, bulk, rcond=None)
    found: np.ndarray = terms @ factors
    return found


def _sorts(past: Any) -> np.ndarray:
    """Return a unit vector for each neighbour: its place among the sorts."""
    from scipy.sparse import diags_array  # noqa: PLC0415  (loaded when anomalies are)
    from scipy.sparse.linalg import eigsh  # noqa: PLC0415

    length = np.sqrt(np.asarray(past.power(2).sum(1)).ravel())
    popular = np.sqrt(np.bincount(past.indices, minlength=past.shape[1]) + 1.0)
    scaled = diags_array(1 / np.maximum(length, 1e-9)) @ past @ diags_array(1 / popular)
    start = np.ones(len(popular))  # not a random one: the same every time
    values, vectors = eigsh(scaled.T @ scaled, k=_SORTS + 1, which="LA", v0=start)
    # the largest is popularity: everybody has it
    leading = vectors[:, np.argsort(values)[:-1]] / popular[:, None]
    found: np.ndarray = leading / np.maximum(np.linalg.norm(leading, axis=1, keepdims=True), 1e-9)
    return found
