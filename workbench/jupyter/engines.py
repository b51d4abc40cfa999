"""The open workspaces of a notebook, found among its variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["engines", "find_engine"]


def engines(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the open workspaces by the name of their variable; one of two names under its first."""
    import workbench  # noqa: PLC0415  (the engine is above this stage: it is only recognised)

    found: dict[str, Any] = {}
    for name, value in list(namespace.items()):
        known = name.startswith("_") or any(value is other for other in found.values())
        if isinstance(value, workbench.Engine) and not known:
            found[name] = value
    return found


def find_engine(namespace: Mapping[str, Any], name: str | None = None) -> Any:
    """Return the notebook's open workspace, or the one of a name.

    Raises:
        UnknownNameError: If no variable of that name is an open workspace.
        UsageError: If there is none, or several and none is named.
    """
    found = engines(namespace)
    if name is not None:
        import workbench  # noqa: PLC0415

        named = namespace.get(name)
        if not isinstance(named, workbench.Engine):
            raise UnknownNameError("open workspace", name, found)
        return named
    if not found:
        raise UsageError(
            "no workspace is open in this notebook.", fix="Open one: %wb open PATH, or db = wb.demo()."
        )
    if len(found) > 1:
        raise UsageError(f"several workspaces are open: {', '.join(found)}.", fix="Say which: --db NAME.")
    return next(iter(found.values()))
