"""From visits to their events.

What happens in a visit hangs on its random bits alone, so that any visits can be unfolded together or
apart. Events lie position by position: first the first event of every visit, then the second of those
that have one, and so on, the longest visit first; so the event before an event lies at the same place
of the block before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.samples.gaming.behaviour import ERROR, GAME, LOGIN, POPUP
from workbench.samples.gaming.population import SIZES
from workbench.samples.gaming.streams import LADDER
from workbench.samples.gaming.text import mixed
from workbench.samples.gaming.visits import DAY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.samples.gaming.world import World

__all__ = ["LONGEST_VISIT", "Events", "crossing", "unfold"]

LONGEST_VISIT = DAY // 4
"""A visit has no event after so many microseconds."""

_LONGEST_GAP = 28 * 60.0  # seconds
_STEP = np.uint64(0xD1B54A32D192ED03)
_LOW = np.uint64(LADDER - 1)
_STICKY = np.array([0, 90, 150, 20], dtype=np.uint8)  # of 256: the subject is that of the last such event
_EVERYBODYS, _OTHERS = 82, 30  # of 256 games: those that everybody plays, those of another community
_FAVOURITES = 150  # of 256 games within the community are one of the member's four


@dataclass(frozen=True)
class Events:
    """Events of all types, a struct of arrays, in no particular order.

    Attributes:
        ts: Microseconds after the midnight of the log's first day.
        visit: Place among the visits that were given.
        type: Place in TYPES.
        subject: What it is about.
        success: Of a login.
        action: What is done with a pop-up.
        latency: Milliseconds until a call failed.
        unknown: Whether nobody had logged in yet.
    """

    ts: NDArray[np.int64]
    visit: NDArray[np.int32]
    type: NDArray[np.int8]
    subject: NDArray[np.int16]
    success: NDArray[np.bool_]
    action: NDArray[np.int8]
    latency: NDArray[np.int32]
    unknown: NDArray[np.bool_]


@dataclass(frozen=True)
class _Layout:
    """Where the events of visits lie: ``size[k]`` visits have a ``k``-th event, the first at ``at[k]``."""

    order: NDArray[np.int64]
    size: list[int]
    at: list[int]
    rank: NDArray[np.int32]
    position: NDArray[np.int32]

    def blocks(self) -> Any:
        """Yield the slice of each position's events and how many there are."""
        for at, size in zip(self.at, self.size, strict=True):
            yield slice(at, at + size), size


def unfold(world: World, visits: NDArray[Any]) -> Events:
    """Return the events of visits."""
    layout = _layout(visits["n"])
    chosen = visits[layout.order]
    bits = _bits(chosen, layout)
    ts = _times(world, chosen, layout, bits)
    kind, before, opening = _types(world, chosen, layout, bits)
    subject, fixed = _subjects(world, chosen, layout, bits, kind, before)
    _plant(world, chosen, layout, kind, subject, fixed)
    _stick(layout, bits, kind, subject, fixed)
    logged_in = (chosen["unknown"] + chosen["failed"])[layout.rank]
    draw = (bits * _STEP) >> np.uint64(52)
    return Events(
        ts=ts,
        visit=layout.order.astype(np.int32)[layout.rank],
        type=kind,
        subject=subject,
        success=layout.position >= logged_in,
        action=world.tables.actions[
            draw.astype(np.int32) + chosen["clicks"].astype(np.int32)[layout.rank] * LADDER
        ],
        latency=world.tables.latency[draw.astype(np.int32)],
        unknown=opening,
    )


def crossing(world: World, visits: NDArray[Any], midnight: int) -> NDArray[Any]:
    """Return those of the visits that have an event at ``midnight`` or later."""
    late = visits[visits["start"] >= midnight - LONGEST_VISIT]
    if not len(late):
        return late
    layout = _layout(late["n"])
    chosen = late[layout.order]
    ts = _times(world, chosen, layout, _bits(chosen, layout))
    over = np.zeros(len(late), dtype=bool)
    over[layout.order[layout.rank[ts >= midnight]]] = True
    return late[over]


