"""What a forgetting removed, and what still holds the key."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Forgetting", "Left"]


@dataclass(frozen=True)
class Left:
    """Something that still holds the key.

    Attributes:
        path: The file.
        place: The column, or ``bytes``, ``texts``, ``name``.
        times: How often, as a value or as a word in a text.
        why: Why it is there.
    """

    path: str
    place: str
    times: int
    why: str


@dataclass
class Forgetting:
    """What was removed about an entity, or would be.

    Attributes:
        entity: As ``type:key``.
        applied: Whether it was done.
        documents: Documents by event type.
        segments: Days that hold them.
        references: Rows by reference table.
        knowledge: Rows by kind of knowledge, of all runs.
        quarantined: Records in quarantine.
        sources: Sources in the ledger whose names hold the key.
        beside: Files beside the generations: cached vectors, conversations, examples, reports.
        left: What still holds the key afterwards, and why; of a dry run all that holds it now.
        similar: How often it is a part of longer words, which are other names.
        generation: The generation after it.
        seconds: Wall time.
    """

    entity: str
    applied: bool
    documents: Counter[str] = field(default_factory=Counter)
    segments: list[str] = field(default_factory=list)
    references: Counter[str] = field(default_factory=Counter)
    knowledge: Counter[str] = field(default_factory=Counter)
    quarantined: int = 0
    sources: int = 0
    beside: list[str] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    similar: int = 0
    generation: int = 0
    seconds: float = 0.0

    @property
    def proved(self) -> bool:
        """Return whether it was done and nothing in the workspace holds the key."""
        return self.applied and not self.left

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON data."""
        return {**asdict(self), "proved": self.proved}

    def __str__(self) -> str:
        """Return the report as a few lines for people."""
        verb = "removed" if self.applied else "would remove"
        counts = {
            f"documents in {len(self.segments):,} segments": self.documents.total(),
            "reference rows": self.references.total(),
            "knowledge rows": self.knowledge.total(),
            "records in quarantine": self.quarantined,
            "names of sources": self.sources,
            "files beside": len(self.beside),
        }
        lines = [f"{self.entity}: {verb} " + ", ".join(f"{n:,} {what}" for what, n in counts.items())]
        lines += [f"  {name}: {n:,} documents" for name, n in sorted(self.documents.items())]
        if self.proved:
            lines.append("no file of the workspace holds the key any more")
        elif self.applied:
            lines.append("the key is still there:")
        lines += [f"  {e.path}, {e.place}: {e.times:,} times: {e.why}" for e in self.left if self.applied]
        if self.similar:
            lines.append(f"it is a part of {self.similar:,} longer words, which are other names")
        if not self.applied:
            lines.append("nothing was changed: this was a dry run")
        return "\n".join(lines)
