"""A lock that is lent: others get it meanwhile, and the holder has it again as often as before."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from workbench.locks import FairLock, LendableLock


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


def test_a_fair_lock_is_had_in_the_order_of_coming() -> None:
    lock, order = FairLock(), []

    def take(name: int) -> None:
        with lock, lock:
            order.append(name)

    with lock:
        threads = []
        for name in range(5):
            threads.append(threading.Thread(target=take, args=(name,)))
            threads[-1].start()
            while len(lock._waiting) <= name:  # it has come
                pass
    with lock:
        order.append(5)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4, 5]


def test_a_wait_for_a_fair_lock_that_is_interrupted_leaves_no_trace() -> None:
    lock = FairLock()
    gate = threading.Lock()
    with lock:
        lock._waiting.append((gate, 1))
        lock._leave(gate, 1)
        assert not lock._waiting
    lock.__enter__()
    lock._leave(gate, 1)  # it was given in the moment of the interrupt: it goes to the next
    with lock:
        pass


def test_a_fair_lock_is_given_back_where_its_holder_fails() -> None:
    lock = FairLock()
    with pytest.raises(ValueError, match="no"), lock:
        raise ValueError("no")
    with lock:
        pass
