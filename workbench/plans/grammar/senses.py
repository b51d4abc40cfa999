"""What words of a question can stand for, before it is known what the question means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Ask",
    "Condition",
    "Count",
    "Decline",
    "EdgeRef",
    "Entities",
    "EntityFilter",
    "EntityRef",
    "EventRef",
    "FieldRef",
    "Item",
    "KindRef",
    "KnowledgeRef",
    "MeasureRef",
    "Number",
    "Order",
    "Part",
    "PropertyRef",
    "Relation",
    "RoleRef",
    "Share",
    "Superlative",
    "ValueRef",
]


@dataclass(frozen=True)
class EventRef:
    """Event types under one noun; ``term`` where it is the schema's word for several."""

    types: tuple[str, ...]
    term: str = ""


@dataclass(frozen=True)
class KindRef:
    """An entity type."""

    type: str


@dataclass(frozen=True)
class RoleRef:
    """What an entity is in an event, for example where it starts."""

    role: str
    type: str


@dataclass(frozen=True)
class FieldRef:
    """One of these fields."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class PropertyRef:
    """A property of one of these entity types."""

    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class EdgeRef:
    """One of these edge types."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class EntityRef:
    """One of these entities, as it was called."""

    names: tuple[str, ...]
    text: str

    def of(self, type_: str) -> EntityRef | None:
        """Return those of one type, if there are any."""
        kept = tuple(name for name in self.names if name.partition(":")[0] == type_)
        return EntityRef(kept, self.text) if kept else None


@dataclass(frozen=True)
class ValueRef:
    """A value of one of these fields, or of these properties (written ``type.property``).

    Of a list the value is a tuple; ``either`` where it was joined by "or".
    """

    names: tuple[tuple[str, Any], ...]
    either: bool = False


@dataclass(frozen=True)
class KnowledgeRef:
    """A kind of knowledge."""

    kind: str


@dataclass(frozen=True)
class Number:
    """A number, with the unit that it was said with."""

    value: float
    unit: str = ""


@dataclass(frozen=True)
class Entities:
    """Entities of a list: ``mode`` is how it was joined, ``without`` what it leaves out.

    ``preposition`` was said again within the list; another before the list then means something else.
    """

    items: tuple[EntityRef, ...]
    mode: str = ""
    without: tuple[EntityRef, ...] = ()
    preposition: str = ""


@dataclass(frozen=True)
class EntityFilter:
    """Entities that events or entities have to do with, and the preposition that says how."""

    entities: Entities
    preposition: str = ""
    negated: bool = False
    role: str = ""
    only: bool = False


@dataclass(frozen=True)
class Condition:
    """A field or property compared with values."""

    what: FieldRef | PropertyRef
    op: str
    values: tuple[Any, ...] = ()
    unit: str = ""


@dataclass(frozen=True)
class MeasureRef:
    """Figures of a field: without ``ops`` it was not said which."""

    what: FieldRef | PropertyRef | None
    ops: tuple[str, ...] = ()


@dataclass(frozen=True)
class Count:
    """How many there are of something."""

    what: EventRef | KindRef | RoleRef | None = None
    distinct: bool = False


@dataclass(frozen=True)
class Share:
    """Which part of the whole something is; ``rate`` where it was called a rate."""

    what: EventRef | None = None
    rate: bool = False


@dataclass(frozen=True)
class Superlative:
    """The extreme ones: ``most``, ``fewest``, ``highest``, ``lowest``, ``worst`` or ``best``."""

    degree: str
    what: EventRef | MeasureRef | Share | KindRef | RoleRef | None = None
    n: int | None = None


@dataclass(frozen=True)
class Order:
    """How rows are ordered: ``descending``, ``ascending``, ``worst``, ``best`` or nothing, by what."""

    direction: str = ""
    by: EventRef | MeasureRef | Share | KindRef | RoleRef | None = None


@dataclass(frozen=True)
class Relation:
    """An edge to entities, said actively or passively."""

    edge: EdgeRef
    entities: Entities
    passive: bool = False
    negated: bool = False


@dataclass(frozen=True)
class Item:
    """A constituent: tokens ``i`` to before ``j`` are a ``category`` that means ``value``."""

    category: str
    value: Any
    i: int
    j: int
    score: float


@dataclass(frozen=True)
class Part:
    """A constituent that says something about the question as a whole."""

    kind: str
    value: Any
    i: int
    j: int
    score: float = field(default=0.0, compare=False)


class Ask(Exception):  # noqa: N818  (not an error: a question back)
    """The question has several meanings, or lacks something.

    Args:
        text: What is asked back.
        options: Each a text for the tokens from ``i`` to before ``j`` that would make it clear.
        questions: Complete questions to ask instead.
    """

    def __init__(
        self, text: str, options: tuple[tuple[int, int, str], ...] = (), questions: tuple[str, ...] = ()
    ) -> None:
        super().__init__(text)
        self.text, self.options, self.questions = text, options, questions


class Decline(Exception):  # noqa: N818  (not an error: an answer)
    """The data cannot answer the question.

    Args:
        text: Why.
        questions: Complete questions that they can answer.
        final: Whether no other reading of the same question can do better.
    """

    def __init__(self, text: str, questions: tuple[str, ...] = (), *, final: bool = False) -> None:
        super().__init__(text)
        self.text, self.questions, self.final = text, questions, final
