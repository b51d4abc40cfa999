"""The one selection that all views of an engine read and write: entities and a time range."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import param

from workbench.errors import UsageError
from workbench.given import names
from workbench.graph.keys import format_entity, parse_entity

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Selection"]


class Selection(param.Parameterized):
    """Some entities and a range of time; who watches it is told of each change, once for all parts.

    Args:
        timezone: The zone of times that are given without one.

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

    def __init__(self, timezone: str = "UTC") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._zone = ZoneInfo(timezone)

    def select(
        self,
        *entities: str | Iterable[str],
        since: date | str | None = None,
        until: date | str | None = None,
    ) -> None:
        """Replace the selection as a whole.

        Args:
            entities: Written ``type:key``, singly or in lists; each is kept once.
            since: A moment, or ISO 8601; without a zone it is in the workspace's.
            until: The same; the first moment that no longer counts.

        Raises:
            UsageError: If an entity is not written ``type:key``, a time is none, or the range is empty.
        """
        written = dict.fromkeys(format_entity(*parse_entity(n)) for one in entities for n in names(one))
        first, end = self._moment(since), self._moment(until)
        if first is not None and end is not None and end <= first:
            raise UsageError(f"the range from {since} until {until} is empty.")
        self.param.update(entities=tuple(written), since=first, until=end)

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

    def _moment(self, value: date | str | None) -> datetime | None:
        if value is None:
            return None
        try:
            read = datetime.fromisoformat(value if isinstance(value, str) else value.isoformat())
        except (AttributeError, ValueError):
            raise UsageError(f"{value!r} is not a time.", fix="Give a date such as 2013-06-30.") from None
        return read if read.tzinfo else read.replace(tzinfo=self._zone)
