"""The truth about a generated log as Parquet files, under the keys that its events have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.samples.files import replacing
from workbench.samples.gaming.population import NEVER, ZONES
from workbench.samples.gaming.truth import truth

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from workbench.samples.gaming.names import Names
    from workbench.samples.gaming.world import World

__all__ = ["write_truth"]


def write_truth(directory: Path, world: World, names: Names) -> None:
    """Write what is true of the world: who there is, and what is planted.

    ``members``, ``devices``, ``games``, ``errors`` and ``vip_moves``; and the tables of
    :func:`~workbench.samples.gaming.truth.truth`: ``anomalies``, ``benign`` and ``sequences``.

    Args:
        directory: Where to write; made if it is not there.
        world: Who and what there is.
        names: Its names.
    """
    directory.mkdir(parents=True, exist_ok=True)
    planted = {name: _with_keys(table, names) for name, table in truth(world).items()}
    for name, table in (_tables(world, names) | planted).items():
        with replacing(directory / f"{name}.parquet") as file:
            pq.write_table(table, file, compression="zstd")


def _tables(world: World, names: Names) -> dict[str, pa.Table]:
    members, moves = world.members, world.moves
    return {
        "members": pa.table(
            {
                "member": names.members,
                "community": members.community,
                "timezone": _named(members.zone, [zone for zone, _ in ZONES]),
                "platform": _named(members.platform, names.platforms),
                "currency": _named(members.currency, names.currencies),
                "affiliate": names.affiliates.take(pa.array(members.affiliate)),
                "vip_group": _named(members.vip, names.vip_groups),
                "presence": members.presence,
                "joined_day": members.joined,
                "left_day": _day_or_none(members.left),
                "device": _keys(members.device, names.devices),
                "second_device": _keys(members.second, names.devices),
                "replaced_day": _day_or_none(members.replaced),
                "successor_device": _keys(members.successor, names.devices),
                "is_test": members.is_test,
            }
        ),
        "devices": pa.table(
            {
                "device": names.devices,
                "platform": _named(world.devices.platform, names.platforms),
                "kind": _named(world.devices.kind, ["own", "household", "cafe", "attacker"]),
            }
        ),
        "games": pa.table(
            {
                "game": names.games,
                "title": names.game_titles,
                "provider": names.providers.take(pa.array(world.games.provider)),
                "community": world.games.community,
                "popularity": world.games.popularity,
            }
        ),
        "errors": pa.table(
            {"error": names.errors, "stage": names.stages, "popularity": world.errors.popularity}
        ),
        "vip_moves": pa.table(
            {
                "member": names.members.take(pa.array(moves.member)),
                "day": moves.day,
                "vip_group": _named(moves.tier, names.vip_groups),
            }
        ),
    }


def _with_keys(table: pa.Table, names: Names) -> pa.Table:
    """Return a table of what is planted with keys in the place of codes.

    An entity's type stands beside it, and what a step of a sequence is about follows from its event
    type. An error's key is its text: its hash is ingest's affair.
    """
    keys = {
        "member": names.members,
        "device": names.devices,
        "affiliate": names.affiliates,
        "game": names.games,
        "popup": names.popups,
        "error": names.errors,
        "GameOpened": names.games,
        "PopupModule": names.popups,
        "API Error": names.errors,
        "Login": pa.array(names.login_methods),
    }
    for kind, code in (("entity_type", "entity"), ("type", "subject")):
        if code in table.column_names:
            found = np.empty(table.num_rows, dtype=object)
            kinds, codes = table[kind].to_numpy(), table[code].to_numpy()
            for name in np.unique(kinds):
                of = kinds == name
                found[of] = keys[name].take(pa.array(codes[of])).to_numpy(zero_copy_only=False)
            place = table.column_names.index(code)
            table = table.set_column(place, code, pa.array(found, pa.string()))
    return table


def _named(codes: NDArray[Any], words: list[str]) -> pa.StringArray:
    return pa.array(words).take(pa.array(codes))


def _keys(codes: NDArray[Any], keys: pa.StringArray) -> pa.StringArray:
    return keys.take(pa.array(codes, mask=codes < 0))


def _day_or_none(days: NDArray[np.int16]) -> pa.Array:
    return pa.array(days, mask=days == NEVER)
