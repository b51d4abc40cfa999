"""Keys by reference, from settings to a chain of providers, the book of requests and its caps."""

from __future__ import annotations

import json
import pickle
import stat
import subprocess
import sys
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from llm_servers import Servers

from workbench import errors
from workbench.errors import (
    ConfigError,
    ProviderAuthError,
    ProviderBudgetError,
    ProviderConnectionError,
    ProviderContextError,
    ProviderError,
    ProviderModelError,
    ProviderRateLimitError,
    ProviderTimeoutError,
    UnknownNameError,
    UsageError,
)
from workbench.llm import Client, Endpoint, Link, Message, Secret, Usage, connect, providers
from workbench.llm.accounts import Accounts, Entry
from workbench.llm.base import failure, plain
from workbench.settings import Settings, load_settings, origins

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "sk-a-real-key-of-somebody-42"


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.close()


def link(address: str, name: str = "ollama", **prices: float) -> Link:
    return Link(name, providers.create(name), Endpoint("any", address), **prices)


# keys


def test_a_key_is_kept_by_its_reference_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    secret = Secret("env:SOME_KEY")
    assert (repr(secret), str(secret), secret.reveal()) == (
        "Secret('env:SOME_KEY')",
        "Secret('env:SOME_KEY')",
        KEY,
    )
    assert KEY.encode() not in pickle.dumps(secret)
    assert KEY not in repr(Endpoint("m", "http://h", secret))
    assert secret.scrub(f"wrong key {KEY}!") == "wrong key [key]!"
    assert Secret("").reveal() == ""


def test_a_key_that_is_not_there_is_told_by_its_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(ProviderAuthError, match="NO_SUCH_KEY is not set"):
        Secret("env:NO_SUCH_KEY").reveal()
    assert Secret("env:NO_SUCH_KEY").scrub("text") == "text"


def test_a_key_itself_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="never stands in settings") as caught:
        Secret(KEY)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in shown.stack if frame.filename.endswith("secret.py")]
    assert KEY not in str(caught.value)
    assert KEY not in "".join(str(frame.locals) for frame in frames)


def test_a_keyring_needs_its_library() -> None:
    with pytest.raises(ConfigError, match="'keyring' is not installed") as caught:
        Secret("keyring:service/name").reveal()
    assert "env:NAME" in caught.value.fix


@pytest.mark.parametrize("name", ["llm_api_key", "llm_base_url"])
def test_settings_refuse_a_key_without_repeating_it(name: str, tmp_path: Path) -> None:
    value = KEY if name == "llm_api_key" else f"https://user:{KEY}@host/v1"
    (tmp_path / "workbench.toml").write_text(f'{name} = "{value}"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=name) as caught:
        load_settings(tmp_path, environ={})
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_settings_show_where_the_key_stands_and_not_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    shown = {s.name: s.value for s in origins(llm_api_key="env:SOME_KEY")}
    assert shown["llm_api_key"] == "env:SOME_KEY"
    assert KEY not in str(shown)


# from settings


def test_nobody_is_asked_unless_somebody_is_set() -> None:
    assert Settings().llm_provider == ""
    assert connect(Settings()) is None
    assert connect(Settings(llm_provider=" , ")) is None


def test_the_first_provider_has_the_settings_and_the_next_ones_their_defaults() -> None:
    client = connect(
        Settings(
            llm_provider="openai, anthropic:claude-x, local",
            llm_model="gpt-x",
            llm_base_url="http://127.0.0.1:1/v1",
            llm_api_key="env:HOUSE_KEY",
            llm_input_price=2.0,
        )
    )
    assert client is not None
    found = [(x.name, x.endpoint.model, x.endpoint.base_url, x.endpoint.key.reference) for x in client.links]
    assert found == [
        ("openai", "gpt-x", "http://127.0.0.1:1/v1", "env:HOUSE_KEY"),
        ("anthropic", "claude-x", "https://api.anthropic.com", "env:ANTHROPIC_API_KEY"),
        ("local", "SmolLM2-135M-Instruct", "", ""),
    ]
    assert [x.on_this_machine for x in client.links] == [True, False, True]
    assert not client.on_this_machine
    assert client.links[0].cost(Usage(1_000_000, 5)) == 2.0
    assert repr(client).startswith("<Client openai at 127.0.0.1:1 (gpt-x), anthropic at api.anthropic.com")


def test_what_cannot_be_meant_is_told() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'ollama'"):
        connect(Settings(llm_provider="olama"))
    with pytest.raises(ConfigError, match="'openai' needs a model"):
        connect(Settings(llm_provider="openai"))
    with pytest.raises(UsageError, match="needs a provider"):
        Client([])


# what answers mean


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (401, "no", ProviderAuthError),
        (403, "no", ProviderAuthError),
        (404, "model 'm' not found", ProviderModelError),
        (404, "Not Found", ProviderError),
        (400, "This model's maximum context length is 8192 tokens", ProviderContextError),
        (400, "prompt is too long: 9 tokens > 8 maximum", ProviderContextError),
        (413, "too large", ProviderContextError),
        (429, "slow down", ProviderRateLimitError),
        (504, "gateway", ProviderTimeoutError),
        (500, "oops", ProviderError),
        (422, "bad", ProviderError),
    ],
)
def test_a_status_becomes_the_error_that_it_means(
    status: int, message: str, kind: type[ProviderError]
) -> None:
    error = failure("openai", Endpoint("m", "http://host:1/v1"), status, message)
    assert type(error) is kind
    assert error.where == "openai at host:1"
    assert error.transient == (status in {429, 500, 504})


