"""A generated log of an online gaming platform, with its dirt, and with the truth about it."""

from __future__ import annotations

from workbench.samples.gaming.generate import SynthReport, synth

__all__ = ["SynthReport", "synth"]
