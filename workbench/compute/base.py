"""What a compute backend is, and how one is chosen for a call."""

from __future__ import annotations

import functools
import time
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from workbench.compute._graph import EdgeList, UndirectedGraph
from workbench.compute._graph_kernels import GraphKernels
from workbench.compute._memory import Growth
from workbench.compute._point_kernels import PointKernels
from workbench.compute._points import Points
from workbench.compute._row_kernels import RowKernels
from workbench.compute._rows import Measure, Rows
from workbench.errors import DriverUnavailableError, KernelFailedError, UnknownNameError
from workbench.logs import get_logger

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from workbench.compute._memory import Meter
    from workbench.registry import Registry

__all__ = [
    "KERNELS",
    "Backend",
    "Device",
    "EdgeList",
    "Kernel",
    "KernelRun",
    "Measure",
    "Points",
    "Rows",
    "UndirectedGraph",
    "choose",
    "run",
]

Device = Literal["auto", "cpu", "gpu"]
Kernel = Literal[
    "pagerank",
    "communities",
    "components",
    "core_numbers",
    "betweenness",
    "hops",
    "distances",
    "kmeans",
    "pca",
    "isolation",
    "dbscan",
    "hdbscan",
    "neighbours",
    "umap",
    "aggregate",
]
KERNELS: tuple[Kernel, ...] = get_args(Kernel)


@dataclass(frozen=True)
class KernelRun:
    """A kernel's result with how it came about.

    Attributes:
        table: One row a node, point or group, sorted by ``node``, ``row`` or the keys.
        device: Which backend ran.
        reason: Why the preferred backend did not run; empty where it did.
        seconds: Wall time of the kernel.
        metrics: Figures about the result, for example ``{"modularity": 0.41}``.
        versions: The libraries that did the work.
        memory: Bytes: of a GPU, the most that the kernel held of its memory; else by how much the
            process's peak resident memory grew, 0 where the kernel stayed below an earlier peak. What
            else runs in the process at that time counts too.
    """

    table: pa.Table
    device: str
    reason: str
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    memory: int = 0


class Backend(GraphKernels, PointKernels, RowKernels):
    """The kernels of one device.

    A kernel takes an :class:`EdgeList`, :class:`Points` or :class:`Rows` and returns
    ``(table, metrics)``: the table has one row for each node, point or group, sorted by ``node`` or
    ``row`` (int32) or by the keys. Labels are canonical: a component or community is named by its
    smallest member, clusters are numbered by size, so that equal partitions are equal tables.

    A driver writes :meth:`versions` and the ``solve`` methods, which only ever see graphs with an
    edge and points that can be told apart; everything that has to be the same on every device is
    done in the kernels. A kernel that the device's library lacks is named in ``gaps`` with the reason;
    ``device="auto"`` then falls back and says so.

    Attributes:
        preference: ``device="auto"`` tries the backend with the highest one first.
        gaps: Kernels that this backend does not have, each with the reason; ``communities:louvain`` is the
            kernel with that method.
    """

    preference: ClassVar[int] = 0
    gaps: ClassVar[dict[str, str]] = {}

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Return the version of each library that this backend calls."""

    @classmethod
    def gap(cls, kernel: str, method: str = "") -> str:
        """Return why this backend does not have a kernel; nothing if it has it."""
        return cls.gaps.get(kernel) or cls.gaps.get(f"{kernel}:{method}") or ""

    def metered(self) -> AbstractContextManager[Meter]:
        """Measure the memory that is taken meanwhile; see :attr:`KernelRun.memory`."""
        return Growth()


def choose(
    backends: Registry[Backend], device: Device | str, kernel: Kernel, method: str = ""
) -> tuple[str, str]:
    """Return the name of the backend that runs ``kernel`` and why a preferred one does not.

    Raises:
        DriverUnavailableError: If ``device`` names a backend that cannot run here.
        UnknownNameError: If there is no such backend or kernel; near misses are suggested.
    """
    names = _candidates(backends, device, kernel)
    skipped: list[str] = []
    for name in names:
        reason = _why_not(backends.load(name), kernel, method)
        if not reason:
            return name, "; ".join(skipped)
        skipped.append(f"{name}: {reason}")
    raise _unavailable(device, kernel, skipped)


def run(
    backends: Registry[Backend],
    device: Device | str,
    kernel: Kernel,
    data: EdgeList | Points | Rows,
    **options: Any,
) -> KernelRun:
    """Run ``kernel`` and return its result with how it came about.

    ``device="auto"`` takes the backends by preference; one that cannot run here, or that fails at
    this call, is passed over and its reason recorded and logged once. A device by name never falls
    back.

    Raises:
        DriverUnavailableError: If no allowed backend could run the kernel; says why.
        UnknownNameError: If there is no such backend or kernel; near misses are suggested.
        UsageError: If an option is out of range.

    >>> import pyarrow as pa
    >>> from workbench.compute import backends
    >>> path = pa.table({"source": pa.array([0, 1], pa.int32()), "target": pa.array([1, 2], pa.int32()),
    ...                  "weight": [1.0, 1.0]})
    >>> run(backends, "cpu", "components", EdgeList(path, 4)).table["component"].to_pylist()
    [0, 0, 0, 3]
    """
    skipped: list[str] = []
    for name in _candidates(backends, device, kernel):
        backend = backends.load(name)
        reason = _why_not(backend, kernel, options.get("method", ""))
        if not reason:
            start = time.perf_counter()
            try:
                driver = backend()
                with driver.metered() as meter:
                    table, metrics = getattr(driver, kernel)(data, **options)
            except KernelFailedError as failure:
                reason = str(failure)
            else:
                seconds = time.perf_counter() - start
                why, versions = "; ".join(skipped), driver.versions()
                return KernelRun(table, name, why, seconds, metrics, versions, meter.bytes)
        skipped.append(f"{name}: {reason}")
        _announce(kernel, name, reason)
    raise _unavailable(device, kernel, skipped)


def _candidates(backends: Registry[Backend], device: str, kernel: str) -> list[str]:
    """Return the backends that ``device`` allows, the preferred one first."""
    if kernel not in KERNELS:
        raise UnknownNameError("kernel", kernel, KERNELS)
    names = backends.names()
    if device == "auto":
        return sorted(names, key=lambda name: -backends.load(name).preference)
    if device not in names:
        raise UnknownNameError("compute backend", device, [*names, "auto"])
    return [device]


def _why_not(backend: type[Backend], kernel: Kernel, method: str) -> str:
    if gap := backend.gap(kernel, method):
        return gap
    reason = backend.can_run()
    return "" if reason is True else reason


def _unavailable(device: str, kernel: str, skipped: list[str]) -> DriverUnavailableError:
    if device == "auto":
        return DriverUnavailableError(f"no compute backend can run {kernel}: {'; '.join(skipped)}.")
    return DriverUnavailableError(
        f"device {device!r} cannot run {kernel}: {skipped[0].removeprefix(f'{device}: ')}.",
        fix="Use device='auto' to fall back with the reason recorded.",
    )


@functools.cache
def _announce(kernel: str, name: str, reason: str) -> None:
    """Log that a backend was passed over; the cache makes it once for each reason."""
    get_logger("compute").info("backend passed over", kernel=kernel, backend=name, reason=reason)
