"""What a view's state may hold: values by the kind of their defaults, within choices and limits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from workbench.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["checked"]

_KINDS = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list of texts",
}


def checked(
    value: Any,
    default: Any,
    where: str,
    name: str,
    may: Mapping[str, Sequence[str] | tuple[float, float]],
) -> Any:
    """Return a value as the state holds it; a single text counts as a list of one, None as the default.

    Args:
        value: What was given: by code, a widget or the address of a page.
        default: The state's own; its kind is what the value must be.
        where: The view, as errors name it.
        name: The state's name.
        may: By name the texts that it may be, or the least and the greatest number.

    Raises:
        UnknownNameError: If it is none of its choices.
        UsageError: If it is of another kind, or outside its limits.

    >>> checked("a:b", [], "view graph", "around", {})
    ['a:b']
    >>> checked(2, "0", "view clusters", "left", {})
    '2'
    """
    if value is None:
        return default
    kind = type(default)
    try:
        value = _READ[kind](value)
    except (TypeError, ValueError):
        raise UsageError(
            f"{where}: {name} is {value!r}.", fix=f"Give {_KINDS[kind]}, such as {default!r}."
        ) from None
    limits = may.get(name)
    if limits is None:
        return value
    if isinstance(value, str):
        if value not in limits:
            raise UnknownNameError(name, value, [str(one) for one in limits], where=where)
        return value
    least, most = limits
    if not float(least) <= value <= float(most):
        end = f"{least:g} or more" if math.isinf(float(most)) else f"between {least:g} and {most:g}"
        raise UsageError(f"{where}: {name} is {value!r}.", fix=f"Give a number, {end}.")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool | str) or value != int(value):
        raise TypeError
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool | str) or not math.isfinite(value):
        raise TypeError
    return float(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(_whole(value))


def _texts(value: Any) -> list[str]:
    values = list(value) if not isinstance(value, str) else [value] if value else []
    if not all(isinstance(one, str) for one in values):
        raise TypeError
    return values


_READ: Mapping[type, Callable[[Any], Any]] = {
    bool: _flag, int: _whole, float: _number, str: _text, list: _texts,
}  # fmt: skip
