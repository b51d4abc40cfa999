"""The plan: typed JSON, a graph of steps and the way its results are shown (spec 6.2).

A plan says what is wanted, never how: no SQL, no code. Steps refer to one another by ``id``; a step that
reads another's rows names it in ``source`` (or ``left`` and ``right``, or ``sources``). Times are ISO 8601
in the workspace's zone (``2013-03-01``, ``2013-03-01T06:00``) or relative to the workspace's clock
(``last 7d``, ``yesterday``); ``since`` is included, ``until`` is not.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "Aggregate",
    "CatalogStep",
    "Compare",
    "Describe",
    "Filter",
    "FilterRows",
    "Get",
    "Group",
    "Join",
    "Measure",
    "Neighbourhood",
    "Nodes",
    "Pairs",
    "PathStep",
    "Plan",
    "Read",
    "Render",
    "Scan",
    "Search",
    "SetOperation",
    "Shared",
    "Similar",
    "Sort",
    "SortKey",
    "Step",
    "Timeline",
    "Top",
    "Traverse",
    "plan_json_schema",
]

Value = str | int | float | bool
Operator = Literal[
    "=",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "in",
    "not in",
    "between",
    "contains",
    "starts with",
    "is null",
    "is not null",
]
Bucket = Literal["minute", "hour", "day", "week", "month", "quarter", "year", "hour of day", "day of week"]
Direction = Literal["out", "in", "both"]
Id = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
Entity = Annotated[str, Field(pattern=r"^[^:\s]+:.+$", description="type:key")]
Limit = Annotated[int, Field(ge=1, le=1_000_000)]


class _Part(BaseModel):
    """A part of a plan: immutable, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Filter(_Part):
    """A condition on one field; ``value`` is a list for ``in``, ``not in`` and ``between``.

    >>> Filter(field="carrier", op="in", value=["UA", "B6"]).value
    ('UA', 'B6')
    """

    field: str
    op: Operator = "="
    value: Value | tuple[Value, ...] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        many = isinstance(self.value, tuple)
        if self.op in ("is null", "is not null"):
            if self.value is not None:
                raise ValueError(f"{self.op!r} takes no value")
        elif self.op in ("in", "not in"):
            if not many or not self.value:
                raise ValueError(f"{self.op!r} takes a list of at least one value")
        elif self.op == "between":
            if not isinstance(self.value, tuple) or len(self.value) != 2:
                raise ValueError("'between' takes a list of two values, both included")
        elif many or self.value is None:
            raise ValueError(f"{self.op!r} takes one value")
        return self


class Measure(_Part):
    """A figure over the rows of a group.

    Attributes:
        name: The column that it becomes.
        op: ``count`` rows, or of ``field`` the ``sum``, ``mean``, ``median``, ``min``, ``max``,
            ``distinct`` values; ``share`` is the part (0 to 1) of the group's rows that satisfy
            ``where``, ``part`` the group's part of all
            rows.
        field: Which field; none for ``count``, ``share`` and ``part``.
        where: Only rows that satisfy all of these count; ``share`` needs it.
        minus: The same figure of the rows that satisfy all of these is taken away: a difference.
    """

    name: str
    op: Literal["count", "sum", "mean", "median", "min", "max", "distinct", "share", "part"] = "count"
    field: str | None = None
    where: tuple[Filter, ...] = ()
    minus: tuple[Filter, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.field is None) != (self.op in ("count", "share", "part")):
            raise ValueError(f"{self.op!r} takes {'no' if self.field else 'a'} field")
        if self.op == "share" and not self.where:
            raise ValueError("'share' needs 'where': which rows are counted")
        if self.minus and self.op in ("share", "part"):
            raise ValueError(f"'minus' does not go with {self.op!r}")
        return self


class Group(_Part):
    """A field to group by; of a time, the ``bucket`` that it falls into (in the workspace's zone)."""

    field: str
    bucket: Bucket | None = None
    name: str | None = Field(None, description="The column that it becomes; by default the field's name.")

    @property
    def column(self) -> str:
        """Return the name of the column that it becomes."""
        return self.name or (self.bucket.replace(" ", "_") if self.bucket else self.field)


class SortKey(_Part):
    """A column to sort by; nulls come last, equal rows by all other columns."""

    field: str
    descending: bool = False


class _Step(_Part):
    id: Id
    title: str = Field("", description="What the step's rows are, in a few words for people.")

    def reads(self) -> tuple[str, ...]:
        """Return the ids of the steps whose rows this one reads."""
        found = []
        for name in ("source", "left", "right", "sources", "start"):
            value = getattr(self, name, None)
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, str) and (name != "start" or ":" not in item):
                    found.append(item)  # noqa: PERF401  (two loops and a condition read better so)
        return tuple(found)


