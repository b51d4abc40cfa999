"""What a conformance test compares, and the list of that: operation, comparison, backends."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from workbench.compute.base import Kernel

__all__ = ["Comparison", "Kind", "compares", "comparison_of", "listing"]

Kind = Literal["exact", "close", "quality"]
F = TypeVar("F", bound="Callable[..., Any]")

_NOT_RUN = "not run"


@dataclass(frozen=True)
class Comparison:
    """What one test compares.

    Attributes:
        kernel: The operation; ``communities:louvain`` is one with that method.
        kind: ``exact``, ``close`` or of equal ``quality``.
        bound: What must hold.
    """

    kernel: str
    kind: Kind
    bound: str


def compares(kernel: Kernel, kind: Kind, bound: str, *, method: str = "") -> Callable[[F], F]:
    """Say what a test of the suite compares.

    Args:
        kernel: The operation.
        kind: How: ``exact``, ``close`` or ``quality``.
        bound: What must hold.
        method: The kernel's method, or ``method`` for the one that the test is given.
    """

    def mark(test: F) -> F:
        setattr(test, _ATTRIBUTE, (kernel, method, kind, bound))
        return test

    return mark


_ATTRIBUTE = "compares"


def comparison_of(test: object, given: dict[str, Any]) -> Comparison | None:
    """Return what a test compares, with the parameters that it is given; None for a test of behaviour."""
    found = getattr(test, _ATTRIBUTE, None)
    if found is None:
        return None
    kernel, method, kind, bound = found
    method = given.get("method", "") if method == "method" else method
    return Comparison(f"{kernel}:{method}" if method else kernel, kind, bound)


def listing(results: Iterable[tuple[str, Comparison, str]], backends: Iterable[str]) -> list[str]:
    """Return the list of operations as lines: a column for each backend with how many comparisons passed.

    Args:
        results: The backend, what was compared, and how that ended: ``passed``, ``failed``, or why it
            was skipped.
        backends: Their names.

    >>> exact = Comparison("components", "exact", "equal to networkx's")
    >>> for line in listing([("cpu", exact, "passed"), ("gpu", exact, "no CUDA device")], ["cpu", "gpu"]):
    ...     print(line)
    operation   comparison                  cpu       gpu
    components  exact: equal to networkx's  1 passed  not run (1)
    (1) no CUDA device
    """
    names = list(backends)
    rows: dict[Comparison, dict[str, list[str]]] = {}
    for name, comparison, outcome in results:
        rows.setdefault(comparison, {}).setdefault(name, []).append(outcome)
    reasons: list[str] = []
    table = [["operation", "comparison", *names]]
    for comparison, found in sorted(rows.items(), key=lambda row: astuple(row[0])):
        cells = [_cell(found.get(name, []), reasons) for name in names]
        table.append([comparison.kernel, f"{comparison.kind}: {comparison.bound}", *cells])
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    notes = [f"({number}) {reason}" for number, reason in enumerate(reasons, 1)]
    return [line.rstrip() for line in lines] + notes


def _cell(outcomes: list[str], reasons: list[str]) -> str:
    """Return what is said of a backend; a reason is told once, below the list."""
    counts = [f"{outcomes.count(word)} {word}" for word in ("passed", "failed") if word in outcomes]
    if counts:
        return ", ".join(counts)
    if not outcomes:
        return _NOT_RUN
    if outcomes[0] not in reasons:
        reasons.append(outcomes[0])
    return f"{_NOT_RUN} ({reasons.index(outcomes[0]) + 1})"
