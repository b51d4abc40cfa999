"""The list of operations, how each is compared, and how that ended on each backend: printed after a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.compute import backends
from workbench.testing._comparison import Comparison, listing

if TYPE_CHECKING:
    import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    results, known = [], set()
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            given = dict(report.user_properties).get("comparison")
            if given:
                name, *comparison = given
                known.add(Comparison(*comparison))
                if outcome != "skipped":
                    results.append((name, Comparison(*comparison), outcome.replace("error", "failed")))
    if not known:
        return
    ran = {(name, comparison) for name, comparison, _ in results}
    results += [(n, c, _why_not(n, c)) for n in backends.names() for c in known if (n, c) not in ran]
    terminalreporter.section("operations, how each is compared, and on which backends")
    for line in listing(results, backends.names()):
        terminalreporter.line(line)


def _why_not(name: str, comparison: Comparison) -> str:
    """Return why a backend has nothing to compare: it lacks the kernel, or cannot run here."""
    backend = backends.load(name)
    kernel, _, method = comparison.kernel.partition(":")
    reason = backend.can_run()
    return backend.gap(kernel, method) or ("not selected" if reason is True else reason)
