"""From what a rule finds to what has changed: for whom it triggers, and for whom it is resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from workbench.config.anomaly_rule import AnomalyRule

__all__ = ["changes"]


def changes(
    rule: AnomalyRule,
    found: Iterable[str],
    active: Collection[str],
    fired: Mapping[str, datetime],
    now: datetime,
) -> tuple[list[str], list[str]]:
    """Return for whom a rule triggers and for whom it is resolved.

    It triggers once, and is resolved when it no longer holds. Within the cooldown it does not trigger again:
    if it still holds after that, it does then.

    Args:
        rule: The rule.
        found: For whom it holds.
        active: For whom it has triggered and is not resolved.
        fired: When it triggered last.
        now: The time.
    """
    holds = list(found)
    cooldown = rule.schedule.cooldown
    free = {s for s, at in fired.items() if now - at >= cooldown or at > now}  # a clock may be put back
    new = [s for s in holds if s not in active and (s not in fired or s in free)]
    still = set(holds)
    return new, [subject for subject in active if subject not in still]
