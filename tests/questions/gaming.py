"""A small log of the shipped gaming schema: logins, games, errors and pop-ups of a month, from a seed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_gaming"]

_START = datetime(2025, 6, 1, tzinfo=UTC)
_DAYS = 28


def write_gaming(directory: Path) -> Path:
    """Write sources to a folder and return it."""
    rng = np.random.default_rng(20250601)
    sources = directory / "sources"
    sources.mkdir(parents=True)
    members = [f"M{n:03d}" for n in range(120)]
    platforms = rng.choice(["ios", "android", "desktop"], 120)
    groups = rng.choice(["gold", "silver", "bronze"], 120)
    games = {"g1": "Lucky Dragon", "g2": "Fire Joker", "g3": "Book of Moons", "g4": "Roulette"}
    makers = {"g1": "Nova", "g2": "Nova", "g3": "Pixel", "g4": "Pixel"}

    def base(count: int) -> tuple[np.ndarray, dict[str, object]]:
        seconds = np.sort(rng.integers(0, _DAYS * 86_400, count))
        weights = 1.0 / np.arange(1, 121) ** 0.4
        who = rng.choice(120, count, p=weights / weights.sum())
        return who, {
            "@timestamp": [_START + timedelta(seconds=int(s)) for s in seconds],
            "memberCode": [members[n] for n in who],
            "fingerprint": [f"fp{int(n) // 2 if n % 5 else int(n) // 3:03d}" for n in who],
            "platform": [str(platforms[n]) for n in who],
        }

    who, login = base(1500)
    login |= {
        "currency": [("EUR", "USD")[int(n) % 2] for n in who],
        "rGroup": [str(groups[n]) for n in who],
        "affiliateId": [f"aff{int(n) % 4}" for n in who],
    }
    _, opened = base(2500)
    uids = [str(g) for g in rng.choice(list(games), 2500, p=[0.4, 0.3, 0.2, 0.1])]
    opened |= {
        "gameUid": uids,
        "game": [games[u] for u in uids],
        "gameTrackingProvider": [makers[u] for u in uids],
    }
    _, failed = base(600)
    failed |= {
        "error": [str(e) for e in rng.choice(["timeout", "bad gateway", "not allowed"], 600)],
        "stage": [str(s) for s in rng.choice(["login", "wallet", "launch"], 600)],
    }
    _, popups = base(500)
    popups |= {
        "componentId": [str(c) for c in rng.choice(["c1", "c2"], 500)],
        "popupType": [str(t) for t in rng.choice(["bonus", "notice"], 500)],
    }
    frames = {"Login": login, "GameOpened": opened, "API Error": failed, "PopupModule": popups}
    for name, columns in frames.items():
        pl.DataFrame(columns).write_parquet(sources / f"{name}.parquet")
    return sources
