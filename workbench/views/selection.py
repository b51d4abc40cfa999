"""The one selection that all views of an engine read and write: entities and a time range."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import param

from workbench.errors import UsageError
from workbench.graph.keys import format_entity, parse_entity

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Selection"]


class Selection(param.Parameterized):
    """Some entities and a range of time; who watches it is told of each change, once for all parts.

    Attributes:
        entities: As ``type:key``, in the order in which they were chosen.
        since: The first moment; None for no bound. Times know their zone.
        until: The first moment after the range; None for no bound.

    >>> selection = Selection()
    >>> selection.select("page:home", since="2026-11-01")
    >>> selection.state
    {'entities': ['page:home'], 'since': '2026-11-01T00:00:00+00:00'}
    >>> selection.clear()
    >>> selection
    Selection: nothing
    """

    entities = param.ClassSelector(class_=tuple, default=())
    since = param.Date(default=None, allow_None=True)
    until = param.Date(default=None, allow_None=True)

    def select(
        self,
        *entities: str | Iterable[str],
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> None:
        """Replace the selection as a whole.

        Args:
            entities: Written ``type:key``, singly or in lists; each is kept once.
            since: A moment with its zone, or ISO 8601; a text without a zone is in UTC.
            until: The same.

        Raises:
            UsageError: If an entity is not written ``type:key``, or a time is none or has no zone.
        """
        names = [n for one in entities for n in ([one] if isinstance(one, str) else one)]
        written = dict.fromkeys(format_entity(*parse_entity(name)) for name in names)
        self.param.update(entities=tuple(written), since=_moment(since), until=_moment(until))

    def clear(self) -> None:
        """Select nothing."""
        self.select()

    @property
    def state(self) -> dict[str, Any]:
        """Return what is selected as JSON data, to be given to :meth:`select` again; nothing is left out."""
        parts = {
            "entities": list(self.entities),
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
        }
        return {name: value for name, value in parts.items() if value}

    def __bool__(self) -> bool:
        """Return whether anything is selected."""
        return bool(self.state)

    def __repr__(self) -> str:
        """Return the entities and the range."""
        names = ", ".join(self.entities[:5])
        more = f" and {len(self.entities) - 5:,} more" if len(self.entities) > 5 else ""
        since = f" since {self.since.isoformat()}" if self.since else ""
        until = f" until {self.until.isoformat()}" if self.until else ""
        return f"Selection: {(names + more + since + until).strip() or 'nothing'}"

    __str__ = __repr__


def _moment(value: datetime | str | None) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise UsageError(f"{value!r} is not a time.", fix="Give a date such as 2013-06-30.") from None
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if value.tzinfo is None:
        raise UsageError(f"the time {value} has no zone.", fix="Give it one, for example UTC.")
    return value