class _Timed(_Step):
    since: str | None = None
    until: str | None = None


# documents


class Scan(_Timed):
    """Documents of one or several event types.

    Rows: ``_segment``, ``_id``, ``_ts``, ``_type`` and ``columns`` (none: all).
    """

    op: Literal["scan"] = "scan"
    types: Annotated[tuple[str, ...], Field(min_length=1)]
    where: tuple[Filter, ...] = ()
    columns: tuple[str, ...] = ()
    limit: Limit | None = None


class Get(_Step):
    """The documents at these addresses (``segment/_id``)."""

    op: Literal["get"] = "get"
    addresses: Annotated[tuple[str, ...], Field(min_length=1)]


# vectors


class Search(_Timed):
    """The documents whose texts are nearest to a text.

    Rows: ``address``, ``event_type``, ``time``, ``text``, ``score``.
    """

    op: Literal["search"] = "search"
    text: Annotated[str, Field(min_length=1)]
    types: tuple[str, ...] = ()
    k: Annotated[int, Field(ge=1, le=10_000)] = 10


class Similar(_Step):
    """The entities of the same type that are most alike.

    Rows: ``entity``, ``type``, ``key``, ``label``, ``score``.
    """

    op: Literal["similar"] = "similar"
    entity: Entity
    k: Annotated[int, Field(ge=1, le=10_000)] = 10


# graph


class Nodes(_Step):
    """Entities of a type.

    Rows: ``entity``, ``type``, ``key``, ``label``, ``sightings``, ``first_seen``, ``last_seen`` and the
    named ``properties``; ``where`` may speak of any of these and of any property.
    """

    op: Literal["nodes"] = "nodes"
    type: str
    where: tuple[Filter, ...] = ()
    properties: tuple[str, ...] = ()


class Describe(_Step):
    """All that is known of entities, a row a fact: ``entity``, ``fact``, ``value``."""

    op: Literal["describe"] = "describe"
    start: tuple[Entity, ...] | Id


class Traverse(_Timed):
    """The entities that are reached from others.

    Rows: ``entity``, ``type``, ``key``, ``label``, ``hops``, ``weight`` (events). ``start`` is a list of
    entities, or the step whose column ``entity`` is taken. With ``since`` or ``until`` only events in
    that time count, to the second. ``types`` keeps only entities of these types. What stood at the
    start is left out.
    """

    op: Literal["traverse"] = "traverse"
    start: tuple[Entity, ...] | Id
    edge_types: tuple[str, ...] = ()
    direction: Direction = "both"
    depth: Annotated[int, Field(ge=1, le=6)] = 1
    types: tuple[str, ...] = ()


class Pairs(_Timed):
    """Entities of a type, each beside its neighbours of another type, a row a pair.

    Rows: ``entity``, ``type``, ``key``, ``label``, ``neighbour``, ``neighbour_key``, ``neighbour_label``,
    ``weight`` (events). With ``since`` or ``until`` only events in that time count, to the second.
    """

    op: Literal["pairs"] = "pairs"
    type: str
    neighbours: str = Field(description="The other entity type.")
    edge_types: tuple[str, ...] = ()


class PathStep(_Step):
    """The ``k`` shortest paths between two entities, a row an edge.

    Rows: ``path``, ``step``, ``source``, ``edge``, ``target``, ``weight``.
    """

    op: Literal["path"] = "path"
    start: Annotated[tuple[Entity, ...], Field(min_length=2, max_length=2)]
    k: Annotated[int, Field(ge=1, le=100)] = 1
    edge_types: tuple[str, ...] = ()


class Neighbourhood(_Step):
    """All within ``hops`` of entities, and the edges between them, for a picture; rows are the nodes."""

    op: Literal["neighbourhood"] = "neighbourhood"
    start: tuple[Entity, ...] | Id
    hops: Annotated[int, Field(ge=1, le=6)] = 1
    edge_types: tuple[str, ...] = ()
    limit: Limit | None = 200


class Shared(_Step):
    """The entities that two or more have in common.

    Rows: ``entity``, ``type``, ``key``, ``label``, ``shared_by``, ``weight``.
    """

    op: Literal["shared"] = "shared"
    start: tuple[Entity, ...] | Id
    edge_types: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


# computed knowledge


class Read(_Timed):
    """Rows of computed knowledge; ``since`` and ``until`` select what is about that time."""

    op: Literal["read"] = "read"
    kind: str
    start: tuple[Entity, ...] | Id | None = Field(None, description="Only rows of these entities.")
    where: tuple[Filter, ...] = ()
    asof: str | None = None


