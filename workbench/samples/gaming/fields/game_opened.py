"""What is logged when a member opens a game."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.samples.gaming.columns import drawn, hexes, looked_up, measured

if TYPE_CHECKING:
    from workbench.samples.gaming.columns import Column
    from workbench.samples.gaming.names import Names

__all__ = ["game_opened_columns", "grid_click_columns"]


def game_opened_columns(names: Names) -> tuple[Column, ...]:
    """Return the columns that an opened game has beside its context."""
    return (
        *_game(names),
        drawn("section", "popular recent new live jackpots table favourites", "row", 0.95),
        drawn("position", measured(9, 0.9), "row", 0.95),
        drawn("tileSize", "1x1 2x1 2x2", "subject", 0.7),
        drawn("tileBadge", "new hot exclusive jackpot", "subject", 0.18),
        drawn("sortOrder", "popularity name newest", "visit", 0.3),
        drawn("searchTerm", "dragon book fire roulette live wolf fruit", "visit", 0.05),
        drawn("searchResults", measured(14, 0.8), "visit", 0.05),
        drawn("promoMarkup", "tile banner", "row", 0.003),
    )


def grid_click_columns(names: Names) -> tuple[Column, ...]:
    """Return the columns that the second client sends: the lobby's grid in place of its sections."""
    return (
        *_game(names),
        drawn("gridId", "home slots live tables search", "row"),
        drawn("gridRow", measured(3, 0.7), "row"),
        drawn("gridColumn", "1 2 3 4 5 6", "row"),
        drawn("gridVariant", "dense wide", "member"),
        drawn("scrollDepth", measured(0.4, 0.6, digits=2), "row", 0.9),
        drawn("tileBadge", "new hot exclusive jackpot", "subject", 0.18),
        drawn("clickTarget", "tile play-button info", "row"),
        drawn("searchTerm", "dragon book fire roulette live wolf fruit", "visit", 0.05),
        drawn("viewId", hexes(3000, 41, digits=8), "visit"),
    )


def _game(names: Names) -> tuple[Column, ...]:
    return (
        looked_up("gameUid", "uid", names.game_uids),
        looked_up("game", "game", names.game_titles),
        looked_up("gameTrackingProvider", "provider", names.providers),
        looked_up("url", "game", (f"/play/{uid}" for uid in names.game_uids.to_pylist())),
        drawn("gameCategory", "slots live table jackpot instant", "subject"),
        drawn("gameVersion", "2.4 2.3 3.0 1.9 2.2", "subject", 0.9),
        drawn("volatility", "medium high low", "subject", 0.8),
        drawn("rtp", measured(95.6, 0.008, digits=2), "subject", 0.7),
        drawn("lines", "20 10 25 243 1024 40", "subject", 0.45),
        drawn("jackpotId", hexes(24, 42, digits=5, prefix="jp-"), "subject", 0.12),
        drawn("referrer", "/lobby /promotions /search /favourites /deposit", "row", 0.85),
        drawn("loadTimeMs", measured(1350, 0.6)),
        drawn("latency", measured(180, 0.7)),
        drawn("launchMode", "real demo", "visit", 0.98),
        drawn("orientation", "portrait landscape", "visit", 0.6),
        drawn("frame", "iframe native popup", "device", 0.8),
        drawn("wsRegion", "eu-1 ap-1 sa-1 us-1", "visit", 0.5),
        drawn("preloaded", "false true", "row", 0.4),
        drawn("framesPerSecond", "60 59 58 30 45", "row", 0.15),
        drawn("webglRenderer", "Adreno-730 Apple-GPU Mali-G78 ANGLE-D3D11", "device", 0.3),
        drawn("soundOn", "true false", "member", 0.25),
        drawn("favourite", "false true", "row", 0.2),
        drawn("recommendedBy", "als popular editor", "row", 0.28),
        drawn("recommendationScore", measured(0.31, 0.5, digits=4), "row", 0.28),
        drawn("freeRounds", "10 20 50", "visit", 0.03),
        drawn("bonusId", hexes(120, 43, digits=6, prefix="bn-"), "visit", 0.05),
        drawn("tournamentId", hexes(30, 44, digits=6, prefix="tr-"), "visit", 0.04),
        drawn("missionId", hexes(50, 45, digits=6, prefix="ms-"), "visit", 0.02),
        drawn("geoCheck", "passed skipped", "visit", 0.1),
    )
