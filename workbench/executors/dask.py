"""Executor ``dask``: processes of this machine, or a cluster that runs somewhere; Dask distributes."""

from __future__ import annotations

import logging
import threading
from collections import deque
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from workbench import __version__
from workbench.errors import DriverUnavailableError, ExecutorError
from workbench.executors.base import Executor, called, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = ["Dask"]

T = TypeVar("T")
R = TypeVar("R")

LOCAL = "local"
_SECONDS = 10.0  # that a scheduler may take to answer
_AHEAD = 2  # items that are sent for each thread of the cluster


class Dask(Executor):
    """Workers of a Dask cluster: processes of this machine (``local``), or those at a scheduler's address.

    Workers have this version of workbench, and see what items name at the same path. A worker that is lost
    is replaced by Dask, and what it was at is done again.

    Args:
        cluster: ``local`` or an address such as ``tcp://host:8786``.
        workers: Of a local cluster, how many processes; 0: one a core.
    """

    requires: ClassVar[tuple[str, ...]] = ("cryptography", "distributed")
    extra = "cluster"
    apart: ClassVar[bool] = True

    def __init__(self, cluster: str = LOCAL, workers: int = 0) -> None:
        self._cluster = cluster
        self._workers = workers
        self._lock = threading.Lock()
        self._client: Any = None

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Yield what ``function`` returns for each item, in their order, while the next ones run."""
        client, names = self._connected(), dict[str, str]()
        sent = _sent(client, function, items, names)
        with self._translated(client, names):
            coming = deque(islice(sent, _AHEAD * max(sum(client.nthreads().values()), 1)))
        while coming:
            with self._translated(client, names):
                found = coming.popleft().result()
                coming.extend(islice(sent, 1))
            yield found

    def reduce(
        self, function: Callable[[T], R], merge: Callable[[Sequence[R]], R], items: Iterable[T]
    ) -> R | None:
        """Return the merge of what ``function`` returns for each item; results stay where they are merged."""
        client, names = self._connected(), dict[str, str]()
        merged = partial(_called, __version__, merge)
        with self._translated(client, names):
            sent = _sent(client, function, items, names)
            root = tree(sent, lambda parts: client.submit(merged, list(parts), pure=False))
            return None if root is None else root.result()

    def close(self) -> None:
        """Leave the cluster; a local one ends, with its processes."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()
            if client.cluster is not None:
                client.cluster.close()

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Any:
        reason = self.can_run()
        if reason is not True:
            raise DriverUnavailableError(f"the setting cluster is {self._cluster!r}, which {reason}.")
        from distributed import Client, LocalCluster  # noqa: PLC0415

        if self._cluster == LOCAL:
            # Keys of its own: whoever can speak to a scheduler can run code. No dashboard, which nobody asked
            # for; what fails is raised, not logged too.
            cluster = LocalCluster(
                n_workers=self._workers or None,
                threads_per_worker=1,
                host="127.0.0.1",
                security=True,
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False, "allowed_failures": 2},
                silence_logs=logging.CRITICAL,
            )
            return Client(cluster, set_as_default=False)
        try:
            client = Client(self._cluster, timeout=_SECONDS, set_as_default=False)
        except OSError as error:  # a TimeoutError is one
            raise ExecutorError(
                "no scheduler answers there.",
                where=self._cluster,
                fix="Start one with 'dask scheduler', or leave the setting cluster empty for threads.",
            ) from error
        try:
            client.wait_for_workers(1, timeout=_SECONDS)
        except TimeoutError as error:
            client.close()
            raise ExecutorError(
                "the scheduler has no workers.",
                where=self._cluster,
                fix=f"Start them with 'dask worker {self._cluster}'.",
            ) from error
        return client

    @contextmanager
    def _translated(self, client: Any, names: Mapping[str, str]) -> Iterator[None]:
        from distributed.scheduler import KilledWorker  # noqa: PLC0415

        try:
            yield
        except KilledWorker as error:
            raise ExecutorError(
                f"workers died one after the other, at {names.get(str(error.task), 'a merge')} "
                "or what waited beside it.",
                where=self._cluster,
                fix="Their memory may not suffice: give each more, or have fewer threads in each.",
            ) from error
        except (CancelledError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and client.status == "running":
                raise
            raise ExecutorError(
                "the cluster is gone, or was closed.", where=self._cluster, fix="Run it again."
            ) from error


def _sent(
    client: Any, function: Callable[[T], R], items: Iterable[T], names: dict[str, str]
) -> Iterator[Any]:
    """Yield what will be the results, each sent when it is asked for; note the item of each by its key."""
    run = partial(_called, __version__, function)
    for item in items:
        future = client.submit(run, item, pure=False)
        names[future.key] = str(item)
        yield future


def _called(version: str, function: Callable[[T], R], item: T) -> R:
    """Return what a function returns on a worker.

    Raises:
        ExecutorError: If another version runs here: its results may be other ones.
    """
    if version != __version__:
        raise ExecutorError(
            f"a worker has workbench {__version__}, this is {version}.", fix="Install the same on both."
        )
    return called(function, item)
