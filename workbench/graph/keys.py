"""How an entity is written: ``type:key``, the key percent-escaped where needed (spec 2.3)."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

import polars as pl

from workbench.errors import UsageError

__all__ = ["format_entities", "format_entity", "parse_entity", "parse_keys"]

# What a URL's path may hold unescaped (RFC 3986, pchar and "/"), so that an entity can stand in a
# link, a file of comma-free columns or a shell word, and its characters cannot play tricks on a screen.
_SAFE = "!$&'()*+;=:@/-._~"
_UNSAFE_CHARACTER = r"(?s)[^A-Za-z0-9!$&'()*+;=:@/\-._~]"
_find_unsafe = re.compile(_UNSAFE_CHARACTER).search


def format_entity(type: str, key: str) -> str:  # noqa: A002  (the word of the specification)
    """Return the entity as it is written.

    >>> format_entity("page", "home")
    'page:home'
    >>> format_entity("page", "sale at 50%")
    'page:sale%20at%2050%25'
    """
    return f"{type}:{quote(key, safe=_SAFE) if _find_unsafe(key) else key}"


def parse_entity(entity: str) -> tuple[str, str]:
    """Return the type and the key of an entity as it is written.

    The type is read in either case; a key may also be given unescaped as long as it holds no ``%``.

    Raises:
        UsageError: If it is not written ``type:key``.

    >>> parse_entity("page:sale%20at%2050%25")
    ('page', 'sale at 50%')
    >>> parse_entity("Url:http://x/y")
    ('url', 'http://x/y')
    """
    type_, colon, key = entity.partition(":") if isinstance(entity, str) else ("", "", "")  # type: ignore[redundant-expr]
    if not colon or not type_:
        raise UsageError(f"{entity!r} is not an entity.", fix="Write it type:key.")
    try:
        return type_.lower(), unquote(key, errors="strict")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"the key of {entity!r} is not percent-escaped UTF-8.", fix="Write a literal '%' as '%25'."
        ) from error


def parse_keys(entities: pl.Series) -> pl.Series:
    """Return the keys of entities as :func:`format_entities` writes them.

    >>> parse_keys(pl.Series(["a:x%20y", "b:z"])).to_list()
    ['x y', 'z']
    """
    keys = entities.str.splitn(":", 2).struct.field("field_1")
    escaped = keys.str.contains("%", literal=True).fill_null(value=False)
    if escaped.any():
        keys = keys.scatter(escaped.arg_true(), [unquote(key) for key in keys.filter(escaped)])
    return keys.alias("key")


def format_entities(types: pl.Series, keys: pl.Series) -> pl.Series:
    """Return entities as they are written, for a column of types and one of keys.

    Gives what :func:`format_entity` gives, without a step per row: only the distinct characters
    that need escaping are looked at one by one.

    >>> format_entities(pl.Series(["a", "b"]), pl.Series(["x y", "z"])).to_list()
    ['a:x%20y', 'b:z']
    """
    odd = keys.filter(keys.str.contains(_UNSAFE_CHARACTER))
    if len(odd):
        characters = odd.str.extract_all(_UNSAFE_CHARACTER).explode().unique().to_list()
        keys = keys.str.replace_many({character: quote(character, safe=_SAFE) for character in characters})
    return (types.cast(pl.String) + ":" + keys).alias("entity")
