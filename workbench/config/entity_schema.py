"""The entity schema: which entities and edges a log's events name. Data, not code."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from workbench.config.documents import Metadata, Strict, load_document
from workbench.errors import UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = [
    "About",
    "EdgeRule",
    "EdgeType",
    "EntityRule",
    "EntitySchema",
    "EntityType",
    "EventRule",
    "Reference",
    "Term",
    "load_schema",
    "schema_path",
    "shipped_schemas",
]

_NULLS = ("", "None", "null", "undefined", "NaN")
_PLACEHOLDER = re.compile(r"\{[^{}|]+(\|truncate:[1-9]\d*)?\}")
_DESCRIPTIVE = {"label", "synonyms", "description"}
_TIMES = ("_ts", "ts", "timestamp", "@timestamp", "time", "datetime", "event_time", "created_at")


def _tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_tuple, json_schema_input_type=str | tuple[str, ...])]


class EntityType(Strict):
    """An entity type.

    Attributes:
        who: The actor that features and scores are about.
        attribute: Few values, huge degree: stored and counted, never walked through unless asked.
        label: The property that names an entity for people, for example ``name``.
        synonyms: Other words that people use for the type.
        description: One sentence for the catalog.
    """

    who: bool = False
    attribute: bool = False
    label: str = ""
    synonyms: Names = ()
    description: str = ""


class EdgeType(Strict):
    """An edge type and the entity types that it joins."""

    source: str = Field(alias="from")
    target: str = Field(alias="to")
    synonyms: Names = ()
    description: str = ""


class EntityRule(Strict):
    """How an event gives one entity.

    Attributes:
        type: The entity type; by default the name of the role that the rule stands under.
        join: Fields whose values together are the key; where one of them is null, ``fields`` decide.
        separator: What stands between the values of ``join``.
        fields: The field that holds the key, then fallbacks in order.
        hash: Replace the key by its xxh3-64 in hex and keep the text as property ``text``.
        properties: Fields that become properties of the entity, optionally renamed (``name: field``).
    """

    type: str = ""
    join: Names = ()
    separator: str = ""
    fields: Names = ()
    hash: bool = False
    properties: dict[str, str] = Field(default_factory=dict)

    @field_validator("properties", mode="before", json_schema_input_type=str | list[str] | dict[str, str])
    @classmethod
    def _named(cls, value: Any) -> Any:
        names = _tuple(value)
        return {name: name for name in names} if isinstance(names, list | tuple) else value

    @model_validator(mode="after")
    def _has_key(self) -> EntityRule:
        if not self.fields and not self.join:
            raise ValueError("give the key's 'fields' (with fallbacks in order), or 'join', or both")
        if self.separator and not self.join:
            raise ValueError("'separator' stands between the values of 'join', and there is no 'join'")
        return self


def _entity_rule(value: Any) -> Any:
    return {"fields": value} if isinstance(value, str | list | tuple) else value


class EdgeRule(Strict):
    """An edge that an event gives: its type and the roles of its two ends."""

    type: str
    source: str = Field(alias="from")
    target: str = Field(alias="to")


class EventRule(Strict):
    """What one event type gives.

    Attributes:
        aliases: Other names of the event type in the sources.
        entities: Role to rule. A role is a name within the event type (``origin``), by default also
            the entity type.
        edges: The edges between roles.
        text: The embedding template, ``{field}`` or ``{field|truncate:100}``.
        synonyms: Other words that people use for the event.
        description: One sentence for the catalog.
    """

    aliases: Names = ()
    synonyms: Names = ()
    entities: dict[
        str,
        Annotated[
            EntityRule,
            BeforeValidator(_entity_rule, json_schema_input_type=str | tuple[str, ...] | EntityRule),
        ],
    ] = Field(default_factory=dict)
    edges: tuple[EdgeRule, ...] = ()
    text: str = ""
    description: str = ""

    @field_validator("text")
    @classmethod
    def _template(cls, value: str) -> str:
        if re.search(r"[{}]", _PLACEHOLDER.sub("", value)):
            raise ValueError(
                f"{value!r} is not a template; a placeholder is {{field}} or {{field|truncate:100}}"
            )
        return value


class Reference(EventRule):
    """A table without time that gives entities properties and edges; its file has the reference's name."""


class Timestamp(Strict):
    """Where an event's time stands: the first of ``fields`` that is there; ``timezone`` for naive ones."""

    fields: Names = _TIMES
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        return check_timezone(value)


