"""What is logged when a call of the platform's interface fails: the request, the answer, the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.samples.gaming.columns import drawn, hexes, looked_up, measured

if TYPE_CHECKING:
    from workbench.samples.gaming.columns import Column
    from workbench.samples.gaming.names import Names

LONGEST_MS = 60_000
"""No call takes longer: the client gives up."""

__all__ = ["api_error_columns"]


def api_error_columns(names: Names) -> tuple[Column, ...]:
    """Return the columns that a failed call has beside its context."""
    return (*_error(names), *_request(names), *_bodies(names), *_answer(names), *_machine())


def _error(names: Names) -> tuple[Column, ...]:
    return (
        looked_up("error", "error", names.errors),
        looked_up("stage", "error", names.stages),
        looked_up("errorCode", "error", (f.code for f in names.error_faults), 0.9),
        looked_up("httpStatus", "error", (f.status for f in names.error_faults)),
        looked_up("url", "call", (call.path for call in names.calls)),
        looked_up("method", "call", (call.method for call in names.calls)),
        looked_up("service", "call", (call.service for call in names.calls)),
        looked_up("latency", "latency_ms", map(str, range(LONGEST_MS + 1))),
        drawn("timeoutMs", "30000 10000 5000 60000", "subject", 0.7),
        drawn("severity", "error warning critical", "subject"),
        drawn("retry", "0 1 2 3", "row", 0.85),
        drawn("retryable", "true false", "subject", 0.9),
        drawn("circuitBreaker", "closed half-open open", "row", 0.12),
        drawn("fallbackUsed", "false true", "row", 0.2),
        drawn("offline", "false true", "row", 0.06),
        drawn("gameUid", hexes(900, 60, digits=6, prefix="g-"), "visit", 0.5, when=names.to("launch")),
        drawn(
            "exception_class", "TimeoutError ConnectionError HttpError ValueError KeyError", "subject", 0.5
        ),
        drawn("exception_module", "gateway.client wallet.rpc lobby.feed auth.tokens", "subject", 0.45),
        drawn("exception_line", measured(240, 0.8), "subject", 0.4),
        drawn("exception_hash", hexes(200, 61, digits=12), "subject", 0.4),
        drawn("exception_cause", "ECONNRESET ETIMEDOUT EPIPE ENOTFOUND", "subject", 0.18),
        drawn("stack_frames", measured(14, 0.5), "subject", 0.3),
        drawn("stack_top", "request dispatch retry onMessage parse", "subject", 0.3),
        drawn("errorTitle", "Bad-Gateway Service-Unavailable", "row", 0.004),
        drawn("errorBody", "shown hidden", "row", 0.003),
        drawn("errorHelp", "shown", "row", 0.001),
    )


def _request(names: Names) -> tuple[Column, ...]:
    return (
        drawn("request_id", hexes(20_000, 62), "row", 0.6),
        drawn("request_size", measured(420, 0.7), "row", 0.7),
        drawn("request_headers_accept", "application/json */* text/html", "device", 0.8),
        drawn("request_headers_acceptEncoding", "gzip,br gzip br,zstd", "device", 0.75),
        drawn("request_headers_contentType", "application/json multipart/form-data", "subject", 0.5),
        drawn("request_headers_origin", "https://play.example https://m.play.example", "device", 0.6),
        drawn("request_headers_cacheControl", "no-cache max-age=0", "device", 0.3),
        drawn("request_headers_ifNoneMatch", hexes(800, 63, digits=8), "row", 0.03),
        drawn("request_headers_xForwardedProto", "https http", "device", 0.4),
        drawn("request_headers_xClientVersion", "7 6 5", "device", 0.35),
        drawn("request_headers_xRequestedWith", "XMLHttpRequest com.play.lobby", "device", 0.22),
        drawn("request_headers_dnt", "1 0", "device", 0.05),
        drawn("request_headers_saveData", "on", "device", 0.02),
        drawn("request_headers_secChUa", "Chromium-137 Chromium-136 Edge-137", "device", 0.28),
        drawn("request_headers_secChUaMobile", "?1 ?0", "device", 0.28),
        drawn("request_headers_secChUaPlatform", "Android Windows macOS", "device", 0.28),
        drawn("request_headers_priority", "u=1,i u=4", "device", 0.1),
        drawn("request_headers_traceparent", hexes(6000, 64), "row", 0.15),
        drawn("request_query_page", "1 2 3 4", "row", 0.2, when=names.to("lobby", "history")),
        drawn("request_query_limit", "20 50 100", "row", 0.2, when=names.to("lobby", "history")),
        drawn("request_query_sort", "popular newest name", "row", 0.1, when=names.to("lobby")),
        drawn("request_query_since", measured(7, 0.8), "row", 0.3, when=names.to("history")),
        drawn("request_query_lang", "en de vi pt th ja", "member", 0.12),
        drawn("request_auth", "bearer cookie none", "device", 0.5),
        drawn("request_csrf", "valid missing expired", "row", 0.08),
        drawn("request_signature", "valid stale", "row", 0.04),
        drawn("request_idempotencyKey", hexes(5000, 65), "row", 0.4, when=names.to("wallet", "payment")),
    )


def _bodies(names: Names) -> tuple[Column, ...]:
    """Return fields of the bodies of calls, each of which exists for one service's calls only."""
    auth, wallet, payment = names.to("auth"), names.to("wallet"), names.to("payment")
    launch, bonus, profile = names.to("launch"), names.to("bonus"), names.to("profile")
    chat, jackpot, social = names.to("chat"), names.to("jackpot"), names.to("social")
    return (
        drawn("request_body_username", "given empty", "row", 0.9, when=auth),
        drawn("request_body_grantType", "password refresh_token otp", "row", 0.95, when=auth),
        drawn("request_body_deviceTrust", "known new", "device", 0.4, when=auth),
        drawn("request_body_captchaToken", "present absent", "row", 0.3, when=auth),
        drawn(
            "request_body_amount", measured(25, 1.0, digits=2), "row", 0.9, when=names.to("wallet", "payment")
        ),
        drawn("request_body_currency", "EUR USD CAD", "member", 0.9, when=names.to("wallet", "payment")),
        drawn("request_body_roundId", hexes(9000, 66, digits=10), "row", 0.7, when=wallet),
        drawn("request_body_betType", "spin bet side", "row", 0.6, when=wallet),
        drawn("request_body_paymentMethod", "card wallet bank crypto", "member", 0.95, when=payment),
        drawn("request_body_cardBin", measured(450_000, 0.1), "member", 0.5, when=payment),
        drawn("request_body_threeDSecure", "frictionless challenge", "row", 0.4, when=payment),
        drawn("request_body_bankCode", "HYVEDEMM DEUTDEFF BNPAFRPP", "member", 0.15, when=payment),
        drawn("request_body_launchMode", "real demo", "row", 0.9, when=launch),
        drawn("request_body_lobbyUrl", "/lobby /promotions", "row", 0.8, when=launch),
        drawn("request_body_returnUrl", "/lobby /favourites", "row", 0.5, when=launch),
        drawn("request_body_bonusCode", hexes(80, 67, digits=6), "row", 0.85, when=bonus),
        drawn("request_body_bonusStep", "claim activate cancel", "row", 0.8, when=bonus),
        drawn("request_body_emailChanged", "false true", "row", 0.5, when=profile),
        drawn("request_body_avatar", "set", "row", 0.06, when=profile),
        drawn("request_body_locale", "en de vi pt", "member", 0.4, when=profile),
        drawn("request_body_room", "general tables vip", "row", 0.9, when=chat),
        drawn("request_body_messageLength", measured(28, 0.8), "row", 0.8, when=chat),
        drawn("request_body_jackpotId", hexes(24, 42, digits=5, prefix="jp-"), "row", 0.9, when=jackpot),
        drawn("request_body_friend", hexes(600, 68, digits=8), "row", 0.7, when=social),
        drawn("request_body_documentKind", "passport id utility-bill", "row", 0.02, when=profile),
        drawn("request_body_selfie", "uploaded", "row", 0.01, when=profile),
        drawn("response_body_code", "1001 1002 2040 3007 5000", "subject", 0.6),
        drawn("response_body_message", "declined unavailable invalid-state limit-reached", "subject", 0.5),
        drawn("response_body_traceId", hexes(8000, 69, digits=12), "row", 0.35),
        drawn("response_body_balance", measured(60, 1.2, digits=2), "row", 0.3, when=wallet),
        drawn("response_body_limit", "100 500 1000", "member", 0.1, when=names.to("wallet", "payment")),
        drawn("response_body_declineReason", "funds fraud expired issuer", "row", 0.5, when=payment),
        drawn("response_body_retryAfter", "5 30 60", "row", 0.1),
        drawn("response_body_lockedUntil", "15 60 1440", "row", 0.07, when=auth),
        drawn("response_body_attemptsLeft", "2 1 0", "row", 0.25, when=auth),
        drawn("response_body_gameState", "maintenance closed unknown", "subject", 0.4, when=launch),
        drawn("response_body_providerCode", "E01 E02 T10 X99", "subject", 0.5, when=launch),
        drawn("response_body_wageringLeft", measured(140, 0.9, digits=2), "member", 0.3, when=bonus),
        drawn("response_body_field", "email phone birthDate", "row", 0.4, when=profile),
    )


