"""Notifications: who is told, and in which words. Secrets never stand here, only where they are."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from workbench.config.documents import Strict
from workbench.config.entity_schema import Names  # noqa: TC001  (pydantic reads the annotations)
from workbench.errors import did_you_mean

__all__ = ["CHANNELS", "PLACEHOLDERS", "Email", "File", "Notification", "Slack", "Telegram", "Webhook"]

PLACEHOLDERS = {
    "rule": "the rule's id",
    "name": "the rule's name",
    "description": "its description",
    "severity": "info, warning or critical",
    "event": "triggered or resolved",
    "count": "how many subjects",
    "subject": "the subject, or the first of them",
    "subjects": "the subjects, the first 20",
    "value": "what was measured, of the first subject",
    "limit": "what it was compared with",
    "reason": "why, in words, of the first subject",
    "reasons": "why, a line a subject, the first 20",
    "since": "when it began, of the first subject",
    "at": "when the rule was evaluated",
    "asof": "the end of the data that it saw",
    "workspace": "the workspace's name",
}
"""What a title and a text may hold, with what stands for it."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_REFERENCE = re.compile(r"env:\w+|keyring:[^/]+/.+")
_ADDRESS = re.compile(r"https?://[^\s/?#@]+(/[^\s#@]*)?", re.IGNORECASE)
_MAILBOX = re.compile(r"[^\s@<>,;\"()\[\]\\:]+@[A-Za-z0-9.-]+")
CHANNELS = ("webhook", "slack", "telegram", "email", "file")


def _reference(value: str) -> str:
    if value and not _REFERENCE.fullmatch(value):
        # the value is not repeated: it may be the secret
        raise ValueError("a secret itself never stands in a rule: write env:NAME or keyring:SERVICE/NAME")
    return value


def _address(value: str) -> str:
    if not _REFERENCE.fullmatch(value) and not _ADDRESS.fullmatch(value):
        raise ValueError(
            "must be http(s)://host[:port][/path] without a name or a password in it, or where it stands: "
            "env:NAME or keyring:SERVICE/NAME"
        )
    return value


class Webhook(Strict):
    """A POST of JSON.

    Attributes:
        url: The address, or where it stands (``env:NAME``).
        token: Where a bearer token stands, if one is needed.
    """

    url: str
    token: str = ""

    _url = field_validator("url")(_address)
    _token = field_validator("token")(_reference)


class Slack(Strict):
    """A Slack-compatible webhook; its address is a secret, so it stands in the environment or a keyring."""

    url: str

    _url = field_validator("url")(_reference)


class Telegram(Strict):
    """A message of a Telegram bot to a chat."""

    chat: str
    token: str

    _token = field_validator("token")(_reference)

    @field_validator("chat", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Email(Strict):
    """An e-mail by the server of the settings ``smtp_…``."""

    to: Names

    @field_validator("to")
    @classmethod
    def _mailboxes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("names nobody")
        for address in value:
            if not _MAILBOX.fullmatch(address):
                raise ValueError(f"{address!r} is no address of e-mail")
        return value


class File(Strict):
    """A line of JSON at the end of a file in the workspace's folder ``notifications/``."""

    path: str

    @field_validator("path")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", value):
            raise ValueError(f"{value!r} is no plain file name: up to 64 letters, digits, dots and hyphens")
        return value


class Notification(Strict):
    """One who is told: exactly one channel.

    Attributes:
        webhook: A POST of JSON.
        slack: A Slack-compatible webhook.
        telegram: A bot's message.
        email: E-mail.
        file: Lines in a file.
        when: Of what: that a rule triggered, that it is resolved.
        title: One line, with placeholders.
        text: The message, with placeholders.
    """

    webhook: Webhook | None = None
    slack: Slack | None = None
    telegram: Telegram | None = None
    email: Email | None = None
    file: File | None = None
    when: tuple[Literal["trigger", "resolve"], ...] = ("trigger", "resolve")
    title: str = Field("{name} {event}: {subject}", max_length=500)
    text: str = Field("{reasons}", max_length=10_000)

    @field_validator("title", "text")
    @classmethod
    def _known(cls, value: str) -> str:
        for name in _PLACEHOLDER.findall(value):
            if name not in PLACEHOLDERS:
                raise ValueError(f"there is no placeholder {{{name}}}. {did_you_mean(name, PLACEHOLDERS)}")
        return value

    @model_validator(mode="after")
    def _one(self) -> Notification:
        given = [name for name in CHANNELS if getattr(self, name) is not None]
        if len(given) != 1:
            said = f"not {' and '.join(given)} together" if given else "and there is none"
            raise ValueError(f"a notification has one of {', '.join(CHANNELS)}, {said}")
        return self

    @property
    def channel(self) -> str:
        """Return which channel it is."""
        return next(name for name in CHANNELS if getattr(self, name) is not None)
