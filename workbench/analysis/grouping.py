"""Rows of a data frame grouped on a device, with a record of how."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from workbench.compute import KernelRun, Rows, backends, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workbench.compute import Measure
    from workbench.compute.base import Device

__all__ = ["Grouping"]


class Grouping:
    """Groups rows by the kernel ``aggregate``, as often as a task needs to.

    Args:
        device: Where.

    >>> group = Grouping("cpu")
    >>> group(pl.DataFrame({"type": ["a", "b", "a"]}), ["type"], {"n": ("rows", "")}).rows()
    [('a', 2), ('b', 1)]
    >>> group.device
    'cpu'
    """

    def __init__(self, device: Device | str = "auto") -> None:
        self._device = device
        self._runs: list[KernelRun] = []

    def __call__(
        self, frame: pl.DataFrame, by: Sequence[str], measures: Mapping[str, Measure]
    ) -> pl.DataFrame:
        """Return a row for each combination of the keys, sorted by them.

        Raises:
            DriverUnavailableError: If the device cannot do it.
        """
        rows = Rows([frame.to_arrow(compat_level=pl.CompatLevel.oldest())])
        found = run(backends, self._device, "aggregate", rows, by=by, measures=measures)
        self._runs.append(found)
        return pl.DataFrame(found.table)

    @property
    def device(self) -> str:
        """Return where it was done; of several devices the one that had to step in."""
        return next((r.device for r in self._runs if r.reason), self._runs[0].device if self._runs else "cpu")

    @property
    def reason(self) -> str:
        """Return why a preferred device did not do it all; empty where it did."""
        return "; ".join(dict.fromkeys(r.reason for r in self._runs if r.reason))

    @property
    def memory(self) -> int:
        """Return the most memory that one of the kernels took; see :class:`workbench.compute.KernelRun`."""
        return max((r.memory for r in self._runs), default=0)

    @property
    def versions(self) -> dict[str, str]:
        """Return the libraries that did it."""
        return {name: number for r in self._runs for name, number in r.versions.items()}
