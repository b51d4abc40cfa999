"""Figures of many actors against the plain formulas, which need a value of each actor and day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.special import betainc

from workbench.analysis import expectation, tails
from workbench.analysis.expectation import Cells, dispersion, growth, weekday_factors
from workbench.analysis.signals.ecod import ecod
from workbench.analysis.signals.hbos import hbos
from workbench.analysis.tails import at_least, at_most, upper_tail
from workbench.compute.cpu import CpuBackend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ACTORS, DAYS = 137, 23


@pytest.fixture(params=range(4))
def draw(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.param)


@pytest.fixture
def known(draw: np.random.Generator) -> NDArray[np.int64]:
    return draw.integers(0, DAYS + 1, ACTORS)


@pytest.fixture
def counts(draw: np.random.Generator, known: NDArray[np.int64]) -> Floats:
    """Return counts of days since each actor has been known; day 0 is the last."""
    rate = draw.gamma(0.5, size=(ACTORS, 1))
    found = draw.poisson(rate, (ACTORS, DAYS)) * (np.arange(DAYS) < known[:, None])
    return found.astype(np.float64)


def cells_of(counts: Floats) -> Cells:
    actor, day = np.nonzero(counts)
    return Cells.of(actor, day, counts[actor, day], (counts.shape[0], counts.shape[1]))


def plain_dispersion(past: Floats, whole: Any, rate: Floats, level: Floats) -> Floats:
    counts = np.where(whole, past, 0)
    shared = counts.sum(0) / np.maximum(np.where(whole, rate[:, None] * level, 0).sum(0), 1e-9)
    mean = rate[:, None] * level * np.where(shared > 0, shared, 1.0)
    telling = whole & (mean > 0.05)
    own = np.where(telling, np.square(past - mean) / np.maximum(mean, 1e-9), 0.0).sum(1)
    number = telling.sum(1)
    found: Floats = np.maximum((own + 4 * own.sum() / max(number.sum(), 1)) / (number + 4), 1.0)
    return found


@pytest.mark.parametrize("block", [1, 2, 5, 7])
@pytest.mark.parametrize("at_once", [1, 10, 16_384])
def test_dispersion_is_that_of_all_days(
    counts: Floats, known: NDArray[np.int64], block: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expectation, "_AT_ONCE", at_once)
    draw, blocks = np.random.default_rng(block), DAYS // block
    rate, week = draw.gamma(0.5, size=ACTORS), draw.uniform(0.2, 2, DAYS)
    level = week[: blocks * block].reshape(blocks, block).sum(1)
    past = counts[:, : blocks * block].reshape(ACTORS, blocks, block).sum(2)
    whole = np.arange(blocks) < (known // block)[:, None]
    found = dispersion(cells_of(counts).blocks(block, known // block), known // block, rate, level)
    assert found == pytest.approx(plain_dispersion(past, whole, rate, level), rel=1e-12)
    assert (found > 1).any()


def test_one_day_has_no_dispersion(counts: Floats, known: NDArray[np.int64]) -> None:
    cells = cells_of(counts[:, :1])
    assert dispersion(cells, np.minimum(known, 1), np.ones(ACTORS), np.ones(1)).tolist() == [1] * ACTORS


def test_growth_is_that_of_all_days(draw: np.random.Generator, counts: Floats) -> None:
    counts[3] = 500  # one's burst is not everybody's
    counts[:, 2] += 4
    rate, week, known = draw.gamma(0.5, size=ACTORS), draw.uniform(0.2, 2, DAYS), draw.random(ACTORS) < 0.8
    mean, factor = (rate[:, None] * week)[known], np.ones(DAYS)
    for _ in range(3):
        bound = mean * factor + 5 * np.sqrt(mean * factor + 1)
        factor = np.minimum(counts[known], bound).sum(0) / mean.sum(0)
    found = growth(cells_of(counts), rate, week, known)
    assert found == pytest.approx(np.clip(factor, 0.05, 50), rel=1e-12)
    assert growth(cells_of(counts), rate, week, np.arange(ACTORS) < 49).tolist() == [1] * DAYS


def test_the_week_is_that_of_most_weeks() -> None:
    daily = np.tile([1.0, 1, 1, 1, 1, 8, 8], 4)
    daily[8] = 1000
    assert weekday_factors(daily, 7) == pytest.approx(np.tile([1.0, 1, 1, 1, 1, 8, 8], 5) / 3)
    assert weekday_factors(daily[:13], 7).tolist() == [1] * 20


def test_cells_are_all_there_is(counts: Floats) -> None:
    cells = cells_of(counts)
    inside = cells.between(3, 9)
    assert inside.by_actor(inside.count).tolist() == counts[:, 3:9].sum(1).tolist()
    assert inside.by_day(inside.count).tolist() == counts[:, 3:9].sum(0).tolist()
    empty = cells_of(np.zeros((4, 3)))
    assert empty.by_actor(empty.count).tolist() == [0] * 4
    assert len(empty.blocks(2, np.ones(4, np.int64)).count) == 0
    assert len(empty.smallest(empty.count)) == 0


def test_the_smallest_cell_of_each_actor_is_the_first_of_equals(counts: Floats) -> None:
    cells = cells_of(counts)
    dense = np.where(counts > 0, counts, np.inf)
    found = cells.smallest(cells.count)
    some = np.flatnonzero((counts > 0).any(1))
    assert cells.actor[found].tolist() == some.tolist()
    assert cells.day[found].tolist() == dense[some].argmin(1).tolist()


def test_counts_of_an_actor_and_day_are_added_up_in_whatever_order(
    draw: np.random.Generator, counts: Floats
) -> None:
    expected = cells_of(counts)
    rows = draw.permutation(np.repeat(np.flatnonzero(counts), 2))
    actor, day = np.divmod(rows, DAYS)
    found = Cells.of(actor.astype(np.int32), day, counts[actor, day].astype(np.uint32), (ACTORS, DAYS))
    for name in ("actor", "day"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()
    assert found.count.tolist() == (2 * expected.count).tolist()


# tails


def test_added_up_tails_are_the_incomplete_beta_functions() -> None:
    count, mean, wide = (
        part.ravel()
        for part in np.meshgrid(
            np.append(np.arange(70.0), [100, 900]), [0.1, 0.5, 3, 40, 63, 200, 5000], [1.001, 1.5, 8, 90]
        )
    )
    variance = mean * wide
    size, share = mean**2 / (variance - mean), mean / variance
    up = np.where(count > 0, betainc(np.maximum(count, 1), size, 1 - share), 1)
    assert at_least(count, mean, variance) == pytest.approx(np.clip(up, 1e-30, 1), rel=1e-9)
    down = np.clip(betainc(size, count + 1, share), 1e-30, 1)
    assert at_most(count, mean, variance) == pytest.approx(down, rel=1e-9)
    assert (at_most(count, mean, variance) <= 1).all()


def test_equal_values_have_equal_tails() -> None:
    values = np.random.default_rng(1).permutation(np.repeat(np.arange(40.0), np.arange(40, 0, -1)))
    found = upper_tail(values)
    usual = values <= np.quantile(values, 0.68)
    assert found[usual].tolist() == [(values >= one).mean() for one in values[usual]]
    assert all(len(set(found[values == one])) == 1 for one in range(40))
    few = np.append(np.zeros(200), np.arange(1.0, 11))  # what happened to few is judged by their number
    assert upper_tail(few) == pytest.approx([1] * 200 + [(11 - n) / 210 for n in range(1, 11)])


def test_a_number_of_terms_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    count = np.random.default_rng(2).poisson(5, 300).astype(float)
    mean = np.linspace(0.1, 20, 300)
    before = at_least(count, mean, 3 * mean), at_most(count, mean, 3 * mean)
    for terms in (1, 4):
        monkeypatch.setattr(tails, "_MOST_TERMS", terms)
        for found, same in zip((at_least, at_most), before, strict=True):
            assert found(count, mean, 3 * mean) == pytest.approx(same, rel=1e-9)


# points


@pytest.fixture
def points(draw: np.random.Generator) -> Floats:
    """Return points with ties, skewed to both sides, and a column without spread."""
    skewed = draw.exponential(size=(400, 3)) * [1, -1, 1]
    return np.column_stack([skewed, skewed.round(1), np.zeros(400)])


def test_ecod_sums_the_parts_of_smaller_and_of_larger_values(points: Floats) -> None:
    left = -np.log((points[None] <= points[:, None]).mean(1))
    right = -np.log((points[None] >= points[:, None]).mean(1))
    skewness = ((points - points.mean(0)) ** 3).mean(0)
    sums = [left.sum(1), right.sum(1), np.where(skewness < 0, left, right).sum(1)]
    assert ecod(points) == pytest.approx(np.max(sums, 0), rel=1e-12)


def test_hbos_looks_each_value_up_in_its_columns_histogram(points: Floats) -> None:
    expected = np.zeros(len(points))
    for column in points.T:
        heights, edges = np.histogram(column, 20)
        place = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, 19)
        expected -= np.log(heights[place] / heights.max() + 0.1)
    assert hbos(points) == pytest.approx(expected, rel=1e-12)


def test_isolation_scores_equal_points_alike_and_each_as_the_forest_does(points: Floats) -> None:
    from sklearn.ensemble import IsolationForest

    again = np.random.default_rng(0).permutation(np.concatenate([points, points[:150]]))
    found = CpuBackend().solve_isolation(again, trees=20, seed=4)
    forest = IsolationForest(n_estimators=20, max_samples=256, random_state=4).fit(again)
    assert found.tolist() == (-forest.score_samples(again)).tolist()
