"""Rules: what fires when, for whom, and who is told."""

from __future__ import annotations

from workbench.rules.firing import Firing
from workbench.rules.rules import Rules

__all__ = ["Firing", "Rules"]