def _layout(lengths: NDArray[np.int32]) -> _Layout:
    order = np.argsort(-lengths, kind="stable")
    falling = lengths[order]
    longest = int(falling[0]) if len(falling) else 0
    size = len(falling) - np.searchsorted(falling[::-1], np.arange(longest), side="right")
    at = np.cumsum(size) - size
    total = int(size.sum())
    position = np.repeat(np.arange(longest, dtype=np.int32), size)
    rank = np.arange(total, dtype=np.int32) - np.repeat(at.astype(np.int32), size)
    return _Layout(order, size.tolist(), at.tolist(), rank, position)


def _bits(visits: NDArray[Any], layout: _Layout) -> NDArray[np.uint64]:
    """Return 64 random bits for each event."""
    return mixed(visits["key"][layout.rank] + layout.position.astype(np.uint64) * _STEP)


def _code(bits: NDArray[np.uint64], shift: int, row: NDArray[Any] | int = 0) -> NDArray[Any]:
    """Return where in a flat table 12 of the bits are in a row of it."""
    return ((bits >> np.uint64(shift)) & _LOW).astype(np.int32) + row * np.int32(LADDER)


def _times(
    world: World, visits: NDArray[Any], layout: _Layout, bits: NDArray[np.uint64]
) -> NDArray[np.int64]:
    gap = world.tables.gaps[_code(bits, 0, visits["gaps"].astype(np.int32)[layout.rank])]
    gap *= np.ascontiguousarray(visits["pace"])[layout.rank]
    np.clip(gap, 0.2, _LONGEST_GAP, out=gap)
    ts: NDArray[np.int64] = (gap * np.float32(1e6)).astype(np.int64)
    before = visits["start"].astype(np.int64)
    for place, (block, size) in enumerate(layout.blocks()):
        if place:
            before[:size] += ts[block]
        ts[block] = before[:size]
    return ts


def _types(
    world: World, visits: NDArray[Any], layout: _Layout, bits: NDArray[np.uint64]
) -> tuple[NDArray[np.int8], NDArray[np.int8], NDArray[np.bool_]]:
    """Return the events' types, those of the events before, and which events nobody had logged in for."""
    unknown = visits["unknown"].astype(np.int32)
    opened = unknown + visits["failed"] + visits["login"]
    row = visits["profile"].astype(np.int32) * (4 * LADDER)
    place = _code(bits, 12)
    kind = np.empty(len(bits), dtype=np.int8)
    before = np.empty(len(bits), dtype=np.int8)
    last = np.zeros(len(visits), dtype=np.int32)
    longest_opening = int(opened.max(initial=0))
    for position, (block, size) in enumerate(layout.blocks()):
        before[block] = last[:size]
        new = world.tables.follows[row[:size] + last[:size] * LADDER + place[block]]
        if position < longest_opening:
            new[position < opened[:size]] = LOGIN
            new[position < unknown[:size]] = ERROR
        kind[block] = new
        last[:size] = new
    return kind, before, layout.position < unknown[layout.rank]


