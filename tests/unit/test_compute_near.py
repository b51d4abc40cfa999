"""Approximate neighbours: short lists, how recall is judged, and what a backend says that has none."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from workbench.compute import Points, backends, choose
from workbench.compute import _near as near
from workbench.errors import DriverUnavailableError


@pytest.mark.parametrize("probes", [1, 24])
def test_lists_that_are_shorter_than_k_are_gone_beyond(monkeypatch: pytest.MonkeyPatch, probes: int) -> None:
    pytest.importorskip("faiss")
    # a list of these has some seventy points, and a hundred are wanted
    monkeypatch.setattr(near, "_PROBES", probes)
    points = np.random.default_rng(1).normal(size=(5_000, 8)).astype(np.float32)
    found = near.nearest_of_all(points, k=100, seed=0)
    assert found is not None
    rows, distance = found
    assert np.isfinite(distance).all()
    assert (rows[:, 0] == np.arange(len(points))).all()
    assert (np.diff(np.sort(rows, axis=1), axis=1) > 0).all()
    np.testing.assert_allclose(
        distance[:50], np.linalg.norm(points[:50, None] - points[rows[:50]], axis=2), atol=1e-5
    )


def test_recall_is_the_part_of_the_nearest_that_was_found() -> None:
    line = np.arange(10, dtype=np.float32)[:, None]
    # from 0 the nearest are at 1 and 2, from 9 too
    drawn, distance = np.array([0, 9]), np.array([[1.0, 2.0], [2.0, 3.0]])
    assert near.recall_of(line, drawn, distance) == 0.75
    # from the middle two are at 1: either is right
    assert near.recall_of(line, np.array([5]), np.array([[1.0]])) == 1


def test_the_seed_decides() -> None:
    pytest.importorskip("faiss")
    points = Points(np.random.default_rng(2).normal(size=(2_500, 16)))
    cpu = backends.create("cpu")
    first, again, other = (cpu.neighbours(points, method="approximate", seed=seed) for seed in (1, 1, 2))
    assert first[0].equals(again[0])
    assert first[1] == again[1]
    assert not other[0].equals(first[0])


def test_a_backend_without_the_library_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(DriverUnavailableError, match=r"needs faiss-cpu, not installed; .* extra 'vectors'"):
        choose(backends, "cpu", "neighbours", "approximate")
    assert choose(backends, "cpu", "neighbours", "exact") == ("cpu", "")
    assert "faiss-cpu" not in backends.create("cpu").versions()
