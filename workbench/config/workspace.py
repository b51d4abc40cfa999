"""What a workspace's own files say, those in its folder ``schema/``; where one is missing, the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.config.entity_schema import EntitySchema, load_schema, schema_path

if TYPE_CHECKING:
    from workbench.config.features import FeatureConfig
    from workbench.config.tasks import PatternConfig

__all__ = [
    "FEATURES_FILE",
    "SCHEMA_FILE",
    "features_in",
    "parameters_in",
    "patterns_in",
    "schema_in",
    "schema_text",
]

SCHEMA_FILE = Path("schema") / "entity.yaml"
FEATURES_FILE = Path("schema") / "features.yaml"
_SCORING_FILE = Path("schema") / "scoring.yaml"
_TRENDS_FILE = Path("schema") / "trends.yaml"
_PATTERNS_FILE = Path("schema") / "patterns.yaml"


def schema_text(schema: str | Path) -> bytes:
    """Return the bytes of an entity schema, a file's or a shipped one's, which is valid.

    Raises:
        UnknownNameError: If it is neither.
        ConfigError: If it is not valid.
    """
    load_schema(schema)
    return schema_path(schema).read_bytes()


def schema_in(root: Path) -> EntitySchema:
    """Return the entity schema of a workspace, an empty one where there is none."""
    file = root / SCHEMA_FILE
    return load_schema(file) if file.exists() else EntitySchema()


def features_in(root: Path) -> FeatureConfig:
    """Return what is measured of actors."""
    from workbench.config.features import FeatureConfig, load_features  # noqa: PLC0415  (not at start-up)

    file = root / FEATURES_FILE
    return load_features(file) if file.exists() else FeatureConfig()


def patterns_in(root: Path) -> PatternConfig:
    """Return how sequences of events are looked for."""
    from workbench.config.tasks import PatternConfig, load_patterns  # noqa: PLC0415  (not at start-up)

    file = root / _PATTERNS_FILE
    return load_patterns(file) if file.exists() else PatternConfig()


def parameters_in(root: Path, task: str) -> dict[str, Any]:
    """Return the parameters that a file gives a task: of anomalies and of trends there is one."""
    from workbench.config.tasks import load_scoring, load_trends  # noqa: PLC0415  (not at start-up)

    loads = {"anomalies": (_SCORING_FILE, load_scoring), "trends": (_TRENDS_FILE, load_trends)}
    if task not in loads or not (root / loads[task][0]).exists():
        return {}
    file, load = loads[task]
    return load(root / file).model_dump(exclude={"metadata"}, exclude_unset=True)
