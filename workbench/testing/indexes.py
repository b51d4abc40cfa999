"""The behaviour that every vector index has to show.

Subclass :class:`IndexSuite` in a test module; pytest does the rest::

    from workbench.testing.indexes import IndexSuite

    class TestIndexes(IndexSuite):
        pass

It runs against every registered index and each of its storage kinds, those of installed distributions
included. One that cannot run here is skipped with its reason. What is found is compared with numpy's own
sort over all vectors.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from workbench.errors import StorageError, UnknownNameError, UsageError
from workbench.indexes import indexes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from workbench.indexes import Index

__all__ = ["RECALL", "IndexSuite", "clustered"]

RECALL = 0.95
TOLERANCE = 1e-5
DIMENSION = 24
EXACT_BELOW = 450  # so that a graph is walked that is built in a moment
MANY = 2_000


@cache
def clustered(count: int, dimension: int = DIMENSION, seed: int = 0) -> NDArray[np.float32]:
    """Return vectors of length 1 around a few hundred centres, some of them equal.

    >>> clustered(10).shape
    (10, 24)
    """
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(300, dimension))
    vectors = centres[generator.integers(0, 300, count)] + 0.3 * generator.normal(size=(count, dimension))
    vectors[: count // 50] = vectors[count // 2 : count // 2 + count // 50]
    made = np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
    made.flags.writeable = False  # it is given out more than once
    return made


def brute_force(
    vectors: NDArray[np.floating[Any]], query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Return the scores of the ``k`` nearest allowed vectors, best first."""
    scores = vectors.astype(np.float32) @ query
    if allowed is not None:
        scores = scores[allowed]
    return np.sort(scores)[::-1][:k]


def made(name: str, storage: str) -> Index:
    """Return an empty index that looks at few vectors only one by one."""
    index = indexes.create(name, storage)
    index.exact_below = EXACT_BELOW
    return index


class IndexSuite:
    """The conformance suite; see the module.

    Attributes:
        parameters: The names of the indexes to run it against; all registered ones if empty.
    """

    parameters: ClassVar[list[Any]] = []
    _built: ClassVar[dict[tuple[str, str], Index]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for each index and storage kind."""
        names = self.parameters or indexes.names()
        kinds = [(name, storage) for name in names for storage in indexes.load(name).storages]
        metafunc.parametrize(("name", "storage"), kinds, ids=["-".join(kind) for kind in kinds])

    @pytest.fixture
    def index(self, name: str, storage: str) -> Index:
        """Return an empty index, or skip with the reason why it cannot run here."""
        reason = indexes.load(name).can_run()
        if reason is not True:
            pytest.skip(f"index {name!r} cannot run here: {reason}")
        return made(name, storage)

    @pytest.fixture
    def many(self, index: Index, name: str, storage: str) -> Index:
        """Return an index over more vectors than it looks at one by one; built once."""
        if (name, storage) not in self._built:
            self._built[name, storage] = index.build(clustered(MANY))
        return self._built[name, storage]

    @pytest.mark.parametrize("share", [None, 0.3, 0.9, 0.01])
    def test_what_is_found_is_nearest(self, many: Index, share: float | None) -> None:
        """All of it where the index is exact; else as much as the recall says. Filtered or not."""
        generator = np.random.default_rng(1)
        allowed = None if share is None else generator.random(MANY) < share
        queries = np.concatenate([clustered(MANY)[::200], clustered(40, seed=9)])
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
        queries = clustered(MANY)[5::250]
        found, scores = many.search(queries, 20, allowed=allowed)
        for row, query in enumerate(queries):
            assert len(set(found[row])) == 20
            assert allowed is None or allowed[found[row]].all()
            cosines = many.vectors[found[row]].astype(np.float32) @ query
            assert np.abs(cosines - scores[row]).max() < TOLERANCE
            assert (np.diff(scores[row]) <= TOLERANCE).all()

    def test_as_many_as_are_allowed_come_back(self, many: Index) -> None:
        """Also where they are few and far from the query, or none."""
        query = clustered(MANY)[:1]
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
        vectors = clustered(30).copy()
        vectors[4] = 0
        index.build(vectors)
        found, scores = index.search(vectors[[7]], 30)
        assert scores[0][list(found[0]).index(4)] == pytest.approx(0)
        assert np.isfinite(scores).all()

    def test_k_come_back_where_the_allowed_ones_lie_far_from_the_query(self, many: Index) -> None:
        """A walk that starts at the query would meet none of them."""
        query = clustered(MANY)[[11]]
        cosines = many.vectors.astype(np.float32) @ query[0]
        allowed = cosines < np.quantile(cosines, 0.4)
        found, scores = many.search(query, 10, allowed=allowed)
        assert found.shape == (1, 10)
        assert allowed[found[0]].all()
        wanted = brute_force(many.vectors, query[0], 10, allowed)
        assert (scores[0] >= wanted[-1] - TOLERANCE).mean() >= (1.0 if many.exact else 0.5)

    def test_equal_vectors_give_equal_answers(self, name: str, storage: str, many: Index) -> None:
        """Built twice from the same, it finds the same."""
        again = made(name, storage).build(clustered(MANY))
        queries = clustered(50, seed=4)
        assert np.array_equal(again.search(queries, 10)[0], many.search(queries, 10)[0])

    def test_what_was_saved_finds_the_same_when_loaded(
        self, name: str, storage: str, many: Index, tmp_path: Path
    ) -> None:
        """Over vectors that are mapped from their own file, filtered or not."""
        many.save(tmp_path / "index")
        np.save(tmp_path / "vectors.npy", many.vectors)
        vectors = np.load(tmp_path / "vectors.npy", mmap_mode="r")
        again = made(name, storage).load(tmp_path / "index", vectors)
        assert again.vectors is vectors
        queries, allowed = clustered(50, seed=5), np.arange(MANY) % 3 > 0
        for only in (None, allowed):
            assert np.array_equal(
                again.search(queries, 10, allowed=only)[0], many.search(queries, 10, allowed=only)[0]
            )

    def test_a_file_of_other_vectors_or_of_something_else_is_refused(
        self, name: str, storage: str, index: Index, tmp_path: Path
    ) -> None:
        """By its number or by the driver itself; nothing wrong is found with it."""
        index.build(clustered(40)).save(tmp_path / "index")
        with pytest.raises(StorageError, match="other vectors"):
            made(name, storage).load(tmp_path / "index", index.vectors[:39])
        (tmp_path / "text").write_text("this is no index of any library, but a text of some length\n" * 9)
        with pytest.raises(StorageError, match="index"):
            made(name, storage).load(tmp_path / "text", index.vectors)

    def test_a_storage_kind_that_it_does_not_have_is_refused(self, index: Index, name: str) -> None:
        """With the kinds that it has."""
        assert "float1" not in index.storages
        with pytest.raises(UnknownNameError, match="storage kind 'float1'"):
            indexes.create(name, "float1")

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
