"""What is logged when a member is shown a pop-up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.samples.gaming.behaviour import ACTIONS
from workbench.samples.gaming.columns import drawn, hexes, looked_up, measured

if TYPE_CHECKING:
    from workbench.samples.gaming.columns import Column
    from workbench.samples.gaming.names import Names

__all__ = ["popup_columns", "popup_columns_v2"]


def popup_columns(names: Names) -> tuple[Column, ...]:
    """Return the columns that a pop-up has beside its context."""
    return (
        *_popup(names),
        drawn("page", "/lobby /deposit /promotions /profile /game", "row"),
        drawn("delayMs", measured(1500, 0.5), "subject", 0.6),
        drawn("layout", "modal toast drawer fullscreen", "subject"),
        drawn("imageUrl", hexes(300, 51, digits=8, prefix="/assets/popup/"), "subject", 0.55),
        drawn("popupMarkup", "rendered", "row", 0.003),
        drawn("popupButton", "clicked ignored", "row", 0.002),
    )


def popup_columns_v2(names: Names) -> tuple[Column, ...]:
    """Return the columns that the second client sends."""
    return (
        *_popup(names),
        drawn("route", "/lobby /deposit /promotions /profile /game", "row"),
        drawn("layoutName", "modal toast drawer fullscreen", "subject"),
        drawn("visibleMs", measured(5200, 0.9), "row", 0.97),
        drawn("stackDepth", "1 2 3", "row", 0.9),
        drawn("templateVersion", "3 2 4", "subject"),
    )


def _popup(names: Names) -> tuple[Column, ...]:
    return (
        looked_up("componentId", "component", names.component_ids),
        looked_up("trackingId", "popup", names.tracking_ids),
        looked_up("popupType", "popup", names.popup_types),
        looked_up("rGroup", "vip", names.vip_groups, 0.4),
        looked_up("action", "action", ACTIONS),
        drawn("trigger", "login timer deposit level exit", "subject"),
        drawn("variant", "a b c", "member", 0.5),
        drawn("campaignId", hexes(60, 52, digits=6, prefix="cp-"), "subject", 0.45),
        drawn("rewardAmount", "5 10 20 50 100", "subject", 0.2),
        drawn("voucher", hexes(500, 53, digits=8), "row", 0.02),
        drawn("frequencyCap", "1/day 3/week 1/visit", "subject", 0.35),
        drawn("dismissReason", "button outside escape timeout", "row", 0.3),
    )