class Compare(_Step):
    """Two sets of entities over the features.

    Rows: ``feature``, ``left``, ``right`` (means), ``difference`` in standard deviations; largest first.
    """

    op: Literal["compare"] = "compare"
    left: Id
    right: Id


class CatalogStep(_Step):
    """A section of the catalog as a table."""

    op: Literal["catalog"] = "catalog"
    section: Literal["event_types", "fields", "entity_types", "edge_types", "knowledge"]


# tables


class _OfTable(_Step):
    source: Id


class Aggregate(_OfTable):
    """One row a group, with its measures."""

    op: Literal["aggregate"] = "aggregate"
    by: tuple[Group, ...] = ()
    measures: Annotated[tuple[Measure, ...], Field(min_length=1)]


class Timeline(_OfTable):
    """One row a bucket of time (column ``time``) with its measures; empty buckets are 0 or null."""

    op: Literal["timeline"] = "timeline"
    bucket: Literal["minute", "hour", "day", "week", "month", "quarter", "year"]
    field: str = "_ts"
    by: tuple[str, ...] = ()
    measures: Annotated[tuple[Measure, ...], Field(min_length=1)] = (Measure(name="events"),)


class FilterRows(_OfTable):
    """The rows that satisfy all conditions."""

    op: Literal["filter"] = "filter"
    where: Annotated[tuple[Filter, ...], Field(min_length=1)]


class Join(_Step):
    """Rows of two tables that agree in the columns ``on``; equal other names get the suffix ``_right``."""

    op: Literal["join"] = "join"
    left: Id
    right: Id
    on: Annotated[tuple[str, ...], Field(min_length=1)]
    how: Literal["inner", "left", "semi", "anti", "full"] = "inner"


class SetOperation(_Step):
    """Union, intersection or difference (the first without the others) of tables by one column.

    Each value stands once; other columns are the first table's.
    """

    op: Literal["set"] = "set"
    sources: Annotated[tuple[Id, ...], Field(min_length=2)]
    kind: Literal["union", "intersection", "difference"]
    on: str = "entity"


class Sort(_OfTable):
    """All rows in another order."""

    op: Literal["sort"] = "sort"
    by: Annotated[tuple[SortKey, ...], Field(min_length=1)]


class Top(_OfTable):
    """The first ``n`` rows by one column, largest first unless ``ascending``; how many there were is said."""

    op: Literal["top"] = "top"
    by: str
    n: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    ascending: bool = False


Step = Annotated[
    Scan | Get | Search | Similar | Nodes | Describe | Traverse | Pairs | PathStep | Neighbourhood | Shared
    | Read | Compare | CatalogStep | Aggregate | Timeline | FilterRows | Join | SetOperation | Sort | Top,
    Field(discriminator="op"),
]  # fmt: skip


class Render(_Part):
    """How a step's rows are shown; ``x``, ``y`` and ``color`` name columns."""

    kind: Literal["summary", "table", "bar", "line", "scatter", "graph", "timeline", "heatmap", "metric"]
    source: Id
    title: str = ""
    x: str | None = None
    y: tuple[str, ...] = ()
    color: str | None = None


class Plan(_Part):
    """Steps and renders. The last step's rows are the answer's main table.

    >>> plan = Plan.model_validate({"steps": [{"op": "scan", "id": "flights", "types": ["Departure"]}]})
    >>> plan.steps[0].types, plan.main.id
    (('Departure',), 'flights')
    """

    version: Literal[1] = 1
    question: str = ""
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=40)]
    renders: tuple[Render, ...] = ()

    @property
    def main(self) -> Step:
        """Return the step whose rows are the answer."""
        return self.steps[-1]

    @property
    def shown(self) -> tuple[str, ...]:
        """Return the ids of the steps whose tables belong to the answer: the rendered ones, and the last."""
        rendered = [r.source for r in self.renders]
        return tuple(dict.fromkeys([self.steps[-1].id, *rendered]))

    @property
    def fingerprint(self) -> str:
        """Return a hash of what the plan does, whatever the question was."""
        content = self.model_dump(mode="json", exclude={"question", "renders"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON data, without what is default; :meth:`model_validate` reads it again."""
        steps = [{"op": s.op, **s.model_dump(mode="json", exclude_defaults=True)} for s in self.steps]
        rest = self.model_dump(mode="json", exclude={"steps"}, exclude_defaults=True)
        return {"version": self.version, **rest, "steps": steps}


def plan_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a plan."""
    return Plan.model_json_schema()
