"""Identifiers of documents: unique in their segments, without reading all that is stored there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.partials.documents import assign_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.storage import Snapshot

__all__ = ["identified"]

_NEAR = 1_000  # microseconds: an identifier that was taken is at most a few after its time's own


def identified(snapshot: Snapshot, typed: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Give every document its ``_id``, unique over all event types of its segment.

    Of what is stored only parts are looked at whose times overlap: identifiers begin with the time.
    """
    facts = [
        frame.select("_segment", "_ts", "_hash", pl.lit(name).alias("name")).with_row_index("row")
        for name, frame in sorted(typed.items())
    ]
    if not facts:
        return {}
    parts = [
        part.with_columns(assign_ids(part, _taken(snapshot, str(segment), part["_ts"])))
        for (segment,), part in pl.concat(facts).partition_by("_segment", as_dict=True).items()
    ]
    by_name = pl.concat(parts).partition_by("name", as_dict=True)
    return {
        str(name): typed[str(name)].with_columns(part.sort("row")["_id"]) for (name,), part in by_name.items()
    }


def _taken(snapshot: Snapshot, segment: str, times: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    moments = times.to_physical().to_numpy()
    first, last = int(moments.min()) - _NEAR, int(moments.max()) + _NEAR
    near = [
        snapshot.read(part, columns=["_id"])["_id"].to_numpy()
        for part in snapshot.files("events", segments=[segment])
        if part.min_ts is not None
        and part.max_ts is not None
        and part.min_ts <= last
        and part.max_ts >= first
    ]
    return np.concatenate([np.empty(0, dtype=np.int64), *near])
