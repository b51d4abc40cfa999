"""What every client sends with every event: who, with what, from where, in which experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.samples.gaming.columns import drawn, hexes, looked_up, measured

if TYPE_CHECKING:
    from workbench.samples.gaming.columns import Column
    from workbench.samples.gaming.names import Names

__all__ = ["APPS", "RELEASES", "context_columns"]

RELEASES = tuple(f"{7 + n // 12}.{n % 12}.{n * 7 % 4}" for n in range(48))
APPS = ("android", "ios", "windows-app")


def context_columns(names: Names) -> tuple[Column, ...]:
    """Return the columns that all event types share."""
    profiles, locales = names.profiles, names.locales
    on_apps = ("platform", frozenset(map(names.platforms.index, APPS)))
    return (
        looked_up("memberCode", "member", names.members),
        looked_up("fingerprint", "printed", names.fingerprints),
        looked_up("deviceId", "installed", names.device_ids),
        looked_up("platform", "platform", names.platforms),
        looked_up("browser", "profile", (p.browser for p in profiles)),
        looked_up("browserVersion", "profile", (p.version for p in profiles)),
        looked_up("os", "profile", (p.system for p in profiles)),
        looked_up("osVersion", "profile", (p.system_version for p in profiles)),
        looked_up("deviceModel", "profile", (p.model for p in profiles)),
        looked_up("screenResolution", "profile", (p.screen for p in profiles), 0.93, per="visit"),
        looked_up("pixelRatio", "profile", (p.pixel_ratio for p in profiles), 0.6, per="visit"),
        looked_up("userAgent", "profile", (p.agent for p in profiles)),
        looked_up("language", "locale", (place.language for place in locales), 0.97, per="visit"),
        looked_up("clientTimezone", "locale", (place.timezone for place in locales), 0.9, per="visit"),
        looked_up("country", "locale", (place.country for place in locales)),
        looked_up("region", "locale", (place.region for place in locales), 0.4, per="visit"),
        looked_up("edgeLocation", "locale", (place.edge for place in locales)),
        looked_up("currency", "currency", names.currencies, 0.98),
        looked_up("affiliateId", "affiliate", names.affiliates, 0.9, per="visit"),
        looked_up("isTestAccount", "test", ("false", "False", "0", "no", "true", "True", "1", "yes")),
        looked_up("appVersion", "release", RELEASES),
        looked_up("buildNumber", "release", (str(40_210 + 37 * n) for n in range(len(RELEASES))), 0.8),
        drawn("environment", "production canary", "device"),
        drawn("host", " ".join(f"web-{n:02d}" for n in range(1, 25)), "row"),
        drawn("logLevel", "info debug"),
        drawn("sdkVersion", "4.18.2 4.18.1 4.17.0 4.12.3 3.9.9", "device", 0.5),
        drawn("connectionType", "wifi 4g 5g ethernet 3g", "visit", 0.55),
        drawn("experiment_lobbyLayout", "control grid carousel", "member", 0.5),
        drawn("experiment_bonusWheel", "control wheel", "member", 0.3),
        drawn("experiment_searchRanking", "control popularity personal", "member", 0.12),
        drawn("featureFlags_newLobby", "true false", "device", 0.8),
        drawn("featureFlags_quickDeposit", "false true", "device", 0.8),
        drawn("featureFlags_darkMode", "false true", "device", 0.35),
        drawn("utm_source", "google newsletter partner telegram tiktok bing", "visit", 0.08),
        drawn("utm_campaign", hexes(40, 21, digits=6, prefix="cmp-"), "visit", 0.07),
        drawn("utm_medium", "cpc email social referral", "visit", 0.06),
        drawn("batteryLevel", measured(55, 0.4), "row", 0.4, when=on_apps),
        drawn("pushToken", hexes(4000, 22), "device", 0.7, when=on_apps),
        drawn("clockSkewMs", measured(90, 1.1), "visit", 0.25),
    )
