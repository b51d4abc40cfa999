"""The newest trends, and the series that they were found in."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl

from workbench.analysis.baseline import baseline_of
from workbench.analysis.episodes import SEVERITIES
from workbench.analysis.metrics import DISTINCT, NEW
from workbench.analysis.over_time import known_series
from workbench.analysis.series import read_series
from workbench.analysis.tasks import tasks
from workbench.errors import UnknownNameError, UsageError
from workbench.tabular import Tabular, TitledTable, html_table, text_table

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.analysis.baseline import Baseline
    from workbench.analysis.series import Resolution, SeriesSet
    from workbench.config.entity_schema import EntitySchema
    from workbench.knowledge import Knowledge
    from workbench.storage import Snapshot
    from workbench.storage.by_segment import BySegment

__all__ = ["TrendTable", "Trends"]

_SHOWN = (
    "metric",
    "dimension",
    "value",
    "severity",
    "direction",
    "since",
    "until",
    "peak",
    "observed",
    "expected",
)


class World(Protocol):
    """What trends need of a workspace."""

    @property
    def snapshot(self) -> Snapshot:
        """Return the generation that is being read."""

    @property
    def by_segment(self) -> BySegment:
        """Return what finds, and keeps, what single segments tell."""

    @property
    def schema(self) -> EntitySchema:
        """Return what events give."""

    @property
    def timezone(self) -> str:
        """Return the zone of local days and hours."""

    def compute(self, task: str) -> Knowledge:
        """Return a task's result over the window."""


class TrendTable(TitledTable):
    """Episodes, or a series with its baseline."""

    def __repr__(self) -> str:
        """Return the first rows as text: of episodes the columns that people read first."""
        return text_table(self._shown(), self.title, self.timezone)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": html_table(self._shown(), self.title, self.timezone)}

    def _shown(self) -> pa.Table:
        return self.table.select(_SHOWN) if "severity" in self.table.column_names else self.table


