"""Members that behave anomalously: twelve kinds, planned before the first event (spec 9)."""

from workbench.samples.gaming.anomalies.behave import behave
from workbench.samples.gaming.anomalies.plan import ACT, KINDS, PREVALENCE, plan

__all__ = ["ACT", "KINDS", "PREVALENCE", "behave", "plan"]
