"""The parameters of a template: what its tagged cell sets, and what a run gives in their place."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

from workbench.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["assignments", "declared", "given_values"]

_UNKNOWN = object()  # a default that only running the cell would tell


def declared(source: str) -> dict[str, Any]:
    r"""Return the names that a cell sets, each with its default where that is a literal.

    Raises:
        UsageError: If the cell is not Python.

    >>> declared("month = 3\nname: str = 'x'")
    {'month': 3, 'name': 'x'}
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise UsageError(f"the cell of the parameters is not Python: {error}.") from error
    found: dict[str, Any] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found[name] = _literal(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found[name] = _literal(value)
    return found


def given_values(defaults: Mapping[str, Any], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return what was given, each value of the type of its default; a text is read as that type.

    Raises:
        UnknownNameError: If there is no such parameter.
        UsageError: If a value is not of the type.

    >>> given_values({"month": 3, "carriers": []}, {"month": "4", "carriers": '["UA"]'}, "report.ipynb")
    {'month': 4, 'carriers': ['UA']}
    """
    values = {}
    for name, value in given.items():
        if name not in defaults:
            raise UnknownNameError("parameter", name, defaults, where=where)
        values[name] = _typed(name, value, defaults[name], where)
    return values


def assignments(values: Mapping[str, Any]) -> str:
    """Return Python that sets the values."""
    return "".join(f"{name} = {value!r}\n" for name, value in values.items())


def _literal(value: ast.expr) -> Any:
    try:
        return ast.literal_eval(value)
    except ValueError:
        return _UNKNOWN


def _typed(name: str, value: Any, default: Any, where: str) -> Any:
    if isinstance(default, str):
        return value if isinstance(value, str) else str(value)
    read = _read(value) if isinstance(value, str) else value
    if default is None or default is _UNKNOWN:
        return read
    if isinstance(default, float) and isinstance(read, int) and not isinstance(read, bool):
        return float(read)
    wanted = list if isinstance(default, tuple) else type(default)
    # true is a number to Python, but not to people
    if not isinstance(read, wanted) or isinstance(read, bool) is not isinstance(default, bool):
        raise UsageError(
            f"{name} is {value!r}: the template's is of type {wanted.__name__}.",
            where=where,
            fix=f"Give a value like {default!r}.",
        )
    return read


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"True": True, "False": False, "None": None}.get(text, text)
