"""Anomaly rules: what is looked for, in whom, when, and who is told."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from workbench.config.documents import Metadata, Strict, load_document
from workbench.config.entity_schema import Names  # noqa: TC001  (pydantic reads the annotations)
from workbench.config.notification import Notification  # noqa: TC001  (pydantic reads the annotations)
from workbench.config.schedule import Schedule, Span
from workbench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "SIGNALS",
    "Absence",
    "AnomalyRule",
    "Condition",
    "Drift",
    "Enrichment",
    "Filters",
    "Limit",
    "Operator",
    "SequenceStep",
    "Sequence_",
    "Spike",
    "Template",
    "Threshold",
    "Trend",
    "example_rules",
    "load_rule",
]

Operator = Literal[">", ">=", "<", "<=", "=", "!="]
Severity = Literal["notable", "significant", "critical"]
SIGNALS = ("z_score", "dbscan_noise", "behavioral_deviation", "graph_anomaly", "isolation", "trend")
# Signals that detectors find, which look at whole days.
_OF_DAYS = frozenset({"dbscan_noise", "behavioral_deviation", "graph_anomaly", "isolation"})
_CLASSES = Literal["normal", "mild", "anomalous", "highly anomalous"]


def _one_of(part: Strict, names: tuple[str, ...], what: str) -> None:
    """Raise unless exactly one of some fields is given."""
    aliases = {name: type(part).model_fields[name].alias or name for name in names}
    given = [aliases[name] for name in names if getattr(part, name) is not None]
    if len(given) != 1:
        said = f"not {' and '.join(given)} together" if given else "and there is none"
        raise ValueError(f"{what} is one of {', '.join(aliases.values())}, {said}")


class Spike(Strict):
    """A feature is many times what it usually is.

    Attributes:
        feature: Which.
        multiplier: How many times the baseline is too much.
        baseline: ``own_history``: the subject's mean in the same hours of the days before;
            ``population_mean``: that of all subjects in the same period; ``cluster_centroid``: that of the
            subjects of the same cluster.
        min_samples: Periods (of ``own_history``) or subjects that a baseline is made of, at least.
    """

    feature: str
    multiplier: float = Field(gt=1)
    baseline: Literal["cluster_centroid", "population_mean", "own_history"] = "own_history"
    min_samples: int = Field(5, ge=1)


class Threshold(Strict):
    """A feature is beyond a value."""

    feature: str
    operator: Operator = ">="
    value: float


class Absence(Strict):
    """A feature that was above the threshold is not any more.

    Attributes:
        feature: Which, usually a count.
        threshold: What is as good as nothing.
        lookback_days: For how long there has been no more than that.
    """

    feature: str
    threshold: float = Field(0.0, ge=0)
    lookback_days: int = Field(ge=1, le=3650)


class Drift(Strict):
    """The mixture of features is another than it was: 1 - cosine to the mean of the days before.

    Attributes:
        features: Which; by default all counts and numbers of distinct neighbours.
        measure: How far apart two mixtures are.
        threshold: From which distance on, between 0 and 1.
        min_samples: Periods of history that are compared with, at least.
        min_events: Events in the period, at least: few events are no mixture.
    """

    features: Names = ()
    measure: Literal["cosine"] = "cosine"
    threshold: float = Field(gt=0, le=1)
    min_samples: int = Field(3, ge=1)
    min_events: int = Field(10, ge=1)


class SequenceStep(Strict):
    """An event in a sequence.

    Attributes:
        event: The event type.
        where: Conditions on its fields: field to value, or to a list of which one is enough.
        times: How often in a row it has to come; other events may come between.
    """

    event: str
    where: dict[str, str | int | float | bool | tuple[str | int | float | bool, ...]] = Field(
        default_factory=dict
    )
    times: int = Field(1, ge=1, le=1000)


def _step(value: Any) -> Any:
    return {"event": value} if isinstance(value, str) else value


class Sequence_(Strict):  # noqa: N801  (typing's Sequence is another thing)
    """Events of one subject in an order, within a span of time; others may lie between them."""

    pattern: tuple[
        Annotated[SequenceStep, BeforeValidator(_step, json_schema_input_type=str | SequenceStep)], ...
    ]
    within: Span

    @field_validator("within", "pattern")
    @classmethod
    def _something(cls, value: Any) -> Any:
        if not value:
            raise ValueError("must be longer than nothing")
        return value


class Trend(Strict):
    """More or less happens than usual, whoever does it.

    Attributes:
        metric: An event type, ``share of`` it, ``distinct`` or ``new`` and an entity type, ``number of
            communities``, ``number of clusters`` or ``size of cluster`` and its number.
        dimension: An entity type: by each of its entities, instead of all together.
        severity: At least how severe.
        direction: Whether more counts, or less, or both.
    """

    metric: str
    dimension: str = ""
    severity: Severity = "significant"
    direction: Literal["up", "down", "both"] = "both"


_TEMPLATES = ("spike", "threshold", "absence", "drift", "sequence", "trend")


class Template(Strict):
    """A kind of deviation with its parameters: exactly one of them."""

    spike: Spike | None = None
    threshold: Threshold | None = None
    absence: Absence | None = None
    drift: Drift | None = None
    sequence: Sequence_ | None = None
    trend: Trend | None = None

    @model_validator(mode="after")
    def _one(self) -> Template:
        _one_of(self, _TEMPLATES, "a template")
        return self

    @property
    def name(self) -> str:
        """Return which one it is."""
        return next(name for name in _TEMPLATES if getattr(self, name) is not None)


class Condition(Strict):
    """A signal or a feature beyond a threshold, or several conditions together.

    Attributes:
        and_: All of these.
        or_: One of these at least.
        not_: Not this.
        signal: What a detector says: ``z_score`` in standard deviations, ``trend`` as the deviate of the
            worst episode, the others from 0 to 1.
        feature: A feature.
        metric: Of ``trend``, which metric; by default the worst of all.
        operator: How it is compared.
        threshold: With what.
    """

    and_: Annotated[tuple[Condition, ...] | None, Field(alias="and")] = None
    or_: Annotated[tuple[Condition, ...] | None, Field(alias="or")] = None
    not_: Annotated[Condition | None, Field(alias="not")] = None
    signal: (
        Literal["z_score", "dbscan_noise", "behavioral_deviation", "graph_anomaly", "isolation", "trend"]
        | None
    ) = None
    feature: str | None = None
    metric: str = ""
    operator: Operator = ">="
    threshold: float | None = None

    @model_validator(mode="after")
    def _fits(self) -> Condition:
        _one_of(self, ("and_", "or_", "not_", "signal", "feature"), "a condition")
        if () in (self.and_, self.or_):
            raise ValueError("'and' and 'or' are of one condition at least")
        leaf = self.signal is not None or self.feature is not None
        if leaf != (self.threshold is not None):
            raise ValueError(
                f"{'a signal or feature needs' if leaf else 'only a signal or feature has'} a threshold"
            )
        if self.metric and self.signal != "trend":
            raise ValueError("only the signal trend has a metric")
        return self

    def leaves(self) -> list[Condition]:
        """Return the signals and features in it."""
        inner = [*(self.and_ or ()), *(self.or_ or ()), *((self.not_,) if self.not_ else ())]
        return [leaf for part in inner for leaf in part.leaves()] if inner else [self]


class Limit(Strict):
    """A condition on a feature, as a filter."""

    feature: str
    operator: Operator = ">="
    value: float


class Filters(Strict):
    """Whom a rule is about.

    Attributes:
        types: Entity types; by default the schema's first actor.
        classes: Only subjects whose anomaly class is one of these.
        min_score: Only subjects whose anomaly score is at least this.
        exclude: Keys, or patterns of them (``test-*``), also as ``type:key``.
        where: Only subjects with these features, all of them.
    """

    types: Names = ()
    classes: tuple[_CLASSES, ...] = ()
    min_score: float = Field(0.0, ge=0, le=1)
    exclude: Names = ()
    where: tuple[Limit, ...] = ()


class Enrichment(Strict):
    """A plan that is run for what a rule found; its rows decide whether the rule fires.

    Attributes:
        plan: A plan's JSON data. Texts in it may hold ``{entity}``, ``{type}``, ``{key}``, ``{since}``
            and ``{until}``; with one of the first three it is run for each subject.
        at_least: Rows that it has to have.
        at_most: Rows that it may have.
    """

    plan: dict[str, Any]
    at_least: int | None = Field(None, ge=0)
    at_most: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _limited(self) -> Enrichment:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give 'at_least' or 'at_most': how many rows the plan has to give")
        return self


class _Spec(Strict):
    severity: Literal["info", "warning", "critical"] = "warning"
    template: Template | None = None
    composition: Condition | None = None
    lookback: Span = timedelta(days=1)
    history: Span = timedelta(days=14)
    filters: Filters = Filters()
    schedule: Schedule = Schedule()
    enrichment: Enrichment | None = None
    notifications: tuple[Notification, ...] = ()

    @field_validator("lookback")
    @classmethod
    def _positive(cls, value: timedelta) -> timedelta:
        if value < timedelta(minutes=1):
            raise ValueError("a period is a minute long at least")
        return value

    @model_validator(mode="after")
    def _one(self) -> _Spec:
        _one_of(self, ("template", "composition"), "what a rule looks for")
        for leaf in self.composition.leaves() if self.composition else ():
            if leaf.signal in _OF_DAYS and self.lookback < timedelta(days=1):
                raise ValueError(f"the signal {leaf.signal} is about whole days: lookback is 1d at least")
        return self


class AnomalyRule(_Spec):
    """A validated rule; see ``docs/rules.md`` for the file format.

    Attributes:
        severity: How bad it is.
        template: A kind of deviation, or
        composition: conditions on signals and features.
        lookback: The period that is judged, up to the moment of the evaluation.
        history: What lies before it and is compared with.
        filters: Whom it is about.
        schedule: When it is evaluated.
        enrichment: A plan that has to agree.
        notifications: Who is told.
    """

    metadata: Metadata

    @property
    def id(self) -> str:
        """Return the rule's name in commands and logs."""
        return self.metadata.id

    @property
    def name(self) -> str:
        """Return what people call it."""
        return self.metadata.name or self.metadata.id

    @property
    def kind(self) -> str:
        """Return the template's name, or ``composition``."""
        return self.template.name if self.template else "composition"

    @cached_property
    def fingerprint(self) -> str:
        """Return a hash of everything that decides when and for whom it fires."""
        content = self.model_dump(mode="json", by_alias=True, exclude={"metadata", "notifications"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Return the document as JSON data; :meth:`from_json` reads it."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> AnomalyRule:
        """Return the rule of a document's JSON data.

        Raises:
            ConfigError: If it is not valid.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            path = ".".join(map(str, first["loc"]))
            raise ConfigError(
                f"{path}: {first['msg'].removeprefix('Value error, ')}.", where="rule"
            ) from None


def load_rule(path: Path, find: Callable[[str], Path | None] | None = None) -> AnomalyRule:
    """Read a rule from a YAML file.

    Args:
        path: The file.
        find: Returns the file of the rule that has an id, for ``extends``; by default among the examples.

    Raises:
        ConfigError: If the file is not a valid rule; says file, line, reason and suggestion.

    >>> load_rule(example_rules()["error-burst"]).kind
    'spike'
    """
    metadata, spec = load_document(path, "AnomalyRule", _Spec, find or example_rules().get)
    return AnomalyRule(metadata=metadata, **dict(spec))


def example_rules() -> dict[str, Path]:
    """Return the rules that come with workbench, by id.

    >>> "login-spike" in example_rules()
    True
    """
    folder = Path(__file__).parent / "rules"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
