"""Activity of the whole window, read once, from which that of any part of it is told as if it were read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.analysis.activity import Activity, read_activity

if TYPE_CHECKING:
    from workbench.rules.scene import World

__all__ = ["Memory"]


@dataclass
class Memory:
    """What the subjects did up to a moment.

    Args:
        world: The workspace.
        until: The moment, in microseconds since 1970.
    """

    world: World
    until: int
    _read: dict[str, Activity] = field(default_factory=dict)

    def activity(self, type_: str, since: int, until: int) -> Activity | None:
        """Return what subjects of a type did in a part of the time; None where it has to be read.

        Properties change with time: where they are features, all is read. Edges tell whole days exactly, and
        of less than a day only that they may have been seen: :class:`Scene` reads those.
        """
        encodings = self.world.feature_config.encodings.get(type_, ())
        if any(encoding.property_ for encoding in encodings):
            return None
        whole = self._whole(type_)
        events = whole.events.filter(pl.col("ts").is_between(since, until, closed="left"))
        edges = whole.edges.filter((pl.col("last") >= since) & (pl.col("first") < until))
        known = np.zeros(len(whole.keys), bool)
        for frame in (events, edges):
            known[frame["actor"].to_numpy()] = True
        place = pl.Series(np.cumsum(known) - 1, dtype=pl.Int32)

        def placed(frame: pl.DataFrame) -> pl.DataFrame:
            return frame.with_columns(place.gather(frame["actor"]).alias("actor"))

        return replace(
            whole,
            keys=whole.keys.filter(pl.Series(known)),
            events=placed(events),
            edges=placed(edges),
            since=since,
            until=until,
        )

    def _whole(self, type_: str) -> Activity:
        if type_ not in self._read:
            world = self.world
            segments = world.snapshot.segments
            self._read[type_] = read_activity(world.snapshot, segments, world.schema, type_, 0, self.until)
        return self._read[type_]