class Fields(Strict):
    """How fields are normalised.

    Attributes:
        aliases: Field to its other spellings in the sources.
        booleans: Fields in which true/1/yes and false/0/no are booleans.
        strings: Fields that stay strings whatever their values look like.
        test_account: The boolean field that marks events of test accounts.
    """

    aliases: dict[str, Names] = Field(default_factory=dict)
    booleans: Names = ()
    strings: Names = ()
    test_account: str = ""


class Term(Strict):
    """A noun for several event types together: what people count, and of what shares are taken.

    Attributes:
        events: The event types that it stands for.
        outcomes: Those of them that are asked for as a share of the whole term, for example "failed call".
        synonyms: Other words for it.
        description: One sentence for the catalog.
    """

    events: Annotated[Names, Field(min_length=1)]
    outcomes: Names = ()
    synonyms: Names = ()
    description: str = ""


class About(Strict):
    """What people should know about a field; it changes nothing of what is stored.

    Attributes:
        synonyms: Other words for it.
        unit: What its numbers count, in the singular, for example ``minute``.
        worse: Which end is the bad one, ``higher`` or ``lower``; empty where neither is.
        measure: Whether averages and sums of it mean anything; not those of codes and clock times.
        description: One sentence for the catalog.
    """

    synonyms: Names = ()
    unit: str = ""
    worse: Literal["", "higher", "lower"] = ""
    measure: bool = True
    description: str = ""


class _Spec(Strict):
    timezone: str = "UTC"
    nulls: tuple[str, ...] = _NULLS
    timestamp: Timestamp = Timestamp()
    fields: Fields = Fields()
    entities: dict[str, EntityType] = Field(default_factory=dict)
    edges: dict[str, EdgeType] = Field(default_factory=dict)
    events: dict[str, EventRule] = Field(default_factory=dict)
    references: dict[str, Reference] = Field(default_factory=dict)
    terms: dict[str, Term] = Field(default_factory=dict)
    about: dict[str, About] = Field(default_factory=dict)

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        return check_timezone(value)

    @model_validator(mode="after")
    def _consistent(self) -> _Spec:
        findings = [
            InitErrorDetails(
                type=PydanticCustomError("inconsistent", "{reason}", {"reason": reason}), loc=path, input=self
            )
            for path, reason in _inconsistencies(self)
        ]
        if findings:
            raise ValidationError.from_exception_data(type(self).__name__, findings)
        return self


Finding = tuple[tuple[str | int, ...], str]


def _inconsistencies(spec: _Spec) -> Iterator[Finding]:
    """Yield the path and the reason of everything that is wrong between the parts of a schema."""
    rules = [(g, n, r) for g in ("events", "references") for n, r in getattr(spec, g).items()]
    yield from _type_inconsistencies(spec, [rule for _, _, rule in rules])
    yield from _clashes(spec)
    yield from _term_inconsistencies(spec)
    for group, name, rule in rules:
        for path, reason in _rule_inconsistencies(spec, rule):
            yield (group, name, *path), reason


def _type_inconsistencies(spec: _Spec, rules: list[EventRule]) -> Iterator[Finding]:
    properties: dict[str, set[str]] = {}
    for role, entity in (pair for rule in rules for pair in rule.entities.items()):
        kept = {*entity.properties, *(("text",) if entity.hash else ())}
        properties.setdefault(entity.type or role, set()).update(kept)
    for name, kind in spec.entities.items():
        if name != name.lower() or re.search(r"[:\s]", name):
            yield ("entities", name), f"entity type {name!r} must be lower case, without ':' and spaces."
        given = properties.get(name, set())
        if kind.label and kind.label not in given:
            yield ("entities", name, "label"), _unknown("property", kind.label, given)
    for name, edge in spec.edges.items():
        for end, end_type in (("from", edge.source), ("to", edge.target)):
            if end_type not in spec.entities:
                yield ("edges", name, end), _unknown("entity type", end_type, spec.entities)


def _clashes(spec: _Spec) -> Iterator[Finding]:
    """Yield every name that a source may use and that means two things."""
    owner = {name: name for name in (*spec.events, *spec.references)}
    for name in spec.references:
        if name in spec.events:
            yield ("references", name), f"{name!r} is an event type already."
    for group in ("events", "references"):
        for name, rule in getattr(spec, group).items():
            for i, alias in enumerate(rule.aliases):
                if owner.setdefault(alias, name) != name:
                    yield (group, name, "aliases", i), f"{alias!r} means {owner[alias]!r} already."
    field_of: dict[str, str] = {field: field for field in spec.fields.aliases}
    for field, spellings in spec.fields.aliases.items():
        for i, spelling in enumerate(spellings):
            if field_of.setdefault(spelling, field) != field:
                reason = f"{spelling!r} is a spelling of {field_of[spelling]!r} already."
                yield ("fields", "aliases", field, i), reason


