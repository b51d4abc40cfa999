"""The form that a model fills in: a few flat choices among names that exist, which become a plan.

A plan is a graph of steps that refer to one another, and small models do not get that right. The form has
one kind of query after another, each with the choices that it needs, and each choice is a list of names of
the live workspace: what a question mentions where it mentions something, everything otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workbench.catalog.model import Field
    from workbench.plans.planners._model_mentions import Mentions

__all__ = ["ALL_TIME", "BUCKETS", "CYCLES", "EVERYTHING", "ORDERS", "Form"]

BUCKETS = ("hour", "day", "week", "month", "quarter", "year")
CYCLES = ("hour of day", "day of week")
ORDERS = ("largest first", "smallest first")
FIGURES = ("mean", "median", "min", "max", "sum")
SECTIONS = ("event_types", "fields", "entity_types", "edge_types", "knowledge")
ALL_TIME = "all"
EVERYTHING = "any"
_OPERATORS = (">", ">=", "<", "<=", "=", "!=")
# Hosted APIs take at most 1,000 choices in a schema; what the question mentions comes first.
_MOST_EVENTS = 5
_MOST_FIELDS = 8
_MOST_GROUPS = 500  # distinct values of a field that is grouped by
_MOST_WORDS = 200  # characters of what is asked back
_DATE = "[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?"
_TIME = rf"^(all|last [1-9][0-9]{{0,2}} (hours|days|weeks|months)|{_DATE}( to {_DATE})?)$"

Schema = dict[str, Any]


def _choice(values: Iterable[Any]) -> Schema:
    choices = list(dict.fromkeys(values))
    kinds = {type(choice) for choice in choices}
    # hosted APIs want a type beside the choices
    named = "string" if kinds == {str} else "integer" if kinds == {int} else "number"
    return {"type": named, "enum": choices} if kinds <= {int, float} or kinds == {str} else {"enum": choices}


def _object(properties: dict[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@dataclass(frozen=True)
class Form:
    """The choices that there are for one question.

    Attributes:
        found: What the question mentions.
        question: The question; texts to look for are its own words.
        wide: Whether times and texts may be written that the question does not spell out: what a small
            model cannot be trusted with.
    """

    found: Mentions
    question: str = ""
    wide: bool = True

    def schema(self) -> Schema:
        """Return the JSON Schema of the form: an object whose ``query`` is one of the kinds of query."""
        kinds = [
            *(kind for name in self.events for kind in self._of_events(name)),
            *self._connections(),
            *self._entities(),
            *self._knowledge(),
            *self._catalog(),
            *(_object({"do": _choice([do]), "text": _text()}) for do in ("ask back", "decline")),
        ]
        return _object({"query": {"anyOf": kinds}})

    # events

    @cached_property
    def events(self) -> tuple[str, ...]:
        """Return the event types, and the nouns for several, that a query may be about."""
        lexicon, found = self.found.lexicon, self.found
        elsewhere = found.kinds or (found.entities and (found.types or not found.values))
        if not self.wide and not found.events and elsewhere:
            return ()
        known = {**lexicon.events, **lexicon.schema.terms}
        named = [name for name in self.found.events if name in known]
        for name, term in lexicon.schema.terms.items():
            # what is asked of an outcome may be a share of the whole
            if set(named) & set(term.outcomes):
                named.append(name)
        having = [
            name
            for name, event in lexicon.events.items()
            if any(field in event.fields for field in self.found.fields)
        ]
        every = sorted(lexicon.events, key=lambda name: -lexicon.events[name].documents)
        if not self.wide and not named and having:
            return tuple(having[:_MOST_EVENTS])
        others = [*having, *lexicon.schema.terms, *every]
        chosen = [*named, *others] if self.wide else named or others
        return tuple(dict.fromkeys(chosen))[:_MOST_EVENTS]

    def types_of(self, events: str) -> tuple[str, ...]:
        """Return the event types that a noun stands for."""
        term = self.found.lexicon.schema.terms.get(events)
        types = term.events if term is not None and events not in self.found.lexicon.events else (events,)
        return tuple(name for name in types if name in self.found.lexicon.events)

    def fields_of(self, events: str) -> dict[str, Field]:
        """Return the fields that all of the event types have, those that the question mentions first."""
        types = self.types_of(events)
        every = [self.found.lexicon.events[name].fields for name in types]
        common = [name for name in every[0] if all(name in fields for fields in every)] if every else []
        ordered = sorted(common, key=lambda name: (name not in self.found.fields, common.index(name)))
        return {name: every[0][name] for name in ordered}

    def figures(self, events: str) -> list[str]:
        """Return the figures that there are of events, each as a phrase such as ``mean price``."""
        lexicon, fields = self.found.lexicon, self.fields_of(events)
        numbers = [name for name, field in fields.items() if self._is_measure(name, field)]
        numbers = self._narrowed(numbers)[:_MOST_FIELDS]
        keys = self._narrowed([name for name, field in fields.items() if field.entities])[:_MOST_FIELDS]
        term = lexicon.schema.terms.get(events)
        outcomes = (
            [f"share of {name}" for name in term.outcomes] if term and events not in lexicon.events else []
        )
        means = [f"{op} {name}" for name in numbers for op in FIGURES]
        return ["count", *outcomes, *means, *(f"distinct {name}" for name in keys)]

    def _narrowed(self, fields: list[str]) -> list[str]:
        """Return the fields that the question mentions, if the form is narrow and there are any."""
        named = [name for name in fields if name in self.found.fields]
        return named if named and not self.wide else fields

    def _is_measure(self, name: str, field: Field) -> bool:
        about = self.found.lexicon.schema.about.get(name)
        return field.type in ("int64", "float64") and not field.entities and (about is None or about.measure)

    def groups(self, events: str) -> list[str]:
        """Return the fields and cycles that events can be grouped by."""
        fields = self.fields_of(events)
        fit = [
            name
            for name, field in fields.items()
            if (name in self.found.fields and not self._is_measure(name, field))
            or (field.type in ("string", "bool") and (field.entities or field.distinct <= _MOST_GROUPS))
        ]
        buckets = [bucket for bucket in self.found.buckets if bucket in BUCKETS]
        cycles = [cycle for cycle in CYCLES if self.wide or cycle in self.found.buckets]
        return [*self._narrowed(fit)[:_MOST_FIELDS], *buckets, *cycles]

    def conditions(self, events: str) -> list[Schema]:
        """Return the conditions that can be put: what is mentioned, and comparisons where a number is."""
        fields = self.fields_of(events)
        fixed = [
            _object({"field": _choice([name]), "op": _choice(["=", "!="]), "value": _choice(values)})
            for name, values in self._mentioned_values(fields).items()
        ]
        numeric = [name for name, field in fields.items() if field.type in ("int64", "float64")]
        if not self.wide:
            numeric = [name for name in numeric if name in self.found.fields and self.found.numbers]
        if numeric:
            named = numeric[:_MOST_FIELDS]
            number = {"type": "number"} if self.wide else _choice(self.found.numbers)
            fixed.append(_object({"field": _choice(named), "op": _choice(_OPERATORS), "value": number}))
        texts = [name for name, field in fields.items() if field.type == "string"][:_MOST_FIELDS]
        if texts and self.wide:
            operators = _choice(["=", "!=", "contains", "starts with"])
            value = {"type": "string", "maxLength": 80}
            fixed.append(_object({"field": _choice(texts), "op": operators, "value": value}))
        return fixed

    def _mentioned_values(self, fields: dict[str, Field]) -> dict[str, list[Any]]:
        values: dict[str, list[Any]] = {}
        keys = self.found.lexicon.key_fields
        for entity in self.found.entities:
            type_, _, key = entity.partition(":")
            for name, field in fields.items():
                if name in keys and keys[name].type == type_:
                    value = _typed(key, field.type)
                    if value is not None:
                        values.setdefault(name, []).append(value)
        for name, value in self.found.values:
            if name in fields:
                values.setdefault(name, []).append(value)
        return values

    def _about_events(self, events: str, do: str, more: dict[str, Schema]) -> Schema:
        properties = {"do": _choice([do]), "events": _choice([events]), **more}
        conditions = self.conditions(events)
        if conditions:
            where = {"anyOf": conditions} if len(conditions) > 1 else conditions[0]
            properties["where"] = {"type": "array", "items": where, "maxItems": 4}
        return _object(properties | self._time())

    def _time(self) -> dict[str, Schema]:
        named = [name for name, _, _ in self.found.periods]
        if named and not self.wide:
            return {"time": _choice(named)}
        written = {"type": "string", "pattern": _TIME}
        if self.wide:
            return {"time": {"anyOf": [_choice(named), written]} if named else written}
        return {}

    def _of_events(self, events: str) -> Iterable[Schema]:
        yield self._figures(events)
        if self.wide or self.found.buckets or not self.found.fields:
            yield self._timeline(events)
        if self.wide or not (self.found.buckets or self.found.types):
            yield self._list(events)

    def _figures(self, events: str) -> Schema:
        choices = self.groups(events)
        groups: Schema = {"type": "array", "items": _choice(choices), "maxItems": min(2, len(choices))}
        limit: Schema = {"type": "integer", "minimum": 0, "maximum": 1000}
        if not self.wide:
            measured = [
                n
                for n, f in self.fields_of(events).items()
                if n in self.found.fields and self._is_measure(n, f)
            ]
            counts = [int(number) for number in self.found.numbers if 0 < number <= 1000]
            limit = _choice(counts if counts and not measured else [0, *counts])
        return self._about_events(
            events,
            "figures",
            {
                "figure": _choice(self.figures(events)),
                "by": groups,
                "order": _choice(ORDERS),
                "limit": limit,
            },
        )

    def _timeline(self, events: str) -> Schema:
        buckets = [b for b in self.found.buckets if b in BUCKETS] or BUCKETS
        split = ["", *(g for g in self.groups(events) if g not in {*BUCKETS, *CYCLES})]
        more = {"figure": _choice(self.figures(events)), "bucket": _choice(buckets), "split": _choice(split)}
        return self._about_events(events, "timeline", more)

    def _list(self, events: str) -> Schema:
        limit = {"type": "integer", "minimum": 1, "maximum": 1000}
        return self._about_events(events, "list", {"limit": limit})

    # entities

    def starts(self) -> dict[str, list[str]]:
        """Return the entities that the question mentions, by type."""
        found: dict[str, list[str]] = {}
        for entity in self.found.entities:
            found.setdefault(entity.partition(":")[0], []).append(entity)
        return found

    def ways(self, type_: str) -> list[str]:
        """Return what can be reached from a type: ``TYPE`` by any edge, or ``TYPE by EDGE``."""
        edges = self.found.lexicon.edges.values()
        joined = [
            (e.target if e.source == type_ else e.source, e.name)
            for e in edges
            if type_ in (e.source, e.target)
        ]
        named = [(far, name) for far, name in joined if far in self.found.types] or joined
        return [*dict.fromkeys(far for far, _ in named), *(f"{far} by {name}" for far, name in named)]

    def _connections(self) -> Iterable[Schema]:
        for type_, entities in self.starts().items():
            ways = self.ways(type_)
            if not ways:
                continue
            start = {
                "type": "array",
                "items": _choice(entities),
                "minItems": 1,
                "maxItems": min(4, len(entities)),
            }
            of = _choice(["each", "all together"] if len(entities) > 1 else ["each"])
            yield _object({"do": _choice(["connected"]), "start": start, "to": _choice(ways), "of": of})

    def _entities(self) -> Iterable[Schema]:
        every = [entity for entities in self.starts().values() for entity in entities]
        if not every:
            return
        for number, entity in enumerate(every[:-1], 1):
            ends = {"from": _choice([entity]), "to": _choice(every[number:])}
            yield _object({"do": _choice(["path"]), **ends})
        k = {"type": "integer", "minimum": 1, "maximum": 100}
        who = [entity for entity in every if self.found.lexicon.types[entity.partition(":")[0]].who]
        if who:
            yield _object({"do": _choice(["similar"]), "entity": _choice(who), "k": k})
        yield _object({"do": _choice(["describe"]), "entity": _choice(every)})

    # knowledge

    def _knowledge(self) -> Iterable[Schema]:
        kinds = self.found.kinds or self.found.lexicon.knowledge
        if not kinds or not (self.found.kinds or self.wide):
            return
        entities = [EVERYTHING, *self.found.entities]
        yield _object(
            {"do": _choice(["knowledge"]), "kind": _choice(kinds), "of": _choice(entities)} | self._time()
        )

    def _catalog(self) -> Iterable[Schema]:
        if self.wide or not (self.found.entities or self.found.kinds):
            yield _object({"do": _choice(["catalog"]), "section": _choice(SECTIONS)})


def _text() -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": _MOST_WORDS}


def _typed(key: str, type_: str) -> Any:
    """Return a key as a value of its field, or None if it cannot be one."""
    if type_ == "int64":
        return int(key) if key.lstrip("-").isdecimal() else None
    return key if type_ == "string" else None


def listed(values: Sequence[str]) -> str:
    """Return names as a list in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(values[:-1]), values[-1]] if len(values) > 1 else values)
