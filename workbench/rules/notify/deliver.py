"""Delivery: what a rule has to say is planned with what it found, sent, tried again, and logged."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from workbench.config.notification import Notification
from workbench.errors import NotificationFailedError, NotificationRefusedError
from workbench.logs import get_logger
from workbench.rules.notify.channels import Channels, Message, describe
from workbench.rules.notify.message import values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from workbench.config.anomaly_rule import AnomalyRule
    from workbench.rules.journal import Journal, Record, State

__all__ = ["deliver", "planned"]

_LISTED = 100
_GIVEN_UP = timedelta(days=1)
_FIRST_WAIT, _LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_LONGEST_TURN = 30.0  # seconds: rules are not evaluated meanwhile, and a process that is told to stop waits

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


def deliver(  # noqa: PLR0913, PLR0917  (what it meets)
    state: State,
    journal: Journal,
    channels: Channels,
    now: datetime,
    wait: Callable[[float], object],
    clock: Callable[[], float] = time.monotonic,
) -> list[Record]:
    """Send what waits and is due, log each outcome, and return the outcomes.

    What is refused, or cannot succeed, is not tried again. The rest is tried some times at once, with growing
    pauses, and then with later evaluations: after 1, 2, 4 … minutes, for a day. What a rule has to say goes
    to a channel in its order. A channel that has just failed is left alone until the next evaluation, and so
    is everything once half a minute has passed: what nobody takes must not hold up what is to be found.

    Args:
        state: What waits; it is brought up to date.
        journal: Where outcomes are logged.
        channels: What sends.
        now: The time.
        wait: Waits some seconds.
        clock: Seconds of a clock that only goes forward.
    """
    turn = _Turn(state, journal, channels, now, wait, clock)
    queues = _queues(state.pending.values(), now)
    failed = [left for queue in queues if (left := turn.send(queue, patient=False))]
    for left in failed:
        turn.send(left, patient=True)
    for queue in _queues(state.pending.values(), now):  # of channels that work by now
        turn.send(queue, patient=True)
    return turn.outcomes


class _Turn:
    """One round of sending: every channel is tried once before any is tried again."""

    def __init__(  # noqa: PLR0913, PLR0917  (as :func:`deliver`)
        self,
        state: State,
        journal: Journal,
        channels: Channels,
        now: datetime,
        wait: Callable[[float], object],
        clock: Callable[[], float],
    ) -> None:
        self._state, self._journal, self._channels, self._now = state, journal, channels, now
        self._wait, self._clock = wait, clock
        self._ends = clock() + _LONGEST_TURN
        self._down: set[str] = set()
        self._first: dict[str, tuple[Record, float]] = {}  # what failed once, and the pause after it
        self.outcomes: list[Record] = []

    def send(self, queue: list[Record], *, patient: bool) -> list[Record]:
        """Send a queue as far as it goes, and return what is left where its first is to be tried again."""
        for place, record in enumerate(queue):
            begun = record["id"] in self._first
            if not begun and (record["channel"] in self._down or self._is_over()):
                break
            outcome = self._attempted(record, patient=patient)
            if outcome is None:
                self._down.add(record["channel"])
                return queue[place:]
            self._note(record, outcome)
            if outcome["status"] == "given up" or not outcome["final"]:
                self._down.add(record["channel"])
                break
            self._down.discard(record["channel"])
        return []

    def _is_over(self) -> bool:
        return bool(self.outcomes) and self._clock() >= self._ends

    def _note(self, record: Record, outcome: Record) -> None:
        (_log.info if outcome["status"] == "sent" else _log.warning)(
            "notification", rule=record["rule"], channel=record["channel"], **_told(outcome)
        )
        self.outcomes += self._journal.append(self._state, [outcome])

    def _attempted(self, record: Record, *, patient: bool) -> Record | None:
        """Try a record, and again after pauses, and return the outcome; none where that is for later."""
        outcome, pause = self._first.pop(record["id"], (_outcome(record, self._now), 0.0))
        if record["id"] in self._state.sent:
            sent = self._state.sent[record["id"]]
            return outcome | {"status": "duplicate", "detail": f"sent already at {sent}"}
        most = self._channels.settings.notify_retries + 1
        while True:
            if pause and not self._paused(pause):
                break
            outcome["attempts"] += 1
            outcome, pause = self._once(record, outcome)
            if not pause:
                return outcome
            if outcome["attempts"] - record["attempts"] >= most:
                break
            if not patient:
                self._first[record["id"]] = outcome, pause
                return None
        over = self._now - datetime.fromisoformat(record["at"]) >= _GIVEN_UP
        return outcome | {"final": over, "status": "given up" if over else "failed"}

    def _once(self, record: Record, outcome: Record) -> tuple[Record, float]:
        """Try a record once; return the outcome and the pause after which it makes sense to try again."""
        try:
            return outcome | {"status": "sent", "detail": _sent(record, self._channels)}, 0.0
        except NotificationRefusedError as error:
            return outcome | {"status": "refused", "detail": str(error)}, 0.0
        except NotificationFailedError as error:
            tried = outcome["attempts"] - record["attempts"] - 1
            pause = min(max(_PAUSE * 2**tried, error.after), _LONGEST_PAUSE)
            return outcome | {"status": "failed", "detail": str(error)}, pause if error.again else 0.0
        except Exception as error:  # noqa: BLE001  (one message must not hold up all others)
            # only what kind of error it is: its text may hold the secret that is at fault
            detail = f"it cannot be sent: {type(error).__name__}"
            return outcome | {"status": "failed", "detail": detail}, 0.0

    def _paused(self, seconds: float) -> bool:
        if self._clock() + seconds >= self._ends:
            return False
        self._wait(seconds)
        return True


def _queues(pending: Iterable[Record], now: datetime) -> list[list[Record]]:
    """Return what a rule has to say to a channel, in its order, where it is time to: the new first."""
    queues: dict[tuple[str, str], list[Record]] = {}
    for record in pending:
        queues.setdefault((record["rule"], record["channel"]), []).append(record)
    due = [queue for queue in queues.values() if any(_is_due(record, now) for record in queue)]
    return sorted(due, key=lambda queue: queue[0]["tried"])


def _is_due(record: Record, now: datetime) -> bool:
    """Return whether a delivery has rested long enough, or the clock was put back meanwhile."""
    if not record["tried"]:
        return True
    tried = datetime.fromisoformat(record["tried"])
    return now < tried or now >= tried + _rest(record["attempts"])


def _outcome(record: Record, now: datetime) -> Record:
    return {
        "kind": "outcome",
        "id": record["id"],
        "rule": record["rule"],
        "event": record["event"],
        "at": now.isoformat(),
        "channel": record["channel"],
        "attempts": record["attempts"],
        "final": True,
    }


def _sent(record: Record, channels: Channels) -> str:
    notification = Notification.model_validate(record["notification"])
    message = Message(record["id"], notification.title, notification.text, record["values"], record["facts"])
    return channels.send(notification, message)


def _rest(attempts: int) -> timedelta:
    """Return how long a delivery rests after some attempts."""
    return min(_FIRST_WAIT * int(2 ** min(attempts // 4, 10)), _LONGEST_WAIT)


def _told(outcome: Record) -> dict[str, Any]:
    return {name: outcome[name] for name in ("status", "detail", "attempts")}
