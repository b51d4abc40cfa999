"""Actors that are not as they were, or not as the others are."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from workbench.analysis.reasons import DRIVERS, drivers, events_behind, reasons
from workbench.analysis.signals import Scope, signals
from workbench.analysis.tails import combined, score
from workbench.analysis.tasks.base import Context, Outcome, Task
from workbench.analysis.triage import applied_weights
from workbench.analysis.window import actor_type, period
from workbench.compute import KernelRun
from workbench.errors import UnknownNameError, UsageError
from workbench.executors.ahead import ahead
from workbench.partials.documents import DAY_US

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.analysis.signals import Finding

__all__ = ["CLASSES", "Anomalies"]

CLASSES = ("normal", "mild", "anomalous", "highly anomalous")
_LIMITS = (0.3, 0.5, 0.7)
_PROFILES = ("classic", "ensemble")


class Anomalies(Task):
    """An anomaly score for every actor, with the signals, drivers and events behind it.

    ``ensemble`` combines tail probabilities: of counts, new neighbours, sorts of them and hours against the
    actor's own history, of company and features against the other actors. Its score says how improbable the
    actor is: 0.5 and more for less than 1 % of actors where nothing is wrong. ``classic`` is the origin's
    weighted sum.

    Source: spec 5.3; Zaykin et al. 2002 for the combination.
    """

    priority = "P1"
    period = 300.0
    inputs: ClassVar[tuple[str, ...]] = (
        "entities",
        "edges",
        "sightings",
        "properties",
        "texts",
    )
    facts: ClassVar[tuple[str, ...]] = ("attributes", "who", "features", "timezone", "weights")
    defaults: ClassVar[dict[str, Any]] = {
        "type": "",
        "profile": "ensemble",
        "lookback_days": 7,
        "history_days": 56,
    }

    def run(self, context: Context) -> Outcome:
        """Return a row an actor, the most anomalous first.

        Columns: ``entity``, ``type``, ``key``, ``score``, ``class``, ``place``, a ``signal_…`` each,
        ``drivers``, ``why``, ``addresses``, ``events``, ``first_detected``, ``consecutive``.
        """
        start = time.perf_counter()
        scope = _scope(context)
        profile = context.parameters["profile"]
        names = [name for name in signals.names() if signals.load(name).profile == profile]
        scope.matrix  # noqa: B018  (all of them need it)
        found = ahead(partial(signals.create(name).find, scope) for name in names)
        findings = dict(zip(names, found, strict=True))
        applied = applied_weights(context.snapshot.root, profile)
        weights = np.array([applied.get(name, signals.load(name).weight) for name in findings])
        values = np.stack([f.values for f in findings.values()])
        shown, total = _ensemble(values, weights) if profile == "ensemble" else _classic(values, weights)
        rows = np.arange(len(scope)) if profile == "ensemble" else np.flatnonzero(scope.matrix.events > 0)
        judged = _Judged(scope, list(findings), shown, total, rows)
        table = _with_history(judged.table(pl.concat([f.evidence for f in findings.values()])), context)
        kernel = _kernel(findings, time.perf_counter() - start)
        kernel = replace(kernel, metrics=_metrics(table))
        missing = [f"{name} ({f.reason})" for name, f in findings.items() if f.reason]
        without = f" without {', '.join(missing)}: the other weights renormalised" if missing else ""
        arrow = table.to_arrow(compat_level=pl.CompatLevel.oldest())
        how = f"{profile}{' with weights by triage' if applied else ''}{without}"
        return Outcome(arrow, how, kernel)


def _scope(context: Context) -> Scope:
    parameters = context.parameters
    if parameters["profile"] not in _PROFILES:
        raise UnknownNameError("profile", parameters["profile"], _PROFILES)
    for name, least in (("lookback_days", 1), ("history_days", 0)):
        if parameters[name] < least:
            raise UsageError(f"{name} is {parameters[name]}, must be at least {least}.")
    type_ = actor_type(context.schema, parameters["type"] or None)
    since, until = period(context.asof, context.segments, parameters["lookback_days"])
    # the history starts with the window, in whole days before the period
    first, _ = period(context.asof, context.segments, 0)
    days = min(parameters["history_days"], max((since - first) // DAY_US, 0))
    return Scope(context, type_, since, until, since - days * DAY_US, by_hour=True)


def _ensemble(
    values: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the signals as scores, and the score of all together."""
    total = score(combined(values, weights)) if values.shape[1] else np.empty(0)
    return np.stack([score(signal) for signal in values]), total


