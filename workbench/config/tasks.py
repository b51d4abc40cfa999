"""How tasks are run in a workspace: scoring of anomalies, trends, patterns of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from workbench.config.documents import Metadata, Strict, load_document
from workbench.config.entity_schema import Names  # noqa: TC001  (pydantic reads the annotations)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "PatternClass",
    "PatternConfig",
    "ScoringConfig",
    "TrendConfig",
    "load_patterns",
    "load_scoring",
    "load_trends",
]


class _Scoring(Strict):
    profile: Literal["ensemble", "classic"] = "ensemble"
    lookback_days: int = Field(7, ge=1, le=3650)
    history_days: int = Field(56, ge=0, le=3650)


class ScoringConfig(_Scoring):
    """How anomalies are scored.

    Attributes:
        profile: ``ensemble``, or the origin's ``classic``.
        lookback_days: The period that is judged.
        history_days: What lies before it and is compared with.
    """

    metadata: Metadata = Metadata(id="default")


class _Trends(Strict):
    method: Literal["seasonal", "classic"] = "seasonal"
    weeks: int = Field(26, ge=4, le=520)
    most_values: int = Field(200, ge=0, le=100_000)
    new_days: int = Field(7, ge=1, le=3650)


class TrendConfig(_Trends):
    """How trends are looked for.

    Attributes:
        method: ``seasonal``, or the origin's ``classic``.
        weeks: How many other weeks an hour of the week is compared with.
        most_values: An entity type with more entities is no dimension.
        new_days: An entity that was not seen on so many days before is new.
    """

    metadata: Metadata = Metadata(id="default")


class PatternClass(Strict):
    """Which sequences are of a class: those that satisfy everything that is given.

    Attributes:
        starts: Codes with which one begins.
        ends: Codes with which one ends.
        contains: Codes that it holds, in any order.
        without: Codes that it does not hold.
        at_least: How many events long it is, at least.
    """

    starts: Names = ()
    ends: Names = ()
    contains: Names = ()
    without: Names = ()
    at_least: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _says_something(self) -> PatternClass:
        if not (self.starts or self.ends or self.contains or self.without):
            raise ValueError("say which: by 'starts', 'ends', 'contains' or 'without'")
        return self


class _Patterns(Strict):
    days: int = Field(7, ge=1, le=3650)
    min_support: float = Field(0.01, gt=0, le=1)
    max_length: int = Field(10, ge=2, le=50)
    min_entities: int = Field(50, ge=1)
    codes: dict[str, str] = Field(default_factory=dict)
    classes: dict[str, PatternClass] = Field(default_factory=dict)


class PatternConfig(_Patterns):
    """How frequent sequences of events are looked for, and what they are called.

    Attributes:
        days: The period whose events count.
        min_support: Share of the actors that have a sequence, at least.
        max_length: Events of the longest.
        min_entities: Actors that there have to be at all.
        codes: Event type to its code, with ``{field}`` for what stands in a field: ``G:{category}``.
        classes: Class to what its sequences have in common; the first that fits.
    """

    metadata: Metadata = Metadata(id="default")


def load_scoring(path: Path) -> ScoringConfig:
    """Read how anomalies are scored from a YAML file.

    Raises:
        ConfigError: If the file is not valid; says file, line, reason and suggestion.
    """
    metadata, spec = load_document(path, "ScoringConfig", _Scoring)
    return ScoringConfig(metadata=metadata, **spec.model_dump(exclude_unset=True))


def load_trends(path: Path) -> TrendConfig:
    """Read how trends are looked for from a YAML file.

    Raises:
        ConfigError: If the file is not valid; says file, line, reason and suggestion.
    """
    metadata, spec = load_document(path, "TrendConfig", _Trends)
    return TrendConfig(metadata=metadata, **spec.model_dump(exclude_unset=True))


def load_patterns(path: Path) -> PatternConfig:
    """Read how sequences are looked for from a YAML file.

    Raises:
        ConfigError: If the file is not valid; says file, line, reason and suggestion.
    """
    metadata, spec = load_document(path, "PatternConfig", _Patterns)
    return PatternConfig(metadata=metadata, **dict(spec))
