"""Upper-tail probabilities: of counts against an expectation, of statistics against their own bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "FEWEST",
    "SMALLEST",
    "at_least",
    "at_most",
    "calibrated",
    "combined",
    "evidence_of",
    "normal_score",
    "probability",
    "score",
    "upper_tail",
]


# No probability is below this: far in a tail no model is right.
SMALLEST = 1e-30
_LEAST_MEAN = 0.1
# Probabilities are added up of so many terms at most, and where the first of them is no smaller.
_MOST_TERMS = 64
_LEAST_LOGARITHM = -600.0
_LOST = 1e-4
_USUAL = 3.0  # -log of a probability that nobody would mention
_RARE = float(np.exp(-_USUAL))
# A bulk of fewer actors says nothing about its tail.
FEWEST = 50

# The tail is fitted at the points that these parts of the actors exceed: the last leaves out more actors
# than are ever anomalous, so that anomalies do not widen the tail that they are judged by.
_EXCEEDED = (0.32, 0.08, 0.02)
_STEP = 4.0  # the ratio of two of them
_SOME = 0.5  # where a smaller part is above the smallest value, that part is judged by itself
# Logarithms of probabilities have an exponential tail, of another slope where a model is too narrow.
_OF_LOGARITHMS = 0.3

# Scores at probabilities: the classes' limits lie at 3 %, 0.4 % and 0.02 %. Promised is 1 % and 0.1 % of
# actors where nothing is wrong; the rest is left for what the fits miss.
_EXPONENTS = (0.0, -np.log10(0.03), -np.log10(0.004), -np.log10(0.0002))
_SCORES = (0.0, 0.3, 0.5, 0.7)
_APPROACH = 0.3


def at_least(
    count: NDArray[np.float64], mean: NDArray[np.float64], variance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the probabilities of at least so many events.

    Negative binomial with the given mean and variance, Poisson where the variance is not above the mean. No
    mean is below 0.1: that something never happened yet does not make one event of it a miracle.

    >>> at_least(np.array([3.0]), np.array([1.0]), np.array([1.0])).round(4).tolist()
    [0.0803]
    """
    from scipy.special import pdtrc  # noqa: PLC0415  (loaded when anomalies are)

    count, mean, variance = np.broadcast_arrays(count, mean, variance)
    found = np.ones(count.shape)
    some = count > 0  # most have none, and at least none is certain
    count = count[some]
    mean, wide, size, share = _shape(mean[some], variance[some])
    up = np.empty(len(count))
    up[~wide] = pdtrc(count[~wide] - 1, mean[~wide])
    up[wide] = _at_least(count[wide], size, share)
    found[some] = np.clip(up, SMALLEST, 1.0)
    return found


