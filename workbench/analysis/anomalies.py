"""The anomalies of a workspace: ``db.anomalies``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from workbench.errors import UnknownNameError
from workbench.graph.keys import format_entity, parse_entity
from workbench.tabular import Tabular

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.knowledge import Knowledge, KnowledgeStore

__all__ = ["Anomalies"]

_PROFILE = "ensemble"


class _World(Protocol):
    timezone: str

    @property
    def knowledge(self) -> KnowledgeStore: ...
    def compute(self, task: str, **parameters: Any) -> Knowledge: ...


class Anomalies(Tabular):
    """The newest anomalies of the profile ``ensemble``, a row an actor, the most anomalous first.

    They are computed at first use where there are none yet.
    """

    profile = _PROFILE

    def __init__(self, world: _World) -> None:
        self._world = world
        self.timezone = world.timezone

    @cached_property
    def knowledge(self) -> Knowledge:
        """Return the run that they come from."""
        runs = [r for r in self._world.knowledge.runs("anomalies") if r.parameters["profile"] == _PROFILE]
        if runs:
            return self._world.knowledge.read("anomalies", run=runs[-1].id)
        return self._world.compute("anomalies", profile=_PROFILE)

    def to_arrow(self) -> pa.Table:
        """Return all rows: score, class, place, signals, drivers, why, addresses and detections."""
        return self.knowledge.table

    def top(self, n: int = 20) -> pl.DataFrame:
        """Return place, entity, score, class, reason and detections of the ``n`` most anomalous actors."""
        columns = ["place", "entity", "score", "class", "why", "events", "first_detected", "consecutive"]
        return self.to_polars().head(n).select(columns)

    def of(self, entity: str) -> dict[str, Any]:
        """Return the row of one actor.

        Raises:
            UnknownNameError: If the run has no such actor; near misses are suggested.
        """
        rows = self.to_polars().filter(pl.col("entity") == format_entity(*parse_entity(entity)))
        if rows.is_empty():
            raise UnknownNameError(
                "actor", entity, self.knowledge.table["entity"].to_pylist(), where=self.knowledge.run.id
            )
        return rows.row(0, named=True)

    def explain(self, entity: str) -> str:
        """Return in words how anomalous an actor is, by which signals, and which events are behind it.

        Raises:
            UnknownNameError: If the run has no such actor; near misses are suggested.
        """
        row = self.of(entity)
        place = f"place {row['place']:,} of {len(self):,}"
        lines = [
            f"{row['entity']}: {row['class']}, score {row['score']:.2f}, {place}",
            f"  {row['why']}",
        ]
        signals = {n.removeprefix("signal_"): v for n, v in row.items() if n.startswith("signal_")}
        heard = sorted(((v, n) for n, v in signals.items() if v is not None), reverse=True)
        if heard:
            lines.append("  signals: " + ", ".join(f"{n} {v:.2f}" for v, n in heard))
        silent = [n for n, v in signals.items() if v is None]
        if silent:
            lines.append(f"  nothing to say: {', '.join(silent)}")
        lines += [
            f"  {d['feature']}: {d['value']:.6g}, expected {d['typical']:.3g}, z {d['z']:+.1f}"
            for d in row["drivers"]
        ]
        if row["events"]:
            shown = len(row["addresses"])
            cut = f", the first {shown}" if shown < row["events"] else ""
            lines.append(f"  {row['events']:,} events{cut}: {', '.join(row['addresses'])}")
        if row["consecutive"]:
            since = row["first_detected"].date().isoformat()
            lines.append(f"  first detected as of {since}, in {row['consecutive']} runs in a row")
        return "\n".join(lines)

    def _title(self) -> str:
        return self.knowledge._title()  # noqa: SLF001  (a table's title is its run's)