def test_a_date_to_ask_again_is_seconds_from_now() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    error = failure("openai", Endpoint("m", "http://host/v1"), 429, "slow", {"retry-after": at})
    assert error.retry_after is not None
    assert 90 < error.retry_after <= 100
    assert failure("openai", Endpoint(), 429, "slow", {"retry-after": "soon"}).retry_after is None


def test_a_servers_words_are_one_short_line() -> None:
    assert plain("a\n\x1b[31mb.") == "a [31mb"
    assert len(plain("x" * 5000)) < 400


def test_provider_errors_cross_process_borders_whole() -> None:
    raised = ProviderRateLimitError("a.", where="b", retry_after=3.0, transient=True)
    error = pickle.loads(pickle.dumps(raised))  # noqa: S301  (own bytes)
    assert (str(error), error.retry_after, error.transient) == ("b: a.", 3.0, True)
    assert issubclass(errors.ProviderTimeoutError, TimeoutError)
    assert issubclass(errors.ProviderConnectionError, ConnectionError)


def test_what_a_model_does_not_take_is_left_out(servers: Servers) -> None:
    with servers.serve("openai", "picky") as server:
        found = Client([link(server.base_url, "openai")], retries=0).complete("Colour?")
    assert found.text == "Fine."
    assert ["temperature" in body for body in server.log.bodies] == [True, False]
    assert ["seed" in body for body in server.log.bodies] == [True, False]


# the chain


def test_the_next_provider_answers_where_one_fails(servers: Servers) -> None:
    with (
        servers.serve("ollama", "failing") as broken,
        servers.serve("openai", "saying", texts=("Blue.",)) as well,
    ):
        client = Client([link(broken.base_url), link(well.base_url, "openai")], retries=0)
        found = client.complete("Colour?")
    assert (found.text, found.provider) == ("Blue.", "openai")
    assert len(found.passed_over) == 1
    assert "it failed (500)" in found.passed_over[0]


def test_where_all_fail_each_says_why(servers: Servers) -> None:
    with servers.serve("ollama", "failing") as one, servers.serve("ollama", "rate limit") as two:
        client = Client([link(one.base_url), link(two.base_url)], retries=0)
        with pytest.raises(ProviderError, match=r"it failed \(500\).* Then ollama .* too many requests"):
            client.complete("Colour?")


def test_the_time_limit_is_for_the_whole_chain(servers: Servers) -> None:
    with servers.serve("ollama", "hanging") as one, servers.serve("ollama", "saying", texts=("Hm.",)) as two:
        client = Client([link(one.base_url), link(two.base_url)], timeout=0.5)
        with pytest.raises(ProviderTimeoutError):
            client.complete("Colour?")
        assert two.log.bodies == []


def test_no_other_provider_goes_on_with_what_was_shown(servers: Servers) -> None:
    shown: list[str] = []
    with servers.serve("ollama", "cut") as one, servers.serve("ollama", "saying", texts=("Hm.",)) as two:
        client = Client([link(one.base_url), link(two.base_url)])
        with pytest.raises(ProviderError, match="broke off"):
            client.complete("Colour?", on_text=shown.append)
    assert "".join(shown).startswith("ab")
    assert (len(one.log.bodies), len(two.log.bodies)) == (1, 0)


