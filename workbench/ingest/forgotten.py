"""Entities that were forgotten: what is read afterwards leaves out documents about them.

The generation's state keeps a salted hash of each, so that no source brings one back in silence, whatever was
changed in it. The salt lies beside the hashes: nobody can list who was forgotten, but who holds the workspace
and guesses a key can tell whether it is among them.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.config.entity_schema import EntityRule
from workbench.partials.coded import coded, is_coded
from workbench.partials.extract import entity_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workbench.config.entity_schema import EntitySchema

__all__ = ["STATE", "Forgotten", "key_fields", "rows_about"]

STATE = "forgotten"


class Forgotten:
    """The entities that a workspace has forgotten.

    Args:
        state: That of the generation.
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        found = state.get(STATE, {})
        self._salt: str = found.get("salt", "")
        self._hashes: dict[str, list[str]] = found.get("entities", {})

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(len(hashes) for hashes in self._hashes.values())

    def with_entity(self, type_: str, key: str) -> dict[str, Any]:
        """Return what the state holds with one more of them."""
        self._salt = self._salt or secrets.token_hex(16)
        hashes = {*self._hashes.get(type_, ()), self._hash(type_, key)}
        return {"salt": self._salt, "entities": {**self._hashes, type_: sorted(hashes)}}

    def without(self, frame: pl.DataFrame, name: str, schema: EntitySchema) -> pl.DataFrame:
        """Return records of an event type or a reference without those about a forgotten entity."""
        bad = pl.repeat(value=False, n=frame.height, dtype=pl.Boolean, eager=True)
        for type_, hashes in self._hashes.items():
            columns = _keys(frame, name, type_, schema)
            distinct = {key for column in columns for key in column.unique().drop_nulls()}
            named = [key for key in distinct if self._hash(type_, key) in hashes]
            for column in columns if named else ():
                bad |= column.is_in(named).fill_null(value=False)
        if not bad.any():
            return frame
        kept = frame.filter(~bad)
        # coded text carries the list of all values that there were
        return kept.with_columns(coded(c.cast(pl.String)) for c in kept.get_columns() if is_coded(c))

    def _hash(self, type_: str, key: str) -> str:
        salt = bytes.fromhex(self._salt)
        return hashlib.blake2b(f"{type_}\0{key}".encode(), key=salt, digest_size=16).hexdigest()


def rows_about(frame: pl.DataFrame, name: str, type_: str, key: str, schema: EntitySchema) -> pl.Series:
    """Return which records of an event type or a reference are about an entity.

    These are the records that the schema's rules see it in, and all that hold its key in a field from
    which these rules take keys of its type, as a fallback or for another event type.
    """
    found = pl.repeat(value=False, n=frame.height, dtype=pl.Boolean, eager=True)
    for column in _keys(frame, name, type_, schema):
        found |= (column == key).fill_null(value=False)
    return found


def key_fields(type_: str, schema: EntitySchema) -> set[str]:
    """Return all fields that the keys of an entity type are made of."""
    return {field for _, rule in _rules(type_, schema) for field in (*rule.join, *rule.fields)}


def _keys(frame: pl.DataFrame, name: str, type_: str, schema: EntitySchema) -> list[pl.Series]:
    """Return columns of keys that the records may name an entity of a type by."""
    rules = _rules(type_, schema)
    own = {f"rule {n}": rule for n, (where, rule) in enumerate(rules) if where == name}
    # a hash stands for a text, and a joined key for several fields: only plain fields hold the key itself
    plain = {field for _, rule in rules if not rule.hash for field in rule.fields} & set(frame.columns)
    single = {f"field {field}": EntityRule(fields=(field,)) for field in sorted(plain)}
    wanted = {**own, **single}
    return entity_keys(frame, wanted).get_columns() if wanted else []


def _rules(type_: str, schema: EntitySchema) -> list[tuple[str, EntityRule]]:
    """Return the rules that give entities of a type, each with its event type or reference."""
    named: Iterable[tuple[str, Any]] = (*schema.events.items(), *schema.references.items())
    return [
        (name, rule)
        for name, event in named
        for role, rule in event.entities.items()
        if (rule.type or role) == type_
    ]
