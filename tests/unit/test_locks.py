"""A lock that is lent: others get it meanwhile, and the holder has it again as often as before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from workbench.locks import LendableLock


def others_get(lock: LendableLock) -> bool:
    """Return whether another thread can take the lock now; it gives it back."""

    def knock() -> bool:
        taken = lock.acquire(blocking=False)
        if taken:
            lock.release()
        return taken

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(knock).result()


def test_what_is_held_is_held_until_it_was_given_back_as_often() -> None:
    lock = LendableLock()
    with lock:
        with lock:
            assert not others_get(lock)
        assert lock.held
        assert not others_get(lock)
    assert not lock.held
    assert others_get(lock)


def test_a_lent_lock_is_free_for_others_and_comes_back_with_its_depth() -> None:
    lock = LendableLock()
    with lock, lock:
        with lock.lent():
            assert not lock.held
            assert others_get(lock)
            with lock:
                assert not others_get(lock)
        assert not others_get(lock)
    assert others_get(lock)


def test_an_error_while_it_is_lent_brings_it_back() -> None:
    lock = LendableLock()
    with lock:
        with pytest.raises(ValueError, match="meanwhile"), lock.lent():
            raise ValueError("meanwhile")
        assert lock.held


def test_who_holds_nothing_lends_nothing() -> None:
    lock = LendableLock()
    with lock.lent():
        assert others_get(lock)
    assert not lock.held
    with pytest.raises(RuntimeError):
        lock.release()
