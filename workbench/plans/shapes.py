"""The columns of every step's rows, and their kinds: told from the catalog before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.types as pt

from workbench.partials.types import infer, widen
from workbench.plans.model import (
    Aggregate,
    CatalogStep,
    Compare,
    Describe,
    FilterRows,
    Get,
    Join,
    Measure,
    Neighbourhood,
    Nodes,
    Pairs,
    PathStep,
    Read,
    Scan,
    Search,
    SetOperation,
    Shared,
    Similar,
    Sort,
    Timeline,
    Top,
    Traverse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workbench.partials.types import FieldType
    from workbench.plans.model import Step
    from workbench.plans.world import World

__all__ = [
    "ADDRESS",
    "NODE",
    "PAIR",
    "SEEN",
    "Columns",
    "Kind",
    "columns_of_table",
    "document_columns",
    "output",
    "property_kinds",
]

Kind = Literal["string", "int64", "float64", "bool", "timestamp", "list", "other"]
Columns = dict[str, Kind]

ADDRESS: Columns = {"_segment": "string", "_id": "int64", "_ts": "timestamp", "_type": "string"}
NODE: Columns = {"entity": "string", "type": "string", "key": "string", "label": "string"}
PAIR: Columns = {
    **NODE,
    "neighbour": "string",
    "neighbour_key": "string",
    "neighbour_label": "string",
    "weight": "int64",
}
SEEN: Columns = {"sightings": "int64", "first_seen": "timestamp", "last_seen": "timestamp"}
_PATH: Columns = {
    "path": "int64",
    "step": "int64",
    "source": "string",
    "edge": "string",
    "target": "string",
    "weight": "int64",
}
_CATALOG: dict[str, Columns] = {
    "event_types": {
        "name": "string",
        "documents": "int64",
        "share": "float64",
        "first": "timestamp",
        "last": "timestamp",
        "fields": "int64",
        "description": "string",
    },
    "fields": {
        "event_type": "string",
        "name": "string",
        "kind": "string",
        "null_share": "float64",
        "distinct": "int64",
        "minimum": "string",
        "maximum": "string",
        "examples": "string",
        "entities": "string",
    },
    "entity_types": {
        "name": "string",
        "count": "int64",
        "who": "bool",
        "attribute": "bool",
        "sightings": "int64",
        "properties": "string",
        "description": "string",
    },
    "edge_types": {
        "name": "string",
        "source": "string",
        "target": "string",
        "count": "int64",
        "weight": "int64",
        "description": "string",
    },
    "knowledge": {
        "kind": "string",
        "rows": "int64",
        "asof": "timestamp",
        "algorithm": "string",
        "seed": "int64",
    },
}
_HITS: Columns = {
    "address": "string",
    "event_type": "string",
    "time": "timestamp",
    "text": "string",
    "score": "float64",
}


def output(step: Step, inputs: Mapping[str, Columns | None], world: World) -> Columns | None:  # noqa: C901, PLR0911, PLR0912  (one case an operation)
    """Return the columns of a step's rows, or None where only running it tells.

    Args:
        step: A step whose names were found to exist.
        inputs: The columns of the steps before it.
        world: The workspace.
    """
    match step:
        case Scan():
            fields = document_columns(world, step.types)
            wanted = step.columns or fields
            return ADDRESS | {name: fields[name] for name in wanted if name in fields}
        case Get():
            return ADDRESS | document_columns(world, tuple(world.fields))
        case Search():
            return dict(_HITS)
        case Similar():
            return NODE | {"score": "float64"}
        case Nodes():
            kinds = property_kinds(world, step.type)
            named = [*step.properties, *(f.field for f in step.where)]
            return NODE | SEEN | {name: kinds[name] for name in named if name in kinds}
        case Describe():
            return {"entity": "string", "fact": "string", "value": "string"}
        case Traverse():
            return NODE | {"hops": "int64", "weight": "int64"}
        case Pairs():
            return dict(PAIR)
        case PathStep():
            return dict(_PATH)
        case Neighbourhood():
            return NODE | SEEN | {"hops": "int64"}
        case Shared():
            return NODE | {"shared_by": "int64", "weight": "int64"}
        case Read():
            return _knowledge(world, step.kind)
        case Compare():
            numbers: Columns = {"left": "float64", "right": "float64", "difference": "float64"}
            return {"feature": "string", **numbers}
        case CatalogStep():
            return dict(_CATALOG[step.section])
        case Aggregate() | Timeline():
            return _grouped(step, inputs[step.source])
        case Join():
            return _joined(step, inputs[step.left], inputs[step.right])
        case SetOperation():
            return inputs[step.sources[0]]
        case FilterRows() | Sort() | Top():
            return inputs[step.source]
    raise AssertionError(step)


def document_columns(world: World, types: Sequence[str]) -> Columns:
    """Return the fields of event types with the one kind that all of them fit."""
    found: dict[str, FieldType] = {}
    for event_type in types:
        for field, kind in world.fields.get(event_type, {}).items():
            found[field] = widen(found.get(field, kind), kind)
    return {field: "string" if kind == "null" else kind for field, kind in sorted(found.items())}


def property_kinds(world: World, entity_type: str) -> Columns:
    """Return the properties of an entity type with the kind that all its latest values spell."""
    import polars as pl  # noqa: PLC0415  (kept out of start-up)

    window = world.graph.window
    nodes = pl.DataFrame({"type": pl.Series(window.entities["type"].cast("string"))}).with_row_index("node")
    owners = nodes.filter(pl.col("type") == entity_type)["node"]
    if owners.is_empty():
        return {}
    frame = pl.DataFrame(window.properties.select(["node", "name", "value"])).filter(
        pl.col("node").is_between(owners.min(), owners.max())  # entities are sorted by type
    )
    parts = frame.with_columns(pl.col("name").cast(pl.String)).partition_by("name", as_dict=True)
    kinds: Columns = {}
    for (name,), part in sorted(parts.items()):
        kind = infer(part["value"])
        kinds[str(name)] = "string" if kind == "null" else kind
    return kinds


def columns_of_table(schema: pa.Schema) -> Columns:
    """Return the columns of an Arrow table."""
    return {field.name: _kind(field.type) for field in schema}


def _kind(kind: pa.DataType) -> Kind:
    if pt.is_dictionary(kind):
        kind = kind.value_type
    if pt.is_boolean(kind):
        return "bool"
    if pt.is_integer(kind):
        return "int64"
    if pt.is_floating(kind) or pt.is_decimal(kind):
        return "float64"
    if pt.is_timestamp(kind):
        return "timestamp"
    if pt.is_list(kind) or pt.is_large_list(kind):
        return "list"
    return "string" if pt.is_string(kind) or pt.is_large_string(kind) or pt.is_null(kind) else "other"


def _knowledge(world: World, kind: str) -> Columns | None:
    """Return the columns of the newest run of a kind; None where it was never computed."""
    import pyarrow.parquet as pq  # noqa: PLC0415  (kept out of start-up)

    entries = world.snapshot.files("knowledge", name=kind)
    if not entries:
        return None
    newest = max(entries, key=lambda e: (e.meta["asof"], e.meta["created"]))
    return columns_of_table(pq.read_schema(world.snapshot.path(newest)))


def _grouped(step: Aggregate | Timeline, source: Columns | None) -> Columns | None:
    columns: Columns = {}
    if isinstance(step, Timeline):
        columns["time"] = "timestamp"
        columns.update({name: "string" if source is None else source.get(name, "other") for name in step.by})
    else:
        for group in step.by:
            of_day = group.bucket in ("hour of day", "day of week")
            kind: Kind = "other" if source is None else source.get(group.field, "other")
            columns[group.column] = "int64" if of_day else "timestamp" if group.bucket else kind
    for measure in step.measures:
        columns[measure.name] = _measured(measure, source)
    return columns


def _measured(measure: Measure, source: Columns | None) -> Kind:
    if measure.op in ("count", "distinct"):
        return "int64"
    if measure.op in ("mean", "median", "share", "part"):
        return "float64"
    kind: Kind = "float64" if source is None or measure.field is None else source.get(measure.field, "other")
    return "int64" if measure.op == "sum" and kind == "bool" else kind


def _joined(step: Join, left: Columns | None, right: Columns | None) -> Columns | None:
    if left is None or step.how in ("semi", "anti"):
        return left
    if right is None:
        return None
    columns = dict(left)
    for name, kind in right.items():
        if name not in step.on:
            columns[right_name(name, columns)] = kind
    return columns


def right_name(name: str, taken: Mapping[str, object]) -> str:
    """Return what a column of the right table of a join is called beside those of the left.

    >>> right_name("weight", {"weight": 1, "weight_right": 1})
    'weight_right_right'
    """
    while name in taken:
        name += "_right"
    return name