class Trends(Tabular):
    """When more or less happened than usual, worst first: a row an episode.

    The rows are the knowledge ``trends`` over the whole window, computed where it is not there yet.

    Args:
        world: The workspace.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.timezone = world.timezone
        self._baselines: dict[tuple[Resolution, str], Baseline] = {}
        self._computed: tuple[int, Knowledge] | None = None
        self._told: tuple[int, SeriesSet] | None = None

    @property
    def knowledge(self) -> Knowledge:
        """Return the newest run over the window with its record."""
        if self._computed is None or self._computed[0] != self._world.snapshot.generation:
            found = self._world.compute("trends")
            # storing it has made a generation
            self._computed = (self._world.snapshot.generation, found)
        return self._computed[1]

    def to_arrow(self) -> pa.Table:
        """Return all episodes."""
        return self.knowledge.to_arrow()

    def _title(self) -> str:
        return f"Trends, a row an episode, worst first (as of {self.knowledge.run.asof})"

    def __repr__(self) -> str:
        """Return the worst episodes as text."""
        return repr(self._shown())

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        return self._shown()._repr_mimebundle_(**options)

    def _shown(self) -> TrendTable:
        return TrendTable(self.to_arrow(), self._title(), self.timezone)

    def alerts(self, severity: str = "notable", *, metric: str | None = None) -> TrendTable:
        """Return the episodes that are at least so severe, worst first.

        Args:
            severity: ``notable`` (z of 2), ``significant`` (3) or ``critical`` (4).
            metric: Only this one's.

        Raises:
            UnknownNameError: If there is no such severity or metric.
        """
        if severity not in SEVERITIES:
            raise UnknownNameError("severity", severity, SEVERITIES, where="trends")
        found = self.to_arrow()
        known = metric is None or metric in found["metric"].to_pylist()
        if not known and metric not in self.metrics:
            raise UnknownNameError("metric", str(metric), self.metrics, where="trends")
        wanted = SEVERITIES[SEVERITIES.index(severity) :]
        rows = pl.DataFrame(found).filter(
            pl.col("severity").is_in(wanted), pl.lit(metric is None) | (pl.col("metric") == (metric or ""))
        )
        title = f"Trends, {severity} or worse" if severity != "critical" else "Critical trends"
        return TrendTable(rows.to_arrow(compat_level=pl.CompatLevel.oldest()), title, self.timezone)

    @property
    def metrics(self) -> list[str]:
        """Return what is measured: events of a type, ``share of`` them, ``distinct`` and ``new`` entities.

        Of clusters and communities there are metrics as soon as there is a result of them.
        """
        schema = self._world.schema
        named = {rule.type or role for e in schema.events.values() for role, rule in e.entities.items()}
        entities = {f"{kind}{name}" for name in named - schema.attributes for kind in (DISTINCT, NEW)}
        found = (s.names["metric"] for s in (self._known, *self._whole.values()))
        return sorted(entities.union(*found))

    def series(
        self,
        metric: str,
        dimension: str | None = None,
        value: str | None = None,
        *,
        resolution: Resolution = "day",
    ) -> TrendTable:
        """Return ``time``, ``observed``, ``expected``, ``lower``, ``upper`` and ``z`` of one series.

        Between ``lower`` and ``upper`` nothing is notable; they are null where too little is known. ``z``
        is the column that severity is about.

        Args:
            metric: One of :attr:`metrics`.
            dimension: An entity type, for the series by one of its entities.
            value: The entity's key.
            resolution: ``hour`` or ``day``; by dimension, and of entities, clusters and communities, there
                are days only.

        Raises:
            UnknownNameError: If there is no such series; near misses are suggested.
            UsageError: If ``dimension`` is given without ``value``, or the other way round.
        """
        if (dimension is None) != (value is None):
            raise UsageError("a series by dimension needs both, the dimension and its value.")
        if resolution not in ("hour", "day"):
            raise UnknownNameError("resolution", resolution, ("hour", "day"), where="trends")
        metric = str(metric)  # what is no text is no metric
        series, baseline = self._with_baseline(resolution, self._source(metric, dimension, resolution))
        row = _row(series, metric, dimension, value)
        one = series.select([row])
        weight = np.divide(
            1.0, one.totals[0], where=one.totals[0] > 0, out=np.full(len(series.buckets), np.nan)
        )
        weight = weight if one.shares[0] else np.ones(len(series.buckets))
        expected = baseline.expected[row]
        reach = baseline.width[row] * baseline.scale[row]
        frame = pl.DataFrame(
            {
                "time": series.buckets.starts,
                "observed": one.observed[0],
                "expected": expected * weight,
                "lower": (expected - reach).clip(0.0) * weight,
                "upper": (expected + reach) * weight,
                "z": baseline.z[row],
            }
        ).fill_nan(None)
        if one.shares[0]:
            frame = frame.with_columns(pl.col("upper").clip(upper_bound=1.0))
        of = f" of {dimension}:{value}" if dimension else ""
        title = f"{metric}{of} by {resolution}"
        return TrendTable(frame.to_arrow(compat_level=pl.CompatLevel.oldest()), title, self.timezone)

    def _read(self, most_values: int | None) -> dict[Resolution, SeriesSet]:
        world = self._world
        return read_series(
            world.by_segment,
            world.snapshot.segments,
            world.timezone,
            attributes=world.schema.attributes,
            terms=world.schema.terms,
            most_values=most_values,
            new_days=self._parameters["new_days"],
        )

    def _source(self, metric: str, dimension: str | None, resolution: Resolution) -> str:
        """Return where a series is: the sightings are opened only for what cannot be told without them."""
        if dimension is None and metric in self._whole[resolution].names["metric"]:
            return "whole"
        known = dimension is None and resolution == "day" and metric in self._known.names["metric"]
        return "known" if known else "all"

    @cached_property
    def _parameters(self) -> dict[str, Any]:
        # an earlier version's run may lack some
        return tasks.load("trends").complete(self.knowledge.run.parameters)

    @property
    def _known(self) -> SeriesSet:
        """Return what other tasks tell: they may have told more since the documents were read."""
        now = self._world.snapshot
        if self._told is None or self._told[0] != now.generation:
            days = self._whole["day"].buckets
            found = known_series(now, now.segments, days, self.timezone, least=1)
            self._told = (now.generation, found)
            self._baselines.pop(("day", "known"), None)
        return self._told[1]

    @cached_property
    def _whole(self) -> dict[Resolution, SeriesSet]:
        return self._read(None)

    @cached_property
    def _series(self) -> dict[Resolution, SeriesSet]:
        return self._read(self._parameters["most_values"])

    def _with_baseline(self, resolution: Resolution, source: str) -> tuple[SeriesSet, Baseline]:
        if source == "known":
            series = self._known
        else:
            series = (self._whole if source == "whole" else self._series)[resolution]
        if (resolution, source) not in self._baselines:
            found = baseline_of(series, self._parameters["method"], self._parameters["weeks"])
            self._baselines[resolution, source] = found
        return series, self._baselines[resolution, source]


def _row(series: SeriesSet, metric: str, dimension: str | None, value: str | None) -> int:
    """Return a series' row number.

    Raises:
        UnknownNameError: If there is no such series.
    """
    names = series.names.with_row_index("row")
    for column, wanted in (("metric", metric), ("dimension", dimension), ("value", value)):
        found = names.filter(pl.col(column).eq_missing(pl.lit(wanted, pl.String)))
        if found.is_empty():
            known = names[column].drop_nulls().unique()
            what = f"{column} of a series by {series.buckets.resolution}"
            raise UnknownNameError(what, str(wanted), known, where="trends")
        names = found
    return int(names["row"][0])
