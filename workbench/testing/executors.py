"""The behaviour that every executor has to show.

Subclass :class:`ExecutorSuite` in a test module; pytest does the rest::

    from workbench.testing.executors import ExecutorSuite

    class TestExecutors(ExecutorSuite):
        pass

It runs against every registered executor, those of installed distributions included. One that cannot run here
is skipped with its reason. Results are compared with those of a plain loop, to the last bit.
"""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from itertools import count, islice
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from workbench.errors import ExecutorError, UnknownNameError
from workbench.executors import executors
from workbench.executors.base import FAN_IN, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from workbench.executors import Executor

__all__ = ["ExecutorSuite"]

MANY = 2 * FAN_IN**2 + 5
_MOST_ASKED = 100  # items, of endless ones, when the first few results are taken


def noise(seed: int) -> float:
    """Return a fraction: the sum of many depends on the order in which they are added."""
    return float(np.random.default_rng(seed).normal() * 10.0 ** (seed % 17))


def tables(number: int) -> dict[str, Any]:
    """Return what results are made of, a megabyte of it."""
    array = np.arange(number, number + 100_000)
    return {
        "array": array,
        "table": pa.table({"n": array[:10], "text": pa.array(["a", None] * 5).dictionary_encode()}),
        "frame": pl.DataFrame({"n": array[:10], "day": [date(2025, 6, 12)] * 10}),
    }


def joined(parts: Sequence[str]) -> str:
    """Return what shows which parts were merged with which."""
    return f"({','.join(parts)})"


def total(parts: Sequence[float]) -> float:
    """Return the sum, added from the left."""
    return float(sum(parts))


def unknown(name: str, *, known: str) -> str:
    """Return a name that is the known one.

    Raises:
        UnknownNameError: If it is another.
    """
    if name != known:
        raise UnknownNameError("fruit", name, [known], where="basket")
    return name


