"""What the world hands over: one event type of one day, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TYPES", "Batch"]

TYPES = ("Login", "GameOpened", "API Error", "PopupModule")


@dataclass(frozen=True)
class Batch:
    """The events of one type on one UTC day, by time.

    Attributes:
        type: One of :data:`TYPES`.
        day: Index of the day, from 0.
        ts: Microseconds since 1970, UTC, not falling.
        member: Code of the member, -1 for an unknown one.
        device: Code of the device, -1 for none.
        visit: Identifier of the visit, unique over the log; -1 outside of any.
        subject: Code of what it is about: a way to log in, a game, an error, a pop-up.
        detail: Further codes by name.
    """

    type: str
    day: int
    ts: NDArray[np.int64]
    member: NDArray[np.int32]
    device: NDArray[np.int32]
    visit: NDArray[np.int64]
    subject: NDArray[np.int32]
    detail: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.ts)
