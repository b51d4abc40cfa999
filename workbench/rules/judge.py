"""What a rule finds at a moment: its template or composition, and its filters."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.analysis import execute, tasks
from workbench.analysis.activity import from_us
from workbench.analysis.window import actor_type
from workbench.errors import UsageError
from workbench.rules.composition import composition
from workbench.rules.scene import Scene
from workbench.rules.sequences import sequence
from workbench.rules.templates import absence, drift, spike, threshold
from workbench.rules.trend import SUBJECTS, Series, found_trends
from workbench.rules.verdict import compare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.config.anomaly_rule import AnomalyRule, Template
    from workbench.rules.memory import Memory
    from workbench.rules.scene import World
    from workbench.rules.verdict import Verdict

__all__ = ["Judge"]

# Signals that compare with what was before the period.
_OF_HISTORY = frozenset({"behavioral_deviation", "graph_anomaly"})
_FRESH = timedelta(days=1)
_US = timedelta(microseconds=1)


@dataclass
class Judge:
    """Judges rules over one generation of a workspace.

    Args:
        world: The workspace.
        memory: Where activity was read already.
    """

    world: World
    memory: Memory | None = None

    @cached_property
    def series(self) -> Series:
        """Return the series of the window, read once."""
        return Series(self.world, tuple(self.world.snapshot.segments))

    def find(self, rule: AnomalyRule, until: int) -> pl.DataFrame:
        """Return whom a rule is about at a moment, the largest value first.

        Args:
            rule: The rule.
            until: The moment, in microseconds since 1970; what happens from then on is not seen.

        Raises:
            UnknownNameError: If a feature, event type or metric does not exist.
            UsageError: If it cannot be judged here.
        """
        if rule.template and rule.template.trend:
            since = until - rule.lookback // _US
            found = found_trends(self.series, rule.template.trend, since, until)
            rows = [not _excluded(rule, row["type"], row["key"]) for row in found.iter_rows(named=True)]
            return found.filter(pl.Series(rows, dtype=pl.Boolean))
        schema = self.world.schema
        types = rule.filters.types or (actor_type(schema),)
        parts = [self._of_type(rule, actor_type(schema, type_), until) for type_ in types]
        found = pl.concat([pl.DataFrame(schema=SUBJECTS), *parts])
        return found.sort(pl.col("value").abs(), "subject", descending=[True, False])

    def _of_type(self, rule: AnomalyRule, type_: str, until: int) -> pl.DataFrame:
        lookback = rule.lookback
        if rule.template and rule.template.absence:
            lookback = timedelta(days=rule.template.absence.lookback_days)
        history, reach = _looks_back(rule)
        scene = Scene(self.world, type_, until, lookback, history, reach, self.memory)
        verdict = self._verdict(scene, rule)
        hit = np.flatnonzero(verdict.hit & self._wanted(scene, rule))
        addresses = scene.addresses(hit, verdict.event_type)
        names = scene.activity.names()
        # what holds because there is no value, as a "not" may, has none to tell
        value, limit = (np.where(np.isfinite(v), v, 0.0) for v in (verdict.value, verdict.limit))
        rows = [
            {
                "subject": names[row],
                "type": type_,
                "key": scene.keys[row],
                "value": float(value[row]),
                "limit": float(limit[row]),
                "reason": verdict.reason(row),
                "addresses": addresses.get(row, []),
            }
            for row in hit.tolist()
            if not _excluded(rule, type_, scene.keys[row])
        ]
        return pl.DataFrame(rows, schema=SUBJECTS)

    def _verdict(self, scene: Scene, rule: AnomalyRule) -> Verdict:
        if rule.composition:
            found = composition(scene, rule.composition, lambda: self.series)
            found.hit[:] &= scene.events > 0
            return found
        return _by_template(scene, rule.template)

    def _wanted(self, scene: Scene, rule: AnomalyRule) -> NDArray[np.bool_]:
        filters = rule.filters
        wanted = np.ones(len(scene), bool)
        for limit in filters.where:
            wanted &= compare(scene.values(limit.feature), limit.operator, limit.value)
        if filters.classes or filters.min_score:
            scores = self._scores(scene)
            score = scores["score"].fill_null(0.0).to_numpy()
            wanted &= score >= filters.min_score
            if filters.classes:
                wanted &= scores["class"].fill_null("normal").is_in(filters.classes).to_numpy()
        return wanted

    def _scores(self, scene: Scene) -> pl.DataFrame:
        """Return the anomaly score and class of each subject: of a run of the last day, or computed now."""
        moment = from_us(scene.until)
        complete = tasks.load("anomalies").complete(self.world.configured("anomalies"))
        of_type = [{**complete, "type": name} for name in {scene.type_, *_default(scene)}]
        runs = [
            run
            for run in self.world.knowledge.runs("anomalies")
            if run.parameters in of_type and moment - _FRESH < datetime.fromisoformat(run.asof) <= moment
        ]
        if runs:
            table = self.world.knowledge.read("anomalies", run=runs[-1].id).to_polars()
        else:
            old = scene.scope.context
            context = self.world.context(old.segments, old.asof, {**complete, "type": scene.type_})
            table = pl.DataFrame(execute("anomalies", context, "")[1])
        subjects = pl.DataFrame({"key": scene.keys})
        chosen = table.select("key", "score", "class")
        return subjects.join(chosen, on="key", how="left", maintain_order="left")


def _looks_back(rule: AnomalyRule) -> tuple[timedelta, timedelta]:
    """Return the history that a rule compares with, and how far before the period it looks at events."""
    nothing, template = timedelta(), rule.template
    if template is None:
        signals = {leaf.signal for leaf in rule.composition.leaves()} if rule.composition else set()
        return (rule.history if signals & _OF_HISTORY else nothing), nothing
    if template.sequence:
        return nothing, template.sequence.within
    own = template.spike and template.spike.baseline == "own_history"
    return (rule.history if own or template.absence or template.drift else nothing), nothing


def _by_template(scene: Scene, template: Template | None) -> Verdict:
    if template is None:
        raise AssertionError("a rule has a template or a composition")
    if template.spike:
        return spike(scene, template.spike)
    if template.threshold:
        return threshold(scene, template.threshold)
    if template.absence:
        return absence(scene, template.absence)
    if template.drift:
        return drift(scene, template.drift)
    if template.sequence:
        return sequence(scene, template.sequence)
    raise UsageError("a trend is about no entity type.")


def _default(scene: Scene) -> tuple[str, ...]:
    """Return the name by which parameters mean the schema's first actor."""
    return ("",) if scene.world.schema.who[:1] == (scene.type_,) else ()


def _excluded(rule: AnomalyRule, type_: str, key: str) -> bool:
    names = (key, f"{type_}:{key}")
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in rule.filters.exclude for name in names)
