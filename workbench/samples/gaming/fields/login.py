"""What is logged when a member logs in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.samples.gaming.columns import drawn, hexes, looked_up, measured

if TYPE_CHECKING:
    from workbench.samples.gaming.columns import Column
    from workbench.samples.gaming.names import Names

__all__ = ["login_columns"]


def login_columns(names: Names) -> tuple[Column, ...]:
    """Return the columns that a login has beside its context."""

    def on(*methods: str) -> tuple[str, frozenset[int]]:
        return "method", frozenset(map(names.login_methods.index, methods))

    social, otp = on("google", "telegram"), on("otp")
    return (
        looked_up("rGroup", "vip", names.vip_groups, 0.95),
        looked_up("loginMethod", "method", names.login_methods),
        looked_up("result", "success", ("failed", "ok")),
        drawn("url", "/login /lobby /promotions /deposit", "row"),
        drawn(
            "referrer", "https://www.google.com/ https://partner.example/ android-app://lobby", "visit", 0.3
        ),
        drawn("latency", measured(240, 0.7)),
        drawn("failCount", "0 1 2 3", "row", 0.9),
        drawn("captcha", "passed skipped failed", "visit", 0.35),
        drawn("rememberMe", "true false", "member", 0.7),
        drawn("mfa", "none totp sms", "member", 0.6),
        drawn("kycLevel", "2 1 0 3", "member", 0.85),
        drawn("passwordAgeDays", measured(120, 0.9), "member", 0.5),
        drawn("welcomeBack", "true false", "visit", 0.2),
        drawn("depositStatus", "active lapsed never", "member", 0.75),
        drawn("selfExclusion", "false true", "member", 0.04),
        drawn("limits_daily", measured(200, 0.6), "member", 0.06),
        drawn("limits_weekly", measured(900, 0.6), "member", 0.05),
        drawn("limits_coolOffHours", "24 48 168", "member", 0.008),
        drawn("oauth_provider", "google telegram", "subject", when=social),
        drawn("oauth_scope", "openid,email openid,profile,email", "member", 0.8, when=social),
        drawn("oauth_latency", measured(410, 0.6), "row", 0.9, when=social),
        drawn("otp_channel", "sms whatsapp email", "member", when=otp),
        drawn("otp_attempts", "1 2 3", "row", 0.95, when=otp),
        drawn("biometric_kind", "face finger", "device", when=on("biometric")),
        drawn("geo_vpn", "false true", "visit", 0.3),
        drawn("geo_asn", hexes(60, 31, digits=4, prefix="AS"), "visit", 0.25),
        drawn("migration_source", "legacy-2019 legacy-2021", "member", 0.015),
        drawn("loginNotice", "shown dismissed", "row", 0.004),
    )
