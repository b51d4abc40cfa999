"""The channels: each puts a message into its own form and sends it once."""

from __future__ import annotations

import json
import os
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from workbench.errors import (
    ConfigError,
    NotificationFailedError,
    NotificationRefusedError,
    ProviderAuthError,
)
from workbench.llm.secret import Secret
from workbench.rules.notify.guard import Guard
from workbench.rules.notify.http import deadline, post
from workbench.rules.notify.message import clean, filled, for_slack

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.config.notification import Email, File, Notification, Slack, Telegram, Webhook
    from workbench.settings import Settings

__all__ = ["Channels", "Message", "describe"]

_TELEGRAM_LONGEST = 4096
_SUBJECT_LONGEST = 200
_READY = 220
FOLDER = "notifications"


@dataclass(frozen=True)
class Message:
    """What is said, before it is put into a channel's form.

    Attributes:
        id: The same whenever it is sent again.
        title: With placeholders.
        text: With placeholders.
        values: What fills them.
        facts: Everything as JSON data, for programs.
    """

    id: str
    title: str
    text: str
    values: dict[str, str]
    facts: dict[str, Any]

    def plain(self) -> tuple[str, str]:
        """Return title and text without any markup; the title on one line."""
        return clean(filled(self.title, self.values), _SUBJECT_LONGEST), filled(self.text, self.values)


def describe(notification: Notification) -> str:
    """Return a channel with where it leads, for logs: never a secret.

    >>> from workbench.config.notification import Notification
    >>> describe(Notification.model_validate({"email": {"to": "a@example.com"}}))
    'email a@example.com'
    """
    channel = getattr(notification, notification.channel)
    match notification.channel:
        case "email":
            where = ", ".join(channel.to)
        case "telegram":
            where = f"chat {channel.chat}"
        case "file":
            where = channel.path
        case _:
            where = channel.url.partition("?")[0]
    return f"{notification.channel} {clean(where)}"