def never(parts: Sequence[Any]) -> Any:
    """Raise: there is nothing to merge.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"merged {parts}")


def process(_: int) -> int:
    """Return which process runs this."""
    return os.getpid()


def dies(item: int, *, at: int, once: Path | None) -> int:
    """Return an item; the process dies at one of them, every time or once."""
    if item == at:
        try:
            if once is not None:
                once.touch(exist_ok=False)
        except FileExistsError:
            return item
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def noted(item: int, *, folder: Path) -> int:
    """Return an item, and leave files that say that its work began and ended."""
    (folder / f"{item}.begun").touch()
    list(range(100_000))
    (folder / f"{item}.ended").touch()
    return item


class ExecutorSuite:
    """The conformance suite; see the module.

    Attributes:
        parameters: The names of the executors to run it against; all registered ones if empty.
    """

    parameters: ClassVar[list[Any]] = []

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for each executor."""
        if "name" in metafunc.fixturenames:
            metafunc.parametrize("name", self.parameters or executors.names(), scope="class")

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, name: str) -> Iterator[Executor]:
        """Yield an executor, the same for all tests, or skip with the reason why it cannot run here."""
        reason = executors.load(name).can_run()
        if reason is not True:
            pytest.skip(f"executor {name!r} cannot run here: {reason}")
        with executors.create(name) as made:
            yield made

    def test_results_come_in_the_order_of_items(self, executor: Executor) -> None:
        """As a loop gives them; none of nothing."""
        assert list(executor.map(noise, range(MANY))) == [noise(seed) for seed in range(MANY)]
        assert list(executor.map(noise, [])) == []

    def test_endless_items_are_asked_for_as_they_are_needed(self, executor: Executor) -> None:
        """Few more than results are taken."""
        asked = count()
        found = executor.map(abs, (next(asked) for _ in count()))
        assert list(islice(found, 5)) == [0, 1, 2, 3, 4]
        assert next(asked) < _MOST_ASKED

    @pytest.mark.parametrize("items", [2, FAN_IN, FAN_IN + 1, FAN_IN**2, MANY])
    def test_what_is_merged_with_what_depends_on_the_number_of_items_alone(
        self, executor: Executor, items: int
    ) -> None:
        """So that a sum of fractions is the same to the last bit."""
        shape = tree(map(str, range(items)), joined)
        assert executor.reduce(str, joined, range(items)) == shape
        added = executor.reduce(noise, total, range(items))
        assert added == tree(map(noise, range(items)), total)

    def test_one_result_is_not_merged_and_none_is_none(self, executor: Executor) -> None:
        """The merge is not called."""
        assert executor.reduce(abs, never, [-3]) == 3
        assert executor.reduce(abs, never, []) is None

    def test_arrays_tables_and_frames_come_back_whole(self, executor: Executor) -> None:
        """Types, nulls and dictionaries too."""
        for number, found in enumerate(executor.map(tables, range(3))):
            wanted = tables(number)
            assert np.array_equal(found["array"], wanted["array"])
            assert found["table"].equals(wanted["table"])
            assert found["table"].schema == wanted["table"].schema
            assert found["frame"].equals(wanted["frame"])
            assert found["frame"].schema == wanted["frame"].schema

    @pytest.mark.parametrize("way", ["map", "reduce"])
    def test_an_error_is_the_functions_own_and_names_the_item(self, executor: Executor, way: str) -> None:
        """With all that it says; afterwards all goes on."""
        function = partial(unknown, known="pear")
        ways: dict[str, Callable[[list[str]], object]] = {
            "map": lambda x: list(executor.map(function, x)),
            "reduce": partial(executor.reduce, function, joined),
        }
        with pytest.raises(UnknownNameError, match="'paer'") as caught:
            ways[way](["pear"] * 5 + ["paer"] + ["pear"] * 5)
        assert caught.value.known == ["pear"]
        assert str(caught.value) == "basket: there is no fruit 'paer'. Did you mean 'pear'?"
        assert caught.value.__notes__ == ["in paer"]
        assert list(executor.map(function, ["pear"])) == ["pear"]

    def test_an_error_of_a_merge_is_raised(self, executor: Executor) -> None:
        """As it is."""
        with pytest.raises(ValueError, match=r"merged \[0, 1\]"):
            executor.reduce(abs, never, [0, 1])

    def test_results_before_an_error_are_given(self, executor: Executor) -> None:
        """One by one."""
        found = executor.map(float, ["1", "2", "x"])
        assert [next(found), next(found)] == [1.0, 2.0]
        with pytest.raises(ValueError, match="'x'"):
            next(found)

    def test_threads_may_share_it(self, executor: Executor) -> None:
        """Each gets its own results."""
        with ThreadPoolExecutor(4) as pool:
            sums = pool.map(
                lambda base: executor.reduce(abs, total, range(base, base + 20)), range(0, 80, 20)
            )
            assert list(sums) == [sum(range(base, base + 20)) for base in range(0, 80, 20)]

    def test_what_is_left_half_way_is_not_begun(self, name: str, tmp_path: Path) -> None:
        """What runs ends; once it is closed no process of its own is left, and it can be used again."""
        reason = executors.load(name).can_run()
        if reason is not True:
            pytest.skip(f"executor {name!r} cannot run here: {reason}")
        executor = executors.create(name)
        processes = set(executor.map(process, range(8)))
        found = executor.map(partial(noted, folder=tmp_path), count())
        rest = executor.map(abs, range(1_000))
        assert (next(found), next(rest)) == (0, 0)
        del found
        executor.close()
        begun, ended = (len(list(tmp_path.glob(f"*.{what}"))) for what in ("begun", "ended"))
        assert begun < _MOST_ASKED
        if executor.apart:
            for pid in processes:
                with pytest.raises(ProcessLookupError):
                    os.kill(pid, 0)
            with pytest.raises(ExecutorError, match="gone, or was closed"):
                list(rest)
        else:
            assert processes == {os.getpid()}
            assert begun == ended
        with executor:
            assert list(executor.map(abs, [-1])) == [1]

    def test_a_worker_that_is_killed_is_replaced(self, executor: Executor, tmp_path: Path) -> None:
        """Its item is done again, and the result is right."""
        if not executor.apart:
            pytest.skip("it runs in this process")
        function = partial(dies, at=5, once=tmp_path / "died")
        assert list(executor.map(function, range(12))) == list(range(12))
        function = partial(dies, at=5, once=tmp_path / "died again")
        assert executor.reduce(function, total, range(12)) == sum(range(12))

    def test_an_item_that_kills_each_worker_is_an_error(self, executor: Executor) -> None:
        """Never a result without it; the error names it, or one that was sent to the same workers."""
        if not executor.apart:
            pytest.skip("it runs in this process")
        with pytest.raises(ExecutorError, match=r"at [0-3]\b"):
            executor.reduce(partial(dies, at=2, once=None), total, range(4))
        assert list(executor.map(abs, [-1])) == [1]