def _term_inconsistencies(spec: _Spec) -> Iterator[Finding]:
    for name, term in spec.terms.items():
        if name in spec.events:
            yield ("terms", name), f"{name!r} is an event type already."
        for i, event in enumerate(term.events):
            if event not in spec.events:
                yield ("terms", name, "events", i), _unknown("event type", event, spec.events)
        for i, event in enumerate(term.outcomes):
            if event not in term.events:
                yield ("terms", name, "outcomes", i), _unknown("event type in the term", event, term.events)


def _rule_inconsistencies(spec: _Spec, rule: EventRule) -> Iterator[Finding]:
    types = {role: entity.type or role for role, entity in rule.entities.items()}
    for role, entity_type in types.items():
        if entity_type not in spec.entities:
            yield ("entities", role), _unknown("entity type", entity_type, spec.entities)
    for i, edge in enumerate(rule.edges):
        declared = spec.edges.get(edge.type)
        if declared is None:
            yield ("edges", i, "type"), _unknown("edge type", edge.type, spec.edges)
        for end, role in (("from", edge.source), ("to", edge.target)):
            joined = declared and (declared.source if end == "from" else declared.target)
            if role not in types:
                yield ("edges", i, end), _unknown("role", role, types)
            elif joined and types[role] != joined:
                reason = f"role {role!r} is of type {types[role]!r}, {edge.type} joins {joined!r} there."
                yield ("edges", i, end), reason


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    return f"there is no {what} {name!r}. {did_you_mean(name, sorted(known))}"


def check_timezone(name: str) -> str:
    """Return ``name`` if it is an IANA time zone.

    Raises:
        ValueError: If it is not.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"there is no time zone {name!r}; use an IANA name such as Europe/Berlin") from None
    return name


class EntitySchema(_Spec):
    """A validated entity schema; see ``docs/entity-schema.md`` for the file format."""

    metadata: Metadata = Metadata(id="none")

    @cached_property
    def fingerprint(self) -> str:
        """Return a hash of everything that extraction depends on: not of what only describes."""
        described: dict[str, Any] = {
            "entities": {"__all__": _DESCRIPTIVE},
            "edges": {"__all__": _DESCRIPTIVE},
        }
        described |= {group: {"__all__": {"synonyms", "description"}} for group in ("events", "references")}
        described |= {"metadata": True, "terms": True, "about": True}
        content = self.model_dump(mode="json", by_alias=True, exclude=described)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    @cached_property
    def event_names(self) -> dict[str, str]:
        """Map every name that a source may use for an event type or a reference to the one used here."""
        rules = {**self.events, **self.references}
        aliases = {alias: name for name, rule in rules.items() for alias in rule.aliases}
        return {**aliases, **{name: name for name in rules}}

    @cached_property
    def who(self) -> tuple[str, ...]:
        """Return the entity types that features and scores are about."""
        return tuple(name for name, kind in self.entities.items() if kind.who)

    @cached_property
    def attributes(self) -> frozenset[str]:
        """Return the attribute types: few values, huge degree, not walked through."""
        return frozenset(name for name, kind in self.entities.items() if kind.attribute)


def shipped_schemas() -> dict[str, Path]:
    """Return the schemas that come with workbench, by name.

    >>> "flights" in shipped_schemas()
    True
    """
    folder = Path(__file__).parent / "schemas"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def schema_path(name: str | Path) -> Path:
    """Return the file of an entity schema: the name of a shipped one, or a YAML file's path.

    Raises:
        UnknownNameError: If it is neither.

    >>> schema_path("flights").name
    'flights.yaml'
    """
    shipped = shipped_schemas()
    if str(name) in shipped:
        return shipped[str(name)]
    path = Path(name)
    if path.exists():
        return path
    fix = "No such file." if path.suffix in {".yaml", ".yml"} else did_you_mean(str(name), shipped)
    raise UnknownNameError("entity schema", str(name), shipped, fix=fix)


def load_schema(name: str | Path) -> EntitySchema:
    """Read an entity schema: a YAML file's path, or the name of a shipped one.

    Raises:
        UnknownNameError: If it is neither.
        ConfigError: If the file is not a valid entity schema; says file, line, reason and suggestion.

    >>> load_schema("flights").metadata.id
    'flights'
    """
    metadata, spec = load_document(schema_path(name), "EntitySchema", _Spec, shipped_schemas().get)
    return EntitySchema(metadata=metadata, **dict(spec))
