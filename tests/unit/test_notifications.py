"""Notifications: each channel against a server on this machine, what is refused, tried again, sent once."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
from datetime import UTC, datetime, timedelta
from email import message_from_string
from typing import TYPE_CHECKING, Any

import pytest
from hooks import Hooks, Mail, hooks, mail

from workbench.config.anomaly_rule import AnomalyRule
from workbench.config.notification import PLACEHOLDERS, Notification
from workbench.errors import NotificationFailedError, NotificationRefusedError
from workbench.rules.journal import Journal
from workbench.rules.notify.channels import Channels, Message, describe
from workbench.rules.notify.deliver import deliver, planned
from workbench.rules.notify.guard import Guard, is_public
from workbench.rules.notify.message import clean, filled, for_slack, values_of
from workbench.settings import Settings
from workbench.storage import SegmentStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workbench.rules.journal import State

NOW = datetime(2026, 11, 29, 9, tzinfo=UTC)
HOSTILE = 'x\r\nBcc: all@example.com\x1b[31m\u202e<!channel> @here [a](http://b) {rule} "'
SUBJECT = {
    "subject": HOSTILE, "value": 40.0, "limit": 30.0, "reason": "much <b>", "since": NOW.isoformat(),
}  # fmt: skip
FACTS = {"at": NOW.isoformat(), "asof": NOW.isoformat(), "workspace": "shop"}


@pytest.fixture
def hook() -> Iterator[Hooks]:
    with hooks() as found:
        yield found


@pytest.fixture
def smtp() -> Iterator[Mail]:
    with mail() as found:
        yield found


def message(title: str = "{name} {event}: {subject}", text: str = "{reasons}") -> Message:
    known = {
        "rule": "r", "name": "Rule", "description": "", "severity": "warning", "event": "triggered",
    }  # fmt: skip
    values = values_of({**known, **FACTS}, [SUBJECT])
    return Message("0" * 32, title, text, values, {"rule": "r", "subjects": [SUBJECT]})


def channels(tmp_path: Path, **settings: Any) -> Channels:
    return Channels(Settings(notify_retries=2, notify_timeout=5, **settings), tmp_path)


def local(tmp_path: Path, hook: Hooks, **settings: Any) -> Channels:
    return channels(tmp_path, notify_hosts=hook.host, notify_private=hook.host, **settings)


def to(**channel: Any) -> Notification:
    return Notification.model_validate(channel)


# what is said


def test_every_placeholder_is_filled_and_what_fills_it_is_not_filled_again() -> None:
    made = message()
    assert set(made.values) == set(PLACEHOLDERS)
    assert "{rule}" in filled("{subject}", made.values)
    title, text = made.plain()
    assert "\n" not in title
    assert "\x1b" not in title + text
    assert "\u202e" not in title + text


def test_many_subjects_are_counted_and_the_first_are_named() -> None:
    subjects = [{**SUBJECT, "subject": f"user:{n}"} for n in range(30)]
    values = values_of({"rule": "r"}, subjects)
    assert values["subject"] == "user:0 and 29 more"
    assert values["subjects"].endswith("user:19, and 10 more")
    assert values["reasons"].count("\n") == 20
    assert clean("x" * 1000) == "x" * 299 + "…"


# the channels


def test_a_webhook_gets_json_with_a_key_and_a_token(
    tmp_path: Path, hook: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "s3cret")
    sender = local(tmp_path, hook)
    assert (
        sender.send(to(webhook={"url": f"{hook.url}/a?b=c", "token": "env:HOOK_TOKEN"}), message())
        == "200 OK"
    )
    ((path, headers, body),) = hook.requests
    assert path == "/a?b=c"
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["Idempotency-Key"] == body["id"] == "0" * 32
    assert body["subjects"][0]["subject"] == HOSTILE  # JSON has it as it is
    assert body["title"].startswith("Rule triggered: x\\r\\nBcc: all@example.com")


def test_slack_shows_a_stranger_s_text_as_text(
    tmp_path: Path, hook: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_URL", f"{hook.url}/services/T/B/s3cret")
    local(tmp_path, hook).send(to(slack={"url": "env:SLACK_URL"}), message())
    ((path, _, body),) = hook.requests
    assert path == "/services/T/B/s3cret"
    assert "<" not in body["text"]
    assert "@here" not in body["text"]
    assert "](" not in body["text"]
    assert "://" not in body["text"]
    assert for_slack("a & b") == "a &amp; b"


def test_telegram_gets_plain_text_of_a_bounded_length(
    tmp_path: Path, hook: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOT", "123:abc")
    sender = local(tmp_path, hook, telegram_url=hook.url)
    sender.send(to(telegram={"chat": -100, "token": "env:BOT"}), message(text="{reason}" * 1000))
    ((path, _, body),) = hook.requests
    assert path == "/bot123:abc/sendMessage"
    assert body["chat_id"] == "-100"
    assert "parse_mode" not in body
    assert len(body["text"]) == 4096
    monkeypatch.setenv("BOT", "123/../x")
    with pytest.raises(NotificationRefusedError, match="token of the bot is none"):
        sender.send(to(telegram={"chat": "1", "token": "env:BOT"}), message())


def test_e_mail_has_its_own_headers_and_no_others(tmp_path: Path, smtp: Mail) -> None:
    settings = {"smtp_host": "127.0.0.1", "smtp_port": smtp.port, "smtp_security": "none"}
    sender = channels(tmp_path, smtp_from="alerts@example.com", **settings)
    told = sender.send(to(email={"to": ["a@example.com", "b@example.com"]}), message())
    assert told == "accepted"
    ((recipients, text),) = smtp.messages
    assert recipients == ["a@example.com", "b@example.com"]
    got = message_from_string(text)
    assert got["From"] == "alerts@example.com"
    assert got["Bcc"] is None
    assert got["Auto-Submitted"] == "auto-generated"
    assert got["Message-ID"] == f"<{'0' * 32}@workbench>"
    with pytest.raises(NotificationRefusedError, match="smtp_host"):
        channels(tmp_path).send(to(email={"to": "a@example.com"}), message())


def test_e_mail_says_what_the_server_refused(tmp_path: Path, smtp: Mail) -> None:
    settings = {"smtp_host": "127.0.0.1", "smtp_port": smtp.port}
    sender = channels(tmp_path, smtp_security="none", **settings)
    smtp.refuse = [550]
    assert sender.send(to(email={"to": ["x@example.com", "b@example.com"]}), message()).startswith("accepted")
    smtp.refuse = [550]
    with pytest.raises(NotificationFailedError, match="SMTPRecipientsRefused") as caught:
        sender.send(to(email={"to": ["x@example.com"]}), message())
    assert not caught.value.again
    # what is not encrypted is not spoken where encryption is asked for
    with pytest.raises(NotificationFailedError, match="SMTPNotSupportedError"):
        channels(tmp_path, **settings).send(to(email={"to": ["b@example.com"]}), message())
    assert len(smtp.messages) == 1
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        gone = channels(
            tmp_path, smtp_host="127.0.0.1", smtp_port=closed.getsockname()[1], smtp_security="tls"
        )
        with pytest.raises(NotificationFailedError, match="refused") as caught:
            gone.send(to(email={"to": ["b@example.com"]}), message())
    assert caught.value.again


def test_a_file_gets_a_line_and_is_no_way_out_of_the_workspace(tmp_path: Path) -> None:
    sender = channels(tmp_path)
    for _ in range(2):
        assert sender.send(to(file={"path": "a.jsonl"}), message()) == "written"
    lines = (tmp_path / "notifications/a.jsonl").read_text().splitlines()
    assert [json.loads(line)["rule"] for line in lines] == ["r", "r"]
    (tmp_path / "notifications/link.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotificationFailedError, match="link"):
        sender.send(to(file={"path": "link.jsonl"}), message())
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notifications").symlink_to(tmp_path)
    with pytest.raises(NotificationRefusedError, match="link"):
        channels(tmp_path / "other").send(to(file={"path": "a.jsonl"}), message())


def test_logs_name_a_channel_without_its_secrets() -> None:
    assert (
        describe(to(webhook={"url": "https://example.com/x?key=s3cret"})) == "webhook https://example.com/x"
    )
    assert describe(to(slack={"url": "env:SLACK"})) == "slack env:SLACK"
    assert describe(to(telegram={"chat": 5, "token": "env:BOT"})) == "telegram chat 5"
    assert describe(to(file={"path": "a.jsonl"})) == "file a.jsonl"


# where it may go


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),  # noqa: S104
        *("224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1%eth0", "fc00::1", "ff02::1", "fec0::1"),
        *("::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::"),
        "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo with 127.0.0.1 in it
    ],
)
def test_a_private_address_is_none_of_the_internet_in_any_form(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "2606:2800:220:1::1", "64:ff9b::5db8:d70e", "::ffff:8.8.8.8"]
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1/", "http://localhost/", "http://LOCALHOST./", "http://[::1]/", "http://127.1/"),
        *("http://2130706433/", "http://0x7f.0.0.1/", "http://[::ffff:127.0.0.1]/", "http://0/"),
    ],
)
def test_a_rule_cannot_be_aimed_at_this_machine(url: str) -> None:
    allowed = "127.0.0.1,localhost,[::1],127.1,2130706433,0x7f.0.0.1,[::ffff:127.0.0.1],0"
    with pytest.raises(NotificationRefusedError, match=r"private address|not allowed"):
        Guard(allowed, "").target(url)
    with pytest.raises(NotificationRefusedError, match="not allowed"):
        Guard("example.com", allowed).target(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://example.com/", "none of http"),
        ("http://example.com@127.0.0.1/", "none of http"),
        ("http://example.com:x/", "cannot be read"),
        ("http://[::1/", "cannot be read"),
        ("https://example.com:8443/", "not allowed"),
        ("https://badexample.com/", "not allowed"),
    ],
)
def test_what_is_no_plain_address_of_an_allowed_host_is_refused(url: str, said: str) -> None:
    with pytest.raises(NotificationRefusedError, match=said):
        Guard("example.com,*.example.com", "").target(url)


def test_an_allowed_host_is_resolved_once_and_connected_to_where_it_was_found(
    tmp_path: Path, hook: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that resolves to something else the second time changes nothing."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebound(host: str, *more: Any, **options: Any) -> Any:
        if host != "shop.test":
            return real(host, *more, **options)
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "127.0.0.2", *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    port = hook.host.partition(":")[2]
    sender = channels(tmp_path, notify_hosts=f"shop.test:{port}", notify_private=f"shop.test:{port}")
    target = Guard(f"shop.test:{port}", f"shop.test:{port}").target(f"http://shop.test:{port}/x")
    assert (target.address, target.host) == ("127.0.0.1", "shop.test")
    asked.clear()
    sender.send(to(webhook={"url": f"http://shop.test:{port}/x"}), message())
    assert asked == ["shop.test"]
    assert hook.requests[0][1]["Host"] == f"shop.test:{port}"


def test_a_redirect_is_not_followed(tmp_path: Path, hook: Hooks) -> None:
    hook.answers = [302]
    hook.headers = {"Location": f"{hook.url}/elsewhere"}
    with pytest.raises(NotificationFailedError, match="redirects are not followed") as caught:
        local(tmp_path, hook).send(to(webhook={"url": f"{hook.url}/x"}), message())
    assert not caught.value.again
    assert len(hook.requests) == 1


def test_an_answer_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        sender = Channels(Settings(notify_hosts=host, notify_private=host, notify_timeout=0.2), tmp_path)
        with pytest.raises(NotificationFailedError) as caught:
            sender.send(to(webhook={"url": f"http://{host}/"}), message())
    assert caught.value.again


def test_a_secret_that_is_not_there_is_said_without_sending(
    tmp_path: Path, hook: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH", raising=False)
    with pytest.raises(NotificationFailedError, match="NO_SUCH is not set"):
        local(tmp_path, hook).send(to(webhook={"url": f"{hook.url}/", "token": "env:NO_SUCH"}), message())
    assert hook.requests == []


@pytest.mark.parametrize("token", ["s3cret\nX-Other: 1", "s3cr\u20act"])
def test_a_token_that_is_no_header_is_refused_and_never_repeated(
    tmp_path: Path, hook: Hooks, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HOOK_TOKEN", token)
    with pytest.raises(NotificationRefusedError, match="no word of ASCII") as caught:
        local(tmp_path, hook).send(to(webhook={"url": hook.url, "token": "env:HOOK_TOKEN"}), message())
    assert "s3cr" not in str(caught.value)
    assert hook.requests == []


def test_a_line_break_behind_a_token_is_none_of_it(
    tmp_path: Path, hook: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "s3cret\n")
    local(tmp_path, hook).send(
        to(webhook={"url": f"{hook.url}/\u00e4?b=%20c", "token": "env:HOOK_TOKEN"}), message()
    )
    ((path, headers, _),) = hook.requests
    assert (path, headers["Authorization"]) == ("/%C3%A4?b=%20c", "Bearer s3cret")


@pytest.mark.parametrize("host", [f"{'a' * 70}.example.com", "a..example.com"])
def test_a_host_that_is_no_name_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(NotificationRefusedError, match="a host that is no name"):
        channels(tmp_path, notify_hosts="*.example.com").send(
            to(webhook={"url": f"http://{host}/"}), message()
        )


@pytest.mark.parametrize("sender", ["a\nb@example.com", '"'])
def test_a_sender_that_is_no_address_is_refused(tmp_path: Path, smtp: Mail, sender: str) -> None:
    by = channels(
        tmp_path, smtp_host="127.0.0.1", smtp_port=smtp.port, smtp_security="none", smtp_from=sender
    )
    with pytest.raises(NotificationRefusedError, match="smtp_from"):
        by.send(to(email={"to": ["a@example.com"]}), message())


def test_a_greeting_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    class Endless(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                while not over.wait(0.02):
                    self.request.sendall(b"220-wait\r\n")

    over = threading.Event()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Endless) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        port = server.server_address[1]
        settings = Settings(smtp_host="127.0.0.1", smtp_port=port, smtp_security="none", notify_timeout=0.2)
        with pytest.raises(NotificationFailedError) as caught:
            Channels(settings, tmp_path).send(to(email={"to": ["a@example.com"]}), message())
        over.set()
        server.shutdown()
        thread.join()
    assert caught.value.again


# tried again, sent once


def rule(*notifications: dict[str, Any]) -> AnomalyRule:
    return AnomalyRule.from_json(
        {
            "metadata": {"id": "r"},
            "template": {"threshold": {"feature": "n", "value": 1}},
            "notifications": list(notifications),
        }
    )


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    SegmentStore.create(tmp_path / "w", {})
    return Journal(SegmentStore(tmp_path / "w"))


def test_a_failure_is_tried_again_with_growing_pauses(tmp_path: Path, hook: Hooks, journal: Journal) -> None:
    pauses: list[float] = []
    hook.answers = [503, 429]
    hook.headers = {"Retry-After": "7"}
    with journal.held():
        state = journal.state()
        journal.append(state, planned(rule({"webhook": {"url": hook.url}}), "triggered", [SUBJECT], FACTS))
        (outcome,) = deliver(state, journal, local(tmp_path, hook), NOW, pauses.append)
    assert (outcome["status"], outcome["attempts"], outcome["detail"]) == ("sent", 3, "200 OK")
    assert pauses == [7.0, 7.0]
    assert len({headers["Idempotency-Key"] for _, headers, _ in hook.requests}) == 1
    assert state.pending == {}


def test_what_failed_is_tried_with_later_evaluations_and_given_up_after_a_day(
    tmp_path: Path, hook: Hooks, journal: Journal
) -> None:
    pauses: list[float] = []
    sender = local(tmp_path, hook)
    hook.answers = [500] * 100
    with journal.held():
        state = journal.state()
        journal.append(state, planned(rule({"webhook": {"url": hook.url}}), "triggered", [SUBJECT], FACTS))
        (first,) = deliver(state, journal, sender, NOW, pauses.append)
        assert (first["status"], first["final"], first["attempts"]) == ("failed", False, 3)
        assert pauses == [0.5, 1.0]
        assert deliver(state, journal, sender, NOW + timedelta(seconds=59), pauses.append) == []
        journal.save(state)
    again = journal.state()  # as another process finds it
    assert [p["attempts"] for p in again.pending.values()] == [3]
    (second,) = deliver(again, journal, sender, NOW + timedelta(minutes=2), pauses.append)
    assert (second["status"], second["attempts"]) == ("failed", 6)
    (last,) = deliver(again, journal, sender, NOW + timedelta(days=1), pauses.append)
    assert (last["status"], last["final"]) == ("given up", True)
    assert again.pending == {}


def two_rules(journal: Journal, state: State, *urls: str) -> None:
    """Plan three messages of a rule for each address."""
    for number, url in enumerate(urls):
        for subject in range(3):
            about = {**SUBJECT, "subject": f"user:{subject}"}
            named = rule({"webhook": {"url": url}}).model_copy()
            found = planned(named, "triggered", [about], FACTS)
            journal.append(state, [{**one, "rule": f"r{number}"} for one in found])


def test_a_channel_that_is_down_holds_nobody_else_up_and_keeps_its_order(
    tmp_path: Path, hook: Hooks, journal: Journal
) -> None:
    with hooks() as other, journal.held():
        both = f"{hook.host},{other.host}"
        sender = channels(tmp_path, notify_hosts=both, notify_private=both)
        state = journal.state()
        two_rules(journal, state, hook.url, other.url)
        hook.answers = [503] * 3
        outcomes = deliver(state, journal, sender, NOW, lambda _: None)
        assert [(one["rule"], one["status"]) for one in outcomes] == [*[("r1", "sent")] * 3, ("r0", "failed")]
        assert len(hook.requests) == 3  # one message with its retries, and not three
        later = deliver(state, journal, sender, NOW + timedelta(seconds=30), lambda _: None)
    assert [one["status"] for one in later] == ["sent"] * 3
    assert [body["subjects"][0]["subject"] for body in hook.bodies[3:]] == ["user:0", "user:1", "user:2"]


def test_a_channel_that_works_again_at_once_gets_all_there_is_for_it(
    tmp_path: Path, hook: Hooks, journal: Journal
) -> None:
    with journal.held():
        state = journal.state()
        two_rules(journal, state, hook.url, f"{hook.url}/")
        hook.answers = [503]
        outcomes = deliver(state, journal, local(tmp_path, hook), NOW, lambda _: None)
    assert [one["status"] for one in outcomes] == ["sent"] * 6
    assert state.pending == {}
    assert len(hook.requests) == 7


def test_sending_ends_after_half_a_minute_and_goes_on_with_the_next_evaluation(
    tmp_path: Path, hook: Hooks, journal: Journal
) -> None:
    seconds = iter(range(0, 1000, 16))
    with journal.held():
        state = journal.state()
        two_rules(journal, state, hook.url)
        sender = local(tmp_path, hook)
        first = deliver(state, journal, sender, NOW, print, lambda: next(seconds))
        assert (len(first), len(state.pending)) == (2, 1)
        assert len(deliver(state, journal, sender, NOW, print)) == 1


def test_a_message_that_cannot_be_made_does_not_hold_up_the_others(
    tmp_path: Path, hook: Hooks, journal: Journal
) -> None:
    with journal.held():
        state = journal.state()
        two_rules(journal, state, hook.url)
        next(iter(state.pending.values()))["facts"]["count"] = float("nan")
        outcomes = deliver(state, journal, local(tmp_path, hook), NOW, print)
    assert [one["status"] for one in outcomes] == ["failed", "sent", "sent"]
    assert (outcomes[0]["final"], outcomes[0]["detail"]) == (True, "it cannot be sent: ValueError")


def test_a_clock_that_is_put_back_holds_up_no_message(tmp_path: Path, hook: Hooks, journal: Journal) -> None:
    hook.answers = [503] * 3
    with journal.held():
        state = journal.state()
        journal.append(state, planned(rule({"webhook": {"url": hook.url}}), "triggered", [SUBJECT], FACTS))
        deliver(state, journal, local(tmp_path, hook), NOW + timedelta(hours=20), lambda _: None)
        (outcome,) = deliver(state, journal, local(tmp_path, hook), NOW, print)
    assert outcome["status"] == "sent"


def test_the_same_is_sent_once(tmp_path: Path, hook: Hooks, journal: Journal) -> None:
    twice = rule({"webhook": {"url": hook.url}}, {"webhook": {"url": hook.url}})
    with journal.held():
        state = journal.state()
        journal.append(state, planned(twice, "triggered", [SUBJECT], FACTS))
        assert len(deliver(state, journal, local(tmp_path, hook), NOW, print)) == 1
        journal.append(state, planned(twice, "triggered", [SUBJECT], FACTS))
        (outcome,) = deliver(state, journal, local(tmp_path, hook), NOW, print)
    assert (outcome["status"], len(hook.requests)) == ("duplicate", 1)


def test_what_is_refused_is_logged_and_never_tried_again(
    tmp_path: Path, hook: Hooks, journal: Journal
) -> None:
    with journal.held():
        state = journal.state()
        aimed = rule({"webhook": {"url": "http://169.254.169.254/latest/meta-data"}})
        journal.append(state, planned(aimed, "triggered", [SUBJECT], FACTS))
        sender = channels(tmp_path, notify_hosts="169.254.169.254")
        (outcome,) = deliver(state, journal, sender, NOW, print)
        assert deliver(state, journal, sender, NOW + timedelta(hours=1), print) == []
    assert outcome["status"] == "refused"
    assert "private address 169.254.169.254" in outcome["detail"]


def test_a_notification_is_for_what_it_says() -> None:
    only = rule({"file": {"path": "a"}, "when": ["resolve"]})
    assert planned(only, "triggered", [SUBJECT], FACTS) == []
    assert len(planned(only, "resolved", [SUBJECT], FACTS)) == 1


# the log


def test_a_damaged_line_is_named_and_the_others_are_read(journal: Journal, tmp_path: Path) -> None:
    with journal.held():
        state = journal.state()
        for n in range(3):
            journal.append(
                state, [{"kind": "outcome", "id": str(n), "final": True, "at": NOW.isoformat(), "rule": "r"}]
            )
    file = tmp_path / "w/alerts/log-0000000002.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"final":true', b'"final":fals'))
    assert [record["n"] for record in journal.log()] == [1, 3]
    assert journal.problems == ["log-0000000002.jsonl:1: the line is damaged and left out"]
    assert journal.state().next == 4


def test_many_files_of_the_log_become_one(journal: Journal, tmp_path: Path) -> None:
    with journal.held():
        state = journal.state()
        for n in range(300):
            journal.append(
                state, [{"kind": "outcome", "id": str(n), "final": True, "at": NOW.isoformat(), "rule": "r"}]
            )
        journal.save(state)
        journal.append(
            state, [{"kind": "outcome", "id": "x", "final": True, "at": NOW.isoformat(), "rule": "r"}]
        )
    assert len(list((tmp_path / "w/alerts").glob("log-*"))) == 2
    assert [record["n"] for record in journal.log()] == list(range(1, 302))
    assert journal.state().next == 302