def _at_least(
    count: NDArray[np.float64], size: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    from scipy.special import betainc  # noqa: PLC0415  (loaded when anomalies are)

    found = 1 - _fewer(count, size, share)
    # what is small is lost in what it is subtracted from
    lost = ~(found > _LOST)
    found[lost] = betainc(count[lost], size[lost], 1 - share[lost])
    return found


def at_most(
    count: NDArray[np.float64], mean: NDArray[np.float64], variance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the probabilities of at most so many events, as :func:`at_least` has them.

    >>> at_most(np.array([3.0]), np.array([1.0]), np.array([1.0])).round(3).tolist()
    [0.981]
    """
    from scipy.special import betainc, pdtr  # noqa: PLC0415  (loaded when anomalies are)

    mean, wide, size, share = _shape(mean, variance)
    down = np.empty(len(count))
    down[~wide] = pdtr(count[~wide], mean[~wide])
    below = _fewer(count[wide] + 1, size, share)
    many = np.isnan(below)
    below[many] = betainc(size[many], count[wide][many] + 1, share[many])
    down[wide] = below
    found: NDArray[np.float64] = np.clip(down, SMALLEST, 1.0)
    return found


def _fewer(
    count: NDArray[np.float64], size: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return negative binomial probabilities of fewer events, added up; not a number where these are many.

    Most counts are of a few events, and a dozen terms take a tenth of an incomplete beta function's time.
    """
    found = np.full(len(count), np.nan)
    none = size * np.log(share)
    few = np.flatnonzero((count <= _MOST_TERMS) & (none > _LEAST_LOGARITHM))
    few = few[np.argsort(-count[few])]
    # those with many terms come first, and those that need one more are always a slice
    needing = np.searchsorted(-count[few], -np.arange(_MOST_TERMS))
    term, size, rest = np.exp(none[few]), size[few], 1 - share[few]
    total = np.zeros(len(few))
    for step, end in enumerate(needing):
        total[:end] += term[:end]
        term[:end] *= (size[:end] + step) * rest[:end] / (step + 1)
    found[few] = total
    return found


def _shape(mean: NDArray[np.float64], variance: NDArray[np.float64]) -> tuple[NDArray[Any], ...]:
    """Return means, which variances are above them, and of these the negative binomial's parameters."""
    variance = np.maximum(variance, _LEAST_MEAN * variance / np.maximum(mean, 1e-9))
    mean = np.maximum(mean, _LEAST_MEAN)
    wide = variance > mean * (1 + 1e-6)
    middle, spread = mean[wide], variance[wide]
    return mean, wide, middle**2 / (spread - middle), middle / spread


def normal_score(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many standard deviations out a value of that upper-tail probability lies; at least 0."""
    from scipy.special import ndtri  # noqa: PLC0415  (loaded when anomalies are)

    found: NDArray[np.float64] = np.maximum(-ndtri(np.clip(probability, SMALLEST, 1.0)), 0.0)
    return found


def upper_tail(statistic: NDArray[np.float64], heaviest: float = 0.5) -> NDArray[np.float64]:
    """Return each value's upper-tail probability in the distribution that the bulk of them has.

    Below the point that 32 % exceed, it is the part of actors that have more. Above, a generalised Pareto
    tail through the points that 32, 8 and 2 % exceed, never lighter than an exponential one. Where most
    values are the smallest one, nothing happened there: the tail is that of the others, times their part.
    Not a number stays not a number; with fewer than 50 values all are.

    Source: Pickands 1975 (the estimator by three quantiles).

    >>> values = np.append(np.random.default_rng(1).exponential(size=999), 30.0)
    >>> bool(upper_tail(values)[-1] < 1e-4)
    True
    """
    result = np.full(len(statistic), np.nan)
    known = np.isfinite(statistic)
    values = statistic[known]
    if len(values) < FEWEST:
        return result
    more = values > values.min()
    if more.mean() < _SOME:
        inner = upper_tail(values[more], heaviest) if more.sum() >= FEWEST else _ranked(values[more])[1]
        values = np.where(more, 0.0, 1.0)
        values[more] = inner * more.mean()
        result[known] = values
        return result
    ordered, tail = _ranked(values)
    points = np.quantile(ordered, 1 - np.array(_EXCEEDED))
    far = np.flatnonzero(values > points[0])
    fitted = np.clip(_pareto(values[far], points, heaviest), SMALLEST, _EXCEEDED[0])
    # many may have the same value: up to the last point their part is known
    tail[far] = np.where(values[far] <= points[-1], np.maximum(fitted, tail[far]), fitted)
    result[known] = tail
    return result


def _ranked(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the values in order, and which part of all is at least as large as each."""
    order = np.argsort(values)
    ordered = values[order]
    place = np.arange(len(values))
    # equal ones have the place of the first of them
    place[1:][ordered[1:] == ordered[:-1]] = 0
    place = np.maximum.accumulate(place)
    above = np.empty(len(values))
    above[order] = (len(values) - place) / len(values)
    return ordered, above


def _pareto(values: NDArray[np.float64], points: NDArray[np.float64], heaviest: float) -> NDArray[np.float64]:
    first, second = points[1] - points[0], points[2] - points[1]
    if first <= 0 or second <= 0:
        # too many equal values for a shape: an exponential tail through the last point
        width = max(points[2] - points[0], 1e-12) / np.log(_EXCEEDED[0] / _EXCEEDED[2])
        return _exponential(values - points[0], width)
    shape = float(np.clip(np.log(second / first) / np.log(_STEP), 0.0, heaviest))
    excess = np.maximum(values - points[0], 0)
    if shape < 1e-3:
        width = max(first / np.log(_STEP), (first + second) / (2 * np.log(_STEP)))
        return _exponential(excess, width)
    width = shape * first / (_STEP**shape - 1)
    found: NDArray[np.float64] = _EXCEEDED[0] * (1 + shape * excess / width) ** (-1 / shape)
    return found


def _exponential(excess: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    found: NDArray[np.float64] = _EXCEEDED[0] * np.exp(-np.maximum(excess, 0) / width)
    return found


def calibrated(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities that are small as rarely as they should be, judged by the bulk of them.

    A model that is too narrow gives too many small ones. The tail of their logarithms is fitted, and the
    larger of the two is kept: never smaller than the model's own.
    """
    fitted = upper_tail(-np.log(np.clip(probability, SMALLEST, 1.0)), _OF_LOGARITHMS)
    return np.where(np.isfinite(fitted), np.fmax(probability, np.minimum(fitted, 1.0)), probability)


def evidence_of(probabilities: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much each probability adds to what speaks against an actor: a row a signal.

    It is -log of the probability beyond e^-3, times the signal's weight: what is as usual as one in twenty
    says nothing, and neither does a signal that has nothing to say. A signal that knows few actors finds as
    many of all of them odd as any other: its probabilities are those among all.

    >>> evidence_of(np.array([[0.5, np.exp(-5.0)]]), np.array([2.0])).tolist()
    [[0.0, 4.0]]
    """
    found = np.zeros(probabilities.shape)
    for row, weight, evidence in zip(probabilities, weights, found, strict=True):
        rarity = row * np.isfinite(row).mean()
        rare = np.flatnonzero(rarity < _RARE)
        evidence[rare] = weight * np.maximum(-np.log(np.maximum(rarity[rare], SMALLEST)) - _USUAL, 0.0)
    return found


def combined(probabilities: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one upper-tail probability a column from several that may depend on one another.

    The evidence is summed: an actor that two signals find odd is odder than one that one of them does. How
    improbable a sum is, the bulk of all sums says, whatever the signals have in common.

    Args:
        probabilities: A row a signal, a column an actor; not a number where a signal has nothing to say.
        weights: Of the signals.

    Source: Zaykin et al. 2002, the truncated product of probabilities, weighted; calibrated on the data.
    """
    total = evidence_of(probabilities, weights).sum(0)
    if len(total) >= FEWEST:
        return upper_tail(total, _OF_LOGARITHMS)
    # too few to know a bulk: the rarest signal, as improbable as the rarest of so many is
    least = np.where(np.isfinite(probabilities), probabilities, 1.0).min(0, initial=1.0)
    found: NDArray[np.float64] = np.minimum(least * len(probabilities), 1.0)
    return found


def probability(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the upper-tail probability of an anomaly score: the inverse of :func:`score`.

    >>> probability(np.array([0.0, 0.3, 0.5, 0.7])).round(4).tolist()
    [1.0, 0.03, 0.004, 0.0002]
    """
    beyond = np.log((1 - _SCORES[-1]) / np.maximum(1 - scores, 1e-9)) / _APPROACH + _EXPONENTS[-1]
    exponent = np.where(scores > _SCORES[-1], beyond, np.interp(scores, _SCORES, _EXPONENTS))
    found: NDArray[np.float64] = np.power(10.0, -exponent)
    return np.where(np.isnan(scores), np.nan, found)


def score(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the anomaly score of an upper-tail probability: 0.3 at 3 %, 0.5 at 0.4 %, 0.7 at 0.02 %.

    >>> score(np.array([1.0, 0.03, 0.004, 0.0002])).round(6).tolist()
    [0.0, 0.3, 0.5, 0.7]
    """
    exponent = -np.log10(np.clip(probability, SMALLEST, 1.0))
    found: NDArray[np.float64] = np.interp(exponent, _EXPONENTS, _SCORES)
    far = exponent > _EXPONENTS[-1]
    found[far] = 1 - (1 - _SCORES[-1]) * np.exp(-_APPROACH * (exponent[far] - _EXPONENTS[-1]))
    return found