def _classic(
    values: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the signals and their weighted mean; weights of what is not available go to the others."""
    known = np.isfinite(values)
    weight = np.where(known, weights[:, None], 0.0)
    total = (weight * np.where(known, values, 0.0)).sum(0) / np.maximum(weight.sum(0), 1e-12)
    return values, total


@dataclass(frozen=True)
class _Judged:
    scope: Scope
    names: list[str]
    signals: NDArray[np.float64]
    scores: NDArray[np.float64]
    rows: NDArray[np.int64]

    def table(self, evidence: pl.DataFrame) -> pl.DataFrame:
        scope, rows = self.scope, self.rows
        frame = pl.DataFrame(
            {
                "actor": pl.Series(rows, dtype=pl.Int32),
                "entity": scope.activity.names().gather(rows),
                "type": pl.Series([scope.type_] * len(rows), dtype=pl.String),
                "key": scope.activity.keys.gather(rows),
                "score": self.scores[rows],
                **{
                    f"signal_{name}": pl.Series(self.signals[i, rows], nan_to_null=True)
                    for i, name in enumerate(self.names)
                },
            }
        )
        unusual = frame.filter(pl.col("score") >= _LIMITS[0])["actor"]
        chosen = drivers(evidence.filter(pl.col("actor").is_in(unusual.implode())))
        frame = (
            frame.join(reasons(scope, chosen), on="actor", how="left")
            .join(events_behind(scope, chosen), on="actor", how="left")
            .sort("score", "entity", descending=[True, False])
        )
        lacking = frame.filter((pl.col("score") >= _LIMITS[0]) & pl.col("why").is_null())
        alone = lacking.select("actor", alone=self._signals_alone())
        frame = frame.join(alone, on="actor", how="left", maintain_order="left")
        return frame.select(
            "entity",
            "type",
            "key",
            "score",
            _class().alias("class"),
            pl.int_range(1, pl.len() + 1).alias("place"),
            *(f"signal_{name}" for name in self.names),
            pl.col("drivers").cast(DRIVERS).fill_null(pl.lit([], DRIVERS)),
            pl.coalesce("why", "alone", pl.lit("Nothing stands out.")).alias("why"),
            pl.col("addresses").cast(pl.List(pl.String)).fill_null(pl.lit([], pl.List(pl.String))),
            pl.col("events").fill_null(0),
        )

    def _signals_alone(self) -> pl.Expr:
        """Return the reason of an actor that no single figure explains: its two strongest signals."""
        named = [pl.concat_str(pl.lit(f"{n} "), pl.col(f"signal_{n}").round(2)) for n in self.names]
        values = pl.concat_list(pl.col(f"signal_{n}").fill_null(0.0) for n in self.names)
        texts = pl.concat_list(text.fill_null("") for text in named)
        strongest = texts.list.gather(values.list.eval(pl.element().arg_sort(descending=True).head(2)))
        return pl.concat_str(
            pl.lit("No single figure stands out, together they do: "),
            strongest.list.join(" and "),
            pl.lit("."),
        )


def _class() -> pl.Expr:
    places = pl.sum_horizontal((pl.col("score") >= limit).cast(pl.Int32) for limit in _LIMITS)
    return places.replace_strict(dict(enumerate(CLASSES)), return_dtype=pl.String)


def _with_history(table: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Add when each anomaly was detected first, and in how many runs in a row, this one included.

    Detected is what is anomalous or highly anomalous. The run before is the newest of an earlier day with
    the same parameters; it holds what the runs before it found.
    """
    now = pl.lit(context.asof).cast(pl.Datetime("us", "UTC"))
    earlier = [
        run
        for run in context.knowledge.runs("anomalies")
        if run.parameters == context.parameters and datetime.fromisoformat(run.asof) < context.asof
    ]
    before = pl.DataFrame(schema={"entity": pl.String, "first": pl.Datetime("us", "UTC"), "times": pl.Int64})
    if earlier:
        previous = context.knowledge.read("anomalies", run=earlier[-1].id).to_polars()
        before = previous.select("entity", first="first_detected", times="consecutive")
    detected = pl.col("score") >= _LIMITS[1]
    return (
        table.join(before, on="entity", how="left", maintain_order="left")
        .with_columns(
            pl.coalesce("first", pl.when(detected).then(now)).alias("first_detected"),
            pl.when(detected).then(pl.col("times").fill_null(0) + 1).otherwise(0).alias("consecutive"),
        )
        .drop("first", "times")
    )


def _kernel(findings: dict[str, Finding], seconds: float) -> KernelRun:
    """Return the record of the first kernel that a signal ran, with the time of all signals."""
    ran = [f.kernel for f in findings.values() if f.kernel is not None]
    if ran:
        return replace(ran[0], seconds=seconds)
    versions = {name: version(name) for name in ("numpy", "polars", "scipy")}
    return KernelRun(pl.DataFrame().to_arrow(), "cpu", "", seconds, {}, versions)


def _metrics(table: pl.DataFrame) -> dict[str, float]:
    counts = {name: float((table["class"] == name).sum()) for name in CLASSES}
    return {"actors": float(table.height), **{name.replace(" ", "_"): n for name, n in counts.items()}}
