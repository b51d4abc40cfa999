"""What a series is expected to be at each moment, and how far from it counts as far."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.analysis.series import SeriesSet

__all__ = ["LEAST_WEEKS", "Baseline", "baseline_of", "classic", "seasonal", "stabilised"]

_MAD = 1.4826  # median absolute deviation to standard deviation, of normal values
LEAST_WEEKS = 4
_LEAST = 3
_CLASSIC_HOURS = 168
# Nine days in ten are taken for usual ones. With fewer than two weeks neither a tail nor a weekend can be
# told from a fault: nothing is critical then.
_USUAL = 0.9
_LEAST_DAYS = 14
_UNPROVEN = 3.9
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Baseline:
    """The expectation of every series of a set; arrays are float64 ``[series, buckets]``.

    Attributes:
        expected: Expected count (of a share: of the events that it counts); NaN where too little is known.
        scale: What one step of ``deviation`` is, in the same unit.
        deviation: (count - expected) / scale; 0 where nothing is expected for want of data.
        z: The deviation as rare as it is among the series' own: what severity is about.
        width: Deviation at which ``z`` becomes notable, by series.
    """

    expected: NDArray[np.float64]
    scale: NDArray[np.float64]
    deviation: NDArray[np.float64]
    z: NDArray[np.float64]
    width: NDArray[np.float64]


def baseline_of(series: SeriesSet, method: str, weeks: int) -> Baseline:
    """Return the baseline by ``seasonal`` or ``classic``."""
    return classic(series) if method == "classic" else seasonal(series, weeks=weeks)


def seasonal(series: SeriesSet, *, weeks: int, notable: float = 2.0) -> Baseline:
    """Compare each bucket with the same hour of the local week (day of the week) in the weeks around it.

    Expected is the median over the ``weeks`` nearest other weeks, at least 4, else over the same hour of
    the other days; the scale is max(1.4826·MAD, √(expected + 1)), for counts of rare events have zero MAD.
    Of a share, the expected count is the median share of the bucket's own total. The bucket itself is left
    out of its baseline, and a median does not follow an episode that lasts less than half of its weeks.

    Rare events come in bursts, so deviations of 10 and 20 may be a series' everyday life. ``z`` is therefore
    the smallest of three: the deviation; the same on the scale on which counts have equal variance (5
    where none is usual is no five sigma); and the normal deviate of its tail probability among the largest
    deviations of the series' days, an exponential tail through the 80th and 90th percentile, which the
    episode itself does not move. Values of one dimension are a family: the wider of their own and their
    common tail counts, and the probability is that of the largest of so many (Šidák). In a window of
    less than two weeks ``z`` stays below 4.

    Args:
        series: The series.
        weeks: How many other weeks to compare with, half before and half after where there are.
        notable: The ``z`` that ``width`` is about.

    Source: spec 5.1; variance stabilising: Anscombe 1948; tail: Pickands 1975, with shape 0.
    """
    counts, totals = series.counts, np.where(np.isnan(series.totals), 1.0, series.totals)
    buckets = series.buckets
    rate, mad, seen = _around(counts, totals, _grid(buckets.slot, buckets.week), weeks)
    lacking = seen < LEAST_WEEKS
    if lacking.any():
        by_day = _around(counts, totals, _grid(buckets.slot % buckets.slots_a_day, buckets.day), 7 * weeks)
        rate, mad, seen = (np.where(lacking, b, a) for a, b in zip((rate, mad, seen), by_day, strict=True))
    expected = np.where((seen >= _LEAST) & np.isfinite(counts), rate * totals, np.nan)
    scale = np.maximum(_MAD * mad, np.sqrt(expected + 1))
    deviation = np.nan_to_num((counts - expected) / scale)
    stable = np.abs(stabilised(counts, expected))
    rare, width = _rarity(np.abs(deviation), series, notable)
    z = np.minimum(np.minimum(np.abs(deviation), np.nan_to_num(stable)), rare) * np.sign(deviation)
    return Baseline(expected, scale, deviation, z, np.maximum(width, notable))


def stabilised(counts: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far counts are from what is expected on the scale on which counts have variance 1.

    One event more is expected, so that a few where there are none are not much. Source: Anscombe 1948.

    >>> stabilised(np.array([5.0, 100.0]), np.array([0.0, 0.0])).round(1).tolist()
    [2.3, 17.7]
    """
    return np.asarray(2 * (np.sqrt(counts + 0.375) - np.sqrt(expected + 1.375)))


def classic(series: SeriesSet, *, notable: float = 2.0) -> Baseline:
    """Compare each bucket with mean and standard deviation of the 168 hours before it, at least 3 points.

    Where the deviation is zero, so is ``z``. Source: spec 5.1.
    """
    values = series.observed
    span = _CLASSIC_HOURS // (24 // series.buckets.slots_a_day)
    known = np.nan_to_num(values)
    number, total, squares = (_before(v, span) for v in (~np.isnan(values), known, known**2))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(number >= _LEAST, total / number, np.nan)
        deviation = np.sqrt(np.maximum(squares / number - mean**2, 0.0))
        z = np.where(deviation > 1e-9, (values - mean) / deviation, 0.0)
    weight = np.where(np.isnan(series.totals), 1.0, series.totals)
    z = np.nan_to_num(z)
    return Baseline(mean * weight, deviation * weight, z, z, np.full(len(z), notable))


