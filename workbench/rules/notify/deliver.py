"""Delivery: what a rule has to say is planned with what it found, sent, tried again, and logged."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from workbench.config.notification import Notification
from workbench.errors import NotificationFailedError, NotificationRefusedError
from workbench.logs import get_logger
from workbench.rules.notify.channels import Channels, Message, describe
from workbench.rules.notify.message import values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workbench.config.anomaly_rule import AnomalyRule
    from workbench.rules.journal import Journal, Record, State

__all__ = ["deliver", "planned"]

_LISTED = 100
_GIVEN_UP = timedelta(days=1)
_FIRST_WAIT, _LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
_PAUSE, _LONGEST_PAUSE = 0.5, 30.0

_log = get_logger("rules")


def planned(
    rule: AnomalyRule, event: str, subjects: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]
) -> list[Record]:
    """Return the deliveries of a rule that has triggered, or is resolved, for some subjects.

    Args:
        rule: The rule.
        event: ``triggered`` or ``resolved``.
        subjects: The subjects with ``subject``, ``value``, ``limit``, ``reason`` and ``since``.
        facts: ``at``, ``asof`` and ``workspace``.
    """
    when = "trigger" if event == "triggered" else "resolve"
    known = {
        "rule": rule.id,
        "name": rule.name,
        "description": rule.metadata.description,
        "severity": rule.severity,
        "event": event,
        **facts,
    }
    found = []
    for notification in rule.notifications:
        if when in notification.when:
            data = notification.model_dump(mode="json", exclude_none=True)
            target = {name: data[name] for name in (notification.channel,)}
            about = sorted(f"{s['subject']}|{s['since']}" for s in subjects)
            key = json.dumps([rule.id, event, target, about], sort_keys=True)
            found.append(
                {
                    "kind": "delivery",
                    "id": hashlib.sha256(key.encode()).hexdigest()[:32],
                    "rule": rule.id,
                    "event": event,
                    "at": facts["at"],
                    "channel": describe(notification),
                    "notification": data,
                    "values": values_of(known, subjects),
                    "facts": {
                        **known,
                        "count": len(subjects),
                        "subjects": [dict(subject) for subject in subjects[:_LISTED]],
                    },
                }
            )
    return found


def deliver(
    state: State,
    journal: Journal,
    channels: Channels,
    now: datetime,
    wait: Callable[[float], object],
) -> list[Record]:
    """Send what waits and is due, log each outcome, and return the outcomes.

    What is refused, or cannot succeed, is not tried again. The rest is tried some times at once, with growing
    pauses, and then with later evaluations: after 1, 2, 4 … minutes, for a day.

    Args:
        state: What waits; it is brought up to date.
        journal: Where outcomes are logged.
        channels: What sends.
        now: The time.
        wait: Waits some seconds.
    """
    outcomes = []
    for record in list(state.pending.values()):
        if record["tried"] and now < datetime.fromisoformat(record["tried"]) + _rest(record["attempts"]):
            continue
        outcome = _attempted(record, channels, now, wait, state.sent)
        (_log.info if outcome["status"] == "sent" else _log.warning)(
            "notification", rule=record["rule"], channel=record["channel"], **_told(outcome)
        )
        outcomes += journal.append(state, [outcome])
    return outcomes


def _attempted(
    record: Record,
    channels: Channels,
    now: datetime,
    wait: Callable[[float], object],
    sent: Mapping[str, str],
) -> Record:
    outcome: Record = {
        "kind": "outcome",
        "id": record["id"],
        "rule": record["rule"],
        "event": record["event"],
        "at": now.isoformat(),
        "channel": record["channel"],
        "attempts": record["attempts"],
        "final": True,
    }
    if record["id"] in sent:
        return outcome | {"status": "duplicate", "detail": f"sent already at {sent[record['id']]}"}
    notification = Notification.model_validate(record["notification"])
    message = Message(record["id"], notification.title, notification.text, record["values"], record["facts"])
    for attempt in range(channels.settings.notify_retries + 1):
        outcome["attempts"] += 1
        try:
            return outcome | {"status": "sent", "detail": channels.send(notification, message)}
        except NotificationRefusedError as error:
            return outcome | {"status": "refused", "detail": str(error)}
        except NotificationFailedError as error:
            failed = outcome | {"status": "failed", "detail": str(error)}
            if not error.again:
                return failed
            if attempt < channels.settings.notify_retries:
                wait(min(max(_PAUSE * 2**attempt, error.after), _LONGEST_PAUSE))
    over = now - datetime.fromisoformat(record["at"]) >= _GIVEN_UP
    return failed | {"final": over, "status": "given up" if over else "failed"}


def _rest(attempts: int) -> timedelta:
    """Return how long a delivery rests after some attempts."""
    return min(_FIRST_WAIT * int(2 ** min(attempts // 4, 10)), _LONGEST_WAIT)


def _told(outcome: Record) -> dict[str, Any]:
    return {name: outcome[name] for name in ("status", "detail", "attempts")}
