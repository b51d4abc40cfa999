"""Who and what there is in the generated world: members, devices, games, pop-ups and errors, by code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CALLS",
    "HUB",
    "NEVER",
    "SIZES",
    "ZONES",
    "Devices",
    "Errors",
    "Games",
    "Members",
    "Popups",
    "shares",
]

ZONES = (
    ("Europe/Berlin", 0.16),
    ("Europe/London", 0.12),
    ("Europe/Helsinki", 0.07),
    ("America/Sao_Paulo", 0.12),
    ("America/New_York", 0.10),
    ("America/Los_Angeles", 0.06),
    ("Asia/Ho_Chi_Minh", 0.12),
    ("Asia/Bangkok", 0.08),
    ("Asia/Tokyo", 0.05),
    ("Asia/Kolkata", 0.06),
    ("Australia/Sydney", 0.04),
    ("UTC", 0.02),
)
"""Time zones that members live in, with their shares."""

SIZES = {
    "platforms": 8,
    "currencies": 3,
    "vip_groups": 6,
    "login_methods": 6,
    "affiliates": 500,
    "games": 1240,
    "providers": 20,
    "popups": 300,
    "errors": 240,
    "communities": 16,
}
"""How many there are of everything whose number does not depend on the log's size."""

CALLS = 20  # calls of the platform's interface: an error is a fault of the call ``code % CALLS``
HUB = -1  # the community of games that everybody plays
NEVER = np.iinfo(np.int16).max  # a day that no log reaches


@dataclass(frozen=True)
class Members:
    """Accounts, a struct of arrays.

    Attributes:
        zone: Place in :data:`ZONES`.
        chronotype: 0 to 2, from early to late.
        currency: Code of the currency.
        platform: Code of the platform that the member prefers.
        affiliate: Code of who brought the member.
        vip: Code of the VIP group on the first day, 0 is the lowest; see :meth:`World.vip_on`.
        login_method: Code of the way to log in that the member prefers.
        community: The games that the member mostly plays.
        temper: What the member's visits are mostly made of.
        presence: Probability to come on an average day.
        appetite: Length of the member's visits, relative to others'.
        joined: First day on which the member may come, at most 0 for those that were there before.
        left: Day from which the member comes no more.
        away_from: First day of an absence, such as a holiday.
        away_to: The day after its last one.
        device: Code of the device that the member mostly comes with, -1 for none that can be recognised.
        machines: The member uses any of so many devices from ``device`` on.
        second: Code of a second device, -1 for none.
        replaced: Day on which ``successor`` replaces ``device``.
        successor: Code of the device that replaces it.
        is_test: Whether it is a test account.
    """

    zone: NDArray[np.int8]
    chronotype: NDArray[np.int8]
    currency: NDArray[np.int8]
    platform: NDArray[np.int8]
    affiliate: NDArray[np.int16]
    vip: NDArray[np.int8]
    login_method: NDArray[np.int8]
    community: NDArray[np.int8]
    temper: NDArray[np.int8]
    presence: NDArray[np.float32]
    appetite: NDArray[np.float32]
    joined: NDArray[np.int16]
    left: NDArray[np.int16]
    away_from: NDArray[np.int16]
    away_to: NDArray[np.int16]
    device: NDArray[np.int32]
    machines: NDArray[np.int16]
    second: NDArray[np.int32]
    replaced: NDArray[np.int16]
    successor: NDArray[np.int32]
    is_test: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of accounts."""
        return len(self.zone)


@dataclass(frozen=True)
class Devices:
    """Devices, a struct of arrays.

    Attributes:
        platform: Code of the platform.
        kind: 0 one member's own, 1 a household's, 2 a café's, 3 an attacker's.
    """

    platform: NDArray[np.int8]
    kind: NDArray[np.int8]

    def __len__(self) -> int:
        """Return the number of devices."""
        return len(self.platform)


@dataclass(frozen=True)
class Games:
    """Games, a struct of arrays.

    Attributes:
        provider: Code of the provider.
        community: Whose games they are; :data:`HUB` for those that everybody plays.
        popularity: Share of the play within the community.
    """

    provider: NDArray[np.int8]
    community: NDArray[np.int8]
    popularity: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of games."""
        return len(self.provider)


@dataclass(frozen=True)
class Popups:
    """Pop-ups: the share that each has of all that are shown."""

    popularity: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of pop-ups."""
        return len(self.popularity)


@dataclass(frozen=True)
class Errors:
    """Errors: the call that fails (code below :data:`CALLS`) and the share of all errors."""

    call: NDArray[np.int8]
    popularity: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of errors."""
        return len(self.popularity)


def shares(weights: NDArray[Any]) -> NDArray[np.float64]:
    """Return weights that sum up to 1."""
    parts: NDArray[np.float64] = np.asarray(weights, dtype=float) / np.sum(weights)
    return parts
