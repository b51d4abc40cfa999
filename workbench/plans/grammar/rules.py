"""The grammar: which typed constituents make which. Words stand in it by their names in the language file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.plans.grammar.chart import Rule
from workbench.plans.grammar.senses import (
    Condition,
    Count,
    Entities,
    EntityFilter,
    EntityRef,
    EventRef,
    FieldRef,
    KindRef,
    MeasureRef,
    Number,
    Order,
    PropertyRef,
    Relation,
    RoleRef,
    Share,
    Superlative,
    ValueRef,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Add = Callable[..., None]

__all__ = ["PARTS", "RULES"]

_AGGREGATES = ("mean", "median", "sum", "max", "min")
_COMPARED = {"more": ">", "at_least": ">=", "less": "<", "at_most": "<=", "equals": "="}
_PLACES = ("from", "to", "at")
_DEGREES = ("most", "fewest", "highest", "lowest", "worst", "best")

# Categories that may stand on their own in a question, and what each adds to the score.
PARTS: dict[str, float] = {
    "EVENT": 0.1,
    "KIND": 0.1,
    "ROLE": 0.1,
    "BUCKET": 0.0,
    "numbered": 0.1,
    "measure": 0.05,
    "PROP": 0.0,
    "agg": 0.0,
    "count": 0.2,
    "share": 0.2,
    "group": 0.2,
    "filter": 0.15,
    "cond": 0.15,
    "having": 0.2,
    "knownnum": 0.3,
    "when": 0.2,
    "DAYHOUR": 0.2,
    "top": 0.1,
    "superlative": 0.2,
    "order": 0.2,
    "rel": 0.25,
    "EDGE": 0.0,
    "KNOW": 0.1,
    "knownof": 0.2,
    "samegroup": 0.3,
    "sharing": 0.4,
    "w:distinct": 0.0,
    "w:timeline": 0.2,
    "w:as_table": 0.1,
    "w:as_bar": 0.1,
    "w:connected": 0.1,
    "w:path": 0.1,
    "w:common": 0.1,
    "w:similar": 0.1,
    "w:describe": 0.1,
    "w:anomalies": 0.1,
    "w:why": 0.0,
    "w:trends": 0.1,
    "w:happened": 0.3,
    "w:change": 0.1,
    "w:important": 0.1,
    "w:catalog": 0.3,
    "w:event_types": 0.3,
    "w:entity_types": 0.3,
    "w:edge_types": 0.3,
    "w:fields": 0.2,
    "w:knowledge": 0.2,
    "w:events": 0.0,
    "w:versus": 0.0,
    "w:compare": 0.1,
    "w:only": 0.0,
    "w:not": -0.6,
    "w:which_of": 0.1,
    "w:follow": 0.0,
    "w:again": 0.0,
    "w:or": -0.5,
    "whens": 0.3,
}


def _first(*values: Any) -> Any:
    return values[0]


def _last(*values: Any) -> Any:
    return values[-1]


def _joined(mode: str) -> Callable[..., Entities | None]:
    def build(left: Entities, *rest: Any) -> Entities | None:
        right = rest[-1]
        if left.without or right.without or (left.mode not in ("", mode, "both")):
            return None
        again = left.preposition or right.preposition or next((w for w in rest[:-1] if w in _PLACES), "")
        return Entities((*left.items, *right.items), "both" if left.mode == "both" else mode, (), again)

    return build


def _both(_: str, entities: Entities) -> Entities | None:
    return (
        replace(entities, mode="both")
        if len(entities.items) > 1 and entities.mode == "and"
        else (entities if entities.mode == "or" else None)
    )


def _without(left: Entities, *rest: Any) -> Entities | None:
    right = rest[-1]
    return (
        None
        if right.without or right.mode == "both"
        else replace(
            left,
            without=(*left.without, *right.items),
            preposition=left.preposition or next((w for w in rest[:-1] if w in _PLACES), ""),
        )
    )


def _typed(kind: KindRef | RoleRef, entity: EntityRef) -> EntityRef | None:
    return entity.of(kind.type)


def _typed_after(entity: EntityRef, kind: KindRef) -> EntityRef | None:
    return entity.of(kind.type)


def _key(value: tuple[str, str]) -> EntityRef:
    return EntityRef((value[0],), value[1])


def _keyed(kind: KindRef, value: tuple[str, str]) -> EntityRef | None:
    return _key(value) if value[0].partition(":")[0] == kind.type else None


def _labelled(value: tuple[tuple[str, ...], str]) -> EntityRef:
    return EntityRef(*value)


def _filter(
    preposition: str, *, negated: bool = False, only: bool = False
) -> Callable[..., EntityFilter | None]:
    def build(*values: Any) -> EntityFilter | None:
        again = values[-1].preposition
        if preposition in _PLACES and again not in ("", preposition):
            return None
        return EntityFilter(values[-1], preposition, negated=negated, only=only)

    return build


def _in_role(*values: Any) -> EntityFilter | None:
    role = next(v for v in values if isinstance(v, RoleRef))
    entities = next(v for v in values if isinstance(v, Entities))
    kept = [item.of(role.type) for item in entities.items]
    if entities.without or not all(kept):
        return None
    return EntityFilter(replace(entities, items=tuple(e for e in kept if e)), role=role.role)


def _of_kind(*values: Any) -> EntityFilter | None:
    kind = next(v for v in values if isinstance(v, KindRef))
    entities = values[-1]
    kept = tuple(e for item in entities.items if (e := item.of(kind.type)) is not None)
    if entities.without or len(kept) < len(entities.items):
        return None
    return EntityFilter(replace(entities, items=kept))


def _condition(*values: Any) -> Condition | None:
    what = next((v for v in values if isinstance(v, FieldRef | PropertyRef)), None)
    number = [v for v in values if isinstance(v, Number)]
    op = next((_COMPARED[v] for v in values if isinstance(v, str) and v in _COMPARED), None)
    if what is None or op is None or len(number) != 1:
        return None
    return Condition(what, op, (number[0].value,), number[0].unit)


def _by_unit(op: str, number: Number) -> Condition | None:
    """A number with a unit compares the field that is counted in it."""
    return Condition(FieldRef(()), _COMPARED[op], (number.value,), number.unit) if number.unit else None


def _having(*values: Any) -> tuple[str, float, Any] | None:
    op = next(_COMPARED[v] for v in values if isinstance(v, str) and v in _COMPARED)
    number = next(v for v in values if isinstance(v, Number))
    return None if number.unit else (op, number.value, values[-1])


def _known_number(*values: Any) -> tuple[Any, int] | None:
    number = values[-1]
    return (values[0], int(number.value)) if not number.unit and number.value >= 0 else None


def _between(what: Any, *values: Any) -> Condition:
    low, high = (v for v in values if isinstance(v, Number))
    return Condition(what, "between", (low.value, high.value), high.unit or low.unit)


def _valued(*values: Any) -> Condition | None:
    value = next(v for v in values if isinstance(v, ValueRef))
    negated = any(v == "not" for v in values if isinstance(v, str))
    what = next((v for v in values if isinstance(v, FieldRef)), None)
    fields = [(n, v) for n, v in value.names if "." not in n and (what is None or n in what.names)]
    owned = [(n, v) for n, v in value.names if "." in n]
    op = "!=" if negated else "="
    if fields:
        names = tuple(n for n, _ in fields)
        return Condition(FieldRef(names), op, (fields[0][1],))
    if owned and what is None:
        names_ = tuple((n.split(".", 1)[0], n.split(".", 1)[1]) for n, _ in owned)
        return Condition(PropertyRef(names_), op, (owned[0][1],))
    return None


def _values_joined(*values: Any) -> ValueRef | None:
    """Several values of one field: by chat, mail or phone."""
    left, right = values[0], values[-1]
    names = [n for n, _ in left.names if n in {m for m, _ in right.names} and "." not in n]
    if not names:
        return None
    return ValueRef(
        tuple((n, _as_tuple(dict(left.names)[n]) + _as_tuple(dict(right.names)[n])) for n in names),
        any(v in ("or", "both") for v in values if isinstance(v, str)) or right.either or left.either,
    )


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _any_value(*values: Any) -> Condition | None:
    """A condition on a list of values that ends in "or"."""
    several = next(v for v in values if isinstance(v, ValueRef))
    what = next((v for v in values if isinstance(v, FieldRef)), None)
    names = [(n, v) for n, v in several.names if what is None or n in what.names]
    if not several.either or not names:
        return None
    op = "not in" if any(v == "not" for v in values if isinstance(v, str)) else "in"
    return Condition(FieldRef(tuple(n for n, _ in names)), op, names[0][1])


def _missing(what: FieldRef, *_: Any) -> Condition:
    return Condition(what, "is null")


def _missing_before(_: Any, what: FieldRef) -> Condition:
    return Condition(what, "is null")


def _measure(*values: Any) -> MeasureRef | None:
    ops = next((v for v in values if isinstance(v, tuple)), ())
    what = values[-1]
    return MeasureRef(what, ops) if isinstance(what, FieldRef | PropertyRef) else None


def _superlative(*values: Any) -> Superlative | None:
    degree = next(v for v in values if isinstance(v, str) and v in _DEGREES)
    number = next((v for v in values if isinstance(v, Number)), None)
    what = next((v for v in values if isinstance(v, EventRef | MeasureRef | KindRef | RoleRef)), None)
    if isinstance(what, KindRef | RoleRef) and degree not in ("most", "fewest"):
        return None
    if degree in ("most", "fewest") and isinstance(what, MeasureRef):
        degree = {"most": "highest", "fewest": "lowest"}[degree]
    if number is not None and (number.unit or number.value != int(number.value) or number.value < 1):
        return None
    return Superlative(degree, what, int(number.value) if number else None)


def _superlative_count(*values: Any) -> Superlative | None:
    count = next(v for v in values if isinstance(v, Count))
    if count.what is None:
        return None
    return Superlative(next(v for v in values if isinstance(v, str) and v in _DEGREES), count.what)


def _superlative_share(degree: str, share: Share) -> Superlative:
    return Superlative(degree, share)


def _top(word: str, number: Number) -> Superlative | None:
    if number.unit or number.value != int(number.value) or number.value < 1:
        return None
    return Superlative("fewest" if word == "bottom" else "most", None, int(number.value))


def _numbered(number: Number, what: Any) -> tuple[int, Any] | None:
    if number.unit or number.value != int(number.value) or number.value < 1:
        return None
    return int(number.value), what


def _order(direction: str) -> Callable[..., Order]:
    def build(*values: Any) -> Order:
        by = next((v for v in values if isinstance(v, EventRef | MeasureRef | Share)), None)
        counted = next((v for v in values if isinstance(v, Count)), None)
        ordered = next((v for v in values if isinstance(v, Order)), None)
        said = ordered.direction if ordered else direction
        what = by if by is not None else counted.what if counted else ordered.by if ordered else None
        return Order(said, what)

    return build


def _by_event(_: Any, event: Any) -> Order | None:
    if isinstance(event, Count):
        return Order("", event.what) if event.what is not None else None
    return Order("", event)


def _count(*values: Any) -> Count | None:
    """What is counted; an event is never the same as another, so different ones are entities."""
    what = values[-1] if not isinstance(values[-1], str) else None
    distinct = any(v == "distinct" for v in values if isinstance(v, str))
    return None if distinct and isinstance(what, EventRef) else Count(what, distinct=distinct)


def _share(*values: Any) -> Share:
    what = next((v for v in values if isinstance(v, EventRef)), None)
    return Share(what, rate=any(v == "rate" for v in values if isinstance(v, str)))


def _dims(*values: Any) -> tuple[Any, ...]:
    found: tuple[Any, ...] = ()
    for value in values:
        if isinstance(value, tuple):
            found += value
        elif not isinstance(value, str):
            found += (value,)
    return found


def _relation(*values: Any) -> Relation | None:
    edge, entities = values[0], values[-1]
    said = next((v for v in values[1:-1] if v in _PLACES), "")
    if said and entities.preposition not in ("", said):
        return None
    return Relation(edge, entities, passive="for" in values[1:-1])


def _unrelated(_: str, relation: Relation) -> Relation:
    return replace(relation, negated=True)


def _periods(*values: Any) -> tuple[Any, ...]:
    found: tuple[Any, ...] = ()
    for value in values:
        if isinstance(value, tuple):
            found += value
        elif not isinstance(value, str):
            found += (value,)
    return found


def _known_of(know: Any, *values: Any) -> tuple[Any, ...]:
    return (know, values[-1])


def _same_group(*values: Any) -> tuple[Any, Any] | None:
    know = next((v for v in values if hasattr(v, "kind")), None)
    entity = values[-1]
    return (know, entity) if know is not None else None


def _sharing(*values: Any) -> tuple[KindRef, Entities] | None:
    kind, entities = next(v for v in values if isinstance(v, KindRef)), values[-1]
    return (kind, entities) if len(entities.items) == 1 and not entities.without else None


def _entities_rules(add: Add) -> None:
    """Add the rules of names of entities, and lists of them."""
    add("ENT", "KEY", _key, 0.0)
    add("ENT", "LABEL", _labelled, 0.0)
    for kind in ("KIND", "ROLE"):
        add("ENT", f"{kind} KEYNUM", _keyed)
    add("ENT", "KIND ENT", _typed, 0.2)
    add("ENT", "ENT KIND", _typed_after, 0.2)
    add("list", "ENT", lambda entity: Entities((entity,)), 0.0)
    for mode in ("and", "or", "versus"):
        add("list", f"list w:{mode} list", _joined(mode), 0.3)
        add("list", f"list w:{mode} w:for list", _joined(mode), 0.2)
    add("list", "list w:and w:versus list", _joined("versus"), 0.3)
    for preposition in ("to", "at", "from", "for"):
        add("list", f"list w:and w:{preposition} list", _joined("and"), 0.15)
        add("list", f"list w:or w:{preposition} list", _joined("or"), 0.15)
        add("list", f"list w:but_not w:{preposition} list", _without)
        add("list", f"list w:not w:{preposition} list", _without)
    add("list", "w:both list", _both, 0.3)
    add("list", "list w:but_not list", _without, 0.4)
    add("list", "list w:not list", _without, 0.2)


def _filters_rules(add: Add) -> None:
    """Add the rules of entities that events or entities have to do with."""
    add("filter", "list", _filter(""), 0.0)
    for preposition in ("from", "to", "at", "for"):
        add("filter", f"w:{preposition} list", _filter(preposition))
        add("filter", f"w:not w:{preposition} list", _filter(preposition, negated=True), 0.3)
        add("filter", f"w:only w:{preposition} list", _filter(preposition, only=True), 0.3)
    add("filter", "list w:for", _filter_before, 0.1)
    add("filter", "w:not list", _filter("", negated=True), 0.4)
    add("filter", "w:but_not list", _filter("", negated=True), 0.3)
    add("filter", "w:only list", _filter("", only=True), 0.3)
    add("filter", "ROLE list", _in_role, 0.3)
    add("filter", "ROLE w:equals list", _in_role, 0.3)
    add("filter", "KIND w:equals list", _of_kind, 0.3)
    add("filter", "w:with KIND w:equals list", _of_kind, 0.4)
    for preposition in ("for", "with", "at", "from", "to"):
        add("filter", f"w:{preposition} ROLE list", _in_role_after, 0.3)


def _conditions_rules(add: Add) -> None:  # noqa: C901  (a list of rules)
    """Add the rules of fields and properties compared with values."""
    for what in ("FIELD", "PROP"):
        for op in _COMPARED:
            add("cond", f"{what} w:{op} NUM", _condition, 0.4)
            for link in ("of", "by", "for", "with"):
                add("cond", f"{what} w:{link} w:{op} NUM", _condition, 0.4)
            add("cond", f"w:{op} NUM {what}", _condition, 0.3)
            add("cond", f"w:{op} NUM w:of {what}", _condition, 0.3)
        add("cond", f"{what} w:between NUM w:and NUM", _between, 0.5)
        add("cond", f"{what} w:of w:between NUM w:and NUM", _between, 0.5)
        add("cond", f"{what} w:equals NUM", _condition, 0.3)
    for op in _COMPARED:
        add("cond", f"w:{op} NUM", _by_unit, 0.2)
        for what in ("EVENT", "KIND", "ROLE"):
            add("having", f"w:{op} NUM {what}", _having, 0.5)
            add("having", f"w:{op} NUM w:distinct {what}", _having, 0.5)
            add("having", f"w:with w:{op} NUM {what}", _having, 0.5)
            add("having", f"w:for w:{op} NUM {what}", _having, 0.5)
    add("cond", "FIELD w:missing", _missing, 0.2)
    add("cond", "w:missing FIELD", _missing_before, 0.2)
    add("cond", "VAL", _valued, 0.0)
    add("cond", "FIELD VAL", _valued, 0.2)
    add("cond", "VAL FIELD", _valued, 0.2)
    add("cond", "FIELD w:equals VAL", _valued, 0.3)
    add("cond", "w:not VAL", _valued, 0.3)
    for link in ("for", "at", "with"):
        add("cond", f"w:{link} VAL", _valued, 0.1)
        add("cond", f"w:not w:{link} VAL", _valued, 0.3)
    for word in ("or", "and"):
        for left in ("VAL", "vals"):
            add("vals", f"{left} w:{word} VAL", _values_joined, 0.4)
            for link in ("for", "at", "with"):
                add("vals", f"{left} w:{word} w:{link} VAL", _values_joined, 0.3)
    add("cond", "vals", _any_value, 0.3)
    add("cond", "FIELD vals", _any_value, 0.5)
    add("cond", "vals FIELD", _any_value, 0.5)
    add("cond", "FIELD w:equals vals", _any_value, 0.6)
    add("cond", "w:not vals", _any_value, 0.6)
    for link in ("for", "at", "with"):
        add("cond", f"w:{link} vals", _any_value, 0.4)
    add("cond", "w:with cond", _last, 0.1)


def _figures_rules(add: Add) -> None:
    """Add the rules of what is worked out."""
    for word in _AGGREGATES:
        add("agg", f"w:{word}", lambda w: (w,), 0.0)
    add("agg", "agg w:and agg", lambda a, _, b: (*a, *b))
    for what in ("FIELD", "PROP"):
        add("measure", what, lambda w: MeasureRef(w) if isinstance(w, FieldRef) else None, 0.0)
        add("measure", f"agg {what}", _measure, 0.4)
        add("measure", f"agg w:of {what}", _measure, 0.4)
        add("measure", f"agg w:how_many {what}", _measure, 0.4)
    add("count", "w:how_many", _count, 0.0)
    for what in ("EVENT", "KIND", "ROLE"):
        add("count", f"w:how_many {what}", _count, 0.4)
        add("count", f"w:how_many w:distinct {what}", _count, 0.5)
        add("count", f"w:distinct {what}", _count, 0.1)
        add("count", f"w:how_many w:of {what}", _count, 0.3)
    add("count", "w:how_many w:events", lambda *_: Count(), 0.3)
    add("share", "w:share", _share, 0.0)
    add("share", "w:share EVENT", _share, 0.4)
    add("share", "w:share w:of EVENT", _share, 0.4)
    add("share", "EVENT w:rate", _share, 0.5)
    add("share", "EVENT w:share", _share, 0.4)
    add("share", "w:rate w:of EVENT", _share, 0.4)


def _superlatives_rules(add: Add) -> None:
    """Add the rules of the most and the least."""
    add("top", "w:top NUM", _top, 0.4)
    add("top", "w:bottom NUM", _top, 0.4)
    for word in _DEGREES:
        add("superlative", f"w:{word}", _superlative, 0.0)
        add("superlative", f"NUM w:{word}", _superlative, 0.4)
        add("superlative", f"w:{word} NUM", _superlative, 0.3)
        for what in ("EVENT", "measure", "KIND", "ROLE"):
            add("superlative", f"w:{word} {what}", _superlative, 0.4 if what in ("EVENT", "measure") else 0.1)
            add("superlative", f"NUM w:{word} {what}", _superlative, 0.5)
        add("superlative", f"w:{word} count", _superlative_count, 0.4)
        add("superlative", f"w:{word} share", _superlative_share, 0.5)
    for what in ("KIND", "ROLE", "BUCKET"):
        add("numbered", f"NUM {what}", _numbered, 0.3)


def _order_rules(add: Add) -> None:
    """Add the rules of how rows are ordered."""
    for word, direction in (
        ("descending", "descending"),
        ("ascending", "ascending"),
        ("worst_first", "worst"),
        ("best_first", "best"),
    ):
        add("order", f"w:{word}", _order(direction), 0.1)
    for what in ("EVENT", "measure", "count", "share"):
        add("order", f"w:order {what}", _order(""), 0.3)
        add("order", f"w:order {what} order", _order(""), 0.4)
    add("order", "w:order order", _order(""), 0.2)
    for what in ("EVENT", "count", "share", "measure"):
        add("order", f"w:by {what}", _by_event, 0.1)


def _groups_rules(add: Add) -> None:
    """Add the rules of what is grouped by."""
    for what in ("KIND", "ROLE", "FIELD", "BUCKET", "PROP"):
        add("dims", what, _dims, 0.0)
    add("dims", "dims w:and dims", _dims, 0.3)
    add("dims", "dims w:and w:by dims", _dims, 0.3)
    add("dims", "dims w:by dims", _dims, 0.3)
    add("group", "w:by dims", _last, 0.4)
    add("group", "BUCKETADJ", _dims, 0.1)


def _times_rules(add: Add) -> None:
    """Add the rules of times, and several to compare."""
    add("when", "TIME", _periods, 0.0)
    for link in ("of", "at", "for", "from", "to"):
        add("when", f"w:{link} when", _last, 0.05)
    add("whens", "when w:versus when", _periods, 0.4)
    add("whens", "when w:and when", _periods, 0.3)
    add("whens", "when w:or when", _periods, 0.2)
    add("whens", "whens w:and when", _periods, 0.3)


def _relations_rules(add: Add) -> None:
    """Add the rules of edges to entities."""
    add("rel", "EDGE list", _relation, 0.4)
    for link in ("by", "for", "to", "at", "from", "of"):
        add("rel", f"EDGE w:{link} list", _relation, 0.35)
    add("rel", "w:not rel", _unrelated, 0.3)
    add("rel", "w:but_not rel", _unrelated, 0.4)


def _knowledge_of_entities_rules(add: Add) -> None:
    """Add the rules of computed groups of entities."""
    for link in ("of", "for"):
        add("knownof", f"KNOW w:{link} list", _known_of, 0.3)
    add("knownnum", "KNOW NUM", _known_number, 0.4)
    add("knownnum", "KNOW w:how_many NUM", _known_number, 0.2)
    for start in ("w:same", "w:common", "w:common w:same"):
        for link in ("w:as", "w:for", "w:as w:for"):
            add("sharing", f"{start} KIND {link} list", _sharing, 0.6)
    add("samegroup", "w:same KNOW list", _same_group, 0.4)
    for link in ("as", "of", "with"):
        add("samegroup", f"w:same KNOW w:{link} list", _same_group, 0.4)


def _rules() -> list[Rule]:
    rules: list[Rule] = []

    def add(category: str, parts: str, build: Callable[..., Any], bonus: float = 0.15) -> None:
        rules.append(Rule(category, tuple(parts.split()), build, bonus))

    for section in (
        _entities_rules,
        _filters_rules,
        _conditions_rules,
        _figures_rules,
        _superlatives_rules,
        _order_rules,
        _groups_rules,
        _times_rules,
        _relations_rules,
        _knowledge_of_entities_rules,
    ):
        section(add)
    return rules


def _filter_before(entities: Entities, _: str) -> EntityFilter:
    return EntityFilter(entities, "for")


def _in_role_after(*values: Any) -> EntityFilter | None:
    return _in_role(*values[1:])


RULES = tuple(_rules())
