"""What a repair found and did, or would do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from workbench.storage.missing import Missing
    from workbench.storage.repair import Damage
    from workbench.storage.wal_repair import LogDamage

__all__ = ["Finding", "RepairReport"]

Action = Literal["copied", "read again", "derived again", "computed again", "lost"]


@dataclass
class Finding:
    """One damaged or missing file.

    Attributes:
        path: Where it lies.
        what: What it holds, for people.
        problem: What is wrong with it.
        action: What is done about it.
        detail: From where it comes back, or why it does not.
    """

    path: str
    what: str
    problem: str
    action: Action
    detail: str = ""

    def __str__(self) -> str:
        """Return one or two lines for people."""
        said = f"{self.action}, {self.detail}" if self.detail else self.action
        return f"{self.path}: {self.what}: {self.problem}\n  {said}"


@dataclass
class RepairReport:
    """What a repair found, and did if it was applied.

    Attributes:
        applied: Whether it was done, or only said.
        generation: The generation that was looked at, or that came of it.
        files: Live files that were checked.
        head: What was damaged of what says what there is: FORMAT, CURRENT, manifests.
        log: What was damaged of the write-ahead log.
        findings: Every damaged or missing file.
        missing: What is missing now, or would be afterwards, also from earlier repairs.
        runs: Damaged results of compute, with the run that each was of.
    """

    applied: bool
    generation: int = 0
    files: int = 0
    head: tuple[Damage, ...] = ()
    log: LogDamage | None = None
    findings: list[Finding] = field(default_factory=list)
    missing: tuple[Missing, ...] = ()
    runs: list[tuple[Finding, dict[str, Any]]] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Return whether anything was damaged, or is missing."""
        return bool(self.head or self.log or self.findings or self.missing)

    @property
    def whole(self) -> bool:
        """Return whether nothing is damaged any more and nothing is missing."""
        lost = any(d.loss for d in self.head) or any(f.action == "lost" for f in self.findings)
        return not self or (self.applied and not (lost or self.missing or (self.log and self.log.lost)))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON data."""
        return {
            "applied": self.applied,
            "generation": self.generation,
            "files": self.files,
            "head": [damage._asdict() for damage in self.head],
            "log": self.log._asdict() if self.log else None,
            "findings": [asdict(finding) for finding in self.findings],
            "missing": [missing.to_dict() for missing in self.missing],
        }

    def __str__(self) -> str:
        """Return the report as lines for people."""
        if not self:
            return f"nothing to repair: {self.files:,} files of generation {self.generation:,} are whole"
        lines = []
        for damage in self.head:
            lines.append(f"{damage.path}: {damage.problem}\n  {damage.remedy}")
            lines += [f"  {damage.loss}"] if damage.loss else []
        lines += [_log_line(self.log)] if self.log else []
        lines += map(str, self.findings)
        lines += [f"{missing}\n  {missing.reason}" for missing in self.missing]
        did = "done" if self.applied else "nothing was changed: --apply (apply=True) does it"
        return "\n".join([*lines, f"generation {self.generation:,}: {did}"])


def _log_line(log: LogDamage) -> str:
    lost = ", ".join(f"{first:,}" if first == last else f"{first:,} to {last:,}" for first, last in log.lost)
    lines = ["wal: the log of acknowledged events is damaged"]
    lines += [f"  {log.records:,} records are lost: {lost}"] if log.lost else []
    lines.append(f"  {log.kept:,} records that are not published yet are kept")
    lines += [f"  no file of the log, moved aside: {name}" for name in log.odd]
    return "\n".join(lines)
