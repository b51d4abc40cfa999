"""Signals of anomaly: one file each, found like every other driver."""

from __future__ import annotations

from workbench.analysis.signals.base import Finding, Scope, Signal
from workbench.registry import Registry

__all__ = ["Finding", "Scope", "Signal", "signals"]

signals: Registry[Signal] = Registry("signal", "workbench.analysis.signals", Signal)