def _before(values: NDArray[np.float64] | NDArray[np.bool_], span: int) -> NDArray[np.float64]:
    """Return the sum of the ``span`` values before each."""
    sums = np.cumsum(np.pad(values.astype(np.float64), ((0, 0), (1, 0))), axis=1)
    place = np.arange(values.shape[1])
    return sums[:, place] - sums[:, np.maximum(place - span, 0)]


@dataclass(frozen=True, eq=False)
class _Grid:
    """Buckets as a table of slots by cycles: hours of the week by weeks, or hours of the day by days."""

    slot: NDArray[np.int64]
    cycle: NDArray[np.int64]
    shape: tuple[int, int]


def _grid(slot: NDArray[np.int64], cycle: NDArray[np.int64]) -> _Grid:
    if not len(slot):
        return _Grid(slot, cycle, (0, 0))
    cycle = cycle - cycle.min()
    return _Grid(slot, cycle, (int(slot.max()) + 1, int(cycle.max()) + 1))


def _around(
    counts: NDArray[np.float64], totals: NDArray[np.float64], grid: _Grid, cycles: int
) -> tuple[NDArray[np.float64], ...]:
    """Return rate, MAD of the counts and number of references of every bucket, itself left out."""
    shape = (len(counts), *grid.shape)
    known = np.full(shape, np.nan)
    known[:, grid.slot, grid.cycle] = counts
    whole = np.full(shape, np.nan)
    whole[:, grid.slot, grid.cycle] = totals
    rates, spreads, seen = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape)
    last = shape[2]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = known / whole
    for here in range(last):
        low = max(0, min(here - cycles // 2, last - cycles - 1))
        others = np.setdiff1d(np.arange(low, min(low + cycles + 1, last)), [here])
        rate = _median(share[:, :, others])
        rates[:, :, here] = rate
        spreads[:, :, here] = _median(np.abs(known[:, :, others] - rate[:, :, None] * whole[:, :, others]))
        seen[:, :, here] = np.isfinite(share[:, :, others]).sum(axis=2)
    return tuple(a[:, grid.slot, grid.cycle] for a in (rates, spreads, seen))


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median over the last axis, NaN left out: sorting puts NaN last."""
    number = np.isfinite(values).sum(axis=-1)
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    ordered = np.sort(values, axis=-1)
    middle = np.stack([np.maximum(number - 1, 0) // 2, number // 2], axis=-1)
    middle = np.minimum(middle, values.shape[-1] - 1)
    pair = np.take_along_axis(ordered, middle, axis=-1).mean(axis=-1)
    return np.where(number > 0, pair, np.nan)


def _rarity(
    size: NDArray[np.float64], series: SeriesSet, notable: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how rare deviations are, as normal deviates, and the deviation at which that is ``notable``."""
    days, place = np.unique(series.buckets.day, return_inverse=True)
    if len(days) < _LEAST_DAYS:
        return np.minimum(size, _UNPROVEN), np.full(len(size), notable)
    # a day on which nothing was counted is none of the usual ones
    largest = np.full((len(size), len(days)), np.nan)
    np.fmax.at(largest.T, place, np.where(np.isfinite(series.counts), size, np.nan).T)
    start, slope = _tail(largest)
    number = np.ones(len(size))
    for rows in series.families:
        common_start, common_slope = _tail(largest[rows].reshape(1, -1))
        start[rows] = np.maximum(start[rows], common_start)
        slope[rows] = np.maximum(slope[rows], common_slope)
        number[rows] = len(rows)
    beyond = (size - start[:, None]) / slope[:, None]
    # the logarithm of the two-sided probability of one as large among the family's
    chance = np.log1p(-_USUAL) - np.maximum(beyond, 0.0) + np.log(number)[:, None]
    below = (size / start[:, None]) * _deviate(np.log1p(-_USUAL)) * (number == 1)[:, None]
    limit = np.log1p(-_USUAL) + np.log(number) - np.log(2 * NormalDist().cdf(-notable))
    rare = np.where(beyond < 0, below, _deviate(chance))
    few = np.isfinite(largest).sum(axis=1) < _LEAST_DAYS
    rare[few] = np.minimum(size[few], _UNPROVEN)
    return rare, np.where(few, notable, start + slope * np.maximum(limit, 0.0))


def _tail(largest: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the tail begins and the length over which it falls to 1/e, of each row without its NaN."""
    begin, before = np.zeros((2, len(largest)))
    number = np.isfinite(largest).sum(axis=1)
    # rows of which as many days are known at a time; unknown ones are sorted behind
    ordered = np.sort(largest, axis=1)
    for n in np.unique(number[number > 0]).tolist():
        rows = number == n
        begin[rows], before[rows] = np.quantile(ordered[rows, :n], [_USUAL, 2 * _USUAL - 1], axis=1)
    # an exponential tail halves between these two
    return np.maximum(begin, _TINY), np.maximum((begin - before) / np.log(2), _TINY)


@cache
def _deviates() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return logarithms of two-sided probabilities, rising, with the normal deviates they belong to."""
    logs = np.linspace(-700.0, 0.0, 7001)
    normal = NormalDist()
    return logs, np.array([-normal.inv_cdf(float(np.exp(p)) / 2) for p in logs])


def _deviate(log_probability: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    return np.asarray(np.interp(log_probability, *_deviates()))
