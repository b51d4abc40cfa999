"""What the log calls everything that the world numbers: members, devices, games, pop-ups, errors, places."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.samples.gaming.text import hexadecimal, mixed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Call", "Fault", "Locale", "Names", "Profile", "Sizes"]

_NUMBERS = 10_000
_STEP = 48_271_013  # has no divisor in common with the number of names: every one comes once


class Call(NamedTuple):
    """A call of the platform's interface."""

    service: str
    method: str
    path: str
    stage: str


class Fault(NamedTuple):
    """A way in which a call fails."""

    text: str
    code: str
    status: str


class Profile(NamedTuple):
    """A kind of device: what its browser or its app says about it."""

    platform: str
    browser: str
    version: str
    system: str
    system_version: str
    model: str
    screen: str
    pixel_ratio: str
    weight: float

    @property
    def agent(self) -> str:
        """The header User-Agent."""
        client = (
            f"{self.browser.replace(' ', '')}/{self.version}" if self.browser else "LobbyApp/7 okhttp/4.12"
        )
        return f"Mozilla/5.0 ({self.system} {self.system_version}; {self.model}) {client}"


class Locale(NamedTuple):
    """Where somebody is, as the time zone tells it."""

    timezone: str
    country: str
    region: str
    language: str
    edge: str


@dataclass(frozen=True)
class Sizes:
    """How many there are of each kind."""

    members: int
    devices: int
    games: int
    providers: int
    popups: int
    errors: int
    affiliates: int


class Names:
    """The names of one world.

    A few devices have no fingerprint, a few games no ``gameUid`` and a few pop-ups no ``componentId``:
    there another field says which one it is, as in the schema's fall-backs.

    Args:
        sizes: How many names of each kind are needed.
    """

    def __init__(self, sizes: Sizes) -> None:
        words = _vocabulary()
        self.platforms, self.currencies = words["platforms"].split(), words["currencies"].split()
        self.vip_groups, self.login_methods = words["vip_groups"].split(), words["login_methods"].split()
        self.calls = [Call(*row) for row in words["calls"]]
        self.profiles = [Profile(*row) for row in words["profiles"]]
        self.locales = [Locale(*row) for row in words["locales"]]
        self.members = _people(words["given"].split(), words["family"].split(), sizes.members)
        self.affiliates = _numbered("AF", np.arange(sizes.affiliates) * 3 + 1_207)
        self.providers = _first(words["studios"].split(), sizes.providers)
        self._name_devices(sizes.devices)
        self._name_games(words["titles"].split(), words["themes"].split(), sizes.games)
        self._name_popups(words["popups"].split(), sizes.popups)
        self._name_errors([Fault(*row) for row in words["faults"]], sizes.errors)

    def to(self, *services: str) -> tuple[str, frozenset[int]]:
        """Return the condition that a call is one to these services."""
        return "call", frozenset(n for n, call in enumerate(self.calls) if call.service in services)

    def _name_devices(self, number: int) -> None:
        codes = np.arange(number)
        self.fingerprints = hexadecimal(mixed(codes, 11))
        self.device_ids = pc.binary_join_element_wise("ins-", hexadecimal(mixed(codes, 12)), "")
        self.has_fingerprint = mixed(codes, 13) % np.uint64(20) > 0
        self.devices = pc.if_else(pa.array(self.has_fingerprint), self.fingerprints, self.device_ids)

    def _name_games(self, first: list[str], second: list[str], number: int) -> None:
        codes = np.arange(number)
        self.game_uids = _numbered("g", codes * 7 + 10_021)
        round_, place = np.divmod(codes, len(first) * len(second))
        pair = [
            pa.array(w).take(pa.array(place % len(w))) for w in (first, second)
        ]  # coprime: each pair once
        again = _numbered(" ", round_ + 1)
        ending = pc.if_else(pa.array(round_ > 0), again, "")
        self.game_titles = pc.binary_join_element_wise(pc.binary_join_element_wise(*pair, " "), ending, "")
        self.has_game_uid = mixed(codes, 14) % np.uint64(25) > 0
        self.games = pc.if_else(pa.array(self.has_game_uid), self.game_uids, self.game_titles)

    def _name_popups(self, kinds: list[str], number: int) -> None:
        codes = np.arange(number)
        self.popup_types = pa.array(kinds).take(pa.array(codes % len(kinds)))
        self.component_ids = pc.binary_join_element_wise(self.popup_types, _numbered("", codes + 100), "-")
        self.tracking_ids = _numbered("trk-", codes * 13 + 5_003)
        self.has_component = mixed(codes, 15) % np.uint64(12) > 0
        self.popups = pc.if_else(pa.array(self.has_component), self.component_ids, self.tracking_ids)

    def _name_errors(self, faults: list[Fault], number: int) -> None:
        round_, place = np.divmod(np.arange(number), len(self.calls) * len(faults))
        self.error_calls = place % len(self.calls)
        kinds = (place // len(self.calls) + self.error_calls) % len(
            faults
        )  # each pair with a call comes once
        self.error_faults = [faults[n] for n in kinds]
        calls = [self.calls[n] for n in self.error_calls]
        again = [f" [{n + 1}]" if n else "" for n in round_]
        self.errors = pa.array(
            [
                f"{c.method} {c.path}: {f.text}{n}"
                for c, f, n in zip(calls, self.error_faults, again, strict=True)
            ]
        )
        no_stage = mixed(np.arange(number), 16) % np.uint64(10) == 0
        self.stages = pa.array([None if none else c.stage for none, c in zip(no_stage, calls, strict=True)])


def _vocabulary() -> dict[str, Any]:
    from ruamel.yaml import YAML  # noqa: PLC0415  (only where a log is generated)

    text = files("workbench.samples.gaming").joinpath("vocabulary.yaml").read_text(encoding="utf-8")
    words: dict[str, Any] = YAML(typ="safe").load(text)
    return words


def _people(given: list[str], family: list[str], number: int) -> pa.StringArray:
    """Return different names as people choose them for themselves: ``thongtran2904``."""
    names = [first + last for first, last in product(given, family)]
    places = np.arange(number, dtype=np.int64) * _STEP % (len(names) * _NUMBERS)
    digits = pa.array(places // len(names)).cast(pa.string())
    return pc.binary_join_element_wise(pa.array(names).take(pa.array(places % len(names))), digits, "")


def _numbered(prefix: str, numbers: NDArray[Any]) -> pa.StringArray:
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")


def _first(words: list[str], number: int) -> pa.StringArray:
    return pa.array(words[:number]) if number <= len(words) else _numbered("studio-", np.arange(number))
