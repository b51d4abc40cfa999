"""The anomalies of a workspace: ``db.anomalies``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from workbench.errors import UnknownNameError
from workbench.given import whole
from workbench.graph.keys import format_entity, parse_entity
from workbench.tabular import Tabular

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.analysis.reweighting import Reweighting
    from workbench.analysis.triage import Triage
    from workbench.knowledge import Knowledge, KnowledgeStore
    from workbench.storage import Snapshot

__all__ = ["Anomalies"]

_PROFILE = "ensemble"


class _World(Protocol):
    timezone: str

    @property
    def knowledge(self) -> KnowledgeStore: ...
    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def triage(self) -> Triage: ...
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
        """Return place, entity, score, class, reason and detections of the ``n`` most anomalous actors.

        Raises:
            UsageError: If ``n`` is no number, or negative.
        """
        n = whole(n, "n")
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

    def events(self, n: int = 20) -> pl.DataFrame:
        """Return the ``n`` single events of the judged days whose fields hardly ever stand together.

        ``address``, ``event_type``, ``time``, the two ``fields`` with their values, how often they were
        ``seen`` together and ``expected`` to be, and ``z``. They are read anew.

        Raises:
            UsageError: If ``n`` is no number, or negative; the events of one actor are in :meth:`of`.
        """
        n = whole(n, "n")
        from workbench.analysis.rare import rare_events  # noqa: PLC0415  (asked for rarely)

        run = self.knowledge.run
        snapshot = self._world.snapshot
        days = [s for s in snapshot.segments if s <= run.day][-run.parameters["lookback_days"] :]
        return rare_events(snapshot, days, n)

    def mark(self, entity: str, mark: str, *, note: str = "", author: str = "") -> dict[str, Any]:
        """Say what an actor's anomaly is, and keep it with author and time, shown to all.

        Args:
            entity: Whose, ``type:key``.
            mark: ``confirmed``, ``benign`` or ``ignored``.
            note: Why.
            author: Who says so; by default the user of this process.

        Raises:
            UnknownNameError: If the run has no such actor, or there is no such mark.
            ReadOnlyError: If the workspace is a mirror.
        """
        row = self.of(entity)
        return self._world.triage.mark(
            entity, mark, note=note, author=author, of=row, run=self.knowledge.run.id
        )

    def marks(self) -> pl.DataFrame:
        """Return the newest mark of each actor, with author, time, note, run and score."""
        return self._world.triage.marks()

    def precision(self) -> pl.DataFrame:
        """Return how often the anomalies, and each signal that spoke, were right by the marks."""
        return self._world.triage.precision()

    def reweight(self, *, first: int = 50) -> Reweighting:
        """Return what would change if signals counted by their precision; nothing is applied yet.

        Args:
            first: How many of the highest places are compared beside the classes.

        Raises:
            UsageError: If nothing is marked as confirmed or benign.
        """
        from workbench.analysis.reweighting import reweighted  # noqa: PLC0415  (asked for rarely)

        return reweighted(self._world, self.knowledge, first)

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
        said = self._world.triage.log(row["entity"])
        lines += [
            f"  {at:%Y-%m-%d} {author}: {mark or 'note'}{f', {note}' if note else ''}"
            for at, author, mark, note in said.select("at", "author", "mark", "note").iter_rows()
        ]
        return "\n".join(lines)

    def _title(self) -> str:
        return self.knowledge._title()  # noqa: SLF001  (a table's title is its run's)
