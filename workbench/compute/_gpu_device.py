"""The GPU itself: whether there is one, its memory, and how its libraries fail."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from workbench.errors import KernelFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ask_device", "on_device"]

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
def _prepare_memory() -> None:
    """Take device memory through a pool, once in a process, and let data frames spill to the host."""
    import cudf
    import rmm

    pool = rmm.mr.PoolMemoryResource(rmm.mr.get_current_device_resource(), initial_pool_size=_FIRST_POOL)
    rmm.mr.set_current_device_resource(pool)
    cudf.set_option("spill", True)


@contextmanager
def on_device(not_converged: str = "it did not converge") -> Iterator[None]:
    """Run a kernel: translate what RAPIDS raises at run time; mistakes of use stay as they are."""
    from cugraph.exceptions import FailedToConvergeError

    try:
        _prepare_memory()
        yield
    except FailedToConvergeError as error:
        raise KernelFailedError(not_converged) from error
    except MemoryError as error:
        raise KernelFailedError(f"out of device memory ({error})") from error
    except RuntimeError as error:
        raise KernelFailedError(f"the device failed ({error})") from error
