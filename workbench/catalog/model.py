"""What there is in a workspace, as plain facts: collected once, rendered as text, HTML and JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "EdgeType",
    "EntityType",
    "EventType",
    "Field",
    "KnowledgeKind",
    "Property",
    "Quarantine",
    "Reference",
    "Sample",
    "Segment",
    "Series",
    "Workspace",
]


@dataclass(frozen=True)
class Workspace:
    """The workspace as a whole.

    Attributes:
        path: Its directory.
        generation: The manifest's number.
        created: Wall clock at which the generation was published.
        timezone: Zone of all times on screens, in SQL and in plans.
        schema: Id of the entity schema.
        window: Retained days, or ``all``.
        now: The clock of the workspace, its latest event time; None while it is empty.
        first: Its earliest event time.
        documents: Documents of all types.
        test_documents: How many of them are of test accounts.
        segments: Live segments.
        stale_segments: How many of them have partials to be derived again.
        files: Live files.
        bytes: Their length.
        disk_free: Bytes that the file system has left.
        sources: Sources in the ledger, by status.
        findings: What is wrong with live files: missing, of another length than recorded, or a lacking
            partial. Contents are checked against their hash when they are read.
        background: The jobs of the background by their state, of the last one where none runs; see
            :mod:`workbench.scheduler`.
        failing: Those of them whose last run failed, with what went wrong.
    """

    path: str
    generation: int
    created: datetime
    timezone: str
    schema: str
    window: str
    now: datetime | None
    first: datetime | None
    documents: int
    test_documents: int
    segments: int
    stale_segments: int
    files: int
    bytes: int
    disk_free: int
    sources: dict[str, int]
    findings: tuple[str, ...]
    background: dict[str, int] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Series:
    """Events over the whole window in equal periods of the workspace's time zone, empty ones included.

    Attributes:
        period: ``hour``, ``day``, ``week``, ``month`` or ``year``.
        starts: Start of each period.
        events: Events in it.
    """

    period: str
    starts: tuple[datetime, ...]
    events: tuple[int, ...]


@dataclass(frozen=True)
class Field:
    """A field of an event type, from the merged profiles.

    Attributes:
        name: Its name.
        type: Its type.
        nulls: Documents without a value.
        null_share: The same as a share of the event type's documents.
        distinct: Number of distinct values.
        estimated: Whether ``distinct`` is an estimate (standard error 3 %).
        minimum: Smallest value, as text; None where there is no value.
        maximum: Largest value.
        top: Most frequent values with their counts.
        top_exact: Whether these counts are exact; otherwise each is the least that it can be.
        examples: A few values, from frequent to rare.
        entities: Entity types whose key the field gives, alone or with others.
    """

    name: str
    type: str
    nulls: int
    null_share: float
    distinct: int
    estimated: bool
    minimum: str | None
    maximum: str | None
    top: tuple[tuple[str, int], ...]
    top_exact: bool
    examples: tuple[str, ...]
    entities: tuple[str, ...]


@dataclass(frozen=True)
class EventType:
    """An event type with its fields.

    Attributes:
        name: Its name.
        documents: Its documents in the window.
        test_documents: How many of them are of test accounts.
        share: Their share of all documents.
        first: Earliest event time; None where the schema alone knows the type.
        last: Latest event time.
        description: The schema's.
        synonyms: Other words for it, the sources' own included.
        counts: Its events over time.
        fields: Its fields.
    """

    name: str
    documents: int
    test_documents: int
    share: float
    first: datetime | None
    last: datetime | None
    description: str
    synonyms: tuple[str, ...]
    counts: Series
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Sample:
    """An entity that was seen often: ``type:key``, its key alone, and its label or nothing."""

    entity: str
    key: str
    label: str
    sightings: int


@dataclass(frozen=True)
class Property:
    """A property of an entity type.

    Attributes:
        name: Its name.
        entities: How many entities have it.
        coverage: Their share of the type's entities.
        distinct: Distinct latest values.
        examples: The latest values that most entities share.
    """

    name: str
    entities: int
    coverage: float
    distinct: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class EntityType:
    """An entity type of the window graph; test accounts are left out.

    Attributes:
        name: Its name.
        count: Entities in the window.
        who: Whether it is an actor that features and scores are about.
        attribute: Whether it is an attribute type, which traversal does not go through.
        label: The property that names an entity for people, or empty.
        description: The schema's.
        synonyms: Other words for it.
        sightings: Events that name one of them, summed over entities.
        first_seen: When the first was seen.
        last_seen: When the last was seen.
        samples: Those with most sightings, then with most edges.
        properties: What is known of them.
    """

    name: str
    count: int
    who: bool
    attribute: bool
    label: str
    description: str
    synonyms: tuple[str, ...]
    sightings: int
    first_seen: datetime | None
    last_seen: datetime | None
    samples: tuple[Sample, ...]
    properties: tuple[Property, ...]


@dataclass(frozen=True)
class EdgeType:
    """An edge type of the window graph, its ends' types from the schema."""

    name: str
    count: int
    weight: int
    source: str
    target: str
    description: str
    synonyms: tuple[str, ...]
    first_seen: datetime | None
    last_seen: datetime | None


@dataclass(frozen=True)
class Reference:
    """A reference table, with the names of its columns."""

    name: str
    rows: int
    columns: tuple[str, ...]
    description: str


@dataclass(frozen=True)
class KnowledgeKind:
    """One kind of knowledge: its newest run.

    Attributes:
        kind: Which knowledge.
        runs: How many runs are kept.
        rows: Rows of the newest result.
        asof: Data time: the end of the window that it saw.
        age: Seconds of data time by which it is behind the clock of the workspace.
        created: Wall clock at its start.
        seconds: Wall time of the kernel.
        algorithm: The method.
        device: Which backend ran.
        fallback: Why a preferred backend did not; empty where it did.
        seed: Seed of all randomness.
        parameters: What it was run with.
        metrics: Figures about the result, such as the number of groups found.
        memory: Bytes that it took; see :class:`workbench.knowledge.Run`.
        segments: First and last segment that it saw, and how many.
        run: Id of the run.
    """

    kind: str
    runs: int
    rows: int
    asof: datetime
    age: float
    created: datetime
    seconds: float
    algorithm: str
    device: str
    fallback: str
    seed: int
    parameters: dict[str, Any]
    metrics: dict[str, float]
    memory: dict[str, int]
    segments: tuple[str, str, int]
    run: str


@dataclass(frozen=True)
class Segment:
    """One day: its documents by event type and its files.

    Attributes:
        day: The UTC day.
        documents: Documents of all types.
        rows: Documents by event type.
        files: Live files.
        bytes: Their length.
        findings: What is wrong with them; empty where all is well.
        stale: Whether its partials were derived from other documents or another schema than there are now.
    """

    day: str
    documents: int
    rows: dict[str, int]
    files: int
    bytes: int
    findings: tuple[str, ...]
    stale: bool

    @property
    def status(self) -> str:
        """Return ``ok``, ``stale`` or ``damaged``."""
        return "damaged" if self.findings else "stale" if self.stale else "ok"


@dataclass(frozen=True)
class Quarantine:
    """What could not be read.

    Attributes:
        records: Single records.
        reasons: Single records by reason.
        sources: Sources quarantined as a whole, with the reason.
    """

    records: int
    reasons: dict[str, int]
    sources: dict[str, str]