def _subjects(  # noqa: PLR0913, PLR0917  (the draft of a day, array by array)
    world: World,
    visits: NDArray[Any],
    layout: _Layout,
    bits: NDArray[np.uint64],
    kind: NDArray[np.int8],
    before: NDArray[np.int8],
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Return what each event is about, and which ones something has decided already."""
    subject = np.empty(len(bits), dtype=np.int16)
    fixed = np.zeros(len(bits), dtype=bool)
    at = np.flatnonzero(kind == LOGIN)
    subject[at] = world.members.login_method[visits["member"][layout.rank[at]]]
    at = np.flatnonzero(kind == ERROR)
    subject[at] = world.tables.errors[_code(bits[at], 24, before[at].astype(np.int32))]
    _focus(visits, layout, bits, at, "error", subject, fixed)
    at = np.flatnonzero(kind == POPUP)
    subject[at] = world.tables.popups[_code(bits[at], 24)]
    _focus(visits, layout, bits, at, "popup", subject, fixed)
    at = np.flatnonzero(kind == GAME)
    subject[at] = _games(world, visits, layout.rank[at], bits[at])
    _focus(visits, layout, bits, at, "game", subject, fixed)
    return subject, fixed


def _focus(  # noqa: PLR0913, PLR0917  (the draft of a day, array by array)
    visits: NDArray[Any],
    layout: _Layout,
    bits: NDArray[np.uint64],
    at: NDArray[np.int64],
    name: str,
    subject: NDArray[np.int16],
    fixed: NDArray[np.bool_],
) -> None:
    """Give a share of the events the subject that the visit insists on."""
    insists = visits[name] >= 0
    if not insists.any():
        return
    at = at[insists[layout.rank[at]]]
    rank = layout.rank[at]
    hit = _byte(bits[at], 48) < visits[name + "_share"][rank]
    at, rank = at[hit], rank[hit]
    subject[at] = visits[name][rank]
    fixed[at] = True


def _byte(bits: NDArray[np.uint64], shift: int) -> NDArray[np.uint8]:
    return (bits >> np.uint64(shift)).astype(np.uint8)


def _games(
    world: World, visits: NDArray[Any], rank: NDArray[np.int32], bits: NDArray[np.uint64]
) -> NDArray[np.int16]:
    """Return games: everybody's, one of the community's (often one of the member's own), or others'."""
    communities = np.int32(SIZES["communities"])
    community = visits["community"].astype(np.int32)[rank]
    which = _byte(bits, 36)
    draw = _code(bits, 24)
    liked = (_byte(bits, 44) < _FAVOURITES) & (which >= _EVERYBODYS + _OTHERS)
    slot = (bits >> np.uint64(60)) & np.uint64(3)
    taste = (np.ascontiguousarray(visits["taste"])[rank] >> (slot * np.uint64(12))) & _LOW
    draw = np.where(liked, taste.astype(np.int32), draw)
    others = (which >= _EVERYBODYS) & (which < _EVERYBODYS + _OTHERS)
    community = np.where(others, _byte(bits, 52).astype(np.int32) % communities, community)
    community = np.where(which < _EVERYBODYS, communities, community)
    return world.tables.games[draw + community * LADDER]


def _plant(  # noqa: PLR0913, PLR0917  (the draft of a day, array by array)
    world: World,
    visits: NDArray[Any],
    layout: _Layout,
    kind: NDArray[np.int8],
    subject: NDArray[np.int16],
    fixed: NDArray[np.bool_],
) -> None:
    """Put the sequences into the visits that have one, right after the opening."""
    rank = np.flatnonzero(visits["sequence"] >= 0)
    sequence = visits["sequence"][rank].astype(np.int64)
    opened = (visits["unknown"].astype(np.int64) + visits["failed"] + visits["login"])[rank]
    at = np.array(layout.at, dtype=np.int64)
    for step in range(world.tables.steps.shape[1]):
        has = world.tables.steps[sequence, step] >= 0
        place = at[(opened + step)[has]] + rank[has]
        kind[place] = world.tables.steps[sequence[has], step]
        subject[place] = world.tables.subjects[sequence[has], step]
        fixed[place] = True


def _stick(
    layout: _Layout,
    bits: NDArray[np.uint64],
    kind: NDArray[np.int8],
    subject: NDArray[np.int16],
    fixed: NDArray[np.bool_],
) -> None:
    """Let some events be about what the last event of their type in the visit was about."""
    visits = layout.size[0] if layout.size else 0
    sticks = (_byte(bits, 56) < _STICKY[kind]) & ~fixed
    last = np.full(4 * visits, -1, dtype=np.int16)
    everyone = np.arange(visits)
    for block, size in layout.blocks():
        place = kind[block].astype(np.int64) * visits + everyone[:size]
        known = last[place]
        new = np.where(sticks[block] & (known >= 0), known, subject[block])
        subject[block] = new
        last[place] = new