INTERRUPTED = """
import os, signal, socket, threading
from workbench.llm import Client, Endpoint, Link, providers
silent = socket.create_server(("127.0.0.1", 0))
link = Link("ollama", providers.create("ollama"), Endpoint("m", f"http://127.0.0.1:{silent.getsockname()[1]}"))
def interrupt():
    connection, _ = silent.accept()
    connection.recv(1)  # the request is under way
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
try:
    Client([link], timeout=60).complete("Colour?")
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_ends_a_request() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout == "interrupted\n"


# accounts


def entry(tokens: int, *, session: str = "s", cost: float = 0.0) -> Entry:
    sent = (Message("user", "Zahl 1 < 2?"),)
    return Entry(session, "ollama", "127.0.0.1:1", "m", Usage(tokens, 0), cost, "ok", sent)


def test_what_was_sent_where_is_written_down_for_the_owner_alone(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "llm")
    accounts.record(entry(7, cost=0.25))
    (file,) = (tmp_path / "llm").iterdir()
    assert file.name == f"{datetime.now(UTC).date()}.jsonl"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    line = json.loads(file.read_text(encoding="utf-8"))
    assert datetime.fromisoformat(line.pop("at")).tzinfo is not None
    assert line == {
        "session": "s",
        "provider": "ollama",
        "host": "127.0.0.1:1",
        "model": "m",
        "sent": 7,
        "received": 0,
        "estimated": False,
        "cost": 0.25,
        "outcome": "ok",
        "messages": [{"role": "user", "content": "Zahl 1 < 2?"}],
    }


def test_a_day_is_counted_over_processes_and_a_session_in_one(tmp_path: Path) -> None:
    one, two = Accounts(tmp_path / "llm"), Accounts(tmp_path / "llm")
    for _ in range(3):
        one.record(entry(10, cost=0.5))
        two.record(entry(1))
    assert (one.today(), two.today()) == (two.today(), one.today())
    assert (one.today().requests, one.today().tokens, one.today().cost) == (6, 33, 1.5)
    assert (one.session("s").tokens, two.session("s").tokens, two.session("other").tokens) == (30, 3, 0)


def test_where_nothing_can_be_written_it_is_counted_here(tmp_path: Path) -> None:
    (tmp_path / "llm").write_text("a file stands in the way", encoding="utf-8")
    accounts = Accounts(tmp_path / "llm", day_tokens=10)
    accounts.record(entry(8))
    with pytest.raises(ProviderBudgetError):
        accounts.admit("s", 3)


@pytest.mark.parametrize(
    ("caps", "reason"),
    [
        ({"session_tokens": 100}, "the session has used 90 of 100 tokens"),
        ({"day_tokens": 100}, "the day has used 90 of 100 tokens"),
        ({"day_cost": 0.5}, "have cost 0.60 of 0.50"),
    ],
)
def test_a_cap_stops_requests_before_they_are_sent(
    servers: Servers, caps: dict[str, Any], reason: str
) -> None:
    accounts = Accounts(None, **caps)
    accounts.record(entry(90, session="", cost=0.6))
    with servers.serve("ollama", "saying", texts=("Hm.",)) as server:
        client = Client([link(server.base_url), link(server.base_url)], accounts=accounts)
        with pytest.raises(ProviderBudgetError, match=reason):
            client.complete("Colour?", max_tokens=20)
        assert server.log.bodies == []


def test_tokens_and_cost_of_an_answer_are_booked(servers: Servers) -> None:
    with servers.serve("openai", "saying", texts=("Hm.",)) as server:
        client = Client([link(server.base_url, "openai", input_price=1e6, output_price=2e6)], session="mine")
        found = client.complete("Colour?")
    spent = client.accounts.session("mine")
    assert (found.usage.sent, found.usage.received) == (7, 1)
    assert (spent.requests, spent.tokens, spent.cost) == (1, 8, 9.0)


def test_a_failed_request_is_booked_too(servers: Servers, tmp_path: Path) -> None:
    with servers.serve("ollama", "failing") as server:
        client = Client([link(server.base_url)], retries=1, accounts=Accounts(tmp_path / "llm"))
        with pytest.raises(ProviderError):
            client.complete("Colour?")
    lines = next((tmp_path / "llm").iterdir()).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["ProviderError", "ProviderError"]


def test_a_dead_host_is_told_in_its_address() -> None:
    with pytest.raises(ProviderConnectionError, match=r"http://127\.0\.0\.1:1: "):
        Client([link("http://127.0.0.1:1")], retries=0).complete("Colour?")
