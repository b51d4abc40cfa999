"""The behaviour that every vector index has to show.

Subclass :class:`IndexSuite` in a test module; pytest does the rest::

    from workbench.testing.indexes import IndexSuite

    class TestIndexes(IndexSuite):
        pass

It runs against every registered index, those of installed distributions included. One that cannot run
here is skipped with its reason. What is found is compared with numpy's own sort over all vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from workbench.errors import UsageError
from workbench.indexes import EXACT_BELOW, indexes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.indexes import Index

__all__ = ["RECALL", "IndexSuite", "clustered"]

RECALL = 0.95
TOLERANCE = 1e-5
DIMENSION = 24
MANY = EXACT_BELOW + 4_000


def clustered(count: int, dimension: int = DIMENSION, seed: int = 0) -> NDArray[np.float32]:
    """Return vectors of length 1 around a few hundred centres, some of them equal.

    >>> clustered(10).shape
    (10, 24)
    """
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(300, dimension))
    vectors = centres[generator.integers(0, 300, count)] + 0.3 * generator.normal(size=(count, dimension))
    vectors[: count // 50] = vectors[count // 2 : count // 2 + count // 50]
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def brute_force(
    vectors: NDArray[np.float32], query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Return the scores of the ``k`` nearest allowed vectors, best first."""
    scores = vectors @ query
    if allowed is not None:
        scores = scores[allowed]
    return np.sort(scores)[::-1][:k]


class IndexSuite:
    """The conformance suite; see the module.

    Attributes:
        parameters: The names of the indexes to run it against; all registered ones if empty.
    """

    parameters: ClassVar[list[Any]] = []
    _built: ClassVar[dict[str, Index]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for each index."""
        metafunc.parametrize("name", self.parameters or indexes.names(), ids=str)

    @pytest.fixture
    def index(self, name: str) -> Index:
        """Return an empty index, or skip with the reason why it cannot run here."""
        reason = indexes.load(name).can_run()
        if reason is not True:
            pytest.skip(f"index {name!r} cannot run here: {reason}")
        return indexes.create(name)

    @pytest.fixture
    def many(self, index: Index, name: str) -> Index:
        """Return an index over more vectors than are worth an exact search; built once."""
        if name not in self._built:
            self._built[name] = index.build(clustered(MANY))
        return self._built[name]

    @pytest.mark.parametrize("share", [None, 0.5, 0.9, 0.001])
    def test_what_is_found_is_nearest(self, many: Index, share: float | None) -> None:
        """All of it where the index is exact; else as much as the recall says. Filtered or not."""
        generator = np.random.default_rng(1)
        allowed = None if share is None else generator.random(MANY) < share
        queries = np.concatenate([many.vectors[::3000], clustered(40, seed=9)])
        found, scores = many.search(queries, 10, allowed=allowed)
        assert found.shape == scores.shape == (len(queries), 10)
        hits = 0
        for row, query in enumerate(queries):
            wanted = brute_force(many.vectors, query, 10, allowed)
            hits += int((scores[row] >= wanted[-1] - TOLERANCE).sum())
        assert hits / found.size >= (1.0 if many.exact else RECALL)

    @pytest.mark.parametrize("share", [None, 0.9, 0.01])
    def test_only_allowed_rows_come_back_once_each_with_their_cosine(
        self, many: Index, share: float | None
    ) -> None:
        """Best first; equal scores by row number."""
        allowed = None if share is None else np.random.default_rng(2).random(MANY) < share
        queries = many.vectors[5::4000]
        found, scores = many.search(queries, 20, allowed=allowed)
        for row, query in enumerate(queries):
            assert len(set(found[row])) == 20
            assert allowed is None or allowed[found[row]].all()
            assert np.abs(many.vectors[found[row]] @ query - scores[row]).max() < TOLERANCE
            assert (np.diff(scores[row]) <= TOLERANCE).all()

    def test_as_many_as_are_allowed_come_back(self, many: Index) -> None:
        """Also where they are few and far from the query, or none."""
        query = many.vectors[:1]
        far = np.argsort(many.vectors @ query[0])[:3]
        allowed = np.zeros(MANY, np.bool_)
        assert many.search(query, 5, allowed=allowed)[0].shape == (1, 0)
        allowed[far] = True
        found, _ = many.search(query, 5, allowed=allowed)
        assert sorted(found[0]) == sorted(far)

    @pytest.mark.parametrize("count", [0, 1, 7])
    def test_small_indexes_give_all_that_there_is(self, index: Index, count: int) -> None:
        """No vectors, one, or fewer than are asked for."""
        index.build(clustered(count) if count else np.empty((0, DIMENSION), np.float32))
        found, scores = index.search(clustered(2, seed=3), 10)
        assert found.shape == scores.shape == (2, count)
        assert [sorted(row) for row in found] == [list(range(count))] * 2

    def test_a_vector_of_zeros_is_like_nothing(self, index: Index) -> None:
        """It comes last, with 0, and breaks nothing."""
        vectors = clustered(30)
        vectors[4] = 0
        index.build(vectors)
        found, scores = index.search(vectors[[7]], 30)
        assert scores[0][list(found[0]).index(4)] == pytest.approx(0)
        assert np.isfinite(scores).all()

    def test_equal_vectors_give_equal_answers(self, name: str, many: Index) -> None:
        """Built twice from the same, it finds the same."""
        again = indexes.create(name).build(many.vectors)
        queries = clustered(50, seed=4)
        assert np.array_equal(again.search(queries, 10)[0], many.search(queries, 10)[0])

    def test_what_does_not_fit_is_refused(self, index: Index) -> None:
        """Other types and shapes, and no neighbours."""
        with pytest.raises(UsageError, match="float32"):
            index.build(np.zeros((3, 4)))  # type: ignore[arg-type]
        index.build(clustered(10))
        with pytest.raises(UsageError, match="numbers a vector"):
            index.search(clustered(1, dimension=8), 1)
        with pytest.raises(UsageError, match="at least 1"):
            index.search(clustered(1), 0)
        with pytest.raises(UsageError, match="allowed"):
            index.search(clustered(1), 1, allowed=np.ones(9, np.bool_))
