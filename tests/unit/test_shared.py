"""Shared values: made by one of the threads that want them, let go of when nobody holds them."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from workbench.shared import Shared


class Value:
    """Something that can be referred to weakly."""


def test_of_threads_that_want_a_value_one_makes_it() -> None:
    values: Shared[Value] = Shared()
    begun, more = threading.Event(), threading.Event()
    made: list[Value] = []

    def make() -> Value:
        begun.set()
        more.wait(10)
        made.append(Value())
        return made[-1]

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(values.get, "key", make)
        assert begun.wait(10)
        other = pool.submit(values.get, "key", make)
        assert values.get("another", Value) is not None  # nobody waits for another one's
        more.set()
        assert one.result() is other.result()
    assert len(made) == 1


def test_a_value_is_there_as_long_as_somebody_holds_it() -> None:
    values: Shared[Value] = Shared()
    held = values.get("key", Value)
    assert values.get("key", Value) is held
    number = id(held)
    del held
    gc.collect()
    made: list[int] = []
    again = values.get("key", lambda: (made.append(number), Value())[1])
    assert made == [number]
    assert values.get("key", Value) is again


def test_who_waited_for_what_failed_tries_itself() -> None:
    values: Shared[Value] = Shared()
    with pytest.raises(ZeroDivisionError):
        values.get("key", lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    assert isinstance(values.get("key", Value), Value)
