"""What is wrong with a rule in a workspace: names that its schema does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.analysis.activity import event_types
from workbench.analysis.features import declared_features
from workbench.analysis.metrics import DISTINCT, NEW, SHARE, may_have_no_series
from workbench.analysis.window import actor_type
from workbench.errors import UnknownNameError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.config.anomaly_rule import AnomalyRule, Trend
    from workbench.rules.scene import World

__all__ = ["findings"]


def findings(world: World, rule: AnomalyRule) -> Iterator[str]:
    """Yield what a rule names that there is not, with what may be meant."""
    if rule.template and rule.template.trend:
        yield from _of_trend(world, rule.template.trend)
        return
    try:
        types = [actor_type(world.schema, type_) for type_ in rule.filters.types] or [
            actor_type(world.schema)
        ]
    except (UnknownNameError, UsageError) as error:
        yield f"spec.filters.types: {error}"
        return
    for type_ in types:
        known = {f.name for f in declared_features(world.schema, world.feature_config, type_)}
        for path, name in _features(rule):
            if name not in known:
                fix = did_you_mean(name, sorted(known))
                yield f"spec.{path}: there is no feature of {type_} {name!r}. {fix}"
        if rule.template and rule.template.sequence:
            events = event_types(world.schema, type_)
            for i, step in enumerate(rule.template.sequence.pattern):
                if world.schema.event_names.get(step.event, step.event) not in events:
                    fix = did_you_mean(step.event, events)
                    path = f"template.sequence.pattern.{i}"
                    yield f"spec.{path}: there is no event type of {type_} {step.event!r}. {fix}"


def _of_trend(world: World, wanted: Trend) -> Iterator[str]:
    schema = world.schema
    prefix = next((p for p in (SHARE, DISTINCT, NEW) if wanted.metric.startswith(p)), "")
    name = wanted.metric.removeprefix(prefix)
    known = schema.entities if prefix in (DISTINCT, NEW) else schema.event_names
    of_compute = not prefix and may_have_no_series(name)
    if name not in known and wanted.metric not in schema.event_names and not of_compute:
        yield f"spec.template.trend.metric: there is no metric {wanted.metric!r}. {did_you_mean(name, known)}"
    if wanted.dimension and wanted.dimension not in schema.entities:
        fix = did_you_mean(wanted.dimension, schema.entities)
        yield f"spec.template.trend.dimension: there is no entity type {wanted.dimension!r}. {fix}"


def _features(rule: AnomalyRule) -> Iterator[tuple[str, str]]:
    """Yield path and name of every feature that a rule names."""
    template = rule.template
    if template:
        part = template.spike or template.threshold or template.absence
        if part:
            yield f"template.{template.name}.feature", part.feature
        for i, name in enumerate(template.drift.features if template.drift else ()):
            yield f"template.drift.features.{i}", name
    for leaf in rule.composition.leaves() if rule.composition else ():
        if leaf.feature is not None:
            yield "composition", leaf.feature
    for i, limit in enumerate(rule.filters.where):
        yield f"filters.where.{i}.feature", limit.feature
