"""How much memory a kernel takes."""

from __future__ import annotations

import re
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Growth", "Meter", "peak_resident"]

_STATUS = Path("/proc/self/status")


@dataclass
class Meter:
    """What was measured, once the measuring is over.

    Attributes:
        bytes: The figure.
    """

    bytes: int = 0


class Growth(Meter):
    """By how much the process's peak resident memory grows meanwhile.

    The peak never falls: what stays below an earlier one counts 0, and what other threads take counts too.

    >>> with Growth() as grown:
    ...     del list(range(3_000_000))[:]
    >>> grown.bytes >= 0
    True
    """

    def __enter__(self) -> Self:
        """Note the peak so far."""
        self._before = peak_resident()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the difference."""
        self.bytes = peak_resident() - self._before


def peak_resident() -> int:
    """Return the most memory that this process has had in use at once, in bytes."""
    if _STATUS.exists():
        # getrusage's figure begins with that of the process which started this one
        found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
        if found:
            return int(found[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
