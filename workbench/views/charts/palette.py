"""Colours that stay apart for colour-blind eyes and from the page, on light and on dark ground.

Okabe and Ito's hues (Color Universal Design, 2008), darkened or lightened until each has a contrast of at
least 3 : 1 against the ground (WCAG 2.2, 1.4.11). Those for light ground have it on dark ground too, for a
chart that does not know where it will be shown. Marks and line styles tell apart where colours do not.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["DARK", "LIGHT", "Palette", "palette"]


class Palette(NamedTuple):
    """Colours for one ground, as CSS hex.

    Attributes:
        ground: What is drawn on.
        ink: Text and axes.
        soft: Secondary text.
        grid: Grid lines.
        series: Categories, in order of use.
        good: What is as it should be.
        warn: What deserves a look.
        bad: What is wrong.
    """

    ground: str
    ink: str
    soft: str
    grid: str
    series: tuple[str, ...]
    good: str
    warn: str
    bad: str


LIGHT: Final = Palette(
    ground="#ffffff",
    ink="#24292f",
    soft="#6f7782",
    grid="#e3e6ea",
    series=("#0072b2", "#d55e00", "#00856a", "#a8478a", "#8a6d00", "#5a6acf", "#767c85", "#c23b5a"),
    good="#00856a",
    warn="#b26a00",
    bad="#c0362c",
)
DARK: Final = Palette(
    ground="#16181d",
    ink="#e6e8eb",
    soft="#a3abb5",
    grid="#30353d",
    series=("#56b4e9", "#ff8a3d", "#2fc79f", "#e29acb", "#f0e442", "#8f9ff0", "#b4bac2", "#ff7d95"),
    good="#2fc79f",
    warn="#f2b134",
    bad="#ff7b72",
)


def palette(*, dark: bool = False) -> Palette:
    """Return the colours for a light or a dark ground.

    >>> palette().series[0], palette(dark=True).series[0]
    ('#0072b2', '#56b4e9')
    """
    return DARK if dark else LIGHT
