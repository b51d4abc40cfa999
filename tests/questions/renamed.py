"""The flights under other names throughout: entity types, roles, edges, columns, event types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
from ruamel.yaml import YAML

from workbench.config.entity_schema import shipped_schemas

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_renamed"]

TYPES = {
    "aircraft": "hull",
    "airport": "harbor",
    "carrier": "line",
    "flight": "route",
    "manufacturer": "yard",
    "model": "build",
}
ROLES = {**TYPES, "origin": "start", "dest": "goal"}
EDGES = {
    "DepartedFrom": "SailedFrom",
    "ArrivedAt": "MooredAt",
    "OperatedBy": "RunBy",
    "BuiltBy": "LaidBy",
    "OfModel": "OfBuild",
    "Serves": "Visits",
    "FliesFrom": "GoesFrom",
    "FliesTo": "GoesTo",
}
COLUMNS = {
    "tailnum": "hullcode",
    "carrier": "company",
    "flight": "number",
    "origin": "whence",
    "dest": "whither",
    "faa": "code",
    "name": "title",
    "time": "moment",
    "arr_delay": "moor_lag",
    "dep_delay": "sail_lag",
    "distance": "miles",
    "temp": "warmth",
    "seats": "berths",
    "manufacturer": "maker",
    "model": "design",
}
EVENTS = {"Departure": "Sailing", "Arrival": "Mooring", "Cancellation": "Scrub", "Weather": "Sky"}
REFERENCES = {"planes": "fleet", "airports": "places", "airlines": "companies"}
_DESCRIBED = {
    "terms": {"voyage": {"events": ["Sailing", "Scrub"], "outcomes": ["Scrub"]}},
    "about": {"moor_lag": {"unit": "minute", "worse": "higher"}},
}


def write_renamed(sources: Path, root: Path, *, described: bool = True) -> Path:
    """Copy flight sources under other names to ``root``, with ``schema.yaml``, and return the copies."""
    names = EVENTS | REFERENCES
    for path in sources.rglob("*.parquet"):
        folder = names.get(path.parent.name, path.parent.name)
        copy = root / "sources" / folder / f"{names.get(path.stem, path.stem)}.parquet"
        copy.parent.mkdir(parents=True, exist_ok=True)
        pl.read_parquet(path).rename(COLUMNS, strict=False).write_parquet(copy)
    with (root / "schema.yaml").open("w") as file:
        YAML().dump(_schema(described=described), file)
    return root / "sources"


def _schema(*, described: bool) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe").load(shipped_schemas()["flights"].read_text())
    spec = document["spec"]
    spec["timestamp"]["fields"] = [COLUMNS.get(f, f) for f in spec["timestamp"]["fields"]]
    spec["fields"]["strings"] = [COLUMNS.get(f, f) for f in spec["fields"]["strings"]]
    spec["entities"] = {
        TYPES[n]: {
            k: COLUMNS.get(v, v) if k == "label" else v
            for k, v in kind.items()
            if k in ("who", "attribute", "label")
        }
        for n, kind in spec["entities"].items()
    }
    spec["edges"] = {
        EDGES[n]: {"from": TYPES[e["from"]], "to": TYPES[e["to"]]} for n, e in spec["edges"].items()
    }
    for group in ("events", "references"):
        spec[group] = {(EVENTS | REFERENCES).get(n, n): _event(e) for n, e in spec[group].items()}
    for name in ("terms", "about"):
        spec.pop(name, None)
    if described:
        spec |= _DESCRIBED
    return document


def _event(event: dict[str, Any]) -> dict[str, Any]:
    edges = [
        {"type": EDGES[e["type"]], "from": ROLES[e["from"]], "to": ROLES[e["to"]]}
        for e in event.get("edges", ())
    ]
    return {"entities": {ROLES[r]: _rule(rule) for r, rule in event["entities"].items()}, "edges": edges}


def _rule(rule: Any) -> dict[str, Any]:
    made = {"fields": rule} if isinstance(rule, str | list) else dict(rule)
    for key in ("fields", "join"):
        if key in made:
            names = [made[key]] if isinstance(made[key], str) else made[key]
            made[key] = [COLUMNS.get(name, name) for name in names]
    if "type" in made:
        made["type"] = TYPES[made["type"]]
    if "properties" in made:
        made["properties"] = [COLUMNS.get(name, name) for name in made["properties"]]
    return made
