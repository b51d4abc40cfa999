"""From what happens in the world to what the columns of the log depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.samples.gaming.batch import TYPES
from workbench.samples.gaming.columns import Rows
from workbench.samples.gaming.fields.context import APPS, RELEASES
from workbench.samples.gaming.streams import ladder
from workbench.samples.gaming.text import mixed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.samples.gaming.batch import Batch
    from workbench.samples.gaming.names import Names
    from workbench.samples.gaming.world import World

__all__ = ["Context"]

_DAYS_PER_RELEASE = 9
_LAGS = 4  # releases that some devices are behind the newest
_ROWS = 1 << 32  # of one type on one day: more than there can be
_BYTE = np.uint64(255)


class Context:
    """What follows from who the member is, what the device is and what the event is about.

    Args:
        world: Who and what there is.
        names: Its names.
        dirty: Whether clients spell booleans in ways of their own.
    """

    def __init__(self, world: World, names: Names, *, dirty: bool) -> None:
        self._world, self._dirty = world, dirty
        self._salt = mixed(np.array([world.seed]))[0]
        members, platform = world.members, world.devices.platform
        self._members = {
            "locale": _with_none(members.zone),
            "currency": _with_none(members.currency),
            "affiliate": _with_none(members.affiliate),
        }
        apps = np.isin(names.platforms, APPS)
        self._devices = {
            "printed": _with_none(np.arange(len(platform)), names.has_fingerprint),
            "installed": _with_none(np.arange(len(platform)), apps[platform] | ~names.has_fingerprint),
        }
        codes = np.arange(len(names.game_uids))
        self._subjects: dict[str, dict[str, NDArray[Any]]] = {
            "Login": {"method": np.arange(len(names.login_methods))},
            "GameOpened": {
                "game": codes,
                "uid": np.where(names.has_game_uid, codes, -1),
                "provider": world.games.provider,
            },
            "API Error": {"error": np.arange(len(names.errors)), "call": names.error_calls},
            "PopupModule": {
                "popup": np.arange(len(names.popups)),
                "component": np.where(names.has_component, np.arange(len(names.popups)), -1),
            },
        }
        # who spells a field in which way: the web, Android's app, the other apps
        self._clients = np.where(apps, 2, 0).astype(np.int8)
        self._clients[names.platforms.index("android")] = 1
        self._profiles = np.stack(
            [
                ladder(np.array([p.weight * (p.platform == name) for p in names.profiles]), 256)
                for name in names.platforms
            ]
        )

    def rows(self, batch: Batch, at: NDArray[np.int64]) -> Rows:
        """Return the rows of a batch that stand at the given places."""
        member, device, subject = batch.member[at], batch.device[at], batch.subject[at]
        place = (batch.day * len(TYPES) + TYPES.index(batch.type)) * _ROWS + at
        visit = self._numbers(batch.visit[at], 2)
        person = np.where(member < 0, visit, self._numbers(member, 3))
        numbers = {
            "row": self._numbers(place, 1),
            "visit": visit,
            "member": person,
            "device": np.where(device < 0, person, self._numbers(device, 4)),
            "subject": self._numbers(subject, 5),
        }
        codes = {
            "member": member,
            "vip": _with_none(self._world.vip_on(batch.day))[member],
            **{name: table[member] for name, table in self._members.items()},
            **{name: table[device] for name, table in self._devices.items()},
            **{name: table[subject] for name, table in self._subjects[batch.type].items()},
            **{name: detail[at].astype(np.int32) for name, detail in batch.detail.items()},
            **self._of_clients(member, device, numbers["device"], batch.day),
        }
        return Rows(codes, numbers)

    def _numbers(self, codes: NDArray[Any], salt: int) -> NDArray[np.uint64]:
        return mixed(codes.astype(np.uint64) ^ self._salt, salt)

    def _of_clients(
        self, member: NDArray[np.int32], device: NDArray[np.int32], number: NDArray[np.uint64], day: int
    ) -> dict[str, NDArray[Any]]:
        """Return what a client says of itself: its platform, kind, release and ways of spelling."""
        world = self._world
        platform = np.where(device < 0, world.members.platform[member], world.devices.platform[device])
        lag = (number >> np.uint64(40) & _BYTE).astype(np.int16) ** 2 * _LAGS >> 16
        is_test = (member >= 0) & world.members.is_test[member]
        spelling = (number >> np.uint64(62)).astype(np.int8) if self._dirty else 0
        return {
            "platform": platform,
            "client": self._clients[platform],
            "profile": self._profiles[platform, (number >> np.uint64(32) & _BYTE).astype(np.uint8)],
            "release": np.minimum(day // _DAYS_PER_RELEASE + _LAGS, len(RELEASES) - 1) - lag,
            "test": is_test * np.int8(4) + spelling,
        }


def _with_none(table: NDArray[Any], known: NDArray[np.bool_] | None = None) -> NDArray[Any]:
    """Return a table in which the code -1 leads to -1, as do codes that are not known."""
    return np.append(table if known is None else np.where(known, table, -1), table.dtype.type(-1))