def _answer(names: Names) -> tuple[Column, ...]:
    return (
        drawn("response_size", measured(310, 0.9), "row", 0.55),
        drawn("response_headers_contentType", "application/json text/html", "subject", 0.6),
        drawn("response_headers_server", "nginx envoy cloudfront", "subject", 0.5),
        drawn("response_headers_via", "1.1-edge 2.0-edge", "subject", 0.2),
        drawn("response_headers_age", measured(40, 1.0), "row", 0.05),
        drawn("response_headers_cfRay", hexes(4000, 70, digits=12), "row", 0.12),
        drawn("response_headers_xCache", "miss hit error", "row", 0.25),
        drawn("response_headers_retryAfter", "5 30 120", "row", 0.03),
        drawn("response_headers_setCookie", "cleared", "row", 0.01),
        drawn("response_headers_wwwAuthenticate", "Bearer", "row", 0.5, when=names.to("auth")),
    )


def _machine() -> tuple[Column, ...]:
    return (
        drawn("upstream_name", "wallet-rpc games-proxy auth-core cms payments-gw", "subject", 0.7),
        drawn("upstream_latency", measured(540, 1.2), "row", 0.5),
        drawn("upstream_attempts", "1 2 3", "row", 0.4),
        drawn("upstream_region", "eu-1 ap-1 sa-1 us-1", "row", 0.4),
        drawn("upstream_version", "1.42 1.41 1.40", "row", 0.15),
        drawn("k8s_pod", hexes(64, 71, digits=5, prefix="api-"), "row", 0.3),
        drawn("k8s_node", " ".join(f"node-{n}" for n in range(1, 13)), "row", 0.3),
        drawn("k8s_restarts", "0 1 2", "row", 0.1),
        drawn("db_pool", measured(18, 0.5), "row", 0.02),
        drawn("queue_lag", measured(300, 1.3), "row", 0.01),
    )
