"""A firing: what a rule said of a subject at a moment."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from workbench.rules.journal import Record

__all__ = ["Firing"]

_PLAIN = ("rule", "subject", "value", "limit", "reason", "severity", "version", "generation")
_TIMES = ("at", "asof", "since")


@dataclass(frozen=True)
class Firing:
    """A rule triggered for a subject, or is resolved for it.

    Attributes:
        number: Of the record in the log.
        rule: The rule's id.
        event: ``triggered`` or ``resolved``.
        subject: An entity as ``type:key``, or a metric.
        at: When the rule was evaluated.
        asof: The end of the data that it saw.
        since: When it triggered.
        value: What was measured.
        limit: What it was compared with.
        reason: Why, in words.
        severity: ``info``, ``warning`` or ``critical``.
        addresses: Some of the events behind it.
        version: Fingerprint of the rule.
        generation: The workspace's generation that it saw.
    """

    number: int
    rule: str
    event: Literal["triggered", "resolved"]
    subject: str
    at: datetime
    asof: datetime
    since: datetime
    value: float
    limit: float
    reason: str
    severity: str
    addresses: tuple[str, ...]
    version: str
    generation: int

    @classmethod
    def of(cls, record: Record) -> Firing:
        """Return the firing that a record of the log is about."""
        facts = {name: record[name] for name in _PLAIN}
        facts |= {name: datetime.fromisoformat(record[name]) for name in _TIMES}
        return cls(number=record["n"], event=record["kind"], addresses=tuple(record["addresses"]), **facts)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        times = {name: getattr(self, name).isoformat() for name in _TIMES}
        return {**asdict(self), **times, "addresses": list(self.addresses)}

    def __str__(self) -> str:
        """Return it as a line."""
        return f"{self.rule} {self.event}: {self.subject}: {self.reason}"
