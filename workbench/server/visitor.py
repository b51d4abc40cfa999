"""Who is at the other end of a request: by what name, and what he may do here (spec 7.4)."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from fastapi import Depends
from starlette.exceptions import HTTPException

from workbench.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Role", "Visitor", "needs", "visiting", "visitor"]


class Role(IntEnum):
    """What somebody may do; each role may also do what those before it may.

    >>> Role.parse("analyst") >= Role.VIEWER
    True
    >>> str(Role.OPERATOR)
    'operator'
    """

    VIEWER = 1
    """Look at views, filter, export, ask questions, read what REST gives."""
    ANALYST = 2
    """Run SQL of his own."""
    OPERATOR = 3
    """Have knowledge computed, bring events in: whatever writes to the workspace."""

    @classmethod
    def parse(cls, name: str) -> Role:
        """Return the role of a name; raises UnknownNameError where there is none."""
        try:
            return cls[name.upper()]
        except KeyError:
            raise UnknownNameError("role", name, [str(role) for role in cls]) from None

    def __str__(self) -> str:
        """Return the name, as options and files have it."""
        return self.name.lower()


@dataclass(frozen=True)
class Visitor:
    """Somebody whom the gate has let in.

    Attributes:
        name: Of the user; empty where there is no login.
        role: What he may do.
        scheme: The colours that his browser was given last: "light", "dark", or empty where it does not say.
        chosen: Whether he chose them himself; they are his machine's preference otherwise.
    """

    name: str
    role: Role
    scheme: str = ""
    chosen: bool = False


_VISITOR: ContextVar[Visitor] = ContextVar("visitor")


def visitor() -> Visitor:
    """Return who makes the request that is being answered; raises LookupError outside of one."""
    return _VISITOR.get()


@contextmanager
def visiting(who: Visitor) -> Iterator[None]:
    """Answer a request of somebody: also what it starts knows who that is."""
    token = _VISITOR.set(who)
    try:
        yield
    finally:
        _VISITOR.reset(token)


def needs(role: Role) -> Any:
    """Return the dependency of a route that is there for a role and for those that may do more."""

    def check() -> None:
        who = visitor()
        if who.role < role:
            subject = who.name or "the request"
            raise HTTPException(403, f"this needs the role {role}; {subject} has the role {who.role}.")

    return Depends(check)
