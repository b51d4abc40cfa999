"""Executors: one file each, a function over many items and the merge of the results, here or on a cluster."""

from __future__ import annotations

from workbench.executors.base import Executor
from workbench.executors.dask import Dask
from workbench.executors.threads import Threads
from workbench.registry import Registry

__all__ = ["Executor", "Threads", "executors", "named"]

executors: Registry[Executor] = Registry("executor", "workbench.executors", Executor, shared={"ahead"})


def named(cluster: str, *, threads: int = 0) -> Executor:
    """Return the executor that the setting ``cluster`` names; it begins, or says why not, when it is used.

    Args:
        cluster: Empty for threads; ``local``, or a scheduler's address, for Dask.
        threads: Of threads, how many; 0: one a core, but few.

    >>> list(named("").map(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    return Dask(cluster) if cluster else Threads(threads)
