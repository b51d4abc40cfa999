"""The six kinds of YAML documents and their JSON Schemas, by which editors complete and check them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import UnknownNameError

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["KINDS", "json_schema", "schema_files", "write_schemas"]

KINDS = ("AnomalyRule", "EntitySchema", "FeatureConfig", "PatternConfig", "ScoringConfig", "TrendConfig")
FOLDER = Path(__file__).parent / "json"


def json_schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a kind of document.

    Raises:
        UnknownNameError: If there is no such kind.

    >>> json_schema("AnomalyRule")["properties"]["kind"]
    {'const': 'AnomalyRule'}
    """
    from workbench.config.documents import Metadata  # noqa: PLC0415  (models are built when asked for)

    spec = _spec(kind).model_json_schema(by_alias=True, mode="validation")
    metadata = Metadata.model_json_schema()
    definitions = spec.pop("$defs", {})
    _describe(spec, kind)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind,
        "type": "object",
        "properties": {
            "apiVersion": {"const": "workbench/v1"},
            "kind": {"const": kind},
            "metadata": metadata,
            "spec": spec,
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _spec(kind: str) -> type[BaseModel]:
    from workbench.config import anomaly_rule, entity_schema, features, tasks  # noqa: PLC0415

    specs: dict[str, type[BaseModel]] = {
        "AnomalyRule": anomaly_rule._Spec,  # noqa: SLF001  (the models that load_document checks with)
        "EntitySchema": entity_schema._Spec,  # noqa: SLF001
        "FeatureConfig": features._Spec,  # noqa: SLF001
        "PatternConfig": tasks._Patterns,  # noqa: SLF001
        "ScoringConfig": tasks._Scoring,  # noqa: SLF001
        "TrendConfig": tasks._Trends,  # noqa: SLF001
    }
    if kind not in specs:
        raise UnknownNameError("kind of document", kind, KINDS)
    return specs[kind]


def _describe(spec: dict[str, Any], kind: str) -> None:
    spec["title"] = f"spec of {kind}"


def schema_files() -> dict[str, Path]:
    """Return the files of the JSON Schemas that come with workbench, by kind."""
    return {kind: FOLDER / f"{kind}.schema.json" for kind in KINDS}


def write_schemas(folder: Path = FOLDER) -> None:
    """Write the JSON Schema of every kind."""
    folder.mkdir(exist_ok=True)
    for kind in KINDS:
        text = json.dumps(json_schema(kind), indent=1, ensure_ascii=False)
        (folder / f"{kind}.schema.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
