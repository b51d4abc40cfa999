"""The GPU itself: whether there is one, its memory, and how its libraries fail."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from workbench.compute._memory import Meter
from workbench.errors import KernelFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import rmm

__all__ = ["ask_device", "free_memory", "metered", "on_device"]

# Grows by itself; half of the device, which is the library's default, would not leave room to others.
_FIRST_POOL = "256MiB"


def ask_device() -> Literal[True] | str:
    """Return True if the device gives a byte of memory, else the CUDA runtime's reason."""
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        return f"needs cuda.bindings, which does not load: {error}"
    try:
        status, count = runtime.cudaGetDeviceCount()
        if int(status) == 0 and not count:
            return "no CUDA device"
        if int(status) == 0:
            status, pointer = runtime.cudaMalloc(1)
        if int(status) == 0:
            (status,) = runtime.cudaFree(pointer)
        if int(status) == 0:
            return True
        _, message = runtime.cudaGetErrorString(status)
    except RuntimeError as error:  # a part of CUDA is missing from the machine
        return f"no CUDA device: {error}"
    return f"no CUDA device: {message.decode()}"


@functools.cache
def _memory() -> tuple[rmm.mr.PoolMemoryResource, rmm.mr.StatisticsResourceAdaptor]:
    """Take device memory through a counted pool, once in a process; let data frames spill to the host."""
    import cudf
    import rmm

    pool: rmm.mr.PoolMemoryResource = rmm.mr.PoolMemoryResource(
        rmm.mr.get_current_device_resource(), initial_pool_size=_FIRST_POOL
    )
    # cuDF puts a resource of its own on top to spill: rmm.statistics would not find the counters below it.
    counted: rmm.mr.StatisticsResourceAdaptor = rmm.mr.StatisticsResourceAdaptor(pool)
    rmm.mr.set_current_device_resource(counted)
    cudf.set_option("spill", True)
    return pool, counted


def free_memory() -> int:
    """Return the bytes that a kernel could take now: of the device, and of the pool what is not in use."""
    import rmm

    with on_device():
        free, _ = rmm.mr.available_device_memory()
        pool: rmm.mr.PoolMemoryResource = _memory()[0]
        counted: rmm.mr.StatisticsResourceAdaptor = _memory()[1]
        held: rmm.statistics.Statistics = counted.allocation_counts
        return int(free + max(0, pool.pool_size() - held.current_bytes))


@contextmanager
def metered() -> Iterator[Meter]:
    """Measure the most device memory that is held at once beyond what was held before."""
    meter = Meter()
    with on_device():
        counted: rmm.mr.StatisticsResourceAdaptor = _memory()[1]
        counted.push_counters()
    try:
        yield meter
    finally:
        held: rmm.statistics.Statistics = counted.pop_counters()
        meter.bytes = int(held.peak_bytes)


@contextmanager
def on_device(not_converged: str = "it did not converge") -> Iterator[None]:
    """Run a kernel: translate what RAPIDS raises at run time; mistakes of use stay as they are."""
    from cugraph.exceptions import FailedToConvergeError

    try:
        _memory()
        yield
    except FailedToConvergeError as error:
        raise KernelFailedError(not_converged) from error
    except MemoryError as error:
        raise KernelFailedError(f"out of device memory ({error})") from error
    except RuntimeError as error:
        raise KernelFailedError(f"the device failed ({error})") from error