@dataclass(frozen=True)
class Channels:
    """Sends messages from a workspace.

    Args:
        settings: Which hosts are allowed, and the server of e-mail.
        root: The workspace's directory.
    """

    settings: Settings
    root: Path

    def send(self, notification: Notification, message: Message) -> str:
        """Send a message and return what the other side said.

        Raises:
            NotificationRefusedError: If it may not be sent there, or what it needs is not there.
            NotificationFailedError: If it could not be delivered.
        """
        if notification.webhook:
            return self._webhook(notification.webhook, message)
        if notification.slack:
            return self._slack(notification.slack, message)
        if notification.telegram:
            return self._telegram(notification.telegram, message)
        if notification.email:
            return self._email(notification.email, message)
        if notification.file:
            return self._file(notification.file, message)
        raise AssertionError("a notification has a channel")

    def _webhook(self, channel: Webhook, message: Message) -> str:
        title, text = message.plain()
        body = {"id": message.id, "title": title, "text": text, **message.facts}
        headers = {"Idempotency-Key": message.id}
        if channel.token:
            headers["Authorization"] = f"Bearer {_word(channel.token)}"
        return self._post(_address(channel.url), body, headers)

    def _slack(self, channel: Slack, message: Message) -> str:
        title = filled(message.title, message.values, for_slack)
        text = filled(message.text, message.values, for_slack)
        return self._post(_address(channel.url), {"text": f"*{title}*\n{text}"}, {})

    def _telegram(self, channel: Telegram, message: Message) -> str:
        title, text = message.plain()
        said = f"{title}\n{text}"
        if len(said) > _TELEGRAM_LONGEST:
            said = f"{said[: _TELEGRAM_LONGEST - 1]}…"
        # without parse_mode a message is plain text: nothing in it is markup
        body = {"chat_id": channel.chat, "text": said, "link_preview_options": {"is_disabled": True}}
        token = _revealed(channel.token).strip()
        if not token.isascii() or not all(c.isalnum() or c in ":_-" for c in token):
            raise NotificationRefusedError("the token of the bot is none.", where=channel.token)
        return self._post(f"{self.settings.telegram_url}/bot{token}/sendMessage", body, {})

    def _post(self, url: str, body: dict[str, Any], headers: dict[str, str]) -> str:
        data = json.dumps(body, ensure_ascii=True, allow_nan=False).encode()
        try:
            target = Guard(self.settings.notify_hosts, self.settings.notify_private).target(url)
        except OSError as error:
            raise NotificationFailedError(f"the host's name: {error.strerror}.", again=True) from error
        return post(
            target, data, {"Content-Type": "application/json", **headers}, self.settings.notify_timeout
        )

    def _email(self, channel: Email, message: Message) -> str:
        settings = self.settings
        if not settings.smtp_host:
            raise NotificationRefusedError("no server sends e-mail.", fix="Set smtp_host.")
        mail, server = self._mail(channel, message), self._server()
        try:
            with deadline(server, settings.notify_timeout), server:
                self._connect(server)
                if settings.smtp_user and settings.smtp_password:
                    server.login(settings.smtp_user, _revealed(settings.smtp_password))
                refused = server.send_message(mail)
        except smtplib.SMTPException as error:
            code = getattr(error, "smtp_code", 0)
            said = f"{type(error).__name__}{f' {code}' if code else ''}"
            again = not 500 <= code < 600 and not isinstance(error, smtplib.SMTPRecipientsRefused)
            raise NotificationFailedError(f"{settings.smtp_host}: {said}.", again=again) from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise NotificationFailedError(f"{settings.smtp_host}: {reason}.", again=True) from error
        return f"accepted, but not for {', '.join(refused)}" if refused else "accepted"

    def _mail(self, channel: Email, message: Message) -> EmailMessage:
        title, text = message.plain()
        mail = EmailMessage()
        try:
            mail["From"] = self.settings.smtp_from or self.settings.smtp_user or "workbench@localhost"
            mail["To"] = ", ".join(channel.to)
        except (ValueError, IndexError) as error:
            raise NotificationRefusedError(
                "sender or recipient is no address of e-mail.", fix="See the setting smtp_from."
            ) from error
        mail["Subject"] = title
        mail["Date"] = formatdate()
        mail["Message-ID"] = f"<{message.id}@workbench>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(text)
        return mail

    def _server(self) -> smtplib.SMTP:
        """Return a server that is not connected yet: so that its greeting, too, has an end."""
        settings = self.settings
        server: smtplib.SMTP = (
            smtplib.SMTP_SSL(timeout=settings.notify_timeout, context=ssl.create_default_context())
            if settings.smtp_security == "tls"
            else smtplib.SMTP(timeout=settings.notify_timeout)
        )
        server._host = settings.smtp_host  # type: ignore[attr-defined]  # noqa: SLF001  (certificates name it)
        return server

    def _connect(self, server: smtplib.SMTP) -> None:
        settings = self.settings
        code, _ = server.connect(settings.smtp_host, settings.smtp_port)
        if code != _READY:
            raise smtplib.SMTPConnectError(code, "")
        if settings.smtp_security == "starttls":
            server.starttls(context=ssl.create_default_context())

    def _file(self, channel: File, message: Message) -> str:
        title, text = message.plain()
        line = json.dumps(
            {"id": message.id, "title": title, "text": text, **message.facts}, ensure_ascii=True
        )
        folder = self.root / FOLDER
        try:
            folder.mkdir(exist_ok=True)
            if folder.is_symlink():
                raise NotificationRefusedError("the folder is a link.", where=str(folder))
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(folder / channel.path, flags, 0o644)
            try:
                os.write(descriptor, f"{line}\n".encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise NotificationFailedError(f"{channel.path}: {error.strerror}.", again=True) from error
        return "written"


def _address(url: str) -> str:
    return url if url.lower().startswith(("http://", "https://")) else _revealed(url).strip()


def _word(reference: str) -> str:
    """Return a secret that goes into a header."""
    found = _revealed(reference).strip()
    if not found.isascii() or not found.isprintable():
        raise NotificationRefusedError("the token is no word of ASCII characters.", where=reference)
    return found


def _revealed(reference: str) -> str:
    """Return a secret.

    Raises:
        NotificationFailedError: If it is not where the reference points to.
    """
    try:
        return Secret(reference).reveal()
    except (ConfigError, ProviderAuthError) as error:
        # it may be set by the next time
        raise NotificationFailedError(error.message, again=False, fix=error.fix) from error
